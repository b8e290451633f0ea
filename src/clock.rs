//! Time. Nobody else in the crate reads it.
//!
//! Two clocks. *Wall time* in milliseconds since 1970 decides about expiry; a unit of work (one
//! command, script or transaction) sees it fixed. *Stamps* in nanoseconds come from a monotonic
//! counter and measure durations; reading one costs a few nanoseconds, so every command has its own.
//!
//! A test takes [`Clock::manual`] and moves both with [`Clock::advance_ms`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A point on the monotonic clock, in nanoseconds since the clock was made.
pub type Stamp = u64;

/// Where time comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System { counter: quanta::Clock, origin: u64 },
    Manual(Arc<AtomicU64>),
}

/// Where a manual clock starts: 2023-11-14 22:13:20 UTC, in milliseconds.
pub const MANUAL_START_MS: u64 = 1_700_000_000_000;

impl Clock {
    /// The machine's own time.
    pub fn system() -> Clock {
        let counter = quanta::Clock::new();
        let origin = counter.raw();
        Clock { source: Source::System { counter, origin } }
    }

    /// A clock that stands still until it is moved.
    pub fn manual() -> Clock {
        Clock { source: Source::Manual(Arc::new(AtomicU64::new(MANUAL_START_MS * 1_000_000))) }
    }

    /// Moves a manual clock on. The system's clock moves by itself and ignores this.
    pub fn advance_ms(&self, ms: u64) {
        if let Source::Manual(ns) = &self.source {
            ns.fetch_add(ms * 1_000_000, Ordering::SeqCst);
        }
    }

    /// Whether this clock is moved by hand.
    pub fn is_manual(&self) -> bool {
        matches!(self.source, Source::Manual(_))
    }

    /// Nanoseconds on the monotonic clock.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        match &self.source {
            Source::System { counter, origin } => counter.delta_as_nanos(*origin, counter.raw()),
            Source::Manual(ns) => ns.load(Ordering::SeqCst) - MANUAL_START_MS * 1_000_000,
        }
    }

    /// Nanoseconds that the calling thread itself has run; of a clock that is moved by hand, its stamp. A call of the system.
    pub fn thread_cpu_ns(&self) -> u64 {
        match &self.source {
            Source::System { .. } => clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
                .map(|time| time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned())
                // Every Linux has this clock. Without it nothing is taken for the scheduler's.
                .unwrap_or(u64::MAX),
            Source::Manual(_) => self.stamp(),
        }
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        self.unix_us() / 1_000
    }

    /// Microseconds since 1970.
    pub fn unix_us(&self) -> u64 {
        match &self.source {
            // A clock set before 1970 is treated as 1970: expiries then lie in the future, which loses nothing.
            Source::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map(|since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
                .unwrap_or(0),
            Source::Manual(ns) => ns.load(Ordering::SeqCst) / 1_000,
        }
    }
}

/// Wall time as one worker sees it: read from the system now and then, and carried on between by the
/// monotonic counter.
///
/// So a batch of sixteen commands reads the system's clock at most once, every command still has the
/// time to the millisecond, and `SET k v PX 10`, `DEBUG SLEEP 0.05`, `GET k` sent in one write answers
/// nil, as Redis does.
#[derive(Debug)]
pub struct WallTime {
    clock: Clock,
    unix_us: u64,
    read_at: Stamp,
}

/// After so long the system's clock is read again: it may have been set.
const CARRIED_NS: u64 = 1_000_000;

impl WallTime {
    /// Reads the clock for the first time.
    pub fn new(clock: Clock) -> WallTime {
        let unix_us = clock.unix_us();
        let read_at = clock.stamp();
        WallTime { clock, unix_us, read_at }
    }

    /// Milliseconds since 1970 at the time of `stamp`.
    #[inline]
    pub fn at(&mut self, stamp: Stamp) -> u64 {
        let mut since = stamp.saturating_sub(self.read_at);
        if since >= CARRIED_NS {
            self.unix_us = self.clock.unix_us();
            self.read_at = self.clock.stamp();
            since = 0;
        }
        (self.unix_us + since / 1_000) / 1_000
    }

    /// A stamp of the clock behind it.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        self.clock.stamp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual();
        let (wall, stamp) = (clock.unix_ms(), clock.stamp());
        assert_eq!((clock.unix_ms(), clock.stamp()), (wall, stamp));
        clock.advance_ms(1_500);
        assert_eq!(clock.unix_ms(), wall + 1_500);
        assert_eq!(clock.stamp(), stamp + 1_500_000_000);
    }

    #[test]
    fn wall_time_is_read_again_after_a_millisecond() {
        let clock = Clock::manual();
        let mut wall = WallTime::new(clock.clone());
        let before = wall.at(wall.stamp());
        clock.advance_ms(50);
        assert_eq!(wall.at(clock.stamp()), before + 50);
    }

    #[test]
    fn the_system_clock_goes_forward() {
        let clock = Clock::system();
        let first = clock.stamp();
        assert!(clock.stamp() >= first);
        assert!(clock.unix_ms() > MANUAL_START_MS);
    }
}
