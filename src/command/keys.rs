//! Which arguments of a request are keys.

use smallvec::SmallVec;

use super::Args;
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
        Keys::Migrated(access) => match migrated(count, &argument) {
            Some(first) => range(first, count, 1, access),
            None => range(3, 4, 1, access),
        },
        Keys::SortOnly(access) => range(1, 2, 1, access),
        Keys::SortAndStore(source, target) => {
            range(1, 2, 1, source);
            let stored = sort_stored(count, &argument);
            range(stored, stored + usize::from(stored > 0), 1, target);
        }
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
        Keys::OneAndStored(source, target, from) => {
            range(1, 2, 1, source);
            stored(from, count, &argument).for_each(|index| range(index, index + 1, 1, target));
        }
        Keys::SecondAndRest(target, sources) => {
            range(2, 3, 1, target);
            range(3, count, 1, sources);
        }
        Keys::TargetAndRest(target, sources) => {
            range(1, 2, 1, target);
            range(2, count, 1, sources);
        }
        Keys::Streams(_, access) => {
            let (from, to) = streams(count, &argument);
            range(from, to, 1, access);
        }
    }
}

/// Whether nobody can say what is a key, since the command will be refused in words: a number of keys, behind a
/// destination, is none or too large.
pub fn is_miscounted<'a>(keys: Keys, count: usize, argument: impl Fn(usize) -> &'a [u8]) -> bool {
    matches!(keys, Keys::TargetAndCounted(..)) && counted(2, count, &argument) == 0
}

/// MIGRATE's keys as Redis tells them: none where they are named in both ways, since the command will be refused in
/// words, and the empty key in front where nothing stands behind the word KEYS.
pub fn told_of_migrate<'a>(
    access: Access,
    count: usize,
    argument: impl Fn(usize) -> &'a [u8],
) -> KeyArguments {
    // Unless the word stands somewhere before the last argument, Redis does not look for options.
    let is_word = |at: usize| argument(at).eq_ignore_ascii_case(b"keys");
    let worth_a_look = count > 6 && (2..count - 1).any(is_word);
    let indexes = match behind_keys(count, &argument).filter(|_| worth_a_look) {
        None => 3..4,
        Some(_) if !argument(3).is_empty() => 0..0,
        Some(first) => first..count,
    };
    indexes.map(|index| KeyArgument { index, access }).collect()
}

/// Where the keys behind XREAD's or XREADGROUP's word STREAMS begin and end. Options are read as the
/// handlers read them: a group may be called STREAMS.
fn streams<'a>(count: usize, argument: &impl Fn(usize) -> &'a [u8]) -> (usize, usize) {
    let mut at = 1;
    while at < count {
        let word = argument(at);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        at += match () {
            () if is("STREAMS") => {
                let rest = count - at - 1;
                return (at + 1, at + 1 + rest / 2);
            }
            () if is("BLOCK") || is("COUNT") => 2,
            () if is("GROUP") => 3,
            () if is("NOACK") => 1,
            () => break,
        };
    }
    (0, 0)
}

/// The keys behind the first word STREAMS, whatever stands before it: what a request means that will be refused.
pub fn streams_anywhere<'a>(
    from: usize,
    count: usize,
    argument: impl Fn(usize) -> &'a [u8],
) -> (usize, usize) {
    let is_word = |at: &usize| argument(*at).eq_ignore_ascii_case(b"streams");
    let first = (from..count).find(is_word).map_or(count, |at| at + 1);
    (first, first + (count - first) / 2)
}

/// How a [`Spec`] goes from its first key to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// Up to the last key: relative to the first, or counted from the end when negative.
    Range {
        /// The last key.
        last: i64,
        /// From key to key.
        step: i64,
    },
    /// The argument at the beginning says how many follow it.
    Counted,
    /// The first half of what follows the word STREAMS.
    Streams,
    /// No rule leads to them.
    Unknown,
}

/// Where keys are, in the notation of Redis's COMMAND INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What the command does with them.
    pub access: Access,
    /// The argument at which the search begins; 0 is the command's name.
    pub begin: i64,
    /// Where the search goes on from the argument behind this word.
    pub keyword: Option<&'static str>,
    /// How the keys are found from there.
    pub find: FindKeys,
}

/// A row's keys as Redis describes them.
pub fn specs(keys: Keys) -> Vec<Spec> {
    let spec = |begin, find, access| Spec { access, begin, keyword: None, find };
    let range = |begin, last, step, access| spec(begin, FindKeys::Range { last, step }, access);
    let counted = |begin, access| spec(begin, FindKeys::Counted, access);
    let unknown = |access| spec(0, FindKeys::Unknown, access);
    match keys {
        Keys::None => vec![],
        Keys::One(access) => vec![range(1, 0, 1, access)],
        Keys::Second(access) => vec![range(2, 0, 1, access)],
        Keys::Two(first, second) if first == second => vec![range(1, 1, 1, first)],
        Keys::Two(first, second) => vec![range(1, 0, 1, first), range(2, 0, 1, second)],
        Keys::Migrated(access) => {
            let behind = range(-2, -1, 1, access.with(Access::INCOMPLETE));
            vec![range(3, 0, 1, access), Spec { keyword: Some("KEYS"), ..behind }]
        }
        Keys::SortOnly(access) => vec![range(1, 0, 1, access), unknown(access)],
        Keys::SortAndStore(source, target) => {
            vec![range(1, 0, 1, source), unknown(source), unknown(target)]
        }
        Keys::All(access) => vec![range(1, -1, 1, access)],
        Keys::AllButLast(access) => vec![range(1, -2, 1, access)],
        Keys::Pairs(access) => vec![range(1, -1, 2, access)],
        Keys::Counted(at, access) => vec![counted(at as i64, access)],
        Keys::TargetAndCounted(target, sources) => vec![range(1, 0, 1, target), counted(2, sources)],
        Keys::OneAndStored(source, target, from) => {
            let stored = |word| Spec { keyword: Some(word), ..range(from as i64, 0, 1, target) };
            vec![range(1, 0, 1, source), stored("STORE"), stored("STOREDIST")]
        }
        Keys::SecondAndRest(target, sources) => vec![range(2, 0, 1, target), range(3, -1, 1, sources)],
        Keys::TargetAndRest(target, sources) => vec![range(1, 0, 1, target), range(2, -1, 1, sources)],
        Keys::Streams(from, access) => {
            vec![Spec { access, begin: from as i64, keyword: Some("STREAMS"), find: FindKeys::Streams }]
        }
    }
}

