//! What a snapshot's record is: one key with its value, and the walk of the store that yields them.
//!
//! A record says what a value is, never how it is laid out in memory: the same file can be read by any
//! later layout.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::data::{Hash, List, Set, SortedSet, Stream};
use crate::store::{Arrival, Entry, LoadedValue, Moment, Object, Placed, Store, Str, Walker};

use super::snapshot::{BlockWriter, Capture, LoadError, SaveError, Step};

/// Bytes that serde treats as one string, not as a sequence of numbers.
#[derive(Debug)]
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The same, read back.
#[derive(Debug)]
struct OwnedBytes(Vec<u8>);

impl<'de> Deserialize<'de> for OwnedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OwnedBytes, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = OwnedBytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<OwnedBytes, E> {
                Ok(OwnedBytes(bytes))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<OwnedBytes, E> {
                Ok(OwnedBytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Read)
    }
}

/// A value as it is written. The order of the variants is the format: add at the end only.
#[derive(Debug, serde::Serialize)]
enum ValueRef<'a> {
    Int(i64),
    Bytes(Bytes<'a>),
    List(&'a List),
    Set(&'a Set),
    Hash(&'a Hash),
    SortedSet(&'a SortedSet),
    Stream(&'a Stream),
    Library(Bytes<'a>),
}

/// A value as it is read.
#[derive(Debug, serde::Deserialize)]
enum Value {
    Int(i64),
    Bytes(OwnedBytes),
    List(List),
    Set(Set),
    Hash(Hash),
    SortedSet(SortedSet),
    Stream(Stream),
    Library(OwnedBytes),
}

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A key, as the store took it.
    Key(Placed),
    /// No key: the code of a library of functions.
    Library(Vec<u8>),
}

/// A key as it is written.
#[derive(Debug, serde::Serialize)]
struct RecordRef<'a> {
    key: Bytes<'a>,
    expire_at_ms: Option<u64>,
    usage_bits: u32,
    value: ValueRef<'a>,
}

/// A key as it is read.
#[derive(Debug, serde::Deserialize)]
pub struct Record {
    key: OwnedBytes,
    expire_at_ms: Option<u64>,
    usage_bits: u32,
    value: Value,
}

impl<'a> RecordRef<'a> {
    fn of(entry: &'a Entry) -> RecordRef<'a> {
        let value = match (entry.as_str(), entry.as_object()) {
            (Some(Str::Int(number)), _) => ValueRef::Int(number),
            (Some(Str::Bytes(bytes)), _) => ValueRef::Bytes(Bytes(bytes)),
            (None, Some(Object::List(list))) => ValueRef::List(list),
            (None, Some(Object::Set(set))) => ValueRef::Set(set),
            (None, Some(Object::Hash(hash))) => ValueRef::Hash(hash),
            (None, Some(Object::SortedSet(sorted))) => ValueRef::SortedSet(sorted),
            (None, Some(Object::Stream(stream))) => ValueRef::Stream(stream),
            (None, None) => ValueRef::Bytes(Bytes(b"")),
        };
        RecordRef {
            key: Bytes(entry.key()),
            expire_at_ms: entry.expire_at_ms(),
            usage_bits: entry.lru(),
            value,
        }
    }
}

impl Record {
    /// What it is: a type of value, or a library of functions.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Int(_) | Value::Bytes(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
            Value::SortedSet(_) => "zset",
            Value::Stream(_) => "stream",
            Value::Library(_) => "library",
        }
    }

    /// Whether it expires.
    pub fn expires(&self) -> bool {
        self.expire_at_ms.is_some()
    }

    /// Puts the key into the store. With `replace` it takes the place of one of its name, which is an error
    /// otherwise.
    pub fn put(self, store: &Store, moment: Moment, number: u32, replace: bool) -> Result<Taken, LoadError> {
        if number as usize >= store.databases() {
            return Err(LoadError::refused(format!(
                "the file holds keys of database {number}, and there are only {}: raise `databases`",
                store.databases()
            )));
        }
        let value = match self.value {
            Value::Int(number) => LoadedValue::Int(number),
            Value::Bytes(bytes) => LoadedValue::Bytes(bytes.0),
            Value::List(list) => LoadedValue::Object(Object::List(list)),
            Value::Set(set) => LoadedValue::Object(Object::Set(set)),
            Value::Hash(hash) => LoadedValue::Object(Object::Hash(hash)),
            Value::SortedSet(sorted) => LoadedValue::Object(Object::SortedSet(sorted)),
            Value::Stream(stream) => LoadedValue::Object(Object::Stream(stream)),
            Value::Library(code) => return Ok(Taken::Library(code.0)),
        };
        if let LoadedValue::Object(object) = &value
            && object.is_empty()
        {
            return Err(LoadError::refused("a collection without elements".to_owned()));
        }
        let usage_bits = Some(self.usage_bits & 0xFF_FFFF);
        let arrival = Arrival { expire_at_ms: self.expire_at_ms, usage_bits, replace, keep_expired: false };
        match store.place_key(moment, number as usize, &self.key.0, value, arrival) {
            Placed::Taken => Err(LoadError::refused(format!(
                "the key '{}' of database {number} is there already",
                self.key.0.escape_ascii()
            ))),
            placed => Ok(Taken::Key(placed)),
        }
    }
}

/// Encoded bytes that one step leaves in memory before they are handed to the file's writer.
const STEP_BYTES: usize = 128 * 1024;

/// One thread's walk over the store as a source of records.
#[derive(Debug)]
pub struct WalkerCapture(pub Walker);

impl Capture for WalkerCapture {
    fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError> {
        loop {
            let mut failed = None;
            let more = self.0.step(|number, entry| {
                if let Err(error) = out.push(number as u32, &RecordRef::of(entry)) {
                    failed.get_or_insert(error);
                }
            });
            match failed {
                Some(error) => return Err(error),
                None if !more => return Ok(Step::Done),
                None if out.pending_bytes() >= STEP_BYTES => return Ok(Step::More),
                None => {}
            }
        }
    }
}

/// The libraries of functions as a source of records.
#[derive(Debug)]
pub struct LibraryCapture(pub Vec<Vec<u8>>);

impl Capture for LibraryCapture {
    fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError> {
        let Some(code) = self.0.pop() else { return Ok(Step::Done) };
        let value = ValueRef::Library(Bytes(&code));
        out.push(0, &RecordRef { key: Bytes(b""), expire_at_ms: None, usage_bits: 0, value })?;
        Ok(Step::More)
    }
}
