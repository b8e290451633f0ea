//! The active side of expiry: removes what has expired though nobody asks for it.
//!
//! Every shard knows how many of its keys expire and a time before which none does. A shard that is
//! due is swept whole, a bounded number of slots a hold; at about 17 ns an entry a sweep of all
//! shards of a million keys costs 17 ms. So that keys with spread expiries do not have their shard
//! swept for each one, a shard rests after a sweep for a time that grows with the number of expiring
//! keys: the work stays below about two percent of a core, and what has expired waits a second at
//! most per million keys (it is invisible to clients from the millisecond it expires).

use super::entry::Entry;
use super::keyspace::Store;
use super::view::{Moment, Place, Tally, View};

/// Slots looked at in one hold of a shard.
const SLOTS_A_HOLD: usize = 512;

/// Slots looked at before time is read again. Few: an entry that was left alone for seconds may take 0.1 ms to
/// reach where a hypervisor has taken its page away.
const SLOTS_A_LOOK: usize = 4;

/// Shards passed over before time is read again.
const SHARDS_A_LOOK: usize = 32;

/// Shards passed over in one step because nothing in them is due: at about 20 ns each, so that a step
/// stays far below the time a worker's clients may wait.
const SHARDS_A_STEP: usize = 1_024;

/// A round starts at most this often.
const SHORTEST_ROUND_MS: u64 = 100;

/// A round starts at least this often, however many keys expire.
const LONGEST_ROUND_MS: u64 = 10_000;

/// One sweeper's walk over its part of the shards of all databases.
#[derive(Debug)]
pub struct Sweep {
    /// This sweeper takes shards `part`, `part + parts`, and so on.
    part: usize,
    parts: usize,
    number: usize,
    shard: usize,
    /// The walk through the shard that is being swept, between two holds.
    walk: Option<Walk>,
    /// When the round that is under way began.
    round_began_ms: Option<u64>,
    next_round_ms: u64,
    expiring_seen: u64,
}

/// How far the sweep of one shard has come.
#[derive(Debug)]
struct Walk {
    /// The walk is of this table. After SWAPDB or a rebuild it begins anew.
    physical: usize,
    generation: u32,
    slot: usize,
    /// The first expiry among the entries that stay.
    earliest_ms: u64,
}

/// What a step of the sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// The counters.
    pub tally: Tally,
    /// Entries with an expiry that were looked at.
    pub sampled: u32,
    /// The keys that were removed, with their database's number.
    pub expired: Vec<(usize, Vec<u8>)>,
    /// By how much the time of a removed key had passed at most, milliseconds.
    pub late_ms: u64,
    /// Keys that clients wait for.
    pub ready: Vec<(usize, Vec<u8>)>,
    /// A round has ended with this step: the keys that expire, as it met them.
    pub round_over: Option<u64>,
    /// The round is over; there is nothing to do before this time.
    pub rest_until_ms: Option<u64>,
}

impl Sweep {
    /// The walk of sweeper `part` of `parts`.
    pub fn new(part: usize, parts: usize) -> Sweep {
        Sweep {
            part,
            parts,
            number: 0,
            shard: part,
            walk: None,
            round_began_ms: None,
            next_round_ms: 0,
            expiring_seen: 0,
        }
    }

    /// Looks at one shard that is due, or at a part of it: one hold of its lock. Breaks off as soon as
    /// `enough` says so, and goes on there next time.
    pub fn step(&mut self, store: &Store, moment: Moment, enough: &dyn Fn() -> bool) -> Swept {
        let mut swept = Swept::default();
        if moment.now_ms < self.next_round_ms {
            swept.rest_until_ms = Some(self.next_round_ms);
            return swept;
        }
        let began_ms = *self.round_began_ms.get_or_insert(moment.now_ms);
        self.visit(store, moment, enough, &mut swept);
        if self.number >= store.databases() {
            swept.round_over = Some(self.expiring_seen);
            self.finish_round(began_ms, moment.now_ms);
            swept.rest_until_ms = Some(self.next_round_ms);
        }
        swept
    }

