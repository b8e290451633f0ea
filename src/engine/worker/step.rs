//! The second half of a batch: one command after the other, from the ladder of refusals to its reply.

use std::sync::atomic::Ordering;

use crate::command::client::{Client, ClientFlag};
use crate::command::observed::Call;
use crate::command::ports::{Clients, Pause};
use crate::command::row::Flags;
use crate::command::session::ReplyMode;
use crate::command::{Args, Session};
use crate::engine::Engine;
use crate::observe::{Counter, Refusal, Stage};
use crate::resp::{Encoder, ProtocolError, RequestDecoder, Span};
use crate::store::Moment;

use super::super::gate::{self, Situation};
use super::super::memory::{self, Room};
use super::super::transaction;
use super::super::unit::{self, Ended, Scope};
use super::Worker;
use super::batch::{Awaited, Batch, Connection, Next, Step};
use super::sampled::{Came, Seen, error_of};

/// Between two lines about connections that speak HTTP.
const SLIP_LOG_PERIOD_MS: u64 = 60_000;

/// A command that has run.
#[derive(Debug)]
pub(super) struct Did {
    pub(super) index: usize,
    /// Where its reply begins.
    pub(super) mark: usize,
    pub(super) moment: Moment,
    pub(super) lock_wait_ns: u64,
}

impl Worker {
    /// An inline command: its arguments stand in buffers of their own.
    pub(super) fn inline(
        &mut self,
        connection: &mut Connection,
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        words: &[bytes::Bytes],
        end: usize,
    ) -> Option<Next> {
        let mut line = Vec::new();
        let spans: Vec<Span> = words
            .iter()
            .map(|word| {
                let span = Span { start: line.len(), len: word.len() };
                line.extend_from_slice(word);
                span
            })
            .collect();
        if crate::resp::is_http_slip(&words[0]) {
            batch.consumed = end;
            return Some(self.slip(&connection.session.client, out));
        }
        self.spans.clear();
        self.keys.clear();
        self.plan.clear();
        self.spans.extend_from_slice(&spans);
        let command = self.resolve(&line, 0);
        self.plan_request(&line, 0, line.len(), command);
        let planned = self.plan[0];
        let keys = std::mem::take(&mut self.keys);
        let step = self.command(connection, out, batch, planned.command, &planned.args(&line, &spans, &keys));
        self.keys = keys;
        match step {
            Step::Done => {
                batch.consumed = end;
                self.enough(connection, out, batch)
            }
            Step::Stop(next) => {
                batch.consumed = end;
                Some(next)
            }
            Step::Before(next) => {
                // The line is decoded again when its time has come.
                connection.decoder = RequestDecoder::default();
                Some(next)
            }
        }
    }

    /// Somebody speaks HTTP: the connection ends, and what it would have been told is dropped, as in Redis.
    #[cold]
    fn slip(&self, client: &Client, out: &mut Encoder) -> Next {
        self.stats().refused(Refusal::CrossProtocol);
        log_http_slip(&self.engine, client);
        out.truncate(0);
        Next::Drop
    }

    /// Input that is no RESP: an error, and the end of the connection.
    pub(super) fn broken(
        &mut self,
        connection: &Connection,
        out: &mut Encoder,
        error: &ProtocolError,
    ) -> Next {
        self.stats().incr(Counter::ProtocolErrors);
        let client = &connection.session.client;
        tracing::debug!(client = client.id, address = %client.address, %error, "Protocol error from client");
        if !connection.session.reply_mode.is_silent() {
            out.protocol_error(error);
        }
        self.stats().error(&format!("ERR {error}"));
        Next::Close
    }

    /// Runs one request, on the short way if it can.
    #[inline]
    pub(super) fn command(
        &mut self,
        connection: &mut Connection,
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        command: Option<usize>,
        args: &Args<'_>,
    ) -> Step {
        if batch.open
            && let Some(index) = command
            && self.is_plain(index, args, &connection.session)
            && self.has_room(batch)
        {
            return self.plain(connection, out, batch, index, args);
        }
        let step = self.climb(connection, out, batch, command, args);
        if !matches!(step, Step::Before(_))
            && let Some(caching) = &mut connection.session.tracking
            && caching.is_given
            && connection.session.multi.is_none()
            && !command.is_some_and(|index| self.keeps_caching(index))
        {
            // CLIENT CACHING is about the next command, or transaction.
            caching.is_given = false;
        }
        batch.open = self.is_open(&connection.session, batch);
        step
    }

    fn keeps_caching(&self, index: usize) -> bool {
        self.engine.registry.get(index).row.flags.has(Flags::KEEPS_CACHING)
    }

