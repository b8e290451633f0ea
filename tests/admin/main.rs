//! The admin port as a client sees it: a real server, a false `Control`, plain sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
mod client;
mod console;
mod fake;
mod fake_console;
mod guard;
mod life;
mod limits;
mod live;
mod profile;
mod routes;
mod saves;
