//! One unit of work: lock the declared keys, run the handler, hand its effects on, serve who waits.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::command::context::Replay;
use crate::command::reply::Work;
use crate::command::{Args, Command, CommandError, Context, Flags, Reply, Session};
use crate::config::Settings;
use crate::observe::{Counter, Stage, WorkerStats};
use crate::resp::Encoder;
use crate::store::{KeyHash, Moment, View};

use super::blocked::{self, Parked};
use super::shared::Engine;
use super::{log, notify, tracking};

/// What a worker lends to a unit of work.
pub struct Scope<'a> {
    /// What all workers share.
    pub engine: &'a Engine,
    /// The worker's own counters.
    pub stats: &'a WorkerStats,
    /// The settings of the batch.
    pub settings: &'a Arc<Settings>,
    /// Time and policy of the unit.
    pub moment: Moment,
    /// The unit runs with the whole keyspace held.
    pub whole: bool,
    /// Somebody monitored when the batch began.
    pub monitored: bool,
    /// Memory was over its limit when the command began, and nothing could be evicted.
    pub out_of_memory: bool,
    /// What the unit has waited for locks, nanoseconds: for its trace.
    pub lock_wait_ns: std::cell::Cell<u64>,
}

impl<'a> Scope<'a> {
    /// A unit of a worker like most: it holds its declared keys, nobody monitors, there is memory.
    #[inline(always)]
    pub fn new(engine: &'a Engine, worker: usize, settings: &'a Arc<Settings>, moment: Moment) -> Scope<'a> {
        Scope {
            engine,
            stats: engine.stats.worker(worker),
            settings,
            moment,
            whole: false,
            monitored: false,
            out_of_memory: false,
            lock_wait_ns: std::cell::Cell::new(0),
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub enum Ended {
    /// Its reply is written.
    Replied,
    /// Pushes are written, which are sent in any case.
    Pushed,
    /// It is parked.
    Parked(Parked),
    /// Its reply is written and the connection ends.
    Close,
    /// Its reply follows when this is done.
    Later(Work),
}

/// Locks what a request's keys need.
#[inline]
fn lock(scope: &Scope<'_>, view: &mut View<'_>, row: &Command, args: &Args<'_>) {
    if scope.whole {
        return view.lock_whole();
    }
    if row.flags.has(Flags::CROSS_DATABASE) {
        return lock_across(scope, view, row, args);
    }
    match args.keys() {
        [] => view.lock_none(),
        [only] => view.lock_one(only.hash),
        many => {
            let database = view.database();
            let places: SmallVec<[(usize, KeyHash); 16]> =
                many.iter().map(|key| (database, key.hash)).collect();
            view.lock_many(&places);
        }
    }
}

/// Locks the keys in the current database and in the one that the arguments name.
fn lock_across(scope: &Scope<'_>, view: &mut View<'_>, row: &Command, args: &Args<'_>) {
    let databases = scope.engine.store.databases();
    let other = (row.databases)(args.clone()).map(|other| other.number).filter(|&number| number < databases);
    let places: SmallVec<[(usize, KeyHash); 16]> = [Some(view.database()), other]
        .into_iter()
        .flatten()
        .flat_map(|number| args.keys().iter().map(move |key| (number, key.hash)))
        .collect();
    view.lock_many(&places);
}

/// Makes the context of a unit, with nothing locked. It is large and stays where it is made: handing it over, or
/// the view in it, by value would copy it.
#[inline(always)]
pub fn context<'a>(
    scope: &Scope<'a>,
    session: &'a mut Session,
    out: &'a mut Encoder,
    command: usize,
) -> Context<'a> {
    let collect_events = notify::is_wanted(scope.engine, scope.settings);
    let effects = log::effects(scope.engine);
    let mut ctx = Context {
        view: scope.engine.store.view_unlocked(scope.moment, session.database),
        out,
        session,
        settings: scope.settings,
        server: &*scope.engine.server,
        registry: &scope.engine.registry,
        command,
        in_transaction: false,
        in_script: false,
        out_of_memory: scope.out_of_memory,
        replay: Replay::AsSent,
        collect_replay: effects.is_some(),
        effects,
        events: Vec::new(),
        collect_events,
    };
    ctx.view.set_no_touch(ctx.session.no_touch);
    ctx.view.set_notes_keys(collect_events);
    ctx.view.set_tells_expired(ctx.collect_replay);
    ctx.view.set_tells_stale(true);
    ctx
}

/// Runs one command as a unit of its own. Its reply goes to `out`.
pub fn run<'a>(
    scope: &Scope<'a>,
    session: &'a mut Session,
    out: &'a mut Encoder,
    command: usize,
    args: &Args<'_>,
) -> Ended {
    let row = scope.engine.registry.get(command).row;
    let mut ctx = context(scope, session, out, command);
    lock(scope, &mut ctx.view, row, args);
    let mark = ctx.out.len();
    let outcome = call(&mut ctx, args);
    let ended = settle(scope, &mut ctx, outcome, mark, args);
    if ctx.collect_replay {
        note_only(&mut ctx, args);
    }
    // `finish` in place: a context is large, and handing it over by value copies it.
    if ctx.view.has_ready() || ctx.view.has_stale() {
        finish(scope, ctx);
    } else {
        log::commit(scope.engine, &mut ctx);
        notify::tell(scope.engine, &mut ctx);
        count(scope, &mut ctx.view);
    }
    ended
}

