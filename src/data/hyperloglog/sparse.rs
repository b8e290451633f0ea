//! The sparse encoding: runs of equal registers, each in one byte or two.
//!
//! ```text
//! 00llllll              ZERO:  l+1 registers (1 to 64) are 0
//! 01llllll llllllll     XZERO: l+1 registers (1 to 16,384) are 0
//! 1vvvvvll              VAL:   l+1 registers (1 to 4) are v+1 (1 to 32)
//! ```
//!
//! To put a mark into a run, the run is split around its register, and neighbours that have become equal are joined.
//! How they are joined is part of the format, though no reader needs it: two servers that were sent the
//! same elements shall hold the same bytes.

use super::count::Histogram;
use super::{Corrupt, HEADER_BYTES, Mark, REGISTERS};

/// XZERO over all registers.
pub(super) const ALL_ZERO: [u8; 2] = [0x7F, 0xFF];

const GREATEST: u8 = 32;
const LONGEST_VAL: usize = 4;
const LONGEST_ZERO: usize = 64;
/// How many runs are looked at to join neighbours, from the one before the change on.
const LOOKED_AT: usize = 5;

/// A run of equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The registers' value.
    pub value: u8,
    /// How many registers.
    pub len: usize,
    /// Bytes it takes.
    pub bytes: usize,
}

impl Run {
    /// The run at the beginning of `bytes`, which are not empty. A second byte that is missing counts as 0.
    #[inline]
    fn read(bytes: &[u8]) -> Run {
        let first = bytes[0];
        if first & 0xC0 == 0x40 {
            let low = bytes.get(1).copied().unwrap_or(0);
            let len = usize::from(u16::from_be_bytes([first & 0x3F, low])) + 1;
            Run { value: 0, len, bytes: 2 }
        } else if first & 0x80 == 0 {
            Run { value: 0, len: usize::from(first) + 1, bytes: 1 }
        } else {
            Run { value: (first >> 2 & 0x1F) + 1, len: usize::from(first & 3) + 1, bytes: 1 }
        }
    }

    /// The letter that PFDEBUG DECODE shows.
    pub fn letter(self) -> char {
        match (self.value, self.bytes) {
            (0, 1) => 'z',
            (0, _) => 'Z',
            _ => 'v',
        }
    }
}

/// The runs of a value.
#[derive(Clone, Debug)]
pub struct Runs<'a>(&'a [u8]);

impl Runs<'_> {
    /// Those of a value, which begins with its header.
    pub fn of(value: &[u8]) -> Runs<'_> {
        Runs(value.get(HEADER_BYTES..).unwrap_or(&[]))
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        if self.0.is_empty() {
            return None;
        }
        let run = Run::read(self.0);
        self.0 = self.0.get(run.bytes..).unwrap_or(&[]);
        Some(run)
    }
}

/// How many registers hold which value.
pub(super) fn histogram(value: &[u8]) -> Result<Histogram, Corrupt> {
    let mut histogram = [0; 64];
    let mut registers = 0;
    for run in Runs::of(value) {
        registers += run.len;
        if registers > REGISTERS {
            return Err(Corrupt);
        }
        histogram[usize::from(run.value)] += run.len as u32;
    }
    if registers == REGISTERS { Ok(histogram) } else { Err(Corrupt) }
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The register was as high already.
    Kept,
    /// It was raised.
    Changed,
    /// The value has no room for it and is as it was.
    TooLong,
}

/// A run that the next mark with a higher register may be looked for from, and the run before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    before: Option<usize>,
    at: usize,
    /// The run's first register.
    first: usize,
}

impl Default for Place {
    fn default() -> Place {
        Place { before: None, at: HEADER_BYTES, first: 0 }
    }
}

/// Up to five bytes that take the place of a run.
#[derive(Default)]
struct Pieces {
    bytes: [u8; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// `len` registers of this value, in one run; nothing for none.
    fn run(&mut self, value: u8, len: usize) {
        match (value, len) {
            (_, 0) => {}
            (0, 1..=LONGEST_ZERO) => self.push(len as u8 - 1),
            (0, _) => {
                let [high, low] = (len as u16 - 1).to_be_bytes();
                self.push(high | 0x40);
                self.push(low);
            }
            _ => self.push(val(value, len)),
        }
    }
}

/// A VAL run of 1 to 4 registers.
fn val(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// Raises a register, looking for it from `place` on, which then is a place for a higher one.
pub(super) fn put(
    value: &mut Vec<u8>,
    mark: Mark,
    limit_bytes: usize,
    place: &mut Place,
) -> Result<Put, Corrupt> {
    if mark.value > GREATEST {
        return Ok(Put::TooLong);
    }
    let from = *place;
    let mut found = from;
    let run = loop {
        let run = Run::read(value.get(found.at..).filter(|rest| !rest.is_empty()).ok_or(Corrupt)?);
        if mark.register < found.first + run.len {
            break run;
        }
        // The run before the one that holds the register: it stays where it is, whatever is joined to it.
        *place = found;
        found = Place { before: Some(found.at), at: found.at + run.bytes, first: found.first + run.len };
    };
    if run.value >= mark.value {
        return Ok(Put::Kept);
    }
    if found.at + run.bytes > value.len() {
        return Err(Corrupt);
    }
    let mut pieces = Pieces::default();
    pieces.run(run.value, mark.register - found.first);
    pieces.run(mark.value, 1);
    pieces.run(run.value, found.first + run.len - mark.register - 1);
    let grown = value.len() - run.bytes + pieces.len;
    if grown > value.len() && grown > limit_bytes {
        return Ok(Put::TooLong);
    }
    value.splice(found.at..found.at + run.bytes, pieces.bytes[..pieces.len].iter().copied());
    join(value, found.before.unwrap_or(HEADER_BYTES));
    if found.at == from.at {
        // What was looked from may be joined to the run before it.
        *place = Place::default();
    }
    Ok(Put::Changed)
}

/// Joins neighbouring VAL runs of the same value, from a run on.
fn join(value: &mut Vec<u8>, mut at: usize) {
    for _ in 0..LOOKED_AT {
        if at >= value.len() {
            return;
        }
        let run = Run::read(&value[at..]);
        let next = value.get(at + 1).map(|next| Run::read(&[*next]));
        let same = next.filter(|next| run.value > 0 && next.value == run.value);
        let joined = same.map(|next| run.len + next.len).filter(|len| *len <= LONGEST_VAL);
        if let Some(len) = joined {
            // Stays here: the joined run may fit to what follows it.
            value[at] = val(run.value, len);
            value.remove(at + 1);
        } else {
            at += run.bytes;
        }
    }
}
