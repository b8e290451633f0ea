//! Members in order: by rank, by score or by their bytes, from either end.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::Protocol;

use super::bounds::{Members, Scores};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "ZRANGE",
    syntax: "key min max [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    summary: "Returns members of a sorted set within a range of ranks, scores or members.",
    since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    group: Group::SortedSet,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    run: zrange,
    ..Command::BASE
}];

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

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while args.remaining() > 0 {
            if args.keyword("WITHSCORES") {
                options.with_scores = true;
            } else if args.remaining() >= 3 && args.keyword("LIMIT") {
                options.limit = Some((args.int(), args.int()));
                args.check()?;
            } else if !options.reverse && args.keyword("REV") {
                options.reverse = true;
            } else if options.by == By::Rank && args.keyword("BYLEX") {
                options.by = By::Lex;
            } else if options.by == By::Rank && args.keyword("BYSCORE") {
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

/// The same for ranks, of which negative ones count from the other end.
fn ranks(first: i64, last: i64, len: usize) -> (usize, usize) {
    let from_start = |rank: i64| if rank < 0 { rank.saturating_add(len as i64) } else { rank };
    let first = from_start(first).max(0);
    let last = from_start(last).min(len as i64 - 1);
    if first > last { (0, 0) } else { (first as usize, (last - first) as usize + 1) }
}

fn zrange(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, first, second) = (args.key(), args.bytes(), args.bytes());
    let options = Options::read(&mut args)?;
    options.check()?;
    let range = Range::read(first, second, options)?;
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
