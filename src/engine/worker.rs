//! A worker's batch: decode what one read brought in, fetch its entries, run it, in one go.
//!
//! A batch holds the worker's permit. It ends when the input is used up, when it has become long (the
//! other connections of the worker wait), when replies pile up, when somebody wants the whole
//! keyspace, or when a command must wait for something. It never awaits: what it must wait for it
//! says as [`Next`], and the connection's task waits and comes again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::acl::Acl;
use crate::clock::{Stamp, WallTime};
use crate::command::KeyAt;
use crate::command::client::{Client, ClientFlag};
use crate::command::hot_keys::HotKeys;
use crate::command::observed::notable_ns;
use crate::config::{MaxmemoryPolicy, Settings};
use crate::observe::trace::WorkerTracer;
use crate::observe::{Counter, SlowStages, WorkerStats};
use crate::resp::{Encoder, RequestLimits, Span};
use crate::store::{KeyHash, Moment, Usage};

use super::memory::{self, Evicting, Room};
use super::shared::Engine;
use super::tracking;

mod batch;
mod draw;
mod parking;
mod plain;
mod plan;
mod sampled;
mod step;

use batch::{Batch, Group, Planned, Step};
use draw::RunGroup;
use plan::Last;
use sampled::Sampled;

pub use batch::{Awaited, Connection, Next, Ran};

/// Commands in one batch.
const BATCH_COMMANDS: usize = 256;
/// Time of one batch.
const BATCH_NS: u64 = 200_000;
/// What one request with very many arguments has grown is given back.
const KEPT_SPANS: usize = 16 * 1024;
/// Replies of one batch: beyond it they are written before more is run.
const BATCH_REPLY_BYTES: usize = 256 * 1024;

/// The flags of a client that end its batch.
const ENDS_BATCH: u32 =
    ClientFlag::Killed as u32 | ClientFlag::CloseAfterReply as u32 | ClientFlag::BatchOver as u32;

