//! Lua: scripts (EVAL) and libraries of functions (FCALL).
//!
//! What lives here: the Lua states of the workers and their sandbox, the way from `redis.call` to a command and
//! back, the libraries that Redis gives to scripts, and the store of scripts and functions that all workers
//! share. What never does: sockets, locks, the meaning of any command. It is the only room that names mlua.
//!
//! **Isolation.** The rows of EVAL and FCALL ask for the whole keyspace, so a script runs alone: it may touch
//! any key, it is atomic, and no other unit sees it half done. The locks of the shards that it touches are let
//! go after each command, which nobody can notice, since nobody else runs.
//!
//! **States.** Each worker has a Lua state for scripts and one for functions; neither leaves its thread. What is
//! shared is text: a worker compiles a script when it first meets it. A version that is raised by SCRIPT
//! FLUSH and by every change of the libraries tells workers that what they have compiled is out of date.

mod api;
mod bare;
mod call;
mod convert;
mod current;
mod engine;
mod fault;
mod functions;
mod lib;
mod random;
mod raw;
mod restore;
mod running;
mod sandbox;
mod shebang;
mod state;
#[cfg(test)]
mod tests;
mod usage;

pub use bare::Bare;
pub use engine::ScriptEngine;
pub use running::BusyRun;
