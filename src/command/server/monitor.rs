//! MONITOR.

use std::sync::Arc;

use crate::command::client::ClientFlag;
use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

pub(super) const MONITOR: Command = Command {
    name: "MONITOR",
    syntax: "",
    summary: "Shows every command that the server runs, as it runs.",
    since: "1.0.0",
    complexity: "",
    group: Group::Server,
    flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
    run: monitor,
    ..Command::BASE
};

fn monitor(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.in_transaction {
        return Err(CommandError::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let client = &ctx.session.client;
    if client.has(ClientFlag::Monitor) {
        return Ok(Reply::Nothing);
    }
    client.set(ClientFlag::Monitor, true);
    ctx.server.pubsub().monitors().add(Arc::clone(client) as _);
    // Workers look once a batch whether anybody monitors.
    client.set(ClientFlag::BatchOver, true);
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn it_is_entered_once_and_left_by_reset() {
        transcript(
            r#"
            > MONITOR x
            (error) ERR wrong number of arguments for 'monitor' command
            > MONITOR
            OK
            > RESET
            RESET
            "#,
        );
        let mut bench = Bench::new();
        assert_eq!(bench.line("MONITOR"), "OK");
        assert_eq!(bench.line("MONITOR"), "(no reply)");
        assert_eq!(bench.server.pubsub.monitors().count(), 1);
        assert!(bench.line("CLIENT LIST").contains(" flags=O "));
        bench.line("RESET");
        assert_eq!(bench.server.pubsub.monitors().count(), 0);
        assert!(bench.line("CLIENT LIST").contains(" flags=N "));
    }
}
