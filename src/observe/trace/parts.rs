//! What one command ran on behalf of its client: the calls of a script, the queue of a transaction.
//!
//! Whether their command is traced is known only when it has ended, so while traces are on each of them
//! leaves its times here, and they become spans below the command's own, or nothing. A worker has one such
//! command at a time, and works on a thread of its own: so this belongs to the thread, and a script need
//! not know who wants to hear of it.

use std::cell::{Cell, RefCell};

use crate::clock::Stamp;

/// Of this many that took longest the times are kept; all are counted.
pub const MAX_PARTS: usize = 32;

/// A command that another one ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name, as in the table of commands.
    pub name: &'static str,
    /// When it began.
    pub began: Stamp,
    /// How long it took.
    pub nanos: u64,
    /// The error's text without the leading `-`; only its code is sent.
    pub error: Option<String>,
}

/// The commands that one command ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Those that took longest, in the order in which they began.
    pub kept: Vec<Part>,
    /// How many there were.
    pub total: usize,
    /// How long the queue of the transaction was, where it is one.
    pub queued: Option<usize>,
}

impl Parts {
    fn add(&mut self, part: Part) {
        self.total += 1;
        if self.kept.len() < MAX_PARTS {
            self.kept.push(part);
            return;
        }
        let shortest = self.kept.iter().enumerate().min_by_key(|(_, kept)| kept.nanos);
        if let Some((at, kept)) = shortest
            && kept.nanos < part.nanos
        {
            self.kept.remove(at);
            self.kept.push(part);
        }
    }
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static PARTS: RefCell<Parts> = const { RefCell::new(Parts { kept: Vec::new(), total: 0, queued: None }) };
}

/// A command begins whose parts are to be noted. What another one left is forgotten.
pub fn begin() {
    IS_ON.set(true);
    PARTS.with_borrow_mut(|parts| *parts = Parts::default());
}

/// Whether parts are noted now.
#[inline]
pub fn is_on() -> bool {
    IS_ON.get()
}

/// Notes how long the queue is that will run.
pub fn note_queue(length: usize) {
    PARTS.with_borrow_mut(|parts| parts.queued = Some(length));
}

/// Notes one.
pub fn note(part: Part) {
    PARTS.with_borrow_mut(|parts| parts.add(part));
}

/// The command has ended: nothing is noted any more. What was noted.
pub fn end() -> Parts {
    IS_ON.set(false);
    PARTS.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(began: u64, nanos: u64) -> Part {
        Part { name: "get", began, nanos, error: None }
    }

    #[test]
    fn the_longest_are_kept_and_all_are_counted() {
        begin();
        (0..100).for_each(|number| note(part(number, 1_000 + number % 10)));
        assert!(is_on());
        let parts = end();
        assert!(!is_on());
        assert_eq!((parts.total, parts.kept.len()), (100, MAX_PARTS));
        // Ten each took 9, 8 and 7 more than a microsecond, and two are of those with 6.
        assert_eq!(parts.kept.iter().filter(|part| part.nanos >= 1_007).count(), 30);
        assert!(parts.kept.iter().all(|part| part.nanos >= 1_006));
        assert!(parts.kept.is_sorted_by_key(|part| part.began));
    }

    #[test]
    fn the_next_command_begins_with_none() {
        begin();
        note(part(1, 1));
        begin();
        assert_eq!(end(), Parts::default());
    }
}
