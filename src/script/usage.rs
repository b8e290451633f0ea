//! What scripts and functions take, for INFO and the metrics.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many scripts and functions there are, and the bytes that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptUsage {
    /// Scripts that are kept.
    pub scripts: usize,
    /// Their text and its table.
    pub script_bytes: usize,
    /// The workers' Lua states for scripts.
    pub script_state_bytes: usize,
    /// Libraries.
    pub libraries: usize,
    /// Functions of all libraries.
    pub functions: usize,
    /// The libraries' code and what was registered.
    pub library_bytes: usize,
    /// The workers' Lua states for functions.
    pub function_state_bytes: usize,
}

/// The bytes of Lua states of several threads. Each state writes its own; one that is gone counts no more.
#[derive(Debug, Default)]
pub(super) struct StateBytes(Mutex<Vec<Weak<AtomicUsize>>>);

impl StateBytes {
    /// The place where one more state writes how much it holds.
    pub(super) fn join(&self) -> Arc<AtomicUsize> {
        let place = Arc::new(AtomicUsize::new(0));
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        place
    }

    /// What all of them hold.
    pub(super) fn total(&self) -> usize {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().filter_map(Weak::upgrade).map(|place| place.load(Ordering::Relaxed)).sum()
    }
}
