//! The admin room: the HTTP server on 8080 with its probes, metrics, saves and
//! facts about the server.
//!
//! It runs on a thread and a runtime of its own, so it answers while every
//! worker is saturated. `axum`, and `hyper` below it, are named here only.
//!
//! What never lives here: anything that knows the keyspace, sockets of RESP clients or
//! commands. What a route needs from the rest of the server it asks for through
//! [`Control`] and [`Console`], which this room declares and the application implements.
//!
//! In reading order: `server` (the routes, start and stop), `guard` (who may ask
//! for what), `probes`, `save`, `facts`, `bundle` and `profile` (the handlers), `accept` (what a scraper wants),
//! `connection` (limits on sockets), `console` (the page and what it asks for), `healthcheck` (the other side: a client for containers).

mod accept;
mod bundle;
mod connection;
mod console;
mod facts;
mod guard;
mod healthcheck;
mod network;
mod options;
mod ports;
mod probes;
mod profile;
mod query;
mod reply;
mod save;
mod server;
mod slots;
mod watched;

pub use console::{
    Answer, BusyClient, BusyLibrary, ChangedSetting, ClientList, ClientOrder, ClientRow, Console, FoundMost,
    KEPT_NAME, KeyDetails, KeyPage, KeyRow, KeyStatistics, LargeKey, Live, LiveClients, LiveCommand,
    LiveDatabase, LiveLatency, LiveLog, LiveMemory, LivePercentiles, LivePersistence, LiveRates, LiveSlowLog,
    LiveWorker, LookError, PlainAmount, PrefixAmount, Sampler, Text, TypeAmount, UsedKey, UsedMost,
    UsedShare, WantedClients, WantedKeys, id_of,
};
pub use healthcheck::healthcheck;
pub use network::{IpNetwork, NetworkError};
pub use options::{AdminError, AdminOptions, Limits, Secret, SecretError};
pub use ports::{
    Check, Control, InfoSection, RequestTrace, SaveJob, SaveRefused, SaveResult, SaveStatus, SlowCommand,
    SlowCommands, VersionInfo, WorkerState,
};
pub use server::AdminServer;
