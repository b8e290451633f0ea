//! Gathers the figures that INFO and the metrics show.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::admin::InfoSection;
use crate::command::client::ClientFlag;
use crate::observe::Figures;
use crate::observe::info::{self, Selection};
use crate::observe::metrics::{
    AofFigures, DbFigures, LockWaitFigures, Progress, ReplicaFigures, ReplicationFigures, WorkerFigures,
};
use crate::persist::jobs::{self, JobKind};
use crate::persist::progress::Report;
use crate::pubsub::Kind;
use crate::replica::{self, Phase};
use crate::store::LockWaits;

use super::append_only::Mode;
use super::host::Host;

/// All gauges as they are now.
pub(super) fn gather(host: &Host) -> Figures {
    let settings = host.config.current();
    // The workers keep count while there is a limit. First of all: what follows takes memory.
    let counted = (settings.maxmemory_bytes > 0).then(crate::observe::memory::used);
    let now_us = host.clock.unix_us();
    let databases = databases(host);
    let mut figures = Figures {
        redis_version: crate::config::REDIS_VERSION.to_owned(),
        glasswing_version: env!("CARGO_PKG_VERSION").to_owned(),
        config_file: host.config.config_file().map_or_else(String::new, |path| path.display().to_string()),
        role: "master".to_owned(),
        build_id: build_id(),
        run_id: host.run_id.clone(),
        tcp_port: super::listening::shown_port(&settings),
        now_unix_us: now_us,
        monotonic_clock: "time-stamp counter, calibrated".to_owned(),
        hz: u64::from(settings.hz),
        configured_hz: u64::from(settings.hz),
        uptime_seconds: (now_us / 1_000).saturating_sub(host.started_ms) / 1_000,
        start_time_unix_seconds: host.started_ms / 1_000,
        maxmemory_policy: settings.maxmemory_policy.name().to_owned(),
        config_io_threads: u64::from(settings.io_threads),
        expired_stale_percent: host.stats.stale_share() * 100.0,
        latency_percentiles: settings.latency_tracking_info_percentiles.0.clone(),
        databases,
        workers: workers(host),
        lock_waits: lock_waits(host),
        ..Figures::default()
    };
    clients(host, &mut figures);
    figures.supervised = host.supervisor.name();
    replication(host, &mut figures);
    host.process.fill(host.clock.stamp(), &mut figures);
    if let Some(used) = counted {
        figures.used_memory = used;
        figures.used_memory_peak = figures.used_memory_peak.max(used);
    }
    memory(host, &mut figures);
    figures.scripts = host.scripts.figures();
    figures.key_statistics = super::usage::figures(host);
    figures.migrate_cached_sockets = host.connections.count() as u64;
    slow_log(host, &mut figures);
    persistence(host, &mut figures);
    figures.checks = super::checks::all(host).iter().map(|check| (check.name, check.ok)).collect();
    figures
}

fn workers(host: &Host) -> Vec<WorkerFigures> {
    let now = host.clock.stamp();
    let ago = |beat: &AtomicU64| now.saturating_sub(beat.load(Ordering::Relaxed)) as f64 / 1e9;
    (0..host.workers)
        .map(|worker| WorkerFigures {
            connections: host.clients.count_of(worker) as u64,
            turned_seconds_ago: host.beats.get().map_or(0.0, |beats| ago(&beats[worker])),
        })
        .collect()
}

fn lock_waits(host: &Host) -> Vec<LockWaitFigures> {
    let of = |group: LockWaits| LockWaitFigures { waits: group.waits, nanos: group.nanos };
    host.store.lock_waits().map(of).into()
}

fn slow_log(host: &Host, figures: &mut Figures) {
    let log = host.stats.slow_log();
    figures.slowlog_length = log.len() as u64;
    if let Some(newest) = log.latest(1).first() {
        figures.slowlog_last_id = newest.id;
        figures.slowlog_last_seconds = newest.duration_us as f64 / 1e6;
    }
}

