//! No save replaces a file that this server neither wrote nor loaded.
//!
//! Somebody starts a server in the wrong folder, or with a name that belongs to another
//! server: without this rule the first save would put an almost empty file in the place of
//! their data. So the server remembers the identity of each file that it loaded or wrote,
//! and a save refuses a file that is another one. A name that nothing has is free. Where an
//! append-only file was loaded, the snapshot beside it was not, and yet saves must go on: it is kept
//! under another name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::files::{Files, Identity};
use super::snapshot::SaveError;

/// The files that this process may replace. One for the whole process.
#[derive(Debug, Default)]
pub struct Guard {
    known: Mutex<BTreeMap<PathBuf, Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    identity: Identity,
    ours: bool,
}

/// Whose file lies where a save is to put its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// There is none.
    Nobodys,
    /// This process wrote or loaded it: it may be replaced.
    Ours,
    /// Somebody else's, which may be moved out of the way.
    Foreign,
}

impl Guard {
    /// A guard that knows no file yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the file at `path`, in this state, was loaded or written by this process.
    pub fn remember(&self, path: &Path, identity: Identity) {
        self.know(path, Known { identity, ours: true });
    }

    /// Says that the file at `path`, in this state, is not this process's, and may be moved out of the way.
    pub fn remember_foreign(&self, path: &Path, identity: Identity) {
        self.know(path, Known { identity, ours: false });
    }

    fn know(&self, path: &Path, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf(), known);
    }

    /// Whose file a save that puts its own at `path` now finds there.
    ///
    /// # Errors
    /// [`SaveError::NotOurs`] if another file is there; [`SaveError::Io`] if that cannot be
    /// told.
    pub fn check(&self, path: &Path, files: &dyn Files) -> Result<Whose, SaveError> {
        let there = files.identity(path).map_err(|e| SaveError::io("look at", path, e))?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match (there, known.get(path)) {
            (None, _) => Ok(Whose::Nobodys),
            (Some(there), Some(known)) if there == known.identity => {
                Ok(if known.ours { Whose::Ours } else { Whose::Foreign })
            }
            (Some(_), known) => {
                Err(SaveError::NotOurs { path: path.to_path_buf(), changed: known.is_some() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::files::faulty::FaultyFiles;

    #[test]
    fn only_what_was_written_or_loaded_may_be_replaced() {
        let files = FaultyFiles::new();
        let path = Path::new("/d/glasswing.snapshot");
        let guard = Guard::new();
        assert_eq!(guard.check(path, &files).unwrap(), Whose::Nobodys);
        files.put(path, b"someone's data");
        let refusal = guard.check(path, &files).unwrap_err();
        assert!(matches!(refusal, SaveError::NotOurs { changed: false, .. }));
        assert!(refusal.to_string().contains("/d/glasswing.snapshot"), "{refusal}");
        guard.remember(path, files.identity(path).unwrap().unwrap());
        assert_eq!(guard.check(path, &files).unwrap(), Whose::Ours);
        guard.remember_foreign(path, files.identity(path).unwrap().unwrap());
        assert_eq!(guard.check(path, &files).unwrap(), Whose::Foreign);
        files.put(path, b"other data now");
        assert!(matches!(guard.check(path, &files), Err(SaveError::NotOurs { changed: true, .. })));
        files.remove(path).unwrap();
        guard.check(path, &files).unwrap();
    }
}
