//! Who waits for a key, who watches it, and who has it cached. Kept beside the shard's table and guarded by its lock.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use smallvec::SmallVec;

/// Set when a watched key changes. One per client that watches anything.
#[derive(Debug, Default)]
pub struct WatchFlag(AtomicBool);

impl WatchFlag {
    /// Says that a watched key has changed.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a watched key has changed.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const SERVED: u8 = 2;

/// A blocked client as the keyspace sees it: somebody to be served once, by whoever claims it first.
pub struct Waiter {
    state: AtomicU8,
    /// It is to be told as well when the key is gone.
    hears_of_loss: bool,
    /// What the engine needs to serve it.
    pub errand: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter").field("waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}

impl Waiter {
    /// A client that waits.
    pub fn new(errand: Box<dyn Any + Send + Sync>) -> Waiter {
        Waiter { state: AtomicU8::new(WAITING), hears_of_loss: false, errand }
    }

    /// A client that waits, and is to be told as well when a key of its is gone.
    pub fn hearing_of_loss(errand: Box<dyn Any + Send + Sync>) -> Waiter {
        Waiter { hears_of_loss: true, ..Waiter::new(errand) }
    }

    /// Whether it is to be told when a key of its is gone.
    pub fn hears_of_loss(&self) -> bool {
        self.hears_of_loss
    }

    /// Takes the right to answer the client. True for exactly one caller, until [`Waiter::release`].
    pub fn claim(&self) -> bool {
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives the right back: the keys did not suffice after all.
    pub fn release(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// Says that the client has its answer: nobody will claim it again.
    pub fn serve(&self) {
        self.state.store(SERVED, Ordering::Release);
    }

    /// Whether the client has its answer.
    pub fn is_served(&self) -> bool {
        self.state.load(Ordering::Acquire) == SERVED
    }

    /// Whether nobody has claimed it.
    pub fn is_waiting(&self) -> bool {
        self.state.load(Ordering::Acquire) == WAITING
    }
}

/// What hangs on one key.
#[derive(Debug, Default)]
struct KeyHooks {
    watchers: Vec<Arc<WatchFlag>>,
    waiters: VecDeque<Arc<Waiter>>,
    /// How many of the waiters are to be told when the key is gone.
    hearing_of_loss: usize,
}

/// The clients that may have a key's value in a cache of their own, by their id. Most keys have one or two.
type Readers = SmallVec<[u64; 2]>;

impl KeyHooks {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.waiters.is_empty()
    }
}

/// The hooks of one shard, by key.
#[derive(Debug, Default)]
pub struct Hooks {
    keys: HashMap<Box<[u8]>, KeyHooks>,
    /// Apart from the others, since there may be very many.
    readers: HashMap<Box<[u8]>, Readers>,
}

impl Hooks {
    /// Whether nobody waits, watches or caches.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.readers.is_empty()
    }

    /// Raises the flag when `key` changes.
    pub fn watch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        self.keys.entry(key.into()).or_default().watchers.push(Arc::clone(flag));
    }

