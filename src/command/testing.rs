//! A test harness for handlers: a keyspace, one session and a manual clock, driven by transcripts.
//!
//! `GLASSWING_TRANSCRIPTS_AT=host:port` sends a transcript's lines to a real redis-server instead and
//! holds it to the same expectations (its keyspace is flushed first; for `! advance` it makes us wait).
//! `tests/coverage.rs` runs the same transcripts against the started program.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::acl::{Acl, User};
use crate::clock::Clock;
use crate::config::{AclPubsubDefault, ApplyError, Config, Row, Settings};
use crate::data::ValueLimits;
use crate::observe::{Figures, Stats};
use crate::resp::{Encoder, Protocol, Span, ValueDecoder};
use crate::store::{DumpError, Entry, KeyHasher, LoadedValue, Moment, Store, StoreOptions, Usage, View};

use super::client::{Address, Client};
use super::context::{Event, Replay};
use super::ports::{
    Clients, Departing, Destination, Dumps, Library, Migrations, Pause, RunningFunction, SaveRefusal, Saves,
    ScriptCall, Scripts, SendFailure, Sent, Server, Shutdown, Started,
};
pub(crate) use super::transcript::format_value;
use super::transcript::{Step, steps};
use super::{Args, Command, Context, Flags, KeyAt, Registry, Reply, Session, keys};

/// A server without sockets.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) session: Session,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) protocol: Protocol,
    /// How accesses are recorded; the engine takes it from `maxmemory-policy`.
    pub(crate) usage: Usage,
    pub(crate) server: Arc<FakeServer>,
    /// The last command parked: what it would answer when its time is up is shown.
    pub(crate) parked: bool,
    /// What the last command did beside answering.
    pub(crate) done: Done,
}

/// What a command did beside answering.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// What is to be repeated for it.
    pub(crate) replay: Replay,
    /// What the commands of a script are repeated as.
    pub(crate) effects: Option<Box<super::effects::Effects>>,
    /// Its events: database, key, event.
    pub(crate) events: Vec<(usize, Vec<u8>, Event)>,
    /// Changes that it counted.
    pub(crate) changes: u64,
}

impl Bench {
    /// An empty server with default settings.
    pub(crate) fn new() -> Bench {
        Bench::with(Settings::default(), None)
    }

    /// An empty server with these settings; CLIENT LIST shows `client` in place of the one that asks.
    pub(crate) fn with(settings: Settings, listed: Option<Arc<Client>>) -> Bench {
        let registry = Registry::new();
        let clock = Clock::manual();
        let store =
            Store::with_hasher(&StoreOptions { databases: 16, shards: 16 }, KeyHasher::with_key(&[3; 16]));
        let client = Arc::new(Client::new(1, Address::Internal, Address::Internal, -1, 0, clock.unix_ms()));
        let config = Config::from_settings(settings);
        let listed = listed.unwrap_or_else(|| Arc::clone(&client));
        let server = FakeServer::new(config.clone(), clock.clone(), listed, &registry);
        Bench {
            store: Arc::new(store),
            settings: config.current(),
            session: Session::connected(Arc::clone(&client), server.acl()),
            server,
            registry,
            clock,
            protocol: Protocol::Resp2,
            usage: Usage::Lru,
            parked: false,
            done: Done::default(),
        }
    }

