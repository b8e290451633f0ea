//! A walk over the keyspace that counts what lies there: keys, elements and bytes by type and by prefix, and the
//! largest keys. It reads only: nothing expires, no age changes, nobody is told.
//!
//! A shard is held for some hundred slots at most, and never waited for. What was counted of a shard before its table
//! was rebuilt is taken back, so that each key that was there all along is counted once.

use crate::data::sketch::{Cut, Heaviest, Sketch};

use super::entry::Entry;
use super::keyspace::Store;
use super::object::{Object, Type};
use super::shard::ShardGuard;

/// Slots whose entries are fetched together, before time is read again.
const SLOTS_A_LOOK: usize = 16;
/// Slots looked at in one hold of a shard.
const SLOTS_A_HOLD: usize = 512;
/// Shards passed over because they are empty, before time is read again.
const SHARDS_A_LOOK: usize = 512;
/// Largest keys that are remembered.
const LARGEST: usize = 32;
/// Prefixes that are counted.
const PREFIXES: usize = 64;
/// What a key takes in the table itself: its slot.
const SLOT_BYTES: u64 = 8;

/// The types, in the order of [`Tallied::types`].
pub const TYPES: [Type; 6] = [Type::String, Type::List, Type::Set, Type::Hash, Type::SortedSet, Type::Stream];

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Keys.
    pub keys: u64,
    /// Elements of collections; 0 for strings.
    pub elements: u64,
    /// Bytes, as MEMORY USAGE counts them.
    pub bytes: u64,
}

impl Amount {
    /// So much more.
    pub fn add(&mut self, more: &Amount) {
        self.keys += more.keys;
        self.elements += more.elements;
        self.bytes += more.bytes;
    }
}

/// A large key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeKey {
    /// Its database's number when the walk ended.
    pub database: usize,
    /// Its name.
    pub name: Cut<128>,
    /// Its type.
    pub value_type: Type,
    /// Its elements; 0 for a string.
    pub elements: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The largest keys by one measure, the largest first once it is done.
#[derive(Clone, Debug, Default)]
struct Largest(Vec<LargeKey>);

impl Largest {
    fn offer(&mut self, size: fn(&LargeKey) -> u64, value: u64, key: impl FnOnce() -> LargeKey) {
        if value == 0 {
            return;
        }
        if self.0.len() < LARGEST {
            self.0.push(key());
        } else if let Some(least) = self.0.iter_mut().min_by_key(|key| size(key))
            && size(least) < value
        {
            *least = key();
        }
    }
}

/// What a walk has counted.
#[derive(Clone, Debug)]
struct Tally {
    types: [Amount; 6],
    by_bytes: Largest,
    by_elements: Largest,
    /// Below these nothing is among the largest any more.
    least: (u64, u64),
    /// Bytes, and keys as their part.
    prefixes: Sketch<Cut<64>>,
    without_prefix: Amount,
}

impl Tally {
    fn new() -> Tally {
        Tally {
            types: [Amount::default(); 6],
            by_bytes: Largest::default(),
            by_elements: Largest::default(),
            least: (0, 0),
            prefixes: Sketch::new(PREFIXES),
            without_prefix: Amount::default(),
        }
    }

    fn count(&mut self, store: &Store, database: usize, entry: &Entry) {
        let elements = entry.as_object().map_or(0, Object::len) as u64;
        let bytes = bytes_of(entry);
        let (key, value_type) = (entry.key(), entry.value_type());
        let amount = &mut self.types[value_type as usize];
        amount.keys += 1;
        amount.elements += elements;
        amount.bytes += bytes;
        let large = || LargeKey { database, name: Cut::of(key), value_type, elements, bytes };
        if bytes > self.least.0 {
            self.by_bytes.offer(|key| key.bytes, bytes, large);
            self.least.0 = least(&self.by_bytes, |key| key.bytes);
        }
        if elements > self.least.1 {
            self.by_elements.offer(|key| key.elements, elements, large);
            self.least.1 = least(&self.by_elements, |key| key.elements);
        }
        // A colon further on than a prefix is shown divides nothing.
        match memchr::memchr(b':', &key[..key.len().min(64)]) {
            Some(colon) => {
                let prefix = &key[..=colon];
                self.prefixes.add(store.hash(prefix), bytes, 1, || Cut::of(prefix));
            }
            None => {
                self.without_prefix.keys += 1;
                self.without_prefix.bytes += bytes;
            }
        }
    }
}

/// What MEMORY USAGE says, of very large collections roughly, so that it never takes long.
fn bytes_of(entry: &Entry) -> u64 {
    let bytes = match entry.as_object() {
        Some(object) => entry.allocated() + object.memory_estimate(),
        None => entry.memory_usage(),
    };
    bytes as u64 + SLOT_BYTES
}

/// The least of the largest keys, once there is no room for more.
fn least(largest: &Largest, size: fn(&LargeKey) -> u64) -> u64 {
    if largest.0.len() < LARGEST { 0 } else { largest.0.iter().map(size).min().unwrap_or(0) }
}

/// What was found of a part of the keyspace, or of all of it.
#[derive(Clone, Debug)]
pub struct Tallied {
    /// By type, as [`TYPES`] has them.
    pub types: [Amount; 6],
    /// The largest keys by bytes.
    pub by_bytes: Vec<LargeKey>,
    /// The collections with most elements.
    pub by_elements: Vec<LargeKey>,
    /// Bytes by prefix, the keys with it as the second figure.
    pub prefixes: Heaviest<Cut<64>>,
    /// What has no prefix.
    pub without_prefix: Amount,
    sketches: Vec<Sketch<Cut<64>>>,
}

