//! HyperLogLog: how many different elements were seen, from 12 KiB at most, within about 0.81%.
//!
//! The value is a string in Redis's own layout, so that it moves between servers byte for byte:
//!
//! ```text
//! [HYLL 4][encoding 1][zero 3][cached count 8, little endian] [registers]
//! ```
//!
//! An element's hash names one of 16,384 registers by its low 14 bits; the register keeps the longest run of zero
//! bits, plus one, that the rest of a hash began with. Registers are stored in one of two encodings:
//!
//! - [`dense`]: 6 bits each, one after the other;
//! - [`sparse`]: runs of equal registers, for as long as that is short. One way only: sparse becomes dense.
//!
//! The highest bit of the cached count says that it is out of date.
//!
//! Sources: Flajolet and others, "HyperLogLog", 2007; Heule and others, "HyperLogLog in Practice", 2013; and for the
//! count Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284.

mod count;
pub mod dense;
mod hash;
mod registers;
pub mod selftest;
pub mod sparse;
#[cfg(test)]
mod tests;

pub use registers::Registers;

/// Number of registers.
pub const REGISTERS: usize = 1 << 14;
/// Bytes before the registers.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a dense value.
pub const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * 6 / 8;

const MAGIC: &[u8; 4] = b"HYLL";
/// Where the cached count stands.
const CACHED: std::ops::Range<usize> = 8..16;
const OUT_OF_DATE: u64 = 1 << 63;

/// The registers do not add up to 16,384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// How registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

impl Encoding {
    /// The name that PFDEBUG shows.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// An element's register and the value that it wants there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which register, below 16,384.
    pub register: usize,
    /// From 1 to 51.
    pub value: u8,
}

impl Mark {
    /// What an element leaves.
    pub fn of(element: &[u8]) -> Mark {
        let hash = hash::murmur2(element);
        // The bit above the highest ends the run of zeros in any case.
        let rest = (hash >> 14) | 1 << 50;
        Mark { register: hash as usize % REGISTERS, value: rest.trailing_zeros() as u8 + 1 }
    }
}

/// The encoding of a value; `None` when the bytes are no HyperLogLog.
pub fn encoding(value: &[u8]) -> Option<Encoding> {
    let header = value.get(..HEADER_BYTES)?;
    match (header.starts_with(MAGIC), header[4]) {
        (true, 0) if value.len() == DENSE_BYTES => Some(Encoding::Dense),
        (true, 1) => Some(Encoding::Sparse),
        _ => None,
    }
}

/// A value that has seen nothing: one run of 16,384 zeros.
pub fn empty() -> Vec<u8> {
    let mut value = vec![0; HEADER_BYTES];
    value[..4].copy_from_slice(MAGIC);
    value[4] = 1;
    value.extend_from_slice(&sparse::ALL_ZERO);
    value
}

/// Puts a mark into a value of either encoding. A sparse one that would be longer than `limit_bytes`, or cannot hold
/// the mark, becomes dense. Says whether a register changed; its cached count is then out of date.
pub fn put(value: &mut Vec<u8>, mark: Mark, limit_bytes: usize) -> Result<bool, Corrupt> {
    put_from(value, mark, limit_bytes, &mut sparse::Place::default())
}

/// As [`put`], for marks whose registers ascend: `place` remembers how far the sparse runs were read.
fn put_from(
    value: &mut Vec<u8>,
    mark: Mark,
    limit_bytes: usize,
    place: &mut sparse::Place,
) -> Result<bool, Corrupt> {
    if encoding(value) == Some(Encoding::Dense) {
        return Ok(dense::put(&mut value[HEADER_BYTES..], mark));
    }
    match sparse::put(value, mark, limit_bytes, place)? {
        sparse::Put::Kept => Ok(false),
        sparse::Put::Changed => {
            forget_count(value);
            Ok(true)
        }
        sparse::Put::TooLong => {
            *value = to_dense(value)?;
            Ok(dense::put(&mut value[HEADER_BYTES..], mark))
        }
    }
}

/// A value with every register of `all`, begun from what was there, whose registers are among them. Dense if that is
/// asked for, or if it would be longer than `limit_bytes`. Its cached count is out of date.
pub fn merged(
    before: Option<&[u8]>,
    all: &Registers,
    into: Encoding,
    limit_bytes: usize,
) -> Result<Vec<u8>, Corrupt> {
    let mut value = before.map_or_else(empty, <[u8]>::to_vec);
    match into {
        Encoding::Dense => value = dense_with(&value, all),
        Encoding::Sparse => {
            let mut place = sparse::Place::default();
            let raised = all.bytes().iter().enumerate().filter(|(_, value)| **value > 0);
            for (register, &wanted) in raised {
                put_from(&mut value, Mark { register, value: wanted }, limit_bytes, &mut place)?;
            }
        }
    }
    forget_count(&mut value);
    Ok(value)
}

/// The same value in the dense encoding, its cached count with it.
pub fn to_dense(value: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let mut registers = Registers::new();
    registers.merge(value)?;
    Ok(dense_with(value, &registers))
}

/// A dense value of these registers with the header of another value.
fn dense_with(header: &[u8], registers: &Registers) -> Vec<u8> {
    let mut dense = header[..HEADER_BYTES].to_vec();
    dense[4] = 0;
    dense.resize(DENSE_BYTES, 0);
    dense::pack(registers.bytes(), &mut dense[HEADER_BYTES..]);
    dense
}

/// How many elements a value has seen, counted from its registers.
pub fn count(value: &[u8]) -> Result<u64, Corrupt> {
    let histogram = match encoding(value) {
        Some(Encoding::Dense) => dense::histogram(&value[HEADER_BYTES..]),
        _ => sparse::histogram(value)?,
    };
    Ok(count::estimate(&histogram))
}

/// The cached count, unless it is out of date.
pub fn cached_count(value: &[u8]) -> Option<u64> {
    let count = u64::from_le_bytes(*value.get(CACHED)?.first_chunk()?);
    (count & OUT_OF_DATE == 0).then_some(count)
}

/// Keeps a count in the value.
pub fn cache_count(value: &mut [u8], count: u64) {
    if let Some(cached) = value.get_mut(CACHED) {
        cached.copy_from_slice(&count.to_le_bytes());
    }
}

/// Says that the cached count is out of date.
pub fn forget_count(value: &mut [u8]) {
    if let Some(last) = value.get_mut(CACHED.end - 1) {
        *last |= 0x80;
    }
}
