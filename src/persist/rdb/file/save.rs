//! A save into a file that takes the place of the one before.

use std::path::PathBuf;
use std::sync::Arc;

use super::write::{FileSink, WriteOptions, write};
use crate::persist::files::{Files, Identity};
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;
use crate::persist::replace::Replacement;
use crate::persist::snapshot::SaveError;
use crate::store::Walker;

/// What to save, and where.
pub struct Plan {
    /// The file to write or replace.
    pub path: PathBuf,
    /// The sources; each runs on a thread of its own.
    pub walkers: Vec<Walker>,
    /// How to write.
    pub options: WriteOptions,
    /// How many keys there are, as far as known: for the progress only.
    pub expected_keys: u64,
    /// Which files this server may replace.
    pub guard: Arc<Guard>,
}

/// A save that is on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// Keys in the file.
    pub keys: u64,
    /// The file's length.
    pub bytes: u64,
    /// The file as the guard remembers it.
    pub identity: Identity,
}

/// Writes a file and puts it in the place of the old one. Blocks until it is on the disk.
///
/// # Errors
/// [`SaveError`]; the old file is as it was then, and nothing else stays behind.
pub fn save(plan: Plan, files: &dyn Files, progress: &Progress) -> Result<Saved, SaveError> {
    let mut tag = [0; 4];
    getrandom::fill(&mut tag)
        .map_err(|error| SaveError::io("draw a random name for", &plan.path, error.into()))?;
    progress.begin(plan.expected_keys, 0);
    let replacement = Replacement::create(files, &plan.guard, &plan.path, u32::from_le_bytes(tag))?;
    let mut sink = FileSink::new(replacement.handle(), replacement.temporary());
    let written = write(plan.walkers, &plan.options, &mut sink, progress)?;
    let identity = replacement.commit()?;
    progress.finish();
    Ok(Saved { keys: written.keys, bytes: written.bytes, identity })
}
