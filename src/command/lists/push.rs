//! LPUSH, RPUSH and their forms for lists that exist.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::List;

use super::{End, node_limit};

const ROW: Command = Command {
    syntax: "key element [element ...]",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    group: Group::List,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::INSERT)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "LPUSH",
        history: &[("2.4.0", "Accepts multiple `element` arguments.")],
        summary: "Adds elements before the first of a list, which is created if it does not exist.",
        since: "1.0.0",
        run: |ctx, args| push(ctx, args, End::Left),
        ..ROW
    },
    Command {
        name: "RPUSH",
        history: &[("2.4.0", "Accepts multiple `element` arguments.")],
        summary: "Adds elements behind the last of a list, which is created if it does not exist.",
        since: "1.0.0",
        run: |ctx, args| push(ctx, args, End::Right),
        ..ROW
    },
    Command {
        name: "LPUSHX",
        history: &[("4.0.0", "Accepts multiple `element` arguments.")],
        summary: "Adds elements before the first of a list that exists.",
        since: "2.2.0",
        run: |ctx, args| push_existing(ctx, args, End::Left),
        ..ROW
    },
    Command {
        name: "RPUSHX",
        history: &[("4.0.0", "Accepts multiple `element` arguments.")],
        summary: "Adds elements behind the last of a list that exists.",
        since: "2.2.0",
        run: |ctx, args| push_existing(ctx, args, End::Right),
        ..ROW
    },
];

#[inline]
fn push(ctx: &mut Context<'_>, mut args: Args<'_>, end: End) -> Outcome {
    let (key, limit) = (args.key(), node_limit(ctx));
    let list = ctx.view.get_or_create::<List>(key)?;
    args.rest().for_each(|element| end.push(list, element, limit));
    let len = list.len();
    ctx.effect(key, EventClass::List, end.push_event());
    ctx.view.tally.changes += args.remaining() as u64 - 1;
    Ok(Reply::Int(len as i64))
}

fn push_existing(ctx: &mut Context<'_>, args: Args<'_>, end: End) -> Outcome {
    let key = args.clone().key();
    match ctx.view.get_mut::<List>(key)? {
        None => Ok(Reply::Int(0)),
        Some(_) => push(ctx, args, end),
    }
}
