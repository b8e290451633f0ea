//! The cursor of SCAN and its kin, as clients write it.

use super::CommandError;

/// Reads a cursor: an unsigned number of 64 bits in the grammar of C's `strtoul`, which Redis uses.
/// So a sign is allowed (a minus wraps around) and nothing at all is 0.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    let invalid = CommandError::fixed("ERR invalid cursor");
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid);
    }
    let number = digits
        .iter()
        .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    match number {
        Some(number) if negative => Ok(number.wrapping_neg()),
        Some(number) => Ok(number),
        None => Err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("000000000000000000000000042", Some(42)),
            ("-1", Some(u64::MAX)),
            ("+7", Some(7)),
            ("-", None),
            ("+", None),
            (" 1", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), expected, "{text:?}");
        }
    }
}
