//! Members in order: by rank, by score or by their bytes, from either end.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::sorted_result::{limits, store};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::Protocol;

use super::bounds::{Members, Scores, ranks};

const ROW: Command = Command {
    group: Group::SortedSet,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    ..Command::BASE
};

const RETURNED: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.";
const BEING_RETURNED: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).";

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZRANGE",
        arguments: "min =start; max =stop; byscore_bylex =sortby @6.2.0; rev @6.2.0; offset_count @6.2.0",
        history: &[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")],
        syntax: "key min max [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        summary: "Returns members of a sorted set within a range of ranks, scores or members.",
        since: "1.2.0",
        complexity: RETURNED,
        run: |ctx, args| range(ctx, args, Form::FREE),
        ..ROW
    },
    Command {
        name: "ZRANGEBYLEX",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
        syntax: "key min max [LIMIT offset count]",
        summary: "Returns the members of a sorted set within a range of members.",
        since: "2.8.9",
        complexity: BEING_RETURNED,
        run: |ctx, args| range(ctx, args, Form::fixed(By::Lex, false)),
        ..ROW
    },
    Command {
        name: "ZRANGEBYSCORE",
        arguments: "min :double; max :double; withscores @2.0.0",
        history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
        syntax: "key min max [WITHSCORES] [LIMIT offset count]",
        summary: "Returns the members of a sorted set within a range of scores.",
        since: "1.0.5",
        complexity: BEING_RETURNED,
        run: |ctx, args| range(ctx, args, Form::fixed(By::Score, false)),
        ..ROW
    },
    Command {
        name: "ZRANGESTORE",
        arguments: "dst :key #0; src :key #1; byscore_bylex =sortby",
        syntax: "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        summary: "Stores members of a sorted set within a range of ranks, scores or members in a key.",
        since: "6.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::Two(Access::OW.with(Access::UPDATE), Access::RO.with(Access::ACCESS)),
        run: zrangestore,
        ..ROW
    },
    Command {
        name: "ZREVRANGE",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
        syntax: "key start stop [WITHSCORES]",
        summary: "Returns members of a sorted set within a range of ranks, the last one first.",
        since: "1.2.0",
        complexity: RETURNED,
        run: |ctx, args| range(ctx, args, Form::fixed(By::Rank, true)),
        ..ROW
    },
    Command {
        name: "ZREVRANGEBYLEX",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
        syntax: "key max min [LIMIT offset count]",
        summary: "Returns the members of a sorted set within a range of members, the last one first.",
        since: "2.8.9",
        complexity: BEING_RETURNED,
        run: |ctx, args| range(ctx, args, Form::fixed(By::Lex, true)),
        ..ROW
    },
    Command {
        name: "ZREVRANGEBYSCORE",
        arguments: "max :double; min :double",
        history: &[("2.1.6", "`min` and `max` can be exclusive.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
        syntax: "key max min [WITHSCORES] [LIMIT offset count]",
        summary: "Returns the members of a sorted set within a range of scores, the last one first.",
        since: "2.2.0",
        complexity: BEING_RETURNED,
        run: |ctx, args| range(ctx, args, Form::fixed(By::Score, true)),
        ..ROW
    },
];

/// What the bounds of a range are.
#[derive(Clone, Copy, Default, PartialEq)]
enum By {
    #[default]
    Rank,
    Score,
    Lex,
}

/// The words behind the bounds.
#[derive(Clone, Copy, Default)]
struct Options {
    by: By,
    reverse: bool,
    with_scores: bool,
    /// Offset and count; a negative count is no limit, a negative offset leaves nothing.
    limit: Option<(i64, i64)>,
}

/// What the command's name decides already.
#[derive(Clone, Copy)]
struct Form {
    by: By,
    reverse: bool,
    /// Whether options choose what the bounds are and the direction.
    choice: bool,
    /// Whether the members are stored, always with their scores.
    stores: bool,
}

impl Form {
    const FREE: Form = Form { by: By::Rank, reverse: false, choice: true, stores: false };

    const fn fixed(by: By, reverse: bool) -> Form {
        Form { by, reverse, choice: false, stores: false }
    }
}

impl Options {
    fn read(args: &mut Args<'_>, form: Form) -> Result<Options, CommandError> {
        let mut options = Options { by: form.by, reverse: form.reverse, ..Options::default() };
        while args.remaining() > 0 {
            if !form.stores && args.keyword("WITHSCORES") {
                options.with_scores = true;
            } else if args.remaining() >= 3 && args.keyword("LIMIT") {
                options.limit = Some((args.int(), args.int()));
                args.check()?;
            } else if form.choice && !options.reverse && args.keyword("REV") {
                options.reverse = true;
            } else if form.choice && options.by == By::Rank && args.keyword("BYLEX") {
                options.by = By::Lex;
            } else if form.choice && options.by == By::Rank && args.keyword("BYSCORE") {
                options.by = By::Score;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Refuses options that contradict each other. A limit of -1 is none: Redis lets it pass.
    fn check(self) -> Result<(), CommandError> {
        if self.by == By::Rank && self.limit.is_some_and(|(_, count)| count != -1) {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if self.by == By::Lex && self.with_scores {
            return Err(CommandError::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(())
    }
}

/// The bounds, read but not yet looked up.
enum Range<'a> {
    Ranks(i64, i64),
    Scores(Scores),
    Members(Members<'a>),
}

impl<'a> Range<'a> {
    fn read(first: &'a [u8], second: &'a [u8], options: Options) -> Result<Range<'a>, CommandError> {
        // Backwards, the greater bound comes first; ranks are counted from the end instead.
        let (min, max) = if options.reverse { (second, first) } else { (first, second) };
        let rank = |text| crate::data::parse_i64(text).ok_or(CommandError::NotInteger);
        Ok(match options.by {
            By::Rank => Range::Ranks(rank(first)?, rank(second)?),
            By::Score => Range::Scores(Scores::read(min, max)?),
            By::Lex => Range::Members(Members::read(min, max)?),
        })
    }

    /// How many members to skip from the end where the range begins, and how many to take.
    fn stretch(&self, set: &SortedSet, options: Options) -> (usize, usize) {
        let (start, end) = match self {
            Range::Ranks(first, last) => return ranks(*first, *last, set.len()),
            Range::Scores(scores) => scores.ranks(set),
            Range::Members(members) => members.ranks(set),
        };
        let (offset, count) = options.limit.unwrap_or((0, -1));
        let Ok(offset) = usize::try_from(offset) else { return (0, 0) };
        let skip = if options.reverse { set.len() - end } else { start };
        let left = (end - start).saturating_sub(offset);
        (skip.saturating_add(offset), usize::try_from(count).map_or(left, |count| left.min(count)))
    }
}

/// Reads the bounds and the words behind them.
fn read<'a>(args: &mut Args<'a>, form: Form) -> Result<(Range<'a>, Options), CommandError> {
    let (first, second) = (args.bytes(), args.bytes());
    let options = Options::read(args, form)?;
    options.check()?;
    Ok((Range::read(first, second, options)?, options))
}

fn zrangestore(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (destination, source) = (args.key(), args.key());
    let (range, options) = read(&mut args, Form { stores: true, ..Form::FREE })?;
    let limits = limits(ctx.settings);
    let result = ctx.view.get::<SortedSet>(source)?.map_or_else(SortedSet::new, |set| {
        let (skip, count) = range.stretch(set, options);
        let start = if options.reverse { set.len() - skip.min(set.len()) - count } else { skip };
        SortedSet::from_sorted(set.range(start, count), &limits)
    });
    store(ctx, destination, result, "zrangestore")
}

fn range(ctx: &mut Context<'_>, mut args: Args<'_>, form: Form) -> Outcome {
    let key = args.key();
    let (range, options) = read(&mut args, form)?;
    let Some(set) = ctx.view.get::<SortedSet>(key)? else {
        ctx.out.array(0);
        return Ok(Reply::Sent);
    };
    let (skip, count) = range.stretch(set, options);
    let members = if options.reverse { set.range_rev(skip, count) } else { set.range(skip, count) };
    // A map would lose the order, so RESP3 gets pairs.
    let nested = options.with_scores && ctx.out.protocol() == Protocol::Resp3;
    let flat = options.with_scores && !nested;
    ctx.out.array(if flat { members.len() * 2 } else { members.len() });
    for (member, score) in members {
        if nested {
            ctx.out.array(2);
        }
        ctx.out.bulk(member);
        if options.with_scores {
            ctx.out.double(score);
        }
    }
    Ok(Reply::Sent)
}
