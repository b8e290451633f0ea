//! The first line of a script: `#!lua flags=no-writes,allow-oom`, and of a library: `#!lua name=mylib`.

use crate::command::row;
use crate::resp::{split_args, text_of};

/// A flag with its name.
pub(super) const NAMES: [(u8, &str); 5] = [
    (Flags::NO_WRITES, "no-writes"),
    (Flags::ALLOW_OOM, "allow-oom"),
    (Flags::ALLOW_STALE, "allow-stale"),
    (Flags::NO_CLUSTER, "no-cluster"),
    (Flags::ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
];

/// What a script says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(pub u8);

impl Flags {
    pub(super) const NO_WRITES: u8 = 1;
    pub(super) const ALLOW_OOM: u8 = 1 << 1;
    pub(super) const ALLOW_STALE: u8 = 1 << 2;
    pub(super) const NO_CLUSTER: u8 = 1 << 3;
    pub(super) const ALLOW_CROSS_SLOT: u8 = 1 << 4;
    /// It says nothing: there is no such line.
    pub(super) const SILENT: u8 = 1 << 5;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    /// The flag of a name.
    pub(super) fn named(name: &[u8]) -> Option<u8> {
        NAMES.iter().find(|(_, text)| text.as_bytes() == name).map(|(flag, _)| *flag)
    }

    /// The flags of these names.
    pub(super) fn of_names(names: &[&str]) -> Flags {
        Flags(names.iter().filter_map(|name| Flags::named(name.as_bytes())).fold(0, |all, flag| all | flag))
    }

    /// The flags of a call that runs such a script, those of its row being `row`: what it says it does stands in the
    /// place of what any script might do.
    pub(super) fn of_call(self, row: row::Flags) -> row::Flags {
        use row::Flags as Row;
        if self.has(Flags::SILENT) {
            return row;
        }
        let any = Row::STALE.with(Row::DENYOOM).with(Row::WRITE).with(Row::MAY_REPLICATE);
        let mut flags = row.without(any);
        if !self.has(Flags::NO_WRITES) {
            flags = flags | Row::WRITE;
        }
        // Who writes nothing needs no memory to speak of.
        if !self.has(Flags::ALLOW_OOM | Flags::NO_WRITES) {
            flags = flags | Row::DENYOOM;
        }
        if self.has(Flags::ALLOW_STALE) {
            flags = flags | Row::STALE;
        }
        flags
    }

    /// The names of the flags that are set, in Redis's order.
    pub(super) fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect()
    }
}

fn show(bytes: &[u8]) -> String {
    text_of(bytes).into_owned()
}

/// The flags of a script, and where the code begins. The error is Redis's, without its code.
pub(super) fn of_script(body: &[u8]) -> Result<(Flags, usize), String> {
    if !body.starts_with(b"#!") {
        return Ok((Flags(Flags::SILENT), 0));
    }
    let end = line_end(body).ok_or("Invalid script shebang")?;
    let parts = split_args(&body[..end]).unwrap_or_default();
    let Some((engine, options)) = parts.split_first() else {
        return Err("Invalid engine in script shebang".to_owned());
    };
    if engine[..] != *b"#!lua" {
        return Err(format!("Unexpected engine in script shebang: {}", show(engine)));
    }
    let mut flags = Flags::default();
    for option in options {
        let Some(list) = option.strip_prefix(b"flags=") else {
            return Err(format!("Unknown lua shebang option: {}", show(option)));
        };
        for name in list.split(|&byte| byte == b',') {
            match Flags::named(name) {
                Some(flag) => flags.0 |= flag,
                None if list.is_empty() => {}
                None => return Err(format!("Unexpected flag in script shebang: {}", show(name))),
            }
        }
    }
    Ok((flags, end))
}

/// A library's name, and where its code begins. The error is Redis's, without its code.
pub(super) fn of_library(code: &[u8]) -> Result<(String, usize), String> {
    if !code.starts_with(b"#!") {
        return Err("Missing library metadata".to_owned());
    }
    let end = line_end(code).ok_or("Invalid library metadata")?;
    let parts = split_args(&code[..end]).unwrap_or_default();
    let Some((engine, options)) = parts.split_first() else {
        return Err("Invalid library metadata".to_owned());
    };
    let mut name = None;
    for option in options {
        let is_name = option.len() >= 5 && option[..5].eq_ignore_ascii_case(b"name=");
        match is_name {
            true if name.is_some() => {
                return Err("Invalid metadata value, name argument was given multiple times".to_owned());
            }
            true => name = Some(show(&option[5..])),
            false => return Err(format!("Invalid metadata value given: {}", show(option))),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    if !is_name(name.as_bytes()) {
        return Err(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                    character long"
                .to_owned(),
        );
    }
    let engine = engine.get(2..).unwrap_or_default();
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(format!("Engine '{}' not found", show(engine)));
    }
    Ok((name, end))
}

/// Whether a library or a function may be called so.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The end of the first line. C strings end at a zero byte.
fn line_end(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    (!text[..end].contains(&0)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_their_errors() {
        assert_eq!(of_script(b"return 1"), Ok((Flags(Flags::SILENT), 0)));
        assert_eq!(of_script(b"#!lua\nreturn 1"), Ok((Flags(0), 5)));
        let (flags, _) = of_script(b"#!lua flags=no-writes,allow-stale\n").unwrap();
        assert_eq!(flags.names(), ["no-writes", "allow-stale"]);
        assert_eq!(of_script(b"#!lua"), Err("Invalid script shebang".to_owned()));
        assert!(of_script(b"#!not-lua\n").unwrap_err().starts_with("Unexpected engine in script shebang"));
        assert!(of_script(b"#!lua flags=bad\n").unwrap_err().ends_with(": bad"));
    }

    #[test]
    fn a_call_has_the_flags_that_its_script_declares() {
        use row::Flags as Row;
        let row = Row::NOSCRIPT.with(Row::STALE).with(Row::MAY_REPLICATE);
        let call = |body: &[u8]| of_script(body).unwrap().0.of_call(row);
        assert_eq!(call(b"return 1"), row);
        assert_eq!(call(b"#!lua\n"), Row::NOSCRIPT.with(Row::WRITE).with(Row::DENYOOM));
        assert_eq!(call(b"#!lua flags=no-writes\n"), Row::NOSCRIPT);
        assert_eq!(
            call(b"#!lua flags=allow-oom,allow-stale\n"),
            Row::NOSCRIPT.with(Row::WRITE).with(Row::STALE)
        );
        assert_eq!(Flags::of_names(&["no-writes", "allow-oom"]).names(), ["no-writes", "allow-oom"]);
    }

    #[test]
    fn names_of_libraries() {
        assert_eq!(of_library(b"#!lua name=a_1\nx"), Ok(("a_1".to_owned(), 14)));
        assert_eq!(of_library(b"x"), Err("Missing library metadata".to_owned()));
        assert_eq!(of_library(b"#!lua\nx"), Err("Library name was not given".to_owned()));
        assert_eq!(of_library(b"#!bad name=x\ny"), Err("Engine 'bad' not found".to_owned()));
    }
}
