//! The append-only file of the server: what its units did goes into the log, and the log into its folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::command::effects::{Effect, Effects};
use crate::config::{AppendFsync, Config, Settings};
use crate::engine::log::Keeper;
use crate::engine::{Engine, Status};
use crate::observe::{Stage, Stats};
use crate::persist::aof::{Folder, Hooks, Log, Manifest, Policy, Segment, read_all};
use crate::persist::files::{Handle, Identity, RealFiles};

/// Whether the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is not.
    #[default]
    Off,
    /// It was switched on, and begins with the base that is being written.
    Starting,
    /// It is.
    On,
}

/// What the folder holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) manifest: Manifest,
    pub(super) mode: Mode,
}

/// What INFO shows of rewrites.
#[derive(Debug, Default)]
pub(super) struct Rewrites {
    pub(super) begun: AtomicU64,
    pub(super) failed_in_a_row: AtomicU64,
    pub(super) last_failed: AtomicBool,
    pub(super) scheduled: AtomicBool,
    /// Seconds that the last one took, plus one; 0 when there was none.
    pub(super) last_took: AtomicU64,
    /// All files' size at the end of the last one, and of those before the file that is written now.
    pub(super) size_then: AtomicU64,
    pub(super) size_before: AtomicU64,
    /// No automatic one before this time, seconds; and for how many minutes the last delay was.
    pub(super) not_before_s: AtomicU64,
    pub(super) delay_minutes: AtomicU64,
}

/// The log, its folder, and how far they are.
pub(super) struct AppendOnly {
    pub(super) log: Log,
    pub(super) rewrites: Rewrites,
    /// Times are written, too.
    timed: AtomicBool,
    config: Config,
    clock: Clock,
    status: Arc<Status>,
    held: Mutex<Held>,
    /// Held by who reads the files that the manifest names, and by who removes those that it names no more.
    files: Mutex<()>,
    /// The logs that no other process may write while this one lives: their manifests, and the locks.
    claims: Mutex<Vec<(PathBuf, Box<dyn Handle>)>>,
    /// Set once, when the workers are made.
    pub(super) engine: OnceLock<Arc<Engine>>,
}

impl std::fmt::Debug for AppendOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppendOnly").field("held", &self.held).finish_non_exhaustive()
    }
}

fn policy_of(settings: &Settings) -> Policy {
    match settings.appendfsync {
        AppendFsync::Always => Policy::Always,
        AppendFsync::Everysec => Policy::Everysec,
        AppendFsync::No => Policy::No,
    }
}

impl AppendOnly {
    /// A log that is not written yet.
    pub(super) fn new(
        config: &Config,
        clock: &Clock,
        stats: &Arc<Stats>,
        status: &Arc<Status>,
    ) -> Result<Arc<AppendOnly>, String> {
        let (time, events) = (clock.clone(), (clock.clone(), Arc::clone(stats), config.clone()));
        let stats = Arc::clone(stats);
        let hooks = Hooks {
            stamp: Box::new(move || time.stamp()),
            fatal: Box::new(|| std::process::exit(1)),
            took: Box::new(move |event, nanos| {
                // The monitor counts milliseconds, and most take none.
                if nanos < 1_000_000 {
                    return;
                }
                let (clock, stats, config) = &events;
                let threshold = config.current().latency_monitor_threshold_ms;
                stats.spikes().note(event, threshold, clock.unix_ms(), nanos);
            }),
            synced: Box::new(move |nanos| stats.outside().stage(Stage::Sync, nanos)),
        };
        let this = Arc::new(AppendOnly {
            log: Log::new(hooks),
            rewrites: Rewrites::default(),
            timed: AtomicBool::new(false),
            config: config.clone(),
            clock: clock.clone(),
            status: Arc::clone(status),
            held: Mutex::default(),
            files: Mutex::default(),
            claims: Mutex::default(),
            engine: OnceLock::new(),
        });
        this.configure(&config.current(), false);
        let syncs = Arc::clone(&this);
        std::thread::Builder::new()
            .name("log-sync".to_owned())
            .spawn(move || syncs.log.run_syncs())
            .map_err(|error| error.to_string())?;
        Ok(this)
    }

    /// The folder that the settings name.
    pub(super) fn folder(&self) -> Folder {
        let settings = self.config.current();
        Folder::new(
            Arc::new(RealFiles),
            Path::new(&settings.appenddirname).to_path_buf(),
            settings.appendfilename.clone(),
        )
    }

