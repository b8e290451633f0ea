//! What the rest of the server may know of a connected client and tell it: a record shared between the
//! client's own worker and everybody else. CLIENT LIST reads it; CLIENT KILL, a served blocking pop and
//! a push write to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

use bytes::Bytes;

use crate::acl::DEFAULT_USER;
use crate::config::{OutputLimit, OutputLimits};
use crate::pubsub::{Limit, Message, Subscriber};
use crate::replica::{Link, Peer, Replication};
use crate::resp::Protocol;
use crate::store::WatchFlag;

/// Replies that fit into this are sent whatever the client's hard limit: Redis's static buffer of a client, which
/// it does not count.
pub const UNCOUNTED_OUTPUT_BYTES: usize = 16 * 1024;

/// Where a client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// The path of the unix socket that it connected to.
    Unix(String),
    /// Nobody: a client that the server made for itself.
    Internal,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "{path}:0"),
            Address::Internal => f.write_str("?:0"),
        }
    }
}

/// Facts that are one bit each. See [`Client::set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ClientFlag {
    /// To be closed at once.
    Killed = 1,
    /// To be closed after its replies are written.
    CloseAfterReply = 1 << 1,
    /// Inside MULTI.
    InMulti = 1 << 2,
    /// Parked by a blocking command.
    Blocked = 1 << 3,
    /// CLIENT NO-EVICT.
    NoEvict = 1 << 4,
    /// CLIENT NO-TOUCH.
    NoTouch = 1 << 5,
    /// A watched key has changed, or a queued command was refused.
    DirtyTransaction = 1 << 6,
    /// Connected through a unix socket.
    UnixSocket = 1 << 7,
    /// Speaks RESP3.
    Resp3 = 1 << 8,
    /// CLIENT UNBLOCK ... ERROR or TIMEOUT arrived.
    Unblock = 1 << 9,
    /// The unblocking is to be an error.
    UnblockError = 1 << 10,
    /// Held back by CLIENT PAUSE.
    Paused = 1 << 11,
    /// Listens to channels or patterns.
    Subscriber = 1 << 12,
    /// More waits for it than `client-output-buffer-limit` allows.
    Overflowed = 1 << 13,
    /// Sees every command (MONITOR).
    Monitor = 1 << 14,
    /// What the next command has to look at has changed with this one: its batch ends here.
    BatchOver = 1 << 15,
    /// A replica: it follows the stream of what happens.
    Replica = 1 << 16,
    /// Caches keys, and hears of their changes (CLIENT TRACKING).
    Tracks = 1 << 17,
    /// Hears of the changes of all keys with its prefixes (BCAST).
    TracksPrefixes = 1 << 18,
    /// Does not hear of its own changes (NOLOOP).
    IgnoresOwn = 1 << 19,
    /// The client that is to hear of changes for it is gone.
    BrokenRedirect = 1 << 20,
}

