//! Commands in the form of the stream.

use super::backlog::Backlog;

/// Puts commands behind each other as the stream has them.
pub struct Feeder<'a> {
    pub(super) backlog: &'a mut Backlog,
    pub(super) selected: &'a mut Option<usize>,
    /// A block was begun.
    pub(super) begun: bool,
}

impl Feeder<'_> {
    /// What follows belongs together, and begins in `database`. Its SELECT stands before, as in Redis.
    pub fn multi(&mut self, database: Option<usize>) {
        if let Some(database) = database {
            self.select(database);
        }
        self.put(b"*1\r\n$5\r\nMULTI\r\n");
    }

    /// What belongs together ends.
    pub fn exec(&mut self) {
        self.put(b"*1\r\n$4\r\nEXEC\r\n");
    }

    /// A command in the form of the protocol.
    pub fn command(&mut self, database: usize, bytes: &[u8]) {
        self.select(database);
        self.put(bytes);
    }

    fn select(&mut self, database: usize) {
        if *self.selected != Some(database) {
            *self.selected = Some(database);
            let number = database.to_string();
            self.put(format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{number}\r\n", number.len()).as_bytes());
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.begun |= self.backlog.push(bytes);
    }
}
