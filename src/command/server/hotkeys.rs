//! HOTKEYS, as Redis 8.6 has it: which keys take the time and the bytes, counted from START to STOP.

use crate::command::context::{help, unknown_subcommand};
use crate::command::hot_keys::{Shown, Wanted};
use crate::command::reply::OK;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::sketch::{Cut, Heaviest};

pub(super) const HOTKEYS: Command = Command {
    name: "HOTKEYS",
    differs: "Of Redis 8.6, which 7.0 does not have yet. Of names that are longer than 256 bytes the first 256 are told.",
    syntax: "",
    summary: "A container for commands that count which keys take most.",
    since: "8.6.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[GET, HELP, RESET, START, STOP],
    ..Command::BASE
};

/// What the subcommands have in common.
const PART: Command = Command {
    since: "8.6.0",
    group: Group::Server,
    flags: Flags::ADMIN.with(Flags::NOSCRIPT),
    ..Command::BASE
};

const GET: Command = Command {
    name: "GET",
    summary: "Returns what was counted since START.",
    complexity: "O(K) where K is the number of hotkeys returned.",
    tips: &["nondeterministic_output"],
    run: get,
    ..PART
};

const HELP: Command = Command {
    name: "HELP",
    summary: "Returns helpful text about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_hotkeys,
    ..PART
};

const RESET: Command = Command { name: "RESET", summary: "Forgets what was counted.", run: reset, ..PART };

const START: Command = Command {
    name: "START",
    syntax: "[METRICS count [CPU] [NET] [COUNT k] [DURATION seconds] [SAMPLE ratio] [SLOTS count slot [slot ...]]]",
    summary: "Begins to count which keys take most.",
    run: start,
    ..PART
};

const STOP: Command =
    Command { name: "STOP", summary: "Ends the counting; what was counted stays.", run: stop, ..PART };

fn start(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let now_ms = ctx.now_ms();
    let under_way = CommandError::fixed("ERR hotkey tracking session already in progress");
    let hot_keys = ctx.server.hot_keys();
    if hot_keys.shown(now_ms).is_some_and(|shown| shown.active) {
        return Err(under_way);
    }
    let wanted = wanted(&mut args)?;
    let figures = ctx.server.figures();
    let cpu_s = (figures.cpu_user_seconds, figures.cpu_sys_seconds);
    if !hot_keys.start(now_ms, wanted, cpu_s) {
        return Err(under_way);
    }
    OK
}

/// Reads what START is to count. As in Redis, words that are no metric stand for those of later versions.
fn wanted(args: &mut Args<'_>) -> Result<Wanted, CommandError> {
    let fixed = CommandError::fixed;
    if args.remaining() < 2 || !args.keyword("METRICS") {
        return Err(fixed("ERR METRICS parameter is required"));
    }
    let metrics = args.int_in(1..=2, fixed("ERR METRICS count must be > 0 and <= 2"));
    args.check()?;
    let mut wanted = Wanted { time: false, bytes: false, count: 10, sample: 1, duration_ms: 0 };
    for _ in 0..metrics {
        if args.remaining() == 0 {
            return Err(fixed("ERR METRICS count does not match number of metric types provided"));
        }
        if args.keyword("CPU") {
            if std::mem::replace(&mut wanted.time, true) {
                return Err(fixed("ERR METRICS CPU defined more than once!"));
            }
        } else if args.keyword("NET") {
            if std::mem::replace(&mut wanted.bytes, true) {
                return Err(fixed("ERR METRICS NET defined more than once!"));
            }
        } else {
            args.next();
        }
    }
    if !wanted.time && !wanted.bytes {
        return Err(fixed("ERR METRICS no valid metrics passed. Supported: CPU|NET"));
    }
    while args.remaining() > 0 {
        if args.remaining() < 2 {
            return Err(CommandError::Syntax);
        }
        if args.keyword("COUNT") {
            wanted.count = args.int_in(1..=64, fixed("ERR COUNT must be between 1 and 64")) as usize;
        } else if args.keyword("DURATION") {
            let seconds = args.int_in(1..=1_000_000, fixed("ERR DURATION must be between 1 and 1000000"));
            wanted.duration_ms = seconds.unsigned_abs() * 1_000;
        } else if args.keyword("SAMPLE") {
            let most = i64::from(i32::MAX);
            wanted.sample = args.int_in(1..=most, fixed("ERR SAMPLE ratio must be positive")).unsigned_abs();
        } else if args.keyword("SLOTS") {
            return Err(fixed("ERR SLOTS parameter cannot be used in non-cluster mode"));
        } else {
            return Err(CommandError::Syntax);
        }
        args.check()?;
    }
    Ok(wanted)
}

fn stop(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.server.hot_keys().stop(ctx.now_ms()) { OK } else { Ok(Reply::Nil) }
}

fn reset(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.server.hot_keys().reset(ctx.now_ms()) {
        OK
    } else {
        Err(CommandError::fixed("ERR hotkey tracking session in progress, stop tracking first"))
    }
}

