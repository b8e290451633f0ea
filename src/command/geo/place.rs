//! Places are stored, and told: GEOADD, GEODIST, GEOHASH, GEOPOS.

use smallvec::SmallVec;

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::sorted_result::limits;
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::geo::{self, Unit, hash_text, point_of_score, score_of_point};
use crate::data::{Added, Limits, SortedSet};

use super::{point, unit, write_distance, write_point};

const READ: Command = Command {
    since: "3.2.0",
    group: Group::Geo,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "GEOADD",
        arguments: "condition @6.2.0; ch =change @6.2.0",
        history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
        syntax: "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
        summary: "Adds places to a geo index, or moves them.",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: geoadd,
        ..READ
    },
    Command {
        name: "GEODIST",
        syntax: "key member1 member2 [M | KM | FT | MI]",
        summary: "Returns the distance between two members of a geo index.",
        complexity: "O(log(N))",
        run: geodist,
        ..READ
    },
    Command {
        name: "GEOHASH",
        arguments: "member required",
        element: 2,
        syntax: "key [member [member ...]]",
        summary: "Returns members of a geo index as geohash strings.",
        complexity: "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
        run: geohash,
        ..READ
    },
    Command {
        name: "GEOPOS",
        arguments: "member required",
        element: 2,
        syntax: "key [member [member ...]]",
        summary: "Returns longitude and latitude of members of a geo index.",
        complexity: "O(N) where N is the number of members requested.",
        run: geopos,
        ..READ
    },
];

/// GEOADD's options.
#[derive(Clone, Copy, Default)]
struct Options {
    /// Only members that are not there.
    nx: bool,
    /// Only members that are there.
    xx: bool,
    /// Counts members that move too.
    ch: bool,
}

fn geoadd(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let mut options = Options::default();
    loop {
        if args.keyword("NX") {
            options.nx = true;
        } else if args.keyword("XX") {
            options.xx = true;
        } else if args.keyword("CH") {
            options.ch = true;
        } else {
            break;
        }
    }
    if (options.nx && options.xx) || args.remaining() == 0 || !args.remaining().is_multiple_of(3) {
        return Err(CommandError::Syntax);
    }
    let mut members = SmallVec::<[(f64, &[u8]); 4]>::new();
    while args.remaining() > 0 {
        members.push((score_of_point(point(&mut args)?), args.bytes()));
    }
    let limits = limits(ctx.settings);
    let (added, moved) = if options.xx {
        match ctx.view.get_mut::<SortedSet>(key)? {
            Some(set) => add(set, &members, options, &limits),
            None => (0, 0),
        }
    } else {
        add(ctx.view.get_or_create::<SortedSet>(key)?, &members, options, &limits)
    };
    if added + moved > 0 {
        ctx.effect_on(key, EventClass::SortedSet, "zadd", added + moved);
    }
    Ok(Reply::Int(if options.ch { added + moved } else { added } as i64))
}

/// Adds or moves members, and gives how many of each.
fn add(set: &mut SortedSet, members: &[(f64, &[u8])], options: Options, limits: &Limits) -> (usize, usize) {
    let (mut added, mut moved) = (0, 0);
    for &(score, member) in members {
        if (options.nx || options.xx) && set.contains(member) != options.xx {
            continue;
        }
        match set.insert(member, score, limits) {
            Added::New => added += 1,
            Added::Updated(_) => moved += 1,
            Added::Same => {}
        }
    }
    (added, moved)
}

fn geodist(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, from, to) = (args.key(), args.bytes(), args.bytes());
    if args.remaining() > 1 {
        return Err(CommandError::Syntax);
    }
    let unit = if args.remaining() > 0 { unit(&mut args)? } else { Unit::METRE };
    let Some(set) = ctx.view.get::<SortedSet>(key)? else { return Ok(Reply::Nil) };
    let (Some(from), Some(to)) = (set.score(from), set.score(to)) else { return Ok(Reply::Nil) };
    let distance = geo::distance(point_of_score(from), point_of_score(to));
    write_distance(ctx.out, distance / unit.metres);
    Ok(Reply::Sent)
}

fn geohash(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let set = ctx.view.get::<SortedSet>(key)?;
    ctx.out.array(args.remaining());
    for member in args.rest() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => ctx.out.bulk(&hash_text(point_of_score(score))),
            None => ctx.out.null(),
        }
    }
    Ok(Reply::Sent)
}

fn geopos(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let set = ctx.view.get::<SortedSet>(key)?;
    ctx.out.array(args.remaining());
    for member in args.rest() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_point(ctx.out, point_of_score(score)),
            None => ctx.out.null_array(),
        }
    }
    Ok(Reply::Sent)
}
