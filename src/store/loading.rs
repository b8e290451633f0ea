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

impl LoadedValue {
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
        if expire_at_ms.is_some_and(|at| at <= moment.now_ms) {
            return false;
        }
        let hash = self.hash(key);
        let mut view = self.view_one(moment, number, hash);
        let meta = Meta {
            expire_at_ms,
            lru: usage_bits.unwrap_or_else(|| moment.usage.fresh(moment.now_ms)),
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
            Some(place) => view.replace(place, entry),
            None => {
                view.insert(key, entry);
            }
        }
        true
    }
}
