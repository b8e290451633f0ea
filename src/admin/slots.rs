//! How many connections there may be, and which one goes when there are too many.
//!
//! A limit alone would let anybody who opens enough silent connections lock out
//! the health probes. So a new connection is never the one that is turned away
//! while another is idle: the one that has been without a complete request
//! longest is closed for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All connections of one server.
pub(super) struct Slots {
    limit: usize,
    table: Mutex<Table>,
    /// A count that only grows: what became idle earlier has the smaller number.
    turn: AtomicU64,
}

#[derive(Default)]
struct Table {
    next_id: u64,
    open: HashMap<u64, Arc<Connection>>,
}

/// The state of one connection.
struct Connection {
    in_request: AtomicBool,
    /// The answer did not fit the socket's buffer and waits for the client.
    writing: AtomicBool,
    idle_since: AtomicU64,
    evict: Notify,
}

/// One connection's place; dropping it gives the place back.
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    connection: Arc<Connection>,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Arc<Slots> {
        Arc::new(Slots { limit: limit.max(1), table: Mutex::default(), turn: AtomicU64::new(0) })
    }

    /// A place for a new connection, taken from the longest idle one if need be;
    /// none when every connection is in the middle of a request.
    pub(super) fn take(self: &Arc<Slots>) -> Option<Slot> {
        let mut table = self.table();
        if table.open.len() >= self.limit {
            let (id, longest_idle) = table
                .open
                .iter()
                .filter(|(_, connection)| connection.is_idle())
                .min_by_key(|(_, connection)| connection.idle_since.load(Ordering::Relaxed))?;
            let id = *id;
            longest_idle.evict.notify_one();
            table.open.remove(&id);
        }
        let id = table.next_id;
        table.next_id += 1;
        let connection = Arc::new(Connection {
            in_request: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            idle_since: AtomicU64::new(self.next_turn()),
            evict: Notify::new(),
        });
        table.open.insert(id, Arc::clone(&connection));
        Some(Slot { slots: Arc::clone(self), id, connection })
    }

    fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code panics while it holds the lock, and the table is whole after each step.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        !self.in_request.load(Ordering::Relaxed) && !self.writing.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// A request is complete; the connection is not idle until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Slot>) -> InRequest {
        self.connection.in_request.store(true, Ordering::Relaxed);
        InRequest(Arc::clone(self))
    }

    /// Says whether an answer waits for the client to read.
    pub(super) fn set_writing(&self, writing: bool) {
        self.connection.writing.store(writing, Ordering::Relaxed);
    }

    /// Ends when this connection has to go for a newer one.
    pub(super) async fn evicted(&self) {
        self.connection.evict.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table().open.remove(&self.id);
    }
}

/// While this lives, its connection is in the middle of a request.
pub(super) struct InRequest(Arc<Slot>);

impl Drop for InRequest {
    fn drop(&mut self) {
        let InRequest(slot) = self;
        slot.connection.idle_since.store(slot.slots.next_turn(), Ordering::Relaxed);
        slot.connection.in_request.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(slot: &Slot) -> bool {
        slot.slots.table().open.contains_key(&slot.id)
    }

    #[test]
    fn the_longest_idle_goes_first() {
        let slots = Slots::new(2);
        let first = Arc::new(slots.take().unwrap());
        let second = slots.take().unwrap();
        drop(first.begin_request());
        let third = slots.take().unwrap();
        assert!(is_open(&first) && !is_open(&second) && is_open(&third));
    }

    #[test]
    fn a_connection_in_a_request_stays() {
        let slots = Slots::new(2);
        let asking = Arc::new(slots.take().unwrap());
        let reading = slots.take().unwrap();
        let request = asking.begin_request();
        reading.set_writing(true);
        assert!(slots.take().is_none());
        drop(request);
        assert!(slots.take().is_some());
        assert!(!is_open(&asking) && is_open(&reading));
    }

    #[test]
    fn a_dropped_slot_gives_its_place_back() {
        let slots = Slots::new(1);
        let busy = Arc::new(slots.take().unwrap());
        let request = busy.begin_request();
        assert!(slots.take().is_none());
        drop((request, busy));
        assert!(slots.take().is_some());
    }
}
