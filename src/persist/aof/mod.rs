//! The append-only file: what happened to the keyspace, as commands in the order in which it happened.
//!
//! It is a folder with a base (the state at one instant), increments (what happened since) and a manifest that
//! names them, in Redis's form. [`manifest`] reads and writes the last, [`folder`] keeps the files, [`commands`]
//! writes a base as commands, [`reader`] reads one of them, [`log`] takes effects and brings them to the disk,
//! [`rewind`] takes off its end what is later than a moment.

pub mod commands;
pub mod feed;
pub mod folder;
pub mod log;
pub mod manifest;
pub mod reader;
pub mod rewind;
#[cfg(test)]
mod tests;

pub use feed::Segment;
pub use folder::{Folder, FolderError, read_all};
pub use log::{Hooks, Log, Policy};
pub use manifest::{FileInfo, FileType, Manifest};
