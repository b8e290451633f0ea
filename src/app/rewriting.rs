//! BGREWRITEAOF: a base that holds what the log held, and an increment that goes on from its instant.
//!
//! At every step the manifest names files from which the keyspace can be had. A new increment is named before the
//! instant, while it is empty; the base is named, and what it replaces is made history, in one replacement of the
//! manifest; only then are files removed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::command::ports::{SaveRefusal, Started};
use crate::observe::Counter;
use crate::persist::aof::{Folder, FolderError, Segment, commands};
use crate::persist::files::Handle;
use crate::persist::jobs::{Done, JobId, JobKind};
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{FileSink, Written, write};
use crate::persist::snapshot::SaveError;
use crate::store::Capture;

use super::append_only::Mode;
use super::host::Host;

/// After so many failures in a row the automatic rewrites wait: Redis's AOF_REWRITE_LIMITE_THRESHOLD.
const FAILURES: u64 = 3;
/// The longest wait: Redis's AOF_REWRITE_LIMITE_MAX_MINUTES.
const LONGEST_WAIT_MINUTES: u64 = 60;

/// The increment of a log that was switched on and has no base yet.
fn temporary_increment(folder: &Folder) -> PathBuf {
    folder.at(&format!("temp-{}.incr", folder.name()))
}

impl Host {
    /// BGREWRITEAOF, or what stands for it.
    pub(super) fn rewrite_log(&self, schedule: bool) -> Result<Started, SaveRefusal> {
        let rewrites = &self.append_only.rewrites;
        match self.jobs.status().running {
            Some(running) if running.kind == JobKind::Rewrite && !running.cancelled => {
                return Err(SaveRefusal::Running);
            }
            Some(_) => return Ok(self.schedule_rewrite()),
            None if schedule => return Ok(self.schedule_rewrite()),
            None => {}
        }
        rewrites.scheduled.store(false, Ordering::Relaxed);
        match self.begin_rewrite() {
            Err(SaveRefusal::Running | SaveRefusal::Rewriting) => Ok(self.schedule_rewrite()),
            other => other.map(|_| Started::Now),
        }
    }

    fn schedule_rewrite(&self) -> Started {
        let rewrites = &self.append_only.rewrites;
        rewrites.scheduled.store(true, Ordering::Relaxed);
        // Who asks by hand does not wait for the limit.
        rewrites.failed_in_a_row.store(0, Ordering::Relaxed);
        Started::Scheduled
    }

    /// Starts a rewrite on a thread of its own.
    fn begin_rewrite(&self) -> Result<JobId, SaveRefusal> {
        let Some(host) = self.me.upgrade() else {
            return Err(SaveRefusal::Failed("the server ends".to_owned()));
        };
        let failed = |error: FolderError| {
            tracing::warn!("{error}");
            self.append_only.rewrites.last_failed.store(true, Ordering::Relaxed);
            SaveRefusal::Failed(
                "Can't execute an AOF background rewriting. Please check the server logs for more information."
                    .to_owned(),
            )
        };
        // Whether there is a folder is known before the answer.
        self.append_only.folder().prepare().map_err(failed)?;
        self.append_only.claim(Duration::ZERO).map_err(|error| {
            tracing::warn!("{error}");
            self.append_only.rewrites.last_failed.store(true, Ordering::Relaxed);
            SaveRefusal::Failed(error)
        })?;
        let work = move |progress: &Progress| host.rewrite(progress);
        let id = self.jobs.start(JobKind::Rewrite, work).map_err(|_| SaveRefusal::Running)?;
        self.append_only.rewrites.begun.fetch_add(1, Ordering::Relaxed);
        Ok(id)
    }

    /// The job's thread.
    fn rewrite(&self, progress: &Progress) -> Result<Done, String> {
        let span = self.tracer.background("rewrite");
        let rewrites = &self.append_only.rewrites;
        self.append_only.configure(&self.config.current(), true);
        let began = self.clock.stamp();
        let result = self.rewrite_files(progress);
        self.append_only.configure(&self.config.current(), false);
        let seconds = self.clock.stamp().saturating_sub(began) / 1_000_000_000;
        rewrites.last_took.store(seconds + 1, Ordering::Relaxed);
        match &result {
            Ok(done) => {
                rewrites.last_failed.store(false, Ordering::Relaxed);
                rewrites.failed_in_a_row.store(0, Ordering::Relaxed);
                span.number("glasswing.keys", done.keys);
                tracing::info!("Background AOF rewrite finished successfully");
            }
            Err(error) => {
                if !progress.is_cancelled() {
                    rewrites.last_failed.store(true, Ordering::Relaxed);
                    rewrites.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
                }
                self.stats.outside().incr(Counter::SavesFailed);
                span.failed("the append-only file was not rewritten");
                tracing::warn!("Background AOF rewrite terminated with error: {error}");
                if self.append_only.mode() == Mode::Starting {
                    self.stop_starting();
                    rewrites.scheduled.store(true, Ordering::Relaxed);
                }
            }
        }
        result.map_err(|error| error.to_string())
    }

