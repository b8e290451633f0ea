//! The sorted set against a sorted vector.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Members by score, then bytes.
#[derive(Debug, Default)]
struct Model(Vec<(f64, Vec<u8>)>);

impl Model {
    fn place(&self, member: &[u8]) -> Option<usize> {
        self.0.iter().position(|(_, other)| other == member)
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        Some(self.0.remove(self.place(member)?).0)
    }

    fn insert(&mut self, member: &[u8], score: f64) -> Added {
        let old = self.place(member).map(|at| self.0[at].0);
        if old == Some(score) {
            return Added::Same;
        }
        self.remove(member);
        self.0.push((score, member.to_vec()));
        self.0.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap().then_with(|| a.1.cmp(&b.1)));
        old.map_or(Added::New, Added::Updated)
    }

    fn pairs(&self) -> Vec<(&[u8], f64)> {
        self.0.iter().map(|(score, member)| (&member[..], *score)).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<u8>, f64),
    /// Several members in a row, so that trees become deep.
    InsertRow(u16, u16, bool),
    Remove(Vec<u8>),
    RemoveRow(u16, u16),
    PopMin(u8),
    PopMax(u8),
    Limit(Limits),
    Copy,
    RemoveRange(u16, usize),
    Rebuild,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => (0..300u16).prop_map(name),
        1 => (0..40usize, 0..2u8).prop_map(|(len, byte)| vec![byte; len]),
        1 => (120..200usize).prop_map(|len| vec![b'x'; len]),
    ]
}

fn name(n: u16) -> Vec<u8> {
    format!("m{n}").into_bytes()
}

#[test]
fn a_length_that_all_have_is_said_once() {
    let limits = Limits { max_entries: 128, max_value: 64 };
    let mut set = SortedSet::new();
    let fill = |set: &mut SortedSet| {
        for n in 0..20 {
            assert_eq!(
                set.insert(format!("member:{n:07}").as_bytes(), f64::from(n % 7), &limits),
                Added::New
            );
        }
        // Twenty times 14 bytes and one of score, the length and the head.
        assert_eq!(set.memory_usage(), 320);
    };
    fill(&mut set);
    let before: Vec<_> = set.iter().map(|(member, score)| owned(member, score)).collect();
    assert_eq!(set.insert(b"member", 3.0, &limits), Added::New);
    assert_eq!((set.memory_usage(), set.rank(b"member")), (384, Some(9)));
    assert_eq!(set.remove(b"member"), Some(3.0));
    assert!(set.iter().eq(before.iter().map(|(member, score)| (&member[..], *score))));
    set.remove_range(0, 20);
    assert_eq!((set.len(), set.memory_usage()), (0, 0));
    fill(&mut set);
    assert_eq!(set.insert(b"", 0.5, &limits), Added::New);
    assert_eq!((set.score(b""), set.score(b"member:0000019"), set.len()), (Some(0.5), Some(5.0), 21));
}

fn owned(member: &[u8], score: f64) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => (-5i8..5).prop_map(|n| f64::from(n) / 2.0),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(5e-324)],
        1 => any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..60usize, prop_oneof![Just(64), Just(1000), 0..40usize])
        .prop_map(|(max_entries, max_value)| Limits { max_entries, max_value })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (member(), score()).prop_map(|(member, score)| Step::Insert(member, score)),
        2 => (0..900u16, 1..400u16, any::<bool>()).prop_map(|(from, len, flat)| Step::InsertRow(from, len, flat)),
        6 => member().prop_map(Step::Remove),
        1 => (0..900u16, 1..400u16).prop_map(|(from, len)| Step::RemoveRow(from, len)),
        2 => (1..40u8).prop_map(Step::PopMin),
        2 => (1..40u8).prop_map(Step::PopMax),
        1 => limits().prop_map(Step::Limit),
        2 => (any::<u16>(), 0..300usize).prop_map(|(from, len)| Step::RemoveRange(from, len)),
        1 => Just(Step::Copy),
        1 => Just(Step::Rebuild),
    ]
}

