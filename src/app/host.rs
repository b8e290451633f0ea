//! The server as its commands see it: the implementation of `command::ports`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::acl::{Acl, User};
use crate::clock::{Clock, Stamp};
use crate::command::error::{MISCONF, cannot_log};
use crate::command::ports::{
    Clients, Dumps, Migrations, Reload, SaveRefusal, Saves, Server, Shutdown, Started, Switches,
};
use crate::command::{CommandError, Registry, rights};
use crate::config::{ApplyError, Config, LogLevel as ConfiguredLevel, Row, Settings};
use crate::data::ValueLimits;
use crate::engine::world::{Whole, World};
use crate::engine::{ClientTable, Status};
use crate::net::{Acceptor, Tls};
use crate::observe::log::{LogHandle, LogLevel};
use crate::observe::process::Process;
use crate::observe::trace::Tracer;
use crate::observe::{Figures, Metrics, Stats};
use crate::persist::files::RealFiles;
use crate::persist::jobs::{JobKind, Jobs};
use crate::persist::ownership::Guard;
use crate::persist::rdb;
use crate::store::{DumpError, Entry, LoadedValue, Store};

use super::saving::Instant;

/// Everything that outlives a connection.
pub(super) struct Host {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) store: Arc<Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) stats: Arc<Stats>,
    pub(super) metrics: Metrics,
    pub(super) clients: Arc<ClientTable>,
    pub(super) world: Arc<World>,
    pub(super) status: Arc<Status>,
    pub(super) acl: Arc<Acl>,
    pub(super) pubsub: crate::pubsub::PubSub,
    pub(super) tracking: crate::command::tracking::Tracking,
    pub(super) hot_keys: Arc<crate::command::hot_keys::HotKeys>,
    pub(super) jobs: Jobs,
    pub(super) append_only: Arc<super::append_only::AppendOnly>,
    pub(super) scripts: crate::script::ScriptEngine,
    pub(super) guard: Arc<Guard>,
    pub(super) files: Arc<RealFiles>,
    pub(super) tracer: Tracer,
    pub(super) log: LogHandle,
    pub(super) run_id: String,
    pub(super) started_ms: u64,
    pub(super) workers: usize,
    pub(super) process: Process,
    pub(super) supervisor: super::background::Supervisor,
    pub(super) replication: Arc<crate::replica::Replication>,
    pub(super) effect_logs: Arc<super::effect_logs::EffectLogs>,
    /// What MIGRATE keeps of its connections.
    pub(super) connections: super::migrate::Connections,
    /// Handed to work on other threads.
    pub(super) me: Weak<Host>,
    /// How many keys the last load put in.
    pub(super) loaded_keys: AtomicU64,
    /// How many it left out since they had expired.
    pub(super) expired_keys: AtomicU64,
    /// What the loading of the file has come to.
    pub(super) load: Mutex<Option<Arc<crate::persist::progress::Progress>>>,
    pub(super) acceptor: OnceLock<Arc<Acceptor>>,
    /// How connections speak TLS.
    pub(super) tls: Arc<Tls>,
    /// When each worker's loop last turned.
    pub(super) beats: OnceLock<Arc<[AtomicU64]>>,
    pub(super) admin: OnceLock<crate::admin::AdminServer>,
    /// Wakes the main thread: the server is to end, with this exit code.
    pub(super) ending: tokio::sync::watch::Sender<Option<i32>>,
    /// How soon the kernel ends this process.
    pub(super) oom_score: super::oom_score::OomScore,
    /// The most bytes that the last save, and the last rewrite, held back for their instant.
    pub(super) held_back: super::saving::HeldBack,
    /// What DEBUG has switched.
    pub(super) switches: Switches,
    /// A SHUTDOWN is under way.
    pub(super) shutting_down: AtomicBool,
    /// It holds the whole keyspace for good, unless its save fails.
    pub(super) ends_alone: AtomicBool,
    /// It waits for replicas, and may be given up.
    pub(super) waits_for_replicas: AtomicBool,
    /// Until when they are waited for, milliseconds since 1970; 0 while they are not.
    pub(super) waits_until_ms: AtomicU64,
    /// A signal asked for the end while chores rest (DEBUG PAUSE-CRON).
    pub(super) waits_for_chores: AtomicBool,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

/// The whole keyspace in the hands of a job. How long it was held is counted when it is given back.
pub(super) struct WholeOfJob<'a> {
    host: &'a Host,
    began: Stamp,
    _whole: Whole<'a>,
}

impl Drop for WholeOfJob<'_> {
    fn drop(&mut self) {
        self.host.stats.outside().world_held(self.host.clock.stamp().saturating_sub(self.began));
    }
}

impl Host {
    /// The whole keyspace for a job: `None` if it is called off before.
    pub(super) fn whole_for_job(&self, called_off: impl Fn() -> bool) -> Option<WholeOfJob<'_>> {
        let whole = self.world.whole_unless(called_off)?;
        Some(WholeOfJob { host: self, began: self.clock.stamp(), _whole: whole })
    }

    /// The snapshot's path.
    pub(super) fn snapshot_path(&self) -> PathBuf {
        let settings = self.config.current();
        Path::new(&settings.dir).join(&settings.dbfilename)
    }
}

