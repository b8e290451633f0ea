//! MEMORY.

use crate::command::context::{help, unknown_subcommand};
use crate::command::reply::OK;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::observe::Figures;
use crate::observe::info::ratio;
use crate::observe::process;

pub(super) const MEMORY: Command = Command {
    name: "MEMORY",
    syntax: "",
    summary: "A container for commands about memory.",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[DOCTOR, HELP, MALLOC_STATS, PURGE, STATS, USAGE],
    ..Command::BASE
};

const DOCTOR: Command = Command {
    name: "DOCTOR",
    differs: "Its advice is about this server, as that of LATENCY DOCTOR is.",
    syntax: "",
    summary: "Returns what is conspicuous about the memory.",
    since: "4.0.0",
    group: Group::Server,
    run: doctor,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

const HELP: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Returns helpful text about the subcommands.",
    since: "4.0.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_memory,
    ..Command::BASE
};

const MALLOC_STATS: Command = Command {
    name: "MALLOC-STATS",
    syntax: "",
    summary: "Returns the allocator's own report.",
    since: "4.0.0",
    complexity: "Depends on how much memory is allocated, could be slow",
    group: Group::Server,
    run: malloc_stats,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

const PURGE: Command = Command {
    name: "PURGE",
    syntax: "",
    summary: "Asks the allocator to give memory back.",
    since: "4.0.0",
    complexity: "Depends on how much memory is allocated, could be slow",
    group: Group::Server,
    run: purge,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..Command::BASE
};

const STATS: Command = Command {
    name: "STATS",
    differs: "Figures of this server; those of parts that it does not have are 0 or missing.",
    syntax: "",
    summary: "Returns details about the use of memory.",
    since: "4.0.0",
    group: Group::Server,
    run: stats,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

const USAGE: Command = Command {
    name: "USAGE",
    differs: "Counts all of the value, whatever SAMPLES says; values take other amounts here.",
    syntax: "key [SAMPLES count]",
    summary: "Returns the bytes that a key and its value take.",
    since: "4.0.0",
    complexity: "O(N) where N is the number of samples.",
    group: Group::Server,
    flags: Flags::READONLY,
    keys: Keys::Second(Access::RO),
    run: usage,
    ..Command::BASE
};

/// What a key takes in the table itself: its slot.
const SLOT_BYTES: usize = 8;

/// Counts everything; SAMPLES is read and checked, and no sampling is needed.
fn usage(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    while args.remaining() > 0 {
        if args.remaining() < 2 || !args.keyword("SAMPLES") {
            return Err(CommandError::Syntax);
        }
        let samples = args.int();
        args.check()?;
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
    }
    args.finish()?;
    match ctx.view.peek(key) {
        None => Ok(Reply::Nil),
        Some(entry) => Ok(Reply::Int((entry.memory_usage() + SLOT_BYTES) as i64)),
    }
}

fn malloc_stats(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let report = process::allocator_report().map_err(CommandError::err)?;
    ctx.out.verbatim("txt", &report);
    Ok(Reply::Sent)
}

fn purge(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    process::purge().map_err(|_| CommandError::fixed("ERR Error purging dirty pages"))?;
    OK
}

/// A value of MEMORY STATS.
enum Figure {
    Int(i64),
    Double(f64),
}

fn bytes(bytes: u64) -> Figure {
    Figure::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn minus(a: u64, b: u64) -> Figure {
    Figure::Int(i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(i64::MAX))
}

/// Redis's names with our figures, and 0 for subsystems that are absent.
fn memory_figures(figures: &Figures) -> Vec<(&'static str, Figure)> {
    let keys: u64 = figures.databases.iter().map(|db| db.keys).sum();
    let net = figures.used_memory.saturating_sub(figures.used_memory_startup);
    let percent = |part: u64, of: u64| Figure::Double(ratio(part, of) * 100.0);
    let (allocated, active) = (figures.allocator_allocated, figures.allocator_active);
    let (resident, rss, used) = (figures.allocator_resident, figures.used_memory_rss, figures.used_memory);
    vec![
        ("peak.allocated", bytes(figures.used_memory_peak)),
        ("total.allocated", bytes(used)),
        ("startup.allocated", bytes(figures.used_memory_startup)),
        ("replication.backlog", Figure::Int(0)),
        ("clients.slaves", Figure::Int(0)),
        ("clients.normal", bytes(figures.mem_clients_normal)),
        ("cluster.links", Figure::Int(0)),
        ("aof.buffer", bytes(figures.aof.buffered)),
        ("lua.caches", Figure::Int(0)),
        ("functions.caches", Figure::Int(0)),
        ("overhead.total", bytes(figures.used_memory_overhead)),
        ("keys.count", bytes(keys)),
        ("keys.bytes-per-key", bytes(net.checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", bytes(figures.used_memory_dataset)),
        ("dataset.percentage", percent(figures.used_memory_dataset, net)),
        ("peak.percentage", percent(used, figures.used_memory_peak)),
        ("allocator.allocated", bytes(allocated)),
        ("allocator.active", bytes(active)),
        ("allocator.resident", bytes(resident)),
        ("allocator-fragmentation.ratio", Figure::Double(ratio(active, allocated))),
        ("allocator-fragmentation.bytes", minus(active, allocated)),
        ("allocator-rss.ratio", Figure::Double(ratio(resident, active))),
        ("allocator-rss.bytes", minus(resident, active)),
        ("rss-overhead.ratio", Figure::Double(ratio(rss, resident))),
        ("rss-overhead.bytes", minus(rss, resident)),
        ("fragmentation", Figure::Double(ratio(rss, used))),
        ("fragmentation.bytes", minus(rss, used)),
    ]
}

fn stats(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let figures = memory_figures(&ctx.server.figures());
    ctx.out.map(figures.len());
    for (name, figure) in figures {
        ctx.out.bulk(name.as_bytes());
        match figure {
            Figure::Int(number) => ctx.out.int(number),
            Figure::Double(number) => ctx.out.double(number),
        }
    }
    Ok(Reply::Sent)
}

/// Below this nothing can be said: Redis's doctor, too, sends so small a patient home.
const TOO_SMALL_BYTES: u64 = 5 << 20;
/// What is wasted must be worth a word.
const WORTH_A_WORD_BYTES: u64 = 10 << 20;

fn diagnosis(figures: &Figures) -> String {
    if figures.used_memory < TOO_SMALL_BYTES {
        return "This server uses very little memory: too little to judge it.\n".to_owned();
    }
    let mut findings = Vec::new();
    let used = figures.used_memory;
    if ratio(figures.used_memory_peak, used) > 1.5 {
        findings.push(" * Peak: more than one and a half of what is used now was used before. The system may not have got all of it back: see MEMORY PURGE.\n");
    }
    let wasted = |more: u64, less: u64, limit: f64| {
        ratio(more, less) > limit && more.saturating_sub(less) > WORTH_A_WORD_BYTES
    };
    if wasted(figures.used_memory_rss, used, 1.4) {
        findings.push(" * Fragmentation: much more memory is resident than is used.\n");
    }
    if wasted(figures.allocator_active, figures.allocator_allocated, 1.1) {
        findings.push(" * Allocator: its pages are filled loosely, as after many values were deleted.\n");
    }
    if findings.is_empty() {
        return "No problem with the memory was found.\n".to_owned();
    }
    format!("What is conspicuous about the memory:\n\n{}", findings.concat())
}

fn doctor(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let report = diagnosis(&ctx.server.figures());
    ctx.out.verbatim("txt", report.as_bytes());
    Ok(Reply::Sent)
}

fn help_memory(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "MEMORY",
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_judges_what_is_large_enough() {
        let small = Figures { used_memory: 1 << 20, used_memory_peak: 100 << 20, ..Figures::default() };
        assert!(diagnosis(&small).contains("too little"));
        let well = Figures {
            used_memory: 100 << 20,
            used_memory_peak: 100 << 20,
            used_memory_rss: 110 << 20,
            ..Figures::default()
        };
        assert_eq!(diagnosis(&well), "No problem with the memory was found.\n");
        let loose = Figures { used_memory_rss: 200 << 20, used_memory_peak: 200 << 20, ..well };
        let report = diagnosis(&loose);
        assert!(report.contains("* Peak") && report.contains("* Fragmentation"), "{report}");
        assert!(!report.contains("* Allocator"), "{report}");
    }
}