    /// Runs one request: ladder, queue, world, unit.
    fn climb(
        &mut self,
        connection: &mut Connection,
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        command: Option<usize>,
        args: &Args<'_>,
    ) -> Step {
        let engine = batch.engine;
        let session = &mut connection.session;
        let Some(index) = command else {
            if crate::resp::is_http_slip(args.get(0)) {
                return Step::Stop(self.slip(&session.client, out));
            }
            session.client.last_command.store(usize::MAX, Ordering::Relaxed);
            self.refuse(session, out, batch, gate::unknown(&engine.registry, args), None, args);
            batch.count(self.wall.stamp());
            return Step::Done;
        };
        let registered = engine.registry.get(index);
        session.client.last_command.store(index, Ordering::Relaxed);
        let room = if batch.limited { self.room(batch) } else { Room::Enough };
        if batch.busy.is_none() {
            self.hold_tracked();
        }
        if connection.session.tracking.is_some() {
            // What was evicted, or is tracked no longer, comes before the command's reply.
            connection.session.client.take_mail_into(out.buffer_mut());
        }
        let session = &mut connection.session;
        let situation = Situation {
            settings: &self.settings,
            authenticated: session.authenticated,
            multi: session.multi.as_deref(),
            client: &session.client,
            user: session.restricted_user(),
            engine,
            loading: engine.status.loading.load(Ordering::Relaxed),
            writes_stopped: engine.status.writes_stopped.load(Ordering::Relaxed),
            log_failing: engine.status.log_failing.load(Ordering::Relaxed),
            replicas_lacking: engine.status.replicas_lacking.load(Ordering::Relaxed),
            out_of_memory: room == Room::None,
        };
        let flags = situation.flags(registered, args);
        let checked =
            gate::check(registered, flags, index, args, &situation).and_then(|()| match &batch.busy {
                Some(busy) if !flags.has(Flags::ALLOW_BUSY) => Err((Refusal::Busy, busy.clone())),
                _ => Ok(()),
            });
        if let Err(refused) = checked {
            if refused.0 == Refusal::UnknownCommand {
                session.client.last_command.store(usize::MAX, Ordering::Relaxed);
            }
            self.refuse(session, out, batch, refused, Some(index), args);
            if flags.has(Flags::EXECUTES_QUEUE) {
                self.abandon(session, batch);
            }
            batch.count(self.wall.stamp());
            return Step::Done;
        }
        if let Some(next) = wait_for_room(room, session, flags, batch.whole) {
            return Step::Before(next);
        }
        if let Some(next) = self.held_back(session, flags, batch, index, args) {
            return Step::Before(next);
        }
        if session.multi.is_some() && !transaction::runs_inside_multi(flags) {
            transaction::queue(session, index, flags, args);
            let mark = out.len();
            out.simple("QUEUED");
            self.after(session, out, mark);
            batch.count(self.wall.stamp());
            return Step::Done;
        }
        let mark = out.len();
        let mut moment = self.moment(batch.stamp);
        // Nothing changes during a pause. Who may write must not meet a key that is absent and there.
        moment.keeps_expired = engine.clients.may_be_paused()
            && engine.clients.paused(moment.now_ms).is_some()
            && only_reads(session, flags);
        let scope = Scope {
            whole: batch.whole,
            monitored: batch.monitored,
            out_of_memory: room == Room::None,
            ..Scope::new(engine, self.index, &self.settings, moment)
        };
        let ended = if flags.has(Flags::EXECUTES_QUEUE) {
            self.note_parts();
            transaction::exec(&scope, session, out, index);
            Ended::Replied
        } else if flags.has(Flags::TRIES) {
            self.note_parts();
            let tried = if batch.whole {
                Some(unit::run(&scope, session, out, index, args))
            } else if batch.monitored {
                // What monitors were shown cannot be undone.
                None
            } else {
                unit::attempt(&scope, session, out, index, args)
            };
            match tried {
                Some(ended) => ended,
                None => return Step::Before(Next::Whole),
            }
        } else {
            unit::run(&scope, session, out, index, args)
        };
        if flags.has(Flags::FORGETS_WATCHES) && session.forgets_watches {
            transaction::unwatch(&scope, session);
        }
        let did = Did { index, mark, moment, lock_wait_ns: scope.lock_wait_ns.get() };
        self.conclude(connection, out, batch, args, &did, ended)
    }

