//! FUNCTION: libraries of functions.

use crate::command::context::{help, unknown_subcommand};
use crate::command::error::{shown, wrong_usage};
use crate::command::ports::RestoreLibraries;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::glob_match;
use crate::store::DumpError;

const BASE: Command = Command { since: "7.0.0", group: Group::Scripting, ..Command::BASE };
const TO_ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub(super) const FUNCTION: Command = Command {
    name: "FUNCTION",
    summary: "A container for function commands",
    complexity: "Depends on subcommand.",
    run: unknown_subcommand,
    subcommands: &[DELETE, DUMP, FLUSH, HELP, KILL, LIST, LOAD, RESTORE, STATS],
    ..BASE
};

const DELETE: Command = Command {
    name: "DELETE",
    syntax: "library-name",
    summary: "Delete a function by name",
    flags: Flags::NOSCRIPT.with(Flags::WRITE),
    tips: TO_ALL,
    run: delete,
    ..BASE
};

const DUMP: Command = Command {
    name: "DUMP",
    summary: "Dump all functions into a serialized binary payload",
    complexity: "O(N) where N is the number of functions",
    flags: Flags::NOSCRIPT,
    run: dump,
    ..BASE
};

const RESTORE: Command = Command {
    name: "RESTORE",
    arguments: "flush_* =policy",
    syntax: "serialized-value [FLUSH | APPEND | REPLACE]",
    summary: "Restore all the functions on the given payload",
    complexity: "O(N) where N is the number of functions on the payload",
    flags: Flags::NOSCRIPT.with(Flags::WRITE).with(Flags::DENYOOM),
    tips: TO_ALL,
    run: restore,
    ..BASE
};

const FLUSH: Command = Command {
    name: "FLUSH",
    syntax: "[ASYNC | SYNC]",
    summary: "Deleting all functions",
    complexity: "O(N) where N is the number of functions deleted",
    flags: Flags::NOSCRIPT.with(Flags::WRITE),
    tips: TO_ALL,
    run: flush,
    ..BASE
};

const HELP: Command = Command {
    name: "HELP",
    summary: "Show helpful text about the different subcommands",
    flags: Flags::LOADING.with(Flags::STALE),
    run: help_function,
    ..BASE
};

const KILL: Command = Command {
    name: "KILL",
    summary: "Kill the function currently in execution.",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: kill,
    ..BASE
};

const LIST: Command = Command {
    name: "LIST",
    syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    summary: "List information about all the functions",
    complexity: "O(N) where N is the number of functions",
    flags: Flags::NOSCRIPT,
    tips: &["nondeterministic_output_order"],
    run: list,
    ..BASE
};

const LOAD: Command = Command {
    name: "LOAD",
    syntax: "[REPLACE] function-code",
    summary: "Create a function with the given arguments (name, code, description)",
    complexity: "O(1) (considering compilation time is redundant)",
    flags: Flags::NOSCRIPT.with(Flags::WRITE).with(Flags::DENYOOM),
    tips: TO_ALL,
    run: load,
    ..BASE
};

const STATS: Command = Command {
    name: "STATS",
    summary: "Return information about the function currently running (name, description, duration)",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    run: stats,
    ..BASE
};

fn delete(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let name = args.bytes();
    args.finish()?;
    if !ctx.server.scripts().delete_library(name) {
        return Err(CommandError::fixed("ERR Library not found"));
    }
    ctx.view.tally.changes += 1;
    Ok(Reply::Ok)
}

fn dump(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let libraries = ctx.server.scripts().libraries();
    let codes: Vec<&[u8]> = libraries.iter().map(|library| &library.code[..]).collect();
    let payload = ctx.server.dumps().dump_libraries(&codes);
    ctx.bulk(&payload)
}

fn restore(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let payload = args.bytes();
    if args.remaining() > 1 {
        return Err(wrong_usage("FUNCTION", args.get(1)));
    }
    let how = if args.keyword("flush") {
        RestoreLibraries::Flush
    } else if args.keyword("replace") {
        RestoreLibraries::Replace
    } else if args.keyword("append") || args.remaining() == 0 {
        RestoreLibraries::Append
    } else {
        let text = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
        return Err(CommandError::fixed(text));
    };
    let codes = ctx.server.dumps().restore_libraries(payload).map_err(|error| match error {
        DumpError::Footer => CommandError::fixed("ERR DUMP payload version or checksum are wrong"),
        DumpError::Value => CommandError::fixed("ERR given type is not a function"),
    })?;
    ctx.server.scripts().restore_libraries(&codes, how)?;
    ctx.view.tally.changes += 1;
    Ok(Reply::Ok)
}

