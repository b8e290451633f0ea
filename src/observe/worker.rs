//! The slots that are counted in.
//!
//! Each worker owns one `WorkerStats`, on cache lines of its own. It alone writes there, so a
//! count is a plain load and a plain store. The threads that are no workers (admin, saver,
//! expiry) share one slot, `Outside`, and pay for an atomic addition.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::counters::{Counter, Refusal, Stage};
use super::errors::ErrorTable;
use super::histogram::{Histogram, Times};

/// Buckets of the batch sizes: 1, up to 2, up to 4, ... up to 1,024, and more.
pub const BATCH_BUCKETS: usize = 12;

/// Adds to a counter that the calling thread alone writes.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// What one worker counted about one command.
#[derive(Debug, Default)]
pub(super) struct CommandRow {
    pub(super) calls: AtomicU64,
    pub(super) nanos: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) rejected: AtomicU64,
    /// Made at the first call: most commands are never called on most workers.
    pub(super) latency: OnceLock<Box<Histogram>>,
}

/// The counters of one worker. Only the thread of that worker may call what changes them.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerStats {
    pub(super) tracking: AtomicBool,
    pub(super) counters: [AtomicU64; Counter::COUNT],
    pub(super) refusals: [AtomicU64; Refusal::COUNT],
    pub(super) batches: [AtomicU64; BATCH_BUCKETS],
    pub(super) stages: [Times; Stage::COUNT],
    /// How much later than it wanted the worker's loop turned.
    pub(super) loop_lag: Times,
    pub(super) commands: Box<[CommandRow]>,
    pub(super) errors: ErrorTable,
    /// The bits of a float: [`WorkerStats::stale_share`].
    stale_share: AtomicU64,
    expiry_lag_ms: AtomicU64,
}

impl WorkerStats {
    pub(super) fn new(commands: usize) -> Self {
        Self {
            tracking: AtomicBool::new(true),
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            refusals: [const { AtomicU64::new(0) }; Refusal::COUNT],
            batches: [const { AtomicU64::new(0) }; BATCH_BUCKETS],
            stages: std::array::from_fn(|_| Times::default()),
            loop_lag: Times::default(),
            commands: (0..commands).map(|_| CommandRow::default()).collect(),
            errors: ErrorTable::default(),
            stale_share: AtomicU64::new(0),
            expiry_lag_ms: AtomicU64::new(0),
        }
    }

    /// A sweep of the keys that expire has met this many of them, and removed those that were past their time.
    pub fn swept(&self, expired: u64, expiring: u64) {
        // As Redis weighs what a cycle finds against those before.
        const WEIGHT: f64 = 0.05;
        let found = expired as f64 / expiring.max(expired).max(1) as f64;
        let share = self.stale_share() * (1.0 - WEIGHT) + found * WEIGHT;
        self.stale_share.store(share.to_bits(), Relaxed);
    }

    /// The share of keys past their time among those that expire, a mean over the sweeps so far, the late ones first.
    pub fn stale_share(&self) -> f64 {
        f64::from_bits(self.stale_share.load(Relaxed))
    }

    /// How late the keys were at most that the sweeps of a round have removed so far, or in all once it is `over`.
    pub fn swept_late(&self, ms: u64, over: bool) {
        if over || ms > self.expiry_lag_ms() {
            self.expiry_lag_ms.store(ms, Relaxed);
        }
    }

    /// By how much the time of a key had passed at most that the last sweeps removed, milliseconds.
    pub fn expiry_lag_ms(&self) -> u64 {
        self.expiry_lag_ms.load(Relaxed)
    }

    /// Counts how long a stage took.
    #[inline]
    pub fn stage(&self, stage: Stage, nanos: u64) {
        self.stages[stage as usize].record(nanos);
    }

    /// The worker's loop turned so much later than it wanted.
    pub fn turned_late(&self, nanos: u64) {
        self.loop_lag.record(nanos);
    }

    /// Counts a call of a command that took `nanos`. An index that no command has is ignored.
    #[inline]
    pub fn record(&self, command: usize, nanos: u64) {
        let Some(row) = self.commands.get(command) else { return };
        bump(&row.calls, 1);
        self.time(row, nanos);
    }

    /// Counts a call whose time is not known yet: the command waits.
    pub fn called(&self, command: usize) {
        if let Some(row) = self.commands.get(command) {
            bump(&row.calls, 1);
        }
    }

