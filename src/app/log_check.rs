//! `glasswing check` for the append-only file: one file of it, or all that a manifest names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::persist::aof::reader::{Problem, Read, Reader};
use crate::persist::aof::{FileInfo, Folder, Manifest};
use crate::persist::files::{Files as _, Handle, RealFiles, folder_of};
use crate::persist::rdb::file::MAGIC;

use super::tools::keep_damaged;

/// What a file of the log is, as far as it is whole.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes of a base in Redis's own format before the commands.
    preamble: u64,
    /// Up to here all commands and transactions are whole.
    whole: u64,
    commands: u64,
    checksums: u64,
    /// Bytes and commands up to the last checksum, which was right.
    verified: (u64, u64),
    /// A checksum behind them is wrong.
    is_changed: bool,
    times: Option<(u64, u64)>,
    /// What is wrong behind that.
    fault: Option<String>,
}

impl Seen {
    /// Lines of comment at most: any text may begin so.
    fn is_nothing(&self) -> bool {
        self.preamble == 0
            && self.commands == 0
            && self.checksums == 0
            && self.times.is_none()
            && !self.is_changed
    }
}

/// A log and where it lies.
pub(super) struct LogAt {
    pub(super) folder: Folder,
    pub(super) manifest: Manifest,
}

impl LogAt {
    /// The log of a folder, of a manifest, or of a single file as Redis before 7 kept it.
    pub(super) fn find(path: &Path) -> Result<LogAt, String> {
        if path.is_dir() {
            return LogAt::find(&manifest_in(path)?);
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("its name is not text")?;
        let (name, is_single) = match name.strip_suffix(".manifest") {
            Some(name) => (name, false),
            None => (name, true),
        };
        let folder = Folder::new(Arc::new(RealFiles), folder_of(path).to_path_buf(), name.to_owned());
        if !path.exists() {
            return Err("there is no such file".to_owned());
        }
        if !is_single {
            let manifest = folder.load().map_err(|error| error.to_string())?;
            return match manifest.is_empty() {
                true => Err("the manifest names no files".to_owned()),
                false => Ok(LogAt { folder, manifest }),
            };
        }
        if let Some(whole) = owner_of(path, name) {
            return Err(format!("it is a part of the log that {} names: name that", whole.display()));
        }
        let mut manifest = Manifest::default();
        manifest.adopt_base(name);
        Ok(LogAt { folder, manifest })
    }

    /// Whether a running server goes on with it.
    pub(super) fn is_written(&self) -> bool {
        let is_written = |file: &FileInfo| RealFiles.is_written(&self.folder.at(&file.name));
        self.manifest.live().any(|file| is_written(file).unwrap_or(false))
    }
}

/// The manifest that names this file, if one beside it does.
fn owner_of(path: &Path, name: &str) -> Option<PathBuf> {
    let names_it = |manifest: &PathBuf| {
        let manifest = std::fs::read(manifest).ok().and_then(|bytes| Manifest::parse(&bytes).ok());
        manifest.is_some_and(|manifest| manifest.live().any(|file| file.name == name))
    };
    manifests_in(folder_of(path)).ok()?.into_iter().find(names_it)
}

/// Whether this is a file of a log, a manifest, or a folder with one.
pub(super) fn is_log(path: &Path) -> bool {
    path.is_dir()
        || is_manifest(path)
        || path.extension().is_some_and(|extension| extension == "aof")
        || RealFiles.open(path).is_ok_and(|handle| {
            let mut first = [0];
            handle.read_exact_at(&mut first, 0).is_ok() && matches!(first, [b'*' | b'#'])
        })
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "manifest")
}

/// Where the log of a folder lies that a server has it in.
fn log_within(folder: &Path) -> Option<PathBuf> {
    let mut folders = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    folders.find(|path| path.is_dir() && manifests_in(path).is_ok_and(|found| !found.is_empty()))
}

fn manifests_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if is_manifest(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// The one manifest of a folder.
fn manifest_in(folder: &Path) -> Result<PathBuf, String> {
    match manifests_in(folder)?.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(match log_within(folder) {
            Some(within) => format!("the append-only file is in {}: name that", within.display()),
            None => "the folder holds no manifest of an append-only file".to_owned(),
        }),
        _ => Err("the folder holds several manifests: name one of them".to_owned()),
    }
}

