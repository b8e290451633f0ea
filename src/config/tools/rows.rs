//! The tools, one row each, with what their arguments mean.

use super::super::error::StartupError;
use super::super::help;
use super::super::start::{self, Startup};
use super::{Given, Item, Tool, Value, Variables, manual, shells};
use std::path::PathBuf;
use std::time::Duration;

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

/// Command lines to learn from, and what they do.
pub(in super::super) const EXAMPLES: &[(&str, &str)] = &[
    ("glasswing", "a server with the defaults"),
    ("glasswing --port 7000 --save \"\" --workers 4", "without snapshots, on four cores"),
    ("glasswing /etc/redis/redis.conf --loglevel verbose", "with the file of a Redis"),
    ("echo 'maxclients 500' | glasswing -", "settings from standard input"),
    ("curl -X POST localhost:8080/save", "a save by HTTP"),
];

/// Variables of the environment that are no settings, and what they are.
pub(in super::super) const VARIABLES: &[(&str, &str)] =
    &[("GLASSWING_ADMIN_TOKEN", "The bearer token of the admin port, where admin-token-file names none.")];

/// The tools.
pub(in super::super) const TOOLS: &[Tool] = &[
    Tool {
        name: "healthcheck",
        alias: None,
        options: &[
            Item { name: "--url", value: Value::Text("URL"), doc: "What to ask instead.", ..Item::BASE },
            Item {
                name: "--timeout",
                value: Value::Text("SECONDS"),
                doc: "How long to wait for an answer, from 1 to 3600; 3 if not given.",
                ..Item::BASE
            },
        ],
        operands: &[Item {
            name: "the server's own arguments",
            value: Value::OfServer,
            doc: "Its file and options, where they say which admin-port it has.",
            ..Item::BASE
        }],
        summary: "Ask a running server whether it is ready.",
        about: "Asks a running server whether it is ready: exit code 0 when it is, 1 when it is not. Without --url it \
            asks /readyz on this machine, at the admin-port that the server's file, options and environment name \
            (8080).",
        read: healthcheck,
    },
    Tool {
        name: "check",
        alias: None,
        options: &[Item {
            name: "--fix",
            doc: "Puts what could be read of a damaged RDB or append-only file in its place; the damaged file stays \
                beside it.",
            ..Item::BASE
        }],
        operands: &[Item { name: "FILE...", value: Value::File, optional: false, ..Item::BASE }],
        summary: "Say what is in a file of data, or what is wrong with it.",
        about: "Examines snapshots, RDB files and append-only files (or their folder) and prints what is in them: \
            exit code 0 when all are whole, 1 otherwise.",
        read: check,
    },
    Tool {
        name: "convert",
        alias: None,
        options: &[],
        operands: &[
            Item {
                name: "FROM",
                value: Value::File,
                optional: false,
                doc: "A snapshot, an RDB file, an append-only folder (or its manifest), or the single append-only \
                    file of a Redis before 7. It is only read; end the server that writes it first.",
                ..Item::BASE
            },
            Item {
                name: "TO",
                value: Value::File,
                optional: false,
                doc: "Its name says what is made:",
                forms: &[
                    ("NAME.rdb", "an RDB file, which Redis 7.0 loads"),
                    (
                        "appendonlydir",
                        "an append-only folder of Redis 7: a base, an empty increment, a manifest",
                    ),
                    ("NAME/", "the same under another name"),
                    ("NAME/FILE.manifest", "the same for another appendfilename"),
                    ("NAME.aof", "one file of commands, as Redis before 7 has it, and for redis-cli --pipe"),
                    ("any other name", "a snapshot"),
                ],
            },
        ],
        summary: "Write the data of a file in another format.",
        about: "Writes all keys and libraries that FROM holds to TO, which nothing is called yet. No server is needed.",
        read: convert,
    },
    Tool {
        name: "restore",
        alias: None,
        options: &[Item {
            name: "--at",
            value: Value::Text("TIME"),
            optional: false,
            doc: "The second, in one of these forms:",
            forms: &[
                ("1700000000", "seconds since 1970"),
                ("2023-11-14T22:13:20Z", "a time with its zone, here UTC"),
                ("2023-11-14T23:13:20+01:00", "the same"),
            ],
        }],
        operands: &[Item { name: "FOLDER", value: Value::File, optional: false, ..Item::BASE }],
        summary: "Bring an append-only file back to a moment.",
        about: "Brings an append-only folder (or the one of a manifest) back to what it was at the end of a second. It \
            needs the times that are written with aof-timestamp-enabled yes, and goes back to the base at the \
            earliest. The log as it was is copied beside it first, as FOLDER.before-restore-<when>. End the server \
            before.",
        read: restore,
    },
    Tool {
        name: "--check-config",
        alias: None,
        options: &[],
        operands: &[Item { name: "FILE", value: Value::File, optional: false, ..Item::BASE }],
        summary: "Say what of a redis.conf counts here, and what not.",
        about: "Reads a file of settings and those that it includes, and says what of it is honoured, what is stored \
            only and what is refused: exit code 0 when a server starts with it, 1 otherwise.",
        read: check_config,
    },
    Tool {
        name: "--generate",
        alias: None,
        options: &[],
        operands: &[Item {
            name: "man|bash|zsh|fish",
            value: Value::Words(&["man", "bash", "zsh", "fish"]),
            optional: false,
            ..Item::BASE
        }],
        summary: "Print the man page, or a shell's completions.",
        about: "Prints the page for man, or what completes the program's arguments in a shell.",
        read: generate,
    },
    Tool {
        name: "--version",
        alias: Some("-v"),
        options: &[],
        operands: &[],
        summary: "Print the version.",
        about: "Prints the version, and that of the Redis whose behaviour is matched.",
        read: |_, _, _| Ok(Startup::Print(help::version_text())),
    },
    Tool {
        name: "--help",
        alias: Some("-h"),
        options: &[],
        operands: &[],
        summary: "Print a short help.",
        about: "Prints a short help.",
        read: |_, _, _| Ok(Startup::Print(help::help_text())),
    },
];

