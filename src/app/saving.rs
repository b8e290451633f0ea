//! Saving: the store's walk, the files, the jobs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::command::ports::{SaveRefusal, Scripts as _, Shutdown};
use crate::config::{MaxmemoryPolicy, Settings};
use crate::observe::Counter;
use crate::persist::jobs::{Done, JobId, JobKind};
use crate::persist::progress::{Progress, Report};
use crate::persist::rdb::file as rdb;
use crate::persist::records::{LibraryCapture, WalkerCapture};
use crate::persist::snapshot::{self, Capture, SaveError, SavePlan};
use crate::store::{Capture as Keys, Walker};

use super::host::Host;

/// Threads that write a snapshot, and that load one. More than a few only fight for the memory bus.
const MOST_THREADS: usize = 4;

/// Which state a save writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instant {
    /// That of a moment between two units that hold the whole keyspace.
    Next,
    /// That of now: the caller holds it.
    Now,
}

/// The most bytes that a save of each kind has held back for its instant, the last one of the kind that ended.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    pub(super) save: AtomicU64,
    pub(super) rewrite: AtomicU64,
}

impl Host {
    pub(super) fn threads(&self) -> usize {
        self.workers.clamp(1, MOST_THREADS)
    }

    /// Starts a save on a thread of its own.
    pub(super) fn begin_save(&self) -> Result<JobId, SaveRefusal> {
        self.save_at(JobKind::Save, Instant::Next)
    }

    /// The same for a client that waits for its end.
    pub(super) fn begin_awaited_save(&self) -> Result<JobId, SaveRefusal> {
        self.save_at(JobKind::ForegroundSave, Instant::Next)
    }

    fn save_at(&self, kind: JobKind, instant: Instant) -> Result<JobId, SaveRefusal> {
        let Some(host) = self.me.upgrade() else {
            return Err(SaveRefusal::Failed("the server ends".to_owned()));
        };
        let path = self.snapshot_path();
        let work = move |progress: &Progress| {
            let span = host.tracer.background("save");
            let stats = &host.stats;
            // Whoever holds the whole keyspace locks after it has written: the instant waits for its end.
            // Who ends the server holds it, and waits until this job has given up.
            let turn = match instant {
                Instant::Next => match host.world.turn_unless(|| progress.is_cancelled()) {
                    Some(turn) => Some(turn),
                    None => return Err(given_up(&SaveError::Cancelled)),
                },
                Instant::Now => None,
            };
            let capture = host.store.begin_capture();
            let changes = stats.unsaved_changes();
            let libraries = host.libraries();
            drop(turn);
            if kind == JobKind::Save {
                tracing::info!("Background saving started");
            }
            let result = if is_rdb(&path) {
                host.save_rdb(&path, &capture, libraries, progress)
            } else {
                host.save_native(&path, &capture, libraries, progress)
            };
            capture.finish(result.is_ok());
            host.held_back.save.store(host.store.saves().peak_bytes() as u64, Ordering::Relaxed);
            match result {
                Ok(done) => {
                    host.note_snapshot(&path);
                    stats.changes_saved(changes);
                    // Whoever hears of it may write at once; what failed is found at the next look.
                    host.status.writes_stopped.store(false, Ordering::Relaxed);
                    stats.outside().incr(Counter::SavesCompleted);
                    span.number("glasswing.keys", done.keys);
                    tracing::info!(keys = done.keys, bytes = done.bytes, "DB saved on disk");
                    if kind == JobKind::Save {
                        tracing::info!("Background saving terminated with success");
                    }
                    Ok(done)
                }
                Err(error @ SaveError::Cancelled) => Err(given_up(&error)),
                Err(error) => {
                    stats.outside().incr(Counter::SavesFailed);
                    span.failed("the snapshot was not written");
                    let what = if kind == JobKind::Save {
                        "Background saving error"
                    } else {
                        "Error saving DB on disk"
                    };
                    tracing::warn!("{what}: {error}");
                    Err(error.to_string())
                }
            }
        };
        self.jobs.start(kind, work).map_err(|busy| match busy.kind {
            JobKind::Rewrite => SaveRefusal::Rewriting,
            JobKind::Save | JobKind::ForegroundSave | JobKind::Sync => SaveRefusal::Running,
        })
    }

