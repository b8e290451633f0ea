//! Our own families, `glasswing_*`, as a collector for the registry of the `prometheus` crate.
//!
//! The counters live in `Stats`, not in the crate's own atomics, which several cores would
//! share. So the collector makes its families at the moment of a scrape.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter as Count, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::figures::{Figures, FoundFigures, LockWaitFigures};
use crate::observe::counters::{Counter, Refusal, Stage};
use crate::observe::histogram::{BOUNDS, Latency};
use crate::observe::stats::Stats;
use crate::observe::worker::BATCH_BUCKETS;

/// The name of the command histogram, whose buckets have exemplars.
pub(super) const COMMAND_DURATION: &str = "glasswing_command_duration_seconds";

/// Of the bounds those that a loop's lag is shown with: below a millisecond there is only how exact its timer is.
const LAG_BOUNDS: [u32; 8] = [20, 22, 24, 26, 28, 30, 32, 34];

/// Gives the registry the families of one server.
pub(super) struct Own {
    stats: Arc<Stats>,
    figures: Arc<Mutex<Figures>>,
    descs: Vec<Desc>,
}

impl Own {
    /// The collector; `figures` is what the next scrape shows.
    pub fn new(stats: Arc<Stats>, figures: Arc<Mutex<Figures>>) -> prometheus::Result<Self> {
        let desc = |row: &Row| {
            let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(row.name.to_owned(), row.help.to_owned(), labels, Default::default())
        };
        let descs = ROWS.iter().map(desc).collect::<prometheus::Result<_>>()?;
        Ok(Self { stats, figures, descs })
    }
}

impl Collector for Own {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let scrape = Scrape { stats: &self.stats, figures: &figures };
        ROWS.iter().map(|row| row.family(&scrape)).collect()
    }
}

struct Scrape<'a> {
    stats: &'a Stats,
    figures: &'a Figures,
}

impl Scrape<'_> {
    fn counter(&self, counter: Counter) -> f64 {
        self.stats.counter(counter) as f64
    }

    fn seconds(&self, nanos: Counter) -> f64 {
        self.counter(nanos) / 1e9
    }
}

/// The samples of a family.
type Samples = Vec<Metric>;

struct Row {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&Row, &Scrape<'_>) -> Samples,
}

impl Row {
    fn family(&self, scrape: &Scrape<'_>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric((self.samples)(self, scrape));
        family
    }

