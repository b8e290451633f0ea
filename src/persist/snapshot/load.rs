//! One load: prove the file complete, then decode its blocks on several threads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::de::DeserializeOwned;

use super::decode::Loader;
use super::error::{LoadError, panic_text};
use super::index::{Index, read_header, read_index};
use crate::persist::files::{Files, Handle, Identity};
use crate::persist::progress::Progress;

/// What a snapshot says about itself in its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The instant of the save, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The version of the server that wrote it.
    pub server_version: String,
    /// Keys in the file.
    pub keys: u64,
    /// The random number that tells this snapshot from all others.
    pub id: [u8; 16],
}

/// What kind of file has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A native snapshot with this header. Its blocks were not looked at.
    Native(Header),
    /// A file that begins with `REDIS`: an RDB.
    Redis,
    /// Anything else.
    Unknown,
    /// No file.
    Missing,
}

/// A snapshot that was loaded whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Keys that were given to the store.
    pub keys: u64,
    /// The file's length.
    pub bytes: u64,
    /// The instant of the save, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The version of the server that wrote it.
    pub server_version: String,
    /// The random number that tells this snapshot from all others.
    pub id: [u8; 16],
    /// The file, for [`Guard::remember`](crate::persist::ownership::Guard::remember).
    pub identity: Identity,
}

/// Says what kind of file has this name, from its first bytes.
///
/// # Errors
/// [`LoadError`] if it is a native snapshot with a damaged header or of an unknown
/// version, or cannot be read.
pub fn peek(path: &Path, files: &dyn Files) -> Result<Kind, LoadError> {
    let (file, identity) = match open(path, files) {
        Ok(open) => open,
        Err(LoadError::Missing { .. }) => return Ok(Kind::Missing),
        Err(e) => return Err(e),
    };
    match read_header(file.as_ref(), path, identity.size_bytes) {
        Ok(header) => Ok(Kind::Native(Header {
            created_unix_ms: header.created_unix_ms,
            server_version: header.server_version,
            keys: header.keys,
            id: header.id,
        })),
        Err(LoadError::RedisRdb { .. }) => Ok(Kind::Redis),
        Err(LoadError::NotASnapshot { .. }) => Ok(Kind::Unknown),
        Err(e) => Err(e),
    }
}

fn open(path: &Path, files: &dyn Files) -> Result<(Box<dyn Handle>, Identity), LoadError> {
    let file = files.open(path).map_err(|e| LoadError::io(path, 0, e))?;
    let identity = file.identity().map_err(|e| LoadError::io(path, 0, e))?;
    Ok((file, identity))
}

/// Reads a snapshot and gives every record to `insert`, with the number of its database,
/// from up to `threads` threads at once and in no order. The file is not touched.
///
/// `insert` says no with [`LoadError::refused`]. The file is proved complete before the
/// first record is given, but a block whose contents were altered is found when its turn
/// comes: after an error the store is to be thrown away.
///
/// # Errors
/// [`LoadError`], which names the file, the place and what to do.
pub fn load<D, F>(
    path: &Path,
    files: &dyn Files,
    threads: usize,
    progress: &Progress,
    insert: F,
) -> Result<Loaded, LoadError>
where
    D: DeserializeOwned,
    F: Fn(u32, D) -> Result<(), LoadError> + Sync,
{
    let (file, identity) = open(path, files)?;
    let index = read_index(file.as_ref(), path, identity.size_bytes)?;
    progress.begin(index.keys, index.file_len);
    let work = Work { next: AtomicUsize::new(0), error: Mutex::new(None) };
    let threads = threads.clamp(1, index.units.len().max(1));
    let counted = thread::scope(|scope| {
        let run = || {
            let (payload, keys) = (Vec::new(), BTreeMap::new());
            let loader = Loader { file: file.as_ref(), path, progress, insert: &insert, payload, keys };
            // A panic of `insert` is an error on whichever thread it comes.
            catch_unwind(AssertUnwindSafe(|| work.run(loader, &index))).unwrap_or_else(|panic| {
                work.fail(LoadError::Panicked(panic_text(panic.as_ref())));
                BTreeMap::new()
            })
        };
        // This thread works too, so a thread that cannot be started is no reason to fail.
        let started =
            (1..threads).map(|n| thread::Builder::new().name(format!("load-{n}")).spawn_scoped(scope, run));
        let helpers: Vec<_> = started.filter_map(Result::ok).collect();
        let mut counted = run();
        for part in helpers.into_iter().filter_map(|helper| helper.join().ok()) {
            part.into_iter().for_each(|(db, keys)| *counted.entry(db).or_default() += keys);
        }
        counted
    });
    work.outcome()?;
    if counted != index.databases {
        let what = format!("the databases hold {counted:?} keys, the trailer counts {:?}", index.databases);
        return Err(LoadError::damaged(path, index.trailer_offset, None, what));
    }
    progress.finish();
    Ok(Loaded {
        keys: index.keys,
        bytes: index.file_len,
        created_unix_ms: index.header.created_unix_ms,
        server_version: index.header.server_version,
        id: index.header.id,
        identity,
    })
}

/// What the loaders share: the next unit, and the error with the first place.
struct Work {
    next: AtomicUsize,
    error: Mutex<Option<LoadError>>,
}

impl Work {
    /// Loads units until there are no more. Keys per database.
    fn run<D, F>(&self, mut loader: Loader<'_, F>, index: &Index) -> BTreeMap<u32, u64>
    where
        D: DeserializeOwned,
        F: Fn(u32, D) -> Result<(), LoadError>,
    {
        while let Some(unit) = index.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let loaded =
                if loader.progress.is_cancelled() { Err(LoadError::Cancelled) } else { loader.unit(unit) };
            if let Err(e) = loaded {
                self.fail(e);
            }
        }
        loader.keys
    }

    fn fail(&self, error: LoadError) {
        // Nobody takes a further unit.
        self.next.store(usize::MAX / 2, Ordering::Relaxed);
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|known| error.offset() < known.offset()) {
            *first = Some(error);
        }
    }

    fn outcome(self) -> Result<(), LoadError> {
        self.error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
