//! The program and the libraries that are mapped, and how to get from a copy of a stack to the calls on it.
//!
//! Each file's `.eh_frame` says, for every instruction, where the caller's registers are: the tables that
//! exceptions need, which no build leaves out. They are read from the files once for a profile.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, UnwindRegsNative, Unwinder,
    UnwinderNative,
};
use object::elf::PF_X;
use object::{Object, ObjectSection, ObjectSegment, ReadCache, ReadRef, SegmentFlags};

use super::Stack;
use super::sampler::{MEMORY, Registers, STACK_BYTES, Sample};

/// Calls of one stack that are followed.
const CALLS: usize = 512;
/// The code that the kernel maps into every process; it is in no file.
const KERNELS: &str = "[vdso]";

/// A range of code that comes from one file.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    pub(super) range: Range<u64>,
    /// In the file.
    pub(super) offset: u64,
    /// From an address in the file to that in memory.
    pub(super) bias: u64,
    /// Where the file can be opened now; none for what is in no file.
    pub(super) file: Option<PathBuf>,
    /// As people call it.
    pub(super) name: String,
}

/// What is mapped, with the tables for walking stacks.
pub(super) struct Modules {
    mapped: Vec<Mapped>,
    unwinder: UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

/// What a file says about itself.
struct Tables {
    bias: u64,
    sections: ExplicitModuleSectionInfo<Vec<u8>>,
}

impl Modules {
    /// Reads what is mapped now. A file that cannot be read is left out: stacks end there.
    ///
    /// # Errors
    /// When the system does not show what is mapped.
    pub(super) fn of_this_process() -> io::Result<Modules> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        let own = fs::read_link("/proc/self/exe")?;
        let mut modules =
            Modules { mapped: Vec::new(), unwinder: UnwinderNative::new(), cache: CacheNative::default() };
        for mut mapped in maps.lines().filter_map(|line| code_of(line, &own)) {
            let Some(Tables { bias, sections }) = tables_of(&mapped) else { continue };
            mapped.bias = bias;
            let range = mapped.range.clone();
            modules.unwinder.add_module(Module::new(mapped.name.clone(), range, bias, sections));
            modules.mapped.push(mapped);
        }
        Ok(modules)
    }

    /// The calls on a copied stack.
    pub(super) fn stack(&mut self, sample: &Sample<'_>) -> Stack {
        let Registers { pc, sp, .. } = sample.registers;
        let mut read = |address: u64| word(sample.stack, address.checked_sub(sp)).ok_or(());
        let mut addresses = Vec::with_capacity(64);
        let mut frames =
            self.unwinder.iter_frames(pc, unwind_registers(&sample.registers), &mut self.cache, &mut read);
        let mut is_whole = false;
        while addresses.len() < CALLS {
            match frames.next() {
                Ok(Some(frame)) => addresses.push(frame.address_for_lookup()),
                Ok(None) => {
                    is_whole = true;
                    break;
                }
                // Beyond what is mapped: the stack of a script ends so, and what has wrong tables.
                Err(_) => break,
            }
        }
        let cut = !is_whole && (sample.stack.len() == STACK_BYTES || addresses.len() == CALLS);
        Stack { thread: sample.thread, addresses: addresses.into(), cut }
    }

    pub(super) fn mapped(&self) -> &[Mapped] {
        &self.mapped
    }

    pub(super) fn into_mapped(self) -> Vec<Mapped> {
        self.mapped
    }
}

#[cfg(target_arch = "x86_64")]
fn unwind_registers(registers: &Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.pc, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn unwind_registers(registers: &Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.lr, registers.sp, registers.fp)
}

