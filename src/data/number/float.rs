//! Floating point text: C's `strtod` grammar, as far as Redis accepts it.

use rustc_apfloat::ieee::Double;
use rustc_apfloat::{Float, Round};

/// What a text is, before it is given a precision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned<'a> {
    Infinite {
        negative: bool,
    },
    Decimal(Decimal<'a>),
    /// The whole text, sign and `0x` included, with its exponent or without.
    Hex {
        text: &'a str,
        zero: bool,
        exponent: bool,
    },
}

/// A decimal number: digits around a point, times a power of ten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    pub(super) negative: bool,
    /// The digits before the point and behind it; one of them may be empty.
    pub(super) whole: &'a [u8],
    pub(super) fraction: &'a [u8],
    /// Kept within [`EXPONENT_BOUND`].
    pub(super) exponent: i32,
}

/// Exponents beyond this are all the same: no text is long enough to bring its
/// value back into the range of a number.
const EXPONENT_BOUND: i32 = 1 << 30;

impl Decimal<'_> {
    /// Whether the value is exactly zero, whatever the exponent.
    pub(super) fn is_zero(&self) -> bool {
        self.whole.iter().chain(self.fraction).all(|digit| *digit == b'0')
    }
}

/// The `f64` that `text` means, or `None` where Redis says "not a valid float".
///
/// The grammar is that of `strtod` in the C locale: a sign, digits with or
/// without a point, an exponent, `inf` and `infinity` in any case, hexadecimal
/// as in `0x1.8p3`. All of the text has to be read; spaces, `nan`, the empty
/// string, and what overflows or rounds to zero without being zero are refused.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_short_whole(text) {
        return Some(value);
    }
    let (value, zero) = match scan(text)? {
        Scanned::Infinite { negative: false } => return Some(f64::INFINITY),
        Scanned::Infinite { negative: true } => return Some(f64::NEG_INFINITY),
        Scanned::Decimal(decimal) => (decimal.text.parse::<f64>().ok()?, decimal.is_zero()),
        Scanned::Hex { text, zero, exponent } => {
            let value = parse_hex::<Double>(text, exponent)?;
            (f64::from_bits(value.to_bits() as u64), zero)
        }
    };
    (value.is_finite() && (value != 0.0 || zero)).then_some(value)
}

/// The value of a sign and up to 15 digits, what most scores are: below 2^53, so that it is exact.
#[inline]
fn parse_short_whole(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut whole = 0u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        whole = whole * 10 + u64::from(digit);
    }
    // -0 is one of them, and stays what it is.
    Some(if negative { -(whole as f64) } else { whole as f64 })
}

/// Reads hexadecimal text that [`scan`] has let through.
pub(super) fn parse_hex<F: Float>(text: &str, exponent: bool) -> Option<F> {
    let parsed = if exponent {
        F::from_str_r(text, Round::NearestTiesToEven)
    } else {
        F::from_str_r(&format!("{text}p0"), Round::NearestTiesToEven)
    };
    Some(parsed.ok()?.value)
}

/// Takes `text` apart; `None` when `strtod` would not read all of it, or reads `nan`.
pub(super) fn scan(text: &[u8]) -> Option<Scanned<'_>> {
    let all = std::str::from_utf8(text).ok()?;
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Some(Scanned::Infinite { negative });
    }
    if let [b'0', b'x' | b'X', rest @ ..] = unsigned {
        let (whole, fraction, rest) = mantissa(rest, u8::is_ascii_hexdigit)?;
        let zero = whole.iter().chain(fraction).all(|digit| *digit == b'0');
        let exponent = power(rest, b'p')?;
        return Some(Scanned::Hex { text: all, zero, exponent: exponent.is_some() });
    }
    let (whole, fraction, rest) = mantissa(unsigned, u8::is_ascii_digit)?;
    let exponent = power(rest, b'e')?.unwrap_or(0);
    Some(Scanned::Decimal(Decimal { text: all, negative, whole, fraction, exponent }))
}

type Mantissa<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Digits, perhaps a point and more digits, at least one digit in all; and the rest.
fn mantissa(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<Mantissa<'_>> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| is_digit(byte)).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(digits(rest)),
        rest => (&rest[..0], rest),
    };
    (whole.len() + fraction.len() > 0).then_some((whole, fraction, rest))
}

/// The exponent that `text` is, all of it; `Some(None)` when it is empty.
fn power(text: &[u8], mark: u8) -> Option<Option<i32>> {
    let [first, rest @ ..] = text else {
        return Some(None);
    };
    if !first.eq_ignore_ascii_case(&mark) {
        return None;
    }
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i32, |value, digit| {
        value.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(EXPONENT_BOUND)
    });
    Some(Some(if negative { -magnitude } else { magnitude }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Redis 7.0.15 said to `ZADD k <text> m` and to `ZSCORE k m` behind it.
    const SCORES: &str = include_str!("scores.tsv");

    #[test]
    fn scores_are_those_of_redis() {
        let mut lines = 0;
        for line in SCORES.lines().filter(|line| !line.starts_with('#')) {
            let (text, answer) = line.split_once('\t').unwrap();
            let expected = match answer {
                "refused" => None,
                score => Some(score.parse::<f64>().unwrap()),
            };
            // Equal, and not more: a small sorted set keeps -0 as the integer 0.
            assert_eq!(parse_f64(text.as_bytes()), expected, "{text:?}");
            lines += 1;
        }
        assert!(lines > 100);
    }

    #[test]
    fn short_whole_numbers_are_what_any_other_way_would_read() {
        for text in ["0", "-0", "7", "-7", "007", "999999999999999", "-999999999999999", "1000000000000000"] {
            let read = parse_f64(text.as_bytes()).map(f64::to_bits);
            assert_eq!(read, text.parse::<f64>().ok().map(f64::to_bits), "{text}");
        }
        for text in ["-", "--1", "1-", "1 ", " 1", "1a", ":", "/"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_number_are_refused() {
        assert_eq!(parse_f64(b"\xff"), None);
        assert_eq!(parse_f64(b"1\0"), None);
        assert_eq!(parse_f64(b"1\n"), None);
        assert_eq!(parse_f64(b""), None);
        assert!(parse_f64(b"-0").is_some_and(f64::is_sign_negative));
    }
}
