//! One shard under its lock: the table of entries and the data that stands beside it.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use dashmap::{RwLockWriteGuard, SharedValue};
use hashbrown::raw::RawTable;

use super::entry::Entry;
use super::hash::{KeyHash, KeyHasher};
use super::hooks::Hooks;
use super::keyspace::Counts;
use super::object::Object;

/// What dashmap keeps in a shard when its value is nothing.
pub(super) type Table = RawTable<(Entry, SharedValue<()>)>;

/// How much a table of so many buckets must hold when `len` entries and the tombstones among them have
/// filled it: the next size, or the same one again when most of it is tombstones.
///
/// hashbrown fills seven eighths of its buckets, whose number is a power of two. One entry more than that
/// asks for exactly twice the buckets; twice the entries would ask for four times as many.
fn grown_capacity(len: usize, buckets: usize) -> usize {
    let full = if buckets < 8 { buckets.saturating_sub(1) } else { buckets / 8 * 7 };
    if len < full / 2 { full } else { full + 1 }
}

/// A table smaller than this is not worth shrinking.
const SMALLEST_SHRINK: usize = 32;

/// How many entries ahead a rebuild asks for.
const REBUILD_AHEAD: usize = 16;

/// What a shard knows beside its table, guarded by the same lock.
#[derive(Debug)]
pub struct Side {
    /// How many entries have an expiry.
    pub expiring: u32,
    /// Counts rebuilds of the table: whoever walks it by position starts again when it moved.
    pub generation: u32,
    /// No entry expires before this time (it may be too early, never too late).
    pub next_due_ms: u64,
    /// The earliest expiry set since a sweep of this shard began: the sweep may have passed its slot.
    pub due_since_sweep_ms: u64,
    /// Sum of all expiries, for the mean remaining life.
    pub expiry_sum_ms: u128,
    /// Who waits for or watches keys of this shard, when anybody does.
    pub hooks: Option<Box<Hooks>>,
}

impl Default for Side {
    fn default() -> Side {
        Side {
            expiring: 0,
            generation: 0,
            next_due_ms: u64::MAX,
            due_since_sweep_ms: u64::MAX,
            expiry_sum_ms: 0,
            hooks: None,
        }
    }
}

/// A [`Side`] that only the holder of the shard's lock may reach.
#[derive(Debug, Default)]
pub(super) struct SideCell(UnsafeCell<Side>);

// SAFETY: the only way to the inner value is through a ShardGuard, which holds the shard's
// exclusive lock for as long as the reference lives; Side itself is Send.
unsafe impl Sync for SideCell {}

/// What may be known of a shard without its lock: where its table lies, for prefetching, and how much
/// it holds, for whoever counts. Written by the holder of the lock.
#[derive(Debug, Default)]
pub(super) struct Hint {
    control: AtomicUsize,
    mask: AtomicUsize,
    keys: AtomicU32,
    expiring: AtomicU32,
    /// Saturates, far beyond any mean that makes sense.
    expiry_sum_ms: AtomicU64,
}

impl Hint {
    fn set(&self, table: &Table) {
        self.control.store(table.data_end().as_ptr() as usize, Ordering::Relaxed);
        self.mask.store(table.buckets() - 1, Ordering::Relaxed);
    }

    /// What the shard holds, as the last holder of the lock left it.
    pub(super) fn counts(&self) -> Counts {
        let slots =
            if self.control.load(Ordering::Relaxed) == 0 { 0 } else { self.mask.load(Ordering::Relaxed) + 1 };
        // A slot, its control byte, and the group that is repeated at the end.
        let bytes = if slots == 0 { 0 } else { slots * (size_of::<Entry>() + 1) + 16 };
        Counts {
            keys: self.keys.load(Ordering::Relaxed) as usize,
            expiring: self.expiring.load(Ordering::Relaxed) as usize,
            expiry_sum_ms: u128::from(self.expiry_sum_ms.load(Ordering::Relaxed)),
            table_bytes: bytes,
        }
    }