    fn finish_round(&mut self, began_ms: u64, now_ms: u64) {
        // A million expiring keys (this part's share times the parts): rest a second.
        let rest = self.expiring_seen * self.parts as u64 / 1_000;
        let rest = rest.clamp(SHORTEST_ROUND_MS, LONGEST_ROUND_MS);
        self.next_round_ms = (began_ms + rest).max(now_ms + SHORTEST_ROUND_MS / 2);
        (self.number, self.shard, self.expiring_seen) = (0, self.part, 0);
        self.round_began_ms = None;
    }

    /// Passes over shards that are not due until one hold has done some work.
    fn visit(&mut self, store: &Store, moment: Moment, enough: &dyn Fn() -> bool, swept: &mut Swept) {
        let (mut passed, mut empty) = (0, 0usize);
        while self.number < store.databases() && passed < SHARDS_A_STEP {
            let database =
                store.existing(store.physical(self.number)).filter(|_| self.shard < store.shards());
            let Some(database) = database else {
                self.number += 1;
                self.shard = self.part;
                self.walk = None;
                continue;
            };
            // An idle server does next to nothing: what a shard counts is read without its lock.
            if self.walk.is_none() && database.counts_of(self.shard).expiring == 0 {
                self.shard += self.parts;
                empty += 1;
                if empty.is_multiple_of(SHARDS_A_STEP) && enough() {
                    return;
                }
                continue;
            }
            let mut view = store.view_shard(moment, self.number, self.shard);
            if self.walk.is_none() && !self.is_due(&mut view) {
                self.shard += self.parts;
                passed += 1;
                if passed.is_multiple_of(SHARDS_A_LOOK) && enough() {
                    return;
                }
                continue;
            }
            self.sweep_held(&mut view, enough, swept);
            swept.tally = view.tally;
            swept.expired = view.take_expired();
            swept.ready = view.take_ready();
            return;
        }
    }

    /// Whether a shard that the round comes to has to be swept.
    fn is_due(&mut self, view: &mut View<'_>) -> bool {
        let now = view.now_ms();
        let side = view.guard(0).side();
        self.expiring_seen += u64::from(side.expiring);
        side.expiring > 0 && side.next_due_ms <= now
    }

    /// Sweeps the next slots of the shard that is held.
    fn sweep_held(&mut self, view: &mut View<'_>, enough: &dyn Fn() -> bool, swept: &mut Swept) {
        let mut walk = self.go_on(view);
        let (now, slots) = (view.now_ms(), view.guard(0).slots());
        let end = (walk.slot + SLOTS_A_HOLD).min(slots);
        while walk.slot < end {
            let place = Place { held: 0, slot: walk.slot };
            if let Some(at) = view.entry(place).and_then(Entry::expire_at_ms) {
                swept.sampled += 1;
                if at <= now {
                    swept.late_ms = swept.late_ms.max(now - at);
                    view.expire_in_place(place);
                } else {
                    walk.earliest_ms = walk.earliest_ms.min(at);
                }
            }
            walk.slot += 1;
            if walk.slot.is_multiple_of(SLOTS_A_LOOK) && enough() {
                break;
            }
        }
        if walk.slot < slots {
            self.walk = Some(walk);
            return;
        }
        let guard = view.guard(0);
        let side = guard.side_mut();
        side.next_due_ms = walk.earliest_ms.min(side.due_since_sweep_ms);
        guard.shrink_if_sparse();
        self.shard += self.parts;
    }

