//! `redis.call` and `redis.pcall`: from a script's arguments to a command, and from its reply to Lua values.

use std::cell::RefCell;

use mlua::{Lua, MultiValue, Value};

use crate::command::context::Replay;
use crate::command::error::NOREPLICAS;
use crate::command::observed::{Call, notable_ns};
use crate::command::row::Flags;
use crate::command::{Args, CommandError, Context, KeyAt, Reply, keys, rights, tracking};
use crate::observe::trace::parts::{self, Part};
use crate::resp::{Encoder, Protocol, Span};
use crate::store::Key;

use super::convert;
use super::current;
use super::fault::Raised;
use super::running::Watch;
use super::sandbox::give;

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
        Some(Ok(())) => give(lua, scratch.reply.len(), || convert::to_lua(lua, &scratch.reply)),
    }
}

/// A call that is refused before it runs, of a command that there may be.
fn refused(index: Option<usize>, text: &str) -> Raised {
    note(Count::Error(text.into()));
    if let Some(index) = index {
        note(Count::Rejected(index));
    }
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
        return Err(refused(None, "ERR Unknown Redis command called from script"));
    };
    let registered = registry.get(index);
    if !registered.children.is_empty() && args.len() > 1 {
        return Err(refused(None, "ERR Unknown Redis command called from script"));
    }
    if !registered.accepts(args.len()) {
        return Err(refused(Some(index), "ERR Wrong number of args calling Redis command from script"));
    }
    let flags = registered.row.flags;
    if flags.has(Flags::NOSCRIPT) && ctx.server.scripts().denies_commands() {
        return Err(refused(Some(index), "ERR This Redis command is not allowed from script"));
    }
    if let Some(denied) = rights::denial(ctx, index, &args) {
        // What is logged cannot be undone, and would be logged once more.
        if ctx.view.is_on_trial() {
            return Err(give_up(ctx));
        }
        return Err(refused(Some(index), rights::refuse_script(ctx, index, &args, denied)));
    }
    if watch.read_only.get() && flags.any(Flags::WRITE | Flags::MAY_REPLICATE) {
        return Err(refused(Some(index), "ERR Write commands are not allowed from read-only scripts."));
    }
    // In the middle of its writes a script is not stopped.
    if flags.has(Flags::WRITE) && !watch.wrote.get() {
        if let Some(why) = ctx.server.denies_writes() {
            return Err(refused(Some(index), &why.text()));
        }
        if ctx.server.replication().is_lacking() {
            return Err(refused(Some(index), NOREPLICAS));
        }
    }
    if ctx.out_of_memory && flags.has(Flags::DENYOOM) && !watch.wrote.get() && !watch.allow_oom.get() {
        return Err(refused(Some(index), "OOM command not allowed when used memory > 'maxmemory'."));
    }
    scratch.keys.clear();
    let found = &mut scratch.keys;
    keys::each(
        registered.row.keys,
        args.len(),
        |at| args.get(at),
        |at, _| found.push(KeyAt { arg: at as u32, hash: ctx.view.key(args.get(at)).hash }),
    );
    let args = Args::new(&scratch.words, &scratch.spans, &scratch.keys);
    if ctx.view.is_on_trial() && !fits(ctx, index, &args) {
        return Err(give_up(ctx));
    }
    if flags.has(Flags::WRITE) {
        watch.note_write();
    }
    run(ctx, index, args, reply)
}

/// Whether a command keeps to what a script on trial has locked, and can be undone.
fn fits(ctx: &mut Context<'_>, index: usize, args: &Args<'_>) -> bool {
    const ELSEWHERE: Flags = Flags::CROSS_DATABASE.with(Flags::WANDERS).with(Flags::PUBSUB);
    let flags = ctx.registry.get(index).row.flags;
    // What monitors are shown cannot be taken back.
    if ctx.server.pubsub().monitors().count() > 0 {
        return false;
    }
    if ctx.view.is_given_up() || flags.any(ELSEWHERE) || ctx.registry.is_whole(index, args) {
        return false;
    }
    if args.keys().is_empty() {
        return flags.has(Flags::HARMLESS);
    }
    let writes = flags.any(Flags::WRITE.with(Flags::MAY_REPLICATE));
    args.keys().iter().all(|key| {
        ctx.view.covers(key.hash)
            && !(writes && ctx.view.is_heavy(Key { bytes: args.get(key.arg as usize), hash: key.hash }))
    })
}

