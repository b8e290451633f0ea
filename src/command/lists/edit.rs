//! Changes in the middle: LINSERT, LREM, LSET, LTRIM.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::List;
use crate::store::Kind;

use super::{node_limit, remove_empty, resolve_range};

const ROW: Command = Command { group: Group::List, flags: Flags::WRITE, ..Command::BASE };

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "LINSERT",
        arguments: "before_after =where",
        syntax: "key <BEFORE | AFTER> pivot element",
        summary: "Inserts an element before or after another one of a list.",
        since: "2.2.0",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::INSERT)),
        run: linsert,
        ..ROW
    },
    Command {
        name: "LREM",
        syntax: "key count element",
        summary: "Removes elements of a list by their value.",
        since: "1.0.0",
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        run: lrem,
        ..ROW
    },
    Command {
        name: "LSET",
        syntax: "key index element",
        summary: "Replaces an element of a list by its index.",
        since: "1.0.0",
        complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: lset,
        ..ROW
    },
    Command {
        name: "LTRIM",
        syntax: "key start stop",
        summary: "Keeps only a range of elements of a list.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        run: ltrim,
        ..ROW
    },
];

/// Nodes of a trimmed list that a worker frees itself: about half a megabyte.
const FREE_HERE_NODES: usize = 64;

fn linsert(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let after = args.keyword("AFTER");
    if !after && !args.keyword("BEFORE") {
        return Err(CommandError::Syntax);
    }
    let (pivot, element, limit) = (args.bytes(), args.bytes(), node_limit(ctx));
    args.check()?;
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(Reply::Int(0)) };
    let inserted = match after {
        true => list.insert_after(pivot, element, limit),
        false => list.insert_before(pivot, element, limit),
    };
    let Some(len) = inserted else { return Ok(Reply::Int(-1)) };
    ctx.effect(key, EventClass::List, "linsert");
    Ok(Reply::Int(len as i64))
}

fn lrem(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, count, element, limit) = (args.key(), args.int(), args.bytes(), node_limit(ctx));
    args.check()?;
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(Reply::Int(0)) };
    let removed = list.remove(count, element, limit);
    if removed > 0 {
        ctx.effect(key, EventClass::List, "lrem");
        ctx.view.tally.changes += removed as u64 - 1;
        remove_empty(ctx, key);
    }
    Ok(Reply::Int(removed as i64))
}

fn lset(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, limit) = (args.key(), node_limit(ctx));
    // The key is looked at before the index, as in Redis.
    let list = ctx.view.get_mut::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
    let (index, element) = (args.int(), args.bytes());
    args.check()?;
    if !list.set(index, element, limit) {
        return Err(CommandError::IndexOutOfRange);
    }
    ctx.effect(key, EventClass::List, "lset");
    Ok(Reply::Ok)
}

fn ltrim(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, start, stop) = (args.key(), args.int(), args.int());
    args.check()?;
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(Reply::Ok) };
    let before = list.len();
    let trimmed = match resolve_range(before, start, stop) {
        Some((first, count)) => list.trim(first, first + count - 1),
        None => list.trim(before, before),
    };
    let removed = before - list.len();
    if trimmed.node_count() > FREE_HERE_NODES {
        ctx.view.discard(trimmed.into_list().wrap());
    }
    // Redis tells watchers even when nothing went, but counts no change then.
    ctx.effect(key, EventClass::List, "ltrim");
    ctx.view.tally.changes = ctx.view.tally.changes + removed as u64 - 1;
    remove_empty(ctx, key);
    Ok(Reply::Ok)
}