    /// A sample with these values for the row's labels.
    fn sample(&self, labels: &[&str], value: f64) -> Metric {
        let mut metric = self.labelled(labels);
        if self.kind == MetricType::COUNTER {
            let mut count = Count::default();
            count.set_value(value);
            metric.set_counter(count);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }

    fn one(&self, value: f64) -> Samples {
        vec![self.sample(&[], value)]
    }

    fn histogram(&self, labels: &[&str], count: u64, sum: f64, buckets: Vec<Bucket>) -> Metric {
        let mut histogram = Histogram::default();
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        histogram.set_bucket(buckets);
        let mut metric = self.labelled(labels);
        metric.set_histogram(histogram);
        metric
    }

    fn labelled(&self, values: &[&str]) -> Metric {
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        Metric::from_label(self.labels.iter().zip(values).map(pair).collect())
    }
}

const fn row(
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Row, &Scrape<'_>) -> Samples,
) -> Row {
    Row { name, kind, help, labels, samples }
}

use MetricType::{COUNTER, GAUGE, HISTOGRAM};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("glasswing_build_info", GAUGE, &["version", "redis_version"],
        "The running version, and the Redis version whose behaviour it has. Always 1; join on it to see which release a change came with.",
        |row, s| vec![row.sample(&[&s.figures.glasswing_version, &s.figures.redis_version], 1.0)]),
    row("glasswing_health_check_ok", GAUGE, &["check"],
        "Whether a check of the health probes is well: 1 or 0. GET /readyz?verbose on the admin port has the reason of one that is not.",
        |row, s| s.figures.checks.iter().map(|&(name, ok)| row.sample(&[name], f64::from(u8::from(ok)))).collect()),
    row(COMMAND_DURATION, HISTOGRAM, &["cmd"],
        "Time a command ran, locks included and the network excluded. When a high quantile grows, look at SLOWLOG GET for large values and at glasswing_stage_duration_seconds for what the time goes into. In OpenMetrics its buckets name the trace of the latest traced call in them.",
        command_durations),
    row("glasswing_stage_duration_seconds", HISTOGRAM, &["stage"],
        "What time goes into. lock_wait: waiting for locks, only by commands that found one taken; see which shard_group has the waits. run: running a command, see SLOWLOG GET. write: from the end of a batch of commands until its replies are written, what the append-only file has to be written before included; a slow network stack or disk. sync: syncing the append-only file, for which replies wait under appendfsync always; a slow disk.",
        |row, s| Stage::ALL.iter().map(|stage| timed(row, stage.label(), &s.stats.stage(*stage), &BOUNDS)).collect()),
    row("glasswing_worker_busy_seconds_total", COUNTER, &["worker"],
        "Time a worker spent running commands. A rate near 1 means that worker is full: add workers, or spread the clients over more connections.",
        |row, s| each_worker(row, s, |s, worker| s.stats.worker_counter(worker, Counter::BusyNanos) as f64 / 1e9)),
    row("glasswing_worker_commands_total", COUNTER, &["worker"],
        "Commands a worker ran. When workers differ widely while their connections are even, a few clients send most of the load.",
        |row, s| each_worker(row, s, |s, worker| s.stats.worker_counter(worker, Counter::CommandsProcessed) as f64)),
    row("glasswing_worker_connections", GAUGE, &["worker"],
        "Connections that live on a worker. New ones go to the worker that has fewest; a lasting difference goes away as clients reconnect.",
        |row, s| each_worker(row, s, |s, worker| s.figures.workers.get(worker).map_or(0.0, |w| w.connections as f64))),
    row("glasswing_worker_loop_lag_seconds", HISTOGRAM, &["worker"],
        "How much later than it wanted a worker's loop turned, measured up to 50 times a second; a few milliseconds are its timer's. What lags makes every client of that worker wait: look for slow commands, or for a machine with too few cores.",
        |row, s| (0..s.stats.workers()).map(|worker| timed(row, &worker.to_string(), &s.stats.loop_lag(worker), &LAG_BOUNDS)).collect()),
    row("glasswing_worker_loop_age_seconds", GAUGE, &["worker"],
        "Time since a worker's loop last turned; about a tenth of a second at most while it is well. Beyond 10 s /livez fails: a command hangs or runs very long, CLIENT LIST shows the last one of each client, SCRIPT KILL ends a script.",
        |row, s| each_worker(row, s, |s, worker| s.figures.workers.get(worker).map_or(0.0, |w| w.turned_seconds_ago))),
    row("glasswing_batch_commands", HISTOGRAM, &[],
        "Commands that one read brought in and that ran together. A mean near 1 means clients do not pipeline: pipelining is the cheapest way to more throughput.",
        batch_sizes),
    row("glasswing_lock_waits_total", COUNTER, &["shard_group"],
        "Shard locks that were not free, by sixteenths of the shards. Where one group stands out workers meet on one key, or a few: GET /usage names the hot ones. Where all have their share there are many such keys, or slow commands hold their locks for long.",
        |row, s| each_group(row, s, |group| group.waits as f64)),
    row("glasswing_lock_wait_seconds_total", COUNTER, &["shard_group"],
        "Time spent waiting for shard locks, by sixteenths of the shards. Divide by glasswing_lock_waits_total; long waits come from slow commands on a shared key.",
        |row, s| each_group(row, s, |group| group.nanos as f64 / 1e9)),
    row("glasswing_world_permits_total", COUNTER, &[],
        "Times the whole keyspace was taken, by FLUSHALL, SWAPDB, KEYS, a script that leaves its declared keys, or the first instant of a rewrite or of a replica's synchronization. Each stops every worker for a moment: keep such commands rare.",
        |row, s| row.one(s.counter(Counter::WorldPermits))),
    row("glasswing_world_seconds_total", COUNTER, &[],
        "Time the whole keyspace was held, during which no other command ran. When it shows in latency, find the caller in SLOWLOG GET.",
        |row, s| row.one(s.seconds(Counter::WorldNanos))),
    row("glasswing_save_progress_ratio", GAUGE, &[],
        "How far the running save is, from 0 to 1; absent when none runs. When it stands still, check the disk.",
        |row, s| s.figures.save.map_or_else(Vec::new, |save| row.one(save.ratio()))),
    row("glasswing_rewrite_progress_ratio", GAUGE, &[],
        "How far the running rewrite of the append-only file is, from 0 to 1; absent when none runs. When it stands still, check the disk.",
        |row, s| s.figures.aof.rewrite.map_or_else(Vec::new, |rewrite| row.one(rewrite.ratio()))),
    row("glasswing_save_retained_bytes", GAUGE, &[],
        "Memory the running save, rewrite or synchronization holds back so that it shows one instant. It counts on top of the data: when it nears the free memory, save at a quieter time.",
        |row, s| row.one(s.figures.save_retained_bytes as f64)),
    row("glasswing_saves_total", COUNTER, &["result"],
        "Saves that ended, by result. After a failure see the log for the reason; writes may be refused until a save succeeds.",
        |row, s| vec![row.sample(&["failed"], s.counter(Counter::SavesFailed)), row.sample(&["ok"], s.counter(Counter::SavesCompleted))]),
    row("glasswing_load_progress_ratio", GAUGE, &[],
        "How far loading the snapshot is, from 0 to 1; absent once it is done. Clients are told LOADING until then.",
        |row, s| s.figures.load.map_or_else(Vec::new, |load| row.one(load.ratio()))),
    row("glasswing_expiry_cycle_seconds_total", COUNTER, &[],
        "Time spent removing expired keys in the background. A rate above a tenth of a core means very many keys expire: spread their times.",
        |row, s| row.one(s.seconds(Counter::ExpiryCycleNanos))),
    row("glasswing_expiry_sampled_keys_total", COUNTER, &[],
        "Keys with an expiry that the background cycle looked at. Beside redis_expired_keys_total it shows how much of that found something.",
        |row, s| row.one(s.counter(Counter::ExpirySampled))),
    row("glasswing_expiry_lag_seconds", GAUGE, &[],
        "How long ago the time of a key had passed at most when the background cycle removed it, in its last rounds. A second for every million keys that expire, 10 s at most, is as it should be; more means that it does not keep up, and memory is held by keys that are gone: spread their times, or give the server more workers.",
        |row, s| row.one(s.stats.expiry_lag_ms() as f64 / 1e3)),
    row("glasswing_eviction_seconds_total", COUNTER, &[],
        "Time that workers spent evicting keys. A rate above a tenth of a core means that the data outgrows maxmemory quickly: raise it, or write less.",
        |row, s| row.one(s.seconds(Counter::EvictionNanos))),
    row("glasswing_eviction_longest_hold_seconds", GAUGE, &[],
        "The longest time that a worker evicted in one go, since the start or CONFIG RESETSTAT; what the scheduler took away meanwhile does not count. So long the clients of that worker waited: lower maxmemory-eviction-tenacity if it is too long.",
        |row, s| row.one(s.figures.eviction_longest_hold_ns as f64 / 1e9)),
    row("glasswing_eviction_exceeded_seconds_total", COUNTER, &[],
        "Time that memory was above maxmemory, since the start or CONFIG RESETSTAT. While it is, eviction is behind and commands that take memory wait for it or are refused: raise maxmemory, or maxmemory-eviction-tenacity, or write less.",
        |row, s| row.one(s.figures.eviction_exceeded_ms as f64 / 1e3)),
    row("glasswing_eviction_lag_seconds", GAUGE, &[],
        "For how long memory has been above maxmemory without a break until now; 0 while it is not. When it grows eviction does not keep up, or there is nothing to evict: see maxmemory-policy.",
        |row, s| row.one(s.figures.eviction_exceeded_now_ms as f64 / 1e3)),
    row("glasswing_keys_by_type", GAUGE, &["type"],
        "Keys of each type, as the last walk over the keyspace found them. What grows without end is named in GET /usage, with its largest keys and prefixes.",
        |row, s| by_type(row, s, |&(_, keys, _)| keys)),
    row("glasswing_keys_memory_bytes", GAUGE, &["type"],
        "Memory of the keys of each type, as the last walk over the keyspace found it. GET /usage names the largest keys and prefixes.",
        |row, s| by_type(row, s, |&(_, _, bytes)| bytes)),
    row("glasswing_keys_walk_age_seconds", GAUGE, &[],
        "Time since a walk over the keyspace last ended; absent before the first, or while key-statistics is no. It grows while nothing changes, for then there is nothing to walk for.",
        |row, s| found(s).map_or_else(Vec::new, |found| row.one((s.figures.now_unix_us / 1_000).saturating_sub(found.ended_unix_ms) as f64 / 1e3))),
    row("glasswing_keys_walk_seconds", GAUGE, &[],
        "How long the last walk over the keyspace took, from its begin to its end: the figures by type are as old as that.",
        |row, s| found(s).map_or_else(Vec::new, |found| row.one(found.took_seconds))),
    row("glasswing_key_samples_total", COUNTER, &[],
        "Requests that were drawn to tell which keys and clients are used most (GET /usage). One in 128 while key-statistics is yes.",
        |row, s| row.one(s.figures.key_statistics.samples as f64)),
    row("glasswing_allocator_bytes", GAUGE, &["kind"],
        "The allocator's view: allocated is asked for, active and resident are in use by pages, metadata is its books, retained is address space without memory. Resident far above allocated is fragmentation.",
        allocator),
    row("glasswing_panics_total", COUNTER, &[],
        "Panics that were caught; each closed one connection and no other. Any at all is a bug: report the backtrace from the log.",
        |row, s| row.one(s.counter(Counter::PanicsCaught))),
    row("glasswing_refusals_total", COUNTER, &["reason"],
        "Commands and connections that were refused, by reason. no_auth and protected_mode that grow mean strangers or a wrong password; out_of_memory and misconfigured mean that writes are lost.",
        |row, s| Refusal::ALL.iter().map(|reason| row.sample(&[reason.label()], s.stats.refusals(*reason) as f64)).collect()),
    row("glasswing_protocol_errors_total", COUNTER, &[],
        "Connections closed because what they sent was no RESP. Look for a health check or an HTTP client on the wrong port.",
        |row, s| row.one(s.counter(Counter::ProtocolErrors))),
    row("glasswing_disconnections_total", COUNTER, &["reason"],
        "Connections closed by a limit: a query or an output buffer that grew too large (a client that reads too slowly), or idle for longer than timeout.",
        disconnections),
    row("glasswing_spans_recorded_total", COUNTER, &[],
        "Trace spans handed to the exporter. When it stands still though commands run, look at OTEL_TRACES_SAMPLER; when it grows too fast for the receiver, lower OTEL_TRACES_SAMPLER_ARG.",
        |row, s| row.one(s.counter(Counter::SpansRecorded))),
    row("glasswing_spans_dropped_total", COUNTER, &[],
        "Trace spans that were sampled but did not reach the receiver: over the cap of spans a second, the queue full, or the endpoint down. Lower OTEL_TRACES_SAMPLER_ARG or mend the receiver.",
        |row, s| row.one(s.counter(Counter::SpansDropped))),
    row("glasswing_log_lines_suppressed_total", COUNTER, &[],
        "Log lines kept back because clients provoked too many of them. The lines that were written name the reason.",
        |row, s| row.one(s.counter(Counter::LogLinesSuppressed))),
];

