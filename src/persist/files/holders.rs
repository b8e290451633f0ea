//! Who has a file open for writing, as Linux tells in `/proc`: a Redis takes no locks.
//!
//! It sees the processes of this machine that belong to the same user, or all for root. Elsewhere it sees nobody, so
//! a "no" proves nothing.

use std::fs::{Metadata, metadata, read_dir, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bits of `open`'s flags that say what a file is open for; 0 is reading.
const ACCESS: u32 = 0o3;

/// Whether any process that can be looked at has this file open for writing.
pub(super) fn write(file: &Metadata) -> bool {
    let Ok(processes) = read_dir("/proc") else { return false };
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    processes.flatten().filter(|entry| is_process(&entry.file_name())).any(|entry| holds(&entry.path(), file))
}

fn holds(process: &Path, file: &Metadata) -> bool {
    let Ok(open) = read_dir(process.join("fd")) else { return false };
    open.flatten().any(|entry| {
        let same = metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == (file.dev(), file.ino()));
        same && is_for_writing(&process.join("fdinfo").join(entry.file_name()))
    })
}

fn is_for_writing(facts: &Path) -> bool {
    let facts = read_to_string(facts).unwrap_or_default();
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & ACCESS != 0)
}
