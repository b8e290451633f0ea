//! PUBLISH and SPUBLISH.

use crate::command::context::Replay;
use crate::command::row::{Access, Channels, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::pubsub::Limit;

const COMMON: Flags =
    Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE).with(Flags::FAST).with(Flags::MAY_REPLICATE);

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "PUBLISH",
        syntax: "channel message",
        summary: "Post a message to a channel",
        since: "2.0.0",
        complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the \
                     total number of subscribed patterns (by any client).",
        group: Group::PubSub,
        flags: COMMON,
        channels: Channels::First,
        run: publish,
        ..Command::BASE
    },
    Command {
        name: "SPUBLISH",
        syntax: "shardchannel message",
        summary: "Post a message to a shard channel",
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        group: Group::PubSub,
        flags: COMMON,
        channels: Channels::First,
        keys: Keys::One(Access::NOT_KEY),
        run: spublish,
        ..Command::BASE
    },
];

fn limit(ctx: &Context<'_>) -> Limit {
    let set = &ctx.settings.client_output_buffer_limit.pubsub;
    Limit { hard_bytes: set.hard_bytes, soft_bytes: set.soft_bytes }
}

fn repeat_on_replicas(ctx: &mut Context<'_>) {
    if ctx.collect_replay {
        ctx.replay = Replay::ByReplicas;
    }
}

fn publish(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (channel, message) = (args.bytes(), args.bytes());
    args.finish()?;
    repeat_on_replicas(ctx);
    Ok(Reply::Int(ctx.server.pubsub().publish(channel, message, limit(ctx)) as i64))
}

fn spublish(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (channel, message) = (args.bytes(), args.bytes());
    args.finish()?;
    repeat_on_replicas(ctx);
    Ok(Reply::Int(ctx.server.pubsub().publish_sharded(channel, message, limit(ctx)) as i64))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn nobody_listens() {
        transcript(
            r#"
            > PUBLISH news hello
            (integer) 0
            > SPUBLISH news hello
            (integer) 0
            > PUBLISH news
            (error) ERR wrong number of arguments for 'publish' command
            > SPUBLISH news a b
            (error) ERR wrong number of arguments for 'spublish' command
            "#,
        );
    }
}
