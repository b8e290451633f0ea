//! A primary's side of replication: the stream of what happened, and the replicas that follow it.
//!
//! What lives here: the newest part of the stream ([`backlog`]), each replica's place in it ([`Link`]), and who
//! writes and reads it ([`Replication`]). What never does: sockets, the keyspace, commands. A replica's connection is
//! a [`Peer`], which takes what is next for it whenever it is woken.
//!
//! The stream is kept once, however many follow it. Its bytes are numbered from 1, as Redis counts them: the offset
//! of a stream is the number of its last byte. Blocks that a replica has yet to be sent stay, even beyond
//! `repl-backlog-size`, until that replica has got them or is cut off for lagging too far behind.
//!
//! ```text
//!             first byte kept                        what was appended last
//!                  v                                          v
//!  ... forgotten | block | block | block | block | block | bl.
//!                              ^                       ^
//!                        a replica's place       another one's
//! ```

mod backlog;
mod feeder;
mod figures;
mod link;
mod stream;
#[cfg(test)]
mod tests;

pub use feeder::Feeder;
pub use figures::{ReplicaFigures, StreamFigures};
pub use link::{Announced, Capabilities, Link, Patience, Peer, Phase, Target};
pub use stream::{Limits, Replication, Switch, Taken};
