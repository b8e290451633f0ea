//! The model: what the keyspace should hold, kept in a map of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::store::{
    Capture, Entry, Expiry, Key, KeyHasher, Moment, Store, StoreOptions, Str, Usage, View, Walker,
};

/// A value and when it expires.
pub(super) type Held = (Vec<u8>, Option<u64>);

/// What a save sees, by key.
type Picture = BTreeMap<Vec<u8>, Held>;

/// A store with the model beside it. Every method changes both and compares what they answer.
pub(super) struct Twin {
    pub(super) store: Arc<Store>,
    pub(super) model: HashMap<Vec<u8>, Held>,
    pub(super) now_ms: u64,
    usage: Usage,
    save: Option<Save>,
}

/// A save in progress: what it should see, and what it has seen.
struct Save {
    capture: Arc<Capture>,
    walker: Walker,
    expected: Picture,
    seen: Picture,
}

/// The text of a string as a client sees it.
pub(super) fn text(value: Str<'_>) -> Vec<u8> {
    match value {
        Str::Int(number) => number.to_string().into_bytes(),
        Str::Bytes(bytes) => bytes.to_vec(),
    }
}

fn held(entry: &Entry) -> Held {
    (entry.as_str().map(text).expect("only strings are stored here"), entry.expire_at_ms())
}

impl Twin {
    /// An empty store of two shards.
    pub(super) fn new(usage: Usage) -> Twin {
        let options = StoreOptions { databases: 1, shards: 2 };
        let store = Arc::new(Store::with_hasher(&options, KeyHasher::with_key(&[7; 16])));
        Twin { store, model: HashMap::new(), now_ms: 1_000_000, usage, save: None }
    }

    /// Runs one unit of work on one key, locked as a command's would be.
    pub(super) fn unit<R>(&self, key: &[u8], work: impl FnOnce(&mut View<'_>, Key<'_>) -> R) -> R {
        let hash = self.store.hash(key);
        let mut view = self.store.view_one(self.moment(), 0, hash);
        work(&mut view, Key { bytes: key, hash })
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { usage: self.usage, ..Moment::at(self.now_ms) }
    }

    /// The model's value of a key that is alive.
    pub(super) fn live(&self, key: &[u8]) -> Option<&Held> {
        self.model.get(key).filter(|held| held.1.is_none_or(|at| at > self.now_ms))
    }

    fn resolved(&self, key: &[u8], expiry: Expiry) -> Option<u64> {
        match expiry {
            Expiry::Keep => self.live(key).and_then(|held| held.1),
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        }
    }

    pub(super) fn set(&mut self, key: &[u8], value: Str<'_>, expiry: Expiry) {
        self.unit(key, |view, key| view.set_string(key, value, expiry));
        self.model.insert(key.to_vec(), (text(value), self.resolved(key, expiry)));
    }

    pub(super) fn set_bytes(&mut self, key: &[u8], value: Vec<u8>, expiry: Expiry) {
        self.unit(key, |view, key| view.set_bytes(key, value.clone(), expiry));
        self.model.insert(key.to_vec(), (value, self.resolved(key, expiry)));
    }

    /// Adds to a number; what is none stays as it is.
    pub(super) fn add(&mut self, key: &[u8], by: i64) {
        let parsed = |value: &[u8]| crate::data::parse_i64(value);
        let before = self.live(key).cloned();
        let expected = before.as_ref().map_or(Some(0), |held| parsed(&held.0)).map(|number| number + by);
        let got = self.unit(key, |view, key| {
            view.change_int(key, |value| {
                let number = value.map_or(Some(0), |value| parsed(&text(value)));
                number.map(|number| number + by).ok_or(crate::store::WrongType)
            })
        });
        assert_eq!(got.ok(), expected);
        if let Some(number) = expected {
            self.model
                .insert(key.to_vec(), (number.to_string().into_bytes(), before.and_then(|held| held.1)));
        }
    }

