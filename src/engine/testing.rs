//! A server without sockets for tests of the engine: workers on one thread, clients that send a line
//! and read their replies, and a manual clock.

use std::sync::Arc;

use crate::clock::Clock;
use crate::command::client::{Address, Client};
use crate::command::testing::{FakeServer, format_value};
use crate::command::{Registry, Session};
use crate::config::{Config, Settings};
use crate::observe::Stats;
use crate::resp::ValueDecoder;
use crate::store::{Key, KeyHasher, Moment, Store, StoreOptions, View};

use super::unit::Scope;
use super::world::World;
use super::{ClientTable, Connection, Engine, Next, Worker, transaction};

/// An engine with its workers.
pub(super) struct Rig {
    pub(super) engine: Arc<Engine>,
    workers: Vec<Worker>,
    clients: Vec<Peer>,
}

/// One connection, and the input that has not been consumed.
struct Peer {
    connection: Connection,
    input: Vec<u8>,
}

/// Names a client of the rig.
pub(super) type Id = usize;

impl Rig {
    /// An empty server with `workers` workers.
    pub(super) fn new(workers: usize) -> Rig {
        Rig::with(workers, Settings::default())
    }

    /// An empty server with `workers` workers and these settings.
    pub(super) fn with(workers: usize, settings: Settings) -> Rig {
        let registry = Registry::new();
        let clock = Clock::manual();
        let options = StoreOptions { databases: 16, shards: 4_096 };
        let store = Store::with_hasher(&options, KeyHasher::with_key(&[3; 16]));
        let client = Client::new(0, Address::Internal, Address::Internal, -1, 0, clock.unix_ms());
        let config = Config::from_settings(settings);
        let fake = FakeServer::new(config.clone(), clock.clone(), Arc::new(client), &registry);
        let store = Arc::new(store);
        // What tests of eviction need: each key counts for a hundred bytes.
        let keys = Arc::clone(&store);
        let used = move || (0..keys.databases()).map(|number| keys.counts(number).keys as u64 * 100).sum();
        let engine = Arc::new(Engine {
            store,
            stats: Arc::new(Stats::new(workers, &registry.names())),
            registry: Arc::new(registry),
            config,
            clock,
            clients: Arc::new(ClientTable::new(workers)),
            world: Arc::new(World::new(workers + 1)),
            status: Engine::status_with(super::memory::Memory::new(used)),
            tracer: crate::observe::trace::Tracer::off(),
            usage: super::usage::Watched::new(workers),
            log: Arc::new(super::log::NoLog),
            server: fake,
        });
        let workers = (0..workers).map(|index| Worker::new(Arc::clone(&engine), index)).collect();
        Rig { engine, workers, clients: Vec::new() }
    }

    /// Another thread's part of the same server: one worker of its own.
    pub(super) fn beside(&self, worker: usize) -> Rig {
        let workers = vec![Worker::new(Arc::clone(&self.engine), worker)];
        Rig { engine: Arc::clone(&self.engine), workers, clients: Vec::new() }
    }

    /// Connects a client; clients go to the workers in turn.
    pub(super) fn connect(&mut self) -> Id {
        let id = self.clients.len();
        let client = Client::new(
            self.engine.clients.next_id(),
            Address::Internal,
            Address::Internal,
            -1,
            id % self.workers.len(),
            self.engine.clock.unix_ms(),
        );
        let client = Arc::new(client);
        self.engine.clients.add(Arc::clone(&client));
        self.clients
            .push(Peer { connection: Connection::new(client, self.engine.server.acl()), input: Vec::new() });
        id
    }

    /// Sends one line, quoted as in redis-cli, and gives what comes back, a line a reply; nothing while
    /// the client is parked.
    pub(super) fn send(&mut self, id: Id, line: &str) -> String {
        self.sends_on(id, line);
        self.read(id)
    }

    /// The same for a line that is one of several in a pipeline: it is run with the next that is sent or read.
    pub(super) fn sends_on(&mut self, id: Id, line: &str) {
        let words = crate::resp::split_args(line.as_bytes()).expect("balanced quotes");
        let input = &mut self.clients[id].input;
        input.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in &words {
            input.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            input.extend_from_slice(word);
            input.extend_from_slice(b"\r\n");
        }
    }

