//! The log that is being written: effects come in while their units hold locks, and go to the file in one write
//! for all that have gathered.
//!
//! Whoever appends only copies into a buffer, so a lock is never held while the disk is waited for. Whoever wants
//! its effects written takes all that is there, his own and others', in one write. Syncs are done by one thread:
//! under `always` many who wait are served by one sync, under the other policies nobody waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::feed::{Feed, Feeder, Segment};
use super::reader::CHECKSUM;
use crate::persist::files::Handle;

/// A checksum stands after so many bytes, and wherever the file is synced.
const CHECK_EVERY_BYTES: u64 = 4096;
/// A write waits so long for a sync that is under way: Redis's two seconds.
const PATIENCE_MS: u64 = 2_000;
/// Between two lines in the log about errors of writing: Redis's AOF_WRITE_LOG_ERROR_RATE.
const TELL_EVERY_MS: u64 = 30_000;
/// What one large write has grown is given back.
const KEPT_BYTES: usize = 1 << 20;

/// When the file is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// Before a reply leaves.
    Always = 0,
    /// Every second, by a thread of its own.
    Everysec = 1,
    /// When the operating system likes.
    No = 2,
}

/// What the log asks of its owner.
pub struct Hooks {
    /// A counter of nanoseconds that only grows.
    pub stamp: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Under `always` what has been promised cannot be kept: the process has to end.
    pub fatal: Box<dyn Fn() + Send + Sync>,
    /// An event took so long, in nanoseconds: for the latency monitor.
    pub took: Box<dyn Fn(&'static str, u64) + Send + Sync>,
    /// A sync took so long, in nanoseconds.
    pub synced: Box<dyn Fn(u64) + Send + Sync>,
}

/// The open file.
struct Open {
    handle: Arc<dyn Handle>,
    path: PathBuf,
    length: u64,
    checksum: crc32fast::Hasher,
    /// Bytes since the last checksum.
    unchecked: u64,
}

/// What is written.
#[derive(Default)]
struct Sink {
    open: Option<Open>,
    /// Taken, and not written: the disk refused it.
    left: Vec<u8>,
    left_closed: Vec<(Vec<u8>, Segment)>,
    /// Files that were ended and have to be synced once more.
    retired: Vec<Arc<dyn Handle>>,
    /// Since when writes have been put off, 0 when they are not.
    postponed_ms: u64,
    told_ms: Option<u64>,
    spare: Vec<u8>,
}

/// What the thread that syncs is to do.
#[derive(Default)]
struct Orders {
    waiting: Vec<Waker>,
    sync: bool,
    stop: bool,
}

/// The log. One for each server, whether it is written or not.
pub struct Log {
    hooks: Hooks,
    policy: AtomicU8,
    /// Write checksums.
    checks: AtomicBool,
    /// A save or rewrite runs and nothing is to be synced meanwhile.
    rests: AtomicBool,
    feed: Mutex<Feed>,
    sink: Mutex<Sink>,
    orders: Mutex<Orders>,
    ordered: Condvar,
    /// Bytes since the start: appended, written and synced.
    appended: AtomicU64,
    written: AtomicU64,
    synced: AtomicU64,
    syncing: AtomicBool,
    length: AtomicU64,
    last_sync_ms: AtomicU64,
    delayed: AtomicU64,
    /// For how long a write waits first, in microseconds.
    delay_us: AtomicU64,
    /// How often a new file was begun.
    generation: AtomicU64,
    write_error: Mutex<Option<String>>,
    /// What a sync said, and at which generation.
    sync_error: Mutex<Option<(u64, String)>>,
    is_failing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// A log that is not written.
    pub fn new(hooks: Hooks) -> Log {
        Log {
            hooks,
            policy: AtomicU8::new(Policy::Everysec as u8),
            checks: AtomicBool::new(true),
            rests: AtomicBool::new(false),
            feed: Mutex::default(),
            sink: Mutex::default(),
            orders: Mutex::default(),
            ordered: Condvar::new(),
            appended: AtomicU64::new(0),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            syncing: AtomicBool::new(false),
            length: AtomicU64::new(0),
            last_sync_ms: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            delay_us: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            write_error: Mutex::new(None),
            sync_error: Mutex::new(None),
            is_failing: AtomicBool::new(false),
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> Policy {
        match self.policy.load(Ordering::Relaxed) {
            0 => Policy::Always,
            1 => Policy::Everysec,
            _ => Policy::No,
        }
    }

    /// Another policy, whether checksums are written, and whether syncs rest.
    pub fn configure(&self, policy: Policy, checks: bool, rests: bool) {
        self.checks.store(checks, Ordering::Relaxed);
        self.rests.store(rests, Ordering::Relaxed);
        if self.policy.swap(policy as u8, Ordering::SeqCst) != policy as u8 {
            // Who waits for a sync that nobody promises any more goes on; who is promised one now gets it.
            self.order(|orders| orders.sync = true);
        }
    }

    /// Appends what `write` says. The caller holds the locks under which it happened.
    pub fn append(&self, write: impl FnOnce(&mut Feeder<'_>)) {
        let mut feed = lock(&self.feed);
        let before = feed.bytes.len();
        write(&mut Feeder { feed: &mut feed });
        let added = (feed.bytes.len() - before) as u64;
        // Under the lock: whoever reads the end afterwards knows that all before it is in the buffer.
        self.appended.fetch_add(added, Ordering::SeqCst);
    }

    /// How many bytes have been appended since the start.
    pub fn end(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    /// Begins with this file. Nobody appends meanwhile.
    pub fn begin(&self, segment: Segment) {
        let mut sink = lock(&self.sink);
        *lock(&self.feed) = Feed::default();
        let end = self.end();
        self.written.store(end, Ordering::SeqCst);
        self.synced.store(end, Ordering::SeqCst);
        *sink = Sink::default();
        sink.postponed_ms = 0;
        self.open(&mut sink, segment);
        self.forget_errors();
        self.last_sync_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// What is appended from now on goes to another file. Does not wait for the disk.
    pub fn cut(&self, segment: Segment) {
        let mut feed = lock(&self.feed);
        let before = std::mem::take(&mut feed.bytes);
        feed.closed.push((before, segment));
        // A file says itself in which database it begins.
        feed.selected = None;
        feed.time = 0;
    }

    /// Writes all that has been appended, whatever it waits for.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write_all(&self) -> io::Result<()> {
        let mut sink = lock(&self.sink);
        self.write(&mut sink, true)
    }

    /// Gives the file up. What is in it stays as far as it was written and synced.
    ///
    /// # Errors
    /// When the rest could not be brought to the disk.
    pub fn finish(&self) -> io::Result<()> {
        let mut sink = lock(&self.sink);
        let result = self.write(&mut sink, true).and_then(|()| {
            let open = sink.open.as_ref().map(|open| &open.handle);
            sink.retired.iter().chain(open).try_for_each(|handle| handle.sync())
        });
        *sink = Sink::default();
        *lock(&self.feed) = Feed::default();
        drop(sink);
        let end = self.end();
        self.written.store(end, Ordering::SeqCst);
        self.synced.store(end, Ordering::SeqCst);
        self.forget_errors();
        self.order(|orders| orders.sync = true);
        result
    }

    fn forget_errors(&self) {
        *lock(&self.write_error) = None;
        *lock(&self.sync_error) = None;
        self.is_failing.store(false, Ordering::SeqCst);
    }

    fn open(&self, sink: &mut Sink, segment: Segment) {
        let Segment { handle, path, length, checksum } = segment;
        self.length.store(length, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::SeqCst);
        let old = sink.open.replace(Open { handle: Arc::from(handle), path, length, checksum, unchecked: 0 });
        sink.retired.extend(old.map(|old| old.handle));
    }

    /// Whether everything up to now is as safe as a reply promises. Writes it if that is all that it takes.
    pub fn settle(&self) -> bool {
        let end = self.end();
        if self.policy() == Policy::Always {
            return self.synced.load(Ordering::SeqCst) >= end;
        }
        if self.written.load(Ordering::SeqCst) < end && !self.is_failing.load(Ordering::Relaxed) {
            self.flush(false);
        }
        true
    }

    /// Whether the log is safe up to `end`; if not, `waker` is woken when it is.
    pub fn is_safe(&self, end: u64, waker: &Waker) -> bool {
        let safe = || self.policy() != Policy::Always || self.synced.load(Ordering::SeqCst) >= end;
        if safe() {
            return true;
        }
        self.order(|orders| {
            if !orders.waiting.iter().any(|other| other.will_wake(waker)) {
                orders.waiting.push(waker.clone());
            }
        });
        safe()
    }

    fn order(&self, what: impl FnOnce(&mut Orders)) {
        what(&mut lock(&self.orders));
        self.ordered.notify_one();
    }

    /// Makes each write wait for so long first, so that tests see what waits for it.
    pub fn delay(&self, time: Duration) {
        self.delay_us.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Writes what has been appended, unless a sync is under way that the write would wait for.
    fn flush(&self, mark: bool) {
        let mut sink = lock(&self.sink);
        if self.policy() == Policy::Everysec && self.syncing.load(Ordering::SeqCst) {
            let now = self.now_ms().max(1);
            if sink.postponed_ms == 0 {
                sink.postponed_ms = now;
                return;
            }
            if now.saturating_sub(sink.postponed_ms) < PATIENCE_MS {
                return;
            }
            self.delayed.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
                 fsync to complete, this may slow down Redis."
            );
        }
        // What went wrong has been noted.
        let _ = self.write(&mut sink, mark);
    }

    /// Writes all that is there. `mark` ends it with a checksum.
    fn write(&self, sink: &mut Sink, mark: bool) -> io::Result<()> {
        sink.postponed_ms = 0;
        let delay_us = self.delay_us.load(Ordering::Relaxed);
        if delay_us > 0 && self.end() > self.written.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_micros(delay_us));
        }
        let mut end = self.end();
        {
            let mut feed = lock(&self.feed);
            end = end.max(self.end());
            let spare = std::mem::take(&mut sink.spare);
            if sink.left.is_empty() && sink.left_closed.is_empty() {
                sink.left = std::mem::replace(&mut feed.bytes, spare);
                sink.left_closed = std::mem::take(&mut feed.closed);
            } else {
                // What was left belongs to the file before the first cut.
                let mut before = std::mem::take(&mut sink.left);
                for (mut bytes, segment) in feed.closed.drain(..) {
                    before.append(&mut bytes);
                    sink.left_closed.push((std::mem::take(&mut before), segment));
                }
                before.append(&mut feed.bytes);
                sink.left = before;
            }
        }
        let began = (self.hooks.stamp)();
        let result = self.write_left(sink, mark);
        (self.hooks.took)("aof-write", (self.hooks.stamp)().saturating_sub(began));
        match &result {
            Ok(()) => {
                self.written.store(end, Ordering::SeqCst);
                if lock(&self.write_error).take().is_some() {
                    tracing::warn!("AOF write error looks solved, Redis can write again.");
                    self.judge();
                }
            }
            Err(error) => self.note_write_error(sink, error),
        }
        result
    }

    fn write_left(&self, sink: &mut Sink, mark: bool) -> io::Result<()> {
        while !sink.left_closed.is_empty() {
            let bytes = std::mem::take(&mut sink.left_closed[0].0);
            if let Err(error) = self.write_to_open(sink, &bytes, true) {
                sink.left_closed[0].0 = bytes;
                return Err(error);
            }
            // Nothing of the next file may be on the disk while something of this one is not.
            if self.policy() == Policy::Always
                && let Some(open) = &sink.open
            {
                open.handle.sync()?;
            }
            let (_, segment) = sink.left_closed.remove(0);
            self.open(sink, segment);
        }
        let mut bytes = std::mem::take(&mut sink.left);
        let result = self.write_to_open(sink, &bytes, mark);
        if result.is_err() {
            sink.left = bytes;
        } else if bytes.capacity() <= KEPT_BYTES {
            bytes.clear();
            sink.spare = bytes;
        }
        result
    }

    fn write_to_open(&self, sink: &mut Sink, bytes: &[u8], mark: bool) -> io::Result<()> {
        let Some(open) = &mut sink.open else { return Ok(()) };
        let unchecked = open.unchecked + bytes.len() as u64;
        let check =
            self.checks.load(Ordering::Relaxed) && unchecked > 0 && (mark || unchecked >= CHECK_EVERY_BYTES);
        if bytes.is_empty() && !check {
            return Ok(());
        }
        let mut checksum = open.checksum.clone();
        checksum.update(bytes);
        let line = check.then(|| format!("{}{:08x}\r\n", text(CHECKSUM), checksum.clone().finalize()));
        let line = line.unwrap_or_default();
        // A write that failed halfway is written over: nothing is ever appended behind a half.
        let written = open
            .handle
            .write_all_at(bytes, open.length)
            .and_then(|()| open.handle.write_all_at(line.as_bytes(), open.length + bytes.len() as u64));
        if let Err(error) = written {
            // What stands there of it is cut off, lest a crash leaves half a command.
            if let Err(error) = open.handle.truncate(open.length) {
                tracing::warn!(
                    "Could not remove short write from the append-only file. Redis may refuse to load the AOF the \
                     next time it starts. ftruncate: {error}"
                );
            }
            return Err(error);
        }
        checksum.update(line.as_bytes());
        open.checksum = checksum;
        open.length += (bytes.len() + line.len()) as u64;
        open.unchecked = if check { 0 } else { unchecked };
        self.length.store(open.length, Ordering::Relaxed);
        Ok(())
    }

    fn note_write_error(&self, sink: &mut Sink, error: &io::Error) {
        let now = self.now_ms();
        if sink.told_ms.is_none_or(|told| now.saturating_sub(told) > TELL_EVERY_MS) {
            sink.told_ms = Some(now);
            let path = sink.open.as_ref().map(|open| open.path.display().to_string()).unwrap_or_default();
            tracing::warn!("Error writing to the AOF file: {error} ({path})");
        }
        *lock(&self.write_error) = Some(reason(error));
        self.judge();
        if self.policy() == Policy::Always {
            tracing::warn!(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            );
            (self.hooks.fatal)();
        }
    }

    fn now_ms(&self) -> u64 {
        (self.hooks.stamp)() / 1_000_000
    }

    fn judge(&self) {
        let failing = lock(&self.write_error).is_some() || lock(&self.sync_error).is_some();
        self.is_failing.store(failing, Ordering::SeqCst);
    }

    /// What keeps the log from being written or synced; writes are refused meanwhile.
    pub fn error(&self) -> Option<String> {
        if !self.is_failing.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.write_error)
            .clone()
            .or_else(|| lock(&self.sync_error).as_ref().map(|(_, text)| text.clone()))
    }

    /// A sync has failed: what it was to save may be lost, and only a rewrite puts that right.
    pub fn needs_rewrite(&self) -> bool {
        lock(&self.sync_error).is_some()
    }

    /// How often a new file was begun.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// A base holds everything that files before this generation held: what failed there is no matter.
    pub fn rewritten(&self, generation: u64) {
        let mut error = lock(&self.sync_error);
        if error.as_ref().is_some_and(|(at, _)| *at < generation) {
            *error = None;
        }
        drop(error);
        self.judge();
    }

    /// Lets what has been ended be synced: nobody waits for it.
    pub fn sync_soon(&self) {
        self.order(|orders| orders.sync = true);
    }

    /// The chores, ten times a second: what nobody waits for is written and synced.
    pub fn tick(&self) {
        match self.policy() {
            Policy::Always => {
                if self.synced.load(Ordering::SeqCst) < self.end() {
                    self.order(|orders| orders.sync = true);
                }
            }
            policy => {
                if self.written.load(Ordering::SeqCst) < self.end() || self.is_failing.load(Ordering::Relaxed)
                {
                    self.flush(false);
                }
                let now = self.now_ms();
                let due = now.saturating_sub(self.last_sync_ms.load(Ordering::Relaxed)) >= 1_000;
                if policy == Policy::Everysec && due && self.synced.load(Ordering::SeqCst) < self.end() {
                    self.order(|orders| orders.sync = true);
                }
            }
        }
    }

    /// The thread that syncs: until [`Log::stop`].
    pub fn run_syncs(&self) {
        loop {
            let mut orders = lock(&self.orders);
            while !orders.sync && orders.waiting.is_empty() && !orders.stop {
                let waited = self.ordered.wait_timeout(orders, Duration::from_secs(60));
                orders = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if orders.stop {
                return;
            }
            orders.sync = false;
            let waiting = std::mem::take(&mut orders.waiting);
            drop(orders);
            self.sync();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Ends the thread that syncs.
    pub fn stop(&self) {
        self.order(|orders| orders.stop = true);
    }

    /// Writes and syncs all that has been appended.
    pub(super) fn sync(&self) {
        let mut sink = lock(&self.sink);
        if self.write(&mut sink, true).is_err() {
            return;
        }
        let end = self.written.load(Ordering::SeqCst);
        let retired = std::mem::take(&mut sink.retired);
        let open = sink.open.as_ref().map(|open| Arc::clone(&open.handle));
        let rests = self.rests.load(Ordering::Relaxed);
        self.syncing.store(!rests, Ordering::SeqCst);
        let generation = self.generation();
        drop(sink);
        let began = (self.hooks.stamp)();
        self.last_sync_ms.store(began / 1_000_000, Ordering::Relaxed);
        // What is ended is synced in any case: it will not be looked at again.
        let open = open.filter(|_| !rests && self.policy() != Policy::No);
        let result = retired.iter().chain(&open).try_for_each(|handle| handle.sync());
        self.syncing.store(false, Ordering::SeqCst);
        let took_ns = (self.hooks.stamp)().saturating_sub(began);
        if open.is_some() || !retired.is_empty() {
            (self.hooks.synced)(took_ns);
        }
        if self.policy() == Policy::Always {
            (self.hooks.took)("aof-fsync-always", took_ns);
        }
        match result {
            Ok(()) => {
                self.synced.fetch_max(end, Ordering::SeqCst);
            }
            Err(error) if self.policy() == Policy::Always => {
                tracing::warn!(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {error}. Exiting..."
                );
                (self.hooks.fatal)();
            }
            Err(error) => {
                tracing::warn!(
                    "Fail to fsync the AOF file: {error}. A rewrite follows; writes are refused until then"
                );
                *lock(&self.sync_error) = Some((generation, reason(&error)));
                self.synced.fetch_max(end, Ordering::SeqCst);
                self.judge();
            }
        }
    }

    /// The length of the file that is written.
    pub fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Bytes that have been appended and not been written.
    pub fn buffered(&self) -> u64 {
        self.end().saturating_sub(self.written.load(Ordering::SeqCst))
    }

    /// Whether a sync is under way.
    pub fn is_syncing(&self) -> bool {
        self.syncing.load(Ordering::Relaxed)
    }

    /// How often a write had to go on while a sync was under way.
    pub fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }
}

/// What the operating system says, without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn text(bytes: &'static [u8]) -> &'static str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
