//! The live figures: read again and again, so that what counts up becomes a rate, and histograms that only
//! grow become those of the last seconds.

use std::sync::Arc;

use crate::admin::{
    Control, Live, LiveClients, LiveCommand, LiveDatabase, LiveLatency, LiveLog, LiveMemory, LivePercentiles,
    LivePersistence, LiveRates, LiveSlowLog, LiveWorker, Sampler,
};
use crate::observe::{CommandTotals, Counter, Figures, Latency, Stats};

use super::control::Admin;
use super::figures;
use super::host::Host;

/// Commands, and databases, that one frame names at most: it goes to every listener every second.
const NAMED: usize = 50;

/// A window of time reaches back over the last full one of this length, and what has passed since.
const WINDOW_NS: u64 = 5_000_000_000;

/// Reads the figures of one server.
pub(super) struct LiveSampler {
    host: Arc<Host>,
    before: Option<Reading>,
    /// The histograms at the beginning of the window, and when it began.
    begin: Histograms,
    /// Those at which the next window will begin.
    later: Histograms,
}

/// What only counts up, at one moment.
struct Reading {
    stamp: u64,
    counters: [u64; COUNTED.len()],
    /// Busy nanoseconds and commands of each worker.
    workers: Vec<(u64, u64)>,
    commands: Vec<(usize, CommandTotals)>,
}

/// The counters of which rates are shown.
const COUNTED: [Counter; 9] = [
    Counter::CommandsProcessed,
    Counter::NetInputBytes,
    Counter::NetOutputBytes,
    Counter::KeyspaceHits,
    Counter::KeyspaceMisses,
    Counter::ExpiredKeys,
    Counter::EvictedKeys,
    Counter::ErrorReplies,
    Counter::ConnectionsReceived,
];

#[derive(Clone, Default)]
struct Histograms {
    stamp: u64,
    commands: Vec<(usize, Latency)>,
}

impl Histograms {
    fn now(stats: &Stats, stamp: u64) -> Histograms {
        Histograms { stamp, commands: stats.latencies() }
    }

    fn of(&self, command: usize) -> Option<&Latency> {
        let at = self.commands.binary_search_by_key(&command, |(index, _)| *index).ok()?;
        Some(&self.commands[at].1)
    }
}

impl LiveSampler {
    pub(super) fn new(host: Arc<Host>) -> LiveSampler {
        let begin = Histograms::now(&host.stats, host.clock.stamp());
        LiveSampler { before: None, later: begin.clone(), begin, host }
    }
}

impl Sampler for LiveSampler {
    fn sample(&mut self) -> Live {
        let host = Arc::clone(&self.host);
        let figures = figures::gather(&host);
        let now = Reading::take(&host.stats, host.clock.stamp());
        let before = self.before.take();
        let holding = figures.databases.iter().enumerate().filter(|(_, database)| database.keys > 0);
        let databases: Vec<LiveDatabase> = holding
            .map(|(number, database)| LiveDatabase {
                number,
                keys: database.keys,
                expiring: database.expires,
            })
            .collect();
        let admin = Admin(Arc::clone(&host));
        let live = Live {
            time_unix_ms: figures.now_unix_us / 1_000,
            uptime_s: figures.uptime_seconds,
            version: figures.glasswing_version.clone(),
            port: figures.tcp_port,
            checks: admin.checks(),
            rates: before.as_ref().map(|before| rates(before, &now)),
            clients: LiveClients {
                connected: figures.connected_clients,
                blocked: figures.blocked_clients,
                max: figures.maxclients,
                received: now.counters[8],
            },
            memory: memory(&figures),
            databases_left_out: databases.len().saturating_sub(NAMED),
            databases: databases.into_iter().take(NAMED).collect(),
            workers: workers(&figures, before.as_ref(), &now),
            latency: self.latency(before.as_ref(), &now),
            persistence: persistence(&host, &figures, &admin),
            slow_log: slow_log(&host.stats),
        };
        self.before = Some(now);
        live
    }
}

