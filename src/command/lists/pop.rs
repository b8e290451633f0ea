//! LPOP, RPOP and LMPOP.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::List;

use super::{End, multi, popped};

const ROW: Command = Command {
    syntax: "key [count]",
    complexity: "O(N) where N is the number of elements returned",
    group: Group::List,
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::DELETE)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "LPOP",
        arguments: "count @6.2.0",
        history: &[("6.2.0", "Added the `count` argument.")],
        summary: "Removes and returns the first elements of a list.",
        since: "1.0.0",
        run: |ctx, args| pop(ctx, args, End::Left),
        ..ROW
    },
    Command {
        name: "RPOP",
        arguments: "count @6.2.0",
        history: &[("6.2.0", "Added the `count` argument.")],
        summary: "Removes and returns the last elements of a list.",
        since: "1.0.0",
        run: |ctx, args| pop(ctx, args, End::Right),
        ..ROW
    },
    Command {
        name: "LMPOP",
        arguments: "left_right =where",
        syntax: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        summary: "Removes and returns elements of the first list that is not empty.",
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
        keys: Keys::Counted(1, Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        run: lmpop,
        ..ROW
    },
];

#[inline]
fn pop(ctx: &mut Context<'_>, mut args: Args<'_>, end: End) -> Outcome {
    let key = args.key();
    if args.remaining() > 0 {
        return pop_count(ctx, args, end);
    }
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(Reply::Nil) };
    let out = &mut *ctx.out;
    end.pop_with(list, |element| out.bulk(element));
    let emptied = list.is_empty();
    popped(ctx, key, end, 1, emptied);
    Ok(Reply::Sent)
}

fn pop_count(ctx: &mut Context<'_>, mut args: Args<'_>, end: End) -> Outcome {
    if args.remaining() > 1 {
        return Err(CommandError::Arity(ctx.command_name().to_owned()));
    }
    let count = args.int_in(0..=i64::MAX, CommandError::MustBePositive);
    args.finish()?;
    let key = args.declared(0).ok_or(CommandError::Syntax)?;
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(Reply::NilArray) };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(list.len());
    ctx.out.array(count);
    if count == 0 {
        return Ok(Reply::Sent);
    }
    let out = &mut *ctx.out;
    for _ in 0..count {
        end.pop_with(list, |element| out.bulk(element));
    }
    let emptied = list.is_empty();
    popped(ctx, key, end, count, emptied);
    Ok(Reply::Sent)
}

fn lmpop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let request = multi::Request::read(&mut args)?;
    for key in (0..request.keys).filter_map(|ordinal| args.declared(ordinal)) {
        if multi::pop(ctx, key, &request)? {
            return Ok(Reply::Sent);
        }
    }
    Ok(Reply::NilArray)
}
