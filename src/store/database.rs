//! One numbered database: dashmap's shards and what stands beside them.

use std::hash::{BuildHasher, Hash, Hasher};

use dashmap::DashMap;
use siphasher::sip::SipHasher13;

use super::entry::Entry;
use super::hash::{KeyHash, KeyHasher, shard_of};
use super::shard::{Hint, ShardGuard, SideCell};

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key());
    }
}

impl BuildHasher for KeyHasher {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        self.sip()
    }
}

/// Keeps neighbours off each other's cache lines: workers write to the sides of different shards.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded<T>(T);

/// The keys of one database.
pub struct Database {
    map: DashMap<Entry, (), KeyHasher>,
    sides: Box<[Padded<SideCell>]>,
    hints: Box<[Hint]>,
    hasher: KeyHasher,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("shards", &self.sides.len()).finish_non_exhaustive()
    }
}

impl Database {
    /// An empty database of `shards` shards (a power of two, at least 2).
    pub fn new(shards: usize, hasher: KeyHasher) -> Database {
        Database {
            map: DashMap::with_capacity_and_hasher_and_shard_amount(0, hasher.clone(), shards),
            sides: (0..shards).map(|_| Padded::default()).collect(),
            hints: (0..shards).map(|_| Hint::default()).collect(),
            hasher,
        }
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.sides.len()
    }

    /// The shard of a key with this hash.
    #[inline]
    pub fn shard_of(&self, hash: KeyHash) -> usize {
        shard_of(hash, self.sides.len())
    }

    /// Locks a shard.
    #[inline]
    pub fn lock(&self, shard: usize) -> ShardGuard<'_> {
        // Always exclusively: even a read writes the entry's LRU clock.
        let table = self.map.shards()[shard].write();
        ShardGuard::new(table, &self.sides[shard].0, &self.hints[shard], &self.hasher)
    }

    /// Locks a shard if nobody holds it.
    #[inline]
    pub fn try_lock(&self, shard: usize) -> Option<ShardGuard<'_>> {
        let table = self.map.shards()[shard].try_write()?;
        Some(ShardGuard::new(table, &self.sides[shard].0, &self.hints[shard], &self.hasher))
    }

    /// What the shards hold, without locking them.
    pub fn counts(&self) -> super::keyspace::Counts {
        let mut counts = super::keyspace::Counts::default();
        for hint in &self.hints {
            let shard = hint.counts();
            counts.keys += shard.keys;
            counts.expiring += shard.expiring;
            counts.expiry_sum_ms += shard.expiry_sum_ms;
            counts.table_bytes += shard.table_bytes;
        }
        counts
    }

    /// What one shard holds, without locking it.
    pub fn counts_of(&self, shard: usize) -> super::keyspace::Counts {
        self.hints[shard].counts()
    }

    /// First stage of a batch's prefetch: the line of the shard's lock and the hint beside it.
    #[inline]
    pub fn prefetch_shard(&self, shard: usize) {
        super::prefetch::read(std::ptr::from_ref(&self.map.shards()[shard]).cast());
        super::prefetch::read(std::ptr::from_ref(&self.hints[shard]).cast());
    }

    /// Second stage: the control bytes and slots where the search begins.
    #[inline]
    pub fn prefetch_slots(&self, shard: usize, hash: KeyHash) {
        self.hints[shard].prefetch(hash);
    }

    /// Third stage: the entry itself. Looks into the table, so it takes the lock, if it is free.
    #[inline]
    pub fn prefetch_entry(&self, shard: usize, hash: KeyHash) {
        if let Some(guard) = self.try_lock(shard) {
            guard.prefetch_entry(hash);
        }
    }
}