    /// The walk through the held shard: the one that is under way if its slots are still the same.
    fn go_on(&mut self, view: &mut View<'_>) -> Walk {
        let physical = view.physical;
        let side = view.guard(0).side_mut();
        match self.walk.take() {
            Some(walk) if walk.physical == physical && walk.generation == side.generation => walk,
            _ => {
                side.due_since_sweep_ms = u64::MAX;
                Walk { physical, generation: side.generation, slot: 0, earliest_ms: u64::MAX }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Str;
    use super::super::hash::KeyHasher;
    use super::super::keyspace::StoreOptions;
    use super::super::strings::Expiry;
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn store() -> Store {
        Store::with_hasher(&StoreOptions { databases: 2, shards: 16 }, KeyHasher::with_key(&[9; 16]))
    }

    fn set(store: &Store, now: u64, number: usize, name: &str, expiry: Expiry) {
        let mut view = store.view_whole(Moment::at(now), number);
        let key = view.key(name.as_bytes());
        view.set_string(key, Str::Bytes(b"value"), expiry);
    }

    fn fill(store: &Store, name: &str, count: usize, expiry: Expiry) {
        (0..count).for_each(|at| set(store, NOW, 0, &format!("{name}{at}"), expiry));
    }

    /// Steps until the round is over; the number of removed keys and when to come again.
    fn round(sweep: &mut Sweep, store: &Store, now: u64) -> (u32, u64) {
        let mut expired = 0;
        loop {
            let swept = sweep.step(store, Moment::at(now), &|| false);
            assert!(swept.tally.expired as usize <= SLOTS_A_HOLD);
            assert_eq!(swept.tally.expired as usize, swept.expired.len());
            expired += swept.tally.expired;
            if let Some(rest) = swept.rest_until_ms {
                return (expired, rest);
            }
        }
    }

    #[test]
    fn expired_keys_go_though_nobody_touches_them() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "stays", 100, Expiry::Clear);
        fill(&store, "goes", 900, Expiry::At(NOW + 1_000));
        fill(&store, "later", 50, Expiry::At(NOW + 5_000));
        let (expired, rest) = round(&mut sweep, &store, NOW);
        assert_eq!((expired, rest), (0, NOW + SHORTEST_ROUND_MS));
        assert_eq!(round(&mut sweep, &store, NOW + 999).0, 0);
        assert_eq!(round(&mut sweep, &store, NOW + 1_100).0, 900);
        let counts = store.counts(0);
        assert_eq!((counts.keys, counts.expiring), (150, 50));
        assert_eq!(round(&mut sweep, &store, NOW + 5_000).0, 50);
        assert_eq!(store.counts(0).keys, 100);
    }

    #[test]
    fn how_late_a_key_was_removed_is_told() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        set(&store, NOW, 0, "first", Expiry::At(NOW + 100));
        set(&store, NOW, 0, "second", Expiry::At(NOW + 400));
        let mut late = Vec::new();
        loop {
            let swept = sweep.step(&store, Moment::at(NOW + 1_000), &|| false);
            if swept.tally.expired > 0 {
                late.push(swept.late_ms);
            }
            if swept.rest_until_ms.is_some() {
                break;
            }
        }
        assert_eq!(late.iter().max(), Some(&900));
        assert!(late.contains(&600) || late.len() == 1, "{late:?}");
    }

