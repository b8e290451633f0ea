//! A worker's batch: decode what one read brought in, fetch its entries, run it, in one go.
//!
//! A batch holds the worker's permit. It ends when the input is used up, when it has become long (the
//! other connections of the worker wait), when replies pile up, when somebody wants the whole
//! keyspace, or when a command must wait for something. It never awaits: what it must wait for it
//! says as [`Next`], and the connection's task waits and comes again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::{Stamp, WallTime};
use crate::command::client::{Client, ClientFlag};
use crate::command::ports::{Clients, Pause};
use crate::command::reply::Work;
use crate::command::row::{Flags, Keys};
use crate::command::session::ReplyMode;
use crate::command::{Args, CommandError, KeyAt, Session, keys};
use crate::config::{MaxmemoryPolicy, Settings};
use crate::observe::trace::{CommandSpan, Stages, WorkerTracer};
use crate::observe::{Counter, Refusal, WorkerStats};
use crate::resp::{Decoded, Encoder, Protocol, ProtocolError, RequestDecoder, RequestLimits, Span};
use crate::store::{KeyHash, Moment, Usage};

use super::blocked::Parked;
use super::gate::{self, Situation};
use super::shared::Engine;
use super::transaction;
use super::unit::{self, Ended, Scope};

/// Commands in one batch.
const BATCH_COMMANDS: usize = 256;
/// Time of one batch.
const BATCH_NS: u64 = 200_000;
/// Replies of one batch: beyond it they are written before more is run.
const BATCH_REPLY_BYTES: usize = 256 * 1024;
/// Requests that are decoded, and whose entries are fetched, together.
const GROUP: usize = 16;
/// Keys beyond which a group is full: what is fetched for them has to lie in the nearest cache together.
const GROUP_KEYS: usize = 64;

/// The engine's side of one connection.
#[derive(Debug)]
pub struct Connection {
    /// The state that commands see.
    pub session: Session,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// A blocking command that has not been served.
    pub parked: Option<Parked>,
    decoder: RequestDecoder,
    /// Where in the input the request begins that `decoder` has partly seen.
    partial_at: usize,
}

impl Connection {
    /// A fresh connection.
    pub fn new(client: Arc<Client>, authenticated: bool) -> Connection {
        Connection {
            session: Session::new(client, authenticated),
            protocol: Protocol::Resp2,
            parked: None,
            decoder: RequestDecoder::default(),
            partial_at: 0,
        }
    }
}

/// Why a batch ended.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// More input is needed; at least so many bytes more, or 0 if unknown.
    Input(usize),
    /// There is more to run: write the replies, let others run, come again.
    Again,
    /// Somebody holds or wants the whole keyspace: wait until that has passed.
    Permit,
    /// The next command needs the whole keyspace.
    Whole,
    /// The client is parked.
    Parked,
    /// The next command is held back by CLIENT PAUSE.
    Paused,
    /// A running save holds as much as it may: wait until it has caught up.
    Saver,
    /// The reply follows when this work is done, elsewhere.
    Later(Work),
    /// Write the replies and close.
    Close,
}

/// What a batch did.
#[derive(Debug)]
pub struct Ran {
    /// Bytes of input that are done with.
    pub consumed: usize,
    /// Why it ended.
    pub next: Next,
}

/// A decoded request.
#[derive(Clone, Copy, Debug)]
struct Planned {
    command: Option<usize>,
    spans: (u32, u32),
    keys: (u32, u32),
    begin: usize,
    end: usize,
}

/// One worker's own state.
pub struct Worker {
    engine: Arc<Engine>,
    /// Its index.
    pub index: usize,
    settings: Arc<Settings>,
    settings_version: u64,
    limits: RequestLimits,
    usage: Usage,
    wall: WallTime,
    spans: Vec<Span>,
    keys: Vec<KeyAt>,
    plan: Vec<Planned>,
    prefetch: Vec<KeyHash>,
    seed: u64,
    tracer: WorkerTracer,
    /// Commands of this batch that are traced once their replies are written.
    sampled: Vec<Sampled>,
    /// What decoding the last group took, by request; measured only while traces are on.
    parse_nanos: u64,
}

