//! SCAN: a walk over a database that keeps no state between its steps.
//!
//! ```text
//! cursor, 63 bits:  | generation 15 | slot 32 | shard 16 |
//! ```
//!
//! An entry keeps its slot until its shard's table is rebuilt, and a rebuild bumps the shard's
//! generation. So a cursor whose generation still holds continues exactly where it was; one whose
//! generation does not starts that one shard again. What was there all along is returned at least
//! once; duplicates are possible, losses are not.

use super::entry::Entry;
use super::view::{Place, View};

/// Where a scan goes on. The start is 0, and so is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

const SHARD_BITS: u32 = 16;
const SLOT_BITS: u32 = 32;
const GENERATION_MASK: u64 = 0x7FFF;

impl Cursor {
    fn new(generation: u32, slot: usize, shard: usize) -> Cursor {
        let generation = u64::from(generation) & GENERATION_MASK;
        Cursor(generation << (SLOT_BITS + SHARD_BITS) | (slot as u64) << SHARD_BITS | shard as u64)
    }

    fn shard(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }

    /// The slot to go on with in a shard that has come to `generation`.
    fn slot_in(self, generation: u32) -> usize {
        let same =
            self.0 >> (SLOT_BITS + SHARD_BITS) & GENERATION_MASK == u64::from(generation) & GENERATION_MASK;
        if same { (self.0 >> SHARD_BITS & 0xFFFF_FFFF) as usize } else { 0 }
    }
}

impl View<'_> {
    /// Shows some entries from `cursor` on, and returns where to go on. Expired entries are not shown
    /// but removed, as by any other access.
    ///
    /// A call ends once it has shown `count` entries or looked at ten times as many slots, whichever
    /// comes first. Shards that hold nothing are passed over, at the cost of their lock: so a small
    /// database is shown in one call, however many shards it has.
    pub fn scan(&mut self, cursor: Cursor, count: usize, mut show: impl FnMut(&Entry)) -> Cursor {
        self.begin_walk();
        let Some(database) = self.store.existing(self.physical) else { return Cursor(0) };
        let (mut shard, mut cursor) = (cursor.shard(), cursor);
        let mut budget = Budget { entries: count, slots: count.saturating_mul(SLOTS_AN_ENTRY) };
        while shard < database.shards() {
            self.hold(self.physical, shard);
            let stopped = self.scan_held(cursor, &mut budget, &mut show);
            self.release_walked();
            if let Some((generation, slot)) = stopped {
                return Cursor::new(generation, slot, shard);
            }
            shard += 1;
            // The next shard begins at its first slot whatever its generation is.
            cursor = Cursor(0);
            if budget.is_spent() && shard < database.shards() {
                return Cursor::new(0, 0, shard);
            }
        }
        Cursor(0)
    }

    /// Walks over the shard that is held. Returns its generation and the slot to go on with when the
    /// budget was spent within it.
    fn scan_held(
        &mut self,
        cursor: Cursor,
        budget: &mut Budget,
        show: &mut impl FnMut(&Entry),
    ) -> Option<(u32, usize)> {
        let keeps_expired = self.moment.keeps_expired;
        let (now, guard) = (self.now_ms(), self.guard(0));
        if guard.is_empty() {
            return None;
        }
        let (generation, slots) = (guard.side().generation, guard.slots());
        let (mut slot, mut any_expired) = (cursor.slot_in(generation), false);
        while slot < slots && !budget.is_spent() {
            let place = Place { held: 0, slot };
            match self.entry(place) {
                Some(entry) if entry.is_expired(now) && keeps_expired => {}
                Some(entry) if entry.is_expired(now) => {
                    self.expire_in_place(place);
                    any_expired = true;
                }
                Some(entry) => {
                    show(entry);
                    budget.entries -= 1;
                }
                None => {}
            }
            budget.slots -= 1;
            slot += 1;
        }
        if any_expired {
            // If the table shrinks, its new generation sends the cursor back to the shard's beginning.
            self.guard(0).shrink_if_sparse();
        }
        (slot < slots).then_some((generation, slot))
    }
}

