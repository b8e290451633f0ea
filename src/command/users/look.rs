//! ACL CAT, DRYRUN, GENPASS and WHOAMI.

use crate::command::error::{shown, shown_up_to, wrong_usage};
use std::fmt::Write as _;

use crate::acl::Reason;
use crate::command::row::Command;
use crate::command::{Args, CommandError, Context, Outcome, Reply, rights};
use crate::data::parse_i64;

use super::{ADMIN, LOOKS, ROW};

pub(super) const CAT: Command = Command {
    name: "CAT",
    arguments: "category =categoryname",
    syntax: "[category]",
    summary: "Lists the categories, or the commands of one.",
    complexity: "O(1) since the categories and commands are a fixed set.",
    flags: LOOKS,
    run: cat,
    ..ROW
};

pub(super) const DRYRUN: Command = Command {
    name: "DRYRUN",
    syntax: "username command [arg ...]",
    summary: "Says whether a user may send a request, without running it.",
    since: "7.0.0",
    complexity: "O(1).",
    flags: ADMIN,
    run: dryrun,
    ..ROW
};

pub(super) const GENPASS: Command = Command {
    name: "GENPASS",
    syntax: "[bits]",
    summary: "Draws a password that nobody can guess.",
    complexity: "O(1)",
    flags: LOOKS,
    run: genpass,
    ..ROW
};

pub(super) const WHOAMI: Command = Command {
    name: "WHOAMI",
    summary: "Returns the name of the connection's user.",
    complexity: "O(1)",
    flags: LOOKS,
    run: whoami,
    ..ROW
};

/// The longest password that is drawn, bits.
const MAX_BITS: i64 = 4096;

fn cat(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() > 1 {
        return Err(wrong_usage("ACL", args.get(1)));
    }
    let catalog = ctx.server.acl().catalog();
    let names: Vec<&str> = match args.next() {
        None => catalog.categories().iter().map(|(_, name)| *name).collect(),
        Some(name) => {
            let bit = catalog.category(name).ok_or_else(|| {
                let name = shown_up_to(name, 128);
                CommandError::err(format_args!("Unknown category '{name}'"))
            })?;
            let all = catalog.ordered().iter().map(|&place| catalog.entry(place));
            all.filter(|entry| entry.categories & bit != 0).map(|entry| entry.name).collect()
        }
    };
    ctx.out.array(names.len());
    names.iter().for_each(|name| ctx.out.bulk(name.as_bytes()));
    Ok(Reply::Sent)
}

fn dryrun(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let name = args.bytes();
    let Some(user) = ctx.server.acl().table().get(name).cloned() else {
        return Err(CommandError::err(format_args!("User '{}' not found", shown(name))));
    };
    let request = args.skip(3);
    let second = (request.len() > 1).then(|| request.get(1));
    let Some(index) = rights::resolve(ctx.registry, request.get(0), second) else {
        let command = shown(request.get(0));
        return Err(CommandError::err(format_args!("Command '{command}' not found")));
    };
    let command = ctx.registry.get(index);
    if !command.accepts(request.len()) {
        return Err(CommandError::Arity(command.full_name.to_owned()));
    }
    let Err(denied) = rights::check(&user, command, index, &request) else { return Ok(Reply::Ok) };
    let (before, object, after) = match denied.reason {
        Reason::Key => ("access the '", request.get(denied.at), "' key"),
        Reason::Channel => ("access the '", request.get(denied.at), "' channel"),
        Reason::Command | Reason::Auth => ("run the '", command.full_name.as_bytes(), "' command"),
    };
    let text = [b"This user has no permissions to ", before.as_bytes(), object, after.as_bytes()].concat();
    ctx.bulk(&text)
}

fn genpass(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() > 1 {
        return Err(wrong_usage("ACL", args.get(1)));
    }
    let bits = match args.next() {
        None => 256,
        Some(bits) => parse_i64(bits).ok_or(CommandError::NotInteger)?,
    };
    if bits <= 0 || bits > MAX_BITS {
        return Err(CommandError::err(format_args!(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
             {MAX_BITS}"
        )));
    }
    let digits = (bits as usize).div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    // Without the system's randomness there is no password: a weak one would be worse.
    getrandom::fill(&mut bytes)
        .map_err(|error| CommandError::err(format_args!("no random bytes: {error}")))?;
    let mut text = String::with_capacity(digits + 1);
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    ctx.bulk(&text.as_bytes()[..digits])
}

fn whoami(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    match &ctx.session.user {
        Some(user) => ctx.out.bulk(user.name()),
        None => ctx.out.null(),
    }
    Ok(Reply::Sent)
}
