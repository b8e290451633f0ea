//! How often a shard's lock was not free, and how long it was waited for, by group of neighbouring shards.
//!
//! Keys lie in their shards by chance. So where many keys are wanted at once all groups have their share of the waits,
//! and where one key is, or a few, one group stands out. Whoever counts here waits anyway, for longer than that takes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Groups that the shards of each database are divided into, as many shards in each.
pub const LOCK_GROUPS: usize = 16;

/// The waits of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockWaits {
    /// How many there were.
    pub waits: u64,
    /// Nanoseconds that they took.
    pub nanos: u64,
}

/// The waits of all groups.
#[derive(Debug, Default)]
pub(super) struct GroupedWaits([(AtomicU64, AtomicU64); LOCK_GROUPS]);

impl GroupedWaits {
    /// Somebody begins to wait for a shard, of so many in a database.
    pub(super) fn begin(&self, shard: usize, shards: usize) {
        self.0[group_of(shard, shards)].0.fetch_add(1, Relaxed);
    }

    /// He has the lock, after so long.
    pub(super) fn end(&self, shard: usize, shards: usize, nanos: u64) {
        self.0[group_of(shard, shards)].1.fetch_add(nanos, Relaxed);
    }

    /// What each group has had.
    pub(super) fn all(&self) -> [LockWaits; LOCK_GROUPS] {
        self.0
            .each_ref()
            .map(|(waits, nanos)| LockWaits { waits: waits.load(Relaxed), nanos: nanos.load(Relaxed) })
    }

    /// Begins at zero again.
    pub(super) fn reset(&self) {
        for (waits, nanos) in &self.0 {
            waits.store(0, Relaxed);
            nanos.store(0, Relaxed);
        }
    }
}

fn group_of(shard: usize, shards: usize) -> usize {
    shard * LOCK_GROUPS / shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_of_one_group_and_all_groups_are_alike() {
        for shards in [16, 4_096, 65_536] {
            let groups: Vec<usize> = (0..shards).map(|shard| group_of(shard, shards)).collect();
            assert!(groups.is_sorted());
            let size = |group| groups.iter().filter(|&&of| of == group).count();
            assert!((0..LOCK_GROUPS).all(|group| size(group) == shards / LOCK_GROUPS));
        }
    }

    #[test]
    fn a_wait_counts_from_its_begin_and_its_time_from_its_end() {
        let waits = GroupedWaits::default();
        waits.begin(4_095, 4_096);
        assert_eq!(waits.all()[15], LockWaits { waits: 1, nanos: 0 });
        waits.end(4_095, 4_096, 70);
        assert_eq!(waits.all()[15], LockWaits { waits: 1, nanos: 70 });
        assert!(waits.all()[..15].iter().all(|group| *group == LockWaits::default()));
        waits.reset();
        assert_eq!(waits.all(), [LockWaits::default(); LOCK_GROUPS]);
    }
}
