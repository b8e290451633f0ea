//! CLIENT and its subcommands.

mod kill;
mod list;
mod pause;
mod trace;
mod tracking;
mod yourself;

use crate::command::CommandError;
use crate::command::client::{Client, ClientFlag};
use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, Context, Outcome};

pub use yourself::set_name;

/// What all subcommands have in common.
const SHARED: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::KEEPS_CACHING);
/// What all but HELP have in common.
const COMMON: Flags = SHARED.with(Flags::NOSCRIPT);
/// Those that reach beyond the own connection.
const REACHING: Flags = COMMON.with(Flags::ADMIN);

/// What clients can be asked for by type.
const TYPES: [&str; 5] = ["normal", "master", "slave", "replica", "pubsub"];

pub const CLIENT: Command = Command {
    name: "CLIENT",
    summary: "A container for client connection commands",
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    group: Group::Connection,
    differs: "Redis 7.0 does not have NO-TOUCH and SETINFO yet, which clients of today send.",
    run: unknown_subcommand,
    subcommands: &[
        trace::TRACEPARENT,
        tracking::CACHING,
        tracking::GETREDIR,
        tracking::TRACKING,
        tracking::TRACKINGINFO,
        yourself::GETNAME,
        yourself::ID,
        yourself::NO_EVICT,
        yourself::NO_TOUCH,
        yourself::REPLY,
        yourself::SETINFO,
        yourself::SETNAME,
        list::INFO,
        list::LIST,
        kill::KILL,
        pause::PAUSE,
        pause::UNBLOCK,
        pause::UNPAUSE,
        HELP,
    ],
    ..Command::BASE
};

const HELP: Command = Command {
    name: "HELP",
    summary: "Show helpful text about the different subcommands",
    since: "5.0.0",
    group: Group::Connection,
    flags: SHARED,
    run: show_help,
    ..Command::BASE
};

/// Whether a client is of the type that a filter names.
fn is_of_type(client: &Client, name: &[u8]) -> Result<bool, CommandError> {
    match TYPES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        // Nobody is a master: this server follows none.
        Some(index) => Ok(if client.has(ClientFlag::Replica) {
            ["slave", "replica"].contains(&TYPES[index])
        } else {
            TYPES[index] == if client.has(ClientFlag::Subscriber) { "pubsub" } else { "normal" }
        }),
        None => Err(unknown_type(name)),
    }
}

fn unknown_type(name: &[u8]) -> CommandError {
    CommandError::err(format_args!("Unknown client type '{}'", crate::command::error::shown(name)))
}

/// ON or OFF.
fn switch(args: &mut Args<'_>) -> Result<bool, CommandError> {
    if args.keyword("ON") {
        Ok(true)
    } else if args.keyword("OFF") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "CLIENT",
        &[
            "CACHING (YES|NO)",
            "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
            "GETREDIR",
            "    Return the client ID we are redirecting to when tracking is enabled.",
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections. Options are:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made from the specified address",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made to specified local address",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Kill connections by type.",
            "    * USER <username>",
            "      Kill connections authenticated by <username>.",
            "    * SKIPME (YES|NO)",
            "      Skip killing current connection (default: yes).",
            "LIST [options ...]",
            "    Return information about client connections. Options:",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Return clients of specified type.",
            "UNPAUSE",
            "    Stop the current client pause, resuming traffic.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Suspend all, or just write, clients for <timeout> milliseconds.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETINFO (LIB-NAME <libname>|LIB-VER <libver>)",
            "    Say which client library the current connection uses.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "    Unblock the specified blocked client.",
            "TRACEPARENT <traceparent> [<tracestate>]",
            "    Put the next command, or transaction, of the current connection into a trace.",
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Control server assisted client side caching.",
            "TRACKINGINFO",
            "    Report tracking status for the current connection.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Do not count what the current connection reads as used.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Bench;

    #[test]
    fn help_begins_and_ends_as_everywhere() {
        let help = Bench::new().line("CLIENT HELP");
        assert!(help.starts_with(" 1) CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\n"));
        assert!(help.ends_with(") HELP\n54)     Prints this help."), "{help}");
    }

    #[test]
    fn an_unknown_subcommand_points_to_help() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT FOO"), "(error) ERR unknown subcommand 'FOO'. Try CLIENT HELP.");
    }
}