    /// What follows a command that has run: its time, who wants to know of it, and what becomes of the connection.
    pub(super) fn conclude(
        &mut self,
        connection: &mut Connection,
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        args: &Args<'_>,
        did: &Did,
        ended: Ended,
    ) -> Step {
        let (engine, session) = (batch.engine, &mut connection.session);
        let Did { index, mark, moment, lock_wait_ns } = *did;
        let registered = engine.registry.get(index);
        let flags = registered.row.flags;
        let stamp = self.wall.stamp();
        let ran_ns = stamp.saturating_sub(batch.stamp);
        // A call that waits counts now, its time when it has ended.
        if matches!(ended, Ended::Parked(_) | Ended::Later(_)) {
            self.stats().called(index);
        } else {
            self.stats().record(index, ran_ns);
        }
        self.stats().stage(Stage::Run, ran_ns.saturating_sub(lock_wait_ns));
        // What CONFIG SET has just said counts for itself in the slow log, and for the next command of the batch.
        if flags.has(Flags::ADMIN) && self.settings_version != engine.config.version() {
            self.read_settings();
        }
        if batch.monitored || ran_ns >= self.notable_ns {
            let call = Call { row: registered.row, args, client: &session.client, by_script: false };
            if batch.monitored {
                call.show(engine.server.pubsub(), &engine.clock, &self.settings, session.database);
            }
            if ran_ns >= self.notable_ns && !matches!(ended, Ended::Parked(_)) {
                self.note(call, moment, ran_ns, lock_wait_ns);
            }
        }
        if self.hot_keys.is_on() {
            let bytes = out.len().saturating_sub(mark);
            self.hot_keys.ran(self.index, moment.now_ms, args, ran_ns, bytes);
        }
        if self.tracer.is_on() {
            let seen = Seen {
                command: Some(index),
                args,
                ran_ns,
                lock_wait_ns,
                came: Came::with(&ended),
                error: error_of(out, mark),
            };
            connection.awaited = self.trace_seen(session, batch, seen);
        }
        batch.count(stamp);
        batch.executed += 1;
        // An EXEC has left out what its client does not want to hear: CLIENT REPLY may stand in its queue.
        let stays = matches!(ended, Ended::Pushed) || flags.has(Flags::EXECUTES_QUEUE);
        let silent = session.reply_mode.is_silent();
        self.after(session, out, if stays { out.len() } else { mark });
        // What a subscriber has sent itself stands before the reply that tells of it.
        if session.client.has(ClientFlag::Subscriber) && session.client.has_mail() {
            let mut mail = Vec::new();
            session.client.take_mail_into(&mut mail);
            // What somebody else has made stale must not come before the reply that has read it.
            out.insert(if session.tracking.is_some() { out.len() } else { mark }, &mail);
        }
        match ended {
            Ended::Replied | Ended::Pushed => Step::Done,
            Ended::Close => Step::Stop(Next::Close),
            Ended::Later(work) => Step::Stop(Next::Later(Awaited { work, command: index, silent })),
            Ended::Parked(mut parked) => {
                parked.ran_ns = ran_ns;
                session.client.set(ClientFlag::Blocked, true);
                engine.clients.count_blocked(true);
                if parked.deadline_ms.is_some() {
                    engine.clients.count_timed(true);
                }
                self.stats().incr(Counter::ClientsBlocked);
                connection.parked = Some(parked);
                Step::Stop(Next::Parked)
            }
        }
    }

    /// Makes room for a command, unless a script holds the keyspace meanwhile.
    pub(super) fn room(&mut self, batch: &Batch<'_>) -> Room {
        if batch.busy.is_some() {
            return Room::Enough;
        }
        let moment = self.moment(batch.stamp);
        memory::make_room(batch.engine, &self.settings, &mut self.evicting, moment, self.index)
    }

    /// Whether the command has to wait before it may lock anything.
    #[inline]
    fn held_back(
        &mut self,
        session: &Session,
        flags: Flags,
        batch: &Batch<'_>,
        index: usize,
        args: &Args<'_>,
    ) -> Option<Next> {
        let queueing = session.multi.is_some() && !flags.has(Flags::EXECUTES_QUEUE);
        let executes_whole =
            flags.has(Flags::EXECUTES_QUEUE) && transaction::needs_whole(session, &self.engine.registry);
        if (self.engine.registry.is_whole(index, args) && !queueing || executes_whole) && !batch.whole {
            return Some(Next::Whole);
        }
        if self.engine.clients.may_be_paused() && self.paused(session, flags) {
            return Some(Next::Paused);
        }
        let writes = flags.has(Flags::WRITE) || flags.has(Flags::EXECUTES_QUEUE);
        if writes && !queueing && self.engine.store.saves().over_limit() {
            return Some(Next::Saver);
        }
        None
    }