fn clients(host: &Host, figures: &mut Figures) {
    let (keys, items) = host.store.tracked();
    (figures.tracked_keys, figures.tracked_items) = (keys as u64, items as u64);
    figures.tracking_clients = host.tracking.clients() as u64;
    figures.tracking_prefixes = host.tracking.prefixes() as u64;
    figures.pubsub_channels = host.pubsub.count(Kind::Channel) as u64;
    figures.pubsub_patterns = host.pubsub.count(Kind::Pattern) as u64;
    figures.pubsubshard_channels = host.pubsub.count(Kind::Shard) as u64;
    figures.blocked_clients = host.clients.blocked() as u64;
    figures.clients_in_timeout_table = host.clients.timed() as u64;
    figures.maxclients = u64::from(host.config.current().maxclients);
    for worker in 0..host.workers {
        host.clients.each_of(worker, |client| {
            let input = client.query_used.load(Ordering::Relaxed) + client.query_free.load(Ordering::Relaxed);
            let output = client.waiting_bytes();
            let largest = &mut figures.client_recent_max_input_buffer;
            *largest = (*largest).max(input as u64);
            let largest = &mut figures.client_recent_max_output_buffer;
            *largest = (*largest).max(output as u64);
            if client.has(ClientFlag::Replica) {
                figures.mem_clients_replicas += client.memory() as u64;
            } else {
                figures.connected_clients += 1;
                figures.mem_clients_normal += client.memory() as u64;
            }
        });
    }
}

fn replication(host: &Host, figures: &mut Figures) {
    let stream = host.replication.figures(host.monotonic_ms());
    let size_limit = host.config.current().repl_backlog_size_bytes;
    let figures_of = |replica: &replica::ReplicaFigures| ReplicaFigures {
        address: replica.address.clone(),
        port: replica.port,
        state: match replica.phase {
            Phase::Online => "online",
            Phase::Sending => "send_bulk",
            Phase::Idle | Phase::Waiting | Phase::Writing | Phase::Gone => "wait_bgsave",
        },
        offset: replica.offset,
        lag_seconds: replica.lag_s,
    };
    figures.replication = ReplicationFigures {
        offset: stream.end,
        kept: stream.kept,
        size_limit,
        first_byte: stream.first,
        kept_bytes: stream.length,
        memory: stream.memory,
        good_replicas: stream.good,
        full_syncs: stream.full,
        partial_syncs: stream.resumed,
        partial_refused: stream.refused,
        sent_bytes: stream.sent,
        buffer_bytes: stream.length.saturating_sub(size_limit),
        replicas: stream.replicas.iter().map(figures_of).collect(),
        id: stream.id,
    };
}

/// What is not the data set itself: the tables, the clients' buffers, what a save holds, and what the
/// server used before it held anything.
fn memory(host: &Host, figures: &mut Figures) {
    let limit = host.config.current().maxmemory_bytes;
    figures.maxmemory = limit;
    figures.mem_not_counted_for_evict =
        crate::engine::memory::not_counted(&host.store, &host.replication, &host.clients);
    let (total_ns, current_ns) = host.status.memory.exceeded(host.clock.stamp());
    figures.eviction_exceeded_ms = total_ns / 1_000_000;
    figures.eviction_exceeded_now_ms = current_ns / 1_000_000;
    figures.eviction_longest_hold_ns = host.status.memory.longest_hold_ns();
    let tables: usize = (0..host.store.databases()).map(|number| host.store.counts(number).table_bytes).sum();
    let overhead = figures.used_memory_startup
        + tables as u64
        + figures.mem_clients_normal
        + figures.mem_clients_replicas
        + figures.replication.memory
        + host.store.saves().retained_bytes() as u64;
    figures.used_memory_overhead = overhead.min(figures.used_memory);
    figures.used_memory_dataset = figures.used_memory.saturating_sub(overhead);
    let (pending, freed) = host.store.garbage();
    figures.lazyfree_pending_objects = pending as u64;
    figures.lazyfreed_objects = freed;
}

