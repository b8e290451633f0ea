//! What commands ask of the rest of the server, as traits that the engine and `app` implement. So a
//! handler can be tested with a few lines of fake, and no command knows a socket or a file.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::observe::{Figures, Stats};

use super::client::Client;

/// The rest of the server.
pub trait Server: Send + Sync {
    /// Connected clients.
    fn clients(&self) -> &dyn Clients;
    /// The configuration.
    fn config(&self) -> &Config;
    /// Applies changed settings where they matter outside the engine.
    fn apply_config(
        &self,
        old: &crate::config::Settings,
        new: &crate::config::Settings,
        changed: &[&'static crate::config::Row],
    ) -> Result<(), crate::config::ApplyError>;
    /// Counters and histograms.
    fn stats(&self) -> &Stats;
    /// The clock.
    fn clock(&self) -> &Clock;
    /// Saving.
    fn saves(&self) -> &dyn Saves;
    /// What is not counted but asked for: what INFO and MEMORY STATS show beside the counters.
    /// Called without the keyspace held, or with all of it, or with some shards inside EXEC.
    fn figures(&self) -> Figures;
    /// A handle that work on another thread can keep (SAVE, SHUTDOWN, DEBUG RELOAD).
    fn shared(&self) -> Arc<dyn Server>;
    /// Whether the data set is being loaded.
    fn is_loading(&self) -> bool;
    /// Asks the server to end. Returns only when it cannot.
    fn shutdown(&self, how: Shutdown) -> Result<(), String>;
    /// Gives up an end that is under way (SHUTDOWN ABORT). False when there is none to give up.
    fn abort_shutdown(&self) -> bool;
    /// Stops this thread for a while (DEBUG SLEEP).
    fn sleep(&self, time: Duration);
    /// Turns the active expiry on or off (DEBUG SET-ACTIVE-EXPIRE).
    fn set_active_expiry(&self, on: bool);
    /// Loads the snapshot anew over an emptied keyspace (DEBUG RELOAD). Takes the keyspace itself.
    fn reload(&self, save_first: bool) -> Result<(), String>;
    /// The 40 hexadecimal digits that name this run.
    fn run_id(&self) -> &str;
    /// Draws another name for the data set (DEBUG CHANGE-REPL-ID): `Figures::replication_id`.
    fn change_replication_id(&self);
}

/// Connected clients.
pub trait Clients: Send + Sync {
    /// All of them, by ascending id.
    fn all(&self) -> Vec<Arc<Client>>;
    /// One of them.
    fn find(&self, id: u64) -> Option<Arc<Client>>;
    /// Holds back writes, or all commands, until a time in milliseconds since 1970.
    fn pause(&self, writes_only: bool, until_ms: u64);
    /// Ends the pause.
    fn unpause(&self);
    /// What is held back now, if anything.
    fn paused(&self, now_ms: u64) -> Option<Pause>;
}

/// What CLIENT PAUSE holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Commands that write.
    Writes,
    /// All commands.
    All,
}

/// Saving, as SAVE, BGSAVE, LASTSAVE and DEBUG see it.
pub trait Saves: Send + Sync {
    /// Saves and waits for the end. The text of an error says why it failed.
    fn save(&self) -> Result<(), SaveRefusal>;
    /// Starts to save and returns.
    fn start(&self, schedule: bool) -> Result<Started, SaveRefusal>;
    /// When the last good save ended, seconds since 1970.
    fn last_save_unix_s(&self) -> u64;
    /// Whether a save is running.
    fn running(&self) -> bool;
    /// FLUSHALL has emptied every database: a running save is of no use any more and ends. Whether the
    /// emptiness is to be saved, which it is if save points are set. The caller holds the whole
    /// keyspace, so it cannot save before it has let go.
    fn flushed(&self) -> bool;
    /// Saves and waits for the end. A save that runs already is ended first: what it saves is gone.
    fn save_flushed(&self);
}

/// How a background save began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    Now,
    /// It will run after what runs now.
    Scheduled,
}

/// Why there is no save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveRefusal {
    /// One runs already.
    Running,
    /// It failed.
    Failed(String),
}

/// How the server is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// `Some(true)` saves in any case, `Some(false)` never, `None` if save points are set.
    pub save: Option<bool>,
    /// Waits for nobody.
    pub now: bool,
    /// Ends even if the save fails.
    pub force: bool,
}
