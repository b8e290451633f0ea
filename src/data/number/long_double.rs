//! `long double` as Redis has it on x86-64: 80 bits, 64 of them significand.
//!
//! INCRBYFLOAT and HINCRBYFLOAT add in this precision and print with 17 digits
//! behind the point, so an `f64` would answer differently: 3.0 + 1.1 is
//! 4.0999999999999999778 in 80 bits and prints as 4.1, and 10^17 + 0.1 keeps digits
//! that an `f64` has no room for.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

use super::float::{Decimal, Scanned, parse_hex, scan};

/// A text of this many bytes or more is no number to Redis.
const TEXT_BOUND: usize = 5 * 1024;

/// 10^27 is the largest power of ten that 64 bits of significand hold exactly
/// (5^27 has 63 bits).
const EXACT_POWER: u32 = 27;

/// Digits of which any number fits into 64 bits.
const EXACT_DIGITS: usize = 19;

/// An 80-bit extended precision number.
#[derive(Debug, Clone, Copy)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// The number nearest to what `text` says, or `None` where Redis says
    /// "value is not a valid float": the rules are those of
    /// [`parse_f64`](super::parse_f64) with the range of this type, and at most
    /// 5,119 bytes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BOUND {
            return None;
        }
        let (value, zero) = match scan(text)? {
            Scanned::Infinite { negative } => {
                let infinity = X87DoubleExtended::INFINITY;
                return Some(Self(if negative { -infinity } else { infinity }));
            }
            Scanned::Decimal(decimal) => (parse_decimal(&decimal)?, decimal.is_zero()),
            Scanned::Hex { text, zero, exponent } => (parse_hex(text, exponent)?, zero),
        };
        (value.is_finite() && (zero || !value.is_zero())).then_some(Self(value))
    }

    /// Whether this is not a number, as infinity minus infinity is.
    pub fn is_nan(self) -> bool {
        self.0.is_nan()
    }

    /// Whether this is infinite, of either sign.
    pub fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }

    /// This number times `factor`, rounded up to an integer; `None` beyond the range of an `i64`.
    pub fn times_rounded_up(self, factor: i64) -> Option<i64> {
        let product = self.0.mul_r(Self::from(factor).0, Round::NearestTiesToEven).value;
        let mut exact = false;
        let rounded = product.to_i128_r(64, Round::TowardPositive, &mut exact);
        // Beyond the range rustc_apfloat saturates and says that the operation is invalid.
        if rounded.status.contains(Status::INVALID_OP) { None } else { i64::try_from(rounded.value).ok() }
    }

    /// The text that INCRBYFLOAT answers: at most 17 digits behind the point,
    /// rounded to even, without zeros at the end, never `-0`, never an exponent.
    /// (C's `%.17Lf`, trimmed. An infinity is `inf` or `-inf`.)
    pub fn to_human(self) -> String {
        if self.is_nan() {
            return "nan".to_owned();
        }
        let sign = if self.0.is_negative() { "-" } else { "" };
        if self.is_infinite() {
            return format!("{sign}inf");
        }
        let (whole, fraction) = self.to_decimal();
        let mut text = format!("{sign}{whole}");
        if fraction > 0 {
            text.push_str(&format!(".{fraction:017}"));
            text.truncate(text.trim_end_matches('0').len());
        }
        if text == "-0" {
            text.remove(0);
        }
        text
    }

    /// The digits before the point, and 17 behind it as an integer.
    fn to_decimal(self) -> (String, u64) {
        // sign 1, exponent 15, significand 64 with an explicit leading bit.
        let bits = self.0.to_bits();
        let significand = bits as u64;
        let biased = (bits >> 64) as i32 & 0x7fff;
        // A denormal has the exponent of the smallest normal number.
        let exponent = biased.max(1) - 16383 - 63;
        if exponent >= 0 {
            return (shifted_left(significand, exponent as u32), 0);
        }
        let shift = exponent.unsigned_abs();
        let whole = significand.checked_shr(shift).unwrap_or(0);
        let below = match shift {
            1..64 => significand & ((1 << shift) - 1),
            _ => significand,
        };
        // Below 2^64 * 10^17 < 2^121; a shift past that leaves less than a half.
        const ONE: u128 = 10u128.pow(17);
        let scaled = u128::from(below) * ONE;
        let mut digits = scaled.checked_shr(shift).unwrap_or(0);
        if shift < u128::BITS {
            let rest = scaled & ((1 << shift) - 1);
            let half = 1u128 << (shift - 1);
            if rest > half || (rest == half && digits & 1 == 1) {
                digits += 1;
            }
        }
        let carry = u64::from(digits == ONE);
        let fraction = (digits % ONE) as u64;
        ((u128::from(whole) + u128::from(carry)).to_string(), fraction)
    }
}

