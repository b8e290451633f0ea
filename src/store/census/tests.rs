//! The walk against another way to count the same, broken off anywhere.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::super::entry::Str;
use super::super::hash::KeyHasher;
use super::super::keyspace::StoreOptions;
use super::super::object::Kind as _;
use super::super::strings::Expiry;
use super::super::view::Moment;
use super::*;
use crate::data::{Hash, List, Set, SortedSet, ValueLimits};

const NOW: u64 = 1_700_000_000_000;

fn store() -> Store {
    Store::with_hasher(&StoreOptions { databases: 3, shards: 16 }, KeyHasher::with_key(&[9; 16]))
}

fn set(store: &Store, database: usize, name: &[u8], value: &[u8], expiry: Expiry) {
    let mut view = store.view_whole(Moment::at(NOW), database);
    let key = view.key(name);
    view.set_string(key, Str::Bytes(value), expiry);
}

fn put(store: &Store, database: usize, name: &[u8], object: Object) {
    let mut view = store.view_whole(Moment::at(NOW), database);
    let key = view.key(name);
    view.set_object(key, object);
}

fn remove(store: &Store, database: usize, name: &[u8]) {
    let mut view = store.view_whole(Moment::at(NOW), database);
    let key = view.key(name);
    view.remove(key);
}

/// A collection of `count` elements.
fn collection(random: u64, count: usize) -> Object {
    let names = (0..count).map(|at| format!("element {at}").into_bytes());
    let limits = ValueLimits::default();
    match random % 4 {
        0 => {
            let mut list = List::default();
            names.for_each(|name| list.push_back(&name, limits.list));
            list.wrap()
        }
        1 => {
            let mut set = Set::new();
            names.for_each(|name| {
                set.insert(&name, &limits.set);
            });
            set.wrap()
        }
        2 => {
            let mut hash = Hash::default();
            names.for_each(|name| {
                hash.set(&name, b"value", &limits.hash);
            });
            hash.wrap()
        }
        _ => {
            let mut sorted = SortedSet::default();
            names.for_each(|name| {
                sorted.insert(&name, name.len() as f64, &limits.sorted_set);
            });
            sorted.wrap()
        }
    }
}

/// Goes all the way, `looks` looks at a time.
fn walked(census: &mut Census, store: &Store, looks: u32) -> Tallied {
    for _ in 0..1_000_000 {
        let left = Cell::new(looks);
        let enough = || left.replace(left.get().saturating_sub(1)) <= 1;
        if let Some(tallied) = census.step(store, NOW, &enough) {
            return tallied;
        }
    }
    panic!("the walk comes to no end");
}

/// A key that is there: database, name, type, elements and bytes.
type There = (usize, Vec<u8>, Type, u64, u64);

/// Every key of every database, by another way.
fn all(store: &Store) -> Vec<There> {
    let mut all = Vec::new();
    for number in 0..store.databases() {
        for shard in 0..store.shards() {
            let guard = store.lock(store.physical(number), shard);
            for entry in (0..guard.slots()).filter_map(|slot| guard.get(slot)) {
                let elements = entry.as_object().map_or(0, Object::len) as u64;
                let bytes = entry.memory_usage() as u64 + SLOT_BYTES;
                all.push((number, entry.key().to_vec(), entry.value_type(), elements, bytes));
            }
        }
    }
    all
}

#[test]
fn what_it_counts_is_what_is_there_however_often_it_is_broken_off() {
    let store = store();
    let mut random = super::super::random::Random::new(7);
    for number in 0..3_000 {
        let (database, draw) = (number % 3, random.draw());
        let name = format!("{}{number}", ["user:", "cart:7:", "", "session:"][draw as usize % 4]);
        if draw >> 8 & 1 == 0 {
            set(&store, database, name.as_bytes(), &vec![b'x'; (draw >> 16) as usize % 5_000], Expiry::Clear);
        } else {
            put(&store, database, name.as_bytes(), collection(draw >> 9, 1 + (draw >> 16) as usize % 700));
        }
    }
    let expected = all(&store);
    for (parts, looks) in [(1, 1_000_000), (1, 1), (3, 2)] {
        let found: Vec<Tallied> =
            (0..parts).map(|part| walked(&mut Census::new(part, parts), &store, looks)).collect();
        let tallied = Tallied::together(&found.iter().collect::<Vec<_>>());
        for (value_type, amount) in TYPES.iter().zip(tallied.types) {
            let of_type = || expected.iter().filter(|key| key.2 == *value_type);
            let sum = |figure: fn(&There) -> u64| of_type().map(figure).sum::<u64>();
            let there = Amount {
                keys: of_type().count() as u64,
                elements: sum(|key| key.3),
                bytes: sum(|key| key.4),
            };
            assert_eq!(amount, there, "{} in {parts} parts, {looks} looks", value_type.name());
        }
        let mut by_bytes: Vec<u64> = expected.iter().map(|key| key.4).collect();
        by_bytes.sort_by_key(|&bytes| std::cmp::Reverse(bytes));
        assert_eq!(tallied.by_bytes.iter().map(|key| key.bytes).collect::<Vec<_>>(), by_bytes[..LARGEST]);
        for large in &tallied.by_bytes {
            let is_it = |key: &&There| {
                (key.0, &key.1[..], key.3, key.4)
                    == (large.database, large.name.bytes(), large.elements, large.bytes)
            };
            assert_eq!(expected.iter().filter(is_it).count(), 1, "{large:?}");
        }
        let mut by_elements: Vec<u64> = expected.iter().map(|key| key.3).collect();
        by_elements.sort_by_key(|&elements| std::cmp::Reverse(elements));
        let seen: Vec<u64> = tallied.by_elements.iter().map(|key| key.elements).collect();
        assert_eq!(seen, by_elements[..LARGEST]);
        let mut prefixes = BTreeMap::new();
        for key in &expected {
            let prefix =
                key.1.iter().position(|&byte| byte == b':').map_or(&b""[..], |colon| &key.1[..=colon]);
            let amount: &mut (u64, u64) = prefixes.entry(prefix.to_vec()).or_default();
            *amount = (amount.0 + key.4, amount.1 + 1);
        }
        assert_eq!(
            prefixes.remove(&b""[..]),
            Some((tallied.without_prefix.bytes, tallied.without_prefix.keys))
        );
        let found: BTreeMap<_, _> =
            tallied.prefixes.all.iter().map(|one| (one.of.bytes().to_vec(), (one.low, one.part))).collect();
        assert_eq!(found, prefixes);
        assert!(tallied.prefixes.all.iter().all(|one| one.low == one.high));
    }
}

