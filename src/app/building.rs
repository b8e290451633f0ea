//! Putting a server together, with or without anybody to talk to it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::clock::Clock;
use crate::command::Registry;
use crate::config::{Config, Rename, Settings, StartupError};
use crate::engine::log::{EffectLog, Keeper};
use crate::engine::world::World;
use crate::engine::{ClientTable, Engine, Status};
use crate::net::Tls;
use crate::observe::log::{self, LogConfig, LogHandle};
use crate::observe::trace::{TraceSettings, Tracer};
use crate::observe::{Metrics, Process, Stats};
use crate::persist::files::RealFiles;
use crate::persist::jobs::{Clocks, Jobs};
use crate::persist::ownership::Guard;
use crate::replica::Replication;
use crate::store::{Store, StoreOptions};

use super::background::Supervisor;
use super::effect_logs::EffectLogs;
use super::host::Host;
use super::run::unix_ns;

/// Puts the server together: nobody is connected, and nothing is loaded yet.
pub(super) fn build(
    config: Config,
    registry: Registry,
    log: LogHandle,
    supervisor: Supervisor,
) -> Result<Arc<Host>, String> {
    let settings = config.current();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if settings.workers == 0 { cores } else { settings.workers };
    let clock = Clock::system();
    let registry = Arc::new(registry);
    let stats = Arc::new(Stats::new(workers, &registry.names()));
    stats.set_latency_tracking(settings.latency_tracking);
    let databases = settings.databases as usize;
    let store = Arc::new(Store::new(&StoreOptions { databases, shards: settings.shards }));
    store.prepare(0);
    store.saves().set_limit(settings.save_extra_memory_limit_bytes as usize);
    free_elsewhere(&store)?;
    crate::observe::process::return_memory_in_background(settings.jemalloc_bg_thread);
    let (wall, monotonic) = (clock.clone(), clock.clone());
    let clocks = Clocks {
        unix_ms: Arc::new(move || wall.unix_ms()),
        monotonic_ms: Arc::new(move || monotonic.stamp() / 1_000_000),
    };
    let metrics = Metrics::new(Arc::clone(&stats)).map_err(|error| format!("the metrics clash: {error}"))?;
    let tls = Arc::new(Tls::new(clock.clone()));
    super::listening::configure_at_start(&tls, &settings)?;
    let acl = super::users::at_start(&config, registry.catalog())?;
    let status = Engine::status();
    let append_only = super::append_only::AppendOnly::new(&config, &clock, &stats, &status)?;
    let replication = replication(&settings, &status);
    let effect_logs = EffectLogs::new(&append_only, &replication, &status, &config, &store);
    let host = Arc::new_cyclic(|me| Host {
        acl: Arc::new(acl),
        tracer: tracer(&stats),
        clients: Arc::new(ClientTable::new(workers)),
        // One permit more than there are workers: for who reads from outside.
        world: Arc::new(World::new(workers + 1)),
        status,
        append_only,
        effect_logs,
        replication,
        pubsub: crate::pubsub::PubSub::default(),
        tracking: crate::command::tracking::Tracking::default(),
        hot_keys: Arc::default(),
        jobs: Jobs::new(clocks),
        scripts: crate::script::ScriptEngine::new(clock.clone(), config.clone()),
        guard: Arc::new(Guard::new()),
        files: Arc::new(RealFiles),
        run_id: random_id(),
        started_ms: clock.unix_ms(),
        process: Process::new(),
        connections: super::migrate::Connections::default(),
        me: me.clone(),
        loaded_keys: AtomicU64::new(0),
        expired_keys: AtomicU64::new(0),
        load: Mutex::new(None),
        acceptor: OnceLock::new(),
        tls,
        beats: OnceLock::new(),
        admin: OnceLock::new(),
        ending: tokio::sync::watch::Sender::new(None),
        shutting_down: AtomicBool::new(false),
        ends_alone: AtomicBool::new(false),
        held_back: super::saving::HeldBack::default(),
        oom_score: super::oom_score::OomScore::default(),
        switches: crate::command::ports::Switches::default(),
        supervisor,
        waits_for_replicas: AtomicBool::new(false),
        waits_until_ms: AtomicU64::new(0),
        waits_for_chores: AtomicBool::new(false),
        metrics,
        workers,
        config,
        clock,
        store,
        registry,
        stats,
        log,
    });
    host.status.loading.store(true, Ordering::SeqCst);
    // The log has why it could not be adjusted, and that is no reason not to start.
    let _ = host.oom_score.apply(&host.config.current());
    host.process.note_startup();
    Ok(host)
}

