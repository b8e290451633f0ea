//! Members are taken from either end.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::Protocol;
use crate::store::Key;

use super::{Gone, multi, taken};

/// What a pop does with a key.
pub(super) const POPS: Access = Access::RW.with(Access::ACCESS).with(Access::DELETE);

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZPOPMAX",
        syntax: "key [count]",
        summary: "Removes the members with the highest scores and returns them.",
        run: |ctx, args| pop(ctx, args, End::Max),
        ..POP
    },
    Command {
        name: "ZPOPMIN",
        syntax: "key [count]",
        summary: "Removes the members with the lowest scores and returns them.",
        run: |ctx, args| pop(ctx, args, End::Min),
        ..POP
    },
    Command {
        name: "ZMPOP",
        arguments: "min_max =where",
        syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        summary: "Removes members from either end of the first sorted set that is not empty and returns them.",
        since: "7.0.0",
        complexity: multi::COMPLEXITY,
        group: Group::SortedSet,
        flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
        keys: Keys::Counted(1, POPS),
        run: zmpop,
        ..Command::BASE
    },
];

const POP: Command = Command {
    since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    group: Group::SortedSet,
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(POPS),
    ..Command::BASE
};

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Where the lowest scores are.
    Min,
    /// Where the highest are.
    Max,
}

impl End {
    /// Reads MIN or MAX; a syntax error when it is neither.
    pub(super) fn read(args: &mut Args<'_>) -> End {
        if args.keyword("MIN") {
            return End::Min;
        }
        if !args.keyword("MAX") {
            args.fail(CommandError::Syntax);
        }
        End::Max
    }

    /// The command that pops there, for replays.
    pub(super) fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }

    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }

    #[inline]
    fn pop_with<R>(self, set: &mut SortedSet, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        match self {
            End::Min => set.pop_min_with(take),
            End::Max => set.pop_max_with(take),
        }
    }
}

/// How popped members are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Member, score, member, score.
    Flat,
    /// A pair for each.
    Pairs,
    /// Key, member, score.
    FlatWithKey,
    /// The key, then pairs.
    PairsWithKey,
}

/// Pops up to `count` members, at least one, and answers them. Gives how many; `None` when the key is absent.
pub(super) fn pop_and_answer(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    end: End,
    count: usize,
    shape: Shape,
) -> Result<Option<usize>, CommandError> {
    let Some(set) = ctx.view.get_mut::<SortedSet>(key)? else { return Ok(None) };
    let count = count.min(set.len());
    let out = &mut *ctx.out;
    match shape {
        Shape::Flat => out.array(count * 2),
        Shape::Pairs => out.array(count),
        Shape::FlatWithKey => {
            out.array(count * 2 + 1);
            out.bulk(key.bytes);
        }
        Shape::PairsWithKey => {
            out.array(2);
            out.bulk(key.bytes);
            out.array(count);
        }
    }
    let pairs = matches!(shape, Shape::Pairs | Shape::PairsWithKey);
    for _ in 0..count {
        end.pop_with(set, |member, score| {
            if pairs {
                out.array(2);
            }
            out.bulk(member);
            out.double(score);
        });
    }
    let gone = Gone { count, all: set.is_empty() };
    taken(ctx, key, end.event(), gone);
    Ok(Some(count))
}

fn pop(ctx: &mut Context<'_>, mut args: Args<'_>, end: End) -> Outcome {
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
    if given == Some(0) {
        // Nothing changes, but another type is refused all the same.
        ctx.view.get_mut::<SortedSet>(key)?;
        ctx.out.array(0);
        return Ok(Reply::Sent);
    }
    // RESP3 pairs each member with its score, but only when a count was given.
    let pairs = given.is_some() && ctx.out.protocol() == Protocol::Resp3;
    let shape = if pairs { Shape::Pairs } else { Shape::Flat };
    if pop_and_answer(ctx, key, end, given.unwrap_or(1), shape)?.is_none() {
        ctx.out.array(0);
    }
    Ok(Reply::Sent)
}

fn zmpop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let request = multi::Request::read(&mut args)?;
    for key in (0..request.keys).filter_map(|ordinal| args.declared(ordinal)) {
        if multi::pop(ctx, key, &request)? {
            return Ok(Reply::Sent);
        }
    }
    Ok(Reply::NilArray)
}