    /// Runs one request and gives the bytes of its reply.
    pub(crate) fn raw(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let spans: Vec<Span> = words
            .iter()
            .map(|word| {
                buffer.extend_from_slice(word);
                Span { start: buffer.len() - word.len(), len: word.len() }
            })
            .collect();
        let mut out = Encoder::new(self.protocol);
        let Some(command) = self.registry.resolve(words[0], words.get(1).copied()) else {
            out.error(&format!("ERR unknown command '{}'", String::from_utf8_lossy(words[0])));
            return out.into_vec();
        };
        let registered = self.registry.get(command);
        if !registered.accepts(words.len()) {
            out.error(&super::CommandError::Arity(registered.full_name.to_owned()).text());
            return out.into_vec();
        }
        let mut found = Vec::new();
        keys::each(
            registered.row.keys,
            words.len(),
            |index| words[index],
            |index, _| {
                found.push(KeyAt { arg: index as u32, hash: self.store.hash(words[index]) });
            },
        );
        let args = Args::new(&buffer, &spans, &found);
        self.settings = self.server.config.current();
        let moment = Moment { usage: self.usage, ..Moment::at(self.clock.unix_ms()) };
        let view = lock(&self.store, moment, self.session.database, registered.row, &args);
        let mut ctx = Context {
            view,
            out: &mut out,
            session: &mut self.session,
            settings: &self.settings,
            server: &*self.server,
            registry: &self.registry,
            command,
            in_transaction: false,
            in_script: false,
            out_of_memory: false,
            replay: Replay::AsSent,
            collect_replay: true,
            effects: Some(Box::default()),
            events: Vec::new(),
            collect_events: true,
        };
        let args = if registered.parent.is_some() { args.of_subcommand() } else { args };
        let outcome = (registered.row.run)(&mut ctx, args);
        let (replay, events) = (std::mem::take(&mut ctx.replay), std::mem::take(&mut ctx.events));
        let effects = ctx.effects.take();
        self.done = Done { replay, effects, events, changes: ctx.view.tally.changes };
        drop(ctx);
        self.parked = false;
        let outcome = match outcome {
            Ok(Reply::Later(work)) => work.run(),
            other => other,
        };
        match outcome {
            Ok(Reply::ParkAs(park)) => {
                self.parked = true;
                park.park.on_timeout.write(&mut out);
            }
            Ok(Reply::Until(until)) => {
                self.parked = true;
                (until.answer)().write(&mut out);
            }
            Ok(Reply::Park(park)) => {
                self.parked = true;
                park.on_timeout.write(&mut out);
            }
            Ok(reply) => reply.write(&mut out),
            Err(error) => {
                out.clear();
                out.error(&error.text());
            }
        }
        self.protocol = out.protocol();
        out.into_vec()
    }

    /// Runs one line, quoted as in redis-cli, and shows its reply as redis-cli does.
    pub(crate) fn line(&mut self, line: &str) -> String {
        let words =
            crate::resp::split_args(line.as_bytes()).unwrap_or_else(|| panic!("unbalanced quotes: {line}"));
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        let reply = self.raw(&words);
        shown(&reply)
    }
}

/// Locks what the row declares, as the engine does: a handler that touches more panics.
fn lock<'s>(store: &'s Store, moment: Moment, database: usize, row: &Command, args: &Args<'_>) -> View<'s> {
    if row.is_whole(args) || row.flags.has(Flags::TRIES) {
        return store.view_whole(moment, database);
    }
    let other = if row.flags.has(Flags::CROSS_DATABASE) { (row.databases)(args.clone()) } else { None };
    let places: Vec<(usize, u64)> = [Some(database), other.map(|other| other.number)]
        .into_iter()
        .flatten()
        .filter(|&number| number < store.databases())
        .flat_map(|number| args.keys().iter().map(move |key| (number, key.hash)))
        .collect();
    store.view_many(moment, database, &places)
}

fn shown(reply: &[u8]) -> String {
    if reply.is_empty() {
        return "(no reply)".to_owned();
    }
    match ValueDecoder::default().decode(reply) {
        Ok(Some((value, used))) if used == reply.len() => format_value(&value, ""),
        other => panic!("not one reply: {other:?} in {}", reply.escape_ascii()),
    }
}

