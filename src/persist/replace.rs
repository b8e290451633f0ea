//! Putting a whole new file in the place of an old one, or leaving the old one as it was.
//!
//! The new file is written beside the old one under a temporary name, synced, renamed over
//! it, and the folder is synced. At every moment the name holds the old file or the whole
//! new one. Temporary files are named `<name>.<pid>-<8 hex digits>.tmp`; whoever writes one
//! holds its lock, so what a dead process left can be told from what a living one writes.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::{Files, Handle, Identity, folder_of};
use super::ownership::{Guard, Whose};
use super::snapshot::SaveError;

/// A file on its way to replace `path`. Dropped before its commit, it removes itself.
pub struct Replacement<'a> {
    files: &'a dyn Files,
    guard: &'a Guard,
    path: &'a Path,
    temporary: PathBuf,
    handle: Box<dyn Handle>,
    renamed: bool,
}

impl<'a> Replacement<'a> {
    /// Begins beside `path`. `tag` makes the temporary name unique among all processes that
    /// share the folder.
    ///
    /// # Errors
    /// [`SaveError::NotOurs`] if `guard` does not let `path` be replaced, [`SaveError::Io`].
    pub fn create(
        files: &'a dyn Files,
        guard: &'a Guard,
        path: &'a Path,
        tag: u32,
    ) -> Result<Self, SaveError> {
        guard.check(path, files)?;
        let mut name = path.file_name().unwrap_or(OsStr::new("snapshot")).to_os_string();
        name.push(format!(".{}-{tag:08x}.tmp", std::process::id()));
        let temporary = folder_of(path).join(name);
        let handle = files.create(&temporary).map_err(|e| SaveError::io("create", &temporary, e))?;
        Ok(Replacement { files, guard, path, temporary, handle, renamed: false })
    }

    /// The new file.
    pub fn handle(&self) -> &dyn Handle {
        self.handle.as_ref()
    }

    /// Where the new file lies until it is committed.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Syncs the new file, gives it the name and makes that lasting. The guard remembers it.
    ///
    /// # Errors
    /// [`SaveError`]. After a failed folder sync the name holds the new file, but a power
    /// cut may still bring the old one back.
    pub fn commit(mut self) -> Result<Identity, SaveError> {
        self.handle.sync().map_err(|e| SaveError::io("sync", &self.temporary, e))?;
        let identity = self.handle.identity().map_err(|e| SaveError::io("look at", &self.temporary, e))?;
        // A save takes a while: look again whose file is there.
        if self.guard.check(self.path, self.files)? == Whose::Foreign {
            self.keep_foreign()?;
        }
        let rename = self.files.rename(&self.temporary, self.path);
        rename.map_err(|e| SaveError::io("rename to its final name", &self.temporary, e))?;
        self.renamed = true;
        // Before the sync: if that fails, the name still holds our file.
        self.guard.remember(self.path, identity);
        let folder = folder_of(self.path);
        self.files.sync_folder(folder).map_err(|e| SaveError::io("sync the folder", folder, e))?;
        Ok(identity)
    }

    /// Gives the file that has the name another one, which nothing has yet.
    fn keep_foreign(&self) -> Result<(), SaveError> {
        let mut kept = kept_name(self.path, 1);
        for number in 2.. {
            let there = self.files.identity(&kept).map_err(|e| SaveError::io("look at", &kept, e))?;
            if there.is_none() {
                break;
            }
            kept = kept_name(self.path, number);
        }
        self.files.rename(self.path, &kept).map_err(|e| SaveError::io("keep what was at", self.path, e))?;
        // Before the new file gets the name: after a power cut that name alone would be there.
        let folder = folder_of(self.path);
        self.files.sync_folder(folder).map_err(|e| SaveError::io("sync the folder", folder, e))?;
        tracing::warn!(
            "{} was neither written nor loaded by this server: it is kept as {}",
            self.path.display(),
            kept.display()
        );
        Ok(())
    }
}

/// What the file at `path` is kept as: `.kept` behind its name, or `.kept-2` and so on.
fn kept_name(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".kept");
    if number > 1 {
        name.push(format!("-{number}"));
    }
    PathBuf::from(name)
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing to tell anybody: `remove_abandoned` gets what stays behind.
            let _ = self.files.remove(&self.temporary);
        }
    }
}

/// Removes the temporary files that dead processes left beside `path`, and says which.
/// Call it at start. Files of living processes and all other names stay.
///
/// # Errors
/// [`SaveError::Io`] if the folder cannot be read. A file that cannot be removed is left.
pub fn remove_abandoned(path: &Path, files: &dyn Files) -> Result<Vec<PathBuf>, SaveError> {
    let folder = folder_of(path);
    let names = match files.list(folder) {
        Ok(names) => names,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(SaveError::io("list the folder", folder, e)),
    };
    let base = path.file_name().unwrap_or_default();
    let ours = names.iter().filter(|name| is_temporary(base, name)).map(|name| folder.join(name));
    Ok(ours.filter(|path| files.remove_abandoned(path).unwrap_or(false)).collect())
}

/// Whether `name` is what [`Replacement::create`] would call a temporary file of `base`.
fn is_temporary(base: &OsStr, name: &OsStr) -> bool {
    let tail = name.as_encoded_bytes().strip_prefix(base.as_encoded_bytes());
    let Some(middle) = tail.and_then(|t| t.strip_prefix(b".")).and_then(|t| t.strip_suffix(b".tmp")) else {
        return false;
    };
    let Some(dash) = middle.iter().position(|b| *b == b'-') else { return false };
    let (pid, tag) = middle.split_at(dash);
    let tag = tag.get(1..).unwrap_or_default();
    !pid.is_empty()
        && pid.iter().all(u8::is_ascii_digit)
        && tag.len() == 8
        && tag.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::files::faulty::FaultyFiles;

    #[test]
    fn only_dead_temporaries_of_this_name_are_removed() {
        let files = FaultyFiles::new();
        let (path, guard) = (Path::new("/d/a.snapshot"), Guard::new());
        let dead = "/d/a.snapshot.17-0123abcd.tmp";
        let kept = [
            "/d/a.snapshot",
            "/d/a.snapshot.tmp",
            "/d/b.snapshot.17-0123abcd.tmp",
            "/d/a.snapshot.17-0123.tmp",
        ];
        kept.iter().chain([&dead]).for_each(|p| files.put(Path::new(p), b"x"));
        guard.remember(path, files.identity(path).unwrap().unwrap());
        let alive = Replacement::create(&files, &guard, path, 7).unwrap();
        assert_eq!(remove_abandoned(path, &files).unwrap(), [PathBuf::from(dead)]);
        assert!(kept.iter().all(|p| files.contents(Path::new(p)).is_some()));
        assert!(files.contents(alive.temporary()).is_some());
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        let files = FaultyFiles::new();
        let (path, guard) = (Path::new("/d/a.snapshot"), Guard::new());
        let new = Replacement::create(&files, &guard, path, 7).unwrap();
        files.put(path, b"someone else's");
        assert!(matches!(new.commit(), Err(SaveError::NotOurs { .. })));
        assert_eq!(files.contents(path).unwrap(), b"someone else's");
        assert_eq!(files.list(Path::new("/d")).unwrap().len(), 1, "the temporary file is gone");
    }
}
