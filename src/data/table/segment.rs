//! A few dozen records in one buffer: the piece that a table grows by.
//!
//! ```text
//! [slot, 4]...  [record]...           one allocation
//!   room        one behind the other, dead ones between them
//!
//! slot      [offset of the record, 2][tag, 2]         empty: all bits set
//! record    [length of key][length of value][key][value]     the lengths of values only where there are values
//! ```
//!
//! The slots are a hash table with linear probing. A slot's tag is sixteen bits of its record's hash, which say where it
//! is at home, and to which half it goes when the segment is split: the bits from `depth`, rounded down to whole
//! bytes, on. So one split in eight has to compute hashes anew. What goes leaves its bytes behind; they are closed up when the room is wanted, or when they are
//! half of all. A record that is long stands in an allocation of its own, so that closing up moves little.

use std::marker::PhantomData;

use smallvec::SmallVec;

use super::Records;
use super::record::{Lengths, OUTSIDE, Outside, Parts, REACH, has_key, parts_at};
use crate::data::ahead::Stretch;
use crate::data::list::size_class;

/// With so many records a segment is full. The table may give it more when it cannot be split.
pub const MOST_RECORDS: usize = 64;

/// A range of one hash cannot be split.
pub const DEEPEST: u8 = 32;

/// Two halves of a range are joined when they have no more than this together.
const JOINED_RECORDS: usize = MOST_RECORDS * 5 / 8;

/// The longest record that stands in the buffer. Those of a full segment are within reach of an offset.
const LONGEST_INSIDE: usize = 500;

const _: () = assert!(MOST_RECORDS * LONGEST_INSIDE <= REACH);

const SLOT_BYTES: usize = 4;

/// A record's tag and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    const EMPTY: Self = Self(u32::MAX);

    fn new(tag: u16, offset: u16) -> Self {
        Self(u32::from(tag) << 16 | u32::from(offset))
    }

    fn tag(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn offset(self) -> u16 {
        self.0 as u16
    }

    /// The number of the record outside, if it is there.
    fn outside(self) -> Option<usize> {
        (self.offset() & OUTSIDE != 0).then_some(usize::from(self.offset() & !OUTSIDE))
    }
}

/// The records of one range of hashes: those that begin with the same `depth` bits.
#[derive(Debug, Clone)]
pub struct Segment<R> {
    bytes: Vec<u8>,
    outside: Option<Box<Outside>>,
    count: u16,
    /// The number of slots, at most three quarters of which are taken.
    room: u16,
    /// The bytes of records that are gone.
    dead: u16,
    depth: u8,
    /// The first bit of hashes that tags have.
    window: u8,
    records: PhantomData<R>,
}

const _: () = assert!(size_of::<Segment<super::Keys>>() == 40);

impl<R: Records> Segment<R> {
    /// No records of the range that `depth` bits make, and no memory.
    pub const fn new(depth: u8) -> Self {
        let window = window(depth);
        Self {
            bytes: Vec::new(),
            outside: None,
            count: 0,
            room: 0,
            dead: 0,
            depth,
            window,
            records: PhantomData,
        }
    }

    /// No records, with slots for so many and space for `bytes` of them.
    fn with_room(depth: u8, records: usize, bytes: usize) -> Self {
        let mut segment = Self::new(depth);
        let head = slots_for(records) * SLOT_BYTES;
        segment.bytes = Vec::with_capacity(size_class(head + bytes));
        segment.bytes.resize(head, u8::MAX);
        segment.room = slots_for(records) as u16;
        segment
    }

    /// The number of records.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// How many bits all hashes of its range begin with.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether it should be split before more is added.
    pub fn is_full(&self) -> bool {
        self.len() >= MOST_RECORDS
    }

    /// Where a search for this hash begins.
    pub fn slot_ahead(&self, hash: u32) -> Option<Stretch> {
        (self.room > 0)
            .then(|| Stretch::of(&self.bytes[self.home(self.tag_of(hash)) * SLOT_BYTES..][..SLOT_BYTES]))
    }

