//! What is in a hash.

use crate::command::element_scan::{self, ElementScan};
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::Hash;

const FAST_READ: Flags = Flags::READONLY.with(Flags::FAST);
const CONTENT: Keys = Keys::One(Access::RO.with(Access::ACCESS));

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "HEXISTS",
        element: 2,
        syntax: "key field",
        summary: "Tells whether a field of a hash exists.",
        since: "2.0.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: FAST_READ,
        keys: Keys::One(Access::RO),
        run: hexists,
        ..Command::BASE
    },
    Command {
        name: "HGET",
        element: 2,
        syntax: "key field",
        summary: "Returns the value of a field of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: FAST_READ,
        keys: CONTENT,
        run: hget,
        ..Command::BASE
    },
    Command {
        name: "HGETALL",
        syntax: "key",
        summary: "Returns all fields and values of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        group: Group::Hash,
        flags: Flags::READONLY,
        keys: CONTENT,
        run: hgetall,
        tips: &["nondeterministic_output_order"],
        ..Command::BASE
    },
    Command {
        name: "HKEYS",
        syntax: "key",
        summary: "Returns all fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        group: Group::Hash,
        flags: Flags::READONLY,
        keys: CONTENT,
        run: hkeys,
        tips: &["nondeterministic_output_order"],
        ..Command::BASE
    },
    Command {
        name: "HLEN",
        syntax: "key",
        summary: "Returns the number of fields of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: FAST_READ,
        keys: Keys::One(Access::RO),
        run: hlen,
        ..Command::BASE
    },
    Command {
        name: "HMGET",
        element: 2,
        syntax: "key field [field ...]",
        summary: "Returns the values of the given fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being requested.",
        group: Group::Hash,
        flags: FAST_READ,
        keys: CONTENT,
        run: hmget,
        ..Command::BASE
    },
    Command {
        name: "HSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walks over the fields and values of a hash in steps.",
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        group: Group::Hash,
        flags: Flags::READONLY,
        keys: CONTENT,
        run: hscan,
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "HSTRLEN",
        element: 2,
        syntax: "key field",
        summary: "Returns the length of the value of a field of a hash.",
        since: "3.2.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: FAST_READ,
        keys: Keys::One(Access::RO),
        run: hstrlen,
        ..Command::BASE
    },
    Command {
        name: "HVALS",
        syntax: "key",
        summary: "Returns all values of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        group: Group::Hash,
        flags: Flags::READONLY,
        keys: CONTENT,
        run: hvals,
        tips: &["nondeterministic_output_order"],
        ..Command::BASE
    },
];

fn hget(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field) = (args.key(), args.bytes());
    match ctx.view.get::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => {
            ctx.out.bulk(value);
            Ok(Reply::Sent)
        }
        None => Ok(Reply::Nil),
    }
}

fn hmget(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let hash = ctx.view.get::<Hash>(key)?;
    ctx.out.array(args.remaining());
    for field in args.rest() {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => ctx.out.bulk(value),
            None => ctx.out.null(),
        }
    }
    Ok(Reply::Sent)
}

fn hgetall(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    match ctx.view.get::<Hash>(args.key())? {
        Some(hash) => {
            ctx.out.map(hash.len());
            for (field, value) in hash {
                ctx.out.bulk(field);
                ctx.out.bulk(value);
            }
        }
        None => ctx.out.map(0),
    }
    Ok(Reply::Sent)
}

fn hkeys(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    one_side(ctx, args, |(field, _)| field)
}

fn hvals(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    one_side(ctx, args, |(_, value)| value)
}

/// Takes the field or the value of a pair.
type Side = for<'h> fn((&'h [u8], &'h [u8])) -> &'h [u8];

/// Answers one side of all pairs.
fn one_side(ctx: &mut Context<'_>, mut args: Args<'_>, side: Side) -> Outcome {
    match ctx.view.get::<Hash>(args.key())? {
        Some(hash) => {
            ctx.out.array(hash.len());
            hash.iter().for_each(|pair| ctx.out.bulk(side(pair)));
        }
        None => ctx.out.array(0),
    }
    Ok(Reply::Sent)
}

fn hlen(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.view.get::<Hash>(args.key())?.map_or(0, |hash| hash.len() as i64)))
}

fn hstrlen(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field) = (args.key(), args.bytes());
    let length = ctx.view.get::<Hash>(key)?.and_then(|hash| hash.value_len(field));
    Ok(Reply::Int(length.unwrap_or(0) as i64))
}

fn hexists(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field) = (args.key(), args.bytes());
    Ok(Reply::flag(ctx.view.get::<Hash>(key)?.is_some_and(|hash| hash.contains(field))))
}

fn hscan(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let cursor = element_scan::cursor(&mut args)?;
    let Some(hash) = ctx.view.get::<Hash>(key)? else { return element_scan::nothing(ctx) };
    let mut scan = ElementScan::options(&mut args)?;
    let next = hash.scan(cursor, scan.count(), |field, value| {
        if scan.wants(field) {
            scan.push(field);
            scan.push(value);
        }
    });
    scan.answer(ctx, next)
}
