//! MODULE: there are none, and none can be loaded.

use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

pub(super) const MODULE: Command = Command {
    name: "MODULE",
    syntax: "",
    summary: "A container for module commands.",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[HELP, LIST, LOAD, LOADEX, UNLOAD],
    ..Command::BASE
};

const LIST: Command = Command {
    name: "LIST",
    syntax: "",
    summary: "Returns the loaded modules.",
    since: "4.0.0",
    complexity: "O(N) where N is the number of loaded modules.",
    group: Group::Server,
    flags: Flags::ADMIN.with(Flags::NOSCRIPT),
    run: list,
    tips: &["nondeterministic_output_order"],
    ..Command::BASE
};

const HELP: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Returns helpful text about the subcommands.",
    since: "5.0.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_module,
    ..Command::BASE
};

const CHANGES: Flags = Flags::NO_ASYNC_LOADING
    .with(Flags::ADMIN)
    .with(Flags::NOSCRIPT)
    .with(Flags::PROTECTED)
    .with(Flags::OF_MODULES);

const LOAD: Command = Command {
    name: "LOAD",
    differs: "Refused even where enable-module-command allows it: this server loads no modules.",
    syntax: "path [arg [arg ...]]",
    summary: "Loads a module.",
    since: "4.0.0",
    group: Group::Server,
    flags: CHANGES,
    run: load,
    ..Command::BASE
};

const LOADEX: Command = Command {
    name: "LOADEX",
    arguments: "name_value =configs; args..args (args); args =arg",
    differs: "As MODULE LOAD.",
    syntax: "path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]",
    summary: "Loads a module with settings of its own.",
    since: "7.0.0",
    group: Group::Server,
    flags: CHANGES,
    run: load,
    ..Command::BASE
};

const UNLOAD: Command = Command {
    name: "UNLOAD",
    syntax: "name",
    summary: "Unloads a module.",
    since: "4.0.0",
    group: Group::Server,
    flags: CHANGES,
    run: unload,
    ..Command::BASE
};

/// A module is a C library that calls into Redis. No library finds here what it calls.
fn load(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed("ERR Error loading the extension. Please check the server logs."))
}

fn unload(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed("ERR Error unloading module: no such module with that name"))
}

fn list(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

fn help_module(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let lines = &[
        "LIST",
        "    Return a list of loaded modules.",
        "LOAD <path> [<arg> ...]",
        "    Refused: this server loads no modules.",
        "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
        "    Refused: this server loads no modules.",
        "UNLOAD <name>",
        "    Refused: there are no modules.",
    ];
    help(ctx, "MODULE", lines)
}
