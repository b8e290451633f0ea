//! EVAL, EVALSHA, FCALL and their read-only forms: which script, how many keys.

use crate::command::observed::Call;
use crate::command::ports::{ScriptCall, ScriptSource};
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome};

const RUNS: Flags = Flags::NOSCRIPT
    .with(Flags::SKIP_MONITOR)
    .with(Flags::NO_MANDATORY_KEYS)
    .with(Flags::STALE)
    .with(Flags::TRIES);
const WRITES: Keys = Keys::Counted(2, Access::RW.with(Access::ACCESS).with(Access::UPDATE));
const READS: Keys = Keys::Counted(2, Access::RO.with(Access::ACCESS));

const BASE: Command = Command {
    complexity: "Depends on the script that is executed.",
    group: Group::Scripting,
    ..Command::BASE
};

pub(super) const EVAL: Command = Command {
    name: "EVAL",
    syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Execute a Lua script server side",
    since: "2.6.0",
    flags: RUNS.with(Flags::MAY_REPLICATE),
    keys: WRITES,
    key_notes: &["We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"],
    code: Some(ScriptSource::Body),
    run: |ctx, args| run(ctx, args, false),
    ..BASE
};

pub(super) const EVAL_RO: Command = Command {
    name: "EVAL_RO",
    syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Execute a read-only Lua script server side",
    since: "7.0.0",
    flags: RUNS.with(Flags::READONLY),
    keys: READS,
    key_notes: &["We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"],
    code: Some(ScriptSource::Body),
    run: |ctx, args| run(ctx, args, true),
    ..BASE
};

pub(super) const EVALSHA: Command = Command {
    name: "EVALSHA",
    syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Execute a Lua script server side",
    since: "2.6.0",
    flags: RUNS.with(Flags::MAY_REPLICATE),
    keys: WRITES,
    code: Some(ScriptSource::Sha),
    run: |ctx, args| run(ctx, args, false),
    ..BASE
};

pub(super) const EVALSHA_RO: Command = Command {
    name: "EVALSHA_RO",
    syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Execute a read-only Lua script server side",
    since: "7.0.0",
    flags: RUNS.with(Flags::READONLY),
    keys: READS,
    code: Some(ScriptSource::Sha),
    run: |ctx, args| run(ctx, args, true),
    ..BASE
};

pub(super) const FCALL: Command = Command {
    name: "FCALL",
    syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Invoke a function",
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    flags: RUNS.with(Flags::MAY_REPLICATE),
    keys: WRITES,
    key_notes: &["We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"],
    code: Some(ScriptSource::Function),
    run: |ctx, args| run(ctx, args, false),
    ..BASE
};

pub(super) const FCALL_RO: Command = Command {
    name: "FCALL_RO",
    syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Invoke a read-only function",
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    flags: RUNS.with(Flags::READONLY),
    keys: READS,
    key_notes: &["We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"],
    code: Some(ScriptSource::Function),
    run: |ctx, args| run(ctx, args, true),
    ..BASE
};

fn run(ctx: &mut Context<'_>, mut args: Args<'_>, read_only: bool) -> Outcome {
    let row = ctx.registry.get(ctx.command).row;
    let source = row.code.unwrap_or(ScriptSource::Body);
    let what = args.bytes();
    let scripts = ctx.server.scripts();
    if source == ScriptSource::Sha && what.len() != 40 {
        return Err(CommandError::fixed(NOSCRIPT));
    }
    if source == ScriptSource::Function && !scripts.has_function(what) {
        return Err(CommandError::fixed("ERR Function not found"));
    }
    let bad_number = match source {
        ScriptSource::Function => CommandError::fixed("ERR Bad number of keys provided"),
        _ => CommandError::NotInteger,
    };
    let number = args.int_or(bad_number);
    args.check()?;
    if number > args.remaining() as i64 {
        return Err(CommandError::fixed("ERR Number of keys can't be greater than number of args"));
    }
    let keys =
        usize::try_from(number).map_err(|_| CommandError::fixed("ERR Number of keys can't be negative"))?;
    if ctx.server.pubsub().monitors().count() > 0 {
        // Before what it calls, which stands behind it then.
        let call = Call { row, args: &args, client: &ctx.session.client, by_script: false };
        call.show_anyway(ctx.server.pubsub(), ctx.server.clock(), ctx.settings, ctx.session.database);
    }
    scripts.run(ctx, ScriptCall { source, what, keys, args, read_only })
}

/// What EVALSHA answers for a script that nobody has loaded.
pub(super) const NOSCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
