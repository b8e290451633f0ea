//! The list against a plain deque, and its memory against the targets.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

type Model = VecDeque<Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    PushFront(Vec<u8>),
    PushBack(Vec<u8>),
    PopFront,
    PopBack,
    Set(i64, Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Remove(i64, usize),
    Trim(usize, usize),
    Limit(i64),
    Copy,
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..20u8).prop_map(|n| vec![b'a' + n % 4; 4]),
        3 => (0..12usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (200..600usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (4000..9000usize).prop_map(|len| vec![b'z'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => value().prop_map(Step::PushFront),
        12 => value().prop_map(Step::PushBack),
        5 => Just(Step::PopFront),
        5 => Just(Step::PopBack),
        4 => (-60i64..60, value()).prop_map(|(index, value)| Step::Set(index, value)),
        4 => (0..60usize, value()).prop_map(|(pivot, value)| Step::InsertBefore(pivot, value)),
        4 => (0..60usize, value()).prop_map(|(pivot, value)| Step::InsertAfter(pivot, value)),
        2 => (-3i64..3, 0..60usize).prop_map(|(count, pivot)| Step::Remove(count, pivot)),
        1 => (0..20usize, 0..200usize).prop_map(|(start, stop)| Step::Trim(start, stop)),
        1 => prop_oneof![Just(0i64), Just(3), Just(10), Just(-1), Just(-2), Just(-5)].prop_map(Step::Limit),
        1 => Just(Step::Copy),
    ]
}

/// An element of the model to look for, or one that is not there.
fn pivot(model: &Model, seed: usize) -> Vec<u8> {
    model.get(seed % (model.len() + 1)).cloned().unwrap_or_else(|| b"absent".to_vec())
}

fn resolve(model: &Model, index: i64) -> Option<usize> {
    let index = if index < 0 { index + model.len() as i64 } else { index };
    (0..model.len() as i64).contains(&index).then_some(index as usize)
}

fn remove_from_model(model: &mut Model, count: i64, value: &[u8]) -> usize {
    let mut at: Vec<usize> = (0..model.len()).filter(|&i| model[i] == value).collect();
    if count < 0 {
        at.reverse();
    }
    if count != 0 {
        at.truncate(count.unsigned_abs() as usize);
    }
    at.sort_unstable();
    for &i in at.iter().rev() {
        model.remove(i);
    }
    at.len()
}

/// One step on both sides; every answer has to be the same.
fn apply(list: &mut List, model: &mut Model, limit: &mut NodeLimit, step: Step) {
    match step {
        Step::PushFront(value) => {
            list.push_front(&value, *limit);
            model.push_front(value);
        }
        Step::PushBack(value) => {
            list.push_back(&value, *limit);
            model.push_back(value);
        }
        Step::PopFront => assert_eq!(list.pop_front(), model.pop_front()),
        Step::PopBack => assert_eq!(list.pop_back(), model.pop_back()),
        Step::Set(index, value) => {
            let at = resolve(model, index);
            assert_eq!(list.set(index, &value, *limit), at.is_some());
            if let Some(at) = at {
                model[at] = value;
            }
        }
        Step::InsertBefore(seed, value) => {
            let pivot = pivot(model, seed);
            let at = model.iter().position(|element| *element == pivot);
            let len = at.map(|_| model.len() + 1);
            assert_eq!(list.insert_before(&pivot, &value, *limit), len);
            if let Some(at) = at {
                model.insert(at, value);
            }
        }
        Step::InsertAfter(seed, value) => {
            let pivot = pivot(model, seed);
            let at = model.iter().position(|element| *element == pivot);
            let len = at.map(|_| model.len() + 1);
            assert_eq!(list.insert_after(&pivot, &value, *limit), len);
            if let Some(at) = at {
                model.insert(at + 1, value);
            }
        }
        Step::Remove(count, seed) => {
            let value = pivot(model, seed);
            let removed = remove_from_model(model, count, &value);
            assert_eq!(list.remove(count, &value, *limit), removed);
        }
        Step::Trim(start, back) => {
            let stop = model.len().saturating_sub(back / 8 + 1);
            list.trim(start, stop);
            *model = model.iter().take(stop + 1).skip(start).cloned().collect();
        }
        Step::Limit(setting) => *limit = NodeLimit::from_listpack_size(setting),
        Step::Copy => {
            let copy = list.clone();
            assert_eq!(copy, *list);
            *list = copy;
        }
    }
}

/// Everything that can be read, against the model.
fn check(list: &List, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert_eq!(list.front(), model.front().map(Vec::as_slice));
    assert_eq!(list.back(), model.back().map(Vec::as_slice));
    assert!(list.iter().eq(model.iter()));
    assert!(list.iter_rev().eq(model.iter().rev()));
    let nodes: usize = list.nodes().map(Node::len).sum();
    assert_eq!(nodes, model.len());
    for node in list.nodes() {
        assert!(node.iter().rev().eq(node.iter().collect::<Vec<_>>().into_iter().rev()));
    }
}

fn check_index(list: &List, model: &Model, index: i64) {
    let expected = resolve(model, index).map(|at| model[at].as_slice());
    assert_eq!(list.get(index), expected);
    let start = index.unsigned_abs() as usize;
    assert!(list.range(start, 7).eq(model.iter().skip(start).take(7)));
    assert!(list.range_rev(start, 7).eq(model.iter().rev().skip(start).take(7)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn behaves_as_a_deque(
        setting in prop_oneof![Just(1i64), Just(2), Just(5), Just(-1), Just(-2), Just(-5)],
        steps in proptest::collection::vec(step(), 1..200),
        index in -80i64..80,
    ) {
        let (mut list, mut model) = (List::new(), Model::new());
        let mut limit = NodeLimit::from_listpack_size(setting);
        for step in steps {
            apply(&mut list, &mut model, &mut limit, step);
            check(&list, &model);
            check_index(&list, &model, index);
        }
    }

    #[test]
    fn position_is_that_of_lpos(
        bytes in proptest::collection::vec(b'a'..b'd', 0..60),
        rank in prop_oneof![-6i64..0, 1i64..6],
        count in 0..5usize,
        maxlen in 0..70usize,
    ) {
        let mut list = List::new();
        for byte in &bytes {
            list.push_back(&[*byte], NodeLimit::from_listpack_size(7));
        }
        let mut order: Vec<usize> = (0..bytes.len()).collect();
        if rank < 0 {
            order.reverse();
        }
        order.truncate(if maxlen == 0 { usize::MAX } else { maxlen });
        order.retain(|&index| bytes[index] == b'a');
        let mut expected = order.split_off(order.len().min(rank.unsigned_abs() as usize - 1));
        expected.truncate(if count == 0 { usize::MAX } else { count });
        prop_assert_eq!(list.position(b"a", rank, count, maxlen), expected);
    }
}

/// xorshift64*: a fixed sequence, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn value(&mut self) -> Vec<u8> {
        let byte = b'a' + self.below(6) as u8;
        let len = match self.below(40) {
            0 => 250 + self.below(12),
            1 => 8100 + self.below(200),
            2 => self.below(3000),
            3..=12 => self.below(30),
            _ => 8,
        };
        vec![byte; len as usize]
    }

    fn step(&mut self, growing: bool) -> Step {
        let (a, b) = (self.below(3000), self.below(3000));
        match self.below(if growing { 60 } else { 130 }) {
            0..=21 => Step::PushFront(self.value()),
            22..=43 => Step::PushBack(self.value()),
            44..=48 => Step::Set(a as i64 - 1500, self.value()),
            49..=52 => Step::InsertBefore(a as usize, self.value()),
            53..=56 => Step::InsertAfter(a as usize, self.value()),
            57 => Step::Copy,
            58 => Step::Limit([-2, -1, -5, 50, 2][a as usize % 5]),
            59..=90 => Step::PopFront,
            91..=122 => Step::PopBack,
            123..=127 => Step::Remove(a as i64 % 7 - 3, b as usize),
            128 => Step::Trim(a as usize % 9, b as usize % 40),
            _ => Step::Remove(0, b as usize),
        }
    }
}

#[test]
fn long_random_run() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut list, mut model) = (List::new(), Model::new());
    let mut limit = NodeLimit::default();
    for round in 0..24_000 {
        let step = random.step(round / 3000 % 2 == 0);
        apply(&mut list, &mut model, &mut limit, step);
        assert_eq!(list.len(), model.len());
        let index = random.below(4000) as i64 - 2000;
        check_index(&list, &model, index);
        if round % 100 == 0 {
            check(&list, &model);
        }
    }
    assert!(model.len() > 10, "the run ends with a list worth comparing");
}