    /// A log without a base is of no use: it is begun anew with the next rewrite.
    fn stop_starting(&self) {
        // Not so at the server's end: whoever ends it holds the keyspace, waits for this, and lets nobody run again.
        if let Some(_whole) = self.whole_for_job(|| self.ends_alone.load(Ordering::SeqCst)) {
            self.append_only.collect(false);
        }
        // What it holds nobody will read.
        let _ = self.append_only.log.finish();
        let folder = self.append_only.folder();
        folder.discard(&temporary_increment(&folder));
    }

    fn rewrite_files(&self, progress: &Progress) -> Result<Done, RewriteError> {
        let folder = self.append_only.folder();
        let settings = self.config.current();
        let mode = self.append_only.mode();
        let next = self.next_increment(&folder, mode)?;
        let temporary = folder.at(&format!("temp-rewriteaof-bg-{}.aof", std::process::id()));
        let base = folder.create(&temporary)?;
        // What takes long is done before the instant.
        {
            let turn = self.world.turn_unless(|| progress.is_cancelled());
            let _turn = turn.ok_or(SaveError::Cancelled).inspect_err(|_| folder.discard(&temporary))?;
            self.store.prepare_capture();
        }
        let instant = self.instant(mode, next, progress).ok_or(SaveError::Cancelled);
        let (capture, libraries, generation) = instant.inspect_err(|_| folder.discard(&temporary))?;
        tracing::info!("Background append only file rewriting started by pid {}", std::process::id());
        let rdb = settings.aof_use_rdb_preamble;
        let written = self.write_base(rdb, &*base, &temporary, &capture, libraries, progress);
        capture.finish(written.is_ok());
        self.held_back.rewrite.store(self.store.saves().peak_bytes() as u64, Ordering::Relaxed);
        let written = written.inspect_err(|_| folder.discard(&temporary))?;
        let sync = base.sync().map_err(|error| SaveError::io("sync", &temporary, error));
        sync.inspect_err(|_| folder.discard(&temporary))?;
        tracing::info!("Background AOF rewrite terminated with success");
        self.adopt(&folder, mode, rdb, &temporary)?;
        let sizes = written.bytes + if mode == Mode::Off { 0 } else { self.append_only.log.length() };
        let rewrites = &self.append_only.rewrites;
        rewrites.size_before.store(written.bytes, Ordering::Relaxed);
        rewrites.size_then.store(sizes, Ordering::Relaxed);
        self.append_only.log.rewritten(generation);
        let _files = self.append_only.keep_files();
        let mut held = self.append_only.held();
        if !settings.aof_disable_auto_gc
            && let Err(error) = folder.remove_history(&mut held.manifest)
        {
            // Nothing is lost: the next rewrite tries again.
            tracing::warn!("{error}");
        }
        progress.finish();
        Ok(Done { path: temporary, bytes: written.bytes, keys: written.keys })
    }

    /// The file that what happens after the instant goes to.
    fn next_increment(&self, folder: &Folder, mode: Mode) -> Result<Option<Segment>, FolderError> {
        let (path, handle) = match mode {
            Mode::Off => return Ok(None),
            Mode::Starting => {
                let path = temporary_increment(folder);
                let handle = folder.create(&path)?;
                folder.sync()?;
                (path, handle)
            }
            Mode::On => {
                let mut held = self.append_only.held();
                let mut manifest = held.manifest.clone();
                let path = folder.at(&manifest.add_increment(folder.name()));
                let handle = folder.create(&path)?;
                // Named while it is empty, and before the first reply that relies on it.
                folder.store(&manifest)?;
                held.manifest = manifest;
                (path, handle)
            }
        };
        tracing::info!("Creating AOF incr file {} on background rewrite", path.display());
        Ok(Some(Segment::empty(handle, path)))
    }

    /// The instant: nobody runs, so what was done is before it, and what comes is after it. `None` if the rewrite is
    /// called off before.
    fn instant(
        &self,
        mode: Mode,
        next: Option<Segment>,
        progress: &Progress,
    ) -> Option<(Arc<Capture>, Vec<Vec<u8>>, u64)> {
        let whole = self.whole_for_job(|| progress.is_cancelled())?;
        let capture = self.store.begin_capture();
        let libraries = self.libraries();
        let log = &self.append_only.log;
        let generation = log.generation() + 1;
        if let Some(segment) = next {
            if mode == Mode::Starting {
                log.begin(segment);
                self.append_only.collect(true);
            } else {
                log.cut(segment);
            }
        }
        drop(whole);
        log.sync_soon();
        Some((capture, libraries, generation))
    }

