//! Reading and showing plain values: yes/no, numbers, memory, text. Error texts are Redis's.

use super::quote::{is_space, quote};
use super::row::{How, Kind, Line, Row, memory_words};
use std::path::{Path, PathBuf};

/// A type that can be the field of a setting.
pub trait Setting: PartialEq {
    /// Changes the value from the arguments of one line.
    ///
    /// # Errors
    /// The whole text that Redis gives for the mistake.
    fn update(&mut self, kind: &Kind, args: &[Vec<u8>], how: How) -> Result<(), String>;

    /// The value in CONFIG GET's form.
    fn show(&self, kind: &Kind) -> Vec<u8>;

    /// The lines that CONFIG REWRITE writes; none when the setting shall not be in the file.
    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        vec![line(row.name, &self.show(&row.kind), self != default)]
    }
}

/// A line of a file: a name and what follows it.
pub(super) fn line(name: &str, value: &[u8], forced: bool) -> Line {
    let mut text = name.as_bytes().to_vec();
    text.push(b' ');
    text.extend_from_slice(value);
    Line { text, forced }
}

/// The only argument of a line.
pub(super) fn single(args: &[Vec<u8>]) -> Result<&[u8], String> {
    match args {
        [one] => Ok(one),
        _ => Err("wrong number of arguments".into()),
    }
}

impl Setting for bool {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let value = single(args)?;
        *self = match value {
            _ if value.eq_ignore_ascii_case(b"yes") => true,
            _ if value.eq_ignore_ascii_case(b"no") => false,
            _ => return Err("argument must be 'yes' or 'no'".into()),
        };
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

/// Parses a number as `kind` wants it and holds its bounds.
fn number(kind: &Kind, args: &[Vec<u8>]) -> Result<i128, String> {
    let text = single(args)?;
    let integer = || strict_integer(text).ok_or("argument couldn't be parsed into an integer");
    let (value, min, max) = match *kind {
        Kind::Integer { min, max, .. } | Kind::PowerOfTwo { min, max } => (i128::from(integer()?), min, max),
        Kind::Memory { min, max, .. } => {
            (i128::from(memory(text).ok_or("argument must be a memory value")?), min, max)
        }
        Kind::Octal { max } => {
            let value = octal(text).ok_or("argument couldn't be parsed as an octal number")?;
            if !(0..=max).contains(&value) {
                return Err(format!("argument must be between 0 and {max:o} inclusive"));
            }
            (value, 0, max)
        }
        _ => return Err("argument couldn't be parsed into an integer".into()),
    };
    if !(min..=max).contains(&value) {
        return Err(format!("argument must be between {min} and {max} inclusive"));
    }
    match *kind {
        Kind::Integer { cap: Some((low, high)), .. } => Ok(value.clamp(low, high)),
        Kind::PowerOfTwo { .. } if value.count_ones() != 1 => {
            Err(format!("argument must be a power of two between {min} and {max} inclusive"))
        }
        _ => Ok(value),
    }
}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl Setting for $ty {
            fn update(&mut self, kind: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
                let value = number(kind, args)?;
                *self = <$ty>::try_from(value)
                    .map_err(|_| format!("argument must be between {} and {} inclusive", <$ty>::MIN, <$ty>::MAX))?;
                Ok(())
            }

            fn show(&self, kind: &Kind) -> Vec<u8> {
                match kind {
                    Kind::Octal { .. } => format!("{self:o}").into_bytes(),
                    _ => self.to_string().into_bytes(),
                }
            }

            fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
                let text = match (row.kind, u64::try_from(*self)) {
                    (Kind::Memory { .. }, Ok(bytes)) => memory_words(bytes).into_bytes(),
                    _ => self.show(&row.kind),
                };
                vec![line(row.name, &text, self != default)]
            }
        }
    )*};
}
numbers!(u16 u32 i32 u64 i64 usize);

