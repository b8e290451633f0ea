//! DEBUG, as far as it makes sense for what this server is made of.
//!
//! It holds the whole keyspace while it runs, as everything in Redis does: DEBUG SLEEP stops
//! everybody, DEBUG DIGEST sees one instant.

mod digest;
mod help;
mod object;
mod populate;
mod protocol;

use crate::command::error::wrong_usage;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::command::ports::Reload;
use crate::command::reply::{OK, Work};
use crate::command::row::{Command, Flags, Group, Handler};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;
use crate::observe::log::QUOTES;
use crate::observe::process;
use crate::resp::text_of;

pub(super) const DEBUG: Command = Command {
    name: "DEBUG",
    arguments: "undocumented",
    differs: "What looks at C memory is not there; DEBUG HELP lists what is.",
    syntax: "subcommand [argument [argument ...]]",
    summary: "A container for debugging commands.",
    since: "1.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::PROTECTED)
        .with(Flags::WHOLE)
        .with(Flags::SYSCMD),
    run: debug,
    ..Command::BASE
};

/// A tool of DEBUG. These are no subcommands: COMMAND knows of none, as in Redis.
struct Tool {
    name: &'static str,
    /// How many arguments a request may have, `DEBUG` and the tool's name included.
    words: RangeInclusive<usize>,
    run: Handler,
}

const fn tool(name: &'static str, words: RangeInclusive<usize>, run: Handler) -> Tool {
    Tool { name, words, run }
}

const MANY: usize = usize::MAX;

static TOOLS: &[Tool] = &[
    tool("AOF-FLUSH-SLEEP", 3..=3, delay_log),
    tool("ASSERT", 2..=MANY, panic),
    tool("CHANGE-REPL-ID", 2..=2, change_replication_id),
    tool("CONFIG-REWRITE-FORCE-ALL", 2..=2, rewrite_all),
    tool("DIGEST", 2..=2, digest::digest),
    tool("DIGEST-VALUE", 2..=MANY, digest::digest_value),
    tool("ERROR", 3..=3, error),
    tool("HELP", 2..=2, help::help),
    tool("HTSTATS", 3..=3, object::table_stats),
    tool("LISTPACK", 3..=3, object::listpack),
    tool("LOADAOF", 2..=2, load_log),
    tool("LOG", 3..=3, log),
    tool("MALLCTL", 3..=3, allocator_number),
    tool("OBJECT", 3..=3, object::object),
    tool("PANIC", 2..=MANY, panic),
    tool("PAUSE-CRON", 3..=3, pause_chores),
    tool("POPULATE", 3..=5, populate::populate),
    tool("PROTOCOL", 3..=3, protocol::protocol),
    tool("QUICKLIST", 3..=4, object::quicklist),
    tool("QUICKLIST-PACKED-THRESHOLD", 3..=3, packed_threshold),
    tool("RELOAD", 2..=MANY, reload),
    tool("REPLYBUFFER", 4..=4, reply_buffer),
    tool("SDSLEN", 3..=3, object::string_lengths),
    tool("SEGFAULT", 2..=MANY, segfault),
    tool("SET-ACTIVE-EXPIRE", 3..=3, set_active_expire),
    tool("SET-DISABLE-DENY-SCRIPTS", 3..=3, allow_all_commands),
    tool("SET-SKIP-CHECKSUM-VALIDATION", 3..=3, skip_checksums),
    tool("SLEEP", 3..=3, sleep),
    tool("STRINGMATCH-TEST", 2..=2, match_patterns),
];

fn debug(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let name = args.bytes();
    let found = TOOLS.iter().find(|tool| tool.name.as_bytes().eq_ignore_ascii_case(name));
    match found.filter(|tool| tool.words.contains(&args.len())) {
        Some(tool) => (tool.run)(ctx, args),
        None => Err(wrong_usage("DEBUG", name)),
    }
}

/// Ends the work on this connection, and nothing else: so that this can be seen.
fn panic(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    panic!("DEBUG PANIC was called")
}

fn segfault(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed("ERR this server does not end itself on request; kill -SEGV does"))
}

fn change_replication_id(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    tracing::warn!("Changing replication IDs after receiving DEBUG change-repl-id");
    ctx.server.change_replication_id();
    OK
}

fn rewrite_all(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let rewritten = ctx.server.config().rewrite_all();
    rewritten.map_err(|error| {
        let text = error.to_string();
        let reason = text.strip_prefix("ERR ").unwrap_or(&text);
        CommandError::err(format_args!("CONFIG-REWRITE-FORCE-ALL failed: {reason}"))
    })?;
    OK
}

/// The error that the client asks for, word for word.
fn error(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    Err(CommandError::Text(text_of(args.bytes()).into_owned().into()))
}

fn log(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    tracing::warn!(target: QUOTES, "DEBUG LOG: {}", String::from_utf8_lossy(args.bytes()));
    OK
}

fn set_active_expire(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    ctx.server.set_active_expiry(number(args.bytes()) != 0);
    OK
}

fn skip_checksums(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    ctx.server.switches().skip_checksums(number(args.bytes()) != 0);
    OK
}