/// The shared record of one client.
#[derive(Debug)]
pub struct Client {
    /// Unique, ascending.
    pub id: u64,
    /// The peer.
    pub address: Address,
    /// The local end.
    pub local: Address,
    /// The socket's file descriptor, for CLIENT LIST.
    pub fd: i32,
    /// Which worker serves it.
    pub worker: usize,
    /// When it connected, milliseconds since 1970.
    pub created_ms: u64,
    /// When it last sent a command, milliseconds since 1970.
    pub active_ms: AtomicU64,
    /// The selected database.
    pub database: AtomicUsize,
    /// Index of its last command in the registry; `usize::MAX` before the first.
    pub last_command: AtomicUsize,
    /// Bytes of its query buffer that are not understood yet.
    pub query_used: AtomicUsize,
    /// Bytes of its query buffer that are arguments of a request under way.
    pub query_arguments: AtomicUsize,
    /// Free bytes of its query buffer.
    pub query_free: AtomicUsize,
    /// Capacity of its own query buffer, bytes. What is run out of the worker's takes nothing of the client's.
    pub query_room: AtomicUsize,
    /// Capacity of its output buffer, bytes.
    pub output_room: AtomicUsize,
    /// The largest output of late, bytes.
    pub output_peak: AtomicUsize,
    /// Bytes of replies that it has not taken yet.
    pub output_pending: AtomicUsize,
    /// Queued commands, or -1 outside MULTI, as CLIENT LIST shows it, plus one.
    pub queued_plus_one: AtomicUsize,
    /// Bytes of the arguments of queued commands.
    pub queued_bytes: AtomicUsize,
    /// Number of watched keys.
    pub watched: AtomicUsize,
    /// What they take, bytes.
    pub watched_bytes: AtomicUsize,
    /// What its channels and patterns take, bytes.
    pub subscribed_bytes: AtomicUsize,
    /// What the prefixes take whose keys it hears of (CLIENT TRACKING), bytes.
    pub prefix_bytes: AtomicUsize,
    /// What it takes as the table of clients has counted it.
    pub counted_bytes: AtomicUsize,
    /// What it took when it was closed for that; 0 otherwise.
    pub leaving_bytes: AtomicUsize,
    /// Number of channels that it listens to.
    pub channels: AtomicUsize,
    /// Number of patterns that it listens to.
    pub patterns: AtomicUsize,
    /// Number of sharded channels that it listens to.
    pub shard_channels: AtomicUsize,
    /// Bytes in its mailbox.
    pub mail_bytes: AtomicUsize,
    /// The number of the user whose rights it has.
    pub user_id: AtomicU64,
    /// How far the replicas' stream reached with its last change.
    pub written_to: AtomicU64,
    /// The id of the client that hears for it of changes of what it caches; 0: it hears of them itself.
    pub redirect: AtomicU64,
    /// What it has said as a replica, and how far it is.
    link: OnceLock<Arc<Link>>,
    flags: AtomicU32,
    text: Mutex<ClientText>,
    mailbox: Mutex<Mailbox>,
    /// Whether the mailbox holds anything: one look without its lock.
    mail: AtomicBool,
    watch: Mutex<Weak<WatchFlag>>,
    waker: OnceLock<Waker>,
}

/// What a client calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientText {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub library: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: Vec<u8>,
    /// The user whose rights it has.
    pub user: Vec<u8>,
}

