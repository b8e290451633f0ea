//! What a save shows, as a file in Redis's format.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::opcode;
use crate::persist::files::Handle;
use crate::persist::progress::Progress;
use crate::persist::rdb::payload::CHECKSUM;
use crate::persist::rdb::primitive::{put_len, put_len_u64, put_string};
use crate::persist::rdb::{VERSION, encode};
use crate::persist::snapshot::SaveError;
use crate::store::{Entry, Walker, decayed, idle_seconds};

/// Encoded bytes after which a piece is handed over.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait to be written, per walker.
const WAITING: usize = 2;
/// The file is brought to the disk every so many bytes.
const SYNC_EVERY_BYTES: u64 = 32 << 20;

/// Where the bytes go.
pub trait Sink {
    /// Takes the next bytes, all of them.
    ///
    /// # Errors
    /// Any error ends the save.
    fn put(&mut self, bytes: &[u8]) -> Result<(), SaveError>;
}

/// A new file that is written from its first byte on, and synced now and then.
pub struct FileSink<'a> {
    handle: &'a dyn Handle,
    path: &'a Path,
    written: u64,
    synced: u64,
}

impl<'a> FileSink<'a> {
    /// An empty file; the path is for error messages. The last sync is left to the caller.
    pub fn new(handle: &'a dyn Handle, path: &'a Path) -> Self {
        FileSink { handle, path, written: 0, synced: 0 }
    }
}

impl Sink for FileSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let written = self.handle.write_all_at(bytes, self.written);
        written.map_err(|error| SaveError::io("write", self.path, error))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_EVERY_BYTES {
            self.handle.sync().map_err(|error| SaveError::io("sync", self.path, error))?;
            self.synced = self.written;
        }
        Ok(())
    }
}

/// What is said of a key's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// Nothing.
    #[default]
    None,
    /// For how many seconds it was not used at this time, milliseconds since 1970.
    Idle(u64),
    /// How often it is used: the counter of LFU.
    Frequency {
        /// The instant, milliseconds since 1970.
        now_ms: u64,
        /// After how many minutes the counter loses one.
        decay_minutes: u32,
    },
}

/// How to write, and what beside keys.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Compress long strings.
    pub compress: bool,
    /// End with a checksum.
    pub checksum: bool,
    /// What is said of the keys' use.
    pub usage: Usage,
    /// The version of Redis whose behaviour the writer has.
    pub redis_version: String,
    /// The instant, seconds since 1970.
    pub created_unix_s: u64,
    /// Memory that the writer uses, bytes.
    pub used_memory: u64,
    /// It begins an append-only file.
    pub aof_base: bool,
    /// The code of each library of functions.
    pub libraries: Vec<Vec<u8>>,
    /// For tests: microseconds to wait after each key.
    pub key_delay_us: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// Writes what the walkers show. Each runs on a thread of its own; this thread puts the pieces behind each other.
///
/// # Errors
/// What the sink says, [`SaveError::Cancelled`], [`SaveError::Panicked`].
pub fn write(
    walkers: Vec<Walker>,
    options: &WriteOptions,
    sink: &mut dyn Sink,
    progress: &Progress,
) -> Result<Written, SaveError> {
    let mut out = Out { sink, digest: CHECKSUM.digest(), options, written: Written::default(), progress };
    out.put(&head(options))?;
    let waiting = walkers.len().max(1) * WAITING;
    let result = thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Result<Piece, SaveError>>(waiting);
        for (number, mut walker) in walkers.into_iter().enumerate() {
            let thread = thread::Builder::new().name(format!("save-{number}"));
            let own = sender.clone();
            let run = move || {
                let ended = catch_unwind(AssertUnwindSafe(|| walk(&mut walker, options, progress, &own)));
                if ended.is_err() {
                    // Nobody listens any more if the save has failed already.
                    let _ = own.send(Err(SaveError::Panicked("a walker panicked; see the log".to_owned())));
                }
            };
            if let Err(error) = thread.spawn_scoped(scope, run) {
                return Err(SaveError::capture(format!("a thread could not be started: {error}")));
            }
        }
        drop(sender);
        // Leaving drops the receiver: a walker that waits for room then ends too.
        receiver.into_iter().try_for_each(|piece| {
            let piece = piece?;
            if progress.is_cancelled() {
                return Err(SaveError::Cancelled);
            }
            out.put(&piece.bytes)?;
            out.written.keys += piece.keys;
            Ok(())
        })
    });
    result?;
    if progress.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    out.finish()
}

