//! One save: captures on threads of their own, one thread that appends their blocks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use super::error::{SaveError, panic_text};
use super::format::{
    BLOCK_HEADER_LEN, BlockHeader, FORMAT_VERSION, FileHeader, KIND_TRAILER, MAX_PAYLOAD_BYTES, SnapshotId,
    TRAILER_STREAM, Trailer, UNFINISHED,
};
use super::write::{Block, BlockWriter, Stream, empty};
use crate::persist::files::{Files, Handle, Identity};
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;
use crate::persist::replace::Replacement;

/// Data is brought to the disk every so many bytes, so that the last sync is short and the
/// page cache never holds much that is not written: other files of the disk are synced
/// meanwhile, and would wait for it.
const SYNC_EVERY_BYTES: u64 = 32 << 20;
/// Blocks that may wait for the disk, per saver.
const WAITING_BLOCKS: usize = 2;
/// Buffers that lie ready for what one `next` encodes.
const SPARE_BUFFERS: usize = 2;
/// How long a saver under a speed limit sleeps before it looks whether it was cancelled.
const NAP_MS: u64 = 20;

/// A source of records: the store's view of a part of its keys at the save's instant.
pub trait Capture: Send {
    /// Gives some records (inside, locks are held as briefly as the store likes), or says
    /// that there are no more. Blocks leave for the disk between two calls.
    ///
    /// # Errors
    /// Any error ends the save.
    fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError>;
}

/// Whether a capture has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call again.
    More,
    /// That was all.
    Done,
}

/// What to save, and where.
pub struct SavePlan {
    /// The file to write or replace.
    pub path: PathBuf,
    /// The sources; each runs on a thread of its own.
    pub captures: Vec<Box<dyn Capture>>,
    /// The instant of the save, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The version of this server; up to 40 bytes of it are kept.
    pub server_version: String,
    /// How many keys there are, as far as known: for the progress only.
    pub expected_keys: u64,
    /// The most bytes to write in a second; `None` for as fast as it goes.
    pub bytes_per_second_limit: Option<u64>,
    /// Which files this server may replace.
    pub guard: Arc<Guard>,
}

/// A save that is on the disk.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Keys in the file.
    pub keys: u64,
    /// The file's length.
    pub bytes: u64,
    /// Blocks in the file, without the trailer.
    pub blocks: u64,
    /// The random number that tells this snapshot from all others.
    pub id: [u8; 16],
    /// The file as the guard remembers it.
    pub identity: Identity,
}

/// Writes a snapshot and puts it in the place of the old one. Blocks until it is on the
/// disk. The calling thread does the file's work; each capture has its own thread.
///
/// # Errors
/// [`SaveError`]; the old file is as it was then, and nothing else stays behind.
pub fn save(plan: SavePlan, files: &dyn Files, progress: &Progress) -> Result<Saved, SaveError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|e| SaveError::io("draw a random id for", &plan.path, e.into()))?;
    save_as(id, plan, files, progress)
}

pub(super) fn save_as(
    id: SnapshotId,
    plan: SavePlan,
    files: &dyn Files,
    progress: &Progress,
) -> Result<Saved, SaveError> {
    if plan.captures.len() >= usize::from(TRAILER_STREAM) {
        return Err(SaveError::TooManyCaptures(plan.captures.len()));
    }
    progress.begin(plan.expected_keys, 0);
    let tag = id.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let replacement = Replacement::create(files, &plan.guard, &plan.path, tag)?;
    let header = FileHeader {
        version: FORMAT_VERSION,
        created_unix_ms: plan.created_unix_ms,
        id,
        keys: UNFINISHED,
        server_version: plan.server_version,
    };
    let limit = plan.bytes_per_second_limit;
    let mut appender =
        Appender::begin(replacement.handle(), replacement.temporary(), header, limit, progress)?;
    let databases = run_captures(plan.captures, &mut appender)?;
    let (keys, blocks, bytes) = appender.finish(databases)?;
    if progress.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    let identity = replacement.commit()?;
    progress.finish();
    Ok(Saved { keys, bytes, blocks, id, identity })
}