/// A command that was drawn for a trace.
#[derive(Debug)]
struct Sampled {
    name: &'static str,
    database: u32,
    client: u64,
    keys: usize,
    batch: usize,
    began: Stamp,
    lock_wait_nanos: u64,
    run_nanos: u64,
    error: Option<String>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

/// How one command of a batch ended.
enum Step {
    Done,
    Stop(Next),
    /// Stop before this command: it will be run next time.
    Before(Next),
}

impl Worker {
    /// The worker of this index.
    pub fn new(engine: Arc<Engine>, index: usize) -> Worker {
        let settings = engine.config.current();
        let mut worker = Worker {
            index,
            settings_version: engine.config.version(),
            limits: RequestLimits::default(),
            usage: Usage::Lru,
            wall: WallTime::new(engine.clock.clone()),
            settings,
            spans: Vec::new(),
            keys: Vec::new(),
            plan: Vec::new(),
            prefetch: Vec::new(),
            seed: engine.store.hash(&index.to_le_bytes()) | 1,
            tracer: engine.tracer.worker(index),
            sampled: Vec::new(),
            parse_nanos: 0,
            engine,
        };
        worker.read_settings();
        worker
    }

    /// What all workers share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The settings as of the last batch.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn read_settings(&mut self) {
        self.settings_version = self.engine.config.version();
        self.settings = self.engine.config.current();
        self.limits.max_bulk_len = self.settings.proto_max_bulk_len_bytes as usize;
        self.usage = usage_of(&self.settings);
    }

    /// The moment of a unit that begins at `stamp`.
    #[inline]
    fn moment(&mut self, stamp: Stamp) -> Moment {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Moment { now_ms: self.wall.at(stamp), usage: self.usage, seed: self.seed ^ stamp }
    }

    /// The moment of work outside a batch: a client that leaves, a time that is up.
    pub fn moment_now(&mut self) -> Moment {
        let stamp = self.wall.stamp();
        self.moment(stamp)
    }

    /// Runs what `input` holds, as far as one batch goes. `input` begins with the first byte that has
    /// not been consumed. Replies are appended to `out`. `whole` says that the caller holds the whole
    /// keyspace (then one command is run); otherwise the worker's own permit is taken.
    pub fn run(&mut self, connection: &mut Connection, input: &[u8], out: &mut Vec<u8>, whole: bool) -> Ran {
        if self.settings_version != self.engine.config.version() {
            self.read_settings();
        }
        let engine = Arc::clone(&self.engine);
        // While a script runs for long, what needs no keys is run without a permit, all else is refused.
        let mut busy = None;
        let _permit = if whole {
            None
        } else {
            match engine.world.try_work(self.index) {
                Some(permit) => Some(permit),
                None => {
                    busy = engine.server.scripts().busy();
                    if busy.is_none() {
                        return Ran { consumed: 0, next: Next::Permit };
                    }
                    None
                }
            }
        };
        self.limits.authenticated = connection.session.authenticated;
        let mut encoder = Encoder::with_buffer(std::mem::take(out), connection.protocol);
        let began = self.wall.stamp();
        connection.session.client.query_used.store(input.len(), Ordering::Relaxed);
        let mut batch = Batch {
            engine: &engine,
            stamp: began,
            began,
            commands: 0,
            executed: 0,
            consumed: 0,
            whole,
            busy,
        };
        // What a panic can leave behind is the worker's scratch, which the next batch clears, and the
        // connection, which is closed. Locks and permits are given back as the stack unwinds.
        let ran = catch_unwind(AssertUnwindSafe(|| self.batch(connection, input, &mut encoder, &mut batch)));
        connection.protocol = encoder.protocol();
        *out = encoder.into_vec();
        let next = ran.unwrap_or_else(|_| {
            self.stats().incr(Counter::PanicsCaught);
            Next::Close
        });
        connection.partial_at = connection.partial_at.saturating_sub(batch.consumed);
        connection.session.client.query_used.store(input.len() - batch.consumed, Ordering::Relaxed);
        if batch.commands > 0 {
            self.stats().add(Counter::CommandsProcessed, batch.executed);
            self.stats().batch(batch.commands as u64, batch.stamp.saturating_sub(began));
            connection.session.client.active_ms.store(self.wall.at(batch.stamp), Ordering::Relaxed);
        }
        Ran { consumed: batch.consumed, next }
    }

    fn stats(&self) -> &WorkerStats {
        self.engine.stats.worker(self.index)
    }