fn persistence(host: &Host, figures: &mut Figures) {
    figures.loading = host.status.loading.load(Ordering::Relaxed);
    if let Some(progress) = host.load_progress() {
        let report = progress.report();
        // An RDB file does not say how many keys it has: then its bytes tell how far it is.
        let (keys_done, keys_total) = match report.expected_keys {
            0 => (report.bytes, report.total_bytes),
            keys => (report.keys, keys),
        };
        figures.load = Some(Progress { keys_done, keys_total });
        figures.load_start_unix_seconds = host.started_ms / 1_000;
        figures.load_done_bytes = report.bytes;
        figures.load_total_bytes = report.total_bytes;
        figures.load_seconds_left = report.seconds_left;
    }
    figures.rdb_last_load_keys_expired = host.expired_keys.load(Ordering::Relaxed);
    figures.rdb_last_load_keys_loaded = host.loaded_keys.load(Ordering::Relaxed);
    let jobs = host.jobs.status();
    let now_ms = host.clock.unix_ms();
    figures.rdb_changes_since_last_save = host.stats.unsaved_changes();
    log(host, &jobs, figures);
    if let Some(running) = jobs.running.as_ref().filter(|running| running.kind != JobKind::Rewrite) {
        figures.save = Some(progress_of(&running.progress));
        figures.save_seconds_left = running.progress.seconds_left;
        figures.rdb_current_bgsave_seconds = Some(now_ms.saturating_sub(running.started_unix_ms) / 1_000);
    }
    let until_ms = host.waits_until_ms.load(Ordering::SeqCst);
    figures.shutdown_wait_ms = (until_ms > 0).then(|| until_ms.saturating_sub(host.clock.unix_ms()));
    figures.save_retained_bytes = host.store.saves().retained_bytes() as u64;
    if jobs.running.is_some() {
        figures.save_retained_peak_bytes = host.store.saves().peak_bytes() as u64;
    }
    figures.rdb_last_cow_size = host.held_back.save.load(Ordering::Relaxed);
    figures.rdb_last_save_unix_seconds = jobs.last_success_unix_ms / 1_000;
    figures.rdb_last_bgsave_ok = jobs.last_ok;
    figures.rdb_last_bgsave_seconds = jobs.last_save.as_ref().map(|ended| ended.duration_ms / 1_000);
}

fn progress_of(report: &Report) -> Progress {
    Progress { keys_done: report.keys, keys_total: report.expected_keys }
}

fn log(host: &Host, jobs: &jobs::Status, figures: &mut Figures) {
    let (append_only, rewrites) = (&host.append_only, &host.append_only.rewrites);
    let (log, mode) = (&append_only.log, append_only.mode());
    let running = jobs.running.as_ref().filter(|running| running.kind == JobKind::Rewrite);
    let now_ms = host.clock.unix_ms();
    figures.aof = AofFigures {
        enabled: mode != Mode::Off,
        rewriting: running.is_some(),
        rewrite: running.map(|running| progress_of(&running.progress)),
        scheduled: rewrites.scheduled.load(Ordering::Relaxed),
        last_rewrite_seconds: rewrites.last_took.load(Ordering::Relaxed).checked_sub(1),
        current_rewrite_seconds: running
            .map(|running| now_ms.saturating_sub(running.started_unix_ms) / 1_000),
        last_cow_size: host.held_back.rewrite.load(Ordering::Relaxed),
        last_rewrite_failed: rewrites.last_failed.load(Ordering::Relaxed),
        rewrites: rewrites.begun.load(Ordering::Relaxed),
        failures_in_a_row: rewrites.failed_in_a_row.load(Ordering::Relaxed),
        write_failed: log.error().is_some(),
        current_size: append_only.size(),
        base_size: rewrites.size_then.load(Ordering::Relaxed),
        buffered: log.buffered(),
        syncing: log.is_syncing(),
        delayed_fsync: log.delayed(),
    };
}

fn databases(host: &Host) -> Vec<DbFigures> {
    (0..host.store.databases())
        .map(|number| {
            let counts = host.store.counts(number);
            DbFigures {
                keys: counts.keys as u64,
                expires: counts.expiring as u64,
                avg_ttl_ms: counts.average_ttl_ms(host.clock.unix_ms()),
            }
        })
        .collect()
}

/// INFO as data: every section.
pub(super) fn info_sections(host: &Host) -> Vec<InfoSection> {
    info::sections(&host.stats, &gather(host), &Selection::everything())
        .into_iter()
        .map(|section| InfoSection { name: section.name.to_owned(), fields: section.fields })
        .collect()
}

/// Tells builds apart as far as their source and target say it, in Redis's form.
fn build_id() -> String {
    const BUILT: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let how = if cfg!(debug_assertions) { "debug" } else { "release" };
    let built = format!("{BUILT} {} {} {how}", std::env::consts::ARCH, std::env::consts::OS);
    format!("{:x}", crate::persist::rdb::checksum(built.as_bytes()))
}
