//! Members come, change their scores and go.

use smallvec::SmallVec;

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::sorted_result::limits;
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::{Added, Limits, SortedSet, parse_f64};
use crate::store::Key;

use super::{Gone, taken};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "ZADD",
        arguments: "condition @3.0.2; gt_lt =comparison @6.2.0; ch =change @3.0.2; incr =increment @3.0.2",
        history: &[
            ("2.4.0", "Accepts multiple elements."),
            ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
            ("6.2.0", "Added the `GT` and `LT` options."),
        ],
        element: 3,
        syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        summary: "Adds members to a sorted set, or updates their scores.",
        since: "1.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        group: Group::SortedSet,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: zadd,
        ..Command::BASE
    },
    Command {
        name: "ZINCRBY",
        arguments: "increment :integer",
        element: 3,
        syntax: "key increment member",
        summary: "Adds to the score of a member of a sorted set.",
        since: "1.2.0",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        group: Group::SortedSet,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        run: zincrby,
        ..Command::BASE
    },
    Command {
        name: "ZREM",
        history: &[("2.4.0", "Accepts multiple elements.")],
        element: 2,
        syntax: "key member [member ...]",
        summary: "Removes members from a sorted set.",
        since: "1.2.0",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        group: Group::SortedSet,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        run: zrem,
        ..Command::BASE
    },
];

/// ZADD's options.
#[derive(Clone, Copy, Default)]
struct Options {
    /// Only members that are not there.
    nx: bool,
    /// Only members that are there.
    xx: bool,
    /// Only to a greater score, of members that are there.
    gt: bool,
    /// Only to a lesser score, of members that are there.
    lt: bool,
    /// Counts changed scores too.
    ch: bool,
    /// Adds to the score and answers it.
    incr: bool,
}

impl Options {
    /// Reads the options. A word that is none ends them: it must be a score.
    fn read(args: &mut Args<'_>) -> Options {
        let mut options = Options::default();
        while let Some(word) = args.peek() {
            let option = match word.len() {
                2 if word.eq_ignore_ascii_case(b"NX") => &mut options.nx,
                2 if word.eq_ignore_ascii_case(b"XX") => &mut options.xx,
                2 if word.eq_ignore_ascii_case(b"GT") => &mut options.gt,
                2 if word.eq_ignore_ascii_case(b"LT") => &mut options.lt,
                2 if word.eq_ignore_ascii_case(b"CH") => &mut options.ch,
                4 if word.eq_ignore_ascii_case(b"INCR") => &mut options.incr,
                _ => break,
            };
            *option = true;
            args.next();
        }
        options
    }

    /// Refuses options that contradict each other.
    fn check(self, pairs: usize) -> Result<(), CommandError> {
        if self.nx && self.xx {
            return Err(CommandError::fixed("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.nx && (self.gt || self.lt)) || (self.gt && self.lt) {
            return Err(CommandError::fixed(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(CommandError::fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member is to have, given the one it has; `None` when the options leave it alone.
    fn score(self, current: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(current) = current else { return Ok((!self.xx).then_some(given)) };
        if self.nx {
            return Ok(None);
        }
        let score = if self.incr { current + given } else { given };
        if score.is_nan() {
            return Err(CommandError::fixed("ERR resulting score is not a number (NaN)"));
        }
        let refused = (self.lt && score >= current) || (self.gt && score <= current);
        Ok((!refused).then_some(score))
    }

    /// Whether the current score does not matter.
    fn is_plain(self) -> bool {
        !(self.nx || self.xx || self.gt || self.lt || self.incr)
    }
}

/// What became of all pairs.
#[derive(Default)]
struct Done {
    added: usize,
    updated: usize,
    /// The score of the last pair, unless the options left it alone.
    score: Option<f64>,
}

fn zadd(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let options = Options::read(&mut args);
    if args.remaining() == 0 || !args.remaining().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    options.check(args.remaining() / 2)?;
    add(ctx, key, args, options)
}

fn zincrby(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    add(ctx, key, args, Options { incr: true, ..Options::default() })
}

/// Adds the pairs that are left in `args`: all of them, or none when a score is no number.
fn add(ctx: &mut Context<'_>, key: Key<'_>, mut args: Args<'_>, options: Options) -> Outcome {
    let mut pairs = SmallVec::<[(f64, &[u8]); 4]>::new();
    while let (Some(score), Some(member)) = (args.next(), args.next()) {
        pairs.push((parse_f64(score).ok_or(CommandError::NotFloat)?, member));
    }
    let limits = limits(ctx.settings);
    let done = if options.xx {
        match ctx.view.get_mut::<SortedSet>(key)? {
            Some(set) => apply(set, &pairs, options, &limits)?,
            None => Done::default(),
        }
    } else {
        // At least one pair is added to a new set: no option but XX refuses a member that is not there.
        apply(ctx.view.get_or_create::<SortedSet>(key)?, &pairs, options, &limits)?
    };
    let changed = done.added + done.updated;
    if changed > 0 {
        ctx.effect_on(key, EventClass::SortedSet, if options.incr { "zincr" } else { "zadd" }, changed);
    }
    match (options.incr, done.score) {
        (true, Some(score)) => ctx.double(score),
        (true, None) => Ok(Reply::Nil),
        (false, _) => Ok(Reply::Int(if options.ch { changed } else { done.added } as i64)),
    }
}

fn apply(
    set: &mut SortedSet,
    pairs: &[(f64, &[u8])],
    options: Options,
    limits: &Limits,
) -> Result<Done, CommandError> {
    let mut done = Done::default();
    for &(given, member) in pairs {
        done.score =
            if options.is_plain() { Some(given) } else { options.score(set.score(member), given)? };
        let Some(score) = done.score else { continue };
        match set.insert(member, score, limits) {
            Added::New => done.added += 1,
            Added::Updated(_) => done.updated += 1,
            Added::Same => {}
        }
    }
    Ok(done)
}

fn zrem(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let Some(set) = ctx.view.get_mut::<SortedSet>(key)? else { return Ok(Reply::Int(0)) };
    let removed = args.rest().filter(|member| set.remove(member).is_some()).count();
    let gone = Gone { count: removed, all: set.is_empty() };
    if removed > 0 {
        taken(ctx, key, "zrem", gone);
    }
    Ok(Reply::Int(removed as i64))
}