/// One worker's own state.
pub struct Worker {
    engine: Arc<Engine>,
    /// Its index.
    pub index: usize,
    settings: Arc<Settings>,
    settings_version: u64,
    acl: Arc<Acl>,
    limits: RequestLimits,
    usage: Usage,
    wall: WallTime,
    /// When the last batch ended.
    ended: Stamp,
    spans: Vec<Span>,
    keys: Vec<KeyAt>,
    plan: Vec<Planned>,
    /// The last request: the next mostly begins alike.
    last: Last,
    prefetch: Vec<KeyHash>,
    /// Elements that the planned requests look up in the collection under their key.
    elements: Vec<(KeyHash, Span)>,
    seed: u64,
    /// The shard from which tracked keys are forgotten next.
    tracked_from: usize,
    evicting: Evicting,
    tracer: WorkerTracer,
    /// Commands of this batch that are traced once their replies are written.
    sampled: Vec<Sampled>,
    /// From how many nanoseconds on a command is noted: for the slow log, or as a slow event.
    notable_ns: u64,
    /// Slow commands of this batch: what writing its replies takes is entered later.
    slow: Vec<Arc<SlowStages>>,
    /// What decoding the last group took, by request; measured only while traces are on.
    parse_nanos: u64,
    /// What HOTKEYS counts.
    hot_keys: Arc<HotKeys>,
    /// Requests that are passed over before the next one that is drawn ([`draw`]).
    gap: u32,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Worker {
    /// The worker of this index.
    pub fn new(engine: Arc<Engine>, index: usize) -> Worker {
        let settings = engine.config.current();
        let mut worker = Worker {
            index,
            settings_version: engine.config.version(),
            acl: Arc::clone(engine.server.acl()),
            limits: RequestLimits::default(),
            usage: Usage::Lru,
            wall: WallTime::new(engine.clock.clone()),
            ended: 0,
            settings,
            spans: Vec::new(),
            keys: Vec::new(),
            plan: Vec::new(),
            last: Last::default(),
            prefetch: Vec::new(),
            elements: Vec::new(),
            seed: engine.store.hash(&index.to_le_bytes()) | 1,
            tracked_from: 0,
            evicting: Evicting::new(engine.store.hash(&(index as u64 + 1).to_le_bytes())),
            tracer: engine.tracer.worker(index),
            sampled: Vec::new(),
            notable_ns: u64::MAX,
            slow: Vec::new(),
            parse_nanos: 0,
            hot_keys: Arc::clone(engine.server.hot_keys()),
            gap: u32::MAX,
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
        let drew = self.settings.key_statistics;
        self.settings = self.engine.config.current();
        self.set_drawing(drew);
        self.limits.max_bulk_len = self.settings.proto_max_bulk_len_bytes as usize;
        self.usage = usage_of(&self.settings);
        self.notable_ns = notable_ns(&self.settings);
    }

    /// The moment of a unit that begins at `stamp`.
    #[inline]
    fn moment(&mut self, stamp: Stamp) -> Moment {
        let seed = self.random();
        let now_ms = self.wall.at(stamp);
        Moment { now_ms, horizon_ms: now_ms, keeps_expired: false, usage: self.usage, seed: seed ^ stamp }
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
        // What a last save has not seen must not happen any more.
        if engine.status.stopping.load(Ordering::Relaxed) {
            return Ran { consumed: 0, next: Next::Close };
        }
        if connection.session.acl_generation != self.acl.generation() {
            connection.session.refresh_user(&self.acl);
            if connection.session.client.has(ClientFlag::Killed) {
                return Ran { consumed: 0, next: Next::Close };
            }
        }
        let mut encoder = Encoder::with_buffer(std::mem::take(out), connection.protocol);
        encoder.set_limit(connection.session.client.reply_limit(&self.settings.client_output_buffer_limit));
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
            limited: self.settings.maxmemory_bytes != 0,
            busy,
            monitored: engine.server.pubsub().monitors().count() > 0,
            open: false,
        };
        batch.open = self.is_open(&connection.session, &batch);
        // What a panic can leave behind is the worker's scratch, which the next batch clears, and the
        // connection, which is closed. Locks and permits are given back as the stack unwinds.
        let ran = catch_unwind(AssertUnwindSafe(|| self.batch(connection, input, &mut encoder, &mut batch)));
        connection.protocol = encoder.protocol();
        *out = encoder.into_vec();
        let next = ran.unwrap_or_else(|_| {
            self.stats().incr(Counter::PanicsCaught);
            Next::Close
        });
        if self.spans.capacity() > KEPT_SPANS {
            self.spans = Vec::new();
        }
        connection.partial_at = connection.partial_at.saturating_sub(batch.consumed);
        connection.session.client.query_used.store(input.len() - batch.consumed, Ordering::Relaxed);
        self.ended = batch.stamp;
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
            self.fetch(connection.session.database, input);
            let plan = std::mem::take(&mut self.plan);
            let (spans, keys) = (std::mem::take(&mut self.spans), std::mem::take(&mut self.keys));
            let (mut stopped, mut ran) = (None, plan.len());
            for (at, planned) in plan.iter().enumerate() {
                let args = planned.args(input, &spans, &keys);
                match self.command(connection, out, batch, planned.command, &args) {
                    Step::Done => {
                        batch.consumed = planned.end;
                        if let Some(next) = self.enough(connection, out, batch) {
                            (stopped, ran) = (Some(next), at + 1);
                            break;
                        }
                    }
                    Step::Stop(next) => {
                        batch.consumed = planned.end;
                        (stopped, ran) = (Some(next), at + 1);
                        break;
                    }
                    Step::Before(next) => {
                        (stopped, ran) = (Some(next), at);
                        break;
                    }
                }
            }
            let group = RunGroup { input, plan: &plan[..ran], spans: &spans, keys: &keys };
            self.draw_from(&connection.session, &group, batch.stamp);
            (self.plan, self.spans, self.keys) = (plan, spans, keys);
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
        if client.any(ENDS_BATCH) {
            return Some(Self::ended_by(client));
        }
        let over = batch.whole
            || batch.commands >= BATCH_COMMANDS
            || batch.stamp.saturating_sub(batch.began) >= BATCH_NS
            || out.len() >= BATCH_REPLY_BYTES
            || self.engine.world.is_wanted();
        over.then_some(Next::Again)
    }

    #[cold]
    fn ended_by(client: &Client) -> Next {
        client.set(ClientFlag::BatchOver, false);
        let closes = client.any(ClientFlag::Killed as u32 | ClientFlag::CloseAfterReply as u32);
        if closes { Next::Close } else { Next::Again }
    }

    /// When the last command of the last batch had run: from then on its replies are written.
    #[inline]
    pub fn ended(&self) -> Stamp {
        self.ended
    }

    /// Makes room between batches. Returns whether there is more to do at once.
    pub fn make_room(&mut self) -> bool {
        if self.settings_version != self.engine.config.version() {
            self.read_settings();
        }
        if self.settings.maxmemory_bytes == 0 {
            return false;
        }
        let engine = Arc::clone(&self.engine);
        // A worker's work like a batch: it waits while somebody holds the keyspace.
        let Some(_permit) = engine.world.try_work(self.index) else { return false };
        let moment = self.moment_now();
        let room = memory::make_room(&engine, &self.settings, &mut self.evicting, moment, self.index);
        matches!(room, Room::Evicting { .. }) && !engine.world.is_wanted()
    }

    /// Holds `tracking-table-max-keys` between batches. Like a batch it waits while somebody holds the keyspace.
    pub fn hold_tracked_alone(&mut self) {
        let engine = Arc::clone(&self.engine);
        if let Some(_permit) = engine.world.try_work(self.index) {
            self.hold_tracked();
        }
    }

    /// Holds `tracking-table-max-keys`.
    #[inline]
    fn hold_tracked(&mut self) {
        if tracking::is_beyond_limit(&self.engine, &self.settings) {
            tracking::hold_limit(&self.engine, &self.settings, &mut self.tracked_from);
        }
    }

    /// Milliseconds since 1970, now.
    pub fn now_ms(&mut self) -> u64 {
        let stamp = self.wall.stamp();
        self.wall.at(stamp)
    }
}

/// How accesses are recorded, as the settings say.
pub fn usage_of(settings: &Settings) -> Usage {
    match settings.maxmemory_policy {
        MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu => {
            Usage::Lfu { log_factor: settings.lfu_log_factor, decay_minutes: settings.lfu_decay_time_min }
        }
        _ => Usage::Lru,
    }
}
