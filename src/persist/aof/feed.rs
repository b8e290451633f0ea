//! What has been appended and waits to be written: for the file that is open, and for those that follow it.

use std::path::PathBuf;

use super::reader::TIME;
use crate::persist::files::Handle;

/// A file that is written from some place on.
pub struct Segment {
    /// The open file.
    pub handle: Box<dyn Handle>,
    /// Its name, for messages.
    pub path: PathBuf,
    /// Where the next byte goes.
    pub length: u64,
    /// Of all bytes before that.
    pub checksum: crc32fast::Hasher,
}

impl Segment {
    /// A file without a byte.
    pub fn empty(handle: Box<dyn Handle>, path: PathBuf) -> Segment {
        Segment { handle, path, length: 0, checksum: crc32fast::Hasher::new() }
    }
}

/// What has been appended and not been taken.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) bytes: Vec<u8>,
    /// What belongs to the files before, each with the file that follows.
    pub(super) closed: Vec<(Vec<u8>, Segment)>,
    /// The database in which the next command is repeated unless a SELECT says otherwise.
    pub(super) selected: Option<usize>,
    /// The second of the last time that was written.
    pub(super) time: u64,
}

/// Puts effects behind each other in the form of the file.
pub struct Feeder<'a> {
    pub(super) feed: &'a mut Feed,
}

impl Feeder<'_> {
    /// A time, if it is another second than the last one's.
    pub fn time(&mut self, now_s: u64) {
        if self.feed.time != now_s {
            self.feed.time = now_s;
            self.feed.bytes.extend_from_slice(TIME);
            self.feed.bytes.extend_from_slice(format!("{now_s}\r\n").as_bytes());
        }
    }

    /// What follows belongs together, and begins in `database`. Its SELECT stands before, as in Redis.
    pub fn multi(&mut self, database: Option<usize>) {
        if let Some(database) = database {
            self.select(database);
        }
        self.feed.bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
    }

    /// What belongs together ends.
    pub fn exec(&mut self) {
        self.feed.bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
    }

    /// A command in the form of the protocol.
    pub fn command(&mut self, database: usize, bytes: &[u8]) {
        self.select(database);
        self.feed.bytes.extend_from_slice(bytes);
    }

    fn select(&mut self, database: usize) {
        if self.feed.selected != Some(database) {
            self.feed.selected = Some(database);
            let number = database.to_string();
            let select = format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{number}\r\n", number.len());
            self.feed.bytes.extend_from_slice(select.as_bytes());
        }
    }
}