/// Slots that a call looks at for each entry asked for, at most: bounds the work on a sparse table.
const SLOTS_AN_ENTRY: usize = 10;

/// What a call may still do.
struct Budget {
    entries: usize,
    slots: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.entries == 0 || self.slots == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::super::entry::Str;
    use super::super::hash::KeyHasher;
    use super::super::keyspace::{Store, StoreOptions};
    use super::super::strings::Expiry;
    use super::super::view::Moment;
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn store() -> Store {
        Store::with_hasher(&StoreOptions { databases: 2, shards: 16 }, KeyHasher::with_key(&[5; 16]))
    }

    fn set(store: &Store, name: &str, expiry: Expiry) {
        let mut view = store.view_whole(Moment::at(NOW), 0);
        let key = view.key(name.as_bytes());
        view.set_string(key, Str::Bytes(b"v"), expiry);
    }

    fn remove(store: &Store, name: &str) {
        let mut view = store.view_whole(Moment::at(NOW), 0);
        let key = view.key(name.as_bytes());
        view.remove(key);
    }

    /// One call as a client makes it. What it showed, and where to go on.
    fn call(store: &Store, now: u64, cursor: Cursor, count: usize) -> (Vec<String>, Cursor) {
        let mut shown = Vec::new();
        let next = store.view_none(Moment::at(now), 0).scan(cursor, count, |entry| {
            shown.push(String::from_utf8_lossy(entry.key()).into_owned());
        });
        (shown, next)
    }

