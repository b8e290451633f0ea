//! Up to 256 segments and the way to them: what the tree of a large table is made of.
//!
//! A chapter holds the hashes that begin with the same `depth` bits. Its directory leads from their next eight bits to
//! the segment (Fagin and others, "Extendible hashing", 1979, with the high bits of the hash and a directory that has
//! its length from the start):
//!
//! ```text
//! directory  00000000 … 00111111 01000000 … 01111111 10000000 … 11111111
//!                a          a        b          b        c          c
//!
//! segment    a: hashes that go on with 00    b: with 01    c: with 1
//! ```

use super::Records;
use super::segment::{DEEPEST, Segment};
use crate::data::list::size_class;

/// The bits that a directory is looked up by. The number of a segment is a byte.
const BITS: u8 = 8;

/// The most segments.
pub const MOST_SEGMENTS: usize = 1 << BITS;

/// Two chapters are joined when they have no more segments than this together.
const JOINED_SEGMENTS: usize = MOST_SEGMENTS / 2;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Chapter<R> {
    segments: Vec<Segment<R>>,
    /// The lowest hash of the range.
    start: u32,
    depth: u8,
    /// By the next bits of a hash: the number of its segment.
    directory: [u8; MOST_SEGMENTS],
}

impl<R: Records> Chapter<R> {
    /// A chapter of all hashes, with one segment.
    pub fn of(only: Segment<R>) -> Self {
        Self { segments: vec![only], start: 0, depth: 0, directory: [0; MOST_SEGMENTS] }
    }

    /// The segments, in no order.
    pub fn segments(&self) -> &[Segment<R>] {
        &self.segments
    }

    /// The lowest hash of the range.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// How many bits all hashes of the range begin with.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The segment for a hash of the range.
    #[inline]
    pub fn segment(&self, hash: u32) -> &Segment<R> {
        &self.segments[self.number_of(hash)]
    }

    /// The same, to change it.
    #[inline]
    pub fn segment_mut(&mut self, hash: u32) -> &mut Segment<R> {
        let number = self.number_of(hash);
        &mut self.segments[number]
    }

    /// Whether the directory can tell the halves of the segment of this hash apart.
    pub fn may_split(&self, hash: u32) -> bool {
        self.segment(hash).depth() < DEEPEST.min(self.depth + BITS)
    }

    /// Splits the segment of this hash in two. `owned_bytes` counts what segments own.
    pub fn split(&mut self, hash: u32, owned_bytes: &mut usize) {
        let number = self.number_of(hash);
        if self.segments.len() == self.segments.capacity() {
            self.segments.reserve_exact((self.segments.len() / 4).max(2));
        }
        let segment = &mut self.segments[number];
        *owned_bytes -= segment.owned_bytes();
        let upper = segment.split();
        *owned_bytes += segment.owned_bytes() + upper.owned_bytes();
        let depth = upper.depth();
        let slots = MOST_SEGMENTS >> (depth - self.depth);
        let from = self.slot_of(hash) & !(2 * slots - 1) | slots;
        self.directory[from..from + slots].fill(self.segments.len() as u8);
        self.segments.push(upper);
    }

    /// Joins the segment of this hash with the other half of a range, if both are nearly empty.
    pub fn join(&mut self, hash: u32, owned_bytes: &mut usize) -> bool {
        let number = self.number_of(hash);
        let depth = self.segments[number].depth();
        if depth == self.depth {
            return false;
        }
        let other = self.number_of(hash ^ 1 << (32 - depth));
        if !self.segments[number].may_join(&self.segments[other]) {
            return false;
        }
        let (stays, goes) = (number.min(other), number.max(other));
        let gone = self.segments.swap_remove(goes);
        let segment = &mut self.segments[stays];
        *owned_bytes -= segment.owned_bytes() + gone.owned_bytes();
        segment.join(gone);
        *owned_bytes += segment.owned_bytes();
        let moved = self.segments.len();
        for number in &mut self.directory {
            match usize::from(*number) {
                old if old == goes => *number = stays as u8,
                old if old == moved => *number = goes as u8,
                _ => {}
            }
        }
        if self.segments.len() * 4 < self.segments.capacity() {
            self.segments.shrink_to(self.segments.len() * 2);
        }
        true
    }

    /// Leaves the lower half of the range here and gives the upper half. There have to be two segments or more.
    pub fn halve(&mut self) -> Self {
        let depth = self.depth + 1;
        let mut segments: Vec<Option<Segment<R>>> =
            std::mem::take(&mut self.segments).into_iter().map(Some).collect();
        let (lower, upper) = self.directory.split_at(MOST_SEGMENTS / 2);
        let mut half = |slots: &[u8], start: u32| {
            let mut chapter = Self { segments: Vec::new(), start, depth, directory: [0; MOST_SEGMENTS] };
            // The slots of one segment stand side by side, so a segment is taken at the first of them.
            for (to, &number) in chapter.directory.chunks_exact_mut(2).zip(slots) {
                chapter.segments.extend(segments[usize::from(number)].take());
                to.fill((chapter.segments.len() - 1) as u8);
            }
            chapter
        };
        let halves = (half(lower, self.start), half(upper, self.start | 1 << (32 - depth)));
        *self = halves.0;
        halves.1
    }

    /// Whether this and the other half of a range are few enough to be one.
    pub fn may_join(&self, other: &Self) -> bool {
        self.depth == other.depth
            && self.segments.len() + other.segments.len() <= JOINED_SEGMENTS
            && self.deepest().max(other.deepest()) < self.depth + BITS
    }

    /// Takes in the segments of the upper half of its range.
    pub fn join_upper(&mut self, upper: Self) {
        let first = self.segments.len() as u8;
        let lower = self.directory;
        let numbers = lower.iter().step_by(2).copied();
        let upper_numbers = upper.directory.iter().step_by(2).map(|number| number + first);
        self.directory.iter_mut().zip(numbers.chain(upper_numbers)).for_each(|(slot, number)| *slot = number);
        self.segments.extend(upper.segments);
        self.depth -= 1;
    }

    /// The only segment, if there is one only.
    pub fn into_only(mut self) -> Option<Segment<R>> {
        if self.segments.len() == 1 { self.segments.pop() } else { None }
    }

    /// The bytes that it owns on the heap, without those of its segments.
    pub fn owned_bytes(&self) -> usize {
        size_class(self.segments.capacity() * size_of::<Segment<R>>())
    }

    fn deepest(&self) -> u8 {
        self.segments.iter().map(Segment::depth).max().unwrap_or(self.depth)
    }

    #[inline]
    fn slot_of(&self, hash: u32) -> usize {
        ((u64::from(hash) << self.depth) as u32 >> (32 - BITS)) as usize
    }

    #[inline]
    fn number_of(&self, hash: u32) -> usize {
        usize::from(self.directory[self.slot_of(hash)])
    }
}
