//! Clients that wait for a key.
//!
//! A handler that finds nothing answers `Reply::Park`. While its keys are still locked the client is
//! queued at each of them. Whoever changes such a key serves the queue at the end of its own unit,
//! before its reply leaves and, where the waiting client needs no further key, before the locks are
//! let go: so waiting clients are served in order, and nobody who has seen the change can overtake
//! them. A client is claimed by one compare-and-swap, because several of its keys may change at once.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::command::client::Client;
use crate::command::observed::{Call, notable_ns};
use crate::command::reply::{Park, ParkAs, Serve, Until};
use crate::command::session::Session;
use crate::command::{Args, Context, KeyAt, Reply};
use crate::config::Settings;
use crate::observe::Counter;
use crate::resp::{Encoder, Protocol, Span};
use crate::store::{Key, KeyHash, Waiter};

use super::shared::Engine;
use super::unit::{self, Scope};

/// A parked client, as its own connection keeps it.
#[derive(Debug)]
pub struct Parked {
    waiter: Arc<Waiter>,
    /// Keys it is queued at, with their database's number.
    keys: Vec<(usize, Box<[u8]>)>,
    /// When the time is up, milliseconds since 1970.
    pub deadline_ms: Option<u64>,
    /// Its command, an index of the registry.
    pub command: usize,
    /// How long the command ran before it parked: what counts if nobody serves it.
    pub ran_ns: u64,
    /// Its client does not want to hear of it (CLIENT REPLY).
    pub silent: bool,
    on_timeout: Reply,
    /// What it waits for, where no key brings it.
    until: Option<Until>,
}

/// What whoever serves the client needs.
struct Errand {
    client: Arc<Client>,
    protocol: Protocol,
    request: Bytes,
    spans: Box<[Span]>,
    keys: Box<[KeyAt]>,
    /// Hashes of the keys that serving needs beside the one that is ready.
    needs: Box<[KeyHash]>,
    command: usize,
    serve: Serve,
    /// The client does not want to hear of it (CLIENT REPLY).
    silent: bool,
    /// The error that it was served with.
    failure: OnceLock<Box<str>>,
}

/// Queues the client at its keys. The unit still holds them.
pub fn park(ctx: &mut Context<'_>, park: Park, args: &Args<'_>) -> Parked {
    park_as(ctx, ParkAs { park, arguments: Vec::new(), hears_of_loss: false }, args)
}

/// As [`park`], for a client that differs from others.
pub fn park_as(ctx: &mut Context<'_>, how: ParkAs, args: &Args<'_>) -> Parked {
    let park = how.park;
    let (request, spans) = replaced(args, &how.arguments);
    let database = ctx.view.database();
    let errand = Errand {
        client: Arc::clone(&ctx.session.client),
        protocol: ctx.out.protocol(),
        request,
        spans,
        keys: args.keys().into(),
        needs: park.needs.iter().filter_map(|&ordinal| args.declared(ordinal)).map(|key| key.hash).collect(),
        command: ctx.command,
        serve: park.serve,
        silent: ctx.session.reply_mode.is_silent(),
        failure: OnceLock::new(),
    };
    let make = if how.hears_of_loss { Waiter::hearing_of_loss } else { Waiter::new };
    let waiter = Arc::new(make(Box::new(errand)));
    let mut keys: Vec<(usize, Box<[u8]>)> = Vec::with_capacity(park.keys.len());
    for key in park.keys.iter().filter_map(|&ordinal| args.declared(ordinal)) {
        if keys.iter().all(|(_, other)| **other != *key.bytes) {
            ctx.view.wait(key, &waiter);
            keys.push((database, key.bytes.into()));
        }
    }
    let deadline_ms = (park.timeout_ms > 0).then(|| ctx.now_ms().saturating_add(park.timeout_ms));
    Parked {
        waiter,
        keys,
        deadline_ms,
        command: ctx.command,
        ran_ns: 0,
        silent: ctx.session.reply_mode.is_silent(),
        on_timeout: park.on_timeout,
        until: None,
    }
}

/// The client waits for what no key brings.
pub fn park_until(ctx: &Context<'_>, until: Until) -> Parked {
    let deadline_ms = (until.timeout_ms > 0).then(|| ctx.now_ms().saturating_add(until.timeout_ms));
    Parked {
        waiter: Arc::new(Waiter::new(Box::new(()))),
        keys: Vec::new(),
        deadline_ms,
        command: ctx.command,
        ran_ns: 0,
        silent: ctx.session.reply_mode.is_silent(),
        on_timeout: Reply::Nothing,
        until: Some(until),
    }
}

/// Copies a request's arguments out of the read buffer.
pub fn owned(args: &Args<'_>) -> (Bytes, Box<[Span]>) {
    replaced(args, &[])
}

