//! The hash against a plain map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Random(u64),
    Limit(Limits),
    Copy,
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => (0..50u8).prop_map(|n| format!("f{n}").into_bytes()),
        10 => (0..50u8).prop_map(|n| format!("f{n:02}").into_bytes()),
        1 => Just(Vec::new()),
        1 => (0..30usize, 0..2u8).prop_map(|(len, byte)| vec![byte; len]),
        1 => (120..300usize).prop_map(|len| vec![b'x'; len]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (100..300usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..60usize, prop_oneof![Just(64), Just(1000), 0..40usize])
        .prop_map(|(max_entries, max_value)| Limits { max_entries, max_value })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (field(), value()).prop_map(|(field, value)| Step::Set(field, value)),
        6 => field().prop_map(Step::Remove),
        1 => any::<u64>().prop_map(Step::Random),
        1 => limits().prop_map(Step::Limit),
        1 => Just(Step::Copy),
    ]
}

#[test]
fn a_length_that_all_have_is_said_once() {
    let limits = Limits { max_entries: 128, max_value: 64 };
    let mut hash = Hash::new();
    let fill = |hash: &mut Hash| {
        for n in 0..10 {
            assert!(hash.set(format!("field:{n:03}").as_bytes(), &[b'a' + n; 16], &limits));
        }
        // Ten times 9 and 16 bytes, both lengths and the head.
        assert_eq!(hash.memory_usage(), 256);
    };
    fill(&mut hash);
    assert!(!hash.set(b"field:004", b"short", &limits));
    assert_eq!(hash.memory_usage(), 320);
    assert!(hash.set(b"", b"", &limits));
    assert!(hash.set(&[b'x'; 64], &[b'y'; 64], &limits));
    assert_eq!(hash.get(b"field:004"), Some(&b"short"[..]));
    assert_eq!(hash.get(b"field:009"), Some(&[b'a' + 9; 16][..]));
    assert_eq!(hash.get(b""), Some(&b""[..]));
    assert_eq!((hash.len(), hash.iter().count(), hash.encoding()), (12, 12, "listpack"));
    let fields: Vec<Vec<u8>> = hash.iter().map(|(field, _)| field.to_vec()).collect();
    assert!(fields.iter().all(|field| hash.remove(field)));
    assert_eq!((hash.len(), hash.memory_usage()), (0, 0));
    fill(&mut hash);
}

/// One step on both sides; every answer has to be the same.
fn apply(hash: &mut Hash, model: &mut Model, limits: &mut Limits, step: Step) {
    match step {
        Step::Set(field, value) => {
            assert_eq!(hash.set(&field, &value, limits), model.insert(field, value).is_none());
        }
        Step::Remove(field) => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
        Step::Random(pick) => match hash.random(pick) {
            Some((field, value)) => assert_eq!(model.get(field).map(Vec::as_slice), Some(value)),
            None => assert!(model.is_empty()),
        },
        Step::Limit(other) => *limits = other,
        Step::Copy => {
            let text = serde_json::to_string(hash).unwrap();
            let copy: Hash = serde_json::from_str(&text).unwrap();
            assert_eq!(copy, *hash);
            *hash = hash.clone();
        }
    }
}

fn check(hash: &Hash, model: &Model) {
    assert_eq!(hash.len(), model.len());
    assert_eq!(hash.iter().len(), model.len());
    let mut all: Vec<_> = hash.iter().collect();
    all.sort();
    assert!(all.into_iter().eq(model.iter().map(|(field, value)| (&field[..], &value[..]))));
    for (field, value) in model {
        assert_eq!(hash.get(field), Some(&value[..]));
        assert_eq!(hash.value_len(field), Some(value.len()));
        assert!(hash.contains(field));
    }
    assert!(!hash.contains(b"absent"));
    let mut shown = Model::new();
    let mut cursor = 0;
    loop {
        cursor = hash.scan(cursor, 3, |field, value| {
            assert_eq!(shown.insert(field.to_vec(), value.to_vec()), None);
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(shown, *model);
}

proptest! {
    #[test]
    fn a_hash_is_what_the_model_is(steps in prop::collection::vec(step(), 0..300), limits in limits()) {
        let (mut hash, mut model, mut limits) = (Hash::new(), Model::new(), limits);
        for (n, step) in steps.into_iter().enumerate() {
            apply(&mut hash, &mut model, &mut limits, step);
            if n % 16 == 0 {
                check(&hash, &model);
            }
        }
        check(&hash, &model);
    }
}

#[test]
fn encodings_change_where_those_of_redis_do() {
    let limits = Limits::default();
    let mut hash = Hash::new();
    for n in 0..128 {
        hash.set(n.to_string().as_bytes(), &[b'v'; 64], &limits);
    }
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"7", b"another", &limits);
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"128", b"", &limits);
    assert_eq!(hash.encoding(), "hashtable");
    for n in 1..129 {
        hash.remove(n.to_string().as_bytes());
    }
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 1));

    for (field, value) in [(65, 1), (1, 65)] {
        let mut hash = Hash::new();
        hash.set(&vec![b'x'; field], &vec![b'x'; value], &limits);
        assert_eq!(hash.encoding(), "hashtable");
    }
}

#[test]
fn a_random_pair_may_be_any() {
    for limits in [Limits::default(), Limits { max_entries: 0, max_value: 0 }] {
        let mut hash = Hash::new();
        for n in 0..8 {
            hash.set(format!("{n}").as_bytes(), b"v", &limits);
        }
        let step = u64::MAX / 8 + 1;
        let chosen: BTreeSet<_> = (0..8).filter_map(|n| hash.random(n * step)).collect();
        assert_eq!(chosen.len(), 8);
    }
    assert_eq!(Hash::new().random(0), None);
}

#[test]
fn a_large_value_is_counted_while_it_is_there() {
    let limits = Limits::default();
    let mut hash = Hash::new();
    hash.set(b"field", &[b'x'; 5000], &limits);
    assert!(hash.memory_usage() >= 5000);
    hash.set(b"field", &[b'x'; 50_000], &limits);
    assert!((50_000..58_000).contains(&hash.memory_usage()));
    hash.set(b"field", b"x", &limits);
    assert!(hash.memory_usage() < 500);
}

#[test]
fn half_a_pair_is_refused() {
    assert!(serde_json::from_str::<Hash>("[[\"a\"]]").is_err());
    assert!(serde_json::from_str::<Hash>("[[\"a\", \"b\", \"c\"]]").is_err());
    let hash: Hash = serde_json::from_str("[[\"a\", \"b\"], [\"a\", \"c\"]]").unwrap();
    assert_eq!((hash.len(), hash.get(b"a")), (1, Some(&b"c"[..])));
}
