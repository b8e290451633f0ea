//! The store: databases, their names, and what all of them share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::data::ahead::Ahead;
use crate::data::element_hash;

use super::database::Database;
use super::entry::Entry;
use super::hash::{KeyHash, KeyHasher};
use super::object::Object;
use super::saves::Saves;
use super::shard::ShardGuard;
use super::tracked::Tracked;
use super::view::Loss;
use super::waits::{GroupedWaits, LOCK_GROUPS, LockWaits};

/// How a store is laid out.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Number of numbered databases.
    pub databases: usize,
    /// Shards of each database: a power of two, 16 to 65,536.
    pub shards: usize,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { databases: 16, shards: 4_096 }
    }
}

/// Values that are freed elsewhere than in a worker.
pub type Garbage = Vec<Entry>;

type TellLoss = dyn Fn(usize, &[u8], Loss) + Send + Sync;

/// Who hears of keys that go by themselves.
struct Losses(Box<TellLoss>);

impl std::fmt::Debug for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Losses")
    }
}

/// With fewer elements a collection lies in the caches once its first lines do.
const LARGE: usize = 256;

/// All keys of the server.
#[derive(Debug)]
pub struct Store {
    /// Databases come to life when first used: an empty one costs nothing.
    databases: Box<[OnceLock<Database>]>,
    /// Which physical database bears a number. SWAPDB changes it, holding the whole keyspace.
    names: Box<[AtomicUsize]>,
    shards: usize,
    hasher: KeyHasher,
    pub(super) saves: Saves,
    /// How many watches and waits exist: while none does, a write need not look for them.
    pub(super) hooks: AtomicUsize,
    pub(super) tracked: Tracked,
    lock_waits: GroupedWaits,
    /// Measures waits for locks.
    clock: Clock,
    garbage: OnceLock<Sender<Garbage>>,
    losses: OnceLock<Losses>,
    garbage_pending: AtomicUsize,
    garbage_freed: AtomicU64,
    garbage_bytes: AtomicUsize,
}

/// What freeing values will give back, roughly: looking at each element would cost what freeing it costs.
pub fn garbage_estimate(entries: &Garbage) -> usize {
    /// Collections up to this weight say exactly what they take.
    const EXACT: usize = 4_096;
    /// A small string with its key, and an element of a large collection.
    const ENTRY_BYTES: usize = 96;
    const ELEMENT_BYTES: usize = 64;
    let [entry] = &entries[..] else { return entries.len() * ENTRY_BYTES };
    match entry.as_object().map(Object::weight) {
        Some(weight) if weight > EXACT => weight * ELEMENT_BYTES,
        _ => entry.memory_usage(),
    }
}

impl Store {
    /// An empty store.
    pub fn new(options: &StoreOptions) -> Store {
        Store::with_hasher(options, KeyHasher::random())
    }

    /// An empty store with a given hash key, for tests.
    pub fn with_hasher(options: &StoreOptions, hasher: KeyHasher) -> Store {
        Store {
            databases: (0..options.databases).map(|_| OnceLock::new()).collect(),
            names: (0..options.databases).map(AtomicUsize::new).collect(),
            shards: options.shards,
            hasher,
            saves: Saves::default(),
            hooks: AtomicUsize::new(0),
            tracked: Tracked::default(),
            garbage: OnceLock::new(),
            losses: OnceLock::new(),
            garbage_pending: AtomicUsize::new(0),
            garbage_freed: AtomicU64::new(0),
            garbage_bytes: AtomicUsize::new(0),
            lock_waits: GroupedWaits::default(),
            clock: Clock::system(),
        }
    }

