//! Eviction: which key goes when memory is short.
//!
//! No list orders the keys: an order by last use that every read updates would be a lock that all workers
//! share. Instead some keys are drawn at random and the best victims among them are kept in a small pool, as
//! Redis does. Four things are better here. The drawn entries are neighbours in one table
//! and asked for together, so that their cache misses overlap. What lies in
//! the pool is evicted only if it has not been used since. Where Redis's score is a draw, the
//! longer unused key goes: LFU's bits tell that, too. And under LRU a key that was never used again since it was
//! new counts as unused for four times as long.
//!
//! To compare more keys for each eviction than `maxmemory-samples` says would cost little, and was tried: three
//! times as many follow the policy more closely and keep fewer hits, since neither the last use nor a counter foretells
//! the next one that well. Chance, which spares some keys that the policy would not, does better under scans and when the
//! working set moves on.
//!
//! Each worker has a pool of its own. A step locks a shard to take a key, and every fourth one another to look at keys
//! for that step and the three after it: a shard that was not used of late costs some cache misses one after the other,
//! whether five of its keys are looked at or twenty.

use smallvec::SmallVec;

use super::entry::Entry;
use super::hash::{KeyHash, shard_of};
use super::keyspace::Store;
use super::random::Random;
use super::usage::{decayed, idle_minutes, idle_seconds, is_reused};
use super::view::{Moment, Place, Tally, View};

/// The best victims that have been seen and not yet taken.
const POOL: usize = 16;

/// A key that was never used again counts as unused for so many times as long.
const NEVER_REUSED: u64 = 4;

/// Evictions for which keys are looked at in one go.
const STEPS_A_LOOK: usize = 4;

/// At most so many slots are looked at in one hold of a shard.
const SLOTS_A_HOLD: usize = 512;

/// Where shards hold a key or two, so many are looked into at most.
const MOST_SHARDS: u32 = 16;

/// Entries that are asked for at once.
const AHEAD: usize = 20;

/// The databases are weighed anew after so many draws.
const WEIGHED_FOR: u32 = 512;

/// What makes a key a good victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Longest unused first.
    Lru,
    /// Least often used first; the counter loses one in so many minutes (0: never).
    Lfu {
        /// `lfu-decay-time`.
        decay_minutes: u32,
    },
    /// Nearest expiry first.
    Ttl,
    /// Any.
    Random,
}

/// A policy of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionRule {
    /// Only keys with an expiry.
    pub volatile: bool,
    /// Which of them.
    pub worth: Worth,
    /// `maxmemory-samples`.
    pub samples: u32,
}

/// A key that may go soon. It is found again by its hash, so that no key is copied for it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    score: u64,
    number: usize,
    hash: KeyHash,
    /// Its use bits when it was seen: a key that was used since is no victim.
    bits: u32,
}

/// What one worker keeps between evictions.
#[derive(Debug)]
pub struct Evictor {
    /// Best victims last.
    pool: Vec<Candidate>,
    rule: Option<EvictionRule>,
    /// So many more may go before others are looked at.
    looked_for: usize,
    random: Random,
    /// Databases that hold something to evict, and how much.
    weights: Vec<(usize, usize)>,
    weighed_for: u32,
}

/// A key that was evicted.
#[derive(Debug)]
pub struct Evicted {
    /// Its database.
    pub number: usize,
    /// Its name.
    pub key: Vec<u8>,
}

/// What a step came to.
#[derive(Debug, Default)]
pub struct EvictionStep {
    /// The key that went.
    pub evicted: Option<Evicted>,
    /// There is nothing that the rule would let go.
    pub nothing: bool,
    /// Counters.
    pub tally: Tally,
    /// Keys that had expired and went first.
    pub expired: Vec<(usize, Vec<u8>)>,
    /// Keys that clients wait for.
    pub ready: Vec<(usize, Vec<u8>)>,
}

impl EvictionStep {
    /// Takes what happened to a shard's view, and lets go of it.
    fn close(&mut self, mut view: View<'_>) {
        view.guard(0).shrink_if_sparse();
        self.tally.lock_waits += view.tally.lock_waits;
        self.tally.lock_wait_ns += view.tally.lock_wait_ns;
        self.tally.expired += view.tally.expired;
        self.expired.append(&mut view.take_expired());
        self.ready.append(&mut view.take_ready());
    }
}

