//! What clients can provoke without end is logged so many times a second; what is kept back is counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Counter, Stats};

/// Lines a second of one kind: more than anybody reads, and too few to fill a disk with.
const PER_SECOND: u64 = 20;

/// Bounds how often a line is logged that clients can provoke. One stands beside each such line, as a `static`.
#[derive(Debug)]
pub struct Limited {
    per_second: u64,
    /// The second, as the low 40 bits of its number, above 24 bits of lines in it.
    window: AtomicU64,
    suppressed: AtomicU64,
}

/// Bits of `Limited::window` that count lines.
const LINE_BITS: u32 = 24;

impl Default for Limited {
    fn default() -> Limited {
        Limited::new()
    }
}

impl Limited {
    /// The usual number of lines a second.
    pub const fn new() -> Limited {
        Limited::with(PER_SECOND)
    }

    /// At most so many lines a second (at most 2^24 - 1).
    const fn with(per_second: u64) -> Limited {
        Limited { per_second, window: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Writes a line, or counts that it was kept back. The first line after some that were names their number.
    pub fn write(&self, stats: &Stats, now_ns: u64, line: impl FnOnce()) {
        let Some(kept_back) = self.allow(now_ns) else {
            stats.outside().incr(Counter::LogLinesSuppressed);
            return;
        };
        if kept_back > 0 {
            tracing::warn!("{kept_back} lines like the next one were kept back");
        }
        line();
    }

    /// Whether a line may be written at this time, and if so how many were kept back since the
    /// last one that was: `Some(0)` mostly.
    fn allow(&self, now_ns: u64) -> Option<u64> {
        let second = (now_ns / 1_000_000_000) << LINE_BITS;
        let taken = self.window.fetch_update(Relaxed, Relaxed, |window| {
            let used = window & ((1 << LINE_BITS) - 1);
            // A clock that went back gets a window of its own as well.
            let used = if window - used == second { used } else { 0 };
            (used < self.per_second).then_some(second | (used + 1))
        });
        if taken.is_ok() {
            return Some(self.suppressed.swap(0, Relaxed));
        }
        self.suppressed.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_limit_counts_what_it_keeps_back() {
        let limited = Limited::with(2);
        assert_eq!(limited.allow(5 * SECOND), Some(0));
        assert_eq!(limited.allow(5 * SECOND + 1), Some(0));
        assert_eq!(limited.allow(5 * SECOND + 2), None);
        assert_eq!(limited.allow(6 * SECOND - 1), None);
        assert_eq!(limited.allow(6 * SECOND), Some(2));
        assert_eq!(limited.allow(6 * SECOND), Some(0));
        assert_eq!(limited.allow(6 * SECOND), None);
        assert_eq!(limited.allow(4 * SECOND), Some(1));
        assert_eq!(Limited::with(0).allow(SECOND), None);
    }

    #[test]
    fn a_line_is_written_or_counted() {
        let (limited, stats) = (Limited::new(), Stats::new(1, &[]));
        let mut written = 0;
        (0..30).for_each(|_| limited.write(&stats, SECOND, || written += 1));
        assert_eq!((written, stats.counter(Counter::LogLinesSuppressed)), (20, 10));
    }
}
