//! PING, ECHO, QUIT and SELECT.

use crate::command::row::{Command, Flags, Group, OtherDatabase};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

/// Commands that a connection may send at any time but before it has authenticated.
const ANYTIME: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::FAST);

pub const PING: Command = Command {
    name: "PING",
    syntax: "[message]",
    summary: "Ping the server",
    group: Group::Connection,
    flags: Flags::FAST.with(Flags::TELLS_HEALTH).with(Flags::SUBSCRIBER).with(Flags::HARMLESS),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: ping,
    ..Command::BASE
};

pub const ECHO: Command = Command {
    name: "ECHO",
    syntax: "message",
    summary: "Echo the given string",
    group: Group::Connection,
    flags: ANYTIME.with(Flags::HARMLESS),
    run: echo,
    ..Command::BASE
};

pub const QUIT: Command = Command {
    name: "QUIT",
    syntax: "",
    summary: "Close the connection",
    group: Group::Connection,
    flags: ANYTIME
        .with(Flags::ALLOW_BUSY)
        .with(Flags::NOSCRIPT)
        .with(Flags::NO_AUTH)
        .with(Flags::TRANSACTION_CONTROL)
        .with(Flags::LEAVES_MULTI)
        .with(Flags::SUBSCRIBER)
        .with(Flags::OPEN_ENDED),
    run: quit,
    ..Command::BASE
};

pub const SELECT: Command = Command {
    name: "SELECT",
    syntax: "index",
    summary: "Change the selected database for the current connection",
    group: Group::Connection,
    flags: ANYTIME.with(Flags::HARMLESS),
    databases: selected,
    run: select,
    ..Command::BASE
};

fn ping(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let message = args.next();
    if args.remaining() == 0 && ctx.session.listens_in_resp2() {
        ctx.out.array(2);
        ctx.out.bulk(b"pong");
        return ctx.bulk(message.unwrap_or_default());
    }
    match message {
        None => Ok(Reply::Simple("PONG")),
        Some(_) if args.remaining() > 0 => Err(CommandError::Arity(ctx.command_name().to_owned())),
        Some(message) => ctx.bulk(message),
    }
}

fn echo(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let message = args.bytes();
    ctx.bulk(message)
}

fn quit(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Close(Box::new(Reply::Ok)))
}

/// The database that a queued SELECT leads to, so that EXEC knows where later keys are.
fn selected(args: Args<'_>) -> Option<OtherDatabase> {
    let number = usize::try_from(parse_i64(args.get(1))?).ok()?;
    Some(OtherDatabase { number, selects: true })
}

fn select(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let index = args.int();
    args.check()?;
    if i32::try_from(index).is_err() {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    match usize::try_from(index) {
        Ok(number) if number < ctx.view.databases() => {
            ctx.session.select(number);
            Ok(Reply::Ok)
        }
        _ => Err(CommandError::DatabaseOutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::client::Address;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn ping_and_echo() {
        transcript(
            r#"
            > PING
            PONG
            > PING hello
            "hello"
            > PING a b
            (error) ERR wrong number of arguments for 'ping' command
            > ECHO "a b"
            "a b"
            > ECHO
            (error) ERR wrong number of arguments for 'echo' command
            "#,
        );
    }

    #[test]
    fn select_changes_the_database() {
        transcript(
            r#"
            > SET k zero
            OK
            > SELECT 1
            OK
            > GET k
            (nil)
            > SELECT 0
            OK
            > GET k
            "zero"
            > SELECT 16
            (error) ERR DB index is out of range
            > SELECT -1
            (error) ERR DB index is out of range
            > SELECT abc
            (error) ERR value is not an integer or out of range
            > SELECT 99999999999
            (error) ERR value is out of range, value must between -2147483648 and 2147483647
            > GET k
            "zero"
            "#,
        );
    }

    #[test]
    fn quit_answers_whatever_follows_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.server.client.address, Address::Internal);
        assert_eq!(bench.line("QUIT"), "OK");
        assert_eq!(bench.line("QUIT now please"), "OK");
    }
}
