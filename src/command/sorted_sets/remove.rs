//! Members go by range: by rank, by score or by their bytes.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::SortedSet;

use super::bounds::{Members, Scores, ranks};
use super::{Gone, taken};

const ROW: Command = Command {
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    group: Group::SortedSet,
    flags: Flags::WRITE,
    keys: Keys::One(Access::RW.with(Access::DELETE)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZREMRANGEBYLEX",
        syntax: "key min max",
        summary: "Removes the members of a sorted set within a range of members.",
        since: "2.8.9",
        run: zremrangebylex,
        ..ROW
    },
    Command {
        name: "ZREMRANGEBYRANK",
        syntax: "key start stop",
        summary: "Removes the members of a sorted set within a range of ranks.",
        since: "2.0.0",
        run: zremrangebyrank,
        ..ROW
    },
    Command {
        name: "ZREMRANGEBYSCORE",
        arguments: "min :double; max :double",
        syntax: "key min max",
        summary: "Removes the members of a sorted set within a range of scores.",
        since: "1.2.0",
        run: zremrangebyscore,
        ..ROW
    },
];

fn zremrangebyrank(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let mut bounds = args.clone();
    bounds.bytes();
    let (first, last) = (bounds.int(), bounds.int());
    bounds.check()?;
    remove(ctx, args, "zremrangebyrank", |set| {
        let (start, count) = ranks(first, last, set.len());
        (start, start + count)
    })
}

fn zremrangebyscore(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let scores = Scores::read(args.get(2), args.get(3))?;
    remove(ctx, args, "zremrangebyscore", |set| scores.ranks(set))
}

fn zremrangebylex(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let members = Members::read(args.get(2), args.get(3))?;
    remove(ctx, args, "zremrangebylex", |set| members.ranks(set))
}

/// Removes the members with the ranks that `stretch` says, and answers how many.
fn remove(
    ctx: &mut Context<'_>,
    mut args: Args<'_>,
    event: &'static str,
    stretch: impl FnOnce(&SortedSet) -> (usize, usize),
) -> Outcome {
    let key = args.key();
    let Some(set) = ctx.view.get_mut::<SortedSet>(key)? else { return Ok(Reply::Int(0)) };
    let (start, end) = stretch(set);
    let removed = end.saturating_sub(start);
    if removed == set.len() {
        // All of it: freeing the members is the disposer's work.
        ctx.view.remove(key);
        ctx.effect_on(key, EventClass::SortedSet, event, removed);
        ctx.event(key, EventClass::Generic, "del");
    } else if removed > 0 {
        set.remove_range(start, end);
        taken(ctx, key, event, Gone { count: removed, all: false });
    }
    Ok(Reply::Int(removed as i64))
}
