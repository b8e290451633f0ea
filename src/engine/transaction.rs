//! MULTI's queue and EXEC.
//!
//! EXEC locks the union of what its queued commands and its WATCH declare, following SELECT through
//! the queue, looks at the watch flag, and runs the queue as one unit of work. If a queued command
//! needs the whole keyspace, so does the EXEC.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::command::client::ClientFlag;
use crate::command::context::Replay;
use crate::command::observed::{Call, notable_ns};
use crate::command::row::Flags;
use crate::command::session::{Multi, Queued};
use crate::command::{Args, CommandError, Context, KeyAt, Registry, Reply, Session, keys, rights};
use crate::observe::trace::parts::{self, Part};
use crate::observe::{Counter, Refusal};
use crate::resp::Encoder;
use crate::store::{KeyHash, Store};

use super::unit::{self, Scope};
use super::{blocked, notify};

/// Puts a command into the open MULTI's queue; `flags` are the call's own.
pub fn queue(session: &mut Session, command: usize, flags: Flags, args: &Args<'_>) {
    let (request, spans) = blocked::owned(args);
    session.queue(Queued { request, spans, command }, flags);
}

/// Whether an EXEC of this queue needs the whole keyspace.
pub fn needs_whole(session: &Session, registry: &Registry) -> bool {
    session.multi.as_ref().is_some_and(|multi| {
        !multi.refused
            && multi.queue.iter().any(|queued| {
                let row = registry.get(queued.command).row;
                row.flags.any(Flags::WANDERS.with(Flags::TRIES)) || row.is_whole(&queued_args(queued))
            })
    })
}

/// The declared keys of a queued command.
fn keys_of(store: &Store, registry: &Registry, queued: &Queued) -> Vec<KeyAt> {
    let args = Args::new(&queued.request, &queued.spans, &[]);
    let mut found = Vec::new();
    keys::each(
        registry.get(queued.command).row.keys,
        args.len(),
        |index| args.get(index),
        |index, _| {
            found.push(KeyAt { arg: index as u32, hash: store.hash(args.get(index)) });
        },
    );
    found
}

/// Runs EXEC.
pub fn exec(scope: &Scope<'_>, session: &mut Session, out: &mut Encoder, command: usize) {
    let Some(multi) = session.end_multi() else {
        refuse(scope, session, out, command, &CommandError::fixed("ERR EXEC without MULTI"));
        return;
    };
    if multi.refused {
        unwatch(scope, session);
        scope.stats.refused(Refusal::ExecAbort);
        let text = "EXECABORT Transaction discarded because of previous errors.";
        refuse(scope, session, out, command, &CommandError::fixed(text));
        return;
    }
    let (plans, places) = plan(scope, session, &multi);
    let watched = std::mem::take(&mut session.watched);
    let flag = session.watch_flag.take();
    let mut ctx = unit::context(scope, session, out, command);
    if scope.whole {
        ctx.view.lock_whole();
    } else {
        ctx.view.lock_many(&places);
    }
    let before = ctx.view.database();
    for (database, key) in &watched {
        ctx.view.select(*database);
        let key = ctx.view.key(key);
        // Looking at it removes it if it has expired, which raises the flag.
        ctx.view.exists(key);
        if let Some(flag) = &flag {
            ctx.view.unwatch(key, flag);
        }
    }
    ctx.view.select(before);
    ctx.session.note_watched();
    let mark = ctx.out.len();
    if flag.is_some_and(|flag| flag.is_raised()) {
        ctx.out.null_array();
        silence(&mut ctx, mark);
    } else {
        ctx.out.array(multi.queue.len());
        silence(&mut ctx, mark);
        ctx.session.show_multi(Some(multi.queue.len()));
        let traced = parts::is_on();
        if traced {
            parts::note_queue(multi.queue.len());
        }
        let seen_from_ns = if traced || scope.monitored { 0 } else { notable_ns(scope.settings) };
        for (queued, keys) in multi.queue.iter().zip(&plans) {
            run_queued(scope, &mut ctx, queued, keys, seen_from_ns);
        }
        ctx.session.show_multi(None);
    }
    unit::finish(scope, ctx);
}

/// CLIENT REPLY: takes back what was written since `mark`, if the client does not want to hear it.
fn silence(ctx: &mut Context<'_>, mark: usize) {
    if ctx.session.reply_mode.is_silent() {
        ctx.out.truncate(mark);
    }
}

type Places = SmallVec<[(usize, KeyHash); 16]>;

/// What the queue will touch: each command's keys, and the union of their places with the watched ones.
fn plan(scope: &Scope<'_>, session: &Session, multi: &Multi) -> (Vec<Vec<KeyAt>>, Places) {
    let (store, registry) = (&scope.engine.store, &scope.engine.registry);
    let mut places: Places =
        session.watched.iter().map(|(database, key)| (*database, store.hash(key))).collect();
    let mut database = session.database;
    let mut plans = Vec::with_capacity(multi.queue.len());
    for queued in &multi.queue {
        let keys = keys_of(store, registry, queued);
        places.extend(keys.iter().map(|key| (database, key.hash)));
        let row = registry.get(queued.command).row;
        if let Some(other) = (row.databases)(queued_args(queued)) {
            // Commands that name a second database (COPY, MOVE) may touch their keys there.
            places.extend(
                keys.iter().filter(|_| other.number < store.databases()).map(|key| (other.number, key.hash)),
            );
            if other.selects && other.number < store.databases() {
                database = other.number;
            }
        }
        plans.push(keys);
    }
    (plans, places)
}