    fn batch(
        &mut self,
        connection: &mut Connection,
        input: &[u8],
        out: &mut Encoder,
        batch: &mut Batch<'_>,
    ) -> Next {
        loop {
            let decoded = if self.engine.tracer.is_on() {
                self.decode_timed(connection, input, batch)
            } else {
                self.decode_group(connection, input, batch)
            };
            self.fetch(connection.session.database);
            let plan = std::mem::take(&mut self.plan);
            let mut stopped = None;
            for planned in &plan {
                match self.step(connection, input, out, batch, planned) {
                    Step::Done => {
                        batch.consumed = planned.end;
                        if let Some(next) = self.enough(connection, out, batch) {
                            stopped = Some(next);
                            break;
                        }
                    }
                    Step::Stop(next) => {
                        batch.consumed = planned.end;
                        stopped = Some(next);
                        break;
                    }
                    Step::Before(next) => {
                        stopped = Some(next);
                        break;
                    }
                }
            }
            self.plan = plan;
            if let Some(next) = stopped {
                return next;
            }
            match decoded {
                Group::Full => {}
                Group::Inline(args, end) => {
                    if let Some(next) = self.inline(connection, out, batch, &args, end) {
                        return next;
                    }
                }
                Group::Skipped(end) => batch.consumed = end,
                Group::Short(hint) => return Next::Input(hint),
                Group::Broken(error) => return self.broken(connection, out, &error),
            }
        }
    }

    /// Whether the batch has run long enough.
    #[inline]
    fn enough(&self, connection: &Connection, out: &Encoder, batch: &Batch<'_>) -> Option<Next> {
        let client = &connection.session.client;
        if client.any(ClientFlag::Killed as u32 | ClientFlag::CloseAfterReply as u32) {
            return Some(Next::Close);
        }
        let over = batch.whole
            || batch.commands >= BATCH_COMMANDS
            || batch.stamp.saturating_sub(batch.began) >= BATCH_NS
            || out.len() >= BATCH_REPLY_BYTES
            || self.engine.world.is_wanted();
        over.then_some(Next::Again)
    }

    /// The same with a measure of what each request's decoding took.
    fn decode_timed(&mut self, connection: &mut Connection, input: &[u8], batch: &Batch<'_>) -> Group {
        let began = self.wall.stamp();
        let decoded = self.decode_group(connection, input, batch);
        self.parse_nanos = self.wall.stamp().saturating_sub(began) / self.plan.len().max(1) as u64;
        decoded
    }

    /// Whether commands of the last batch wait to be traced.
    #[inline]
    pub fn has_spans(&self) -> bool {
        !self.sampled.is_empty()
    }

    /// The replies of the last batch are written, which took so long: sends the spans of its sampled commands.
    #[cold]
    pub fn trace(&mut self, write_nanos: u64) {
        let now_ns = self.engine.clock.unix_us() * 1_000;
        let now = self.wall.stamp();
        for one in std::mem::take(&mut self.sampled) {
            let before = now.saturating_sub(one.began) + self.parse_nanos;
            self.tracer.command(&CommandSpan {
                name: one.name,
                db: one.database,
                start_unix_nanos: now_ns.saturating_sub(before),
                stages: Stages {
                    parse_nanos: self.parse_nanos,
                    lock_wait_nanos: one.lock_wait_nanos,
                    run_nanos: one.run_nanos,
                    write_nanos,
                },
                keys: one.keys,
                batch: one.batch,
                worker: self.index,
                client: one.client,
                error: one.error.as_deref(),
            });
        }
    }

    /// Decodes up to [`GROUP`] requests and finds their commands and keys.
    fn decode_group(&mut self, connection: &mut Connection, input: &[u8], batch: &Batch<'_>) -> Group {
        self.spans.clear();
        self.keys.clear();
        self.plan.clear();
        let mut at = batch.consumed;
        while self.plan.len() < GROUP && self.keys.len() < GROUP_KEYS {
            let first = self.spans.len();
            let rest = &input[at..];
            let result = if at < connection.partial_at {
                // Seen whole before a batch was cut short: the decoder remembers a later request.
                RequestDecoder::default().decode(rest, at, &mut self.spans, &self.limits)
            } else {
                connection.partial_at = at;
                connection.decoder.decode(rest, at, &mut self.spans, &self.limits)
            };
            match result {
                Ok(Decoded::Request { consumed }) => {
                    self.plan_request(input, first, at, at + consumed);
                    at += consumed;
                }
                Ok(Decoded::Empty { consumed }) if self.plan.is_empty() => {
                    return Group::Skipped(at + consumed);
                }
                Ok(Decoded::Inline { consumed, args }) if self.plan.is_empty() => {
                    return Group::Inline(args, at + consumed);
                }
                // Seen again when the requests before it have run; both are short lines.
                Ok(Decoded::Empty { .. } | Decoded::Inline { .. }) => {
                    connection.decoder = RequestDecoder::default();
                    return Group::Full;
                }
                Ok(Decoded::Incomplete { hint }) => return Group::Short(hint),
                Err(error) => return Group::Broken(error),
            }
            if batch.whole {
                break;
            }
        }
        Group::Full
    }

