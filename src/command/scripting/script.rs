//! SCRIPT: the cache of scripts.

use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

const BASE: Command = Command { since: "2.6.0", group: Group::Scripting, ..Command::BASE };

pub(super) const SCRIPT: Command = Command {
    name: "SCRIPT",
    summary: "A container for Lua scripts management commands",
    complexity: "Depends on subcommand.",
    run: unknown_subcommand,
    subcommands: &[DEBUG, EXISTS, FLUSH, HELP, KILL, LOAD],
    ..BASE
};

const DEBUG: Command = Command {
    name: "DEBUG",
    arguments: "yes_sync_no =mode",
    differs: "YES and SYNC are refused: there is no debugger.",
    syntax: "<YES | SYNC | NO>",
    summary: "Set the debug mode for executed scripts.",
    since: "3.2.0",
    flags: Flags::NOSCRIPT,
    run: debug,
    ..BASE
};

const EXISTS: Command = Command {
    name: "EXISTS",
    syntax: "sha1 [sha1 ...]",
    summary: "Check existence of scripts in the script cache.",
    complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
    flags: Flags::NOSCRIPT,
    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
    run: exists,
    ..BASE
};

const FLUSH: Command = Command {
    name: "FLUSH",
    arguments: "async @6.2.0",
    history: &[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
    syntax: "[ASYNC | SYNC]",
    summary: "Remove all the scripts from the script cache.",
    complexity: "O(N) with N being the number of scripts in cache",
    flags: Flags::NOSCRIPT,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: flush,
    ..BASE
};

const HELP: Command = Command {
    name: "HELP",
    summary: "Show helpful text about the different subcommands",
    since: "5.0.0",
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_script,
    ..BASE
};

const KILL: Command = Command {
    name: "KILL",
    summary: "Kill the script currently in execution.",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: kill,
    ..BASE
};

const LOAD: Command = Command {
    name: "LOAD",
    syntax: "script",
    summary: "Load the specified Lua script into the script cache.",
    complexity: "O(N) with N being the length in bytes of the script body.",
    flags: Flags::NOSCRIPT.with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: load,
    ..BASE
};

/// There is no debugger: it is off, and stays so.
fn debug(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.keyword("no") {
        args.finish()?;
        return Ok(Reply::Ok);
    }
    if args.keyword("yes") || args.keyword("sync") {
        return Err(CommandError::fixed("ERR the script debugger is not available"));
    }
    Err(CommandError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn exists(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    ctx.out.array(args.remaining());
    for sha in args.rest() {
        let known = ctx.server.scripts().has_script(sha);
        ctx.out.int(i64::from(known));
    }
    Ok(Reply::Sent)
}

fn flush(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() > 1 || args.remaining() == 1 && !args.keyword("sync") && !args.keyword("async") {
        return Err(CommandError::fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    ctx.server.scripts().flush_scripts();
    Ok(Reply::Ok)
}

fn kill(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.server.scripts().kill(false)?;
    Ok(Reply::Ok)
}

fn load(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let body = args.bytes();
    args.finish()?;
    let sha = ctx.server.scripts().load_script(body)?;
    Ok(Reply::text(sha))
}

fn help_script(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "SCRIPT",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Set the debug mode for subsequent scripts executed.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
    )
}
