//! One replica: what it has said of itself, how far it is, and what it is sent before the stream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

/// Whoever writes a payload waits while so much of it has not been taken.
const WAITING_BYTES: usize = 1 << 20;
/// How long it waits before it looks whether it is still to wait.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What whoever writes a payload does while a replica has yet to take most of what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Waits until it has.
    Wait,
    /// Sends more all the same.
    Hurry,
    /// Gives up.
    Leave,
}

/// A replica's connection.
pub trait Peer: Send + Sync {
    /// Its number, which no other has.
    fn id(&self) -> u64;
    /// There may be something for it.
    fn wake(&self);
    /// Ends it.
    fn close(&self);
    /// Ends it since it lags too far behind.
    fn cut_off(&self);
}

/// What a replica understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// A payload whose length is not known when it begins.
    pub eof: bool,
    /// A new replication id when it goes on.
    pub psync2: bool,
}

/// What a replica has said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The port that it listens on, 0 when it has not said.
    pub port: i64,
    /// The address that it is to be reached at, if it is another than the connection's.
    pub address: Option<String>,
    /// What it understands.
    pub capabilities: Capabilities,
    /// It wants the payload and nothing after it.
    pub payload_only: bool,
    /// It wants no keys.
    pub without_data: bool,
    /// It wants no functions.
    pub without_functions: bool,
}

impl Announced {
    /// Whether it wants a part of the payload only.
    pub fn is_filtered(&self) -> bool {
        self.without_data || self.without_functions
    }
}

/// Where a replica is between its request and the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It has asked for nothing yet.
    Idle = 0,
    /// It waits for its payload to be begun.
    Waiting = 1,
    /// Its payload is being written.
    Writing = 2,
    /// Its payload is written, and is being sent.
    Sending = 3,
    /// It has the payload, or needed none.
    Online = 4,
    /// Its connection is over.
    Gone = 5,
}

/// How a payload gets to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Through a file: its length is known when it is sent.
    File,
    /// As it is written.
    Socket,
}

/// What waits to be sent before the stream.
#[derive(Debug, Default)]
struct Outbox {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// All of the payload is there.
    complete: bool,
}