/// What the savers and the appender share.
struct Shared<'a> {
    id: SnapshotId,
    progress: &'a Progress,
    /// Somebody failed: everybody else may stop.
    stop: AtomicBool,
    /// Buffers that were written and can be filled again.
    used: Mutex<Vec<Vec<u8>>>,
}

impl Shared<'_> {
    fn check(&self) -> Result<(), SaveError> {
        let over = self.progress.is_cancelled() || self.stop.load(Ordering::Relaxed);
        if over { Err(SaveError::Cancelled) } else { Ok(()) }
    }

    fn reuse(&self) -> Option<Vec<u8>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, mut buffer: Vec<u8>, most: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() < most {
            empty(&mut buffer);
            used.push(buffer);
        }
    }
}

type Counts = BTreeMap<u32, u64>;

/// Runs all captures to their end and appends what they give. Keys per database.
fn run_captures(captures: Vec<Box<dyn Capture>>, appender: &mut Appender<'_>) -> Result<Counts, SaveError> {
    let shared = Shared {
        id: appender.header.id,
        progress: appender.progress,
        stop: AtomicBool::new(false),
        used: Mutex::new(Vec::new()),
    };
    let waiting = captures.len().max(1) * WAITING_BLOCKS;
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(waiting);
        let mut savers = Vec::new();
        let mut result = Ok(());
        for (number, capture) in captures.into_iter().enumerate() {
            let (sender, shared) = (sender.clone(), &shared);
            let thread = thread::Builder::new().name(format!("save-{number}"));
            let saver =
                thread.spawn_scoped(scope, move || run_capture(capture, number as u16, sender, shared));
            match saver {
                Ok(saver) => savers.push(saver),
                Err(e) => {
                    shared.stop.store(true, Ordering::Relaxed);
                    result = Err(SaveError::io("start a thread to save", appender.path, e));
                    break;
                }
            }
        }
        drop(sender);
        // The receiver goes away with this call: a saver that waits for room then ends too.
        let result = result.and_then(|()| appender.append_all(receiver, &shared, waiting * 2));
        if result.is_err() {
            shared.stop.store(true, Ordering::Relaxed);
        }
        merge(savers, result)
    })
}

/// Waits for the savers. A failure is told before the cancellations that follow from it.
fn merge(
    savers: Vec<ScopedJoinHandle<'_, Result<Counts, SaveError>>>,
    appended: Result<(), SaveError>,
) -> Result<Counts, SaveError> {
    let mut counts = Counts::new();
    let mut first = appended.err();
    for saver in savers {
        let ended = saver.join().unwrap_or_else(|panic| Err(SaveError::Panicked(panic_text(panic.as_ref()))));
        match ended {
            Ok(part) => part.into_iter().for_each(|(db, keys)| *counts.entry(db).or_default() += keys),
            Err(e) if matches!(first, None | Some(SaveError::Cancelled)) => first = Some(e),
            Err(_) => {}
        }
    }
    first.map_or(Ok(counts), Err)
}

/// One saver's thread.
fn run_capture(
    mut capture: Box<dyn Capture>,
    number: u16,
    sender: SyncSender<Block>,
    shared: &Shared<'_>,
) -> Result<Counts, SaveError> {
    // Also when the capture panics, the others are told.
    let alarm = Alarm(shared);
    let mut send = |mut block: Block| {
        shared.check()?;
        shared.progress.add_keys(u64::from(block.header.records));
        block.seal(&shared.id);
        sender.send(block).map_err(|_| SaveError::Cancelled)
    };
    let mut stream = Stream::new(number);
    loop {
        shared.check()?;
        stream.stock(SPARE_BUFFERS, || shared.reuse());
        let step = capture.next(&mut BlockWriter::new(&mut stream, &mut send))?;
        if step == Step::Done {
            stream.end();
        }
        while let Some(block) = stream.take_finished() {
            send(block)?;
        }
        if step == Step::Done {
            std::mem::forget(alarm);
            return Ok(stream.into_keys());
        }
    }
}

