//! Runs commands: the ladder of refusals, the locks of a unit of work, transactions, blocked clients,
//! and the permits by which somebody holds the whole keyspace.
//!
//! What lives here: everything between a decoded request and its encoded reply that is the same for
//! every command. What never does: sockets, HTTP, the meaning of any one command.
//!
//! Reading order: [`worker`] (a batch), [`gate`] (refusals), [`unit`](mod@unit) (one command under its locks),
//! [`transaction`], [`blocked`], [`world`], [`expiry`],
//! [`memory`] (eviction), [`usage`](mod@usage) (which keys and clients take most), [`reader`] (commands of nobody that
//! only read).

pub mod blocked;
#[cfg(test)]
mod blocked_tests;
pub mod clients;
pub mod expiry;
pub mod gate;
pub mod log;
pub mod memory;
mod notify;
#[cfg(test)]
mod observed_tests;
pub mod reader;
pub mod replay;
pub mod shared;
#[cfg(test)]
mod stream_tests;
mod sync;
#[cfg(test)]
mod testing;
pub mod tracking;
pub mod transaction;
pub mod unit;
pub mod usage;
pub mod worker;
pub mod world;
#[cfg(test)]
mod world_tests;

#[cfg(test)]
mod tests;

pub use clients::ClientTable;
pub use shared::{Engine, Status};
pub use worker::{Awaited, Connection, Next, Ran, Worker, usage_of};