/// One step on both sides; every answer has to be the same.
fn apply(set: &mut SortedSet, model: &mut Model, limits: &mut Limits, step: Step) {
    match step {
        Step::Insert(member, score) => {
            assert_eq!(set.insert(&member, score, limits), model.insert(&member, score));
        }
        Step::InsertRow(from, len, flat) => {
            for n in from..from + len {
                let score = if flat { 1.0 } else { f64::from(n % 97) };
                assert_eq!(set.insert(&name(n), score, limits), model.insert(&name(n), score));
            }
        }
        Step::Remove(member) => assert_eq!(set.remove(&member), model.remove(&member)),
        Step::RemoveRow(from, len) => {
            for n in from..from + len {
                assert_eq!(set.remove(&name(n)), model.remove(&name(n)));
            }
        }
        Step::PopMin(count) => {
            for _ in 0..count {
                let first = (!model.0.is_empty()).then(|| model.0.remove(0));
                assert_eq!(set.pop_min_with(owned), first.map(|(score, member)| (member, score)));
            }
        }
        Step::PopMax(count) => {
            for _ in 0..count {
                assert_eq!(set.pop_max_with(owned), model.0.pop().map(|(score, member)| (member, score)));
            }
        }
        Step::Limit(other) => *limits = other,
        Step::RemoveRange(from, len) => {
            let start = usize::from(from) % (model.0.len() + 1);
            let end = (start + len).min(model.0.len());
            model.0.drain(start..end);
            set.remove_range(start, start + len);
        }
        Step::Copy => *set = set.clone(),
        Step::Rebuild => *set = SortedSet::from_sorted(set.clone().iter(), limits),
    }
}

