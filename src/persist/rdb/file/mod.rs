//! Whole files in Redis's format.
//!
//! ```text
//! "REDIS" [version, four digits]
//! ( [250][name][value]                     a fact about the writer
//! | [245][code]                            a library of functions
//! | [254][database]                        what follows belongs to it
//! | [251][keys][keys with an expiry]       how large it is, a hint
//! | [252][ms 8] or [253][s 4]              the next key's expiry
//! | [248][seconds] or [249][counter 1]     the next key's idle time or frequency
//! | [type 1][key][value] )*
//! [255] [CRC-64 of all before it 8, the low byte first; 0: none]
//! ```
//!
//! Reading goes in two steps. One thread cuts the file into keys with the bytes of their values ([`scan`]), which
//! needs no more than to know where strings end; the others make values of them ([`read`](mod@read)). Writing goes the other
//! way round: each walker of a save encodes what it is shown, and one thread puts the pieces behind each other.
//!
//! Neither side knows what it reads from or writes to: a file, the beginning of an append-only file, a socket.

mod error;
mod opcode;
mod read;
mod save;
mod scan;
mod source;
#[cfg(test)]
mod tests;
mod write;

pub use error::{ReadError, What};
pub use read::{Contents, Found, Item, Options, read};
pub use save::{Plan, Saved, save};
pub use source::HandleReader;
pub use write::{FileSink, Sink, Usage, WriteOptions, Written, write};

/// What a file begins with.
pub const MAGIC: &[u8; 5] = b"REDIS";

/// The newest version that is read: what Redis 8 writes. Written is [`super::VERSION`].
pub const NEWEST: u16 = 12;
