//! The start: arguments, environment, files and standard input, in their order.
//!
//! Later sources win: defaults, `GLASSWING_*` variables, the file, standard input, the command line.

use super::error::{Fault, Place, Source, StartupError};
use super::help;
use super::live::Config;
use super::load::Loader;
use super::quote::{quote, split_args};
use super::row::{Flags, How, Row};
use super::table::{ROWS, Settings};
use super::value::reason;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

const PREFIX: &str = "GLASSWING_";

/// Variables that carry the prefix and are no settings.
const OTHER_VARIABLES: &[&str] = &["GLASSWING_ADMIN_TOKEN"];

/// What the arguments ask for.
#[derive(Debug)]
pub enum Startup {
    /// Serve, with this configuration.
    Run(Box<Config>),
    /// Print this to standard output and exit with 0.
    Print(String),
    /// Ask a running server whether it is ready.
    Healthcheck(HealthcheckArgs),
    /// Examine files.
    Check(CheckArgs),
    /// Say what of a configuration file is honoured.
    CheckConfig(PathBuf),
    /// Write a file in another format.
    Convert(ConvertArgs),
    /// Bring an append-only file back to a moment.
    Restore(RestoreArgs),
}

/// The arguments of `glasswing check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckArgs {
    /// What to examine.
    pub files: Vec<PathBuf>,
    /// Replace a damaged file by what could be read of it, and keep the damaged one.
    pub fix: bool,
}

/// The arguments of `glasswing convert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertArgs {
    /// The file that is read.
    pub from: PathBuf,
    /// The file that is made; the ending of its name says in which format.
    pub to: PathBuf,
}

/// The arguments of `glasswing restore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreArgs {
    /// The moment: the end of this second, since 1970.
    pub at_unix_s: u64,
    /// The folder of the append-only file, or its manifest.
    pub folder: PathBuf,
}

/// The arguments of `glasswing healthcheck`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthcheckArgs {
    /// What to ask; by default `/readyz` of the admin port that the server's own arguments name.
    pub url: String,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

/// Reads everything that decides how the server starts. `args` is without the program's own name.
///
/// The working folder is read and not changed: `Settings::dir` is absolute, and the caller goes there.
///
/// # Errors
/// The whole message for standard error; the exit code is 1.
pub fn startup(
    args: &[OsString],
    env: &[(String, String)],
    stdin: &mut dyn std::io::Read,
) -> Result<Startup, StartupError> {
    match args.first().map(|arg| arg.as_bytes()) {
        Some(b"-v" | b"--version") => return Ok(Startup::Print(help::version_text())),
        Some(b"-h" | b"--help") => return Ok(Startup::Print(help::help_text())),
        Some(b"--check-config") => {
            return match args {
                [_, file] => Ok(Startup::CheckConfig(PathBuf::from(file))),
                _ => Err(StartupError::plain("Usage: glasswing --check-config FILE\n")),
            };
        }
        Some(b"--test-memory") => {
            return Err(StartupError::plain(
                "--test-memory is not there: use a memory tester such as memtest86+.\n",
            ));
        }
        Some(b"--check-system") => {
            return Err(StartupError::plain(
                "--check-system is not there: warnings about the system are in the log at start.\n",
            ));
        }
        Some(b"healthcheck") => return healthcheck(&args[1..], env),
        Some(b"check") => return check(&args[1..]),
        Some(b"convert") => return convert(&args[1..]),
        Some(b"restore") => return restore(&args[1..]),
        _ => {}
    }
    let Read { loader, defaults, file } = read(args, env, stdin)?;
    let (settings, lines) = loader.finish()?;
    Ok(Startup::Run(Box::new(Config::new(settings, defaults, file, lines))))
}

/// All sources of a server's settings, read.
struct Read {
    loader: Loader,
    defaults: Settings,
    /// The file that was named.
    file: Option<PathBuf>,
}

