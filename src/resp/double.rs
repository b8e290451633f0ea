//! How Redis writes a double: C's `%.17g`, which every double survives unchanged.

use std::fmt::Write;

/// The digits that `%.17g` keeps.
const DIGITS: usize = 17;
/// Longer than any result: sign, 17 digits, point, `e-308` are 24 bytes.
const CAPACITY: usize = 32;

/// A written number, on the stack.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl DoubleText {
    const EMPTY: Self = Self { bytes: [0; CAPACITY], len: 0 };

    /// The text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The text; it is ASCII.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn of(text: &[u8]) -> Self {
        let mut this = Self::EMPTY;
        this.push(text);
        this
    }

    /// Appends what fits.
    fn push(&mut self, text: &[u8]) {
        let free = &mut self.bytes[self.len..];
        let len = text.len().min(free.len());
        free[..len].copy_from_slice(&text[..len]);
        self.len += len;
    }
}

impl Write for DoubleText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl std::ops::Deref for DoubleText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::fmt::Debug for DoubleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self)
    }
}

/// Writes a double as C's `printf("%.17g")`; `inf`, `-inf` and `nan` (never `-nan`).
pub fn format_double(value: f64) -> DoubleText {
    if value.is_nan() {
        return DoubleText::of(b"nan");
    }
    if value.is_infinite() {
        return DoubleText::of(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    // A whole number of at most 17 digits is written in full, and fast. Not -0: it has its sign.
    let whole = value as i64;
    if whole as f64 == value && value.abs() < 1e17 && (whole != 0 || value.is_sign_positive()) {
        return DoubleText::of(itoa::Buffer::new().format(whole).as_bytes());
    }
    let mut scientific = DoubleText::EMPTY;
    // Cannot fail: `DoubleText` takes everything.
    let _ = write!(scientific, "{value:.precision$e}", precision = DIGITS - 1);
    general(&scientific)
}

/// Turns `-1.2500000000000000e-7` into what `%g` prints.
fn general(scientific: &str) -> DoubleText {
    let (sign, unsigned) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mut digits = [b'0'; CAPACITY];
    let mut len = 0;
    for byte in mantissa.bytes().filter(u8::is_ascii_digit) {
        digits[len] = byte;
        len += 1;
    }
    let kept = digits[..len].iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    let digits = &digits[..kept];

    let mut out = DoubleText::of(sign.as_bytes());
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < DIGITS => write_fixed(&mut out, digits, exponent),
        Err(_) if exponent >= -4 => {
            out.push(b"0.");
            out.push(&b"000"[..(-exponent - 1) as usize]);
            out.push(digits);
        }
        _ => write_scientific(&mut out, digits, exponent),
    }
    out
}

/// `digits` with the point behind digit number `exponent`, counted from zero.
fn write_fixed(out: &mut DoubleText, digits: &[u8], exponent: usize) {
    let (whole, fraction) = digits.split_at(digits.len().min(exponent + 1));
    out.push(whole);
    out.push(&[b'0'; DIGITS][..exponent + 1 - whole.len()]);
    if !fraction.is_empty() {
        out.push(b".");
        out.push(fraction);
    }
}

/// One digit, the point, the others, an exponent with its sign and at least two digits.
fn write_scientific(out: &mut DoubleText, digits: &[u8], exponent: i32) {
    let (first, others) = digits.split_at(1);
    out.push(first);
    if !others.is_empty() {
        out.push(b".");
        out.push(others);
    }
    out.push(if exponent < 0 { b"e-" } else { b"e+" });
    let magnitude = exponent.unsigned_abs();
    if magnitude < 10 {
        out.push(b"0");
    }
    out.push(itoa::Buffer::new().format(magnitude).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::format_double;

    /// Bits of a double and what ZSCORE of redis-server 7.0.15 printed for it
    /// (`zset-max-listpack-entries 0`: a listpack drops the sign of zero).
    const SEEN: &[(u64, &str)] = &[
        (0x0000000000000000, "0"),
        (0x8000000000000000, "-0"),
        (0x3ff0000000000000, "1"),
        (0xbff0000000000000, "-1"),
        (0x4008000000000000, "3"),
        (0x3fb999999999999a, "0.10000000000000001"),
        (0x3fc999999999999a, "0.20000000000000001"),
        (0x3fd3333333333334, "0.30000000000000004"),
        (0x3ff199999999999a, "1.1000000000000001"),
        (0x400921fb54442d11, "3.14159265358979"),
        (0x4059000000000000, "100"),
        (0x430c6bf526340000, "1000000000000000"),
        (0x4341c37937e08000, "10000000000000000"),
        (0x4376345785d8a000, "1e+17"),
        (0x43abc16d674ec800, "1e+18"),
        (0x4415af1d78b58c40, "1e+20"),
        (0x444b1ae4d6e2ef50, "1e+21"),
        (0x437b69b4ba630f35, "1.2345678901234568e+17"),
        (0x43e56a95319d63e1, "1.2345678901234567e+19"),
        (0x433fffffffffffff, "9007199254740991"),
        (0x4340000000000000, "9007199254740992"),
        (0x4376345785d8a000, "1e+17"),
        (0x4376345785d8a000, "1e+17"),
        (0x4376345785d89fff, "99999999999999984"),
        (0x4480f0cf064dd592, "1e+22"),
        (0x44b52d02c7e14af6, "9.9999999999999992e+22"),
        (0x54b249ad2594c37d, "1e+100"),
        (0x7fefffffffffffff, "1.7976931348623157e+308"),
        (0x0010000000000000, "2.2250738585072014e-308"),
        (0x0000000000000001, "4.9406564584124654e-324"),
        (0x3f1a36e2eb1c432d, "0.0001"),
        (0x3ee4f8b588e368f1, "1.0000000000000001e-05"),
        (0x3f202c9dedbc309d, "0.00012339999999999999"),
        (0x3ee9e0fcaf9380fc, "1.234e-05"),
        (0x3fe0000000000000, "0.5"),
        (0x3fd0000000000000, "0.25"),
        (0x4320000000000000, "2251799813685248"),
        (0x4320000000000002, "2251799813685249"),
        (0x4320000000000002, "2251799813685249"),
        (0x4330000000000000, "4503599627370496"),
        (0x4310000000000000, "1125899906842624"),
        (0x4310000000000002, "1125899906842624.5"),
        (0x3f50624dd2f1a9fc, "0.001"),
        (0x40fe240c9fbe76c9, "123456.789"),
        (0xc0fe240c9fbe76c9, "-123456.789"),
        (0x3e7ad7f29abcaf48, "9.9999999999999995e-08"),
        (0xbe19c511dc3a41df, "-1.5e-09"),
        (0x7e41eb2d66005835, "1.5000000000000001e+300"),
        (0x7ff0000000000000, "inf"),
        (0xfff0000000000000, "-inf"),
        (0x4011666666666666, "4.3499999999999996"),
        (0x4005666666666666, "2.6749999999999998"),
        (0x41cdcd6500000000, "1000000000"),
        (0x4132d68700000000, "1234567"),
        (0x4180000000200000, "33554432.015625"),
        (0x3f202e85be180b74, "0.00012345678901234567"),
        (0x4376345785d8a000, "1e+17"),
        (0x430c6bf52633ffff, "999999999999999.88"),
        (0x00000000000007e8, "9.9998886718268301e-321"),
    ];

    #[test]
    fn as_redis_prints() {
        for (bits, printed) in SEEN {
            assert_eq!(format_double(f64::from_bits(*bits)).as_str(), *printed);
        }
    }

    #[test]
    fn nan_has_no_sign() {
        assert_eq!(format_double(f64::NAN).as_str(), "nan");
        assert_eq!(format_double(-f64::NAN).as_str(), "nan");
    }

    proptest::proptest! {
        #[test]
        fn reads_back_unchanged(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = format_double(value).parse().expect("a number");
            assert!(read.to_bits() == bits || value.is_nan() && read.is_nan());
        }
    }
}
