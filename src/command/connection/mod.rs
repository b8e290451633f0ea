//! The connection family: who a client is, which database it speaks of, what it sees of other clients.
//!
//! What never lives here: sockets. A handler changes the session or raises a flag in a client's shared
//! record; the task that owns the connection acts on it.

mod client;
mod handshake;
mod simple;

use super::row::Command;

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    client::CLIENT,
    handshake::AUTH,
    handshake::HELLO,
    handshake::RESET,
    simple::ECHO,
    simple::PING,
    simple::QUIT,
    simple::SELECT,
];
