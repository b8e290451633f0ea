//! Saving and loading: the store's walk, the files, the jobs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::ports::{SaveRefusal, Shutdown};
use crate::observe::Counter;
use crate::persist::jobs::{Done, JobId, JobKind};
use crate::persist::progress::{Progress, Report};
use crate::persist::records::{Record, WalkerCapture};
use crate::persist::snapshot::{self, Capture, Kind, LoadError, SavePlan};
use crate::store::{Moment, Store};

use super::host::Host;

/// Threads that write a snapshot, and that load one. More than a few only fight for the memory bus.
const MOST_THREADS: usize = 4;

impl Host {
    fn threads(&self) -> usize {
        self.workers.clamp(1, MOST_THREADS)
    }

    /// Starts a save on a thread of its own.
    pub(super) fn begin_save(&self) -> Result<JobId, SaveRefusal> {
        let plan = SaveParts {
            store: Arc::clone(&self.store),
            path: self.snapshot_path(),
            threads: self.threads(),
            now_ms: self.clock.unix_ms(),
            guard: Arc::clone(&self.guard),
        };
        let (world, files) = (Arc::clone(&self.world), Arc::clone(&self.files));
        let (stats, tracer) = (Arc::clone(&self.stats), self.tracer.clone());
        let work = move |progress: &Progress| {
            let span = tracer.background("save");
            let path = plan.path.clone();
            // Whoever holds the whole keyspace locks after it has written: the instant waits for its end.
            let turn = world.turn_blocking();
            let capture = plan.store.begin_capture();
            let changes = stats.unsaved_changes();
            drop(turn);
            let captures = (0..plan.threads)
                .map(|_| Box::new(WalkerCapture(capture.walker())) as Box<dyn Capture>)
                .collect();
            tracing::info!("Background saving started");
            let result = snapshot::save(
                SavePlan {
                    path: path.clone(),
                    captures,
                    created_unix_ms: plan.now_ms,
                    server_version: env!("CARGO_PKG_VERSION").to_owned(),
                    expected_keys: capture.expected_keys(),
                    bytes_per_second_limit: None,
                    guard: plan.guard,
                },
                &*files,
                progress,
            );
            capture.finish(result.is_ok());
            match result {
                Ok(saved) => {
                    stats.changes_saved(changes);
                    stats.outside().incr(Counter::SavesCompleted);
                    span.number("glasswing.keys", saved.keys);
                    tracing::info!(keys = saved.keys, bytes = saved.bytes, "DB saved on disk");
                    Ok(Done { path, bytes: saved.bytes, keys: saved.keys })
                }
                Err(error) => {
                    stats.outside().incr(Counter::SavesFailed);
                    span.failed("the snapshot was not written");
                    tracing::warn!("Background saving error: {error}");
                    Err(error.to_string())
                }
            }
        };
        self.jobs.start(JobKind::Save, work).map_err(|_| SaveRefusal::Running)
    }

    /// Decides whether writes are to stop because the last save failed.
    pub(super) fn judge_saves(&self) {
        let (settings, jobs) = (self.config.current(), self.jobs.status());
        let stopped = settings.stop_writes_on_bgsave_error && !settings.save.is_empty() && !jobs.last_ok;
        self.status.writes_stopped.store(stopped, Ordering::Relaxed);
    }

    /// SHUTDOWN and the signals: saves if asked to, then wakes the main thread.
    pub(super) fn end(&self, how: Shutdown) -> Result<(), String> {
        let save = how.save.unwrap_or_else(|| !self.config.current().save.is_empty());
        tracing::warn!("User requested shutdown...");
        let mut code = 0;
        if save && !self.status.loading.load(Ordering::Relaxed) {
            tracing::info!("Saving the final snapshot before exiting.");
            if let Err(text) = self.save_last() {
                tracing::warn!("Error trying to save the DB: {text}");
                if !how.force {
                    tracing::warn!("Can't exit. Use SHUTDOWN NOSAVE or FORCE to end without saving.");
                    return Err("Errors trying to SHUTDOWN. Check logs.".to_owned());
                }
                code = i32::from(how.save == Some(true));
            }
        }
        self.status.stopping.store(true, Ordering::SeqCst);
        // Without a receiver the main thread is ending already.
        let _ = self.ending.send(Some(code));
        Ok(())
    }

    /// The save before the end: one that runs already may have begun before the last writes.
    pub(super) fn save_last(&self) -> Result<(), String> {
        loop {
            match self.begin_save() {
                Ok(id) => {
                    let ended = self.jobs.wait(id).map(|ended| ended.result);
                    return ended.unwrap_or_else(|| Err("its outcome is not known".to_owned())).map(drop);
                }
                Err(SaveRefusal::Failed(text)) => return Err(text),
                Err(SaveRefusal::Running) => {
                    if let Some(running) = self.jobs.cancel() {
                        self.jobs.wait(running);
                    }
                }
            }
        }
    }

    /// Loads the snapshot at the start. `Ok(None)` when there is none.
    pub(super) fn load_at_start(&self) -> Result<Option<u64>, LoadError> {
        let path = self.snapshot_path();
        match snapshot::peek(&path, &*self.files)? {
            Kind::Missing => return Ok(None),
            Kind::Empty => {
                // A file without a byte holds no data: Redis starts empty over it too.
                if let Ok(identity) = crate::persist::files::Files::identity(&*self.files, &path)
                    && let Some(identity) = identity
                {
                    self.guard.remember(&path, identity);
                }
                return Ok(None);
            }
            _ => {}
        }
        let clock = self.clock.clone();
        let progress = Arc::new(Progress::new(Box::new(move || clock.stamp() / 1_000_000)));
        *self.load.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::clone(&progress));
        let span = self.tracer.background("load");
        let moment = Moment::at(self.clock.unix_ms());
        let store = &self.store;
        let insert = |number: u32, record: Record| record.put(store, moment, number).map(drop);
        let result = snapshot::load(&path, &*self.files, self.threads(), &progress, insert);
        *self.load.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        let loaded = result?;
        span.number("glasswing.keys", loaded.keys);
        self.guard.remember(&path, loaded.identity);
        Ok(Some(loaded.keys))
    }

    /// DEBUG RELOAD: saves, empties the keyspace and loads what was saved. Runs on a thread of its own.
    pub(super) fn reload_snapshot(&self, save_first: bool) -> Result<(), String> {
        if save_first {
            self.save_last()?;
        }
        let _whole = self.world.whole_blocking();
        let mut view = self.store.view_whole(Moment::at(self.clock.unix_ms()), 0);
        for number in 0..self.store.databases() {
            view.flush(number, true);
        }
        drop(view);
        self.load_at_start().map(drop).map_err(|error| error.to_string())
    }
}

struct SaveParts {
    store: Arc<Store>,
    path: std::path::PathBuf,
    threads: usize,
    now_ms: u64,
    guard: Arc<crate::persist::ownership::Guard>,
}

/// A line about progress: `42.0%, 1200000 keys, 3 s left`.
pub(super) fn progress_line(report: &Report) -> String {
    let left = report.seconds_left.map_or_else(String::new, |seconds| format!(", {seconds:.0} s left"));
    format!("{:.1}%, {} keys{left}", report.share * 100.0, report.keys)
}
