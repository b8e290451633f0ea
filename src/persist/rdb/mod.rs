//! Redis's RDB format: what DUMP gives and RESTORE takes, and whole files ([`mod@file`]).
//!
//! The parts for values are pure functions between bytes and values of the store. Written is what Redis 7.0 reads
//! (version 10), read is everything that it reads, the older encodings included. No length that the
//! bytes claim is trusted before that many bytes are there, and every nested structure is checked as
//! Redis does under `sanitize-dump-payload yes`: what is malformed is an error, never a wrong value.
//!
//! Reading order: [`primitive`] (lengths and strings), the packed structures ([`listpack`], [`ziplist`],
//! [`zipmap`], [`intset`]), [`mod@encode`] and [`mod@decode`] (a value), [`payload`] (a value with its footer), [`mod@file`].

mod decode;
mod element;
mod encode;
pub mod file;
mod functions;
mod intset;
mod kind;
mod listpack;
mod lzf;
mod payload;
mod primitive;
mod stream;
#[cfg(test)]
mod tests;
mod ziplist;
mod zipmap;

pub use decode::decode;
use element::Element;
pub use encode::encode;
pub use functions::{dump_libraries, restore_libraries};
pub use payload::{checksum, dump, restore, sealed};
pub use primitive::Reader;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u16 = 10;

/// Bytes that are no value of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They end before the value does.
    Short,
    /// A packed structure, or a number in it, contradicts itself.
    Structure,
    /// An element comes twice.
    Duplicate,
    /// A collection without elements.
    Empty,
    /// A type of value that is not known here.
    Type(u8),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Malformed::Short => f.write_str("the value is cut short"),
            Malformed::Structure => f.write_str("a packed structure contradicts itself"),
            Malformed::Duplicate => f.write_str("an element comes twice"),
            Malformed::Empty => f.write_str("a collection without elements"),
            Malformed::Type(number) => write!(f, "a value of the unknown type {number}"),
        }
    }
}

impl std::error::Error for Malformed {}
