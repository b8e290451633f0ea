//! The folder of the log: its manifest, and files that come and go.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{Manifest, ManifestError};
use crate::persist::files::{Files, Handle};

/// Read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Why something about the folder failed.
#[derive(Debug)]
pub enum FolderError {
    /// The file system refused.
    Io {
        /// What was tried, as in "open".
        action: &'static str,
        /// At what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The manifest is none.
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ManifestError,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Io { action, path, error } => {
                write!(f, "Can't {action} {}: {error}", path.display())
            }
            FolderError::Manifest { path, error } => {
                write!(f, "the AOF manifest file {} cannot be used, {error}", path.display())
            }
        }
    }
}

impl std::error::Error for FolderError {}

/// The folder, and the name that all its files begin with.
#[derive(Clone)]
pub struct Folder {
    files: Arc<dyn Files>,
    path: PathBuf,
    name: String,
}

impl Folder {
    /// The folder at `path` for logs called `name`.
    pub fn new(files: Arc<dyn Files>, path: PathBuf, name: String) -> Folder {
        Folder { files, path, name }
    }

    /// What all files' names begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file system.
    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Where a file of the folder lies.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the manifest lies.
    pub fn manifest_path(&self) -> PathBuf {
        self.at(&format!("{}.manifest", self.name))
    }

    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn prepare(&self) -> Result<(), FolderError> {
        let failed = |error| FolderError::Io {
            action: "open or create append-only dir",
            path: self.path.clone(),
            error,
        };
        self.files.create_folder(&self.path).map_err(failed)
    }

    /// Takes the log for this process, which alone may write it until the handle is dropped. Otherwise the file by
    /// which somebody else is seen to write it: the lock of another Glasswing, or what a Redis, which locks nothing, has
    /// open.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn claim(&self) -> Result<Result<Box<dyn Handle>, PathBuf>, FolderError> {
        let path = self.at(&format!("{}.lock", self.name));
        let Some(handle) = self.io("lock the append-only file", &path, self.files.hold(&path))? else {
            return Ok(Err(path));
        };
        // A manifest that is none is somebody else's to complain about.
        let increments = self.load().unwrap_or_default().increments;
        let last = increments.last().map(|file| self.at(&file.name));
        // Before version 7 a Redis has one file, beside the folder.
        let old = Some(PathBuf::from(&self.name));
        let written = |path: &PathBuf| self.files.is_written(path).unwrap_or(false);
        Ok(last.into_iter().chain(old).find(written).map_or(Ok(handle), Err))
    }

    fn io<T>(&self, action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FolderError> {
        result.map_err(|error| FolderError::Io { action, path: path.to_path_buf(), error })
    }

    /// The manifest; an empty one if there is none.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn load(&self) -> Result<Manifest, FolderError> {
        let path = self.manifest_path();
        let handle = match self.files.open(&path) {
            Ok(handle) => handle,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Manifest::default()),
            Err(error) => return self.io("open the AOF manifest file", &path, Err(error)),
        };
        let bytes = self.io("read the AOF manifest file", &path, read_all(&*handle))?;
        Manifest::parse(&bytes).map_err(|error| FolderError::Manifest { path, error })
    }

    /// Puts a manifest in the place of the one that is there, at once and for good.
    ///
    /// # Errors
    /// [`FolderError::Io`]; after a failed sync of the folder either of both may be there after a power cut.
    pub fn store(&self, manifest: &Manifest) -> Result<(), FolderError> {
        let temporary = self.at(&format!("temp-{}.manifest", self.name));
        let handle = self.create(&temporary)?;
        let text = manifest.format();
        self.io(
            "write the temporary AOF manifest file",
            &temporary,
            handle.write_all_at(text.as_bytes(), 0),
        )?;
        self.io("sync the temporary AOF manifest file", &temporary, handle.sync())?;
        self.rename(&temporary, &self.manifest_path())?;
        self.sync()
    }

    /// Makes an empty file in place of what has the name.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn create(&self, path: &Path) -> Result<Box<dyn Handle>, FolderError> {
        let created = match self.files.create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.files.remove(path).and_then(|()| self.files.create(path))
            }
            other => other,
        };
        self.io("open the append-only file", path, created)
    }

    /// Opens a file of the folder to go on writing it, or makes it. Gives its length.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn open_or_create(&self, name: &str) -> Result<(Box<dyn Handle>, u64), FolderError> {
        let path = self.at(name);
        let opened = match self.files.open_writable(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.files.create(&path),
            other => other,
        };
        let handle = self.io("open the append-only file", &path, opened)?;
        let identity = self.io("open the append-only file", &path, handle.identity())?;
        Ok((handle, identity.size_bytes))
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), FolderError> {
        self.io("rename the file", from, self.files.rename(from, to))
    }

    /// Makes the names in the folder lasting.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn sync(&self) -> Result<(), FolderError> {
        self.io("fsync AOF directory", &self.path, self.files.sync_folder(&self.path))
    }

    /// The length of a file of the folder; `None` if there is none.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn length(&self, name: &str) -> Result<Option<u64>, FolderError> {
        let path = self.at(name);
        let identity = self.io("look at the AOF file", &path, self.files.identity(&path))?;
        Ok(identity.map(|identity| identity.size_bytes))
    }

    /// Removes what the manifest names as history, and its lines. What cannot be removed keeps its line.
    ///
    /// # Errors
    /// [`FolderError::Io`] if the manifest cannot be written.
    pub fn remove_history(&self, manifest: &mut Manifest) -> Result<(), FolderError> {
        if manifest.history.is_empty() {
            return Ok(());
        }
        let mut left = manifest.clone();
        left.history.retain(|file| {
            tracing::info!("Removing the history file {} in the background", file.name);
            match self.files.remove(&self.at(&file.name)) {
                Err(error) => error.kind() != ErrorKind::NotFound,
                Ok(()) => false,
            }
        });
        self.store(&left)?;
        *manifest = left;
        Ok(())
    }

    /// Removes a file that is not needed; it is no matter if it stays.
    pub fn discard(&self, path: &Path) {
        // It will be written over, or removed, when its name is next used.
        let _ = self.files.remove(path);
    }
}

/// All of a file.
///
/// # Errors
/// Of reading it.
pub fn read_all(handle: &dyn Handle) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let old = bytes.len();
        bytes.resize(old + PIECE_BYTES, 0);
        let read = handle.read_at(&mut bytes[old..], old as u64)?;
        bytes.truncate(old + read);
        if read == 0 {
            return Ok(bytes);
        }
    }
}
