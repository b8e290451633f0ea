//! The set against a plain tree of byte strings.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Model = BTreeSet<Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    Pop(u64),
    Limit(usize),
    Copy,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => (-40i64..40).prop_map(|value| value.to_string().into_bytes()),
        2 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(70_000), Just(-33_000)]
            .prop_map(|value| value.to_string().into_bytes()),
        1 => prop_oneof![Just("01"), Just("-0"), Just("+1"), Just("")].prop_map(|text| text.into()),
        1 => (0..60usize, 0..3u8).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => member().prop_map(Step::Insert),
        6 => member().prop_map(Step::Remove),
        2 => any::<u64>().prop_map(Step::Pop),
        1 => (0..20usize).prop_map(Step::Limit),
        1 => Just(Step::Copy),
    ]
}

fn members(set: &Set) -> Vec<Vec<u8>> {
    set.iter().map(|member| member.to_bytes().into_owned()).collect()
}

/// One step on both sides; every answer has to be the same.
fn apply(set: &mut Set, model: &mut Model, limits: &mut SetLimits, step: Step) {
    match step {
        Step::Insert(member) => assert_eq!(set.insert(&member, limits), model.insert(member)),
        Step::Remove(member) => assert_eq!(set.remove(&member), model.remove(&member)),
        Step::Pop(pick) => {
            let chosen = set.random(pick).map(Cow::into_owned);
            let popped = set.pop_random(pick);
            assert_eq!(popped, chosen);
            assert_eq!(popped.is_none(), model.is_empty());
            assert!(popped.is_none_or(|member| model.remove(&member)));
        }
        Step::Limit(max_intset_entries) => limits.max_intset_entries = max_intset_entries,
        Step::Copy => {
            let text = serde_json::to_string(set).unwrap();
            let copy: Set = serde_json::from_str(&text).unwrap();
            assert_eq!(copy, *set);
            *set = set.clone();
        }
    }
}

fn check(set: &Set, model: &Model) {
    assert_eq!(set.len(), model.len());
    let mut all = members(set);
    all.sort();
    assert!(all.iter().eq(model.iter()), "{set:?} is not {model:?}");
    assert!(model.iter().all(|member| set.contains(member)));
    let mut shown = BTreeSet::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, 3, |member| assert!(shown.insert(member.to_bytes().into_owned())));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(shown, *model);
}

proptest! {
    #[test]
    fn a_set_is_what_the_model_is(steps in prop::collection::vec(step(), 0..300), limit in 0..60usize) {
        let (mut set, mut model) = (Set::new(), Model::new());
        let mut limits = SetLimits { max_intset_entries: limit };
        for (n, step) in steps.into_iter().enumerate() {
            apply(&mut set, &mut model, &mut limits, step);
            if n % 16 == 0 {
                check(&set, &model);
            }
        }
        check(&set, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Between two calls the table grows to many times its size or shrinks back.
    #[test]
    fn a_scan_shows_all_that_stays(
        stay in 1..80usize,
        bursts in prop::collection::vec((0..2500usize, 1..20usize), 1..40),
    ) {
        let limits = SetLimits::default();
        let mut set = Set::new();
        let staying: BTreeSet<Vec<u8>> = (0..stay).map(|n| format!("stay:{n}").into_bytes()).collect();
        for member in &staying {
            set.insert(member, &limits);
        }
        let (mut passing, mut cursor, mut shown) = (0, 0, BTreeSet::new());
        for (target, count) in bursts.into_iter().cycle() {
            for n in passing..target {
                set.insert(format!("pass:{n}").as_bytes(), &limits);
            }
            for n in target..passing {
                set.remove(format!("pass:{n}").as_bytes());
            }
            passing = target;
            cursor = set.scan(cursor, count, |member| {
                shown.insert(member.to_bytes().into_owned());
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert!(staying.is_subset(&shown));
    }
}

#[test]
fn encodings_change_where_those_of_redis_do() {
    let limits = SetLimits::default();
    let mut set = Set::new();
    for n in 0..512 {
        set.insert(n.to_string().as_bytes(), &limits);
    }
    assert_eq!(set.encoding(), "intset");
    set.insert(b"7", &limits);
    assert_eq!(set.encoding(), "intset");
    set.insert(b"512", &limits);
    assert_eq!(set.encoding(), "hashtable");
    while set.len() > 1 {
        set.pop_random(0);
    }
    assert_eq!(set.encoding(), "hashtable");

    let mut set = Set::new();
    set.insert(b"1", &limits);
    set.insert(b"01", &limits);
    assert_eq!(set.encoding(), "hashtable");
}

#[test]
fn a_random_member_may_be_any() {
    let limits = SetLimits::default();
    for prefix in ["", "text:"] {
        let mut set = Set::new();
        for n in 0..8 {
            set.insert(format!("{prefix}{n}").as_bytes(), &limits);
        }
        let step = u64::MAX / 8 + 1;
        let chosen: BTreeSet<_> = (0..8).filter_map(|n| set.random(n * step)).collect();
        assert_eq!(chosen.len(), 8);
        assert!(set.random(u64::MAX).is_some());
    }
    assert_eq!(Set::new().random(u64::MAX), None);
    assert_eq!(Set::new().pop_random(0), None);
}

#[test]
fn memory_is_given_back() {
    let limits = SetLimits::default();
    let mut set = Set::new();
    for n in 0..10_000 {
        set.insert(format!("element:{n:012}").as_bytes(), &limits);
    }
    let full = set.memory_usage();
    // 20 bytes of member, one of length, four or more of slots, and what stands empty.
    assert!((24..42).contains(&(full / 10_000)), "{full}");
    while set.len() > 100 {
        set.pop_random(set.len() as u64).unwrap();
    }
    assert!(set.memory_usage() < full / 20, "{}", set.memory_usage());
    set.insert(&[b'x'; 1000], &limits);
    assert!(set.memory_usage() > 1000);
    set.remove(&[b'x'; 1000]);
    assert!(set.memory_usage() < full / 20);
}

#[test]
fn what_is_no_byte_string_is_refused() {
    assert!(serde_json::from_str::<Set>("[\"a\", 1]").is_err());
    let set: Set = serde_json::from_str("[\"a\", \"b\", \"a\"]").unwrap();
    assert_eq!(set.len(), 2);
}

/// A sequence of one member that announces as many as there can be.
struct Boaster(bool);

impl<'de> serde::de::SeqAccess<'de> for Boaster {
    type Error = serde::de::value::Error;

    fn next_element_seed<T: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        if std::mem::replace(&mut self.0, true) {
            return Ok(None);
        }
        let member = serde::de::value::BorrowedBytesDeserializer::new(b"member");
        seed.deserialize(member).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::MAX)
    }
}

#[test]
fn an_announced_length_is_not_believed() {
    let boaster = serde::de::value::SeqAccessDeserializer::new(Boaster(false));
    let set: Set = serde::Deserialize::deserialize(boaster).unwrap();
    assert_eq!(members(&set), [b"member"]);
    assert!(set.memory_usage() < 256);
}
