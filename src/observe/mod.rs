//! What can be seen of the server: counters, latency histograms, the text of `/metrics`,
//! logs and traces. INFO, LATENCY, the console and Prometheus all read the numbers kept here.
//!
//! Nothing here decides anything, takes a lock that a command could wait for, or knows a key,
//! a value or a socket. The time comes in from outside, as nanoseconds. Only this room names
//! the `prometheus` crate.

pub mod counters;
pub mod errors;
pub mod exemplars;
pub mod histogram;
pub mod info;
pub mod instant;
pub mod limited;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod process;
pub mod profile;
mod recent;
pub mod slowlog;
pub mod spikes;
pub mod stats;
#[cfg(test)]
mod stats_tests;
pub mod trace;
pub mod worker;

pub use counters::{Counter, Refusal, Stage};
pub use histogram::Latency;
pub use instant::Rates;
pub use limited::Limited;
pub use metrics::{Figures, Metrics};
pub use process::Process;
pub use slowlog::{SlowEntry, SlowLog, SlowStages};
pub use spikes::LatencyMonitor;
pub use stats::{CommandTotals, Stats};
pub use trace::{CommandSpan, Stages, Tracer, WorkerTracer};
pub use worker::{Outside, WorkerStats};
