//! Each worker's walk over its part of the keyspace, beside the sweep of expired keys.

use std::sync::atomic::Ordering;

use crate::clock::Stamp;
use crate::store::{Census, Moment};

use super::super::shared::Engine;
use super::Walked;

/// Longest time that one call walks, nanoseconds: half a percent of the worker's time while a walk is under way.
const SLICE_NS: u64 = 100_000;
/// A walker rests four hundred times as long as it was busy, so that walks take a quarter of a percent of its worker's
/// time, within these bounds; and for as long as the walk took.
const REST_A_BUSY_NS: u64 = 1_000_000 / 400;
const SHORTEST_REST_MS: u64 = 1_000;
const LONGEST_REST_MS: u64 = 30_000;

/// What one worker's walker keeps.
#[derive(Debug)]
pub struct Taker {
    census: Census,
    worker: usize,
    /// The walk that is under way: when it began, what had changed until then, how long it was busy.
    under_way: Option<UnderWay>,
    /// What had changed when the last walk began; nothing before the first.
    changes: Option<u64>,
    rests_until_ms: u64,
}

#[derive(Debug)]
struct UnderWay {
    began_ms: u64,
    changes: u64,
    spent_ns: u64,
}

impl Taker {
    /// The walker of a worker.
    pub fn new(worker: usize, workers: usize) -> Taker {
        Taker {
            census: Census::new(worker, workers),
            worker,
            under_way: None,
            changes: None,
            rests_until_ms: 0,
        }
    }

    /// Walks for a slice of time. Returns whether a walk is under way.
    pub fn slice(&mut self, engine: &Engine, moment: Moment) -> bool {
        let (now_ms, settings) = (moment.now_ms, engine.config.current());
        // While a file is loaded, what is there is not what will be.
        if !settings.key_statistics || engine.status.loading.load(Ordering::Relaxed) {
            self.end(None);
            return false;
        }
        if self.under_way.is_none() && now_ms < self.rests_until_ms {
            return false;
        }
        let changes = engine.stats.ever_changed();
        if self.under_way.is_none() && self.changes == Some(changes) {
            return false;
        }
        // A worker's work like a batch: it waits while somebody holds the keyspace.
        let Some(_permit) = engine.world.try_work(self.worker) else { return false };
        let began = engine.clock.stamp();
        let under_way = self.under_way.get_or_insert(UnderWay { began_ms: now_ms, changes, spent_ns: 0 });
        let enough = || took(engine, began) >= SLICE_NS || engine.world.is_wanted();
        let tallied = self.census.step(&engine.store, now_ms, &enough);
        under_way.spent_ns += took(engine, began);
        let Some(tallied) = tallied else { return true };
        let UnderWay { began_ms, changes, spent_ns } = *under_way;
        engine.usage.walked(self.worker, Walked { tallied, began_ms, ended_ms: now_ms, spent_ns });
        self.end(Some(changes));
        let rest_ms = (spent_ns / REST_A_BUSY_NS).clamp(SHORTEST_REST_MS, LONGEST_REST_MS);
        self.rests_until_ms = now_ms + rest_ms.max(now_ms.saturating_sub(began_ms));
        false
    }

    /// Ends the walk, if one is under way; the next begins from the start.
    fn end(&mut self, changes: Option<u64>) {
        if self.under_way.take().is_some() || self.changes.is_some() {
            self.census.restart();
        }
        self.changes = changes;
    }
}

fn took(engine: &Engine, since: Stamp) -> u64 {
    engine.clock.stamp().saturating_sub(since)
}