fn read(
    args: &[OsString],
    env: &[(String, String)],
    stdin: &mut dyn std::io::Read,
) -> Result<Read, StartupError> {
    let defaults = defaults()?;
    let here = defaults.dir.clone();
    let line = CommandLine::read(args);
    let file = line.file.map(|file| here.join(PathBuf::from(file)));

    let mut loader = Loader::new(defaults.clone(), true);
    environment(&mut loader, env)?;
    if let Some(file) = &file {
        loader.file(file)?;
    }
    if line.stdin {
        let mut text = Vec::new();
        stdin.read_to_end(&mut text).map_err(|error| {
            StartupError::plain(format!("Standard input cannot be read: {}\n", reason(&error)))
        })?;
        loader.text(Source::Stdin, &text)?;
    }
    loader.text(Source::CommandLine, &line.options)?;
    Ok(Read { loader, defaults, file })
}

/// What holds without any source: as the table says, in the folder of the start.
pub(super) fn defaults() -> Result<Settings, StartupError> {
    let dir = std::env::current_dir().map_err(|error| {
        StartupError::plain(format!("The working folder cannot be read: {}\n", reason(&error)))
    })?;
    Ok(Settings { dir, ..Settings::default() })
}

/// A command line, taken apart: `[file] [--option value ...]... [-]`.
#[derive(Debug, Default, PartialEq, Eq)]
struct CommandLine<'a> {
    file: Option<&'a OsStr>,
    stdin: bool,
    /// The options in the form of a file, one a line.
    options: Vec<u8>,
}

impl<'a> CommandLine<'a> {
    /// Redis 7.0's rules. An argument is an option's name when it begins with `--` and the option before it has a
    /// value already; so the first word after a name is its value, whatever it looks like. `--save` without a value
    /// means `--save ""`. A single argument may hold name and value: `"--port 7000"`.
    fn read(args: &'a [OsString]) -> Self {
        let mut read = CommandLine::default();
        let mut rest = args;
        if let Some((first, others)) = args.split_first()
            && !first.as_bytes().starts_with(b"-")
        {
            // An empty name is no file, as in Redis: scripts pass a variable that is not set.
            (read.file, rest) = (Some(first.as_os_str()).filter(|name| !name.is_empty()), others);
        }
        let skipped = args.len() - rest.len();
        let mut has_value = true;
        for (at, arg) in rest.iter().enumerate() {
            let (arg, next) = (arg.as_bytes(), rest.get(at + 1).map(|next| next.as_bytes()));
            if arg == b"-" && (at + skipped == 0 || next.is_none()) {
                read.stdin = true;
            } else if let (true, Some(name)) = (has_value, arg.strip_prefix(b"--")) {
                has_value = read.option(arg, name, next);
            } else {
                read.options.extend(quote(arg));
                read.options.push(b' ');
                has_value = true;
            }
        }
        read
    }

    /// Begins a line; tells whether the option has all it needs, so that `--` may begin the next.
    fn option(&mut self, arg: &[u8], name: &[u8], next: Option<&[u8]>) -> bool {
        if !self.options.is_empty() {
            self.options.push(b'\n');
        }
        self.options.extend_from_slice(name);
        self.options.push(b' ');
        if split_args(arg).is_none_or(|words| words.len() != 1) {
            return true;
        }
        let option_follows = next.is_some_and(|next| next.starts_with(b"--"));
        if name.eq_ignore_ascii_case(b"save") && (option_follows || next.is_none()) {
            self.options.extend(quote(b""));
            return true;
        }
        name.eq_ignore_ascii_case(b"sentinel") && option_follows
    }
}

/// Applies `GLASSWING_PORT=7000` and the like; a name is a setting's in capitals, with `_` for `-`.
fn environment(loader: &mut Loader, env: &[(String, String)]) -> Result<(), StartupError> {
    let mut ours: Vec<&(String, String)> = env.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (at, (name, value)) in ours.into_iter().enumerate() {
        if OTHER_VARIABLES.contains(&name.as_str()) || is_service_link(name, value) {
            continue;
        }
        let shown = format!("{name}={value}");
        let place = Place { source: Source::Environment, line: Some((at + 1, shown.as_bytes())) };
        let setting = name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
        let row = variable_row(&setting).ok_or_else(|| {
            let place = Place { source: Source::Environment, line: Some((at + 1, name.as_bytes())) };
            StartupError::at(&place, &Fault::unknown(&setting))
        })?;
        // A secret stays out of messages.
        let hidden = Place { line: Some((at + 1, name.as_bytes())), ..place };
        let place = if row.flags.has(Flags::SECRET) { hidden } else { place };
        variable(&mut loader.settings, row, value)
            .map_err(|message| StartupError::at(&place, &Fault::of_row(row, message)))?;
        loader.lines.set_at(row, &place);
    }
    Ok(())
}