impl Tallied {
    /// What several parts come to.
    pub fn together(parts: &[&Tallied]) -> Tallied {
        let mut types = [Amount::default(); 6];
        let (mut by_bytes, mut by_elements) = (Largest::default(), Largest::default());
        let (mut sketches, mut without_prefix) = (Vec::new(), Amount::default());
        for part in parts {
            types.iter_mut().zip(&part.types).for_each(|(to, more)| to.add(more));
            without_prefix.add(&part.without_prefix);
            part.by_bytes.iter().for_each(|key| by_bytes.offer(|key| key.bytes, key.bytes, || *key));
            part.by_elements
                .iter()
                .for_each(|key| by_elements.offer(|key| key.elements, key.elements, || *key));
            sketches.extend(part.sketches.iter().cloned());
        }
        Tallied::of(types, by_bytes, by_elements, sketches, without_prefix)
    }

    fn of(
        types: [Amount; 6],
        Largest(mut by_bytes): Largest,
        Largest(mut by_elements): Largest,
        sketches: Vec<Sketch<Cut<64>>>,
        without_prefix: Amount,
    ) -> Tallied {
        by_bytes.sort_by_key(|key| std::cmp::Reverse((key.bytes, key.elements)));
        by_elements.sort_by_key(|key| std::cmp::Reverse((key.elements, key.bytes)));
        let prefixes = Heaviest::of(&sketches);
        Tallied { types, by_bytes, by_elements, prefixes, without_prefix, sketches }
    }
}

/// How far the walk through one shard has come.
#[derive(Debug)]
struct Walk {
    generation: u32,
    slot: usize,
    /// What was counted before this shard: whoever has to begin it anew begins there.
    before: Tally,
}

/// One walker's way over its part of the shards of all databases.
#[derive(Debug)]
pub struct Census {
    part: usize,
    parts: usize,
    /// The database, by where it lies: a number may pass from one to another meanwhile.
    physical: usize,
    shard: usize,
    walk: Option<Walk>,
    tally: Tally,
}

impl Census {
    /// The walk of walker `part` of `parts`.
    pub fn new(part: usize, parts: usize) -> Census {
        Census { part, parts, physical: 0, shard: part, walk: None, tally: Tally::new() }
    }

    /// Begins from the start.
    pub fn restart(&mut self) {
        *self = Census::new(self.part, self.parts);
    }

    /// Goes on until `enough` says so, and later from there. Gives what was found when the walk has come to its end;
    /// the next step begins a new one. What has expired at `now_ms` is not counted.
    pub fn step(&mut self, store: &Store, now_ms: u64, enough: &dyn Fn() -> bool) -> Option<Tallied> {
        let mut passed = 0_usize;
        while self.physical < store.databases() {
            let Some(database) = store.existing(self.physical).filter(|_| self.shard < store.shards()) else {
                (self.physical, self.shard, self.walk) = (self.physical + 1, self.part, None);
                continue;
            };
            // What a shard counts is read without its lock.
            if self.walk.is_none() && database.counts_of(self.shard).keys == 0 {
                self.shard += self.parts;
                passed += 1;
                if passed.is_multiple_of(SHARDS_A_LOOK) && enough() {
                    return None;
                }
                continue;
            }
            // Somebody works there: clients go first.
            let guard = database.try_lock(self.shard)?;
            self.count_held(store, &guard, now_ms, enough);
            drop(guard);
            if enough() {
                return None;
            }
        }
        let done = std::mem::replace(self, Census::new(self.part, self.parts));
        Some(done.tally.finish(store))
    }

    fn count_held(&mut self, store: &Store, guard: &ShardGuard<'_>, now_ms: u64, enough: &dyn Fn() -> bool) {
        let (generation, slots) = (guard.side().generation, guard.slots());
        let begun = self.walk.take();
        let mut slot = match &begun {
            Some(walk) if walk.generation == generation => walk.slot,
            Some(walk) => {
                self.tally.clone_from(&walk.before);
                0
            }
            None => 0,
        };
        // Whoever is done at one go has nothing to take back.
        let before = match begun {
            Some(walk) => Some(walk.before),
            None => (slots > SLOTS_A_LOOK).then(|| self.tally.clone()),
        };
        let end = (slot + SLOTS_A_HOLD).min(slots);
        while slot < end {
            let look = slot..(slot + SLOTS_A_LOOK).min(end);
            look.clone().filter_map(|slot| guard.get(slot)).for_each(Entry::prefetch);
            for slot in look {
                if let Some(entry) = guard.get(slot).filter(|entry| !entry.is_expired(now_ms)) {
                    self.tally.count(store, self.physical, entry);
                }
            }
            slot = (slot + SLOTS_A_LOOK).min(end);
            if enough() {
                break;
            }
        }
        match before {
            Some(before) if slot < slots => self.walk = Some(Walk { generation, slot, before }),
            _ => self.shard += self.parts,
        }
    }
}

impl Tally {
    fn finish(mut self, store: &Store) -> Tallied {
        let number = |physical| (0..store.databases()).find(|&number| store.physical(number) == physical);
        for key in self.by_bytes.0.iter_mut().chain(&mut self.by_elements.0) {
            key.database = number(key.database).unwrap_or(key.database);
        }
        Tallied::of(self.types, self.by_bytes, self.by_elements, vec![self.prefixes], self.without_prefix)
    }
}

#[cfg(test)]
mod tests;