fn flush(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() > 1 {
        return Err(wrong_usage("FUNCTION", args.get(1)));
    }
    if args.remaining() == 1 && !args.keyword("sync") && !args.keyword("async") {
        return Err(CommandError::fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    ctx.server.scripts().flush_libraries();
    ctx.view.tally.changes += 1;
    Ok(Reply::Ok)
}

fn kill(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.server.scripts().kill(true)?;
    Ok(Reply::Ok)
}

fn load(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let mut replace = false;
    while args.remaining() > 1 {
        if !args.keyword("replace") {
            let option = shown(args.bytes());
            return Err(CommandError::err(format_args!("Unknown option given: {option}")));
        }
        replace = true;
    }
    let Some(code) = args.next() else {
        return Err(CommandError::fixed("ERR Function code is missing"));
    };
    let name = ctx.server.scripts().load_library(code, replace)?;
    ctx.view.tally.changes += 1;
    Ok(Reply::text(name))
}

fn list(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (mut pattern, mut with_code) = (None, false);
    while let Some(word) = args.peek() {
        if !with_code && args.keyword("withcode") {
            with_code = true;
        } else if pattern.is_none() && args.keyword("libraryname") {
            let Some(given) = args.next() else {
                return Err(CommandError::fixed("ERR library name argument was not given"));
            };
            pattern = Some(given);
        } else {
            let word = shown(word);
            return Err(CommandError::err(format_args!("Unknown argument {word}")));
        }
    }
    let mut libraries = ctx.server.scripts().libraries();
    if let Some(pattern) = pattern {
        libraries.retain(|library| glob_match(pattern, library.name.as_bytes(), true));
    }
    let out = &mut *ctx.out;
    out.array(libraries.len());
    for library in &libraries {
        out.map(if with_code { 4 } else { 3 });
        out.bulk(b"library_name");
        out.bulk(library.name.as_bytes());
        out.bulk(b"engine");
        out.bulk(b"LUA");
        out.bulk(b"functions");
        out.array(library.functions.len());
        for function in &library.functions {
            out.map(3);
            out.bulk(b"name");
            out.bulk(function.name.as_bytes());
            out.bulk(b"description");
            match &function.description {
                Some(text) => out.bulk(text),
                None => out.null(),
            }
            out.bulk(b"flags");
            out.set(function.flags.len());
            function.flags.iter().for_each(|flag| out.simple(flag));
        }
        if with_code {
            out.bulk(b"library_code");
            out.bulk(&library.code);
        }
    }
    Ok(Reply::Sent)
}

fn stats(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let scripts = ctx.server.scripts();
    let running = scripts.running_function()?;
    let libraries = scripts.libraries();
    let functions: usize = libraries.iter().map(|library| library.functions.len()).sum();
    let out = &mut *ctx.out;
    out.map(2);
    out.bulk(b"running_script");
    match running {
        None => out.null(),
        Some(running) => {
            out.map(3);
            out.bulk(b"name");
            out.bulk(running.name.as_bytes());
            out.bulk(b"command");
            out.array(running.command.len());
            running.command.iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.int(running.duration_ms as i64);
        }
    }
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.int(libraries.len() as i64);
    out.bulk(b"functions_count");
    out.int(functions as i64);
    Ok(Reply::Sent)
}

fn help_function(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    help(
        ctx,
        "FUNCTION",
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Create a new library with the given library name and code.",
            "DELETE <LIBRARY NAME>",
            "    Delete the given library.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Return general information on all the libraries:",
            "    * Library name",
            "    * The engine used to run the Library",
            "    * Library description",
            "    * Functions list",
            "    * Library code (if WITHCODE is given)",
            "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
            "STATS",
            "    Return information about the current function running:",
            "    * Function name",
            "    * Command used to run the function",
            "    * Duration in MS that the function is running",
            "    If no function is running, return nil",
            "    In addition, returns a list of available engines.",
            "KILL",
            "    Kill the current running function.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the libraries.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the libraries.",
            "    * SYNC: Synchronously flush the libraries.",
            "DUMP",
            "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
            "    control how to handle existing libraries (default APPEND):",
            "    * FLUSH: delete all existing libraries.",
            "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
            "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
            "      libraries with the new libraries (notice that even on this option there is a chance of failure",
            "      in case of functions name collision with another library).",
        ],
    )
}