pub(super) fn refused(row: &'static str, reason: &str, error: &dyn std::fmt::Display) -> ApplyError {
    tracing::warn!("{error}");
    ApplyError { name: row, message: reason.to_owned() }
}

/// The log's level for a setting.
pub(super) fn log_level(level: ConfiguredLevel) -> LogLevel {
    LogLevel::parse(level.name()).unwrap_or(LogLevel::Notice)
}

impl Server for Host {
    fn is_traced(&self) -> bool {
        self.tracer.is_on()
    }

    fn scripts(&self) -> &dyn crate::command::ports::Scripts {
        &self.scripts
    }

    fn acl(&self) -> &Arc<Acl> {
        &self.acl
    }

    fn load_users(&self) -> Result<Vec<Arc<User>>, String> {
        super::users::load(self)
    }

    fn save_users(&self) -> Result<(), String> {
        super::users::save(self)
    }

    fn pubsub(&self) -> &crate::pubsub::PubSub {
        &self.pubsub
    }

    fn hot_keys(&self) -> &Arc<crate::command::hot_keys::HotKeys> {
        &self.hot_keys
    }

    fn tracking(&self) -> &crate::command::tracking::Tracking {
        &self.tracking
    }

    fn replication(&self) -> &crate::replica::Replication {
        &self.replication
    }

    fn begin_syncs(&self) {
        self.begin_due_syncs();
    }