    /// No longer watches.
    pub fn unwatch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        self.edit(key, |hooks| hooks.watchers.retain(|other| !Arc::ptr_eq(other, flag)));
    }

    /// Puts a client at the end of the key's queue.
    pub fn wait(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        let hooks = self.keys.entry(key.into()).or_default();
        hooks.waiters.push_back(Arc::clone(waiter));
        hooks.hearing_of_loss += usize::from(waiter.hears_of_loss);
    }

    /// Takes a client out of the key's queue.
    pub fn forget(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        // Who leaves was most often served, and so stands near the front.
        self.edit(key, |hooks| {
            if let Some(at) = hooks.waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
                hooks.waiters.remove(at);
                hooks.hearing_of_loss -= usize::from(waiter.hears_of_loss);
            }
        });
    }

    /// The clients that wait for the key, the longest waiting first.
    pub fn waiting(&self, key: &[u8]) -> Vec<Arc<Waiter>> {
        self.keys.get(key).map_or_else(Vec::new, |hooks| hooks.waiters.iter().cloned().collect())
    }

    /// The client at a place of the key's queue, 0 being the longest waiting.
    pub fn waiter(&self, key: &[u8], place: usize) -> Option<Arc<Waiter>> {
        self.keys.get(key)?.waiters.get(place).cloned()
    }

    /// Whether anybody who waits for the key is to be told when it is gone.
    pub fn hears_of_loss(&self, key: &[u8]) -> bool {
        self.keys.get(key).is_some_and(|hooks| hooks.hearing_of_loss > 0)
    }

    /// Says that the key changed: raises its watchers' flags. True when clients wait for it.
    pub fn changed(&self, key: &[u8]) -> bool {
        let Some(hooks) = self.keys.get(key) else { return false };
        hooks.watchers.iter().for_each(|flag| flag.raise());
        !hooks.waiters.is_empty()
    }

    /// Notes that a client may have the key cached. Whether it is news, and whether the key had no reader before.
    pub fn track(&mut self, key: &[u8], reader: u64) -> (bool, bool) {
        let Some(readers) = self.readers.get_mut(key) else {
            self.readers.insert(key.into(), SmallVec::from_slice(&[reader]));
            return (true, true);
        };
        // Sorted: a key may have thousands.
        let place = readers.binary_search(&reader);
        if let Err(place) = place {
            readers.insert(place, reader);
        }
        (place.is_err(), false)
    }

    /// Takes those who may have the key cached: what they have is no longer so.
    pub fn take_readers(&mut self, key: &[u8]) -> Vec<u64> {
        self.readers.remove(key).map_or_else(Vec::new, SmallVec::into_vec)
    }

    /// The same of up to `count` keys.
    pub fn take_some_readers(&mut self, count: usize) -> Vec<(Box<[u8]>, Vec<u64>)> {
        if count >= self.readers.len() {
            let all = std::mem::take(&mut self.readers);
            return all.into_iter().map(|(key, readers)| (key, readers.into_vec())).collect();
        }
        let keys: Vec<Box<[u8]>> = self.readers.keys().take(count).cloned().collect();
        keys.into_iter()
            .map(|key| {
                let readers = self.take_readers(&key);
                (key, readers)
            })
            .collect()
    }

    /// All keys that anybody waits for or watches.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.keys().map(|key| &key[..])
    }

    fn edit(&mut self, key: &[u8], change: impl FnOnce(&mut KeyHooks)) {
        if let Some(hooks) = self.keys.get_mut(key) {
            change(hooks);
            if hooks.is_empty() {
                self.keys.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter() -> Arc<Waiter> {
        Arc::new(Waiter::new(Box::new(())))
    }

    #[test]
    fn a_waiter_is_claimed_once_and_served_for_good() {
        let waiter = waiter();
        assert!(waiter.claim() && !waiter.claim() && !waiter.is_served());
        waiter.release();
        assert!(waiter.is_waiting() && waiter.claim());
        waiter.serve();
        assert!(waiter.is_served() && !waiter.is_waiting() && !waiter.claim());
    }

    #[test]
    fn readers_are_entered_once_and_taken_once() {
        let mut hooks = Hooks::default();
        assert_eq!(hooks.track(b"k", 1), (true, true));
        assert_eq!(hooks.track(b"k", 1), (false, false));
        assert_eq!(hooks.track(b"k", 2), (true, false));
        assert_eq!(hooks.track(b"l", 2), (true, true));
        assert!(hooks.keys().next().is_none() && !hooks.is_empty());
        assert_eq!(hooks.take_readers(b"k"), [1, 2]);
        assert!(hooks.take_readers(b"k").is_empty());
        assert_eq!(hooks.take_some_readers(5), [(b"l"[..].into(), vec![2])]);
        assert!(hooks.is_empty());
    }

    #[test]
    fn a_queue_keeps_its_order_when_somebody_leaves() {
        let (mut hooks, all) = (Hooks::default(), [waiter(), waiter(), waiter()]);
        all.iter().for_each(|waiter| hooks.wait(b"k", waiter));
        hooks.forget(b"k", &all[1]);
        let is = |place, waiter: &Arc<Waiter>| {
            hooks.waiter(b"k", place).is_some_and(|found| Arc::ptr_eq(&found, waiter))
        };
        assert!(is(0, &all[0]) && is(1, &all[2]));
        assert!(hooks.waiter(b"k", 2).is_none() && hooks.waiter(b"other", 0).is_none());
        assert!(hooks.changed(b"k") && !hooks.changed(b"other"));
        hooks.forget(b"k", &all[0]);
        hooks.forget(b"k", &all[2]);
        assert!(hooks.is_empty());
    }
}
