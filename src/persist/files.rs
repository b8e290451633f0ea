//! The one door to the file system.
//!
//! Every open, read, write, sync, rename, remove and folder sync of this room goes through
//! [`Files`], so that a test can stand between the server and the disk: [`faulty`] is a
//! disk in memory that fails where it is told to and forgets what was never synced.
//!
//! All reads and writes name their offset. There is no cursor, so a handle may be shared
//! between threads, and whoever appends keeps its own length.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

pub mod faulty;
mod holders;

/// Which file this is, and in which state: two equal identities mean that nobody replaced
/// or rewrote the file in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device that holds the file.
    pub device: u64,
    /// The file's number on that device.
    pub inode: u64,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Time of the last change to the contents, in nanoseconds since 1970.
    pub modified_ns: i128,
}

/// An open file. Dropping it closes it, and gives up the lock that [`Files::create`] took.
pub trait Handle: Send + Sync {
    /// Writes some of `bytes` at `offset` and says how many. May write fewer.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reads some bytes from `offset` on. 0 means the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Brings contents and length to the disk. After an error nothing that was written
    /// since the last success may be trusted: a second call can succeed without it.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// The file's identity now; its size is the length.
    fn identity(&self) -> io::Result<Identity>;

    /// Writes all of `bytes` at `offset`, over as many writes as it takes.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Fills `buffer` from `offset`. `UnexpectedEof` if the file ends before that.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buffer = buffer.get_mut(n..).unwrap_or_default();
                    offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The file system as this room needs it.
pub trait Files: Send + Sync {
    /// Makes a new file, empty and locked by this handle. `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Opens a file that exists, for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Opens a file that exists, for reading and writing, and locks it unless it is locked already.
    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// Takes a file as a lock, empty and made if it is not there, until the handle is dropped; `None` while somebody
    /// else has it. Where the file system knows no locks, everybody gets it.
    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Handle>>>;
    /// Gives a file another name in place of whatever had that name. Lasting only after
    /// [`sync_folder`](Files::sync_folder).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a file unless the process that [created](Files::create) it still holds it.
    /// Says whether it was removed.
    fn remove_abandoned(&self, path: &Path) -> io::Result<bool>;
    /// Whether a process writes this file: one that holds its lock, or one that this process may look at and that has
    /// it open for writing.
    fn is_written(&self, path: &Path) -> io::Result<bool>;
    /// Makes the names in a folder lasting.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a folder, unless it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;
    /// The identity of what has this name; `None` if nothing has.
    fn identity(&self, path: &Path) -> io::Result<Option<Identity>>;
}

/// The folder that holds `path`; a bare name lies in the current one.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl Handle for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn identity(&self) -> io::Result<Identity> {
        self.metadata().map(|m| identity_of(&m))
    }
}

impl Files for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        // The lock only tells another process that this file is alive. A file system
        // without locks is no reason not to save.
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(File::open(path)?))
    }

    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // Tells others that somebody writes it; as in `create`, no reason not to.
        let _ = file.try_lock();
        Ok(Box::new(file))
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Handle>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<bool> {
        // A process id says nothing across containers that share a folder. The lock does:
        // it dies with its holder, whichever name space that lived in.
        let file = File::open(path)?;
        match file.try_lock() {
            Ok(()) => self.remove(path).map(|()| true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn is_written(&self, path: &Path) -> io::Result<bool> {
        let file = File::open(path)?;
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return Ok(true);
        }
        // A Redis locks nothing.
        Ok(holders::write(&file.metadata()?))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if folder.is_dir() {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            other => other,
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.file_name())).collect()
    }

    fn identity(&self, path: &Path) -> io::Result<Option<Identity>> {
        match std::fs::metadata(path) {
            Ok(m) => Ok(Some(identity_of(&m))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn identity_of(m: &std::fs::Metadata) -> Identity {
    Identity {
        device: m.dev(),
        inode: m.ino(),
        size_bytes: m.size(),
        modified_ns: i128::from(m.mtime()) * 1_000_000_000 + i128::from(m.mtime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_file_is_alive_until_its_handle_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tmp");
        let handle = RealFiles.create(&path).unwrap();
        assert!(!RealFiles.remove_abandoned(&path).unwrap());
        assert!(RealFiles.identity(&path).unwrap().is_some());
        drop(handle);
        assert!(RealFiles.remove_abandoned(&path).unwrap());
        assert_eq!(RealFiles.identity(&path).unwrap(), None);
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let disks: [(&dyn Files, &Path); 2] =
            [(&RealFiles, folder.path()), (&faulty::FaultyFiles::new(), Path::new("/d"))];
        for (files, folder) in disks {
            let path = folder.join("lock");
            let held = files.hold(&path).unwrap();
            assert!(held.is_some());
            assert!(files.hold(&path).unwrap().is_none());
            drop(held);
            assert!(files.hold(&path).unwrap().is_some(), "the file stays, and the lock is free");
        }
    }

    #[test]
    fn who_writes_a_file_is_seen_by_the_lock_and_by_the_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        drop(RealFiles.create(&path).unwrap());
        assert!(!RealFiles.is_written(&path).unwrap());
        let reader = File::open(&path).unwrap();
        assert!(!RealFiles.is_written(&path).unwrap(), "who reads it does not write it");
        drop(reader);
        let handle = RealFiles.open_writable(&path).unwrap();
        assert!(RealFiles.is_written(&path).unwrap());
        drop(handle);
        // As a Redis has it open.
        let handle = OpenOptions::new().append(true).open(&path).unwrap();
        assert!(RealFiles.is_written(&path).unwrap());
        drop(handle);
        assert!(!RealFiles.is_written(&path).unwrap());
    }

    #[test]
    fn identity_tells_a_rewrite_and_a_replacement() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "one").unwrap();
        let first = RealFiles.identity(&a).unwrap();
        assert_eq!(first, RealFiles.identity(&a).unwrap());
        std::fs::write(&a, "three").unwrap();
        let second = RealFiles.identity(&a).unwrap();
        assert_ne!(first, second);
        std::fs::write(&b, "three").unwrap();
        RealFiles.rename(&b, &a).unwrap();
        assert_ne!(second, RealFiles.identity(&a).unwrap());
        assert_eq!(RealFiles.list(folder.path()).unwrap(), vec![OsString::from("a")]);
    }

    #[test]
    fn a_bare_name_lies_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("x")), Path::new("."));
        assert_eq!(folder_of(Path::new("/d/x")), Path::new("/d"));
    }
}