/// Examines a file, or every file that a manifest names. `preamble` examines a base in Redis's own format, and says
/// how long it is. With `fix` the last file is cut where it stops to be whole; a copy stays.
pub(super) fn examine(
    path: &Path,
    fix: bool,
    preamble: &dyn Fn(&Path) -> Result<u64, String>,
) -> Result<String, String> {
    if path.is_dir() {
        return examine(&manifest_in(path)?, fix, preamble);
    }
    if !is_manifest(path) {
        return examine_file(path, fix, true, preamble);
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let manifest = Manifest::parse(&bytes).map_err(|error| error.to_string())?;
    let files: Vec<PathBuf> = manifest.live().map(|file| folder_of(path).join(&file.name)).collect();
    let mut text =
        format!("{}: a manifest of {} files\n", path.display(), files.len() + manifest.history.len());
    let mut failed = false;
    for (index, file) in files.iter().enumerate() {
        let is_empty = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|meta| meta.len() == 0);
        let is_last = files.iter().skip(index + 1).all(is_empty);
        match examine_file(file, fix && is_last, is_last, preamble) {
            Ok(said) => text += &said,
            Err(why) => {
                failed = true;
                text += &format!("{}: {why}\n", file.display());
            }
        }
    }
    if failed { Err(text) } else { Ok(text) }
}

fn examine_file(
    path: &Path,
    fix: bool,
    is_last: bool,
    preamble: &dyn Fn(&Path) -> Result<u64, String>,
) -> Result<String, String> {
    let handle = RealFiles.open(path).map_err(|error| error.to_string())?;
    let size = handle.identity().map_err(|error| error.to_string())?.size_bytes;
    let seen = look(path, &*handle, preamble)?;
    let times = seen
        .times
        .map_or_else(String::new, |(from, to)| format!(", from {from} to {to} (seconds since 1970)"));
    let base = if seen.preamble > 0 { format!("a base of {} bytes, ", seen.preamble) } else { String::new() };
    let content = format!("{base}{} commands, {} checksums{times}", seen.commands, seen.checksums);
    let Some(fault) = &seen.fault else {
        return Ok(format!("{}: a whole append-only file, {size} bytes: {content}\n", path.display()));
    };
    let why = format!("{fault}. The first {} of its {size} bytes are whole: {content}", seen.whole);
    if !fix {
        let advice = if is_last { "" } else { ". It is not the last file of its log: put back a good copy" };
        return Err(format!("{why}{advice}"));
    }
    if seen.is_nothing() {
        return Err(format!("{why}. Nothing in it is an append-only file's: it is left as it is"));
    }
    if seen.is_changed && seen.commands == 0 {
        return Err(format!(
            "{why}. No checksum before it vouches for a command: put back a good copy, or take out that line to load \
             all as it is"
        ));
    }
    if RealFiles.is_written(path).unwrap_or(false) {
        return Err(format!("{why}. A running server writes it: it is left as it is"));
    }
    let kept = keep_damaged(path, &why)?;
    let cut = RealFiles.open_writable(path).and_then(|handle| {
        handle.truncate(seen.whole)?;
        handle.sync()
    });
    cut.map_err(|error| format!("{why}. It could not be cut: {error}"))?;
    Ok(format!("{}: {why}. It ends there now; the damaged file is {}\n", path.display(), kept.display()))
}

fn look(
    path: &Path,
    handle: &dyn Handle,
    preamble: &dyn Fn(&Path) -> Result<u64, String>,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut magic = [0; MAGIC.len()];
    if handle.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC {
        seen.preamble = preamble(path)?;
        (seen.whole, seen.verified) = (seen.preamble, (seen.preamble, 0));
    }
    let mut reader = Reader::new(handle, seen.preamble, crc32fast::Hasher::new());
    let mut in_multi = false;
    loop {
        match reader.read_next() {
            Ok(Read::End) if in_multi => {
                seen.fault = Some(format!("the transaction at offset {} has no end", seen.whole));
                return Ok(seen);
            }
            Ok(Read::End) => return Ok(seen),
            Ok(Read::Command) => {
                seen.commands += 1;
                let word = reader.word(0);
                in_multi =
                    (in_multi || word.eq_ignore_ascii_case(b"multi")) && !word.eq_ignore_ascii_case(b"exec");
            }
            Ok(Read::Time(at)) => {
                seen.times = Some((seen.times.map_or(at, |(from, _)| from), at));
            }
            Ok(Read::Checksum) => {
                seen.checksums += 1;
                seen.verified = (reader.offset(), seen.commands);
            }
            Ok(Read::Annotation) => {}
            Err(fault) => {
                if matches!(fault.problem, Problem::Checksum) {
                    // One byte since the last of them is another: nobody knows which.
                    (seen.whole, seen.commands) = seen.verified;
                    seen.is_changed = true;
                }
                seen.fault = Some(fault.to_string());
                return Ok(seen);
            }
        }
        if !in_multi {
            seen.whole = reader.offset();
        }
    }
}
