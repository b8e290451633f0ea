//! HyperLogLogs against a plain array of registers, and against values that a Redis 7.0.15 made.

use proptest::prelude::*;

use super::*;

/// Registers as an array, and nothing else.
#[derive(Clone)]
struct Model(Vec<u8>);

impl Model {
    fn new() -> Model {
        Model(vec![0; REGISTERS])
    }

    fn put(&mut self, mark: Mark) -> bool {
        let raised = self.0[mark.register] < mark.value;
        self.0[mark.register] = self.0[mark.register].max(mark.value);
        raised
    }
}

/// Few registers and few values, so that runs are split and joined often.
fn mark() -> impl Strategy<Value = Mark> {
    let register = prop_oneof![8 => 0..60usize, 1 => 0..REGISTERS, 1 => REGISTERS - 6..REGISTERS];
    let value = prop_oneof![12 => 1..4u8, 1 => 1..=33u8];
    (register, value).prop_map(|(register, value)| Mark { register, value })
}

fn registers_of(value: &[u8]) -> Vec<u8> {
    let mut registers = Registers::new();
    registers.merge(value).expect("a sound value");
    registers.bytes().to_vec()
}

fn made_of(marks: &[Mark], limit_bytes: usize) -> Vec<u8> {
    let mut value = empty();
    for &mark in marks {
        put(&mut value, mark, limit_bytes).expect("a sound value");
    }
    value
}

proptest! {
    #[test]
    fn registers_are_those_of_the_model(marks in prop::collection::vec(mark(), 0..200), limit in 18..200usize) {
        let (mut model, mut value) = (Model::new(), empty());
        for mark in marks {
            let before = value.clone();
            let raised = model.put(mark);
            prop_assert_eq!(put(&mut value, mark, limit), Ok(raised));
            prop_assert!(raised || before == value);
            prop_assert!(encoding(&value).is_some());
            prop_assert!(encoding(&value) == Some(Encoding::Dense) || value.len() <= limit.max(18));
        }
        prop_assert_eq!(&registers_of(&value), &model.0);
        // The same in both encodings, and so is the count.
        let dense = to_dense(&value).expect("a sound value");
        prop_assert_eq!(&registers_of(&dense), &model.0);
        prop_assert_eq!(count(&dense), count(&value));
        for (register, &there) in model.0.iter().enumerate() {
            prop_assert_eq!(dense::get(&dense[HEADER_BYTES..], register), there);
        }
    }

    #[test]
    fn merging_takes_the_greater_of_each(
        first in prop::collection::vec(mark(), 0..100),
        second in prop::collection::vec(mark(), 0..100),
        limit in 18..300usize,
    ) {
        let (a, b) = (made_of(&first, limit), made_of(&second, limit));
        let mut model = Model::new();
        first.iter().chain(&second).for_each(|&mark| { model.put(mark); });
        let mut all = Registers::new();
        all.merge(&a).expect("a sound value");
        all.merge(&b).expect("a sound value");
        prop_assert_eq!(&all.bytes()[..], &model.0[..]);
        for into in [Encoding::Dense, Encoding::Sparse] {
            if into == Encoding::Sparse && encoding(&a) == Some(Encoding::Dense) {
                continue;
            }
            let merged = merged(Some(&a), &all, into, limit).expect("sound values");
            prop_assert_eq!(&registers_of(&merged), &model.0);
            prop_assert_eq!(cached_count(&merged), None);
            prop_assert_eq!(count(&merged), Ok(all.count()));
        }
    }

    /// What is put in ascending order is looked for from where the last was found: the bytes are the same.
    #[test]
    fn ascending_marks_make_the_same_bytes(
        before in prop::collection::vec(mark(), 0..100),
        marks in prop::collection::vec(mark(), 0..100),
        limit in 18..300usize,
    ) {
        let before = made_of(&before, usize::MAX);
        prop_assume!(encoding(&before) == Some(Encoding::Sparse));
        let mut marks = marks;
        marks.sort_by_key(|mark| mark.register);
        let (mut one_by_one, mut ascending) = (before.clone(), before);
        let mut place = sparse::Place::default();
        for mark in marks {
            let raised = put(&mut one_by_one, mark, limit);
            prop_assert_eq!(put_from(&mut ascending, mark, limit, &mut place), raised);
            prop_assert_eq!(&one_by_one, &ascending);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..60), mark in mark()) {
        let mut value = empty();
        value.truncate(HEADER_BYTES);
        value.extend_from_slice(&bytes);
        let counted = count(&value);
        prop_assert_eq!(counted.is_ok(), Registers::new().merge(&value).is_ok());
        prop_assert_eq!(counted.is_ok(), to_dense(&value).is_ok());
        let _ = sparse::Runs::of(&value).count();
        let before = value.clone();
        if put(&mut value, mark, 3000) == Err(Corrupt) {
            prop_assert_eq!(value, before);
        }
    }
}

#[test]
fn elements_leave_the_marks_that_redis_makes() {
    // From PFDEBUG GETREG after PFADD of this element to an empty key, Redis 7.0.15.
    let known = [
        ("", 5938, 2),
        ("a", 12711, 2),
        ("foo", 7348, 5),
        ("1234567", 10327, 3),
        ("12345678", 10579, 3),
        ("123456789", 9293, 2),
        ("hello world, and more", 3453, 1),
        ("0123456789abcdef0", 16236, 1),
        ("zz9", 41, 2),
    ];
    for (element, register, value) in known {
        assert_eq!(Mark::of(element.as_bytes()), Mark { register, value }, "{element}");
    }
}

#[test]
fn the_count_is_about_right() {
    let mut value = empty();
    for number in 0..100_000_u32 {
        put(&mut value, Mark::of(&number.to_le_bytes()), 3000).expect("a sound value");
    }
    assert_eq!(encoding(&value), Some(Encoding::Dense));
    let counted = count(&value).expect("a sound value");
    assert!(counted.abs_diff(100_000) < 3_000, "{counted}");
    assert_eq!(count(&empty()), Ok(0));
}

#[test]
fn registers_that_no_hash_leaves_are_counted_without_harm() {
    let mut value = to_dense(&empty()).expect("a sound value");
    value[HEADER_BYTES..].fill(0xFF);
    assert_eq!(count(&value), Ok(1 << 63));
}

#[test]
fn a_count_is_cached() {
    let mut value = empty();
    assert_eq!(cached_count(&value), Some(0));
    cache_count(&mut value, 1 << 40);
    assert_eq!(cached_count(&value), Some(1 << 40));
    forget_count(&mut value);
    assert_eq!(cached_count(&value), None);
}

#[test]
fn what_is_no_hyperloglog_is_told() {
    let sound = empty();
    assert_eq!(encoding(&sound), Some(Encoding::Sparse));
    assert_eq!(encoding(&sound[..15]), None);
    assert_eq!(encoding(b"HYLX............."), None);
    let mut short = to_dense(&sound).expect("a sound value");
    assert_eq!(encoding(&short), Some(Encoding::Dense));
    short.pop();
    assert_eq!(encoding(&short), None);
    let mut unknown = sound;
    unknown[4] = 2;
    assert_eq!(encoding(&unknown), None);
}

#[test]
fn the_self_test_passes_in_small() {
    assert_eq!(selftest::registers(&mut selftest::Numbers(7), 3), Ok(()));
    assert_eq!(selftest::counts(0x1234_5678_9abc, 3000, 100_000), Ok(()));
}
