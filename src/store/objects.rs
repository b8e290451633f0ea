//! What a view can do with collections and with whole keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::Entry;
use super::hooks::{Waiter, WatchFlag};
use super::object::{Kind, Object};
use super::strings::WrongType;
use super::view::{Held, Key, Place, View};

impl View<'_> {
    /// Reads a collection for a client (counts a hit or a miss).
    #[inline]
    pub fn get<K: Kind>(&mut self, key: Key<'_>) -> Result<Option<&K>, WrongType> {
        match self.read(key) {
            None => Ok(None),
            Some(entry) => entry.as_object().and_then(K::of).map(Some).ok_or(WrongType),
        }
    }

    /// Reads a key that was read before, so that the values of several can be borrowed at once: nothing is
    /// counted, and nothing expires meanwhile.
    pub fn read_again(&self, key: Key<'_>) -> Option<&Entry> {
        let shard = self.store.database(self.physical).shard_of(key.hash);
        let here = |held: &&Held<'_>| held.shard == shard && held.physical == self.physical;
        let guard = &self.held.iter().find(here)?.guard;
        guard.get(guard.find(key.hash, key.bytes)?).filter(|entry| !entry.is_expired(self.moment.horizon_ms))
    }

    /// A collection that is about to change. After the change call [`View::remove_if_empty`] if it shrank.
    #[inline]
    pub fn get_mut<K: Kind>(&mut self, key: Key<'_>) -> Result<Option<&mut K>, WrongType> {
        match self.find(key) {
            None => Ok(None),
            Some(place) => self.collection(place).map(Some),
        }
    }

    /// A collection that is about to change, made if the key is absent.
    #[inline]
    pub fn get_or_create<K: Kind>(&mut self, key: Key<'_>) -> Result<&mut K, WrongType> {
        let place = match self.find(key) {
            Some(place) => place,
            None => {
                let entry = Entry::object(key.bytes, K::default().wrap(), self.fresh_meta(None));
                self.insert(key, entry)
            }
        };
        self.collection(place)
    }

    #[inline]
    fn collection<K: Kind>(&mut self, place: Place) -> Result<&mut K, WrongType> {
        // The type is looked at first: a command that is refused copies nothing for a save.
        if !self.entry(place).and_then(Entry::as_object).is_some_and(|object| object.value_type() == K::TYPE)
        {
            return Err(WrongType);
        }
        self.touch(place);
        self.keep_for_save(place);
        self.entry_mut(place).and_then(Entry::as_object_mut).and_then(K::of_mut).ok_or(WrongType)
    }

    /// Sets a key to a collection, whatever it held; an empty one removes the key. Clears the expiry.
    pub fn set_object(&mut self, key: Key<'_>, object: Object) {
        if object.is_empty() {
            self.remove(key);
            return;
        }
        let entry = Entry::object(key.bytes, object, self.fresh_meta(None));
        match self.find(key) {
            Some(place) => self.replace(place, entry),
            None => {
                self.insert(key, entry);
            }
        }
    }

    /// Removes the key if its collection has become empty. True if so.
    pub fn remove_if_empty(&mut self, key: Key<'_>) -> bool {
        let Some(place) = self.find(key) else { return false };
        let empty = self.entry(place).and_then(Entry::as_object).is_some_and(Object::is_empty);
        if empty && let Some(entry) = self.detach(place) {
            self.dispose(place.held, entry);
        }
        empty
    }

    /// Frees a value that no key holds any more, or a part of one, elsewhere when that is set up. For
    /// what takes long to free; small values are simply dropped.
    pub fn discard(&mut self, object: Object) {
        self.store.discard(vec![Entry::object(b"", object, self.fresh_meta(None))]);
    }

    /// Removes a key. True if it was there.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        let Some(place) = self.find(key) else { return false };
        let Some(entry) = self.detach(place) else { return false };
        self.dispose(place.held, entry);
        true
    }

    /// Takes a key's entry out of the keyspace, to put it elsewhere. A running save gets a copy.
    pub fn take(&mut self, key: Key<'_>) -> Option<Entry> {
        let place = self.find(key)?;
        self.keep_for_save(place);
        self.detach(place)
    }

    /// Puts a value under a key, replacing what was there. The key and expiry are the given ones, the
    /// rest of the header comes with the value.
    pub fn put(&mut self, key: Key<'_>, entry: Entry, expire_at_ms: Option<u64>) {
        let mut entry = entry.rekeyed(key.bytes, expire_at_ms);
        entry.set_epoch(self.epoch.current);
        match self.find(key) {
            Some(place) => self.replace(place, entry),
            None => {
                self.insert(key, entry);
            }
        }
    }

    /// A deep copy of a key's entry, with its expiry. Neither hit nor access.
    pub fn copy_of(&mut self, key: Key<'_>) -> Option<Entry> {
        self.peek(key).map(|entry| entry.duplicate(entry.key(), entry.meta()))
    }

    /// Sets (or with `None` clears) the expiry of a key. False if the key is absent.
    pub fn expire_at(&mut self, key: Key<'_>, expire_at_ms: Option<u64>) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.set_expiry(place, expire_at_ms);
        true
    }

    /// Sets the bits of the LRU clock or LFU counter (RESTORE, DEBUG).
    pub fn set_usage_bits(&mut self, key: Key<'_>, bits: u32) {
        if let Some(place) = self.find(key)
            && let Some(entry) = self.entry_mut(place)
        {
            entry.set_lru(bits);
        }
    }

    /// Records an access to a key. False if it is absent (TOUCH).
    pub fn touch_key(&mut self, key: Key<'_>) -> bool {
        self.read_place(key).is_some()
    }

    /// Raises `flag` when the key changes or expires from now on.
    pub fn watch(&mut self, key: Key<'_>, flag: &Arc<WatchFlag>) {
        // A key that has expired already is removed first: that it goes is not a change.
        let _ = self.find(key);
        self.with_hooks(key, |hooks| hooks.watch(key.bytes, flag), 1);
    }

    /// No longer watches the key.
    pub fn unwatch(&mut self, key: Key<'_>, flag: &Arc<WatchFlag>) {
        self.with_hooks(key, |hooks| hooks.unwatch(key.bytes, flag), -1);
    }

    /// Queues a client that waits for the key.
    pub fn wait(&mut self, key: Key<'_>, waiter: &Arc<Waiter>) {
        self.with_hooks(key, |hooks| hooks.wait(key.bytes, waiter), 1);
    }

    /// Takes a client out of the key's queue.
    pub fn forget(&mut self, key: Key<'_>, waiter: &Arc<Waiter>) {
        self.with_hooks(key, |hooks| hooks.forget(key.bytes, waiter), -1);
    }

    /// The clients that wait for the key, the longest waiting first.
    pub fn waiting(&mut self, key: Key<'_>) -> Vec<Arc<Waiter>> {
        let held = self.held_for(key.hash);
        self.guard(held).side().hooks.as_ref().map_or_else(Vec::new, |hooks| hooks.waiting(key.bytes))
    }

    /// The client at a place of the key's queue, 0 being the longest waiting.
    pub fn waiter(&mut self, key: Key<'_>, place: usize) -> Option<Arc<Waiter>> {
        let held = self.held_for(key.hash);
        self.guard(held).side().hooks.as_ref()?.waiter(key.bytes, place)
    }

    /// Whether anybody who waits for the key is to be told when it is gone.
    pub fn hears_of_loss(&mut self, key: Key<'_>) -> bool {
        let held = self.held_for(key.hash);
        self.guard(held).side().hooks.as_ref().is_some_and(|hooks| hooks.hears_of_loss(key.bytes))
    }

    fn with_hooks(&mut self, key: Key<'_>, change: impl FnOnce(&mut super::hooks::Hooks), count: isize) {
        let held = self.held_for(key.hash);
        let side = self.guard(held).side_mut();
        let hooks = side.hooks.get_or_insert_default();
        change(hooks);
        if hooks.is_empty() {
            side.hooks = None;
        }
        // Raised while the shard is locked, so whoever locks it next sees that there is a hook.
        if count > 0 {
            self.store.hooks.fetch_add(1, Ordering::Relaxed);
        } else {
            self.store.hooks.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
