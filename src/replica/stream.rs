//! The stream itself: written by whoever changes something, read by the replicas' connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::backlog::Backlog;
use super::feeder::Feeder;
use super::figures::{ReplicaFigures, StreamFigures};
use super::link::{Link, Peer, Phase, Target};

/// How much of the stream a connection takes at once.
const TAKEN_BYTES: usize = 64 * 1024;
/// Between two signs of life to a replica that waits for its payload.
const NEWLINE_EVERY_MS: u64 = 1_000;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// What the settings say of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How much of the stream is kept for those who come back.
    pub backlog_bytes: u64,
    /// How far a replica may lag, 0 for any; never less than what is kept anyway.
    pub hard_bytes: u64,
    /// How far it may lag for a while.
    pub soft_bytes: u64,
    /// For how long.
    pub soft_ms: u64,
    /// A replica that has been silent for so long is given up.
    pub timeout_ms: u64,
    /// Between two PINGs.
    pub ping_ms: u64,
    /// Without replicas the stream is given up after so long, 0 for never.
    pub keep_ms: u64,
    /// How many replicas there must be for writes.
    pub wanted: usize,
    /// A replica that has been silent for longer does not count as one of them, 0 for any silence.
    pub lag_ms: u64,
}

/// Who is told whether the stream is kept.
pub type Switch = Box<dyn Fn(bool) + Send + Sync>;

/// The stream, and who follows it.
pub struct Replication {
    state: Mutex<State>,
    end: Arc<AtomicU64>,
    excess: Arc<AtomicU64>,
    /// Told whether the stream is kept, whenever that changes, before anything else can happen to it.
    switch: Switch,
    /// Fewer replicas than are wanted for writes.
    lacking: Arc<AtomicBool>,
    /// Signalled when a replica says how far it is, or goes.
    word: Condvar,
    full: AtomicU64,
    resumed: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
}

struct State {
    /// The 40 hexadecimal digits that name what the stream is of.
    id: String,
    /// What [`Replication::excess_bytes`] says.
    excess: Arc<AtomicU64>,
    backlog: Option<Backlog>,
    /// The database in which the next command is repeated unless a SELECT says otherwise.
    selected: Option<usize>,
    links: Vec<Arc<Link>>,
    /// Those who have been sent everything, to be woken by what comes.
    drained: Vec<Arc<Link>>,
    /// Those who wait until others have said how far they are.
    waiting: Vec<Weak<dyn Peer>>,
    /// Where the stream ended after the last GETACK.
    asked_at: u64,
    pinged_ms: u64,
    newline_ms: u64,
    /// When the last replica left.
    alone_ms: u64,
    limits: Limits,
}

impl std::fmt::Debug for Replication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replication").field("end", &self.end()).finish_non_exhaustive()
    }
}

/// What a replica's connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes: there may be more.
    Bytes(usize),
    /// Nothing: it will be woken.
    Nothing,
    /// It has got all that it wanted: its connection ends.
    Over,
}

