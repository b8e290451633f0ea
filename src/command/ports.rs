//! What commands ask of the rest of the server, as traits that the engine and `app` implement. So a
//! handler can be tested with a few lines of fake, and no command knows a socket or a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::acl::{Acl, User};
use crate::clock::Clock;
use crate::config::Config;
use crate::data::ValueLimits;
use crate::observe::{Figures, Stats};
use crate::store::{DumpError, Entry, LoadedValue, WatchFlag};

use super::client::Client;
use super::row::Flags;
use super::{Args, CommandError, Context, Outcome};

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
    /// Sets what INFO counts to zero (CONFIG RESETSTAT).
    fn reset_statistics(&self) {
        self.stats().reset();
    }
    /// Whether traces are sent anywhere.
    fn is_traced(&self) -> bool {
        false
    }
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
    /// Why nothing may be written now, if nothing may: what is written could not be kept.
    fn denies_writes(&self) -> Option<CommandError> {
        None
    }
    /// Asks the server to end. Returns only when it cannot.
    fn shutdown(&self, how: Shutdown) -> Result<(), String>;
    /// Gives up an end that is under way (SHUTDOWN ABORT). False when there is none to give up.
    fn abort_shutdown(&self) -> bool;
    /// Stops this thread for a while (DEBUG SLEEP).
    fn sleep(&self, time: Duration);
    /// Turns the active expiry on or off (DEBUG SET-ACTIVE-EXPIRE).
    fn set_active_expiry(&self, on: bool);
    /// What DEBUG switches on and off.
    fn switches(&self) -> &Switches;
    /// Makes each write of the append-only file wait for so long first (DEBUG AOF-FLUSH-SLEEP).
    fn delay_log(&self, time: Duration);
    /// Loads the snapshot anew (DEBUG RELOAD). Takes the keyspace itself.
    fn reload(&self, how: Reload) -> Result<(), String>;
    /// Empties the keyspace and repeats what the append-only file says (DEBUG LOADAOF). Takes the keyspace itself.
    fn reload_log(&self) -> Result<(), String>;
    /// Users and what they may do.
    fn acl(&self) -> &Arc<Acl>;
    /// Replaces all users by those of `aclfile`, and gives those that are gone.
    fn load_users(&self) -> Result<Vec<Arc<User>>, String>;
    /// Writes all users to `aclfile`.
    fn save_users(&self) -> Result<(), String>;
    /// Channels and who listens to them.
    fn pubsub(&self) -> &crate::pubsub::PubSub;
    /// What HOTKEYS counts.
    fn hot_keys(&self) -> &Arc<super::hot_keys::HotKeys>;
    /// Who caches keys, and hears of their changes.
    fn tracking(&self) -> &super::tracking::Tracking;
    /// The stream of what happens, and who follows it.
    fn replication(&self) -> &crate::replica::Replication;
    /// Begins the full synchronizations that are due.
    fn begin_syncs(&self);
    /// Scripts and functions.
    fn scripts(&self) -> &dyn Scripts;
    /// Values in Redis's own format.
    fn dumps(&self) -> &dyn Dumps;
    /// The way to other servers, to keep for work on another thread.
    fn migrations(&self) -> Arc<dyn Migrations>;
    /// The 40 hexadecimal digits that name this run.
    fn run_id(&self) -> &str;
    /// Draws another name for the data set (DEBUG CHANGE-REPL-ID): `Figures::replication_id`.
    fn change_replication_id(&self);
}

/// What DEBUG switches on and off, so that tests reach what the server otherwise keeps from them.
#[derive(Debug, Default)]
pub struct Switches {
    /// SET-SKIP-CHECKSUM-VALIDATION.
    skips_checksums: AtomicBool,
    /// PAUSE-CRON.
    pauses_chores: AtomicBool,
}

impl Switches {
    /// Whether what is restored or loaded is taken with a wrong checksum, too.
    pub fn skips_checksums(&self) -> bool {
        self.skips_checksums.load(Ordering::Relaxed)
    }

    /// Takes what has a wrong checksum, or no longer.
    pub fn skip_checksums(&self, on: bool) {
        self.skips_checksums.store(on, Ordering::Relaxed);
    }

    /// Whether what is done ten times a second rests.
    pub fn pauses_chores(&self) -> bool {
        self.pauses_chores.load(Ordering::Relaxed)
    }

