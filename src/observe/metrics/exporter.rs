//! The families of redis_exporter 1.45 for a server without replicas or cluster, under its
//! names, types, help texts and labels, so that existing dashboards and alerts work.
//!
//! Left out are the families about the exporter itself (`redis_exporter_*`,
//! `redis_target_scrape_request_errors_total`,
//! `redis_last_key_groups_scrape_duration_milliseconds`): there is no exporter. Two are added
//! that dashboards ask for and 1.45 does not give by default: `redis_memory_fragmentation_ratio`,
//! its older name, and `redis_total_system_memory_bytes`.

use std::collections::BTreeSet;

use super::figures::{DbFigures, Figures, ReplicaFigures};
use super::text::Kind::{self, Counter as Count, Gauge, Summary};
use super::text::{Summed, Text};
use crate::observe::counters::Counter;
use crate::observe::histogram::Latency;
use crate::observe::stats::{CommandTotals, Stats};

/// What a scrape looks at: each figure is read once.
pub(super) struct Scrape<'a> {
    pub figures: &'a Figures,
    pub stats: &'a Stats,
    commands: Vec<(&'static str, CommandTotals)>,
}

impl<'a> Scrape<'a> {
    pub fn new(stats: &'a Stats, figures: &'a Figures) -> Self {
        let named = |(command, totals): (usize, _)| (stats.names()[command], totals);
        let mut commands: Vec<_> = stats.commands().into_iter().map(named).collect();
        commands.sort_unstable_by_key(|(name, _)| *name);
        Self { figures, stats, commands }
    }

    fn counter(&self, counter: Counter) -> f64 {
        self.stats.counter(counter) as f64
    }
}

