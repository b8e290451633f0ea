//! A small sorted set: its members in order in one buffer.
//!
//! ```text
//! [score, 8 bytes][length][member] [score, 8 bytes]...
//! ```

use crate::data::list::size_class;
use crate::data::table::packed::{Length, length_at, replace};

const SCORE_BYTES: usize = size_of::<f64>();

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
        replace(&mut self.bytes, at..at, &[&score.to_le_bytes(), len.as_bytes(), member]);
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
        replace(&mut self.bytes, end..end, &[&score.to_le_bytes(), len.as_bytes(), member]);
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
        let (len, member) = length_at(&self.bytes, start + SCORE_BYTES);
        Place { start, member, end: member + len }
    }

    fn score_at(&self, place: Place) -> f64 {
        let mut score = [0; SCORE_BYTES];
        score.copy_from_slice(&self.bytes[place.start..place.start + SCORE_BYTES]);
        f64::from_le_bytes(score)
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
