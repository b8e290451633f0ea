//! Several sets into one: SINTER, SUNION, SDIFF and what stores or counts their results.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Set;
use crate::data::set::Member;
use crate::data::set::combine::{difference, intersection, union};
use crate::store::{Entry, Key, Kind, View};

use super::{limits, write};

const SOURCES: Access = Access::RO.with(Access::ACCESS);
const INTER_COMPLEXITY: &str =
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.";

const READ: Command = Command {
    syntax: "key [key ...]",
    since: "1.0.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    group: Group::Set,
    flags: Flags::READONLY,
    keys: Keys::All(SOURCES),
    tips: &["nondeterministic_output_order"],
    ..Command::BASE
};

const STORE: Command = Command {
    syntax: "destination key [key ...]",
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::TargetAndRest(Access::OW.with(Access::UPDATE), SOURCES),
    tips: &[],
    ..READ
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SDIFF",
        summary: "Returns the members of the first set that are in none of the others.",
        run: |ctx, args| answer(ctx, &args, Operation::Difference),
        ..READ
    },
    Command {
        name: "SDIFFSTORE",
        summary: "Stores the members of the first set that are in none of the others.",
        run: |ctx, args| keep(ctx, args, Operation::Difference, "sdiffstore"),
        ..STORE
    },
    Command {
        name: "SINTER",
        summary: "Returns the members that are in all of the sets.",
        complexity: INTER_COMPLEXITY,
        run: |ctx, args| answer(ctx, &args, Operation::Intersection),
        ..READ
    },
    Command {
        name: "SINTERCARD",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Returns the number of members that are in all of the sets.",
        since: "7.0.0",
        complexity: INTER_COMPLEXITY,
        flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
        keys: Keys::Counted(1, SOURCES),
        tips: &[],
        run: sintercard,
        ..READ
    },
    Command {
        name: "SINTERSTORE",
        summary: "Stores the members that are in all of the sets.",
        complexity: INTER_COMPLEXITY,
        keys: Keys::TargetAndRest(Access::RW.with(Access::UPDATE), SOURCES),
        run: |ctx, args| keep(ctx, args, Operation::Intersection, "sinterstore"),
        ..STORE
    },
    Command {
        name: "SUNION",
        summary: "Returns the members that are in any of the sets.",
        run: |ctx, args| answer(ctx, &args, Operation::Union),
        ..READ
    },
    Command {
        name: "SUNIONSTORE",
        summary: "Stores the members that are in any of the sets.",
        run: |ctx, args| keep(ctx, args, Operation::Union, "sunionstore"),
        ..STORE
    },
];

/// What is made of the sources.
#[derive(Clone, Copy)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// Looks at the sources from the declared key `first` on: the type of each, and a hit or a miss for it.
fn look(ctx: &mut Context<'_>, args: &Args<'_>, first: usize) -> Result<(), CommandError> {
    for key in sources(args, first) {
        if ctx.view.read(key).is_some_and(|entry| set_of(entry).is_none()) {
            return Err(CommandError::WrongType);
        }
    }
    Ok(())
}

fn sources<'a>(args: &Args<'a>, first: usize) -> impl Iterator<Item = Key<'a>> {
    (first..args.keys().len()).filter_map(|ordinal| args.declared(ordinal))
}

fn set_of(entry: &Entry) -> Option<&Set> {
    entry.as_object().and_then(Set::of)
}

/// The sources, all borrowed together; an absent one is `None`.
fn sets<'a>(view: &'a View<'_>, args: &Args<'_>, first: usize) -> Vec<Option<&'a Set>> {
    sources(args, first).map(|key| view.read_again(key).and_then(set_of)).collect()
}

/// The common members, up to `limit` of them; none when a set is absent.
fn common<'a>(sets: &[Option<&'a Set>], limit: usize) -> Vec<Member<'a>> {
    match sets.iter().copied().collect::<Option<Vec<&Set>>>() {
        Some(sets) => intersection(&sets, limit),
        None => Vec::new(),
    }
}

/// The members of the first set that are in no other.
fn left<'a>(sets: &[Option<&'a Set>]) -> Vec<Member<'a>> {
    let Some((Some(first), others)) = sets.split_first() else { return Vec::new() };
    let others: Vec<&Set> = others.iter().copied().flatten().collect();
    difference(first, &others)
}

fn answer(ctx: &mut Context<'_>, args: &Args<'_>, operation: Operation) -> Outcome {
    look(ctx, args, 0)?;
    let sets = sets(&ctx.view, args, 0);
    let members = match operation {
        Operation::Intersection => common(&sets, 0),
        Operation::Difference => left(&sets),
        Operation::Union => {
            let present: Vec<&Set> = sets.into_iter().flatten().collect();
            let all = union(&present, &limits(ctx.settings));
            ctx.out.set(all.len());
            all.iter().for_each(|member| write(ctx.out, member));
            return Ok(Reply::Sent);
        }
    };
    ctx.out.set(members.len());
    members.into_iter().for_each(|member| write(ctx.out, member));
    Ok(Reply::Sent)
}

