//! One member of a sorted set, or how many there are.

use crate::command::element_scan::{self, ElementScan};
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::format_double;

use super::bounds::{Members, Scores};

const FAST_READ: Flags = Flags::READONLY.with(Flags::FAST);
const CONTENT: Keys = Keys::One(Access::RO.with(Access::ACCESS));

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZCARD",
        syntax: "key",
        summary: "Returns the number of members of a sorted set.",
        since: "1.2.0",
        complexity: "O(1)",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: Keys::One(Access::RO),
        run: zcard,
        ..Command::BASE
    },
    Command {
        name: "ZCOUNT",
        arguments: "min :double; max :double",
        syntax: "key min max",
        summary: "Counts the members of a sorted set within a range of scores.",
        since: "2.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zcount,
        ..Command::BASE
    },
    Command {
        name: "ZLEXCOUNT",
        syntax: "key min max",
        summary: "Counts the members of a sorted set within a range of members.",
        since: "2.8.9",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zlexcount,
        ..Command::BASE
    },
    Command {
        name: "ZMSCORE",
        element: 2,
        syntax: "key member [member ...]",
        summary: "Returns the scores of the given members of a sorted set.",
        since: "6.2.0",
        complexity: "O(N) where N is the number of members being requested.",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zmscore,
        ..Command::BASE
    },
    Command {
        name: "ZRANK",
        element: 2,
        syntax: "key member",
        summary: "Returns how many members of a sorted set stand before this one.",
        since: "2.0.0",
        complexity: "O(log(N))",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zrank,
        ..Command::BASE
    },
    Command {
        name: "ZREVRANK",
        element: 2,
        syntax: "key member",
        summary: "Returns how many members of a sorted set stand behind this one.",
        since: "2.0.0",
        complexity: "O(log(N))",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zrevrank,
        ..Command::BASE
    },
    Command {
        name: "ZSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walks over the members and scores of a sorted set in steps.",
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        group: Group::SortedSet,
        flags: Flags::READONLY,
        keys: CONTENT,
        run: zscan,
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "ZSCORE",
        element: 2,
        syntax: "key member",
        summary: "Returns the score of a member of a sorted set.",
        since: "1.2.0",
        complexity: "O(1)",
        group: Group::SortedSet,
        flags: FAST_READ,
        keys: CONTENT,
        run: zscore,
        ..Command::BASE
    },
];

fn zcard(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.view.get::<SortedSet>(args.key())?.map_or(0, |set| set.len() as i64)))
}

fn zcount(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let scores = Scores::read(args.bytes(), args.bytes())?;
    let (start, end) = ctx.view.get::<SortedSet>(key)?.map_or((0, 0), |set| scores.ranks(set));
    Ok(Reply::Int((end - start) as i64))
}

fn zlexcount(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let members = Members::read(args.bytes(), args.bytes())?;
    let (start, end) = ctx.view.get::<SortedSet>(key)?.map_or((0, 0), |set| members.ranks(set));
    Ok(Reply::Int((end - start) as i64))
}

fn zscore(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, member) = (args.key(), args.bytes());
    match ctx.view.get::<SortedSet>(key)?.and_then(|set| set.score(member)) {
        Some(score) => ctx.double(score),
        None => Ok(Reply::Nil),
    }
}

fn zmscore(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let set = ctx.view.get::<SortedSet>(key)?;
    ctx.out.array(args.remaining());
    for member in args.rest() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => ctx.out.double(score),
            None => ctx.out.null(),
        }
    }
    Ok(Reply::Sent)
}

fn zrank(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, |_, rank| rank)
}

fn zrevrank(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, |len, rank| len - 1 - rank)
}

/// Answers the rank of a member, counted as `count` says from the set's length and the rank.
fn rank(ctx: &mut Context<'_>, mut args: Args<'_>, count: fn(usize, usize) -> usize) -> Outcome {
    let (key, member) = (args.key(), args.bytes());
    let found = ctx.view.get::<SortedSet>(key)?.and_then(|set| Some(count(set.len(), set.rank(member)?)));
    Ok(found.map_or(Reply::Nil, |rank| Reply::Int(rank as i64)))
}

fn zscan(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let cursor = element_scan::cursor(&mut args)?;
    let Some(set) = ctx.view.get::<SortedSet>(key)? else { return element_scan::nothing(ctx) };
    let mut scan = ElementScan::options(&mut args)?;
    /// The largest whole number that Redis packs as one.
    const WHOLE: u64 = i64::MAX as u64 / 2;
    let small = set.encoding() == "listpack";
    let next = set.scan(cursor, scan.count(), |member, score| {
        if scan.wants(member) {
            scan.push(member);
            match score as i64 {
                // A small set has whole numbers as such, and Redis shows them with all their digits.
                whole if small && whole as f64 == score && whole.unsigned_abs() <= WHOLE => {
                    scan.push(itoa::Buffer::new().format(whole).as_bytes());
                }
                _ => scan.push(format_double(score).as_bytes()),
            }
        }
    });
    scan.answer(ctx, next)
}
