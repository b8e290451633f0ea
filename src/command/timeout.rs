//! The timeout of blocking commands: seconds with decimals.

use crate::data::LongDouble;

use super::CommandError;

/// Reads a timeout in seconds and gives it in milliseconds, rounded up; 0 waits for ever.
///
/// What is no number is refused as such; what lies beyond the milliseconds of an `i64` counts as
/// negative, as in Redis, where the conversion overflows.
pub fn parse(seconds: &[u8]) -> Result<u64, CommandError> {
    let number = LongDouble::parse(seconds).ok_or(CommandError::TimeoutNotFloat)?;
    number.times_rounded_up(1_000).and_then(|ms| u64::try_from(ms).ok()).ok_or(CommandError::TimeoutNegative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_milliseconds() {
        for (text, ms) in
            [("0", 0), ("1", 1_000), ("0.001", 1), ("0.0001", 1), ("1.5", 1_500), ("-0.0001", 0)]
        {
            assert_eq!(parse(text.as_bytes()), Ok(ms), "{text}");
        }
        for text in ["-1", "-0.5", "9223372036854775807", "1e300", "inf"] {
            assert_eq!(parse(text.as_bytes()), Err(CommandError::TimeoutNegative), "{text}");
        }
        for text in ["", "x", " 1", "1 ", "nan"] {
            assert_eq!(parse(text.as_bytes()), Err(CommandError::TimeoutNotFloat), "{text}");
        }
    }
}