fn found<'a>(scrape: &Scrape<'a>) -> Option<&'a FoundFigures> {
    scrape.figures.key_statistics.found.as_ref()
}

type OfType = (&'static str, u64, u64);

fn by_type(row: &Row, scrape: &Scrape<'_>, value: fn(&OfType) -> u64) -> Samples {
    let types = found(scrape).map_or(&[][..], |found| &found.types);
    types.iter().map(|one| row.sample(&[one.0], value(one) as f64)).collect()
}

fn each_worker(row: &Row, scrape: &Scrape<'_>, value: fn(&Scrape<'_>, usize) -> f64) -> Samples {
    let worker = |number: usize| row.sample(&[&number.to_string()], value(scrape, number));
    (0..scrape.stats.workers()).map(worker).collect()
}

fn each_group(row: &Row, scrape: &Scrape<'_>, value: fn(&LockWaitFigures) -> f64) -> Samples {
    let group = |(number, waits): (usize, &LockWaitFigures)| row.sample(&[&number.to_string()], value(waits));
    scrape.figures.lock_waits.iter().enumerate().map(group).collect()
}

fn bucket(upper_bound: f64, cumulative_count: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(upper_bound);
    bucket.set_cumulative_count(cumulative_count);
    bucket
}

/// A histogram of times.
fn timed(row: &Row, label: &str, times: &Latency, bounds: &[u32]) -> Metric {
    let seconds = |exponent: &u32| (1_u64 << exponent) as f64 / 1e9;
    let counts = times.below_powers_of_two(bounds);
    let buckets = bounds.iter().zip(counts).map(|(exponent, count)| bucket(seconds(exponent), count));
    row.histogram(&[label], times.count(), times.sum_nanos() as f64 / 1e9, buckets.collect())
}

