//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE and SHUTDOWN.

use crate::command::ports::{SaveRefusal, Shutdown, Started};
use crate::command::reply::{OK, Work};
use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

pub(super) const SAVE: Command = Command {
    name: "SAVE",
    differs: "An RDB file where dbfilename ends in .rdb; else a snapshot in a format of its own, glasswing.snapshot. A rewrite of the log is waited for.",
    syntax: "",
    summary: "Saves the data set and waits for the end.",
    since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NOSCRIPT).with(Flags::NO_MULTI),
    run: save,
    ..Command::BASE
};

pub(super) const BGSAVE: Command = Command {
    name: "BGSAVE",
    arguments: "schedule @3.2.2",
    history: &[("3.2.2", "Added the `SCHEDULE` option.")],
    differs: "As SAVE; nothing is forked.",
    syntax: "[SCHEDULE]",
    summary: "Begins to save the data set in the background.",
    since: "1.0.0",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NOSCRIPT),
    run: bgsave,
    ..Command::BASE
};

pub(super) const BGREWRITEAOF: Command = Command {
    name: "BGREWRITEAOF",
    differs: "Nothing is forked.",
    syntax: "",
    summary: "Begins to rewrite the append-only file in the background.",
    since: "1.0.0",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NOSCRIPT),
    run: bgrewriteaof,
    ..Command::BASE
};

pub(super) const LASTSAVE: Command = Command {
    name: "LASTSAVE",
    syntax: "",
    summary: "Returns when the last good save ended.",
    since: "1.0.0",
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
    acl: Acl::ADMIN.with(Acl::DANGEROUS),
    run: lastsave,
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

pub(super) const SHUTDOWN: Command = Command {
    name: "SHUTDOWN",
    arguments: "now @7.0.0; force @7.0.0; abort @7.0.0",
    history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
    syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    summary: "Saves the data set if it is to be saved, then ends the server.",
    since: "1.0.0",
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, \
                 otherwise O(1)",
    group: Group::Server,
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::NO_MULTI)
        .with(Flags::ALLOW_BUSY),
    run: shutdown,
    ..Command::BASE
};

fn refused(refusal: SaveRefusal) -> CommandError {
    match refusal {
        SaveRefusal::Running => CommandError::fixed("ERR Background save already in progress"),
        SaveRefusal::Rewriting => CommandError::fixed(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
             schedule a BGSAVE whenever possible.",
        ),
        // Redis says no more than ERR here, its log the rest.
        SaveRefusal::Failed(text) => CommandError::err(text),
    }
}

fn save(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.server.saves().running() {
        return Err(refused(SaveRefusal::Running));
    }
    let server = ctx.server.shared();
    Ok(Reply::Later(Work::new(move || server.saves().save().map(|()| Reply::Ok).map_err(refused))))
}

fn bgsave(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let schedule = args.keyword("SCHEDULE");
    args.finish()?;
    // As in Redis, SCHEDULE is for what else may run beside a save; a running save itself refuses.
    if ctx.server.saves().running() {
        return Err(refused(SaveRefusal::Running));
    }
    match ctx.server.saves().start(schedule || ctx.in_transaction).map_err(refused)? {
        Started::Now => Ok(Reply::Simple("Background saving started")),
        Started::Scheduled => Ok(Reply::Simple("Background saving scheduled")),
    }
}

fn bgrewriteaof(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    match ctx.server.saves().rewrite(ctx.in_transaction) {
        Ok(Started::Now) => Ok(Reply::Simple("Background append only file rewriting started")),
        Ok(Started::Scheduled) => Ok(Reply::Simple("Background append only file rewriting scheduled")),
        Err(SaveRefusal::Running | SaveRefusal::Rewriting) => {
            Err(CommandError::fixed("ERR Background append only file rewriting already in progress"))
        }
        Err(SaveRefusal::Failed(text)) => Err(CommandError::err(text)),
    }
}

fn lastsave(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let seconds = ctx.server.saves().last_save_unix_s();
    Ok(Reply::Int(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

fn shutdown(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (mut how, mut abort) = (Shutdown::default(), false);
    let (mut save, mut nosave) = (false, false);
    while args.remaining() > 0 {
        if args.keyword("NOSAVE") {
            nosave = true;
        } else if args.keyword("SAVE") {
            save = true;
        } else if args.keyword("NOW") {
            how.now = true;
        } else if args.keyword("FORCE") {
            how.force = true;
        } else if args.keyword("ABORT") {
            abort = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if (save && nosave) || (abort && (save || nosave || how.now || how.force)) {
        return Err(CommandError::Syntax);
    }
    if abort {
        let aborted = ctx.server.abort_shutdown();
        return if aborted { OK } else { Err(CommandError::fixed("ERR No shutdown in progress.")) };
    }
    how.save = if save || nosave { Some(save) } else { None };
    let server = ctx.server.shared();
    Ok(Reply::Later(Work::new(move || match server.shutdown(how) {
        Ok(()) => Ok(Reply::Nothing),
        // The reasons stand in the log.
        Err(_) => Err(CommandError::fixed("ERR Errors trying to SHUTDOWN. Check logs.")),
    })))
}
