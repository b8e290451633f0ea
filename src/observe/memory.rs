//! How much memory is in use, at the price of a load.
//!
//! Eviction must know it before each command, but the allocator's statistics cost an epoch: a walk over all
//! its arenas. What does not is a pair of counters that it keeps for every thread anyway, what the thread has
//! allocated and freed so far. So workers, and the thread that frees, add what they have taken or given since the
//! last time to one balance, once that is more than [`GRAIN`]; what a thread has not told yet is in its own answer.
//!
//! Other threads never tell. At least ten times a second the balance is compared with the statistics. A small difference is
//! what commands hold while they run, at that moment, and means nothing; of a large one an eighth is taken over each
//! time, so that a moment at which a worker holds a large request does not count for a whole tenth of a second.
//!
//! In use is what has been allocated, by the size classes that the allocator really took; what it keeps in its
//! threads' caches is free. There is one allocator in a process, so this is the process's and no server's own.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

/// What a thread keeps to itself before it tells.
const GRAIN: i64 = 2 * 1024;
/// A smaller difference to the statistics is left alone.
const NOISE: i64 = 256 * 1024;
/// The share of a larger one that is taken over.
const SHARE: i64 = 8;

static BALANCE: AtomicI64 = AtomicI64::new(0);
/// Counts starts. What a thread did before the last one is in the balance.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// One thread's counters in the allocator, and what of them it has told.
struct Meter {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    told: Cell<i64>,
    start: Cell<u32>,
}

impl Meter {
    fn new() -> Option<Meter> {
        let (allocated, freed) = (allocatedp::read().ok()?, deallocatedp::read().ok()?);
        Some(Meter { allocated, freed, told: Cell::new(0), start: Cell::new(0) })
    }

    /// Tells what there is to tell, and gives what is too little for that.
    #[inline]
    fn tell(&self) -> i64 {
        let now = self.allocated.get().wrapping_sub(self.freed.get()).cast_signed();
        let start = STARTS.load(Ordering::Relaxed);
        if self.start.get() != start {
            self.start.set(start);
            self.told.set(now);
            measure();
            return 0;
        }
        let more = now.wrapping_sub(self.told.get());
        if more.abs() < GRAIN {
            return more;
        }
        self.told.set(now);
        BALANCE.fetch_add(more, Ordering::Relaxed);
        0
    }
}

thread_local! {
    static METER: Option<Meter> = Meter::new();
}

/// Bytes in use, by what this thread has done until now and the others have told.
#[inline]
pub fn used() -> u64 {
    if STARTS.load(Ordering::Relaxed) == 0 {
        start();
    }
    let untold = tell();
    u64::try_from(BALANCE.load(Ordering::Relaxed) + untold).unwrap_or(0)
}

/// Adds what this thread has done to the balance, but for a little, which it gives.
#[inline]
pub fn tell() -> i64 {
    METER.with(|meter| meter.as_ref().map_or(0, Meter::tell))
}

/// Begins to count, from the allocator's statistics: when a limit is set, and after a file was loaded.
#[cold]
pub fn start() {
    STARTS.fetch_add(1, Ordering::Relaxed);
    tell();
}

/// Sets the balance to what the allocator says: when a thread begins to tell after a start. What it has done between the
/// two was never told, and what of that it frees later would be missing.
#[cold]
fn measure() {
    // The statistics are those of the last epoch.
    let _ = epoch::advance();
    BALANCE.store(i64::try_from(in_use()).unwrap_or(i64::MAX), Ordering::Relaxed);
}

/// Compares the balance with what was in use at an epoch that has just begun.
pub(super) fn compare(in_use: u64) {
    let exact = i64::try_from(in_use).unwrap_or(i64::MAX);
    BALANCE.fetch_add(correction(exact, BALANCE.load(Ordering::Relaxed)), Ordering::Relaxed);
}

fn correction(exact: i64, balance: i64) -> i64 {
    let difference = exact.wrapping_sub(balance);
    if difference.abs() < NOISE { 0 } else { difference / SHARE }
}

/// Bytes in live allocations as of the last epoch: the allocator's figure, less what lies in threads' caches.
pub(super) fn in_use() -> u64 {
    /// The arena whose figures are those of all (`MALLCTL_ARENAS_ALL`).
    const CACHED: &[u8] = b"stats.arenas.4096.tcache_bytes\0";
    let allocated = stats::allocated::read().unwrap_or(0);
    let cached: Result<usize, _> = CACHED.name().read();
    allocated.saturating_sub(cached.unwrap_or(0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_difference_is_taken_over_in_parts_and_a_small_one_not() {
        assert_eq!(correction(1_000_000, 1_000_000 + NOISE - 1), 0);
        assert_eq!(correction(10 * NOISE, 2 * NOISE), NOISE);
        let mut balance = 0;
        for _ in 0..40 {
            balance += correction(1 << 30, balance);
        }
        assert!(((1 << 30) - balance).abs() <= (1 << 30) / 100, "{balance}");
    }
}
