//! What the console needs from the server beside what every route may ask: live figures, clients, keys.

use std::future::Future;
use std::pin::Pin;

use serde::{Serialize, Serializer};

use super::text::Text;
use super::usage::KeyStatistics;
use crate::admin::{Check, SaveStatus, save};

/// An answer that may have to wait until nobody holds the whole keyspace.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, LookError>> + Send>>;

/// The server as the console sees it. Calls are made on the admin server's one thread, as those of
/// [`Control`](crate::admin::Control) are; what looks at keys gives that thread back between small steps.
pub trait Console: Send + Sync + 'static {
    /// Begins to measure: what has a rate or a window of time counts from here on.
    fn sampler(&self) -> Box<dyn Sampler>;

    /// Clients that are connected.
    fn clients(&self, wanted: &WantedClients) -> ClientList;

    /// Closes a client's connection; false when there is none of this number.
    fn close_client(&self, id: u64) -> bool;

    /// Settings that are not at their default, in the order to show them. Secrets are hidden.
    fn changed_settings(&self) -> Vec<ChangedSetting>;

    /// What takes most, the first `top` of each kind. Nothing is walked over for it.
    fn key_statistics(&self, top: usize) -> KeyStatistics;

    /// Looks for keys, with a bounded amount of work.
    fn find_keys(&self, wanted: WantedKeys) -> Answer<KeyPage>;

    /// One key with its first elements; none when there is no such key.
    fn look_at_key(&self, database: usize, name: Vec<u8>) -> Answer<Option<KeyDetails>>;
}

/// Reads the server's figures again and again.
pub trait Sampler: Send {
    /// The figures of now, and what has changed since the call before.
    fn sample(&mut self) -> Live;
}

/// Why keys were not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookError {
    /// Not now: the server starts, loads, ends, or a script holds the keyspace.
    NotNow(String),
    /// There is no such database; there are so many.
    NoDatabase(usize),
    /// What was asked for is not understood.
    Refused(String),
}

/// The figures of one moment: one frame of `/live`, in this very form.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Live {
    /// Wall time, milliseconds since 1970.
    pub time_unix_ms: u64,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// This server's own version.
    pub version: String,
    /// The port for clients; 0 when there is none.
    pub port: u16,
    /// Every health check.
    pub checks: Vec<Check>,
    /// What happened since the frame before; none in the first one.
    pub rates: Option<LiveRates>,
    /// Connected clients.
    pub clients: LiveClients,
    /// Memory.
    pub memory: LiveMemory,
    /// Databases that hold keys, the first of them.
    pub databases: Vec<LiveDatabase>,
    /// Databases that hold keys and are not among these.
    pub databases_left_out: usize,
    /// Each worker, by number.
    pub workers: Vec<LiveWorker>,
    /// How long commands took of late.
    pub latency: LiveLatency,
    /// Saves and the append-only file.
    pub persistence: LivePersistence,
    /// The slow log in short.
    pub slow_log: LiveSlowLog,
}

/// What happened, a second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveRates {
    /// Commands that were run.
    pub commands: f64,
    /// Bytes read from clients.
    pub input_bytes: f64,
    /// Bytes written to clients.
    pub output_bytes: f64,
    /// Lookups that found their key.
    pub hits: f64,
    /// Lookups that did not.
    pub misses: f64,
    /// Keys that expired.
    pub expired: f64,
    /// Keys that were evicted.
    pub evicted: f64,
    /// Error replies.
    pub errors: f64,
    /// Connections that came.
    pub connections: f64,
}

/// Clients in short.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveClients {
    /// Connected.
    pub connected: u64,
    /// Waiting in a blocking command.
    pub blocked: u64,
    /// How many there may be.
    pub max: u64,
    /// Connections that came since the start.
    pub received: u64,
}

/// Memory in short, bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LiveMemory {
    /// Asked of the allocator.
    pub used: u64,
    /// The most of it there ever was.
    pub peak: u64,
    /// What holds data.
    pub dataset: u64,
    /// Resident memory of the process.
    pub resident: u64,
    /// `maxmemory`, 0 when there is no limit.
    pub limit: u64,
    /// `maxmemory-policy`.
    pub policy: String,
    /// Memory of the machine.
    pub machine: u64,
}

/// One database.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveDatabase {
    /// Its number.
    pub number: usize,
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expiring: u64,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveWorker {
    /// Connections that live on it.
    pub connections: u64,
    /// The share of the time in which it ran commands, from 0 to 1; none in the first frame.
    pub busy: Option<f64>,
    /// Commands a second; none in the first frame.
    pub commands: Option<f64>,
}

/// How long commands took of late.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LiveLatency {
    /// Over how many seconds the percentiles reach back.
    pub window_s: f64,
    /// All commands together.
    pub all: LivePercentiles,
    /// The commands that ran within the window, those that took most time together first.
    pub commands: Vec<LiveCommand>,
    /// Commands that ran within the window and are not among these.
    pub commands_left_out: usize,
}

/// Percentiles of the window, microseconds; 0 when nothing ran.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LivePercentiles {
    /// Half took no longer.
    pub p50_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
    /// 999 of 1,000 took no longer.
    pub p999_us: f64,
    /// None took longer.
    pub max_us: f64,
}

