//! ACL: users and their rules. What a rule means is the business of the room `acl`.

mod change;
mod log;
mod look;
mod report;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;

use super::context::{help, unknown_subcommand};
use super::row::{Command, Flags, Group};
use super::{Args, Context, Outcome};

/// The rows of this family.
pub static COMMANDS: &[Command] = &[Command {
    name: "ACL",
    syntax: "",
    summary: "A container for the commands about users and what they may do.",
    since: "6.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[
        look::CAT,
        change::DELUSER,
        look::DRYRUN,
        look::GENPASS,
        report::GETUSER,
        HELP,
        report::LIST,
        change::LOAD,
        log::LOG,
        change::SAVE,
        change::SETUSER,
        report::USERS,
        look::WHOAMI,
    ],
    ..Command::BASE
}];

/// What those have in common that only look at something harmless.
const LOOKS: Flags = Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE);

/// What those have in common that see or change what users may do.
const ADMIN: Flags = LOOKS.with(Flags::ADMIN);

/// What the subcommands share.
const ROW: Command = Command { since: "6.0.0", group: Group::Server, ..Command::BASE };

const HELP: Command = Command {
    name: "HELP",
    summary: "Returns helpful text about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: show_help,
    ..ROW
};

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let lines = [
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Returns whether the user can execute the given command without executing the command.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    ];
    help(ctx, "ACL", &lines)
}
