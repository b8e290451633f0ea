//! The commands: one row, handler and unit test each, in family files.
//!
//! What lives here: what a command is ([`row`]), what its handler sees ([`context`], [`args`]), what it
//! answers ([`reply`], [`error`]), what it asks of the rest of the server ([`ports`]), the table of all
//! of them ([`table`]), and the families. What never does: sockets, locks, clocks, files; and nobody
//! here asks a command for its name, since a flag of its row says what matters.
//!
//! To add a command, write its row and handler in its family's file. Nothing else needs to change.

pub mod args;
pub mod client;
pub mod client_line;
pub mod context;
pub mod cursor;
pub mod database;
pub mod effects;
pub mod element_scan;
pub mod error;
pub mod hot_keys;
pub mod keys;
pub mod observed;
pub mod ports;
pub mod reply;
pub mod rights;
pub mod row;
pub mod session;
pub mod sorted_result;
pub mod syntax;
pub mod table;
pub mod timeout;
pub mod tracking;
pub mod transcript;
pub mod value_limits;

mod bitmaps;
mod cluster;
mod connection;
mod generic;
mod geo;
mod hashes;
mod hyperloglog;
pub mod introspection;
mod lists;
mod pubsub;
mod scripting;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
#[cfg(test)]
pub(crate) mod testing;
mod transactions;
mod users;

pub use args::{Args, KeyAt};
pub use context::Context;
pub use error::CommandError;
pub use reply::{Park, Reply};
pub use row::{Acl, Command, Flags, Group, Keys};
pub use session::Session;
pub use table::Registry;
pub use value_limits::value_limits;

/// What a handler answers.
pub type Outcome = Result<Reply, CommandError>;
