//! What the tests of the snapshot share: a record, captures, a save and a load in memory.

mod damage;
mod example;
mod faults;
mod round_trip;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::save::save_as;
use super::*;
use crate::persist::files::Files;
use crate::persist::files::faulty::FaultyFiles;
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;

const PATH: &str = "/d/glasswing.snapshot";
const ID: [u8; 16] = *b"\x01\x02\x03\x04 example id.";

/// A record as a store might have it: nested, with binary strings.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Record {
    key: Vec<u8>,
    expires_unix_ms: Option<u64>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
enum Value {
    Int(i64),
    Text(String),
    Bytes(#[serde(with = "as_bytes")] Vec<u8>),
    List(Vec<Value>),
    Scores(BTreeMap<String, f64>),
    Pair { left: Box<Value>, right: (u8, char) },
    Nothing,
    Wrapped(Wrapped),
}

#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Wrapped(i128);

/// Byte strings in one piece, as the store encodes them.
mod as_bytes {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }
}

fn record(key: &str, value: Value) -> (u32, Record) {
    (0, Record { key: key.as_bytes().to_vec(), expires_unix_ms: None, value })
}

/// Gives `per_step` records a call.
struct Records {
    records: std::vec::IntoIter<(u32, Record)>,
    per_step: usize,
    unlocked: bool,
}

impl Capture for Records {
    fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError> {
        for _ in 0..self.per_step {
            let Some((db, record)) = self.records.next() else { return Ok(Step::Done) };
            if self.unlocked {
                out.push_unlocked(db, &record)?;
            } else {
                out.push(db, &record)?;
            }
        }
        Ok(Step::More)
    }
}

/// Deals the records out to `n` captures.
fn captures(records: &[(u32, Record)], n: usize) -> Vec<Box<dyn Capture>> {
    let deal = |i: usize| -> Box<dyn Capture> {
        let mine: Vec<_> = records.iter().skip(i).step_by(n).cloned().collect();
        Box::new(Records { records: mine.into_iter(), per_step: 1 + i * 3, unlocked: i % 2 == 1 })
    };
    (0..n).map(deal).collect()
}

fn plan(captures: Vec<Box<dyn Capture>>, guard: &Arc<Guard>) -> SavePlan {
    SavePlan {
        path: PATH.into(),
        captures,
        created_unix_ms: 1_700_000_000_000,
        server_version: "0.1.0".into(),
        expected_keys: 3,
        bytes_per_second_limit: None,
        guard: Arc::clone(guard),
    }
}

fn still() -> Progress {
    Progress::new(Box::new(|| 0))
}

fn save_records(
    files: &FaultyFiles,
    guard: &Arc<Guard>,
    records: &[(u32, Record)],
    n: usize,
) -> Result<Saved, SaveError> {
    save_as(ID, plan(captures(records, n), guard), files, &still())
}

fn load_records(files: &dyn Files, threads: usize) -> Result<(Loaded, Vec<(u32, Record)>), LoadError> {
    let all = Mutex::new(Vec::new());
    let loaded = load(Path::new(PATH), files, threads, &still(), |db, record: Record| {
        all.lock().unwrap().push((db, record));
        Ok(())
    })?;
    Ok((loaded, sorted(all.into_inner().unwrap())))
}

fn sorted(mut records: Vec<(u32, Record)>) -> Vec<(u32, Record)> {
    records.sort_by(|a, b| a.partial_cmp(b).unwrap());
    records
}

/// A few small records of two databases.
fn small() -> Vec<(u32, Record)> {
    let mut all = vec![
        record("greeting", Value::Text("hello".into())),
        record("n", Value::Int(-5)),
        record("list", Value::List(vec![Value::Bytes(vec![0, 255]), Value::Nothing])),
    ];
    all[1].0 = 9;
    all[2].1.expires_unix_ms = Some(1_800_000_000_000);
    all
}

/// A disk with a snapshot of these records, and its bytes.
fn disk_with(records: &[(u32, Record)], n: usize) -> (FaultyFiles, Vec<u8>) {
    let files = FaultyFiles::new();
    save_records(&files, &Arc::default(), records, n).unwrap();
    let bytes = files.contents(Path::new(PATH)).unwrap();
    (files, bytes)
}