/// The commands, as a configuration calls them, and what it has wrong.
pub(super) fn registry_of(renames: &[Rename]) -> (Registry, Vec<StartupError>) {
    let mut registry = Registry::new();
    let refused = renames.iter().filter_map(|rename| {
        let done = registry.rename(&rename.from, &rename.to);
        done.err().map(|why| rename.refused(why))
    });
    let refused = refused.collect();
    (registry, refused)
}

/// The stream of what happens: kept from the first replica on.
fn replication(settings: &Settings, status: &Arc<Status>) -> Arc<Replication> {
    let limits = super::syncing::limits_of(settings);
    let told = Arc::clone(status);
    let switch = Box::new(move |on| told.logging.set(Keeper::Stream, on));
    Arc::new(Replication::new(random_id(), limits, Arc::clone(&status.replicas_lacking), switch))
}

fn tracer(stats: &Arc<Stats>) -> Tracer {
    let Some(settings) = TraceSettings::from_env(|name| std::env::var(name).ok()) else {
        return Tracer::off();
    };
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Tracer::new(&settings, Arc::clone(stats), unix_ns).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Tracer::off()
    })
}

/// 40 random hexadecimal digits, as Redis names a run.
pub(super) fn random_id() -> String {
    let mut bytes = [0u8; 20];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&unix_ns().to_le_bytes());
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Large values are freed on a thread of their own.
fn free_elsewhere(store: &Arc<Store>) -> Result<(), String> {
    let (sender, receiver) = std::sync::mpsc::channel::<crate::store::Garbage>();
    store.free_elsewhere(sender);
    let store = Arc::downgrade(store);
    let free = move || {
        while let Ok(entries) = receiver.recv() {
            let (count, bytes) = (entries.len(), crate::store::garbage_estimate(&entries));
            drop(entries);
            crate::observe::memory::tell();
            let Some(store) = store.upgrade() else { return };
            store.garbage_done(count, bytes);
        }
    };
    std::thread::Builder::new().name("reclaimer".to_owned()).spawn(free).map(drop).map_err(|e| e.to_string())
}

/// A server that nobody can connect to and that opens no file: it has a keyspace, and runs what its owner gives it.
pub(super) fn alone(settings: Settings) -> Result<(Arc<Host>, Arc<Engine>), String> {
    // What it would say goes nowhere: what matters to its owner is in errors.
    let (_, quiet) = log::subscriber(LogConfig::new(unix_ns)).map_err(|error| error.to_string())?;
    let host = build(Config::from_settings(settings), Registry::new(), quiet, Supervisor::None)?;
    host.status.loading.store(false, Ordering::SeqCst);
    let engine = engine_of(&host);
    Ok((host, engine))
}

/// What runs the commands of this server. Made once.
pub(super) fn engine_of(host: &Arc<Host>) -> Arc<Engine> {
    let engine = Arc::new(Engine {
        store: Arc::clone(&host.store),
        registry: Arc::clone(&host.registry),
        config: host.config.clone(),
        stats: Arc::clone(&host.stats),
        clock: host.clock.clone(),
        clients: Arc::clone(&host.clients),
        world: Arc::clone(&host.world),
        status: Arc::clone(&host.status),
        tracer: host.tracer.clone(),
        usage: crate::engine::usage::Watched::new(host.workers),
        log: Arc::clone(&host.effect_logs) as Arc<dyn EffectLog>,
        server: Arc::clone(host) as Arc<dyn crate::command::ports::Server>,
    });
    crate::engine::tracking::tell_at_once(&engine);
    let _ = host.append_only.engine.set(Arc::clone(&engine));
    engine
}
