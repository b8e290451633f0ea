//! Files of the append-only log from anybody.
//!
//! The first byte chooses: a manifest, an increment as it is, or one whose `#CRC` lines are mended, since random bytes
//! hardly ever get past a checksum. The reader may refuse; it must not panic, hang, or ask for memory that the bytes
//! do not justify, and names a place within the file. It reads the same in pieces and from the middle, and what is cut
//! where it stopped is whole.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use glasswing::persist::aof::reader::{CHECKSUM, Problem, Read, Reader};
use glasswing::persist::aof::rewind::{self, Preamble, RewindError, Standing};
use glasswing::persist::aof::{Folder, Manifest};
use glasswing::persist::files::faulty::FaultyFiles;
use glasswing::persist::files::{Handle, Identity};
use libfuzzer_sys::fuzz_target;

/// No single piece of memory is larger: the reader's buffer for one piece of the file, grown once.
const LARGEST: usize = 1 << 20;
/// No file system takes a longer name.
const LONGEST_NAME: usize = 255;
/// So many bytes of a line a name may take in the manifest.
const LONGEST_WRITTEN: usize = 980;
/// So near to the largest number there is no room for more files.
const LAST_SEQUENCE: u64 = i64::MAX as u64 - 1024;

const MANIFEST: &str = "file a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n";

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else { return };
    Watch::begin();
    let pieces = 1 + usize::from(mode >> 2) % 8;
    match mode % 4 {
        0 => manifest(bytes),
        1 => increment(bytes, pieces),
        2 => increment(&mended(bytes), pieces),
        _ => rewound(&mended(bytes), u64::from(mode >> 2)),
    }
    assert!(Watch::largest() <= LARGEST, "{} bytes at once", Watch::largest());
});

fn manifest(bytes: &[u8]) {
    let mut manifest = match Manifest::parse(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
            assert!(error.line <= lines && (error.line > 0) == (lines > 0), "{error}");
            return;
        }
    };
    let files = || manifest.live().chain(&manifest.history);
    assert!(files().all(|file| i64::try_from(file.sequence).is_ok_and(|sequence| sequence > 0)));
    if !files().all(|file| file.sequence < LAST_SEQUENCE && is_possible(&file.name)) {
        return;
    }
    let old: Vec<String> = files().map(|file| file.name.clone()).collect();
    if !old.is_empty() {
        assert_eq!(Manifest::parse(manifest.format().as_bytes()).as_ref(), Ok(&manifest));
    }
    // A rewrite: no file of the log has the names of the new ones.
    let new = [manifest.add_increment("a.aof"), manifest.add_base("a.aof", true)];
    assert!(new.iter().all(|name| !old.contains(name)), "{new:?} of {old:?}");
    manifest.retire_increments(1);
    assert_eq!(Manifest::parse(manifest.format().as_bytes()).as_ref(), Ok(&manifest));
}

/// Whether a file may be called so, and its line is not too long: a byte that is not printed takes four.
fn is_possible(name: &str) -> bool {
    let written = name.len() + 3 * name.bytes().filter(|byte| !(b' '..=b'~').contains(byte)).count();
    name.len() <= LONGEST_NAME && written <= LONGEST_WRITTEN
}

/// What one reading gave.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Where each thing ends, what it is, and the words of a command.
    read: Vec<(u64, Read, Vec<Vec<u8>>)>,
    /// Where it stopped, and why; the end of the file otherwise.
    fault: Option<(u64, String)>,
    is_cut: bool,
}

fn read(disk: &Memory<'_>, from: u64, checksum: crc32fast::Hasher) -> Seen {
    let mut reader = Reader::new(disk, from, checksum);
    let mut seen = Seen { read: Vec::new(), fault: None, is_cut: false };
    loop {
        let before = reader.offset();
        match reader.read_next() {
            Ok(Read::End) => {
                assert_eq!(reader.offset(), disk.bytes.len() as u64);
                return seen;
            }
            Ok(read) => {
                let words: Vec<Vec<u8>> = (0..reader.len()).map(|at| reader.word(at).to_vec()).collect();
                let after = reader.offset();
                let piece = &disk.bytes[before as usize..after as usize];
                assert!(words.iter().map(|word| word.len() + 5).sum::<usize>() < piece.len());
                match read {
                    Read::Checksum => {
                        let crc = crc32fast::hash(&disk.bytes[..before as usize]);
                        let text = format!("{}{crc:08x}", String::from_utf8_lossy(CHECKSUM));
                        assert!(piece.trim_ascii_end().eq_ignore_ascii_case(text.as_bytes()), "{piece:?}");
                    }
                    Read::Command => assert_eq!(piece.first(), Some(&b'*')),
                    _ => assert_eq!(piece.first(), Some(&b'#')),
                }
                assert_eq!(words.is_empty(), read != Read::Command);
                seen.read.push((after, read, words));
            }
            Err(fault) => {
                assert_eq!(fault.offset, before);
                assert!(fault.offset < disk.bytes.len() as u64, "{fault}");
                seen.fault = Some((fault.offset, fault.to_string()));
                seen.is_cut = matches!(fault.problem, Problem::Truncated);
                return seen;
            }
        }
    }
}