/// Runs a transcript against a fresh [`Bench`], or against a real server when the environment names one.
pub(crate) fn transcript(text: &str) {
    let mut bench = Bench::new();
    let mut real = std::env::var("GLASSWING_TRANSCRIPTS_AT").ok().map(RealServer::connect);
    for step in steps(text).unwrap_or_else(|error| panic!("{error}")) {
        match (step, &mut real) {
            (Step::Advance { ms }, Some(_)) => std::thread::park_timeout(Duration::from_millis(ms)),
            (Step::Advance { ms }, None) => bench.clock.advance_ms(ms),
            (Step::Send { line, expected }, Some(server)) => {
                assert_eq!(server.line(&line), expected, "after: {line}");
            }
            (Step::Send { line, expected }, None) => assert_eq!(bench.line(&line), expected, "after: {line}"),
        }
    }
}

struct RealServer(std::net::TcpStream);

impl RealServer {
    fn connect(address: String) -> RealServer {
        let stream = std::net::TcpStream::connect(address).expect("GLASSWING_TRANSCRIPTS_AT names a server");
        let mut server = RealServer(stream);
        server.line("FLUSHALL");
        server
    }

    fn line(&mut self, line: &str) -> String {
        let words = crate::resp::split_args(line.as_bytes()).expect("balanced quotes");
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in &words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.0.write_all(&request).expect("the server takes requests");
        let (mut decoder, mut reply, mut piece) = (ValueDecoder::default(), Vec::new(), [0u8; 4096]);
        loop {
            let read = self.0.read(&mut piece).expect("the server answers");
            assert!(read > 0, "the server closed the connection after: {line}");
            reply.extend_from_slice(&piece[..read]);
            if let Some((value, _)) = decoder.decode(&reply).expect("a reply") {
                return format_value(&value, "");
            }
        }
    }
}

/// Ports with nothing behind them.
pub(crate) struct FakeServer {
    pub(crate) stats: Stats,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) client: Arc<Client>,
    me: Weak<FakeServer>,
    /// Users.
    pub(crate) acl: Arc<Acl>,
    /// Channels.
    pub(crate) pubsub: crate::pubsub::PubSub,
    /// Who caches keys.
    pub(crate) tracking: super::tracking::Tracking,
    /// What HOTKEYS counts.
    pub(crate) hot_keys: Arc<super::hot_keys::HotKeys>,
    /// The stream that nobody follows.
    pub(crate) replication: crate::replica::Replication,
    /// What INFO shows beside the counters.
    pub(crate) figures: Mutex<Figures>,
    /// What the server was asked to do: `save`, `reload`, a shutdown.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What DEBUG has switched.
    pub(crate) switches: super::ports::Switches,
    /// What runs scripts, where a test has something that does.
    pub(crate) scripts: std::sync::OnceLock<Box<dyn Scripts>>,
}

impl Done {
    /// The events as `name key@database`.
    pub(crate) fn events(&self) -> Vec<String> {
        let show = |(database, key, event): &(usize, Vec<u8>, Event)| {
            format!("{} {}@{database}", event.name, String::from_utf8_lossy(key))
        };
        self.events.iter().map(show).collect()
    }
}

/// A stream that is not kept.
fn nobody_follows() -> crate::replica::Replication {
    let limits = crate::replica::Limits {
        backlog_bytes: 1 << 20,
        hard_bytes: 0,
        soft_bytes: 0,
        soft_ms: 0,
        timeout_ms: 60_000,
        ping_ms: 10_000,
        keep_ms: 0,
        wanted: 0,
        lag_ms: 10_000,
    };
    crate::replica::Replication::new("0".repeat(40), limits, Arc::default(), Box::new(|_| {}))
}

impl FakeServer {
    /// How often the saver was told that all is flushed.
    pub(crate) fn flushed(&self) -> usize {
        self.asked
            .lock()
            .expect("no test panics with this lock")
            .iter()
            .filter(|what| *what == "flushed")
            .count()
    }

