//! What the workers' Lua states hold, for whoever asks from another thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
    pub(super) fn total(&self) -> u64 {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().filter_map(Weak::upgrade).map(|place| place.load(Ordering::Relaxed)).sum::<usize>()
            as u64
    }
}