impl Evictor {
    /// An empty pool.
    pub fn new(seed: u64) -> Evictor {
        Evictor {
            pool: Vec::with_capacity(POOL),
            rule: None,
            looked_for: 0,
            random: Random::new(seed),
            weights: Vec::new(),
            weighed_for: 0,
        }
    }

    /// Looks for the worst of some keys and evicts it. A step that evicts nothing though there is something
    /// is followed by another.
    pub fn step(&mut self, store: &Store, moment: Moment, rule: EvictionRule) -> EvictionStep {
        if self.rule != Some(rule) {
            // What is in the pool was judged by another rule.
            self.pool.clear();
            self.looked_for = 0;
            self.weighed_for = 0;
            self.rule = Some(rule);
        }
        let mut step = EvictionStep::default();
        if rule.worth == Worth::Random {
            self.take_any(store, moment, rule, &mut step);
        } else if self.has_looked(store, moment, rule, &mut step)
            && let Some(candidate) = self.pool.pop()
        {
            let shard = shard_of(candidate.hash, store.shards());
            let mut view = store.view_shard(moment, candidate.number, shard);
            let found = find(&mut view, &candidate);
            step.evicted = found.and_then(|slot| evict(&mut view, slot));
            step.close(view);
        }
        step
    }

    /// Evicts the first key that the rule lets go in a shard drawn at random.
    fn take_any(&mut self, store: &Store, moment: Moment, rule: EvictionRule, step: &mut EvictionStep) {
        let Some((number, shard)) = self.draw_shard(store, rule) else {
            step.nothing = true;
            return;
        };
        let mut view = store.view_shard(moment, number, shard);
        let chosen = self.eligible(&mut view, rule, 1).first().map(|&(slot, _)| slot);
        step.evicted = chosen.and_then(|slot| evict(&mut view, slot));
        step.close(view);
    }

    /// Looks at keys for the pool unless that was done for this step, too.
    fn has_looked(
        &mut self,
        store: &Store,
        moment: Moment,
        rule: EvictionRule,
        step: &mut EvictionStep,
    ) -> bool {
        if self.looked_for > 0 && !self.pool.is_empty() {
            self.looked_for -= 1;
            return true;
        }
        let found = self.fill(store, moment, rule, step);
        self.fetch_next(store);
        found
    }

    /// Fetches what the next steps will need to find their keys: all of it at once.
    fn fetch_next(&self, store: &Store) {
        let Some(number) = self.pool.last().map(|best| best.number) else { return };
        let best = self.pool.iter().rev().take(1 + self.looked_for);
        let hashes: SmallVec<[KeyHash; STEPS_A_LOOK]> =
            best.filter(|kept| kept.number == number).map(|kept| kept.hash).collect();
        store.prefetch(number, &hashes);
    }

    /// Looks at some keys for the pool: of one shard if it holds enough, else of several. Keys that have expired
    /// and are met go at once, and that may be enough: false then.
    fn fill(&mut self, store: &Store, moment: Moment, rule: EvictionRule, step: &mut EvictionStep) -> bool {
        let mut seen = 0;
        for _ in 0..rule.samples.min(MOST_SHARDS) {
            let Some((number, shard)) = self.draw_shard(store, rule) else {
                step.nothing = seen == 0;
                return seen > 0;
            };
            let mut view = store.view_shard(moment, number, shard);
            seen += self.look(&mut view, store, rule, number);
            step.close(view);
            if !step.expired.is_empty() {
                return false;
            }
            if seen >= rule.samples as usize {
                break;
            }
        }
        self.looked_for = (seen / rule.samples.max(1) as usize).saturating_sub(1);
        true
    }

    /// A shard that holds something to evict, drawn by its weight.
    fn draw_shard(&mut self, store: &Store, rule: EvictionRule) -> Option<(usize, usize)> {
        // The first look may use weights that are old; the second does not.
        for _ in 0..2 {
            if self.weighed_for == 0 {
                self.weigh(store, rule);
            }
            self.weighed_for = self.weighed_for.saturating_sub(1);
            let Some(number) = self.draw_database() else { continue };
            if let Some(shard) = self.draw_shard_of(store, rule, number) {
                return Some((number, shard));
            }
            self.weighed_for = 0;
        }
        None
    }