    /// A server that lists one client.
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        client: Arc<Client>,
        registry: &Registry,
    ) -> Arc<FakeServer> {
        let settings = config.current();
        let acl = Acl::new(registry.catalog(), settings.acl_pubsub_default == AclPubsubDefault::Allchannels);
        acl.set_default_password(&settings.requirepass);
        Arc::new_cyclic(|me| FakeServer {
            acl: Arc::new(acl),
            stats: Stats::new(1, &registry.names()),
            config,
            clock,
            client,
            me: Weak::clone(me),
            pubsub: crate::pubsub::PubSub::default(),
            tracking: super::tracking::Tracking::default(),
            hot_keys: Arc::default(),
            replication: nobody_follows(),
            figures: Mutex::default(),
            asked: Mutex::default(),
            switches: super::ports::Switches::default(),
            scripts: std::sync::OnceLock::new(),
        })
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("no test panics with this lock").push(what);
    }
}

/// No other server can be reached.
impl Migrations for FakeServer {
    fn send(&self, _: &Destination, _: &[Vec<Vec<u8>>]) -> Sent {
        Sent { failure: Some(SendFailure::Connecting), ..Sent::default() }
    }

    fn depart(&self, _: usize, keys: &[Departing], _: &dyn Fn(usize) -> bool) -> Vec<bool> {
        keys.iter().map(|departing| !departing.changed.is_raised()).collect()
    }
}

/// The format is the business of `persist`, which commands do not see: here no value has one. The
/// transcripts of DUMP and RESTORE run against the whole program.
impl Dumps for FakeServer {
    fn dump(&self, _: &Entry, _: bool) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&self, _: &[u8], _: &ValueLimits) -> Result<LoadedValue, DumpError> {
        Err(DumpError::Footer)
    }

    fn dump_libraries(&self, _: &[&[u8]]) -> Vec<u8> {
        Vec::new()
    }

    fn restore_libraries(&self, _: &[u8]) -> Result<Vec<Vec<u8>>, DumpError> {
        Err(DumpError::Footer)
    }
}