    /// Writes `part` at `offset`; at the end of the string when there is none.
    pub(super) fn edit(&mut self, key: &[u8], offset: Option<usize>, part: &[u8]) {
        let (mut value, expiry) = self.live(key).cloned().unwrap_or_default();
        let offset = offset.unwrap_or(value.len());
        let end = offset + part.len();
        value.resize(value.len().max(end), 0);
        value[offset..end].copy_from_slice(part);
        let shown = self.unit(key, |view, key| {
            view.edit_string(key, end, |bytes| {
                bytes[offset..end].copy_from_slice(part);
                bytes.to_vec()
            })
        });
        assert_eq!(shown.as_ref(), Ok(&value));
        self.model.insert(key.to_vec(), (value, expiry));
    }

    pub(super) fn expire_at(&mut self, key: &[u8], at: Option<u64>) {
        let found = self.unit(key, |view, key| view.expire_at(key, at));
        assert_eq!(found, self.live(key).is_some());
        if found && let Some(held) = self.model.get_mut(key) {
            held.1 = at;
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let removed = self.unit(key, |view, key| view.remove(key));
        assert_eq!(removed, self.live(key).is_some());
        self.model.remove(key);
    }

    /// Moves a value with its expiry under another key.
    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) {
        let keys = [(0, self.store.hash(from)), (0, self.store.hash(to))];
        let mut view = self.store.view_many(self.moment(), 0, &keys);
        let (source, target) = (view.key(from), view.key(to));
        let taken = view.take(source);
        assert_eq!(taken.as_ref().map(held).as_ref(), self.live(from));
        if let Some(entry) = taken {
            let expiry = entry.expire_at_ms();
            view.put(target, entry, expiry);
        }
        drop(view);
        if let Some(moved) = self.live(from).cloned() {
            self.model.remove(from);
            self.model.insert(to.to_vec(), moved);
        }
    }

    /// Begins a save, or, if one is on, takes a step of it. A save that has come to its end must have
    /// seen exactly what was there when it began.
    pub(super) fn save(&mut self) {
        let Some(mut save) = self.save.take() else {
            let capture = self.store.begin_capture();
            let walker = capture.walker();
            let expected = self.model.iter().map(|(key, held)| (key.clone(), held.clone())).collect();
            self.save = Some(Save { capture, walker, expected, seen: Picture::new() });
            return;
        };
        let seen = &mut save.seen;
        let more = save.walker.step(|_, entry| {
            let twice = seen.insert(entry.key().to_vec(), held(entry));
            assert_eq!(twice, None, "an entry is saved once");
        });
        if more {
            self.save = Some(save);
            return;
        }
        save.capture.finish(true);
        // What had expired when the save began may have been removed or not: it is of no account.
        for (key, held) in &save.expected {
            assert!(save.seen.get(key) == Some(held) || held.1.is_some_and(|at| at <= self.now_ms));
        }
        assert!(save.seen.iter().all(|(key, held)| save.expected.get(key) == Some(held)));
    }

    /// Compares everything: each key, what a walk shows, the counts, and the shards' own account.
    pub(super) fn check(&mut self, keys: &[Vec<u8>]) {
        for key in keys {
            let found = self.unit(key, |view, key| view.peek(key).map(held));
            assert_eq!(found.as_ref(), self.live(key), "key of {} bytes", key.len());
        }
        // Every expired key has been looked at and so removed.
        let now = self.now_ms;
        self.model.retain(|_, held| held.1.is_none_or(|at| at > now));
        let counts = self.store.counts(0);
        assert_eq!(counts.keys, self.model.len());
        assert_eq!(counts.expiring, self.model.values().filter(|held| held.1.is_some()).count());
        let mut walked = HashMap::new();
        self.store.view_whole(self.moment(), 0).each(|entry| {
            walked.insert(entry.key().to_vec(), held(entry));
        });
        assert_eq!(walked, self.model);
        self.check_due_times();
    }

    /// No entry may expire before its shard expects one to.
    pub(super) fn check_due_times(&self) {
        for shard in 0..self.store.shards() {
            let guard = self.store.lock(0, shard);
            let due = guard.side().next_due_ms;
            let entries = (0..guard.slots()).filter_map(|slot| guard.get(slot));
            assert!(entries.filter_map(Entry::expire_at_ms).all(|at| due <= at));
        }
    }
}
