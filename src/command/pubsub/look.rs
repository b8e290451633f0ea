//! PUBSUB: what is listened to, and by how many.

use crate::command::context::{help, unknown_subcommand};
use crate::command::error::wrong_usage;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, Context, Outcome, Reply};
use crate::pubsub::Kind;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "PUBSUB",
    syntax: "",
    summary: "A container for Pub/Sub commands",
    since: "2.8.0",
    complexity: "Depends on subcommand.",
    group: Group::PubSub,
    run: unknown_subcommand,
    subcommands: &[CHANNELS, NUMSUB, NUMPAT, SHARDCHANNELS, SHARDNUMSUB, HELP],
    ..Command::BASE
}];

/// What the subcommands share.
const ROW: Command = Command {
    since: "2.8.0",
    group: Group::PubSub,
    flags: Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE),
    ..Command::BASE
};

const CHANNELS: Command = Command {
    name: "CHANNELS",
    syntax: "[pattern]",
    summary: "List active channels",
    complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching \
                 (relatively short channels and patterns)",
    run: |ctx, args| names(ctx, args, Kind::Channel),
    ..ROW
};

const NUMSUB: Command = Command {
    name: "NUMSUB",
    syntax: "[channel [channel ...]]",
    summary: "Get the count of subscribers for channels",
    complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    run: |ctx, args| counts(ctx, &args, Kind::Channel),
    ..ROW
};

const NUMPAT: Command = Command {
    name: "NUMPAT",
    syntax: "",
    summary: "Get the count of unique patterns pattern subscriptions",
    complexity: "O(1)",
    run: patterns,
    ..ROW
};

const SHARDCHANNELS: Command = Command {
    name: "SHARDCHANNELS",
    syntax: "[pattern]",
    summary: "List active shard channels",
    since: "7.0.0",
    complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern \
                 matching (relatively short shard channels).",
    run: |ctx, args| names(ctx, args, Kind::Shard),
    ..ROW
};

const SHARDNUMSUB: Command = Command {
    name: "SHARDNUMSUB",
    syntax: "[shardchannel [shardchannel ...]]",
    summary: "Get the count of subscribers for shard channels",
    since: "7.0.0",
    complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
    run: |ctx, args| counts(ctx, &args, Kind::Shard),
    ..ROW
};

const HELP: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Show helpful text about the different subcommands",
    since: "6.2.0",
    flags: Flags::LOADING.with(Flags::STALE),
    run: show_help,
    ..ROW
};

fn names(ctx: &mut Context<'_>, mut args: Args<'_>, kind: Kind) -> Outcome {
    let pattern = args.next();
    if args.remaining() > 0 {
        return Err(wrong_usage("PUBSUB", args.get(1)));
    }
    let names = ctx.server.pubsub().names(kind, pattern);
    ctx.out.array(names.len());
    names.iter().for_each(|name| ctx.out.bulk(name));
    Ok(Reply::Sent)
}

fn counts(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) -> Outcome {
    ctx.out.array(args.remaining() * 2);
    for name in args.rest() {
        ctx.out.bulk(name);
        ctx.out.int(ctx.server.pubsub().listeners(kind, name) as i64);
    }
    Ok(Reply::Sent)
}

fn patterns(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.server.pubsub().count(Kind::Pattern) as i64))
}

fn show_help(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let lines = [
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    ];
    help(ctx, "PUBSUB", &lines)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn nothing_is_listened_to() {
        transcript(
            r#"
            > PUBSUB CHANNELS
            (empty array)
            > PUBSUB CHANNELS n*
            (empty array)
            > PUBSUB CHANNELS a b
            (error) ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.
            > PUBSUB NUMSUB
            (empty array)
            > PUBSUB NUMSUB a
            1) "a"
            2) (integer) 0
            > PUBSUB NUMPAT
            (integer) 0
            > PUBSUB SHARDCHANNELS
            (empty array)
            > PUBSUB SHARDNUMSUB s
            1) "s"
            2) (integer) 0
            > PUBSUB NOTHING
            (error) ERR unknown subcommand 'NOTHING'. Try PUBSUB HELP.
            > PUBSUB HELP
             1) PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
             2) CHANNELS [<pattern>]
             3)     Return the currently active channels matching a <pattern> (default: '*').
             4) NUMPAT
             5)     Return number of subscriptions to patterns.
             6) NUMSUB [<channel> ...]
             7)     Return the number of subscribers for the specified channels, excluding
             8)     pattern subscriptions(default: no channels).
             9) SHARDCHANNELS [<pattern>]
            10)     Return the currently active shard level channels matching a <pattern> (default: '*').
            11) SHARDNUMSUB [<shardchannel> ...]
            12)     Return the number of subscribers for the specified shard level channel(s)
            13) HELP
            14)     Prints this help.
            "#,
        );
    }
}
