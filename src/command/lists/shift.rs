//! From one list to another: LMOVE and RPOPLPUSH.

use smallvec::SmallVec;

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::List;
use crate::store::Key;

use super::{End, node_limit, remove_empty};

/// The keys of commands that move an element.
pub(super) const KEYS: Keys =
    Keys::Two(Access::RW.with(Access::ACCESS).with(Access::DELETE), Access::RW.with(Access::INSERT));

const ROW: Command = Command {
    complexity: "O(1)",
    group: Group::List,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: KEYS,
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "LMOVE",
        arguments: "left_right =wherefrom; left_right =whereto",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        summary: "Moves an element from one list to another and returns it.",
        since: "6.2.0",
        run: lmove,
        ..ROW
    },
    Command {
        name: "RPOPLPUSH",
        deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
        syntax: "source destination",
        summary: "Moves the last element of a list before the first of another and returns it.",
        since: "1.2.0",
        run: rpoplpush,
        ..ROW
    },
];

fn lmove(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (source, destination) = (args.key(), args.key());
    let (from, to) = (End::read(&mut args), End::read(&mut args));
    args.finish()?;
    answer(shift(ctx, source, destination, from, to))
}

fn rpoplpush(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (source, destination) = (args.key(), args.key());
    args.finish()?;
    answer(shift(ctx, source, destination, End::Right, End::Left))
}

fn answer(moved: Result<bool, CommandError>) -> Outcome {
    Ok(if moved? { Reply::Sent } else { Reply::Nil })
}

/// Moves one element and writes it as the reply. False when there is no source.
pub(super) fn shift(
    ctx: &mut Context<'_>,
    source: Key<'_>,
    destination: Key<'_>,
    from: End,
    to: End,
) -> Result<bool, CommandError> {
    if ctx.view.get_mut::<List>(source)?.is_none() {
        return Ok(false);
    }
    // Both types are looked at before anything changes.
    ctx.view.get_mut::<List>(destination)?;
    let limit = node_limit(ctx);
    let element: Option<SmallVec<[u8; 64]>> = match ctx.view.get_mut::<List>(source)? {
        Some(list) => from.pop_with(list, SmallVec::from_slice),
        None => None,
    };
    let Some(element) = element else { return Ok(false) };
    to.push(ctx.view.get_or_create::<List>(destination)?, &element, limit);
    ctx.out.bulk(&element);
    // Redis counts the move as one change.
    ctx.effect(destination, EventClass::List, to.push_event());
    ctx.effect(source, EventClass::List, from.pop_event());
    ctx.view.tally.changes -= 1;
    remove_empty(ctx, source);
    Ok(true)
}