    /// Finds the command and the keys of a request whose spans begin at `first`.
    #[inline]
    fn plan_request(&mut self, input: &[u8], first: usize, begin: usize, end: usize) {
        let spans = &self.spans[first..];
        let argument = |index: usize| {
            let span = spans[index];
            &input[span.start..span.start + span.len]
        };
        let second = if spans.len() > 1 { Some(argument(1)) } else { None };
        let command = self.engine.registry.resolve(argument(0), second);
        let keys_from = self.keys.len();
        if let Some(index) = command {
            let (store, found) = (&self.engine.store, &mut self.keys);
            match self.engine.registry.get(index).row.keys {
                // Most commands, without the general form's loop.
                Keys::One(_) if spans.len() > 1 => {
                    found.push(KeyAt { arg: 1, hash: store.hash(argument(1)) });
                }
                keys => keys::each(keys, spans.len(), argument, |index, _| {
                    found.push(KeyAt { arg: index as u32, hash: store.hash(argument(index)) });
                }),
            }
        }
        self.plan.push(Planned {
            command,
            spans: (first as u32, self.spans.len() as u32),
            keys: (keys_from as u32, self.keys.len() as u32),
            begin,
            end,
        });
    }

    /// Fetches the entries of the planned requests' keys, if there are enough to hide the latency. A key
    /// that is used over and over is fetched by its first use.
    #[inline]
    fn fetch(&mut self, database: usize) {
        const WORTH_IT: usize = 4;
        if self.keys.len() < WORTH_IT {
            return;
        }
        self.prefetch.clear();
        let mut last = None;
        for key in self.keys.iter().take(GROUP_KEYS) {
            if last != Some(key.hash) {
                last = Some(key.hash);
                self.prefetch.push(key.hash);
            }
        }
        if self.prefetch.len() >= WORTH_IT {
            self.engine.store.prefetch(database, &self.prefetch);
        }
    }

    fn step(
        &mut self,
        connection: &mut Connection,
        input: &[u8],
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        planned: &Planned,
    ) -> Step {
        let spans = std::mem::take(&mut self.spans);
        let keys = std::mem::take(&mut self.keys);
        let args = Args::new(
            input,
            &spans[planned.spans.0 as usize..planned.spans.1 as usize],
            &keys[planned.keys.0 as usize..planned.keys.1 as usize],
        );
        debug_assert!(planned.begin < planned.end);
        let step = self.command(connection, out, batch, planned.command, &args);
        self.spans = spans;
        self.keys = keys;
        step
    }