/// A replica.
pub struct Link {
    peer: Weak<dyn Peer>,
    /// Its connection, for messages.
    name: String,
    announced: Mutex<Announced>,
    phase: AtomicU8,
    outbox: Mutex<Outbox>,
    room: Condvar,
    /// It came with SYNC: it never says how far it is.
    silent: AtomicBool,
    /// The payload goes to its socket as it is written.
    socket: AtomicBool,
    /// It gets the stream.
    streams: AtomicBool,
    /// The number of the byte that it gets next; 0 while it has no place in the stream.
    next: AtomicU64,
    /// How far it says it is.
    acknowledged: AtomicU64,
    /// When it said so, or took some of its payload, milliseconds of a clock that only grows.
    heard_ms: AtomicU64,
    /// Since when it has asked for a payload.
    asked_ms: AtomicU64,
    /// Since when it has lagged beyond the soft limit, plus one; 0 when it does not.
    pub(super) lags_since: AtomicU64,
    /// The stream's end.
    end: Arc<AtomicU64>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("name", &self.name).field("phase", &self.phase()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is changed in single steps: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(peer: Weak<dyn Peer>, name: String, end: Arc<AtomicU64>) -> Link {
        Link {
            peer,
            name,
            announced: Mutex::default(),
            phase: AtomicU8::new(Phase::Idle as u8),
            outbox: Mutex::default(),
            room: Condvar::new(),
            silent: AtomicBool::new(false),
            socket: AtomicBool::new(false),
            streams: AtomicBool::new(false),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            heard_ms: AtomicU64::new(0),
            asked_ms: AtomicU64::new(0),
            lags_since: AtomicU64::new(0),
            end,
        }
    }

    /// Its connection's number, 0 once that is gone.
    pub fn id(&self) -> u64 {
        self.peer.upgrade().map_or(0, |peer| peer.id())
    }

    /// The address to reach it at.
    pub fn address(&self) -> String {
        let connected = || self.name.rsplit_once(':').map_or(&self.name[..], |(host, _)| host);
        match &lock(&self.announced).address {
            Some(address) => address.clone(),
            None => connected().trim_matches(['[', ']']).to_owned(),
        }
    }

    /// What it is called in the log: where it is to be reached, if it has said so.
    pub fn name(&self) -> String {
        match self.announced().port {
            0 => self.name.clone(),
            port => format!("{}:{port}", self.address()),
        }
    }

    /// What it has said of itself.
    pub fn announced(&self) -> Announced {
        lock(&self.announced).clone()
    }

    /// It says something of itself.
    pub fn announce(&self, say: impl FnOnce(&mut Announced)) {
        say(&mut lock(&self.announced));
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Waiting,
            2 => Phase::Writing,
            3 => Phase::Sending,
            4 => Phase::Online,
            _ => Phase::Gone,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        // Who has gone does not come back.
        let gone = Phase::Gone as u8;
        let _ = self
            .phase
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now != gone).then_some(phase as u8));
        if phase == Phase::Gone {
            self.next.store(0, Ordering::Release);
            *lock(&self.outbox) = Outbox::default();
            self.room.notify_all();
        }
    }

    /// Whether it is a replica: it has asked for the stream, and its connection is there.
    pub fn follows(&self) -> bool {
        !matches!(self.phase(), Phase::Idle | Phase::Gone)
    }

    pub(super) fn ask(&self, silent: bool, now_ms: u64) {
        self.silent.store(silent, Ordering::Relaxed);
        self.asked_ms.store(now_ms, Ordering::Relaxed);
        self.heard(now_ms);
        self.enter(Phase::Waiting);
    }

    /// For how long it has waited for its payload to be begun.
    pub fn waited_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.asked_ms.load(Ordering::Relaxed))
    }

    /// It came with SYNC, and never says how far it is.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// How its payload gets to it.
    pub fn target(&self) -> Target {
        if self.socket.load(Ordering::Relaxed) { Target::Socket } else { Target::File }
    }

    /// Its payload is begun: the stream goes on with this byte afterwards.
    pub(super) fn begin(&self, next: u64, target: Target) {
        self.socket.store(target == Target::Socket, Ordering::Relaxed);
        self.next.store(next, Ordering::Release);
        self.enter(Phase::Writing);
    }

    /// It gets the stream from this byte on.
    pub(super) fn resume(&self, next: u64, now_ms: u64) {
        self.next.store(next, Ordering::Release);
        self.streams.store(true, Ordering::Release);
        self.heard(now_ms);
        self.enter(Phase::Online);
    }

    /// The number of the byte that it gets next; 0 while it has no place in the stream.
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.next.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// How many bytes of the stream it has yet to be sent.
    pub fn lag_bytes(&self) -> u64 {
        match self.next() {
            0 => 0,
            next => (self.end.load(Ordering::Acquire) + 1).saturating_sub(next),
        }
    }

    /// What waits for it, bytes.
    pub fn waiting_bytes(&self) -> usize {
        lock(&self.outbox).bytes + self.lag_bytes() as usize
    }

    /// How far it says it is.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub(super) fn acknowledge(&self, offset: u64, now_ms: u64) {
        self.acknowledged.fetch_max(offset, Ordering::AcqRel);
        self.heard(now_ms);
        if self.phase() == Phase::Online {
            self.streams.store(true, Ordering::Release);
        }
    }

    pub(super) fn heard(&self, now_ms: u64) {
        self.heard_ms.store(now_ms, Ordering::Relaxed);
    }

    /// How long nothing has been heard of it.
    pub fn silence_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms.load(Ordering::Relaxed))
    }

    pub(super) fn streams(&self) -> bool {
        self.streams.load(Ordering::Acquire) && self.phase() == Phase::Online
    }

    /// Sends it something before the stream.
    pub fn put(&self, piece: Bytes) {
        {
            let mut outbox = lock(&self.outbox);
            if self.phase() == Phase::Gone {
                return;
            }
            outbox.bytes += piece.len();
            outbox.pieces.push_back(piece);
        }
        self.wake();
    }

    /// The same, once it has taken most of what it was sent before. False when it has gone or is given up.
    pub fn put_patiently(&self, piece: Bytes, patience: &dyn Fn() -> Patience) -> bool {
        let mut outbox = lock(&self.outbox);
        while outbox.bytes >= WAITING_BYTES && self.phase() != Phase::Gone {
            match patience() {
                Patience::Wait => {}
                Patience::Hurry => break,
                Patience::Leave => return false,
            }
            let waited = self.room.wait_timeout(outbox, LOOK_EVERY);
            outbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(outbox);
        self.put(piece);
        self.phase() != Phase::Gone
    }

    /// Its payload has been written, and is going to be sent.
    pub fn send(&self) {
        self.enter(Phase::Sending);
    }

    /// All of its payload has been put.
    pub fn complete(&self) {
        lock(&self.outbox).complete = true;
        self.wake();
    }

    /// Takes the next piece. How many bytes it has.
    pub(super) fn take_piece(&self, out: &mut Vec<u8>) -> usize {
        let mut outbox = lock(&self.outbox);
        let Some(piece) = outbox.pieces.pop_front() else { return 0 };
        outbox.bytes -= piece.len();
        drop(outbox);
        self.room.notify_all();
        out.extend_from_slice(&piece);
        piece.len()
    }

    /// Whether all of the payload has been taken; says so once.
    pub(super) fn take_complete(&self) -> bool {
        let mut outbox = lock(&self.outbox);
        outbox.pieces.is_empty() && std::mem::take(&mut outbox.complete)
    }

    pub(super) fn start_streaming(&self) {
        self.streams.store(true, Ordering::Release);
    }

    pub(super) fn wake(&self) {
        if let Some(peer) = self.peer.upgrade() {
            peer.wake();
        }
    }

    /// Ends its connection.
    pub fn close(&self) {
        if let Some(peer) = self.peer.upgrade() {
            peer.close();
        }
    }

    /// Ends its connection since it lags too far behind.
    pub fn cut_off(&self) {
        if let Some(peer) = self.peer.upgrade() {
            peer.cut_off();
        }
    }
}
