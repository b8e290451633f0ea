//! ACL SETUSER, DELUSER, LOAD and SAVE, and the end of connections whose user has lost what they use.

use std::collections::HashSet;
use std::sync::Arc;

use crate::acl::pattern::Pattern;
use crate::acl::rule::has_spaces;
use crate::acl::selector::is_among;
use crate::acl::{DEFAULT_USER, User};
use crate::command::reply::OK;
use crate::command::row::{Command, Flags};
use crate::command::{Args, CommandError, Context, Outcome, Reply, rights};
use crate::pubsub::Kind;

use super::{ADMIN, ROW};

pub(super) const SETUSER: Command = Command {
    name: "SETUSER",
    history: &[
        ("6.2.0", "Added Pub/Sub channel patterns."),
        ("7.0.0", "Added selectors and key based permissions."),
    ],
    syntax: "username [rule [rule ...]]",
    summary: "Changes a user's rules, or makes a user.",
    complexity: "O(N). Where N is the number of rules provided.",
    flags: ADMIN.with(Flags::SECRET),
    // Who it is, too.
    secret: |_, index| index >= 2,
    run: setuser,
    ..ROW
};

pub(super) const DELUSER: Command = Command {
    name: "DELUSER",
    syntax: "username [username ...]",
    summary: "Removes users and ends their connections.",
    complexity: "O(1) amortized time considering the typical user.",
    flags: ADMIN,
    run: deluser,
    ..ROW
};

pub(super) const LOAD: Command = Command {
    name: "LOAD",
    summary: "Reads all users anew from the ACL file.",
    complexity: "O(N). Where N is the number of configured users.",
    flags: ADMIN,
    run: load,
    ..ROW
};

pub(super) const SAVE: Command = Command {
    name: "SAVE",
    summary: "Writes all users to the ACL file.",
    complexity: "O(N). Where N is the number of configured users.",
    flags: ADMIN,
    run: save,
    ..ROW
};

const NO_FILE: CommandError = CommandError::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
     command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store \
     users in the Redis configuration.",
);

fn setuser(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let name = args.bytes();
    if has_spaces(name) {
        return Err(CommandError::fixed("ERR Usernames can't contain spaces or null characters"));
    }
    let words: Vec<&[u8]> = args.rest().collect();
    let acl = ctx.server.acl();
    let changed = acl.set_user(name, &words).map_err(CommandError::err)?;
    if let Some(before) = &changed.before {
        end_listeners(ctx, before, &changed.after);
    }
    ctx.session.refresh_user(acl);
    OK
}

fn deluser(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let names: Vec<&[u8]> = args.rest().collect();
    if names.contains(&DEFAULT_USER) {
        return Err(CommandError::fixed("ERR The 'default' user cannot be removed"));
    }
    let gone = ctx.server.acl().delete(&names);
    end_connections(ctx, &gone);
    Ok(Reply::Int(gone.len() as i64))
}

fn load(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.settings.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    let gone = ctx.server.load_users().map_err(CommandError::err)?;
    end_connections(ctx, &gone);
    OK
}

fn save(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    if ctx.settings.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    ctx.server.save_users().map_err(|error| {
        tracing::warn!("{error}");
        CommandError::fixed(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    OK
}

/// Ends the connections of users that are gone. One that logs in at this moment finds out by itself: its user is
/// in no table.
fn end_connections(ctx: &mut Context<'_>, gone: &[Arc<User>]) {
    let ids: HashSet<u64> = gone.iter().map(|user| user.id()).collect();
    if !ids.is_empty() {
        for client in ctx.server.clients().all() {
            if ids.contains(&client.user_id.load(std::sync::atomic::Ordering::Relaxed)) {
                rights::end(ctx.session, &client);
            }
        }
    }
    ctx.session.refresh_user(ctx.server.acl());
}

/// Ends the connections that listen to what their user may not listen to any more.
fn end_listeners(ctx: &Context<'_>, before: &User, after: &User) {
    let Some(allowed) = patterns(after) else { return };
    // Without a loss there is nobody to look for.
    let kept = |pattern: &Pattern| allowed.iter().any(|known| known.text() == pattern.text());
    if patterns(before).is_some_and(|old| old.iter().all(kept)) {
        return;
    }
    let mut over = HashSet::new();
    for (kind, literally) in [(Kind::Channel, false), (Kind::Shard, false), (Kind::Pattern, true)] {
        ctx.server.pubsub().each_listener(kind, |name, client| {
            if !is_among(&allowed, name, literally) {
                over.insert(client);
            }
        });
    }
    for client in over.into_iter().filter_map(|id| ctx.server.clients().find(id)) {
        if client.user_id.load(std::sync::atomic::Ordering::Relaxed) == after.id() {
            rights::end(ctx.session, &client);
        }
    }
}

/// The channels of all selectors; `None` when one of them allows all.
fn patterns(user: &User) -> Option<Vec<Pattern>> {
    user.selectors()
        .iter()
        .map(|selector| selector.channels().map(<[Pattern]>::to_vec))
        .collect::<Option<Vec<_>>>()
        .map(|all| all.concat())
}