    fn weigh(&mut self, store: &Store, rule: EvictionRule) {
        let weight = |number| {
            let counts = store.counts(number);
            if rule.volatile { counts.expiring } else { counts.keys }
        };
        self.weights.clear();
        self.weights
            .extend((0..store.databases()).map(|number| (number, weight(number))).filter(|of| of.1 > 0));
        self.weighed_for = WEIGHED_FOR;
    }

    fn draw_database(&mut self) -> Option<usize> {
        if let [(only, _)] = self.weights[..] {
            return Some(only);
        }
        let all: usize = self.weights.iter().map(|of| of.1).sum();
        if all == 0 {
            self.weighed_for = 0;
            return None;
        }
        let mut at = self.random.below(all);
        for &(number, weight) in &self.weights {
            if at < weight {
                return Some(number);
            }
            at -= weight;
        }
        None
    }

    /// Shards' weights are unequal: a random hash draws each as often as it holds keys. From there on to the
    /// next that has any.
    fn draw_shard_of(&mut self, store: &Store, rule: EvictionRule, number: usize) -> Option<usize> {
        let database = store.existing(store.physical(number))?;
        let first = shard_of(self.random.draw(), database.shards());
        (0..database.shards()).map(|step| (first + step) % database.shards()).find(|&shard| {
            let counts = database.counts_of(shard);
            if rule.volatile { counts.expiring > 0 } else { counts.keys > 0 }
        })
    }

    /// Entries of the held shard that the rule would let go, from a random slot on: where they lie, and when
    /// they expire.
    fn eligible(
        &mut self,
        view: &mut View<'_>,
        rule: EvictionRule,
        wanted: usize,
    ) -> SmallVec<[(usize, Option<u64>); 32]> {
        let mut found = SmallVec::new();
        let guard = view.guard(0);
        let slots = guard.slots();
        let start = self.random.below(slots.max(1));
        let mut ahead: SmallVec<[usize; AHEAD]> = SmallVec::new();
        let mut looked = 0;
        while looked < slots.min(SLOTS_A_HOLD) && found.len() < wanted {
            ahead.clear();
            while looked < slots && ahead.len() < AHEAD.min(wanted.max(2)) {
                let slot = (start + looked) % slots;
                looked += 1;
                if let Some(entry) = guard.get(slot) {
                    entry.prefetch();
                    ahead.push(slot);
                }
            }
            for &slot in &ahead {
                let expiry = guard.get(slot).and_then(Entry::expire_at_ms);
                if (expiry.is_some() || !rule.volatile) && found.len() < wanted {
                    found.push((slot, expiry));
                }
            }
        }
        found
    }

    /// Judges some entries of the held shard and keeps the best victims. Those that have expired go at once.
    /// How many there were.
    fn look(&mut self, view: &mut View<'_>, store: &Store, rule: EvictionRule, number: usize) -> usize {
        let wanted = (rule.samples as usize).saturating_mul(STEPS_A_LOOK).min(SLOTS_A_HOLD);
        let now = view.now_ms();
        let eligible = self.eligible(view, rule, wanted);
        let seen = eligible.len();
        for (slot, expiry) in eligible {
            if expiry.is_some_and(|at| at <= now) {
                view.expire_in_place(Place { held: 0, slot });
                continue;
            }
            let Some(entry) = view.guard(0).get(slot) else { continue };
            let bits = entry.lru();
            let score = score(rule.worth, bits, expiry, now);
            if self.pool.len() == POOL && self.pool[0].score >= score {
                continue;
            }
            let candidate = Candidate { score, number, hash: store.hash(entry.key()), bits };
            self.keep(candidate);
        }
        seen
    }

    fn keep(&mut self, candidate: Candidate) {
        let same = |kept: &Candidate| kept.hash == candidate.hash && kept.number == candidate.number;
        self.pool.retain(|kept| !same(kept));
        if self.pool.len() == POOL {
            self.pool.remove(0);
        }
        let at = self.pool.partition_point(|kept| kept.score <= candidate.score);
        self.pool.insert(at, candidate);
    }
}

/// How good a victim a key is: the greater, the better.
fn score(worth: Worth, bits: u32, expiry: Option<u64>, now_ms: u64) -> u64 {
    match worth {
        // One more, so that those that are new in this second are told apart, too.
        Worth::Lru => {
            (u64::from(idle_seconds(bits, now_ms)) + 1) * if is_reused(bits) { 1 } else { NEVER_REUSED }
        }
        Worth::Lfu { decay_minutes } => {
            let seldom = 255 - u64::from(decayed(bits, now_ms, decay_minutes));
            seldom << 16 | u64::from(idle_minutes(bits, now_ms))
        }
        Worth::Ttl => u64::MAX - expiry.unwrap_or(u64::MAX),
        Worth::Random => 0,
    }
}

