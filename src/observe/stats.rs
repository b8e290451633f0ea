//! The merged view of every counter.
//!
//! Whoever looks reads all workers and adds up. Counters never go back, for nobody but its
//! owner may write one. CONFIG RESETSTAT therefore notes what every counter says at that
//! moment, and from then on that is taken away from what is shown. INFO, LATENCY HISTOGRAM and
//! `/metrics` all read through here and so agree.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counters::{Counter, Refusal, Stage};
use super::errors::ErrorCounts;
use super::exemplars::Exemplars;
use super::histogram::Latency;
use super::instant::{Rates, Reading, Sampler};
use super::slowlog::SlowLog;
use super::spikes::LatencyMonitor;
use super::worker::{BATCH_BUCKETS, Outside, WorkerStats};

/// All workers' figures of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTotals {
    /// Calls that ran.
    pub calls: u64,
    /// Time spent in them, in nanoseconds.
    pub nanos: u64,
    /// Calls that answered an error.
    pub failed: u64,
    /// Calls that were refused before they ran.
    pub rejected: u64,
}

impl CommandTotals {
    /// Whether INFO commandstats has a line for it.
    pub fn is_seen(&self) -> bool {
        self.calls != 0 || self.failed != 0 || self.rejected != 0
    }

    fn minus(self, earlier: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            nanos: self.nanos.saturating_sub(earlier.nanos),
            failed: self.failed.saturating_sub(earlier.failed),
            rejected: self.rejected.saturating_sub(earlier.rejected),
        }
    }
}

type Counters = [u64; Counter::COUNT];

/// What everything said when it was last reset.
#[derive(Debug)]
struct Baseline {
    /// Per worker, and one more for the outside.
    counters: Vec<Counters>,
    refusals: [u64; Refusal::COUNT],
    batches: [u64; BATCH_BUCKETS],
    commands: Vec<CommandTotals>,
    latency: Vec<Option<Latency>>,
    stages: [Latency; Stage::COUNT],
    loop_lag: Vec<Latency>,
}