    /// Lets what is done ten times a second rest, or go on.
    pub fn pause_chores(&self, on: bool) {
        self.pauses_chores.store(on, Ordering::Relaxed);
    }
}

/// Values in Redis's own format, for DUMP, RESTORE and MIGRATE.
pub trait Dumps: Send + Sync {
    /// An entry's value with a version and a checksum; long strings in it are compressed on demand.
    fn dump(&self, entry: &Entry, compress: bool) -> Vec<u8>;
    /// The value of what `dump` gave, here or in a Redis. `limits` decide how it is stored.
    fn restore(&self, payload: &[u8], limits: &ValueLimits) -> Result<LoadedValue, DumpError>;
    /// The code of libraries as FUNCTION DUMP answers it.
    fn dump_libraries(&self, codes: &[&[u8]]) -> Vec<u8>;
    /// The code of each library in what `dump_libraries` gave, here or in a Redis.
    fn restore_libraries(&self, payload: &[u8]) -> Result<Vec<Vec<u8>>, DumpError>;
}

/// Sending keys to another server (MIGRATE).
pub trait Migrations: Send + Sync {
    /// Sends requests over a connection of their own and waits for a line of reply to each.
    fn send(&self, to: &Destination, requests: &[Vec<Vec<u8>>]) -> Sent;
    /// Ends the watch over keys that were sent, and removes those of them that nobody has changed since
    /// and that are acknowledged, by their index. Says of each whether it was unchanged.
    fn depart(&self, database: usize, keys: &[Departing], acknowledged: &dyn Fn(usize) -> bool) -> Vec<bool>;
}

/// Another server.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The longest wait for each step.
    pub timeout: Duration,
}

/// A key on its way to another server.
#[derive(Debug)]
pub struct Departing {
    /// The key.
    pub key: Vec<u8>,
    /// Raised when it changes.
    pub changed: Arc<WatchFlag>,
}

/// What became of requests to another server.
#[derive(Debug, Default)]
pub struct Sent {
    /// The replies that came, in order: an error by its text.
    pub replies: Vec<Result<(), String>>,
    /// Why there are not as many as requests.
    pub failure: Option<SendFailure>,
}

impl Sent {
    /// Whether the request at `index` was answered without an error, and so were the `opening` first ones,
    /// without which it was not what was meant.
    pub fn accepted(&self, opening: usize, index: usize) -> bool {
        let is_ok = |index: usize| self.replies.get(index).is_some_and(Result::is_ok);
        (0..opening).all(is_ok) && is_ok(index)
    }
}

/// At which step another server was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// It cannot be reached.
    Connecting,
    /// It does not take the requests.
    Writing,
    /// It does not answer.
    Reading,
}

/// Connected clients.
pub trait Clients: Send + Sync {
    /// All of them, by ascending id.
    fn all(&self) -> Vec<Arc<Client>>;
    /// One of them.
    fn find(&self, id: u64) -> Option<Arc<Client>>;
    /// What others have sent to it has made it take more: if all clients together are limited, it counts at once.
    fn count_anew(&self, client: &Client);
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
    /// Saves and waits for the end, after a rewrite of the append-only file if there is one. The text of an error says
    /// why it failed.
    fn save(&self) -> Result<(), SaveRefusal>;
    /// Starts to save and returns.
    fn start(&self, schedule: bool) -> Result<Started, SaveRefusal>;
    /// Starts to rewrite the append-only file, or schedules it when something else runs or `schedule` says so.
    fn rewrite(&self, schedule: bool) -> Result<Started, SaveRefusal>;
    /// When the last good save ended, seconds since 1970.
    fn last_save_unix_s(&self) -> u64;
    /// Whether a save is running: the snapshot's, or what a replica begins with.
    fn running(&self) -> bool;
    /// FLUSHALL has emptied every database: a running save is of no use any more and ends. Whether the
    /// emptiness is to be saved, which it is if save points are set. The caller holds the whole
    /// keyspace, so it cannot save before it has let go.
    fn flushed(&self) -> bool;
    /// Saves and waits for the end. A save that runs already is ended first: what it saves is gone.
    fn save_flushed(&self);
}

