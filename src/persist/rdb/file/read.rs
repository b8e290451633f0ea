//! One load: this thread cuts the file into keys, others make values of them.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::error::{ReadError, What};
use super::scan::{Part, Raw, Scanner};
use super::source::Source;
use crate::data::ValueLimits;
use crate::persist::progress::Progress;
use crate::persist::rdb::payload::told;
use crate::persist::rdb::primitive::Reader;
use crate::persist::rdb::{Malformed, decode};
use crate::store::LoadedValue;

/// Bytes, and keys, that are handed over together.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_KEYS: usize = 512;
/// Batches that may wait, per thread.
const WAITING: usize = 2;
/// So many keys without elements are kept by name.
const EMPTY_KEYS_NAMED: usize = 10;

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many threads make values; with one, the calling thread does it.
    pub threads: usize,
    /// In which form values are stored.
    pub limits: ValueLimits,
    /// Whether the checksum is compared.
    pub checksum: bool,
}

/// A key that was read.
#[derive(Debug)]
pub struct Item {
    /// The number of its database.
    pub database: u64,
    /// Its name.
    pub key: Vec<u8>,
    /// What it holds.
    pub value: LoadedValue,
    /// When it expires, milliseconds since 1970.
    pub expire_at_ms: Option<u64>,
    /// For how many seconds it was not used, if the file says so.
    pub idle_s: Option<u64>,
    /// How often it is used, as the counter of LFU, if the file says so.
    pub frequency: Option<u8>,
}

/// What a file says beside its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The version of the format.
    pub version: u16,
    /// Facts about the writer.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// The code of each library of functions.
    pub libraries: Vec<Vec<u8>>,
    /// Keys that were given on.
    pub keys: u64,
    /// Keys of collections without elements, which are left out as Redis does.
    pub empty: u64,
    /// The names of the first of them.
    pub empty_keys: Vec<Vec<u8>>,
    /// Bytes from the first to the last that belong to it: something else may follow.
    pub bytes: u64,
    /// Whether it has a checksum.
    pub has_checksum: bool,
}

/// What is found before the keys, while it is read.
#[derive(Debug)]
pub enum Found<'a> {
    /// A fact about the writer.
    Aux(&'a [u8], &'a [u8]),
    /// The code of a library of functions.
    Library(&'a [u8]),
}