/// Stops the save when dropped.
struct Alarm<'a>(&'a Shared<'a>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes the file from front to back, and the header once more at the end.
struct Appender<'a> {
    file: &'a dyn Handle,
    path: &'a Path,
    header: FileHeader,
    progress: &'a Progress,
    bytes_per_second_limit: Option<u64>,
    begun_ms: u64,
    written: u64,
    synced: u64,
    blocks: u64,
    block_headers: crc32fast::Hasher,
}

impl<'a> Appender<'a> {
    fn begin(
        file: &'a dyn Handle,
        path: &'a Path,
        header: FileHeader,
        bytes_per_second_limit: Option<u64>,
        progress: &'a Progress,
    ) -> Result<Self, SaveError> {
        let mut appender = Appender {
            file,
            path,
            header,
            progress,
            bytes_per_second_limit,
            begun_ms: progress.now_ms(),
            written: 0,
            synced: 0,
            blocks: 0,
            block_headers: crc32fast::Hasher::new(),
        };
        let unfinished = appender.header.encode();
        appender.append(&unfinished)?;
        Ok(appender)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let written = self.file.write_all_at(bytes, self.written);
        written.map_err(|e| SaveError::io("write", self.path, e))?;
        self.written += bytes.len() as u64;
        self.progress.add_bytes(bytes.len() as u64);
        Ok(())
    }

    fn append_all(
        &mut self,
        blocks: Receiver<Block>,
        shared: &Shared<'_>,
        keep: usize,
    ) -> Result<(), SaveError> {
        for block in blocks {
            shared.check()?;
            self.append(&block.bytes)?;
            self.block_headers.update(block.bytes.get(..BLOCK_HEADER_LEN).unwrap_or_default());
            self.blocks += 1;
            shared.give_back(block.bytes, keep);
            if self.written - self.synced >= SYNC_EVERY_BYTES {
                self.file.sync().map_err(|e| SaveError::io("sync", self.path, e))?;
                self.synced = self.written;
            }
            self.pace(shared)?;
        }
        Ok(())
    }

    /// Waits until the bytes so far are within the speed limit.
    fn pace(&self, shared: &Shared<'_>) -> Result<(), SaveError> {
        let Some(limit) = self.bytes_per_second_limit else { return Ok(()) };
        let due_ms = u128::from(self.written) * 1_000 / u128::from(limit.max(1));
        loop {
            shared.check()?;
            let elapsed_ms = self.progress.now_ms().saturating_sub(self.begun_ms);
            let early_ms = due_ms.saturating_sub(u128::from(elapsed_ms));
            if early_ms == 0 {
                return Ok(());
            }
            self.progress.wait(Duration::from_millis(NAP_MS.min(early_ms as u64)));
        }
    }

    /// Writes the trailer and the final header. Keys, blocks, and the file's length.
    fn finish(mut self, databases: Counts) -> Result<(u64, u64, u64), SaveError> {
        let payload_len = Trailer::payload_len(databases.len());
        if payload_len > MAX_PAYLOAD_BYTES {
            return Err(SaveError::Encode(format!(
                "{} databases are more than the trailer holds",
                databases.len()
            )));
        }
        self.header.keys = databases.values().sum();
        let header = self.header.encode();
        let mut headers_crc = crc32fast::Hasher::new();
        headers_crc.update(&header);
        headers_crc.combine(&self.block_headers);
        let trailer = Trailer {
            blocks: self.blocks,
            keys: self.header.keys,
            file_len: self.written + (BLOCK_HEADER_LEN + payload_len) as u64,
            headers_crc: headers_crc.finalize(),
            databases,
        };
        let payload = trailer.encode();
        let block = BlockHeader {
            kind: KIND_TRAILER,
            flags: 0,
            stream: TRAILER_STREAM,
            sequence: self.blocks as u32,
            payload_len: payload.len() as u32,
            runs: 0,
            records: 0,
            payload_crc: crc32fast::hash(&payload),
        };
        let mut bytes = block.encode(&self.header.id).to_vec();
        bytes.extend_from_slice(&payload);
        self.append(&bytes)?;
        let rewritten = self.file.write_all_at(&header, 0);
        rewritten.map_err(|e| SaveError::io("write the header of", self.path, e))?;
        Ok((trailer.keys, self.blocks, self.written))
    }
}
