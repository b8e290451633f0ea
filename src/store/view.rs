//! A unit of work's view of the keyspace: the declared keys' shards, locked together.
//!
//! All locks are taken before the unit begins, in ascending order, and are held until the view is
//! dropped: that is what makes a command, or a MULTI whose keys are known, atomic. Only a unit that
//! holds the whole keyspace ([`View::whole`]) may lock further shards as it goes.

use smallvec::SmallVec;

use super::entry::{Entry, Meta, Str};
use super::hash::KeyHash;
use super::keyspace::Store;
use super::random::Random;
use super::saves::Epoch;
use super::shard::{ShardGuard, Slot};
use super::told::{Noted, Told};
use super::trial::{self, Trial};
use super::usage::Usage;

/// A key with its hash, so that nobody hashes it twice.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    /// Its hash under the store's hasher.
    pub hash: KeyHash,
}

/// The time and the policy under which a unit of work runs.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Wall time, fixed within the unit.
    pub now_ms: u64,
    /// Keys whose expiry is no later are gone: `now_ms`, and 0 while a log is replayed.
    pub horizon_ms: u64,
    /// Expired keys are absent but stay where they are: for units that only read, while writes are paused.
    pub keeps_expired: bool,
    /// How accesses are recorded.
    pub usage: Usage,
    /// Seed for the few decisions left to chance within the unit.
    pub seed: u64,
}

impl Moment {
    /// A moment under LRU with a fixed seed.
    pub fn at(now_ms: u64) -> Moment {
        Moment { now_ms, horizon_ms: now_ms, keeps_expired: false, usage: Usage::Lru, seed: now_ms | 1 }
    }
}

/// What a unit of work did, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Reads that found their key.
    pub hits: u32,
    /// Reads that did not.
    pub misses: u32,
    /// Keys removed because they had expired.
    pub expired: u32,
    /// Changes, as Redis counts them for its save points.
    pub changes: u64,
    /// Locks that somebody else held.
    pub lock_waits: u32,
    /// Nanoseconds spent waiting for them.
    pub lock_wait_ns: u64,
}

/// The place of an entry: which held shard, which slot. Valid until the next insertion or removal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) held: usize,
    pub(super) slot: Slot,
}

/// A locked shard.
pub(super) struct Held<'s> {
    pub(super) physical: usize,
    pub(super) shard: usize,
    pub(super) guard: ShardGuard<'s>,
}

/// See the module's text.
pub struct View<'s> {
    pub(super) store: &'s Store,
    pub(super) number: usize,
    pub(super) physical: usize,
    pub(super) held: SmallVec<[Held<'s>; 1]>,
    pub(super) moment: Moment,
    pub(super) epoch: Epoch,
    pub(super) whole: bool,
    pub(super) trying: trial::State,
    pub(super) trial: Option<Box<Trial>>,
    no_touch: bool,
    /// What the unit did so far.
    pub tally: Tally,
    /// What the unit has to tell, if it has.
    pub(super) told: Option<Box<Told>>,
    /// Whether the unit tells what it found expired: if not, the store's owner is told at once.
    pub(super) tells_expired: bool,
    /// Whether it tells what else happened to keys.
    pub(super) notes_keys: bool,
    /// Whether it tells at its end what somebody may have cached: if not, that is told at once.
    pub(super) tells_stale: bool,
    random: Random,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("database", &self.number).field("shards", &self.held.len()).finish()
    }
}

impl<'s> View<'s> {
    /// Nothing is locked yet.
    #[inline(always)]
    pub(super) fn unlocked(store: &'s Store, moment: Moment, number: usize) -> View<'s> {
        View {
            store,
            number,
            physical: store.physical(number),
            held: SmallVec::new(),
            moment,
            epoch: Epoch { current: 0, saving: false },
            whole: false,
            trying: trial::State::default(),
            trial: None,
            no_touch: false,
            tally: Tally::default(),
            told: None,
            tells_expired: false,
            notes_keys: false,
            tells_stale: false,
            random: Random::new(moment.seed | 1),
        }
    }

    #[inline(always)]
    pub(super) fn hold(&mut self, physical: usize, shard: usize) {
        let (guard, waited_ns) = self.store.lock_timed(physical, shard);
        if waited_ns > 0 {
            self.tally.lock_waits += 1;
            self.tally.lock_wait_ns += waited_ns;
        }
        self.held.push(Held { physical, shard, guard });
    }

    /// The number of the database that the view speaks of.
    pub fn database(&self) -> usize {
        self.number
    }

    /// Speaks of another database from now on. Its shards are locked only if its keys were declared.
    pub fn select(&mut self, number: usize) {
        self.number = number;
        self.physical = self.store.physical(number);
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.store.databases()
    }

    /// The unit's time in milliseconds since 1970.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.moment.now_ms
    }

