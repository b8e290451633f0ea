//! From the hash of a member to the place of its entry: a hash table that grows a piece at a time.
//!
//! The hashes are divided into ranges, each with a table of its own of at most 4,096 slots. A full table is
//! split in two, for the lower and the upper half of its range (Fagin and others, "Extendible hashing", 1979,
//! with the high bits of the hash). So an insertion never moves more than one table, however many members
//! there are. A directory leads from the highest bits of a hash to its table:
//!
//! ```text
//! directory  00 01 10 11        table a: hashes 00…   b: hashes 01…   c: hashes 1…
//!             a  b  c  c
//! ```
//!
//! Within a table, a hash is at home at the place that it has within the range of the table, and stands there
//! or behind (linear probing, no tombstones). So homes follow each other as hashes do, in every table of
//! every size, and that makes a walk over all of it simple: its cursor is a hash, and what was shown is what is
//! lower, whatever grows or shrinks in between.

use super::members::Id;
use crate::data::ahead::Stretch;
use crate::data::list::size_class;

/// A hash and the entry that has it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    id: Id,
}

impl Slot {
    const EMPTY: Self = Self { hash: 0, id: Id::MAX };

    fn is_empty(self) -> bool {
        self.id == Id::MAX
    }
}

const FEWEST_SLOTS: usize = 4;
const MOST_SLOTS: usize = 4096;
/// Ranges of fewer hashes than 2^12 are not split any more: their tables grow instead.
const DEEPEST: u8 = 20;
/// What is looked for when there is room for many: so many entries a table.
const ROOMY_ENTRIES: usize = MOST_SLOTS / 2;

/// The table of one range of hashes: those that begin with the `depth` bits of `prefix`.
#[derive(Debug, Clone)]
struct Segment {
    prefix: u32,
    depth: u8,
    len: u32,
    slots: Vec<Slot>,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Index {
    /// By the `depth` highest bits of a hash: the number of its segment.
    directory: Vec<u32>,
    depth: u8,
    segments: Vec<Segment>,
}

impl Segment {
    fn new(prefix: u32, depth: u8, slots: usize) -> Self {
        Self { prefix, depth, len: 0, slots: vec![Slot::EMPTY; slots] }
    }

    /// Where a hash of this segment's range is at home.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        let within = u64::from(hash << self.depth);
        ((within * self.slots.len() as u64) >> 32) as usize
    }

    /// The lowest hash that is at home behind `home`.
    fn first_hash_behind(&self, home: usize) -> u64 {
        let within = (((home as u64 + 1) << 32).div_ceil(self.slots.len() as u64)).div_ceil(1 << self.depth);
        let range = 1u64 << (32 - self.depth);
        u64::from(self.prefix) * range + within.min(range)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    #[inline]
    fn find(&self, hash: u32, mut is_it: impl FnMut(Id) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.is_empty() {
                return None;
            }
            if slot.hash == hash && is_it(slot.id) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while !self.slots[at].is_empty() {
            at = self.after(at);
        }
        self.slots[at] = slot;
        self.len += 1;
    }

    /// Whether one more entry would leave less than a quarter of the slots free.
    fn is_full(&self) -> bool {
        (self.len as usize + 1) * 4 > self.slots.len() * 3
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Slot::EMPTY; slots]);
        self.len = 0;
        old.into_iter().filter(|slot| !slot.is_empty()).for_each(|slot| self.place(slot));
    }

    /// Empties a slot and moves up those behind it that may not stand behind an empty one (Knuth, The Art
    /// of Computer Programming 3, 6.4, algorithm R).
    fn clear(&mut self, slot: usize) {
        let len = self.slots.len();
        let steps = |from: usize, to: usize| if to >= from { to - from } else { to + len - from };
        let (mut gap, mut at) = (slot, slot);
        loop {
            at = self.after(at);
            let behind = self.slots[at];
            if behind.is_empty() {
                break;
            }
            if steps(self.home(behind.hash), at) >= steps(gap, at) {
                self.slots[gap] = behind;
                gap = at;
            }
        }
        self.slots[gap] = Slot::EMPTY;
        self.len -= 1;
    }

    /// Shows the entries that are at home at `home`: all stand between it and the next empty slot.
    fn show_home(&self, home: usize, show: &mut impl FnMut(Id)) -> usize {
        let (mut at, mut shown) = (home, 0);
        while !self.slots[at].is_empty() {
            let slot = self.slots[at];
            if self.home(slot.hash) == home {
                show(slot.id);
                shown += 1;
            }
            at = self.after(at);
        }
        shown
    }
}

