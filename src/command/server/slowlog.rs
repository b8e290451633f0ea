//! SLOWLOG.

use crate::command::context::{help, unknown_subcommand};
use crate::command::error::wrong_usage;
use crate::command::reply::OK;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

const ADMIN: Flags = Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE);

pub(super) const SLOWLOG: Command = Command {
    name: "SLOWLOG",
    syntax: "",
    summary: "A container for commands about the slow log.",
    since: "2.2.12",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    run: unknown_subcommand,
    subcommands: &[GET, HELP, LEN, RESET],
    ..Command::BASE
};

const GET: Command = Command {
    name: "GET",
    history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
    syntax: "[count]",
    summary: "Returns the latest entries of the slow log.",
    since: "2.2.12",
    complexity: "O(N) where N is the number of entries returned",
    group: Group::Server,
    flags: ADMIN,
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    run: get,
    ..Command::BASE
};

const HELP: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Returns helpful text about the subcommands.",
    since: "6.2.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_slowlog,
    ..Command::BASE
};

const LEN: Command = Command {
    name: "LEN",
    syntax: "",
    summary: "Returns the number of entries of the slow log.",
    since: "2.2.12",
    group: Group::Server,
    flags: ADMIN,
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    run: |ctx, _| Ok(Reply::Int(ctx.server.stats().slow_log().len() as i64)),
    ..Command::BASE
};

const RESET: Command = Command {
    name: "RESET",
    syntax: "",
    summary: "Empties the slow log.",
    since: "2.2.12",
    complexity: "O(N) where N is the number of entries in the slowlog",
    group: Group::Server,
    flags: ADMIN,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: |ctx, _| {
        ctx.server.stats().slow_log().reset();
        OK
    },
    ..Command::BASE
};

/// How many entries GET returns when it is not told.
const DEFAULT_COUNT: i64 = 10;

fn get(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let out_of_range = || CommandError::fixed("ERR count should be greater than or equal to -1");
    if args.remaining() > 1 {
        return Err(wrong_usage("SLOWLOG", args.get(1)));
    }
    let count = if args.remaining() > 0 { args.int_or(out_of_range()) } else { DEFAULT_COUNT };
    args.finish()?;
    let count = match count {
        -1 => usize::MAX,
        count => usize::try_from(count).map_err(|_| out_of_range())?,
    };
    let entries = ctx.server.stats().slow_log().latest(count);
    ctx.out.array(entries.len());
    for entry in &entries {
        ctx.out.array(6);
        ctx.out.int(entry.id as i64);
        ctx.out.int(entry.unix_s as i64);
        ctx.out.int(entry.duration_us as i64);
        ctx.out.array(entry.arguments.len());
        entry.arguments.iter().for_each(|argument| ctx.out.bulk(argument));
        ctx.out.bulk(entry.peer.as_bytes());
        ctx.out.bulk(&entry.client_name);
    }
    Ok(Reply::Sent)
}

fn help_slowlog(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::command::testing::{Bench, transcript};
    use crate::observe::{SlowEntry, SlowStages};

    #[test]
    fn an_empty_log() {
        transcript(
            r#"
            > SLOWLOG RESET
            OK
            > SLOWLOG LEN
            (integer) 0
            > SLOWLOG GET
            (empty array)
            > SLOWLOG GET 0
            (empty array)
            > SLOWLOG GET -1
            (empty array)
            > SLOWLOG GET -2
            (error) ERR count should be greater than or equal to -1
            > SLOWLOG GET x
            (error) ERR count should be greater than or equal to -1
            > SLOWLOG GET 1 2
            (error) ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.
            > SLOWLOG HELP
             1) SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
             2) GET [<count>]
             3)     Return top <count> entries from the slowlog (default: 10, -1 mean all).
             4)     Entries are made of:
             5)     id, timestamp, time in microseconds, arguments array, client IP and port,
             6)     client name
             7) LEN
             8)     Return the length of the slowlog.
             9) RESET
            10)     Reset the slowlog.
            11) HELP
            12)     Prints this help.
            "#,
        );
    }

    #[test]
    fn entries_have_the_fields_of_redis() {
        let mut bench = Bench::new();
        for word in ["a", "b"] {
            let entry = SlowEntry {
                id: 0,
                unix_s: 1_700_000_000,
                duration_us: 15,
                arguments: vec![b"get".to_vec(), word.into()],
                peer: "127.0.0.1:5".to_owned(),
                client_name: b"me".to_vec(),
                stages: Arc::new(SlowStages::new(0, 15_000)),
            };
            bench.server.stats.slow_log().push(entry, 9);
        }
        assert_eq!(bench.line("SLOWLOG LEN"), "(integer) 2");
        let expected = "1) 1) (integer) 1\n   2) (integer) 1700000000\n   3) (integer) 15\n   4) 1) \"get\"\n      2) \"b\"\n   \
                        5) \"127.0.0.1:5\"\n   6) \"me\"";
        assert_eq!(bench.line("SLOWLOG GET 1"), expected);
    }
}
