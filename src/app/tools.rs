//! `glasswing check` and `glasswing convert`: files without a server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::config::{CheckArgs, ConvertArgs};
use crate::data::ValueLimits;
use crate::persist::files::{Files as _, RealFiles};
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{self as rdb, Found, HandleReader, Item, ReadError, WriteOptions};
use crate::persist::records::{LibraryCapture, Record, Taken, WalkerCapture};
use crate::persist::snapshot::{self, Capture, Kind, SavePlan};
use crate::store::{Arrival, Moment, Placed, Store, StoreOptions, idle_since};

use super::log_check;
use super::saving::is_rdb;

/// What `convert` says of a file that it cannot read. The server itself reads a log.
const NEITHER: &str = "it is neither a snapshot nor an RDB file. To convert an append-only file, start the server with \
                       it and save";
/// More databases than anybody has.
const DATABASES: usize = 16_384;
/// Shards of a store that one thread fills.
const SHARDS: usize = 256;

fn progress() -> Progress {
    let clock = Clock::system();
    Progress::new(Box::new(move || clock.stamp() / 1_000_000))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a file holds, counted.
#[derive(Debug, Default)]
struct Census {
    /// Keys, and how many of them expire, by database.
    databases: BTreeMap<u64, (u64, u64)>,
    kinds: BTreeMap<&'static str, u64>,
}

impl Census {
    fn count(&mut self, database: u64, kind: &'static str, expires: bool) {
        let (keys, expiring) = self.databases.entry(database).or_default();
        *keys += 1;
        *expiring += u64::from(expires);
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (database, (keys, expiring)) in &self.databases {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  db{database}: keys={keys},expires={expiring}");
        }
        for (kind, count) in &self.kinds {
            let _ = writeln!(text, "  {kind}: {count}");
        }
        text
    }
}

/// Examines files: what is in them, or what is wrong with at least one.
pub(super) fn check(args: &CheckArgs) -> Result<String, String> {
    let (mut text, mut failed) = (String::new(), false);
    for path in &args.files {
        let outcome = if log_check::is_log(path) {
            let base =
                |path: &Path| read_rdb(path, threads(), &mut |_| {}, &|_| Ok(())).map(|base| base.bytes);
            log_check::examine(path, args.fix, &base)
        } else {
            match examine(path) {
                Err(why) if args.fix => fix(path, &why),
                other => other,
            }
        };
        failed |= outcome.is_err();
        text += &outcome.unwrap_or_else(|why| match why.ends_with('\n') {
            // It is about several files, and names them.
            true => why,
            false => format!("{}: {why}\n", path.display()),
        });
    }
    if failed { Err(text) } else { Ok(text) }
}

fn examine(path: &Path) -> Result<String, String> {
    match snapshot::peek(path, &RealFiles).map_err(|error| error.to_string())? {
        Kind::Missing => Err("there is no such file".to_owned()),
        Kind::Redis => examine_rdb(path),
        Kind::Native(header) => examine_snapshot(path, &header),
        Kind::Unknown => Err("it is neither a snapshot nor an RDB file nor an append-only file".to_owned()),
    }
}

fn examine_snapshot(path: &Path, header: &snapshot::Header) -> Result<String, String> {
    let census = Mutex::new(Census::default());
    let count = |number: u32, record: Record| {
        let mut census = locked(&census);
        match record.kind() {
            "library" => *census.kinds.entry("library").or_default() += 1,
            kind => census.count(number.into(), kind, record.expires()),
        }
        Ok(())
    };
    let loaded = snapshot::load(path, &RealFiles, threads(), &progress(), count);
    let loaded = loaded.map_err(|error| error.to_string())?;
    Ok(format!(
        "{}: a whole snapshot, {} bytes, written by Glasswing {}\n{}",
        path.display(),
        loaded.bytes,
        header.server_version,
        locked(&census).text()
    ))
}

fn examine_rdb(path: &Path) -> Result<String, String> {
    let census = Mutex::new(Census::default());
    let count = |item: Item| {
        locked(&census).count(item.database, item.value.kind(), item.expire_at_ms.is_some());
        Ok(())
    };
    let contents = read_rdb(path, threads(), &mut |_| {}, &count).map_err(|error| error.to_string())?;
    let length = std::fs::metadata(path).map_or(contents.bytes, |meta| meta.len());
    let mut text = format!(
        "{}: a whole RDB file of version {}, {} bytes, {}\n",
        path.display(),
        contents.version,
        contents.bytes,
        if contents.has_checksum { "the checksum is right" } else { "without a checksum" }
    );
    for (name, value) in &contents.aux {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {}: {}", name.escape_ascii(), value.escape_ascii());
    }
    text += &locked(&census).text();
    let more = [
        (contents.libraries.len() as u64, "libraries of functions"),
        (contents.empty, "keys of collections without elements, which are left out"),
        (length.saturating_sub(contents.bytes), "bytes follow it"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        let _ = writeln!(text, "  {count} {what}");
    }
    Ok(text)
}

fn read_rdb(
    path: &Path,
    threads: usize,
    found: &mut dyn FnMut(Found<'_>),
    insert: &(dyn Fn(Item) -> Result<(), ReadError> + Sync),
) -> Result<rdb::Contents, String> {
    let handle = RealFiles.open(path).map_err(|error| error.to_string())?;
    let options = rdb::Options { threads, limits: ValueLimits::default(), checksum: true };
    let size = handle.identity().map_or(0, |identity| identity.size_bytes);
    let progress = progress();
    progress.expect_bytes(size);
    let mut source = HandleReader::new(&*handle, 0);
    rdb::read(&mut source, &options, &progress, found, insert).map_err(|error| error.to_string())
}

/// The keys and libraries of a file, outside of any server.
struct Loaded {
    store: Arc<Store>,
    libraries: Vec<Vec<u8>>,
}

impl Loaded {
    fn new() -> Loaded {
        let options = StoreOptions { databases: DATABASES, shards: SHARDS };
        Loaded { store: Arc::new(Store::new(&options)), libraries: Vec::new() }
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

    fn rdb(&mut self, path: &Path, threads: usize) -> Result<(), String> {
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

    /// Writes all to a file. Keys and bytes.
    fn save(self, path: &Path, as_rdb: bool, guard: Guard) -> Result<(u64, u64), String> {
        let (guard, now_ms) = (Arc::new(guard), Clock::system().unix_ms());
        let capture = self.store.begin_capture();
        let expected_keys = capture.expected_keys();
        if as_rdb {
            let plan = rdb::Plan {
                path: path.to_path_buf(),
                walkers: (0..threads()).map(|_| capture.walker()).collect(),
                options: WriteOptions {
                    compress: true,
                    checksum: true,
                    redis_version: crate::config::REDIS_VERSION.to_owned(),
                    created_unix_s: now_ms / 1_000,
                    libraries: self.libraries,
                    ..WriteOptions::default()
                },
                expected_keys,
                guard,
            };
            let saved = rdb::save(plan, &RealFiles, &progress()).map_err(|error| error.to_string())?;
            return Ok((saved.keys, saved.bytes));
        }
        let count = self.libraries.len() as u64;
        let mut captures: Vec<Box<dyn Capture>> = vec![Box::new(LibraryCapture(self.libraries))];
        for _ in 0..threads() {
            captures.push(Box::new(WalkerCapture(capture.walker())));
        }
        let plan = SavePlan {
            path: path.to_path_buf(),
            captures,
            created_unix_ms: now_ms,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            expected_keys,
            bytes_per_second_limit: None,
            guard,
        };
        let saved = snapshot::save(plan, &RealFiles, &progress()).map_err(|error| error.to_string())?;
        Ok((saved.keys - count, saved.bytes))
    }
}

/// Writes a file anew in the format that the other name's ending says.
pub(super) fn convert(args: &ConvertArgs) -> Result<String, String> {
    let failed = |why: String| format!("{}: {why}\n", args.from.display());
    let refused = |why: &str| Err(format!("{}: {why}\n", args.to.display()));
    if args.to.extension().is_some_and(|extension| extension == "aof" || extension == "manifest") {
        return refused(
            "an append-only file is not written here. Convert to a snapshot or an RDB file, start the server with \
             that, and CONFIG SET appendonly yes",
        );
    }
    if args.to.symlink_metadata().is_ok() {
        return refused("there is a file of that name already, which is left as it is. Choose another name");
    }
    if log_check::is_log(&args.from) {
        return Err(failed(
            "an append-only file is not converted. Start the server on it (--appendonly yes), and SAVE: dbfilename \
             decides what is written"
                .to_owned(),
        ));
    }
    let mut loaded = Loaded::new();
    match snapshot::peek(&args.from, &RealFiles).map_err(|error| failed(error.to_string()))? {
        Kind::Redis => loaded.rdb(&args.from, threads()).map_err(failed)?,
        Kind::Native(_) => loaded.snapshot(&args.from).map_err(failed)?,
        Kind::Missing => return Err(failed("there is no such file".to_owned())),
        Kind::Unknown => {
            return Err(failed(NEITHER.to_owned()));
        }
    }
    let saved = loaded.save(&args.to, is_rdb(&args.to), Guard::new());
    let (keys, bytes) = saved.map_err(|why| format!("{}: {why}\n", args.to.display()))?;
    Ok(format!("{}: {keys} keys, {bytes} bytes\n", args.to.display()))
}

/// Copies a damaged file, whose fault is `why`, before it is mended. Gives the copy's name.
pub(super) fn keep_damaged(path: &Path, why: &str) -> Result<PathBuf, String> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".damaged");
    let kept = PathBuf::from(name);
    if kept.exists() {
        return Err(format!("{why}. {} is there already: move it away", kept.display()));
    }
    std::fs::copy(path, &kept).map_err(|error| format!("{why}. It could not be copied: {error}"))?;
    Ok(kept)
}

/// Puts what stands before the damage in the place of a damaged RDB file, which stays under another name.
fn fix(path: &Path, why: &str) -> Result<String, String> {
    if !matches!(snapshot::peek(path, &RealFiles), Ok(Kind::Redis)) {
        return Err(format!("{why}. Only RDB files can be mended"));
    }
    let mut loaded = Loaded::new();
    // One thread takes the keys in their order: all before the damage are there.
    let _ = loaded.rdb(path, 1);
    let kept = keep_damaged(path, why)?;
    let guard = Guard::new();
    if let Ok(Some(identity)) = RealFiles.identity(path) {
        guard.remember(path, identity);
    }
    let saved = loaded.save(path, true, guard);
    let (keys, bytes) = saved.map_err(|error| format!("{why}. {error}"))?;
    Ok(format!(
        "{}: {why}. The {keys} keys before the damage are in its place now ({bytes} bytes); the damaged file is {}\n",
        path.display(),
        kept.display()
    ))
}