    fn paused(&mut self, session: &Session, flags: Flags) -> bool {
        // A replica says how far it is, whatever happens.
        if flags.has(Flags::UNPAUSED) || session.client.has(ClientFlag::Replica) {
            return false;
        }
        let stamp = self.wall.stamp();
        let now_ms = self.wall.at(stamp);
        match self.engine.clients.paused(now_ms) {
            None => false,
            Some(Pause::All) => true,
            // A write is held back before it is queued, too.
            Some(Pause::Writes) => flags.any(MAY_WRITE) || queued_flags(session, flags).any(MAY_WRITE),
        }
    }

    /// Counts and writes a refusal of the ladder.
    #[cold]
    fn refuse(
        &mut self,
        session: &mut Session,
        out: &mut Encoder,
        batch: &Batch<'_>,
        refused: gate::Refused,
        command: Option<usize>,
        args: &Args<'_>,
    ) {
        let (reason, error) = refused;
        session.refuse_multi();
        let mark = out.len();
        let mut text = error.text();
        if command.is_some_and(|index| self.engine.registry.get(index).row.flags.has(Flags::EXECUTES_QUEUE)) {
            text = transaction::abort_text(&text).into();
        }
        out.error(&text);
        let stats = self.stats();
        stats.refused(reason);
        stats.error(&text);
        // The container of a subcommand that is not known was not meant itself.
        if let Some(command) = command.filter(|_| reason != Refusal::UnknownCommand) {
            stats.rejected(command);
        }
        if self.tracer.is_on() {
            let ran_ns = self.wall.stamp().saturating_sub(batch.stamp);
            let error = Some(text.into_owned());
            let seen = Seen { command, args, ran_ns, lock_wait_ns: 0, came: Came::Refused, error };
            self.trace_seen(session, batch, seen);
        }
        self.after(session, out, mark);
    }

    /// After a refused EXEC nothing is left of its transaction.
    #[cold]
    fn abandon(&mut self, session: &mut Session, batch: &Batch<'_>) {
        let engine = batch.engine;
        let moment = self.moment(batch.stamp);
        let scope = Scope {
            whole: batch.whole,
            monitored: batch.monitored,
            ..Scope::new(engine, self.index, &self.settings, moment)
        };
        session.end_multi();
        transaction::unwatch(&scope, session);
    }

    /// CLIENT REPLY: takes the reply back that began at `mark`.
    #[inline]
    pub(super) fn after(&self, session: &mut Session, out: &mut Encoder, mark: usize) {
        if session.reply_mode == ReplyMode::On {
            return;
        }
        out.truncate(mark);
        session.reply_mode = match session.reply_mode {
            ReplyMode::SkipNext => ReplyMode::Skip,
            ReplyMode::Skip => ReplyMode::On,
            other => other,
        };
    }
}

/// What makes a command wait while writes are paused.
const MAY_WRITE: Flags = Flags::WRITE.with(Flags::MAY_REPLICATE);

/// The flags of all that the command will take from the queue and run.
fn queued_flags(session: &Session, flags: Flags) -> Flags {
    match &session.multi {
        Some(multi) if flags.has(Flags::EXECUTES_QUEUE) => multi.flags,
        _ => Flags::NONE,
    }
}

/// Whether the command looks at keys and changes none: itself, or what it runs.
#[cold]
fn only_reads(session: &Session, flags: Flags) -> bool {
    let looks = flags.any(Flags::READONLY.with(Flags::TRIES).with(Flags::EXECUTES_QUEUE));
    looks && !flags.any(MAY_WRITE) && !queued_flags(session, flags).any(MAY_WRITE)
}

/// Whether a command that takes memory has to wait for it. Who holds the whole keyspace does not.
#[inline]
fn wait_for_room(room: Room, session: &Session, flags: Flags, whole: bool) -> Option<Next> {
    let (Room::Evicting { by_far: true } | Room::Freeing { by_far: true }) = room else { return None };
    let queued = session.multi.as_ref().is_some_and(|multi| multi.flags.has(Flags::DENYOOM));
    if whole || !(flags.has(Flags::DENYOOM) || flags.has(Flags::EXECUTES_QUEUE) && queued) {
        return None;
    }
    Some(if matches!(room, Room::Evicting { .. }) { Next::Again } else { Next::Memory })
}

/// Says it once a minute, as Redis does: whoever does this may do it without end.
fn log_http_slip(engine: &Engine, client: &Client) {
    let (said_at, now_ms) = (&engine.status.slip_logged_ms, engine.clock.unix_ms());
    let is_due = |last: u64| now_ms.abs_diff(last) > SLIP_LOG_PERIOD_MS;
    if said_at
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |last| is_due(last).then_some(now_ms))
        .is_err()
    {
        return;
    }
    tracing::warn!(
        client = %client.address,
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
         This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
         instance. Connection aborted."
    );
}
