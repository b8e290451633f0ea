//! MODULE: there are none, and none can be loaded.

use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, Context, Outcome, Reply};

pub(super) const MODULE: Command = Command {
    name: "MODULE",
    syntax: "",
    summary: "A container for module commands.",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[HELP, LIST],
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

fn list(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

fn help_module(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(ctx, "MODULE", &["LIST", "    Return a list of loaded modules."])
}
