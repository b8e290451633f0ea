//! The log: in Redis's own form by default, as JSON on request.
//!
//! ```text
//! 4711:M 23 Nov 2026 06:17:28.123 * Ready to accept connections port=6379
//! {"ts":"2026-11-23T06:17:28.123Z","level":"notice","target":"glasswing::net","message":"...","fields":{...}}
//! ```
//!
//! The code says `tracing::info!` and its like; this file decides what becomes of it. Events of
//! the libraries in here are shown only from `warn` on. Time in Redis's form is local time, in
//! JSON it is UTC. No key, value or secret of a client ever belongs into an event, but where Redis's
//! own lines quote one: those have the target [`QUOTES`]. What text of a client does (a name, an
//! address) belongs into a field, where control characters are escaped, so that nobody forges a line.

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use super::recent::{KEPT_BYTES, RecentLines};

/// The target of events that quote a client or the data: a script's `redis.log`, a key of a file. They are written, and
/// not kept for [`LogHandle::recent`], which is given away.
pub const QUOTES: &str = "glasswing::quotes";

/// Where the time comes from: nanoseconds since 1970.
pub type Now = fn() -> u64;

/// The values of `loglevel`, from the most to the least talkative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much that is rarely useful: `tracing`'s debug and above.
    Verbose,
    /// What one wants to see in production: info and above.
    Notice,
    /// Only what is important: warn and error.
    Warning,
}

impl LogLevel {
    /// The level with this name in `loglevel`, whatever the case.
    pub fn parse(name: &str) -> Option<Self> {
        let levels = [Self::Debug, Self::Verbose, Self::Notice, Self::Warning];
        levels.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// Its name in `loglevel` and in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Debug => '.',
            Self::Verbose => '-',
            Self::Notice => '*',
            Self::Warning => '#',
        }
    }

    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Debug,
            tracing::Level::DEBUG => Self::Verbose,
            tracing::Level::INFO => Self::Notice,
            tracing::Level::WARN | tracing::Level::ERROR => Self::Warning,
        }
    }

    fn filter(self) -> Targets {
        let ours = match self {
            Self::Debug => LevelFilter::TRACE,
            Self::Verbose => LevelFilter::DEBUG,
            Self::Notice => LevelFilter::INFO,
            Self::Warning => LevelFilter::WARN,
        };
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("glasswing", ours)
            // Spans and their fields are for traces.
            .with_target(super::trace::TARGET, LevelFilter::OFF)
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As `redis-server` writes it.
    Redis,
    /// One JSON object a line.
    Json,
}

/// What the log is to be at the start.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `loglevel`.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// `logfile`; None is standard output.
    pub file: Option<PathBuf>,
    /// The process that Redis's form shows; None is the one that writes the line, which may have gone to the
    /// background meanwhile.
    pub pid: Option<u32>,
    /// The clock.
    pub now: Now,
    /// The zone of Redis's form.
    pub zone: TimeZone,
}

impl LogConfig {
    /// Redis's form at `notice` to standard output, in the system's time zone.
    pub fn new(now: Now) -> Self {
        Self {
            level: LogLevel::Notice,
            format: LogFormat::Redis,
            file: None,
            pid: None,
            now,
            zone: TimeZone::system(),
        }
    }
}

/// Why the log could not be set up or changed.
#[derive(Debug)]
pub enum LogError {
    /// A log was installed before.
    Installed,
    /// The log file cannot be opened for appending.
    File(PathBuf, io::Error),
}

impl fmt::Display for LogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => out.write_str("a log is installed already"),
            Self::File(path, error) => write!(out, "Can't open the log file '{}': {error}", path.display()),
        }
    }
}

impl std::error::Error for LogError {}

/// Changes the log while it runs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    shared: Arc<Shared>,
}

impl LogHandle {
    /// `loglevel` from now on.
    pub fn set_level(&self, level: LogLevel) {
        // It fails only when the subscriber is gone, and then nothing is logged at all.
        let _ = self.filter.reload(level.filter());
    }

    /// `logfile` from now on; None is standard output.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for appending; the log stays where it was.
    pub fn set_file(&self, file: Option<PathBuf>) -> Result<(), LogError> {
        if let Some(path) = &file {
            append_to(path).map_err(|error| LogError::File(path.clone(), error))?;
        }
        *self.shared.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// The latest lines as they were written, the oldest first, some 256 KiB at most; without those of [`QUOTES`].
    pub fn recent(&self) -> String {
        self.shared.recent.text()
    }

    /// The role that Redis's form shows: `M` for a primary, `S` for a replica.
    pub fn set_role(&self, role: char) {
        self.shared.role.store(u8::try_from(role).unwrap_or(b'M'), Relaxed);
    }
}

/// Makes this the log of the whole process.
///
/// # Errors
///
/// When there is one already, or the file cannot be opened for appending.
pub fn install(config: LogConfig) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = subscriber(config)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
    Ok(handle)
}

