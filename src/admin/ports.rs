//! What the admin server needs from the rest: one trait and its plain values.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use crate::observe::metrics::Format;
use crate::observe::trace::Caller;

use super::console::Console;

/// The server as the admin port sees it.
///
/// Every call but the future of [`Control::wait_for_save`] is made on the one
/// thread of the admin server, so it must return within milliseconds: while it
/// runs, no probe is answered. What only reads is called by the thread that makes
/// a bundle, too, at the same time.
pub trait Control: Console {
    /// All metrics as text.
    fn metrics(&self, format: Format) -> String;

    /// Every health check with its present verdict.
    fn checks(&self) -> Vec<Check>;

    /// Starts a save in the background.
    ///
    /// # Errors
    /// [`SaveRefused`] when one runs already or it cannot start.
    fn start_save(&self) -> Result<SaveJob, SaveRefused>;

    /// The save that runs, if one does, and how the last one ended.
    fn save_status(&self) -> SaveStatus;

    /// Ends when the save, or whatever else has this id, has ended, at once when it already has.
    /// The status then has that save's result in `last`.
    fn wait_for_save(&self, job: u64) -> Pin<Box<dyn Future<Output = SaveStatus> + Send>>;

    /// Every setting as name and value, in the order to show them. Secrets are
    /// hidden by whoever implements this.
    fn config(&self) -> Vec<(String, String)>;

    /// The sections of INFO in order.
    fn info(&self) -> Vec<InfoSection>;

    /// The latest entries of the slow log, at most so many, the last one first.
    fn slow_log(&self, count: usize) -> SlowCommands;

    /// What runs here.
    fn version(&self) -> VersionInfo;

    /// Every worker, by number.
    fn worker_states(&self) -> Vec<WorkerState>;

    /// The latest lines of the log, the oldest first, some hundred KiB at most.
    fn recent_log(&self) -> String;

    /// The wall time, milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// Why not every client on this machine may do everything at once, if so: then what shows keys, clients or
    /// settings needs a token.
    fn not_open_because(&self) -> Option<&'static str>;

    /// A request's work panicked and was answered with 500: count it.
    fn panicked(&self);

    /// Begins a trace of a request, in the caller's trace where it said one. It ends when it is dropped.
    fn trace(&self, name: &str, caller: Option<&Caller>) -> Box<dyn RequestTrace>;
}

/// The trace of one request.
pub trait RequestTrace: Send {
    /// Notes which route it was and how it was answered.
    fn answered(&self, method: &str, route: &str, status: u16);
}

/// One health check and the probes that it counts for.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// A short name without spaces: what `?exclude=` takes.
    pub name: &'static str,
    /// Whether all is well.
    pub ok: bool,
    /// Why, in a short sentence. Anybody who reaches the port may read it.
    pub reason: String,
    /// Counts for `/livez`.
    #[serde(skip)]
    pub live: bool,
    /// Counts for `/readyz`.
    #[serde(skip)]
    pub ready: bool,
    /// Counts for `/startupz`.
    #[serde(skip)]
    pub startup: bool,
}

/// A save that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveJob {
    /// Grows with every save of this process.
    pub id: u64,
}

/// Why no save was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveRefused {
    /// One runs already.
    Running(SaveJob),
    /// Something else is being written, and one thing is at a time: its job, and what it is.
    Occupied(SaveJob, &'static str),
    /// What there would be to save is being loaded.
    Loading,
    /// It cannot start, and why.
    Failed(String),
}

/// Where saving stands.
#[derive(Clone, Debug, Default)]
pub struct SaveStatus {
    /// Whether a save runs now.
    pub running: bool,
    /// The save that runs, or else the last one; none before the first.
    pub job: Option<u64>,
    /// How much of the running save is done, from 0 to 1.
    pub share: f64,
    /// Keys written so far by the running save.
    pub keys: u64,
    /// Bytes written so far by the running save.
    pub bytes: u64,
    /// The estimated rest of the running save, in seconds.
    pub seconds_left: Option<f64>,
    /// How the last finished save ended.
    pub last: Option<SaveResult>,
    /// When the last good save ended, in milliseconds since 1970.
    pub last_success_unix_ms: Option<u64>,
}

/// How a save ended.
#[derive(Clone, Debug)]
pub struct SaveResult {
    /// Whether the file is complete and in its place.
    pub ok: bool,
    /// What went wrong, when it did.
    pub error: Option<String>,
    /// The file that was written, or was to be.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Keys in it.
    pub keys: u64,
    /// How long the save took.
    pub seconds: f64,
    /// When it ended, in milliseconds since 1970.
    pub finished_unix_ms: u64,
}

/// A section of INFO.
#[derive(Clone, Debug)]
pub struct InfoSection {
    /// Its name in lower case, as `INFO <name>` takes it.
    pub name: String,
    /// Field and value in order.
    pub fields: Vec<(String, String)>,
}

/// The slow log.
#[derive(Clone, Debug, Default)]
pub struct SlowCommands {
    /// From how many microseconds on a command enters it; negative is never.
    pub slower_than_us: i64,
    /// Entries that it keeps.
    pub max_len: u64,
    /// Entries that it has.
    pub len: usize,
    /// The entries that were asked for.
    pub entries: Vec<SlowCommand>,
}

/// A command that took long.
#[derive(Clone, Debug)]
pub struct SlowCommand {
    /// Unique while the server runs, ascending.
    pub id: u64,
    /// When it ended, seconds since 1970.
    pub unix_s: u64,
    /// How long it ran, microseconds.
    pub duration_us: u64,
    /// The command by its own name, whatever clients call it: `config|set`.
    pub command: &'static str,
    /// Its arguments as text, cut; what is a secret is hidden.
    pub arguments: Vec<String>,
    /// Who sent it.
    pub client: String,
    /// What that client calls itself.
    pub client_name: String,
    /// Waiting for locks, microseconds.
    pub lock_wait_us: f64,
    /// Running, microseconds.
    pub run_us: f64,
    /// Writing the replies of its batch, microseconds; unknown when they left later.
    pub write_us: Option<f64>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerState {
    /// Connections that live on it.
    pub connections: u64,
    /// Commands that it has run since the start or `CONFIG RESETSTAT`.
    pub commands: u64,
    /// Seconds in which it ran commands since then.
    pub busy_s: f64,
    /// Seconds since its loop last turned; none before it runs.
    pub turned_s_ago: Option<f64>,
}

/// What runs here.
#[derive(Clone, Debug)]
pub struct VersionInfo {
    /// This server's own version.
    pub glasswing_version: String,
    /// The version of Redis whose behaviour is matched.
    pub redis_version: String,
    /// The commit or build it was made from.
    pub build: String,
    /// The compiler's version.
    pub rust: String,
}