/// What others have written for the client.
#[derive(Debug, Default)]
struct Mailbox {
    /// Encoded replies and pushes, in order.
    out: Vec<Bytes>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is replaced whole: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, address: Address, local: Address, fd: i32, worker: usize, now_ms: u64) -> Client {
        let unix = matches!(local, Address::Unix(_));
        Client {
            id,
            address,
            local,
            fd,
            worker,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            database: AtomicUsize::new(0),
            last_command: AtomicUsize::new(usize::MAX),
            query_used: AtomicUsize::new(0),
            query_arguments: AtomicUsize::new(0),
            query_free: AtomicUsize::new(0),
            query_room: AtomicUsize::new(0),
            output_room: AtomicUsize::new(0),
            output_peak: AtomicUsize::new(0),
            output_pending: AtomicUsize::new(0),
            queued_plus_one: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            watched: AtomicUsize::new(0),
            watched_bytes: AtomicUsize::new(0),
            subscribed_bytes: AtomicUsize::new(0),
            prefix_bytes: AtomicUsize::new(0),
            counted_bytes: AtomicUsize::new(0),
            leaving_bytes: AtomicUsize::new(0),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            shard_channels: AtomicUsize::new(0),
            mail_bytes: AtomicUsize::new(0),
            flags: AtomicU32::new(if unix { ClientFlag::UnixSocket as u32 } else { 0 }),
            user_id: AtomicU64::new(0),
            written_to: AtomicU64::new(0),
            redirect: AtomicU64::new(0),
            link: OnceLock::new(),
            text: Mutex::new(ClientText { user: DEFAULT_USER.to_vec(), ..ClientText::default() }),
            mailbox: Mutex::default(),
            mail: AtomicBool::new(false),
            watch: Mutex::default(),
            waker: OnceLock::new(),
        }
    }

    /// Whether a flag is set.
    #[inline]
    pub fn has(&self, flag: ClientFlag) -> bool {
        self.flags.load(Ordering::Acquire) & flag as u32 != 0
    }

    /// All flags at once, for a quick look whether anything is up.
    #[inline]
    pub fn any(&self, flags: u32) -> bool {
        self.flags.load(Ordering::Acquire) & flags != 0
    }

    /// Sets or clears a flag.
    pub fn set(&self, flag: ClientFlag, on: bool) {
        if on {
            self.flags.fetch_or(flag as u32, Ordering::AcqRel);
        } else {
            self.flags.fetch_and(!(flag as u32), Ordering::AcqRel);
        }
    }

    /// What it calls itself.
    pub fn text(&self) -> ClientText {
        lock(&self.text).clone()
    }

    /// Reads what it calls itself, without a copy.
    pub fn read_text<R>(&self, read: impl FnOnce(&ClientText) -> R) -> R {
        read(&lock(&self.text))
    }

    /// Changes what it calls itself.
    pub fn edit_text(&self, edit: impl FnOnce(&mut ClientText)) {
        edit(&mut lock(&self.text));
    }

    /// Says which flag its watched keys raise.
    pub fn set_watch(&self, flag: &Arc<WatchFlag>) {
        *lock(&self.watch) = Arc::downgrade(flag);
    }

    /// Whether a key that it watches has changed.
    pub fn is_watch_broken(&self) -> bool {
        lock(&self.watch).upgrade().is_some_and(|flag| flag.is_raised())
    }

    /// Says how to wake the client's task. The first caller counts.
    pub fn set_waker(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            let _ = self.waker.set(waker.clone());
        }
    }

    /// Wakes the client's task: a flag was set or something lies in its mailbox.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Sends it something encoded.
    pub fn send(&self, encoded: Bytes) {
        let mut mailbox = lock(&self.mailbox);
        self.mail_bytes.fetch_add(encoded.len(), Ordering::Relaxed);
        mailbox.out.push(encoded);
        self.mail.store(true, Ordering::Release);
        drop(mailbox);
        self.wake();
    }

    /// Sends it a message. It is woken by the first that lies in its mailbox, and by the one that exceeds
    /// a limit; what is beyond the hard one it never gets, since its connection ends.
    pub fn send_message(&self, encoded: Bytes, limit: Limit) {
        if self.has(ClientFlag::Overflowed) {
            return;
        }
        let mut mailbox = lock(&self.mailbox);
        let size = encoded.len();
        let before =
            self.mail_bytes.fetch_add(size, Ordering::Relaxed) + self.output_pending.load(Ordering::Relaxed);
        let crosses = |bound: u64| bound > 0 && before as u64 <= bound && (before + size) as u64 > bound;
        mailbox.out.push(encoded);
        let first = !self.mail.swap(true, Ordering::AcqRel);
        drop(mailbox);
        let over = limit.hard_bytes > 0 && (before + size) as u64 > limit.hard_bytes;
        if over {
            self.set(ClientFlag::Overflowed, true);
        }
        if first || over || crosses(limit.soft_bytes) {
            self.wake();
        }
    }

    /// What it has said as a replica.
    pub fn link(&self) -> Option<&Arc<Link>> {
        self.link.get()
    }

    /// The same; it begins to be one.
    pub fn link_in(self: &Arc<Client>, replication: &Replication) -> &Arc<Link> {
        self.link.get_or_init(|| replication.link(self.peer(), self.address.to_string()))
    }

    /// How replication reaches it.
    pub fn peer(self: &Arc<Client>) -> Weak<dyn Peer> {
        let weak: Weak<Client> = Arc::downgrade(self);
        weak
    }

    /// The limit of its class. A monitor gets what it did not ask for, as a subscriber does. What a replica has yet
    /// to get lies in the stream, where its limit is held.
    pub fn output_limit(&self, limits: &OutputLimits) -> OutputLimit {
        if self.has(ClientFlag::Replica) {
            return OutputLimit::default();
        }
        let listens = self.any(ClientFlag::Subscriber as u32 | ClientFlag::Monitor as u32);
        if listens { limits.pubsub } else { limits.normal }
    }

    /// How long replies may get before it is cut off for them.
    #[inline]
    pub fn reply_limit(&self, limits: &OutputLimits) -> usize {
        match self.output_limit(limits).hard_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes.max(UNCOUNTED_OUTPUT_BYTES)),
        }
    }

    /// Whether anything was sent.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.mail.load(Ordering::Acquire)
    }

    /// The client that hears for it of changes of what it caches, as Redis shows it: 0 is itself, -1 that it caches
    /// nothing.
    pub fn redirection(&self) -> i64 {
        if self.has(ClientFlag::Tracks) { self.redirect.load(Ordering::Relaxed).cast_signed() } else { -1 }
    }

    /// Takes what was sent.
    pub fn take_mail(&self) -> Vec<Bytes> {
        let mut mailbox = lock(&self.mailbox);
        self.mail.store(false, Ordering::Release);
        self.mail_bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut mailbox.out)
    }

    /// Appends what was sent to a buffer.
    pub fn take_mail_into(&self, out: &mut Vec<u8>) {
        const KEPT_PIECES: usize = 64;
        if !self.has_mail() {
            return;
        }
        let mut mailbox = lock(&self.mailbox);
        self.mail.store(false, Ordering::Release);
        self.mail_bytes.store(0, Ordering::Relaxed);
        mailbox.out.drain(..).for_each(|piece| out.extend_from_slice(&piece));
        mailbox.out.shrink_to(KEPT_PIECES);
    }

    /// Bytes that wait for it: replies that it has not taken, its mailbox, and what a replica has yet to get.
    pub fn waiting_bytes(&self) -> usize {
        self.output_pending.load(Ordering::Relaxed)
            + self.mail_bytes.load(Ordering::Relaxed)
            + self.link.get().map_or(0, |link| link.waiting_bytes())
    }

    /// Bytes that it takes: buffers, queued commands, watched keys, subscriptions, tracked prefixes.
    pub fn memory(&self) -> usize {
        let load = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
        let queued = load(&self.queued_bytes)
            + load(&self.queued_plus_one).saturating_sub(1) * size_of::<super::session::Queued>();
        size_of::<Client>()
            + load(&self.query_room)
            + load(&self.output_room).max(self.waiting_bytes())
            + queued
            + load(&self.watched_bytes)
            + load(&self.subscribed_bytes)
            + load(&self.prefix_bytes)
    }

    /// Closes it from anywhere.
    pub fn kill(&self) {
        self.set(ClientFlag::Killed, true);
        self.wake();
    }
}

impl Peer for Client {
    fn id(&self) -> u64 {
        self.id
    }

    fn wake(&self) {
        Client::wake(self);
    }

    fn close(&self) {
        self.kill();
    }

    fn cut_off(&self) {
        self.set(ClientFlag::Overflowed, true);
        Client::wake(self);
    }
}

impl Subscriber for Client {
    fn id(&self) -> u64 {
        self.id
    }

    fn deliver(&self, message: &Message<'_>, limit: Limit) {
        let protocol = if self.has(ClientFlag::Resp3) { Protocol::Resp3 } else { Protocol::Resp2 };
        self.send_message(message.encoded(protocol), limit);
    }

    fn push(&self, encoded: Bytes, limit: Limit) {
        self.send_message(encoded, limit);
    }
}