impl LiveSampler {
    /// The commands of the window, and how long they took.
    fn latency(&mut self, before: Option<&Reading>, now: &Reading) -> LiveLatency {
        let stats = &self.host.stats;
        let current = Histograms::now(stats, now.stamp);
        let mut all = Latency::default();
        let mut ran: Vec<(usize, Latency)> = Vec::new();
        for (command, latency) in &current.commands {
            let window = match self.begin.of(*command) {
                Some(earlier) => latency.clone().since(earlier),
                None => latency.clone(),
            };
            if window.count() > 0 {
                all.add(&window);
                ran.push((*command, window));
            }
        }
        ran.sort_by_key(|(_, window)| std::cmp::Reverse(window.sum_nanos()));
        let seconds = before.map_or(f64::INFINITY, |before| seconds_between(before, now));
        let commands = ran.iter().take(NAMED).map(|(command, window)| {
            let totals = now.totals(*command);
            let earlier = before.map_or_else(CommandTotals::default, |before| before.totals(*command));
            LiveCommand {
                name: stats.names()[*command],
                calls: totals.calls.saturating_sub(earlier.calls) as f64 / seconds,
                share: window.sum_nanos() as f64 / (all.sum_nanos() as f64).max(1.0),
                errors: totals.failed + totals.rejected,
                took: percentiles(window),
            }
        });
        let latency = LiveLatency {
            window_s: now.stamp.saturating_sub(self.begin.stamp) as f64 / 1e9,
            all: percentiles(&all),
            commands: commands.collect(),
            commands_left_out: ran.len().saturating_sub(NAMED),
        };
        if now.stamp.saturating_sub(self.later.stamp) >= WINDOW_NS {
            self.begin = std::mem::replace(&mut self.later, current);
        }
        latency
    }
}

impl Reading {
    fn take(stats: &Stats, stamp: u64) -> Reading {
        let of = |worker, counter| stats.worker_counter(worker, counter);
        let worker = |worker| (of(worker, Counter::BusyNanos), of(worker, Counter::CommandsProcessed));
        Reading {
            stamp,
            counters: COUNTED.map(|counter| stats.counter(counter)),
            workers: (0..stats.workers()).map(worker).collect(),
            commands: stats.commands(),
        }
    }

    fn totals(&self, command: usize) -> CommandTotals {
        let at = self.commands.binary_search_by_key(&command, |(index, _)| *index);
        at.map_or_else(|_| CommandTotals::default(), |at| self.commands[at].1)
    }
}

fn seconds_between(before: &Reading, now: &Reading) -> f64 {
    (now.stamp.saturating_sub(before.stamp) as f64 / 1e9).max(1e-3)
}

fn rates(before: &Reading, now: &Reading) -> LiveRates {
    let seconds = seconds_between(before, now);
    let rate = |at: usize| now.counters[at].saturating_sub(before.counters[at]) as f64 / seconds;
    LiveRates {
        commands: rate(0),
        input_bytes: rate(1),
        output_bytes: rate(2),
        hits: rate(3),
        misses: rate(4),
        expired: rate(5),
        evicted: rate(6),
        errors: rate(7),
        connections: rate(8),
    }
}

fn memory(figures: &Figures) -> LiveMemory {
    LiveMemory {
        used: figures.used_memory,
        peak: figures.used_memory_peak,
        dataset: figures.used_memory_dataset,
        resident: figures.used_memory_rss,
        limit: figures.maxmemory,
        policy: figures.maxmemory_policy.clone(),
        machine: figures.total_system_memory,
    }
}

fn workers(figures: &Figures, before: Option<&Reading>, now: &Reading) -> Vec<LiveWorker> {
    let live = |(number, worker): (usize, &crate::observe::metrics::WorkerFigures)| {
        let growth = before.and_then(|before| {
            let ((busy_then, commands_then), (busy, commands)) =
                (before.workers.get(number)?, now.workers.get(number)?);
            let seconds = seconds_between(before, now);
            let busy_s = busy.saturating_sub(*busy_then) as f64 / 1e9;
            // A batch counts when it has ended: one that took longer than a frame would be more than all of it.
            Some(((busy_s / seconds).min(1.0), commands.saturating_sub(*commands_then) as f64 / seconds))
        });
        LiveWorker {
            connections: worker.connections,
            busy: growth.map(|(busy, _)| busy),
            commands: growth.map(|(_, commands)| commands),
        }
    };
    figures.workers.iter().enumerate().map(live).collect()
}

fn percentiles(window: &Latency) -> LivePercentiles {
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    let [p50, p99, p999, max] = window.percentiles([50.0, 99.0, 99.9, 100.0]);
    LivePercentiles { p50_us: micros(p50), p99_us: micros(p99), p999_us: micros(p999), max_us: micros(max) }
}

fn persistence(host: &Host, figures: &Figures, admin: &Admin) -> LivePersistence {
    let loading = host.load_progress().map(|progress| progress.report().share);
    LivePersistence {
        loading: figures.loading.then(|| loading.unwrap_or(0.0)),
        unsaved_changes: figures.rdb_changes_since_last_save,
        save: admin.save_status(),
        append_only_file: figures.aof.enabled.then_some(LiveLog {
            bytes: figures.aof.current_size,
            rewriting: figures.aof.rewriting,
            failing: figures.aof.write_failed,
        }),
    }
}

fn slow_log(stats: &Stats) -> LiveSlowLog {
    let log = stats.slow_log();
    let newest = log.latest(1);
    LiveSlowLog { len: log.len() as u64, last_id: newest.first().map_or(0, |entry| entry.id) }
}
