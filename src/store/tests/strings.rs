//! The string side of the store: random histories, and the edges of sizes one by one.

use proptest::prelude::*;

use super::model::Twin;
use crate::store::{Entry, Expiry, MAX_INLINE, Meta, Str, Usage};

/// Lengths of the keys: empty, short, and around the 255 bytes from which a length has room of its own.
const KEY_LENGTHS: [usize; 9] = [0, 1, 2, 7, 254, 255, 256, 300, 70_000];

fn keys() -> Vec<Vec<u8>> {
    KEY_LENGTHS.iter().map(|&len| vec![b'k'; len]).collect()
}

/// One thing to do.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, Value, Expiry),
    SetInt(usize, i64, Expiry),
    SetBytes(usize, Value, Expiry),
    Add(usize, i64),
    Append(usize, Value),
    SetRange(usize, usize, Value),
    Expire(usize, Option<u64>),
    Remove(usize),
    Rename(usize, usize),
    Advance(u64),
    Save,
}

/// A value by its length and filler, so that a failure prints in a line.
#[derive(Clone, Copy, Debug)]
struct Value(usize, u8);

impl Value {
    fn bytes(self) -> Vec<u8> {
        vec![self.1; self.0]
    }
}

/// Lengths that make trouble: next to size classes, to the longest inline value, to 16 bits.
fn length() -> impl Strategy<Value = usize> {
    const EDGES: [usize; 11] = [0, 8, 44, 64, 100, 248, 512, 1_000, 4_096, MAX_INLINE, 65_536];
    prop_oneof![
        4 => 0usize..140,
        4 => (proptest::sample::select(&EDGES[..]), 0usize..5).prop_map(|(edge, off)| (edge + off).saturating_sub(2)),
        1 => 0usize..80_000,
    ]
}

