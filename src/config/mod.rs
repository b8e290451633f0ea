//! The configuration: one table of settings, and its readers.
//!
//! [`table`] holds one line a setting. Files, the command line, `GLASSWING_*` variables ([`startup`]), CONFIG GET,
//! SET and REWRITE ([`Config`]), `--help`, the man page, shells and `docs/configuration.md` all read it. What lives here decides what a
//! value may be and how it is written. What never lives here is what a setting does: no socket, no thread and no
//! clock; a change that needs more than a new value is carried out by the caller of [`Config::set`].
//!
//! In reading order: [`quote`](mod@quote) cuts lines, `row` says what a setting is, `value`, `choices` and `shapes`
//! read and show values, `table` lists the settings, `load` reads text, `start` puts the sources in order,
//! `live` changes a running configuration, `rewrite` writes a file, `help` and `report` explain, `tools` are what the
//! program does besides serving.

mod choices;
mod error;
mod help;
mod include;
mod live;
mod load;
pub mod quote;
mod report;
mod rewrite;
mod row;
mod shapes;
mod start;
mod table;
#[cfg(test)]
mod tests;
mod tools;
mod value;

pub use choices::*;
pub use error::StartupError;
pub use help::{help_text, markdown, version_text};
pub use live::{ApplyError, Config, Difference, Origin, SetError};
pub use load::{DeclaredUser, Rename, check_text};
pub use report::Report;
pub use rewrite::{RewriteError, rewrite_text};
pub use row::{Capability, Flags, Kind, Requires, Row, find};
pub use shapes::{
    BindAddress, KeyspaceEvents, Master, MemoryLimit, Network, OutputLimit, OutputLimits, Percentiles,
    SavePoint,
};
pub use start::{Startup, startup};
pub use table::{ROWS, Settings};
pub use tools::{CheckArgs, ConvertArgs, HealthcheckArgs, RestoreArgs};
pub use value::{Secret, reason as io_reason};

/// The version of Redis whose behaviour is matched.
pub const REDIS_VERSION: &str = "7.0.15";