/// Reads a file from `source` to its end mark and not a byte further than that needs (but for what is buffered),
/// and gives every key to `insert`, from several threads at once and in no order.
///
/// `insert` says no with [`ReadError::refused`]. After an error what was inserted is to be thrown away.
///
/// # Errors
/// [`ReadError`], which names the place.
pub fn read(
    source: &mut dyn Read,
    options: &Options,
    progress: &Progress,
    found: &mut dyn FnMut(Found<'_>),
    insert: &(dyn Fn(Item) -> Result<(), ReadError> + Sync),
) -> Result<Contents, ReadError> {
    let mut scanner = Scanner::new(Source::new(source))?;
    let shared = Shared { options, progress, insert, outcome: Mutex::default() };
    let mut contents = Contents { version: scanner.version, ..Contents::default() };
    let scanned = if options.threads <= 1 {
        scan(&mut scanner, &mut contents, &shared, found, &mut |batch| {
            shared.work(batch);
            !shared.failed()
        })
    } else {
        let (sender, receiver) = sync_channel(options.threads * WAITING);
        let receiver = Mutex::new(receiver);
        thread::scope(|scope| {
            let (receiver, shared) = (&receiver, &shared);
            let started: Vec<_> = (0..options.threads)
                .map(|number| {
                    let thread = thread::Builder::new().name(format!("load-{number}"));
                    thread.spawn_scoped(scope, move || shared.work_all(receiver))
                })
                .filter_map(Result::ok)
                .collect();
            let here = started.is_empty();
            let scanned = scan(&mut scanner, &mut contents, shared, found, &mut |batch| {
                if here {
                    shared.work(batch);
                } else if sender.send(batch).is_err() {
                    return false;
                }
                !shared.failed()
            });
            // The threads end once nothing can come any more.
            drop(sender);
            scanned
        })
    };
    let outcome = shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A key that could not be read stands before whatever the scanner met.
    if let Some(error) = outcome.error {
        return Err(error);
    }
    scanned?;
    contents.has_checksum = scanner.end(options.checksum)?;
    contents.bytes = scanner.source.offset;
    (contents.keys, contents.empty, contents.empty_keys) = (outcome.keys, outcome.empty, outcome.empty_keys);
    Ok(contents)
}

/// Reads the parts of a file up to the end mark. `give` says whether to go on.
fn scan(
    scanner: &mut Scanner<'_>,
    contents: &mut Contents,
    shared: &Shared<'_>,
    found: &mut dyn FnMut(Found<'_>),
    give: &mut dyn FnMut(Vec<Raw>) -> bool,
) -> Result<(), ReadError> {
    let (mut batch, mut bytes, mut counted) = (Vec::new(), 0, 0);
    loop {
        match scanner.next()? {
            Part::Key(raw) => {
                bytes += raw.value.len() + raw.key.len();
                batch.push(raw);
            }
            Part::Aux(name, value) => {
                found(Found::Aux(&name, &value));
                contents.aux.push((name, value));
            }
            Part::Library(code) => {
                found(Found::Library(&code));
                contents.libraries.push(code);
            }
            Part::End => break,
        }
        if bytes >= BATCH_BYTES || batch.len() >= BATCH_KEYS {
            shared.progress.add_bytes(scanner.source.offset - counted);
            (bytes, counted) = (0, scanner.source.offset);
            if shared.progress.is_cancelled() {
                return Err(ReadError::new(scanner.source.offset, What::Cancelled));
            }
            if !give(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
    }
    shared.progress.add_bytes(scanner.source.offset - counted);
    if !batch.is_empty() {
        give(batch);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Outcome {
    error: Option<ReadError>,
    keys: u64,
    empty: u64,
    empty_keys: Vec<Vec<u8>>,
}

struct Shared<'a> {
    options: &'a Options,
    progress: &'a Progress,
    insert: &'a (dyn Fn(Item) -> Result<(), ReadError> + Sync),
    outcome: Mutex<Outcome>,
}

impl Shared<'_> {
    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> bool {
        self.outcome().error.is_some()
    }

    fn work_all(&self, receiver: &Mutex<Receiver<Vec<Raw>>>) {
        loop {
            let received = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match received {
                // After a failure the rest is taken and dropped, so that nobody waits for room.
                Ok(batch) => self.work(batch),
                Err(_) => return,
            }
        }
    }

    fn work(&self, batch: Vec<Raw>) {
        if self.failed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.keys(batch)));
        let text = || ReadError::new(0, What::Panicked("see the log".to_owned()));
        if let Err(error) = result.unwrap_or_else(|_| Err(text())) {
            let mut outcome = self.outcome();
            if outcome.error.as_ref().is_none_or(|known| error.offset < known.offset) {
                outcome.error = Some(error);
            }
        }
    }

    fn keys(&self, batch: Vec<Raw>) -> Result<(), ReadError> {
        let mut keys = 0;
        for raw in batch {
            if self.progress.is_cancelled() {
                return Err(ReadError::new(raw.offset, What::Cancelled));
            }
            keys += u64::from(self.key(raw)?);
        }
        self.progress.add_keys(keys);
        self.outcome().keys += keys;
        Ok(())
    }

    /// False for a key that is left out.
    fn key(&self, raw: Raw) -> Result<bool, ReadError> {
        let value = match decode(&mut Reader::new(&raw.value), &self.options.limits) {
            Ok(value) => value,
            Err(Malformed::Empty) => {
                let mut outcome = self.outcome();
                outcome.empty += 1;
                if outcome.empty_keys.len() < EMPTY_KEYS_NAMED {
                    outcome.empty_keys.push(raw.key);
                }
                return Ok(false);
            }
            Err(error) => {
                let what = What::Value { key: raw.key, why: told(raw.value.first().copied(), error) };
                return Err(ReadError::new(raw.offset, what));
            }
        };
        let item = Item {
            database: raw.database,
            key: raw.key,
            value,
            // -1 stands for none; any other time before 1970 has passed.
            expire_at_ms: raw.expire_at_ms.filter(|&at| at != -1).map(|at| u64::try_from(at).unwrap_or(0)),
            idle_s: raw.idle_s,
            frequency: raw.frequency,
        };
        (self.insert)(item).map_err(|error| ReadError::new(raw.offset, error.what))?;
        Ok(true)
    }
}