impl Server for FakeServer {
    fn acl(&self) -> &Arc<Acl> {
        &self.acl
    }
    fn load_users(&self) -> Result<Vec<Arc<User>>, String> {
        Err("no files here".to_owned())
    }
    fn save_users(&self) -> Result<(), String> {
        Err("no files here".to_owned())
    }
    fn pubsub(&self) -> &crate::pubsub::PubSub {
        &self.pubsub
    }
    fn hot_keys(&self) -> &Arc<super::hot_keys::HotKeys> {
        &self.hot_keys
    }
    fn tracking(&self) -> &super::tracking::Tracking {
        &self.tracking
    }
    fn clients(&self) -> &dyn Clients {
        self
    }
    fn config(&self) -> &Config {
        &self.config
    }
    fn apply_config(&self, old: &Settings, new: &Settings, _: &[&'static Row]) -> Result<(), ApplyError> {
        super::rights::apply_config(&self.acl, old, new);
        Ok(())
    }
    fn stats(&self) -> &Stats {
        &self.stats
    }
    fn is_traced(&self) -> bool {
        true
    }
    fn clock(&self) -> &Clock {
        &self.clock
    }
    fn saves(&self) -> &dyn Saves {
        self
    }
    fn figures(&self) -> Figures {
        self.figures.lock().expect("no test panics with this lock").clone()
    }
    fn shared(&self) -> Arc<dyn Server> {
        self.me.upgrade().expect("the bench owns the server")
    }
    fn is_loading(&self) -> bool {
        false
    }
    fn shutdown(&self, how: Shutdown) -> Result<(), String> {
        self.note(format!("{how:?}"));
        Ok(())
    }
    fn abort_shutdown(&self) -> bool {
        false
    }
    fn sleep(&self, time: Duration) {
        self.clock.advance_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    fn set_active_expiry(&self, on: bool) {
        self.note(format!("active expiry {on}"));
    }
    fn switches(&self) -> &super::ports::Switches {
        &self.switches
    }
    fn delay_log(&self, time: Duration) {
        self.note(format!("delay the log by {} ms", time.as_millis()));
    }
    fn reload(&self, how: crate::command::ports::Reload) -> Result<(), String> {
        self.note(format!("reload, save {}, flush {}, merge {}", how.save, how.flush, how.merge));
        Ok(())
    }
    fn reload_log(&self) -> Result<(), String> {
        self.note("reload the log".to_owned());
        Ok(())
    }
    fn change_replication_id(&self) {
        self.note("change the replication id".to_owned());
    }
    fn replication(&self) -> &crate::replica::Replication {
        &self.replication
    }
    fn begin_syncs(&self) {
        self.note("begin syncs".to_owned());
    }
    fn scripts(&self) -> &dyn Scripts {
        match self.scripts.get() {
            Some(scripts) => &**scripts,
            None => self,
        }
    }
    fn migrations(&self) -> Arc<dyn Migrations> {
        let me = self.me.upgrade();
        me.unwrap_or_else(|| panic!("the server is alive while it is asked"))
    }

    fn dumps(&self) -> &dyn Dumps {
        self
    }

    fn run_id(&self) -> &str {
        "0123456789012345678901234567890123456789"
    }
}

impl Clients for FakeServer {
    fn all(&self) -> Vec<Arc<Client>> {
        vec![Arc::clone(&self.client)]
    }
    fn find(&self, id: u64) -> Option<Arc<Client>> {
        (id == self.client.id).then(|| Arc::clone(&self.client))
    }
    fn count_anew(&self, _: &Client) {}
    fn pause(&self, _: bool, _: u64) {}
    fn unpause(&self) {}
    fn paused(&self, _: u64) -> Option<Pause> {
        None
    }
}

impl Saves for FakeServer {
    fn save(&self) -> Result<(), SaveRefusal> {
        self.note("save".to_owned());
        Ok(())
    }
    fn start(&self, schedule: bool) -> Result<Started, SaveRefusal> {
        self.note(format!("background save, schedule: {schedule}"));
        Ok(Started::Now)
    }
    fn last_save_unix_s(&self) -> u64 {
        self.clock.unix_ms() / 1_000
    }
    fn running(&self) -> bool {
        false
    }
    fn rewrite(&self, schedule: bool) -> Result<Started, SaveRefusal> {
        self.note(format!("rewrite the log, schedule: {schedule}"));
        Ok(if schedule { Started::Scheduled } else { Started::Now })
    }
    fn flushed(&self) -> bool {
        self.note("flushed".to_owned());
        true
    }
    fn save_flushed(&self) {
        self.note("save what was flushed".to_owned());
    }
}

/// There are no scripts.
impl Scripts for FakeServer {
    fn run(&self, _: &mut Context<'_>, _: ScriptCall<'_>) -> super::Outcome {
        Err(super::CommandError::fixed("NOSCRIPT No matching script. Please use EVAL."))
    }
    fn load_script(&self, _: &[u8]) -> Result<String, super::CommandError> {
        Err(super::CommandError::fixed("ERR no scripts here"))
    }
    fn has_script(&self, _: &[u8]) -> bool {
        false
    }
    fn flush_scripts(&self) {}
    fn load_library(&self, _: &[u8], _: bool) -> Result<String, super::CommandError> {
        Err(super::CommandError::fixed("ERR no scripts here"))
    }
    fn delete_library(&self, _: &[u8]) -> bool {
        false
    }
    fn flush_libraries(&self) {}
    fn restore_libraries(
        &self,
        _: &[Vec<u8>],
        _: super::ports::RestoreLibraries,
    ) -> Result<(), super::CommandError> {
        Err(super::CommandError::fixed("ERR no scripts here"))
    }
    fn libraries(&self) -> Vec<Library> {
        Vec::new()
    }
    fn has_function(&self, _: &[u8]) -> bool {
        false
    }
    fn running_function(&self) -> Result<Option<RunningFunction>, super::CommandError> {
        Ok(None)
    }
    fn kill(&self, _: bool) -> Result<(), super::CommandError> {
        Err(super::CommandError::fixed("NOTBUSY No scripts in execution right now."))
    }
    fn busy(&self) -> Option<super::CommandError> {
        None
    }
}
