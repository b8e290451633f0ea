//! The native snapshot: blocks of bincode records, written and loaded by several threads.
//!
//! [`format`](self) is drawn byte by byte in `docs/snapshot-format.md`. In short: a header,
//! blocks of at most 1 MiB with a checksum each, and a trailer that says how much there
//! must be. The order of the blocks and the number of threads mean nothing.
//!
//! A record is whatever the store says: serde's `Serialize` going out, `DeserializeOwned`
//! coming in, one per key. Its encoding must take at least one byte, and a type that is
//! read back may not hold sequences of elements that encode to nothing (`Vec<()>`): a
//! hostile length could make those endless.

mod chain;
mod decode;
mod error;
mod format;
mod index;
mod load;
mod save;
mod write;

pub use error::{LoadError, SaveError};
pub use format::{FORMAT_VERSION, MAX_PAYLOAD_BYTES};
pub use load::{Header, Kind, Loaded, load, peek};
pub use save::{Capture, SavePlan, Saved, Step, save};
pub use write::BlockWriter;

#[cfg(test)]
mod tests;