/// The first key, the last and the step that COMMAND INFO shows for clients older than the specs, and
/// whether these three miss keys (`movablekeys`). All are 0 where no range describes any key.
pub fn legacy_range(specs: &[Spec]) -> ((i64, i64, i64), bool) {
    let absolute = |begin: i64, last: i64| if last >= 0 { begin + last } else { last };
    if let [Spec { access, begin, keyword: None, find: FindKeys::Range { last, step } }] = specs {
        return ((*begin, absolute(*begin, *last), *step), access.has(Access::INCOMPLETE));
    }
    let (mut first, mut last, mut misses) = (0, 0, false);
    for spec in specs {
        match spec.find {
            FindKeys::Range { last: end, step: 1 }
                if spec.keyword.is_none() && (last == 0 || last == spec.begin - 1) =>
            {
                misses |= spec.access.has(Access::INCOMPLETE);
                first = if first == 0 { spec.begin } else { first };
                last = absolute(spec.begin, end);
            }
            _ => misses = true,
        }
    }
    ((first, last, i64::from(first != 0)), misses)
}

/// The access of SET: it reads the old value only with GET.
pub fn overwrites_unless_get(args: &Args<'_>, declared: Access) -> Access {
    let reads = args.all().skip(3).any(|argument| argument.eq_ignore_ascii_case(b"get"));
    if reads { declared } else { Access::OW | Access::UPDATE }
}

/// The arguments behind STORE and STOREDIST: of several the command uses the last, and all are locked.
fn stored<'a>(
    from: usize,
    count: usize,
    argument: &impl Fn(usize) -> &'a [u8],
) -> impl Iterator<Item = usize> {
    let stores = |word: &[u8]| word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist");
    (from + 1..count).filter(move |&index| stores(argument(index - 1)))
}

/// The argument behind the last STORE of SORT, past the values of its other options; 0 when there is none.
fn sort_stored<'a>(count: usize, argument: &impl Fn(usize) -> &'a [u8]) -> usize {
    let (mut at, mut found) = (2, 0);
    while at < count {
        let word = argument(at);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("STORE") && at + 1 < count {
            found = at + 1;
        }
        at += match () {
            () if is("LIMIT") => 3,
            () if is("GET") || is("BY") || is("STORE") => 2,
            () => 1,
        };
    }
    found
}

/// The first argument behind MIGRATE's KEYS, if the keys stand there.
fn migrated<'a>(count: usize, argument: &impl Fn(usize) -> &'a [u8]) -> Option<usize> {
    if count <= 6 || !argument(3).is_empty() {
        return None;
    }
    behind_keys(count, argument)
}

/// The first argument behind the word KEYS of MIGRATE's options.
fn behind_keys<'a>(count: usize, argument: &impl Fn(usize) -> &'a [u8]) -> Option<usize> {
    let mut at = 6;
    while at < count {
        let is = |name: &str| argument(at).eq_ignore_ascii_case(name.as_bytes());
        at += match () {
            () if is("KEYS") => return Some(at + 1),
            () if is("AUTH2") => 3,
            () if is("AUTH") => 2,
            () => 1,
        };
    }
    None
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
    fn the_legacy_range_joins_neighbours_only() {
        let (ro, ow) = (Access::RO, Access::OW);
        for (keys, expected) in [
            (Keys::None, ((0, 0, 0), false)),
            (Keys::One(ro), ((1, 1, 1), false)),
            (Keys::Two(ro, ro), ((1, 2, 1), false)),
            (Keys::Two(ro, ow), ((1, 2, 1), false)),
            (Keys::Pairs(ow), ((1, -1, 2), false)),
            (Keys::TargetAndRest(ow, ro), ((1, -1, 1), false)),
            (Keys::TargetAndCounted(ow, ro), ((1, 1, 1), true)),
            (Keys::Counted(1, ro), ((0, 0, 0), true)),
            (Keys::OneAndStored(ro, ow, 6), ((1, 1, 1), true)),
        ] {
            assert_eq!(legacy_range(&specs(keys)), expected, "{keys:?}");
        }
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
        assert_eq!(indexes(Keys::Streams(1, ro), "xread count 1 streams a b 0 0"), [4, 5]);
        assert_eq!(indexes(Keys::Streams(4, ro), "xreadgroup group streams noack noack streams a >"), [6]);
        assert_eq!(indexes(Keys::Streams(1, ro), "xread streams a b 0"), [2]);
        let stored = Keys::OneAndStored(ro, ro, 5);
        assert_eq!(indexes(stored, "georadiusbymember k store 1 m asc store a STOREDIST b"), [1, 7, 9]);
        assert_eq!(indexes(stored, "georadiusbymember k store 1 m store"), [1]);
    }
}
