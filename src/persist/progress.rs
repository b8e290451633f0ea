//! How far a save or a load has come, in counters that anybody may read meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Tells milliseconds that only ever grow. This room reads no clock of its own.
pub type Millis = Box<dyn Fn() -> u64 + Send + Sync>;

/// Counters of one save or load, and the flag that cancels it.
pub struct Progress {
    now_ms: Millis,
    started_ms: AtomicU64,
    expected_keys: AtomicU64,
    total_bytes: AtomicU64,
    keys: AtomicU64,
    bytes: AtomicU64,
    done: AtomicBool,
    cancelled: AtomicBool,
    /// Whoever waits hears of the end here, and the thread that does the work, wherever it is parked.
    waits: Mutex<Option<Thread>>,
    ended: Condvar,
}

/// One reading of a [`Progress`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What is done, from 0.0 to 1.0.
    pub share: f64,
    /// Keys saved or loaded.
    pub keys: u64,
    /// Bytes written or read.
    pub bytes: u64,
    /// Bytes to read in all; 0 when not known.
    pub total_bytes: u64,
    /// Keys that are expected in all; 0 when not known yet.
    pub expected_keys: u64,
    /// Milliseconds since the begin.
    pub elapsed_ms: u64,
    /// Seconds left at the mean speed so far; `None` before there is one.
    pub seconds_left: Option<f64>,
}

impl Progress {
    /// Counters at zero, started now.
    pub fn new(now_ms: Millis) -> Self {
        let started = now_ms();
        Progress {
            now_ms,
            started_ms: AtomicU64::new(started),
            expected_keys: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            done: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            waits: Mutex::new(None),
            ended: Condvar::new(),
        }
    }

    /// Asks the save or load to stop. It removes what it began and says so.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // Who is about to wait has looked, or will look under the lock.
        if let Some(thread) = &*self.lock() {
            thread.unpark();
        }
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This thread does the work: it is unparked when somebody asks it to stop.
    pub fn runs_here(&self) {
        *self.lock() = Some(thread::current());
    }

    /// Waits as long, or until somebody asks it to stop: then false.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.lock(), time, |_| !self.is_cancelled());
        drop(waited);
        !self.is_cancelled()
    }

    /// Whether somebody asked it to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The share, the counts and the time left, as of now.
    pub fn report(&self) -> Report {
        let keys = self.keys.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let expected_keys = self.expected_keys.load(Ordering::Relaxed);
        let total_bytes = self.total_bytes.load(Ordering::Relaxed);
        let share = if self.done.load(Ordering::Relaxed) {
            1.0
        } else if total_bytes > 0 {
            part(bytes, total_bytes)
        } else {
            part(keys, expected_keys)
        };
        let elapsed_ms = self.now_ms().saturating_sub(self.started_ms.load(Ordering::Relaxed));
        let seconds_left = (share > 0.0).then(|| elapsed_ms as f64 / 1e3 * (1.0 - share) / share);
        Report { share, keys, bytes, total_bytes, expected_keys, elapsed_ms, seconds_left }
    }

    /// Says how many bytes there are to read.
    pub fn expect_bytes(&self, bytes: u64) {
        self.begin(0, bytes);
    }

    /// Begins anew with these expectations.
    pub fn begin(&self, expected_keys: u64, total_bytes: u64) {
        self.started_ms.store(self.now_ms(), Ordering::Relaxed);
        self.expected_keys.store(expected_keys, Ordering::Relaxed);
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
    }

    pub(super) fn add_keys(&self, n: u64) {
        self.keys.fetch_add(n, Ordering::Relaxed);
    }

    /// So many bytes more have been written, or read.
    pub fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(n, Ordering::Relaxed);
    }

    /// All is done.
    pub fn finish(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }
}

fn part(done: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { (done as f64 / all as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn share_and_time_left_follow_the_counts() {
        let clock = Arc::new(AtomicU64::new(1_000));
        let hand = Arc::clone(&clock);
        let progress = Progress::new(Box::new(move || hand.load(Ordering::Relaxed)));
        progress.begin(400, 0);
        assert_eq!(progress.report().seconds_left, None);
        progress.add_keys(100);
        clock.store(4_000, Ordering::Relaxed);
        let report = progress.report();
        assert_eq!((report.share, report.elapsed_ms), (0.25, 3_000));
        assert_eq!(report.seconds_left, Some(9.0));
        progress.add_keys(900);
        assert_eq!(progress.report().share, 1.0, "more keys than expected is not over the end");
    }

    #[test]
    fn who_waits_is_woken_when_it_is_cancelled() {
        let progress = Progress::new(Box::new(|| 0));
        assert!(progress.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| progress.wait(Duration::MAX));
            progress.cancel();
            assert!(!waits.join().unwrap());
        });
        assert!(!progress.wait(Duration::MAX), "it does not wait any more");
    }

    #[test]
    fn an_empty_save_is_done_when_it_is_done() {
        let progress = Progress::new(Box::new(|| 0));
        progress.begin(0, 0);
        assert_eq!(progress.report().share, 0.0);
        progress.finish();
        assert_eq!(progress.report().share, 1.0);
    }
}
