//! Adding, counting and merging.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply, reply};
use crate::data::hyperloglog::{self, Encoding, HEADER_BYTES, Mark, Registers, dense};
use crate::store::Key;

use super::{checked, store};

pub(super) const PFADD: Command = Command {
    name: "PFADD",
    syntax: "key [element [element ...]]",
    summary: "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
    since: "2.8.9",
    complexity: "O(1) to add every element.",
    group: Group::HyperLogLog,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::INSERT)),
    run: pfadd,
    ..Command::BASE
};

pub(super) const PFCOUNT: Command = Command {
    name: "PFCOUNT",
    syntax: "key [key ...]",
    summary: "Says about how many different elements one or several HyperLogLogs have seen together.",
    since: "2.8.9",
    complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being \
                 the number of keys, and much bigger constant times, when called with multiple keys.",
    group: Group::HyperLogLog,
    // It may keep the count that it found in the value.
    flags: Flags::READONLY.with(Flags::MAY_REPLICATE),
    keys: Keys::All(Access::RW.with(Access::ACCESS)),
    key_notes: &[
        "RW because it may change the internal representation of the key, and propagate to replicas",
    ],
    run: pfcount,
    ..Command::BASE
};

pub(super) const PFMERGE: Command = Command {
    name: "PFMERGE",
    arguments: "sourcekey required",
    syntax: "destkey [sourcekey [sourcekey ...]]",
    summary: "Merges HyperLogLogs into one.",
    since: "2.8.9",
    complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
    group: Group::HyperLogLog,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::TargetAndRest(
        Access::RW.with(Access::ACCESS).with(Access::INSERT),
        Access::RO.with(Access::ACCESS),
    ),
    run: pfmerge,
    ..Command::BASE
};

/// Up to which size a value stays sparse.
pub(super) fn limit_bytes(ctx: &Context<'_>) -> usize {
    usize::try_from(ctx.settings.hll_sparse_max_bytes).unwrap_or(usize::MAX)
}

fn pfadd(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let limit = limit_bytes(ctx);
    let (mut value, is_new) = match ctx.view.string_to_change(key)?.map(checked).transpose()? {
        Some((_, Encoding::Dense)) => return add_to_dense(ctx, key, &args),
        Some((bytes, Encoding::Sparse)) => (bytes.to_vec(), false),
        None => (hyperloglog::empty(), true),
    };
    let mut changes = usize::from(is_new);
    for element in args.rest() {
        changes += usize::from(hyperloglog::put(&mut value, Mark::of(element), limit)?);
    }
    if changes > 0 {
        hyperloglog::forget_count(&mut value);
        store(ctx, key, value)?;
        ctx.effect_on(key, EventClass::String, "pfadd", changes);
    }
    Ok(Reply::flag(changes > 0))
}

/// A dense value is changed where it is.
fn add_to_dense(ctx: &mut Context<'_>, key: Key<'_>, args: &Args<'_>) -> Outcome {
    let changes = ctx.view.edit_string(key, 0, |value| {
        let raised = |element: &[u8]| usize::from(dense::put(&mut value[HEADER_BYTES..], Mark::of(element)));
        let changes: usize = args.rest().map(raised).sum();
        if changes > 0 {
            hyperloglog::forget_count(value);
        }
        changes
    })?;
    if changes > 0 {
        ctx.effect_on(key, EventClass::String, "pfadd", changes);
    }
    Ok(Reply::flag(changes > 0))
}

fn pfcount(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let keys = args.remaining();
    let key = args.key();
    if keys > 1 {
        let mut all = Registers::new();
        merge(ctx, key, &mut all)?;
        while args.remaining() > 0 {
            let key = args.key();
            merge(ctx, key, &mut all)?;
        }
        return Ok(Reply::Int(all.count() as i64));
    }
    let Some((value, _)) = ctx.view.string(key)?.map(checked).transpose()? else {
        return Ok(Reply::Int(0));
    };
    let count = match hyperloglog::cached_count(value) {
        Some(count) => count,
        None => {
            let count = hyperloglog::count(value)?;
            ctx.view.edit_string(key, 0, |value| hyperloglog::cache_count(value, count))?;
            // A change of the value, of which nobody is notified.
            ctx.view.changed(key);
            count
        }
    };
    Ok(Reply::Int(count as i64))
}

/// Merges a key's registers, and says how they are stored. A key that is not there has seen nothing.
fn merge(ctx: &mut Context<'_>, key: Key<'_>, all: &mut Registers) -> Result<Option<Encoding>, CommandError> {
    match ctx.view.string(key)?.map(checked).transpose()? {
        None => Ok(None),
        Some((value, encoding)) => {
            all.merge(value)?;
            Ok(Some(encoding))
        }
    }
}

fn pfmerge(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let destination = args.key();
    let mut all = Registers::new();
    let mut any_dense = merge(ctx, destination, &mut all)? == Some(Encoding::Dense);
    while args.remaining() > 0 {
        let key = args.key();
        any_dense |= merge(ctx, key, &mut all)? == Some(Encoding::Dense);
    }
    let into = if any_dense { Encoding::Dense } else { Encoding::Sparse };
    let limit = limit_bytes(ctx);
    let before = ctx.view.string_to_change(destination)?.map(checked).transpose()?;
    let merged = hyperloglog::merged(before.map(|(bytes, _)| bytes), &all, into, limit)?;
    store(ctx, destination, merged)?;
    ctx.effect(destination, EventClass::String, "pfadd");
    reply::OK
}