fn check(_: &Tool, given: Given, _: &Variables) -> Result<Startup, StartupError> {
    let fix = given.option("--fix").is_some();
    Ok(Startup::Check(CheckArgs { files: given.operands.into_iter().map(PathBuf::from).collect(), fix }))
}

fn convert(tool: &Tool, given: Given, _: &Variables) -> Result<Startup, StartupError> {
    match &given.operands[..] {
        [from, to] => Ok(Startup::Convert(ConvertArgs { from: from.into(), to: to.into() })),
        _ => Err(StartupError::plain(tool.help())),
    }
}

fn check_config(tool: &Tool, given: Given, _: &Variables) -> Result<Startup, StartupError> {
    match &given.operands[..] {
        [file] => Ok(Startup::CheckConfig(file.into())),
        _ => Err(StartupError::plain(tool.help())),
    }
}

fn generate(tool: &Tool, given: Given, _: &Variables) -> Result<Startup, StartupError> {
    let what = given.operands.first().map(|what| what.to_string_lossy().into_owned()).unwrap_or_default();
    let text = match what.as_str() {
        "man" => manual::page(),
        "bash" => shells::bash(),
        "zsh" => shells::zsh(),
        "fish" => shells::fish(),
        _ => return Err(tool.refused(&format!("'{what}' cannot be made."))),
    };
    Ok(Startup::Print(text))
}

fn restore(tool: &Tool, given: Given, _: &Variables) -> Result<Startup, StartupError> {
    let time = given.option("--at").unwrap_or_default();
    let at_unix_s = unix_s(time).ok_or_else(|| tool.refused(&format!("'{time}' is no TIME.")))?;
    match &given.operands[..] {
        [folder] => Ok(Startup::Restore(RestoreArgs { at_unix_s, folder: folder.into() })),
        _ => Err(StartupError::plain(tool.help())),
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

fn healthcheck(tool: &Tool, given: Given, env: &Variables) -> Result<Startup, StartupError> {
    let seconds = match given.option("--timeout") {
        Some(text) => text.parse().ok().filter(|seconds| (1..=3600).contains(seconds)),
        None => Some(3),
    };
    let seconds = seconds.ok_or_else(|| tool.refused("'--timeout' is not understood."))?;
    let url = match given.option("--url") {
        Some(url) => url.to_owned(),
        None => match start::admin_port(&given.operands, env)? {
            0 => {
                return Err(StartupError::plain(
                    "The admin port is off (admin-port 0): nothing can be asked.\n",
                ));
            }
            port => format!("http://127.0.0.1:{port}/readyz"),
        },
    };
    Ok(Startup::Healthcheck(HealthcheckArgs { url, timeout: Duration::from_secs(seconds) }))
}