impl std::ops::Add for LongDouble {
    type Output = Self;

    /// The sum, rounded to the nearest number, ties to even.
    fn add(self, other: Self) -> Self {
        Self(self.0.add_r(other.0, Round::NearestTiesToEven).value)
    }
}

impl From<i64> for LongDouble {
    /// Exact: 64 bits of significand hold every `i64`.
    fn from(value: i64) -> Self {
        Self(X87DoubleExtended::from_i128(i128::from(value)).value)
    }
}

/// Correctly rounded. A number of at most 19 digits whose power of ten is exact
/// needs one operation on two exact numbers; others are read digit by digit.
fn parse_decimal(decimal: &Decimal<'_>) -> Option<X87DoubleExtended> {
    let digits = decimal.whole.len() + decimal.fraction.len();
    let power = decimal.exponent.saturating_sub(decimal.fraction.len() as i32);
    if digits > EXACT_DIGITS || power.unsigned_abs() > EXACT_POWER {
        let parsed = X87DoubleExtended::from_str_r(&bounded(decimal), Round::NearestTiesToEven);
        return Some(parsed.ok()?.value);
    }
    let all = decimal.whole.iter().chain(decimal.fraction);
    let significand = all.fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    let exact = |value: u128| X87DoubleExtended::from_u128(value).value;
    let scale = exact(10u128.pow(power.unsigned_abs()));
    let value = match power {
        0.. => exact(u128::from(significand)).mul_r(scale, Round::NearestTiesToEven).value,
        _ => exact(u128::from(significand)).div_r(scale, Round::NearestTiesToEven).value,
    };
    Some(if decimal.negative { -value } else { value })
}

/// The number's text with an exponent that the arithmetic can bear. Beyond
/// 20,000 and with at most 5,119 digits nothing but overflow or zero is left.
fn bounded(decimal: &Decimal<'_>) -> String {
    let sign = if decimal.negative { "-" } else { "" };
    let text = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    let exponent = decimal.exponent.clamp(-20_000, 20_000);
    format!("{sign}{}.{}e{exponent}", text(decimal.whole), text(decimal.fraction))
}

/// The decimal digits of `significand` times two to the `shift`.
fn shifted_left(significand: u64, shift: u32) -> String {
    if shift <= 64 {
        return (u128::from(significand) << shift).to_string();
    }
    // Base 2^32, lowest first, divided by 10^9 again and again.
    let mut limbs = vec![0u32; shift as usize / 32];
    let top = u128::from(significand) << (shift % 32);
    limbs.extend([top as u32, (top >> 32) as u32, (top >> 64) as u32]);
    let mut groups = Vec::new();
    while let Some(high) = limbs.last() {
        if *high == 0 {
            limbs.pop();
            continue;
        }
        let mut rest = 0u64;
        for limb in limbs.iter_mut().rev() {
            let part = rest << 32 | u64::from(*limb);
            *limb = (part / 1_000_000_000) as u32;
            rest = part % 1_000_000_000;
        }
        groups.push(rest);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Redis 7.0.15 said to `INCRBYFLOAT k <increment>` behind `SET k <value>`.
    const ANSWERS: &str = include_str!("incrbyfloat.tsv");

    fn incrbyfloat(value: &str, increment: &str) -> String {
        let read = |text: &str| LongDouble::parse(text.as_bytes());
        let (Some(value), Some(increment)) = (read(value), read(increment)) else {
            return "refused".to_owned();
        };
        let sum = value + increment;
        if sum.is_nan() || sum.is_infinite() {
            return "infinite".to_owned();
        }
        sum.to_human()
    }

    #[test]
    fn sums_are_those_of_redis() {
        let mut lines = 0;
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [value, increment, answer] = fields[..] else {
                panic!("three fields a line: {line}");
            };
            assert_eq!(incrbyfloat(value, increment), answer, "{value:?} + {increment:?}");
            lines += 1;
        }
        assert!(lines > 300);
    }

    #[test]
    fn integers_are_exact() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1] {
            assert_eq!(LongDouble::from(value).to_human(), value.to_string());
        }
    }

    #[test]
    fn length_is_limited() {
        let mut text = vec![b'0'; TEXT_BOUND - 1];
        assert!(LongDouble::parse(&text).is_some());
        text.push(b'0');
        assert!(LongDouble::parse(&text).is_none());
    }

    #[test]
    fn infinities() {
        let infinite = |text: &[u8]| LongDouble::parse(text).unwrap();
        assert!((infinite(b"inf") + infinite(b"-infinity")).is_nan());
        assert!((infinite(b"inf") + LongDouble::from(1)).is_infinite());
        assert_eq!(infinite(b"-inf").to_human(), "-inf");
    }
}
