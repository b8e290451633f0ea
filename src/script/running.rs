//! What runs now: known to the worker that runs it, and, once it takes long, to all.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::strand::{self, Resumed};

use super::current;
use super::random::Random;

/// A run that is past `busy-reply-threshold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusyRun {
    /// It is a function of a library, and no script.
    pub function: bool,
    /// The function's name, or the script's SHA-1 in 40 hexadecimal digits.
    pub name: String,
    /// When it began.
    pub began: Stamp,
    /// It has written: it cannot be killed any more.
    pub wrote: bool,
}

/// A run that takes long, as everybody may see it.
#[derive(Debug)]
pub(super) struct Long {
    pub(super) function: bool,
    pub(super) name: String,
    pub(super) command: Vec<Vec<u8>>,
    pub(super) began: Stamp,
    /// It has written: it cannot be killed any more.
    pub(super) wrote: AtomicBool,
    /// It is to end.
    pub(super) kill: AtomicBool,
    /// It is past `busy-reply-threshold`.
    pub(super) busy: AtomicBool,
}

/// The runs that take long. There is at most one, since scripts have the keyspace for themselves.
#[derive(Debug, Default)]
pub(super) struct LongRuns(Mutex<Option<Arc<Long>>>);

impl LongRuns {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Long>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Option<Arc<Long>> {
        self.lock().clone()
    }
}

/// One worker's watch over what it runs.
pub(super) struct Watch {
    clock: Clock,
    config: Config,
    runs: Arc<LongRuns>,
    /// `math.random`.
    pub(super) random: Random,
    /// Whether a script runs: KEYS and the like have a meaning.
    pub(super) active: Cell<bool>,
    pub(super) function: Cell<bool>,
    pub(super) read_only: Cell<bool>,
    pub(super) resp3: Cell<bool>,
    pub(super) wrote: Cell<bool>,
    /// It may take memory though there is none (`allow-oom`).
    pub(super) allow_oom: Cell<bool>,
    pub(super) name: RefCell<String>,
    command: RefCell<Vec<Vec<u8>>>,
    began: Cell<Stamp>,
    long: RefCell<Option<Arc<Long>>>,
    killed: Cell<bool>,
    /// It is tried with its declared keys.
    pub(super) on_trial: Cell<bool>,
    /// It has come to nothing, because it takes long.
    pub(super) gave_up: Cell<bool>,
    /// When the code of a library that is being loaded has to have ended.
    load_until: Cell<Option<Stamp>>,
}

/// Why a run has to end before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody asked for it.
    Killed,
    /// A trial has to end.
    GaveUp,
    /// A library takes too long to register its functions.
    LoadTimeout,
}

/// How long a library may take to register its functions, nanoseconds: Redis's limit.
const LOAD_LIMIT_NS: u64 = 500_000_000;

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn new(clock: Clock, config: Config, runs: Arc<LongRuns>) -> Watch {
        Watch {
            clock,
            config,
            runs,
            random: Random::default(),
            active: Cell::new(false),
            function: Cell::new(false),
            read_only: Cell::new(false),
            resp3: Cell::new(false),
            wrote: Cell::new(false),
            allow_oom: Cell::new(false),
            name: RefCell::default(),
            command: RefCell::default(),
            began: Cell::new(0),
            long: RefCell::default(),
            killed: Cell::new(false),
            on_trial: Cell::new(false),
            gave_up: Cell::new(false),
            load_until: Cell::new(None),
        }
    }

    /// Bytes that one state may hold.
    pub(super) fn memory_limit(&self) -> usize {
        usize::try_from(self.config.current().lua_memory_limit_bytes).unwrap_or(usize::MAX)
    }

    /// Whether scripts get what Redis no longer gives them.
    pub(super) fn deprecated_api(&self) -> bool {
        self.config.current().lua_enable_deprecated_api
    }

    /// The code of a library begins to run.
    pub(super) fn begin_load(&self) {
        self.load_until.set(Some(self.clock.stamp() + LOAD_LIMIT_NS));
    }

    /// It has ended.
    pub(super) fn end_load(&self) {
        self.load_until.set(None);
    }

    /// A run begins.
    pub(super) fn begin(&self, name: &str, function: bool, read_only: bool) {
        self.active.set(true);
        self.function.set(function);
        self.read_only.set(read_only);
        self.resp3.set(false);
        self.wrote.set(false);
        self.allow_oom.set(false);
        self.began.set(self.clock.stamp());
        let mut own = self.name.borrow_mut();
        own.clear();
        own.push_str(name);
    }

    /// The words of the command, which FUNCTION STATS shows.
    pub(super) fn called_by<'a>(&self, words: impl Iterator<Item = &'a [u8]>) {
        let mut command = self.command.borrow_mut();
        command.clear();
        command.extend(words.map(<[u8]>::to_vec));
    }

    /// The run has ended.
    pub(super) fn end(&self) {
        self.active.set(false);
        if self.long.borrow_mut().take().is_some() {
            *self.runs.lock() = None;
        }
    }

    /// Notes a write of the script.
    pub(super) fn note_write(&self) {
        self.wrote.set(true);
        if let Some(long) = &*self.long.borrow() {
            long.wrote.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn was_killed(&self) -> bool {
        self.killed.get()
    }

    pub(super) fn reset_kill(&self) {
        self.killed.set(false);
    }

    /// Looks at the time, and says whether the run is to end.
    pub(super) fn look(&self) -> Option<Ending> {
        if let Some(until) = self.load_until.get() {
            if self.clock.stamp() < until {
                return None;
            }
            self.killed.set(true);
            return Some(Ending::LoadTimeout);
        }
        if self.active.get() && self.on_trial.get() {
            // Others wait for its keys: it goes on where it can be interrupted.
            self.gave_up.set(true);
            self.killed.set(true);
            return Some(Ending::GaveUp);
        }
        let threshold_ms = self.config.current().busy_reply_threshold_ms;
        if threshold_ms == 0 || !self.active.get() {
            return None;
        }
        let took_ms = self.clock.stamp().saturating_sub(self.began.get()) / 1_000_000;
        let mut held = self.long.borrow_mut();
        let long = held.get_or_insert_with(|| {
            let long = Arc::new(Long {
                function: self.function.get(),
                name: self.name.borrow().clone(),
                command: self.command.borrow().clone(),
                began: self.began.get(),
                wrote: AtomicBool::new(self.wrote.get()),
                kill: AtomicBool::new(false),
                busy: AtomicBool::new(false),
            });
            *self.runs.lock() = Some(Arc::clone(&long));
            long
        });
        if took_ms >= threshold_ms && !long.busy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "Slow script detected: still in execution after {took_ms} milliseconds. You can try killing the \
                 script using the {} command. Script name is: {}.",
                if long.function { "FUNCTION KILL" } else { "SCRIPT KILL" },
                long.name
            );
        }
        let busy = took_ms >= threshold_ms;
        let killed = Arc::clone(long);
        drop(held);
        // The worker's other clients are to be told, and one of them may be the one that kills.
        if busy && current::apart(strand::pause) == Some(Resumed::End) {
            self.killed.set(true);
        }
        if killed.kill.load(Ordering::Relaxed) {
            self.killed.set(true);
        }
        self.killed.get().then_some(Ending::Killed)
    }
}