    /// Fetches the control bytes and the slot where a search for `hash` begins. The address may be
    /// stale, which costs a useless fetch and nothing else.
    #[inline]
    pub(super) fn prefetch(&self, hash: KeyHash) {
        let control = self.control.load(Ordering::Relaxed);
        if control == 0 {
            return;
        }
        let start = hash as usize & self.mask.load(Ordering::Relaxed);
        super::prefetch::read((control + start) as *const u8);
        super::prefetch::read(control.wrapping_sub((start + 1) * size_of::<Entry>()) as *const u8);
    }
}

/// The place of an entry in its shard, valid until the shard's table changes its shape or the entry goes.
pub type Slot = usize;

/// A shard, exclusively locked.
pub struct ShardGuard<'a> {
    table: RwLockWriteGuard<'a, Table>,
    side: &'a SideCell,
    hint: &'a Hint,
    hasher: &'a KeyHasher,
}

impl<'a> ShardGuard<'a> {
    pub(super) fn new(
        table: RwLockWriteGuard<'a, Table>,
        side: &'a SideCell,
        hint: &'a Hint,
        hasher: &'a KeyHasher,
    ) -> ShardGuard<'a> {
        ShardGuard { table, side, hint, hasher }
    }

    /// The data beside the table.
    #[inline]
    pub fn side(&self) -> &Side {
        // SAFETY: this guard holds the shard's exclusive lock, and `&self` forbids a `&mut Side`
        // made through the same guard meanwhile.
        unsafe { &*self.side.0.get() }
    }

    /// The data beside the table, to change it.
    #[inline]
    pub fn side_mut(&mut self) -> &mut Side {
        // SAFETY: this guard holds the shard's exclusive lock and is borrowed exclusively.
        unsafe { &mut *self.side.0.get() }
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Number of slots, full or not.
    pub fn slots(&self) -> usize {
        self.table.buckets()
    }

    /// Looks a key up.
    #[inline]
    pub fn find(&self, hash: KeyHash, key: &[u8]) -> Option<Slot> {
        let bucket = self.table.find(hash, |(entry, _)| entry.has_key(key))?;
        // SAFETY: the bucket was just found in this table.
        Some(unsafe { self.table.bucket_index(&bucket) })
    }

    /// The slot of a key with this hash.
    pub fn find_hash(&self, hash: KeyHash) -> Option<Slot> {
        let hasher = self.hasher;
        let bucket = self.table.find(hash, |(entry, _)| hasher.hash(entry.key()) == hash)?;
        // SAFETY: the bucket was just found in this table.
        Some(unsafe { self.table.bucket_index(&bucket) })
    }

    /// The entry in a slot, if the slot is full.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        // SAFETY: the index is checked against the number of buckets, and only a full bucket,
        // which holds an initialised entry, is read.
        unsafe {
            if slot < self.table.buckets() && self.table.is_bucket_full(slot) {
                Some(&self.table.bucket(slot).as_ref().0)
            } else {
                None
            }
        }
    }

    /// The entry in a slot, to change it. The key must stay the same.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        // SAFETY: as in `get`; `&mut self` and the exclusive lock make the reference unique.
        unsafe {
            if slot < self.table.buckets() && self.table.is_bucket_full(slot) {
                Some(&mut self.table.bucket(slot).as_mut().0)
            } else {
                None
            }
        }
    }

    /// Adds an entry whose key is known to be absent.
    pub fn insert(&mut self, hash: KeyHash, entry: Entry) -> Slot {
        let mut item = (entry, SharedValue::new(()));
        loop {
            match self.table.try_insert_no_grow(hash, item) {
                Ok(bucket) => {
                    self.note_keys();
                    // SAFETY: the bucket was just made in this table.
                    return unsafe { self.table.bucket_index(&bucket) };
                }
                Err(back) => item = back,
            }
            self.rebuild(grown_capacity(self.table.len(), self.table.buckets()));
        }
    }

    /// Takes the entry out of a slot.
    pub fn remove(&mut self, slot: Slot) -> Option<Entry> {
        self.get(slot)?;
        // SAFETY: `get` showed that the slot exists and is full.
        let ((entry, _), _) = unsafe {
            let bucket = self.table.bucket(slot);
            self.table.remove(bucket)
        };
        self.note_keys();
        Some(entry)
    }

    /// Gives a table that has become far too large back. Call it between units, never while slots are held.
    pub fn shrink_if_sparse(&mut self) {
        let slots = self.table.buckets();
        if slots >= SMALLEST_SHRINK && self.table.len() * 8 < slots {
            self.rebuild(self.table.len() * 2);
        }
    }

    /// Moves all entries to a table of its own making. Hashing needs every key, and the keys lie
    /// scattered: they are asked for some entries ahead, which makes it several times as fast as
    /// the table's own growth.
    fn rebuild(&mut self, capacity: usize) {
        let mut grown = Table::with_capacity(capacity);
        let old = std::mem::take(&mut *self.table);
        let mut ahead: [Option<(Entry, SharedValue<()>)>; REBUILD_AHEAD] = Default::default();
        let mut turn = 0;
        for item in old {
            item.0.prefetch();
            if let Some(ready) = ahead[turn].replace(item) {
                self.place(&mut grown, ready);
            }
            turn = (turn + 1) % REBUILD_AHEAD;
        }
        for ready in ahead.into_iter().flatten() {
            self.place(&mut grown, ready);
        }
        *self.table = grown;
        self.hint.set(&self.table);
        let side = self.side_mut();
        side.generation = side.generation.wrapping_add(1);
    }

    fn place(&self, table: &mut Table, item: (Entry, SharedValue<()>)) {
        let hash = self.hasher.hash(item.0.key());
        let hasher = self.hasher;
        table.insert(hash, item, |(entry, _)| hasher.hash(entry.key()));
    }

    /// Takes all entries out at once and leaves the shard empty. Who watches or waits stays.
    pub fn take_all(&mut self) -> Vec<Entry> {
        let old = std::mem::take(&mut *self.table);
        self.hint.control.store(0, Ordering::Relaxed);
        self.note_keys();
        self.hint.expiring.store(0, Ordering::Relaxed);
        self.hint.expiry_sum_ms.store(0, Ordering::Relaxed);
        let side = self.side_mut();
        side.generation = side.generation.wrapping_add(1);
        side.expiring = 0;
        side.expiry_sum_ms = 0;
        side.next_due_ms = u64::MAX;
        side.due_since_sweep_ms = u64::MAX;
        old.into_iter().map(|(entry, _)| entry).collect()
    }

    #[inline]
    fn note_keys(&self) {
        self.hint.keys.store(self.table.len() as u32, Ordering::Relaxed);
    }

    /// Changes the count of entries with an expiry.
    pub fn count_expiring(&mut self, before: Option<u64>, after: Option<u64>) {
        let side = self.side_mut();
        side.expiring = side.expiring + u32::from(after.is_some()) - u32::from(before.is_some());
        side.expiry_sum_ms =
            side.expiry_sum_ms + u128::from(after.unwrap_or(0)) - u128::from(before.unwrap_or(0));
        let (expiring, sum) = (side.expiring, side.expiry_sum_ms);
        self.hint.expiring.store(expiring, Ordering::Relaxed);
        self.hint.expiry_sum_ms.store(u64::try_from(sum).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Fetches the entry that a search for `hash` will most likely compare first.
    #[inline]
    pub fn prefetch_entry(&self, hash: KeyHash) {
        // The first entry with the same tag is the right one in all but 1 of 128 tables.
        let _ = self.table.find(hash, |(entry, _)| {
            entry.prefetch();
            true
        });
    }

    /// The collection that is most likely stored under a key with this hash.
    #[inline]
    pub fn collection(&self, hash: KeyHash) -> Option<&Object> {
        self.table.get(hash, |_| true).and_then(|(entry, _)| entry.as_object())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_grows_to_the_next_size_and_no_further() {
        let mut buckets = Table::with_capacity(1).buckets();
        for _ in 0..12 {
            let full = Table::with_capacity(1).capacity().max(buckets / 8 * 7);
            assert_eq!(Table::with_capacity(grown_capacity(full, buckets)).buckets(), buckets * 2);
            assert_eq!(Table::with_capacity(grown_capacity(0, buckets)).buckets(), buckets);
            buckets *= 2;
        }
    }
}