fn check(set: &SortedSet, model: &Model) {
    let pairs = model.pairs();
    assert_eq!(set.len(), pairs.len());
    assert!(set.iter().eq(pairs.iter().copied()), "{set:?} is not {model:?}");
    assert!(set.range_rev(0, usize::MAX).eq(pairs.iter().rev().copied()));
    for (rank, &(member, score)) in pairs.iter().enumerate() {
        assert_eq!(set.rank(member), Some(rank));
        assert_eq!(set.score(member), Some(score));
    }
    assert_eq!((set.rank(b"absent"), set.score(b"absent")), (None, None));
    assert_eq!(set.random(u64::MAX).is_some(), !pairs.is_empty());
    let mut shown = BTreeSet::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, 5, |member, score| {
            assert!(shown.insert(member.to_vec()));
            assert_eq!(set.score(member), Some(score));
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(shown.len(), pairs.len());
}

fn bound() -> impl Strategy<Value = Bound<f64>> {
    prop_oneof![
        4 => score().prop_map(Bound::Included),
        4 => score().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_sorted_set_is_what_the_model_is(
        steps in prop::collection::vec(step(), 0..60),
        limits in limits(),
        windows in prop::collection::vec((0..900usize, 0..300usize), 8),
        bounds in prop::collection::vec((bound(), bound()), 8),
    ) {
        let (mut set, mut model, mut limits) = (SortedSet::new(), Model::default(), limits);
        for (n, step) in steps.into_iter().enumerate() {
            apply(&mut set, &mut model, &mut limits, step);
            if n % 16 == 0 {
                check(&set, &model);
            }
        }
        check(&set, &model);
        let pairs = model.pairs();
        for (start, count) in windows {
            let expected = pairs.iter().skip(start).take(count).copied();
            prop_assert!(set.range(start, count).eq(expected));
            let expected = pairs.iter().rev().skip(start).take(count).copied();
            prop_assert!(set.range_rev(start, count).eq(expected));
            prop_assert_eq!(set.range(start, count).len(), pairs.len().saturating_sub(start).min(count));
        }
        for range in bounds {
            use std::ops::RangeBounds;
            let (start, end) = set.range_by_score(range.0, range.1);
            let within = pairs.iter().filter(|(_, score)| range.contains(score)).copied();
            prop_assert!(set.range(start, end - start).eq(within));
        }
        let text = serde_json::to_string(&set).unwrap();
        if pairs.iter().all(|(_, score)| score.abs() <= 100.0 && (score * 2.0).fract() == 0.0) {
            prop_assert_eq!(serde_json::from_str::<SortedSet>(&text).unwrap(), set);
        }
    }
}

#[test]
fn encodings_change_where_those_of_redis_do() {
    let limits = Limits::default();
    let mut set = SortedSet::new();
    for n in 0..128 {
        set.insert(&name(n), 0.0, &limits);
    }
    assert_eq!(set.encoding(), "listpack");
    set.insert(&name(7), 1.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(&name(128), 0.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
    while set.len() > 1 {
        set.pop_max_with(owned);
    }
    assert_eq!(set.encoding(), "skiplist");

    let mut set = SortedSet::new();
    set.insert(&[b'x'; 64], 0.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(&[b'x'; 65], 0.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
}

#[test]
fn minus_zero_is_zero() {
    for limits in [Limits::default(), Limits { max_entries: 0, max_value: 0 }] {
        let mut set = SortedSet::new();
        set.insert(b"b", -0.0, &limits);
        set.insert(b"a", 0.0, &limits);
        assert_eq!(set.insert(b"a", -0.0, &limits), Added::Same);
        assert_eq!(set.rank(b"a"), Some(0));
        assert_eq!(set.range_by_score(Bound::Included(0.0), Bound::Included(-0.0)), (0, 2));
        // As in Redis, only the large form keeps the sign.
        assert_eq!(set.score(b"b").unwrap().is_sign_negative(), set.encoding() == "skiplist");
    }
}

/// Three levels of nodes, filled in order, backwards and shuffled, and emptied
/// from either end and from within.
#[test]
fn a_deep_tree_keeps_its_order() {
    const COUNT: u32 = 30_000;
    let limits = Limits::default();
    let orders: [fn(u32) -> u32; 3] = [|n| n, |n| COUNT - 1 - n, |n| n * 7919 % COUNT];
    for order in orders {
        let mut set = SortedSet::new();
        for n in 0..COUNT {
            let n = order(n);
            assert_eq!(set.insert(&n.to_be_bytes(), f64::from(n / 100), &limits), Added::New);
        }
        assert!(
            set.iter().map(|(member, _)| member.to_vec()).eq((0..COUNT).map(|n| n.to_be_bytes().to_vec()))
        );
        for n in (0..COUNT).step_by(997) {
            assert_eq!(set.rank(&n.to_be_bytes()), Some(n as usize));
        }
        assert_eq!(set.range_by_score(Bound::Included(7.0), Bound::Excluded(9.0)), (700, 900));
        for n in (0..COUNT).filter(|n| n % 3 != 0) {
            assert!(set.remove(&order(n).to_be_bytes()).is_some());
        }
        let mut left: Vec<u32> = (0..COUNT).step_by(3).map(order).collect();
        left.sort_unstable();
        assert!(
            set.iter().map(|(member, _)| member.to_vec()).eq(left.iter().map(|n| n.to_be_bytes().to_vec()))
        );
        while let Some(n) = left.pop() {
            assert_eq!(set.pop_max_with(owned), Some((n.to_be_bytes().to_vec(), f64::from(n / 100))));
            if !left.is_empty() {
                let n = left.remove(0);
                assert_eq!(set.pop_min_with(owned), Some((n.to_be_bytes().to_vec(), f64::from(n / 100))));
            }
        }
        assert!(set.is_empty());
        assert_eq!(set.insert(b"again", 1.0, &limits), Added::New);
    }
}

#[test]
fn items_in_order_leave_full_leaves() {
    let limits = Limits::default();
    let mut set = SortedSet::new();
    for n in 0..50_000u32 {
        set.insert(&n.to_be_bytes(), f64::from(n), &limits);
    }
    // 32 bytes of entry with the row's slack of a half, 8 to 22 of slots, 1024 bytes for 84 items.
    let each = set.memory_usage() / 50_000;
    assert!((32 + 8 + 12..48 + 22 + 14).contains(&each), "{each}");
}

/// One half of a pair, as a file may have it.
#[derive(Clone, Copy)]
enum Half {
    Member,
    Score(f64),
}

impl<'de> serde::Deserializer<'de> for Half {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Member => visitor.visit_bytes(b"member"),
            Self::Score(score) => visitor.visit_f64(score),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> serde::de::IntoDeserializer<'de> for Half {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[test]
fn a_score_that_is_no_number_is_refused() {
    use serde::de::value::SeqDeserializer;

    let read = |pair: &[Half]| {
        let pairs = SeqDeserializer::new(std::iter::once(SeqDeserializer::new(pair.iter().copied())));
        <SortedSet as serde::Deserialize>::deserialize(pairs)
    };
    assert_eq!(read(&[Half::Member, Half::Score(1.5)]).unwrap().score(b"member"), Some(1.5));
    assert!(read(&[Half::Member, Half::Score(f64::NAN)]).is_err());
    assert!(read(&[Half::Member]).is_err());
    assert!(read(&[Half::Score(1.5)]).is_err());
}
