//! `glasswing convert`: what a snapshot, an RDB file or an append-only file holds, written anew as another of them.
//!
//! A log is repeated by a server that nobody is connected to, since only its commands know what they do. Whatever is
//! written gets its name when it is whole and on the disk, and no name that something has already.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::config::{ConvertArgs, Settings};
use crate::persist::aof::{Folder, Manifest, commands};
use crate::persist::files::{Files as _, RealFiles, folder_of};
use crate::persist::ownership::Guard;
use crate::persist::rdb::file::{self as rdb, FileSink, Found, Item, ReadError, WriteOptions};
use crate::persist::records::{LibraryCapture, Record, Taken, WalkerCapture};
use crate::persist::replace::Replacement;
use crate::persist::snapshot::{self, Capture, Kind, SaveError, SavePlan};
use crate::store::{Arrival, Capture as Keys, Moment, Placed, Store, StoreOptions, idle_since};

use super::building::{alone, random_id};
use super::log_check::{self, LogAt};
use super::saving::is_rdb;
use super::tools::{locked, progress, read_rdb, threads};

/// What it says of a file that it cannot read.
const NEITHER: &str = "it is neither a snapshot nor an RDB file nor an append-only file";
/// More databases than anybody has.
const DATABASES: usize = 16_384;
/// Shards of a store that one thread fills.
const SHARDS: usize = 256;

/// What is to be made, as its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Our own format.
    Snapshot,
    /// A name that ends in `.rdb`.
    Rdb,
    /// A name that ends in `.aof`: one file of commands, as Redis before 7 kept it.
    Commands,
    /// A name that ends in `/` or is Redis's own, or a manifest within it: an append-only folder, and what its files
    /// are called.
    Folder(PathBuf, String),
}

impl Target {
    fn of(path: &Path) -> Target {
        let defaults = Settings::default();
        let name = path.file_name().unwrap_or_default();
        let ends_as_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if ends_as_folder || name == defaults.appenddirname.as_str() {
            return Target::Folder(path.components().collect(), defaults.appendfilename.clone());
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if is_rdb(path) => Target::Rdb,
            Some("aof") => Target::Commands,
            Some("manifest") => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Target::Folder(folder_of(path).to_path_buf(), stem)
            }
            _ => Target::Snapshot,
        }
    }
}

/// The keys and libraries of a file, outside of any server.
pub(super) struct Loaded {
    store: Arc<Store>,
    libraries: Vec<Vec<u8>>,
}

/// How much was written.
pub(super) struct Saved {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

impl Loaded {
    pub(super) fn new() -> Loaded {
        let options = StoreOptions { databases: DATABASES, shards: SHARDS };
        Loaded { store: Arc::new(Store::new(&options)), libraries: Vec::new() }
    }

    /// Whether neither a key nor a library was found.
    pub(super) fn is_empty(&self) -> bool {
        self.libraries.is_empty() && (0..DATABASES).all(|number| self.store.counts(number).keys == 0)
    }