    #[test]
    fn what_has_an_expiry_and_is_looked_at_is_counted() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "stays", 1_000, Expiry::Clear);
        // Enough of each that no shard is without either: a shard is swept whole, once it is due.
        fill(&store, "goes", 900, Expiry::At(NOW + 1_000));
        fill(&store, "later", 500, Expiry::At(NOW + 5_000));
        let mut sampled = 0;
        loop {
            let swept = sweep.step(&store, Moment::at(NOW + 1_100), &|| false);
            sampled += swept.sampled;
            if swept.rest_until_ms.is_some() {
                break;
            }
        }
        assert_eq!(sampled, 1_400);
    }

    #[test]
    fn the_mean_remaining_life_is_exact_swept_or_not() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        assert_eq!(store.counts(0).average_ttl_ms(NOW), 0);
        fill(&store, "never", 10, Expiry::Clear);
        fill(&store, "soon", 10, Expiry::At(NOW + 1_000));
        fill(&store, "late", 10, Expiry::At(NOW + 9_000));
        assert_eq!(store.counts(0).average_ttl_ms(NOW), 5_000);
        round(&mut sweep, &store, NOW + 1_000);
        assert_eq!(store.counts(0).average_ttl_ms(NOW + 1_000), 8_000);
        let mut view = store.view_whole(Moment::at(NOW + 1_000), 0);
        for at in 0..5 {
            let name = format!("late{at}");
            let key = view.key(name.as_bytes());
            assert!(view.expire_at(key, None));
        }
        drop(view);
        let counts = store.counts(0);
        assert_eq!((counts.expiring, counts.average_ttl_ms(NOW + 1_000)), (5, 8_000));
        assert_eq!(counts.average_ttl_ms(NOW + 60_000), 0, "what has expired has no life left");
    }

    #[test]
    fn a_round_is_followed_by_a_rest_that_grows_with_the_expiring_keys() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "k", 200_000, Expiry::At(NOW + 60_000));
        let (_, rest) = round(&mut sweep, &store, NOW);
        assert_eq!(rest, NOW + 200);
        let swept = sweep.step(&store, Moment::at(NOW + 199), &|| false);
        assert_eq!(swept.rest_until_ms, Some(NOW + 200));
    }

    /// Steps until the sweep stands in the middle of a shard, and names that shard.
    fn into_a_shard(sweep: &mut Sweep, store: &Store, now: u64) -> usize {
        while sweep.walk.is_none() {
            assert_eq!(
                sweep.step(store, Moment::at(now), &|| false).rest_until_ms,
                None,
                "no shard is large enough"
            );
        }
        sweep.shard
    }

    #[test]
    fn a_key_set_behind_the_sweep_is_not_forgotten() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "large", 40_000, Expiry::At(NOW + 60_000));
        fill(&store, "due", 200, Expiry::At(NOW + 1));
        let shard = into_a_shard(&mut sweep, &store, NOW + 1);
        let behind = {
            let guard = store.lock(store.physical(0), shard);
            let key = (0..SLOTS_A_HOLD).find_map(|slot| guard.get(slot).map(|entry| entry.key().to_vec()));
            String::from_utf8(key.unwrap()).unwrap()
        };
        // In place: the table keeps its shape and the walk goes on.
        set(&store, NOW, 0, &behind, Expiry::At(NOW + 500));
        round(&mut sweep, &store, NOW + 1);
        assert_eq!(store.counts(0).keys, 40_000);
        assert_eq!(round(&mut sweep, &store, NOW + 1_000).0, 1);
    }

    #[test]
    fn a_swap_in_the_middle_of_a_shard_loses_nothing() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "large", 40_000, Expiry::At(NOW + 500));
        fill(&store, "due", 200, Expiry::At(NOW + 1));
        into_a_shard(&mut sweep, &store, NOW + 1);
        store.view_whole(Moment::at(NOW + 1), 0).swap(0, 1);
        set(&store, NOW, 0, "alone", Expiry::At(NOW + 2));
        let now = round(&mut sweep, &store, NOW + 1).1;
        round(&mut sweep, &store, now);
        assert_eq!((store.counts(0).keys, store.counts(1).keys), (0, 40_000));
        assert_eq!(round(&mut sweep, &store, NOW + 1_000).0, 40_000);
        assert_eq!(store.counts(1).keys, 0);
    }

    #[test]
    fn tables_shrink_after_many_keys_have_gone() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "k", 40_000, Expiry::At(NOW + 1));
        fill(&store, "stays", 100, Expiry::Clear);
        let before = store.counts(0).table_bytes;
        assert_eq!(round(&mut sweep, &store, NOW + 1).0, 40_000);
        let after = store.counts(0).table_bytes;
        assert!(after * 50 < before, "{before} bytes of tables became {after}");
    }

    #[test]
    fn a_step_that_is_broken_off_goes_on_where_it_was() {
        let (store, mut sweep) = (store(), Sweep::new(0, 1));
        fill(&store, "goes", 900, Expiry::At(NOW + 1));
        fill(&store, "stays", 100, Expiry::Clear);
        let (mut steps, mut expired) = (0, 0);
        loop {
            let swept = sweep.step(&store, Moment::at(NOW + 1), &|| true);
            assert!(swept.tally.expired as usize <= SLOTS_A_LOOK);
            (steps, expired) = (steps + 1, expired + swept.tally.expired);
            if swept.rest_until_ms.is_some() {
                break;
            }
        }
        assert_eq!((expired, store.counts(0).keys), (900, 100));
        assert!(steps >= 1_000 / SLOTS_A_LOOK, "{steps} steps");
    }

    #[test]
    fn sweepers_share_the_shards() {
        let store = store();
        let mut sweeps: Vec<Sweep> = (0..3).map(|part| Sweep::new(part, 3)).collect();
        fill(&store, "k", 5_000, Expiry::At(NOW + 1));
        let shares: Vec<u32> = sweeps.iter_mut().map(|sweep| round(sweep, &store, NOW + 1).0).collect();
        assert_eq!(shares.iter().sum::<u32>(), 5_000);
        assert!(shares.iter().all(|&share| share > 1_000), "{shares:?}");
    }
}
