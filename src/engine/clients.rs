//! All connected clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::command::client::{Client, ClientFlag};
use crate::command::ports::{Clients, Pause};

/// The flags of clients that are not closed for what they take.
const KEPT: u32 = ClientFlag::NoEvict as u32 | ClientFlag::Killed as u32 | ClientFlag::Replica as u32;

/// The clients of one worker, by id.
type Part = BTreeMap<u64, Arc<Client>>;

fn count(counter: &AtomicUsize, one_more: bool) {
    if one_more {
        counter.fetch_add(1, Ordering::Relaxed);
    } else {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The registry of clients, divided by worker so that connecting on one does not hold up another.
#[derive(Debug)]
pub struct ClientTable {
    parts: Box<[Mutex<Part>]>,
    next_id: AtomicU64,
    count: AtomicUsize,
    blocked: AtomicUsize,
    timed: AtomicUsize,
    /// Until when writes, or all commands, are held back, milliseconds since 1970; 0 is not.
    pause_writes_until: AtomicU64,
    pause_all_until: AtomicU64,
    /// What all clients take, as far as it has been counted.
    bytes: AtomicUsize,
    /// What those take that were closed for it, until they are gone.
    leaving_bytes: AtomicUsize,
    evicting: Mutex<()>,
}

impl ClientTable {
    /// For this many workers.
    pub fn new(workers: usize) -> ClientTable {
        ClientTable {
            parts: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            next_id: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            timed: AtomicUsize::new(0),
            pause_writes_until: AtomicU64::new(0),
            pause_all_until: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            leaving_bytes: AtomicUsize::new(0),
            evicting: Mutex::default(),
        }
    }

    fn part(&self, worker: usize) -> MutexGuard<'_, Part> {
        // Insertion and removal are whole: a panic elsewhere leaves the map valid.
        self.parts[worker % self.parts.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new client.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters a client.
    pub fn add(&self, client: Arc<Client>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.part(client.worker).insert(client.id, client);
    }

    /// Strikes a client off.
    pub fn remove(&self, client: &Client) {
        if self.part(client.worker).remove(&client.id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(client.counted_bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            self.leaving_bytes.fetch_sub(client.leaving_bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Number of connected clients.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Number of clients that are parked by a blocking command or held back by CLIENT PAUSE.
    pub fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Number of clients among them that a time limit will let go on.
    pub fn timed(&self) -> usize {
        self.timed.load(Ordering::Relaxed)
    }

    /// A client parks or is held back, or goes on.
    pub fn count_blocked(&self, parked: bool) {
        count(&self.blocked, parked);
    }

    /// The same for a client that parks with a time limit.
    pub fn count_timed(&self, parked: bool) {
        count(&self.timed, parked);
    }

    /// Shows the clients of one worker.
    pub fn each_of(&self, worker: usize, mut show: impl FnMut(&Arc<Client>)) {
        self.part(worker).values().for_each(&mut show);
    }

    /// Number of clients of one worker.
    pub fn count_of(&self, worker: usize) -> usize {
        self.part(worker).len()
    }

    /// Counts anew what a client takes. Its worker calls this, or whoever holds its part of the table.
    pub fn count_bytes(&self, client: &Client) {
        // As in Redis, replicas have a limit of their own.
        let uncounted = client.any(ClientFlag::Killed as u32 | ClientFlag::Replica as u32);
        let now = if uncounted { 0 } else { client.memory() };
        let before = client.counted_bytes.swap(now, Ordering::Relaxed);
        // The sum wraps on the way, never in the end.
        self.bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// What all clients take, as far as it has been counted.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What clients take that were closed for it and whose workers have not come to it yet.
    pub fn leaving_bytes(&self) -> usize {
        self.leaving_bytes.load(Ordering::Relaxed)
    }

    /// Closes the clients that take most until the rest takes no more than `limit_bytes`; those with
    /// CLIENT NO-EVICT are counted and stay. Returns who was closed.
    pub fn evict(&self, limit_bytes: usize) -> Vec<Arc<Client>> {
        // Two that evict at once would close twice as many.
        let _alone = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for worker in 0..self.parts.len() {
            self.each_of(worker, |client| {
                self.count_bytes(client);
                all.push((client.counted_bytes.load(Ordering::Relaxed), Arc::clone(client)));
            });
        }
        all.retain(|(_, client)| !client.any(KEPT));
        all.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut closed = Vec::new();
        for (bytes, client) in all {
            if self.bytes() <= limit_bytes {
                break;
            }
            // Under the lock of its part: who has just been struck off must not be counted as leaving for ever.
            let part = self.part(client.worker);
            if part.contains_key(&client.id) {
                client.leaving_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.leaving_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            drop(part);
            client.kill();
            self.count_bytes(&client);
            closed.push(client);
        }
        closed
    }

    /// When the pause that holds now ends.
    pub fn paused_until(&self) -> u64 {
        self.pause_all_until.load(Ordering::Relaxed).max(self.pause_writes_until.load(Ordering::Relaxed))
    }

    /// Whether any pause was ever asked for and not ended: the hot path's one look.
    #[inline]
    pub fn may_be_paused(&self) -> bool {
        self.pause_writes_until.load(Ordering::Relaxed) | self.pause_all_until.load(Ordering::Relaxed) != 0
    }
}

impl Clients for ClientTable {
    fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<Arc<Client>> = (0..self.parts.len())
            .flat_map(|worker| self.part(worker).values().cloned().collect::<Vec<_>>())
            // Who is being closed is gone for everybody, whenever its worker comes to it.
            .filter(|client| !client.has(ClientFlag::Killed))
            .collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }

    fn find(&self, id: u64) -> Option<Arc<Client>> {
        let client = (0..self.parts.len()).find_map(|worker| self.part(worker).get(&id).cloned())?;
        (!client.has(ClientFlag::Killed)).then_some(client)
    }

    fn count_anew(&self, client: &Client) {
        // Nothing has been counted while there was no limit. Who has been struck off must not be counted again.
        if self.bytes() > 0 {
            let part = self.part(client.worker);
            if part.contains_key(&client.id) {
                self.count_bytes(client);
            }
        }
    }

    fn pause(&self, writes_only: bool, until_ms: u64) {
        // As in Redis, a new pause neither shortens nor weakens a running one: there is one pause, which
        // ends with the latest and is as strict as the strictest. CLIENT PAUSE asks for ALL again while
        // ALL holds; a pause of writes that would last longer lasts for all from now on.
        if writes_only {
            self.pause_writes_until.fetch_max(until_ms, Ordering::Relaxed);
        } else {
            let until_ms = until_ms.max(self.pause_writes_until.load(Ordering::Relaxed));
            self.pause_all_until.fetch_max(until_ms, Ordering::Relaxed);
        }
    }

    fn unpause(&self) {
        self.pause_writes_until.store(0, Ordering::Relaxed);
        self.pause_all_until.store(0, Ordering::Relaxed);
        self.all().iter().filter(|client| client.has(ClientFlag::Paused)).for_each(|client| client.wake());
    }

    fn paused(&self, now_ms: u64) -> Option<Pause> {
        if now_ms < self.pause_all_until.load(Ordering::Relaxed) {
            Some(Pause::All)
        } else if now_ms < self.pause_writes_until.load(Ordering::Relaxed) {
            Some(Pause::Writes)
        } else {
            None
        }
    }
}
