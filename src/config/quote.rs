//! Words of a line: how a configuration line is cut into arguments, and how a value is written so that it is read back.
//!
//! The rules are those of Redis's configuration files. Blanks separate. A double-quoted word knows
//! `\n \r \t \b \a`, `\xHH`, and a backslash before any other byte stands for that byte. A single-quoted word
//! knows `\'` alone. A closing quote must be followed by a blank or by the end of the line.

/// Cuts a line into its words; `None` when quotes are unbalanced or a closing quote touches the next word.
///
/// A line of blanks has no words. A zero byte ends the line, as it does in Redis.
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at == line.len() {
            return Some(words);
        }
        let (word, next) = word(line, at)?;
        words.push(word);
        at = next;
    }
}

/// One word that begins at `at`, and where reading goes on. Quotes may open in the middle of a word.
fn word(line: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Some((word, at + 1)),
            b'"' => return double_quoted(line, at + 1, word),
            b'\'' => return single_quoted(line, at + 1, word),
            _ => word.push(byte),
        }
        at += 1;
    }
    Some((word, at))
}

fn double_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match *line.get(at)? {
            b'"' => return closed(line, at, word),
            b'\\' => {
                let (byte, length) = escape(&line[at + 1..]);
                word.push(byte);
                at += 1 + length;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// The byte that stands behind a backslash, and how many bytes of the line it took.
/// A backslash at the very end stands for itself (the missing quote is reported by the caller).
fn escape(rest: &[u8]) -> (u8, usize) {
    match rest {
        [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex(*high) * 16 + hex(*low), 3)
        }
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'b', ..] => (0x08, 1),
        [b'a', ..] => (0x07, 1),
        [byte, ..] => (*byte, 1),
        [] => (b'\\', 0),
    }
}

fn single_quoted(line: &[u8], mut at: usize, mut word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    loop {
        match (*line.get(at)?, line.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (b'\'', _) => return closed(line, at, word),
            (byte, _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// Ends a quoted word whose closing quote stands at `at`.
fn closed(line: &[u8], at: usize, word: Vec<u8>) -> Option<(Vec<u8>, usize)> {
    match line.get(at + 1) {
        None => Some((word, at + 1)),
        Some(&next) if is_space(next) => Some((word, at + 2)),
        Some(_) => None,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// C's `isspace` in the C locale: the blanks of Rust's ASCII whitespace and the vertical tab.
pub(super) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Removes what Redis removes at both ends of a configuration line.
pub(super) fn trim_line(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|b| !blank(b)).unwrap_or(line.len());
    let end = line.iter().rposition(|b| !blank(b)).map_or(start, |i| i + 1);
    &line[start..end]
}

/// A value in double quotes, readable by [`split_args`]: the form that CONFIG REWRITE writes.
pub fn quote(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 2);
    out.push(b'"');
    for &byte in value {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split_args(line.as_bytes())?;
        Some(words.into_iter().map(|w| String::from_utf8_lossy(&w).into_owned()).collect())
    }

    #[test]
    fn lines_are_cut_as_redis_cuts_them() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("  \t ", Some(&[])),
            ("port 6379", Some(&["port", "6379"])),
            ("a   b\tc\r", Some(&["a", "b", "c"])),
            (r#"save """#, Some(&["save", ""])),
            ("logfile ''", Some(&["logfile", ""])),
            (r#""a b" c"#, Some(&["a b", "c"])),
            (r#""\n\r\t\b\a\x41\q\\""#, Some(&["\n\r\t\u{8}\u{7}Aq\\"])),
            (r#""\xZZ""#, Some(&["xZZ"])),
            (r"'it\'s \n'", Some(&["it's \\n"])),
            (r#"ab"cd" e"#, Some(&["abcd", "e"])),
            (r#""a"b"#, None),
            (r#""open"#, None),
            ("'open", None),
            (r#""open\"#, None),
            ("'a'b", None),
            ("a'b", None),
            ("cut\0off", Some(&["cut"])),
        ];
        for (line, expected) in table {
            let expected = expected.map(|e| e.iter().map(|w| w.to_string()).collect::<Vec<_>>());
            assert_eq!(words(line), expected, "{line:?}");
        }
    }

    #[test]
    fn quoting_matches_what_redis_writes() {
        assert_eq!(quote(b"a\"\\\n\x07\x01\xff"), br#""a\"\\\n\a\x01\xff""#);
    }

    proptest! {
        #[test]
        fn a_quoted_value_is_read_back(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(split_args(&quote(&value)), Some(vec![value]));
        }

        #[test]
        fn any_bytes_are_cut_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split_args(&line);
        }
    }
}