    /// Makes sure that until its end this process alone writes the log that the settings name: two servers would write
    /// over each other, and cut and remove each other's files. Who writes it now is waited for that long, since it may
    /// be about to end.
    pub(super) fn claim(&self, patience: Duration) -> Result<(), String> {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let folder = self.folder();
        // `dir` can be changed.
        let path = std::path::absolute(folder.manifest_path()).map_err(|error| error.to_string())?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.iter().any(|(claimed, _)| *claimed == path) {
            return Ok(());
        }
        let until = self.clock.stamp() + u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let mut waits = false;
        loop {
            let held = match folder.claim().map_err(|error| error.to_string())? {
                Ok(lock) => {
                    claims.push((path, lock));
                    return Ok(());
                }
                Err(held) => held,
            };
            if self.clock.stamp() >= until {
                return Err(format!(
                    "the append-only file of {} is written by another server, which has {} open. End that server, or give \
                     this one a folder of its own with --dir, or a log of its own with --appendfilename",
                    path.display(),
                    held.display()
                ));
            }
            if !std::mem::replace(&mut waits, true) {
                tracing::warn!("Another server writes {}: its end is waited for", path.display());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Notes in the lock's file which snapshot a server with this log wrote or loaded last.
    pub(super) fn note(&self, snapshot: &Path, identity: &Identity) -> io::Result<()> {
        let text = noted(snapshot, identity);
        self.with_lock_file(|file| {
            file.truncate(0)?;
            file.write_all_at(text.as_bytes(), 0)
        })
        .unwrap_or(Ok(()))
    }

    /// Whether the snapshot in this state is the noted one.
    pub(super) fn has_noted(&self, snapshot: &Path, identity: &Identity) -> bool {
        let text = noted(snapshot, identity);
        let read = self.with_lock_file(|file| read_all(file));
        matches!(read, Some(Ok(bytes)) if bytes == text.as_bytes())
    }

    /// `None` if this process has not claimed the log.
    fn with_lock_file<T>(&self, act: impl FnOnce(&dyn Handle) -> T) -> Option<T> {
        let path = std::path::absolute(self.folder().manifest_path()).ok()?;
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.iter().find(|(claimed, _)| *claimed == path).map(|(_, file)| act(&**file))
    }

    /// No file is removed meanwhile. Taken before [`AppendOnly::held`].
    pub(super) fn keep_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mode(&self) -> Mode {
        self.held().mode
    }

    /// What the settings say; `busy` is whether a save or a rewrite runs.
    pub(super) fn configure(&self, settings: &Settings, busy: bool) {
        self.timed.store(settings.aof_timestamp_enabled, Ordering::Relaxed);
        let rests = busy && settings.no_appendfsync_on_rewrite;
        self.log.configure(policy_of(settings), settings.aof_checksum, rests);
    }

    /// From now on units collect their effects, or do not. Nobody holds any key.
    pub(super) fn collect(&self, on: bool) {
        self.status.logging.set(Keeper::File, on);
    }

    /// All files' size.
    pub(super) fn size(&self) -> u64 {
        self.rewrites.size_before.load(Ordering::Relaxed) + self.log.length()
    }

    /// Opens the last increment, or a new one, at the start: the log goes on there. `last` is what loading found of
    /// the last increment: where it ends and its checksum.
    pub(super) fn open(&self, last: Option<(u64, crc32fast::Hasher)>) -> Result<(), String> {
        let folder = self.folder();
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let mut held = self.held();
        let is_new = held.manifest.increments.is_empty();
        let name = match held.manifest.increments.last() {
            Some(last) => last.name.clone(),
            None => held.manifest.add_increment(folder.name()),
        };
        let (handle, length) = folder.open_or_create(&name).map_err(|error| told(&error))?;
        folder.store(&held.manifest).map_err(|error| told(&error))?;
        let (end, checksum) = last.filter(|_| !is_new).unwrap_or_default();
        if end != length {
            return Err(format!("{name} has changed since it was loaded"));
        }
        self.log.begin(Segment { handle, path: folder.at(&name), length, checksum });
        held.mode = Mode::On;
        let what = if is_new { "Creating" } else { "Opening" };
        tracing::info!("{what} AOF incr file {name} on server start");
        Ok(())
    }

    /// Adds what a unit did.
    pub(super) fn append(&self, effects: &Effects) {
        let time = self.timed.load(Ordering::Relaxed).then(|| self.clock.unix_ms() / 1_000);
        self.log.append(|feeder| {
            for (_, group) in effects.groups() {
                let group: SmallVec<[Effect<'_>; 4]> = group.filter(|effect| !effect.for_replicas).collect();
                let Some(first) = group.first() else { continue };
                if let Some(now_s) = time {
                    feeder.time(now_s);
                }
                if group.len() > 1 {
                    feeder.multi(Some(first.database));
                }
                group.iter().for_each(|effect| feeder.command(effect.database, effect.bytes));
                if group.len() > 1 {
                    feeder.exec();
                }
            }
        });
    }
}

/// A snapshot and its state in words.
fn noted(snapshot: &Path, identity: &Identity) -> String {
    let path = std::path::absolute(snapshot).unwrap_or_else(|_| snapshot.to_path_buf());
    let Identity { device, inode, size_bytes, modified_ns } = identity;
    format!("{device} {inode} {size_bytes} {modified_ns} {}\n", path.display())
}
