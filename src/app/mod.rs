//! Wires the rooms: the only place that sees all of them.
//!
//! [`run()`] is the program: read the configuration, open the log, listen, start workers and the admin
//! port, load the snapshot, serve until told to end. [`host`] is what commands and the admin port ask
//! of the rest of the server; [`saving`] and [`loading`] put
//! store and files together, [`append_only`], [`rewriting`] and [`log_loading`] the log and its folder;
//! [`building`] makes the parts; [`checks`] are what the probes rest on; [`listening`] opens the sockets; [`background`] is about whoever started the process. [`tools`], [`log_check`],
//! [`convert`] and [`restore`] are what the program does with files when no server is to run.

mod append_only;
mod background;
mod building;
mod checks;
mod console;
mod control;
mod convert;
mod effect_logs;
mod figures;
mod host;
mod key_search;
mod limits;
mod listening;
mod live;
mod loading;
mod log_check;
mod log_loading;
mod migrate;
mod oom_score;
mod restore;
mod rewriting;
mod run;
mod saving;
mod signals;
mod syncing;
mod title;
mod tools;
mod usage;
mod users;

pub use run::run;

/// An engine and an empty keyspace, without sockets and files: for benchmarks that run commands in their own process.
///
/// # Errors
///
/// What of the settings or of this machine keeps a server from being put together.
pub fn engine(settings: crate::config::Settings) -> Result<std::sync::Arc<crate::engine::Engine>, String> {
    building::alone(settings).map(|(_, engine)| engine)
}
