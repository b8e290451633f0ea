//! A small sorted set: its members in order in one buffer.
//!
//! ```text
//! [all members' length 1] [score][member] [score]...
//! [255] [score][length of member][member] [score]...
//!
//! score   b < 240          the whole number b
//!         240 + n, n bytes  a whole number, zigzag, the lowest byte first; n is 1 to 7
//!         248, 8 bytes      any other double
//! ```
//!
//! Members are often equally long: that is said once then. From the first one of another length on each says its
//! own, until the set is empty.

use crate::data::table::block::Block;
use crate::data::table::packed::{Common, Length};

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
#[derive(Debug, Clone, Default)]
pub struct Packed(Block);

/// Where the first member is.
const START: usize = 1;

/// Where a member is.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    member: usize,
    end: usize,
}

impl Packed {
    /// No members, no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// The members from the lowest on, each with its score.
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.0.bytes(), at: START, left: self.len() }
    }

    /// The score of `member`. O(number of members).
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|place| score_at(self.0.bytes(), place))
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        self.make_alike(member.len());
        let bytes = self.0.bytes();
        let mut at = START;
        while at < bytes.len() {
            let place = place_at(bytes, at);
            if !super::before(score_at(bytes, place), &bytes[place.member..place.end], score, member) {
                break;
            }
            at = place.end;
        }
        self.put(at, member, score);
    }

    /// Adds a member that stands behind all others.
    pub fn push(&mut self, member: &[u8], score: f64) {
        self.make_alike(member.len());
        self.put(self.0.bytes().len(), member, score);
    }

    /// Writes a member at a place where one may begin; where there are none yet, at the first.
    fn put(&mut self, at: usize, member: &[u8], score: f64) {
        let (score, len) = (ScoreText::of(score), Length::of(member.len()));
        match self.0.bytes().first() {
            Some(_) => {
                let said = Common::at(self.0.bytes(), 0).said(&len);
                self.0.replace(at..at, &[score.as_bytes(), said, member], self.len() + 1);
            }
            None => {
                let common = Common::of(member.len());
                let first = [common.byte()];
                self.0.replace(0..0, &[&first, score.as_bytes(), common.said(&len), member], 1);
            }
        }
    }

    /// Sees to it that a member of this length can join the others.
    fn make_alike(&mut self, len: usize) {
        let bytes = self.0.bytes();
        if bytes.is_empty() || Common::at(bytes, 0).takes(len) {
            return;
        }
        let mut written = Vec::with_capacity(bytes.len() + self.len());
        written.push(Common::OWN.byte());
        let mut at = START;
        while at < bytes.len() {
            let place = place_at(bytes, at);
            let member = &bytes[place.member..place.end];
            // All had the same length: so a member follows its score at once.
            written.extend_from_slice(&bytes[place.start..place.member]);
            written.extend_from_slice(Length::of(member.len()).as_bytes());
            written.extend_from_slice(member);
            at = place.end;
        }
        let (end, count) = (bytes.len(), self.len());
        self.0.replace(0..end, &[&written], count);
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let place = self.find(member)?;
        let score = score_at(self.0.bytes(), place);
        self.cut(place.start, place.end, 1);
        Some(score)
    }

    /// Takes the member with the given rank out and gives what `take` makes of it.
    pub fn pop_with<R>(&mut self, rank: usize, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        if rank >= self.len() {
            return None;
        }
        let bytes = self.0.bytes();
        let mut place = place_at(bytes, START);
        for _ in 0..rank {
            place = place_at(bytes, place.end);
        }
        let taken = take(&bytes[place.member..place.end], score_at(bytes, place));
        self.cut(place.start, place.end, 1);
        Some(taken)
    }

    /// Takes the members with the ranks from `start` to before `end` out.
    pub fn remove_range(&mut self, start: usize, end: usize) {
        if start >= end {
            return;
        }
        let bytes = self.0.bytes();
        let mut at = START;
        for _ in 0..start {
            at = place_at(bytes, at).end;
        }
        let from = at;
        for _ in start..end {
            at = place_at(bytes, at).end;
        }
        self.cut(from, at, end - start);
    }

    /// The bytes that the members own on the heap.
    pub fn memory_usage(&self) -> usize {
        self.0.memory_usage()
    }

    fn find(&self, member: &[u8]) -> Option<Place> {
        let bytes = self.0.bytes();
        if bytes.is_empty() || !Common::at(bytes, 0).takes(member.len()) {
            return None;
        }
        let mut at = START;
        while at < bytes.len() {
            let place = place_at(bytes, at);
            if bytes[place.member..place.end] == *member {
                return Some(place);
            }
            at = place.end;
        }
        None
    }

    /// Takes out what stands from `start` to `end`: so many members.
    fn cut(&mut self, start: usize, end: usize, count: usize) {
        let left = self.len() - count;
        self.0.replace(if left == 0 { 0 } else { start }..end, &[], left);
    }
}

#[inline]
fn place_at(bytes: &[u8], start: usize) -> Place {
    let (len, member) = Common::at(bytes, 0).length_at(bytes, start + 1 + score_bytes(bytes[start]));
    Place { start, member, end: member + len }
}

#[inline]
fn score_at(bytes: &[u8], place: Place) -> f64 {
    let first = bytes[place.start];
    let used = score_bytes(first);
    let mut score = [0; size_of::<f64>()];
    score[..used].copy_from_slice(&bytes[place.start + 1..=place.start + used]);
    match first {
        DOUBLE => f64::from_le_bytes(score),
        _ if used == 0 => f64::from(first),
        _ => {
            let zigzag = u64::from_le_bytes(score);
            ((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)) as f64
        }
    }
}

/// The members of a small sorted set.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = place_at(self.bytes, self.at);
        self.at = place.end;
        Some((&self.bytes[place.member..place.end], score_at(self.bytes, place)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
