//! A small sorted set: its members in order in one buffer.
//!
//! ```text
//! [score][length][member] [score]...
//!
//! score   b < 240          the whole number b
//!         240 + n, n bytes  a whole number, zigzag, the lowest byte first; n is 1 to 7
//!         248, 8 bytes      any other double
//! ```

use crate::data::list::size_class;
use crate::data::table::packed::{Length, length_at, replace};

/// Whole numbers below it are their own byte.
const SMALL: u8 = 240;
/// The byte before a double.
const DOUBLE: u8 = SMALL + size_of::<f64>() as u8;

/// A score as it stands in the buffer, on the stack.
struct ScoreText {
    bytes: [u8; 1 + size_of::<f64>()],
    used: usize,
}

impl ScoreText {
    fn of(score: f64) -> Self {
        let mut text = Self { bytes: [0; 1 + size_of::<f64>()], used: 1 };
        let whole = score as i64;
        if whole as f64 != score || whole.unsigned_abs() > 1 << 53 {
            text.bytes[0] = DOUBLE;
            text.bytes[1..].copy_from_slice(&score.to_le_bytes());
            text.used = text.bytes.len();
        } else if (0..i64::from(SMALL)).contains(&whole) {
            text.bytes[0] = whole as u8;
        } else {
            let zigzag = (whole << 1 ^ whole >> 63) as u64;
            let used = (64 - zigzag.leading_zeros()).div_ceil(8) as usize;
            text.bytes[0] = SMALL + used as u8;
            text.bytes[1..=used].copy_from_slice(&zigzag.to_le_bytes()[..used]);
            text.used += used;
        }
        text
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// How many bytes of the score follow its first one.
#[inline]
fn score_bytes(first: u8) -> usize {
    usize::from(first.saturating_sub(SMALL))
}

/// Members by score, then by their bytes.
#[derive(Debug, Clone)]
pub struct Packed {
    bytes: Vec<u8>,
    count: u32,
}

/// Where a member is.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    member: usize,
    end: usize,
}

impl Packed {
    /// No members, no memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// The members from the lowest on, each with its score.
    pub fn iter(&self) -> Iter<'_> {
        Iter { members: self, at: 0, left: self.len() }
    }

    /// The score of `member`. O(number of members).
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|place| self.score_at(place))
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        let mut at = 0;
        while at < self.bytes.len() {
            let place = self.place_at(at);
            if !super::before(self.score_at(place), &self.bytes[place.member..place.end], score, member) {
                break;
            }
            at = place.end;
        }
        let len = Length::of(member.len());
        replace(&mut self.bytes, at..at, &[ScoreText::of(score).as_bytes(), len.as_bytes(), member]);
        self.count += 1;
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let place = self.find(member)?;
        let score = self.score_at(place);
        self.remove_at(place);
        Some(score)
    }

    /// Adds a member that stands behind all others.
    pub fn push(&mut self, member: &[u8], score: f64) {
        let end = self.bytes.len();
        let len = Length::of(member.len());
        replace(&mut self.bytes, end..end, &[ScoreText::of(score).as_bytes(), len.as_bytes(), member]);
        self.count += 1;
    }

    /// Takes the member with the given rank out and gives what `take` makes of it.
    pub fn pop_with<R>(&mut self, rank: usize, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        if rank >= self.len() {
            return None;
        }
        let mut place = self.place_at(0);
        for _ in 0..rank {
            place = self.place_at(place.end);
        }
        let taken = take(&self.bytes[place.member..place.end], self.score_at(place));
        self.remove_at(place);
        Some(taken)
    }

    /// Takes the members with the ranks from `start` to before `end` out.
    pub fn remove_range(&mut self, start: usize, end: usize) {
        if start >= end {
            return;
        }
        let mut at = 0;
        for _ in 0..start {
            at = self.place_at(at).end;
        }
        let from = at;
        for _ in start..end {
            at = self.place_at(at).end;
        }
        replace(&mut self.bytes, from..at, &[]);
        self.count -= (end - start) as u32;
    }

    /// The bytes that the members own on the heap.
    pub fn memory_usage(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    fn find(&self, member: &[u8]) -> Option<Place> {
        let mut at = 0;
        while at < self.bytes.len() {
            let place = self.place_at(at);
            if self.bytes[place.member..place.end] == *member {
                return Some(place);
            }
            at = place.end;
        }
        None
    }

    fn remove_at(&mut self, place: Place) {
        replace(&mut self.bytes, place.start..place.end, &[]);
        self.count -= 1;
    }

    fn place_at(&self, start: usize) -> Place {
        let (len, member) = length_at(&self.bytes, start + 1 + score_bytes(self.bytes[start]));
        Place { start, member, end: member + len }
    }

    fn score_at(&self, place: Place) -> f64 {
        let first = self.bytes[place.start];
        let used = score_bytes(first);
        let mut bytes = [0; size_of::<f64>()];
        bytes[..used].copy_from_slice(&self.bytes[place.start + 1..=place.start + used]);
        match first {
            DOUBLE => f64::from_le_bytes(bytes),
            _ if used == 0 => f64::from(first),
            _ => {
                let zigzag = u64::from_le_bytes(bytes);
                ((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)) as f64
            }
        }
    }
}

/// The members of a small sorted set.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    members: &'a Packed,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = self.members.place_at(self.at);
        self.at = place.end;
        Some((&self.members.bytes[place.member..place.end], self.members.score_at(place)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
