//! Members by chance.

use std::collections::HashSet;

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::SortedSet;
use crate::resp::{Encoder, Protocol};
use crate::store::Random;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "ZRANDMEMBER",
    arguments: "count_* =options",
    syntax: "key [count [WITHSCORES]]",
    summary: "Returns random members of a sorted set.",
    since: "6.2.0",
    complexity: "O(N) where N is the number of elements returned",
    group: Group::SortedSet,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    run: zrandmember,
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// Up to a set of this many times the members wanted, a walk over all of it chooses them; beyond, they
/// are drawn until enough differ. At three, fewer than half of the draws are in vain.
const WALK_UP_TO: usize = 3;

fn zrandmember(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    if args.remaining() == 0 {
        let pick = ctx.view.random();
        let Some((member, _)) = ctx.view.get::<SortedSet>(key)?.and_then(|set| set.random(pick)) else {
            return Ok(Reply::Nil);
        };
        ctx.out.bulk(member);
        return Ok(Reply::Sent);
    }
    let (count, with_scores) = read(&mut args)?;
    let mut random = ctx.view.fork_random();
    let limit = ctx.reply_limit();
    let Some(set) = ctx.view.get::<SortedSet>(key)? else {
        ctx.out.array(0);
        return Ok(Reply::Sent);
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let distinct = count >= 0;
    let wanted = if distinct { wanted.min(set.len()) } else { wanted };
    let nested = with_scores && ctx.out.protocol() == Protocol::Resp3;
    ctx.out.array(if with_scores && !nested { wanted.saturating_mul(2) } else { wanted });
    let writer = Writer { out: ctx.out, with_scores, nested };
    if distinct {
        write_distinct(writer, set, wanted, &mut random);
    } else {
        write_any(writer, set, wanted, &mut random, limit);
        ctx.end_reply_beyond(limit);
    }
    Ok(Reply::Sent)
}

/// Reads `count [WITHSCORES]`.
fn read(args: &mut Args<'_>) -> Result<(i64, bool), CommandError> {
    let count = args.int();
    args.check()?;
    if count == i64::MIN {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let with_scores = args.keyword("WITHSCORES");
    args.finish()?;
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    Ok((count, with_scores))
}

/// Writes members, alone or with their scores.
struct Writer<'a> {
    out: &'a mut Encoder,
    with_scores: bool,
    nested: bool,
}

impl Writer<'_> {
    fn write(&mut self, member: &[u8], score: f64) {
        if self.nested {
            self.out.array(2);
        }
        self.out.bulk(member);
        if self.with_scores {
            self.out.double(score);
        }
    }
}

/// Answers `count` members, each drawn from the whole set; ends early once the replies are beyond `limit`.
fn write_any(mut writer: Writer<'_>, set: &SortedSet, count: usize, random: &mut Random, limit: usize) {
    for _ in 0..count {
        if writer.out.len() > limit {
            return;
        }
        // A key with an empty set does not exist.
        let Some((member, score)) = set.random(random.draw()) else { return };
        writer.write(member, score);
    }
}

/// Answers `count` different members; the set has as many.
fn write_distinct(mut writer: Writer<'_>, set: &SortedSet, count: usize, random: &mut Random) {
    if set.len() <= count.saturating_mul(WALK_UP_TO) {
        // Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.
        let mut wanted = count;
        for (passed, (member, score)) in set.iter().enumerate() {
            if random.below(set.len() - passed) < wanted {
                writer.write(member, score);
                wanted -= 1;
            }
        }
        return;
    }
    let mut drawn = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some((member, score)) = set.random(random.draw()) else { return };
        if drawn.insert(member) {
            writer.write(member, score);
        }
    }
}