fn command_durations(row: &Row, scrape: &Scrape<'_>) -> Samples {
    let one =
        |(command, latency): (usize, Latency)| timed(row, scrape.stats.names()[command], &latency, &BOUNDS);
    let mut samples: Vec<_> = scrape.stats.latencies();
    samples.sort_unstable_by_key(|(command, _)| scrape.stats.names()[*command]);
    samples.into_iter().map(one).collect()
}

fn batch_sizes(row: &Row, scrape: &Scrape<'_>) -> Samples {
    let mut count = 0;
    let mut buckets = Vec::with_capacity(BATCH_BUCKETS);
    for (exponent, batches) in scrape.stats.batch_sizes().into_iter().enumerate() {
        count += batches;
        if exponent + 1 < BATCH_BUCKETS {
            buckets.push(bucket((1_u64 << exponent) as f64, count));
        }
    }
    vec![row.histogram(&[], count, scrape.counter(Counter::BatchCommands), buckets)]
}

fn allocator(row: &Row, scrape: &Scrape<'_>) -> Samples {
    let figures = scrape.figures;
    let kinds = [
        ("active", figures.allocator_active),
        ("allocated", figures.allocator_allocated),
        ("metadata", figures.allocator_metadata),
        ("resident", figures.allocator_resident),
        ("retained", figures.allocator_retained),
    ];
    kinds.map(|(kind, bytes)| row.sample(&[kind], bytes as f64)).into()
}

fn disconnections(row: &Row, scrape: &Scrape<'_>) -> Samples {
    let reasons = [
        ("idle", Counter::IdleDisconnections),
        ("output_buffer", Counter::OutputBufferDisconnections),
        ("query_buffer", Counter::QueryBufferDisconnections),
    ];
    reasons.map(|(reason, counter)| row.sample(&[reason], scrape.counter(counter))).into()
}