fn increment(bytes: &[u8], pieces: usize) {
    let new = crc32fast::Hasher::new;
    let seen = read(&Memory { bytes, most: usize::MAX }, 0, new());
    let in_pieces = read(&Memory { bytes, most: bytes.len() / pieces + 1 }, 0, new());
    assert_eq!(seen, in_pieces);
    if let Some((offset, _)) = &seen.fault {
        let whole = read(&Memory { bytes: &bytes[..*offset as usize], most: usize::MAX }, 0, new());
        assert_eq!((&whole.read, whole.fault), (&seen.read, None));
    }
    // From the middle on, as after a preamble or where the log goes on.
    if let Some((at, ..)) = seen.read.get(seen.read.len() / 2) {
        let mut checksum = new();
        checksum.update(&bytes[..*at as usize]);
        let rest = read(&Memory { bytes, most: usize::MAX }, *at, checksum);
        assert_eq!(rest.read, seen.read[seen.read.len() / 2 + 1..]);
        assert_eq!((rest.fault, rest.is_cut), (seen.fault.clone(), seen.is_cut));
    }
    // The words are those that stand there: written and read they are the same.
    let written: Vec<u8> = seen.read.iter().flat_map(|(_, _, words)| written(words)).collect();
    let again = read(&Memory { bytes: &written, most: usize::MAX }, 0, new());
    let words = |seen: &Seen| -> Vec<Vec<Vec<u8>>> {
        seen.read
            .iter()
            .filter(|(_, read, _)| *read == Read::Command)
            .map(|(_, _, words)| words.clone())
            .collect()
    };
    assert_eq!((words(&again), again.fault.as_ref()), (words(&seen), None));
}

fn written(words: &[Vec<u8>]) -> Vec<u8> {
    if words.is_empty() {
        return Vec::new();
    }
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Brings a log of two increments back to a moment: afterwards it is a beginning, and nothing in it is later.
fn rewound(bytes: &[u8], at_s: u64) {
    let files = FaultyFiles::new();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let paths = ["/d/a.aof.1.incr.aof", "/d/a.aof.2.incr.aof"].map(PathBuf::from);
    files.put(Path::new("/d/a.aof.manifest"), MANIFEST.as_bytes());
    files.put(&paths[0], if at_s % 2 == 0 { bytes } else { first });
    files.put(&paths[1], second);
    let folder = Folder::new(Arc::new(files.clone()), PathBuf::from("/d"), "a.aof".to_owned());
    let examine = |_: &Path| Ok(Preamble::default());
    let manifest = folder.load().expect("the manifest above");
    let Ok(Standing::Later(cut)) = rewind::find(&folder, &manifest, at_s, &examine) else { return };
    assert!(cut.first_gone_s > at_s);
    let before = files.contents(&paths[cut.file]).expect("one of both");
    rewind::cut(&folder, &manifest, &cut).expect("a disk without faults");
    let after = files.contents(&paths[cut.file]).expect("what was cut");
    assert!(after.len() as u64 == cut.offset && before.starts_with(&after));
    let shorter = folder.load().expect("what was stored");
    assert_eq!(shorter.live().count(), cut.file + 1);
    match rewind::find(&folder, &shorter, at_s, &examine) {
        Ok(Standing::Whole(last_s)) => assert!(last_s.is_none_or(|last_s| last_s <= at_s)),
        // The only time stood in the transaction that went.
        Err(RewindError::NoTimes) => {}
        other => panic!("{other:?}"),
    }
}

/// Puts the checksum that fits behind every `#CRC:` that begins a line.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut file: Vec<u8> = Vec::with_capacity(bytes.len() + 64);
    let (mut checksum, mut counted, mut rest) = (crc32fast::Hasher::new(), 0, bytes);
    while let Some((&byte, after)) = rest.split_first() {
        if file.last().is_none_or(|last| *last == b'\n') && rest.starts_with(CHECKSUM) {
            checksum.update(&file[counted..]);
            counted = file.len();
            file.extend_from_slice(CHECKSUM);
            file.extend_from_slice(format!("{:08x}", checksum.clone().finalize()).as_bytes());
            rest = &rest[CHECKSUM.len()..];
            let digits = rest.iter().take(8).take_while(|byte| byte.is_ascii_hexdigit()).count();
            rest = &rest[digits..];
        } else {
            file.push(byte);
            rest = after;
        }
    }
    file
}

/// A file that gives so many bytes at a time.
struct Memory<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl Handle for Memory<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len()).min(self.most);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn identity(&self) -> io::Result<Identity> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// The operating system's memory, with an eye on how much is asked for at once.
struct Watch;

static LARGEST_SEEN: AtomicUsize = AtomicUsize::new(0);

impl Watch {
    fn begin() {
        LARGEST_SEEN.store(0, Ordering::Relaxed);
    }

    fn largest() -> usize {
        LARGEST_SEEN.load(Ordering::Relaxed)
    }
}

// SAFETY: everything is handed on to `System` as it came.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST_SEEN.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST_SEEN.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST_SEEN.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watch = Watch;