/// Every counter of the server.
#[derive(Debug)]
pub struct Stats {
    names: Box<[&'static str]>,
    workers: Box<[WorkerStats]>,
    outside: Outside,
    /// Taken before the counters are read: so no reader sees a counter older than the
    /// baseline, and no difference is below zero.
    baseline: Mutex<Baseline>,
    sampler: Mutex<Sampler>,
    saved_changes: AtomicU64,
    slow_log: SlowLog,
    spikes: LatencyMonitor,
    exemplars: Exemplars,
}

impl Stats {
    /// Counters for so many workers and these commands. A command's index is its position in
    /// `commands`, where a subcommand stands as `client|list`.
    pub fn new(workers: usize, commands: &[&'static str]) -> Self {
        let baseline = Baseline {
            counters: vec![[0; Counter::COUNT]; workers + 1],
            refusals: [0; Refusal::COUNT],
            batches: [0; BATCH_BUCKETS],
            commands: vec![CommandTotals::default(); commands.len()],
            latency: vec![None; commands.len()],
            stages: std::array::from_fn(|_| Latency::default()),
            loop_lag: vec![Latency::default(); workers],
        };
        Self {
            names: commands.into(),
            workers: (0..workers).map(|_| WorkerStats::new(commands.len())).collect(),
            outside: Outside::new(),
            baseline: Mutex::new(baseline),
            sampler: Mutex::default(),
            saved_changes: AtomicU64::new(0),
            slow_log: SlowLog::default(),
            spikes: LatencyMonitor::default(),
            exemplars: Exemplars::new(commands.len()),
        }
    }

    /// The slow commands of late.
    pub fn slow_log(&self) -> &SlowLog {
        &self.slow_log
    }

    /// Slow events of late.
    pub fn spikes(&self) -> &LatencyMonitor {
        &self.spikes
    }

    /// Traced calls that stand for the buckets of the latency histograms.
    pub fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// The slot of one worker. Panics when there is no such worker.
    pub fn worker(&self, index: usize) -> &WorkerStats {
        &self.workers[index]
    }

    /// A slot of its own for work that is to be seen in no figure.
    pub fn aside(&self) -> WorkerStats {
        WorkerStats::new(self.names.len())
    }

    /// The slot of everything that is no worker.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The names of the commands, by index.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Turns the latency histograms on or off (`latency-tracking`); they are on at first.
    pub fn set_latency_tracking(&self, on: bool) {
        for worker in &self.workers {
            worker.tracking.store(on, Relaxed);
        }
    }

    /// The share of keys past their time among those that expire, the mean of what the workers' sweeps have met.
    pub fn stale_share(&self) -> f64 {
        let sum: f64 = self.workers.iter().map(WorkerStats::stale_share).sum();
        sum / self.workers.len().max(1) as f64
    }

    /// By how much the time of a key had passed at most that the last sweeps removed, milliseconds.
    pub fn expiry_lag_ms(&self) -> u64 {
        self.workers.iter().map(WorkerStats::expiry_lag_ms).max().unwrap_or(0)
    }

    /// How long a stage took each time, all workers and the outside together.
    pub fn stage(&self, stage: Stage) -> Latency {
        let baseline = self.baseline();
        self.raw_stage(stage).since(&baseline.stages[stage as usize])
    }

    /// How much later than it wanted a worker's loop turned each time. Panics when there is no such worker.
    pub fn loop_lag(&self, worker: usize) -> Latency {
        let baseline = self.baseline();
        self.raw_loop_lag(worker).since(&baseline.loop_lag[worker])
    }

    /// What a counter says: all workers and the outside together.
    pub fn counter(&self, counter: Counter) -> u64 {
        let baseline = self.baseline();
        (0..=self.workers.len())
            .map(|slot| self.raw(slot, counter).saturating_sub(baseline.counters[slot][counter as usize]))
            .sum()
    }

    /// How often keys have changed, come or gone by themselves since the start, whatever CONFIG RESETSTAT says.
    pub fn ever_changed(&self) -> u64 {
        let counters = [Counter::Changes, Counter::ExpiredKeys, Counter::EvictedKeys];
        let slots = 0..=self.workers.len();
        slots.flat_map(|slot| counters.map(|counter| self.raw(slot, counter))).sum()
    }

    /// Changes that no save holds yet (Redis's `rdb_changes_since_last_save`). CONFIG RESETSTAT leaves
    /// them as they are.
    pub fn unsaved_changes(&self) -> u64 {
        self.all_changes().saturating_sub(self.saved_changes.load(Relaxed))
    }

    /// A save holds so many of the changes that waited for one.
    pub fn changes_saved(&self, count: u64) {
        let all = self.all_changes();
        // FLUSHALL may have settled them meanwhile: never more than there were. It always changes.
        let _ = self.saved_changes.fetch_update(Relaxed, Relaxed, |saved| Some((saved + count).min(all)));
    }

    /// Nothing waits for a save any more.
    pub fn no_unsaved_changes(&self) {
        self.saved_changes.store(self.all_changes(), Relaxed);
    }

    fn all_changes(&self) -> u64 {
        (0..=self.workers.len()).map(|slot| self.raw(slot, Counter::Changes)).sum()
    }

    /// What a counter says for one worker alone; 0 for a worker that does not exist.
    pub fn worker_counter(&self, worker: usize, counter: Counter) -> u64 {
        if worker >= self.workers.len() {
            return 0;
        }
        let baseline = self.baseline();
        self.raw(worker, counter).saturating_sub(baseline.counters[worker][counter as usize])
    }

    /// How often a refusal was given for this reason.
    pub fn refusals(&self, reason: Refusal) -> u64 {
        let baseline = self.baseline();
        self.raw_refusals(reason as usize).saturating_sub(baseline.refusals[reason as usize])
    }

    /// How many batches had a size of 1, up to 2, up to 4, ... up to 1,024, and more.
    pub fn batch_sizes(&self) -> [u64; BATCH_BUCKETS] {
        let baseline = self.baseline();
        std::array::from_fn(|bucket| self.raw_batches(bucket).saturating_sub(baseline.batches[bucket]))
    }

    /// The figures of one command.
    pub fn command(&self, command: usize) -> CommandTotals {
        let baseline = self.baseline();
        self.command_since(&baseline, command)
    }

    /// Every command that has been called or refused: its index and figures, by index.
    pub fn commands(&self) -> Vec<(usize, CommandTotals)> {
        let baseline = self.baseline();
        (0..self.names.len())
            .map(|command| (command, self.command_since(&baseline, command)))
            .filter(|(_, totals)| totals.is_seen())
            .collect()
    }

    /// The latency histogram of one command, or None when it has none.
    pub fn latency(&self, command: usize) -> Option<Latency> {
        let baseline = self.baseline();
        self.latency_since(&baseline, command)
    }

    /// The histograms of all commands that have one, by index.
    pub fn latencies(&self) -> Vec<(usize, Latency)> {
        let baseline = self.baseline();
        (0..self.names.len())
            .filter_map(|command| Some((command, self.latency_since(&baseline, command)?)))
            .collect()
    }

    /// Error replies by code, at most `errors::MAX_CODES` and one for the rest.
    pub fn errors(&self) -> ErrorCounts {
        let mut counts = ErrorCounts::new();
        for worker in &self.workers {
            worker.errors.add_to(&mut counts);
        }
        self.outside.errors.add_to(&mut counts);
        counts
    }

    /// Takes a sample for the instantaneous rates when 100 ms have passed since the last one.
    /// To be called at least that often, with the monotonic time.
    pub fn tick(&self, now_ns: u64) {
        let mut sampler = self.sampler();
        if sampler.due(now_ns) {
            let reading = Reading {
                commands: self.counter(Counter::CommandsProcessed),
                input_bytes: self.counter(Counter::NetInputBytes),
                output_bytes: self.counter(Counter::NetOutputBytes),
            };
            sampler.sample(now_ns, reading);
        }
    }

    /// The rates of the last 1.6 seconds.
    pub fn rates(&self) -> Rates {
        self.sampler().mean()
    }

    /// CONFIG RESETSTAT: everything begins at zero again.
    pub fn reset(&self) {
        let mut sampler = self.sampler();
        let mut baseline = self.baseline();
        for slot in 0..=self.workers.len() {
            baseline.counters[slot] = std::array::from_fn(|at| self.raw(slot, Counter::ALL[at]));
        }
        baseline.refusals = std::array::from_fn(|reason| self.raw_refusals(reason));
        baseline.batches = std::array::from_fn(|bucket| self.raw_batches(bucket));
        for command in 0..self.names.len() {
            baseline.commands[command] = self.raw_command(command);
            baseline.latency[command] = self.raw_latency(command);
        }
        baseline.stages = std::array::from_fn(|stage| self.raw_stage(Stage::ALL[stage]));
        baseline.loop_lag = (0..self.workers.len()).map(|worker| self.raw_loop_lag(worker)).collect();
        for worker in &self.workers {
            worker.errors.clear();
        }
        self.outside.errors.clear();
        self.exemplars.clear();
        sampler.reset();
    }

    fn baseline(&self) -> MutexGuard<'_, Baseline> {
        // A reset that panicked leaves figures that are old, not invalid.
        self.baseline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sampler(&self) -> MutexGuard<'_, Sampler> {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command_since(&self, baseline: &Baseline, command: usize) -> CommandTotals {
        let earlier = baseline.commands.get(command).copied().unwrap_or_default();
        self.raw_command(command).minus(earlier)
    }

