//! The saver's walk over the keyspace: every entry of the instant, once, while writers go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::Entry;
use super::keyspace::Store;
use super::saves::Epoch;

/// Slots encoded in one hold of a shard.
const SLOTS_A_HOLD: usize = 96;

/// How many of the handed-over entries are encoded in one step.
const RETAINED_A_STEP: usize = 256;

/// A save in progress. Made by [`Store::begin_capture`]; its walkers do the work.
#[derive(Debug)]
pub struct Capture {
    store: Arc<Store>,
    epoch: Epoch,
    /// Number and physical database, as they were named at the instant.
    names: Vec<(usize, usize)>,
    /// Next unit of work: a shard of a database.
    next: AtomicUsize,
    walking: AtomicUsize,
}

impl Store {
    /// Does before the instant what would make it long: after a save that was cancelled.
    pub fn prepare_capture(&self) {
        if self.saves.take_epochs_mixed() {
            self.mark_all();
        }
    }

    /// The instant of a save. One capture at a time; nobody may hold the whole keyspace meanwhile.
    pub fn begin_capture(self: &Arc<Self>) -> Arc<Capture> {
        let marking = self.saves.take_epochs_mixed();
        if marking {
            self.mark_all();
        }
        let names = (0..self.databases())
            .map(|number| (number, self.physical(number)))
            .filter(|&(_, physical)| self.existing(physical).is_some())
            .collect();
        let epoch = self.saves.begin();
        Arc::new(Capture {
            store: Arc::clone(self),
            epoch,
            names,
            next: AtomicUsize::new(0),
            walking: AtomicUsize::new(0),
        })
    }

    /// After a cancelled save: gives every entry the current epoch, a few at a time.
    fn mark_all(&self) {
        let epoch = self.saves.epoch().current;
        for physical in 0..self.databases() {
            let Some(database) = self.existing(physical) else { continue };
            for shard in 0..database.shards() {
                let mut guard = database.lock(shard);
                for slot in 0..guard.slots() {
                    if let Some(entry) = guard.get_mut(slot) {
                        entry.set_epoch(epoch);
                    }
                }
            }
        }
    }
}

impl Capture {
    /// One more walker over the same work. All of them must be made before the first one walks.
    pub fn walker(self: &Arc<Self>) -> Walker {
        self.walking.fetch_add(1, Ordering::AcqRel);
        Walker { capture: Arc::clone(self), at: None, retained: Vec::new(), done: false }
    }

    /// Keys present when counted now: what a progress bar may expect.
    pub fn expected_keys(&self) -> u64 {
        self.names.iter().map(|&(number, _)| self.store.counts(number).keys as u64).sum()
    }

    /// Ends the save. Afterwards writers keep nothing any more.
    pub fn finish(&self, complete: bool) {
        self.store.saves.end(complete);
    }

    fn number_of(&self, physical: usize) -> usize {
        // A database that came to life after the instant holds nothing of an older epoch.
        self.names.iter().find(|&&(_, other)| other == physical).map_or(physical, |&(number, _)| number)
    }

    /// The next shard nobody has taken: its physical database and index.
    fn take_shard(&self) -> Option<(usize, usize)> {
        let index = self.next.fetch_add(1, Ordering::AcqRel);
        let &(_, physical) = self.names.get(index / self.store.shards())?;
        Some((physical, index % self.store.shards()))
    }
}

#[derive(Debug)]
struct At {
    physical: usize,
    shard: usize,
    slot: usize,
    generation: u32,
}

/// One thread's share of a save.
#[derive(Debug)]
pub struct Walker {
    capture: Arc<Capture>,
    at: Option<At>,
    retained: Vec<super::saves::Retained>,
    done: bool,
}

impl Walker {
    /// Shows some entries of the instant with their database's number: those that one short hold of a
    /// shard finds, and those that writers handed over. False when there is nothing left.
    ///
    /// `show` runs while a shard is locked: it must only copy or encode into memory.
    pub fn step(&mut self, mut show: impl FnMut(usize, &Entry)) -> bool {
        if self.done {
            return false;
        }
        let store = Arc::clone(&self.capture.store);
        // At half the bound the handed-over values go first, so that writers need not wait.
        let pressed = store.saves.pressed();
        if !pressed && self.walk(&store, &mut show) {
            self.show_retained(&store, RETAINED_A_STEP, &mut show);
            return true;
        }
        self.show_retained(&store, usize::MAX, &mut show);
        if pressed {
            return true;
        }
        self.done = true;
        if self.capture.walking.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The last walker: no entry of an older epoch is left, so nothing more is handed over.
            self.show_retained(&store, usize::MAX, &mut show);
        }
        false
    }

    /// One hold of a shard. False when all shards are walked.
    fn walk(&mut self, store: &Store, show: &mut impl FnMut(usize, &Entry)) -> bool {
        if self.at.is_none() {
            let Some((physical, shard)) = self.capture.take_shard() else { return false };
            self.at = Some(At { physical, shard, slot: 0, generation: 0 });
        }
        let Some(at) = &mut self.at else { return false };
        let number = self.capture.number_of(at.physical);
        let epoch = self.capture.epoch.current;
        let mut guard = store.lock(at.physical, at.shard);
        let generation = guard.side().generation;
        if at.slot == 0 || generation != at.generation {
            // A rebuilt table is walked again from its start; the marks skip what is done.
            (at.slot, at.generation) = (0, generation);
        }
        let slots = if guard.is_empty() { 0 } else { guard.slots() };
        let end = (at.slot + SLOTS_A_HOLD).min(slots);
        (at.slot..end).filter_map(|slot| guard.get(slot)).for_each(Entry::prefetch);
        for slot in at.slot..end {
            let Some(entry) = guard.get_mut(slot) else { continue };
            if entry.epoch() != epoch {
                show(number, entry);
                entry.set_epoch(epoch);
            }
        }
        at.slot = end;
        if end == slots {
            self.at = None;
        }
        true
    }

    /// Shows up to `limit` of the entries that writers handed over.
    fn show_retained(&mut self, store: &Store, limit: usize, show: &mut impl FnMut(usize, &Entry)) {
        if self.retained.is_empty() {
            self.retained = store.saves.drain();
        }
        let count = self.retained.len().min(limit);
        let mut freed = 0;
        for retained in self.retained.drain(self.retained.len() - count..) {
            show(self.capture.number_of(retained.database), &retained.entry);
            freed += retained.counted_bytes();
        }
        store.saves.freed(freed);
        if limit == usize::MAX && store.saves.has_retained() {
            self.show_retained(store, limit, show);
        }
    }
}
