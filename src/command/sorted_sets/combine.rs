//! Several sets into one: ZUNION, ZINTER, ZDIFF and what stores or counts their results.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::sorted_result::{limits, store};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::sorted_set::combine::{
    Aggregate, Scored, Source, difference, intersection, intersection_len, union,
};
use crate::data::{SortedSet, parse_f64};
use crate::resp::Protocol;
use crate::store::{Entry, Object, View};

const SOURCES: Access = Access::RO.with(Access::ACCESS);

const READ: Command = Command {
    syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    since: "6.2.0",
    group: Group::SortedSet,
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    keys: Keys::Counted(1, SOURCES),
    ..Command::BASE
};

const STORE: Command = Command {
    syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    since: "2.0.0",
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLE_KEYS),
    keys: Keys::TargetAndCounted(Access::OW.with(Access::UPDATE), SOURCES),
    ..READ
};

const DIFF_COMPLEXITY: &str = "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.";
const INTER_COMPLEXITY: &str = "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.";

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZDIFF",
        syntax: "numkeys key [key ...] [WITHSCORES]",
        summary: "Returns the members of the first sorted set that are in none of the others.",
        complexity: DIFF_COMPLEXITY,
        run: |ctx, args| answer(ctx, args, Operation::Difference),
        ..READ
    },
    Command {
        name: "ZDIFFSTORE",
        syntax: "destination numkeys key [key ...]",
        summary: "Stores the members of the first sorted set that are in none of the others.",
        since: "6.2.0",
        complexity: DIFF_COMPLEXITY,
        run: |ctx, args| keep(ctx, args, Operation::Difference, "zdiffstore"),
        ..STORE
    },
    Command {
        name: "ZINTER",
        summary: "Returns the members that are in all of the sorted sets.",
        complexity: INTER_COMPLEXITY,
        run: |ctx, args| answer(ctx, args, Operation::Intersection),
        ..READ
    },
    Command {
        name: "ZINTERCARD",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Returns the number of members that are in all of the sorted sets.",
        since: "7.0.0",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        run: zintercard,
        ..READ
    },
    Command {
        name: "ZINTERSTORE",
        summary: "Stores the members that are in all of the sorted sets.",
        complexity: INTER_COMPLEXITY,
        run: |ctx, args| keep(ctx, args, Operation::Intersection, "zinterstore"),
        ..STORE
    },
    Command {
        name: "ZUNION",
        summary: "Returns the members that are in any of the sorted sets.",
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        run: |ctx, args| answer(ctx, args, Operation::Union),
        ..READ
    },
    Command {
        name: "ZUNIONSTORE",
        summary: "Stores the members that are in any of the sorted sets.",
        complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        run: |ctx, args| keep(ctx, args, Operation::Union, "zunionstore"),
        ..STORE
    },
];

/// What is made of the sources.
#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// Which words may stand behind the keys.
#[derive(Clone, Copy)]
struct Words {
    weights: bool,
    with_scores: bool,
    limit: bool,
}

