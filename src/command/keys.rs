//! Which arguments of a request are keys.

use smallvec::SmallVec;

use super::row::{Access, Keys};

/// A key argument and what the command does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyArgument {
    /// Index of the argument; 0 is the command's name.
    pub index: usize,
    /// What is done with it.
    pub access: Access,
}

/// The keys of one request. Most have one.
pub type KeyArguments = SmallVec<[KeyArgument; 2]>;

/// Finds the keys among `count` arguments. `argument` reads one, for forms that carry a number of keys;
/// a number that is none, or too large, yields no key there: the handler will refuse it in words.
pub fn find<'a>(keys: Keys, count: usize, argument: impl Fn(usize) -> &'a [u8]) -> KeyArguments {
    let mut found = KeyArguments::new();
    each(keys, count, argument, |index, access| found.push(KeyArgument { index, access }));
    found
}

/// As [`find`], without collecting.
#[inline]
pub fn each<'a>(
    keys: Keys,
    count: usize,
    argument: impl Fn(usize) -> &'a [u8],
    mut show: impl FnMut(usize, Access),
) {
    let mut range = |from: usize, to: usize, step: usize, access: Access| {
        (from..to.min(count)).step_by(step).for_each(|index| show(index, access));
    };
    match keys {
        Keys::None => {}
        Keys::One(access) => range(1, 2, 1, access),
        Keys::Second(access) => range(2, 3, 1, access),
        Keys::Two(first, second) => {
            range(1, 2, 1, first);
            range(2, 3, 1, second);
        }
        Keys::All(access) => range(1, count, 1, access),
        Keys::AllButLast(access) => range(1, count.saturating_sub(1), 1, access),
        Keys::Pairs(access) => range(1, count, 2, access),
        Keys::Counted(at, access) => range(at + 1, counted(at, count, &argument), 1, access),
        Keys::TargetAndCounted(target, sources) => {
            range(1, 2, 1, target);
            range(3, counted(2, count, &argument), 1, sources);
        }
        Keys::TargetAndRest(target, sources) => {
            range(1, 2, 1, target);
            range(2, count, 1, sources);
        }
    }
}

/// The end of the keys that argument `at` counts.
fn counted<'a>(at: usize, count: usize, argument: &impl Fn(usize) -> &'a [u8]) -> usize {
    if at >= count {
        return 0;
    }
    match crate::data::parse_i64(argument(at)) {
        Some(number) if number > 0 && (number as u64) < count as u64 => {
            let end = at + 1 + number as usize;
            if end <= count { end } else { 0 }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(keys: Keys, request: &str) -> Vec<usize> {
        let arguments: Vec<&str> = request.split(' ').collect();
        find(keys, arguments.len(), |index| arguments[index].as_bytes()).iter().map(|key| key.index).collect()
    }

    #[test]
    fn keys_are_where_the_row_says() {
        let ro = Access::RO;
        assert_eq!(indexes(Keys::One(ro), "get k"), [1]);
        assert_eq!(indexes(Keys::Pairs(ro), "mset a 1 b 2"), [1, 3]);
        assert_eq!(indexes(Keys::AllButLast(ro), "blpop a b 0"), [1, 2]);
        assert_eq!(indexes(Keys::Counted(2, ro), "blmpop 0 2 a b left"), [3, 4]);
        assert_eq!(indexes(Keys::Counted(1, ro), "lmpop 9 a b left"), [0usize; 0]);
        assert_eq!(indexes(Keys::Counted(1, ro), "lmpop 9223372036854775807 a left"), [0usize; 0]);
        assert_eq!(indexes(Keys::TargetAndCounted(ro, ro), "zunionstore d 2 a b"), [1, 3, 4]);
    }
}
