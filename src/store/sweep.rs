//! The active side of expiry: removes what has expired though nobody asks for it.
//!
//! Every shard knows how many of its keys expire and a time before which none does. A shard that is
//! due is swept whole, a bounded number of slots a hold; at about 17 ns an entry a sweep of all
//! shards of a million keys costs 17 ms. So that keys with spread expiries do not have their shard
//! swept for each one, a shard rests after a sweep for a time that grows with the number of expiring
//! keys: the work stays below about two percent of a core, and what has expired waits a second at
//! most per million keys (it is invisible to clients from the millisecond it expires).

use super::keyspace::Store;
use super::view::{Moment, Place, Tally, View};

/// Slots looked at in one hold of a shard.
const SLOTS_A_HOLD: usize = 512;

/// One sweeper's walk over its part of the shards of all databases.
#[derive(Debug)]
pub struct Sweep {
    /// This sweeper takes shards `part`, `part + parts`, and so on.
    part: usize,
    parts: usize,
    number: usize,
    shard: usize,
    slot: usize,
    generation: u32,
    earliest_ms: u64,
    round_began_ms: u64,
    expiring_seen: u64,
    next_round_ms: u64,
    /// Remaining life of the keys met in this round: their number and sum, for INFO's avg_ttl.
    ttl_sum_ms: u128,
    averages_ms: Vec<u64>,
}

/// What a step of the sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// The counters.
    pub tally: Tally,
    /// The keys that were removed, with their database's number.
    pub expired: Vec<(usize, Vec<u8>)>,
    /// Keys that clients wait for.
    pub ready: Vec<(usize, Vec<u8>)>,
    /// The round is over; there is nothing to do before this time.
    pub rest_until_ms: Option<u64>,
}

/// A round starts at most this often.
const SHORTEST_ROUND_MS: u64 = 100;

impl Sweep {
    /// The walk of sweeper `part` of `parts`.
    pub fn new(part: usize, parts: usize) -> Sweep {
        Sweep {
            part,
            parts,
            number: 0,
            shard: part,
            slot: 0,
            generation: 0,
            earliest_ms: u64::MAX,
            round_began_ms: 0,
            expiring_seen: 0,
            next_round_ms: 0,
            ttl_sum_ms: 0,
            averages_ms: Vec::new(),
        }
    }

    /// Mean remaining life of a database's expiring keys as the last round saw it, in milliseconds.
    pub fn average_ttl_ms(&self, number: usize) -> u64 {
        self.averages_ms.get(number).copied().unwrap_or(0)
    }

    /// Looks at one shard, or at a part of it: one hold of its lock.
    pub fn step(&mut self, store: &Store, moment: Moment) -> Swept {
        let mut swept = Swept::default();
        if moment.now_ms < self.next_round_ms {
            swept.rest_until_ms = Some(self.next_round_ms);
            return swept;
        }
        if self.number == 0 && self.shard == self.part && self.slot == 0 {
            self.round_began_ms = moment.now_ms;
        }
        self.visit(store, moment, &mut swept);
        if self.number >= store.databases() {
            self.finish_round(moment.now_ms);
            swept.rest_until_ms = Some(self.next_round_ms);
        }
        swept
    }

    fn finish_round(&mut self, now_ms: u64) {
        // A million expiring keys of this part's share: rest a second.
        let rest = (self.expiring_seen * self.parts as u64 / 1_000).clamp(SHORTEST_ROUND_MS, 10_000);
        self.next_round_ms = (self.round_began_ms + rest).max(now_ms + SHORTEST_ROUND_MS / 2);
        (self.number, self.shard, self.slot, self.expiring_seen) = (0, self.part, 0, 0);
    }

    fn next_database(&mut self) {
        self.number += 1;
        self.shard = self.part;
        self.slot = 0;
        self.ttl_sum_ms = 0;
    }

    /// Passes over shards that are not due until one hold has done some work.
    fn visit(&mut self, store: &Store, moment: Moment, swept: &mut Swept) {
        while self.number < store.databases() {
            if store.existing(store.physical(self.number)).is_none() || self.shard >= store.shards() {
                self.next_database();
                continue;
            }
            let mut view = store.view_shard(moment, self.number, self.shard);
            let side = view.guard(0).side();
            self.expiring_seen += if self.slot == 0 { u64::from(side.expiring) } else { 0 };
            let due = side.expiring > 0 && side.next_due_ms <= moment.now_ms;
            if !due {
                self.shard += self.parts;
                self.slot = 0;
                continue;
            }
            self.sweep_shard(&mut view);
            swept.tally = view.tally;
            swept.expired = view.take_expired();
            swept.ready = view.take_ready();
            return;
        }
    }

    fn sweep_shard(&mut self, view: &mut View<'_>) {
        let generation = view.guard(0).side().generation;
        if self.slot == 0 || generation != self.generation {
            (self.slot, self.generation, self.earliest_ms) = (0, generation, u64::MAX);
            view.guard(0).side_mut().set_due_ms = u64::MAX;
        }
        let (now, slots) = (view.now_ms(), view.guard(0).slots());
        let end = (self.slot + SLOTS_A_HOLD).min(slots);
        while self.slot < end {
            let place = Place { held: 0, slot: self.slot };
            self.slot += 1;
            match view.entry(place).and_then(super::entry::Entry::expire_at_ms) {
                Some(at) if at <= now => {
                    view.expire(place);
                    if view.guard(0).side().generation != self.generation {
                        // The table shrank under us: its slots are new. Go on with it next time.
                        self.slot = 0;
                        return;
                    }
                }
                Some(at) => self.earliest_ms = self.earliest_ms.min(at),
                None => {}
            }
        }
        if end == slots {
            let side = view.guard(0).side_mut();
            side.next_due_ms = self.earliest_ms.min(side.set_due_ms);
            self.shard += self.parts;
            self.slot = 0;
        }
    }
}
