//! Commands that wait for a member: BZPOPMIN, BZPOPMAX, BZMPOP.
//!
//! Each is what its sister without the B does, and parks where that finds nothing. What is repeated
//! for it is the sister. A key that came to hold another type leaves a client waiting.

use crate::command::reply::Serve;
use crate::command::row::{Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Park, Reply, timeout};
use crate::data::SortedSet;
use crate::store::{Key, Kind};

use super::multi;
use super::pop::{End, POPS, Shape, pop_and_answer};

const POP_ROW: Command = Command {
    syntax: "key [key ...] timeout",
    since: "5.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    group: Group::SortedSet,
    flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::FAST).with(Flags::BLOCKING),
    keys: Keys::AllButLast(POPS),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "BZPOPMAX",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        summary: "Removes and returns the member with the highest score of the first sorted set that is not \
                  empty, or waits until there is one.",
        run: |ctx, args| pop(ctx, args, End::Max, |ctx, _, key| pop_ready(ctx, key, End::Max)),
        ..POP_ROW
    },
    Command {
        name: "BZPOPMIN",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        summary: "Removes and returns the member with the lowest score of the first sorted set that is not \
                  empty, or waits until there is one.",
        run: |ctx, args| pop(ctx, args, End::Min, |ctx, _, key| pop_ready(ctx, key, End::Min)),
        ..POP_ROW
    },
    Command {
        name: "BZMPOP",
        arguments: "min_max =where",
        syntax: "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
        summary: "Removes and returns members of the first sorted set that is not empty, or waits until there is one.",
        since: "7.0.0",
        complexity: multi::COMPLEXITY,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
        keys: Keys::Counted(2, POPS),
        run: bzmpop,
        ..POP_ROW
    },
];

/// Waits at the first `keys` declared keys.
fn park(keys: usize, timeout_ms: u64, serve: Serve) -> Outcome {
    let keys = (0..keys).collect();
    let on_timeout = Reply::NilArray;
    Ok(Reply::Park(Box::new(Park { keys, needs: Vec::new(), timeout_ms, serve, on_timeout })))
}

/// Whether the key holds a sorted set, so that a client that waits for one can be served.
fn is_sorted_set(ctx: &mut Context<'_>, key: Key<'_>) -> bool {
    let object = ctx.view.peek(key).and_then(|entry| entry.as_object());
    object.is_some_and(|object| object.value_type() == SortedSet::TYPE)
}

fn pop(ctx: &mut Context<'_>, args: Args<'_>, end: End, serve: Serve) -> Outcome {
    let timeout_ms = timeout::parse(args.get(args.len() - 1))?;
    let keys = args.keys().len();
    for key in (0..keys).filter_map(|ordinal| args.declared(ordinal)) {
        if pop_one(ctx, key, end)? {
            return Ok(Reply::Sent);
        }
    }
    park(keys, timeout_ms, serve)
}

/// Pops one member and answers it with key and score. False when the key is absent.
fn pop_one(ctx: &mut Context<'_>, key: Key<'_>, end: End) -> Result<bool, CommandError> {
    let found = pop_and_answer(ctx, key, end, 1, Shape::FlatWithKey)?.is_some();
    if found {
        ctx.replay_as([end.command(), key.bytes]);
    }
    Ok(found)
}

fn pop_ready(ctx: &mut Context<'_>, key: Key<'_>, end: End) -> Result<Option<Reply>, CommandError> {
    let served = is_sorted_set(ctx, key) && pop_one(ctx, key, end)?;
    Ok(served.then_some(Reply::Sent))
}

fn bzmpop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let seconds = args.bytes();
    let request = multi::Request::read(&mut args)?;
    let timeout_ms = timeout::parse(seconds)?;
    for key in (0..request.keys).filter_map(|ordinal| args.declared(ordinal)) {
        if multi::pop(ctx, key, &request)? {
            return Ok(Reply::Sent);
        }
    }
    park(request.keys, timeout_ms, |ctx, mut args, key| {
        if !is_sorted_set(ctx, key) {
            return Ok(None);
        }
        // Behind the timeout the arguments are those of ZMPOP; they were read once without an error.
        args.bytes();
        let request = multi::Request::read(&mut args)?;
        Ok(multi::pop(ctx, key, &request)?.then_some(Reply::Sent))
    })
}