    fn latency_since(&self, baseline: &Baseline, command: usize) -> Option<Latency> {
        let mut latency = self.raw_latency(command)?;
        if let Some(earlier) = baseline.latency.get(command)? {
            latency.subtract(earlier);
        }
        latency.set_sum_nanos(self.command_since(baseline, command).nanos);
        (latency.count() > 0).then_some(latency)
    }

    /// A counter of one worker, or of the outside, which has the slot behind the last worker.
    fn raw(&self, slot: usize, counter: Counter) -> u64 {
        let counters = match self.workers.get(slot) {
            Some(worker) => &worker.counters,
            None => &self.outside.counters,
        };
        counters[counter as usize].load(Relaxed)
    }

    fn raw_refusals(&self, reason: usize) -> u64 {
        let workers: u64 = self.workers.iter().map(|worker| worker.refusals[reason].load(Relaxed)).sum();
        workers + self.outside.refusals[reason].load(Relaxed)
    }

    fn raw_batches(&self, bucket: usize) -> u64 {
        self.workers.iter().map(|worker| worker.batches[bucket].load(Relaxed)).sum()
    }

    fn raw_stage(&self, stage: Stage) -> Latency {
        let mut merged = Latency::default();
        let slots = self.workers.iter().map(|worker| &worker.stages).chain([&self.outside.stages]);
        slots.for_each(|stages| stages[stage as usize].add_to(&mut merged));
        merged
    }

    fn raw_loop_lag(&self, worker: usize) -> Latency {
        let mut read = Latency::default();
        self.workers[worker].loop_lag.add_to(&mut read);
        read
    }

    fn raw_command(&self, command: usize) -> CommandTotals {
        let mut totals = CommandTotals::default();
        for row in self.workers.iter().filter_map(|worker| worker.commands.get(command)) {
            totals.calls += row.calls.load(Relaxed);
            totals.nanos += row.nanos.load(Relaxed);
            totals.failed += row.failed.load(Relaxed);
            totals.rejected += row.rejected.load(Relaxed);
        }
        totals
    }

    fn raw_latency(&self, command: usize) -> Option<Latency> {
        let mut merged: Option<Latency> = None;
        for row in self.workers.iter().filter_map(|worker| worker.commands.get(command)) {
            if let Some(latency) = row.latency.get() {
                latency.add_to(merged.get_or_insert_default());
            }
        }
        merged
    }
}