    /// What the client has received: served replies, and the replies of what it has sent meanwhile.
    pub(super) fn read(&mut self, id: Id) -> String {
        let mut received = Vec::new();
        let worker = id % self.workers.len();
        let (workers, peer) = (&mut self.workers, &mut self.clients[id]);
        if peer.connection.parked.as_ref().is_some_and(|parked| parked.is_served()) {
            let won = workers[worker].unpark(&mut peer.connection, None, &mut received);
            assert!(!won && received.is_empty(), "who was served is told nothing more");
        }
        for mail in peer.connection.session.client.take_mail() {
            received.extend_from_slice(&mail);
        }
        while peer.connection.parked.is_none() && !peer.input.is_empty() {
            let ran = workers[worker].run(&mut peer.connection, &peer.input, &mut received, false);
            peer.input.drain(..ran.consumed);
            match ran.next {
                Next::Again | Next::Parked | Next::Input(_) => {}
                Next::Whole => {
                    let _whole = self.engine.world.whole_blocking();
                    let ran = workers[worker].run(&mut peer.connection, &peer.input, &mut received, true);
                    peer.input.drain(..ran.consumed);
                }
                other => panic!("the rig cannot wait for {other:?}"),
            }
        }
        shown(&received)
    }

    /// Ends the client's waiting from outside: its time is up, or, with a text, CLIENT UNBLOCK ERROR.
    pub(super) fn unpark(&mut self, id: Id, error: Option<&str>) -> String {
        let worker = id % self.workers.len();
        let mut received = Vec::new();
        self.workers[worker].unpark(&mut self.clients[id].connection, error, &mut received);
        shown(&received)
    }

    /// Moves the clock, and tells those whose time is up.
    pub(super) fn advance_ms(&mut self, ms: u64) -> Vec<(Id, String)> {
        self.engine.clock.advance_ms(ms);
        let now = self.engine.clock.unix_ms();
        let due = |peer: &Peer| {
            peer.connection.parked.as_ref().and_then(|parked| parked.deadline_ms).is_some_and(|at| at <= now)
        };
        let over: Vec<Id> = (0..self.clients.len()).filter(|&id| due(&self.clients[id])).collect();
        over.into_iter().map(|id| (id, self.unpark(id, None))).collect()
    }

    /// The connection breaks.
    pub(super) fn disconnect(&mut self, id: Id) {
        let worker = id % self.workers.len();
        self.workers[worker].leave(&mut self.clients[id].connection);
    }

    /// Whether the client waits.
    pub(super) fn is_parked(&self, id: Id) -> bool {
        self.clients[id].connection.parked.is_some()
    }

    /// WATCH.
    pub(super) fn watch(&mut self, id: Id, key: &str) {
        let session = &mut self.clients[id].connection.session;
        let flag = session.watch_flag();
        session.watched.push((session.database, key.as_bytes().into()));
        let key = Key { bytes: key.as_bytes(), hash: self.engine.store.hash(key.as_bytes()) };
        let moment = Moment::at(self.engine.clock.unix_ms());
        self.engine.store.view_one(moment, session.database, key.hash).watch(key, &flag);
    }

    /// MULTI.
    pub(super) fn multi(&mut self, id: Id) {
        self.clients[id].connection.session.begin_multi();
    }

    /// EXEC, with the whole keyspace held where the queue needs it.
    pub(super) fn exec(&mut self, id: Id) -> String {
        let engine = Arc::clone(&self.engine);
        let session: &mut Session = &mut self.clients[id].connection.session;
        let whole = transaction::needs_whole(session, &engine.registry);
        let (settings, moment) = (engine.config.current(), Moment::at(engine.clock.unix_ms()));
        let scope = Scope { whole, ..Scope::new(&engine, id % self.workers.len(), &settings, moment) };
        let mut out = crate::resp::Encoder::new(self.clients[id].connection.protocol);
        transaction::exec(&scope, &mut self.clients[id].connection.session, &mut out, 0);
        shown(&out.into_vec())
    }

    /// Runs `work` on a view of the whole keyspace as a unit of a client's: what it wakes is served.
    pub(super) fn as_unit(&mut self, id: Id, work: impl FnOnce(&mut View<'_>)) {
        let engine = Arc::clone(&self.engine);
        let (settings, moment) = (engine.config.current(), Moment::at(engine.clock.unix_ms()));
        let scope = Scope { whole: true, ..Scope::new(&engine, 0, &settings, moment) };
        let session = &mut self.clients[id].connection.session;
        let mut out = crate::resp::Encoder::new(crate::resp::Protocol::Resp2);
        let mut ctx = super::unit::context(&scope, session, &mut out, 0);
        ctx.view.lock_whole();
        work(&mut ctx.view);
        super::unit::finish(&scope, ctx);
    }
}

/// The replies in some bytes, as redis-cli shows them.
fn shown(mut bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let (value, used) =
            ValueDecoder::default().decode(bytes).expect("valid replies").expect("whole replies");
        lines.push(format_value(&value, ""));
        bytes = &bytes[used..];
    }
    lines.join("\n")
}
