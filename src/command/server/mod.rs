//! Commands about the server itself: its configuration, its figures, saving and ending it, debugging.
//!
//! One file a subject. Nothing here measures, saves or configures: that is asked of the rest of the
//! server through its ports.

mod config;
mod debug;
mod hotkeys;
mod info;
mod latency;
mod lolwut;
mod memory;
mod modules;
mod monitor;
mod replication;
mod saving;
mod slowlog;
mod sync;
#[cfg(test)]
mod tests;

use super::row::Command;

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    config::CONFIG,
    debug::DEBUG,
    hotkeys::HOTKEYS,
    info::INFO,
    info::TIME,
    latency::LATENCY,
    lolwut::LOLWUT,
    memory::MEMORY,
    modules::MODULE,
    replication::FAILOVER,
    monitor::MONITOR,
    sync::PSYNC,
    sync::REPLCONF,
    replication::REPLICAOF,
    replication::ROLE,
    replication::SLAVEOF,
    saving::BGREWRITEAOF,
    saving::BGSAVE,
    saving::LASTSAVE,
    saving::SAVE,
    saving::SHUTDOWN,
    slowlog::SLOWLOG,
    sync::SYNC,
    sync::WAIT,
];
