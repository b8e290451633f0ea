//! What the large forms of sets, hashes and sorted sets stand on.
//!
//! Here live the hash table over a dense row of entries, its cursor walk, the byte
//! string that is stored in place when it is short, and the packed buffer of the
//! small forms. Here never lives what a member, a field or a score means: the
//! rooms `set`, `hash` and `sorted_set` say that.
//!
//! A [`Table`] is two arrays. `entries` holds what is stored, without holes, so a
//! random entry is one index away. `slots` is the hash table proper: open
//! addressing with linear probing, each slot the hash of an entry and its place.
//!
//! ```text
//! slots    [ - | h7:2 | h7:0 | - | h4:1 | - | - | - ]    hash : id
//! entries  [ 0: "apple" | 1: "pear" | 2: "plum" ]
//! ```
//!
//! Removing an entry moves the last one into its place, and closes the gap that
//! it leaves among the slots (no tombstones). So an entry always stands between
//! its home slot (the low bits of its hash) and the next empty slot, and that
//! is what the walk in `scan.rs` relies on.

mod limits;
pub mod packed;
mod scan;
pub mod serial;
mod text;

use std::hash::BuildHasher;
use std::sync::LazyLock;

use siphasher::sip::SipHasher13;

pub use limits::Limits;
pub use text::Text;

use super::ahead::{Ahead, address_of};
use super::list::size_class;

/// What a table stores.
pub trait Entry {
    /// The bytes that the entry is found by.
    fn key(&self) -> &[u8];
    /// The bytes that it owns on the heap.
    fn owned_bytes(&self) -> usize;
}

/// The place of an entry in its table. Removing another entry may change it.
pub type Id = u32;

/// A hash table over a dense row of entries. See the module's description.
#[derive(Debug, Clone)]
pub struct Table<E> {
    entries: Vec<E>,
    /// Empty, or a power of two of which at most three quarters are taken.
    slots: Vec<Slot>,
    /// What the entries own on the heap.
    owned_bytes: usize,
}

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

/// Slots are addressed by a hash of 32 bits.
const MOST_SLOTS: usize = 1 << 32;

/// The hash of keys in every table of this process: SipHash 1-3 under a random
/// key, so that nobody can choose keys that collide, SCAN's order or not.
pub fn hash_of(key: &[u8]) -> u32 {
    static HASHER: LazyLock<SipHasher13> = LazyLock::new(|| {
        let random = std::hash::RandomState::new();
        SipHasher13::new_with_keys(random.hash_one(0u8), random.hash_one(1u8))
    });
    HASHER.hash(key) as u32
}

/// A place below `len` for a `pick` that is uniform over all of `u64`.
pub fn place_of(pick: u64, len: usize) -> usize {
    ((u128::from(pick) * len as u128) >> 64) as usize
}

impl<E: Entry> Table<E> {
    /// A table without entries, which owns no memory.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), slots: Vec::new(), owned_bytes: 0 }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, in no order that means anything.
    pub fn entries(&self) -> &[E] {
        &self.entries
    }

    /// The entry at `id`, which has to be there.
    pub fn entry(&self, id: Id) -> &E {
        &self.entries[id as usize]
    }

    /// The place of the entry with this key. `hash` is [`hash_of`] it.
    #[inline]
    pub fn find(&self, hash: u32, key: &[u8]) -> Option<Id> {
        self.find_slot(hash, |id| self.entry(id).key() == key).map(|slot| self.slots[slot].id)
    }

    /// Where a search for a key with this hash will read.
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<*const u8> {
        let home = hash as usize & self.slots.len().checked_sub(1)?;
        match what {
            Ahead::Slot => Some(address_of(&self.slots[home])),
            Ahead::Entry => {
                let slot = self.find_slot(hash, |_| true)?;
                self.entries.get(self.slots[slot].id as usize).map(address_of)
            }
        }
    }

    /// Adds an entry whose key is not there yet. Its hash is `hash`.
    ///
    /// # Panics
    ///
    /// When the table has 3,221,225,472 entries.
    pub fn push(&mut self, hash: u32, entry: E) -> Id {
        if (self.entries.len() + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(FEWEST_SLOTS));
        }
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact((self.entries.len() / 2).max(1));
        }
        let id = self.entries.len() as Id;
        self.owned_bytes += entry.owned_bytes();
        self.entries.push(entry);
        place(&mut self.slots, Slot { hash, id });
        id
    }

    /// Changes an entry. Its key has to stay as it is.
    pub fn update<R>(&mut self, id: Id, change: impl FnOnce(&mut E) -> R) -> R {
        let entry = &mut self.entries[id as usize];
        let before = entry.owned_bytes();
        let result = change(entry);
        self.owned_bytes = self.owned_bytes - before + entry.owned_bytes();
        result
    }

    /// Takes the entry at `id`, which has to be there. The last entry gets its id.
    pub fn remove(&mut self, id: Id) -> E {
        let last = (self.entries.len() - 1) as Id;
        let slot = self.slot_of(id);
        if id != last {
            let slot_of_last = self.slot_of(last);
            self.slots[slot_of_last].id = id;
        }
        self.close_gap(slot);
        let entry = self.entries.swap_remove(id as usize);
        self.owned_bytes -= entry.owned_bytes();
        self.shrink_when_sparse();
        entry
    }

    /// The bytes that the table owns on the heap, itself not counted. O(1).
    pub fn memory_usage(&self) -> usize {
        size_class(self.entries.capacity() * size_of::<E>())
            + size_class(self.slots.capacity() * size_of::<Slot>())
            + self.owned_bytes
    }

    fn find_slot(&self, hash: u32, mut is_it: impl FnMut(Id) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.is_empty() {
                return None;
            }
            if slot.hash == hash && is_it(slot.id) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The slot of an entry that is there.
    fn slot_of(&self, id: Id) -> usize {
        match self.find_slot(hash_of(self.entry(id).key()), |other| other == id) {
            Some(slot) => slot,
            None => unreachable!("every entry has a slot"),
        }
    }

    /// Empties a slot and moves up those behind it that may not stand behind an
    /// empty one (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
    fn close_gap(&mut self, slot: usize) {
        let mask = self.slots.len() - 1;
        let mut gap = slot;
        let mut at = slot;
        loop {
            at = (at + 1) & mask;
            let behind = self.slots[at];
            if behind.is_empty() {
                break;
            }
            let from_home = at.wrapping_sub(behind.hash as usize) & mask;
            if from_home >= at.wrapping_sub(gap) & mask {
                self.slots[gap] = behind;
                gap = at;
            }
        }
        self.slots[gap] = Slot::EMPTY;
    }

    fn resize(&mut self, len: usize) {
        assert!(len <= MOST_SLOTS, "a table has at most 2^32 slots");
        let mut slots = vec![Slot::EMPTY; len];
        for slot in self.slots.iter().filter(|slot| !slot.is_empty()) {
            place(&mut slots, *slot);
        }
        self.slots = slots;
    }

    /// Halves what is less than an eighth full: the table that comes of it is
    /// less than a quarter full, so neither way is taken again soon.
    fn shrink_when_sparse(&mut self) {
        if self.slots.len() > FEWEST_SLOTS && self.entries.len() * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
        if self.entries.capacity() > FEWEST_SLOTS && self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }
}

/// Puts a slot into the first empty one from its home on.
fn place(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut at = slot.hash as usize & mask;
    while !slots[at].is_empty() {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}