    fn clients(&self) -> &dyn Clients {
        &*self.clients
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn apply_config(
        &self,
        old: &Settings,
        new: &Settings,
        changed: &[&'static Row],
    ) -> Result<(), ApplyError> {
        if old.dir != new.dir {
            std::env::set_current_dir(&new.dir)
                .map_err(|error| refused("dir", &error.to_string(), &error))?;
        }
        self.change_tls(new, changed)?;
        self.change_listeners(old, new)?;
        if old.maxclients != new.maxclients {
            super::limits::allow_clients(new.maxclients)
                .map_err(|message| ApplyError { name: "maxclients", message })?;
        }
        if old.slowlog_max_len != new.slowlog_max_len {
            self.stats.slow_log().truncate(usize::try_from(new.slowlog_max_len).unwrap_or(usize::MAX));
        }
        if old.logfile != new.logfile {
            let file = (!new.logfile.is_empty()).then(|| PathBuf::from(&new.logfile));
            self.log.set_file(file).map_err(|error| refused("logfile", &error.to_string(), &error))?;
        }
        if (old.oom_score_adj, old.oom_score_adj_values) != (new.oom_score_adj, new.oom_score_adj_values) {
            self.oom_score.apply(new).map_err(|error| {
                let reason = "Failed to apply new oom_score_adj configuration, check server logs.";
                refused("oom-score-adj", reason, &error)
            })?;
        }
        super::title::change(new, self.config.config_file().as_deref());
        rights::apply_config(&self.acl, old, new);
        self.log.set_level(log_level(new.loglevel));
        self.stats.set_latency_tracking(new.latency_tracking);
        if let Some(limit) = crate::engine::memory::limit_of_clients(new) {
            let now = self.clock.stamp();
            crate::engine::memory::evict_clients(&self.clients, limit, &self.stats, now);
        }
        if new.maxmemory_bytes != 0 && old.maxmemory_bytes != new.maxmemory_bytes {
            crate::observe::memory::start();
            let used = crate::observe::memory::used();
            if used > new.maxmemory_bytes {
                tracing::warn!(
                    "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current memory \
                     usage ({used}). This will result in key eviction and/or the inability to accept new write \
                     commands depending on the maxmemory-policy.",
                    new.maxmemory_bytes
                );
            }
        }
        self.append_only.configure(new, self.running());
        self.replication.configure(super::syncing::limits_of(new), self.monotonic_ms());
        if old.appendonly != new.appendonly {
            self.switch_log(new.appendonly).map_err(|error| {
                refused("appendonly", "Unable to turn on AOF. Check server logs.", &error)
            })?;
        }
        self.store.saves().set_limit(new.save_extra_memory_limit_bytes as usize);
        if old.jemalloc_bg_thread != new.jemalloc_bg_thread {
            crate::observe::process::return_memory_in_background(new.jemalloc_bg_thread);
        }
        self.judge_saves(new);
        if let Some(admin) = self.admin.get() {
            let networks = super::control::networks(&new.admin_trusted_networks);
            admin.set_access(networks, new.admin_metrics_public);
        }
        Ok(())
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn reset_statistics(&self) {
        self.stats.reset();
        self.store.reset_garbage_count();
        self.store.reset_lock_waits();
        self.status.memory.reset();
        self.replication.reset_counts();
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn saves(&self) -> &dyn Saves {
        self
    }

    fn figures(&self) -> Figures {
        super::figures::gather(self)
    }

    fn shared(&self) -> Arc<dyn Server> {
        match self.me.upgrade() {
            Some(host) => host,
            // Whoever calls a method of it holds it.
            None => unreachable!("the host is alive while it is asked"),
        }
    }

    fn is_loading(&self) -> bool {
        self.status.loading.load(Ordering::Relaxed)
    }

    fn denies_writes(&self) -> Option<CommandError> {
        if self.status.writes_stopped.load(Ordering::Relaxed) {
            return Some(CommandError::fixed(MISCONF));
        }
        let failing = self.status.log_failing.load(Ordering::Relaxed);
        failing.then(|| self.append_only.log.error()).flatten().map(|why| cannot_log(&why))
    }

    fn abort_shutdown(&self) -> bool {
        // Only while replicas are waited for, or chores rest, is an end neither refused nor done.
        let waits = [&self.waits_for_replicas, &self.waits_for_chores];
        let aborted = waits.iter().any(|waits| waits.swap(false, Ordering::SeqCst));
        if aborted {
            tracing::warn!("Shutdown manually aborted.");
        }
        aborted
    }

    fn change_replication_id(&self) {
        self.replication.rename(super::building::random_id());
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), String> {
        self.shutting_down.store(true, Ordering::SeqCst);
        // INFO counts who waits for replicas to catch up among those that wait.
        self.clients.count_blocked(true);
        let result = self.end(how);
        self.clients.count_blocked(false);
        if result.is_err() {
            self.shutting_down.store(false, Ordering::SeqCst);
        }
        result
    }

    fn sleep(&self, time: Duration) {
        if self.clock.is_manual() {
            self.clock.advance_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        } else {
            std::thread::sleep(time);
        }
    }

    fn set_active_expiry(&self, on: bool) {
        self.status.active_expiry.store(on, Ordering::Relaxed);
    }

    fn switches(&self) -> &Switches {
        &self.switches
    }

    fn delay_log(&self, time: Duration) {
        self.append_only.log.delay(time);
    }

    fn reload(&self, how: Reload) -> Result<(), String> {
        self.reload_snapshot(how)
    }

    fn reload_log(&self) -> Result<(), String> {
        self.reload_log()
    }

    fn migrations(&self) -> Arc<dyn Migrations> {
        super::migrate::shared(self)
    }

    fn dumps(&self) -> &dyn Dumps {
        self
    }

    fn run_id(&self) -> &str {
        &self.run_id
    }
}

impl Dumps for Host {
    fn dump(&self, entry: &Entry, compress: bool) -> Vec<u8> {
        rdb::dump(entry, compress)
    }

    fn restore(&self, payload: &[u8], limits: &ValueLimits) -> Result<LoadedValue, DumpError> {
        rdb::restore(payload, limits, !self.switches.skips_checksums())
    }

    fn dump_libraries(&self, codes: &[&[u8]]) -> Vec<u8> {
        rdb::dump_libraries(codes, self.config.current().rdbcompression)
    }

    fn restore_libraries(&self, payload: &[u8]) -> Result<Vec<Vec<u8>>, DumpError> {
        rdb::restore_libraries(payload, !self.switches.skips_checksums())
    }
}

impl Saves for Host {
    fn save(&self) -> Result<(), SaveRefusal> {
        let id = loop {
            match self.begin_awaited_save() {
                // Redis saves beside its rewrite; there is one capture at a time here.
                Err(SaveRefusal::Rewriting) => self.jobs.wait_for_current(),
                begun => break begun?,
            }
        };
        match self.jobs.wait(id).map(|ended| ended.result) {
            Some(Ok(_)) => Ok(()),
            Some(Err(text)) => Err(SaveRefusal::Failed(text)),
            None => Err(SaveRefusal::Failed("the save's outcome is not known".to_owned())),
        }
    }

    fn start(&self, schedule: bool) -> Result<Started, SaveRefusal> {
        match self.begin_save() {
            // One that was cancelled (FLUSHALL) is as good as gone.
            Err(SaveRefusal::Running | SaveRefusal::Rewriting)
                if schedule || self.jobs.status().running.is_none_or(|running| running.cancelled) =>
            {
                self.jobs.schedule();
                Ok(Started::Scheduled)
            }
            other => other.map(|_| Started::Now),
        }
    }

    fn rewrite(&self, schedule: bool) -> Result<Started, SaveRefusal> {
        self.rewrite_log(schedule)
    }

    fn flushed(&self) -> bool {
        self.jobs.cancel();
        !self.config.current().save.is_empty()
    }

    fn save_flushed(&self) {
        // As in Redis the client hears that all is flushed in any case; the log has why it was not saved.
        let _ = self.save_last(Instant::Next);
    }

    fn last_save_unix_s(&self) -> u64 {
        self.jobs.status().last_success_unix_ms / 1_000
    }

    fn running(&self) -> bool {
        self.jobs.status().running.is_some_and(|running| running.kind != JobKind::Rewrite)
    }
}

impl Host {
    /// The progress of the load that is under way.
    pub(super) fn load_progress(&self) -> Option<Arc<crate::persist::progress::Progress>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A load begins. One that a signal came before gives up at once.
    pub(super) fn load_begins(&self, progress: &Arc<crate::persist::progress::Progress>) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(progress));
        if self.status.stopping.load(Ordering::SeqCst) {
            progress.cancel();
        }
    }
}
