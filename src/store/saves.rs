//! What a save needs from the keyspace: epochs, and the values that writers replaced before the
//! saver came to them.
//!
//! A save is the state at one instant. The instant is one store to [`Saves::state`]: from then on a
//! unit of work, which reads the state after its last lock, belongs to the new epoch. Before a unit
//! of the new epoch changes an entry of an older one, it hands the old value over to the saver. The
//! saver walks the shards, writes what is of an older epoch and marks it. Since no unit takes a lock
//! after its first write (two-phase locking), what is saved is one consistent cut.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::{EPOCHS, Entry};

const SAVING: u64 = 1 << 8;
/// The handed-over values lie in this many lists, chosen by shard, so that writers rarely meet.
const LISTS: usize = 16;

/// A value that a writer replaced or removed before the saver reached it.
#[derive(Debug)]
pub struct Retained {
    /// The physical database.
    pub database: usize,
    /// The entry as it was at the save's instant.
    pub entry: Entry,
    counted_bytes: usize,
}

/// What a unit of work must know about saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The current epoch, below [`EPOCHS`].
    pub current: u8,
    /// Whether older entries are still to be saved.
    pub saving: bool,
}

/// The state that saver and writers share.
#[derive(Debug)]
pub struct Saves {
    /// Low byte: the epoch. Bit 8: a save is on.
    state: AtomicU64,
    lists: [Mutex<Vec<Retained>>; LISTS],
    retained: AtomicUsize,
    bytes: AtomicUsize,
    /// The most of them since the last save began.
    peak_bytes: AtomicUsize,
    limit_bytes: AtomicUsize,
    epochs_mixed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list is pushed to or taken whole: a panic elsewhere cannot leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Saves {
    fn default() -> Saves {
        Saves {
            state: AtomicU64::new(0),
            lists: Default::default(),
            retained: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
            limit_bytes: AtomicUsize::new(usize::MAX),
            epochs_mixed: AtomicBool::new(false),
        }
    }
}

impl Saves {
    /// The epoch, to be read after a unit's last lock.
    #[inline]
    pub fn epoch(&self) -> Epoch {
        let state = self.state.load(Ordering::Acquire);
        Epoch { current: state as u8, saving: state & SAVING != 0 }
    }

    /// The instant of a save. The caller makes sure that one save runs at a time and that nobody
    /// holds the whole keyspace, whose holder may lock after it has written.
    pub(super) fn begin(&self) -> Epoch {
        self.peak_bytes.store(0, Ordering::Relaxed);
        let next = (self.epoch().current + 1) % EPOCHS;
        self.state.store(u64::from(next) | SAVING, Ordering::Release);
        Epoch { current: next, saving: true }
    }

    /// The end of a save. After a cancelled one, entries of several epochs remain.
    pub(super) fn end(&self, complete: bool) {
        self.state.fetch_and(!SAVING, Ordering::AcqRel);
        if !complete {
            self.epochs_mixed.store(true, Ordering::Release);
        }
        let left: usize = self.drain().iter().map(Retained::counted_bytes).sum();
        self.freed(left);
    }

    /// Whether a sweep must mark all entries before the next save, and forgets it.
    pub(super) fn take_epochs_mixed(&self) -> bool {
        self.epochs_mixed.swap(false, Ordering::AcqRel)
    }

    /// Hands an entry over to the saver. `extra` says whether keeping it costs memory that would
    /// otherwise be free by now (which is what the bound is about).
    pub(super) fn retain(&self, database: usize, shard: usize, entry: Entry, extra: bool) {
        let counted_bytes = if extra { entry.memory_usage() } else { 0 };
        lock(&self.lists[shard % LISTS]).push(Retained { database, entry, counted_bytes });
        self.retained.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(counted_bytes, Ordering::Relaxed);
        self.peak_bytes.fetch_max(before + counted_bytes, Ordering::Relaxed);
    }

    /// Takes all that was handed over.
    pub(super) fn drain(&self) -> Vec<Retained> {
        let mut taken = Vec::new();
        if self.retained.load(Ordering::Acquire) == 0 {
            return taken;
        }
        for list in &self.lists {
            taken.append(&mut lock(list));
        }
        self.retained.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// Says that drained entries are written and freed.
    pub(super) fn freed(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that a running save holds beyond what the keyspace holds.
    pub fn retained_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The most that there were of them during the save that began last.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Whether more than half the bound is used.
    pub(super) fn pressed(&self) -> bool {
        self.retained_bytes() > self.limit_bytes.load(Ordering::Relaxed) / 2
    }

    /// Whether anything was handed over and not yet drained.
    pub(super) fn has_retained(&self) -> bool {
        self.retained.load(Ordering::Acquire) > 0
    }

    /// Sets the bound of [`Saves::retained_bytes`].
    pub fn set_limit(&self, bytes: usize) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether writers must wait, before they lock anything, until the saver has caught up.
    #[inline]
    pub fn over_limit(&self) -> bool {
        self.retained_bytes() > self.limit_bytes.load(Ordering::Relaxed)
    }
}

impl Retained {
    /// What freeing it gives back against the bound.
    pub(super) fn counted_bytes(&self) -> usize {
        self.counted_bytes
    }
}
