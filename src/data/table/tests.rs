//! The table against a plain map, through growth, splits, joins and shrinking.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::segment::MOST_RECORDS;
use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Pairs of whose keys many have the same hash, and all begin with the same bits.
#[derive(Debug, Clone)]
struct Alike;

impl Records for Alike {
    const VALUES: bool = true;

    fn hash(key: &[u8]) -> u32 {
        0x00ff_0000 | (hash_of(key) % 13)
    }
}

/// Pairs whose keys all have the highest hash.
#[derive(Debug, Clone)]
struct Same;

impl Records for Same {
    const VALUES: bool = true;

    fn hash(_: &[u8]) -> u32 {
        u32::MAX
    }
}

/// What a table owns, counted from its parts.
fn counted<R: Records>(table: &Table<R>) -> usize {
    table.form.segments().map(Segment::owned_bytes).sum()
}

fn segments<R: Records>(table: &Table<R>) -> usize {
    table.form.segments().count()
}

fn check<R: Records>(table: &Table<R>, model: &Model) {
    assert_eq!((table.len(), table.iter().len()), (model.len(), model.len()));
    for (key, value) in model {
        assert_eq!(table.get(key), Some(&value[..]));
    }
    assert_eq!(table.get(b"absent"), None);
    let all: BTreeMap<_, _> = table.iter().collect();
    assert!(all.into_iter().eq(model.iter().map(|(key, value)| (&key[..], &value[..]))));
    for count in [1, 7, 1000] {
        let (mut cursor, mut shown) = (0, BTreeSet::new());
        loop {
            cursor = table.scan(cursor, count, |key, _| assert!(shown.insert(key.to_vec()), "shown once"));
            if cursor == 0 {
                break;
            }
        }
        assert!(shown.iter().eq(model.keys()));
    }
    assert_eq!(table.owned_bytes, counted(table));
}

#[derive(Debug, Clone)]
enum Step {
    /// Keys from a number on, and the length of their values.
    Set(u16, u16, usize),
    Remove(u16, u16),
    Draw(u64),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![6 => 0..40usize, 1 => 120..140usize, 1 => 450..600usize, 1 => Just(3000)];
    prop_oneof![
        4 => (0..900u16, 1..300u16, len.clone()).prop_map(|(from, count, len)| Step::Set(from, count, len)),
        3 => (0..900u16, len).prop_map(|(at, len)| Step::Set(at, 1, len)),
        3 => (0..900u16, 1..400u16).prop_map(|(from, count)| Step::Remove(from, count)),
        2 => any::<u64>().prop_map(Step::Draw),
        1 => Just(Step::Copy),
    ]
}

/// Keys of several lengths.
fn key(number: u16) -> Vec<u8> {
    match number % 50 {
        0 => vec![number.to_le_bytes()[0]; usize::from(number)],
        1 => number.to_le_bytes().to_vec(),
        _ => format!("key:{number}").into_bytes(),
    }
}

fn apply<R: Records>(table: &mut Table<R>, model: &mut Model, step: Step)
where
    Table<R>: Clone,
{
    match step {
        Step::Set(from, count, len) => {
            for number in from..from + count {
                let value = if R::VALUES { vec![number as u8; len] } else { Vec::new() };
                assert_eq!(table.set(&key(number), &value), model.insert(key(number), value).is_none());
            }
        }
        Step::Remove(from, count) => {
            for number in from..from + count {
                assert_eq!(table.remove(&key(number)), model.remove(&key(number)).is_some());
            }
        }
        Step::Draw(pick) => match table.random(pick) {
            Some((key, value)) => assert_eq!(model.get(key).map(Vec::as_slice), Some(value)),
            None => assert!(model.is_empty()),
        },
        Step::Copy => *table = table.clone(),
    }
}

