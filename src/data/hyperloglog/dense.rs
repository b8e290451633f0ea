//! The dense encoding: registers of 6 bits, the first in the low bits of the first byte.
//!
//! ```text
//!  byte 0   byte 1   byte 2          register 0: 0s, 1: 1s, ...
//! [11000000|22221111|33333322]
//! ```
//!
//! Eight registers are six bytes. They are taken apart together: 48 bits are halved three times, until each
//! register stands in a byte of its own.

use super::count::Histogram;
use super::{Mark, REGISTERS};

const GROUP: usize = 6;

/// Reads one register.
pub fn get(registers: &[u8], register: usize) -> u8 {
    let (at, shift) = (register * 6 / 8, register * 6 % 8);
    let above = registers.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[at], above]) >> shift) as u8 & 0x3F
}

/// Raises a register to the mark's value. Says whether it was lower.
pub fn put(registers: &mut [u8], mark: Mark) -> bool {
    let lower = get(registers, mark.register) < mark.value;
    if lower {
        set(registers, mark.register, mark.value);
    }
    lower
}

/// Writes one register.
pub(super) fn set(registers: &mut [u8], register: usize, value: u8) {
    let (at, shift) = (register * 6 / 8, register * 6 % 8);
    let [low_mask, high_mask] = (!(0x3F_u16 << shift)).to_le_bytes();
    let [low, high] = (u16::from(value & 0x3F) << shift).to_le_bytes();
    registers[at] = registers[at] & low_mask | low;
    if let Some(above) = registers.get_mut(at + 1) {
        *above = *above & high_mask | high;
    }
}

/// Six bytes of registers as eight bytes.
#[inline]
fn spread(group: &[u8; GROUP]) -> u64 {
    let [a, b, c, d, e, f] = *group;
    let packed = u64::from_le_bytes([a, b, c, 0, d, e, f, 0]);
    let by_two = packed & 0x0000_0FFF_0000_0FFF | (packed & 0x00FF_F000_00FF_F000) << 4;
    by_two & 0x003F_003F_003F_003F | (by_two & 0x0FC0_0FC0_0FC0_0FC0) << 2
}

/// Eight bytes as six bytes of registers.
#[inline]
fn gather(registers: &[u8; 8]) -> [u8; GROUP] {
    let spread = u64::from_le_bytes(*registers);
    let by_two = spread & 0x003F_003F_003F_003F | (spread & 0x3F00_3F00_3F00_3F00) >> 2;
    let packed = by_two & 0x0000_0FFF_0000_0FFF | (by_two & 0x0FFF_0000_0FFF_0000) >> 4;
    let [a, b, c, _, d, e, f, _] = packed.to_le_bytes();
    [a, b, c, d, e, f]
}

/// All registers, each in a byte, are stored in six bits.
pub(super) fn pack(bytes: &[u8; REGISTERS], registers: &mut [u8]) {
    let groups = registers.as_chunks_mut::<GROUP>().0.iter_mut();
    groups.zip(bytes.as_chunks::<8>().0).for_each(|(group, bytes)| *group = gather(bytes));
}

/// Each byte becomes the greater of itself and its register.
pub(super) fn merge(bytes: &mut [u8; REGISTERS], registers: &[u8]) {
    let groups = registers.as_chunks::<GROUP>().0;
    for (bytes, group) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(groups) {
        let theirs = spread(group).to_le_bytes();
        bytes.iter_mut().zip(theirs).for_each(|(byte, other)| *byte = (*byte).max(other));
    }
}

/// How many registers hold which value.
pub(super) fn histogram(registers: &[u8]) -> Histogram {
    let words = registers.as_chunks::<GROUP>().0.iter().map(spread);
    histogram_of(words)
}

/// The histogram of registers that come as words of eight.
pub(super) fn histogram_of(words: impl Iterator<Item = u64>) -> Histogram {
    // Four tables in turn: neighbours often hold the same value, and a counter that was just written
    // would have to be waited for.
    let mut tables = [[0_u32; 64]; 4];
    for word in words {
        for (at, value) in word.to_le_bytes().into_iter().enumerate() {
            tables[at % 4][usize::from(value & 0x3F)] += 1;
        }
    }
    std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum())
}