    /// Writes the state of the instant.
    pub(super) fn write_base(
        &self,
        rdb: bool,
        base: &dyn Handle,
        path: &std::path::Path,
        capture: &Arc<Capture>,
        libraries: Vec<Vec<u8>>,
        progress: &Progress,
    ) -> Result<Written, SaveError> {
        progress.begin(capture.expected_keys(), 0);
        let mut sink = FileSink::new(base, path);
        let settings = self.config.current();
        let threads = if settings.rdb_key_save_delay_us == 0 { self.threads() } else { 1 };
        let options = self.rdb_options(libraries, true);
        if !rdb {
            return commands::write(
                capture.walker(),
                &options,
                settings.aof_timestamp_enabled,
                &mut sink,
                progress,
            );
        }
        let walkers = (0..threads).map(|_| capture.walker()).collect();
        write(walkers, &options, &mut sink, progress)
    }

    /// Gives the base its name, and names it in the manifest in place of what it holds.
    fn adopt(
        &self,
        folder: &Folder,
        mode: Mode,
        rdb: bool,
        temporary: &std::path::Path,
    ) -> Result<(), RewriteError> {
        let mut held = self.append_only.held();
        if held.mode != mode {
            folder.discard(temporary);
            return Err(RewriteError::Switched);
        }
        let mut manifest = held.manifest.clone();
        let name = manifest.add_base(folder.name(), rdb);
        let path = folder.at(&name);
        folder.rename(temporary, &path).inspect_err(|_| folder.discard(temporary))?;
        tracing::info!(
            "Successfully renamed the temporary AOF base file {} into {name}",
            temporary.display()
        );
        let mut increment = None;
        if mode == Mode::Starting {
            let to = folder.at(&manifest.add_increment(folder.name()));
            folder.rename(&temporary_increment(folder), &to).inspect_err(|_| folder.discard(&path))?;
            increment = Some(to);
        }
        manifest.retire_increments(usize::from(mode != Mode::Off));
        if let Err(error) = folder.sync().and_then(|()| folder.store(&manifest)) {
            // The old manifest is in force, unless only its lasting is in doubt: then it may be either.
            if folder.load().is_ok_and(|there| there == held.manifest) {
                folder.discard(&path);
                if let Some(increment) = increment {
                    folder.discard(&increment);
                }
            }
            return Err(error.into());
        }
        held.manifest = manifest;
        if mode == Mode::Starting {
            held.mode = Mode::On;
        }
        Ok(())
    }

    /// CONFIG SET appendonly.
    pub(super) fn switch_log(&self, on: bool) -> Result<(), String> {
        if on {
            if self.append_only.mode() == Mode::Off && self.append_only.folder().prepare().is_ok() {
                self.append_only.claim(Duration::ZERO)?;
            }
            {
                let mut held = self.append_only.held();
                if held.mode != Mode::Off {
                    return Ok(());
                }
                held.manifest = self.append_only.folder().load().map_err(|error| error.to_string())?;
                held.mode = Mode::Starting;
            }
            let running = self.jobs.status().running.map(|running| running.kind);
            if running == Some(JobKind::Rewrite) {
                tracing::warn!(
                    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF \
                     and starting a rewrite now."
                );
                self.jobs.cancel();
            } else if running.is_some() {
                tracing::warn!(
                    "AOF was enabled but there is already another background operation. An AOF background was \
                     scheduled to start when possible."
                );
            }
            if running.is_some() {
                self.append_only.rewrites.scheduled.store(true, Ordering::Relaxed);
                return Ok(());
            }
            return match self.begin_rewrite() {
                Ok(_) => Ok(()),
                Err(SaveRefusal::Running | SaveRefusal::Rewriting) => {
                    self.append_only.rewrites.scheduled.store(true, Ordering::Relaxed);
                    Ok(())
                }
                Err(SaveRefusal::Failed(text)) => {
                    self.append_only.held().mode = Mode::Off;
                    tracing::warn!(
                        "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check \
                         the above logs for more info about the error."
                    );
                    Err(text)
                }
            };
        }
        let before = std::mem::replace(&mut self.append_only.held().mode, Mode::Off);
        if before == Mode::Off {
            return Ok(());
        }
        // Units that run meanwhile may still append: what they append is written, or given up, with the rest.
        self.append_only.collect(false);
        if self.jobs.status().running.is_some_and(|running| running.kind == JobKind::Rewrite) {
            tracing::info!("Killing running AOF rewrite child");
            self.jobs.cancel();
        }
        self.append_only.rewrites.scheduled.store(false, Ordering::Relaxed);
        if let Err(error) = self.append_only.log.finish() {
            tracing::warn!("Fail to fsync the AOF file: {error}");
        }
        if before == Mode::Starting {
            let folder = self.append_only.folder();
            folder.discard(&temporary_increment(&folder));
        }
        Ok(())
    }

