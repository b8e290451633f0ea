//! COMMAND: what the server knows about its own commands. All of it is derived from the rows.
//!
//! What never lives here: facts about any one command.

mod arguments;
pub mod docs;
pub mod info;
mod keys;
mod list;
pub mod page;

use super::context::{help, unknown_subcommand};
use super::row::{Acl, Command, Flags, Group};
use super::{Args, Context, Outcome, Reply};

const COMMON: Flags = Flags::LOADING.with(Flags::STALE);

/// A subcommand to fill in.
const BASE: Command = Command {
    since: "2.8.13",
    group: Group::Server,
    flags: COMMON,
    // COMMAND is what a client asks when it connects.
    acl: Acl::CONNECTION,
    ..Command::BASE
};

/// The rows of this family.
pub static COMMANDS: &[Command] = &[Command {
    name: "COMMAND",
    summary: "Get array of Redis command details",
    complexity: "O(N) where N is the total number of Redis commands",
    flags: COMMON.with(Flags::OPEN_ENDED),
    tips: &["nondeterministic_output_order"],
    run: command,
    subcommands: &[
        Command { name: "COUNT", summary: "Get total number of Redis commands", run: count, ..BASE },
        docs::DOCS,
        keys::GETKEYS,
        keys::GETKEYSANDFLAGS,
        info::INFO,
        list::LIST,
        Command {
            name: "HELP",
            summary: "Show helpful text about the different subcommands",
            since: "5.0.0",
            run: show_help,
            ..BASE
        },
    ],
    ..BASE
}];

fn command(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 1 {
        return unknown_subcommand(ctx, args);
    }
    info::all(ctx);
    Ok(Reply::Sent)
}

fn count(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.registry.top_level().count() as i64))
}

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Bench;
    use crate::resp::{Value, ValueDecoder};

    fn items(bench: &mut Bench, words: &[&[u8]]) -> Vec<Value> {
        let reply = bench.raw(words);
        match ValueDecoder::default().decode(&reply) {
            Ok(Some((Value::Array(items), _))) => items,
            other => panic!("no array: {other:?}"),
        }
    }

    #[test]
    fn everything_is_counted_once() {
        let mut bench = Bench::new();
        let all = items(&mut bench, &[b"COMMAND"]).len();
        assert_eq!(bench.line("COMMAND COUNT"), format!("(integer) {all}"));
        assert_eq!(items(&mut bench, &[b"COMMAND", b"INFO"]).len(), all);
        assert_eq!(items(&mut bench, &[b"COMMAND", b"DOCS"]).len(), 2 * all);
        let listed = items(&mut bench, &[b"COMMAND", b"LIST"]).len();
        assert_eq!(listed, bench.registry.iter().count());
    }

    #[test]
    fn help_and_unknown_subcommands() {
        let mut bench = Bench::new();
        assert!(bench.line("COMMAND HELP").contains("(no subcommand)"));
        assert_eq!(bench.line("COMMAND FOO"), "(error) ERR unknown subcommand 'FOO'. Try COMMAND HELP.");
        assert_eq!(
            bench.line("COMMAND COUNT now"),
            "(error) ERR wrong number of arguments for 'command|count' command"
        );
    }
}
