//! The start: arguments, environment, files and standard input, in their order.
//!
//! Later sources win: defaults, `GLASSWING_*` variables, the file, standard input, the command line.

use super::error::{Fault, Place, Source, StartupError};
use super::live::Config;
use super::load::Loader;
use super::quote::{quote, split_args};
use super::row::{Flags, How, Row};
use super::table::{ROWS, Settings};
use super::tools::{self, CheckArgs, ConvertArgs, HealthcheckArgs, RestoreArgs};
use super::value::reason;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const PREFIX: &str = "GLASSWING_";

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
    if let Some((tool, rest)) =
        args.split_first().and_then(|(first, rest)| Some((tools::named(first)?, rest)))
    {
        return tool.startup(rest, env);
    }
    // What Redis answers instead of serving, and is not here.
    match args.first().map(|arg| arg.as_bytes()) {
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
        if tools::VARIABLES.iter().any(|(other, _)| other == name) || is_service_link(name, value) {
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

/// The admin port of a server that is started like this. Its standard input is its own.
pub(super) fn admin_port(args: &[OsString], env: &[(String, String)]) -> Result<u16, StartupError> {
    Ok(read(args, env, &mut std::io::empty())?.loader.settled()?.admin_port)
}
