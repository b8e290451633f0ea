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