/// The targets are the whole key's bytes in Valkey 8.1; so many of ours are the entry, with the list itself in it,
/// and its slot in the table.
const BESIDE: usize = 48 + 14;

fn filled(count: usize, side: Side) -> List {
    let mut list = List::new();
    for index in 0..count {
        list.push(side, format!("element:{index:08}").as_bytes(), NodeLimit::default());
    }
    list
}

#[test]
fn memory_of_equal_elements() {
    for side in [Side::Front, Side::Back] {
        let hundred = filled(100, side).memory_usage();
        assert_eq!(hundred, 1792 + size_of::<Node>());
        assert!((hundred + BESIDE) * 100 <= 2179 * 87);
        let many = filled(10_000, side).memory_usage();
        // 19 full nodes of 512, one of 272, the spine and its ring of 32.
        assert_eq!(many, 19 * 8192 + 5120 + 48 + 1024);
        assert!((many + BESIDE) * 1000 <= 190_700 * 850);
    }
}

#[test]
fn memory_of_unequal_elements() {
    let mut list = List::new();
    let mut lengths = (12..=20).cycle();
    for _ in 0..100 {
        list.push_back(&vec![b'x'; lengths.next().unwrap()], NodeLimit::default());
    }
    assert_eq!(list.memory_usage(), 1792 + size_of::<Node>());
    for _ in 100..10_000 {
        list.push_back(&vec![b'x'; lengths.next().unwrap()], NodeLimit::default());
    }
    let payload: usize = list.iter().map(<[u8]>::len).sum();
    assert_eq!(payload, 159_996);
    assert!(list.memory_usage() <= 174_000, "{}", list.memory_usage());
}