fn get(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let Some(shown) = ctx.server.hot_keys().shown(ctx.now_ms()) else { return Ok(Reply::Nil) };
    let Shown { wanted, cpu_s: (user_s, kernel_s), .. } = shown;
    let figures = ctx.server.figures();
    let millis_since = |now_s: f64, then_s: f64| ((now_s - then_s).max(0.0) * 1e3) as i64;
    let out = &mut *ctx.out;
    // An array, so that the answers of several nodes are easily joined.
    out.array(1);
    out.map(7 + 3 * usize::from(wanted.time) + 2 * usize::from(wanted.bytes));
    let mut fact = |name: &str, value: i64| {
        out.bulk(name.as_bytes());
        out.int(value);
    };
    fact("tracking-active", i64::from(shown.active));
    fact("sample-ratio", wanted.sample as i64);
    out.bulk(b"selected-slots");
    // All of them.
    out.array(1);
    out.array(2);
    out.int(0);
    out.int(16_383);
    let mut fact = |name: &str, value: i64| {
        out.bulk(name.as_bytes());
        out.int(value);
    };
    fact("all-commands-all-slots-us", (shown.nanos / 1_000) as i64);
    fact("net-bytes-all-commands-all-slots", shown.bytes as i64);
    fact("collection-start-time-unix-ms", shown.began_ms as i64);
    fact("collection-duration-ms", shown.lasted_ms as i64);
    if wanted.time {
        fact("total-cpu-time-user-ms", millis_since(figures.cpu_user_seconds, user_s));
        fact("total-cpu-time-sys-ms", millis_since(figures.cpu_sys_seconds, kernel_s));
    }
    if wanted.bytes {
        fact("total-net-bytes", shown.by_bytes.total as i64);
    }
    if wanted.time {
        // What took a part of a microsecond took one.
        list(ctx, "by-cpu-time-us", &shown.by_time, wanted.count, |nanos| nanos.div_ceil(1_000));
    }
    if wanted.bytes {
        list(ctx, "by-net-bytes", &shown.by_bytes, wanted.count, |bytes| bytes);
    }
    Ok(Reply::Sent)
}

/// Keys with what they took at least, the most first.
fn list(ctx: &mut Context<'_>, name: &str, of: &Heaviest<Cut<256>>, count: usize, shown: fn(u64) -> u64) {
    let heaviest: Vec<_> = of.all.iter().filter(|heavy| heavy.low > 0).take(count).collect();
    ctx.out.bulk(name.as_bytes());
    ctx.out.array(2 * heaviest.len());
    for heavy in heaviest {
        ctx.out.bulk(heavy.of.bytes());
        ctx.out.int(shown(heavy.low) as i64);
    }
}

fn help_hotkeys(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "HOTKEYS",
        &[
            "START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>]",
            "    Begin to count the time (CPU) or the bytes (NET) that commands on each key take.",
            "    COUNT: how many keys GET shows (default 10).",
            "    DURATION: end by itself after so long.",
            "    SAMPLE: count one command in so many (default 1).",
            "STOP",
            "    End the counting; GET still shows what was counted.",
            "GET",
            "    Show what was counted, the keys that took most first.",
            "RESET",
            "    Forget what was counted.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn it_says_what_is_wrong_as_redis_8_6_does() {
        transcript(
            r#"
            > HOTKEYS GET
            (nil)
            > HOTKEYS STOP
            (nil)
            > HOTKEYS RESET
            OK
            > HOTKEYS START
            (error) ERR METRICS parameter is required
            > HOTKEYS START COUNT 10
            (error) ERR METRICS parameter is required
            > HOTKEYS START METRICS
            (error) ERR METRICS parameter is required
            > HOTKEYS START METRICS 0
            (error) ERR METRICS count must be > 0 and <= 2
            > HOTKEYS START METRICS x CPU
            (error) ERR METRICS count must be > 0 and <= 2
            > HOTKEYS START METRICS 3 CPU NET
            (error) ERR METRICS count must be > 0 and <= 2
            > HOTKEYS START METRICS 2 CPU
            (error) ERR METRICS count does not match number of metric types provided
            > HOTKEYS START METRICS 1 CPU NET
            (error) ERR syntax error
            > HOTKEYS START METRICS 2 GPU NYET
            (error) ERR METRICS no valid metrics passed. Supported: CPU|NET
            > HOTKEYS START METRICS 2 CPU CPU
            (error) ERR METRICS CPU defined more than once!
            > HOTKEYS START METRICS 2 NET NET
            (error) ERR METRICS NET defined more than once!
            > HOTKEYS START METRICS 1 CPU COUNT 0
            (error) ERR COUNT must be between 1 and 64
            > HOTKEYS START METRICS 1 CPU COUNT 65
            (error) ERR COUNT must be between 1 and 64
            > HOTKEYS START METRICS 1 CPU COUNT
            (error) ERR syntax error
            > HOTKEYS START METRICS 1 CPU DURATION 0
            (error) ERR DURATION must be between 1 and 1000000
            > HOTKEYS START METRICS 1 CPU SAMPLE 0
            (error) ERR SAMPLE ratio must be positive
            > HOTKEYS START METRICS 1 CPU SLOTS 2 0 5
            (error) ERR SLOTS parameter cannot be used in non-cluster mode
            > HOTKEYS START METRICS 2 GPU CPU
            OK
            > HOTKEYS START METRICS 1 NET
            (error) ERR hotkey tracking session already in progress
            > HOTKEYS RESET
            (error) ERR hotkey tracking session in progress, stop tracking first
            > HOTKEYS STOP
            OK
            > HOTKEYS STOP
            (nil)
            > HOTKEYS RESET
            OK
            > HOTKEYS GET
            (nil)
            > HOTKEYS GET x
            (error) ERR wrong number of arguments for 'hotkeys|get' command
            > HOTKEYS START METRICS 1 NET DURATION 1
            OK
            ! advance 1000
            > HOTKEYS STOP
            (nil)
            > HOTKEYS START METRICS 1 NET
            OK
            "#,
        );
    }
}
