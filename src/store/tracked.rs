//! Which clients may have which keys in caches of their own (CLIENT TRACKING), and what they have to hear.
//!
//! Who may have a key cached is kept with the key's other hooks, under its shard's lock: a reader is entered while it
//! still holds the lock under which it read, and told while the writer still holds the one under which it wrote. So
//! nothing that a client has read goes stale without its being told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::hooks::Hooks;
use super::keyspace::Store;
use super::view::{By, Key, View};

/// What is no longer as somebody may have cached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// A key.
    Key {
        /// Its name.
        key: Arc<[u8]>,
        /// The ids of the clients that had read it.
        readers: Vec<u64>,
        /// Who changed it.
        by: By,
    },
    /// Every key there was: a database was emptied.
    All,
}

/// So few are looked through one by one: most units make one key stale.
const FEW: usize = 8;

/// What one unit has made stale, in the order in which it first did.
#[derive(Default)]
pub(super) struct StaleKeys {
    list: Vec<Stale>,
    /// Where each key stands, once they are more than a few.
    places: HashMap<Arc<[u8]>, usize>,
    all: bool,
}

impl StaleKeys {
    fn place_of(&self, key: &Arc<[u8]>) -> Option<usize> {
        if self.list.len() > FEW {
            return self.places.get(key).copied();
        }
        self.list.iter().position(|stale| matches!(stale, Stale::Key { key: known, .. } if known == key))
    }

    /// Puts a key at the end.
    fn push(&mut self, stale: Stale) {
        self.list.push(stale);
        let new = match self.list.len() {
            ..=FEW => return,
            length if length == FEW + 1 => 0,
            length => length - 1,
        };
        for (place, stale) in self.list.iter().enumerate().skip(new) {
            if let Stale::Key { key, .. } = stale {
                self.places.insert(Arc::clone(key), place);
            }
        }
    }

    fn add(&mut self, stale: Stale) {
        match stale {
            Stale::All if self.all => {}
            Stale::All => {
                self.all = true;
                self.push(Stale::All);
            }
            Stale::Key { key, readers, by } => {
                let known = self.place_of(&key).and_then(|place| self.list.get_mut(place));
                if let Some(Stale::Key { readers: before, by: who, .. }) = known {
                    // Who has read it again meanwhile hears of it once.
                    let news: Vec<u64> =
                        readers.into_iter().filter(|reader| !before.contains(reader)).collect();
                    before.extend(news);
                    *who = by;
                    return;
                }
                self.push(Stale::Key { key, readers, by });
            }
        }
    }
}

type HearsOf = dyn Fn(&[u8]) -> bool + Send + Sync;
type TellStale = dyn Fn(Stale) + Send + Sync;

/// The store's part of it.
#[derive(Default)]
pub(super) struct Tracked {
    /// Keys that somebody may have cached.
    keys: AtomicUsize,
    /// Pairs of such a key and a client.
    items: AtomicUsize,
    /// Clients that want to hear of every change (BCAST).
    listeners: AtomicUsize,
    /// Who hears of what no unit of a client's changed.
    sink: OnceLock<Box<TellStale>>,
    /// Whether any of the listeners wants to hear of a key.
    hears_of: OnceLock<Box<HearsOf>>,
}

impl std::fmt::Debug for Tracked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracked").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Tracked {
    fn is_on(&self) -> bool {
        self.keys.load(Ordering::Relaxed) + self.listeners.load(Ordering::Relaxed) > 0
    }
}

impl Store {
    /// How many keys somebody may have cached, and how many pairs of such a key and a client there are.
    pub fn tracked(&self) -> (usize, usize) {
        (self.tracked.keys.load(Ordering::Relaxed), self.tracked.items.load(Ordering::Relaxed))
    }

