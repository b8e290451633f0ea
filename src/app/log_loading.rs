//! Loading the append-only file: the base and then the increments, in the order that the manifest says.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::command::ports::Scripts as _;
use crate::engine::log::Keeper;
use crate::engine::replay::{ReplayError, Replayer};
use crate::persist::aof::reader::{Fault, Problem, Read, Reader};
use crate::persist::aof::{FileInfo, FileType, Folder, Manifest};
use crate::persist::files::{Files as _, Handle};
use crate::persist::ownership::Whose;
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{HandleReader, MAGIC};
use crate::resp::Span;
use crate::store::Moment;

use super::append_only::Mode;
use super::host::Host;
use super::loading::How;

/// Commands between two looks at whether the load is to end.
const LOOK_EVERY: u64 = 1024;

/// So long the server is waited for that writes the log when this one starts: it may be about to end.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// Where a file ends that is gone on with, and the checksum of what is before.
pub(super) type Place = (u64, crc32fast::Hasher);

/// How a log is loaded.
#[derive(Clone, Copy)]
struct Way {
    /// The caller holds the whole keyspace.
    whole: bool,
    /// No file is cut, whatever the settings say: they are somebody else's.
    only_read: bool,
}

/// What loading found.
struct Loaded {
    /// Where the last increment ends; nothing if there is none.
    last: Option<Place>,
    base_bytes: u64,
    /// Of all files before the last increment.
    closed_bytes: u64,
}

impl Host {
    /// Loads the log at the start, and opens it to go on. `Ok(None)` when there is none yet.
    pub(super) fn load_log_at_start(&self) -> Result<Option<u64>, String> {
        let folder = self.append_only.folder();
        folder.prepare().map_err(|error| error.to_string())?;
        // Before anything is read: what another server is writing may end within a command, and would be cut.
        self.append_only.claim(CLAIM_PATIENCE)?;
        let manifest = folder.load().map_err(|error| {
            tracing::warn!("*** FATAL AOF MANIFEST FILE ERROR ***");
            tracing::warn!("{error}");
            format!("the AOF manifest {} cannot be used", folder.manifest_path().display())
        })?;
        self.append_only.held().manifest = manifest;
        self.upgrade(&folder)?;
        let is_new = self.append_only.held().manifest.is_empty();
        let mut had_data = true;
        let last = if is_new {
            // Redis begins with nothing then, and its first save takes what was in the file away.
            had_data = self.load_snapshot(How::default())?.is_some();
            self.begin_log(&folder)?;
            None
        } else {
            let loaded = self.load_log(false)?;
            self.look_at_snapshot()?;
            let rewrites = &self.append_only.rewrites;
            rewrites.size_then.store(loaded.base_bytes, Ordering::Relaxed);
            rewrites.size_before.store(loaded.closed_bytes, Ordering::Relaxed);
            loaded.last
        };
        self.append_only.open(last)?;
        self.append_only.collect(true);
        self.note_snapshot(&self.snapshot_path());
        self.stats.no_unsaved_changes();
        let keys = (0..self.store.databases()).map(|number| self.store.counts(number).keys as u64).sum();
        Ok(had_data.then_some(keys))
    }

