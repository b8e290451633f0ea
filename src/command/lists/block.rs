//! Commands that wait for an element: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
//!
//! Each is what its sister without the B does, and parks where that finds nothing. What is repeated
//! for it is the sister. A client that waits is served by whoever fills one of its keys; a key that
//! came to hold another type leaves it waiting.

use crate::command::reply::Serve;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Park, Reply, timeout};
use crate::data::List;
use crate::store::{Key, Kind};

use super::shift::{self, shift};
use super::{End, multi, popped};

const POPS: Access = Access::RW.with(Access::ACCESS).with(Access::DELETE);

const ROW: Command = Command {
    group: Group::List,
    flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::BLOCKING),
    ..Command::BASE
};

const POP_ROW: Command = Command {
    syntax: "key [key ...] timeout",
    since: "2.0.0",
    complexity: "O(N) where N is the number of provided keys.",
    keys: Keys::AllButLast(POPS),
    ..ROW
};

const MOVE_ROW: Command = Command {
    complexity: "O(1)",
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::NOSCRIPT).with(Flags::BLOCKING),
    keys: shift::KEYS,
    ..ROW
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "BLPOP",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        summary: "Removes and returns the first element of a list, or waits until there is one.",
        run: |ctx, args| pop(ctx, args, End::Left, |ctx, _, key| pop_ready(ctx, key, End::Left)),
        ..POP_ROW
    },
    Command {
        name: "BRPOP",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        summary: "Removes and returns the last element of a list, or waits until there is one.",
        run: |ctx, args| pop(ctx, args, End::Right, |ctx, _, key| pop_ready(ctx, key, End::Right)),
        ..POP_ROW
    },
    Command {
        name: "BLMPOP",
        arguments: "left_right =where",
        syntax: "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        summary: "Removes and returns elements of the first list that is not empty, or waits until there is one.",
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
        keys: Keys::Counted(2, POPS),
        run: blmpop,
        ..ROW
    },
    Command {
        name: "BLMOVE",
        arguments: "left_right =wherefrom; left_right =whereto",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        summary: "Moves an element from one list to another and returns it, or waits until there is one.",
        since: "6.2.0",
        run: blmove,
        ..MOVE_ROW
    },
    Command {
        name: "BRPOPLPUSH",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
        syntax: "source destination timeout",
        summary: "Moves the last element of a list before the first of another and returns it, or waits until \
                  there is one.",
        since: "2.2.0",
        run: brpoplpush,
        ..MOVE_ROW
    },
];

/// Waits at the first `keys` declared keys.
fn park(keys: usize, needs: Vec<usize>, timeout_ms: u64, serve: Serve) -> Outcome {
    let keys = (0..keys).collect();
    Ok(Reply::Park(Box::new(Park { keys, needs, timeout_ms, serve, on_timeout: Reply::NilArray })))
}

/// Whether the key holds a list, so that a client that waits for one can be served.
fn is_list(ctx: &mut Context<'_>, key: Key<'_>) -> bool {
    let object = ctx.view.peek(key).and_then(|entry| entry.as_object());
    object.is_some_and(|object| object.value_type() == List::TYPE)
}

fn pop(ctx: &mut Context<'_>, args: Args<'_>, end: End, serve: Serve) -> Outcome {
    let timeout_ms = timeout::parse(args.get(args.len() - 1))?;
    let keys = args.keys().len();
    for key in (0..keys).filter_map(|ordinal| args.declared(ordinal)) {
        if pop_one(ctx, key, end)? {
            return Ok(Reply::Sent);
        }
    }
    park(keys, Vec::new(), timeout_ms, serve)
}

/// Pops one element and answers it with the key. False when the key is absent.
fn pop_one(ctx: &mut Context<'_>, key: Key<'_>, end: End) -> Result<bool, CommandError> {
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(false) };
    let out = &mut *ctx.out;
    out.array(2);
    out.bulk(key.bytes);
    end.pop_with(list, |element| out.bulk(element));
    let emptied = list.is_empty();
    ctx.replay_as([end.pop_command(), key.bytes]);
    popped(ctx, key, end, 1, emptied);
    Ok(true)
}

fn pop_ready(ctx: &mut Context<'_>, key: Key<'_>, end: End) -> Result<Option<Reply>, CommandError> {
    let served = is_list(ctx, key) && pop_one(ctx, key, end)?;
    Ok(served.then_some(Reply::Sent))
}

fn blmpop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let seconds = args.bytes();
    let request = multi::Request::read(&mut args)?;
    let timeout_ms = timeout::parse(seconds)?;
    for key in (0..request.keys).filter_map(|ordinal| args.declared(ordinal)) {
        if multi::pop(ctx, key, &request)? {
            return Ok(Reply::Sent);
        }
    }
    park(request.keys, Vec::new(), timeout_ms, |ctx, mut args, key| {
        if !is_list(ctx, key) {
            return Ok(None);
        }
        // Behind the timeout the arguments are those of LMPOP; they were read once without an error.
        args.bytes();
        let request = multi::Request::read(&mut args)?;
        Ok(multi::pop(ctx, key, &request)?.then_some(Reply::Sent))
    })
}

fn blmove(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (source, destination) = (args.key(), args.key());
    let (from, to) = (End::read(&mut args), End::read(&mut args));
    args.check()?;
    let timeout_ms = timeout::parse(args.bytes())?;
    if move_as_lmove(ctx, source, destination, from, to)? {
        return Ok(Reply::Sent);
    }
    park_mover(ctx, timeout_ms, |ctx, mut args, ready| {
        let (_, destination) = (args.key(), args.key());
        let (from, to) = (End::read(&mut args), End::read(&mut args));
        let served = is_list(ctx, ready) && move_as_lmove(ctx, ready, destination, from, to)?;
        Ok(served.then_some(Reply::Sent))
    })
}

fn move_as_lmove(
    ctx: &mut Context<'_>,
    source: Key<'_>,
    destination: Key<'_>,
    from: End,
    to: End,
) -> Result<bool, CommandError> {
    let moved = shift(ctx, source, destination, from, to)?;
    if moved {
        ctx.replay_as([b"LMOVE", source.bytes, destination.bytes, from.word(), to.word()]);
    }
    Ok(moved)
}

fn brpoplpush(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (source, destination) = (args.key(), args.key());
    let timeout_ms = timeout::parse(args.bytes())?;
    if move_as_rpoplpush(ctx, source, destination)? {
        return Ok(Reply::Sent);
    }
    park_mover(ctx, timeout_ms, |ctx, mut args, ready| {
        let (_, destination) = (args.key(), args.key());
        let served = is_list(ctx, ready) && move_as_rpoplpush(ctx, ready, destination)?;
        Ok(served.then_some(Reply::Sent))
    })
}

fn move_as_rpoplpush(
    ctx: &mut Context<'_>,
    source: Key<'_>,
    destination: Key<'_>,
) -> Result<bool, CommandError> {
    let moved = shift(ctx, source, destination, End::Right, End::Left)?;
    if moved {
        ctx.replay_as([b"RPOPLPUSH", source.bytes, destination.bytes]);
    }
    Ok(moved)
}

/// Waits at the source; serving needs the destination as well.
fn park_mover(ctx: &Context<'_>, timeout_ms: u64, serve: Serve) -> Outcome {
    // Inside MULTI Redis answers the null of an element, after a timeout that of an array.
    if ctx.in_transaction { Ok(Reply::Nil) } else { park(1, vec![1], timeout_ms, serve) }
}
