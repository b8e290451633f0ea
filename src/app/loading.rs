//! Loading a snapshot or a file in Redis's format, at the start and by DEBUG RELOAD.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::command::ports::{Reload, RestoreLibraries, Scripts as _};
use crate::command::value_limits;
use crate::config::Settings;
use crate::engine::usage_of;
use crate::observe::log::QUOTES;
use crate::persist::files::Files as _;
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{self as rdb, Contents, Found, HandleReader, Item, ReadError};
use crate::persist::records::{Record, Taken};
use crate::persist::snapshot::{self, Kind};
use crate::store::{Arrival, Moment, Placed, Usage, idle_since, with_frequency};

use super::host::Host;
use super::saving::{Instant, is_rdb};

/// The name that Redis gives its file.
const NAME_OF_REDIS: &str = "dump.rdb";

/// How a file is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// What is loaded takes the place of what has the same name, which is an error otherwise.
    pub(super) replace: bool,
    /// Keys that have expired are loaded all the same, since what follows may speak of them.
    pub(super) keep_expired: bool,
}

/// What became of the keys of a file.
#[derive(Debug, Default)]
struct Counts {
    placed: AtomicU64,
    expired: AtomicU64,
}

impl Counts {
    fn count(&self, placed: Placed) {
        let counter = if placed == Placed::Expired { &self.expired } else { &self.placed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Host {
    /// The file to load: the one that is configured, or, where no name is and no such file is there, the one
    /// that a Redis left.
    fn path_to_load(&self) -> PathBuf {
        let path = self.snapshot_path();
        let of_redis = path.with_file_name(NAME_OF_REDIS);
        let is_default = self.config.current().dbfilename == Settings::default().dbfilename;
        if is_default && !path.exists() && of_redis.exists() { of_redis } else { path }
    }

    /// Whether a file is there that the start loads.
    pub(super) fn has_something_to_load(&self) -> bool {
        let settings = self.config.current();
        match settings.appendonly {
            true => {
                self.append_only.folder().manifest_path().exists()
                    || Path::new(&settings.appendfilename).exists()
            }
            false => self.path_to_load().exists(),
        }
    }

    /// Loads the file at the start: how many keys it had. `Ok(None)` when there is none.
    pub(super) fn load_at_start(&self) -> Result<Option<u64>, String> {
        if self.config.current().appendonly {
            return self.load_log_at_start();
        }
        self.tell_what_is_passed_over();
        self.load_snapshot(How::default()).inspect_err(|_| {
            if is_rdb(&self.path_to_load()) {
                tracing::warn!("Terminating server after rdb file reading failure.");
            }
        })
    }

    /// Whoever moves here may have put a file beside ours that is not the one to be loaded.
    fn tell_what_is_passed_over(&self) {
        let (path, settings) = (self.path_to_load(), self.config.current());
        let of_redis = path.with_file_name(NAME_OF_REDIS);
        if settings.dbfilename == Settings::default().dbfilename && path != of_redis && of_redis.exists() {
            tracing::warn!(
                "{} is there too, and is not loaded: {} is. To load it, move the other away, or name it with dbfilename.",
                of_redis.display(),
                path.display()
            );
        }
        if self.append_only.folder().manifest_path().exists() {
            tracing::warn!(
                "An append-only file is in {}, and is not loaded: appendonly is no.",
                settings.appenddirname
            );
        }
    }

    /// A moment for loading, under the policy that the settings name.
    pub(super) fn load_moment(&self) -> Moment {
        Moment { usage: usage_of(&self.config.current()), ..Moment::at(self.clock.unix_ms()) }
    }

    pub(super) fn load_snapshot(&self, how: How) -> Result<Option<u64>, String> {
        let path = self.path_to_load();
        let kind = snapshot::peek(&path, &*self.files).map_err(|error| error.to_string())?;
        if matches!(kind, Kind::Missing) {
            return Ok(None);
        }
        tracing::info!("Loading {}", path.display());
        let clock = self.clock.clone();
        let progress = Arc::new(Progress::new(Box::new(move || clock.stamp() / 1_000_000)));
        self.load_begins(&progress);
        let span = self.tracer.background("load");
        let result = match kind {
            Kind::Redis => self.load_redis_file(&path, how, &progress),
            _ => self.load_native(&path, how, &progress),
        };
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let keys = result?;
        span.number("glasswing.keys", keys);
        Ok(Some(keys))
    }

    fn load_native(&self, path: &Path, how: How, progress: &Progress) -> Result<u64, String> {
        let (store, moment) = (&self.store, self.load_moment());
        let (counts, libraries) = (Counts::default(), Mutex::new(Vec::new()));
        let insert = |number: u32, record: Record| {
            match record.put(store, moment, number, how.replace)? {
                Taken::Key(placed) => {
                    counts.count(placed);
                    self.pause(progress);
                }
                Taken::Library(code) => libraries.lock().unwrap_or_else(PoisonError::into_inner).push(code),
            }
            Ok(())
        };
        let loaded = snapshot::load(path, &*self.files, self.load_threads(), progress, insert)
            .map_err(|error| error.to_string())?;
        let libraries = libraries.into_inner().unwrap_or_else(PoisonError::into_inner);
        let keys = loaded.keys - libraries.len() as u64;
        self.take_in(&libraries, how)?;
        self.note_counts(&counts);
        self.guard.remember(path, loaded.identity);
        Ok(keys)
    }

    fn load_redis_file(&self, path: &Path, how: How, progress: &Progress) -> Result<u64, String> {
        let told = |error: &dyn std::fmt::Display| {
            format!(
                "the RDB file {} cannot be loaded: {error}. The file was not touched. Put a good copy in its place, \
                 or move it away to start empty",
                path.display()
            )
        };
        let handle = self.files.open(path).map_err(|error| told(&error))?;
        let identity = handle.identity().map_err(|error| told(&error))?;
        progress.expect_bytes(identity.size_bytes);
        let contents = self
            .load_rdb(&mut HandleReader::new(&*handle, 0), how, progress)
            .map_err(|error| told(&error))?;
        self.guard.remember(path, identity);
        if !is_rdb(path) {
            tracing::warn!(
                "{} is an RDB file, and its name does not end in .rdb: the next save replaces it by a snapshot in \
                 Glasswing's own format",
                path.display()
            );
        }
        Ok(contents.keys)
    }

    /// Loads a file in Redis's format from wherever it comes. What follows it is left to the caller, who says
    /// beforehand how many bytes there are.
    pub(super) fn load_rdb(
        &self,
        source: &mut dyn Read,
        how: How,
        progress: &Progress,
    ) -> Result<Contents, ReadError> {
        let settings = self.config.current();
        let (moment, counts) = (self.load_moment(), Counts::default());
        let options = rdb::Options {
            threads: self.load_threads(),
            limits: value_limits(&settings),
            checksum: settings.rdbchecksum && !self.switches.skips_checksums(),
        };
        let insert = |item: Item| {
            let placed = self.place(item, moment, how)?;
            counts.count(placed);
            self.pause(progress);
            Ok(())
        };
        let contents = rdb::read(source, &options, progress, &mut |found| self.note(&found), &insert)
            .inspect_err(|error| tracing::warn!(target: QUOTES, "RDB reading failed at offset {}: {error}", error.offset))?;
        if !settings.rdbchecksum || !contents.has_checksum {
            tracing::info!("RDB file was saved with checksum disabled: no check performed.");
        }
        self.take_in(&contents.libraries, how).map_err(ReadError::refused)?;
        for key in &contents.empty_keys {
            tracing::info!(target: QUOTES, "rdbLoadObject skipping empty key: {}", key.escape_ascii());
        }
        self.note_counts(&counts);
        tracing::info!(
            "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
            counts.placed.load(Ordering::Relaxed),
            counts.expired.load(Ordering::Relaxed),
            contents.empty
        );
        Ok(contents)
    }

    fn place(&self, item: Item, moment: Moment, how: How) -> Result<Placed, ReadError> {
        let most = self.store.databases();
        let number =
            usize::try_from(item.database).ok().filter(|&number| number < most).ok_or_else(|| {
                ReadError::refused(format!(
                    "the file holds keys of database {}, and there are only {most}: raise `databases`",
                    item.database
                ))
            })?;
        let counts = moment.usage != Usage::Lru;
        let usage_bits = match (item.idle_s, item.frequency) {
            (Some(seconds), _) if !counts => Some(idle_since(seconds, moment.now_ms)),
            (_, Some(frequency)) if counts => Some(with_frequency(frequency, moment.now_ms)),
            _ => None,
        };
        let arrival = Arrival {
            expire_at_ms: item.expire_at_ms,
            usage_bits,
            replace: how.replace,
            keep_expired: how.keep_expired,
        };
        match self.store.place_key(moment, number, &item.key, item.value, arrival) {
            Placed::Taken => Err(ReadError::refused(format!(
                "RDB has duplicated key '{}' in DB {number}",
                item.key.escape_ascii()
            ))),
            placed => Ok(placed),
        }
    }

    /// Logs what a file says about its writer, as Redis does.
    fn note(&self, found: &Found<'_>) {
        let Found::Aux(name, value) = found else { return };
        let value = String::from_utf8_lossy(value);
        match *name {
            b"redis-ver" => tracing::info!("Loading RDB produced by version {value}"),
            b"ctime" => {
                let age = (self.clock.unix_ms() / 1_000).saturating_sub(value.parse().unwrap_or(0));
                tracing::info!("RDB age {age} seconds");
            }
            b"used-mem" => {
                let bytes: u64 = value.parse().unwrap_or(0);
                let megabytes = bytes as f64 / f64::from(1 << 20);
                tracing::info!("RDB memory usage when created {megabytes:.2} Mb");
            }
            _ => {}
        }
    }

    /// Puts libraries of functions in place.
    fn take_in(&self, libraries: &[Vec<u8>], how: How) -> Result<(), String> {
        if libraries.is_empty() {
            return Ok(());
        }
        let restore = if how.replace { RestoreLibraries::Replace } else { RestoreLibraries::Append };
        self.scripts
            .restore_libraries(libraries, restore)
            .map_err(|error| format!("a library of functions in it cannot be loaded: {error}"))
    }

    fn note_counts(&self, counts: &Counts) {
        self.loaded_keys.store(counts.placed.load(Ordering::Relaxed), Ordering::Relaxed);
        self.expired_keys.store(counts.expired.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A delay between keys is one between all keys: only one thread loads then.
    fn load_threads(&self) -> usize {
        if self.config.current().key_load_delay_us == 0 { self.threads() } else { 1 }
    }

    /// Waits as `key-load-delay` says: so many microseconds, or one in the mean every so many keys if it is negative.
    pub(super) fn pause(&self, progress: &Progress) {
        let delay = self.config.current().key_load_delay_us;
        if delay == 0 {
            return;
        }
        let every = u64::from(delay.unsigned_abs());
        let left = match delay {
            1.. => Duration::from_micros(every),
            _ if progress.report().keys.is_multiple_of(every) => Duration::from_micros(1),
            _ => Duration::ZERO,
        };
        if !left.is_zero() {
            progress.wait(left);
        }
    }

    /// DEBUG RELOAD: saves, empties the keyspace and loads what was saved. Runs on a thread of its own.
    pub(super) fn reload_snapshot(&self, how: Reload) -> Result<(), String> {
        if how.save {
            self.save_last(Instant::Next)?;
        }
        let _whole = self.world.whole_blocking();
        if how.flush {
            let mut view = self.store.view_whole(Moment::at(self.clock.unix_ms()), 0);
            for number in 0..self.store.databases() {
                view.flush(number, true);
            }
            drop(view);
            self.scripts.flush_libraries();
        }
        match self.load_snapshot(How { replace: how.merge, keep_expired: false })? {
            Some(_) => Ok(()),
            None => Err("there is no file to load".to_owned()),
        }
    }
}