/// Eight bytes of a stack, so far from its beginning.
fn word(stack: &[u8], at: Option<u64>) -> Option<u64> {
    let at = usize::try_from(at?).ok()?;
    let bytes = stack.get(at..at.checked_add(8)?)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// A line of `/proc/self/maps`, if it is code: `start-end rights offset device inode   path`.
fn code_of(line: &str, own: &Path) -> Option<Mapped> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()?.contains('x');
    let offset = fields.next()?;
    let path = fields.nth(2)?.trim_start();
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (file, name) = match path {
        KERNELS => (None, KERNELS.to_owned()),
        // A program that was replaced while it runs is still here.
        path if Path::new(path) == own => (Some("/proc/self/exe".into()), file_name(path)),
        path if path.starts_with('/') => (Some(path.into()), file_name(path)),
        _ => return None,
    };
    let range = number(start)?..number(end)?;
    is_code.then_some(Mapped { range, offset: number(offset)?, bias: 0, file, name })
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn tables_of(mapped: &Mapped) -> Option<Tables> {
    match &mapped.file {
        Some(file) => tables(&ReadCache::new(File::open(file).ok()?), mapped),
        None => {
            let length = usize::try_from(mapped.range.end - mapped.range.start).ok()?;
            let mut bytes = vec![0; length];
            File::open(MEMORY).ok()?.read_exact_at(&mut bytes, mapped.range.start).ok()?;
            tables(&*bytes, mapped)
        }
    }
}

fn tables<'a>(file: impl ReadRef<'a>, mapped: &Mapped) -> Option<Tables> {
    let file = object::File::parse(file).ok()?;
    let length = mapped.range.end - mapped.range.start;
    let segment = file.segments().find(|segment| {
        let (offset, bytes) = segment.file_range();
        let is_code = matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0);
        is_code && offset < mapped.offset + length && mapped.offset < offset + bytes
    })?;
    // Whole pages are mapped: what is mapped begins before the segment as a rule, with the end of the one before.
    let address = (segment.address() + mapped.offset).wrapping_sub(segment.file_range().0);
    let range = |name: &str| {
        let section = file.section_by_name(name)?;
        Some(section.address()..section.address() + section.size())
    };
    let data = |name: &str| Some(file.section_by_name(name)?.data().ok()?.to_vec());
    Some(Tables {
        bias: mapped.range.start.wrapping_sub(address),
        sections: ExplicitModuleSectionInfo {
            text_svma: range(".text"),
            got_svma: range(".got"),
            eh_frame_svma: range(".eh_frame"),
            eh_frame: data(".eh_frame"),
            eh_frame_hdr_svma: range(".eh_frame_hdr"),
            eh_frame_hdr: data(".eh_frame_hdr"),
            ..ExplicitModuleSectionInfo::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "/usr/bin/glasswing";

    fn code(line: &str) -> Option<(Range<u64>, u64, Option<PathBuf>, String)> {
        code_of(line, Path::new(OWN)).map(|found| (found.range, found.offset, found.file, found.name))
    }

    #[test]
    fn code_is_told_from_data_and_its_file_is_found() {
        let line = "5600a000-5600f000 r-xp 00001000 fe:01 1234     /usr/bin/glasswing";
        let own = Some("/proc/self/exe".into());
        assert_eq!(code(line), Some((0x5600_a000..0x5600_f000, 0x1000, own, "glasswing".to_owned())));
        let line = "7f000000-7f001000 r-xp 00026000 fe:01 99       /lib/x86_64-linux-gnu/a b.so.6";
        let library = Some("/lib/x86_64-linux-gnu/a b.so.6".into());
        assert_eq!(code(line), Some((0x7f00_0000..0x7f00_1000, 0x26000, library, "a b.so.6".to_owned())));
        let line = "7fff8000-7fff9000 r-xp 00000000 00:00 0        [vdso]";
        assert_eq!(code(line).unwrap().2, None);
        for other in [
            "5600a000-5600f000 r--p 00000000 fe:01 1234     /usr/bin/glasswing",
            "7f000000-7f001000 r-xp 00000000 00:00 0 ",
            "7f000000-7f001000 rw-p 00000000 00:00 0        [stack]",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn this_program_has_tables() {
        let modules = Modules::of_this_process().unwrap();
        let own = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        for name in [own.as_str(), KERNELS] {
            let found = modules.mapped().iter().find(|mapped| mapped.name == name).expect(name);
            assert!(
                tables_of(found).unwrap().sections.eh_frame.is_some_and(|table| !table.is_empty()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_word_is_read_within_the_copy_only() {
        let stack: Vec<u8> = (1..=12).collect();
        assert_eq!(word(&stack, Some(4)), Some(u64::from_ne_bytes([5, 6, 7, 8, 9, 10, 11, 12])));
        assert_eq!([word(&stack, Some(5)), word(&stack, None), word(&stack, Some(u64::MAX))], [None; 3]);
    }
}
