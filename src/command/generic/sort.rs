//! SORT and SORT_RO: the elements of a list, a set or a sorted set in another order, or what keys that
//! are named after them hold.
//!
//! `BY weight_*` and `GET name_*->field` lead to keys that no argument names. Such a request takes the
//! whole keyspace; one without patterns locks its own key as any other command does. Elements are
//! copied once into one buffer, so that other keys can be looked at while they are ordered.

use std::cmp::Ordering;

use crate::command::context::EventClass;
use crate::command::row::{Access, Acl, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply, rights};
use crate::data::{Hash, List, NodeLimit, parse_f64, parse_i64};
use crate::store::{Key, Object, Str};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SORT",
        arguments: "pattern #1; pattern #1; alpha =sorting; destination #2",
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
        summary: "Sorts the elements of a list, a set or a sorted set, and can store them.",
        since: "1.0.0",
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MAYBE_WHOLE),
        keys: Keys::SortAndStore(Access::RO.with(Access::ACCESS), Access::OW.with(Access::UPDATE)),
        key_notes: &[
            "",
            "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
            "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
        ],
        run: |ctx, args| sort(ctx, args, true),
        ..SORT
    },
    Command {
        name: "SORT_RO",
        arguments: "pattern #1; pattern #1; alpha =sorting",
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
        summary: "Sorts the elements of a list, a set or a sorted set.",
        since: "7.0.0",
        flags: Flags::READONLY.with(Flags::MAYBE_WHOLE),
        keys: Keys::SortOnly(Access::RO.with(Access::ACCESS)),
        key_notes: &[
            "",
            "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
        ],
        run: |ctx, args| sort(ctx, args, false),
        ..SORT
    },
];

const SORT: Command = Command {
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
    acl: Acl::SET.with(Acl::SORTEDSET).with(Acl::LIST).with(Acl::DANGEROUS).with(Acl::NOT_GROUP),
    whole: looks_elsewhere,
    ..Command::BASE
};

/// What the arguments behind the key say.
#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alphabetic: bool,
    offset: i64,
    /// Negative: no limit.
    count: Option<i64>,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    store: Option<Key<'a>>,
}

