//! A unit of work on trial: it runs under the locks of the keys that it declares, and can be undone.
//!
//! What a script touches shows only while it runs. It is tried under its declared keys' locks, so that
//! scripts over different keys run side by side; when it wants more than that, everything it did is undone and
//! it is run again by somebody who holds the whole keyspace. Nobody else sees the attempt, for the locks
//! are held until it is undone.
//!
//! Before a key changes for the first time, the entry as it was goes into a log: moved there when it is
//! replaced or removed, else copied. The places where an entry changes are those where a running save
//! takes its copy ([`View::keep_for_save`], [`View::dispose`]) and where a new one comes in. Values that would
//! take long to copy are not changed on trial: [`View::is_heavy`].

use smallvec::SmallVec;

use super::entry::{Entry, Str};
use super::view::{By, Held, Key, Place, View};

/// More elements than this, or bytes of a string, take too long to copy.
const HEAVY_ELEMENTS: usize = 256;
const HEAVY_BYTES: usize = 16 * 1024;
/// More changed keys than this make the log slow to search.
const LOGGED_KEYS: usize = 64;

/// A key as it was before the trial.
struct Logged {
    physical: usize,
    shard: usize,
    key: Box<[u8]>,
    /// Absent when there was no such key.
    before: Option<Entry>,
}

/// What a trial has changed so far.
#[derive(Default)]
pub(super) struct Trial {
    log: SmallVec<[Logged; 2]>,
    /// Keys that changed and that somebody watches or waits for, with their held shards: told at the end.
    signals: Vec<(usize, Box<[u8]>, By)>,
}

/// How far a unit is from being undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State(u8);

impl State {
    /// It may have to be put back.
    const TRIAL: u8 = 1;
    /// The trial has come to nothing.
    const GIVEN_UP: u8 = 2;

    #[inline]
    pub(super) fn on_trial(self) -> bool {
        self.0 & State::TRIAL != 0
    }
}

impl View<'_> {
    /// From now on everything can be undone. The locks are taken before.
    pub fn begin_trial(&mut self) {
        self.trying.0 |= State::TRIAL;
    }

    /// Whether the unit is on trial.
    #[inline]
    pub fn is_on_trial(&self) -> bool {
        self.trying.on_trial()
    }

    /// The unit wants more than it has: it will be undone.
    pub fn give_up(&mut self) {
        debug_assert!(self.is_on_trial());
        self.trying.0 |= State::GIVEN_UP;
    }

    /// Whether it was given up.
    pub fn is_given_up(&self) -> bool {
        self.trying.0 & State::GIVEN_UP != 0
    }

    /// What was done stays.
    pub fn end_trial(&mut self) {
        self.trying.0 &= !(State::TRIAL | State::GIVEN_UP);
        for (held, key, by) in self.trial.take().into_iter().flat_map(|trial| trial.signals) {
            self.notify_hooks(held, &key, by);
        }
    }

    #[cold]
    pub(super) fn log_signal(&mut self, held: usize, key: &[u8], by: By) {
        self.trial.get_or_insert_default().signals.push((held, key.into(), by));
    }

    /// Puts back every key as it was, and forgets what else the unit noted.
    pub fn undo_trial(&mut self) {
        let trial = self.trial.take();
        self.end_trial();
        for logged in trial.into_iter().flat_map(|trial| trial.log) {
            self.put_back(logged);
        }
        self.tally = super::view::Tally {
            lock_waits: self.tally.lock_waits,
            lock_wait_ns: self.tally.lock_wait_ns,
            ..Default::default()
        };
        self.tell_nothing();
    }

    fn put_back(&mut self, logged: Logged) {
        let Logged { physical, shard, key, before } = logged;
        let here = |held: &Held<'_>| held.physical == physical && held.shard == shard;
        let Some(held) = self.held.iter().position(here) else {
            unreachable!("what a trial has changed stays locked until its end")
        };
        let hash = self.store.hash(&key);
        let now = self.held[held].guard.find(hash, &key).map(|slot| Place { held, slot });
        match (now, before) {
            (Some(place), Some(mut before)) => {
                before.set_epoch(self.restored_epoch(&before));
                self.replace(place, before);
            }
            (None, Some(mut before)) => {
                before.set_epoch(self.restored_epoch(&before));
                self.insert_at(held, Key { bytes: &key, hash }, before);
            }
            (Some(place), None) => {
                if let Some(entry) = self.detach(place) {
                    self.dispose(held, entry);
                }
            }
            (None, None) => {}
        }
    }

    /// What a running save wanted of an entry it was given when the entry first changed.
    fn restored_epoch(&self, entry: &Entry) -> u8 {
        if self.epoch.saving { self.epoch.current } else { entry.epoch() }
    }

    /// Whether the trial must not change this key: its value takes long to copy, or too many have changed.
    pub fn is_heavy(&mut self, key: Key<'_>) -> bool {
        if self.trial.as_ref().is_some_and(|trial| trial.log.len() >= LOGGED_KEYS) {
            return true;
        }
        let held = self.held_for(key.hash);
        let guard = &self.held[held].guard;
        let entry = guard.find(key.hash, key.bytes).and_then(|slot| guard.get(slot));
        entry.is_some_and(|entry| match (entry.as_object(), entry.as_str()) {
            (Some(object), _) => object.weight() > HEAVY_ELEMENTS,
            (None, Some(Str::Bytes(bytes))) => bytes.len() > HEAVY_BYTES,
            _ => false,
        })
    }

    fn is_logged(&self, held: usize, key: &[u8]) -> bool {
        let Held { physical, shard, .. } = self.held[held];
        self.trial.as_ref().is_some_and(|trial| {
            trial
                .log
                .iter()
                .any(|logged| logged.shard == shard && logged.physical == physical && *logged.key == *key)
        })
    }

    fn log(&mut self, held: usize, key: &[u8], before: Option<Entry>) {
        let Held { physical, shard, .. } = self.held[held];
        let trial = self.trial.get_or_insert_default();
        trial.log.push(Logged { physical, shard, key: key.into(), before });
    }

    /// An entry is about to be changed in place.
    pub(super) fn log_change(&mut self, place: Place) {
        let Some(entry) = self.entry(place) else { return };
        if !self.is_logged(place.held, entry.key()) {
            let copy = entry.duplicate(entry.key(), entry.meta());
            let key: SmallVec<[u8; 64]> = copy.key().into();
            self.log(place.held, &key, Some(copy));
        }
    }

    /// An entry has left the keyspace. Gives it back when the log has no use for it.
    pub(super) fn log_removal(&mut self, held: usize, entry: Entry) -> Option<Entry> {
        if self.is_logged(held, entry.key()) {
            return Some(entry);
        }
        let key: SmallVec<[u8; 64]> = entry.key().into();
        self.log(held, &key, Some(entry));
        None
    }

    /// An entry comes into the keyspace.
    pub(super) fn log_insertion(&mut self, held: usize, key: &[u8]) {
        if !self.is_logged(held, key) {
            self.log(held, key, None);
        }
    }
}
