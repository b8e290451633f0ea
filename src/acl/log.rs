//! What was denied of late, the newest first. What happens again and again is one entry with a count.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::check::Reason;

/// Denials within this time of each other are one entry if they are alike.
const GROUPING_MS: u64 = 60_000;

/// So many of the newest entries are looked at for one that is alike.
const LOOKED_AT: usize = 10;

/// From where a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogContext {
    /// A client.
    TopLevel,
    /// A transaction.
    Multi,
    /// A script or a function.
    Script,
}

impl LogContext {
    /// Redis's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            LogContext::TopLevel => "toplevel",
            LogContext::Multi => "multi",
            LogContext::Script => "lua",
        }
    }
}

impl Reason {
    /// Redis's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Auth => "auth",
            Reason::Channel => "channel",
        }
    }
}

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Where it was asked for.
    pub context: LogContext,
    /// The command, the key or the channel.
    pub object: Vec<u8>,
    /// Who asked; of a failed login, who somebody said to be.
    pub user: Vec<u8>,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// What was denied.
    pub refusal: Refusal,
    /// How often.
    pub count: u64,
    /// When it was last denied, milliseconds since 1970.
    pub at_ms: u64,
    /// The client that asked last, as CLIENT LIST shows it.
    pub client: Vec<u8>,
}

/// The log.
#[derive(Debug, Default)]
pub struct Log(Mutex<VecDeque<LogEntry>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, VecDeque<LogEntry>> {
        // Each change leaves the list valid: a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters what was denied. The log keeps at most `longest` entries.
    pub fn add(&self, refusal: Refusal, client: Vec<u8>, now_ms: u64, longest: usize) {
        let mut entries = self.lock();
        let alike =
            |entry: &LogEntry| entry.refusal == refusal && entry.at_ms.abs_diff(now_ms) <= GROUPING_MS;
        let known = entries.iter().take(LOOKED_AT).position(alike);
        let entry = match known.and_then(|at| entries.remove(at)) {
            Some(known) => LogEntry { count: known.count + 1, at_ms: now_ms, client, ..known },
            None => LogEntry { refusal, count: 1, at_ms: now_ms, client },
        };
        let grows = known.is_none();
        entries.push_front(entry);
        if grows {
            entries.truncate(longest);
        }
    }

    /// The newest entries, at most so many.
    pub fn newest(&self, count: usize) -> Vec<LogEntry> {
        self.lock().iter().take(count).cloned().collect()
    }

    /// Forgets all of them.
    pub fn reset(&self) {
        self.lock().clear();
    }
}
