//! FAILOVER, ROLE, REPLICAOF, SLAVEOF and WAIT, as a server without replicas answers them.

use crate::command::reply::{OK, Park};
use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

const REPLICAOF_FLAGS: Flags =
    Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NOSCRIPT).with(Flags::STALE);

pub(super) const FAILOVER: Command = Command {
    name: "FAILOVER",
    syntax: "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
    summary: "Hands the role of the master over to a replica.",
    since: "6.2.0",
    group: Group::Server,
    flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::STALE),
    run: failover,
    ..Command::BASE
};

pub(super) const REPLICAOF: Command = Command {
    name: "REPLICAOF",
    differs: "Another target than NO ONE is refused.",
    syntax: "<host port | NO ONE>",
    summary: "Makes the server a replica of another one, or a master again.",
    since: "5.0.0",
    group: Group::Server,
    flags: REPLICAOF_FLAGS,
    run: replicaof,
    ..Command::BASE
};

pub(super) const SLAVEOF: Command = Command {
    name: "SLAVEOF",
    differs: "As REPLICAOF.",
    syntax: "<host port | NO ONE>",
    summary: "The older name of REPLICAOF.",
    since: "1.0.0",
    group: Group::Server,
    flags: REPLICAOF_FLAGS,
    run: replicaof,
    ..Command::BASE
};

pub(super) const ROLE: Command = Command {
    name: "ROLE",
    syntax: "",
    summary: "Returns the role in replication.",
    since: "2.8.12",
    group: Group::Server,
    flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE).with(Flags::FAST),
    acl: Acl::ADMIN.with(Acl::DANGEROUS),
    run: role,
    ..Command::BASE
};

pub(super) const WAIT: Command = Command {
    name: "WAIT",
    syntax: "numreplicas timeout",
    summary: "Waits until so many replicas have the connection's writes.",
    since: "3.0.0",
    group: Group::Generic,
    flags: Flags::NOSCRIPT,
    acl: Acl::CONNECTION.with(Acl::NOT_GROUP),
    run: wait,
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    ..Command::BASE
};

/// There are no replicas to hand over to, and no failover is under way. All options are read first.
fn failover(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() == 1 && args.keyword("ABORT") {
        return Err(CommandError::fixed("ERR No failover in progress."));
    }
    let (mut timeout, mut target, mut force) = (false, false, false);
    while args.remaining() > 0 {
        if !timeout && args.remaining() > 1 && args.keyword("TIMEOUT") {
            let timeout_ms = args.int();
            args.check()?;
            if timeout_ms <= 0 {
                return Err(CommandError::fixed("ERR FAILOVER timeout must be greater than 0"));
            }
            timeout = true;
        } else if !target && args.remaining() > 2 && args.keyword("TO") {
            let (_host, _port) = (args.bytes(), args.int());
            args.check()?;
            target = true;
        } else if !force && args.keyword("FORCE") {
            force = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Err(CommandError::fixed("ERR FAILOVER requires connected replicas."))
}

fn replicaof(_: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (host, port) = (args.bytes(), args.bytes());
    args.finish()?;
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return OK;
    }
    if !parse_i64(port).is_some_and(|port| (0..=65_535).contains(&port)) {
        return Err(CommandError::fixed("ERR Invalid master port"));
    }
    Err(CommandError::fixed("ERR this server cannot be a replica: replication is not available"))
}

fn role(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    ctx.out.array(3);
    ctx.out.bulk(b"master");
    // The offset of a replication stream that nobody has asked for.
    ctx.out.int(0);
    ctx.out.array(0);
    Ok(Reply::Sent)
}

/// There are no replicas: none acknowledges anything, and whoever wants one waits for the timeout.
fn wait(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let wanted = args.int();
    let timeout_ms = args.int_or(CommandError::fixed("ERR timeout is not an integer or out of range"));
    args.finish()?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::TimeoutNegative)?;
    if wanted <= 0 || ctx.in_transaction {
        return Ok(Reply::Int(0));
    }
    let on_timeout = Reply::Int(0);
    let (keys, needs) = (Vec::new(), Vec::new());
    Ok(Reply::Park(Box::new(Park { keys, needs, timeout_ms, serve: |_, _, _| Ok(None), on_timeout })))
}