    /// The code of all libraries of functions.
    pub(super) fn libraries(&self) -> Vec<Vec<u8>> {
        self.scripts.libraries().into_iter().map(|library| library.code).collect()
    }

    fn save_native(
        &self,
        path: &Path,
        capture: &Arc<Keys>,
        libraries: Vec<Vec<u8>>,
        progress: &Progress,
    ) -> Result<Done, SaveError> {
        let count = libraries.len() as u64;
        let mut captures: Vec<Box<dyn Capture>> = Vec::new();
        for _ in 0..self.threads() {
            captures.push(Box::new(WalkerCapture(capture.walker())));
        }
        if count > 0 {
            captures.push(Box::new(LibraryCapture(libraries)));
        }
        let plan = SavePlan {
            path: path.to_path_buf(),
            captures,
            created_unix_ms: self.clock.unix_ms(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            expected_keys: capture.expected_keys(),
            bytes_per_second_limit: None,
            guard: Arc::clone(&self.guard),
        };
        let saved = snapshot::save(plan, &*self.files, progress)?;
        Ok(Done { path: path.to_path_buf(), bytes: saved.bytes, keys: saved.keys - count })
    }

    /// Who walks through a capture for a file in Redis's format.
    pub(super) fn rdb_walkers(&self, capture: &Arc<Keys>) -> Vec<Walker> {
        // A delay between keys is one between all keys: only one thread walks then.
        let threads = if self.config.current().rdb_key_save_delay_us == 0 { self.threads() } else { 1 };
        (0..threads).map(|_| capture.walker()).collect()
    }

    fn save_rdb(
        &self,
        path: &Path,
        capture: &Arc<Keys>,
        libraries: Vec<Vec<u8>>,
        progress: &Progress,
    ) -> Result<Done, SaveError> {
        let plan = rdb::Plan {
            path: path.to_path_buf(),
            walkers: self.rdb_walkers(capture),
            options: self.rdb_options(libraries, false),
            expected_keys: capture.expected_keys(),
            guard: Arc::clone(&self.guard),
        };
        let saved = rdb::save(plan, &*self.files, progress)?;
        Ok(Done { path: path.to_path_buf(), bytes: saved.bytes, keys: saved.keys })
    }

    /// How a file in Redis's format is written now, as the settings say.
    pub(super) fn rdb_options(&self, libraries: Vec<Vec<u8>>, aof_base: bool) -> rdb::WriteOptions {
        let (settings, now_ms) = (self.config.current(), self.clock.unix_ms());
        let usage = match settings.maxmemory_policy {
            MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru => rdb::Usage::Idle(now_ms),
            MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => {
                rdb::Usage::Frequency { now_ms, decay_minutes: settings.lfu_decay_time_min }
            }
            _ => rdb::Usage::None,
        };
        rdb::WriteOptions {
            compress: settings.rdbcompression,
            checksum: settings.rdbchecksum,
            usage,
            redis_version: crate::config::REDIS_VERSION.to_owned(),
            created_unix_s: now_ms / 1_000,
            used_memory: self.process.usage(self.clock.stamp()).allocated,
            aof_base,
            libraries,
            key_delay_us: u64::try_from(settings.rdb_key_save_delay_us).unwrap_or(0),
        }
    }

    /// Decides whether writes are to stop because the last save failed.
    pub(super) fn judge_saves(&self, settings: &Settings) {
        let stopped =
            settings.stop_writes_on_bgsave_error && !settings.save.is_empty() && !self.jobs.status().last_ok;
        self.status.writes_stopped.store(stopped, Ordering::Relaxed);
    }

    /// SHUTDOWN and the signals: saves if asked to, then wakes the main thread.
    pub(super) fn end(&self, how: Shutdown) -> Result<(), String> {
        self.try_to_end(how).inspect_err(|_| {
            tracing::warn!("Errors trying to shut down the server. Check the logs for more information.");
        })
    }

    fn try_to_end(&self, how: Shutdown) -> Result<(), String> {
        let save = how.save.unwrap_or_else(|| !self.config.current().save.is_empty());
        tracing::warn!("User requested shutdown...");
        if !how.now && !self.wait_for_replicas() {
            return Err("Errors trying to SHUTDOWN. Check logs.".to_owned());
        }
        self.tell_who_lags();
        if self.begins_log() {
            // Nothing else has what it is about to hold.
            if !how.force {
                tracing::warn!("Writing initial AOF, can't exit.");
                return Err("Errors trying to SHUTDOWN. Check logs.".to_owned());
            }
            tracing::warn!("Writing initial AOF. Exit anyway.");
        }
        // From a save on nothing is run, so that nobody is told of a change that the file would not have. Should the
        // server live on, all goes on where it was.
        let _whole = save.then(|| self.world.whole_blocking());
        if self.ending.borrow().is_some() {
            // Somebody has insisted meanwhile. Who held the keyspace was cut short, a script in the middle of its
            // writes maybe: that state is no one's.
            return Err("the server ends without saving".to_owned());
        }
        self.ends_alone.store(save, Ordering::SeqCst);
        if save && !self.status.loading.load(Ordering::Relaxed) {
            tracing::info!("Saving the final snapshot before exiting.");
            if let Err(text) = self.save_last(Instant::Now) {
                tracing::warn!("The final snapshot is not saved: {text}");
                if !how.force {
                    tracing::warn!("Error trying to save the DB, can't exit.");
                    tracing::warn!("SHUTDOWN NOSAVE and SHUTDOWN FORCE end without saving.");
                    self.ends_alone.store(false, Ordering::SeqCst);
                    return Err("Errors trying to SHUTDOWN. Check logs.".to_owned());
                }
                tracing::warn!("Error trying to save the DB. Exit anyway.");
            }
        }
        // Whoever is told of the end by the end of a connection finds nobody listening.
        if let Some(acceptor) = self.acceptor.get() {
            acceptor.close();
        }
        self.status.stopping.store(true, Ordering::SeqCst);
        // Without a receiver the main thread is ending already.
        let _ = self.ending.send(Some(0));
        Ok(())
    }

    /// Saves all that there is: a save that runs already may have begun before the last writes.
    pub(super) fn save_last(&self, instant: Instant) -> Result<(), String> {
        loop {
            match self.save_at(JobKind::ForegroundSave, instant) {
                Ok(id) => {
                    let ended = self.jobs.wait(id).map(|ended| ended.result);
                    return ended.unwrap_or_else(|| Err("its outcome is not known".to_owned())).map(drop);
                }
                Err(SaveRefusal::Failed(text)) => return Err(text),
                Err(SaveRefusal::Running | SaveRefusal::Rewriting) => {
                    if let Some(running) = self.jobs.cancel() {
                        self.jobs.wait(running);
                    }
                }
            }
        }
    }
}

/// Says that a save was called off.
fn given_up(error: &SaveError) -> String {
    tracing::info!("Saving was given up: {error}");
    error.to_string()
}

/// Whether a file of this name is in Redis's format.
pub(super) fn is_rdb(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rdb")
}

/// A line about progress: `42.0%, 1200000 keys, 3 s left`.
pub(super) fn progress_line(report: &Report) -> String {
    let left = report.seconds_left.map_or_else(String::new, |seconds| format!(", {seconds:.0} s left"));
    format!("{:.1}%, {} keys{left}", report.share * 100.0, report.keys)
}
