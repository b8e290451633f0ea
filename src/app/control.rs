//! The server as the admin port sees it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::admin::{
    Check, Control, InfoSection, IpNetwork, RequestTrace, SaveJob, SaveRefused, SaveResult, SaveStatus,
    SlowCommand, SlowCommands, VersionInfo, WorkerState,
};
use crate::command::ports::SaveRefusal;
use crate::observe::metrics::Format;
use crate::observe::trace::{BackgroundSpan, Caller};
use crate::observe::{Counter, SlowEntry};
use crate::persist::jobs::{JobId, JobKind};

use super::checks;
use super::figures;
use super::host::Host;

/// The host behind the admin port.
pub(super) struct Admin(pub(super) Arc<Host>);

impl Control for Admin {
    fn metrics(&self, format: Format) -> String {
        self.0.metrics.render(figures::gather(&self.0), format)
    }

    fn checks(&self) -> Vec<Check> {
        checks::all(&self.0)
    }

    fn start_save(&self) -> Result<SaveJob, SaveRefused> {
        if self.0.status.loading.load(Ordering::SeqCst) {
            return Err(SaveRefused::Loading);
        }
        loop {
            match self.0.begin_save() {
                Ok(JobId(id)) => return Ok(SaveJob { id }),
                Err(SaveRefusal::Failed(text)) => return Err(SaveRefused::Failed(text)),
                Err(SaveRefusal::Running | SaveRefusal::Rewriting) => {}
            }
            // What was in the way may have ended meanwhile.
            let Some(running) = self.0.jobs.status().running else { continue };
            let job = SaveJob { id: running.id.0 };
            return Err(match running.kind {
                JobKind::Rewrite => SaveRefused::Occupied(job, "the append-only file is being rewritten"),
                JobKind::Sync => SaveRefused::Occupied(job, "a replica is being given the data"),
                JobKind::Save | JobKind::ForegroundSave => SaveRefused::Running(job),
            });
        }
    }

    fn save_status(&self) -> SaveStatus {
        status(&self.0)
    }

    fn wait_for_save(&self, job: u64) -> Pin<Box<dyn Future<Output = SaveStatus> + Send>> {
        let host = Arc::clone(&self.0);
        Box::pin(async move {
            host.jobs.ended(JobId(job)).await;
            status(&host)
        })
    }

    fn config(&self) -> Vec<(String, String)> {
        self.0.config.visible()
    }

    fn info(&self) -> Vec<InfoSection> {
        figures::info_sections(&self.0)
    }

    fn slow_log(&self, count: usize) -> SlowCommands {
        let settings = self.0.config.current();
        let log = self.0.stats.slow_log();
        SlowCommands {
            slower_than_us: settings.slowlog_log_slower_than_us,
            max_len: settings.slowlog_max_len,
            len: log.len(),
            entries: log.latest(count).into_iter().map(|entry| slow_command(&self.0, entry)).collect(),
        }
    }

    fn version(&self) -> VersionInfo {
        VersionInfo {
            glasswing_version: env!("CARGO_PKG_VERSION").to_owned(),
            redis_version: crate::config::REDIS_VERSION.to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            rust: env!("CARGO_PKG_RUST_VERSION").to_owned(),
        }
    }

    fn worker_states(&self) -> Vec<WorkerState> {
        (0..self.0.workers).map(|worker| worker_state(&self.0, worker)).collect()
    }

    fn recent_log(&self) -> String {
        self.0.log.recent()
    }

    fn unix_ms(&self) -> u64 {
        self.0.clock.unix_ms()
    }

    fn not_open_because(&self) -> Option<&'static str> {
        let table = self.0.acl.table();
        let user = table.default_user();
        if !user.needs_no_password() {
            return Some("clients need a password");
        }
        if !user.is_open() || !user.is_unrestricted() {
            return Some("the user 'default' may not do everything");
        }
        if self.0.config.current().port == 0 {
            return Some("clients cannot come over a plain port");
        }
        (!self.0.config.renames().is_empty()).then_some("commands are renamed")
    }

    fn panicked(&self) {
        self.0.stats.outside().incr(Counter::PanicsCaught);
    }

    fn trace(&self, name: &str, caller: Option<&Caller>) -> Box<dyn RequestTrace> {
        Box::new(Traced(self.0.tracer.request(name, caller)))
    }
}

/// A request's span.
struct Traced(BackgroundSpan);

impl RequestTrace for Traced {
    fn answered(&self, method: &str, route: &str, status: u16) {
        self.0.text("http.request.method", method);
        self.0.text("http.route", route);
        self.0.number("http.response.status_code", u64::from(status));
        if status >= 500 {
            self.0.failed("the request was not carried out");
        }
    }
}

fn worker_state(host: &Host, worker: usize) -> WorkerState {
    let counter = |counter| host.stats.worker_counter(worker, counter);
    let beat = host.beats.get().map(|beats| beats[worker].load(Ordering::Relaxed));
    WorkerState {
        connections: host.clients.count_of(worker) as u64,
        commands: counter(Counter::CommandsProcessed),
        busy_s: counter(Counter::BusyNanos) as f64 / 1e9,
        turned_s_ago: beat.map(|beat| host.clock.stamp().saturating_sub(beat) as f64 / 1e9),
    }
}

fn slow_command(host: &Host, entry: SlowEntry) -> SlowCommand {
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    let command = entry
        .arguments
        .first()
        .and_then(|name| host.registry.resolve(name, entry.arguments.get(1).map(Vec::as_slice)));
    SlowCommand {
        id: entry.id,
        unix_s: entry.unix_s,
        duration_us: entry.duration_us,
        command: command.map_or("unknown", |index| host.registry.get(index).full_name),
        arguments: entry.arguments.iter().map(|argument| text_of(argument)).collect(),
        client: entry.peer,
        client_name: text_of(&entry.client_name),
        lock_wait_us: micros(entry.stages.lock_wait_ns),
        run_us: micros(entry.stages.run_ns),
        write_us: entry.stages.write_ns().map(micros),
    }
}

/// A client's bytes as text: where they are none, each that is not printable as an escape.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

fn status(host: &Host) -> SaveStatus {
    let jobs = host.jobs.status();
    let last_id = jobs.last_save.as_ref().map(|ended| ended.id.0);
    let last = jobs.last_save.map(|ended| {
        let done = ended.result.as_ref().ok();
        SaveResult {
            ok: done.is_some(),
            error: ended.result.as_ref().err().cloned(),
            file: done.map_or_else(|| host.snapshot_path(), |done| done.path.clone()).display().to_string(),
            bytes: done.map_or(0, |done| done.bytes),
            keys: done.map_or(0, |done| done.keys),
            seconds: ended.duration_ms as f64 / 1_000.0,
            finished_unix_ms: ended.ended_unix_ms,
        }
    });
    let running = jobs.running.as_ref().filter(|running| running.kind.is_save());
    SaveStatus {
        running: running.is_some(),
        job: running.map(|running| running.id.0).or(last_id),
        share: running.map_or(0.0, |running| running.progress.share),
        keys: running.map_or(0, |running| running.progress.keys),
        bytes: running.map_or(0, |running| running.progress.bytes),
        seconds_left: running.and_then(|running| running.progress.seconds_left),
        last_success_unix_ms: (jobs.saves > 0).then_some(jobs.last_success_unix_ms),
        last,
    }
}

/// The configured networks as the admin port wants them.
pub(super) fn networks(configured: &[crate::config::Network]) -> Vec<IpNetwork> {
    configured.iter().filter_map(|network| network.to_string().parse().ok()).collect()
}