fn queued_args(queued: &Queued) -> Args<'_> {
    Args::new(&queued.request, &queued.spans, &[])
}

/// Runs one queued command inside the unit. If it takes as long as `seen_from_ns` somebody wants to know of it.
fn run_queued(scope: &Scope<'_>, ctx: &mut Context<'_>, queued: &Queued, keys: &[KeyAt], seen_from_ns: u64) {
    let began = scope.engine.clock.stamp();
    ctx.command = queued.command;
    ctx.in_transaction = true;
    ctx.replay = Replay::AsSent;
    let (before, changes) = (ctx.view.database(), ctx.view.tally.changes);
    let args = Args::new(&queued.request, &queued.spans, keys);
    let mark = ctx.out.len();
    // Who has closed itself with CLIENT KILL is told nothing more, though the rest of the queue runs.
    let deaf = ctx.session.client.has(ClientFlag::CloseAfterReply);
    // Rights are asked for once more: they may have changed since the command was queued.
    let outcome = match rights::check_again(ctx, &args) {
        Ok(()) => unit::call(ctx, &args),
        Err(error) => Err(error),
    };
    let mut failure = None;
    match outcome {
        Ok(Reply::Park(park)) => park.on_timeout.write(ctx.out),
        Ok(reply) => reply.write(ctx.out),
        Err(error) => {
            ctx.out.truncate(mark);
            unit::failed(scope, ctx, &error);
            failure = Some(error);
        }
    }
    silence(ctx, mark);
    if deaf {
        ctx.out.truncate(mark);
    }
    if ctx.collect_replay {
        ctx.note_effects(before, changes, &args);
    }
    notify::tell(scope.engine, ctx);
    let database = ctx.session.database;
    ctx.view.select(database);
    ctx.view.release_touched();
    let took_ns = scope.engine.clock.stamp().saturating_sub(began);
    scope.stats.record(queued.command, took_ns);
    scope.stats.incr(Counter::CommandsProcessed);
    let hot_keys = scope.engine.server.hot_keys();
    if hot_keys.is_on() {
        let bytes = ctx.out.len().saturating_sub(mark);
        hot_keys.ran(ctx.session.client.worker, scope.moment.now_ms, &args, took_ns, bytes);
    }
    if took_ns >= seen_from_ns {
        let client = &ctx.session.client;
        if parts::is_on() {
            let name = ctx.registry.get(queued.command).full_name;
            let error = failure.map(|error| error.text().into_owned());
            parts::note(Part { name, began, nanos: took_ns, error });
        }
        let call = Call { row: ctx.registry.get(queued.command).row, args: &args, client, by_script: false };
        observe(scope, call, database, took_ns);
    }
}

/// Shows a queued command to the monitors and notes it if it was slow.
#[cold]
fn observe(scope: &Scope<'_>, call: Call<'_>, database: usize, took_ns: u64) {
    let engine = scope.engine;
    if scope.monitored {
        call.show(engine.server.pubsub(), &engine.clock, scope.settings, database);
    }
    if took_ns >= notable_ns(scope.settings) {
        call.note(&engine.stats, scope.settings, engine.clock.unix_ms(), took_ns, 0);
    }
}

/// EXEC's own error: it has run, and failed.
fn refuse(scope: &Scope<'_>, session: &Session, out: &mut Encoder, command: usize, error: &CommandError) {
    let text = error.text();
    if !session.reply_mode.is_silent() {
        out.error(&text);
    }
    scope.stats.failed(command);
    scope.stats.error(&text);
}

/// What a refused EXEC answers, from the words of the refusal. Redis leaves a plain `ERR` out.
pub fn abort_text(refusal: &str) -> String {
    let reason = refusal.strip_prefix("ERR ").unwrap_or(refusal);
    format!("EXECABORT Transaction discarded because of: {reason}")
}

/// Watches nothing any more: after EXEC or DISCARD, UNWATCH, RESET, and when the connection ends.
pub fn unwatch(scope: &Scope<'_>, session: &mut Session) {
    let watched = std::mem::take(&mut session.watched);
    session.note_watched();
    session.forgets_watches = false;
    let Some(flag) = session.watch_flag.take() else { return };
    unwatch_keys(scope, &watched, &flag);
}

fn unwatch_keys(scope: &Scope<'_>, watched: &[(usize, Box<[u8]>)], flag: &Arc<crate::store::WatchFlag>) {
    let store = &scope.engine.store;
    for (database, key) in watched {
        let hash = store.hash(key);
        store.view_one(scope.moment, *database, hash).unwatch(crate::store::Key { bytes: key, hash }, flag);
    }
}

/// Whether a command runs at once inside MULTI instead of being queued.
pub fn runs_inside_multi(flags: Flags) -> bool {
    flags.has(Flags::TRANSACTION_CONTROL) || flags.has(Flags::EXECUTES_QUEUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::client::{Address, Client};

    #[test]
    fn a_queue_that_walks_over_keys_takes_the_whole_keyspace() {
        let registry = Registry::new();
        for (name, whole) in [("GET", false), ("SCAN", true), ("RANDOMKEY", true), ("DBSIZE", true)] {
            let client = Client::new(1, Address::Internal, Address::Internal, -1, 0, 0);
            let mut session = Session::new(Arc::new(client), true);
            session.begin_multi();
            let command = registry.find(name.as_bytes()).unwrap();
            let flags = registry.get(command).row.flags;
            session.queue(Queued { request: bytes::Bytes::new(), spans: Box::default(), command }, flags);
            assert_eq!(needs_whole(&session, &registry), whole, "{name}");
        }
    }
}