/// The log as a subscriber, for whoever installs it otherwise.
///
/// # Errors
///
/// When the file cannot be opened for appending.
pub fn subscriber(config: LogConfig) -> Result<(impl Subscriber + Send + Sync, LogHandle), LogError> {
    let shared = Arc::new(Shared {
        format: config.format,
        pid: config.pid,
        now: config.now,
        zone: config.zone,
        role: AtomicU8::new(b'M'),
        file: RwLock::new(None),
        recent: RecentLines::new(KEPT_BYTES),
    });
    let (filter, reload) = reload::Layer::new(config.level.filter());
    let handle = LogHandle { filter: reload, shared: shared.clone() };
    handle.set_file(config.file)?;
    let layer = Lines { shared }.with_filter(filter);
    Ok((tracing_subscriber::registry().with(layer), handle))
}

#[derive(Debug)]
struct Shared {
    format: LogFormat,
    pid: Option<u32>,
    now: Now,
    zone: TimeZone,
    role: AtomicU8,
    file: RwLock<Option<PathBuf>>,
    recent: RecentLines,
}

impl Shared {
    /// Writes a line in one piece. The file is opened for each, as Redis does, so that moving
    /// it away (logrotate) needs no signal. Whoever cannot log goes on without.
    fn write(&self, line: &str) {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let _ = match &*file {
            Some(path) => append_to(path).and_then(|mut file| file.write_all(line.as_bytes())),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
        };
    }
}

fn append_to(path: &PathBuf) -> io::Result<std::fs::File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The layer that turns events into lines.
struct Lines {
    shared: Arc<Shared>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let shared = &self.shared;
        let level = LogLevel::of(*event.metadata().level());
        let now = Timestamp::from_nanosecond((shared.now)().into()).unwrap_or_default();
        let line = match shared.format {
            LogFormat::Redis => {
                let role = char::from(shared.role.load(Relaxed));
                redis_line(
                    shared.pid.unwrap_or_else(std::process::id),
                    role,
                    now,
                    &shared.zone,
                    level,
                    &parts,
                )
            }
            LogFormat::Json => json_line(now, level, event.metadata().target(), &parts),
        };
        shared.write(&line);
        if event.metadata().target() != QUOTES {
            shared.recent.push(&line);
        }
    }
}

fn redis_line(
    pid: u32,
    role: char,
    now: Timestamp,
    zone: &TimeZone,
    level: LogLevel,
    parts: &Parts,
) -> String {
    let time = now.to_zoned(zone.clone());
    let mut line = format!(
        "{pid}:{role} {}.{:03} {} {}",
        time.strftime("%d %b %Y %H:%M:%S"),
        time.millisecond(),
        level.mark(),
        parts.message
    );
    for (name, value) in &parts.fields {
        // Writing to a String cannot fail.
        let _ = match value {
            Value::String(text) => write!(line, " {name}={}", one_line(text)),
            other => write!(line, " {name}={other}"),
        };
    }
    line.push('\n');
    line
}

/// Control characters escaped, so that a field cannot begin a line of its own.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn json_line(now: Timestamp, level: LogLevel, target: &str, parts: &Parts) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let mut fields = String::new();
    for (nth, (name, value)) in parts.fields.iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        let _ = write!(fields, "{comma}{}:{value}", text(name));
    }
    format!(
        "{{\"ts\":\"{now:.3}\",\"level\":\"{}\",\"target\":{},\"message\":{},\"fields\":{{{fields}}}}}\n",
        level.name(),
        text(target),
        text(&parts.message)
    )
}