/// The words behind the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl Options {
    fn read(args: &mut Args<'_>, keys: usize, words: Words) -> Result<Options, CommandError> {
        let mut options =
            Options { weights: vec![1.0; keys], aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        while args.remaining() > 0 {
            if words.weights && args.remaining() > keys && args.keyword("WEIGHTS") {
                for weight in &mut options.weights {
                    *weight = parse_f64(args.bytes())
                        .ok_or(CommandError::fixed("ERR weight value is not a float"))?;
                }
            } else if words.weights && args.remaining() >= 2 && args.keyword("AGGREGATE") {
                options.aggregate = aggregate(args)?;
            } else if words.with_scores && args.keyword("WITHSCORES") {
                options.with_scores = true;
            } else if words.limit && args.remaining() >= 2 && args.keyword("LIMIT") {
                let limit = args.int_in(0..=i64::MAX, CommandError::fixed("ERR LIMIT can't be negative"));
                args.check()?;
                options.limit = usize::try_from(limit).unwrap_or(usize::MAX);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn aggregate(args: &mut Args<'_>) -> Result<Aggregate, CommandError> {
    if args.keyword("SUM") {
        Ok(Aggregate::Sum)
    } else if args.keyword("MIN") {
        Ok(Aggregate::Min)
    } else if args.keyword("MAX") {
        Ok(Aggregate::Max)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Which declared keys are the sources, and the options.
struct Request {
    first: usize,
    options: Options,
}

impl Request {
    /// Reads the arguments from `numkeys` on. The keys' types are looked at before the options, as in
    /// Redis; `first` is the ordinal number of the first source.
    fn read(
        ctx: &mut Context<'_>,
        args: &mut Args<'_>,
        first: usize,
        words: Words,
    ) -> Result<Request, CommandError> {
        let keys = args.int();
        args.check()?;
        if keys < 1 {
            return Err(CommandError::err(format_args!(
                "at least 1 input key is needed for '{}' command",
                ctx.command_name()
            )));
        }
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        if keys > args.remaining() {
            return Err(CommandError::Syntax);
        }
        for ordinal in first..first + keys {
            args.bytes();
            if let Some(key) = args.declared(ordinal)
                && let Some(entry) = ctx.view.read(key)
                && source(entry).is_none()
            {
                return Err(CommandError::WrongType);
            }
        }
        let options = Options::read(args, keys, words)?;
        Ok(Request { first, options })
    }

    /// The sources with their weights, all borrowed together.
    fn sources<'a>(&self, view: &'a View<'_>, args: &Args<'_>) -> Vec<(Source<'a>, f64)> {
        let weights = self.options.weights.iter().enumerate();
        let sources = weights.map(|(at, weight)| {
            let entry = args.declared(self.first + at).and_then(|key| view.read_again(key));
            (entry.and_then(source).unwrap_or(Source::Empty), *weight)
        });
        sources.collect()
    }

    fn combine<'a>(&self, view: &'a View<'_>, args: &Args<'_>, operation: Operation) -> Vec<Scored<'a>> {
        let sources = self.sources(view, args);
        match operation {
            Operation::Union => union(&sources, self.options.aggregate),
            Operation::Intersection => intersection(&sources, self.options.aggregate),
            Operation::Difference => difference(&sources),
        }
    }
}

/// The set in an entry; `None` when it holds something else.
fn source(entry: &Entry) -> Option<Source<'_>> {
    match entry.as_object()? {
        Object::SortedSet(set) => Some(Source::Sorted(set)),
        Object::Set(set) => Some(Source::Plain(set)),
        _ => None,
    }
}

fn answer(ctx: &mut Context<'_>, mut args: Args<'_>, operation: Operation) -> Outcome {
    let weights = operation != Operation::Difference;
    let words = Words { weights, with_scores: true, limit: false };
    let request = Request::read(ctx, &mut args, 0, words)?;
    let result = request.combine(&ctx.view, &args, operation);
    let with_scores = request.options.with_scores;
    let nested = with_scores && ctx.out.protocol() == Protocol::Resp3;
    ctx.out.array(if with_scores && !nested { result.len() * 2 } else { result.len() });
    for Scored { member, score } in &result {
        if nested {
            ctx.out.array(2);
        }
        ctx.out.bulk(member);
        if with_scores {
            ctx.out.double(*score);
        }
    }
    Ok(Reply::Sent)
}

fn keep(ctx: &mut Context<'_>, mut args: Args<'_>, operation: Operation, event: &'static str) -> Outcome {
    let destination = args.key();
    let weights = operation != Operation::Difference;
    let words = Words { weights, with_scores: false, limit: false };
    let request = Request::read(ctx, &mut args, 1, words)?;
    let result = request.combine(&ctx.view, &args, operation);
    let members = result.iter().map(|scored| (&*scored.member, scored.score));
    let result = SortedSet::from_sorted(members, &limits(ctx.settings));
    store(ctx, destination, result, event)
}

fn zintercard(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let words = Words { weights: false, with_scores: false, limit: true };
    let request = Request::read(ctx, &mut args, 0, words)?;
    let count = intersection_len(&request.sources(&ctx.view, &args), request.options.limit);
    Ok(Reply::Int(count as i64))
}
