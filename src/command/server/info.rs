//! INFO and TIME.

use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, Context, Outcome, Reply};
use crate::observe::info::{Selection, text};

pub(super) const INFO: Command = Command {
    name: "INFO",
    history: &[("7.0.0", "Added support for taking multiple section arguments.")],
    differs: "More fields (`glasswing_version` and others); figures of parts that are not there are missing.",
    syntax: "[section [section ...]]",
    summary: "Returns information and statistics about the server.",
    since: "1.0.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    acl: Acl::DANGEROUS,
    run: info,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

pub(super) const TIME: Command = Command {
    name: "TIME",
    syntax: "",
    summary: "Returns the server's time.",
    since: "2.6.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST).with(Flags::HARMLESS),
    run: time,
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn info(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let selection = Selection::parse(args.rest());
    let text = text(ctx.server.stats(), &ctx.server.figures(), &selection);
    ctx.out.verbatim("txt", text.as_bytes());
    Ok(Reply::Sent)
}

/// Seconds since 1970 and the microseconds of the running one.
fn time(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let now_us = ctx.server.clock().unix_us();
    ctx.out.array(2);
    ctx.out.bulk((now_us / 1_000_000).to_string().as_bytes());
    ctx.out.bulk((now_us % 1_000_000).to_string().as_bytes());
    Ok(Reply::Sent)
}