impl<'a> Options<'a> {
    fn read(args: &mut Args<'a>, may_store: bool, reads_all: bool) -> Result<Options<'a>, CommandError> {
        let mut options = Options::default();
        while args.remaining() > 0 {
            let values = args.remaining() - 1;
            if args.keyword("ASC") {
                options.descending = false;
            } else if args.keyword("DESC") {
                options.descending = true;
            } else if args.keyword("ALPHA") {
                options.alphabetic = true;
            } else if values >= 2 && args.keyword("LIMIT") {
                (options.offset, options.count) = (args.int(), Some(args.int()));
                args.check()?;
            } else if may_store && values >= 1 && args.keyword("STORE") {
                options.store = args.next().map(|bytes| Key { bytes, hash: 0 });
            } else if values >= 1 && args.keyword("BY") {
                options.by = args.next();
                if !reads_all && !options.keeps_order() {
                    return Err(denied("BY"));
                }
            } else if values >= 1 && args.keyword("GET") {
                if !reads_all {
                    return Err(denied("GET"));
                }
                options.get.extend(args.next());
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// A weight without a star is the same for all: nothing is sorted.
    fn keeps_order(&self) -> bool {
        self.by.is_some_and(|pattern| !pattern.contains(&b'*'))
    }

    /// Whether other keys are looked at.
    fn looks_elsewhere(&self) -> bool {
        self.by.iter().chain(&self.get).any(|pattern| pattern.contains(&b'*'))
    }

    /// The first place that is answered, and the one after the last.
    fn range(&self, len: usize) -> (usize, usize) {
        let len_i64 = i64::try_from(len).unwrap_or(i64::MAX);
        let start = self.offset.clamp(0, len_i64);
        let count = self.count.unwrap_or(-1).clamp(-1, len_i64);
        let end = if count < 0 { len_i64 } else { (start + count).min(len_i64) };
        (start as usize, end.max(start) as usize)
    }
}

/// Patterns lead to keys that no argument names: only who may read all of them may follow.
fn denied(option: &str) -> CommandError {
    CommandError::err(format_args!("{option} option of SORT denied due to insufficient ACL permissions."))
}

fn looks_elsewhere(args: &Args<'_>) -> bool {
    let mut args = args.clone();
    args.next();
    // What makes no sense is refused before it looks at anything.
    Options::read(&mut args, true, true).is_ok_and(|options| options.looks_elsewhere())
}

/// Elements in one buffer.
#[derive(Default)]
struct Elements {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

/// An element to be sorted: where it lies, and its weight.
#[derive(Clone, Copy)]
struct Item {
    weight: f64,
    at: usize,
    len: usize,
}

impl Elements {
    fn push(&mut self, element: &[u8]) {
        self.items.push(Item { weight: 0.0, at: self.bytes.len(), len: element.len() });
        self.bytes.extend_from_slice(element);
    }

    fn bytes(&self, item: &Item) -> &[u8] {
        &self.bytes[item.at..item.at + item.len]
    }
}

fn sort(ctx: &mut Context<'_>, mut args: Args<'_>, may_store: bool) -> Outcome {
    let key = args.key();
    args.check()?;
    let reads_all = rights::reads_every_key(ctx, &args);
    let mut options = Options::read(&mut args, may_store, reads_all)?;
    if options.looks_elsewhere() && !ctx.view.is_whole() {
        return Err(CommandError::fixed("ERR SORT with patterns is not possible here"));
    }
    if let Some(target) = &mut options.store {
        *target = ctx.view.key(target.bytes);
    }
    let (mut elements, is_set) = load(ctx, key, &options)?;
    let len = elements.items.len();
    let (start, end) = options.range(len);
    if options.keeps_order() && is_set && (options.store.is_some() || ctx.in_script) {
        // A set has no order: what is stored of it, or given to a script, is sorted, so that it is the same everywhere.
        (options.by, options.alphabetic) = (None, true);
    }
    if !options.keeps_order() {
        order(ctx, &mut elements, &options, (start, end))?;
    }
    let chosen = &elements.items[start..end];
    match options.store {
        None => answer(ctx, &elements, chosen, &options),
        Some(target) => store(ctx, &elements, chosen, &options, target),
    }
}

/// Copies the elements, and says whether they are those of a set. Where no order is asked for, a
/// descending one is the value's own backwards.
fn load(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    options: &Options<'_>,
) -> Result<(Elements, bool), CommandError> {
    let mut elements = Elements::default();
    let backwards = options.keeps_order() && options.descending;
    let Some(entry) = ctx.view.read(key) else { return Ok((elements, false)) };
    let object = entry.as_object().ok_or(CommandError::WrongType)?;
    let len = object.len();
    elements.items.reserve_exact(len);
    match object {
        Object::List(list) if backwards => list.iter_rev().for_each(|element| elements.push(element)),
        Object::List(list) => list.iter().for_each(|element| elements.push(element)),
        Object::Set(set) => {
            set.iter().for_each(|member| member.with_bytes(|bytes| elements.push(bytes)));
            return Ok((elements, true));
        }
        Object::SortedSet(sorted) if backwards => {
            sorted.range_rev(0, len).for_each(|(member, _)| elements.push(member));
        }
        Object::SortedSet(sorted) => sorted.iter().for_each(|(member, _)| elements.push(member)),
        _ => return Err(CommandError::WrongType),
    }
    Ok((elements, false))
}

/// A weight, as C's strtod reads it: nothing at all is 0.
fn weight_of(text: &[u8]) -> Option<f64> {
    if let Some(number) = parse_i64(text) {
        return Some(number as f64);
    }
    let text = text.trim_ascii_start();
    if text.is_empty() { Some(0.0) } else { parse_f64(text).filter(|weight| !weight.is_nan()) }
}

const NO_WEIGHT: CommandError = CommandError::fixed("ERR One or more scores can't be converted into double");

/// Sorts so far that the places in `range` are right.
fn order(
    ctx: &mut Context<'_>,
    elements: &mut Elements,
    options: &Options<'_>,
    range: (usize, usize),
) -> Result<(), CommandError> {
    let mut items = std::mem::take(&mut elements.items);
    match options.by {
        Some(pattern) if options.alphabetic => order_by_text(ctx, elements, &mut items, pattern, options),
        _ if options.alphabetic => {
            let of = |item: &Item| elements.bytes(item);
            partly(&mut items, range, options.descending, |a, b| of(a).cmp(of(b)));
        }
        by => {
            let mut all_numbers = true;
            for item in &mut items {
                let weight = match by {
                    None => weight_of(elements.bytes(item)),
                    Some(pattern) => {
                        look_up(ctx, pattern, elements.bytes(item)).map_or(Some(0.0), |text| weight_of(&text))
                    }
                };
                all_numbers &= weight.is_some();
                item.weight = weight.unwrap_or(0.0);
            }
            if !all_numbers {
                return Err(NO_WEIGHT);
            }
            // Elements of the same weight are ordered by their bytes.
            partly(&mut items, range, options.descending, |a, b| {
                let by_weight = a.weight.partial_cmp(&b.weight).unwrap_or(Ordering::Equal);
                by_weight.then_with(|| elements.bytes(a).cmp(elements.bytes(b)))
            });
        }
    }
    elements.items = items;
    Ok(())
}

/// Sorts by the texts that other keys hold. Without a text an element comes first.
fn order_by_text(
    ctx: &mut Context<'_>,
    elements: &Elements,
    items: &mut [Item],
    pattern: &[u8],
    options: &Options<'_>,
) {
    let mut keyed: Vec<(Option<Vec<u8>>, Item)> =
        items.iter().map(|item| (look_up(ctx, pattern, elements.bytes(item)), *item)).collect();
    keyed.sort_by(|(a, _), (b, _)| if options.descending { b.cmp(a) } else { a.cmp(b) });
    items.iter_mut().zip(keyed).for_each(|(place, (_, item))| *place = item);
}

/// Sorts so that the items from `start` to `end` are where a whole sort would put them.
fn partly(
    items: &mut [Item],
    (start, end): (usize, usize),
    descending: bool,
    compare: impl Fn(&Item, &Item) -> Ordering,
) {
    let compare = |a: &Item, b: &Item| if descending { compare(b, a) } else { compare(a, b) };
    if start >= end {
        return;
    }
    if end < items.len() {
        items.select_nth_unstable_by(end - 1, compare);
    }
    let items = &mut items[..end];
    if start > 0 {
        items.select_nth_unstable_by(start, compare);
    }
    items[start..].sort_unstable_by(compare);
}

/// What the key holds that `pattern` names for an element: the star stands for it, `->` leads to a
/// field of a hash. `#` is the element itself.
fn look_up(ctx: &mut Context<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|two| two == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let name = [before, element, after].concat();
    // One shard at a time: nobody else runs, and few locks are found faster than many.
    ctx.view.release_touched();
    let key = ctx.view.key(&name);
    match field {
        Some(field) => ctx.view.get::<Hash>(key).ok()??.get(field).map(<[u8]>::to_vec),
        None => ctx.view.string(key).ok()?.map(|text| match text {
            Str::Int(number) => number.to_string().into_bytes(),
            Str::Bytes(bytes) => bytes.to_vec(),
        }),
    }
}

fn answer(ctx: &mut Context<'_>, elements: &Elements, chosen: &[Item], options: &Options<'_>) -> Outcome {
    ctx.out.array(chosen.len() * options.get.len().max(1));
    for item in chosen {
        let element = elements.bytes(item);
        if options.get.is_empty() {
            ctx.out.bulk(element);
        }
        for pattern in &options.get {
            match look_up(ctx, pattern, element) {
                Some(text) => ctx.out.bulk(&text),
                None => ctx.out.null(),
            }
        }
    }
    Ok(Reply::Sent)
}

/// Stores what would be answered as a list; what is not there as an empty string.
fn store(
    ctx: &mut Context<'_>,
    elements: &Elements,
    chosen: &[Item],
    options: &Options<'_>,
    target: Key<'_>,
) -> Outcome {
    let limit = NodeLimit::from_listpack_size(i64::from(ctx.settings.list_max_listpack_size));
    let mut list = List::new();
    for item in chosen {
        let element = elements.bytes(item);
        if options.get.is_empty() {
            list.push_back(element, limit);
        }
        for pattern in &options.get {
            list.push_back(&look_up(ctx, pattern, element).unwrap_or_default(), limit);
        }
    }
    let len = list.len();
    if len > 0 {
        ctx.view.set_object(target, Object::List(list));
        ctx.effect_on(target, EventClass::List, "sortstore", len);
    } else if ctx.view.remove(target) {
        ctx.effect(target, EventClass::Generic, "del");
    }
    Ok(Reply::Int(len as i64))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn numbers_and_text() {
        transcript(
            r#"
            > RPUSH l 3 1 10 2 1.5 -4
            (integer) 6
            > SORT l
            1) "-4"
            2) "1"
            3) "1.5"
            4) "2"
            5) "3"
            6) "10"
            > SORT l DESC LIMIT 0 2
            1) "10"
            2) "3"
            > SORT_RO l ALPHA LIMIT 1 2
            1) "1"
            2) "1.5"
            > SORT l LIMIT -5 1
            1) "-4"
            > SORT l LIMIT 5 100
            1) "10"
            > SORT l LIMIT 6 1
            (empty array)
            > SORT l LIMIT 2 0
            (empty array)
            > SORT l ASC DESC asc LIMIT 4 -1
            1) "3"
            2) "10"
            > RPUSH words b a " 7" ""
            (integer) 4
            > SORT words
            (error) ERR One or more scores can't be converted into double
            > SORT words ALPHA DESC
            1) "b"
            2) "a"
            3) " 7"
            4) ""
            > SORT nobody
            (empty array)
            > SADD s 2 1 x
            (integer) 3
            > SORT s ALPHA
            1) "1"
            2) "2"
            3) "x"
            > ZADD z 1 c 2 a 3 b
            (integer) 3
            > SORT z ALPHA
            1) "a"
            2) "b"
            3) "c"
            > SORT z BY nosort
            1) "c"
            2) "a"
            3) "b"
            > SORT z BY nosort DESC LIMIT 0 2
            1) "b"
            2) "a"
            > SORT l BY nosort LIMIT 1 2
            1) "1"
            2) "10"
            > SORT l BY nosort DESC LIMIT 0 2
            1) "-4"
            2) "1.5"
            "#,
        );
    }

    #[test]
    fn weights_and_fields_of_other_keys() {
        transcript(
            r#"
            > RPUSH l 1 2 3
            (integer) 3
            > MSET w1 30 w2 20 w3 10 n1 x n3 z
            OK
            > HSET h1 weight 2 name one
            (integer) 2
            > HSET h2 weight 3
            (integer) 1
            > SORT l BY w*
            1) "3"
            2) "2"
            3) "1"
            > SORT l BY w* GET # GET n*
            1) "3"
            2) "z"
            3) "2"
            4) (nil)
            5) "1"
            6) "x"
            > SORT_RO l BY h*->weight DESC GET # GET h*->name GET h*-> GET nostar
             1) "2"
             2) (nil)
             3) (nil)
             4) (nil)
             5) "1"
             6) "one"
             7) (nil)
             8) (nil)
             9) "3"
            10) (nil)
            11) (nil)
            12) (nil)
            > SORT l BY n* ALPHA
            1) "2"
            2) "1"
            3) "3"
            > SORT l BY n*
            (error) ERR One or more scores can't be converted into double
            > SORT l BY w* LIMIT 1 1 GET w* STORE out
            (integer) 1
            > LRANGE out 0 -1
            1) "20"
            > SORT l GET n* STORE out
            (integer) 3
            > LRANGE out 0 -1
            1) "x"
            2) ""
            3) "z"
            > SORT nobody STORE out
            (integer) 0
            > EXISTS out
            (integer) 0
            > SADD s b a
            (integer) 2
            > SORT s BY nosort STORE l
            (integer) 2
            > LRANGE l 0 -1
            1) "a"
            2) "b"
            "#,
        );
    }

    #[test]
    fn refusals() {
        transcript(
            r#"
            > SET k v
            OK
            > SORT k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SORT k LIMIT 1
            (error) ERR syntax error
            > SORT k LIMIT a 1
            (error) ERR value is not an integer or out of range
            > SORT k BY
            (error) ERR syntax error
            > SORT k GET
            (error) ERR syntax error
            > SORT k STORE
            (error) ERR syntax error
            > SORT_RO k STORE x
            (error) ERR syntax error
            > SORT k BADARG
            (error) ERR syntax error
            > SORT
            (error) ERR wrong number of arguments for 'sort' command
            > COMMAND GETKEYS SORT abc STORE def
            1) "abc"
            2) "def"
            > COMMAND GETKEYS SORT abc LIMIT 0 STORE GET STORE STORE def STORE x
            1) "abc"
            2) "x"
            "#,
        );
    }

    #[test]
    fn what_is_stored_is_an_effect() {
        let mut bench = Bench::new();
        bench.line("RPUSH l 3 1 2");
        assert_eq!(bench.line("SORT l STORE out"), "(integer) 3");
        assert_eq!((bench.done.changes, &bench.done.events()[..]), (3, &["sortstore out@0".into()][..]));
        assert_eq!(bench.line("SORT nobody STORE out"), "(integer) 0");
        assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["del out@0".into()][..]));
        bench.line("SORT l");
        assert_eq!(bench.done.changes, 0);
    }
}