fn value() -> impl Strategy<Value = Value> {
    (length(), any::<u8>()).prop_map(|(len, filler)| Value(len, filler))
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![Just(Expiry::Keep), Just(Expiry::Clear), (999_900u64..1_000_400).prop_map(Expiry::At)]
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEY_LENGTHS.len();
    let deadline = proptest::option::of(999_900u64..1_000_400);
    prop_oneof![
        4 => (key(), value(), expiry()).prop_map(|(key, value, expiry)| Step::Set(key, value, expiry)),
        2 => (key(), -200i64..200, expiry()).prop_map(|(key, value, expiry)| Step::SetInt(key, value, expiry)),
        2 => (key(), value(), expiry()).prop_map(|(key, value, expiry)| Step::SetBytes(key, value, expiry)),
        2 => (key(), -200i64..200).prop_map(|(key, by)| Step::Add(key, by)),
        4 => (key(), value()).prop_map(|(key, value)| Step::Append(key, value)),
        3 => (key(), length(), value()).prop_map(|(key, at, value)| Step::SetRange(key, at, value)),
        2 => (key(), deadline).prop_map(|(key, at)| Step::Expire(key, at)),
        2 => key().prop_map(Step::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (1u64..60).prop_map(Step::Advance),
        3 => Just(Step::Save),
    ]
}

fn take(twin: &mut Twin, keys: &[Vec<u8>], step: &Step) {
    match *step {
        Step::Set(key, value, expiry) => twin.set(&keys[key], Str::Bytes(&value.bytes()), expiry),
        Step::SetInt(key, number, expiry) => twin.set(&keys[key], Str::Int(number), expiry),
        Step::SetBytes(key, value, expiry) => twin.set_bytes(&keys[key], value.bytes(), expiry),
        Step::Add(key, by) => twin.add(&keys[key], by),
        Step::Append(key, value) => twin.edit(&keys[key], None, &value.bytes()),
        Step::SetRange(key, at, value) => twin.edit(&keys[key], Some(at), &value.bytes()),
        Step::Expire(key, at) => twin.expire_at(&keys[key], at),
        Step::Remove(key) => twin.remove(&keys[key]),
        Step::Rename(from, to) => twin.rename(&keys[from], &keys[to]),
        Step::Advance(ms) => twin.now_ms += ms,
        Step::Save => twin.save(),
    }
}

fn usage() -> impl Strategy<Value = Usage> {
    prop_oneof![Just(Usage::Lru), Just(Usage::Lfu { log_factor: 10, decay_minutes: 1 })]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_store_does_what_a_map_does(usage in usage(), steps in proptest::collection::vec(step(), 1..80)) {
        let (mut twin, keys) = (Twin::new(usage), keys());
        for step in &steps {
            take(&mut twin, &keys, step);
        }
        twin.check(&keys);
    }
}

#[test]
fn a_string_grows_byte_by_byte_through_every_class() {
    let mut twin = Twin::new(Usage::Lru);
    let keys = vec![b"grows".to_vec()];
    for byte in 0..700u32 {
        twin.edit(&keys[0], None, &[byte as u8]);
    }
    twin.set(&keys[0], Str::Bytes(&[1; MAX_INLINE - 2]), Expiry::Keep);
    for byte in 0..6 {
        twin.edit(&keys[0], None, &[byte]);
    }
    twin.check(&keys);
}

#[test]
fn growth_within_a_class_stays_in_place() {
    let mut entry = Entry::string(b"key", Str::Bytes(b"v"), Meta::default());
    let class = entry.allocated();
    let room = class - (8 + 3);
    assert!(!entry.grow_inline(1) && !entry.grow_inline(room + 1));
    assert_eq!(entry.as_str(), Some(Str::Bytes(b"v")));
    assert!(entry.grow_inline(room));
    assert_eq!(entry.allocated(), class);
    assert_eq!(entry.as_str(), Some(Str::Bytes(&[b"v".to_vec(), vec![0; room - 1]].concat())));
    let mut number = Entry::string(b"key", Str::Int(1), Meta::default());
    assert!(!number.grow_inline(2));
}

#[test]
fn a_padded_entry_is_its_start_and_zeros() {
    for len in [3, 4, MAX_INLINE, MAX_INLINE + 1] {
        let entry = Entry::padded(b"key", b"abc", len, Meta::default());
        let Some(Str::Bytes(bytes)) = entry.as_str() else { panic!("not bytes") };
        assert_eq!((bytes.len(), &bytes[..3]), (len, &b"abc"[..]));
        assert!(bytes[3..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_new_expiry_is_written_where_the_old_one_was() {
    let mut twin = Twin::new(Usage::Lru);
    let keys = vec![b"key".to_vec()];
    for at in [1_000_300, 1_000_100, 1_000_200] {
        twin.set(&keys[0], Str::Bytes(b"same length"), Expiry::At(at));
        twin.check(&keys);
    }
    twin.set(&keys[0], Str::Bytes(b"same length"), Expiry::Clear);
    twin.check(&keys);
}

#[test]
fn frequency_outlives_the_value_and_recency_is_renewed() {
    let lru_of = |twin: &Twin| twin.unit(b"key", |view, key| view.peek(key).map_or(0, Entry::lru));
    let mut twin = Twin::new(Usage::Lfu { log_factor: 10, decay_minutes: 1 });
    twin.set(b"key", Str::Bytes(b"short"), Expiry::Clear);
    twin.unit(b"key", |view, key| {
        view.set_usage_bits(key, crate::store::with_frequency(200, view.now_ms()));
    });
    twin.set(b"key", Str::Bytes(&[1; 500]), Expiry::Clear);
    assert!(lru_of(&twin) & 0xFF >= 200);

    let mut twin = Twin::new(Usage::Lru);
    twin.set(b"key", Str::Bytes(b"short"), Expiry::Clear);
    let idle_and_reused = |twin: &Twin| {
        let bits = lru_of(twin);
        (crate::store::idle_seconds(bits, 1_000_000 + 5_000), crate::store::usage::is_reused(bits))
    };
    let before = idle_and_reused(&twin);
    twin.now_ms += 5_000;
    twin.set(b"key", Str::Bytes(&[1; 500]), Expiry::Clear);
    assert_eq!((before.1, idle_and_reused(&twin)), (false, (before.0 - 5, true)));
}

#[test]
fn many_keys_are_found_among_many_shards() {
    use crate::store::{KeyHasher, Moment, Store, StoreOptions};
    let store = Store::with_hasher(&StoreOptions { databases: 2, shards: 64 }, KeyHasher::with_key(&[9; 16]));
    let names: Vec<String> = (0..500).map(|number| format!("key:{number}")).collect();
    let places: Vec<_> =
        names.iter().map(|name| (usize::from(name.len() % 2 == 0), store.hash(name.as_bytes()))).collect();
    let mut view = store.view_many(Moment::at(1_000), 0, &places);
    for (name, (number, _)) in names.iter().zip(&places) {
        view.select(*number);
        let key = view.key(name.as_bytes());
        view.set_string(key, Str::Bytes(name.as_bytes()), Expiry::Clear);
    }
    drop(view);
    assert_eq!(store.counts(0).keys + store.counts(1).keys, 500);
}

#[test]
#[should_panic(expected = "a command touched a key that its row does not declare")]
fn a_key_that_was_not_declared_is_not_touched() {
    let twin = Twin::new(Usage::Lru);
    let other = (0..100u8).map(|byte| [byte]).find(|other| {
        let (one, two) = (twin.store.hash(b"key"), twin.store.hash(other));
        crate::store::hash::shard_of(one, 2) != crate::store::hash::shard_of(two, 2)
    });
    twin.unit(b"key", |view, _| {
        let other = other.unwrap_or_default();
        let other = view.key(&other);
        view.exists(other)
    });
}
