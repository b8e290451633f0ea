//! Glasswing, a Redis-compatible in-memory server that you can see through.
//!
//! The rooms, in reading order; `tests/tidy.rs` holds the borders between them.

pub mod acl;
pub mod admin;
pub mod app;
pub mod clock;
pub mod command;
pub mod config;
pub mod data;
pub mod engine;
pub mod net;
pub mod observe;
pub mod persist;
pub mod pubsub;
pub mod replica;
pub mod resp;
pub mod script;
pub mod store;
pub mod strand;
