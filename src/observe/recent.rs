//! The latest lines of the log, kept in memory for whoever asks after the fact.
//!
//! They are the very lines that were written, so what the log's level leaves out is not here either, and whatever
//! keeps secrets out of the log keeps them out of here. Room is taken as it is needed, up to the limit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of lines that are kept.
pub const KEPT_BYTES: usize = 256 * 1024;

/// Lines, the oldest of which go when there is no more room.
#[derive(Debug)]
pub(super) struct RecentLines {
    limit_bytes: usize,
    /// Whole lines, each with its end.
    bytes: Mutex<VecDeque<u8>>,
}

impl RecentLines {
    pub(super) fn new(limit_bytes: usize) -> RecentLines {
        RecentLines { limit_bytes, bytes: Mutex::default() }
    }

    fn bytes(&self) -> MutexGuard<'_, VecDeque<u8>> {
        // A panic cannot come between two bytes of a line.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a line, which ends in a line feed. One that is longer than all the room is passed over.
    pub(super) fn push(&self, line: &str) {
        if line.len() > self.limit_bytes {
            return;
        }
        let mut bytes = self.bytes();
        let excess = (bytes.len() + line.len()).saturating_sub(self.limit_bytes);
        if excess > 0 {
            // The line that the excess reaches into goes as a whole.
            let end = bytes.iter().skip(excess - 1).position(|&byte| byte == b'\n');
            let gone = end.map_or(bytes.len(), |end| excess + end);
            bytes.drain(..gone);
        }
        bytes.extend(line.as_bytes());
    }

    /// All lines, the oldest first.
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes().iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_whole() {
        let lines = RecentLines::new(12);
        assert_eq!(lines.text(), "");
        lines.push("one\n");
        lines.push("two\n");
        lines.push("six\n");
        assert_eq!(lines.text(), "one\ntwo\nsix\n");
        lines.push("a\n");
        assert_eq!(lines.text(), "two\nsix\na\n");
        lines.push("b\n");
        assert_eq!(lines.text(), "two\nsix\na\nb\n");
        lines.push("seven, ten\n");
        assert_eq!(lines.text(), "seven, ten\n");
    }

    #[test]
    fn a_line_fits_exactly_or_is_passed_over() {
        let lines = RecentLines::new(4);
        lines.push("\u{e9}\n\n");
        assert_eq!(lines.text(), "\u{e9}\n\n");
        lines.push("one\n");
        lines.push("four\n");
        assert_eq!(lines.text(), "one\n");
    }
}
