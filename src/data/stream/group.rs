//! Consumer groups: how far each has read, and what of it is not yet acknowledged.

use std::sync::Arc;

use super::Id;
use super::ordered::Ordered;

/// A consumer's number within its group; it stays the same while the consumer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: ConsumerId,
    /// When, milliseconds since 1970.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// A reader of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    pub(super) name: Box<[u8]>,
    /// When it was last heard of, milliseconds since 1970.
    pub seen_ms: u64,
    pending: Ordered<()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries it has not acknowledged.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The IDs of these entries from `start` on.
    pub fn pending_from(&self, start: Id) -> impl Iterator<Item = Id> + '_ {
        self.pending.from(start).map(|(id, ())| id)
    }
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) name: Box<[u8]>,
    /// The last entry that was delivered.
    pub last_id: Id,
    /// How many entries of those ever added it has read; `None` where that cannot be told.
    pub entries_read: Option<i64>,
    pending: Ordered<Pending>,
    /// By number; a place that is free waits for the next consumer.
    slots: Vec<Option<Arc<Consumer>>>,
    /// Numbers, by name.
    order: Vec<u32>,
}

impl Group {
    /// A group without consumers.
    pub fn new(name: &[u8], last_id: Id, entries_read: Option<i64>) -> Group {
        let (slots, order) = (Vec::new(), Vec::new());
        Group { name: name.into(), last_id, entries_read, pending: Ordered::default(), slots, order }
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The consumers, by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> + '_ {
        self.order.iter().filter_map(|&number| self.at(number))
    }

    /// How many consumers there are.
    pub fn consumers_len(&self) -> usize {
        self.order.len()
    }

    fn at(&self, number: u32) -> Option<&Consumer> {
        self.slots.get(number as usize)?.as_deref()
    }

    /// A consumer, unless it was removed.
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.at(id.0)
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|&number| self.at(number).map_or(&[][..], Consumer::name).cmp(name))
    }

    /// The consumer of this name.
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.place(name).ok().map(|place| ConsumerId(self.order[place]))
    }

    /// Notes that a consumer was heard of.
    pub fn saw(&mut self, id: ConsumerId, now_ms: u64) {
        if let Some(consumer) = self.consumer_mut(id) {
            consumer.seen_ms = now_ms;
        }
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.slots.get_mut(id.0 as usize)?.as_mut().map(Arc::make_mut)
    }

    /// Makes a consumer; `None` if there is one of this name.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: u64) -> Option<ConsumerId> {
        let place = self.place(name).err()?;
        let consumer = Arc::new(Consumer { name: name.into(), seen_ms: now_ms, pending: Ordered::default() });
        // A free place is looked for only when there must be one.
        let free = if self.order.len() < self.slots.len() {
            self.slots.iter().position(Option::is_none)
        } else {
            None
        };
        let number = free.unwrap_or(self.slots.len());
        match free {
            Some(free) => self.slots[free] = Some(consumer),
            None => self.slots.push(Some(consumer)),
        }
        self.order.insert(place, number as u32);
        Some(ConsumerId(number as u32))
    }

    /// Removes a consumer with all that it has pending: how much that was, or `None` without one.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let place = self.place(name).ok()?;
        let number = self.order.remove(place);
        let consumer = self.slots.get_mut(number as usize)?.take()?;
        for id in consumer.pending_from(Id::MIN) {
            self.pending.remove(id);
        }
        Some(consumer.pending())
    }

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// A pending entry.
    pub fn pending(&self, id: Id) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// The pending entries from `start` on.
    pub fn pending_from(&self, start: Id) -> impl Iterator<Item = (Id, &Pending)> + '_ {
        self.pending.from(start)
    }

    /// The first and the last pending entry.
    pub fn pending_ends(&self) -> Option<(Id, Id)> {
        Some((self.pending.first()?.0, self.pending.last()?.0))
    }

    /// Makes an entry pending with these facts, whosever it was.
    pub fn assign(&mut self, id: Id, pending: Pending) {
        let consumer = pending.consumer;
        let before = self.pending.insert(id, pending).map(|before| before.consumer);
        if before == Some(consumer) {
            return;
        }
        if let Some(before) = before
            && let Some(before) = self.consumer_mut(before)
        {
            before.pending.remove(id);
        }
        if let Some(consumer) = self.consumer_mut(consumer) {
            consumer.pending.insert(id, ());
        }
    }

    /// Notes one more delivery of a pending entry to the consumer that has it.
    pub fn delivered_again(&mut self, id: Id, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Takes an entry off what is pending. What was known of it.
    pub fn acknowledge(&mut self, id: Id) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.remove(id);
        }
        Some(pending)
    }

    /// Bytes allocated.
    pub fn memory_usage(&self) -> usize {
        let consumer =
            |one: &Consumer| size_of::<Consumer>() + 16 + one.name.len() + one.pending.memory_usage();
        let consumers: usize = self.consumers().map(consumer).sum();
        let tables = self.slots.capacity() * 8 + self.order.capacity() * 4;
        size_of::<Group>() + 16 + self.name.len() + tables + self.pending.memory_usage() + consumers
    }
}