/// Where the samples of a family come from.
enum Value {
    /// One figure.
    Of(fn(&Scrape<'_>) -> f64),
    /// One figure, or no family where the system does not tell it.
    Maybe(fn(&Scrape<'_>) -> Option<f64>),
    /// What a Redis prints whose subsystem of that kind is off. The subsystem that comes to
    /// be here turns this into a figure.
    Absent(f64),
    /// Samples with labels, written by a function that is given the family's name.
    Each(fn(&mut Text, &str, &Scrape<'_>)),
    /// Summaries.
    Summaries(for<'a> fn(&'a Scrape<'a>) -> Vec<Summed<'a>>),
}

use Value::{Absent, Each, Maybe, Of, Summaries};

struct Row {
    /// Without the `redis_` before it.
    name: &'static str,
    kind: Kind,
    /// Empty for redis_exporter's usual `<name> metric`.
    help: &'static str,
    value: Value,
}

const fn row(name: &'static str, kind: Kind, help: &'static str, value: Value) -> Row {
    Row { name, kind, help, value }
}

/// Writes all families, sorted by name.
pub(super) fn write(text: &mut Text, scrape: &Scrape<'_>) {
    for row in ROWS {
        let name = format!("redis_{}", row.name);
        let plain;
        let help = if row.help.is_empty() {
            plain = format!("{} metric", row.name);
            &plain
        } else {
            row.help
        };
        let value = match row.value {
            Of(value) => value(scrape),
            Absent(value) => value,
            Maybe(value) => match value(scrape) {
                Some(value) => value,
                None => continue,
            },
            Each(samples) => {
                let mut lines = text.like();
                samples(&mut lines, &name, scrape);
                text.labelled(&name, row.kind, help, lines);
                continue;
            }
            Summaries(all) => {
                text.summaries(&name, help, &all(scrape));
                continue;
            }
        };
        text.family(&name, row.kind, help);
        text.sample(&name, &[], value);
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("active_defrag_running", Gauge, "", Absent(0.0)),
    row("allocator_active_bytes", Gauge, "", Of(|s| s.figures.allocator_active as f64)),
    row("allocator_allocated_bytes", Gauge, "", Of(|s| s.figures.allocator_allocated as f64)),
    row("allocator_frag_bytes", Gauge, "", Of(|s| minus(s.figures.allocator_active, s.figures.allocator_allocated))),
    row("allocator_frag_ratio", Gauge, "", Of(|s| ratio(s.figures.allocator_active, s.figures.allocator_allocated))),
    row("allocator_resident_bytes", Gauge, "", Of(|s| s.figures.allocator_resident as f64)),
    row("allocator_rss_bytes", Gauge, "", Of(|s| minus(s.figures.allocator_resident, s.figures.allocator_active))),
    row("allocator_rss_ratio", Gauge, "", Of(|s| ratio(s.figures.allocator_resident, s.figures.allocator_active))),
    row("aof_base_size_bytes", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(s.figures.aof.base_size as f64))),
    row("aof_buffer_length", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(s.figures.aof.buffered as f64))),
    row("aof_current_rewrite_duration_sec", Gauge, "", Of(|s| seconds_or_none(s.figures.aof.current_rewrite_seconds))),
    row("aof_current_size_bytes", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(s.figures.aof.current_size as f64))),
    row("aof_delayed_fsync", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(s.figures.aof.delayed_fsync as f64))),
    row("aof_enabled", Gauge, "", Of(|s| f64::from(u8::from(s.figures.aof.enabled)))),
    row("aof_last_bgrewrite_status", Gauge, "", Of(|s| f64::from(u8::from(!s.figures.aof.last_rewrite_failed)))),
    row("aof_last_cow_size_bytes", Gauge, "", Of(|s| s.figures.aof.last_cow_size as f64)),
    row("aof_last_rewrite_duration_sec", Gauge, "", Of(|s| seconds_or_none(s.figures.aof.last_rewrite_seconds))),
    row("aof_last_write_status", Gauge, "", Of(|s| f64::from(u8::from(!s.figures.aof.write_failed)))),
    row("aof_pending_bio_fsync", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(f64::from(u8::from(s.figures.aof.syncing))))),
    row("aof_pending_rewrite", Gauge, "", Maybe(|s| s.figures.aof.enabled.then_some(f64::from(u8::from(s.figures.aof.scheduled))))),
    row("aof_rewrite_in_progress", Gauge, "", Of(|s| f64::from(u8::from(s.figures.aof.rewriting)))),
    row("aof_rewrite_scheduled", Gauge, "", Of(|s| f64::from(u8::from(s.figures.aof.scheduled)))),
    row("blocked_clients", Gauge, "", Of(|s| s.figures.blocked_clients as f64)),
    row("client_recent_max_input_buffer_bytes", Gauge, "", Of(|s| s.figures.client_recent_max_input_buffer as f64)),
    row("client_recent_max_output_buffer_bytes", Gauge, "", Of(|s| s.figures.client_recent_max_output_buffer as f64)),
    row("clients_in_timeout_table", Gauge, "", Of(|s| s.figures.clients_in_timeout_table as f64)),
    row("cluster_connections", Gauge, "", Absent(0.0)),
    row("cluster_enabled", Gauge, "", Absent(0.0)),
    row("commands_duration_seconds_total", Count, "Total amount of time in seconds spent per command", Each(command_seconds)),
    row("commands_failed_calls_total", Count, "Total number of errors prior command execution per command", Each(command_failed)),
    row("commands_processed_total", Count, "", Of(|s| s.counter(Counter::CommandsProcessed))),
    row("commands_rejected_calls_total", Count, "Total number of errors within command execution per command", Each(command_rejected)),
    row("commands_total", Count, "Total number of calls per command", Each(command_calls)),
    row("config_io_threads", Gauge, "", Of(|s| s.figures.config_io_threads as f64)),
    row("config_maxclients", Gauge, "", Of(|s| s.figures.maxclients as f64)),
    row("config_maxmemory", Gauge, "", Of(|s| s.figures.maxmemory as f64)),
    row("connected_clients", Gauge, "", Of(|s| s.figures.connected_clients as f64)),
    row("connected_slave_lag_seconds", Gauge, "Lag of connected slave", Each(replica_lags)),
    row("connected_slave_offset_bytes", Gauge, "Offset of connected slave", Each(replica_offsets)),
    row("connected_slaves", Gauge, "", Of(|s| s.figures.replication.replicas.len() as f64)),
    row("connections_received_total", Count, "", Of(|s| s.counter(Counter::ConnectionsReceived))),
    row("cpu_sys_children_seconds_total", Count, "", Absent(0.0)),
    row("cpu_sys_main_thread_seconds_total", Count, "", Maybe(|s| s.figures.cpu_sys_main_thread_seconds)),
    row("cpu_sys_seconds_total", Count, "", Of(|s| s.figures.cpu_sys_seconds)),
    row("cpu_user_children_seconds_total", Count, "", Absent(0.0)),
    row("cpu_user_main_thread_seconds_total", Count, "", Maybe(|s| s.figures.cpu_user_main_thread_seconds)),
    row("cpu_user_seconds_total", Count, "", Of(|s| s.figures.cpu_user_seconds)),
    row("db_avg_ttl_seconds", Gauge, "Avg TTL in seconds", Each(db_ttl)),
    row("db_keys", Gauge, "Total number of keys by DB", Each(db_keys)),
    row("db_keys_expiring", Gauge, "Total number of expiring keys by DB", Each(db_expiring)),
    row("defrag_hits", Gauge, "", Absent(0.0)),
    row("defrag_key_hits", Gauge, "", Absent(0.0)),
    row("defrag_key_misses", Gauge, "", Absent(0.0)),
    row("defrag_misses", Gauge, "", Absent(0.0)),
    row("dump_payload_sanitizations", Count, "", Absent(0.0)),
    row("errors_total", Count, "Total number of errors per error type", Each(errors)),
    row("evicted_keys_total", Count, "", Of(|s| s.counter(Counter::EvictedKeys))),
    row("expired_keys_total", Count, "", Of(|s| s.counter(Counter::ExpiredKeys))),
    row("expired_stale_percentage", Gauge, "", Of(|s| s.figures.expired_stale_percent)),
    row("expired_time_cap_reached_total", Gauge, "", Of(|s| s.counter(Counter::ExpiryTimeCapReached))),
    row("instance_info", Gauge, "Information about the Redis instance", Each(instance)),
    row("io_threaded_reads_processed", Count, "", Absent(0.0)),
    row("io_threaded_writes_processed", Count, "", Absent(0.0)),
    row("io_threads_active", Gauge, "", Absent(0.0)),
    row("keyspace_hits_total", Count, "", Of(|s| s.counter(Counter::KeyspaceHits))),
    row("keyspace_misses_total", Count, "", Of(|s| s.counter(Counter::KeyspaceMisses))),
    row("last_slow_execution_duration_seconds", Gauge, "The amount of time needed for last slow execution, in seconds", Of(|s| s.figures.slowlog_last_seconds)),
    row("latency_percentiles_usec", Summary, "A summary of latency percentile distribution per command", Summaries(percentiles)),
    row("latest_fork_seconds", Gauge, "", Absent(0.0)),
    row("lazyfree_pending_objects", Gauge, "", Of(|s| s.figures.lazyfree_pending_objects as f64)),
    row("loading_dump_file", Gauge, "", Of(|s| f64::from(u8::from(s.figures.loading)))),
    row("master_repl_offset", Gauge, "", Of(|s| s.figures.replication.offset as f64)),
    row("mem_clients_normal", Gauge, "", Of(|s| s.figures.mem_clients_normal as f64)),
    row("mem_clients_slaves", Gauge, "", Of(|s| s.figures.mem_clients_replicas as f64)),
    row("mem_fragmentation_bytes", Gauge, "", Of(|s| minus(s.figures.used_memory_rss, s.figures.used_memory))),
    row("mem_fragmentation_ratio", Gauge, "", Of(|s| ratio(s.figures.used_memory_rss, s.figures.used_memory))),
    row("mem_not_counted_for_eviction_bytes", Gauge, "", Of(|s| s.figures.mem_not_counted_for_evict as f64)),
    row("memory_fragmentation_ratio", Gauge, "", Of(|s| ratio(s.figures.used_memory_rss, s.figures.used_memory))),
    row("memory_max_bytes", Gauge, "", Of(|s| s.figures.maxmemory as f64)),
    row("memory_used_bytes", Gauge, "", Of(|s| s.figures.used_memory as f64)),
    row("memory_used_dataset_bytes", Gauge, "", Of(|s| s.figures.used_memory_dataset as f64)),
    row("memory_used_lua_bytes", Gauge, "", Of(|s| s.figures.scripts.script_state_bytes as f64)),
    row("memory_used_overhead_bytes", Gauge, "", Of(|s| s.figures.used_memory_overhead as f64)),
    row("memory_used_peak_bytes", Gauge, "", Of(|s| s.figures.used_memory_peak as f64)),
    row("memory_used_rss_bytes", Gauge, "", Of(|s| s.figures.used_memory_rss as f64)),
    row("memory_used_scripts_bytes", Gauge, "", Of(|s| s.figures.scripts.kept_bytes() as f64)),
    row("memory_used_startup_bytes", Gauge, "", Of(|s| s.figures.used_memory_startup as f64)),
    row("migrate_cached_sockets_total", Gauge, "", Of(|s| s.figures.migrate_cached_sockets as f64)),
    row("module_fork_in_progress", Gauge, "", Absent(0.0)),
    row("module_fork_last_cow_size", Gauge, "", Absent(0.0)),
    row("net_input_bytes_total", Count, "", Of(|s| s.counter(Counter::NetInputBytes))),
    row("net_output_bytes_total", Count, "", Of(|s| s.counter(Counter::NetOutputBytes))),
    row("number_of_cached_scripts", Gauge, "", Of(|s| s.figures.scripts.scripts as f64)),
    row("process_id", Gauge, "", Of(|s| f64::from(s.figures.process_id))),
    row("pubsub_channels", Gauge, "", Of(|s| s.figures.pubsub_channels as f64)),
    row("pubsub_patterns", Gauge, "", Of(|s| s.figures.pubsub_patterns as f64)),
    row("rdb_bgsave_in_progress", Gauge, "", Of(|s| f64::from(u8::from(s.figures.save.is_some())))),
    row("rdb_changes_since_last_save", Gauge, "", Of(|s| s.figures.rdb_changes_since_last_save as f64)),
    row("rdb_current_bgsave_duration_sec", Gauge, "", Of(|s| seconds_or_none(s.figures.rdb_current_bgsave_seconds))),
    row("rdb_last_bgsave_duration_sec", Gauge, "", Of(|s| seconds_or_none(s.figures.rdb_last_bgsave_seconds))),
    row("rdb_last_bgsave_status", Gauge, "", Of(|s| f64::from(u8::from(s.figures.rdb_last_bgsave_ok)))),
    row("rdb_last_cow_size_bytes", Gauge, "", Of(|s| s.figures.rdb_last_cow_size as f64)),
    row("rdb_last_save_timestamp_seconds", Gauge, "", Of(|s| s.figures.rdb_last_save_unix_seconds as f64)),
    row("rejected_connections_total", Count, "", Of(|s| s.counter(Counter::ConnectionsRejected))),
    row("repl_backlog_first_byte_offset", Gauge, "", Of(|s| s.figures.replication.first_byte as f64)),
    row("repl_backlog_history_bytes", Gauge, "", Of(|s| s.figures.replication.kept_bytes as f64)),
    row("repl_backlog_is_active", Gauge, "", Of(|s| f64::from(u8::from(s.figures.replication.kept)))),
    row("replica_partial_resync_accepted", Gauge, "", Of(|s| s.figures.replication.partial_syncs as f64)),
    row("replica_partial_resync_denied", Gauge, "", Of(|s| s.figures.replication.partial_refused as f64)),
    row("replica_resyncs_full", Gauge, "", Of(|s| s.figures.replication.full_syncs as f64)),
    row("replication_backlog_bytes", Gauge, "", Of(|s| s.figures.replication.size_limit as f64)),
    row("second_repl_offset", Gauge, "", Absent(-1.0)),
    row("slave_expires_tracked_keys", Gauge, "", Absent(0.0)),
    row("slowlog_last_id", Gauge, "Last id of slowlog", Of(|s| s.figures.slowlog_last_id as f64)),
    row("slowlog_length", Gauge, "Total slowlog", Of(|s| s.figures.slowlog_length as f64)),
    row("start_time_seconds", Gauge, "Start time of the Redis instance since unix epoch in seconds.", Of(|s| s.figures.start_time_unix_seconds as f64)),
    row("total_error_replies", Count, "", Of(|s| s.counter(Counter::ErrorReplies))),
    row("total_reads_processed", Count, "", Of(|s| s.counter(Counter::ReadsProcessed))),
    row("total_system_memory_bytes", Gauge, "", Of(|s| s.figures.total_system_memory as f64)),
    row("total_writes_processed", Count, "", Of(|s| s.counter(Counter::WritesProcessed))),
    row("tracking_clients", Gauge, "", Of(|s| s.figures.tracking_clients as f64)),
    row("tracking_total_items", Gauge, "", Of(|s| s.figures.tracked_items as f64)),
    row("tracking_total_keys", Gauge, "", Of(|s| s.figures.tracked_keys as f64)),
    row("tracking_total_prefixes", Gauge, "", Of(|s| s.figures.tracking_prefixes as f64)),
    row("unexpected_error_replies", Count, "", Absent(0.0)),
    row("up", Gauge, "Information about the Redis instance", Of(|_| 1.0)),
    row("uptime_in_seconds", Gauge, "", Of(|s| s.figures.uptime_seconds as f64)),
];

fn minus(a: u64, b: u64) -> f64 {
    a as f64 - b as f64
}

fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn seconds_or_none(seconds: Option<u64>) -> f64 {
    seconds.map_or(-1.0, |seconds| seconds as f64)
}

fn each_command(text: &mut Text, name: &str, scrape: &Scrape<'_>, value: fn(&CommandTotals) -> f64) {
    for (command, totals) in &scrape.commands {
        text.sample(name, &[("cmd", command)], value(totals));
    }
}

fn command_calls(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_command(text, name, scrape, |totals| totals.calls as f64);
}

fn command_seconds(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_command(text, name, scrape, |totals| totals.nanos as f64 / 1e9);
}

fn command_failed(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_command(text, name, scrape, |totals| totals.failed as f64);
}

fn command_rejected(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_command(text, name, scrape, |totals| totals.rejected as f64);
}

fn each_db(text: &mut Text, name: &str, scrape: &Scrape<'_>, value: fn(&DbFigures) -> Option<f64>) {
    for (number, db) in scrape.figures.databases.iter().enumerate() {
        if let Some(value) = value(db) {
            text.sample(name, &[("db", &format!("db{number}"))], value);
        }
    }
}

fn db_keys(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_db(text, name, scrape, |db| Some(db.keys as f64));
}

fn db_expiring(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_db(text, name, scrape, |db| Some(db.expires as f64));
}

/// INFO has a line for a database only when it holds keys.
fn db_ttl(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_db(text, name, scrape, |db| (db.keys > 0).then_some(db.avg_ttl_ms as f64 / 1e3));
}

fn each_replica(text: &mut Text, name: &str, scrape: &Scrape<'_>, value: fn(&ReplicaFigures) -> u64) {
    let mut told = BTreeSet::new();
    for replica in &scrape.figures.replication.replicas {
        // A replica says itself where it is to be reached, and two may say the same: a series stands once.
        if !told.insert((&replica.address, replica.port, replica.state)) {
            continue;
        }
        let labels = [
            ("slave_ip", replica.address.as_str()),
            ("slave_port", &replica.port.to_string()),
            ("slave_state", replica.state),
        ];
        text.sample(name, &labels, value(replica) as f64);
    }
}

fn replica_lags(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_replica(text, name, scrape, |replica| replica.lag_seconds);
}

fn replica_offsets(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    each_replica(text, name, scrape, |replica| replica.offset);
}

fn errors(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    for (code, count) in scrape.stats.errors() {
        text.sample(name, &[("err", &code)], count as f64);
    }
}

fn instance(text: &mut Text, name: &str, scrape: &Scrape<'_>) {
    let figures = scrape.figures;
    let labels = [
        ("maxmemory_policy", figures.maxmemory_policy.as_str()),
        ("os", &figures.os),
        ("process_id", &figures.process_id.to_string()),
        ("redis_build_id", &figures.build_id),
        ("redis_mode", "standalone"),
        ("redis_version", &figures.redis_version),
        ("role", &figures.role),
        ("run_id", &figures.run_id),
        ("tcp_port", &figures.tcp_port.to_string()),
    ];
    text.sample(name, &labels, 1.0);
}

fn percentiles<'a>(scrape: &'a Scrape<'a>) -> Vec<Summed<'a>> {
    let mut latencies = scrape.stats.latencies();
    latencies.sort_unstable_by_key(|(command, _)| scrape.stats.names()[*command]);
    let one = |(command, latency): (usize, Latency)| {
        let micros = latency.percentiles([50.0, 99.0, 99.9]).map(|nanos| nanos as f64 / 1e3);
        Summed {
            label: ("cmd", scrape.stats.names()[command]),
            quantiles: [("50", micros[0]), ("99", micros[1]), ("99.9", micros[2])],
            // Whole microseconds, as in INFO commandstats, where the exporter reads it.
            sum: (latency.sum_nanos() / 1000) as f64,
            count: latency.count() as f64,
        }
    };
    latencies.into_iter().map(one).collect()
}