    /// An inline command: its arguments stand in buffers of their own.
    fn inline(
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
            self.stats().refused(Refusal::CrossProtocol);
            log_http_slip(&connection.session.client);
            batch.consumed = end;
            return Some(Next::Close);
        }
        self.spans.clear();
        self.keys.clear();
        self.plan.clear();
        self.spans.extend_from_slice(&spans);
        self.plan_request(&line, 0, 0, line.len());
        let planned = self.plan[0];
        let planned = Planned { end: planned.end.max(1), ..planned };
        match self.step(connection, &line, out, batch, &planned) {
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

    /// Input that is no RESP: an error, and the end of the connection.
    fn broken(&mut self, connection: &Connection, out: &mut Encoder, error: &ProtocolError) -> Next {
        self.stats().incr(Counter::ProtocolErrors);
        let client = &connection.session.client;
        tracing::debug!(client = client.id, address = %client.address, %error, "Protocol error from client");
        out.protocol_error(error);
        self.stats().error(&format!("ERR {error}"));
        Next::Close
    }

    /// Runs one request: ladder, queue, world, unit.
    fn command(
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
                self.stats().refused(Refusal::CrossProtocol);
                log_http_slip(&session.client);
                return Step::Stop(Next::Close);
            }
            session.client.last_command.store(usize::MAX, Ordering::Relaxed);
            self.refuse(session, out, gate::unknown(&engine.registry, args), None);
            batch.count(self.wall.stamp());
            return Step::Done;
        };
        let registered = engine.registry.get(index);
        let flags = registered.row.flags;
        session.client.last_command.store(index, Ordering::Relaxed);
        let situation = Situation {
            settings: &self.settings,
            authenticated: session.authenticated,
            multi: session.multi.as_deref(),
            client: &session.client,
            loading: engine.status.loading.load(Ordering::Relaxed),
            writes_stopped: engine.status.writes_stopped.load(Ordering::Relaxed),
        };
        let checked = gate::check(registered, args, &situation).and_then(|()| match &batch.busy {
            Some(busy) if !flags.has(Flags::ALLOW_BUSY) => Err((Refusal::Busy, busy.clone())),
            _ => Ok(()),
        });
        if let Err(refused) = checked {
            self.refuse(session, out, refused, Some(index));
            if flags.has(Flags::EXECUTES_QUEUE) {
                self.abandon(session, batch);
            }
            batch.count(self.wall.stamp());
            return Step::Done;
        }
        if let Some(next) = self.held_back(session, flags, batch, index, args) {
            return Step::Before(next);
        }
        if session.multi.is_some() && !transaction::runs_inside_multi(flags) {
            transaction::queue(session, &engine.registry, index, args);
            out.simple("QUEUED");
            self.after(session, out, out.len());
            batch.count(self.wall.stamp());
            return Step::Done;
        }
        let mark = out.len();
        let moment = self.moment(batch.stamp);
        let scope = Scope {
            engine,
            stats: engine.stats.worker(self.index),
            settings: &self.settings,
            moment,
            whole: batch.whole,
            lock_wait_ns: Cell::new(0),
        };
        let ended = if flags.has(Flags::EXECUTES_QUEUE) {
            transaction::exec(&scope, session, out, index);
            Ended::Replied
        } else {
            unit::run(&scope, session, out, index, args)
        };
        if flags.has(Flags::FORGETS_WATCHES) && session.forgets_watches {
            transaction::unwatch(&scope, session);
        }
        let stamp = self.wall.stamp();
        let ran_ns = stamp.saturating_sub(batch.stamp);
        // A parked call counts when it has ended, once.
        if !matches!(ended, Ended::Parked(_)) {
            scope.stats.record(index, ran_ns);
        }
        if self.tracer.sample() {
            let waited = scope.lock_wait_ns.get();
            self.sampled.push(Sampled {
                name: registered.full_name,
                database: session.database as u32,
                client: session.client.id,
                keys: args.keys().len(),
                batch: batch.commands + 1,
                began: batch.stamp,
                lock_wait_nanos: waited,
                run_nanos: ran_ns.saturating_sub(waited),
                error: error_of(out, mark),
            });
        }
        batch.count(stamp);
        batch.executed += 1;
        let mark = if matches!(ended, Ended::Pushed) { out.len() } else { mark };
        self.after(session, out, mark);
        match ended {
            Ended::Replied | Ended::Pushed => Step::Done,
            Ended::Close => Step::Stop(Next::Close),
            Ended::Later(work) => Step::Stop(Next::Later(work)),
            Ended::Parked(mut parked) => {
                parked.ran_ns = ran_ns;
                session.client.set(ClientFlag::Blocked, true);
                engine.clients.count_blocked(true);
                self.stats().incr(Counter::ClientsBlocked);
                connection.parked = Some(parked);
                Step::Stop(Next::Parked)
            }
        }
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
        if flags.has(Flags::UNPAUSED) {
            return false;
        }
        let stamp = self.wall.stamp();
        let now_ms = self.wall.at(stamp);
        let writes = flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
        let queue_writes = flags.has(Flags::EXECUTES_QUEUE)
            && session
                .multi
                .as_ref()
                .is_some_and(|multi| multi.flags.any(Flags::WRITE.with(Flags::MAY_REPLICATE)));
        match self.engine.clients.paused(now_ms) {
            None => false,
            Some(Pause::All) => true,
            // A write is held back before it is queued, too.
            Some(Pause::Writes) => writes || queue_writes,
        }
    }

    /// Counts and writes a refusal of the ladder.
    #[cold]
    fn refuse(
        &self,
        session: &mut Session,
        out: &mut Encoder,
        refused: gate::Refused,
        command: Option<usize>,
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
        if let Some(command) = command {
            stats.rejected(command);
        }
        self.after(session, out, mark);
    }

    /// After a refused EXEC nothing is left of its transaction.
    #[cold]
    fn abandon(&mut self, session: &mut Session, batch: &Batch<'_>) {
        let engine = batch.engine;
        let moment = self.moment(batch.stamp);
        let scope = Scope {
            engine,
            stats: engine.stats.worker(self.index),
            settings: &self.settings,
            moment,
            whole: batch.whole,
            lock_wait_ns: Cell::new(0),
        };
        session.end_multi();
        transaction::unwatch(&scope, session);
    }

    /// CLIENT REPLY: takes the reply back that began at `mark`.
    #[inline]
    fn after(&self, session: &mut Session, out: &mut Encoder, mark: usize) {
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

    /// The connection ends: leaves queues and watches behind.
    pub fn leave(&mut self, connection: &mut Connection) {
        let moment = self.moment_now();
        let engine = Arc::clone(&self.engine);
        if let Some(parked) = connection.parked.take() {
            // If somebody has served it just now, the reply goes where the client went.
            if parked.leave(&engine, moment) {
                self.stats().record(parked.command, parked.ran_ns);
            }
            self.note_unparked(connection);
        }
        let scope = Scope {
            engine: &engine,
            stats: engine.stats.worker(self.index),
            settings: &self.settings,
            moment,
            whole: false,
            lock_wait_ns: Cell::new(0),
        };
        transaction::unwatch(&scope, &mut connection.session);
        connection.session.forget_subscriptions(engine.server.pubsub());
        engine.clients.remove(&connection.session.client);
        engine.stats.worker(self.index).incr(Counter::ConnectionsClosed);
    }

    /// Ends a parked command: it was served, its time is up, or it is unblocked with an error. True if
    /// nobody had served it; then what the client is told is written. Otherwise its answer lies in its
    /// mailbox.
    pub fn unpark(&mut self, connection: &mut Connection, error: Option<&str>, out: &mut Vec<u8>) -> bool {
        let Some(parked) = connection.parked.take() else { return false };
        let moment = self.moment_now();
        let won = parked.leave(&self.engine, moment);
        self.note_unparked(connection);
        if won {
            let stats = self.stats();
            stats.incr(Counter::ClientsUnblocked);
            stats.record(parked.command, parked.ran_ns);
            let mut encoder = Encoder::with_buffer(std::mem::take(out), connection.protocol);
            match error {
                Some(text) => {
                    stats.failed(parked.command);
                    stats.error(text);
                    encoder.error(text);
                }
                None => parked.write_timeout(&mut encoder),
            }
            *out = encoder.into_vec();
        }
        won
    }

    fn note_unparked(&self, connection: &Connection) {
        connection.session.client.set(ClientFlag::Blocked, false);
        self.engine.clients.count_blocked(false);
    }

    /// Milliseconds since 1970, now.
    pub fn now_ms(&mut self) -> u64 {
        let stamp = self.wall.stamp();
        self.wall.at(stamp)
    }
}

