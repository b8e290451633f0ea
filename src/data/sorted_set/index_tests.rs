//! The index against a plain map, through growth, splits, joins and shrinking.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::index::Index;

/// Spreads small numbers over all hashes, as a hash function does.
fn spread(id: u32) -> u32 {
    id.wrapping_mul(0x9e37_79b1)
}

fn walk(index: &Index, count: usize) -> Vec<u32> {
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        cursor = index.scan(cursor, count, |id| seen.push(id));
        if cursor == 0 {
            return seen;
        }
    }
}

fn check(index: &Index, model: &BTreeMap<u32, u32>) {
    for (&id, &hash) in model {
        assert_eq!(index.find(hash, |other| other == id), Some(id));
    }
    let mut seen = walk(index, 100);
    seen.sort_unstable();
    assert!(seen.iter().eq(model.keys()), "a walk shows each once while nothing changes");
}

#[test]
fn it_grows_by_splits_and_shrinks_by_joins() {
    // Hashes that differ, hashes that forty share each, and one that all share.
    type Hash = fn(u32) -> u32;
    let cases: [(Hash, u32); 3] = [(spread, 40_000), (|id| spread(id / 40), 20_000), (|_| 7, 500)];
    for (hash_of, entries) in cases {
        let (mut index, mut model) = (Index::with_room_for(0), BTreeMap::new());
        for id in 0..entries {
            index.insert(hash_of(id), id);
            model.insert(id, hash_of(id));
        }
        check(&index, &model);
        let grown = index.memory_usage();
        for id in 0..entries {
            if id % 97 != 0 {
                index.remove(hash_of(id), id);
                model.remove(&id);
            }
        }
        check(&index, &model);
        assert!(index.memory_usage() * 4 < grown, "{} of {grown}", index.memory_usage());
    }
}

#[test]
fn room_that_was_made_is_enough_for_most() {
    for entries in [0u32, 1, 100, 3_000, 100_000] {
        let mut index = Index::with_room_for(entries as usize);
        let before = index.memory_usage();
        (0..entries).for_each(|id| index.insert(spread(id), id));
        assert!(index.memory_usage() <= before + before / 4 + 64);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32, u32),
    Remove(u32, u32),
    Rename(u32),
    Walk(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..20_000u32, 1..6_000u32).prop_map(|(from, len)| Step::Insert(from, len)),
        (0..40_000u32, 1..12_000u32).prop_map(|(from, len)| Step::Remove(from, len)),
        (0..40_000u32).prop_map(Step::Rename),
        (1..3_000usize).prop_map(Step::Walk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_walk_misses_nothing_that_stays(steps in prop::collection::vec(step(), 1..20), shift in 0..4u32) {
        let hash_of = |id: u32| spread(id % 100_000) >> shift;
        let (mut index, mut model) = (Index::with_room_for(0), BTreeMap::new());
        let mut renamed = 100_000;
        let (mut cursor, mut walking) = (0, None::<(BTreeSet<u32>, BTreeSet<u32>)>);
        for step in steps {
            match step {
                Step::Insert(from, len) => for id in from..from + len {
                    if model.insert(id, hash_of(id)).is_none() {
                        index.insert(hash_of(id), id);
                    }
                },
                Step::Remove(from, len) => for id in from..from + len {
                    if let Some(hash) = model.remove(&id) {
                        index.remove(hash, id);
                    }
                },
                Step::Rename(id) => if let Some(hash) = model.remove(&id) {
                    renamed += 1;
                    index.rename(hash, id, renamed);
                    model.insert(renamed, hash);
                },
                Step::Walk(count) => {
                    let (_, shown) = walking.get_or_insert_with(|| {
                        (model.keys().copied().collect(), BTreeSet::new())
                    });
                    cursor = index.scan(cursor, count, |id| { shown.insert(id); });
                    if cursor == 0 && let Some((stayed, shown)) = walking.take() {
                        prop_assert!(stayed.is_subset(&shown), "shown is what stayed");
                    }
                }
            }
            // Only what stays from the first call on has to be shown.
            if let Some((stayed, _)) = &mut walking {
                stayed.retain(|id| model.contains_key(id));
            }
        }
        check(&index, &model);
    }
}
