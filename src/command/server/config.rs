//! CONFIG.

use crate::command::client::Address;
use crate::command::context::{help, unknown_subcommand};
use crate::command::reply::OK;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::config::{Config, Origin};
use crate::data::glob_match;

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);

pub(super) const CONFIG: Command = Command {
    name: "CONFIG",
    syntax: "",
    summary: "A container for server configuration commands.",
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[GET, HELP, RESETSTAT, REWRITE, SET],
    ..Command::BASE
};

const GET: Command = Command {
    name: "GET",
    arguments: "parameter..parameter (parameter)",
    history: &[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")],
    syntax: "parameter [parameter ...]",
    summary: "Returns the values of the settings that match.",
    since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    group: Group::Server,
    flags: ADMIN,
    run: get,
    ..Command::BASE
};

const SET: Command = Command {
    name: "SET",
    history: &[("7.0.0", "Added the ability to set multiple parameters in one call.")],
    differs: "A setting of something that is not there yet is refused, with what is accepted.",
    syntax: "parameter value [parameter value ...]",
    summary: "Changes settings while the server runs: all of them or none.",
    since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    group: Group::Server,
    flags: ADMIN.with(Flags::SECRET),
    // The values of settings that are secrets.
    secret: |args, index| index > 2 && index % 2 == 1 && Config::is_secret(args.get(index - 1)),
    run: set,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

const REWRITE: Command = Command {
    name: "REWRITE",
    syntax: "",
    summary: "Writes the settings of now to the configuration file.",
    since: "2.8.0",
    group: Group::Server,
    flags: ADMIN,
    run: rewrite,
    ..Command::BASE
};

const RESETSTAT: Command = Command {
    name: "RESETSTAT",
    syntax: "",
    summary: "Sets the counters of INFO to zero.",
    since: "2.0.0",
    group: Group::Server,
    flags: ADMIN,
    run: resetstat,
    ..Command::BASE
};

const HELP: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Returns helpful text about the subcommands.",
    since: "5.0.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_config,
    ..Command::BASE
};

fn get(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let patterns: Vec<&[u8]> = args.rest().collect();
    let matches = |pattern: &[u8], name: &[u8]| glob_match(pattern, name, true);
    let found = ctx.server.config().get_bytes(&patterns, matches);
    ctx.out.map(found.len());
    for (name, value) in &found {
        ctx.out.bulk(name.as_bytes());
        ctx.out.bulk(value);
    }
    Ok(Reply::Sent)
}

fn set(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let words: Vec<&[u8]> = args.rest().collect();
    let (pairs, []) = words.as_chunks::<2>() else { return Err(CommandError::Syntax) };
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|&[name, value]| (name, value)).collect();
    let server = ctx.server;
    let origin = Origin { local: is_local(&ctx.session.client.address), loading: server.is_loading() };
    let result = server
        .config()
        .set_from(origin, &pairs, &mut |old, new, changed| server.apply_config(old, new, changed));
    result.map_err(|error| CommandError::Text(error.to_string().into()))?;
    OK
}

/// Whether a client is on this machine, for `enable-protected-configs local`.
fn is_local(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Address::Unix(_) | Address::Internal => true,
    }
}

fn rewrite(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    // With a file of their own, users do not stand in this one.
    let users = match ctx.settings.aclfile.is_empty() {
        true => ctx.server.acl().lines(),
        false => Vec::new(),
    };
    match ctx.server.config().rewrite_with_users(&users) {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE executed with success.");
            OK
        }
        Err(error) => {
            tracing::warn!("CONFIG REWRITE failed: {error}");
            Err(CommandError::Text(error.to_string().into()))
        }
    }
}

fn resetstat(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.server.reset_statistics();
    OK
}

fn help_config(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    )
}
