//! What concerns a database as a whole: flushing, swapping, walking, drawing a key at random.

use std::sync::atomic::Ordering;

use super::entry::Entry;
use super::hash::shard_of;
use super::keyspace::Counts;
use super::view::{Place, View};

impl View<'_> {
    /// Keys and expiring keys of the current database. Exact for a unit that holds the whole keyspace.
    pub fn counts(&mut self) -> Counts {
        self.begin_walk();
        self.store.counts(self.number)
    }

    /// Removes every key of a database. The unit holds the whole keyspace. What is removed is freed
    /// elsewhere unless `here`, which frees it before returning. Returns how many keys went.
    pub fn flush(&mut self, number: usize, here: bool) -> usize {
        let before = self.number;
        self.select(number);
        let removed = self.flush_current(here);
        self.select(before);
        self.tally.changes += removed as u64;
        removed
    }

    fn flush_current(&mut self, here: bool) -> usize {
        self.begin_walk();
        let Some(database) = self.store.existing(self.physical) else { return 0 };
        let (physical, epoch) = (self.physical, self.epoch);
        self.note_all_stale();
        let mut removed = 0;
        let hooked = self.store.hooks.load(Ordering::Relaxed) > 0;
        for shard in 0..database.shards() {
            // The unit is alone: nobody can have changed that meanwhile.
            if !hooked && database.counts_of(shard).keys == 0 {
                continue;
            }
            let mut guard = database.lock(shard);
            if let Some(hooks) = &guard.side().hooks {
                // As Redis does: only a watched key that existed has changed.
                let watched: Vec<&[u8]> = hooks.keys().collect();
                for key in watched {
                    if guard.find(self.store.hash(key), key).is_some()
                        && hooks.changed(key)
                        && hooks.hears_of_loss(key)
                    {
                        self.note_ready(key);
                    }
                }
            }
            // Who has them cached is told of all at once.
            self.store.take_some(&mut guard.side_mut().hooks, usize::MAX);
            let mut entries = guard.take_all();
            drop(guard);
            removed += entries.len();
            if epoch.saving {
                // The saver gets what it has not seen; that memory was in use anyway.
                let (seen, unseen): (Vec<Entry>, Vec<Entry>) =
                    entries.into_iter().partition(|entry| entry.epoch() == epoch.current);
                unseen.into_iter().for_each(|entry| self.store.saves.retain(physical, shard, entry, false));
                entries = seen;
            }
            if !here && !entries.is_empty() {
                self.store.discard(entries);
            }
        }
        removed
    }

    /// Exchanges the contents of two databases. The unit holds the whole keyspace. Who watches or
    /// waits stays with the number: hooks move back to where their number now lies.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.tally.changes += 1;
        if a == b {
            return;
        }
        self.begin_walk();
        let number = self.number;
        let hooked = self.store.hooks.load(Ordering::Relaxed) > 0;
        let found = self.count_expired();
        if hooked {
            self.expire_hooked(a, b);
            [a, b].into_iter().for_each(|number| self.note_database_stale(number));
        }
        self.store.swap_names(a, b);
        // They are told of after the exchange, where they would lie now.
        self.tell_expired_after(found, a, b);
        if hooked {
            self.swap_hooks(a, b);
        }
        self.select(number);
    }

    /// Time goes on within the unit: what its own commands have done is over. Where nothing expires (a log is
    /// replayed), that stays so.
    pub fn renew(&mut self, now_ms: u64) {
        if self.moment.horizon_ms == self.moment.now_ms {
            self.moment.horizon_ms = now_ms;
        }
        self.moment.now_ms = now_ms;
    }

    /// Removes what has expired of the keys that anybody hangs on in either database. A key that comes with
    /// a swap and has expired was never there for who watches its name: it must not be found by EXEC, which
    /// would take its removal for a change.
    fn expire_hooked(&mut self, a: usize, b: usize) {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for number in [a, b] {
            let database = self.store.database(self.store.physical(number));
            for shard in 0..database.shards() {
                let guard = database.lock(shard);
                keys.extend(guard.side().hooks.iter().flat_map(|hooks| hooks.keys()).map(<[u8]>::to_vec));
            }
        }
        for number in [a, b] {
            self.select(number);
            for key in &keys {
                let key = self.key(key);
                self.exists(key);
            }
        }
        // The walk over the hooks takes the locks once more.
        self.begin_walk();
    }

    fn swap_hooks(&mut self, a: usize, b: usize) {
        let before = self.number;
        let (first, second) =
            (self.store.database(self.store.physical(a)), self.store.database(self.store.physical(b)));
        for shard in 0..first.shards() {
            let (mut one, mut two) = (first.lock(shard), second.lock(shard));
            std::mem::swap(&mut one.side_mut().hooks, &mut two.side_mut().hooks);
            for (number, guard, other) in [(a, &one, &two), (b, &two, &one)] {
                let Some(hooks) = &guard.side().hooks else { continue };
                for key in hooks.keys() {
                    let hash = self.store.hash(key);
                    let here = guard.find(hash, key).is_some();
                    let there = other.find(hash, key).is_some();
                    let waited_for = (here || there) && hooks.changed(key);
                    if waited_for && (here || hooks.hears_of_loss(key)) {
                        self.number = number;
                        self.note_ready(key);
                    }
                }
            }
        }
        self.number = before;
    }

    /// A live key of the current database, drawn at random; `None` when there is none.
    ///
    /// A shard is drawn by its weight and a slot within it, so every key has nearly the same chance.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        const DRAWS: usize = 64;
        self.begin_walk();
        let database = self.store.existing(self.physical)?;
        for _ in 0..DRAWS {
            let shard = shard_of(self.random(), database.shards());
            if let Some(key) = self.random_in_shard(shard, 1) {
                return Some(key);
            }
        }
        // Nearly empty: walk the shards from a random one.
        let start = self.random() as usize % database.shards();
        (0..database.shards())
            .find_map(|step| self.random_in_shard((start + step) % database.shards(), usize::MAX))
    }

    /// Looks at up to `tries` slots of a shard from a random one on. What is found expired on the way is removed, as by
    /// any other access.
    fn random_in_shard(&mut self, shard: usize, tries: usize) -> Option<Vec<u8>> {
        let (start, now) = (self.random() as usize, self.now_ms());
        self.hold(self.physical, shard);
        let slots = if self.guard(0).is_empty() { 0 } else { self.guard(0).slots() };
        let (mut found, mut any_expired) = (None, false);
        for step in 0..slots.min(tries.saturating_mul(8)) {
            let place = Place { held: 0, slot: (start + step) % slots };
            match self.entry(place) {
                Some(entry) if !entry.is_expired(now) => {
                    found = Some(entry.key().to_vec());
                    break;
                }
                Some(_) if !self.moment.keeps_expired => {
                    self.expire_in_place(place);
                    any_expired = true;
                }
                _ => {}
            }
        }
        if any_expired {
            self.guard(0).shrink_if_sparse();
        }
        self.release_walked();
        found
    }

    /// Shows every live entry of the current database, shard by shard. For a unit that holds the whole
    /// keyspace this is one consistent picture.
    pub fn each(&mut self, mut show: impl FnMut(&Entry)) {
        self.begin_walk();
        let now = self.now_ms();
        let Some(database) = self.store.existing(self.physical) else { return };
        for shard in 0..database.shards() {
            let guard = database.lock(shard);
            (0..guard.slots())
                .filter_map(|slot| guard.get(slot))
                .filter(|entry| !entry.is_expired(now))
                .for_each(&mut show);
        }
    }
}