fn is_what_the_model_is<R: Records + Clone>(steps: Vec<Step>) {
    let (mut table, mut model) = (Table::<R>::new(), Model::new());
    for (n, step) in steps.into_iter().enumerate() {
        apply(&mut table, &mut model, step);
        if n % 4 == 0 {
            check(&table, &model);
        }
    }
    check(&table, &model);
    for key in model.keys() {
        assert!(table.remove(key));
    }
    assert_eq!((table.len(), table.memory_usage(), segments(&table)), (0, 0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn pairs_are_what_the_model_is(steps in prop::collection::vec(step(), 0..24)) {
        is_what_the_model_is::<Pairs>(steps);
    }

    #[test]
    fn keys_are_what_the_model_is(steps in prop::collection::vec(step(), 0..24)) {
        is_what_the_model_is::<Keys>(steps);
    }

    #[test]
    fn alike_hashes_are_told_apart(steps in prop::collection::vec(step(), 0..24)) {
        is_what_the_model_is::<Alike>(steps);
    }
}

#[test]
fn equal_hashes_make_one_large_segment() {
    let (mut table, mut model) = (Table::<Same>::new(), Model::new());
    for number in 0..500 {
        apply(&mut table, &mut model, Step::Set(number, 1, 100));
    }
    check(&table, &model);
    assert!(segments(&table) < 40, "{}", segments(&table));
    apply(&mut table, &mut model, Step::Remove(0, 490));
    check(&table, &model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Between two calls the table grows to many times its size or shrinks back.
    #[test]
    fn a_walk_shows_all_that_stays(
        stay in 1..200usize,
        bursts in prop::collection::vec((0..6_000usize, 1..400usize), 1..30),
    ) {
        let mut table = Table::<Keys>::new();
        let staying: BTreeSet<Vec<u8>> = (0..stay).map(|n| format!("stay:{n}").into_bytes()).collect();
        for key in &staying {
            table.set(key, b"");
        }
        let (mut passing, mut cursor, mut shown) = (0, 0, BTreeSet::new());
        for (target, count) in bursts.into_iter().cycle() {
            for n in passing..target {
                table.set(format!("pass:{n}").as_bytes(), b"");
            }
            for n in target..passing {
                table.remove(format!("pass:{n}").as_bytes());
            }
            passing = target;
            cursor = table.scan(cursor, count, |key, _| {
                shown.insert(key.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert!(staying.is_subset(&shown));
    }
}

#[test]
fn a_cursor_from_elsewhere_ends_the_walk_or_goes_on_from_there() {
    let mut table = Table::<Keys>::new();
    (0..5000).for_each(|n| assert!(table.set(format!("{n}").as_bytes(), b"")));
    assert_eq!(table.scan(u64::MAX, 10, |_, _| ()), 0);
    let (mut cursor, mut shown) = (1 << 31, 0);
    loop {
        cursor = table.scan(cursor, 10, |_, _| shown += 1);
        if cursor == 0 {
            break;
        }
    }
    assert!((2000..3000).contains(&shown), "half of the hashes are higher: {shown}");
}

#[test]
fn a_walk_shows_no_more_than_it_was_asked_for() {
    let mut table = Table::<Keys>::new();
    (0..5000).for_each(|n| assert!(table.set(format!("{n}").as_bytes(), b"")));
    for count in [1, 10, 63, 500] {
        let mut shown = 0;
        assert_ne!(table.scan(0, count, |_, _| shown += 1), 0);
        // Keys of one hash are shown together; two of 5,000 have the same one in every three hundredth table.
        assert!((count..count + 3).contains(&shown), "{shown} for {count}");
    }
}

/// How far the counts of draws are from all being equal: the chi-squared statistic.
fn unevenness(draws: impl Iterator<Item = Vec<u8>>, keys: usize) -> f64 {
    let (mut seen, mut all) = (BTreeMap::new(), 0.0);
    for key in draws {
        *seen.entry(key).or_insert(0.0) += 1.0;
        all += 1.0;
    }
    let expected: f64 = all / keys as f64;
    let unseen = (keys - seen.len()) as f64 * expected;
    seen.values().map(|count: &f64| (count - expected).powi(2) / expected).sum::<f64>() + unseen
}

#[test]
fn every_record_is_drawn_as_often() {
    let mut table = Table::<Keys>::new();
    (0..20_000).for_each(|n| assert!(table.set(format!("{n}").as_bytes(), b"")));
    // What is left lies unevenly: all of some segments, and little of others.
    let mut gone = Vec::new();
    table.scan(0, 12_000, |key, _| gone.push(key.to_vec()));
    gone.iter().enumerate().filter(|(n, _)| n % 40 != 0).for_each(|(_, key)| assert!(table.remove(key)));
    let keys = table.len();
    let draws = (0..keys as u64 * 50).map(|n| {
        let pick = n.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ n << 32;
        table.random(pick).map(|(key, _)| key.to_vec()).unwrap()
    });
    // The statistic's mean is the number of keys, its deviation the root of twice that; five of them are far.
    let far = 5.0 * (2.0 * keys as f64).sqrt();
    let unevenness = unevenness(draws, keys);
    assert!((unevenness - keys as f64).abs() < far, "{unevenness} with {keys} keys");
}

#[test]
fn a_draw_ends_where_records_lie_far_apart() {
    let (mut table, mut model) = (Table::<Same>::new(), Model::new());
    for number in 0..300 {
        apply(&mut table, &mut model, Step::Set(number, 1, 0));
    }
    apply(&mut table, &mut model, Step::Remove(1, 298));
    let drawn: BTreeSet<_> = (0..200u64).filter_map(|n| table.random(n << 56)).map(|(key, _)| key).collect();
    assert_eq!(drawn.len(), 2);
}

#[test]
fn memory_follows_what_is_there() {
    let mut table = Table::<Keys>::new();
    let key = |n: usize| format!("member:{n:09}");
    for (keys, most) in [(10, 32), (100, 44), (1000, 34), (100_000, 34)] {
        (table.len()..keys).for_each(|n| assert!(table.set(key(n).as_bytes(), b"")));
        let each = table.memory_usage() / keys;
        // 16 bytes of key, one of length, four or more of slots; how ranges are cut is up to chance.
        assert!((20..=most).contains(&each), "{each} bytes for each of {keys}");
    }
    let full = table.memory_usage();
    assert!(segments(&table) > 100_000 / MOST_RECORDS);
    for n in 0..99_900 {
        assert!(table.remove(key(n).as_bytes()));
    }
    assert!(table.memory_usage() * 100 < full, "{} of {full}", table.memory_usage());
}

#[test]
fn changing_values_does_not_gather_what_they_were() {
    let mut table = Table::<Pairs>::new();
    for n in 0..40u32 {
        table.set(&n.to_le_bytes(), &[0; 20]);
    }
    let most = table.memory_usage() * 2;
    for n in 0..10_000u32 {
        table.set(&(n % 40).to_le_bytes(), &vec![1; (n % 23) as usize]);
        assert!(table.memory_usage() <= most);
    }
    table.set(&7u32.to_le_bytes(), &[1; 100_000]);
    assert!(table.memory_usage() > 100_000);
    table.set(&7u32.to_le_bytes(), b"short");
    assert!(table.memory_usage() <= most);
}
