//! CLIENT TRACKING and what belongs to it. Client-side caching is not there yet: all of this answers as
//! a Redis whose client has not turned it on, and turning it on is refused.

use crate::command::row::{Command, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

use super::{COMMON, switch};

pub const TRACKING: Command = Command {
    name: "TRACKING",
    arguments: "on_off =status",
    differs: "ON is refused: there is no client-side caching yet.",
    syntax: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    summary: "Enable or disable server assisted client side caching support",
    since: "6.0.0",
    complexity: "O(1). Some options may introduce additional complexity.",
    group: Group::Connection,
    flags: COMMON,
    run: tracking,
    ..Command::BASE
};

pub const CACHING: Command = Command {
    name: "CACHING",
    arguments: "yes_no =mode",
    differs: "Refused, as TRACKING is.",
    syntax: "<YES | NO>",
    summary: "Instruct the server about tracking or not keys in the next request",
    since: "6.0.0",
    group: Group::Connection,
    flags: COMMON,
    run: caching,
    ..Command::BASE
};

pub const GETREDIR: Command = Command {
    name: "GETREDIR",
    summary: "Get tracking notifications redirection client ID if any",
    since: "6.0.0",
    group: Group::Connection,
    flags: COMMON,
    run: redirection,
    ..Command::BASE
};

pub const TRACKINGINFO: Command = Command {
    name: "TRACKINGINFO",
    summary: "Return information about server assisted client side caching for the current connection",
    since: "6.2.0",
    group: Group::Connection,
    flags: COMMON,
    run: tracking_info,
    ..Command::BASE
};

/// The options that Redis weighs against each other.
#[derive(Default)]
struct Options {
    redirect: Option<u64>,
    prefixes: bool,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
}

fn options(ctx: &Context<'_>, args: &mut Args<'_>) -> Result<Options, CommandError> {
    let mut options = Options::default();
    while args.remaining() > 0 {
        if args.remaining() > 1 && args.keyword("REDIRECT") {
            options.redirect = Some(redirect(ctx, args, &options)?);
        } else if args.remaining() > 1 && args.keyword("PREFIX") {
            args.bytes();
            options.prefixes = true;
        } else if args.keyword("BCAST") {
            options.broadcast = true;
        } else if args.keyword("OPTIN") {
            options.opt_in = true;
        } else if args.keyword("OPTOUT") {
            options.opt_out = true;
        } else if !args.keyword("NOLOOP") {
            return Err(CommandError::Syntax);
        }
    }
    Ok(options)
}

fn redirect(ctx: &Context<'_>, args: &mut Args<'_>, before: &Options) -> Result<u64, CommandError> {
    if before.redirect.is_some() {
        return Err(CommandError::fixed("ERR A client can only redirect to a single other client"));
    }
    let id = args.int();
    args.check()?;
    let target = u64::try_from(id).ok().and_then(|id| ctx.server.clients().find(id));
    match target {
        Some(target) => Ok(target.id),
        None => Err(CommandError::fixed("ERR The client ID you want redirect to does not exist")),
    }
}

fn tracking(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let mut rest = args.clone();
    rest.next();
    let options = options(ctx, &mut rest)?;
    if !switch(&mut args)? {
        return Ok(Reply::Ok);
    }
    let refusal = if options.prefixes && !options.broadcast {
        "ERR PREFIX option requires BCAST mode to be enabled"
    } else if options.broadcast && (options.opt_in || options.opt_out) {
        "ERR OPTIN and OPTOUT are not compatible with BCAST"
    } else if options.opt_in && options.opt_out {
        "ERR You can't specify both OPTIN mode and OPTOUT mode"
    } else {
        "ERR CLIENT TRACKING ON is not supported: this server has no client-side caching yet"
    };
    Err(CommandError::fixed(refusal))
}

fn caching(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    ))
}

fn redirection(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Int(-1))
}

fn tracking_info(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.out.map(3);
    ctx.out.bulk(b"flags");
    ctx.out.set(1);
    ctx.out.bulk(b"off");
    ctx.out.bulk(b"redirect");
    ctx.out.int(-1);
    ctx.out.bulk(b"prefixes");
    ctx.out.array(0);
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn tracking_is_off() {
        transcript(
            r#"
            > CLIENT GETREDIR
            (integer) -1
            > CLIENT TRACKINGINFO
            1) "flags"
            2) 1) "off"
            3) "redirect"
            4) (integer) -1
            5) "prefixes"
            6) (empty array)
            > CLIENT TRACKING OFF
            OK
            > CLIENT TRACKING OFF NOLOOP
            OK
            > CLIENT CACHING YES
            (error) ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
            > CLIENT TRACKING
            (error) ERR wrong number of arguments for 'client|tracking' command
            > CLIENT TRACKING WRONG
            (error) ERR syntax error
            > CLIENT TRACKING ON WRONG
            (error) ERR syntax error
            > CLIENT TRACKING ON PREFIX foo
            (error) ERR PREFIX option requires BCAST mode to be enabled
            > CLIENT TRACKING ON BCAST OPTIN
            (error) ERR OPTIN and OPTOUT are not compatible with BCAST
            > CLIENT TRACKING ON OPTIN OPTOUT
            (error) ERR You can't specify both OPTIN mode and OPTOUT mode
            > CLIENT TRACKING ON REDIRECT abc
            (error) ERR value is not an integer or out of range
            > CLIENT TRACKING ON REDIRECT 987654321
            (error) ERR The client ID you want redirect to does not exist
            "#,
        );
    }

    #[test]
    fn turning_it_on_is_refused_in_words() {
        let mut bench = Bench::new();
        let refused =
            "(error) ERR CLIENT TRACKING ON is not supported: this server has no client-side caching yet";
        assert_eq!(bench.line("CLIENT TRACKING ON"), refused);
        assert_eq!(
            bench.line("CLIENT TRACKING ON REDIRECT 1 REDIRECT 1"),
            "(error) ERR A client can only redirect to a single other client"
        );
    }
}
