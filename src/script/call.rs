//! `redis.call` and `redis.pcall`: from a script's arguments to a command, and from its reply to Lua values.

use std::cell::RefCell;

use mlua::{Lua, MultiValue, Value};

use crate::command::context::Replay;
use crate::command::row::Flags;
use crate::command::{Args, CommandError, Context, KeyAt, Reply, keys, rights};
use crate::resp::{Encoder, Protocol, Span};

use super::convert;
use super::current;
use super::fault::Raised;
use super::running::Watch;

/// Buffers that one call leaves to the next.
#[derive(Default)]
struct Scratch {
    words: Vec<u8>,
    spans: Vec<Span>,
    keys: Vec<KeyAt>,
    reply: Vec<u8>,
}

/// What of a large reply's buffer is kept for the next call.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs a command for a script. The error is what `redis.call` raises and `redis.pcall` returns.
pub(super) fn call(lua: &Lua, watch: &Watch, arguments: &MultiValue) -> mlua::Result<Result<Value, Raised>> {
    let mut scratch = SCRATCH.take();
    let result = call_with(lua, watch, arguments, &mut scratch);
    if scratch.reply.capacity() + scratch.words.capacity() > KEPT_BYTES {
        scratch = Scratch::default();
    }
    SCRATCH.set(scratch);
    result
}

fn call_with(
    lua: &Lua,
    watch: &Watch,
    arguments: &MultiValue,
    scratch: &mut Scratch,
) -> mlua::Result<Result<Value, Raised>> {
    if arguments.is_empty() {
        return Ok(Err(Raised::new(b"Please specify at least one argument for this redis lib call")));
    }
    scratch.words.clear();
    scratch.spans.clear();
    for argument in arguments {
        let start = scratch.words.len();
        match argument {
            Value::String(text) => scratch.words.extend_from_slice(&text.as_bytes()),
            Value::Integer(number) => {
                scratch.words.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Value::Number(number) => scratch.words.extend_from_slice(convert::number(*number).as_bytes()),
            _ => {
                let text = b"Lua redis lib command arguments must be strings or integers";
                return Ok(Err(Raised::new(text)));
            }
        }
        scratch.spans.push(Span { start, len: scratch.words.len() - start });
    }
    scratch.reply.clear();
    let protocol = if watch.resp3.get() { Protocol::Resp3 } else { Protocol::Resp2 };
    let mut reply = Encoder::with_buffer(std::mem::take(&mut scratch.reply), protocol);
    let done = current::with(|ctx| perform(ctx, watch, scratch, &mut reply));
    scratch.reply = reply.into_vec();
    match done {
        None => Ok(Err(Raised::new(b"redis.call/pcall can only be called inside a script invocation"))),
        Some(Err(raised)) => Ok(Err(raised)),
        Some(Ok(())) => convert::to_lua(lua, &scratch.reply),
    }
}

fn refused(ctx: &Context<'_>, text: &'static str) -> Raised {
    ctx.server.stats().worker(ctx.session.client.worker).error(text);
    Raised { text: text.as_bytes().to_vec(), counted: true }
}

/// Finds the command, asks whether a script may call it now, and runs it.
fn perform(
    ctx: &mut Context<'_>,
    watch: &Watch,
    scratch: &mut Scratch,
    reply: &mut Encoder,
) -> Result<(), Raised> {
    let args = Args::new(&scratch.words, &scratch.spans, &[]);
    let second = if args.len() > 1 { Some(args.get(1)) } else { None };
    let registry = ctx.registry;
    let Some(index) = registry.resolve(args.get(0), second) else {
        return Err(refused(ctx, "ERR Unknown Redis command called from script"));
    };
    let registered = registry.get(index);
    if !registered.children.is_empty() && args.len() > 1 {
        return Err(refused(ctx, "ERR Unknown Redis command called from script"));
    }
    if !registered.accepts(args.len()) {
        return Err(refused(ctx, "ERR Wrong number of args calling Redis command from script"));
    }
    let flags = registered.row.flags;
    if flags.has(Flags::NOSCRIPT) {
        return Err(refused(ctx, "ERR This Redis command is not allowed from script"));
    }
    if let Err(text) = rights::check_script(ctx, index, &args) {
        return Err(refused(ctx, text));
    }
    if watch.read_only.get() && flags.any(Flags::WRITE | Flags::MAY_REPLICATE) {
        return Err(refused(ctx, "ERR Write commands are not allowed from read-only scripts."));
    }
    scratch.keys.clear();
    let found = &mut scratch.keys;
    keys::each(
        registered.row.keys,
        args.len(),
        |at| args.get(at),
        |at, _| found.push(KeyAt { arg: at as u32, hash: ctx.view.key(args.get(at)).hash }),
    );
    if flags.has(Flags::WRITE) {
        watch.note_write();
    }
    let args = Args::new(&scratch.words, &scratch.spans, &scratch.keys);
    run(ctx, index, args, reply)
}

/// Runs a command in the script's unit of work, its reply going to `reply`.
fn run(ctx: &mut Context<'_>, index: usize, args: Args<'_>, reply: &mut Encoder) -> Result<(), Raised> {
    let registered = ctx.registry.get(index);
    let stats = ctx.server.stats().worker(ctx.session.client.worker);
    let (script, in_transaction) = (ctx.command, ctx.in_transaction);
    let (changes, outer) = (ctx.view.tally.changes, std::mem::take(&mut ctx.replay));
    ctx.command = index;
    ctx.in_transaction = true;
    ctx.in_script = true;
    let began = ctx.server.clock().stamp();
    std::mem::swap(ctx.out, reply);
    let all = args.clone();
    let args = if registered.parent.is_some() { args.of_subcommand() } else { args };
    let outcome = (registered.row.run)(ctx, args);
    std::mem::swap(ctx.out, reply);
    stats.record(index, ctx.server.clock().stamp().saturating_sub(began));
    stats.incr(crate::observe::Counter::CommandsProcessed);
    ctx.command = script;
    ctx.in_transaction = in_transaction;
    ctx.in_script = false;
    let database = ctx.session.database;
    ctx.view.select(database);
    ctx.view.release_touched();
    let own = std::mem::replace(&mut ctx.replay, outer);
    if ctx.collect_replay && ctx.view.tally.changes > changes {
        repeat(ctx, own, &all);
    }
    match outcome {
        Ok(Reply::Park(park)) => park.on_timeout.write(reply),
        Ok(Reply::Later(_)) => {
            return Err(Raised {
                text: b"ERR This Redis command is not allowed from script".to_vec(),
                counted: false,
            });
        }
        Ok(other) => other.write(reply),
        Err(error) => return Err(failed(stats, index, &error)),
    }
    Ok(())
}

fn failed(stats: &crate::observe::WorkerStats, index: usize, error: &CommandError) -> Raised {
    let text = error.text();
    stats.failed(index);
    stats.error(&text);
    Raised { text: text.as_bytes().to_vec(), counted: true }
}

/// A script is repeated as what its commands have done.
fn repeat(ctx: &mut Context<'_>, own: Replay, args: &Args<'_>) {
    let mut commands = match own {
        Replay::Nothing => return,
        Replay::Instead(commands) => commands,
        Replay::AsSent => vec![args.all().map(<[u8]>::to_vec).collect()],
    };
    match &mut ctx.replay {
        Replay::Instead(all) => all.append(&mut commands),
        other => *other = Replay::Instead(commands),
    }
}
