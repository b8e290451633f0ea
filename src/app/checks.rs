//! What the health probes rest on: each check with its verdict and its reason.
//!
//! A check fails the readiness for what a client would notice: it cannot connect, is told BUSY, or has its writes
//! refused. It fails the liveness only for what a restart mends. The reasons are read by anybody who reaches the
//! port: they name commands and scripts, and nothing that a client has made up.

use std::sync::atomic::Ordering;

use crate::admin::Check;
use crate::config::MaxmemoryPolicy;

use super::host::Host;
use super::saving::progress_line;

/// A worker whose loop has not turned for so long counts as stuck, nanoseconds.
const STUCK_NS: u64 = 10_000_000_000;

/// For so long `maxmemory` may be exceeded: what evicts, or frees, is mostly done sooner. Nanoseconds.
const FULL_NS: u64 = 1_000_000_000;

/// Commands that one reason names at most.
const NAMED: usize = 3;

/// Every check, as it is now.
pub(super) fn all(host: &Host) -> Vec<Check> {
    vec![
        loading(host),
        accepting(host),
        clients(host),
        memory(host),
        persistence(host),
        append_only_file(host),
        scripts(host),
        workers(host),
    ]
}

/// One that counts for `/readyz` alone; it fails when there is a reason to.
fn for_readiness(name: &'static str, failure: Option<String>, well: &str) -> Check {
    let ok = failure.is_none();
    let reason = failure.unwrap_or_else(|| well.to_owned());
    Check { name, ok, reason, live: false, ready: true, startup: false }
}

fn loading(host: &Host) -> Check {
    let loading = host.status.loading.load(Ordering::Relaxed);
    let reason = match host.load_progress() {
        Some(progress) => format!("loading: {}", progress_line(&progress.report())),
        None if loading => "loading".to_owned(),
        None => "the keyspace is loaded".to_owned(),
    };
    Check { name: "loading", ok: !loading, reason, live: false, ready: true, startup: true }
}

fn accepting(host: &Host) -> Check {
    let stopping = host.status.stopping.load(Ordering::Relaxed) || host.shutting_down.load(Ordering::Relaxed);
    let failure = stopping.then(|| "the server is shutting down".to_owned());
    for_readiness("accepting", failure, "the server takes connections")
}

/// Whether one more client would be taken.
fn clients(host: &Host) -> Check {
    let connected: usize = (0..host.workers).map(|worker| host.clients.count_of(worker)).sum();
    let most = host.config.current().maxclients as usize;
    let failure = (connected >= most).then(|| {
        format!("{connected} clients are connected, as many as maxclients allows: others are refused")
    });
    for_readiness("clients", failure, "there is room for more clients")
}

fn memory(host: &Host) -> Check {
    let settings = host.config.current();
    let (_, exceeded_ns) = host.status.memory.exceeded(host.clock.stamp());
    // What has been noted is as old as the last command.
    let is_full = settings.maxmemory_bytes > 0
        && exceeded_ns >= FULL_NS
        && host.status.memory.used() > settings.maxmemory_bytes;
    let failure = is_full.then(|| {
        let why = match settings.maxmemory_policy {
            MaxmemoryPolicy::Noeviction => "nothing is to be evicted",
            _ => "what may be evicted does not suffice",
        };
        format!("maxmemory has been reached for {} s, and {why}: writes are refused", seconds(exceeded_ns))
    });
    for_readiness("memory", failure, "maxmemory is not reached, or keys are evicted in time")
}

fn persistence(host: &Host) -> Check {
    let jobs = host.jobs.status();
    let failure = match jobs.last_save.map(|ended| ended.result) {
        _ if jobs.last_ok => None,
        Some(Err(text)) => Some(format!("the last save failed: {text}")),
        _ => Some("the last save failed".to_owned()),
    };
    for_readiness("persistence", failure, "the last save in the background succeeded, or none was due")
}

fn append_only_file(host: &Host) -> Check {
    let failure =
        host.append_only.log.error().map(|why| format!("the append-only file cannot be written: {why}"));
    for_readiness("append_only_file", failure, "the append-only file is written, or is off")
}

/// Whether a script keeps the keyspace to itself past `busy-reply-threshold`.
fn scripts(host: &Host) -> Check {
    let failure = host.scripts.busy_run().map(|run| {
        let (what, kill) =
            if run.function { ("function", "FUNCTION KILL") } else { ("script", "SCRIPT KILL") };
        let help = if run.wrote {
            "it has written, so only SHUTDOWN NOSAVE ends it".to_owned()
        } else {
            format!("{kill} ends it")
        };
        let since_ns = host.clock.stamp().saturating_sub(run.began);
        format!(
            "the {what} {} has been running for {} s and others are told BUSY: {help}",
            run.name,
            seconds(since_ns)
        )
    });
    for_readiness("scripts", failure, "no script runs past busy-reply-threshold")
}

fn workers(host: &Host) -> Check {
    let now = host.clock.stamp();
    let stuck: Vec<String> = host.beats.get().map_or_else(Vec::new, |beats| {
        let since = |worker: usize| now.saturating_sub(beats[worker].load(Ordering::Relaxed));
        let late = (0..beats.len()).map(|worker| (worker, since(worker))).filter(|late| late.1 > STUCK_NS);
        late.map(|(worker, since_ns)| stuck_worker(host, worker, since_ns)).collect()
    });
    let ok = stuck.is_empty();
    let reason = if ok { "every worker's loop turns".to_owned() } else { stuck.join("; ") };
    Check { name: "workers", ok, reason, live: true, ready: true, startup: false }
}

/// A stuck worker, with what it is in the middle of: whose request has been read and is not done with.
fn stuck_worker(host: &Host, worker: usize, since_ns: u64) -> String {
    let mut running = Vec::new();
    host.clients.each_of(worker, |client| {
        let command = client.last_command.load(Ordering::Relaxed);
        if client.query_used.load(Ordering::Relaxed) > 0 && command != usize::MAX && running.len() < NAMED {
            running.push(format!("{} of client {}", host.registry.get(command).full_name, client.id));
        }
    });
    let what = if running.is_empty() {
        "a command runs very long, or hangs".to_owned()
    } else {
        format!("it is in the middle of {}", running.join(", "))
    };
    format!("worker {worker} has not come round for {} s: {what}", seconds(since_ns))
}

fn seconds(nanos: u64) -> u64 {
    nanos / 1_000_000_000
}