/// Where the code that EVAL and its like run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptSource {
    /// EVAL: the code itself is given.
    Body,
    /// EVALSHA: its SHA-1 in 40 hexadecimal digits.
    Sha,
    /// FCALL: the name of a function in a library.
    Function,
}

/// One call of a script or function.
#[derive(Clone, Debug)]
pub struct ScriptCall<'a> {
    /// What `what` is.
    pub source: ScriptSource,
    /// The code, its SHA-1, or a function's name.
    pub what: &'a [u8],
    /// How many of the remaining arguments are keys.
    pub keys: usize,
    /// The command's arguments; the cursor stands before the first key.
    pub args: Args<'a>,
    /// It was called by a command that allows no writes.
    pub read_only: bool,
}

/// What becomes of the libraries that are there when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreLibraries {
    /// They go.
    Flush,
    /// They stay, and none may have a name that comes.
    Append,
    /// They stay unless one comes that has the same name.
    Replace,
}

/// A library as FUNCTION LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// The code it was loaded from, with its first line.
    pub code: Vec<u8>,
    /// Its functions by name.
    pub functions: Vec<LibraryFunction>,
}

/// A function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryFunction {
    /// Its name.
    pub name: String,
    /// What its author says about it.
    pub description: Option<Vec<u8>>,
    /// Its flags, as they are written.
    pub flags: Vec<&'static str>,
}

/// A function that runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningFunction {
    /// Its name.
    pub name: String,
    /// The words of the command that called it.
    pub command: Vec<Vec<u8>>,
    /// For how long it has been running.
    pub duration_ms: u64,
}

/// Scripts and functions, as their commands see them.
pub trait Scripts: Send + Sync {
    /// The flags of a call whose row has `flags`, as the code that it runs says of itself what it does. Code that
    /// says nothing, or is not known, leaves them as they are.
    fn flags(&self, _source: ScriptSource, _what: &[u8], flags: Flags) -> Flags {
        flags
    }
    /// Runs one; its reply is written to the context.
    fn run(&self, ctx: &mut Context<'_>, call: ScriptCall<'_>) -> Outcome;
    /// Compiles a script and keeps it. Gives its SHA-1 in hexadecimal digits.
    fn load_script(&self, body: &[u8]) -> Result<String, CommandError>;
    /// Whether a script with this SHA-1 is kept.
    fn has_script(&self, sha: &[u8]) -> bool;
    /// Forgets all scripts.
    fn flush_scripts(&self);
    /// Frees what this thread still has of scripts that are forgotten. Each worker calls it now and then.
    fn tidy(&self) {}
    /// Loads a library. Gives its name.
    fn load_library(&self, code: &[u8], replace: bool) -> Result<String, CommandError>;
    /// Removes a library. False when there is none of this name.
    fn delete_library(&self, name: &[u8]) -> bool;
    /// Loads libraries from their code, all or none.
    fn restore_libraries(&self, codes: &[Vec<u8>], how: RestoreLibraries) -> Result<(), CommandError>;
    /// Removes all libraries.
    fn flush_libraries(&self);
    /// All libraries by name.
    fn libraries(&self) -> Vec<Library>;
    /// Whether there is a function of this name.
    fn has_function(&self, name: &[u8]) -> bool;
    /// The function that runs now; an error while a script runs.
    fn running_function(&self) -> Result<Option<RunningFunction>, CommandError>;
    /// Stops the script, or the function, that runs now.
    fn kill(&self, function: bool) -> Result<(), CommandError>;
    /// Whether commands may refuse to be called by scripts, which they may unless DEBUG says otherwise.
    fn denies_commands(&self) -> bool {
        true
    }
    /// Scripts may call any command, or not (DEBUG SET-DISABLE-DENY-SCRIPTS).
    fn allow_all_commands(&self, _on: bool) {}
    /// What others are told while a script runs for longer than `busy-reply-threshold`.
    fn busy(&self) -> Option<CommandError>;
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
    /// The append-only file is being rewritten: there is one job at a time.
    Rewriting,
    /// It failed.
    Failed(String),
}

/// How the snapshot is loaded anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// It is saved before.
    pub save: bool,
    /// The keyspace and the libraries are emptied before.
    pub flush: bool,
    /// What is loaded takes the place of what has the same name; without it that is an error.
    pub merge: bool,
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