struct Out<'a> {
    sink: &'a mut dyn Sink,
    digest: crc::Digest<'static, u64, crc::Table<16>>,
    options: &'a WriteOptions,
    written: Written,
    progress: &'a Progress,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        if self.options.checksum {
            self.digest.update(bytes);
        }
        self.sink.put(bytes)?;
        self.written.bytes += bytes.len() as u64;
        self.progress.add_bytes(bytes.len() as u64);
        Ok(())
    }

    fn finish(mut self) -> Result<Written, SaveError> {
        self.put(&[opcode::END])?;
        let checksum = if self.options.checksum { self.digest.clone().finalize() } else { 0 };
        self.put(&checksum.to_le_bytes())?;
        Ok(self.written)
    }
}

/// What stands before the keys.
fn head(options: &WriteOptions) -> Vec<u8> {
    let mut out = format!("REDIS{VERSION:04}").into_bytes();
    let mut aux = |name: &str, value: &str| {
        out.push(opcode::AUX);
        put_string(&mut out, name.as_bytes(), false);
        put_string(&mut out, value.as_bytes(), false);
    };
    aux("redis-ver", &options.redis_version);
    aux("redis-bits", "64");
    aux("ctime", &options.created_unix_s.to_string());
    aux("used-mem", &options.used_memory.to_string());
    aux("aof-base", if options.aof_base { "1" } else { "0" });
    for code in &options.libraries {
        out.push(opcode::FUNCTION);
        put_string(&mut out, code, options.compress);
    }
    out
}

/// A part of the file that can stand anywhere in it.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    keys: u64,
}

type Sender = std::sync::mpsc::SyncSender<Result<Piece, SaveError>>;

/// One walker's thread, until it has shown all or nobody wants more.
fn walk(walker: &mut Walker, options: &WriteOptions, progress: &Progress, sender: &Sender) {
    let (mut piece, mut selected) = (Piece::default(), None);
    loop {
        let before = piece.keys;
        let more = walker.step(|database, entry| {
            if selected != Some(database) {
                selected = Some(database);
                piece.bytes.push(opcode::SELECT);
                put_len(&mut piece.bytes, database);
            }
            put_entry(entry, options, &mut piece.bytes);
            piece.keys += 1;
        });
        let keys = piece.keys - before;
        progress.add_keys(keys);
        let delay = Duration::from_micros(options.key_delay_us.saturating_mul(keys));
        if !progress.wait(delay) {
            return;
        }
        if piece.bytes.len() >= PIECE || (!more && !piece.bytes.is_empty()) {
            // A piece says itself which database it begins in.
            selected = None;
            if sender.send(Ok(std::mem::take(&mut piece))).is_err() {
                return;
            }
        }
        if !more {
            return;
        }
    }
}

fn put_entry(entry: &Entry, options: &WriteOptions, out: &mut Vec<u8>) {
    if let Some(at) = entry.expire_at_ms() {
        out.push(opcode::EXPIRES_MS);
        out.extend_from_slice(&at.to_le_bytes());
    }
    match options.usage {
        Usage::None => {}
        Usage::Idle(now_ms) => {
            out.push(opcode::IDLE);
            put_len_u64(out, idle_seconds(entry.lru(), now_ms).into());
        }
        Usage::Frequency { now_ms, decay_minutes } => {
            out.extend_from_slice(&[opcode::FREQUENCY, decayed(entry.lru(), now_ms, decay_minutes) as u8]);
        }
    }
    let from = out.len();
    encode(entry, options.compress, out);
    // The key stands between the type's number and the value.
    let mut key = Vec::with_capacity(entry.key().len() + 5);
    put_string(&mut key, entry.key(), options.compress);
    out.splice(from + 1..from + 1, key);
}