    /// Puts a key in, expired or not.
    fn put(&self, item: Item, now_ms: u64) -> Result<(), ReadError> {
        let number = usize::try_from(item.database).ok().filter(|&number| number < DATABASES);
        let number = number.ok_or_else(|| ReadError::refused(format!("database {}", item.database)))?;
        let usage_bits = item.idle_s.map(|seconds| idle_since(seconds, now_ms));
        let arrival =
            Arrival { expire_at_ms: item.expire_at_ms, usage_bits, replace: false, keep_expired: true };
        match self.store.place_key(Moment::at(now_ms), number, &item.key, item.value, arrival) {
            Placed::Taken => {
                Err(ReadError::refused(format!("the key '{}' comes twice", item.key.escape_ascii())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn rdb(&mut self, path: &Path, threads: usize) -> Result<(), String> {
        let now_ms = Clock::system().unix_ms();
        let mut libraries = Vec::new();
        let mut found = |found: Found<'_>| {
            if let Found::Library(code) = found {
                libraries.push(code.to_vec());
            }
        };
        let read = read_rdb(path, threads, &mut found, &|item| self.put(item, now_ms));
        self.libraries = libraries;
        read.map(drop)
    }

    fn snapshot(&mut self, path: &Path) -> Result<(), String> {
        let libraries = Mutex::new(Vec::new());
        let insert = |number: u32, record: Record| {
            // At the time 0 nothing has expired.
            if let Taken::Library(code) = record.put(&self.store, Moment::at(0), number, false)? {
                locked(&libraries).push(code);
            }
            Ok(())
        };
        snapshot::load(path, &RealFiles, threads(), &progress(), insert)
            .map_err(|error| error.to_string())?;
        self.libraries = libraries.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    /// Repeats a log.
    fn log(log: &LogAt) -> Result<Loaded, String> {
        let settings = Settings {
            databases: u32::try_from(DATABASES).unwrap_or(u32::MAX),
            shards: SHARDS,
            workers: 1,
            ..Settings::default()
        };
        let (host, _engine) = alone(settings)?;
        host.read_log(&log.folder, &log.manifest)?;
        Ok(Loaded { store: Arc::clone(&host.store), libraries: host.libraries() })
    }

    fn options(&self, aof_base: bool) -> WriteOptions {
        WriteOptions {
            compress: true,
            checksum: true,
            redis_version: crate::config::REDIS_VERSION.to_owned(),
            created_unix_s: Clock::system().unix_ms() / 1_000,
            libraries: self.libraries.clone(),
            aof_base,
            ..WriteOptions::default()
        }
    }

    fn capture(&self) -> Arc<Keys> {
        self.store.begin_capture()
    }

    /// Writes all to a file in Redis's format.
    pub(super) fn save_rdb(self, path: &Path, guard: Guard, aof_base: bool) -> Result<Saved, String> {
        let capture = self.capture();
        let plan = rdb::Plan {
            path: path.to_path_buf(),
            walkers: (0..threads()).map(|_| capture.walker()).collect(),
            options: self.options(aof_base),
            expected_keys: capture.expected_keys(),
            guard: Arc::new(guard),
        };
        let saved = rdb::save(plan, &RealFiles, &progress()).map_err(|error| error.to_string())?;
        Ok(Saved { keys: saved.keys, bytes: saved.bytes })
    }

    fn save_snapshot(self, path: &Path) -> Result<Saved, String> {
        let capture = self.capture();
        let count = self.libraries.len() as u64;
        let mut captures: Vec<Box<dyn Capture>> = vec![Box::new(LibraryCapture(self.libraries))];
        for _ in 0..threads() {
            captures.push(Box::new(WalkerCapture(capture.walker())));
        }
        let plan = SavePlan {
            path: path.to_path_buf(),
            captures,
            created_unix_ms: Clock::system().unix_ms(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            expected_keys: capture.expected_keys(),
            bytes_per_second_limit: None,
            guard: Arc::new(Guard::new()),
        };
        let saved = snapshot::save(plan, &RealFiles, &progress()).map_err(|error| error.to_string())?;
        Ok(Saved { keys: saved.keys - count, bytes: saved.bytes })
    }

    fn save_commands(self, path: &Path) -> Result<Saved, SaveError> {
        let guard = Guard::new();
        let file = Replacement::create(&RealFiles, &guard, path, random_tag())?;
        let mut sink = FileSink::new(file.handle(), file.temporary());
        let (walker, options) = (self.capture().walker(), self.options(false));
        let written = commands::write(walker, &options, false, &mut sink, &progress())?;
        file.commit()?;
        Ok(Saved { keys: written.keys, bytes: written.bytes })
    }

    /// Makes the folder under a name of its own, and gives it the right one when all is in it.
    fn save_folder(self, path: &Path, name: &str) -> Result<Saved, String> {
        let mut staging = path.as_os_str().to_os_string();
        staging.push(format!(".{}-{:08x}.tmp", std::process::id(), random_tag()));
        let staging = PathBuf::from(staging);
        std::fs::create_dir(&staging)
            .map_err(|error| format!("could not create {}: {error}", staging.display()))?;
        let made = self.fill_folder(&staging, name).and_then(|saved| {
            refuse_taken(path)?;
            let told = |error: std::io::Error| error.to_string();
            RealFiles.rename(&staging, path).map_err(told)?;
            RealFiles.sync_folder(folder_of(path)).map_err(told)?;
            Ok(saved)
        });
        made.inspect_err(|_| {
            // Nothing in it is needed; a name of its own tells whoever finds it.
            let _ = std::fs::remove_dir_all(&staging);
        })
    }

    fn fill_folder(self, staging: &Path, name: &str) -> Result<Saved, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let folder = Folder::new(Arc::new(RealFiles), staging.to_path_buf(), name.to_owned());
        let mut manifest = Manifest::default();
        let base = folder.at(&manifest.add_base(name, true));
        let saved = self.save_rdb(&base, Guard::new(), true)?;
        let increment = folder.at(&manifest.add_increment(name));
        folder.create(&increment).map_err(|error| told(&error))?.sync().map_err(|error| told(&error))?;
        folder.store(&manifest).map_err(|error| told(&error))?;
        Ok(saved)
    }
}

/// Unlikely to be any other process's.
fn random_tag() -> u32 {
    u32::from_str_radix(&random_id()[..8], 16).unwrap_or_default()
}

fn refuse_taken(path: &Path) -> Result<(), String> {
    match path.symlink_metadata() {
        Ok(found) => {
            let what = if found.is_dir() { "folder" } else { "file" };
            Err(format!(
                "there is a {what} of that name already, which is left as it is. Choose another name, or move it away"
            ))
        }
        Err(_) => Ok(()),
    }
}

/// Writes a file anew in the format that the other name says.
pub(super) fn convert(args: &ConvertArgs) -> Result<String, String> {
    let of = |path: &Path, why: String| format!("{}: {why}\n", path.display());
    let target = Target::of(&args.to);
    let made = match &target {
        Target::Folder(folder, _) => folder,
        _ => &args.to,
    };
    refuse_taken(made).map_err(|why| of(made, why))?;
    let loaded = load(&args.from).map_err(|why| of(&args.from, why))?;
    let told = |error: SaveError| error.to_string();
    let saved = match &target {
        Target::Snapshot => loaded.save_snapshot(&args.to),
        Target::Rdb => loaded.save_rdb(&args.to, Guard::new(), false),
        Target::Commands => loaded.save_commands(&args.to).map_err(told),
        Target::Folder(folder, name) => loaded.save_folder(folder, name),
    };
    let Saved { keys, bytes } = saved.map_err(|why| of(made, why))?;
    let next = match &target {
        Target::Snapshot | Target::Rdb => String::new(),
        Target::Commands => {
            "  one file of commands: a server that begins with it wants it in dir, under its appendfilename\n"
                .to_owned()
        }
        Target::Folder(folder, name) => format!(
            "  an append-only folder of Redis 7: a server wants it in dir, with appendonly yes, appenddirname {} and \
             appendfilename {name}\n",
            folder.file_name().unwrap_or_default().display()
        ),
    };
    Ok(format!("{}: {keys} keys, {bytes} bytes\n{next}", made.display()))
}

fn load(from: &Path) -> Result<Loaded, String> {
    if log_check::is_log(from) {
        let log = LogAt::find(from)?;
        return Loaded::log(&log).map_err(|why| {
            if log.is_written() {
                return format!(
                    "{why}. A running server writes it: end that server, or take an RDB file of it instead"
                );
            }
            format!("{why}. `glasswing check` says what is wrong with it, and `check --fix` what can be done")
        });
    }
    let mut loaded = Loaded::new();
    match snapshot::peek(from, &RealFiles).map_err(|error| error.to_string())? {
        Kind::Redis => loaded.rdb(from, threads())?,
        Kind::Native(_) => loaded.snapshot(from)?,
        Kind::Missing => return Err("there is no such file".to_owned()),
        Kind::Unknown => return Err(NEITHER.to_owned()),
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_is_made() {
        let folder = |path: &str, name: &str| Target::Folder(path.into(), name.to_owned());
        for (name, target) in [
            ("a.snapshot", Target::Snapshot),
            ("dump", Target::Snapshot),
            ("x/dump.rdb", Target::Rdb),
            ("x/commands.aof", Target::Commands),
            ("x/appendonlydir", folder("x/appendonlydir", "appendonly.aof")),
            ("appendonlydir/", folder("appendonlydir", "appendonly.aof")),
            ("x/log/", folder("x/log", "appendonly.aof")),
            ("x/log.rdb/", folder("x/log.rdb", "appendonly.aof")),
            ("x/log/mine.aof.manifest", folder("x/log", "mine.aof")),
        ] {
            assert_eq!(Target::of(Path::new(name)), target, "{name}");
        }
    }
}
