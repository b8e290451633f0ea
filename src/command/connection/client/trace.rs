//! CLIENT TRACEPARENT, which Redis does not have: in whose trace the next command is.

use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::observe::trace::Caller;

use super::COMMON;

pub const TRACEPARENT: Command = Command {
    name: "TRACEPARENT",
    differs: "Not a command of Redis: this server has it since its version 0.1.0 (docs/traces.md).",
    syntax: "traceparent [tracestate]",
    summary: "Put the next command, or transaction, into the caller's trace",
    since: "0.1.0",
    group: Group::Connection,
    flags: COMMON.with(Flags::KEEPS_CALLER),
    run: traceparent,
    ..Command::BASE
};

fn traceparent(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    // Whoever sends another one does not mean the one before any more.
    ctx.session.caller = None;
    let parent = args.bytes();
    let state = (args.remaining() > 0).then(|| args.bytes());
    args.finish()?;
    let Some(caller) = Caller::parse(parent, state) else {
        return Err(CommandError::fixed(
            "ERR Invalid traceparent, it must be in the format of W3C Trace Context",
        ));
    };
    if ctx.server.is_traced() {
        ctx.session.caller = Some(Box::new(caller));
    }
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_is_taken() {
        transcript(
            r#"
            > CLIENT TRACEPARENT 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
            OK
            > CLIENT TRACEPARENT 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00 congo=t61rcWkgMzE
            OK
            > CLIENT TRACEPARENT 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 "not a state"
            OK
            > CLIENT TRACEPARENT 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01
            (error) ERR Invalid traceparent, it must be in the format of W3C Trace Context
            > CLIENT TRACEPARENT ""
            (error) ERR Invalid traceparent, it must be in the format of W3C Trace Context
            > CLIENT TRACEPARENT
            (error) ERR wrong number of arguments for 'client|traceparent' command
            > CLIENT TRACEPARENT 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 a=1 b=2
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn a_wrong_one_takes_the_one_before_away_and_so_does_reset() {
        let mut bench = Bench::new();
        assert_eq!(bench.line(&format!("CLIENT TRACEPARENT {PARENT}")), "OK");
        assert!(bench.session.caller.as_ref().is_some_and(|caller| caller.is_sampled()));
        assert!(bench.line("CLIENT TRACEPARENT 00").starts_with("(error)"));
        assert_eq!(bench.session.caller, None);
        assert_eq!(bench.line(&format!("CLIENT TRACEPARENT {PARENT}")), "OK");
        assert_eq!(bench.line("RESET"), "RESET");
        assert_eq!(bench.session.caller, None);
    }
}
