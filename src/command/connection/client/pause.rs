//! CLIENT PAUSE, UNPAUSE and UNBLOCK: holding others back, and letting them go.

use crate::command::client::ClientFlag;
use crate::command::error::wrong_usage;
use crate::command::ports::Pause;
use crate::command::row::{Command, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

use super::REACHING;

pub const PAUSE: Command = Command {
    name: "PAUSE",
    arguments: "timeout :integer; write_all =mode @6.2.0",
    history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
    syntax: "timeout [WRITE | ALL]",
    summary: "Stop processing commands from clients for some time",
    since: "2.9.50",
    group: Group::Connection,
    flags: REACHING,
    run: pause,
    ..Command::BASE
};

pub const UNPAUSE: Command = Command {
    name: "UNPAUSE",
    summary: "Resume processing of clients that were paused",
    since: "6.2.0",
    complexity: "O(N) Where N is the number of paused clients",
    group: Group::Connection,
    flags: REACHING,
    run: unpause,
    ..Command::BASE
};

pub const UNBLOCK: Command = Command {
    name: "UNBLOCK",
    syntax: "client-id [TIMEOUT | ERROR]",
    summary: "Unblock a client blocked in a blocking command from a different connection",
    since: "5.0.0",
    complexity: "O(log N) where N is the number of client connections",
    group: Group::Connection,
    flags: REACHING,
    run: unblock,
    ..Command::BASE
};

/// An optional last word out of two; true for the second.
fn second_word(
    args: &mut Args<'_>,
    words: [&str; 2],
    error: &'static str,
) -> Result<Option<bool>, CommandError> {
    match args.next() {
        None => Ok(None),
        Some(_) if args.remaining() > 0 => Err(wrong_usage("CLIENT", args.get(1))),
        Some(word) => match words.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(word)) {
            Some(index) => Ok(Some(index == 1)),
            None => Err(CommandError::fixed(error)),
        },
    }
}

fn pause(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let mut mode = args.clone();
    mode.next();
    let all = second_word(&mut mode, ["WRITE", "ALL"], "ERR CLIENT PAUSE mode must be WRITE or ALL")?;
    let mut args = args;
    let timeout_ms = args.int_or(CommandError::fixed("ERR timeout is not an integer or out of range"));
    args.check()?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::TimeoutNegative)?;
    let now_ms = ctx.now_ms();
    let clients = ctx.server.clients();
    let writes_only = all == Some(false) && clients.paused(now_ms) != Some(Pause::All);
    // A moment past the end of Redis's clock lies before its beginning there: the pause is over at once.
    if let Some(until_ms) = now_ms.checked_add(timeout_ms).filter(|&until_ms| i64::try_from(until_ms).is_ok())
    {
        clients.pause(writes_only, until_ms);
    }
    Ok(Reply::Ok)
}

fn unpause(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.server.clients().unpause();
    Ok(Reply::Ok)
}

fn unblock(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let mut reason = args.clone();
    reason.next();
    let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
    let error = second_word(&mut reason, ["TIMEOUT", "ERROR"], text)?.unwrap_or(false);
    let mut args = args;
    let id = args.int();
    args.check()?;
    let target = u64::try_from(id).ok().and_then(|id| ctx.server.clients().find(id));
    let Some(target) = target.filter(|target| target.has(ClientFlag::Blocked)) else {
        return Ok(Reply::Int(0));
    };
    if target.has(ClientFlag::Unblock) {
        // Somebody else has unblocked it; its task has not come to it yet.
        return Ok(Reply::Int(0));
    }
    target.set(ClientFlag::UnblockError, error);
    target.set(ClientFlag::Unblock, true);
    target.wake();
    Ok(Reply::Int(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn refusals() {
        transcript(
            r#"
            > CLIENT PAUSE abc
            (error) ERR timeout is not an integer or out of range
            > CLIENT PAUSE -1
            (error) ERR timeout is negative
            > CLIENT PAUSE abc WRONG
            (error) ERR CLIENT PAUSE mode must be WRITE or ALL
            > CLIENT pause 0 ALL x
            (error) ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.
            > CLIENT PAUSE 0 ALL
            OK
            > CLIENT PAUSE 1 WRITE
            OK
            > CLIENT UNPAUSE
            OK
            > CLIENT UNBLOCK abc
            (error) ERR value is not an integer or out of range
            > CLIENT UNBLOCK abc WRONG
            (error) ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR
            > CLIENT UNBLOCK 987654321
            (integer) 0
            > CLIENT UNBLOCK -1 ERROR
            (integer) 0
            "#,
        );
    }

    #[test]
    fn a_blocked_client_is_unblocked_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT UNBLOCK 1"), "(integer) 0");
        bench.session.client.set(ClientFlag::Blocked, true);
        assert_eq!(bench.line("CLIENT UNBLOCK 1 ERROR"), "(integer) 1");
        assert!(bench.session.client.has(ClientFlag::Unblock));
        assert!(bench.session.client.has(ClientFlag::UnblockError));
        assert_eq!(bench.line("CLIENT UNBLOCK 1 TIMEOUT"), "(integer) 0");
    }
}
