//! Filling the store from a file, by several threads at once.

use super::entry::{Entry, Meta, Str};
use super::keyspace::Store;
use super::object::Object;
use super::view::{Key, Moment};

/// A value read from a file.
#[derive(Debug)]
pub enum LoadedValue {
    /// A string that is a number.
    Int(i64),
    /// Any other string.
    Bytes(Vec<u8>),
    /// A collection.
    Object(Object),
}

/// Why a value in Redis's format was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpError {
    /// It is of a newer version, or damaged.
    Footer,
    /// It is no value.
    Value,
}

/// What became of a key that was read from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is there.
    New,
    /// It is there in place of one that was there.
    Replaced,
    /// It had expired and was left out.
    Expired,
    /// Another of its name is there, and stays.
    Taken,
}

/// What comes with a key that is read from a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// When it expires.
    pub expire_at_ms: Option<u64>,
    /// The LRU clock or LFU counter; of a new key if there are none.
    pub usage_bits: Option<u32>,
    /// It takes the place of one of its name.
    pub replace: bool,
    /// It is put in even if it has expired.
    pub keep_expired: bool,
}

impl LoadedValue {
    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadedValue::Int(_) | LoadedValue::Bytes(_) => "string",
            LoadedValue::Object(Object::List(_)) => "list",
            LoadedValue::Object(Object::Set(_)) => "set",
            LoadedValue::Object(Object::Hash(_)) => "hash",
            LoadedValue::Object(Object::SortedSet(_)) => "zset",
            LoadedValue::Object(Object::Stream(_)) => "stream",
        }
    }

    /// An entry of this value. The key and the rest of the header follow when it is put into the store.
    pub fn into_entry(self) -> Entry {
        let meta = Meta::default();
        match self {
            LoadedValue::Int(number) => Entry::string(b"", Str::Int(number), meta),
            LoadedValue::Bytes(bytes) if bytes.len() <= super::MAX_INLINE => {
                Entry::string(b"", Str::Bytes(&bytes), meta)
            }
            LoadedValue::Bytes(bytes) => Entry::large(b"", bytes, meta),
            LoadedValue::Object(object) => Entry::object(b"", object, meta),
        }
    }
}

impl Store {
    /// Puts a key that was read from a file into the store. A key that has expired at `moment` is
    /// left out. `usage_bits` are the LRU clock or LFU counter, if the file has them.
    pub fn load_key(
        &self,
        moment: Moment,
        number: usize,
        key: &[u8],
        value: LoadedValue,
        expire_at_ms: Option<u64>,
        usage_bits: Option<u32>,
    ) -> bool {
        let arrival = Arrival { expire_at_ms, usage_bits, replace: true, keep_expired: false };
        self.place_key(moment, number, key, value, arrival) != Placed::Expired
    }

    /// Puts a key that was read from a file into the store, as `arrival` says.
    pub fn place_key(
        &self,
        moment: Moment,
        number: usize,
        key: &[u8],
        value: LoadedValue,
        arrival: Arrival,
    ) -> Placed {
        if !arrival.keep_expired && arrival.expire_at_ms.is_some_and(|at| at <= moment.now_ms) {
            return Placed::Expired;
        }
        let hash = self.hash(key);
        let mut view = self.view_one(moment, number, hash);
        let meta = Meta {
            expire_at_ms: arrival.expire_at_ms,
            lru: arrival.usage_bits.unwrap_or_else(|| moment.usage.fresh(moment.now_ms)),
            epoch: view.epoch.current,
        };
        let entry = match value {
            LoadedValue::Int(number) => Entry::string(key, Str::Int(number), meta),
            LoadedValue::Bytes(bytes) if bytes.len() <= super::MAX_INLINE => {
                Entry::string(key, Str::Bytes(&bytes), meta)
            }
            LoadedValue::Bytes(bytes) => Entry::large(key, bytes, meta),
            LoadedValue::Object(object) => Entry::object(key, object, meta),
        };
        let key = Key { bytes: key, hash };
        match view.find(key) {
            Some(place) if arrival.replace => {
                view.replace(place, entry);
                Placed::Replaced
            }
            Some(_) => Placed::Taken,
            None => {
                view.insert(key, entry);
                Placed::New
            }
        }
    }
}
