//! XGROUP: groups and their consumers come, move and go.

use crate::command::context::{EventClass, help, unknown_subcommand};
use crate::command::error::wrong_usage;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::store::{Key, Object};

use super::{HELP_ROW, ROW, deliver, ids, no_group, quietly};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "XGROUP",
    syntax: "",
    summary: "A container for commands on consumer groups.",
    complexity: "Depends on subcommand.",
    run: unknown_subcommand,
    subcommands: SUBCOMMANDS,
    ..ROW
}];

const INSERTS: Keys = Keys::Second(Access::RW.with(Access::INSERT));
const DELETES: Keys = Keys::Second(Access::RW.with(Access::DELETE));

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "CREATE",
        arguments: "group =groupname; id_$ =id; $ =new_id; entries-read =entries_read",
        history: &[("7.0.0", "Added the `entries_read` named argument.")],
        syntax: "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
        summary: "Makes a consumer group.",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: INSERTS,
        run: create,
        ..ROW
    },
    Command {
        name: "CREATECONSUMER",
        arguments: "group =groupname; consumer =consumername",
        syntax: "key group consumer",
        summary: "Makes a consumer in a group.",
        since: "6.2.0",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: INSERTS,
        run: create_consumer,
        ..ROW
    },
    Command {
        name: "DELCONSUMER",
        arguments: "group =groupname; consumer =consumername",
        syntax: "key group consumer",
        summary: "Removes a consumer with what it has pending.",
        flags: Flags::WRITE,
        keys: DELETES,
        run: remove_consumer,
        ..ROW
    },
    Command {
        name: "DESTROY",
        arguments: "group =groupname",
        syntax: "key group",
        summary: "Removes a consumer group.",
        complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        flags: Flags::WRITE,
        keys: DELETES,
        run: destroy,
        ..ROW
    },
    Command { run: show_help, ..HELP_ROW },
    Command {
        name: "SETID",
        arguments: "group =groupname; id_$ =id; $ =new_id; entries-read =entries_read",
        history: &[("7.0.0", "Added the optional `entries_read` argument.")],
        syntax: "key group <id | $> [ENTRIESREAD entries-read]",
        summary: "Sets the last ID that a group was delivered.",
        flags: Flags::WRITE,
        keys: Keys::Second(Access::RW.with(Access::UPDATE)),
        run: set_id,
        ..ROW
    },
];

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "XGROUP",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    )
}

const NO_KEY: CommandError = CommandError::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
     MKSTREAM option to create an empty stream automatically.",
);

/// CREATE's and SETID's options.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn read(args: &mut Args<'_>, creates: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while args.remaining() > 0 {
            if creates && args.keyword("MKSTREAM") {
                options.make_stream = true;
            } else if args.remaining() > 1 && args.keyword("ENTRIESREAD") {
                let read = args.int();
                args.check()?;
                if read < -1 {
                    return Err(CommandError::fixed("ERR value for ENTRIESREAD must be positive or -1"));
                }
                options.entries_read = Some(read).filter(|&read| read >= 0);
            } else {
                return Err(wrong_usage("XGROUP", args.get(1)));
            }
        }
        Ok(options)
    }
}

/// A subcommand's stream, which must be there.
fn stream<'a>(ctx: &'a mut Context<'_>, key: Key<'_>) -> Result<&'a mut Stream, CommandError> {
    ctx.view.get_mut::<Stream>(key)?.ok_or(NO_KEY)
}

fn create(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    /// The most arguments that mean something.
    const MOST: usize = 8;
    let (key, name) = (args.key(), args.bytes());
    let mut id = args.clone();
    args.bytes();
    let options = Options::read(&mut args, true)?;
    let last = ctx.view.get_mut::<Stream>(key)?.map(|stream| stream.log().last_id());
    if last.is_none() && !options.make_stream {
        return Err(NO_KEY);
    }
    if args.len() > MOST {
        return Err(wrong_usage("XGROUP", args.get(1)));
    }
    let id = if id.keyword("$") { last.unwrap_or_default() } else { ids::read(&mut id)? };
    let made = ctx.view.get_or_create::<Stream>(key)?.create_group(name, id, options.entries_read);
    if !made {
        return Err(CommandError::fixed("BUSYGROUP Consumer Group name already exists"));
    }
    if last.is_none() {
        ctx.effect(key, EventClass::Stream, "xgroup-create");
    } else {
        quietly(ctx, key, "xgroup-create");
    }
    Ok(Reply::Ok)
}

fn set_id(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    /// Without ENTRIESREAD, and with it.
    const ARGUMENTS: [usize; 2] = [5, 7];
    let (key, name) = (args.key(), args.bytes());
    let mut id = args.clone();
    args.bytes();
    let options = Options::read(&mut args, false)?;
    let stream = stream(ctx, key)?;
    let (log, group) = stream.group_mut(name).ok_or_else(|| no_group(key, name))?;
    if !ARGUMENTS.contains(&args.len()) {
        return Err(wrong_usage("XGROUP", args.get(1)));
    }
    let id = if id.keyword("$") { log.last_id() } else { ids::read_loose(&mut id)? };
    (group.last_id, group.entries_read) = (id, options.entries_read);
    quietly(ctx, key, "xgroup-setid");
    Ok(Reply::Ok)
}

fn destroy(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(), args.bytes());
    let Some(group) = stream(ctx, key)?.destroy_group(name) else { return Ok(Reply::Int(0)) };
    quietly(ctx, key, "xgroup-destroy");
    // Its readers wait for nothing any more.
    ctx.view.wake(key);
    if group.weight() > 0 {
        ctx.view.discard(Object::Stream(group));
    }
    Ok(Reply::Int(1))
}

fn create_consumer(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key(), args.bytes(), args.bytes());
    let now_ms = ctx.now_ms();
    let (_, group) = stream(ctx, key)?.group_mut(name).ok_or_else(|| no_group(key, name))?;
    let made = group.create_consumer(consumer, now_ms).is_some();
    if made {
        deliver::created(ctx, key);
    }
    Ok(Reply::flag(made))
}

fn remove_consumer(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key(), args.bytes(), args.bytes());
    let (_, group) = stream(ctx, key)?.group_mut(name).ok_or_else(|| no_group(key, name))?;
    let Some(pending) = group.remove_consumer(consumer) else { return Ok(Reply::Int(0)) };
    quietly(ctx, key, "xgroup-delconsumer");
    Ok(Reply::Int(pending as i64))
}