fn variable_row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        [Some(row.name), row.alias].into_iter().flatten().any(|known| known.replace('_', "-") == name)
    })
}

fn variable(settings: &mut Settings, row: &Row, value: &str) -> Result<(), String> {
    let value = value.as_bytes();
    let args = match row.flags.has(Flags::MULTI) && !value.is_empty() {
        true => split_args(value).ok_or("unbalanced quotes")?,
        false => vec![value.to_vec()],
    };
    row.parse(settings, &args, How::Set)
}

/// Kubernetes gives every container variables about each service of the namespace. A service named `glasswing`
/// yields `GLASSWING_PORT=tcp://10.0.0.1:6379`, `GLASSWING_SERVICE_HOST` and so on, one named `glasswing-metrics` the same
/// with `GLASSWING_METRICS_`. They are not meant for us.
fn is_service_link(name: &str, value: &str) -> bool {
    // With the underscore before the rest, so that every word of it stands behind one.
    let name = &name[PREFIX.len() - 1..];
    let per_port = name
        .match_indices("_PORT_")
        .any(|(at, word)| name[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()));
    let service = ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|word| name.contains(word));
    let url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    per_port || service || (name.ends_with("_PORT") && url)
}

fn check(args: &[OsString]) -> Result<Startup, StartupError> {
    const USAGE: &str = "Usage: glasswing check [--fix] FILE...\n\
        Examines snapshots, RDB files and append-only files (or their folder) and prints what is in them: exit code 0\n\
        when all are whole, 1 otherwise. --fix puts what could be read of a damaged RDB or append-only file in its\n\
        place; the damaged file stays beside it.\n";
    let mut asked = CheckArgs { files: Vec::new(), fix: false };
    for arg in args {
        match arg.as_bytes() {
            b"-h" | b"--help" => return Ok(Startup::Print(USAGE.into())),
            b"--fix" => asked.fix = true,
            name if name.starts_with(b"--") => {
                let word = arg.to_string_lossy();
                return Err(StartupError::plain(format!(
                    "glasswing check: '{word}' is not understood.\n{USAGE}"
                )));
            }
            _ => asked.files.push(PathBuf::from(arg)),
        }
    }
    if asked.files.is_empty() { Err(StartupError::plain(USAGE)) } else { Ok(Startup::Check(asked)) }
}

fn convert(args: &[OsString]) -> Result<Startup, StartupError> {
    const USAGE: &str = "Usage: glasswing convert FROM TO\n\
        Writes all keys and libraries that FROM holds to TO, which nothing is called yet. No server is needed.\n\
        \n\
        FROM  a snapshot, an RDB file, an append-only folder (or its manifest), or the single append-only file of a\n\
        \x20     Redis before 7. It is only read; end the server that writes it first.\n\
        TO    its name says what is made:\n\
        \x20       NAME.rdb            an RDB file, which Redis 7.0 loads\n\
        \x20       appendonlydir       an append-only folder of Redis 7: a base, an empty increment, a manifest;\n\
        \x20       NAME/               the same under another name\n\
        \x20       NAME/FILE.manifest  the same for another appendfilename\n\
        \x20       NAME.aof            one file of commands, as Redis before 7 has it, and for redis-cli --pipe\n\
        \x20       any other name      a snapshot\n";
    match args {
        [help] if matches!(help.as_bytes(), b"-h" | b"--help") => Ok(Startup::Print(USAGE.into())),
        [from, to] => Ok(Startup::Convert(ConvertArgs { from: from.into(), to: to.into() })),
        _ => Err(StartupError::plain(USAGE)),
    }
}

