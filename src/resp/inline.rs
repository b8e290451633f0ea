//! The quoting rules that inline commands and `redis.conf` share.

use bytes::Bytes;

/// Splits a line into words as Redis does, or gives `None` where quotes are unbalanced.
///
/// - Words are separated by white space.
/// - In `"..."`: `\n`, `\r`, `\t`, `\b`, `\a` and `\xHH` mean a byte, any other `\c` means `c`.
/// - In `'...'`: `\'` means a quote, everything else stands for itself.
/// - A closing quote must be followed by white space or the end. An opening one may stand
///   inside a word: `ab"c d"` is the one word `abc d`.
/// - The line ends at its first zero byte, as a C string does (`"\x00"` makes one in a word).
///
/// The rules are those of `sdssplitargs` in Redis 7.
pub fn split_args(line: &[u8]) -> Option<Vec<Bytes>> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let mut rest = &line[..end];
    let mut words = Vec::new();
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = word(rest)?;
        words.push(Bytes::from(word));
        rest = after;
    }
}

/// What C's `isspace` accepts in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_space(**byte)).count();
    &line[blanks..]
}

/// Reads one word at the start of `line`; gives it and what follows.
fn word(mut line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match line {
            [] => return Some((word, line)),
            // Vertical tab and form feed separate words but do not end one: so it is in Redis.
            [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] => return Some((word, rest)),
            [b'"', rest @ ..] => {
                let after = closed(double_quoted(rest, &mut word)?)?;
                return Some((word, after));
            }
            [b'\'', rest @ ..] => {
                let after = closed(single_quoted(rest, &mut word)?)?;
                return Some((word, after));
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                line = rest;
            }
        }
    }
}

/// A closing quote ends its word.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] => Some(rest),
        [next, ..] if is_space(*next) => Some(rest),
        _ => None,
    }
}

/// Reads up to the closing double quote; gives what follows it.
fn double_quoted<'a>(mut line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        line = match line {
            [] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                word.push(unescape(*escaped));
                rest
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
        };
    }
}

/// Reads up to the closing single quote; gives what follows it.
fn single_quoted<'a>(mut line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        line = match line {
            [] => return None,
            [b'\'', rest @ ..] => return Some(rest),
            [b'\\', b'\'', rest @ ..] => {
                word.push(b'\'');
                rest
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
        };
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of an ASCII hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::split_args;

    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        split_args(line).expect("balanced").iter().map(|word| word.to_vec()).collect()
    }

    #[test]
    fn plain_words() {
        assert_eq!(words(b"set  Name\tJohn "), [&b"set"[..], b"Name", b"John"]);
        assert!(words(b"").is_empty());
        assert!(words(b" \t\r\n\x0b\x0c").is_empty());
    }

    #[test]
    fn double_quotes_know_escapes() {
        assert_eq!(
            words(br#""a\x41b" "\n\r\t\b\a\"\\\q\xzz" """#),
            [&b"aAb"[..], b"\n\r\t\x08\x07\"\\qxzz", b""]
        );
        assert_eq!(words(br#""\x00\xfF""#), [b"\x00\xff"]);
    }

    #[test]
    fn single_quotes_know_one_escape() {
        assert_eq!(words(br"'a\'b' 'c\n\x41' ''"), [&b"a'b"[..], br"c\n\x41", b""]);
    }

    #[test]
    fn a_quote_may_open_inside_a_word() {
        assert_eq!(words(br#"ab"c d" e'f'"#), [&b"abc d"[..], b"ef"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [&br#"""#[..], b"'", br#""a"b"#, b"'a'b", br#""a\""#, br"'a\'", b"\"a\0\""] {
            assert_eq!(split_args(line), None, "{line:?}");
        }
    }

    #[test]
    fn vertical_tab_separates_but_does_not_end() {
        assert_eq!(words(b"a\x0bb \x0bc"), [&b"a\x0bb"[..], b"c"]);
        assert_eq!(words(b"\"a\"\x0bb"), [b"a", b"b"]);
    }

    #[test]
    fn a_zero_byte_ends_the_line() {
        assert_eq!(words(b"a b\0c d"), [b"a", b"b"]);
    }
}
