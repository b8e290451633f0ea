//! What goes wrong with snapshots, in words that say where and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::format::FORMAT_VERSION;

/// Why a save did not happen. The file that was there before is as it was, but after a
/// failed sync of the folder (see [`Replacement`](crate::persist::replace::Replacement)).
#[derive(Debug)]
pub enum SaveError {
    /// The file system refused.
    Io {
        /// What was being done, as in `could not <doing> <path>`.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// The file there is not one that this server wrote or loaded.
    NotOurs {
        /// The file.
        path: PathBuf,
        /// This server knew a file of that name, which has changed since.
        changed: bool,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// A record could not be encoded.
    Encode(String),
    /// The store could not go on; its words.
    Capture(String),
    /// A saver thread panicked; its words.
    Panicked(String),
    /// More captures than streams that the format can name.
    TooManyCaptures(usize),
}

impl SaveError {
    /// An error of the file system, met while `doing` something to `path`.
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        SaveError::Io { doing, path: path.to_path_buf(), source }
    }

    /// The store's own reason why a capture cannot go on.
    pub fn capture(why: impl Into<String>) -> Self {
        SaveError::Capture(why.into())
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Io { doing, path, source } => {
                write!(f, "could not {doing} {}: {source}", path.display())
            }
            SaveError::NotOurs { path, changed } => {
                let path = path.display();
                if *changed {
                    write!(
                        f,
                        "{path} was changed or replaced by somebody else since this server last wrote or loaded it, "
                    )?;
                } else {
                    write!(f, "{path} is there already and was neither written nor loaded by this server, ")?;
                }
                write!(
                    f,
                    "so it is not replaced. Move it away, or choose another dbfilename or dir, and save again"
                )
            }
            SaveError::Cancelled => write!(f, "the save was cancelled"),
            SaveError::Encode(why) => write!(f, "a record could not be encoded: {why}"),
            SaveError::Capture(why) => write!(f, "the keys could not be read: {why}"),
            SaveError::Panicked(why) => write!(f, "a saver thread panicked: {why}"),
            SaveError::TooManyCaptures(n) => write!(f, "{n} captures are more than a snapshot can hold"),
        }
    }
}

impl std::error::Error for SaveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SaveError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a file was not loaded. The file is untouched.
#[derive(Debug)]
pub enum LoadError {
    /// There is no such file.
    Missing {
        /// The name that nothing has.
        path: PathBuf,
    },
    /// The file system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// The byte at which it was read.
        offset: u64,
        /// The answer.
        source: io::Error,
    },
    /// The bytes are not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte at which the damaged part begins.
        offset: u64,
        /// The number of the block, counted from 0 in the order of the file.
        block: Option<u64>,
        /// What does not fit.
        what: String,
    },
    /// A later version of Glasswing wrote it.
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version of the format in the file.
        version: u16,
    },
    /// It is a file of Redis's.
    RedisRdb {
        /// The file.
        path: PathBuf,
    },
    /// It is no snapshot at all.
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What it begins with, or that it is empty.
        what: String,
    },
    /// The store did not take a record; its words. Made by [`LoadError::refused`].
    Refused {
        /// The file; empty until [`load`](super::load()) has filled it in.
        path: PathBuf,
        /// The byte at which the record's block begins.
        offset: u64,
        /// The number of the block.
        block: u64,
        /// The store's words.
        what: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// A loader thread panicked; its words.
    Panicked(String),
}

impl LoadError {
    /// The store's reason for not taking a record. The place is filled in by the loader.
    pub fn refused(what: impl Into<String>) -> Self {
        LoadError::Refused { path: PathBuf::new(), offset: 0, block: 0, what: what.into() }
    }

    pub(super) fn placed(self, in_path: &Path, at: u64, number: u64) -> Self {
        match self {
            LoadError::Refused { what, .. } => {
                LoadError::Refused { path: in_path.to_path_buf(), offset: at, block: number, what }
            }
            other => other,
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64, block: Option<u64>, what: impl Into<String>) -> Self {
        LoadError::Damaged { path: path.to_path_buf(), offset, block, what: what.into() }
    }

    pub(super) fn io(path: &Path, offset: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => LoadError::Missing { path: path.to_path_buf() },
            io::ErrorKind::UnexpectedEof => {
                LoadError::damaged(path, offset, None, "the file ended while it was being read")
            }
            _ => LoadError::Io { path: path.to_path_buf(), offset, source },
        }
    }

    /// The byte of the file that the error is about; of several errors the first place is told.
    pub(super) fn offset(&self) -> u64 {
        match self {
            LoadError::Io { offset, .. }
            | LoadError::Damaged { offset, .. }
            | LoadError::Refused { offset, .. } => *offset,
            _ => u64::MAX,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEEP: &str =
            "The file was not touched. Put a good copy in its place, or move it away to start empty";
        match self {
            LoadError::Missing { path } => write!(f, "there is no file {}", path.display()),
            LoadError::Io { path, offset, source } => write!(
                f,
                "could not read {} at byte {offset}: {source}. Check the file's permissions and the disk",
                path.display()
            ),
            LoadError::Damaged { path, offset, block, what } => {
                write!(f, "the snapshot {} is damaged at byte {offset}", path.display())?;
                if let Some(block) = block {
                    write!(f, " (block {block})")?;
                }
                write!(f, ": {what}. {KEEP}")
            }
            LoadError::UnknownVersion { path, version } => write!(
                f,
                "the snapshot {} has format version {version} at byte 8, or a length or flags behind it, that this server \
                 does not know: it knows versions up to {FORMAT_VERSION}, without flags. The file was not touched. Start the \
                 version of Glasswing that wrote it, or a later one",
                path.display()
            ),
            LoadError::RedisRdb { path } => write!(
                f,
                "{} begins with REDIS at byte 0: it is an RDB file, not a snapshot. The file was not touched",
                path.display()
            ),
            LoadError::NotASnapshot { path, what } => {
                write!(f, "{} is not a Glasswing snapshot, nor an RDB file: {what}. {KEEP}", path.display())
            }
            LoadError::Refused { path, offset, block, what } => write!(
                f,
                "the snapshot {} holds a record that cannot be loaded, in block {block} at byte {offset}: {what}. {KEEP}",
                path.display()
            ),
            LoadError::Cancelled => write!(f, "loading was cancelled"),
            LoadError::Panicked(why) => write!(f, "a loader thread panicked: {why}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What a panicking thread said.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_string())
}
