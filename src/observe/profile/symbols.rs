//! From addresses to functions, by the line tables and the symbols of each file.
//!
//! They are mapped while names are looked for and gone afterwards.

use std::borrow::Cow;

use addr2line::{Loader, demangle_auto};

use super::modules::Mapped;

/// A name that is longer, as those of generic functions can be, is cut.
const NAME_CHARS: usize = 256;

/// A call at an address: the function itself, or one that the compiler put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) function: String,
    /// Empty where it is not known.
    pub(super) file: String,
    /// 0 where it is not known.
    pub(super) line: u32,
}

impl Call {
    fn unknown(function: String) -> Call {
        Call { function, file: String::new(), line: 0 }
    }
}

/// The files, each opened when a first address of it is looked for.
pub(super) struct Symbols<'a> {
    files: Vec<(&'a Mapped, Option<Loaded>)>,
}

/// `None` for a file that cannot be read.
struct Loaded(Option<Loader>);

impl<'a> Symbols<'a> {
    pub(super) fn new(mapped: &'a [Mapped]) -> Symbols<'a> {
        Symbols { files: mapped.iter().map(|mapped| (mapped, None)).collect() }
    }

    /// The calls that an address stands for, the innermost first, at least one.
    pub(super) fn calls_at(&mut self, address: u64) -> Vec<Call> {
        let found = self.files.iter_mut().find(|(mapped, _)| mapped.range.contains(&address));
        let Some((mapped, loaded)) = found else { return vec![Call::unknown("[unknown]".to_owned())] };
        let load = || Loaded(mapped.file.as_ref().and_then(|file| Loader::new(file).ok()));
        let Loaded(loader) = loaded.get_or_insert_with(load);
        let calls = loader.as_ref().map(|loader| calls_in(loader, address.wrapping_sub(mapped.bias)));
        match calls {
            Some(calls) if !calls.is_empty() => calls,
            _ => vec![Call::unknown(format!("[{}]", mapped.name))],
        }
    }
}

fn calls_in(loader: &Loader, address: u64) -> Vec<Call> {
    let mut calls = Vec::new();
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let (file, line) = frame.location.map_or((None, None), |found| (found.file, found.line));
            let (file, line) = (file.unwrap_or_default(), line.unwrap_or_default());
            let Some(name) = frame.function.as_ref() else { continue };
            let (Ok(raw), Ok(plain)) = (name.raw_name(), name.demangle()) else { continue };
            let function = match raw == plain {
                true => with_path(&plain, file),
                false => plain.into_owned(),
            };
            calls.push(Call { function: cut(&function), file: file.to_owned(), line });
        }
    }
    if calls.is_empty()
        && let Some(symbol) = loader.find_symbol(address)
    {
        calls.push(Call::unknown(cut(&demangle_auto(Cow::from(symbol), None))));
    }
    calls
}

/// The full name of a function that the compiler put into another one. The line tables have its last part alone, with the
/// types it was made for; the file that it stands in says the rest. What is no file of Rust's is left as it is.
fn with_path(name: &str, file: &str) -> String {
    let Some((before, within)) = file.strip_suffix(".rs").and_then(|file| file.rsplit_once("/src/")) else {
        return name.to_owned();
    };
    let folder = before.rsplit('/').next().unwrap_or_default();
    let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let package = match folder.match_indices('-').find(|(at, _)| is_version(&folder[at + 1..])) {
        Some((at, _)) => folder[..at].replace('-', "_"),
        None if before.contains("/library/") => folder.to_owned(),
        // Dependencies lie in folders with their version; what does not is this program, wherever it was built.
        None => "glasswing".to_owned(),
    };
    let modules = within.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod"));
    let plain = name.split_once('<').map_or(name, |(plain, _)| plain);
    [package.as_str()].into_iter().chain(modules).chain([plain]).collect::<Vec<_>>().join("::")
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::profile::modules::Modules;

    #[test]
    fn a_function_of_this_program_has_its_name_and_its_line() {
        let modules = Modules::of_this_process().unwrap();
        let mut symbols = Symbols::new(modules.mapped());
        let address = a_function_of_this_program_has_its_name_and_its_line as fn() as usize as u64;
        let calls = symbols.calls_at(address);
        let outer = calls.last().unwrap();
        assert!(
            outer.function.ends_with("a_function_of_this_program_has_its_name_and_its_line"),
            "{calls:?}"
        );
        assert!(outer.file.ends_with("profile/symbols.rs") && outer.line > 0, "{calls:?}");
    }

    #[test]
    fn an_address_of_nobody_has_a_name_all_the_same() {
        let mut symbols = Symbols::new(&[]);
        assert_eq!(symbols.calls_at(16), [Call::unknown("[unknown]".to_owned())]);
        let mapped = [Mapped {
            range: 0x1000..0x2000,
            offset: 0,
            bias: 0x1000,
            file: Some("/nowhere/libgone.so".into()),
            name: "libgone.so".to_owned(),
        }];
        assert_eq!(Symbols::new(&mapped).calls_at(0x1800)[0].function, "[libgone.so]");
    }

    #[test]
    fn a_name_without_its_path_gets_the_one_of_its_file() {
        for (name, file, expected) in [
            ("and_then<u8, bool>", "/rustc/5980/library/core/src/option.rs", "core::option::and_then"),
            ("grow<u8>", "/x/registry/src/y/small-vec-1.2.0-rc.1/src/lib.rs", "small_vec::grow"),
            ("{closure#0}<T>", "/build/src/engine/worker/mod.rs", "glasswing::engine::worker::{closure#0}"),
            ("park", "/x/tokio-1.54.0/src/runtime/park.rs", "tokio::runtime::park::park"),
            ("luaV_execute", "/x/lua-src-547.0.0/lua-5.1.5/src/lvm.c", "luaV_execute"),
            ("nothing<T>", "", "nothing<T>"),
        ] {
            assert_eq!(with_path(name, file), expected);
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ü".repeat(NAME_CHARS + 9)), "ü".repeat(NAME_CHARS) + "…");
    }
}
