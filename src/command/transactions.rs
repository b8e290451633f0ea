//! MULTI, EXEC, DISCARD, WATCH and UNWATCH. The queue and its execution are the engine's.

use super::row::{Access, Command, Flags, Group, Keys};
use super::{Args, CommandError, Context, Outcome, Reply};

const COMMON: Flags =
    Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE).with(Flags::FAST).with(Flags::ALLOW_BUSY);

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "MULTI",
        summary: "Mark the start of a transaction block",
        since: "1.2.0",
        group: Group::Transactions,
        flags: COMMON.with(Flags::TRANSACTION_CONTROL),
        run: multi,
        ..Command::BASE
    },
    Command {
        name: "EXEC",
        summary: "Execute all commands issued after MULTI",
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        group: Group::Transactions,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::SKIP_SLOWLOG)
            .with(Flags::EXECUTES_QUEUE),
        run: exec,
        ..Command::BASE
    },
    Command {
        name: "DISCARD",
        summary: "Discard all commands issued after MULTI",
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        group: Group::Transactions,
        flags: COMMON.with(Flags::TRANSACTION_CONTROL).with(Flags::FORGETS_WATCHES).with(Flags::LEAVES_MULTI),
        run: discard,
        ..Command::BASE
    },
    Command {
        name: "WATCH",
        syntax: "key [key ...]",
        summary: "Watch the given keys to determine execution of the MULTI/EXEC block",
        since: "2.2.0",
        complexity: "O(1) for every key.",
        group: Group::Transactions,
        flags: COMMON.with(Flags::TRANSACTION_CONTROL),
        keys: Keys::All(Access::RO),
        run: watch,
        ..Command::BASE
    },
    Command {
        name: "UNWATCH",
        summary: "Forget about all watched keys",
        since: "2.2.0",
        group: Group::Transactions,
        flags: COMMON.with(Flags::FORGETS_WATCHES),
        run: unwatch,
        ..Command::BASE
    },
];

fn multi(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.session.multi.is_some() {
        return Err(CommandError::fixed("ERR MULTI calls can not be nested"));
    }
    ctx.session.begin_multi();
    Ok(Reply::Ok)
}

/// Only reached without MULTI: the engine runs a queue itself.
fn exec(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed("ERR EXEC without MULTI"))
}

fn discard(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.session.end_multi().is_none() {
        return Err(CommandError::fixed("ERR DISCARD without MULTI"));
    }
    ctx.session.forgets_watches = true;
    Ok(Reply::Ok)
}

fn watch(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if ctx.session.multi.is_some() {
        return Err(CommandError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    // Once a watched key has changed, EXEC will refuse whatever else is watched.
    if ctx.session.is_watch_broken() {
        return Ok(Reply::Ok);
    }
    let database = ctx.view.database();
    let flag = ctx.session.watch_flag();
    while args.remaining() > 0 {
        let key = args.key();
        let watched = &mut ctx.session.watched;
        if watched.iter().any(|(number, other)| *number == database && **other == *key.bytes) {
            continue;
        }
        ctx.view.watch(key, &flag);
        watched.push((database, key.bytes.into()));
    }
    ctx.session.note_watched();
    Ok(Reply::Ok)
}

fn unwatch(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    // Inside EXEC nothing is watched any more.
    ctx.session.forgets_watches = !ctx.in_transaction;
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::command::testing::{Bench, transcript};

    #[test]
    fn control_commands_refuse() {
        transcript(
            r#"
            > EXEC
            (error) ERR EXEC without MULTI
            > DISCARD
            (error) ERR DISCARD without MULTI
            > MULTI
            OK
            > MULTI
            (error) ERR MULTI calls can not be nested
            > WATCH x
            (error) ERR WATCH inside MULTI is not allowed
            > DISCARD
            OK
            > WATCH
            (error) ERR wrong number of arguments for 'watch' command
            > WATCH x y
            OK
            > UNWATCH
            OK
            "#,
        );
    }

    #[test]
    fn a_key_watched_twice_counts_once() {
        let mut bench = Bench::new();
        bench.line("WATCH a b a");
        bench.line("WATCH b");
        assert_eq!(bench.session.watched.len(), 2);
        bench.line("SELECT 1");
        bench.line("WATCH a");
        assert_eq!(bench.session.client.watched.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_change_of_a_watched_key_raises_the_flag() {
        let mut bench = Bench::new();
        bench.line("WATCH k");
        bench.line("SET other v");
        assert!(!bench.session.is_watch_broken());
        bench.line("SET k v");
        assert!(bench.session.is_watch_broken());
        assert!(bench.session.client.is_watch_broken());
        assert_eq!(bench.line("WATCH more"), "OK");
        assert_eq!(bench.session.watched.len(), 1);
    }

    #[test]
    fn who_forgets_says_so() {
        let mut bench = Bench::new();
        bench.line("WATCH k");
        bench.line("DISCARD");
        assert!(!bench.session.forgets_watches, "a refused DISCARD keeps what is watched");
        bench.line("UNWATCH");
        assert!(bench.session.forgets_watches);
    }
}
