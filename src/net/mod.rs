//! Sockets: listening, accepting, reading, writing, closing.
//!
//! What lives here: listeners, the placing of new connections on workers, a connection's task, and the
//! worker threads with their runtimes. What never does: what the bytes mean. Input goes to
//! [`crate::engine::Worker::run`] and what comes back is written.
//!
//! Reading order: [`listener`], [`acceptor`], [`worker`], [`connection`], [`tls`].

pub mod acceptor;
pub mod connection;
pub mod listener;
pub mod stream;
pub mod tls;
pub mod worker;

pub use acceptor::{Acceptor, Arrivals};
pub use listener::{BoundListener, ListenError, bind_tcp, bind_unix};
pub use tls::Tls;
pub use worker::{Workers, start};
