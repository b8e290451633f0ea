//! SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites: one confirmation for each name.

use std::sync::Arc;

use crate::command::row::{Access, Channels, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::pubsub::Kind;

const COMMON: Flags =
    Flags::PUBSUB.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE).with(Flags::SUBSCRIBER);

/// What the rows of this file share.
const ROW: Command = Command { since: "2.0.0", group: Group::PubSub, flags: COMMON, ..Command::BASE };

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "SUBSCRIBE",
        syntax: "channel [channel ...]",
        summary: "Listen for messages published to the given channels",
        complexity: "O(N) where N is the number of channels to subscribe to.",
        channels: Channels::All,
        run: |ctx, args| subscribe(ctx, &args, Kind::Channel),
        ..ROW
    },
    Command {
        name: "UNSUBSCRIBE",
        syntax: "[channel [channel ...]]",
        summary: "Stop listening for messages posted to the given channels",
        complexity: "O(N) where N is the number of clients already subscribed to a channel.",
        run: |ctx, args| unsubscribe(ctx, &args, Kind::Channel),
        ..ROW
    },
    Command {
        name: "PSUBSCRIBE",
        arguments: "pattern..pattern (pattern)",
        syntax: "pattern [pattern ...]",
        summary: "Listen for messages published to channels matching the given patterns",
        complexity: "O(N) where N is the number of patterns the client is already subscribed to.",
        channels: Channels::Patterns,
        run: |ctx, args| subscribe(ctx, &args, Kind::Pattern),
        ..ROW
    },
    Command {
        name: "PUNSUBSCRIBE",
        syntax: "[pattern [pattern ...]]",
        summary: "Stop listening for messages posted to channels matching the given patterns",
        complexity: "O(N+M) where N is the number of patterns the client is already subscribed and M is the \
                     number of total patterns subscribed in the system (by any client).",
        run: |ctx, args| unsubscribe(ctx, &args, Kind::Pattern),
        ..ROW
    },
    Command {
        name: "SSUBSCRIBE",
        syntax: "shardchannel [shardchannel ...]",
        summary: "Listen for messages published to the given shard channels",
        since: "7.0.0",
        complexity: "O(N) where N is the number of shard channels to subscribe to.",
        keys: Keys::All(Access::NOT_KEY),
        channels: Channels::All,
        run: |ctx, args| subscribe(ctx, &args, Kind::Shard),
        ..ROW
    },
    Command {
        name: "SUNSUBSCRIBE",
        syntax: "[shardchannel [shardchannel ...]]",
        summary: "Stop listening for messages posted to the given shard channels",
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients already subscribed to a shard channel.",
        keys: Keys::All(Access::NOT_KEY),
        run: |ctx, args| unsubscribe(ctx, &args, Kind::Shard),
        ..ROW
    },
];

fn subscribe(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) -> Outcome {
    if kind == Kind::Shard && ctx.in_transaction {
        return Err(CommandError::fixed("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    let word = match kind {
        Kind::Channel => "subscribe",
        Kind::Pattern => "psubscribe",
        Kind::Shard => "ssubscribe",
    };
    for name in args.rest() {
        let name: Arc<[u8]> = Arc::from(name);
        ctx.session.subscribe(ctx.server.pubsub(), kind, &name);
        confirm(ctx, word, Some(&name), kind);
    }
    Ok(Reply::Pushed)
}

fn unsubscribe(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) -> Outcome {
    let word = match kind {
        Kind::Channel => "unsubscribe",
        Kind::Pattern => "punsubscribe",
        Kind::Shard => "sunsubscribe",
    };
    let given: Vec<Arc<[u8]>> = match args.remaining() {
        0 => ctx.session.subscriptions.names(kind),
        _ => args.rest().map(Arc::from).collect(),
    };
    if given.is_empty() {
        confirm(ctx, word, None, kind);
    }
    for name in &given {
        ctx.session.unsubscribe(ctx.server.pubsub(), kind, name);
        // What came from there before it was left stands before the confirmation.
        ctx.session.client.take_mail_into(ctx.out.buffer_mut());
        confirm(ctx, word, Some(name), kind);
    }
    Ok(Reply::Pushed)
}

fn confirm(ctx: &mut Context<'_>, word: &str, name: Option<&[u8]>, kind: Kind) {
    ctx.out.push(3);
    ctx.out.bulk(word.as_bytes());
    match name {
        Some(name) => ctx.out.bulk(name),
        None => ctx.out.null(),
    }
    ctx.out.int(ctx.session.subscriptions.shown(kind) as i64);
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn each_name_is_confirmed_with_a_count() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.raw(&[b"SUBSCRIBE", b"a", b"b", b"a"]),
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n\
              *3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n"
        );
        assert_eq!(bench.raw(&[b"PSUBSCRIBE", b"x*"]), b"*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:3\r\n");
        assert_eq!(bench.raw(&[b"SSUBSCRIBE", b"s"]), b"*3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n");
        assert_eq!(bench.line("PUBLISH xy 1"), "(integer) 1");
        assert_eq!(bench.line("SPUBLISH s 1"), "(integer) 1");
        assert!(bench.session.client.has_mail());
        let left = bench.raw(&[b"UNSUBSCRIBE", b"b"]);
        assert!(left.ends_with(b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:2\r\n"));
        assert!(left.starts_with(b"*4\r\n$8\r\npmessage\r\n"));
        assert!(!bench.session.client.has_mail());
    }

    #[test]
    fn leaving_what_was_never_joined() {
        transcript(
            r#"
            > UNSUBSCRIBE
            1) "unsubscribe"
            2) (nil)
            3) (integer) 0
            > PUNSUBSCRIBE
            1) "punsubscribe"
            2) (nil)
            3) (integer) 0
            > SUNSUBSCRIBE
            1) "sunsubscribe"
            2) (nil)
            3) (integer) 0
            > UNSUBSCRIBE a
            1) "unsubscribe"
            2) "a"
            3) (integer) 0
            > SUBSCRIBE
            (error) ERR wrong number of arguments for 'subscribe' command
            > SUBSCRIBE a
            1) "subscribe"
            2) "a"
            3) (integer) 1
            > PING
            1) "pong"
            2) ""
            > PING hello
            1) "pong"
            2) "hello"
            > PSUBSCRIBE a*
            1) "psubscribe"
            2) "a*"
            3) (integer) 2
            > SSUBSCRIBE s
            1) "ssubscribe"
            2) "s"
            3) (integer) 1
            > RESET
            RESET
            > PING
            PONG
            "#,
        );
    }
}
