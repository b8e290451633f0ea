//! How IDs are read: `ms-seq`, `ms`, and the forms that some commands have beside them.

use crate::command::{Args, CommandError};
use crate::data::parse_i64;
use crate::data::stream::Id;

/// What XADD is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `*`: the time.
    Time,
    /// `ms-*`: the next of this millisecond.
    Within(u64),
    /// This one.
    Exactly(Id),
}

const INVALID: CommandError =
    CommandError::fixed("ERR Invalid stream ID specified as stream command argument");

/// No ID is longer, zeros before it included.
const LONGEST: usize = 127;

/// A number as C's `strtoull` reads it: spaces and a sign may stand before it. One that is plainly negative
/// is none.
fn number(text: &[u8]) -> Option<u64> {
    let digits = |digits: &[u8]| -> Option<u64> {
        if digits.is_empty() {
            return None;
        }
        digits.iter().try_fold(0u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
    };
    if text.first().is_some_and(u8::is_ascii_digit) {
        return digits(text);
    }
    if parse_i64(text).is_some_and(|number| number < 0) {
        return None;
    }
    let text = text.trim_ascii_start();
    match text.split_first()? {
        (b'-', rest) => digits(rest).map(u64::wrapping_neg),
        (b'+', rest) => digits(rest),
        _ => digits(text),
    }
}

/// `ms-seq`, or `ms` with `missing_seq`.
pub(super) fn strict(text: &[u8], missing_seq: u64) -> Option<Id> {
    match wanted(text, missing_seq)? {
        Wanted::Exactly(id) => Some(id),
        _ => None,
    }
}

fn wanted(text: &[u8], missing_seq: u64) -> Option<Wanted> {
    if text.len() > LONGEST {
        return None;
    }
    let Some(dash) = text.iter().position(|&byte| byte == b'-') else {
        return Some(Wanted::Exactly(Id::new(number(text)?, missing_seq)));
    };
    let ms = number(&text[..dash])?;
    match &text[dash + 1..] {
        b"*" => Some(Wanted::Within(ms)),
        seq => Some(Wanted::Exactly(Id::new(ms, number(seq)?))),
    }
}

/// As [`strict`], with `-` and `+` for the smallest and the greatest.
fn loose(text: &[u8], missing_seq: u64) -> Option<Id> {
    match text {
        b"-" => Some(Id::MIN),
        b"+" => Some(Id::MAX),
        _ => strict(text, missing_seq),
    }
}

/// Reads an ID; `ms` alone is the first of its millisecond.
pub(super) fn read(args: &mut Args<'_>) -> Result<Id, CommandError> {
    strict(args.bytes(), 0).ok_or(INVALID)
}

/// As [`read`], where `-` and `+` mean something too.
pub(super) fn read_loose(args: &mut Args<'_>) -> Result<Id, CommandError> {
    loose(args.bytes(), 0).ok_or(INVALID)
}

/// The ID in a word.
pub(super) fn of(word: &[u8]) -> Result<Id, CommandError> {
    strict(word, 0).ok_or(INVALID)
}

/// Reads what XADD is to use.
pub(super) fn read_wanted(args: &mut Args<'_>) -> Result<Wanted, CommandError> {
    match args.bytes() {
        b"*" => Ok(Wanted::Time),
        word => wanted(word, 0).ok_or(INVALID),
    }
}

/// All IDs from the cursor on.
pub(super) fn read_all(args: &Args<'_>) -> Result<smallvec::SmallVec<[Id; 8]>, CommandError> {
    args.rest().map(of).collect()
}

/// The start of an interval, `(` before it leaves it out.
pub(super) fn start(word: &[u8]) -> Result<Id, CommandError> {
    match word {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let id = strict(rest, 0).ok_or(INVALID)?;
            id.next().ok_or(CommandError::fixed("ERR invalid start ID for the interval"))
        }
        _ => loose(word, 0).ok_or(INVALID),
    }
}

/// The end of an interval; `ms` alone is the last of its millisecond.
pub(super) fn end(word: &[u8]) -> Result<Id, CommandError> {
    match word {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let id = strict(rest, u64::MAX).ok_or(INVALID)?;
            id.previous().ok_or(CommandError::fixed("ERR invalid end ID for the interval"))
        }
        _ => loose(word, u64::MAX).ok_or(INVALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        for (text, id) in [
            ("0", Some((0, 7))),
            ("12-3", Some((12, 3))),
            ("012-+3", Some((12, 3))),
            ("18446744073709551615-18446744073709551615", Some((u64::MAX, u64::MAX))),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("-1", None),
            ("1-", None),
            ("1-2-3", None),
            ("1--3", None),
            ("1-*", None),
            ("a", None),
        ] {
            assert_eq!(strict(text.as_bytes(), 7), id.map(|(ms, seq)| Id::new(ms, seq)), "{text}");
        }
        assert_eq!(wanted(b"5-*", 0), Some(Wanted::Within(5)));
        assert_eq!(strict(&[b'0'; 128], 0), None);
    }
}
