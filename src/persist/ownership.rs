//! No save replaces a file that this server neither wrote nor loaded.
//!
//! Somebody starts a server in the wrong folder, or with a name that belongs to another
//! server: without this rule the first save would put an almost empty file in the place of
//! their data. So the server remembers the identity of each file that it loaded or wrote,
//! and a save refuses a file that is another one. A name that nothing has is free. Where an
//! append-only file was loaded, the snapshot beside it counts as loaded: it is an older state of
//! the same data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::files::{Files, Identity};
use super::snapshot::SaveError;

/// The files that this process may replace. One for the whole process.
#[derive(Debug, Default)]
pub struct Guard {
    ours: Mutex<BTreeMap<PathBuf, Identity>>,
}

impl Guard {
    /// A guard that knows no file yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the file at `path`, in this state, was loaded or written by this process.
    pub fn remember(&self, path: &Path, identity: Identity) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.insert(path.to_path_buf(), identity);
    }

    /// Whether a save may put its file at `path` now.
    ///
    /// # Errors
    /// [`SaveError::NotOurs`] if another file is there; [`SaveError::Io`] if that cannot be
    /// told.
    pub fn check(&self, path: &Path, files: &dyn Files) -> Result<(), SaveError> {
        let there = files.identity(path).map_err(|e| SaveError::io("look at", path, e))?;
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        match (there, ours.get(path)) {
            (None, _) => Ok(()),
            (Some(there), Some(known)) if there == *known => Ok(()),
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
        guard.check(path, &files).unwrap();
        files.put(path, b"someone's data");
        let refusal = guard.check(path, &files).unwrap_err();
        assert!(matches!(refusal, SaveError::NotOurs { changed: false, .. }));
        assert!(refusal.to_string().contains("/d/glasswing.snapshot"), "{refusal}");
        guard.remember(path, files.identity(path).unwrap().unwrap());
        guard.check(path, &files).unwrap();
        files.put(path, b"other data now");
        assert!(matches!(guard.check(path, &files), Err(SaveError::NotOurs { changed: true, .. })));
        files.remove(path).unwrap();
        guard.check(path, &files).unwrap();
    }
}
