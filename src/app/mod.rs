//! Wires the rooms: the only place that sees all of them.
//!
//! [`run()`] is the program: read the configuration, open the log, listen, start workers and the admin
//! port, load the snapshot, serve until told to end. [`host`] is what commands and the admin port ask
//! of the rest of the server; [`saving`] and [`loading`] put
//! store and files together.

mod control;
mod figures;
mod host;
mod loading;
mod migrate;
mod run;
mod saving;
mod signals;
mod tools;
mod users;

pub use run::run;
