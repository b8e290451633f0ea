//! LATENCY: the histograms of commands, and the slow events of late.

use crate::command::error::shown;
use std::fmt::Write as _;

use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::config::Settings;
use crate::observe::Latency;
use crate::observe::spikes::Spikes;

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);
const LOOKS: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

pub(super) const LATENCY: Command = Command {
    name: "LATENCY",
    syntax: "",
    summary: "A container for commands about latency.",
    since: "2.8.13",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[DOCTOR, GRAPH, HELP, HISTOGRAM, HISTORY, LATEST, RESET],
    ..Command::BASE
};

/// What the subcommands have in common.
const PART: Command =
    Command { since: "2.8.13", group: Group::Server, flags: ADMIN, tips: LOOKS, ..Command::BASE };

const DOCTOR: Command =
    Command { name: "DOCTOR", summary: "Returns a report about slow events, in words.", run: doctor, ..PART };

const GRAPH: Command = Command {
    name: "GRAPH",
    syntax: "event",
    summary: "Draws the latencies of an event.",
    run: graph,
    ..PART
};

const HELP: Command = Command {
    name: "HELP",
    summary: "Returns helpful text about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    tips: &[],
    run: help_latency,
    ..PART
};

const HISTOGRAM: Command = Command {
    name: "HISTOGRAM",
    syntax: "[command [command ...]]",
    summary: "Returns the distribution of the latencies of some commands or all.",
    since: "7.0.0",
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    run: histogram,
    ..PART
};

const HISTORY: Command = Command {
    name: "HISTORY",
    syntax: "event",
    summary: "Returns when an event was slow, and how slow.",
    run: history,
    ..PART
};

const LATEST: Command =
    Command { name: "LATEST", summary: "Returns the latest slow event of each kind.", run: latest, ..PART };

const RESET: Command = Command {
    name: "RESET",
    syntax: "[event [event ...]]",
    summary: "Forgets the slow events of some kinds or all.",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: reset,
    ..PART
};

fn history(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let spikes = ctx.server.stats().spikes().of(args.bytes()).unwrap_or_default();
    ctx.out.array(spikes.samples.len());
    for spike in &spikes.samples {
        ctx.out.array(2);
        ctx.out.int(spike.unix_s as i64);
        ctx.out.int(spike.ms as i64);
    }
    Ok(Reply::Sent)
}

fn latest(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let events = ctx.server.stats().spikes().all();
    ctx.out.array(events.len());
    for (event, spikes) in &events {
        let last = spikes.samples.back();
        ctx.out.array(4);
        ctx.out.bulk(event.as_bytes());
        ctx.out.int(last.map_or(0, |spike| spike.unix_s) as i64);
        ctx.out.int(last.map_or(0, |spike| spike.ms) as i64);
        ctx.out.int(spikes.worst_ms as i64);
    }
    Ok(Reply::Sent)
}

fn reset(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let spikes = ctx.server.stats().spikes();
    if args.remaining() == 0 {
        return Ok(Reply::Int(spikes.reset(None) as i64));
    }
    let mut count = 0;
    while let Some(event) = args.next() {
        count += spikes.reset(Some(event));
    }
    Ok(Reply::Int(count as i64))
}

fn graph(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let event = args.bytes();
    let name = shown(event);
    let Some(spikes) = ctx.server.stats().spikes().of(event) else {
        return Err(CommandError::err(format_args!("No samples available for event '{name}'")));
    };
    let text = spikes.graph(&name, ctx.now_ms() / 1_000);
    ctx.out.verbatim("txt", text.as_bytes());
    Ok(Reply::Sent)
}

fn doctor(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let text = report(ctx.settings, &ctx.server.stats().spikes().all(), ctx.now_ms() / 1_000);
    ctx.out.verbatim("txt", text.as_bytes());
    Ok(Reply::Sent)
}

/// The report: each event's figures, and what to look at next.
fn report(settings: &Settings, events: &[(&'static str, Spikes)], now_unix_s: u64) -> String {
    let threshold = settings.latency_monitor_threshold_ms;
    if events.is_empty() && threshold == 0 {
        return "The latency monitor is off: nothing is noted. Turn it on with\n\
                CONFIG SET latency-monitor-threshold <milliseconds>\n"
            .to_owned();
    }
    if events.is_empty() {
        return format!(
            "Nothing took {threshold} ms or longer since the latency monitor was turned on or reset.\n"
        );
    }
    let mut text = String::from("Events that took long, by kind:\n\n");
    for (number, (event, spikes)) in events.iter().enumerate() {
        let (mean, off) = spikes.mean_and_deviation_ms();
        let ago = now_unix_s.saturating_sub(spikes.samples.back().map_or(0, |spike| spike.unix_s));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}. {event}: {} spikes (mean {mean} ms, mean deviation {off} ms, one every {} s). Worst: {} ms. \
             Last: {ago} s ago.",
            number + 1,
            spikes.samples.len(),
            spikes.period_s(),
            spikes.worst_ms,
        );
    }
    text.push_str("\nWhat to do:\n\n");
    let mut advise = |line: &str| {
        text.push_str("- ");
        text.push_str(line);
        text.push('\n');
    };
    let has = |wanted: &str| events.iter().any(|(event, _)| *event == wanted);
    if has("command") {
        if settings.slowlog_log_slower_than_us < 0 || settings.slowlog_max_len == 0 {
            advise("Turn the slow log on (slowlog-log-slower-than, slowlog-max-len): it names the commands.");
        } else {
            advise(
                "SLOWLOG GET names the commands; GET /slowlog on the admin port shows what they waited for.",
            );
        }
        advise("Avoid O(N) commands on large values: SCAN and its like do the same in small steps.");
    }
    if has("fast-command") {
        advise(
            "A command of constant time was slow: something held the processor or the keyspace. Look at the load \
             of the machine, and for scripts and other commands that take the whole keyspace.",
        );
    }
    if has("expire-cycle") {
        advise("Many keys expire at the same time, or very large ones: spread their expiries.");
    }
    if has("eviction-cycle") {
        advise(
            "Keys are evicted faster than memory is given back: raise maxmemory, or lower \
             maxmemory-eviction-tenacity, so that it is done in smaller steps.",
        );
    }
    if events.iter().any(|(event, _)| event.starts_with("aof-")) {
        advise("The disk is slow to take the log: look at what else writes there, and at appendfsync.");
    }
    text
}

