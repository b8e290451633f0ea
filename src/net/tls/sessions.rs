//! Sessions that clients may resume: as many as `tls-session-cache-size` says, for as long as
//! `tls-session-cache-timeout` says. Each is held for the same time, so the oldest goes first either way.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::server::StoresServerSessions;

use crate::clock::Clock;

pub(super) struct Sessions {
    clock: Clock,
    most: usize,
    lifetime_ns: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Each with the stamp at which it ends.
    by_key: HashMap<Vec<u8>, (u64, Vec<u8>)>,
    /// The keys in the order of their coming, those that were taken since among them.
    order: VecDeque<(u64, Vec<u8>)>,
}

impl Sessions {
    /// `most` of 0 is no limit.
    pub(super) fn new(clock: Clock, most: u32, lifetime_s: u32) -> Sessions {
        let most = if most == 0 { usize::MAX } else { most as usize };
        Sessions { clock, most, lifetime_ns: u64::from(lifetime_s) * 1_000_000_000, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Drops what has ended, and the oldest while there are more than `most`.
    fn trim(&mut self, now: u64, most: usize) {
        while self.order.front().is_some_and(|(ends, _)| *ends <= now || self.order.len() > most) {
            let Some((ends, key)) = self.order.pop_front() else { return };
            // It may have been taken, or put once more, since.
            if self.by_key.get(&key).is_some_and(|(current, _)| *current == ends) {
                self.by_key.remove(&key);
            }
        }
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let now = self.clock.stamp();
        let ends = now.saturating_add(self.lifetime_ns);
        let mut held = self.lock();
        held.order.push_back((ends, key.clone()));
        held.by_key.insert(key, (ends, value));
        held.trim(now, self.most);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut held = self.lock();
        held.trim(self.clock.stamp(), self.most);
        held.by_key.get(key).map(|(_, value)| value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut held = self.lock();
        held.trim(self.clock.stamp(), self.most);
        held.by_key.remove(key).map(|(_, value)| value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let sessions = Sessions::new(Clock::manual(), 2, 300);
        for key in [b"a", b"b", b"c"] {
            assert!(sessions.put(key.to_vec(), key.to_vec()));
        }
        assert_eq!(sessions.get(b"a"), None);
        assert_eq!(sessions.get(b"b"), Some(b"b".to_vec()));
        assert_eq!(sessions.take(b"c"), Some(b"c".to_vec()));
        assert_eq!(sessions.take(b"c"), None);
    }

    #[test]
    fn none_outlives_its_time() {
        let clock = Clock::manual();
        let sessions = Sessions::new(clock.clone(), 0, 10);
        sessions.put(b"a".to_vec(), vec![1]);
        clock.advance_ms(9_000);
        sessions.put(b"b".to_vec(), vec![2]);
        assert_eq!(sessions.get(b"a"), Some(vec![1]));
        clock.advance_ms(1_000);
        assert_eq!(sessions.get(b"a"), None);
        assert_eq!(sessions.get(b"b"), Some(vec![2]));
        assert_eq!(sessions.lock().order.len(), 1);
    }
}