/// How far a batch has come.
struct Batch<'e> {
    engine: &'e Arc<Engine>,
    began: Stamp,
    /// The end of the last command, which is the start of the next.
    stamp: Stamp,
    commands: usize,
    /// Those of them that were neither refused nor queued.
    executed: u64,
    consumed: usize,
    whole: bool,
    /// A script holds the keyspace, and has for long: what those are told who need it.
    busy: Option<CommandError>,
}

impl Batch<'_> {
    #[inline]
    fn count(&mut self, stamp: Stamp) {
        self.stamp = stamp;
        self.commands += 1;
    }
}

/// What decoding a group came to.
enum Group {
    /// There may be more.
    Full,
    /// An inline command, which ends there.
    Inline(Vec<bytes::Bytes>, usize),
    /// An empty request, which ends there.
    Skipped(usize),
    /// The input ends within a request.
    Short(usize),
    /// The input is no RESP.
    Broken(ProtocolError),
}

/// The error that a command's reply begins with, if it is one.
fn error_of(out: &Encoder, mark: usize) -> Option<String> {
    let reply = out.as_slice().get(mark..)?.strip_prefix(b"-")?;
    let end = reply.iter().position(|&byte| byte == b'\r').unwrap_or(reply.len());
    Some(String::from_utf8_lossy(&reply[..end]).into_owned())
}

fn usage_of(settings: &Settings) -> Usage {
    match settings.maxmemory_policy {
        MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu => {
            Usage::Lfu { log_factor: settings.lfu_log_factor, decay_minutes: settings.lfu_decay_time_min }
        }
        _ => Usage::Lru,
    }
}

fn log_http_slip(client: &Client) {
    tracing::warn!(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
         This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
         instance. Connection from {} aborted.",
        client.address
    );
}