fn restore(args: &[OsString]) -> Result<Startup, StartupError> {
    const USAGE: &str = "Usage: glasswing restore --at TIME FOLDER\n\
        Brings an append-only folder (or the one of a manifest) back to what it was at the end of a second. It needs\n\
        the times that are written with aof-timestamp-enabled yes, and goes back to the base at the earliest.\n\
        The log as it was is copied beside it first, as FOLDER.before-restore-<when>. End the server before.\n\
        \n\
        TIME  seconds since 1970 (1700000000), or a time with its zone (2023-11-14T22:13:20Z,\n\
        \x20     2023-11-14T23:13:20+01:00)\n";
    let refused = |why: String| StartupError::plain(format!("glasswing restore: {why}\n{USAGE}"));
    let (mut at, mut folder) = (None, None);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let word = arg.to_string_lossy();
        let time = match word.strip_prefix("--at=") {
            Some(time) => Some(time.to_owned()),
            None if word == "--at" => {
                let next = rest.next().ok_or_else(|| refused("--at needs a TIME.".to_owned()))?;
                Some(next.to_string_lossy().into_owned())
            }
            None => None,
        };
        if let Some(time) = time {
            at = Some(unix_s(&time).ok_or_else(|| refused(format!("'{time}' is no TIME.")))?);
        } else if matches!(&*word, "-h" | "--help") {
            return Ok(Startup::Print(USAGE.into()));
        } else if word.starts_with("--") || folder.is_some() {
            return Err(refused(format!("'{word}' is not understood.")));
        } else {
            folder = Some(PathBuf::from(arg));
        }
    }
    match (at, folder) {
        (Some(at_unix_s), Some(folder)) => Ok(Startup::Restore(RestoreArgs { at_unix_s, folder })),
        _ => Err(StartupError::plain(USAGE)),
    }
}

/// A moment as people write it, in seconds since 1970.
fn unix_s(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = match digits {
        true => jiff::Timestamp::from_second(text.parse().ok()?).ok()?,
        false => text.parse::<jiff::Timestamp>().ok()?,
    };
    u64::try_from(time.as_second()).ok()
}

fn healthcheck(args: &[OsString], env: &[(String, String)]) -> Result<Startup, StartupError> {
    const USAGE: &str = "Usage: glasswing healthcheck [--url URL] [--timeout SECONDS] [the server's own arguments]\n\
        Asks a running server whether it is ready: exit code 0 when it is, 1 when it is not. Without --url it asks\n\
        /readyz on this machine, at the admin-port that the server's file, options and environment name (8080).\n";
    let (mut url, mut timeout) = (None, Duration::from_secs(3));
    let mut of_server: Vec<OsString> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let word = arg.to_string_lossy();
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (&*word, None),
        };
        let mut value =
            || inline.clone().or_else(|| rest.next().map(|word| word.to_string_lossy().into_owned()));
        let refuse =
            || StartupError::plain(format!("glasswing healthcheck: '{word}' is not understood.\n{USAGE}"));
        match name {
            "-h" | "--help" => return Ok(Startup::Print(USAGE.into())),
            "--url" => url = Some(value().ok_or_else(refuse)?),
            "--timeout" => {
                let seconds =
                    value().and_then(|text| text.parse().ok()).filter(|seconds| (1..=3600).contains(seconds));
                timeout = Duration::from_secs(seconds.ok_or_else(refuse)?);
            }
            _ => of_server.push(arg.clone()),
        }
    }
    let url = match url {
        Some(url) => url,
        // Standard input belongs to the server.
        None => {
            let read = read(&of_server, env, &mut std::io::empty())?;
            match read.loader.settled()?.admin_port {
                0 => {
                    return Err(StartupError::plain(
                        "The admin port is off (admin-port 0): nothing can be asked.\n",
                    ));
                }
                port => format!("http://127.0.0.1:{port}/readyz"),
            }
        }
    };
    Ok(Startup::Healthcheck(HealthcheckArgs { url, timeout }))
}
