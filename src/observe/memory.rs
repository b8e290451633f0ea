//! How much memory is in use, at the price of a load.
//!
//! Eviction must know it before each command, but the allocator's statistics cost an epoch: a walk over all
//! its arenas. What does not is a pair of counters that it keeps for every thread anyway, what the thread has
//! allocated and freed so far. So each worker adds what it has taken or given since the last time to one
//! balance, once that is more than [`GRAIN`], and ten times a second the balance is put right from the
//! statistics: that counts what threads did which never told. Between two corrections the error is a grain for
//! each worker.
//!
//! In use is what has been allocated, by the size classes that the allocator really took; what it keeps in its
//! threads' caches is free. There is one allocator in a process, so this is the process's and no server's own.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

/// What a thread keeps to itself before it tells.
const GRAIN: i64 = 16 * 1024;

static BALANCE: AtomicI64 = AtomicI64::new(0);
/// Counts corrections. What a thread did before the last one is in the balance.
static CORRECTED: AtomicU32 = AtomicU32::new(0);

/// One thread's counters in the allocator, and what of them it has told.
struct Meter {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    told: Cell<i64>,
    corrected: Cell<u32>,
}

impl Meter {
    fn new() -> Option<Meter> {
        let (allocated, freed) = (allocatedp::read().ok()?, deallocatedp::read().ok()?);
        Some(Meter { allocated, freed, told: Cell::new(0), corrected: Cell::new(0) })
    }

    #[inline]
    fn tell(&self) {
        let now = self.allocated.get().wrapping_sub(self.freed.get()).cast_signed();
        let corrected = CORRECTED.load(Ordering::Relaxed);
        if self.corrected.get() != corrected {
            self.corrected.set(corrected);
            self.told.set(now);
            return;
        }
        let more = now.wrapping_sub(self.told.get());
        if more.abs() >= GRAIN {
            self.told.set(now);
            BALANCE.fetch_add(more, Ordering::Relaxed);
        }
    }
}

thread_local! {
    static METER: Option<Meter> = Meter::new();
}

/// Bytes in use, by what this thread has done until now and the others have told.
#[inline]
pub fn used() -> u64 {
    if CORRECTED.load(Ordering::Relaxed) == 0 {
        correct();
    }
    METER.with(|meter| {
        if let Some(meter) = meter {
            meter.tell();
        }
    });
    u64::try_from(BALANCE.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Puts the balance right from the allocator's statistics.
#[cold]
pub fn correct() {
    // The statistics are those of the last epoch.
    let _ = epoch::advance();
    correct_from(in_use());
}

/// The same, for who has begun an epoch and read what is in use.
pub(super) fn correct_from(in_use: u64) {
    let exact = i64::try_from(in_use).unwrap_or(i64::MAX);
    let before = BALANCE.load(Ordering::Relaxed);
    CORRECTED.fetch_add(1, Ordering::Relaxed);
    BALANCE.fetch_add(exact.wrapping_sub(before), Ordering::Relaxed);
}

/// Bytes in live allocations as of the last epoch: the allocator's figure, less what lies in threads' caches.
pub(super) fn in_use() -> u64 {
    /// The arena whose figures are those of all (`MALLCTL_ARENAS_ALL`).
    const CACHED: &[u8] = b"stats.arenas.4096.tcache_bytes\0";
    let allocated = stats::allocated::read().unwrap_or(0);
    let cached: Result<usize, _> = CACHED.name().read();
    allocated.saturating_sub(cached.unwrap_or(0)) as u64
}