/// The same, with others in the place of some.
fn replaced(args: &Args<'_>, others: &[(usize, Vec<u8>)]) -> (Bytes, Box<[Span]>) {
    let mut request = Vec::with_capacity(args.all().map(<[u8]>::len).sum());
    let spans = args
        .all()
        .enumerate()
        .map(|(index, argument)| {
            let other = others.iter().find(|(at, _)| *at == index);
            let argument = other.map_or(argument, |(_, bytes)| bytes);
            let span = Span { start: request.len(), len: argument.len() };
            request.extend_from_slice(argument);
            span
        })
        .collect();
    (Bytes::from(request), spans)
}

/// Serves the clients that wait for these keys, in the order in which the keys became ready, as far as
/// the unit's own locks go. Returns the keys at which somebody must be served under other locks: the
/// first such key and all that come after it, so that the order stays.
pub fn serve_held(
    scope: &Scope<'_>,
    ctx: &mut Context<'_>,
    mut ready: Vec<(usize, Vec<u8>)>,
) -> Vec<(usize, Vec<u8>)> {
    let mut later = Vec::new();
    let before = ctx.view.database();
    while !ready.is_empty() {
        for (database, key) in std::mem::take(&mut ready) {
            if later.is_empty() {
                ctx.view.select(database);
                let key_at = ctx.view.key(&key);
                if ctx.view.covers(key_at.hash) && serve_key(scope, ctx, key_at) {
                    continue;
                }
            }
            later.push((database, key));
        }
        // What a served client pushed elsewhere may serve others.
        ready = ctx.view.take_ready();
    }
    ctx.view.select(before);
    later
}

/// Serves the queue of one key until the key is gone, and then those who are to hear of that. False when
/// its head needs keys that the unit does not hold.
fn serve_key(scope: &Scope<'_>, ctx: &mut Context<'_>, key: Key<'_>) -> bool {
    let mut place = 0;
    // The queue does not change meanwhile: who is served leaves it under a lock of this shard.
    while let exists = ctx.view.exists(key)
        && (exists || ctx.view.hears_of_loss(key))
        && let Some(waiter) = ctx.view.waiter(key, place)
    {
        place += 1;
        let Some(errand) = waiter.errand.downcast_ref::<Errand>() else { continue };
        if !waiter.is_waiting() || !(exists || waiter.hears_of_loss()) {
            continue;
        }
        if !errand.needs.iter().all(|&hash| ctx.view.covers(hash)) {
            return false;
        }
        if !waiter.claim() {
            continue;
        }
        match serve(scope, ctx, errand, key) {
            Some(reply) => {
                waiter.serve();
                errand.client.send(if errand.silent { Bytes::new() } else { reply });
            }
            // The key holds nothing for this client: it may hold something for one that wants another type.
            None => waiter.release(),
        }
    }
    true
}

/// Runs the parked command's second half on the unit's view, in the name of the client that waits: its
/// session, its output and its replay take the place of the unit's own meanwhile. The encoded answer, or
/// nothing when the key does not suffice.
fn serve(scope: &Scope<'_>, ctx: &mut Context<'_>, errand: &Errand, key: Key<'_>) -> Option<Bytes> {
    let mut out = Encoder::new(errand.protocol);
    let mut session = Session::new(Arc::clone(&errand.client), true);
    session.database = ctx.view.database();
    let (command, in_transaction) = (ctx.command, ctx.in_transaction);
    // What the unit's own command is repeated as must not take in what the served one is.
    let replay = std::mem::take(&mut ctx.replay);
    std::mem::swap(ctx.out, &mut out);
    std::mem::swap(ctx.session, &mut session);
    (ctx.command, ctx.in_transaction) = (errand.command, false);
    let (database, changes) = (ctx.view.database(), ctx.view.tally.changes);
    let began = scope.engine.clock.stamp();
    let args = Args::new(&errand.request, &errand.spans, &errand.keys);
    let outcome = (errand.serve)(ctx, args.clone(), key);
    if let Some(effects) = &mut ctx.effects {
        // It is a command of its own, and so is the next that is served.
        effects.begin_group();
        ctx.note_effects(database, changes, &args);
    }
    (ctx.command, ctx.in_transaction, ctx.replay) = (command, in_transaction, replay);
    std::mem::swap(ctx.out, &mut out);
    std::mem::swap(ctx.session, &mut session);
    match outcome {
        Ok(None) => return None,
        Ok(Some(reply)) => reply.write(&mut out),
        Err(error) => {
            let text = error.text();
            out.clear();
            out.error(&text);
            scope.stats.failed(errand.command);
            scope.stats.error(&text);
            // Who waits is served once.
            let _ = errand.failure.set(text.as_ref().into());
        }
    }
    let took_ns = scope.engine.clock.stamp().saturating_sub(began);
    scope.stats.took(errand.command, took_ns);
    if took_ns >= notable_ns(scope.settings) {
        note(scope, errand, took_ns);
    }
    scope.stats.incr(Counter::ClientsUnblocked);
    Some(Bytes::from(out.into_vec()))
}

