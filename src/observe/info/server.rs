//! Server, Replication and CPU.

use super::{Fields, Look};
use crate::observe::metrics::ReplicaFigures;

/// What this program waits for sockets with: what tokio uses on the system.
const MULTIPLEXING: &str = if cfg!(target_os = "linux") { "epoll" } else { "kqueue" };

const SECONDS_A_DAY: u64 = 86_400;

/// The LRU clock counts seconds in 24 bits.
const LRU_CLOCK_MASK: u64 = (1 << 24) - 1;

pub(super) fn server(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("redis_version", &figures.redis_version);
    // What Redis prints when it was not built from a git checkout.
    fields.absent(&[("redis_git_sha1", "00000000"), ("redis_git_dirty", "0")]);
    fields.put("redis_build_id", &figures.build_id);
    fields.put("redis_mode", "standalone");
    fields.put("os", &figures.os);
    fields.put("arch_bits", usize::BITS);
    fields.put("monotonic_clock", &figures.monotonic_clock);
    fields.put("multiplexing_api", MULTIPLEXING);
    fields.put("atomicvar_api", "rust-core");
    // What Redis prints when another compiler than gcc built it.
    fields.put("gcc_version", "0.0.0");
    fields.put("process_id", figures.process_id);
    fields.put("process_supervised", figures.supervised.unwrap_or("no"));
    fields.put("run_id", &figures.run_id);
    fields.put("tcp_port", figures.tcp_port);
    fields.put("server_time_usec", figures.now_unix_us);
    fields.put("uptime_in_seconds", figures.uptime_seconds);
    fields.put("uptime_in_days", figures.uptime_seconds / SECONDS_A_DAY);
    fields.put("hz", figures.hz);
    fields.put("configured_hz", figures.configured_hz);
    fields.put("lru_clock", (figures.now_unix_us / 1_000_000) & LRU_CLOCK_MASK);
    fields.put("executable", &figures.executable);
    fields.put("config_file", &figures.config_file);
    // Redis's own I/O threads are what this counts; we have workers instead.
    fields.put("io_threads_active", 0);
    if let Some(left_ms) = figures.shutdown_wait_ms {
        fields.put("shutdown_in_milliseconds", left_ms);
    }
    fields.put("glasswing_version", &figures.glasswing_version);
    fields.put("glasswing_workers", figures.workers.len());
}

pub(super) fn replication(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("role", &figures.role);
    let stream = &figures.replication;
    fields.put("connected_slaves", stream.replicas.len());
    if let Some(good) = stream.good_replicas {
        fields.put("min_slaves_good_slaves", good);
    }
    for (number, replica) in stream.replicas.iter().enumerate() {
        let ReplicaFigures { address, port, state, offset, lag_seconds } = replica;
        let line = format_args!("ip={address},port={port},state={state},offset={offset},lag={lag_seconds}");
        fields.put(format!("slave{number}"), line);
    }
    fields.absent(&[("master_failover_state", "no-failover")]);
    fields.put("master_replid", &stream.id);
    fields.put("master_replid2", "0".repeat(40));
    fields.put("master_repl_offset", stream.offset);
    fields.absent(&[("second_repl_offset", "-1")]);
    fields.put("repl_backlog_active", u8::from(stream.kept));
    fields.put("repl_backlog_size", stream.size_limit);
    fields.put("repl_backlog_first_byte_offset", stream.first_byte);
    fields.put("repl_backlog_histlen", stream.kept_bytes);
}

pub(super) fn cpu(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    let mut seconds = |name: &str, seconds: f64| fields.put(name, format_args!("{seconds:.6}"));
    seconds("used_cpu_sys", figures.cpu_sys_seconds);
    seconds("used_cpu_user", figures.cpu_user_seconds);
    // No child process is ever made: a save needs none.
    seconds("used_cpu_sys_children", 0.0);
    seconds("used_cpu_user_children", 0.0);
    if let Some(main) = figures.cpu_sys_main_thread_seconds {
        seconds("used_cpu_sys_main_thread", main);
    }
    if let Some(main) = figures.cpu_user_main_thread_seconds {
        seconds("used_cpu_user_main_thread", main);
    }
}