/// One command.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LiveCommand {
    /// Its name; a subcommand as `client|list`.
    pub name: &'static str,
    /// Calls a second since the frame before.
    pub calls: f64,
    /// The share of all commands' time that it took within the window, from 0 to 1.
    pub share: f64,
    /// Calls that failed or were refused since the start.
    pub errors: u64,
    /// How long it took.
    #[serde(flatten)]
    pub took: LivePercentiles,
}

/// Saves and the append-only file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LivePersistence {
    /// A file is being loaded: how far that is, from 0 to 1.
    pub loading: Option<f64>,
    /// Changes that no save holds yet.
    pub unsaved_changes: u64,
    /// The running save and how the last one ended, as `GET /save` has them.
    #[serde(serialize_with = "as_json")]
    pub save: SaveStatus,
    /// The append-only file, where it is on.
    pub append_only_file: Option<LiveLog>,
}

fn as_json<S: Serializer>(status: &SaveStatus, serializer: S) -> Result<S::Ok, S::Error> {
    save::describe(status).serialize(serializer)
}

/// The append-only file.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveLog {
    /// Bytes of all its files.
    pub bytes: u64,
    /// It is being rewritten.
    pub rewriting: bool,
    /// It cannot be written.
    pub failing: bool,
}

/// The slow log in short.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LiveSlowLog {
    /// Entries that it has.
    pub len: u64,
    /// The number of the newest; 0 without one.
    pub last_id: u64,
}

/// Which clients are wanted.
#[derive(Clone, Debug, Default)]
pub struct WantedClients {
    /// At most so many.
    pub count: usize,
    /// In which order.
    pub order: ClientOrder,
    /// Only those in whose address, name, user, library or command this stands, whatever the case; all when empty.
    pub holding: Vec<u8>,
}

/// In which order clients are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientOrder {
    /// Who came first.
    #[default]
    Id,
    /// Who has been silent longest.
    Idle,
    /// Who takes most memory.
    Memory,
}

/// Clients.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClientList {
    /// How many are connected.
    pub connected: usize,
    /// How many of them were asked for, shown or not.
    pub matching: usize,
    /// Those that are shown.
    pub clients: Vec<ClientRow>,
}

/// One client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientRow {
    /// Its number, as `CLIENT LIST` has it.
    pub id: u64,
    /// Where it comes from.
    pub address: Text,
    /// What it calls itself.
    pub name: Text,
    /// Whose rights it has.
    pub user: Text,
    /// The library that it names, with its version.
    pub library: Text,
    /// The selected database.
    pub database: usize,
    /// Seconds since it came.
    pub age_s: u64,
    /// Seconds since its last command.
    pub idle_s: u64,
    /// Its last command.
    pub command: Option<&'static str>,
    /// What is special about it: `blocked`, `subscriber`, ...
    pub states: Vec<&'static str>,
    /// Bytes that it takes.
    pub memory: usize,
    /// Bytes of replies that it has not taken.
    pub waiting: usize,
    /// The worker that serves it.
    pub worker: usize,
}

/// A setting that is not at its default.
#[derive(Clone, Debug)]
pub struct ChangedSetting {
    /// The setting.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its value without any configuration.
    pub default: String,
}

/// Which keys are wanted.
#[derive(Clone, Debug, Default)]
pub struct WantedKeys {
    /// The database.
    pub database: usize,
    /// A pattern as `SCAN` takes it.
    pub pattern: Vec<u8>,
    /// One type alone, as `TYPE` calls it.
    pub kind: Option<String>,
    /// Where the page before ended; 0 begins.
    pub cursor: u64,
    /// About so many keys.
    pub count: usize,
}

/// Some keys.
#[derive(Clone, Debug, Default)]
pub struct KeyPage {
    /// Where to go on; 0 when all have been seen.
    pub cursor: u64,
    /// How many keys were looked at, at most.
    pub looked_at: u64,
    /// The keys that were found.
    pub keys: Vec<KeyRow>,
}

/// One key.
#[derive(Clone, Debug, Default)]
pub struct KeyRow {
    /// Its name, cut past [`KEPT_NAME`] bytes.
    pub name: Text,
    /// What `TYPE` says.
    pub kind: String,
    /// What `OBJECT ENCODING` says.
    pub encoding: String,
    /// Milliseconds that it has to live; none when it does not expire.
    pub ttl_ms: Option<u64>,
    /// Elements, or bytes of a string.
    pub size: u64,
    /// Bytes that it takes, where counting them is quick.
    pub memory: Option<u64>,
}

/// A name that is longer cannot be asked for by [`Console::look_at_key`].
pub const KEPT_NAME: usize = 2048;

/// A key and what stands first in it.
#[derive(Clone, Debug, Default)]
pub struct KeyDetails {
    /// The key.
    pub key: KeyRow,
    /// The first elements: a string's begin, a list's element, a set's member, field and value, member and
    /// score, or an entry's number, fields and values.
    pub elements: Vec<Vec<Text>>,
}