    /// Number of numbered databases.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Hashes a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        self.hasher.hash(key)
    }

    /// The physical database behind a number.
    #[inline]
    pub(super) fn physical(&self, number: usize) -> usize {
        self.names[number].load(Ordering::Relaxed)
    }

    /// Exchanges two numbers. The caller holds the whole keyspace.
    pub(super) fn swap_names(&self, a: usize, b: usize) {
        let (first, second) = (self.physical(a), self.physical(b));
        self.names[a].store(second, Ordering::Relaxed);
        self.names[b].store(first, Ordering::Relaxed);
    }

    /// A physical database, made when it is first asked for.
    #[inline]
    pub(super) fn database(&self, physical: usize) -> &Database {
        self.databases[physical].get_or_init(|| Database::new(self.shards, self.hasher.clone()))
    }

    /// A physical database, if it was ever used.
    pub(super) fn existing(&self, physical: usize) -> Option<&Database> {
        self.databases[physical].get()
    }

    /// Makes a database's tables, which are there from then on: for the one that every server uses.
    pub fn prepare(&self, number: usize) {
        self.database(self.physical(number));
    }

    /// Number of shards of each database.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Locks a shard, however long it takes.
    #[inline]
    pub(super) fn lock(&self, physical: usize, shard: usize) -> ShardGuard<'_> {
        self.database(physical).lock(shard)
    }

    /// Locks a shard and says how long somebody else kept it, in nanoseconds: 0 when nobody did.
    #[inline(always)]
    pub(super) fn lock_timed(&self, physical: usize, shard: usize) -> (ShardGuard<'_>, u64) {
        match self.database(physical).try_lock(shard) {
            Some(guard) => (guard, 0),
            None => self.lock_waiting(physical, shard),
        }
    }

    #[cold]
    fn lock_waiting(&self, physical: usize, shard: usize) -> (ShardGuard<'_>, u64) {
        self.lock_waits.begin(shard, self.shards);
        let began = self.clock.stamp();
        let guard = self.database(physical).lock(shard);
        let waited_ns = self.clock.stamp().saturating_sub(began).max(1);
        self.lock_waits.end(shard, self.shards, waited_ns);
        (guard, waited_ns)
    }

    /// What a running save shares with the writers.
    pub fn saves(&self) -> &Saves {
        &self.saves
    }

    /// How often a unit of work found a shard's lock taken and how long it waited, by group of shards.
    pub fn lock_waits(&self) -> [LockWaits; LOCK_GROUPS] {
        self.lock_waits.all()
    }

    /// Forgets those waits (CONFIG RESETSTAT).
    pub fn reset_lock_waits(&self) {
        self.lock_waits.reset();
    }

    /// Says who is told of keys that go though no command removes them. He is told while the key's shard is
    /// locked, and must not lock anything of the store.
    pub fn on_loss(&self, tell: impl Fn(usize, &[u8], Loss) + Send + Sync + 'static) {
        // A second one is ignored: the first one is told.
        let _ = self.losses.set(Losses(Box::new(tell)));
    }

    #[inline]
    pub(super) fn tell_lost(&self, database: usize, key: &[u8], why: Loss) {
        if let Some(losses) = self.losses.get() {
            (losses.0)(database, key, why);
        }
    }

    /// Says who frees large values. Without it they are freed where they were removed.
    pub fn free_elsewhere(&self, to: Sender<Garbage>) {
        // A second reclaimer is ignored: the first one serves.
        let _ = self.garbage.set(to);
    }

    /// Frees values, elsewhere when that is set up.
    pub(super) fn discard(&self, entries: Garbage) {
        let count = entries.len();
        let Some(to) = self.garbage.get() else { return };
        let bytes = garbage_estimate(&entries);
        self.garbage_pending.fetch_add(count, Ordering::Relaxed);
        self.garbage_bytes.fetch_add(bytes, Ordering::Relaxed);
        if to.send(entries).is_err() {
            self.garbage_done(count, bytes);
        }
    }

    /// The reclaimer says that it has freed some, whose [`garbage_estimate`] was `bytes`.
    pub fn garbage_done(&self, count: usize, bytes: usize) {
        self.garbage_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.garbage_pending.fetch_sub(count, Ordering::Relaxed);
        self.garbage_freed.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Values that wait to be freed, and how many have been.
    pub fn garbage(&self) -> (usize, u64) {
        (self.garbage_pending.load(Ordering::Relaxed), self.garbage_freed.load(Ordering::Relaxed))
    }

    /// Roughly what the values that wait to be freed will give back.
    pub fn garbage_bytes(&self) -> usize {
        self.garbage_bytes.load(Ordering::Relaxed)
    }

    /// Forgets how many values have been freed (CONFIG RESETSTAT).
    pub fn reset_garbage_count(&self) {
        self.garbage_freed.store(0, Ordering::Relaxed);
    }

    /// Fetches what a batch of keys of one database will need, in stages over all of them: each stage
    /// hides the memory latency of the one before.
    pub fn prefetch(&self, number: usize, keys: &[KeyHash]) {
        let Some(database) = self.existing(self.physical(number)) else { return };
        let places: SmallVec<[(usize, KeyHash); 64]> =
            keys.iter().map(|&hash| (database.shard_of(hash), hash)).collect();
        places.iter().for_each(|&(shard, _)| database.prefetch_shard(shard));
        places.iter().for_each(|&(shard, hash)| database.prefetch_slots(shard, hash));
        places.iter().for_each(|&(shard, hash)| database.prefetch_entry(shard, hash));
    }

    /// Fetches what the search for one key will read, but for the entry: that is for who looks for it at once.
    #[inline]
    pub fn prefetch_search(&self, number: usize, hash: KeyHash) {
        let Some(database) = self.existing(self.physical(number)) else { return };
        let shard = database.shard_of(hash);
        database.prefetch_shard(shard);
        database.prefetch_slots(shard, hash);
    }

    /// Fetches what commands that name an element of a collection will read there: for each the collection's
    /// key and the element. The keys' entries have been fetched. An element whose collection is small, busy or
    /// none costs one look.
    pub fn prefetch_elements(&self, number: usize, wanted: &[(KeyHash, &[u8])]) {
        let Some(database) = self.existing(self.physical(number)) else { return };
        let mut hashes: SmallVec<[Option<u32>; 16]> = SmallVec::from_elem(None, wanted.len());
        for what in Ahead::ALL {
            // One look for all that follow each other in a collection, as those of a pipeline mostly do.
            let mut rest = hashes.as_mut_slice();
            for run in wanted.chunk_by(|(key, _), (next, _)| key == next) {
                let (here, behind) = rest.split_at_mut(run.len());
                rest = behind;
                if what != Ahead::Slot && here.iter().all(Option::is_none) {
                    continue;
                }
                let key = run[0].0;
                // Two keys may share a shard: it is let go before the next one is locked.
                let Some(guard) = database.try_lock(database.shard_of(key)) else { continue };
                let Some(object) = guard.collection(key).filter(|object| object.len() >= LARGE) else {
                    continue;
                };
                for (&(_, element), hash) in run.iter().zip(here) {
                    let hash = *hash.get_or_insert_with(|| element_hash(element));
                    if let Some(stretch) = object.ahead(hash, what) {
                        super::prefetch::read_all(stretch);
                    }
                }
            }
        }
    }

    /// Keys of a database and how many of them expire. No lock is taken: exact while the caller holds
    /// the whole keyspace, else each shard is as some moment of the call found it.
    pub fn counts(&self, number: usize) -> Counts {
        self.existing(self.physical(number)).map_or_else(Counts::default, Database::counts)
    }
}

/// What a database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys, expired ones that nobody has noticed included.
    pub keys: usize,
    /// Keys with an expiry.
    pub expiring: usize,
    /// Sum of the expiries, each in milliseconds since 1970.
    pub expiry_sum_ms: u128,
    /// Bytes of the tables.
    pub table_bytes: usize,
}

impl Counts {
    /// Mean remaining life of the keys that expire, in milliseconds; 0 when none does.
    pub fn average_ttl_ms(&self, now_ms: u64) -> u64 {
        let keys = self.expiring as u128;
        let now_sum = keys * u128::from(now_ms);
        let average = self.expiry_sum_ms.saturating_sub(now_sum).checked_div(keys).unwrap_or(0);
        u64::try_from(average).unwrap_or(u64::MAX)
    }
}
