//! Numbers as Redis reads and writes them.
//!
//! Redis is strict about integers and as liberal about floating point numbers as
//! C's `strtod`. Both matter: a string that reads as an integer is stored as one
//! and must come back byte for byte, and a score of `0x1p3` is a valid score.

mod float;
mod long_double;

pub use float::parse_f64;
pub use long_double::LongDouble;

/// Room for the text of an `i64`, on the stack.
pub type IntegerBuffer = itoa::Buffer;

/// The decimal text of `value`, written into `buffer`.
pub fn format_i64(value: i64, buffer: &mut IntegerBuffer) -> &[u8] {
    buffer.format(value).as_bytes()
}

/// Digits of `u64::MAX`.
const MOST_DIGITS: usize = 20;

/// The integer that `text` is in the one form that Redis would write it: no
/// sign but `-`, no leading zeros, no spaces, and no `-0`.
///
/// So `format_i64(parse_i64(text)?)` is `text` again.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude => 0i64.checked_sub_unsigned(magnitude),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// The unsigned integer that `text` is, under the rules of [`parse_i64`]: digits
/// only, without leading zeros.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= MOST_DIGITS => {}
        _ => return None,
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_have_one_form() {
        let good = [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in good {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        let bad = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "--1",
            "1-",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
            "1\0",
            "\0",
            "/",
            ":",
        ];
        for text in bad {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn unsigned_integers_reach_their_limit() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b""), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<i64>()) {
            let mut buffer = IntegerBuffer::new();
            prop_assert_eq!(parse_i64(format_i64(value, &mut buffer)), Some(value));
        }

        #[test]
        fn what_is_read_is_written(text in "-?[0-9]{0,21}") {
            if let Some(value) = parse_i64(text.as_bytes()) {
                let mut buffer = IntegerBuffer::new();
                prop_assert_eq!(format_i64(value, &mut buffer), text.as_bytes());
            }
        }
    }
}
