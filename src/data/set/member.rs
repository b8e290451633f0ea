//! A member of a set as it lies there.

use std::borrow::Cow;
use std::fmt;

use crate::data::number::{IntegerBuffer, format_i64};

/// A member of a set: an integer, or bytes.
///
/// A set of integers keeps no text. `Int(7)` is the member `7`, and the same
/// member may come as bytes once the set is large.
#[derive(Clone, Copy)]
pub enum Member<'a> {
    /// The member is the decimal text of this.
    Int(i64),
    /// The member.
    Bytes(&'a [u8]),
}

impl<'a> Member<'a> {
    /// The member's bytes; an integer's are allocated.
    pub fn to_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(_) => Cow::Owned(self.with_bytes(<[u8]>::to_vec)),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// What `read` says of the member's bytes. Allocates nothing.
    pub fn with_bytes<R>(self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Int(value) => read(format_i64(value, &mut IntegerBuffer::new())),
            Self::Bytes(bytes) => read(bytes),
        }
    }

    /// Appends the member's bytes.
    pub fn write_to(self, out: &mut Vec<u8>) {
        self.with_bytes(|bytes| out.extend_from_slice(bytes));
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(out, "{value}"),
            Self::Bytes(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
        }
    }
}
