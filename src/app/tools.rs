//! `glasswing check`: files without a server, and what all tools for files share.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::acl::Acl;
use crate::clock::Clock;
use crate::config::{CheckArgs, Report, StartupError};
use crate::data::ValueLimits;
use crate::persist::files::{Files as _, RealFiles};
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{self as rdb, Found, HandleReader, Item, ReadError};
use crate::persist::records::Record;
use crate::persist::snapshot::{self, Kind};

use super::building::registry_of;
use super::convert::{Loaded, Saved};
use super::{log_check, users};

pub(super) fn progress() -> Progress {
    let clock = Clock::system();
    Progress::new(Box::new(move || clock.stamp() / 1_000_000))
}

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `glasswing --check-config`: what of a configuration file is honoured.
pub(super) fn check_config(file: &Path) -> Result<Report, StartupError> {
    let mut report = Report::of(file)?;
    let (registry, refused) = registry_of(report.renames());
    report.refuse(refused);
    // Channels make no rule wrong.
    let acl = Acl::new(registry.catalog(), false);
    let refused = users::enter(&acl, report.declared_users());
    report.refuse(refused);
    Ok(report)
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

pub(super) fn read_rdb(
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
    if loaded.is_empty() {
        return Err(format!("{why}. Nothing stands before that, and the file is left as it is"));
    }
    let kept = keep_damaged(path, why)?;
    let guard = Guard::new();
    if let Ok(Some(identity)) = RealFiles.identity(path) {
        guard.remember(path, identity);
    }
    let saved = loaded.save_rdb(path, guard, false);
    let Saved { keys, bytes } = saved.map_err(|error| format!("{why}. {error}"))?;
    Ok(format!(
        "{}: {why}. The {keys} keys before the damage are in its place now ({bytes} bytes); the damaged file is {}\n",
        path.display(),
        kept.display()
    ))
}