fn histogram(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let stats = ctx.server.stats();
    let found = if args.remaining() == 0 {
        stats.latencies()
    } else {
        let named = args.rest().filter_map(|name| ctx.registry.find_full(&name.to_ascii_lowercase()));
        let with_children = named.flat_map(|index| {
            std::iter::once(index).chain(ctx.registry.get(index).children.iter().copied()).collect::<Vec<_>>()
        });
        with_children.filter_map(|index| Some((index, stats.latency(index)?))).collect()
    };
    ctx.out.map(found.len());
    for (index, latency) in &found {
        ctx.out.bulk(stats.names()[*index].as_bytes());
        distribution(ctx, latency);
    }
    Ok(Reply::Sent)
}

fn distribution(ctx: &mut Context<'_>, latency: &Latency) {
    ctx.out.map(2);
    ctx.out.bulk(b"calls");
    ctx.out.int(latency.count() as i64);
    ctx.out.bulk(b"histogram_usec");
    let pairs = latency.cumulative_micros();
    ctx.out.map(pairs.len());
    for (bound_us, count) in pairs {
        ctx.out.int(bound_us as i64);
        ctx.out.int(count as i64);
    }
}

fn help_latency(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "LATENCY",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified \
             command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    const MS: u64 = 1_000_000;

    #[test]
    fn nothing_was_slow() {
        transcript(
            r#"
            > LATENCY RESET
            (integer) 0
            > LATENCY LATEST
            (empty array)
            > LATENCY HISTORY command
            (empty array)
            > LATENCY RESET command fast-command
            (integer) 0
            > LATENCY GRAPH command
            (error) ERR No samples available for event 'command'
            > LATENCY HISTOGRAM nosuchcommand
            (empty array)
            > LATENCY HISTORY
            (error) ERR wrong number of arguments for 'latency|history' command
            > LATENCY HELP xxx
            (error) ERR wrong number of arguments for 'latency|help' command
            > LATENCY HELP
             1) LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
             2) DOCTOR
             3)     Return a human readable latency analysis report.
             4) GRAPH <event>
             5)     Return an ASCII latency graph for the <event> class.
             6) HISTORY <event>
             7)     Return time-latency samples for the <event> class.
             8) LATEST
             9)     Return the latest latency samples for all events.
            10) RESET [<event> ...]
            11)     Reset latency data of one or more <event> classes.
            12)     (default: reset all data for all event classes)
            13) HISTOGRAM [COMMAND ...]
            14)     Return a cumulative distribution of latencies in the format of a histogram for the specified command names.
            15)     If no commands are specified then all histograms are replied.
            16) HELP
            17)     Prints this help.
            "#,
        );
    }

    #[test]
    fn slow_events_are_shown() {
        let mut bench = Bench::new();
        bench.server.stats.spikes().note("command", 10, 5_000, 30 * MS);
        bench.server.stats.spikes().note("command", 10, 6_000, 20 * MS);
        let history = "1) 1) (integer) 5\n   2) (integer) 30\n2) 1) (integer) 6\n   2) (integer) 20";
        assert_eq!(bench.line("LATENCY HISTORY command"), history);
        let latest = "1) 1) \"command\"\n   2) (integer) 6\n   3) (integer) 20\n   4) (integer) 30";
        assert_eq!(bench.line("LATENCY LATEST"), latest);
        let graph = bench.line("LATENCY GRAPH command");
        assert!(graph.contains("command - high 30 ms, low 20 ms (all time high 30 ms)"), "{graph}");
        let report = bench.line("LATENCY DOCTOR");
        assert!(
            report.contains("1. command: 2 spikes (mean 25 ms, mean deviation 5 ms, one every 1 s)"),
            "{report}"
        );
        assert!(report.contains("SLOWLOG GET"), "{report}");
        assert_eq!(bench.line("LATENCY RESET COMMAND"), "(integer) 1");
        assert!(bench.line("LATENCY DOCTOR").contains("is off"));
    }

    #[test]
    fn histograms_are_those_of_info() {
        let mut bench = Bench::new();
        let index = |name: &[u8]| bench.registry.find_full(name).expect("a command");
        let (get, id, list) = (index(b"get"), index(b"client|id"), index(b"client|list"));
        let worker = bench.server.stats.worker(0);
        [get, get, id, list].iter().for_each(|&command| worker.record(command, 3_000));
        let one = "1) \"get\"\n2) 1) \"calls\"\n   2) (integer) 2\n   3) \"histogram_usec\"\n   4) 1) (integer) 4\n      \
                   2) (integer) 2";
        assert_eq!(bench.line("LATENCY HISTOGRAM nosuch GET zadd"), one);
        let both = bench.line("LATENCY HISTOGRAM client");
        assert!(both.contains("client|id") && both.contains("client|list") && !both.contains("\"get\""));
        assert!(!bench.line("LATENCY HISTOGRAM client|id").contains("client|list"));
        assert!(bench.line("LATENCY HISTOGRAM").contains("\"get\""));
    }
}