/// The script is run again with the whole keyspace in hand. What it does until it ends does not count.
fn give_up(ctx: &mut Context<'_>) -> Raised {
    ctx.view.give_up();
    Raised { text: b"ERR the script is run again".to_vec(), counted: true }
}

/// Before something that cannot be undone: a script on trial is given up.
pub(super) fn give_up_trial() -> Option<Raised> {
    current::with(|ctx| ctx.view.is_on_trial().then(|| give_up(ctx)))?
}

/// What a script's commands add to the counters once it is known to stay.
enum Count {
    Ran(usize, u64),
    Failed(usize),
    Rejected(usize),
    Error(Box<str>),
}

thread_local! {
    static COUNTS: RefCell<Vec<Count>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a count. True when many are kept.
fn note(count: Count) -> bool {
    COUNTS.with_borrow_mut(|counts| {
        counts.push(count);
        counts.len() >= MANY_COUNTS
    })
}

const MANY_COUNTS: usize = 256;

/// Counts what the script's commands came to, unless it is undone.
pub(super) fn settle_counts(ctx: &Context<'_>) {
    let stats = ctx.server.stats().worker(ctx.session.client.worker);
    let undone = ctx.view.is_given_up();
    COUNTS.with_borrow_mut(|counts| {
        for count in counts.drain(..).filter(|_| !undone) {
            match count {
                Count::Ran(index, nanos) => {
                    stats.record(index, nanos);
                    stats.incr(crate::observe::Counter::CommandsProcessed);
                }
                Count::Failed(index) => stats.failed(index),
                Count::Rejected(index) => stats.rejected(index),
                Count::Error(text) => stats.error(&text),
            }
        }
    });
}

/// Runs a command in the script's unit of work, its reply going to `reply`.
fn run(ctx: &mut Context<'_>, index: usize, args: Args<'_>, reply: &mut Encoder) -> Result<(), Raised> {
    let registered = ctx.registry.get(index);
    let (script, in_transaction) = (ctx.command, ctx.in_transaction);
    let (changes, outer) = (ctx.view.tally.changes, std::mem::take(&mut ctx.replay));
    let before = ctx.view.database();
    ctx.command = index;
    ctx.in_transaction = true;
    ctx.in_script = true;
    let began = ctx.server.clock().stamp();
    std::mem::swap(ctx.out, reply);
    let all = args.clone();
    let args = if registered.parent.is_some() { args.of_subcommand() } else { args };
    let outcome = (registered.row.run)(ctx, args);
    if ctx.session.tracking.is_some() && registered.row.flags.has(Flags::READONLY) {
        tracking::remember_call(ctx, &all);
    }
    std::mem::swap(ctx.out, reply);
    let took_ns = ctx.server.clock().stamp().saturating_sub(began);
    let many = note(Count::Ran(index, took_ns));
    if many && !ctx.view.is_on_trial() {
        settle_counts(ctx);
    }
    if ctx.server.pubsub().monitors().count() > 0 || took_ns >= notable_ns(ctx.settings) {
        observe(ctx, index, &all, took_ns);
    }
    if parts::is_on() {
        let error = outcome.as_ref().err().map(|error| error.text().into_owned());
        parts::note(Part { name: registered.full_name, began, nanos: took_ns, error });
    }
    ctx.command = script;
    ctx.in_transaction = in_transaction;
    ctx.in_script = false;
    let database = ctx.session.database;
    ctx.view.select(database);
    ctx.view.release_touched();
    if ctx.collect_replay {
        ctx.note_effects(before, changes, &all);
        // A script is repeated as what its commands have done.
        ctx.replay = Replay::Nothing;
    } else {
        ctx.replay = outer;
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
        Err(error) => return Err(failed(index, &error)),
    }
    Ok(())
}

/// Shows a script's call to the monitors and notes it if it was slow.
#[cold]
fn observe(ctx: &Context<'_>, index: usize, args: &Args<'_>, took_ns: u64) {
    let (server, settings) = (ctx.server, ctx.settings);
    let call = Call { row: ctx.registry.get(index).row, args, client: &ctx.session.client, by_script: true };
    if server.pubsub().monitors().count() > 0 {
        call.show(server.pubsub(), server.clock(), settings, ctx.session.database);
    }
    if took_ns >= notable_ns(settings) {
        call.note(server.stats(), settings, server.clock().unix_ms(), took_ns, 0);
    }
}

fn failed(index: usize, error: &CommandError) -> Raised {
    let text = error.text();
    note(Count::Failed(index));
    note(Count::Error(text.as_ref().into()));
    Raised { text: text.as_bytes().to_vec(), counted: true }
}
