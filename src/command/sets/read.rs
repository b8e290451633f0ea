//! What is in a set.

use crate::command::element_scan::{self, ElementScan};
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::Set;

use super::write;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SCARD",
        syntax: "key",
        summary: "Returns the number of members of a set.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Set,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO),
        run: scard,
        ..Command::BASE
    },
    Command {
        name: "SISMEMBER",
        element: 2,
        syntax: "key member",
        summary: "Tells whether a value is a member of a set.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Set,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO),
        run: sismember,
        ..Command::BASE
    },
    Command {
        name: "SMISMEMBER",
        element: 2,
        syntax: "key member [member ...]",
        summary: "Tells of each value whether it is a member of a set.",
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        group: Group::Set,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: smismember,
        ..Command::BASE
    },
    Command {
        name: "SMEMBERS",
        syntax: "key",
        summary: "Returns all members of a set.",
        since: "1.0.0",
        complexity: "O(N) where N is the set cardinality.",
        group: Group::Set,
        flags: Flags::READONLY,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: smembers,
        tips: &["nondeterministic_output_order"],
        ..Command::BASE
    },
    Command {
        name: "SSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walks over the members of a set in steps.",
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        group: Group::Set,
        flags: Flags::READONLY,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: sscan,
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
];

fn scard(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.view.get::<Set>(args.key())?.map_or(0, |set| set.len() as i64)))
}

fn sismember(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, member) = (args.key(), args.bytes());
    Ok(Reply::flag(ctx.view.get::<Set>(key)?.is_some_and(|set| set.contains(member))))
}

fn smismember(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let set = ctx.view.get::<Set>(key)?;
    ctx.out.array(args.remaining());
    for member in args.rest() {
        ctx.out.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(Reply::Sent)
}

fn smembers(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    match ctx.view.get::<Set>(args.key())? {
        Some(set) => {
            ctx.out.set(set.len());
            set.iter().for_each(|member| write(ctx.out, member));
        }
        None => ctx.out.set(0),
    }
    Ok(Reply::Sent)
}

fn sscan(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let cursor = element_scan::cursor(&mut args)?;
    let Some(set) = ctx.view.get::<Set>(key)? else { return element_scan::nothing(ctx) };
    let mut scan = ElementScan::options(&mut args)?;
    let next = set.scan(cursor, scan.count(), |member| {
        member.with_bytes(|bytes| {
            if scan.wants(bytes) {
                scan.push(bytes);
            }
        });
    });
    scan.answer(ctx, next)
}
