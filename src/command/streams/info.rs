//! XINFO: what is known of a stream beside its entries.

use crate::command::context::{help, unknown_subcommand};
use crate::command::error::wrong_usage;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::data::stream::{Consumer, Group, Id, Log};
use crate::resp::Encoder;

use super::{HELP_ROW, ROW, no_group, write_entries, write_entry, write_id};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "XINFO",
    syntax: "",
    summary: "A container for commands that look at streams from outside.",
    complexity: "Depends on subcommand.",
    run: unknown_subcommand,
    subcommands: SUBCOMMANDS,
    ..ROW
}];

const LOOK: Command =
    Command { flags: Flags::READONLY, keys: Keys::Second(Access::RO.with(Access::ACCESS)), ..ROW };

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "CONSUMERS",
        arguments: "group =groupname",
        syntax: "key group",
        summary: "Lists the consumers of a group.",
        tips: &["nondeterministic_output"],
        run: consumers,
        ..LOOK
    },
    Command {
        name: "GROUPS",
        history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
        syntax: "key",
        summary: "Lists the consumer groups of a stream.",
        run: groups,
        ..LOOK
    },
    Command { run: show_help, ..HELP_ROW },
    Command {
        name: "STREAM",
        history: &[
            ("6.0.0", "Added the `FULL` modifier."),
            (
                "7.0.0",
                "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
            ),
        ],
        syntax: "key [FULL [COUNT count]]",
        summary: "Shows the counters of a stream, and with FULL its entries and groups.",
        run: stream,
        ..LOOK
    },
];

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "XINFO",
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    )
}

fn named_int(out: &mut Encoder, name: &str, number: i64) {
    out.bulk(name.as_bytes());
    out.int(number);
}

fn named_bulk(out: &mut Encoder, name: &str, bytes: &[u8]) {
    out.bulk(name.as_bytes());
    out.bulk(bytes);
}

fn named_id(out: &mut Encoder, name: &str, id: Id) {
    out.bulk(name.as_bytes());
    write_id(out, id);
}

/// A number that may not be known.
fn named_counter(out: &mut Encoder, name: &str, counter: Option<i64>) {
    out.bulk(name.as_bytes());
    match counter {
        Some(counter) => out.int(counter),
        None => out.null(),
    }
}

fn consumers(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(), args.bytes());
    let now_ms = ctx.now_ms();
    let stream = ctx.view.get::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.group(name).ok_or_else(|| no_group(key, name))?;
    ctx.out.array(group.consumers_len());
    for consumer in group.consumers() {
        ctx.out.map(3);
        named_bulk(ctx.out, "name", consumer.name());
        named_int(ctx.out, "pending", consumer.pending() as i64);
        named_int(ctx.out, "idle", now_ms.saturating_sub(consumer.seen_ms) as i64);
    }
    Ok(Reply::Sent)
}

fn groups(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let stream = ctx.view.get::<Stream>(args.key())?.ok_or(CommandError::NoSuchKey)?;
    ctx.out.array(stream.groups().len());
    for group in stream.groups() {
        ctx.out.map(6);
        named_bulk(ctx.out, "name", group.name());
        named_int(ctx.out, "consumers", group.consumers_len() as i64);
        named_int(ctx.out, "pending", group.pending_len() as i64);
        named_id(ctx.out, "last-delivered-id", group.last_id);
        named_counter(ctx.out, "entries-read", group.entries_read);
        named_counter(ctx.out, "lag", stream.log().lag(group));
    }
    Ok(Reply::Sent)
}

/// Entries of each kind that FULL shows.
const SHOWN: usize = 10;

/// Reads FULL and its COUNT: how many of each kind, 0 for all; nothing without FULL.
fn read_full(args: &mut Args<'_>) -> Result<Option<usize>, CommandError> {
    let bad = wrong_usage("XINFO", args.get(1));
    match args.remaining() {
        0 => return Ok(None),
        1 | 3 if args.keyword("FULL") => {}
        _ => return Err(bad),
    }
    if args.remaining() == 0 {
        return Ok(Some(SHOWN));
    }
    if !args.keyword("COUNT") {
        return Err(bad);
    }
    let count = args.int();
    args.check()?;
    Ok(Some(usize::try_from(count).unwrap_or(SHOWN)))
}

fn stream(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    // Redis finds the key before it reads the options.
    let found = ctx.view.get::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let full = read_full(&mut args)?;
    let (out, log) = (&mut *ctx.out, found.log());
    out.map(if full.is_some() { 9 } else { 10 });
    named_int(out, "length", log.len() as i64);
    named_int(out, "radix-tree-keys", log.nodes() as i64);
    named_int(out, "radix-tree-nodes", log.radix_tree_nodes() as i64);
    named_id(out, "last-generated-id", log.last_id());
    named_id(out, "max-deleted-entry-id", log.max_deleted());
    named_int(out, "entries-added", log.added() as i64);
    named_id(out, "recorded-first-entry-id", log.first_entry());
    match full {
        None => write_ends(out, found),
        Some(count) => {
            out.bulk(b"entries");
            write_entries(out, log.iter(), count);
            out.bulk(b"groups");
            out.array(found.groups().len());
            found.groups().for_each(|group| write_group(out, log, group, count));
        }
    }
    Ok(Reply::Sent)
}

fn write_ends(out: &mut Encoder, stream: &Stream) {
    named_int(out, "groups", stream.groups().len() as i64);
    let first = stream.log().iter().next();
    let last = stream.log().range_down(Id::MIN, Id::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        out.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(out, &entry),
            None => out.null(),
        }
    }
}

/// A group with what it has pending, up to `count` entries of each list; 0 is all.
fn write_group(out: &mut Encoder, log: &Log, group: &Group, count: usize) {
    let count = if count == 0 { usize::MAX } else { count };
    out.map(7);
    named_bulk(out, "name", group.name());
    named_id(out, "last-delivered-id", group.last_id);
    named_counter(out, "entries-read", group.entries_read);
    named_counter(out, "lag", log.lag(group));
    named_int(out, "pel-count", group.pending_len() as i64);
    out.bulk(b"pending");
    out.array(group.pending_len().min(count));
    for (id, pending) in group.pending_from(Id::MIN).take(count) {
        out.array(4);
        write_id(out, id);
        out.bulk(group.consumer(pending.consumer).map_or(&[], Consumer::name));
        out.int(pending.delivered_ms);
        out.int(pending.deliveries as i64);
    }
    out.bulk(b"consumers");
    out.array(group.consumers_len());
    group.consumers().for_each(|consumer| write_consumer(out, group, consumer, count));
}

fn write_consumer(out: &mut Encoder, group: &Group, consumer: &Consumer, count: usize) {
    out.map(4);
    named_bulk(out, "name", consumer.name());
    named_int(out, "seen-time", consumer.seen_ms as i64);
    named_int(out, "pel-count", consumer.pending() as i64);
    out.bulk(b"pending");
    out.array(consumer.pending().min(count));
    for id in consumer.pending_from(Id::MIN).take(count) {
        let (at, deliveries) = group.pending(id).map_or((0, 0), |one| (one.delivered_ms, one.deliveries));
        out.array(3);
        write_id(out, id);
        out.int(at);
        out.int(deliveries as i64);
    }
}