    /// Whether the log was switched on and its first base is being written.
    pub(super) fn begins_log(&self) -> bool {
        let rewrites = || self.jobs.status().running.is_some_and(|running| running.kind == JobKind::Rewrite);
        self.append_only.mode() == Mode::Starting && rewrites()
    }

    /// The end: what has been appended is brought to the disk. Nobody appends any more.
    pub(super) fn close_log(&self) {
        if self.jobs.status().running.is_some_and(|running| running.kind == JobKind::Rewrite)
            && let Some(id) = self.jobs.cancel()
        {
            self.jobs.wait(id);
        }
        if self.append_only.mode() == Mode::On {
            tracing::info!("Calling fsync() on the AOF file.");
            if let Err(error) = self.append_only.log.finish() {
                tracing::warn!("Fail to fsync the AOF file: {error}");
            }
        }
        self.append_only.log.stop();
    }

    /// Ten times a second: writes what waits, and begins the rewrites that are due.
    pub(super) fn tend_log(&self) {
        let append_only = &self.append_only;
        let mode = append_only.mode();
        if mode != Mode::Off {
            append_only.log.tick();
        }
        self.status.log_failing.store(append_only.log.error().is_some(), Ordering::Relaxed);
        if self.jobs.status().running.is_some() {
            return;
        }
        let rewrites = &append_only.rewrites;
        if rewrites.scheduled.load(Ordering::Relaxed) {
            if !self.is_limited() {
                rewrites.scheduled.store(false, Ordering::Relaxed);
                // Its failure is logged and counted.
                let _ = self.begin_rewrite();
            }
            return;
        }
        if mode != Mode::On {
            return;
        }
        let settings = self.config.current();
        let (size, then) = (append_only.size(), rewrites.size_then.load(Ordering::Relaxed).max(1));
        let grown = size.saturating_mul(100) / then;
        let growth = grown.saturating_sub(100);
        let percentage = u64::from(settings.auto_aof_rewrite_percentage);
        let due = percentage > 0 && size > settings.auto_aof_rewrite_min_size_bytes && growth >= percentage;
        if (due || append_only.log.needs_rewrite()) && !self.is_limited() {
            if due {
                tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
            }
            let _ = self.begin_rewrite();
        }
    }

    /// Whether rewrites have failed so often that the next one waits.
    fn is_limited(&self) -> bool {
        let rewrites = &self.append_only.rewrites;
        if rewrites.failed_in_a_row.load(Ordering::Relaxed) < FAILURES {
            rewrites.delay_minutes.store(0, Ordering::Relaxed);
            rewrites.not_before_s.store(0, Ordering::Relaxed);
            return false;
        }
        let now_s = self.clock.unix_ms() / 1_000;
        let not_before = rewrites.not_before_s.load(Ordering::Relaxed);
        if not_before != 0 {
            if now_s < not_before {
                return true;
            }
            rewrites.not_before_s.store(0, Ordering::Relaxed);
            return false;
        }
        let minutes = (rewrites.delay_minutes.load(Ordering::Relaxed) * 2).clamp(1, LONGEST_WAIT_MINUTES);
        rewrites.delay_minutes.store(minutes, Ordering::Relaxed);
        rewrites.not_before_s.store(now_s + minutes * 60, Ordering::Relaxed);
        tracing::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
        );
        true
    }
}

/// Why a rewrite came to nothing. The log goes on as it was.
#[derive(Debug)]
enum RewriteError {
    /// The folder.
    Folder(FolderError),
    /// The base.
    Base(SaveError),
    /// The log was switched on or off meanwhile.
    Switched,
}

impl From<FolderError> for RewriteError {
    fn from(error: FolderError) -> RewriteError {
        RewriteError::Folder(error)
    }
}

impl From<SaveError> for RewriteError {
    fn from(error: SaveError) -> RewriteError {
        RewriteError::Base(error)
    }
}

impl std::fmt::Display for RewriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RewriteError::Folder(error) => error.fmt(f),
            RewriteError::Base(error) => error.fmt(f),
            RewriteError::Switched => f.write_str("the log was switched on or off meanwhile"),
        }
    }
}
