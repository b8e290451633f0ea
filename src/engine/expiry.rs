//! Active expiry: each worker sweeps its share of the shards between batches.

use std::sync::atomic::Ordering;

use crate::command::ports::Clients as _;
use crate::observe::Counter;
use crate::store::{Moment, Sweep};

use super::blocked;
use super::shared::Engine;

/// What one worker's sweeper keeps.
#[derive(Debug)]
pub struct Sweeper {
    sweep: Sweep,
    /// Keys that the round under way has removed, and how late they were at most.
    expired: u64,
    late_ms: u64,
    worker: usize,
}

/// Longest time that one call sweeps, nanoseconds: the worker's clients wait so long at most. About half of the p99.9 of
/// a round trip where the median is 25 µs.
const SLICE_NS: u64 = 50_000;

impl Sweeper {
    /// The sweeper of a worker.
    pub fn new(worker: usize, workers: usize) -> Sweeper {
        Sweeper { sweep: Sweep::new(worker, workers), expired: 0, late_ms: 0, worker }
    }

    /// Sweeps for a slice of time. Returns whether there is more to do at once.
    pub fn slice(
        &mut self,
        engine: &Engine,
        settings: &std::sync::Arc<crate::config::Settings>,
        moment: Moment,
    ) -> bool {
        if !engine.status.active_expiry.load(Ordering::Relaxed)
            || engine.status.loading.load(Ordering::Relaxed)
            // While clients are held back nothing changes.
            || engine.clients.paused(moment.now_ms).is_some()
        {
            return false;
        }
        // The sweep is a worker's work like a batch: it waits while somebody holds the keyspace.
        let Some(_permit) = engine.world.try_work(self.worker) else { return false };
        let stats = engine.stats.worker(self.worker);
        let began = engine.clock.stamp();
        let enough = || engine.clock.stamp().saturating_sub(began) >= SLICE_NS || engine.world.is_wanted();
        loop {
            let swept = self.sweep.step(&engine.store, moment, &enough);
            stats.add(Counter::ExpirySampled, u64::from(swept.sampled));
            if swept.tally.expired > 0 {
                super::notify::expired(engine, settings, &swept.expired);
                stats.add(Counter::ExpiredKeys, u64::from(swept.tally.expired));
                self.expired += u64::from(swept.tally.expired);
                self.late_ms = self.late_ms.max(swept.late_ms);
                stats.swept_late(self.late_ms, false);
            }
            if !swept.ready.is_empty() {
                let scope = super::unit::Scope::new(engine, self.worker, settings, moment);
                blocked::serve_later(&scope, &blocked::nobody(), swept.ready);
            }
            let rests = swept.rest_until_ms.is_some();
            if let Some(expiring) = swept.round_over {
                stats.swept(std::mem::take(&mut self.expired), expiring);
                stats.swept_late(std::mem::take(&mut self.late_ms), true);
            }
            if rests || enough() {
                let spent = engine.clock.stamp().saturating_sub(began);
                stats.add(Counter::ExpiryCycleNanos, spent);
                note(engine, settings, moment, spent);
                return !rests;
            }
        }
    }
}

/// A slice that took long is an event of the latency monitor.
fn note(engine: &Engine, settings: &crate::config::Settings, moment: Moment, spent_ns: u64) {
    let threshold_ms = settings.latency_monitor_threshold_ms;
    engine.stats.spikes().note("expire-cycle", threshold_ms, moment.now_ms, spent_ns);
}