impl Index {
    /// An index that will not grow while so many entries come.
    pub fn with_room_for(entries: usize) -> Self {
        let mut depth = 0;
        while entries >> depth > ROOMY_ENTRIES && depth < DEEPEST {
            depth += 1;
        }
        // Hashes fall unevenly: some tables get a tenth more than others.
        let each = entries >> depth;
        let slots = (each * 4 / 3 + each / 8 + 1).clamp(FEWEST_SLOTS, MOST_SLOTS);
        let segments = (0..1u32 << depth).map(|prefix| Segment::new(prefix, depth, slots)).collect();
        Self { directory: (0..1 << depth).collect(), depth, segments }
    }

    #[inline]
    fn segment_of(&self, hash: u32) -> usize {
        self.directory[((u64::from(hash) << self.depth) >> 32) as usize] as usize
    }

    /// The entry with this hash that `is_it` says is meant.
    #[inline]
    pub fn find(&self, hash: u32, is_it: impl FnMut(Id) -> bool) -> Option<Id> {
        let segment = &self.segments[self.segment_of(hash)];
        segment.find(hash, is_it).map(|slot| segment.slots[slot].id)
    }

    /// Where a search for this hash begins.
    #[inline]
    pub fn home(&self, hash: u32) -> Stretch {
        let segment = &self.segments[self.segment_of(hash)];
        Stretch::of(&segment.slots[segment.home(hash)])
    }

    /// Adds an entry that is not there.
    pub fn insert(&mut self, hash: u32, id: Id) {
        let mut at = self.segment_of(hash);
        while self.segments[at].is_full() {
            self.grow(at);
            at = self.segment_of(hash);
        }
        self.segments[at].place(Slot { hash, id });
    }

    /// Takes an entry out, which has to be there.
    pub fn remove(&mut self, hash: u32, id: Id) {
        let at = self.segment_of(hash);
        let segment = &mut self.segments[at];
        if let Some(slot) = segment.find(hash, |other| other == id) {
            segment.clear(slot);
        }
        let (len, slots) = (segment.len as usize, segment.slots.len());
        if slots > FEWEST_SLOTS && len * 4 < slots {
            segment.resize((slots / 2).max(FEWEST_SLOTS));
            self.join(at);
        }
    }

    /// Says that the entry at `from` now is at `to`.
    pub fn rename(&mut self, hash: u32, from: Id, to: Id) {
        let at = self.segment_of(hash);
        let segment = &mut self.segments[at];
        if let Some(slot) = segment.find(hash, |other| other == from) {
            segment.slots[slot].id = to;
        }
    }