/// What an event consists of.
#[derive(Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Parts {
    fn put(&mut self, field: &Field, value: Value) {
        match value {
            Value::String(text) if field.name() == "message" => self.message = text,
            value => self.fields.push((field.name(), value)),
        }
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    /// 23 November 2026, 06:17:28.123 UTC.
    fn fixed() -> u64 {
        1_795_414_648_123_456_789
    }

    fn config(file: PathBuf) -> LogConfig {
        let zone = TimeZone::fixed(Offset::constant(1));
        LogConfig { file: Some(file), pid: Some(4711), zone, ..LogConfig::new(fixed) }
    }

    /// What is in the log file after `events` have been logged with this configuration.
    fn logged(change: impl FnOnce(&mut LogConfig), events: impl FnOnce(&LogHandle)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let mut config = config(path.clone());
        change(&mut config);
        let (subscriber, handle) = subscriber(config).expect("a log");
        tracing::subscriber::with_default(subscriber, || events(&handle));
        std::fs::read_to_string(path).expect("a log file")
    }

    #[test]
    fn lines_are_in_the_form_of_redis() {
        let text = logged(
            |config| config.level = LogLevel::Debug,
            |handle| {
                tracing::trace!("a detail");
                tracing::debug!("a {}", "thing");
                tracing::info!(port = 6379, addr = "[::1]", ok = true, share = 0.5, "Ready");
                tracing::warn!(error = %io::Error::other("no space"), "Save failed");
                handle.set_role('S');
                tracing::error!(diff = -3, name = "a\nb", "Broken");
            },
        );
        assert_eq!(
            text,
            "4711:M 23 Nov 2026 07:17:28.123 . a detail\n\
             4711:M 23 Nov 2026 07:17:28.123 - a thing\n\
             4711:M 23 Nov 2026 07:17:28.123 * Ready port=6379 addr=[::1] ok=true share=0.5\n\
             4711:M 23 Nov 2026 07:17:28.123 # Save failed error=no space\n\
             4711:S 23 Nov 2026 07:17:28.123 # Broken diff=-3 name=a\\nb\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(
            |config| config.format = LogFormat::Json,
            |_| tracing::info!(port = 6379, name = "a\"\n", "Ready \"now\""),
        );
        assert_eq!(
            text,
            "{\"ts\":\"2026-11-23T06:17:28.123Z\",\"level\":\"notice\",\"target\":\"glasswing::observe::log::tests\",\
             \"message\":\"Ready \\\"now\\\"\",\"fields\":{\"port\":6379,\"name\":\"a\\\"\\n\"}}\n"
        );
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn the_level_filters_and_can_be_changed() {
        let text = logged(
            |config| config.level = LogLevel::Warning,
            |handle| {
                tracing::info!("not shown");
                tracing::warn!("one");
                handle.set_level(LogLevel::Verbose);
                tracing::debug!("two");
                tracing::trace!("not shown");
                handle.set_level(LogLevel::Notice);
                tracing::debug!("not shown");
                tracing::info!("three");
            },
        );
        let messages: Vec<_> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(messages, ["one", "two", "three"]);
    }

    #[test]
    fn the_lines_that_were_written_are_kept() {
        let mut kept = String::new();
        let written = logged(
            |config| config.format = LogFormat::Json,
            |handle| {
                tracing::info!(port = 6379, "Ready");
                tracing::debug!("not shown");
                tracing::warn!("Broken");
                kept = handle.recent();
                tracing::warn!(target: QUOTES, "a client's text");
                assert_eq!(handle.recent(), kept);
            },
        );
        let (last, before) = (written.lines().last().expect("a line"), kept.lines().count());
        assert!(last.contains("a client's text") && before == 2);
        assert_eq!(format!("{kept}{last}\n"), written);
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let text = logged(
            |config| config.level = LogLevel::Debug,
            |_| {
                tracing::info!(target: "hyper::client", "not shown");
                tracing::warn!(target: "hyper::client", "shown");
            },
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let (subscriber, handle) = subscriber(config(path.clone())).expect("a log");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            std::fs::rename(&path, folder.path().join("a.log.1")).expect("renamed");
            tracing::info!("two");
            handle.set_file(Some(folder.path().join("b.log"))).expect("a new file");
            tracing::info!("three");
            assert!(handle.set_file(Some(folder.path().join("none/c.log"))).is_err());
            tracing::info!("four");
        });
        let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("a file");
        assert!(read("a.log.1").ends_with("* one\n"));
        assert!(read("a.log").ends_with("* two\n") && read("a.log").lines().count() == 1);
        assert!(read("b.log").ends_with("* four\n") && read("b.log").lines().count() == 2);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_refused() {
        let error =
            subscriber(config("/nonexistent/folder/a.log".into())).map(|_| ()).expect_err("no folder");
        assert!(error.to_string().starts_with("Can't open the log file '/nonexistent/folder/a.log': "));
    }

    #[test]
    fn levels_are_read_by_name() {
        assert_eq!(LogLevel::parse("NOTICE"), Some(LogLevel::Notice));
        assert_eq!(LogLevel::parse("debug"), Some(LogLevel::Debug));
        assert_eq!(LogLevel::parse("info"), None);
    }
}
