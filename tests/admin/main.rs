//! The admin port as a client sees it: a real server, a false `Control`, plain sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod fake;
mod guard;
mod life;
mod limits;
mod routes;
mod saves;