#[test]
fn memory_comes_back() {
    let mut list = filled(10_000, Side::Back);
    while list.len() > 10 {
        list.pop_front();
    }
    assert!(list.memory_usage() <= 640 + size_of::<Node>(), "{}", list.memory_usage());
    let mut list = filled(10_000, Side::Back);
    list.trim(4000, 4009);
    assert!(list.memory_usage() <= 640 + size_of::<Node>(), "{}", list.memory_usage());
    let mut list = filled(300_000, Side::Back);
    while list.len() > 5_000 {
        list.pop_front();
    }
    assert!(list.memory_usage() <= 5_000 * 16 + 2 * 8192 + 2048);
    let mut list = filled(300_000, Side::Back);
    let trimmed = list.trim(0, 4_999);
    assert_eq!(trimmed.node_count(), 300_000usize.div_ceil(512) - 5_000usize.div_ceil(512));
    assert!(list.memory_usage() <= 5_000 * 16 + 8192 + 2048, "{}", list.memory_usage());
    assert_eq!(list.trim(9, 3).node_count(), 10);
    assert_eq!(list.memory_usage(), size_of::<Node>());
    let mut list = List::new();
    for index in 0..10_000 {
        let value: &[u8] = if index % 50 == 0 { b"stay" } else { b"goes" };
        list.push_back(value, NodeLimit::default());
    }
    assert_eq!(list.remove(0, b"goes", NodeLimit::default()), 9_800);
    assert!(list.memory_usage() <= 2048, "{}", list.memory_usage());
    assert!(list.iter().all(|element| element == b"stay"));
    list.remove(0, b"stay", NodeLimit::default());
    assert!(list.memory_usage() <= 128);
}

#[test]
fn a_queue_keeps_its_size() {
    for length in [1, 10, 100, 511, 512, 513, 2000] {
        let mut list = filled(length, Side::Back);
        let limit = NodeLimit::default();
        for index in 0..20_000 {
            list.push_back(format!("element:{index:08}").as_bytes(), limit);
            list.pop_front();
        }
        assert_eq!(list.len(), length);
        let bound = length * 16 * 3 / 2 + 2 * 8192 + 256;
        assert!(list.memory_usage() <= bound, "{length}: {}", list.memory_usage());
    }
}

#[test]
fn an_element_beyond_the_limit_is_alone() {
    let limit = NodeLimit::default();
    let huge = vec![b'h'; 1 << 20];
    let mut list = List::new();
    list.push_back(&huge, limit);
    list.push_front(b"a", limit);
    list.push_back(b"b", limit);
    assert_eq!(list.nodes().map(Node::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(list.get(1), Some(huge.as_slice()));
    assert!(list.set(1, b"small", limit));
    list.insert_after(b"small", b"next", limit);
    assert!(list.iter().eq([b"a".as_slice(), b"small", b"next", b"b"]));
    assert!(list.memory_usage() < 10_000, "{}", list.memory_usage());
}

#[test]
fn empty_elements_count() {
    let mut list = List::new();
    for _ in 0..100_000 {
        list.push_front(b"", NodeLimit::default());
    }
    list.push_back(b"x", NodeLimit::default());
    assert_eq!(list.len(), 100_001);
    assert_eq!(list.get(-2), Some(b"".as_slice()));
    assert_eq!(list.pop_back().as_deref(), Some(b"x".as_slice()));
    assert_eq!(list.remove(0, b"", NodeLimit::default()), 100_000);
    assert!(list.is_empty());
}

#[test]
fn serde_keeps_the_elements() {
    let mut list = filled(1000, Side::Back);
    list.push_front(&[0, 255, 10, 13], NodeLimit::default());
    list.push_back(b"", NodeLimit::default());
    let text = serde_json::to_string(&list).unwrap();
    assert_eq!(serde_json::from_str::<List>(&text).unwrap(), list);
}

/// A sequence of two elements that announces as many as there can be.
struct Boaster(u8);

impl<'de> serde::de::SeqAccess<'de> for Boaster {
    type Error = serde::de::value::Error;

    fn next_element_seed<T: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        if self.0 == 2 {
            return Ok(None);
        }
        self.0 += 1;
        let element = serde::de::value::BorrowedBytesDeserializer::new(b"element");
        seed.deserialize(element).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::MAX)
    }
}

#[test]
fn an_announced_length_is_not_believed() {
    let boaster = serde::de::value::SeqAccessDeserializer::new(Boaster(0));
    let list: List = serde::Deserialize::deserialize(boaster).unwrap();
    assert!(list.iter().eq([b"element", b"element"]));
    assert!(list.memory_usage() <= 32 + size_of::<Node>());
}
