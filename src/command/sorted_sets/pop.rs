//! Members are taken from either end.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::Protocol;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZPOPMAX",
        syntax: "key [count]",
        summary: "Removes the members with the highest scores and returns them.",
        run: zpopmax,
        ..POP
    },
    Command {
        name: "ZPOPMIN",
        syntax: "key [count]",
        summary: "Removes the members with the lowest scores and returns them.",
        run: zpopmin,
        ..POP
    },
];

const POP: Command = Command {
    since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    group: Group::SortedSet,
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::DELETE)),
    ..Command::BASE
};

/// Takes one member with its score.
type Pop = fn(&mut SortedSet) -> Option<(Vec<u8>, f64)>;

/// What distinguishes the two ends.
struct End {
    event: &'static str,
    pop: Pop,
}

const MIN: End = End { event: "zpopmin", pop: SortedSet::pop_min };
const MAX: End = End { event: "zpopmax", pop: SortedSet::pop_max };

fn zpopmin(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, &MIN)
}

fn zpopmax(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, &MAX)
}

fn pop(ctx: &mut Context<'_>, mut args: Args<'_>, end: &End) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let key = args.key();
    let given = match args.remaining() {
        0 => None,
        _ => {
            let count = args.int_in(0..=i64::MAX, CommandError::MustBePositive);
            args.check()?;
            Some(count as usize)
        }
    };
    let count = given.unwrap_or(1);
    // RESP3 pairs each member with its score, but only when a count was given.
    let nested = given.is_some() && ctx.out.protocol() == Protocol::Resp3;
    let set = match ctx.view.get_mut::<SortedSet>(key)? {
        Some(set) if count > 0 => set,
        _ => {
            ctx.out.array(0);
            return Ok(Reply::Sent);
        }
    };
    let popped = count.min(set.len());
    ctx.out.array(if nested { popped } else { popped * 2 });
    for _ in 0..popped {
        let Some((member, score)) = (end.pop)(set) else { break };
        if nested {
            ctx.out.array(2);
        }
        ctx.out.bulk(&member);
        ctx.out.double(score);
    }
    ctx.effect_on(key, EventClass::SortedSet, end.event, popped);
    if ctx.view.remove_if_empty(key) {
        ctx.event(key, EventClass::Generic, "del");
    }
    Ok(Reply::Sent)
}
