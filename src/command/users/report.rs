//! ACL LIST, USERS and GETUSER: users as they are.

use crate::acl::{Catalog, Selector};
use crate::command::row::Command;
use crate::command::{Args, Context, Outcome, Reply};
use crate::resp::Encoder;

use super::{ADMIN, ROW};

pub(super) const LIST: Command = Command {
    name: "LIST",
    summary: "Lists all users with their rules, as a file has them.",
    complexity: "O(N). Where N is the number of configured users.",
    flags: ADMIN,
    run: list,
    ..ROW
};

pub(super) const USERS: Command = Command {
    name: "USERS",
    summary: "Lists the names of all users.",
    complexity: "O(N). Where N is the number of configured users.",
    flags: ADMIN,
    run: users,
    ..ROW
};

pub(super) const GETUSER: Command = Command {
    name: "GETUSER",
    history: &[
        ("6.2.0", "Added Pub/Sub channel patterns."),
        (
            "7.0.0",
            "Added selectors and changed the format of key and channel patterns from a list to their rule representation.",
        ),
    ],
    syntax: "username",
    summary: "Returns a user's flags, passwords and rules.",
    complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
    flags: ADMIN,
    run: getuser,
    ..ROW
};

fn list(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let lines = ctx.server.acl().lines();
    ctx.out.array(lines.len());
    lines.iter().for_each(|line| ctx.out.bulk(line));
    Ok(Reply::Sent)
}

fn users(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let table = ctx.server.acl().table();
    ctx.out.array(table.iter().len());
    table.iter().for_each(|user| ctx.out.bulk(user.name()));
    Ok(Reply::Sent)
}

fn getuser(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let acl = ctx.server.acl();
    let Some(user) = acl.table().get(args.bytes()).cloned() else {
        ctx.out.null();
        return Ok(Reply::Sent);
    };
    let out = &mut *ctx.out;
    let (root, further) = (&user.selectors()[0], &user.selectors()[1..]);
    out.map(6);
    out.bulk(b"flags");
    let flags: Vec<&str> = user.flags().collect();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    out.array(user.passwords().len());
    user.passwords().iter().for_each(|password| out.bulk(password.digits().as_bytes()));
    describe(out, root, acl.catalog());
    out.bulk(b"selectors");
    out.array(further.len());
    for selector in further {
        out.map(3);
        describe(out, selector, acl.catalog());
    }
    Ok(Reply::Sent)
}

/// Three fields of a map.
fn describe(out: &mut Encoder, selector: &Selector, catalog: &Catalog) {
    out.bulk(b"commands");
    out.bulk(&selector.describe_commands(catalog));
    out.bulk(b"keys");
    out.bulk(&selector.describe_keys());
    out.bulk(b"channels");
    out.bulk(&selector.describe_channels());
}
