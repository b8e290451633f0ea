//! Members come and go by name.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::data::Set;

use super::limits;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SADD",
        history: &[("2.4.0", "Accepts multiple `member` arguments.")],
        element: 2,
        syntax: "key member [member ...]",
        summary: "Adds members to a set.",
        since: "1.0.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        group: Group::Set,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::INSERT)),
        run: sadd,
        ..Command::BASE
    },
    Command {
        name: "SMOVE",
        syntax: "source destination member",
        summary: "Moves a member from one set to another.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Set,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::Two(
            Access::RW.with(Access::ACCESS).with(Access::DELETE),
            Access::RW.with(Access::INSERT),
        ),
        run: smove,
        ..Command::BASE
    },
    Command {
        name: "SREM",
        history: &[("2.4.0", "Accepts multiple `member` arguments.")],
        element: 2,
        syntax: "key member [member ...]",
        summary: "Removes members from a set.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of members to be removed.",
        group: Group::Set,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        run: srem,
        ..Command::BASE
    },
];

fn sadd(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let limits = limits(ctx.settings);
    let set = ctx.view.get_or_create::<Set>(key)?;
    let added = args.rest().filter(|member| set.insert(member, &limits)).count();
    if added > 0 {
        ctx.effect_on(key, EventClass::Set, "sadd", added);
    }
    Ok(Reply::Int(added as i64))
}

fn srem(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let Some(set) = ctx.view.get_mut::<Set>(key)? else { return Ok(Reply::Int(0)) };
    let removed = args.rest().filter(|member| set.remove(member)).count();
    if removed > 0 {
        ctx.effect_on(key, EventClass::Set, "srem", removed);
        if ctx.view.remove_if_empty(key) {
            ctx.event(key, EventClass::Generic, "del");
        }
    }
    Ok(Reply::Int(removed as i64))
}

fn smove(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (source, destination, member) = (args.key(), args.key(), args.bytes());
    let limits = limits(ctx.settings);
    // Both types are looked at before anything changes; without a source the destination's does not matter.
    let Some(set) = ctx.view.get_mut::<Set>(source)? else { return Ok(Reply::Int(0)) };
    let there = set.contains(member);
    ctx.view.get_mut::<Set>(destination)?;
    if !there || source.bytes == destination.bytes {
        return Ok(Reply::flag(there));
    }
    if let Some(set) = ctx.view.get_mut::<Set>(source)? {
        set.remove(member);
    }
    ctx.effect(source, EventClass::Set, "srem");
    if ctx.view.remove_if_empty(source) {
        ctx.event(source, EventClass::Generic, "del");
    }
    if ctx.view.get_or_create::<Set>(destination)?.insert(member, &limits) {
        ctx.effect(destination, EventClass::Set, "sadd");
    }
    Ok(Reply::Int(1))
}