/// A decimal integer without blanks, plus sign or leading zeros: the form in which Redis prints one.
pub(super) fn strict_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
    };
    if !plain {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// C's `strtoll` on a whole word: blanks and a sign may lead, nothing at all is 0, excess saturates.
pub(super) fn lenient_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() && text.is_empty() {
        return Some(0);
    }
    let value = radix(digits, 10)?;
    Some(if negative { -value } else { value }.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

fn octal(text: &[u8]) -> Option<i128> {
    let (negative, digits) = sign(text);
    if text.is_empty() {
        return Some(0);
    }
    let value = radix(digits, 8)?;
    (value <= i64::MAX.into()).then_some(if negative { -value } else { value })
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    let start = text.iter().position(|&b| !is_space(b)).unwrap_or(text.len());
    match &text[start..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

fn radix(digits: &[u8], radix: u32) -> Option<i128> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i128, |sum, &digit| {
        let digit = char::from(digit).to_digit(radix)?;
        Some(sum.saturating_mul(radix.into()).saturating_add(digit.into()).min(i128::from(u64::MAX)))
    })
}

/// Bytes with an optional unit; what does not fit in 64 bits becomes the greatest value.
pub(super) fn memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    // A unit without digits is 0 in Redis too: strtoull finds nothing and leaves no error behind.
    let value = radix(&text[..digits], 10).unwrap_or(0);
    Some(u64::try_from(value).unwrap_or(u64::MAX).saturating_mul(unit))
}

/// Bytes as text without zero bytes: what a path or a name can hold.
fn text_of(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "argument must be valid UTF-8")?;
    if text.contains('\0') { Err("argument must not contain a zero byte".into()) } else { Ok(text) }
}

impl Setting for String {
    fn update(&mut self, kind: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let text = text_of(single(args)?)?;
        if let Kind::Text { check, .. } = kind {
            check(text)?;
        }
        *self = text.to_owned();
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        text_lines(self.as_bytes(), self != default, row)
    }
}

fn text_lines(value: &[u8], forced: bool, row: &Row) -> Vec<Line> {
    match row.kind {
        Kind::Text { optional: true, .. } if value.is_empty() => Vec::new(),
        _ => vec![line(row.name, &quote(value), forced)],
    }
}

/// A password: any bytes, compared by the caller, never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl std::ops::Deref for Secret {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Secret(bytes.to_vec())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

impl Setting for Secret {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        self.0 = single(args)?.to_vec();
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.0.clone()
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        text_lines(&self.0, self != default, row)
    }
}

/// The working folder. A relative path is taken from the folder that was set before, as `chdir` would.
impl Setting for PathBuf {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let asked = self.join(Path::new(text_of(single(args)?)?));
        if single(args)?.is_empty() {
            return Err(nix::errno::Errno::ENOENT.desc().into());
        }
        let folder = std::fs::canonicalize(&asked).map_err(|error| reason(&error))?;
        if !folder.is_dir() {
            return Err(nix::errno::Errno::ENOTDIR.desc().into());
        }
        *self = folder;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        self.as_os_str().as_bytes().to_vec()
    }

    fn lines(&self, _: &Self, row: &Row) -> Vec<Line> {
        vec![line(row.name, &quote(&self.show(&row.kind)), true)]
    }
}

/// The system's words for an error, without Rust's "(os error 2)".
pub fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().into(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units_are_redis_ones() {
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1kb", Some(1024)),
            ("1M", Some(1_000_000)),
            ("1Mb", Some(1 << 20)),
            ("2g", Some(2_000_000_000)),
            ("2GB", Some(2 << 30)),
            ("99999999999999999999gb", Some(u64::MAX)),
            ("-1", None),
            ("1 kb", None),
            ("1tb", None),
            ("1.5gb", None),
        ];
        for (text, expected) in table {
            assert_eq!(memory(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn strict_integers_have_one_form() {
        for text in ["", "-", "+1", " 1", "01", "-0", "1 ", "1x", "9223372036854775808"] {
            assert_eq!(strict_integer(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(strict_integer(b"-12"), Some(-12));
        assert_eq!(strict_integer(b"0"), Some(0));
    }

    #[test]
    fn lenient_integers_are_strtolls() {
        assert_eq!(lenient_integer(b""), Some(0));
        assert_eq!(lenient_integer(b" +07"), Some(7));
        assert_eq!(lenient_integer(b"-3"), Some(-3));
        assert_eq!(lenient_integer(b"3x"), None);
        assert_eq!(lenient_integer(b" "), None);
        assert_eq!(lenient_integer(b"99999999999999999999"), Some(i64::MAX));
    }

    #[test]
    fn octal_masks() {
        assert_eq!(octal(b"0700"), Some(0o700));
        assert_eq!(octal(b"8"), None);
        assert_eq!(octal(b""), Some(0));
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::from(&b"hunter2"[..])), "(hidden)");
    }
}