    /// Keys whose expiry is no later are gone.
    #[inline]
    pub fn horizon_ms(&self) -> u64 {
        self.moment.horizon_ms
    }

    /// How accesses are recorded.
    pub fn usage(&self) -> Usage {
        self.moment.usage
    }

    /// Reads no longer count as accesses (CLIENT NO-TOUCH).
    pub fn set_no_touch(&mut self, on: bool) {
        self.no_touch = on;
    }

    /// Whether the unit holds the whole keyspace.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether this view has the shard of `hash` locked or may lock it.
    pub fn covers(&self, hash: KeyHash) -> bool {
        let shard = self.store.database(self.physical).shard_of(hash);
        self.whole || self.held.iter().any(|held| held.physical == self.physical && held.shard == shard)
    }

    /// Hashes a key that was not declared. It can be used if [`View::covers`] says so.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.store.hash(bytes) }
    }

    /// A random number, different at each call.
    #[inline]
    pub fn random(&mut self) -> u64 {
        self.random.draw()
    }

    /// A source of random numbers of its own, for who draws while a value is borrowed from the view.
    pub fn fork_random(&mut self) -> Random {
        Random::new(self.random())
    }

    /// Which held shard a hash belongs to.
    ///
    /// # Panics
    ///
    /// When the key was not declared and the unit does not hold the whole keyspace: the command's
    /// row names its keys wrongly. The connection is closed and the panic counted.
    #[inline]
    pub(super) fn held_for(&mut self, hash: KeyHash) -> usize {
        let shard = self.store.database(self.physical).shard_of(hash);
        if let [only] = &self.held[..]
            && only.shard == shard
            && only.physical == self.physical
        {
            return 0;
        }
        self.held_among(shard)
    }

    fn held_among(&mut self, shard: usize) -> usize {
        let physical = self.physical;
        if !self.whole {
            // Locked in ascending order, so that many keys are found fast.
            let found =
                self.held.binary_search_by_key(&(physical, shard), |held| (held.physical, held.shard));
            assert!(found.is_ok(), "a command touched a key that its row does not declare");
            return found.unwrap_or(0);
        }
        match self.held.iter().position(|held| held.shard == shard && held.physical == physical) {
            Some(index) => index,
            None => {
                self.hold(physical, shard);
                self.held.len() - 1
            }
        }
    }

    /// Lets go of the shards that a unit with the whole keyspace has touched so far. Between commands.
    pub fn release_touched(&mut self) {
        if self.whole {
            self.held.clear();
        }
    }

    /// Before a walk that locks shards one at a time: lets go of what is held.
    ///
    /// # Panics
    ///
    /// When the unit declared keys and does not hold the whole keyspace: to lock further shards now
    /// could wait for itself. The command's row lacks a flag.
    pub(super) fn begin_walk(&mut self) {
        assert!(self.whole || self.held.is_empty(), "a walk over the keyspace among declared keys");
        self.held.clear();
    }

    /// Lets go of the shard that a walk holds.
    pub(super) fn release_walked(&mut self) {
        self.held.clear();
    }

    #[inline]
    pub(super) fn guard(&mut self, held: usize) -> &mut ShardGuard<'s> {
        &mut self.held[held].guard
    }

    #[inline]
    pub(super) fn entry(&self, place: Place) -> Option<&Entry> {
        self.held[place.held].guard.get(place.slot)
    }

    #[inline]
    pub(super) fn entry_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.held[place.held].guard.get_mut(place.slot)
    }

    /// Finds a live key. An expired one is removed on the way and counts as absent.
    #[inline]
    pub(super) fn find(&mut self, key: Key<'_>) -> Option<Place> {
        let held = self.held_for(key.hash);
        let slot = self.held[held].guard.find(key.hash, key.bytes)?;
        let place = Place { held, slot };
        let now = self.moment.horizon_ms;
        if self.entry(place)?.is_expired(now) {
            self.expire(place);
            return None;
        }
        Some(place)
    }

    /// Records an access.
    #[inline]
    pub(super) fn touch(&mut self, place: Place) {
        if self.no_touch {
            return;
        }
        let (usage, now) = (self.moment.usage, self.moment.now_ms);
        let chance = if usage == Usage::Lru { 0 } else { self.random() as u32 };
        if let Some(entry) = self.entry_mut(place) {
            let bits = usage.touched(entry.lru(), now, || chance);
            if bits != entry.lru() {
                entry.set_lru(bits);
            }
        }
    }

    /// Reads a key without counting an access.
    #[inline]
    pub fn peek(&mut self, key: Key<'_>) -> Option<&Entry> {
        let place = self.find(key)?;
        self.entry(place)
    }

    /// Reads a key without counting an access, even if it has expired and is only not removed yet.
    pub fn peek_expired(&mut self, key: Key<'_>) -> Option<&Entry> {
        let held = self.held_for(key.hash);
        let slot = self.held[held].guard.find(key.hash, key.bytes)?;
        self.entry(Place { held, slot })
    }

    /// Reads a key for a client: counts a hit or a miss, and an access.
    #[inline]
    pub fn read(&mut self, key: Key<'_>) -> Option<&Entry> {
        let place = self.read_place(key)?;
        self.entry(place)
    }

    #[inline]
    pub(super) fn read_place(&mut self, key: Key<'_>) -> Option<Place> {
        match self.find(key) {
            Some(place) => {
                self.tally.hits += 1;
                self.touch(place);
                Some(place)
            }
            None => {
                self.tally.misses += 1;
                self.note(key.bytes, Noted::Missed);
                None
            }
        }
    }

    /// Looks at a key for a client that does not use its value (TTL, TYPE): a hit or a miss, no access.
    pub fn look(&mut self, key: Key<'_>) -> Option<&Entry> {
        match self.find(key) {
            Some(place) => {
                self.tally.hits += 1;
                self.entry(place)
            }
            None => {
                self.tally.misses += 1;
                self.note(key.bytes, Noted::Missed);
                None
            }
        }
    }

    /// As [`View::look`], but nobody is told of a miss (OBJECT).
    pub fn look_quietly(&mut self, key: Key<'_>) -> Option<&Entry> {
        let place = self.find(key);
        self.tally.hits += u32::from(place.is_some());
        self.tally.misses += u32::from(place.is_none());
        self.entry(place?)
    }

    /// Looks at a key that is about to be changed as a whole (EXPIRE, RENAME): an access, but neither
    /// a hit nor a miss.
    pub fn look_to_change(&mut self, key: Key<'_>) -> Option<&Entry> {
        let place = self.find(key)?;
        self.touch(place);
        self.entry(place)
    }

    /// Whether a key exists; neither a hit nor an access.
    pub fn exists(&mut self, key: Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// The header of a new entry.
    #[inline]
    pub(super) fn fresh_meta(&self, expire_at_ms: Option<u64>) -> Meta {
        Meta { expire_at_ms, lru: self.moment.usage.fresh(self.moment.now_ms), epoch: self.epoch.current }
    }

    /// Adds an entry under a key that is absent.
    pub(super) fn insert(&mut self, key: Key<'_>, entry: Entry) -> Place {
        let held = self.held_for(key.hash);
        if self.is_on_trial() {
            self.log_insertion(held, key.bytes);
        }
        self.insert_at(held, key, entry)
    }

    #[inline]
    pub(super) fn insert_at(&mut self, held: usize, key: Key<'_>, entry: Entry) -> Place {
        let expiry = entry.expire_at_ms();
        let guard = &mut self.held[held].guard;
        let slot = guard.insert(key.hash, entry);
        count_expiry(guard, None, expiry);
        self.note(key.bytes, Noted::New);
        Place { held, slot }
    }

    /// Puts another entry of the same key into a slot.
    pub(super) fn replace(&mut self, place: Place, entry: Entry) {
        let expiry = entry.expire_at_ms();
        let guard = &mut self.held[place.held].guard;
        let Some(slot) = guard.get_mut(place.slot) else { return };
        let before = slot.expire_at_ms();
        let old = std::mem::replace(slot, entry);
        count_expiry(guard, before, expiry);
        self.dispose(place.held, old);
    }

    /// Takes an entry out of its slot.
    pub(super) fn detach(&mut self, place: Place) -> Option<Entry> {
        let entry = self.detach_in_place(place)?;
        self.held[place.held].guard.shrink_if_sparse();
        Some(entry)
    }

    /// As [`View::detach`], but all other entries keep their slots.
    fn detach_in_place(&mut self, place: Place) -> Option<Entry> {
        let guard = &mut self.held[place.held].guard;
        let entry = guard.remove(place.slot)?;
        count_expiry(guard, entry.expire_at_ms(), None);
        Some(entry)
    }

    /// Removes an expired entry. Its removal is an effect of its own.
    #[cold]
    pub(super) fn expire(&mut self, place: Place) {
        if self.moment.keeps_expired {
            return;
        }
        self.expire_in_place(place);
        self.held[place.held].guard.shrink_if_sparse();
    }

    /// As [`View::expire`], but all other entries keep their slots: for who walks over them, and asks
    /// the shard to shrink when done.
    pub(super) fn expire_in_place(&mut self, place: Place) {
        let Some(entry) = self.detach_in_place(place) else { return };
        self.tally.expired += 1;
        self.notify_hooks(place.held, entry.key(), By::Nobody);
        self.note(entry.key(), Noted::Expired);
        if !self.tells_expired {
            self.store.tell_lost(self.number, entry.key(), Loss::Expired);
        }
        self.note_expired(entry.key());
        self.dispose(place.held, entry);
    }

    /// Removes an entry to make room; all other entries keep their slots. Gives its key.
    pub(super) fn evict_in_place(&mut self, place: Place) -> Option<Vec<u8>> {
        let entry = self.detach_in_place(place)?;
        let key = entry.key().to_vec();
        self.notify_hooks(place.held, &key, By::Nobody);
        self.store.tell_lost(self.number, &key, Loss::Evicted);
        self.dispose(place.held, entry);
        Some(key)
    }

    /// Sets or clears the expiry of an entry.
    pub(super) fn set_expiry(&mut self, place: Place, expire_at_ms: Option<u64>) {
        self.keep_for_save(place);
        let guard = &mut self.held[place.held].guard;
        let Some(entry) = guard.get_mut(place.slot) else { return };
        let before = entry.expire_at_ms();
        let in_place = expire_at_ms.is_some_and(|at| entry.set_expiry_in_place(at));
        if !in_place && before != expire_at_ms {
            let placeholder = Entry::string(b"", Str::Int(0), Meta::default());
            let moved = std::mem::replace(entry, placeholder).with_expiry(expire_at_ms);
            *entry = moved;
        }
        count_expiry(guard, before, expire_at_ms);
    }

    /// Says that a key changed: counts it, marks its watchers, and notes who waits for it.
    #[inline]
    pub fn changed(&mut self, key: Key<'_>) {
        self.tally.changes += 1;
        self.signal(key);
    }

    /// Marks watchers and waiters of a key without counting a change.
    #[inline]
    pub fn signal(&mut self, key: Key<'_>) {
        if self.store.hooks.load(std::sync::atomic::Ordering::Relaxed) != 0 {
            let held = self.held_for(key.hash);
            self.notify_hooks(held, key.bytes, By::Command);
        }
    }

    pub(super) fn notify_hooks(&mut self, held: usize, key: &[u8], by: By) {
        if self.is_on_trial() {
            return self.log_signal(held, key, by);
        }
        self.note_stale(held, key, by);
        let waited_for = self.held[held].guard.side().hooks.as_ref().is_some_and(|hooks| hooks.changed(key));
        if waited_for {
            self.note_ready(key);
        }
    }

    /// Lets those who wait for a key look again, though it did not change.
    pub fn wake(&mut self, key: Key<'_>) {
        if !self.waiting(key).is_empty() {
            self.note_ready(key.bytes);
        }
    }
}

/// Who changed a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A command.
    Command,
    /// Nobody: it expired, or was removed to make room.
    Nobody,
}

/// Why a key went that no command removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its time had come.
    Expired,
    /// It made room.
    Evicted,
}

/// Keeps the shard's account of expiries.
#[inline]
pub(super) fn count_expiry(guard: &mut ShardGuard<'_>, before: Option<u64>, after: Option<u64>) {
    if before.is_none() && after.is_none() {
        return;
    }
    guard.count_expiring(before, after);
    if let Some(at) = after {
        let side = guard.side_mut();
        side.next_due_ms = side.next_due_ms.min(at);
        side.due_since_sweep_ms = side.due_since_sweep_ms.min(at);
    }
}