    /// The log that was loaded is what counts in the folder. The snapshot beside it may be replaced if a server with this
    /// log wrote it; what else is there is kept, under another name, when the first save comes.
    fn look_at_snapshot(&self) -> Result<(), String> {
        let path = self.snapshot_path();
        let there = self.files.identity(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let Some(there) = there else { return Ok(()) };
        let becomes = if self.append_only.has_noted(&path, &there) {
            self.guard.remember(&path, there);
            "the next save replaces it"
        } else {
            self.guard.remember_foreign(&path, there);
            "the next save keeps it under another name"
        };
        tracing::info!(
            "{} is not loaded, since the append-only file is switched on; {becomes}",
            path.display()
        );
        Ok(())
    }

    /// While there is a log: notes beside it that the snapshot is this server's, so that the next one knows it.
    pub(super) fn note_snapshot(&self, path: &Path) {
        if self.append_only.mode() == Mode::Off {
            return;
        }
        if let Ok(Whose::Ours) = self.guard.check(path, &*self.files)
            && let Ok(Some(identity)) = self.files.identity(path)
            && let Err(error) = self.append_only.note(path, &identity)
        {
            tracing::warn!(
                "{} is not noted as this server's, so that it is kept at its next start: {error}",
                path.display()
            );
        }
    }

    /// A single file, as Redis had it before version 7, becomes the base.
    fn upgrade(&self, folder: &Folder) -> Result<(), String> {
        let old = Path::new(folder.name());
        let told = |error: &dyn std::fmt::Display| error.to_string();
        if self.files.identity(old).map_err(|error| told(&error))?.is_none() {
            return Ok(());
        }
        let mut held = self.append_only.held();
        let named_only = held.manifest.increments.is_empty()
            && held.manifest.base.as_ref().is_some_and(|base| base.name == folder.name())
            && folder.length(folder.name()).map_err(|error| told(&error))?.is_none();
        if !held.manifest.is_empty() && !named_only {
            return Ok(());
        }
        held.manifest.adopt_base(folder.name());
        folder.store(&held.manifest).map_err(|error| told(&error))?;
        let moved = folder.rename(old, &folder.at(folder.name())).and_then(|()| folder.sync());
        moved.map_err(|error| {
            format!("Error trying to move the old AOF file {} into the folder: {error}", folder.name())
        })?;
        tracing::info!(
            "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
            folder.name(),
            self.config.current().appenddirname
        );
        Ok(())
    }

    /// The first base holds what there is: what a snapshot held, or nothing.
    fn begin_log(&self, folder: &Folder) -> Result<(), String> {
        let rdb = self.config.current().aof_use_rdb_preamble;
        let mut held = self.append_only.held();
        let name = held.manifest.add_base(folder.name(), rdb);
        let path = folder.at(&name);
        let base = folder.create(&path).map_err(|error| error.to_string())?;
        let capture = self.store.begin_capture();
        let (clock, libraries) = (self.clock.clone(), self.libraries());
        let progress = Progress::new(Box::new(move || clock.stamp() / 1_000_000));
        let written = self.write_base(rdb, &*base, &path, &capture, libraries, &progress);
        capture.finish(written.is_ok());
        let written = written.map_err(|error| error.to_string())?;
        base.sync().map_err(|error| format!("could not sync {}: {error}", path.display()))?;
        let rewrites = &self.append_only.rewrites;
        rewrites.size_before.store(written.bytes, Ordering::Relaxed);
        rewrites.size_then.store(written.bytes, Ordering::Relaxed);
        tracing::info!("Creating AOF base file {name} on server start");
        Ok(())
    }

    /// Loads all files that the manifest names.
    fn load_log(&self, whole: bool) -> Result<Loaded, String> {
        let manifest = self.append_only.held().manifest.clone();
        self.load_all(&self.append_only.folder(), &manifest, Way { whole, only_read: false })
    }

    /// Repeats a log that is not this server's own. Its files stay as they are.
    pub(super) fn read_log(&self, folder: &Folder, manifest: &Manifest) -> Result<(), String> {
        self.load_all(folder, manifest, Way { whole: false, only_read: true }).map(drop)
    }

    fn load_all(&self, folder: &Folder, manifest: &Manifest, way: Way) -> Result<Loaded, String> {
        let files: Vec<FileInfo> = manifest.live().cloned().collect();
        let mut sizes = Vec::new();
        for file in &files {
            match folder.length(&file.name).map_err(|error| error.to_string())? {
                Some(size) => sizes.push(size),
                None => {
                    return Err(format!(
                        "Unable to obtain the AOF file {} length. stat: No such file or directory. The manifest {} \
                         names it: put it back, or restore the folder from a copy",
                        file.name,
                        folder.manifest_path().display()
                    ));
                }
            }
        }
        let total: u64 = sizes.iter().sum();
        let clock = self.clock.clone();
        let progress = Arc::new(Progress::new(Box::new(move || clock.stamp() / 1_000_000)));
        progress.expect_bytes(total);
        self.load_begins(&progress);
        let result = self.load_files(folder, &files, &sizes, way, &progress);
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let last = result?;
        let base_bytes = if manifest.base.is_some() { sizes.first().copied().unwrap_or(0) } else { 0 };
        let open_bytes = if manifest.increments.is_empty() { 0 } else { sizes.last().copied().unwrap_or(0) };
        let last = last.filter(|_| !manifest.increments.is_empty());
        Ok(Loaded { last, base_bytes, closed_bytes: total - open_bytes })
    }

    fn load_files(
        &self,
        folder: &Folder,
        files: &[FileInfo],
        sizes: &[u64],
        way: Way,
        progress: &Progress,
    ) -> Result<Option<Place>, String> {
        let mut last = None;
        for (index, file) in files.iter().enumerate() {
            let began = self.clock.stamp();
            // A power cut may leave the next one empty that was named for a rewrite.
            let is_last = sizes.iter().skip(index + 1).all(|size| *size == 0);
            last = Some(self.load_file(folder, file, is_last, way, progress)?);
            let seconds = self.clock.stamp().saturating_sub(began) as f64 / 1e9;
            let kind = if file.kind == FileType::Base { "base" } else { "incr" };
            tracing::info!("DB loaded from {kind} file {}: {seconds:.3} seconds", file.name);
        }
        Ok(last)
    }

    fn load_file(
        &self,
        folder: &Folder,
        file: &FileInfo,
        is_last: bool,
        way: Way,
        progress: &Progress,
    ) -> Result<Place, String> {
        let (name, path) = (&file.name, folder.at(&file.name));
        let handle = self.files.open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("The append log file {name} doesn't exist: {error}"),
            _ => format!("Fatal error: can't open the append log file {name} for reading: {error}"),
        })?;
        let from = self.load_preamble(folder, name, &*handle, progress)?;
        let Some(engine) = self.append_only.engine.get() else {
            return Err("the engine is not there yet".to_owned());
        };
        let mut replayer = Replayer::new(Arc::clone(engine), way.whole);
        let mut reader = Reader::new(&*handle, from, crc32fast::Hasher::new());
        let ended = self.repeat(&mut reader, &mut replayer, name, progress)?;
        let (place, why) = match ended {
            Ended::Whole(place) => return Ok(place),
            Ended::Short(place, _) if way.only_read => {
                return Err(format!(
                    "{name} ends within a command or a transaction, after {} whole bytes",
                    place.0
                ));
            }
            Ended::Short(place, why) => (place, why),
        };
        if let Some(why) = why {
            tracing::warn!("{why} in AOF file {name}");
        }
        drop(handle);
        self.cut_short(&path, name, place.0, is_last)?;
        Ok(place)
    }

    /// What a base in Redis's own format holds. Gives where the commands begin.
    fn load_preamble(
        &self,
        folder: &Folder,
        name: &str,
        handle: &dyn Handle,
        progress: &Progress,
    ) -> Result<u64, String> {
        let mut magic = [0; MAGIC.len()];
        match handle.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) => return Ok(0),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => {
                return Err(format!("Unrecoverable error reading the append only file {name}: {error}"));
            }
        }
        let old_style = name == folder.name();
        let what =
            if old_style { "RDB preamble from AOF file..." } else { "RDB base file on AOF loading..." };
        tracing::info!("Reading {what}");
        let how = How { replace: false, keep_expired: true };
        let contents = self.load_rdb(&mut HandleReader::new(handle, 0), how, progress).map_err(|error| {
            let what = if old_style { "preamble of the AOF" } else { "base" };
            format!("Error reading the RDB {what} file {name}, AOF loading aborted: {error}")
        })?;
        if old_style {
            tracing::info!("Reading the remaining AOF tail...");
        }
        Ok(contents.bytes)
    }

    fn repeat(
        &self,
        reader: &mut Reader<'_>,
        replayer: &mut Replayer,
        name: &str,
        progress: &Progress,
    ) -> Result<Ended, String> {
        let mut before_multi = (reader.offset(), reader.checksum());
        let (mut spans, mut count) = (Vec::new(), 0u64);
        loop {
            let place = (reader.offset(), reader.checksum());
            match reader.read_next() {
                Ok(Read::End) if replayer.in_multi() => {
                    replayer.abandon();
                    return Ok(Ended::Short(before_multi, Some("Revert incomplete MULTI/EXEC transaction")));
                }
                Ok(Read::End) => return Ok(Ended::Whole(place)),
                Ok(Read::Command) => {}
                Ok(_) => continue,
                Err(Fault { problem: Problem::Truncated, .. }) => {
                    // Redis takes a transaction back whose end is missing, too.
                    let place = if replayer.in_multi() { before_multi } else { place };
                    replayer.abandon();
                    return Ok(Ended::Short(place, None));
                }
                Err(fault) => return Err(refused(name, &fault)),
            }
            let was_in_multi = replayer.in_multi();
            spans_of(reader, &mut spans);
            let (words, _) = reader.words();
            replayer.apply(words, &spans).map_err(|error| {
                let command = reader.word(0).escape_ascii();
                match error {
                    ReplayError::Unknown => format!(
                        "Unknown command '{command}' reading the append only file {name}, at offset {}",
                        place.0
                    ),
                    ReplayError::Arguments => format!(
                        "Bad file format reading the append only file {name}: '{command}' at offset {} cannot have so \
                         many arguments",
                        place.0
                    ),
                }
            })?;
            if !was_in_multi && replayer.in_multi() {
                before_multi = place.clone();
            }
            progress.add_bytes(reader.offset() - place.0);
            self.pause(progress);
            count += 1;
            if count.is_multiple_of(LOOK_EVERY) && progress.is_cancelled() {
                return Err("the load was cancelled".to_owned());
            }
        }
    }

    /// A file that ends within a command: what is whole of it counts, if the settings say so.
    fn cut_short(&self, path: &Path, name: &str, end: u64, is_last: bool) -> Result<(), String> {
        if !self.config.current().aof_load_truncated {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF \
                 file, then use glasswing check --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        tracing::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        if !is_last {
            return Err(format!("Fatal error: the truncated file is not the last file: {name}"));
        }
        tracing::warn!("!!! Truncating the AOF {name} at offset {end} !!!");
        let cut = self.files.open_writable(path).and_then(|handle| {
            handle.truncate(end)?;
            handle.sync()
        });
        cut.map_err(|error| format!("Error truncating the AOF file {name}: {error}"))?;
        tracing::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        Ok(())
    }

    /// DEBUG LOADAOF: empties the keyspace and repeats what the log says. Runs on a thread of its own.
    pub(super) fn reload_log(&self) -> Result<(), String> {
        let append_only = &self.append_only;
        let _whole = self.world.whole_blocking();
        // A rewrite may end meanwhile, and what is loaded here is its past.
        let _files = append_only.keep_files();
        let mode = append_only.mode();
        if mode == Mode::Off {
            append_only.claim(Duration::ZERO)?;
            append_only.held().manifest = append_only.folder().load().map_err(|error| error.to_string())?;
        } else {
            append_only.collect(false);
            append_only.log.write_all().map_err(|error| format!("the log cannot be written: {error}"))?;
        }
        // What is loaded has happened before: replicas do not hear of it, as in Redis.
        let followed = self.status.logging.has(Keeper::Stream);
        self.status.logging.set(Keeper::Stream, false);
        let mut view = self.store.view_whole(Moment::at(self.clock.unix_ms()), 0);
        for number in 0..self.store.databases() {
            view.flush(number, true);
        }
        drop(view);
        self.scripts.flush_libraries();
        // Whoever is answered in the middle of it, while a script in the log takes long, hears that it is loading.
        self.status.loading.store(true, Ordering::SeqCst);
        let loaded = self.load_log(true);
        self.status.loading.store(false, Ordering::SeqCst);
        self.status.logging.set(Keeper::Stream, followed);
        if mode != Mode::Off {
            append_only.collect(true);
        }
        self.stats.no_unsaved_changes();
        loaded.map(drop)
    }
}

/// How the commands of a file ended.
enum Ended {
    /// With the file.
    Whole(Place),
    /// Before it; so far it is whole.
    Short(Place, Option<&'static str>),
}

fn refused(name: &str, fault: &Fault) -> String {
    match fault.problem {
        Problem::Io(_) => format!("Unrecoverable error reading the append only file {name}: {fault}"),
        _ => format!(
            "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
             glasswing check --fix <filename.manifest>: {fault}"
        ),
    }
}

fn spans_of(reader: &Reader<'_>, spans: &mut Vec<Span>) {
    let (_, ends) = reader.words();
    spans.clear();
    let mut start = 0;
    for &end in ends {
        spans.push(Span { start, len: end - start });
        start = end;
    }
}
