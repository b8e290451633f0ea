//! How a view comes to its locks: by the keys that a command declares, by a shard, or by the whole keyspace.
//!
//! All locks are taken here, in ascending order and before the unit begins; then the unit learns its epoch.

use smallvec::SmallVec;

use super::hash::KeyHash;
use super::keyspace::Store;
use super::view::{Moment, View};

impl Store {
    /// A view that has nothing locked yet: for who makes it where it is to stay, since a view is large and
    /// handing it over copies it. Then comes [`View::lock_one`] or one of its like.
    #[inline(always)]
    pub fn view_unlocked(&self, moment: Moment, number: usize) -> View<'_> {
        View::unlocked(self, moment, number)
    }

    /// Locks one key's shard: the fast path.
    #[inline]
    pub fn view_one(&self, moment: Moment, number: usize, hash: KeyHash) -> View<'_> {
        let mut view = View::unlocked(self, moment, number);
        view.lock_one(hash);
        view
    }

    /// Locks the shards of all `keys` (pairs of a database's number and a hash) in ascending order.
    pub fn view_many(&self, moment: Moment, number: usize, keys: &[(usize, KeyHash)]) -> View<'_> {
        let mut view = View::unlocked(self, moment, number);
        view.lock_many(keys);
        view
    }

    /// A view that declares no key.
    #[inline]
    pub fn view_none(&self, moment: Moment, number: usize) -> View<'_> {
        let mut view = View::unlocked(self, moment, number);
        view.lock_none();
        view
    }

    /// A view of every key, for who holds the whole keyspace: shards are locked when touched.
    pub fn view_whole(&self, moment: Moment, number: usize) -> View<'_> {
        let mut view = View::unlocked(self, moment, number);
        view.lock_whole();
        view
    }

    /// A view of one shard, for the sweep of expired keys.
    pub(super) fn view_shard(&self, moment: Moment, number: usize, shard: usize) -> View<'_> {
        let mut view = View::unlocked(self, moment, number);
        view.hold(view.physical, shard);
        view.epoch = self.saves.epoch();
        view
    }
}

impl View<'_> {
    /// Locks the shard of one key of the view's database.
    #[inline(always)]
    pub fn lock_one(&mut self, hash: KeyHash) {
        self.hold(self.physical, self.store.database(self.physical).shard_of(hash));
        self.locked();
    }

    /// Locks the shards of all `keys` (pairs of a database's number and a hash) in ascending order.
    pub fn lock_many(&mut self, keys: &[(usize, KeyHash)]) {
        let mut places: SmallVec<[(usize, usize); 16]> = keys
            .iter()
            .map(|&(number, hash)| {
                let physical = self.store.physical(number);
                (physical, self.store.database(physical).shard_of(hash))
            })
            .collect();
        places.sort_unstable();
        places.dedup();
        for (physical, shard) in places {
            self.hold(physical, shard);
        }
        self.locked();
    }

    /// Declares no key.
    #[inline]
    pub fn lock_none(&mut self) {
        self.locked();
    }

    /// The caller holds the whole keyspace: shards are locked when touched.
    pub fn lock_whole(&mut self) {
        self.whole = true;
        self.locked();
    }

    /// The last lock is taken: now, and not earlier, the unit learns which epoch it belongs to.
    #[inline]
    fn locked(&mut self) {
        self.epoch = self.store.saves.epoch();
    }
}
