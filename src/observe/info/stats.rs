//! Stats.

use super::{Fields, Look};
use crate::observe::counters::Counter;

pub(super) fn stats(fields: &mut Fields, look: &Look<'_>) {
    traffic(fields, look);
    expiry_and_eviction(fields, look);
    absent_subsystems(fields, look);
    errors_and_sockets(fields, look);
    own(fields, look);
}

fn traffic(fields: &mut Fields, look: &Look<'_>) {
    let (counter, rates) = (|counter| look.stats.counter(counter), look.stats.rates());
    fields.put("total_connections_received", counter(Counter::ConnectionsReceived));
    fields.put("total_commands_processed", counter(Counter::CommandsProcessed));
    fields.put("instantaneous_ops_per_sec", rates.commands_per_sec);
    fields.put("total_net_input_bytes", counter(Counter::NetInputBytes));
    fields.put("total_net_output_bytes", counter(Counter::NetOutputBytes));
    let stream = &look.figures.replication;
    fields.absent(&[("total_net_repl_input_bytes", "0")]);
    fields.put("total_net_repl_output_bytes", stream.sent_bytes);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    fields.put("instantaneous_input_kbps", kilobytes(rates.input_bytes_per_sec));
    fields.put("instantaneous_output_kbps", kilobytes(rates.output_bytes_per_sec));
    fields.absent(&[("instantaneous_input_repl_kbps", "0.00"), ("instantaneous_output_repl_kbps", "0.00")]);
    fields.put("rejected_connections", counter(Counter::ConnectionsRejected));
    fields.put("sync_full", stream.full_syncs);
    fields.put("sync_partial_ok", stream.partial_syncs);
    fields.put("sync_partial_err", stream.partial_refused);
}

fn expiry_and_eviction(fields: &mut Fields, look: &Look<'_>) {
    let counter = |counter| look.stats.counter(counter);
    fields.put("expired_keys", counter(Counter::ExpiredKeys));
    fields.put("expired_stale_perc", format_args!("{:.2}", look.figures.expired_stale_percent));
    fields.put("expired_time_cap_reached_count", counter(Counter::ExpiryTimeCapReached));
    fields.put("expire_cycle_cpu_milliseconds", counter(Counter::ExpiryCycleNanos) / 1_000_000);
    fields.put("evicted_keys", counter(Counter::EvictedKeys));
    fields.put("evicted_clients", counter(Counter::EvictedClients));
    fields.put("total_eviction_exceeded_time", look.figures.eviction_exceeded_ms);
    fields.put("current_eviction_exceeded_time", look.figures.eviction_exceeded_now_ms);
    fields.put("keyspace_hits", counter(Counter::KeyspaceHits));
    fields.put("keyspace_misses", counter(Counter::KeyspaceMisses));
}

/// Pub/sub, forks, migration, replicas, defragmentation and client-side caching.
fn absent_subsystems(fields: &mut Fields, look: &Look<'_>) {
    fields.put("pubsub_channels", look.figures.pubsub_channels);
    fields.put("pubsub_patterns", look.figures.pubsub_patterns);
    fields.put("pubsubshard_channels", look.figures.pubsubshard_channels);
    fields.absent(&[("latest_fork_usec", "0"), ("total_forks", "0")]);
    fields.put("migrate_cached_sockets", look.figures.migrate_cached_sockets);
    fields.absent(&[
        ("slave_expires_tracked_keys", "0"),
        ("active_defrag_hits", "0"),
        ("active_defrag_misses", "0"),
        ("active_defrag_key_hits", "0"),
        ("active_defrag_key_misses", "0"),
        ("total_active_defrag_time", "0"),
        ("current_active_defrag_time", "0"),
    ]);
    fields.put("tracking_total_keys", look.figures.tracked_keys);
    fields.put("tracking_total_items", look.figures.tracked_items);
    fields.put("tracking_total_prefixes", look.figures.tracking_prefixes);
    fields.absent(&[("unexpected_error_replies", "0")]);
}

fn errors_and_sockets(fields: &mut Fields, look: &Look<'_>) {
    let counter = |counter| look.stats.counter(counter);
    fields.put("total_error_replies", counter(Counter::ErrorReplies));
    fields.put("dump_payload_sanitizations", 0);
    fields.put("total_reads_processed", counter(Counter::ReadsProcessed));
    fields.put("total_writes_processed", counter(Counter::WritesProcessed));
    // Redis's I/O threads and the resizing of its fixed reply buffers do not exist here.
    fields.absent(&[
        ("io_threaded_reads_processed", "0"),
        ("io_threaded_writes_processed", "0"),
        ("reply_buffer_shrinks", "0"),
        ("reply_buffer_expands", "0"),
    ]);
}

fn own(fields: &mut Fields, look: &Look<'_>) {
    let counter = |counter| look.stats.counter(counter);
    fields.put("glasswing_batches", counter(Counter::Batches));
    fields.put("glasswing_lock_waits", look.figures.lock_waits.iter().map(|group| group.waits).sum::<u64>());
    fields.put("glasswing_world_permits", counter(Counter::WorldPermits));
    fields.put("glasswing_panics_caught", counter(Counter::PanicsCaught));
    fields.put("glasswing_protocol_errors", counter(Counter::ProtocolErrors));
}
