//! Why a file was not read, with the place.

use std::fmt;
use std::io;

/// Why a file in Redis's format was not read, and at which of its bytes.
#[derive(Debug)]
pub struct ReadError {
    /// The byte at which what does not fit begins.
    pub offset: u64,
    /// What does not fit.
    pub what: What,
}

/// What does not fit.
#[derive(Debug)]
pub enum What {
    /// The file system, or the other end of a socket, refused.
    Io(io::Error),
    /// The bytes end too early.
    Short,
    /// It does not begin with `REDIS` and a number.
    Signature,
    /// The number is one that is not known.
    Version(u64),
    /// A key whose type this server does not have.
    UnknownType {
        /// The key.
        key: Vec<u8>,
        /// The type's number, and what it is called if that is known.
        kind: String,
    },
    /// Something that this server does not have, in words.
    Unsupported(String),
    /// A key's value is malformed.
    Value {
        /// The key.
        key: Vec<u8>,
        /// In which way.
        why: String,
    },
    /// Bytes that make no sense, in words.
    Malformed(String),
    /// The checksum does not match.
    Checksum {
        /// The one in the file.
        expected: u64,
        /// The one of its bytes.
        found: u64,
    },
    /// Whoever takes the keys refused one, in his words.
    Refused(String),
    /// Somebody cancelled it.
    Cancelled,
    /// A thread panicked; its words.
    Panicked(String),
}

impl ReadError {
    pub(super) fn new(offset: u64, what: What) -> ReadError {
        ReadError { offset, what }
    }

    /// Whoever takes the keys says no; the place is filled in by the reader.
    pub fn refused(why: impl Into<String>) -> ReadError {
        ReadError::new(0, What::Refused(why.into()))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match &self.what {
            What::Io(error) => write!(f, "it could not be read at byte {at}: {error}"),
            What::Short => write!(f, "Short read or OOM loading DB: it ends within what begins at byte {at}"),
            What::Signature => write!(f, "Wrong signature trying to load DB from file"),
            What::Version(version) => write!(f, "Can't handle RDB format version {version}"),
            What::UnknownType { key, kind } => {
                write!(
                    f,
                    "the key '{}' at byte {at} has {kind}, which this server does not have",
                    key.escape_ascii()
                )
            }
            What::Unsupported(what) => write!(f, "at byte {at}: {what}"),
            What::Value { key, why } => {
                write!(f, "the value of the key '{}' is damaged, at byte {at}: {why}", key.escape_ascii())
            }
            What::Malformed(what) => write!(f, "it is damaged at byte {at}: {what}"),
            What::Checksum { expected, found } => {
                write!(f, "RDB CRC error: Wrong RDB checksum expected: ({expected:x}) but got ({found:x})")
            }
            What::Refused(why) => write!(f, "at byte {at}: {why}"),
            What::Cancelled => f.write_str("loading was cancelled"),
            What::Panicked(why) => write!(f, "a thread that loads panicked: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}
