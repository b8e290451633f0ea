//! Members by chance.

use std::collections::HashSet;

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Set;
use crate::resp::Encoder;
use crate::store::{Key, Random};

use super::write;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SPOP",
        arguments: "count @3.2.0",
        history: &[("3.2.0", "Added the `count` argument.")],
        syntax: "key [count]",
        summary: "Removes random members from a set and returns them.",
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        group: Group::Set,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        run: spop,
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "SRANDMEMBER",
        arguments: "count @2.6.0",
        history: &[("2.6.0", "Added the optional `count` argument.")],
        syntax: "key [count]",
        summary: "Returns random members of a set.",
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        group: Group::Set,
        flags: Flags::READONLY,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: srandmember,
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
];

/// Up to a set of this many times the members wanted, a walk over all of it chooses them; beyond, they
/// are drawn until enough differ. At three, fewer than half of the draws are in vain.
const WALK_UP_TO: usize = 3;

fn spop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let key = args.key();
    if args.remaining() > 0 {
        let count = args.int_in(0..=i64::MAX, CommandError::MustBePositive);
        args.check()?;
        return spop_many(ctx, key, count as usize);
    }
    let pick = ctx.view.random();
    let Some(member) = ctx.view.get_mut::<Set>(key)?.and_then(|set| set.pop_random(pick)) else {
        return Ok(Reply::Nil);
    };
    ctx.effect(key, EventClass::Set, "spop");
    ctx.replay_as([b"SREM", key.bytes, &member]);
    if ctx.view.remove_if_empty(key) {
        ctx.event(key, EventClass::Generic, "del");
    }
    ctx.bulk(&member)
}

/// SPOP with a count: a set is answered, an empty one when there is nothing to pop.
fn spop_many(ctx: &mut Context<'_>, key: Key<'_>, count: usize) -> Outcome {
    let mut random = ctx.view.fork_random();
    let set = match ctx.view.get_mut::<Set>(key)? {
        Some(set) if count > 0 => set,
        _ => {
            ctx.out.set(0);
            return Ok(Reply::Sent);
        }
    };
    if count >= set.len() {
        let all = set.len();
        ctx.out.set(all);
        set.iter().for_each(|member| write(ctx.out, member));
        ctx.view.remove(key);
        ctx.effect_on(key, EventClass::Set, "spop", all);
        ctx.event(key, EventClass::Generic, "del");
        ctx.replay_as([b"DEL", key.bytes]);
        return Ok(Reply::Sent);
    }
    let popped: Vec<Vec<u8>> = (0..count).filter_map(|_| set.pop_random(random.draw())).collect();
    ctx.out.set(popped.len());
    ctx.effect_on(key, EventClass::Set, "spop", popped.len());
    for member in &popped {
        ctx.out.bulk(member);
        ctx.replay_as([b"SREM", key.bytes, member]);
    }
    Ok(Reply::Sent)
}

fn srandmember(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let key = args.key();
    let mut random = ctx.view.fork_random();
    if args.remaining() == 0 {
        let Some(member) = ctx.view.get::<Set>(key)?.and_then(|set| set.random(random.draw())) else {
            return Ok(Reply::Nil);
        };
        ctx.out.bulk(&member);
        return Ok(Reply::Sent);
    }
    let count = args.int();
    args.check()?;
    if count == i64::MIN {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let limit = ctx.reply_limit();
    match ctx.view.get::<Set>(key)? {
        Some(set) if count < 0 => {
            write_any(ctx.out, set, wanted, &mut random, limit);
            ctx.end_reply_beyond(limit);
        }
        Some(set) => write_distinct(ctx.out, set, wanted, &mut random),
        None => ctx.out.array(0),
    }
    Ok(Reply::Sent)
}

/// Answers `count` members, each drawn from the whole set; ends early once the replies are beyond `limit`.
fn write_any(out: &mut Encoder, set: &Set, count: usize, random: &mut Random, limit: usize) {
    out.array(count);
    for _ in 0..count {
        if out.len() > limit {
            return;
        }
        match set.random(random.draw()) {
            Some(member) => out.bulk(&member),
            // A key with an empty set does not exist; a head without its replies must not either.
            None => out.null(),
        }
    }
}

/// Answers up to `count` different members.
fn write_distinct(out: &mut Encoder, set: &Set, count: usize, random: &mut Random) {
    let count = count.min(set.len());
    out.array(count);
    if set.len() <= count.saturating_mul(WALK_UP_TO) {
        // Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.
        let mut wanted = count;
        for (passed, member) in set.iter().enumerate() {
            if random.below(set.len() - passed) < wanted {
                write(out, member);
                wanted -= 1;
            }
        }
        return;
    }
    let mut drawn = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(member) = set.random(random.draw()) else { return };
        if !drawn.contains(&member) {
            out.bulk(&member);
            drawn.insert(member);
        }
    }
}
