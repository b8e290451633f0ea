//! The insides of a server, as a test wants them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use glasswing::admin::{
    Check, Control, InfoSection, RequestTrace, SaveJob, SaveRefused, SaveResult, SaveStatus, SlowCommand,
    SlowCommands, VersionInfo, WorkerState,
};
use glasswing::observe::metrics::Format;
use glasswing::observe::trace::Caller;
use tokio::sync::watch;

use crate::client::PATIENCE;

pub const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A trace that goes nowhere.
struct Untraced;

impl RequestTrace for Untraced {
    fn answered(&self, _: &str, _: &str, _: u16) {}
}

/// A server's insides that a test sets as it likes.
pub struct Fake {
    pub failing: Mutex<Vec<(&'static str, &'static str)>>,
    pub password_set: AtomicBool,
    pub panics_in_metrics: AtomicBool,
    pub panics: AtomicU64,
    pub metrics_bytes: AtomicU64,
    pub refusal: Mutex<Option<SaveRefused>>,
    pub save: watch::Sender<SaveStatus>,
    /// Clients whose connection was closed.
    pub killed: Mutex<Vec<u64>>,
    /// Samplers that were begun, that are there now, and what they were asked.
    pub samplers: AtomicU64,
    pub samplers_now: Arc<AtomicU64>,
    pub samples: Arc<AtomicU64>,
    pub panics_in_samples: AtomicBool,
    /// Held by a test, nobody gets the log.
    pub log: Mutex<String>,
    /// Somebody holds the whole keyspace.
    pub held: AtomicBool,
}

impl Fake {
    pub fn new() -> Arc<Fake> {
        Arc::new(Fake {
            failing: Mutex::default(),
            password_set: AtomicBool::new(false),
            panics_in_metrics: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            metrics_bytes: AtomicU64::new(0),
            refusal: Mutex::default(),
            save: watch::Sender::new(SaveStatus::default()),
            killed: Mutex::default(),
            samplers: AtomicU64::new(0),
            samplers_now: Arc::default(),
            samples: Arc::default(),
            panics_in_samples: AtomicBool::new(false),
            log: Mutex::new("a line of the log\n".to_owned()),
            held: AtomicBool::new(false),
        })
    }

    pub fn fail(&self, name: &'static str, reason: &'static str) {
        self.failing.lock().unwrap().push((name, reason));
    }

    /// Ends the running save with this error or none.
    pub fn finish_save(&self, error: Option<&str>) {
        self.save.send_modify(|status| {
            status.running = false;
            status.last = Some(SaveResult {
                ok: error.is_none(),
                error: error.map(str::to_owned),
                file: "/data/glasswing.snapshot".to_owned(),
                bytes: 4096,
                keys: 12,
                seconds: 0.25,
                finished_unix_ms: 1_700_000_000_000,
            });
        });
    }

    pub fn wait_until_saving(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut seen = self.save.subscribe();
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, seen.wait_for(|status| status.running))
                .await
                .expect("no save was started")
                .unwrap();
        });
    }
}

impl Control for Fake {
    fn metrics(&self, format: Format) -> String {
        assert!(!self.panics_in_metrics.load(Ordering::SeqCst), "a planted panic");
        let padding = self.metrics_bytes.load(Ordering::SeqCst) as usize;
        let end = if format == Format::OpenMetrics { "# EOF\n" } else { "" };
        format!("glasswing_up 1\n{}{end}", "#".repeat(padding))
    }

    fn checks(&self) -> Vec<Check> {
        let failing = self.failing.lock().unwrap();
        let check = |name, live, ready, startup| {
            let reason = failing.iter().find(|(failing, _)| *failing == name);
            Check {
                name,
                ok: reason.is_none(),
                reason: reason.map_or("all is well", |(_, reason)| reason).to_owned(),
                live,
                ready,
                startup,
            }
        };
        vec![
            check("workers", true, true, true),
            check("loading", false, true, true),
            check("persistence", false, true, false),
        ]
    }

    fn start_save(&self) -> Result<SaveJob, SaveRefused> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        let mut answer = Ok(SaveJob { id: 0 });
        self.save.send_modify(|status| {
            let job = status.job.unwrap_or(0);
            if status.running {
                answer = Err(SaveRefused::Running(SaveJob { id: job }));
                return;
            }
            *status = SaveStatus {
                running: true,
                job: Some(job + 1),
                share: 0.5,
                keys: 6,
                bytes: 2048,
                seconds_left: Some(1.5),
                last: status.last.take(),
                last_success_unix_ms: None,
            };
            answer = Ok(SaveJob { id: job + 1 });
        });
        answer
    }

    fn save_status(&self) -> SaveStatus {
        self.save.borrow().clone()
    }

    fn wait_for_save(&self, job: u64) -> Pin<Box<dyn Future<Output = SaveStatus> + Send>> {
        let mut save = self.save.subscribe();
        Box::pin(async move {
            let ended = |status: &SaveStatus| !(status.running && status.job == Some(job));
            save.wait_for(ended).await.unwrap().clone()
        })
    }

    fn config(&self) -> Vec<(String, String)> {
        vec![
            ("port".to_owned(), "6379".to_owned()),
            ("bind".to_owned(), "127.0.0.1 -::1".to_owned()),
            ("requirepass".to_owned(), "(hidden)".to_owned()),
        ]
    }

    fn slow_log(&self, count: usize) -> SlowCommands {
        let entry = |id, write_us| SlowCommand {
            id,
            unix_s: 1_700_000_000,
            duration_us: 25,
            command: "get",
            arguments: vec!["get".to_owned(), "a\"\u{7}<b>".to_owned()],
            client: "127.0.0.1:5".to_owned(),
            client_name: String::new(),
            lock_wait_us: 5.5,
            run_us: 20.0,
            write_us,
        };
        let entries = [entry(4, Some(3.0)), entry(3, None)].into_iter().take(count).collect();
        SlowCommands { slower_than_us: 10, max_len: 128, len: 2, entries }
    }

    fn info(&self) -> Vec<InfoSection> {
        let section = |name: &str, field: &str, value: &str| InfoSection {
            name: name.to_owned(),
            fields: vec![(field.to_owned(), value.to_owned())],
        };
        vec![
            section("server", "redis_version", "7.0.15"),
            section("clients", "connected_clients", "1"),
            section("memory", "used_memory", "1024"),
        ]
    }

    fn version(&self) -> VersionInfo {
        VersionInfo {
            glasswing_version: "0.1.0".to_owned(),
            redis_version: "7.0.15".to_owned(),
            build: "abc1234".to_owned(),
            rust: "1.95.0".to_owned(),
        }
    }

    fn worker_states(&self) -> Vec<WorkerState> {
        let idle = WorkerState::default();
        vec![idle, WorkerState { connections: 3, commands: 40, busy_s: 1.5, turned_s_ago: Some(0.25) }]
    }

    fn recent_log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn unix_ms(&self) -> u64 {
        1_795_414_648_123
    }

    fn not_open_because(&self) -> Option<&'static str> {
        self.password_set.load(Ordering::SeqCst).then_some("clients need a password")
    }

    fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::SeqCst);
    }

    fn trace(&self, _: &str, _: Option<&Caller>) -> Box<dyn RequestTrace> {
        Box::new(Untraced)
    }
}
