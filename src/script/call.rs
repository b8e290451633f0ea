//! `redis.call` and `redis.pcall`: from a script's arguments to a command, and from its reply to Lua values.

use std::cell::RefCell;

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

/// Buffers that one call leaves to the next.
#[derive(Default)]
pub(super) struct Scratch {
    words: Vec<u8>,
    spans: Vec<Span>,
    keys: Vec<KeyAt>,
    reply: Vec<u8>,
}

impl Scratch {
    /// Adds a word of the command.
    pub(super) fn word(&mut self, bytes: &[u8]) {
        self.spans.push(Span { start: self.words.len(), len: bytes.len() });
        self.words.extend_from_slice(bytes);
    }

    /// The same for a number, as C's `%.17g` writes it.
    pub(super) fn number(&mut self, number: f64) {
        let is_plain =
            number.fract() == 0.0 && number.abs() < 1e17 && (number != 0.0 || number.is_sign_positive());
        if is_plain {
            self.word(itoa::Buffer::new().format(number as i64).as_bytes());
        } else {
            self.word(convert::number(number).as_bytes());
        }
    }
}

/// What of the buffers is kept for the next call.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What a call came to. Its bytes lie in this thread's buffers, where they stay as they are until the next call.
#[derive(Clone, Copy)]
pub(super) enum Came {
    /// A reply of the encoder, which is no error.
    Reply(*const [u8]),
    /// The words of an error, and whether the command that failed has counted it: what `redis.call` raises and
    /// `redis.pcall` returns.
    Error(*const [u8], bool),
}

/// Runs a command for a script. `gather` adds its words.
pub(super) fn call(watch: &Watch, gather: impl FnOnce(&mut Scratch) -> Result<(), Raised>) -> Came {
    let mut scratch = SCRATCH.take();
    if scratch.reply.capacity() + scratch.words.capacity() > KEPT_BYTES {
        scratch = Scratch::default();
    }
    scratch.words.clear();
    scratch.spans.clear();
    scratch.reply.clear();
    let error = match gather(&mut scratch) {
        Ok(()) => call_with(watch, &mut scratch).err(),
        Err(raised) => Some(raised),
    };
    let error = error.or_else(|| answered_error(&scratch.reply));
    let came = match error {
        None => Came::Reply(&raw const *scratch.reply),
        Some(raised) => {
            scratch.reply.clear();
            scratch.reply.extend_from_slice(&raised.text);
            Came::Error(&raw const *scratch.reply, raised.counted)
        }
    };
    // The buffer's bytes do not move with their owner.
    SCRATCH.set(scratch);
    came
}

fn call_with(watch: &Watch, scratch: &mut Scratch) -> Result<(), Raised> {
    if scratch.spans.is_empty() {
        return Err(Raised::new(b"Please specify at least one argument for this redis lib call"));
    }
    let protocol = if watch.resp3.get() { Protocol::Resp3 } else { Protocol::Resp2 };
    let mut reply = Encoder::with_buffer(std::mem::take(&mut scratch.reply), protocol);
    let done = current::with(|ctx| perform(ctx, watch, scratch, &mut reply));
    scratch.reply = reply.into_vec();
    done.unwrap_or_else(|| Err(Raised::new(OUTSIDE)))
}

/// What is raised where no script runs.
pub(super) const OUTSIDE: &[u8] = b"redis.call/pcall can only be called inside a script invocation";

/// The error that a command answered as its reply.
fn answered_error(reply: &[u8]) -> Option<Raised> {
    let error = reply.strip_prefix(b"-")?;
    let end = memchr::memchr(b'\r', error).unwrap_or(error.len());
    Some(Raised { text: error[..end].to_vec(), counted: true })
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