    /// The time of a call that is counted already.
    pub fn took(&self, command: usize, nanos: u64) {
        if let Some(row) = self.commands.get(command) {
            self.time(row, nanos);
        }
    }

    #[inline]
    fn time(&self, row: &CommandRow, nanos: u64) {
        bump(&row.nanos, nanos);
        if self.tracking.load(Relaxed) {
            match row.latency.get() {
                Some(latency) => latency.record(nanos),
                None => first_record(row, nanos),
            }
        }
    }

    /// Counts a call that answered an error (`failed_calls`). It is also to be recorded.
    pub fn failed(&self, command: usize) {
        if let Some(row) = self.commands.get(command) {
            bump(&row.failed, 1);
        }
    }

    /// Counts a command that was refused before it ran (`rejected_calls`).
    pub fn rejected(&self, command: usize) {
        if let Some(row) = self.commands.get(command) {
            bump(&row.rejected, 1);
        }
    }

    /// Adds to a counter.
    #[inline]
    pub fn add(&self, counter: Counter, by: u64) {
        bump(&self.counters[counter as usize], by);
    }

    /// Adds one to a counter.
    #[inline]
    pub fn incr(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts a refusal. What the client is told is to be given to `error` as well.
    pub fn refused(&self, reason: Refusal) {
        bump(&self.refusals[reason as usize], 1);
    }

    /// Counts an error reply by its code, given its text without the leading `-`.
    pub fn error(&self, text: &str) {
        self.incr(Counter::ErrorReplies);
        self.errors.record(text);
    }

    /// Counts a batch of `size` commands that were run together in `busy_nanos`.
    #[inline]
    pub fn batch(&self, size: u64, busy_nanos: u64) {
        self.incr(Counter::Batches);
        self.add(Counter::BatchCommands, size);
        self.add(Counter::BusyNanos, busy_nanos);
        bump(&self.batches[batch_bucket(size)], 1);
    }

    /// How many batches there were.
    pub fn batches(&self) -> u64 {
        self.counters[Counter::Batches as usize].load(Relaxed)
    }

    /// Counts a time that this worker held the whole keyspace.
    pub fn world_held(&self, nanos: u64) {
        self.incr(Counter::WorldPermits);
        self.add(Counter::WorldNanos, nanos);
    }
}

#[cold]
fn first_record(row: &CommandRow, nanos: u64) {
    row.latency.get_or_init(Histogram::boxed).record(nanos);
}

/// The bucket of a batch size: `n` holds sizes above 2^(n-1), up to 2^n.
fn batch_bucket(size: u64) -> usize {
    let exponent = size.max(1).next_power_of_two().trailing_zeros() as usize;
    exponent.min(BATCH_BUCKETS - 1)
}

/// The slot that every thread may write which is no worker.
#[derive(Debug)]
#[repr(align(128))]
pub struct Outside {
    pub(super) counters: [AtomicU64; Counter::COUNT],
    pub(super) refusals: [AtomicU64; Refusal::COUNT],
    pub(super) stages: [Times; Stage::COUNT],
    pub(super) errors: ErrorTable,
}

impl Outside {
    pub(super) fn new() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            refusals: [const { AtomicU64::new(0) }; Refusal::COUNT],
            stages: std::array::from_fn(|_| Times::default()),
            errors: ErrorTable::default(),
        }
    }

    /// Counts how long a stage took.
    pub fn stage(&self, stage: Stage, nanos: u64) {
        self.stages[stage as usize].record_shared(nanos);
    }

    /// Counts a time that a job held the whole keyspace.
    pub fn world_held(&self, nanos: u64) {
        self.incr(Counter::WorldPermits);
        self.add(Counter::WorldNanos, nanos);
    }

    /// Adds to a counter.
    pub fn add(&self, counter: Counter, by: u64) {
        self.counters[counter as usize].fetch_add(by, Relaxed);
    }

    /// Adds one to a counter.
    pub fn incr(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts a refusal.
    pub fn refused(&self, reason: Refusal) {
        self.refusals[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts an error reply by its code, given its text without the leading `-`.
    pub fn error(&self, text: &str) {
        self.incr(Counter::ErrorReplies);
        self.errors.record(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_no_cache_line() {
        assert_eq!(align_of::<WorkerStats>(), 128);
        assert_eq!(size_of::<CommandRow>(), 48);
    }
}
