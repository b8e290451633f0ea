//! FAILOVER, ROLE, REPLICAOF and SLAVEOF, as a server answers them that is nobody's replica.

use crate::command::reply::OK;
use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;
use crate::replica::Phase;

use super::sync::monotonic_ms;

const REPLICAOF_FLAGS: Flags =
    Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NOSCRIPT).with(Flags::STALE);

pub(super) const FAILOVER: Command = Command {
    name: "FAILOVER",
    arguments: "host_* =target",
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
    arguments: "host_* =args; host_port =host-port; no_one =no-one",
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
    arguments: "host_* =args; host_port =host-port; no_one =no-one",
    deprecated: Some(("5.0.0", "`REPLICAOF`")),
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
    Err(CommandError::fixed("ERR this server cannot be a replica: it can only have some"))
}

fn role(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let figures = ctx.server.replication().figures(monotonic_ms(ctx));
    let online: Vec<_> = figures.replicas.iter().filter(|replica| replica.phase == Phase::Online).collect();
    ctx.out.array(3);
    ctx.out.bulk(b"master");
    ctx.out.int(figures.end as i64);
    ctx.out.array(online.len());
    for replica in online {
        ctx.out.array(3);
        ctx.out.bulk(replica.address.as_bytes());
        ctx.out.bulk(replica.port.to_string().as_bytes());
        ctx.out.bulk(replica.offset.to_string().as_bytes());
    }
    Ok(Reply::Sent)
}
