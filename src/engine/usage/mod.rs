//! Which keys, clients and prefixes take most, watched all the time in a memory that does not grow.
//!
//! Two sources. Each worker draws one request in some dozens ([`Samples`]): what was used most is told from them, with
//! bounds. And beside the sweep of expired keys each worker walks its part of the keyspace ([`taker`]): what lies
//! there is told as the last finished walk found it. [`report`] adds up what the workers have, when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::Tallied;

pub mod report;
mod samples;
pub mod taker;
#[cfg(test)]
mod tests;

pub use report::Report;
pub use samples::{MEAN_GAP, Samples};
pub(super) use samples::{Seen, SeenKey, gap};

/// What is watched, by worker.
#[derive(Debug)]
pub struct Watched {
    workers: Box<[OfWorker]>,
}

/// What one worker has. Only it writes there, so its locks are free but while somebody looks.
#[derive(Debug, Default)]
#[repr(align(128))]
struct OfWorker {
    samples: Mutex<Samples>,
    /// Samples drawn since the start.
    drawn: AtomicU64,
    walked: Mutex<Option<Walked>>,
}

/// A finished walk over a worker's part of the keyspace.
#[derive(Clone, Debug)]
pub struct Walked {
    /// What it found.
    pub tallied: Tallied,
    /// When it began, milliseconds since 1970.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// How long the worker was busy with it in all, nanoseconds.
    pub spent_ns: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts are whole after each step: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    /// Nothing is known yet.
    pub fn new(workers: usize) -> Watched {
        Watched { workers: (0..workers).map(|_| OfWorker::default()).collect() }
    }

    /// A worker has drawn a request.
    pub(super) fn saw(&self, worker: usize, now_ms: u64, seen: &Seen<'_>) {
        let own = &self.workers[worker];
        own.drawn.store(own.drawn.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        lock(&own.samples).take(now_ms, seen);
    }

    /// A worker has finished a walk.
    pub(super) fn walked(&self, worker: usize, walked: Walked) {
        *lock(&self.workers[worker].walked) = Some(walked);
    }

    /// Forgets what a worker has found: the statistics are switched off.
    pub(super) fn forget(&self, worker: usize) {
        lock(&self.workers[worker].samples).clear();
        *lock(&self.workers[worker].walked) = None;
    }

    /// Samples drawn since the start.
    pub fn drawn(&self) -> u64 {
        self.workers.iter().map(|own| own.drawn.load(Ordering::Relaxed)).sum()
    }

    /// What every worker has drawn, as it weighs now.
    fn samples(&self, now_ms: u64) -> Vec<Samples> {
        let read = |own: &OfWorker| {
            let mut samples = lock(&own.samples);
            samples.fade(now_ms);
            samples.clone()
        };
        self.workers.iter().map(read).collect()
    }

    /// Each worker's last walk, without copying what it found; nothing before each has finished one.
    fn each_walk<R>(&self, read: impl Fn(&Walked) -> R) -> Option<Vec<R>> {
        self.workers.iter().map(|own| lock(&own.walked).as_ref().map(&read)).collect()
    }

    /// Every worker's last walk; nothing before each has finished one.
    fn walks(&self) -> Option<Vec<Walked>> {
        self.each_walk(Walked::clone)
    }
}
