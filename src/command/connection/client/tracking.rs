//! CLIENT TRACKING and what belongs to it.

use crate::command::client::ClientFlag;
use crate::command::row::{Command, Flags, Group};
use crate::command::session::Session;
use crate::command::tracking::{self, Wanted};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::resp::text_of;

use super::{COMMON, switch};

pub const TRACKING: Command = Command {
    name: "TRACKING",
    differs: "Keys are remembered by database, not by name alone, and SWAPDB is told of.",
    arguments: "on_off =status",
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
    syntax: "<YES | NO>",
    summary: "Instruct the server about tracking or not keys in the next request",
    since: "6.0.0",
    group: Group::Connection,
    flags: COMMON.with(Flags::KEEPS_CALLER),
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

fn wanted(ctx: &Context<'_>, args: &mut Args<'_>) -> Result<Wanted, CommandError> {
    let mut wanted = Wanted::default();
    while args.remaining() > 0 {
        if args.remaining() > 1 && args.keyword("REDIRECT") {
            wanted.redirect = redirect(ctx, args, wanted.redirect)?;
        } else if args.remaining() > 1 && args.keyword("PREFIX") {
            wanted.prefixes.push(args.bytes().into());
        } else if args.keyword("BCAST") {
            wanted.broadcast = true;
        } else if args.keyword("OPTIN") {
            wanted.opt_in = true;
        } else if args.keyword("OPTOUT") {
            wanted.opt_out = true;
        } else if args.keyword("NOLOOP") {
            wanted.ignores_own = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(wanted)
}

fn redirect(ctx: &Context<'_>, args: &mut Args<'_>, before: u64) -> Result<u64, CommandError> {
    if before != 0 {
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
    let wanted = wanted(ctx, &mut rest)?;
    if switch(&mut args)? {
        check(ctx.session, &wanted)?;
        if ctx.server.tracking().enable(ctx.session, wanted) {
            ctx.view.listen_to_changes(true);
        }
    } else {
        tracking::stop(ctx);
    }
    Ok(Reply::Ok)
}

/// Refuses options that do not go together, or with what the connection does already.
fn check(session: &Session, wanted: &Wanted) -> Result<(), CommandError> {
    let refuse = |text| Err(CommandError::fixed(text));
    if !wanted.prefixes.is_empty() && !wanted.broadcast {
        return refuse("ERR PREFIX option requires BCAST mode to be enabled");
    }
    if let Some(caching) = &session.tracking {
        if session.client.has(ClientFlag::TracksPrefixes) != wanted.broadcast {
            return refuse(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            );
        }
        if wanted.opt_in && caching.opt_out || wanted.opt_out && caching.opt_in {
            return refuse(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            );
        }
    }
    if wanted.broadcast && (wanted.opt_in || wanted.opt_out) {
        return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if wanted.opt_in && wanted.opt_out {
        return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    check_prefixes(session, &wanted.prefixes)
}

/// No key may have two of a client's prefixes.
fn check_prefixes(session: &Session, prefixes: &[Box<[u8]>]) -> Result<(), CommandError> {
    let refuse = |prefix: &[u8], which: &str, other: &[u8]| {
        Err(CommandError::err(format_args!(
            "Prefix '{}' overlaps with {which} prefix '{}'. Prefixes for a single client must not overlap.",
            text_of(prefix),
            text_of(other)
        )))
    };
    // The empty one came without being asked for, so it may overlap others that are there.
    let has_empty = session.tracking.as_ref().is_some_and(|caching| caching.prefixes.contains(&b""[..]));
    if let Some(first) = prefixes.first().filter(|_| has_empty) {
        return refuse(first, "an existing", b"");
    }
    // Sorted, whoever overlaps another overlaps the one behind it: a hundred thousand of them hold up nobody.
    let existing = session.tracking.iter().flat_map(|caching| &caching.prefixes);
    let mut all: Vec<(&[u8], bool)> = existing.map(|prefix| (&prefix[..], true)).collect();
    all.extend(prefixes.iter().map(|prefix| (&prefix[..], false)));
    all.sort_unstable();
    let clash = all.windows(2).find(|pair| pair[1].0.starts_with(pair[0].0));
    let Some([first, second]) = clash else { return Ok(()) };
    match (first, second) {
        ((old, true), (new, _)) | ((new, _), (old, true)) => refuse(new, "an existing", old),
        _ => {
            // Redis names the one first that was given first.
            let place = |wanted: &[u8]| prefixes.iter().position(|prefix| **prefix == *wanted);
            let (mut one, mut other) = (first.0, second.0);
            if place(other) < place(one) {
                std::mem::swap(&mut one, &mut other);
            }
            refuse(one, "another provided", other)
        }
    }
}

fn caching(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let Some(caching) = &mut ctx.session.tracking else {
        return Err(CommandError::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    if args.keyword("YES") {
        if !caching.opt_in {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if args.keyword("NO") {
        if !caching.opt_out {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
    } else {
        return Err(CommandError::Syntax);
    }
    caching.is_given = true;
    Ok(Reply::Ok)
}

fn redirection(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.session.client.redirection()))
}

fn tracking_info(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let flags = flags(ctx.session);
    ctx.out.map(3);
    ctx.out.bulk(b"flags");
    ctx.out.set(flags.len());
    flags.iter().for_each(|flag| ctx.out.bulk(flag.as_bytes()));
    ctx.out.bulk(b"redirect");
    ctx.out.int(ctx.session.client.redirection());
    ctx.out.bulk(b"prefixes");
    let prefixes = ctx.session.tracking.as_ref().map(|caching| &caching.prefixes);
    ctx.out.array(prefixes.map_or(0, |prefixes| prefixes.len()));
    prefixes.into_iter().flatten().for_each(|prefix| ctx.out.bulk(prefix));
    Ok(Reply::Sent)
}

fn flags(session: &Session) -> Vec<&'static str> {
    let Some(caching) = &session.tracking else { return vec!["off"] };
    let client = &session.client;
    let all = [
        ("on", true),
        ("bcast", client.has(ClientFlag::TracksPrefixes)),
        ("optin", caching.opt_in),
        ("caching-yes", caching.opt_in && caching.is_given),
        ("optout", caching.opt_out),
        ("caching-no", caching.opt_out && caching.is_given),
        ("noloop", client.has(ClientFlag::IgnoresOwn)),
        ("broken_redirect", client.has(ClientFlag::BrokenRedirect)),
    ];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

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
            > CLIENT TRACKING ON REDIRECT 1 REDIRECT 1
            (error) ERR A client can only redirect to a single other client
            "#,
        );
    }

    #[test]
    fn its_ways_exclude_each_other() {
        transcript(
            r#"
            > CLIENT TRACKING ON OPTIN NOLOOP
            OK
            > CLIENT CACHING NO
            (error) ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.
            > CLIENT CACHING MAYBE
            (error) ERR syntax error
            > CLIENT CACHING YES
            OK
            > CLIENT TRACKINGINFO
            1) "flags"
            2) 1) "on"
               2) "optin"
               3) "caching-yes"
               4) "noloop"
            3) "redirect"
            4) (integer) 0
            5) "prefixes"
            6) (empty array)
            > CLIENT TRACKING ON OPTOUT
            (error) ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.
            > CLIENT TRACKING ON BCAST
            (error) ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.
            > CLIENT TRACKING OFF
            OK
            > CLIENT TRACKING ON OPTOUT
            OK
            > CLIENT CACHING YES
            (error) ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.
            > CLIENT TRACKING OFF
            OK
            > CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc
            (error) ERR Prefix 'ab' overlaps with another provided prefix 'abc'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING ON BCAST PREFIX ab PREFIX cd
            OK
            > CLIENT TRACKING ON BCAST PREFIX c
            (error) ERR Prefix 'c' overlaps with an existing prefix 'cd'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING ON BCAST PREFIX ef
            OK
            > CLIENT TRACKINGINFO
            1) "flags"
            2) 1) "on"
               2) "bcast"
            3) "redirect"
            4) (integer) 0
            5) "prefixes"
            6) 1) "ab"
               2) "cd"
               3) "ef"
            > CLIENT GETREDIR
            (integer) 0
            "#,
        );
    }
}