    /// Shows entries from `cursor` on (0 begins) and gives the next cursor, 0 when all have been shown. It
    /// stops after `count` entries, at the end of a home, or after ten homes for each of them.
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(Id)) -> u64 {
        let mut next = cursor;
        let mut shown = 0;
        for _ in 0..count.max(1).saturating_mul(10) {
            let Ok(hash) = u32::try_from(next) else { return 0 };
            let segment = &self.segments[self.segment_of(hash)];
            let home = segment.home(hash);
            shown += segment.show_home(home, &mut show);
            next = segment.first_hash_behind(home);
            if shown >= count {
                break;
            }
        }
        if next > u64::from(u32::MAX) { 0 } else { next }
    }

    /// The bytes that it owns on the heap. O(number of segments).
    pub fn memory_usage(&self) -> usize {
        let slots = |segment: &Segment| size_class(segment.slots.capacity() * size_of::<Slot>());
        self.segments.iter().map(slots).sum::<usize>()
            + size_class(self.segments.capacity() * size_of::<Segment>())
            + size_class(self.directory.capacity() * size_of::<u32>())
    }

    /// The same, looking at some of very many segments that lie evenly.
    pub fn memory_estimate(&self) -> usize {
        /// Segments that are looked at.
        const LOOKED_AT: usize = 1_024;
        let step = self.segments.len() / LOOKED_AT;
        if step < 2 {
            return self.memory_usage();
        }
        let looked_at = self.segments.len().div_ceil(step);
        let slots = |segment: &Segment| size_class(segment.slots.capacity() * size_of::<Slot>());
        self.segments.iter().step_by(step).map(slots).sum::<usize>() / looked_at * self.segments.len()
            + size_class(self.segments.capacity() * size_of::<Segment>())
            + size_class(self.directory.capacity() * size_of::<u32>())
    }

    /// Makes room in a segment: a small one gets a third more slots, one that has its most is split.
    fn grow(&mut self, at: usize) {
        let in_use = self.segments.len();
        let segment = &mut self.segments[at];
        let slots = segment.slots.len();
        // Splitting helps only where hashes differ: a directory much longer than its segments are many says no.
        let in_vain = segment.depth == self.depth && self.directory.len() > in_use * 16;
        if slots < MOST_SLOTS || segment.depth == DEEPEST || in_vain {
            let more = slots + (slots / 3).max(FEWEST_SLOTS);
            segment.resize(if slots < MOST_SLOTS { more.min(MOST_SLOTS) } else { more });
        } else {
            self.split(at);
        }
    }

    fn split(&mut self, at: usize) {
        if self.segments[at].depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment, segment]).collect();
            self.depth += 1;
        }
        let whole = &mut self.segments[at];
        let (depth, prefix) = (whole.depth + 1, whole.prefix << 1);
        let upper_from = (u64::from(prefix | 1) << (32 - depth)) as u32;
        let slots = (whole.len as usize).next_multiple_of(64).clamp(FEWEST_SLOTS, MOST_SLOTS);
        let mut halves = [Segment::new(prefix, depth, slots), Segment::new(prefix | 1, depth, slots)];
        for slot in whole.slots.iter().filter(|slot| !slot.is_empty()) {
            // A hash that all share could leave one half overfull; it grows like any other.
            let half = &mut halves[usize::from(slot.hash >= upper_from)];
            if half.is_full() {
                half.resize(half.slots.len() * 2);
            }
            half.place(*slot);
        }
        let [lower, upper] = halves;
        *whole = lower;
        self.segments.push(upper);
        self.point_at(self.segments.len() - 1);
    }

    /// Leads the whole range of a segment to it.
    fn point_at(&mut self, at: usize) {
        let segment = &self.segments[at];
        let finer = self.depth - segment.depth;
        let from = (segment.prefix as usize) << finer;
        self.directory[from..from + (1 << finer)].fill(at as u32);
    }

    /// Joins a segment with the other half of a range when both are nearly empty.
    fn join(&mut self, at: usize) {
        let segment = &self.segments[at];
        if segment.depth == 0 || segment.slots.len() * 4 > MOST_SLOTS {
            return;
        }
        let range_start = (u64::from(segment.prefix ^ 1) << (32 - segment.depth)) as u32;
        let other = self.segment_of(range_start);
        if self.segments[other].depth != segment.depth || self.segments[other].slots.len() * 4 > MOST_SLOTS {
            return;
        }
        let (stays, goes) = (at.min(other), at.max(other));
        let gone = self.segments.swap_remove(goes);
        if goes < self.segments.len() {
            self.point_at(goes);
        }
        let segment = &mut self.segments[stays];
        (segment.prefix, segment.depth) = (segment.prefix >> 1, segment.depth - 1);
        // Homes change with the range, so all are placed anew.
        segment.resize(segment.slots.len() + gone.slots.len());
        gone.slots.into_iter().filter(|slot| !slot.is_empty()).for_each(|slot| segment.place(slot));
        self.point_at(stays);
        if let [only] = &self.segments[..]
            && only.depth == 0
        {
            (self.directory, self.depth) = (vec![0], 0);
        }
    }
}