fn pause_chores(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    ctx.server.switches().pause_chores(number(args.bytes()) != 0);
    OK
}

fn delay_log(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let microseconds = u64::try_from(number(args.bytes())).unwrap_or(0);
    ctx.server.delay_log(Duration::from_micros(microseconds));
    OK
}

/// As C's atoi: what is no number is 0.
fn number(text: &[u8]) -> i64 {
    parse_i64(text).unwrap_or(0)
}

/// Only looking is possible: what is written there may end the process.
fn allocator_number(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let number = std::str::from_utf8(args.bytes()).ok().and_then(process::allocator_number);
    number.map(Reply::Int).ok_or(CommandError::fixed("ERR No such file or directory"))
}

/// Clients have no reply buffer of their own here that could be resized: neither answer changes anything.
fn reply_buffer(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if !args.keyword("RESIZING") {
        return Err(wrong_usage("DEBUG", b"REPLYBUFFER"));
    }
    OK
}

/// For tests: scripts may call what they usually may not.
fn allow_all_commands(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    ctx.server.scripts().allow_all_commands(args.bytes() != b"0");
    OK
}

/// No one sleeps longer than this many seconds on request.
const LONGEST_SLEEP_S: f64 = 1e6;

fn sleep(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    // As C's strtod: what is no number is 0.
    let text = String::from_utf8_lossy(args.bytes()).trim().parse::<f64>();
    let seconds = text.ok().filter(|seconds| seconds.is_finite()).unwrap_or(0.0);
    ctx.server.sleep(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SLEEP_S)));
    OK
}

/// Saves and loads again. The work takes the keyspace itself, once this command has let go of it.
fn reload(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let mut how = Reload { save: true, flush: true, merge: false };
    while args.remaining() > 0 {
        if args.keyword("MERGE") {
            how.merge = true;
        } else if args.keyword("NOFLUSH") {
            how.flush = false;
        } else if args.keyword("NOSAVE") {
            how.save = false;
        } else {
            return Err(CommandError::fixed(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    if ctx.in_transaction {
        return Err(CommandError::fixed("ERR DEBUG RELOAD is not possible inside a transaction"));
    }
    let server = ctx.server.shared();
    Ok(Reply::Later(Work::new(move || match server.reload(how) {
        Ok(()) => {
            tracing::warn!("DB reloaded by DEBUG RELOAD");
            OK
        }
        Err(text) => {
            tracing::warn!(target: QUOTES, "DEBUG RELOAD failed: {text}");
            Err(CommandError::fixed("ERR Error trying to load the RDB dump"))
        }
    })))
}

/// Repeats what the append-only file says. The work takes the keyspace itself, as RELOAD's does.
fn load_log(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.in_transaction {
        return Err(CommandError::fixed("ERR DEBUG LOADAOF is not possible inside a transaction"));
    }
    let server = ctx.server.shared();
    Ok(Reply::Later(Work::new(move || match server.reload_log() {
        Ok(()) => {
            tracing::warn!("Append Only File loaded by DEBUG LOADAOF");
            OK
        }
        Err(text) => {
            tracing::warn!(target: QUOTES, "DEBUG LOADAOF failed: {text}");
            Err(CommandError::fixed("ERR Error trying to load the AOF files, check server logs."))
        }
    })))
}

/// Where Redis begins to store an element apart from others. Here the size of an element decides by
/// itself, so the setting is checked and changes nothing that could be seen.
fn packed_threshold(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    const MOST: u64 = (1 << 32) - (1 << 20);
    match memory_value(args.bytes()) {
        Some(bytes) if bytes <= MOST => OK,
        _ => {
            Err(CommandError::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))
        }
    }
}

/// A number of bytes with Redis's units: `k` is 1,000 and `kb` 1,024.
fn memory_value(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = crate::data::parse_u64(&text[..digits])?;
    let unit = match text[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Matches random patterns against random text, to see that this ends well.
fn match_patterns(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    const TIMES: usize = 10_000;
    const LONGEST: u64 = 32;
    let mut noise = |alphabet: &[u8]| -> Vec<u8> {
        let length = ctx.view.random() % LONGEST;
        let mut byte = || alphabet[(ctx.view.random() % alphabet.len() as u64) as usize];
        (0..length).map(|_| byte()).collect()
    };
    let matched = (0..TIMES)
        .filter(|_| {
            let (pattern, text) = (noise(b"ab*?[]^-\\"), noise(b"ab-]"));
            crate::data::glob_match(&pattern, &text, false)
        })
        .count();
    debug_assert!(matched <= TIMES);
    Ok(Reply::Simple("Apparently Redis did not crash: test passed"))
}

#[cfg(test)]
mod tests {
    use super::memory_value;

    #[test]
    fn memory_values_have_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("1k", Some(1_000)),
            ("1KB", Some(1_024)),
            ("3gb", Some(3 << 30)),
            ("1x", None),
            ("b", None),
            ("-1", None),
            ("99999999999gb", None),
        ] {
            assert_eq!(memory_value(text.as_bytes()), bytes, "{text}");
        }
    }
}