/// Puts a result under its key, whatever was there, and answers how many members it has. Without any, the
/// key goes.
fn keep(ctx: &mut Context<'_>, mut args: Args<'_>, operation: Operation, event: &'static str) -> Outcome {
    let destination = args.key();
    look(ctx, &args, 1)?;
    let limits = limits(ctx.settings);
    let sets = sets(&ctx.view, &args, 1);
    let result = match operation {
        Operation::Union => union(&sets.into_iter().flatten().collect::<Vec<_>>(), &limits),
        Operation::Intersection => collect(common(&sets, 0), &limits),
        Operation::Difference => collect(left(&sets), &limits),
    };
    let members = result.len();
    if members > 0 {
        ctx.view.set_object(destination, result.wrap());
        ctx.effect(destination, EventClass::Set, event);
    } else if ctx.view.remove(destination) {
        ctx.effect(destination, EventClass::Generic, "del");
    }
    Ok(Reply::Int(members as i64))
}

fn collect(members: Vec<Member<'_>>, limits: &crate::data::SetLimits) -> Set {
    let mut set = Set::new();
    for member in members {
        member.with_bytes(|bytes| set.insert(bytes, limits));
    }
    set
}

fn sintercard(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let bad = CommandError::fixed("ERR numkeys should be greater than 0");
    let keys = args.int_in(1..=i64::MAX, bad);
    args.check()?;
    let keys = usize::try_from(keys).unwrap_or(usize::MAX);
    if keys > args.remaining() {
        return Err(CommandError::fixed("ERR Number of keys can't be greater than number of args"));
    }
    (0..keys).for_each(|_| {
        args.bytes();
    });
    let mut limit = 0;
    while args.remaining() > 0 {
        if args.remaining() < 2 || !args.keyword("LIMIT") {
            return Err(CommandError::Syntax);
        }
        limit = args.int_in(0..=i64::MAX, CommandError::fixed("ERR LIMIT can't be negative"));
        args.check()?;
    }
    look(ctx, &args, 0)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Reply::Int(common(&sets(&ctx.view, &args, 0), limit).len() as i64))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn sets_are_combined() {
        transcript(
            r#"
            > SADD a 1 2 3
            (integer) 3
            > SADD b 2 3 4
            (integer) 3
            > SADD c 3
            (integer) 1
            > SINTER a b c
            1) "3"
            > SINTER a none
            (empty array)
            > SINTER a c
            1) "3"
            > SDIFF a b
            1) "1"
            > SDIFF none a
            (empty array)
            > SDIFF c none
            1) "3"
            > SUNION c none c
            1) "3"
            > SUNION none
            (empty array)
            > SINTERCARD 2 a b
            (integer) 2
            > SINTERCARD 2 a b LIMIT 1
            (integer) 1
            > SINTERCARD 2 a b LIMIT 0
            (integer) 2
            > SINTERCARD 1 none
            (integer) 0
            "#,
        );
    }

    #[test]
    fn results_are_stored() {
        transcript(
            r#"
            > SADD a 1 2 3
            (integer) 3
            > SADD b 2 3 x
            (integer) 3
            > SET to text
            OK
            > SINTERSTORE to a b
            (integer) 2
            > OBJECT ENCODING to
            "intset"
            > SISMEMBER to 2
            (integer) 1
            > SDIFFSTORE to b a
            (integer) 1
            > SMEMBERS to
            1) "x"
            > SUNIONSTORE to a b
            (integer) 4
            > SCARD to
            (integer) 4
            > SUNIONSTORE a a b
            (integer) 4
            > SINTERSTORE to a none
            (integer) 0
            > EXISTS to
            (integer) 0
            > SDIFFSTORE to none a
            (integer) 0
            "#,
        );
    }

    #[test]
    fn what_cannot_be_combined_is_refused() {
        transcript(
            r#"
            > SET text x
            OK
            > SADD a 1
            (integer) 1
            > SINTER a text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SINTER none text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SUNION a text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SDIFFSTORE to none text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SINTERCARD 2 a text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SINTERCARD 0 a
            (error) ERR numkeys should be greater than 0
            > SINTERCARD x a
            (error) ERR numkeys should be greater than 0
            > SINTERCARD 2 a
            (error) ERR Number of keys can't be greater than number of args
            > SINTERCARD 1 a LIMIT -1
            (error) ERR LIMIT can't be negative
            > SINTERCARD 1 a LIMIT x
            (error) ERR LIMIT can't be negative
            > SINTERCARD 1 a LIMIT
            (error) ERR syntax error
            > SINTERCARD 1 a b
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn members_move() {
        transcript(
            r#"
            > SADD a 1 x
            (integer) 2
            > SMOVE a b x
            (integer) 1
            > SMEMBERS b
            1) "x"
            > SMOVE a b none
            (integer) 0
            > SMOVE none b x
            (integer) 0
            > SMOVE a a 1
            (integer) 1
            > SMOVE a a none
            (integer) 0
            > SMOVE a b 1
            (integer) 1
            > EXISTS a
            (integer) 0
            > SCARD b
            (integer) 2
            > SET text x
            OK
            > SMOVE b text x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SMOVE text b x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SMOVE none text x
            (integer) 0
            "#,
        );
    }
}
