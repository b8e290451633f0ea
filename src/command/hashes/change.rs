//! Fields come, change and go.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::config::Settings;
use crate::data::{Hash, Limits, LongDouble, parse_i64};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "HDEL",
        history: &[("2.4.0", "Accepts multiple `field` arguments.")],
        element: 2,
        syntax: "key field [field ...]",
        summary: "Deletes fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields to be removed.",
        group: Group::Hash,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        run: hdel,
        ..Command::BASE
    },
    Command {
        name: "HINCRBY",
        arguments: "increment :integer",
        element: 2,
        syntax: "key field increment",
        summary: "Adds to the integer value of a field, which is 0 if absent.",
        since: "2.0.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: WRITES,
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        run: hincrby,
        ..Command::BASE
    },
    Command {
        name: "HINCRBYFLOAT",
        arguments: "increment :double",
        element: 2,
        syntax: "key field increment",
        summary: "Adds to the floating-point value of a field, which is 0 if absent.",
        since: "2.6.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: WRITES,
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        run: hincrbyfloat,
        ..Command::BASE
    },
    Command {
        name: "HMSET",
        deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
        element: 2,
        syntax: "key field value [field value ...]",
        summary: "Sets fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being set.",
        group: Group::Hash,
        flags: WRITES,
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: hmset,
        ..Command::BASE
    },
    Command {
        name: "HSET",
        history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
        element: 2,
        syntax: "key field value [field value ...]",
        summary: "Sets fields of a hash and counts the new ones.",
        since: "2.0.0",
        complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
        group: Group::Hash,
        flags: WRITES,
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: hset,
        ..Command::BASE
    },
    Command {
        name: "HSETNX",
        element: 2,
        syntax: "key field value",
        summary: "Sets a field of a hash if it does not exist.",
        since: "2.0.0",
        complexity: "O(1)",
        group: Group::Hash,
        flags: WRITES,
        keys: Keys::One(Access::RW.with(Access::INSERT)),
        run: hsetnx,
        ..Command::BASE
    },
];

const WRITES: Flags = Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST);

/// Up to which size a hash stays packed, as the settings say.
#[inline]
fn limits(settings: &Settings) -> Limits {
    Limits {
        max_entries: usize::try_from(settings.hash_max_listpack_entries).unwrap_or(usize::MAX),
        max_value: usize::try_from(settings.hash_max_listpack_value_bytes).unwrap_or(usize::MAX),
    }
}

fn hset(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_pairs(ctx, args).map(Reply::Int)
}

fn hmset(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_pairs(ctx, args).map(|_| Reply::Ok)
}

/// Sets the pairs that follow the key, and says how many fields are new.
fn set_pairs(ctx: &mut Context<'_>, mut args: Args<'_>) -> Result<i64, CommandError> {
    let key = args.key();
    if !args.remaining().is_multiple_of(2) {
        return Err(CommandError::Arity(ctx.command_name().to_owned()));
    }
    let limits = limits(ctx.settings);
    let pairs = args.remaining() / 2;
    let hash = ctx.view.get_or_create::<Hash>(key)?;
    let mut created = 0;
    while let (Some(field), Some(value)) = (args.next(), args.next()) {
        created += i64::from(hash.set(field, value, &limits));
    }
    // Redis counts every pair, also one that changes nothing.
    ctx.effect_on(key, EventClass::Hash, "hset", pairs);
    Ok(created)
}

fn hsetnx(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field, value) = (args.key(), args.bytes(), args.bytes());
    let limits = limits(ctx.settings);
    let hash = ctx.view.get_or_create::<Hash>(key)?;
    if hash.contains(field) {
        return Ok(Reply::Int(0));
    }
    hash.set(field, value, &limits);
    ctx.effect(key, EventClass::Hash, "hset");
    Ok(Reply::Int(1))
}

fn hdel(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let Some(hash) = ctx.view.get_mut::<Hash>(key)? else { return Ok(Reply::Int(0)) };
    let removed = args.rest().filter(|field| hash.remove(field)).count();
    if removed > 0 {
        ctx.effect_on(key, EventClass::Hash, "hdel", removed);
        if ctx.view.remove_if_empty(key) {
            ctx.event(key, EventClass::Generic, "del");
        }
    }
    Ok(Reply::Int(removed as i64))
}

fn hincrby(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field, increment) = (args.key(), args.bytes(), args.int());
    args.finish()?;
    let limits = limits(ctx.settings);
    // A new field starts at 0, so no refusal below leaves a new and empty hash behind.
    let hash = ctx.view.get_or_create::<Hash>(key)?;
    let before = match hash.get(field) {
        None => 0,
        Some(text) => parse_i64(text).ok_or(CommandError::fixed("ERR hash value is not an integer"))?,
    };
    let after = before.checked_add(increment).ok_or(CommandError::Overflow)?;
    hash.set(field, itoa::Buffer::new().format(after).as_bytes(), &limits);
    ctx.effect(key, EventClass::Hash, "hincrby");
    Ok(Reply::Int(after))
}

fn hincrbyfloat(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, field) = (args.key(), args.bytes());
    let increment = LongDouble::parse(args.bytes()).ok_or(CommandError::NotFloat)?;
    if increment.is_nan() || increment.is_infinite() {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let before = match ctx.view.get_mut::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        None => LongDouble::from(0),
        Some(text) => LongDouble::parse(text).ok_or(CommandError::fixed("ERR hash value is not a float"))?,
    };
    let after = before + increment;
    if after.is_nan() || after.is_infinite() {
        return Err(CommandError::fixed("ERR increment would produce NaN or Infinity"));
    }
    let text = after.to_human();
    let limits = limits(ctx.settings);
    ctx.view.get_or_create::<Hash>(key)?.set(field, text.as_bytes(), &limits);
    ctx.effect(key, EventClass::Hash, "hincrbyfloat");
    ctx.replay_as([b"HSET", key.bytes, field, text.as_bytes()]);
    ctx.bulk(text.as_bytes())
}