impl Replication {
    /// No stream yet. `lacking` is set while there are fewer replicas than writes need.
    pub fn new(id: String, limits: Limits, lacking: Arc<AtomicBool>, switch: Switch) -> Replication {
        let excess = Arc::<AtomicU64>::default();
        let state = State {
            id,
            excess: Arc::clone(&excess),
            backlog: None,
            selected: None,
            links: Vec::new(),
            drained: Vec::new(),
            waiting: Vec::new(),
            asked_at: 0,
            pinged_ms: 0,
            newline_ms: 0,
            alone_ms: 0,
            limits,
        };
        let this = Replication {
            state: Mutex::new(state),
            end: Arc::default(),
            excess,
            switch,
            lacking,
            word: Condvar::new(),
            full: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        };
        this.judge(&this.lock(), 0);
        this
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the middle of an append would leave half a command: there is none in these few lines.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the settings say now.
    pub fn configure(&self, limits: Limits, now_ms: u64) {
        let mut state = self.lock();
        state.limits = limits;
        state.trim();
        self.judge(&state, now_ms);
    }

    /// The name of what the stream is of.
    pub fn id(&self) -> String {
        self.lock().id.clone()
    }

    /// Another name: whoever comes back with the old one needs everything anew.
    pub fn rename(&self, id: String) {
        self.lock().id = id;
    }

    /// The stream's offset.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// A connection that may become a replica's.
    pub fn link(&self, peer: Weak<dyn Peer>, name: String) -> Arc<Link> {
        Arc::new(Link::new(peer, name, Arc::clone(&self.end)))
    }

    /// Appends what `write` says. The caller holds the locks under which it happened. The stream's new offset.
    pub fn append(&self, write: impl FnOnce(&mut Feeder<'_>)) -> u64 {
        let mut state = self.lock();
        let woken = self.append_to(&mut state, write);
        drop(state);
        woken.iter().for_each(|link| link.wake());
        self.end()
    }

    /// Appends, and gives those who are to be woken once the lock is let go.
    #[must_use]
    fn append_to(&self, state: &mut State, write: impl FnOnce(&mut Feeder<'_>)) -> Vec<Arc<Link>> {
        let State { backlog, selected, .. } = state;
        let Some(backlog) = backlog else { return Vec::new() };
        let mut feeder = Feeder { backlog, selected, begun: false };
        write(&mut feeder);
        let begun = feeder.begun;
        self.end.store(backlog.next() - 1, Ordering::Release);
        if begun {
            state.trim();
            state.cut_off_laggards();
        }
        std::mem::take(&mut state.drained)
    }

    /// A replica asks for everything: with SYNC it is `silent`.
    pub fn ask(&self, link: &Arc<Link>, silent: bool, now_ms: u64) {
        self.full.fetch_add(1, Ordering::Relaxed);
        link.ask(silent, now_ms);
        self.lock().add(link, now_ms);
    }

    /// A replica wants to go on at the byte of this number. False when it cannot: then it has to ask for everything.
    pub fn resume(&self, link: &Arc<Link>, id: &[u8], next: i64, now_ms: u64) -> bool {
        let mut state = self.lock();
        let known = id.eq_ignore_ascii_case(state.id.as_bytes());
        let next = u64::try_from(next).unwrap_or(0);
        let place = state
            .backlog
            .as_ref()
            .filter(|backlog| known && (backlog.first()..=backlog.next()).contains(&next));
        let Some(backlog) = place else {
            if id != b"?" {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            drop(state);
            if !known && id != b"?" {
                tracing::info!(
                    "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}')",
                    id.escape_ascii()
                );
            } else if known {
                tracing::info!(
                    "Unable to partial resync with replica {} for lack of backlog (Replica request was: {next}).",
                    link.name()
                );
            }
            return false;
        };
        let length = backlog.next() - next;
        link.put(Bytes::from(match link.announced().capabilities.psync2 {
            true => format!("+CONTINUE {}\r\n", state.id),
            false => "+CONTINUE\r\n".to_owned(),
        }));
        link.resume(next, now_ms);
        state.add(link, now_ms);
        self.judge(&state, now_ms);
        drop(state);
        self.resumed.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            "Partial resynchronization request from {} accepted. Sending {length} bytes of backlog starting from \
             offset {next}.",
            link.name()
        );
        true
    }

    /// Those who wait for their payload to be begun.
    pub fn asking(&self) -> Vec<Arc<Link>> {
        let state = self.lock();
        state.links.iter().filter(|link| link.phase() == Phase::Waiting).cloned().collect()
    }

    /// The instant of a payload: nobody changes anything. These replicas get what happens from here on after it.
    /// A stream that is begun by it has a new name, which `new_id` draws.
    pub fn begin(&self, links: &[Arc<Link>], target: Target, new_id: impl FnOnce() -> String) {
        let mut state = self.lock();
        let end = self.end();
        if state.backlog.is_none() {
            state.id = new_id();
            state.backlog = Some(Backlog::new(end + 1));
            (self.switch)(true);
        }
        // Who begins here knows of no database.
        state.selected = None;
        for link in links {
            link.begin(end + 1, target);
            if !link.is_silent() {
                link.put(Bytes::from(format!("+FULLRESYNC {} {end}\r\n", state.id)));
            }
        }
    }

    /// Takes what is next for a replica. Called by its connection, which has sent all that it took before.
    pub fn take(&self, link: &Arc<Link>, out: &mut Vec<u8>, now_ms: u64) -> Taken {
        loop {
            let bytes = link.take_piece(out);
            if bytes > 0 {
                link.heard(now_ms);
                self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
                return Taken::Bytes(bytes);
            }
            if !link.take_complete() {
                break;
            }
            if link.announced().payload_only {
                tracing::info!(
                    "Close the connection with replica {} as RDB transfer is complete",
                    link.name()
                );
                return Taken::Over;
            }
            self.go_online(link, now_ms);
        }
        if !link.streams() {
            return Taken::Nothing;
        }
        let mut state = self.lock();
        let bytes = match &state.backlog {
            Some(backlog) if link.next() > 0 => backlog.read(link.next(), TAKEN_BYTES, out),
            _ => 0,
        };
        if bytes == 0 {
            if !state.drained.iter().any(|other| Arc::ptr_eq(other, link)) {
                state.drained.push(Arc::clone(link));
            }
            return Taken::Nothing;
        }
        link.sent(bytes);
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        Taken::Bytes(bytes)
    }

    fn go_online(&self, link: &Arc<Link>, now_ms: u64) {
        let state = self.lock();
        link.heard(now_ms);
        link.enter(Phase::Online);
        // After a payload whose end it has to recognize, the stream begins when it says that it has it.
        if link.target() == Target::File {
            link.start_streaming();
        }
        self.judge(&state, now_ms);
        drop(state);
        tracing::info!("Synchronization with replica {} succeeded", link.name());
    }

    /// A replica says how far it is.
    pub fn acknowledge(&self, link: &Link, offset: u64, now_ms: u64) {
        link.acknowledge(offset, now_ms);
        let mut state = self.lock();
        if self.lacking.load(Ordering::Relaxed) {
            self.judge(&state, now_ms);
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.word.notify_all();
        waiting.iter().filter_map(Weak::upgrade).for_each(|peer| peer.wake());
    }

    /// Whether there are fewer replicas than writes need.
    pub fn is_lacking(&self) -> bool {
        self.lacking.load(Ordering::Relaxed)
    }

    /// Bytes that are kept for replicas that lag, beyond what is kept anyway.
    pub fn excess_bytes(&self) -> u64 {
        self.excess.load(Ordering::Relaxed)
    }

    /// How many replicas have said that they are at least so far.
    pub fn acknowledged(&self, offset: u64) -> usize {
        self.lock().acknowledged(offset)
    }

    /// Whether at least `wanted` replicas are so far. If not, `peer` is woken when one of them says more.
    pub fn is_acknowledged(&self, offset: u64, wanted: usize, peer: &Weak<dyn Peer>) -> bool {
        let mut state = self.lock();
        if state.acknowledged(offset) >= wanted {
            return true;
        }
        if !state.waiting.iter().any(|other| other.ptr_eq(peer)) {
            state.waiting.push(Weak::clone(peer));
        }
        false
    }

    /// Asks all replicas how far they are.
    pub fn ask_for_acknowledgements(&self) {
        let mut state = self.lock();
        // What was asked last is answered by what is known then.
        if state.asked_at == self.end() || state.links.is_empty() {
            return;
        }
        let woken = self.append_to(&mut state, |feeder| feeder.put(GETACK));
        state.asked_at = self.end();
        drop(state);
        woken.iter().for_each(|link| link.wake());
    }

    /// A connection is over.
    pub fn remove(&self, link: &Arc<Link>, now_ms: u64) {
        let mut state = self.lock();
        let followed = link.follows();
        link.enter(Phase::Gone);
        state.links.retain(|other| !Arc::ptr_eq(other, link));
        state.drained.retain(|other| !Arc::ptr_eq(other, link));
        state.alone_ms = now_ms;
        state.trim();
        self.judge(&state, now_ms);
        drop(state);
        self.word.notify_all();
        if followed {
            tracing::info!("Connection with replica {} lost.", link.name());
        }
    }

    /// Whether all who follow the stream have said that they have it all.
    pub fn is_all_acknowledged(&self) -> bool {
        self.has_all(&self.lock())
    }

    fn has_all(&self, state: &State) -> bool {
        let end = self.end();
        state.links.iter().filter(|link| link.phase() == Phase::Online).all(|link| link.acknowledged() >= end)
    }

    /// Waits until a replica says how far it is or goes, for `longest` at most; not at all if all have everything.
    pub fn wait_for_word(&self, longest: Duration) {
        let state = self.lock();
        if !self.has_all(&state) {
            // What it was is asked for again by whoever waits.
            drop(self.word.wait_timeout(state, longest));
        }
    }

    /// Number of connections that follow the stream, or are about to.
    pub fn count(&self) -> usize {
        self.lock().links.len()
    }

    /// What there is to do a few times a second: PINGs, signs of life, those who are silent or lag, the end of a
    /// stream that nobody follows, after which it has the name that `new_id` draws. While `paused` nothing is added.
    pub fn tend(&self, now_ms: u64, paused: bool, new_id: impl FnOnce() -> String) {
        let mut state = self.lock();
        self.judge(&state, now_ms);
        let limits = state.limits;
        if state.links.is_empty() {
            state.pinged_ms = now_ms;
            let over = limits.keep_ms > 0 && now_ms.saturating_sub(state.alone_ms) > limits.keep_ms;
            if over && state.backlog.take().is_some() {
                (self.switch)(false);
                state.id = new_id();
                tracing::info!(
                    "Replication backlog freed after {} seconds without connected replicas.",
                    limits.keep_ms / 1_000
                );
            }
            return;
        }
        let mut woken = Vec::new();
        if now_ms.saturating_sub(state.pinged_ms) >= limits.ping_ms && !paused {
            state.pinged_ms = now_ms;
            woken = self.append_to(&mut state, |feeder| feeder.put(PING));
        }
        if now_ms.saturating_sub(state.newline_ms) >= NEWLINE_EVERY_MS {
            state.newline_ms = now_ms;
            state.links.iter().filter(|link| wants_newlines(link)).for_each(|link| {
                link.put(Bytes::from_static(b"\n"));
            });
        }
        for link in &state.links {
            give_up_if_silent(link, limits.timeout_ms, now_ms);
            if lags_too_long(link, &limits, now_ms) {
                link.cut_off();
            }
        }
        state.cut_off_laggards();
        drop(state);
        woken.iter().for_each(|link| link.wake());
    }

    /// Decides whether writes are to be refused for lack of replicas.
    fn judge(&self, state: &State, now_ms: u64) {
        let limits = &state.limits;
        let lacking = limits.wanted > 0 && limits.lag_ms > 0 && state.good(now_ms) < limits.wanted;
        if self.lacking.load(Ordering::Relaxed) != lacking {
            self.lacking.store(lacking, Ordering::Relaxed);
        }
    }

    /// What INFO and the metrics show.
    pub fn figures(&self, now_ms: u64) -> StreamFigures {
        let state = self.lock();
        let figures_of = |link: &Arc<Link>| ReplicaFigures {
            address: link.address(),
            port: link.announced().port,
            phase: link.phase(),
            offset: link.acknowledged(),
            lag_s: if link.phase() == Phase::Online { link.silence_ms(now_ms) / 1_000 } else { 0 },
            waiting_bytes: link.waiting_bytes() as u64,
        };
        let backlog = state.backlog.as_ref();
        let wanted = state.limits.wanted > 0 && state.limits.lag_ms > 0;
        StreamFigures {
            id: state.id.clone(),
            end: self.end(),
            kept: backlog.is_some(),
            first: backlog.map_or(0, Backlog::first),
            length: backlog.map_or(0, Backlog::len),
            memory: backlog.map_or(0, Backlog::memory) as u64,
            good: wanted.then(|| state.good(now_ms) as u64),
            full: self.full.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            replicas: state.links.iter().map(figures_of).collect(),
        }
    }

    /// Sets what is counted to zero (CONFIG RESETSTAT).
    pub fn reset_counts(&self) {
        for count in [&self.full, &self.resumed, &self.refused, &self.sent] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

impl State {
    fn add(&mut self, link: &Arc<Link>, now_ms: u64) {
        if self.links.is_empty() {
            self.pinged_ms = now_ms;
        }
        self.links.push(Arc::clone(link));
    }

    /// Forgets what is beyond the size and nobody needs.
    fn trim(&mut self) {
        let needed = self.links.iter().map(|link| link.next()).filter(|&next| next > 0).min();
        let size = self.limits.backlog_bytes;
        if let Some(backlog) = &mut self.backlog {
            backlog.trim(size, needed.unwrap_or(u64::MAX));
            self.excess.store(backlog.len().saturating_sub(size), Ordering::Relaxed);
        }
    }

    /// Ends the connections that lag beyond the hard limit.
    fn cut_off_laggards(&self) {
        // As in Redis: what is kept anyway cannot be too much.
        let hard = match self.limits.hard_bytes {
            0 => return,
            bytes => bytes.max(self.limits.backlog_bytes),
        };
        self.links.iter().filter(|link| link.lag_bytes() > hard).for_each(|link| link.cut_off());
    }

    fn acknowledged(&self, offset: u64) -> usize {
        let is_there = |link: &&Arc<Link>| link.phase() == Phase::Online && link.acknowledged() >= offset;
        self.links.iter().filter(is_there).count()
    }

    /// How many replicas have been heard of lately.
    fn good(&self, now_ms: u64) -> usize {
        let lag_ms = self.limits.lag_ms;
        let is_good = |link: &&Arc<Link>| {
            link.phase() == Phase::Online && link.silence_ms(now_ms) / 1_000 <= lag_ms / 1_000
        };
        self.links.iter().filter(is_good).count()
    }
}

/// Whether a replica is told now and then that its payload is still to come.
fn wants_newlines(link: &Link) -> bool {
    match link.phase() {
        Phase::Waiting => true,
        Phase::Writing => link.target() == Target::File,
        _ => false,
    }
}

fn give_up_if_silent(link: &Link, timeout_ms: u64, now_ms: u64) {
    let what = match link.phase() {
        Phase::Online if !link.is_silent() => "streaming sync",
        Phase::Writing if link.target() == Target::Socket => "full sync",
        _ => return,
    };
    if link.silence_ms(now_ms) > timeout_ms {
        tracing::warn!("Disconnecting timedout replica ({what}): {}", link.name());
        link.close();
    }
}

/// Whether it has lagged beyond the soft limit for too long without a break.
fn lags_too_long(link: &Link, limits: &Limits, now_ms: u64) -> bool {
    if limits.soft_bytes == 0 || link.lag_bytes() <= limits.soft_bytes {
        link.lags_since.store(0, Ordering::Relaxed);
        return false;
    }
    match link.lags_since.load(Ordering::Relaxed) {
        0 => {
            link.lags_since.store(now_ms + 1, Ordering::Relaxed);
            false
        }
        since => (now_ms + 1).saturating_sub(since) > limits.soft_ms,
    }
}
