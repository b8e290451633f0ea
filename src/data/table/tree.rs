//! The segments of a large table: chapters, and a directory that leads to them as theirs leads to segments.
//!
//! An insertion splits one segment at most, and at times one chapter, which moves 256 of its segments' heads. Only
//! the directory here grows as a whole: four bytes for each chapter, of some ten thousand records.

use super::Records;
use super::chapter::{Chapter, MOST_SEGMENTS};
use super::segment::{DEEPEST, MOST_RECORDS, Segment};
use crate::data::list::size_class;

/// The directory is not made longer than this many times its chapters: then hashes differ too late.
const SLOTS_A_CHAPTER: usize = 16;

/// Draws in vain before a record is counted off, which nobody sees but for records removed by the order of
/// their hashes.
const DRAWS: usize = 1024;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Tree<R> {
    chapters: Vec<Chapter<R>>,
    /// By the highest `bits` bits of a hash: the number of its chapter.
    directory: Box<[u32]>,
    bits: u8,
    /// As many records as the fullest segment has had, but not fewer than make one full.
    most: u32,
}

impl<R: Records> Tree<R> {
    /// A tree of a segment that holds all hashes.
    pub fn of(only: Segment<R>) -> Self {
        Self {
            chapters: vec![Chapter::of(only)],
            directory: Box::new([0]),
            bits: 0,
            most: MOST_RECORDS as u32,
        }
    }

    /// All segments, in no order.
    pub fn chapters(&self) -> &[Chapter<R>] {
        &self.chapters
    }

    /// The segment for a hash.
    #[inline]
    pub fn segment(&self, hash: u32) -> &Segment<R> {
        self.chapters[self.number_of(hash)].segment(hash)
    }

    /// The same, to change it.
    #[inline]
    pub fn segment_mut(&mut self, hash: u32) -> &mut Segment<R> {
        let number = self.number_of(hash);
        self.chapters[number].segment_mut(hash)
    }

    /// Splits the segment of this hash, which is full; false when that would not help.
    pub fn split(&mut self, hash: u32, owned_bytes: &mut usize) -> bool {
        let mut number = self.number_of(hash);
        if !self.chapters[number].may_split(hash) {
            if self.segment(hash).depth() == DEEPEST || !self.split_chapter(number) {
                self.most = self.most.max(self.segment(hash).len() as u32 + 1);
                return false;
            }
            number = self.number_of(hash);
        }
        self.chapters[number].split(hash, owned_bytes);
        true
    }

    /// Joins the segment of this hash with another, and its chapter with another, as long as both are nearly empty.
    pub fn join(&mut self, hash: u32, owned_bytes: &mut usize) {
        let mut number = self.number_of(hash);
        while self.chapters[number].join(hash, owned_bytes) {
            self.join_chapter(number);
            number = self.number_of(hash);
        }
    }

    /// The segment that holds all records, if one is enough.
    pub fn only(&mut self) -> Option<Segment<R>> {
        let [chapter] = &self.chapters[..] else { return None };
        if chapter.segments().len() > 1 {
            return None;
        }
        self.chapters.pop().and_then(Chapter::into_only)
    }

    /// A segment and a slot of it that is taken, each record equally likely when `pick` is uniform over all of `u64`. `len` is
    /// the number of records, not 0.
    ///
    /// Places are drawn, of as many as there would be if all chapters and segments were full, until one is that of a
    /// record. So a segment is as likely as it has records, and every record as likely as any other, however unevenly they
    /// lie.
    pub fn random(&self, pick: u64, len: usize) -> (&Segment<R>, usize) {
        let mut state = pick;
        let most = if let [only] = &self.chapters[..] { only.segments().len() } else { MOST_SEGMENTS };
        for _ in 0..DRAWS {
            let place = super::place_of(draw(&mut state), self.chapters.len() * most);
            let segments = self.chapters[place / most].segments();
            if let Some(segment) = segments.get(place % most)
                && super::place_of(draw(&mut state), self.most as usize) < segment.len()
            {
                return (segment, segment.random(|places| super::place_of(draw(&mut state), places)));
            }
        }
        self.nth(super::place_of(draw(&mut state), len))
    }

    /// The bytes that it owns on the heap, without those of its segments. O(number of chapters).
    pub fn owned_bytes(&self) -> usize {
        size_class(self.directory.len() * size_of::<u32>())
            + size_class(self.chapters.capacity() * size_of::<Chapter<R>>())
            + self.chapters.iter().map(Chapter::owned_bytes).sum::<usize>()
    }

    #[inline]
    fn number_of(&self, hash: u32) -> usize {
        self.directory[(u64::from(hash) << self.bits >> 32) as usize] as usize
    }

    /// The record with this number in the order of the segments. O(number of segments).
    fn nth(&self, mut number: usize) -> (&Segment<R>, usize) {
        for segment in self.chapters.iter().flat_map(Chapter::segments) {
            if number < segment.len()
                && let Some(at) = segment.taken().nth(number)
            {
                return (segment, at);
            }
            number -= segment.len();
        }
        unreachable!("the segments hold all records")
    }

    fn split_chapter(&mut self, number: usize) -> bool {
        if self.chapters[number].depth() == self.bits {
            if self.directory.len() >= self.chapters.len() * SLOTS_A_CHAPTER {
                return false;
            }
            self.directory = self.directory.iter().flat_map(|&chapter| [chapter, chapter]).collect();
            self.bits += 1;
        }
        let upper = self.chapters[number].halve();
        self.chapters.push(upper);
        self.lead_to(self.chapters.len() - 1);
        true
    }

    /// Leads the whole range of a chapter to it.
    fn lead_to(&mut self, number: usize) {
        let chapter = &self.chapters[number];
        let from = (u64::from(chapter.start()) << self.bits >> 32) as usize;
        self.directory[from..from + (1 << (self.bits - chapter.depth()))].fill(number as u32);
    }

    fn join_chapter(&mut self, number: usize) {
        let (start, depth) = (self.chapters[number].start(), self.chapters[number].depth());
        if depth == 0 {
            return;
        }
        let half = 1 << (32 - depth);
        let (lower, upper) = (self.number_of(start & !half), self.number_of(start | half));
        if !self.chapters[lower].may_join(&self.chapters[upper]) {
            return;
        }
        let gone = self.chapters.swap_remove(upper);
        let lower = if lower == self.chapters.len() { upper } else { lower };
        self.chapters[lower].join_upper(gone);
        if upper < self.chapters.len() {
            self.lead_to(upper);
        }
        self.lead_to(lower);
        self.shorten();
    }

    /// Halves the directory when no chapter needs its last bit.
    fn shorten(&mut self) {
        let deepest = self.chapters.iter().map(Chapter::depth).max().unwrap_or(0);
        if deepest < self.bits {
            self.directory = self.directory.iter().copied().step_by(1 << (self.bits - deepest)).collect();
            self.bits = deepest;
        }
        if self.chapters.len() * 4 < self.chapters.capacity() {
            self.chapters.shrink_to(self.chapters.len() * 2);
        }
    }
}

/// The next of a sequence of numbers that are uniform if the first state is: SplitMix64 (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