#[test]
fn a_table_that_is_rebuilt_on_the_way_counts_once() {
    let store = store();
    (0..4_000).for_each(|at| set(&store, 0, format!("old:{at}").as_bytes(), b"v", Expiry::Clear));
    let mut census = Census::new(0, 1);
    while census.walk.is_none() {
        let left = Cell::new(2_u32);
        let enough = || left.replace(left.get().saturating_sub(1)) <= 1;
        assert!(census.step(&store, NOW, &enough).is_none());
    }
    // All tables grow.
    (0..40_000).for_each(|at| set(&store, 0, format!("new:{at}").as_bytes(), b"v", Expiry::Clear));
    let tallied = walked(&mut census, &store, 1_000_000);
    let keys = |name: &[u8]| {
        tallied.prefixes.all.iter().find(|one| one.of.bytes() == name).map_or(0, |one| one.part)
    };
    assert_eq!(keys(b"old:"), 4_000);
    assert_eq!(tallied.types[0].keys, 4_000 + keys(b"new:"));
}

#[test]
fn what_has_expired_is_not_there_and_nobody_is_the_wiser() {
    let store = store();
    set(&store, 0, b"stays", b"v", Expiry::At(NOW + 1));
    set(&store, 0, b"gone", b"v", Expiry::At(NOW));
    let before: Vec<u32> = ages(&store);
    let tallied = walked(&mut Census::new(0, 1), &store, 1_000_000);
    assert_eq!(tallied.types[0].keys, 1);
    assert_eq!((store.counts(0).keys, ages(&store)), (2, before));
    remove(&store, 0, b"stays");
    assert_eq!(walked(&mut Census::new(0, 1), &store, 1_000_000).types[0].keys, 0);
}

fn ages(store: &Store) -> Vec<u32> {
    let of_shard = |shard| {
        let guard = store.lock(store.physical(0), shard);
        (0..guard.slots()).filter_map(|slot| guard.get(slot).map(Entry::lru)).collect::<Vec<_>>()
    };
    (0..store.shards()).flat_map(of_shard).collect()
}

#[test]
fn databases_are_named_as_they_are_when_the_walk_ends() {
    let store = store();
    set(&store, 0, b"key", &[b'x'; 9_000], Expiry::Clear);
    set(&store, 2, b"other", b"v", Expiry::Clear);
    store.view_whole(Moment::at(NOW), 0).swap(0, 1);
    let tallied = walked(&mut Census::new(0, 1), &store, 1_000_000);
    let found: Vec<_> = tallied.by_bytes.iter().map(|key| (key.database, key.name.bytes())).collect();
    assert_eq!(found, [(1, &b"key"[..]), (2, &b"other"[..])]);
}

#[test]
fn hostile_names_are_cut_and_prefixes_take_no_more_memory() {
    let store = store();
    let long = [b"\xff\"\n:".repeat(40), vec![b'y'; 100_000]].concat();
    put(&store, 0, &long, collection(0, 10));
    (0..20_000).for_each(|at| set(&store, 0, format!("p{at}:x").as_bytes(), b"v", Expiry::Clear));
    put(&store, 0, b"heavy:list", collection(0, 60_000));
    let tallied = walked(&mut Census::new(0, 1), &store, 1_000_000);
    assert_eq!(tallied.prefixes.all.len(), PREFIXES);
    assert_eq!(tallied.prefixes.all[0].of.bytes(), b"heavy:");
    assert!(tallied.prefixes.all[0].low > 300_000, "{:?}", tallied.prefixes.all[0]);
    let large = &tallied.by_bytes[1];
    assert_eq!((large.name.length(), large.name.bytes()), (long.len() as u64, &long[..128]));
}

#[test]
fn what_very_large_values_take_is_told_nearly() {
    let mut list = List::default();
    (0..30_000_usize)
        .for_each(|at| list.push_back(&vec![b'x'; 500 + at % 1_000], ValueLimits::default().list));
    for object in [list.wrap(), collection(3, 300_000)] {
        let (exact, told) = (object.memory_usage() as f64, object.memory_estimate() as f64);
        assert!((told / exact - 1.0).abs() < 0.03, "{told} for {exact}");
    }
}