    /// One client more, or less, wants to hear of every change.
    pub fn listen_to_changes(&self, on: bool) {
        // A listener counts as a hook: a write looks for either only if there is one.
        if on {
            self.tracked.listeners.fetch_add(1, Ordering::Relaxed);
            self.hooks.fetch_add(1, Ordering::Relaxed);
        } else {
            self.tracked.listeners.fetch_sub(1, Ordering::Relaxed);
            self.hooks.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes up to `count` tracked keys out of a shard's hooks.
    pub(super) fn take_some(
        &self,
        hooks: &mut Option<Box<Hooks>>,
        count: usize,
    ) -> Vec<(Box<[u8]>, Vec<u64>)> {
        let taken = hooks.as_mut().map_or_else(Vec::new, |hooks| hooks.take_some_readers(count));
        self.forget(hooks, taken.iter().map(|(_, readers)| readers.len()));
        taken
    }

    /// Keys are tracked no longer, which had so many readers.
    fn forget(&self, hooks: &mut Option<Box<Hooks>>, readers: impl IntoIterator<Item = usize>) {
        if hooks.as_ref().is_some_and(|hooks| hooks.is_empty()) {
            *hooks = None;
        }
        for count in readers {
            self.tracked.items.fetch_sub(count, Ordering::Relaxed);
            self.tracked.keys.fetch_sub(1, Ordering::Relaxed);
            self.hooks.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// While more than `limit` keys are tracked, forgets those of the shard `from` and of the ones that follow: whoever
    /// may have them cached is told as if they had changed. Says where to go on the next time.
    pub fn forget_tracked(&self, limit: usize, from: usize) -> usize {
        for shard in (from..from + self.shards()).map(|shard| shard % self.shards()) {
            for database in (0..self.databases()).filter_map(|number| self.existing(number)) {
                let excess = self.tracked().0.saturating_sub(limit);
                if excess == 0 {
                    return shard;
                }
                let mut guard = database.lock(shard);
                let taken = self.take_some(&mut guard.side_mut().hooks, excess);
                let Some(tell) = self.tracked.sink.get() else { continue };
                // While the lock is held: whoever reads the key now is entered after this.
                taken
                    .into_iter()
                    .for_each(|(key, readers)| tell(Stale::Key { key: key.into(), readers, by: By::Nobody }));
            }
        }
        from
    }

    /// Says who hears of changes that no unit of a client's made: of what expired or was evicted. He is told while the
    /// key's shard is locked, and must not lock anything of the store.
    /// `hears_of` says whether any listener wants to hear of a key.
    pub fn on_stale(
        &self,
        tell: impl Fn(Stale) + Send + Sync + 'static,
        hears_of: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) {
        // A second one is ignored: the first one is told.
        let _ = self.tracked.sink.set(Box::new(tell));
        let _ = self.tracked.hears_of.set(Box::new(hears_of));
    }

    fn anybody_hears_of(&self, key: &[u8]) -> bool {
        self.tracked.listeners.load(Ordering::Relaxed) > 0
            && self.tracked.hears_of.get().is_some_and(|hears_of| hears_of(key))
    }
}

impl View<'_> {
    /// Says whether the unit itself tells what has become stale, at its end. If not, it is told at once.
    pub fn set_tells_stale(&mut self, on: bool) {
        self.tells_stale = on;
    }

    /// See [`Store::listen_to_changes`].
    pub fn listen_to_changes(&self, on: bool) {
        self.store.listen_to_changes(on);
    }

    /// Notes that a client may have a key cached from now on.
    pub fn track(&mut self, key: Key<'_>, reader: u64) {
        let held = self.held_for(key.hash);
        let hooks = self.guard(held).side_mut().hooks.get_or_insert_default();
        let (new, first) = hooks.track(key.bytes, reader);
        let store = self.store;
        if new {
            store.tracked.items.fetch_add(1, Ordering::Relaxed);
        }
        if new && first {
            store.tracked.keys.fetch_add(1, Ordering::Relaxed);
            store.hooks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a key is not as somebody may have it cached.
    #[inline]
    pub(super) fn note_stale(&mut self, held: usize, key: &[u8], by: By) {
        if self.store.tracked.is_on() {
            self.note_stale_key(held, key, by);
        }
    }

    #[cold]
    fn note_stale_key(&mut self, held: usize, key: &[u8], by: By) {
        let readers = self.take_readers(held, key);
        if !readers.is_empty() || self.store.anybody_hears_of(key) {
            self.tell_stale(Stale::Key { key: key.into(), readers, by });
        }
    }

    fn take_readers(&mut self, held: usize, key: &[u8]) -> Vec<u64> {
        let store = self.store;
        let hooks = &mut self.guard(held).side_mut().hooks;
        let readers = hooks.as_mut().map_or_else(Vec::new, |hooks| hooks.take_readers(key));
        if !readers.is_empty() {
            store.forget(hooks, [readers.len()]);
        }
        readers
    }

    /// Notes that nothing is as somebody may have it cached: the current database is being emptied.
    pub(super) fn note_all_stale(&mut self) {
        if self.store.tracked.is_on() || self.tells_stale {
            self.tell_stale(Stale::All);
        }
    }

    /// Notes that what is cached of a database is stale, all of it. The unit holds the whole keyspace and has no shard.
    pub(super) fn note_database_stale(&mut self, number: usize) {
        let Some(database) = self.store.existing(self.store.physical(number)) else { return };
        for shard in 0..database.shards() {
            let taken = self.store.take_some(&mut database.lock(shard).side_mut().hooks, usize::MAX);
            for (key, readers) in taken {
                self.tell_stale(Stale::Key { key: key.into(), readers, by: By::Command });
            }
        }
    }

    fn tell_stale(&mut self, stale: Stale) {
        if self.tells_stale {
            self.tell().stale.add(stale);
        } else if let Some(tell) = self.store.tracked.sink.get() {
            tell(stale);
        }
    }

    /// Whether the unit has something to tell of caches.
    #[inline]
    pub fn has_stale(&self) -> bool {
        self.told.as_ref().is_some_and(|told| !told.stale.list.is_empty())
    }

    /// What has become stale, in order; empties the list.
    pub fn take_stale(&mut self) -> Vec<Stale> {
        self.told.as_mut().map(|told| std::mem::take(&mut told.stale).list).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_told_once_in_order_however_many_there_are() {
        for count in [1, FEW, FEW + 1, 3 * FEW] {
            let mut stale = StaleKeys::default();
            let key = |number: usize| Arc::from(format!("key:{number}").into_bytes());
            // Twice, with a reader more the second time, and everything in between.
            for reader in [1, 2] {
                for number in 0..count {
                    stale.add(Stale::Key { key: key(number), readers: vec![reader], by: By::Command });
                }
                stale.add(Stale::All);
            }
            let told = |number| Stale::Key { key: key(number), readers: vec![1, 2], by: By::Command };
            let expected: Vec<Stale> = (0..count).map(told).chain([Stale::All]).collect();
            assert_eq!(stale.list, expected, "{count}");
        }
    }
}
