//! A unit of blocks to records: whole blocks from memory, chains as they are read.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::chain::Chain;
use super::error::LoadError;
use super::format::{MAX_PAYLOAD_BYTES, RUN_LEN, Run};
use super::index::Place;
use crate::persist::files::Handle;
use crate::persist::progress::Progress;

/// bincode's limit for a record within one block. bincode counts an integer at the width
/// of its type, up to 16 bytes, where the encoding may take one: so the limit is sixteen
/// times the block. What a wrong length can ask for at most is this much address space for
/// a moment; that the bytes are there is checked before any of it is touched.
const WHOLE_LIMIT: usize = 16 * MAX_PAYLOAD_BYTES;

/// One loader: reads units of a file and gives their records to `insert`.
pub(super) struct Loader<'a, F> {
    pub file: &'a dyn Handle,
    pub path: &'a Path,
    pub progress: &'a Progress,
    pub insert: &'a F,
    pub payload: Vec<u8>,
    pub keys: std::collections::BTreeMap<u32, u64>,
}

impl<F> Loader<'_, F> {
    /// Loads a block of whole records, or the chain of one record.
    pub(super) fn unit<D>(&mut self, unit: &[Place]) -> Result<(), LoadError>
    where
        D: DeserializeOwned,
        F: Fn(u32, D) -> Result<(), LoadError>,
    {
        match unit {
            [place] => self.whole(place),
            [first, ..] => self.chain(first, unit),
            [] => Ok(()),
        }
    }

    fn whole<D>(&mut self, place: &Place) -> Result<(), LoadError>
    where
        D: DeserializeOwned,
        F: Fn(u32, D) -> Result<(), LoadError>,
    {
        let mut payload = std::mem::take(&mut self.payload);
        let runs = read_payload(self.file, self.path, place, &mut payload)?;
        let mut rest = payload.as_slice();
        let config = bincode::config::standard().with_limit::<WHOLE_LIMIT>();
        for run in runs {
            for _ in 0..run.count {
                let at = place.payload_offset() + (payload.len() - rest.len()) as u64;
                let bad = |what: &str| LoadError::damaged(self.path, at, Some(place.number), what);
                let (record, used) = bincode::serde::decode_from_slice::<D, _>(rest, config)
                    .map_err(|e| bad(&format!("a record cannot be decoded ({e})")))?;
                if used == 0 {
                    return Err(bad("a record takes no bytes"));
                }
                rest = rest.get(used..).unwrap_or_default();
                let inserted = (self.insert)(run.db, record);
                inserted.map_err(|e| e.placed(self.path, place.offset, place.number))?;
            }
            self.progress.add_keys(u64::from(run.count));
            *self.keys.entry(run.db).or_default() += u64::from(run.count);
        }
        if !rest.is_empty() {
            let at = place.payload_offset() + (payload.len() - rest.len()) as u64;
            return Err(LoadError::damaged(
                self.path,
                at,
                Some(place.number),
                "there are bytes after the last record",
            ));
        }
        self.progress.add_bytes(place.payload_offset() - place.offset + u64::from(place.header.payload_len));
        self.payload = payload;
        Ok(())
    }

    fn chain<D>(&mut self, first: &Place, unit: &[Place]) -> Result<(), LoadError>
    where
        D: DeserializeOwned,
        F: Fn(u32, D) -> Result<(), LoadError>,
    {
        let (file, path, progress) = (self.file, self.path, self.progress);
        let mut db = 0;
        let mut fetch = |place: &Place, buffer: &mut Vec<u8>| {
            if progress.is_cancelled() {
                return Err(LoadError::Cancelled);
            }
            if let [run] = read_payload(file, path, place, buffer)?.as_slice() {
                db = run.db;
            }
            progress.add_bytes(place.payload_offset() - place.offset + u64::from(place.header.payload_len));
            Ok(())
        };
        let runs_len = first.header.runs as u64 * RUN_LEN as u64;
        let all: u64 = unit.iter().map(|place| u64::from(place.header.payload_len)).sum();
        let decoded = Chain::new(unit, all - runs_len, &mut fetch).decode::<D>();
        let record = decoded.map_err(|e| match e {
            Ok(what) => LoadError::damaged(path, first.offset, Some(first.number), what),
            Err(e) => e,
        })?;
        (self.insert)(db, record).map_err(|e| e.placed(path, first.offset, first.number))?;
        progress.add_keys(1);
        *self.keys.entry(db).or_default() += 1;
        Ok(())
    }
}

/// Reads a payload, checks it, and takes the runs off its end.
fn read_payload(
    file: &dyn Handle,
    path: &Path,
    place: &Place,
    payload: &mut Vec<u8>,
) -> Result<Vec<Run>, LoadError> {
    let bad = |what: &str| LoadError::damaged(path, place.offset, Some(place.number), what);
    payload.resize(place.header.payload_len as usize, 0);
    let read = file.read_exact_at(payload, place.payload_offset());
    read.map_err(|e| LoadError::io(path, place.payload_offset(), e))?;
    if crc32fast::hash(payload) != place.header.payload_crc {
        return Err(bad("the block's checksum does not match"));
    }
    let records_len = payload.len().checked_sub(place.header.runs as usize * RUN_LEN);
    let (records_len, runs) = records_len
        .and_then(|n| payload.get(n..).map(|tail| (n, Run::decode_all(tail).collect::<Vec<_>>())))
        .ok_or_else(|| bad("the block has more runs than bytes"))?;
    payload.truncate(records_len);
    let records: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
    if records != u64::from(place.header.records) {
        return Err(bad("the block's runs do not add up to its records"));
    }
    Ok(runs)
}