/// Runs a command under the locks of its declared keys although it may want more. `None` when it did: then all
/// of it is undone, and it has to be run with the whole keyspace in hand.
pub fn attempt<'a>(
    scope: &Scope<'a>,
    session: &'a mut Session,
    out: &'a mut Encoder,
    command: usize,
    args: &Args<'_>,
) -> Option<Ended> {
    let row = scope.engine.registry.get(command).row;
    let mut ctx = context(scope, session, out, command);
    lock(scope, &mut ctx.view, row, args);
    ctx.view.begin_trial();
    let mark = ctx.out.len();
    let outcome = call(&mut ctx, args);
    if ctx.view.is_given_up() {
        ctx.view.undo_trial();
        ctx.events.clear();
        if let Some(effects) = &mut ctx.effects {
            effects.clear();
        }
        ctx.out.truncate(mark);
        count(scope, &mut ctx.view);
        return None;
    }
    ctx.view.end_trial();
    let ended = settle(scope, &mut ctx, outcome, mark, args);
    if ctx.collect_replay {
        note_only(&mut ctx, args);
    }
    finish(scope, ctx);
    Some(ended)
}

/// Notes the effects of the unit's only command: it ran in the connection's database of before.
#[cold]
fn note_only(ctx: &mut Context<'_>, args: &Args<'_>) {
    let database = ctx.session.database;
    ctx.note_effects(database, 0, args);
}

/// Calls the handler of the context's command.
#[inline]
pub fn call(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Reply, CommandError> {
    let registered = ctx.registry.get(ctx.command);
    let tracks = ctx.session.tracking.is_some();
    if tracks {
        tracking::begin(ctx, args);
    }
    let own = if registered.parent.is_some() { args.clone().of_subcommand() } else { args.clone() };
    let outcome = (registered.row.run)(ctx, own);
    if tracks {
        tracking::remember(ctx, args);
    }
    outcome
}

/// Writes what the handler answered, or parks the client.
#[inline]
fn settle(
    scope: &Scope<'_>,
    ctx: &mut Context<'_>,
    outcome: Result<Reply, CommandError>,
    mark: usize,
    args: &Args<'_>,
) -> Ended {
    match outcome {
        Ok(Reply::Sent) => Ended::Replied,
        Ok(Reply::Pushed) => Ended::Pushed,
        // The commonest without the general form's loop.
        Ok(Reply::Ok) => {
            ctx.out.ok();
            Ended::Replied
        }
        Ok(Reply::Int(number)) => {
            ctx.out.int(number);
            Ended::Replied
        }
        Ok(Reply::Nil) => {
            ctx.out.null();
            Ended::Replied
        }
        Ok(Reply::Park(park)) => Ended::Parked(blocked::park(ctx, *park, args)),
        Ok(Reply::ParkAs(park)) => Ended::Parked(blocked::park_as(ctx, *park, args)),
        Ok(Reply::Until(until)) => Ended::Parked(blocked::park_until(ctx, *until)),
        Ok(Reply::Later(work)) => Ended::Later(work),
        Ok(Reply::Close(reply)) => {
            reply.write(ctx.out);
            Ended::Close
        }
        Ok(reply) => {
            reply.write(ctx.out);
            Ended::Replied
        }
        Err(error) => {
            ctx.out.truncate(mark);
            failed(scope, ctx, &error);
            Ended::Replied
        }
    }
}

/// Writes and counts an error of a handler.
#[cold]
pub fn failed(scope: &Scope<'_>, ctx: &mut Context<'_>, error: &CommandError) {
    let text = error.text();
    ctx.out.error(&text);
    scope.stats.failed(ctx.command);
    scope.stats.error(&text);
}

/// The end of a unit: serves who waits for what changed, then counts and lets go of the locks.
#[cold]
pub fn finish(scope: &Scope<'_>, mut ctx: Context<'_>) {
    let mut ready = ctx.view.take_ready();
    // What the unit's client has done itself, before what is done for those whom it woke.
    tracking::tell(scope.engine, &mut ctx);
    if !ready.is_empty() {
        // As in Redis, who waits is served by the time of now: what the unit set to expire may have expired.
        ctx.view.renew(scope.engine.clock.unix_ms());
        ready = blocked::serve_held(scope, &mut ctx, ready);
    }
    log::commit(scope.engine, &mut ctx);
    notify::tell(scope.engine, &mut ctx);
    tracking::tell_of_others(scope.engine, &mut ctx);
    count(scope, &mut ctx.view);
    if !ready.is_empty() {
        let client = Arc::clone(&ctx.session.client);
        drop(ctx);
        blocked::serve_later(scope, &client, ready);
    }
}

/// Adds what a view did to the counters.
#[inline]
pub fn count(scope: &Scope<'_>, view: &mut View<'_>) {
    let tally = std::mem::take(&mut view.tally);
    if tally.hits > 0 {
        scope.stats.add(Counter::KeyspaceHits, u64::from(tally.hits));
    }
    if tally.misses > 0 {
        scope.stats.add(Counter::KeyspaceMisses, u64::from(tally.misses));
    }
    if tally.expired > 0 {
        scope.stats.add(Counter::ExpiredKeys, u64::from(tally.expired));
        view.take_expired();
    }
    if tally.lock_waits > 0 {
        scope.stats.stage(Stage::LockWait, tally.lock_wait_ns);
        scope.lock_wait_ns.set(scope.lock_wait_ns.get() + tally.lock_wait_ns);
    }
    if tally.changes > 0 {
        scope.stats.add(Counter::Changes, tally.changes);
    }
}