/// A served command was slow: what it took to serve it counts, not its wait.
#[cold]
fn note(scope: &Scope<'_>, errand: &Errand, took_ns: u64) {
    let engine = scope.engine;
    let args = Args::new(&errand.request, &errand.spans, &errand.keys);
    let row = engine.registry.get(errand.command).row;
    let call = Call { row, args: &args, client: &errand.client, by_script: false };
    call.note(&engine.stats, scope.settings, engine.clock.unix_ms(), took_ns, 0);
}

/// Serves clients whose commands need keys beyond those of the unit that woke them: as units of their
/// own, with all their locks taken in order.
pub fn serve_later(scope: &Scope<'_>, client: &Arc<Client>, ready: Vec<(usize, Vec<u8>)>) {
    let mut ready = VecDeque::from(ready);
    let store = &scope.engine.store;
    let mut out = Encoder::new(Protocol::Resp2);
    let mut session = Session::new(Arc::clone(client), true);
    while let Some((database, key)) = ready.pop_front() {
        let key_at = Key { bytes: &key, hash: store.hash(&key) };
        let heads = store.view_one(scope.moment, database, key_at.hash).waiting(key_at);
        let mut places: SmallVec<[(usize, KeyHash); 16]> = SmallVec::new();
        places.push((database, key_at.hash));
        for waiter in heads.iter().filter(|waiter| waiter.is_waiting()) {
            if let Some(errand) = waiter.errand.downcast_ref::<Errand>() {
                places.extend(errand.needs.iter().map(|&hash| (database, hash)));
            }
        }
        session.database = database;
        let mut ctx = unit::context(scope, &mut session, &mut out, 0);
        ctx.view.lock_many(&places);
        if !serve_key(scope, &mut ctx, key_at) {
            // Somebody joined the queue meanwhile: look again.
            ready.push_front((database, key.clone()));
        }
        let woken = ctx.view.take_ready();
        // Keys that were ready before go first; where there is none, the locks at hand may do.
        let woken = if ready.is_empty() { serve_held(scope, &mut ctx, woken) } else { woken };
        ready.extend(woken);
        super::log::commit(scope.engine, &mut ctx);
        super::notify::tell(scope.engine, &mut ctx);
        super::tracking::tell_of_others(scope.engine, &mut ctx);
        unit::count(scope, &mut ctx.view);
    }
}

impl Parked {
    /// Whether somebody has served the client: its answer is in its mailbox.
    pub fn is_served(&self) -> bool {
        self.waiter.is_served()
    }

    /// The error that the client was served with, if it was one.
    pub fn failure(&self) -> Option<&str> {
        let errand = self.waiter.errand.downcast_ref::<Errand>()?;
        errand.failure.get().map(|text| &**text)
    }

    /// Whether what the client waits for is so. If not, it is woken when it may be.
    pub fn is_met(&self) -> bool {
        self.until.as_ref().is_some_and(|until| (until.is_met)())
    }

    /// Takes the client out of all queues: it was served, its time is up, or it has gone. True if this
    /// call won the right to answer it, false if somebody has served it.
    ///
    /// It leaves the queues first. Whoever tries to serve it holds the lock of one of its keys as long
    /// as he claims it, so once all of them have been passed a claim that failed to serve is given back.
    pub fn leave(&self, engine: &Engine, moment: crate::store::Moment) -> bool {
        for (database, key) in &self.keys {
            let hash = engine.store.hash(key);
            engine.store.view_one(moment, *database, hash).forget(Key { bytes: key, hash }, &self.waiter);
        }
        self.waiter.claim()
    }

    /// The command ends with an error instead of being served: it is noted if the time that it ran was long.
    pub fn note_unblocked(&self, engine: &Engine, settings: &Settings) {
        if self.ran_ns < notable_ns(settings) {
            return;
        }
        if let Some(errand) = self.waiter.errand.downcast_ref::<Errand>() {
            let args = Args::new(&errand.request, &errand.spans, &errand.keys);
            let row = engine.registry.get(errand.command).row;
            let call = Call { row, args: &args, client: &errand.client, by_script: false };
            call.note(&engine.stats, settings, engine.clock.unix_ms(), self.ran_ns, 0);
        }
    }

    /// What the client is told when its time is up.
    pub fn write_timeout(&self, out: &mut Encoder) {
        match &self.until {
            Some(until) => (until.answer)().write(out),
            None => self.on_timeout.write(out),
        }
    }
}

/// A client record for work that no client asked for.
pub fn nobody() -> Arc<Client> {
    use crate::command::client::Address;
    Arc::new(Client::new(0, Address::Internal, Address::Internal, -1, 0, 0))
}