/// The candidate's slot in the held shard, if it is there as it was seen.
fn find(view: &mut View<'_>, candidate: &Candidate) -> Option<usize> {
    let guard = view.guard(0);
    let slot = guard.find_hash(candidate.hash)?;
    (guard.get(slot)?.lru() == candidate.bits).then_some(slot)
}

fn evict(view: &mut View<'_>, slot: usize) -> Option<Evicted> {
    let (number, place) = (view.database(), Place { held: 0, slot });
    view.evict_in_place(place).map(|key| Evicted { number, key })
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
        Store::with_hasher(&StoreOptions { databases: 4, shards: 64 }, KeyHasher::with_key(&[5; 16]))
    }

    fn set(store: &Store, now: u64, number: usize, name: &str, expiry: Expiry) {
        let mut view = store.view_whole(Moment::at(now), number);
        let key = view.key(name.as_bytes());
        view.set_string(key, Str::Bytes(b"value"), expiry);
    }

    fn rule(volatile: bool, worth: Worth) -> EvictionRule {
        EvictionRule { volatile, worth, samples: 5 }
    }

    /// Evicts `count` keys and gives their names.
    fn evict_some(store: &Store, rule: EvictionRule, now: u64, count: usize) -> Vec<String> {
        let mut evictor = Evictor::new(7);
        let mut names = Vec::new();
        for _ in 0..count * 20 {
            let step = evictor.step(store, Moment::at(now), rule);
            names.extend(step.evicted.map(|evicted| String::from_utf8(evicted.key).unwrap()));
            if names.len() == count || step.nothing {
                break;
            }
        }
        names
    }

    #[test]
    fn the_longest_unused_go_first() {
        let store = store();
        (0..2_000).for_each(|at| set(&store, NOW + at * 1_000, 0, &format!("k{at}"), Expiry::Clear));
        let names = evict_some(&store, rule(false, Worth::Lru), NOW + 2_000_000, 500);
        assert_eq!(names.len(), 500);
        let young = names.iter().filter(|name| name[1..].parse::<u32>().unwrap() >= 1_000).count();
        assert!(young < 10, "{young} of 500 victims are of the younger half");
        assert_eq!(store.counts(0).keys, 1_500);
    }

    #[test]
    fn what_was_used_since_it_was_seen_stays() {
        let store = store();
        (0..64).for_each(|at| set(&store, NOW, 0, &format!("k{at}"), Expiry::Clear));
        let mut evictor = Evictor::new(7);
        let rule = rule(false, Worth::Lru);
        let first = evictor.step(&store, Moment::at(NOW + 60_000), rule).evicted;
        assert!(first.is_some() && !evictor.pool.is_empty(), "others wait in the pool");
        (0..64).for_each(|at| {
            let mut view = store.view_whole(Moment::at(NOW + 90_000), 0);
            let name = format!("k{at}");
            let key = view.key(name.as_bytes());
            view.read(key);
        });
        let best = *evictor.pool.last().unwrap();
        let shard = shard_of(best.hash, store.shards());
        assert!(find(&mut store.view_shard(Moment::at(NOW), 0, shard), &best).is_none());
    }

    #[test]
    fn what_was_never_used_again_counts_as_unused_for_longer() {
        let store = store();
        let name = |at: u64| format!("k{at}");
        (0..2_000).for_each(|at| set(&store, NOW, 0, &name(at), Expiry::Clear));
        // The even ones are read, and so idle for as long as the others.
        for at in (0..2_000).step_by(2) {
            let mut view = store.view_whole(Moment::at(NOW), 0);
            let name = name(at);
            let key = view.key(name.as_bytes());
            view.read(key);
        }
        let rule = rule(false, Worth::Lru);
        let again =
            |names: &[String]| names.iter().filter(|name| name.ends_with(['0', '2', '4', '6', '8'])).count();
        let victims = evict_some(&store, rule, NOW + 60_000, 500);
        assert!(victims.len() == 500 && again(&victims) < 10, "{} were read", again(&victims));
        // They do not stay for ever: what is new is worth more than what was read long ago.
        (2_000..4_000).for_each(|at| set(&store, NOW + 600_000, 0, &name(at), Expiry::Clear));
        let victims = evict_some(&store, rule, NOW + 601_000, 500);
        let new = victims.iter().filter(|name| name[1..].parse::<u64>().is_ok_and(|at| at >= 2_000)).count();
        assert!(new < 10, "{new} were new");
    }

    #[test]
    fn the_least_used_go_first() {
        let store = store();
        let usage = super::super::Usage::Lfu { log_factor: 0, decay_minutes: 1 };
        let moment = Moment { usage, ..Moment::at(NOW) };
        for at in 0..400 {
            let mut view = store.view_whole(moment, 0);
            let name = format!("k{at}");
            let key = view.key(name.as_bytes());
            view.set_string(key, Str::Bytes(b"v"), Expiry::Clear);
            for _ in 0..at / 4 {
                view.read(key);
            }
        }
        let names = evict_some(&store, rule(false, Worth::Lfu { decay_minutes: 1 }), NOW, 100);
        let often = names.iter().filter(|name| name[1..].parse::<u32>().unwrap() >= 200).count();
        assert!(names.len() == 100 && often < 3, "{often} of 100 victims are of the more used half");
    }

    #[test]
    fn a_volatile_rule_leaves_keys_without_expiry_alone() {
        let store = store();
        (0..500).for_each(|at| set(&store, NOW, 0, &format!("stays{at}"), Expiry::Clear));
        (0..50).for_each(|at| set(&store, NOW, 2, &format!("goes{at}"), Expiry::At(NOW + 60_000 + at)));
        for worth in [Worth::Lru, Worth::Lfu { decay_minutes: 1 }, Worth::Random, Worth::Ttl] {
            let names = evict_some(&store, rule(true, worth), NOW, 10);
            assert!(names.len() == 10 && names.iter().all(|name| name.starts_with("goes")), "{names:?}");
        }
        assert_eq!(evict_some(&store, rule(true, Worth::Lru), NOW, 100).len(), 10);
        assert!(Evictor::new(1).step(&store, Moment::at(NOW), rule(true, Worth::Lru)).nothing);
        assert_eq!((store.counts(0).keys, store.counts(2).keys), (500, 0));
    }

    #[test]
    fn the_nearest_expiry_goes_first_and_what_has_expired_before_it() {
        let store = store();
        (0..400).for_each(|at| set(&store, NOW, 0, &format!("k{at}"), Expiry::At(NOW + 1_000 * (at + 1))));
        let names = evict_some(&store, rule(true, Worth::Ttl), NOW, 100);
        let late = names.iter().filter(|name| name[1..].parse::<u32>().unwrap() >= 200).count();
        assert!(names.len() == 100 && late < 3, "{late} of 100 victims expire in the later half");
        let mut evictor = Evictor::new(3);
        let step = evictor.step(&store, Moment::at(NOW + 1_000_000), rule(true, Worth::Ttl));
        assert!(step.evicted.is_none() && !step.expired.is_empty(), "{step:?}");
        assert_eq!(step.tally.expired as usize, step.expired.len());
    }

    #[test]
    fn a_single_key_is_found_in_any_database() {
        let store = store();
        set(&store, NOW, 3, "alone", Expiry::Clear);
        for worth in [Worth::Lru, Worth::Random] {
            set(&store, NOW, 3, "alone", Expiry::Clear);
            assert_eq!(evict_some(&store, rule(false, worth), NOW, 1), ["alone"]);
        }
        assert!(Evictor::new(1).step(&store, Moment::at(NOW), rule(false, Worth::Lru)).nothing);
    }

    #[test]
    fn large_values_are_freed_elsewhere_and_counted_until_then() {
        let store = store();
        let (to, garbage) = std::sync::mpsc::channel();
        store.free_elsewhere(to);
        let entries: Vec<_> =
            (0..3).map(|at| Entry::string(b"k", Str::Int(at), Default::default())).collect();
        store.discard(entries);
        assert!(store.garbage_bytes() > 0);
        let entries = garbage.recv().unwrap();
        let bytes = super::super::keyspace::garbage_estimate(&entries);
        store.garbage_done(entries.len(), bytes);
        assert_eq!((store.garbage_bytes(), store.garbage()), (0, (0, 3)));
    }
}
