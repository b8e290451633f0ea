//! The slow log: the commands that took longest of late, with what took the time.
//!
//! It is written when a command was slow, and only then: its lock is one that no quick command meets.
//! An entry is small whatever the command was: arguments are cut as Redis cuts them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Arguments beyond this many are only counted.
const MAX_ARGUMENTS: usize = 32;
/// Bytes of an argument beyond this many are only counted.
const MAX_ARGUMENT_BYTES: usize = 128;
/// The writing of the replies has not been measured.
const UNKNOWN: u64 = u64::MAX;

/// What a slow command's time went into, nanoseconds.
#[derive(Debug)]
pub struct SlowStages {
    /// Waiting for locks that others held.
    pub lock_wait_ns: u64,
    /// Running.
    pub run_ns: u64,
    write_ns: AtomicU64,
}

impl SlowStages {
    /// A command that has run; its reply is not written yet.
    pub fn new(lock_wait_ns: u64, run_ns: u64) -> SlowStages {
        SlowStages { lock_wait_ns, run_ns, write_ns: AtomicU64::new(UNKNOWN) }
    }

    /// The replies of its batch were written in so long.
    pub fn wrote(&self, nanos: u64) {
        self.write_ns.store(nanos.min(UNKNOWN - 1), Relaxed);
    }

    /// How long the replies of its batch took to write, where that was seen.
    pub fn write_ns(&self) -> Option<u64> {
        Some(self.write_ns.load(Relaxed)).filter(|&nanos| nanos != UNKNOWN)
    }
}

/// One slow command.
#[derive(Clone, Debug)]
pub struct SlowEntry {
    /// Unique while the server runs, ascending; RESET does not begin anew.
    pub id: u64,
    /// When it ended, seconds since 1970.
    pub unix_s: u64,
    /// Running time, microseconds.
    pub duration_us: u64,
    /// Its arguments, cut.
    pub arguments: Vec<Vec<u8>>,
    /// Who sent it.
    pub peer: String,
    /// What that client calls itself.
    pub client_name: Vec<u8>,
    /// Where the time went.
    pub stages: Arc<SlowStages>,
}

/// The slow commands of late.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// The latest first.
    entries: Mutex<VecDeque<SlowEntry>>,
    next_id: AtomicU64,
}

impl SlowLog {
    fn entries(&self) -> MutexGuard<'_, VecDeque<SlowEntry>> {
        // Entries are put and taken whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a command; its id is set here. At most `max_len` entries stay.
    pub fn push(&self, mut entry: SlowEntry, max_len: usize) {
        let mut entries = self.entries();
        entry.id = self.next_id.fetch_add(1, Relaxed);
        entries.push_front(entry);
        entries.truncate(max_len);
    }

    /// Forgets all but the latest `max_len`.
    pub fn truncate(&self, max_len: usize) {
        self.entries().truncate(max_len);
    }

    /// The latest entries.
    pub fn latest(&self, count: usize) -> Vec<SlowEntry> {
        self.entries().iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.entries().clear();
    }
}

/// Cuts a command's arguments to what the log keeps: at most 32, the last of which then says how many more
/// there were, each of at most 128 bytes.
pub fn cut<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = arguments.len();
    let whole = if count > MAX_ARGUMENTS { MAX_ARGUMENTS - 1 } else { count };
    let mut kept: Vec<Vec<u8>> = arguments.take(whole).map(cut_one).collect();
    if count > whole {
        kept.push(format!("... ({} more arguments)", count - whole).into_bytes());
    }
    kept
}

fn cut_one(argument: &[u8]) -> Vec<u8> {
    let mut kept = argument[..argument.len().min(MAX_ARGUMENT_BYTES)].to_vec();
    if let Some(more) = argument.len().checked_sub(MAX_ARGUMENT_BYTES).filter(|&more| more > 0) {
        kept.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> SlowEntry {
        SlowEntry {
            id: 0,
            unix_s: 1,
            duration_us: 2,
            arguments: Vec::new(),
            peer: String::new(),
            client_name: Vec::new(),
            stages: Arc::new(SlowStages::new(0, 2_000)),
        }
    }

    #[test]
    fn the_latest_stay_and_ids_go_on() {
        let log = SlowLog::default();
        (0..5).for_each(|_| log.push(entry(), 3));
        let ids = |log: &SlowLog| log.latest(10).iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!((log.len(), ids(&log)), (3, vec![4, 3, 2]));
        log.reset();
        assert!(log.is_empty());
        log.push(entry(), 3);
        assert_eq!(ids(&log), [5]);
        // A length of 0 keeps nothing.
        log.push(entry(), 0);
        assert!(log.is_empty());
    }

    #[test]
    fn arguments_are_cut() {
        let many: Vec<&[u8]> = vec![b"x"; 40];
        let kept = cut(many.into_iter());
        assert_eq!((kept.len(), kept[31].as_slice()), (32, &b"... (9 more arguments)"[..]));
        assert_eq!(cut(vec![&b"x"[..]; 32].into_iter()).len(), 32);
        let long = [b'A'; 129];
        let kept = cut(vec![&long[..], &long[..128]].into_iter());
        assert!(kept[0].ends_with(b"AAA... (1 more bytes)"));
        assert_eq!(kept[1], [b'A'; 128]);
    }

    #[test]
    fn writing_is_unknown_until_it_is_seen() {
        let stages = SlowStages::new(1, 2);
        assert_eq!(stages.write_ns(), None);
        stages.wrote(0);
        assert_eq!(stages.write_ns(), Some(0));
    }
}