    /// Where the first record with the tag of this hash is.
    pub fn record_ahead(&self, hash: u32) -> Option<Stretch> {
        // How long it is would have to be read first.
        const USUAL: usize = 48;
        let slot = self.slot(self.find_slot(self.tag_of(hash), |_| true)?);
        let address = match (slot.outside(), &self.outside) {
            (Some(number), Some(outside)) => outside.records[number].as_ptr(),
            _ => self.bytes[self.head() + usize::from(slot.offset())..].as_ptr(),
        };
        Some(Stretch { address, bytes: USUAL })
    }

    /// In which slot the record of this key is, whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u32, key: &[u8]) -> Option<usize> {
        let records = &self.bytes[self.head()..];
        self.find_slot(self.tag_of(hash), |slot| match (&self.outside, slot.outside()) {
            (Some(outside), Some(number)) => has_key::<R>(&outside.records[number], key),
            _ => has_key::<R>(&records[usize::from(slot.offset())..], key),
        })
    }

    /// The record of a slot that is taken: its key and its value.
    #[inline]
    pub fn get(&self, at: usize) -> (&[u8], &[u8]) {
        let (bytes, parts) = self.record(self.slot(at));
        (&bytes[parts.key..parts.value], &bytes[parts.value..parts.end])
    }

    /// The slots that are taken.
    pub fn taken(&self) -> impl Iterator<Item = usize> {
        (0..usize::from(self.room)).filter(|&at| self.slot(at) != Slot::EMPTY)
    }

    /// One of the slots that are taken; there has to be one. `draw` draws a place below the number that it is given.
    pub fn random(&self, mut draw: impl FnMut(usize) -> usize) -> usize {
        loop {
            let at = draw(usize::from(self.room));
            if self.slot(at) != Slot::EMPTY {
                return at;
            }
        }
    }

    /// The record behind `place`, 0 at first, which is moved on. While none has gone, records lie in a row.
    #[inline]
    pub fn next(&self, place: &mut usize) -> Option<(&[u8], &[u8])> {
        if self.dead == 0 && self.outside.is_none() {
            let start = self.head() + *place;
            if start >= self.bytes.len() {
                return None;
            }
            let parts = parts_at::<R>(&self.bytes, start);
            *place += parts.end - start;
            return Some((&self.bytes[parts.key..parts.value], &self.bytes[parts.value..parts.end]));
        }
        while *place < usize::from(self.room) {
            *place += 1;
            if self.slot(*place - 1) != Slot::EMPTY {
                return Some(self.get(*place - 1));
            }
        }
        None
    }

    /// Adds a record, whose key is not there.
    pub fn push(&mut self, hash: u32, key: &[u8], value: &[u8]) {
        let is_short = (self.len() + 1) * 4 > usize::from(self.room) * 3;
        let room = if is_short { slots_for(self.len() + 1) } else { usize::from(self.room) };
        let offset = self.write(room, key, value);
        self.place(Slot::new(self.tag_of(hash), offset));
        self.count += 1;
    }

    /// Writes another value over that of a slot's record, if both are of one length.
    pub fn overwrite(&mut self, at: usize, value: &[u8]) -> bool {
        let slot = self.slot(at);
        let (_, parts) = self.record(slot);
        let is_as_long = parts.end - parts.value == value.len();
        if is_as_long {
            let bytes = match (slot.outside(), &mut self.outside) {
                (Some(number), Some(outside)) => &mut outside.records[number],
                _ => &mut self.bytes[..],
            };
            bytes[parts.value..parts.end].copy_from_slice(value);
        }
        is_as_long
    }

    /// Gives the record of a slot another value, of any length.
    pub fn set_value(&mut self, at: usize, value: &[u8]) {
        let key: SmallVec<[u8; 64]> = SmallVec::from_slice(self.get(at).0);
        let offset = self.write(usize::from(self.room), &key, value);
        // Writing may have closed up the records, which leaves each in its slot.
        let old = self.slot(at);
        self.set_slot(at, Slot::new(old.tag(), offset));
        self.abandon(old);
    }

    /// Takes the record of a slot out.
    pub fn remove(&mut self, at: usize) {
        let gone = self.slot(at);
        self.close_gap(at);
        self.count -= 1;
        if self.count == 0 {
            *self = Self::new(self.depth);
            return;
        }
        self.abandon(gone);
        let needed = size_class(slots_for(self.len()) * SLOT_BYTES + self.live_bytes());
        if needed * 2 <= self.bytes.capacity() {
            self.rebuild(self.len(), 0);
        }
    }

    /// Leaves the records of the lower half of the range here and gives those of the upper half.
    pub fn split(&mut self) -> Self {
        let depth = self.depth + 1;
        let bit = 15 - (self.depth - self.window);
        let is_upper = |at: usize| self.slot(at).tag() >> bit & 1 != 0;
        let sides: SmallVec<[(usize, bool); MOST_RECORDS]> =
            self.taken().map(|at| (at, is_upper(at))).collect();
        let half = |upper: bool| {
            let mine = sides.iter().filter(|(_, side)| *side == upper);
            let (count, bytes) = mine.fold((0, 0), |(count, bytes), (at, _)| {
                (count + 1, bytes + self.inside_bytes(self.slot(*at)))
            });
            Self::with_room(depth, count, bytes)
        };
        let mut halves = [half(false), half(true)];
        for (at, upper) in sides {
            halves[usize::from(upper)].adopt(self, at);
        }
        let [lower, upper] = halves;
        *self = lower;
        upper
    }

    /// Whether this and the other half of a range are few enough to be one.
    pub fn may_join(&self, other: &Self) -> bool {
        self.depth == other.depth && self.len() + other.len() <= JOINED_RECORDS
    }

    /// Takes in the records of the other half of its range.
    pub fn join(&mut self, mut other: Self) {
        let (records, bytes) = (self.len() + other.len(), self.live_bytes() + other.live_bytes());
        let mut whole = Self::with_room(self.depth - 1, records, bytes);
        whole.adopt_all(self);
        whole.adopt_all(&mut other);
        *self = whole;
    }

    /// Shows records whose hashes are `from` or higher, in their order, until `count` have been shown, those of
    /// one hash together. Gives how many it were and the lowest hash that has not been shown, if there is one.
    pub fn scan(&self, from: u32, count: usize, show: &mut impl FnMut(&[u8], &[u8])) -> (usize, Option<u32>) {
        let hash_at = |at: usize| (R::hash(self.get(at).0), at);
        let mut due: SmallVec<[(u32, usize); MOST_RECORDS]> =
            self.taken().map(hash_at).filter(|(hash, _)| *hash >= from).collect();
        if due.len() > count {
            due.sort_unstable();
        }
        let mut shown = 0;
        let mut last = None;
        for (hash, at) in due {
            if shown >= count && last != Some(hash) {
                return (shown, Some(hash));
            }
            let (key, value) = self.get(at);
            show(key, value);
            shown += 1;
            last = Some(hash);
        }
        (shown, None)
    }

    /// The bytes that it owns on the heap.
    #[inline]
    pub fn owned_bytes(&self) -> usize {
        size_class(self.bytes.capacity()) + self.outside.as_ref().map_or(0, |outside| outside.memory_usage())
    }

    #[inline]
    fn head(&self) -> usize {
        usize::from(self.room) * SLOT_BYTES
    }

    fn live_bytes(&self) -> usize {
        self.bytes.len() - self.head() - usize::from(self.dead)
    }

    #[inline]
    fn slot(&self, at: usize) -> Slot {
        match self.bytes[at * SLOT_BYTES..].first_chunk() {
            Some(slot) => Slot(u32::from_le_bytes(*slot)),
            None => Slot::EMPTY,
        }
    }

    #[inline]
    fn set_slot(&mut self, at: usize, slot: Slot) {
        self.bytes[at * SLOT_BYTES..][..SLOT_BYTES].copy_from_slice(&slot.0.to_le_bytes());
    }

    /// The part of a hash that a slot keeps.
    #[inline]
    fn tag_of(&self, hash: u32) -> u16 {
        (hash << self.window >> 16) as u16
    }

    /// The slot at which a tag is at home: its place within the range.
    #[inline]
    fn home(&self, tag: u16) -> usize {
        let within = (u32::from(tag) << (self.depth - self.window)) as u16;
        (usize::from(within) * usize::from(self.room)) >> 16
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == usize::from(self.room) { 0 } else { at + 1 }
    }

    #[inline(always)]
    fn find_slot(&self, tag: u16, mut is_it: impl FnMut(Slot) -> bool) -> Option<usize> {
        let (slots, _) = self.bytes[..self.head()].as_chunks::<SLOT_BYTES>();
        let mut at = self.home(tag);
        loop {
            // There are no slots before the first record comes.
            let slot = Slot(u32::from_le_bytes(*slots.get(at)?));
            if slot.tag() == tag && slot != Slot::EMPTY && is_it(slot) {
                return Some(at);
            }
            if slot == Slot::EMPTY {
                return None;
            }
            at = if at + 1 == slots.len() { 0 } else { at + 1 };
        }
    }

    /// Puts a slot into the first empty one from its home on.
    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag());
        while self.slot(at) != Slot::EMPTY {
            at = self.after(at);
        }
        self.set_slot(at, slot);
    }

    /// Empties a slot and moves up those behind it that may not stand behind an empty one (Knuth, the same
    /// place, algorithm R).
    fn close_gap(&mut self, slot: usize) {
        let room = usize::from(self.room);
        let steps = |from: usize, to: usize| if to >= from { to - from } else { to + room - from };
        let (mut gap, mut at) = (slot, slot);
        loop {
            at = self.after(at);
            let behind = self.slot(at);
            if behind == Slot::EMPTY {
                break;
            }
            if steps(self.home(behind.tag()), at) >= steps(gap, at) {
                self.set_slot(gap, behind);
                gap = at;
            }
        }
        self.set_slot(gap, Slot::EMPTY);
    }

    /// A record's parts and the bytes in which they are.
    #[inline]
    fn record(&self, slot: Slot) -> (&[u8], Parts) {
        match (&self.outside, slot.outside()) {
            (Some(outside), Some(number)) => {
                let record = &outside.records[number];
                (record, parts_at::<R>(record, 0))
            }
            _ => (&self.bytes, parts_at::<R>(&self.bytes, self.head() + usize::from(slot.offset()))),
        }
    }

    /// What a record takes in the buffer.
    fn inside_bytes(&self, slot: Slot) -> usize {
        let (_, parts) = self.record(slot);
        if slot.outside().is_some() { 0 } else { parts.end - parts.start }
    }

    /// Makes room for so many slots, and writes a record. Gives its offset.
    fn write(&mut self, room: usize, key: &[u8], value: &[u8]) -> u16 {
        let lengths = Lengths::of::<R>(key, value);
        let len = lengths.len() + key.len() + value.len();
        let inside = len <= LONGEST_INSIDE && self.live_bytes() + len <= REACH;
        self.make_room(room, if inside { len } else { 0 });
        if !inside {
            return self.outside.get_or_insert_default().push(&lengths, key, value);
        }
        let offset = self.bytes.len() - self.head();
        lengths.write(&mut self.bytes);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        offset as u16
    }

    fn make_room(&mut self, room: usize, record_bytes: usize) {
        let used = self.bytes.len() - self.head();
        let needed = room * SLOT_BYTES + used + record_bytes;
        let is_short = needed > self.bytes.capacity();
        if used + record_bytes > REACH || (is_short && usize::from(self.dead) * 4 > used) {
            self.close_up(needed - used - self.head());
        } else if is_short {
            self.bytes.reserve_exact(size_class(needed) - self.bytes.len());
        }
        self.widen(room);
    }

    /// Moves the records, so that there is room for more slots, and places those that are taken anew.
    fn widen(&mut self, room: usize) {
        let (old, end) = (self.head(), self.bytes.len());
        if room * SLOT_BYTES <= old {
            return;
        }
        let slots: SmallVec<[Slot; MOST_RECORDS]> = self.taken().map(|at| self.slot(at)).collect();
        self.bytes.resize(end + room * SLOT_BYTES - old, 0);
        self.bytes.copy_within(old..end, room * SLOT_BYTES);
        self.bytes[..room * SLOT_BYTES].fill(u8::MAX);
        self.room = room as u16;
        slots.into_iter().for_each(|slot| self.place(slot));
    }

    /// Closes up the records, with space for `spare` bytes more. Each keeps its slot.
    fn close_up(&mut self, spare: usize) {
        let mut bytes = Vec::with_capacity(size_class(self.head() + self.live_bytes() + spare));
        bytes.extend_from_slice(&self.bytes[..self.head()]);
        let mut whole = Self { bytes, outside: None, dead: 0, ..*self };
        for at in self.taken().filter(|&at| self.slot(at).outside().is_none()) {
            let slot = self.slot(at);
            let offset = whole.bytes.len() - self.head();
            let (_, parts) = self.record(slot);
            whole.bytes.extend_from_slice(&self.bytes[parts.start..parts.end]);
            whole.set_slot(at, Slot::new(slot.tag(), offset as u16));
        }
        whole.outside = self.outside.take();
        *self = whole;
    }

    /// Moves all to a buffer for so many records, with space for `spare` bytes more.
    fn rebuild(&mut self, records: usize, spare: usize) {
        let mut whole = Self::with_room(self.depth, records, self.live_bytes() + spare);
        whole.adopt_all(self);
        *self = whole;
    }

    fn adopt_all(&mut self, other: &mut Self) {
        for at in 0..usize::from(other.room) {
            if other.slot(at) != Slot::EMPTY {
                self.adopt(other, at);
            }
        }
    }

    /// Takes a record of another segment, from which it is gone then.
    fn adopt(&mut self, other: &mut Self, at: usize) {
        let slot = other.slot(at);
        let tag = match self.window == other.window {
            true => slot.tag(),
            false => self.tag_of(R::hash(other.get(at).0)),
        };
        let offset = match (slot.outside(), &mut other.outside) {
            (Some(number), Some(outside)) => {
                let record = std::mem::take(&mut outside.records[number]);
                self.outside.get_or_insert_default().add(record)
            }
            _ => {
                let Parts { start, end, .. } =
                    parts_at::<R>(&other.bytes, other.head() + usize::from(slot.offset()));
                let offset = self.bytes.len() - self.head();
                self.bytes.extend_from_slice(&other.bytes[start..end]);
                offset as u16
            }
        };
        self.place(Slot::new(tag, offset));
        self.count += 1;
    }

    /// Gives up the bytes of a record that no slot leads to any more.
    fn abandon(&mut self, slot: Slot) {
        let (Some(number), Some(outside)) = (slot.outside(), &mut self.outside) else {
            self.dead += self.inside_bytes(slot) as u16;
            return;
        };
        let moved = outside.swap_remove(number);
        if outside.records.is_empty() {
            self.outside = None;
        }
        if moved != number {
            let is_moved = |at: &usize| self.slot(*at).outside() == Some(moved);
            let at = self.taken().find(is_moved);
            at.into_iter().for_each(|at| self.set_slot(at, Slot::new(self.slot(at).tag(), slot.offset())));
        }
    }
}

/// The first bit of hashes that tags have in a segment of this depth.
const fn window(depth: u8) -> u8 {
    if depth < 16 { depth & !7 } else { 16 }
}

/// How many slots there are for so many records: a third more, and one that is empty in any case. From one split to the
/// next they become more only once.
fn slots_for(records: usize) -> usize {
    let slots = records + records / 3 + 1;
    slots.next_multiple_of(if slots > 16 { 32 } else { 4 })
}