    /// All calls until the cursor comes back to the start.
    fn walk(store: &Store, now: u64, count: usize, mut between: impl FnMut(usize)) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), Cursor(0));
        for turn in 0.. {
            let (shown, next) = call(store, now, cursor, count);
            all.extend(shown);
            if next == Cursor(0) {
                break;
            }
            cursor = next;
            between(turn);
        }
        all
    }

    #[test]
    fn a_quiet_keyspace_is_shown_once_and_whole() {
        for keys in [0usize, 1, 7, 100, 3_000] {
            let store = store();
            (0..keys).for_each(|at| set(&store, &format!("k{at}"), Expiry::Clear));
            for count in [1usize, 10, 1_000, usize::MAX] {
                let shown = walk(&store, NOW, count, |_| {});
                assert_eq!(shown.len(), keys, "{keys} keys, count {count}");
                assert_eq!(shown.into_iter().collect::<HashSet<_>>().len(), keys);
            }
        }
    }

    #[test]
    fn a_call_shows_no_more_than_it_was_asked_for() {
        let store = store();
        (0..5_000).for_each(|at| set(&store, &format!("k{at}"), Expiry::Clear));
        let (mut cursor, mut calls) = (Cursor(0), 0);
        loop {
            let (shown, next) = call(&store, NOW, cursor, 10);
            assert!(shown.len() <= 10);
            calls += 1;
            if next == Cursor(0) {
                break;
            }
            cursor = next;
        }
        assert!((500..=501).contains(&calls), "{calls}: every call but the last shows ten");
    }

    #[test]
    fn a_call_on_a_sparse_table_looks_at_ten_slots_an_entry() {
        let store = store();
        (0..16_000).for_each(|at| set(&store, &format!("k{at}"), Expiry::Clear));
        // Nearly sparse enough to be shrunk, but not quite.
        (0..13_000).for_each(|at| remove(&store, &format!("k{at}")));
        let slots = |cursor: Cursor| {
            let earlier: usize =
                (0..cursor.shard()).map(|shard| store.lock(store.physical(0), shard).slots()).sum();
            earlier + (cursor.0 >> SHARD_BITS & 0xFFFF_FFFF) as usize
        };
        let mut cursor = Cursor(0);
        let mut spent = 0;
        loop {
            let (shown, next) = call(&store, NOW, cursor, 3);
            if next == Cursor(0) {
                break;
            }
            let looked = slots(next) - slots(cursor);
            assert!(looked <= 30, "{looked} slots for {} keys", shown.len());
            spent += usize::from(shown.len() < 3);
            cursor = next;
        }
        assert!(spent > 0, "no call met a sparse stretch, so the test shows nothing");
    }

    #[test]
    fn expired_keys_are_removed_and_not_shown() {
        let store = store();
        (0..2_000).for_each(|at| set(&store, &format!("goes{at}"), Expiry::At(NOW + 5)));
        (0..50).for_each(|at| set(&store, &format!("stays{at}"), Expiry::Clear));
        let shown: HashSet<String> = walk(&store, NOW + 5, 10, |_| {}).into_iter().collect();
        assert_eq!(shown.len(), 50);
        assert!(shown.iter().all(|key| key.starts_with("stays")));
        let counts = store.counts(0);
        assert_eq!((counts.keys, counts.expiring), (50, 0));
    }

    #[test]
    fn any_number_is_a_cursor() {
        let store = store();
        (0..100).for_each(|at| set(&store, &format!("k{at}"), Expiry::Clear));
        for cursor in [1, 15, 16, 0xFFFF, 1 << 40, u64::MAX] {
            let (shown, _) = call(&store, NOW, Cursor(cursor), 1_000);
            assert!(shown.len() <= 100, "{cursor}");
        }
        assert_eq!(call(&store, NOW, Cursor(16), 10), (Vec::new(), Cursor(0)), "there is no such shard");
    }

    /// What other clients do between two calls.
    #[derive(Clone, Debug)]
    enum Between {
        Add(u16),
        Remove(u16),
        Flush,
        Nothing,
    }

    fn between() -> impl Strategy<Value = Between> {
        prop_oneof![
            (0u16..2_000).prop_map(Between::Add),
            (0u16..2_000).prop_map(Between::Remove),
            Just(Between::Flush),
            Just(Between::Nothing),
        ]
    }

    /// The keys that come and go: `count` of them, or none.
    fn resize(store: &Store, others: &mut usize, count: usize) {
        (*others..count).for_each(|at| set(store, &format!("other{at}"), Expiry::Clear));
        (count..*others).for_each(|at| remove(store, &format!("other{at}")));
        *others = count;
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        /// The guarantee of SCAN: what was there all along is returned, whatever the tables do.
        #[test]
        fn what_stays_is_shown_while_tables_grow_and_shrink(
            stable in 0usize..300,
            first in 0usize..3_000,
            count in 1usize..40,
            script in prop::collection::vec(between(), 1..40),
        ) {
            let store = store();
            (0..stable).for_each(|at| set(&store, &format!("stable{at}"), Expiry::Clear));
            let mut others = 0;
            resize(&store, &mut others, first);
            let generation = |store: &Store| -> u32 {
                (0..16).map(|shard| store.lock(store.physical(0), shard).side().generation).sum()
            };
            let before = generation(&store);
            let mut rebuilt = false;
            let shown = walk(&store, NOW, count, |turn| {
                match script.get(turn) {
                    Some(Between::Add(more)) => {
                        let target = others + usize::from(*more);
                        resize(&store, &mut others, target);
                    }
                    Some(Between::Remove(fewer)) => {
                        let target = others.saturating_sub(usize::from(*fewer));
                        resize(&store, &mut others, target);
                    }
                    Some(Between::Flush) => resize(&store, &mut others, 0),
                    Some(Between::Nothing) | None => {}
                }
                rebuilt |= generation(&store) != before;
            });
            let shown: HashSet<String> = shown.into_iter().collect();
            let missing: Vec<usize> =
                (0..stable).filter(|at| !shown.contains(&format!("stable{at}"))).collect();
            prop_assert!(missing.is_empty(), "lost {missing:?}, rebuilt: {rebuilt}");
        }
    }
}
