//! The life of the server: from the command line to the exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::stat::fstat;

use crate::admin::{self, AdminOptions, AdminServer, Secret};
use crate::clock::Clock;
use crate::command::Registry;
use crate::command::ports::Shutdown;
use crate::config::{self, BindAddress, Config, Settings, Startup, io_reason};
use crate::net::Acceptor;
use crate::observe::log::{self, LogConfig};
use crate::persist::jobs::SavePoint;

use super::background::{self, Supervisor};
use super::building::{build, engine_of, registry_of};
use super::control::{self, Admin};
use super::host::{Host, log_level};
use super::listening::{Listeners, shown_port};
use super::saving::progress_line;
use super::signals::{Asked, Signals};

/// The program. Arguments are without its own name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let env: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match config::startup(&args, &env, &mut std::io::stdin()) {
        Ok(Startup::Print(text)) => {
            // A closed pipe (`--help | head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Startup::Healthcheck(args)) => match admin::healthcheck(&args.url, args.timeout) {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(text) => {
                eprintln!("{text}");
                ExitCode::FAILURE
            }
        },
        Ok(Startup::Check(args)) => match super::tools::check(&args) {
            Ok(text) => print_outcome(Ok(text)),
            // What is wrong is what was asked for: it goes where the rest goes.
            Err(text) => {
                print_outcome(Ok(text));
                ExitCode::FAILURE
            }
        },
        Ok(Startup::CheckConfig(file)) => match super::tools::check_config(&file) {
            Ok(report) => {
                let _ = print_outcome(Ok(report.to_string()));
                if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => print_outcome(Err(error.to_string())),
        },
        Ok(Startup::Convert(args)) => print_outcome(super::convert::convert(&args)),
        Ok(Startup::Restore(args)) => print_outcome(super::restore::restore(&args)),
        Ok(Startup::Run(config)) => start(*config),
        Err(error) => {
            eprint!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the server; until its end.
fn start(config: Config) -> ExitCode {
    let settings = config.current();
    let ready = enter_folder(&settings).and_then(|()| Ok((Prepared::from(&config)?, open_log(&settings)?)));
    let (prepared, log) = match ready {
        Ok(ready) => ready,
        Err(text) => {
            eprintln!("{}", text.trim_end());
            return ExitCode::FAILURE;
        }
    };
    match serve(config, prepared, log) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(text) => {
            tracing::warn!("{text}");
            if !same_file(std::io::stdout(), std::io::stderr()) {
                // The log is elsewhere: whoever started the server by hand sees why it ended, too.
                eprintln!("{text}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What settings ask for that the rooms behind them judge: before there is a log, as with all that is wrong in a
/// configuration.
struct Prepared {
    registry: Registry,
    admin_token: Option<Secret>,
}

impl Prepared {
    fn from(config: &Config) -> Result<Self, String> {
        let (registry, refused) = registry_of(config.renames());
        if let Some(error) = refused.first() {
            return Err(error.to_string());
        }
        Ok(Prepared { registry, admin_token: admin_token(config)? })
    }
}

/// Whether both lead to the same place, such as one terminal.
fn same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |fd: BorrowedFd<'_>| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino, stat.st_rdev));
    identity(one.as_fd()).is_ok_and(|one| identity(other.as_fd()) == Ok(one))
}

/// Prints what a tool says, and tells by the exit code whether all is well.
fn print_outcome(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(text) => {
            // A closed pipe is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Wall time for log lines and spans, in nanoseconds since 1970.
pub(super) fn unix_ns() -> u64 {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(Clock::system).unix_us() * 1_000
}

fn serve(config: Config, prepared: Prepared, log: log::LogHandle) -> Result<i32, String> {
    let settings = config.current();
    log_panics();
    let supervisor = Supervisor::find(settings.supervised, |name| std::env::var_os(name));
    let in_background = settings.daemonize && supervisor == Supervisor::None;
    if in_background {
        background::leave_terminal()?;
    }
    if let Err(error) = super::title::show(&settings, config.config_file().as_deref()) {
        tracing::debug!("The process title cannot be set: {error}");
    }
    supervisor.started();
    tracing::warn!("oO0OoO0OoO0Oo Glasswing is starting oO0OoO0OoO0Oo");
    super::limits::at_start(&config)?;
    let listeners = Listeners::open(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime could not be started: {error}"))?;
    if let Err(error) = crate::observe::process::give_back_large_pieces() {
        tracing::debug!("The allocator keeps large pieces of memory for a while: {error}");
    }
    let host = build(config, prepared.registry, log, supervisor)?;
    // Before the main runtime turns: the admin server has one of its own, and none may end inside another.
    start_admin(&host, prepared.admin_token)?;
    let pidfile = background::pidfile(&settings, in_background).and_then(write_pidfile);
    let code = runtime.block_on(live(&host, listeners));
    if let Some(path) = pidfile {
        // Somebody may have tidied it away.
        let _ = std::fs::remove_file(path);
    }
    if !settings.unixsocket.is_empty() {
        let _ = std::fs::remove_file(&settings.unixsocket);
    }
    host.tracer.shutdown(Duration::from_secs(2));
    // A save that was cancelled takes its file away; a load that hangs in a file which does not answer never ends.
    runtime.shutdown_timeout(Duration::from_secs(2));
    if code.is_ok() {
        tracing::warn!("Glasswing is now ready to exit, bye bye...");
    }
    code
}

/// Goes to the working folder, from which the names of files are taken.
fn enter_folder(settings: &Settings) -> Result<(), String> {
    std::env::set_current_dir(&settings.dir)
        .map_err(|error| format!("Can't chdir to '{}': {error}", settings.dir.display()))
}

fn open_log(settings: &Settings) -> Result<log::LogHandle, String> {
    let mut wanted = LogConfig::new(unix_ns);
    wanted.level = log_level(settings.loglevel);
    wanted.format = match settings.log_format {
        config::LogFormat::Redis => log::LogFormat::Redis,
        config::LogFormat::Json => log::LogFormat::Json,
    };
    wanted.file = (!settings.logfile.is_empty()).then(|| PathBuf::from(&settings.logfile));
    log::install(wanted).map_err(|error| error.to_string())
}

/// A panic is logged with its backtrace wherever it happens; where a connection's work is caught, the
/// connection alone ends.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("?"), "A panic was caught: {panic}\n{backtrace}");
    }));
}

fn write_pidfile(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    match std::fs::write(&path, format!("{}\n", std::process::id())) {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!("Can't write the pid file '{}': {error}", path.display());
            None
        }
    }
}

/// A load that is over by then is none that clients are told of.
const INSTANT: Duration = Duration::from_millis(100);

/// From open listeners to the end.
async fn live(host: &Arc<Host>, listeners: Listeners) -> Result<i32, String> {
    let mut signals = Signals::listen().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let engine = engine_of(host);
    tokio::spawn(keep_watchdog(Arc::clone(host)));
    let workers =
        crate::net::start(&engine, host.workers).map_err(|error| format!("no worker thread: {error}"))?;
    // Set once, here.
    let _ = host.beats.set(Arc::clone(&workers.beats));
    let handle = tokio::runtime::Handle::current();
    let acceptor =
        Arc::new(Acceptor::new(Arc::clone(&engine), workers.arrivals.clone(), Arc::clone(&host.tls), handle));
    let _ = host.acceptor.set(Arc::clone(&acceptor));
    let settings = host.config.current();
    tracing::info!(
        "Running mode=standalone, port={}, workers={}, glasswing={}, PID: {}",
        shown_port(&settings),
        host.workers,
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    let loaded = {
        let mut loading = std::pin::pin!(load_unless_told_to_end(host, &mut signals));
        // Whoever comes while there is hardly anything to load waits for it, and is not told that it is loading.
        let at_once = match host.has_something_to_load() {
            true => tokio::time::timeout(INSTANT, &mut loading).await.ok(),
            false => Some((&mut loading).await),
        };
        acceptor.listen_tcp(listeners.tcp);
        acceptor.listen_tls(listeners.tls).map_err(|error| format!("no thread for handshakes: {error}"))?;
        if let Some(unix) = listeners.unix {
            acceptor.listen_unix(unix);
        }
        match at_once {
            Some(loaded) => loaded,
            None => loading.await,
        }
    };
    let result = match loaded {
        Ok(true) => {
            crate::observe::memory::start();
            host.status.loading.store(false, Ordering::SeqCst);
            tracing::info!("Ready to accept connections");
            host.supervisor.ready();
            until_told_to_end(host, signals).await
        }
        Ok(false) => Ok(0),
        Err(text) => Err(text),
    };
    acceptor.close();
    host.status.stopping.store(true, Ordering::SeqCst);
    host.supervisor.stopping();
    // The threads' loops may need this thread's runtime no more: their clients are told by flags.
    tokio::task::spawn_blocking(move || workers.stop()).await.map_err(|error| error.to_string())?;
    // Nobody appends any more.
    let closing = Arc::clone(host);
    tokio::task::spawn_blocking(move || closing.close_log()).await.map_err(|error| error.to_string())?;
    result
}

/// Tells a watchdog that the server lives, for as long as any worker's turn comes, and while there are none. A worker
/// alone may be held by a long command.
async fn keep_watchdog(host: Arc<Host>) {
    let Some(period) = host.supervisor.watchdog() else { return };
    let mut tick = tokio::time::interval(period / 3);
    loop {
        tick.tick().await;
        let earliest = host.clock.stamp().saturating_sub(period.as_nanos() as u64);
        let turns =
            |beats: &Arc<[AtomicU64]>| beats.iter().any(|beat| beat.load(Ordering::Relaxed) >= earliest);
        let ends = host.status.stopping.load(Ordering::Relaxed);
        if ends || host.beats.get().is_none_or(turns) {
            host.supervisor.alive();
        }
    }
}

/// Loads the snapshot; `false` when a signal came before its end. There is nothing to save then.
async fn load_unless_told_to_end(host: &Arc<Host>, signals: &mut Signals) -> Result<bool, String> {
    tokio::select! {
        loaded = load(host) => loaded.map(|()| true),
        name = signals.asked_to_end() => {
            tracing::warn!("Received {name} during loading, exiting now.");
            // The threads that load are waited for: they give up, be it before they have begun.
            host.status.stopping.store(true, Ordering::SeqCst);
            if let Some(progress) = host.load_progress() {
                progress.cancel();
            }
            Ok(false)
        }
    }
}

/// Loads the snapshot on a thread of its own and reports its progress in the log.
async fn load(host: &Arc<Host>) -> Result<(), String> {
    let began = host.clock.stamp();
    if let Err(error) = crate::persist::replace::remove_abandoned(&host.snapshot_path(), &*host.files) {
        tracing::warn!("{error}");
    }
    let loader = Arc::clone(host);
    let mut loading = tokio::task::spawn_blocking(move || loader.load_at_start());
    let mut shown = tokio::time::interval(Duration::from_secs(2));
    shown.tick().await;
    let result = loop {
        tokio::select! {
            ended = &mut loading => break ended.map_err(|error| error.to_string())?,
            _ = shown.tick() => if let Some(progress) = host.load_progress() {
                let line = format!("Loading: {}", progress_line(&progress.report()));
                tracing::info!("{line}");
                host.supervisor.status(&line);
            },
        }
    };
    match result {
        Ok(Some(keys)) => {
            let seconds = host.clock.stamp().saturating_sub(began) as f64 / 1e9;
            let from = if host.config.current().appendonly { "append only file" } else { "disk" };
            tracing::info!(keys, "DB loaded from {from}: {seconds:.3} seconds");
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(format!("Fatal error loading the DB: {error}")),
    }
}

/// The main thread's chores until the server is to end; its exit code.
async fn until_told_to_end(host: &Arc<Host>, signals: Signals) -> Result<i32, String> {
    let mut ending = host.ending.subscribe();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let signalled = Arc::clone(host);
    let signals = tokio::spawn(async move { end_on_signals(&signalled, signals).await });
    let code = loop {
        tokio::select! {
            changed = ending.changed() => {
                if changed.is_err() {
                    break 0;
                }
                if let Some(code) = *ending.borrow() {
                    break code;
                }
            }
            _ = tick.tick() => chores(host),
        }
    };
    signals.abort();
    Ok(code)
}

async fn end_on_signals(host: &Arc<Host>, mut signals: Signals) {
    loop {
        let name = signals.asked_to_end().await;
        tracing::warn!("Received {name} scheduling shutdown...");
        if !chores_go_on(host).await {
            continue;
        }
        if host.shutting_down.swap(true, Ordering::SeqCst) {
            // SHUTDOWN is at work already.
            continue;
        }
        if let Some(acceptor) = host.acceptor.get() {
            acceptor.closed().await;
        }
        let (ending, how) = (Arc::clone(host), how_to_end(name, &host.config.current()));
        let ended = tokio::task::spawn_blocking(move || ending.end(how));
        let ended = tokio::select! {
            ended = ended => ended,
            () = signals.interrupted() => {
                tracing::warn!("You insist... exiting now.");
                // The thread that saves is waited for: it gives up.
                host.jobs.cancel();
                let _ = host.ending.send(Some(1));
                return;
            }
        };
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("{name} received but errors trying to shut down the server, check the logs");
            host.shutting_down.store(false, Ordering::SeqCst);
            if let Err(error) = host.open_again() {
                tracing::warn!("New clients cannot connect: {error}");
            }
        }
    }
}

/// What the settings say of a signal.
fn how_to_end(signal: Asked, settings: &Settings) -> Shutdown {
    let asked = match signal {
        Asked::Terminate => settings.shutdown_on_sigterm,
        Asked::Interrupt => settings.shutdown_on_sigint,
    };
    let save = (asked.save || asked.nosave).then_some(asked.save);
    Shutdown { save, now: asked.now, force: asked.force }
}

/// While chores rest the end that a signal asks for is none of them that is done. False when it is given up meanwhile
/// (SHUTDOWN ABORT).
async fn chores_go_on(host: &Host) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let rests = || host.switches.pauses_chores();
    if !rests() {
        return true;
    }
    host.waits_for_chores.store(true, Ordering::SeqCst);
    while rests() && host.waits_for_chores.load(Ordering::SeqCst) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    host.waits_for_chores.swap(false, Ordering::SeqCst)
}

/// Ten times a second: rates, save points, the memory's peak.
fn chores(host: &Arc<Host>) {
    if host.switches.pauses_chores() {
        return;
    }
    host.stats.tick(host.clock.stamp());
    // Keeps the peak.
    host.process.usage(host.clock.stamp());
    let settings = host.config.current();
    host.judge_saves(&settings);
    host.tend_log();
    host.tend_replication();
    host.connections.close_idle(host.clock.stamp());
    let points: Vec<SavePoint> = settings
        .save
        .iter()
        .map(|point| SavePoint { seconds: point.seconds, changes: point.changes })
        .collect();
    let changes = host.stats.unsaved_changes();
    let idle = host.jobs.status().running.is_none();
    if idle && host.jobs.take_scheduled() {
        // It may have begun by other means meanwhile.
        let _ = host.begin_save();
    } else if idle && let Some(point) = host.jobs.due(changes, &points) {
        tracing::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        let _ = host.begin_save();
    }
}

fn start_admin(host: &Arc<Host>, token: Option<Secret>) -> Result<(), String> {
    let settings = host.config.current();
    if settings.admin_port == 0 {
        return Ok(());
    }
    let mut options = AdminOptions {
        token,
        metrics_public: settings.admin_metrics_public,
        trusted_networks: control::networks(&settings.admin_trusted_networks),
        ..AdminOptions::default()
    };
    let (optional, needed) =
        settings.admin_bind.iter().partition::<Vec<BindAddress>, _>(|bind| bind.optional);
    let at_port = |binds: Vec<BindAddress>| {
        binds.iter().map(|bind| SocketAddr::new(bind.ip, settings.admin_port)).collect()
    };
    (options.binds, options.optional_binds) = (at_port(needed), at_port(optional));
    let server = match AdminServer::start(options, Arc::new(Admin(Arc::clone(host)))) {
        Ok(server) => server,
        // Nobody asked for the default port: a second server on a machine must start as a second Redis does.
        Err(error) if settings.admin_port == Settings::default().admin_port => {
            tracing::warn!("{error}. There is no admin HTTP; choose another port with --admin-port");
            return Ok(());
        }
        Err(error) => {
            return Err(format!(
                "{error}. Choose another port with --admin-port, or --admin-port 0 for none"
            ));
        }
    };
    for address in server.addresses() {
        tracing::info!("Admin HTTP on http://{address}/");
    }
    let _ = host.admin.set(server);
    Ok(())
}

/// The token of the admin port, of a file or of the environment.
fn admin_token(config: &Config) -> Result<Option<Secret>, String> {
    let settings = config.current();
    let file = &settings.admin_token_file;
    if settings.admin_port == 0 {
        return Ok(None);
    }
    if !file.is_empty() {
        let refused = |why: String| config.refused("admin-token-file", why).to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| refused(format!("The file '{file}' cannot be read: {}", io_reason(&error))))?;
        return Secret::new(&text).map(Some).map_err(|why| refused(format!("The file '{file}': {why}")));
    }
    match std::env::var("GLASSWING_ADMIN_TOKEN") {
        Ok(text) if !text.is_empty() => {
            Secret::new(&text).map(Some).map_err(|why| format!("GLASSWING_ADMIN_TOKEN: {why}"))
        }
        _ => Ok(None),
    }
}
