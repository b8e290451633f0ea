//! The intset: `[bytes of each number 4][numbers 4]`, then the numbers in ascending order. The low bytes
//! come first.

use super::Malformed;
use super::primitive::Reader;

/// Builds an intset of numbers that come in ascending order.
pub fn build(numbers: &[i64]) -> Vec<u8> {
    let fits = |width: u32| {
        let half = 1i64 << (8 * width - 1);
        numbers.first().is_none_or(|&least| least >= -half) && numbers.last().is_none_or(|&most| most < half)
    };
    let width: u32 = if fits(2) {
        2
    } else if fits(4) {
        4
    } else {
        8
    };
    let mut out = Vec::with_capacity(8 + numbers.len() * width as usize);
    out.extend_from_slice(&width.to_le_bytes());
    out.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()[..width as usize]));
    out
}

/// Shows every number of an intset.
pub fn each(bytes: &[u8], mut show: impl FnMut(i64)) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let width = u32::from_le_bytes(reader.array()?);
    let count = u32::from_le_bytes(reader.array()?);
    let expected = u64::from(width) * u64::from(count);
    if !matches!(width, 2 | 4 | 8) || reader.rest().len() as u64 != expected {
        return Err(Malformed::Structure);
    }
    let mut before = None;
    while !reader.is_empty() {
        let number = match width {
            2 => i64::from(i16::from_le_bytes(reader.array()?)),
            4 => i64::from(i32::from_le_bytes(reader.array()?)),
            _ => i64::from_le_bytes(reader.array()?),
        };
        if before.is_some_and(|before| before >= number) {
            return Err(Malformed::Structure);
        }
        before = Some(number);
        show(number);
    }
    Ok(())
}
