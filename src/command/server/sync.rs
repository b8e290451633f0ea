//! What replicas say: SYNC, PSYNC and REPLCONF. And WAIT, for whoever wants to know that they have heard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::client::ClientFlag;
use crate::command::reply::{OK, Until};
use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;
use crate::replica::{Announced, Capabilities, Link};

const SYNC_FLAGS: Flags =
    Flags::NO_ASYNC_LOADING.with(Flags::ADMIN).with(Flags::NO_MULTI).with(Flags::NOSCRIPT);

/// Longer addresses are refused: Redis's NET_HOST_STR_LEN.
const LONGEST_ADDRESS: usize = 255;

pub(super) const SYNC: Command = Command {
    name: "SYNC",
    syntax: "",
    summary: "Internal command used for replication",
    since: "1.0.0",
    complexity: "",
    group: Group::Server,
    flags: SYNC_FLAGS,
    run: sync,
    ..Command::BASE
};

pub(super) const PSYNC: Command = Command {
    name: "PSYNC",
    syntax: "replicationid offset",
    arguments: "offset :integer",
    summary: "Internal command used for replication",
    since: "2.8.0",
    complexity: "",
    group: Group::Server,
    // FAILOVER may follow; Redis does not document it.
    flags: SYNC_FLAGS.with(Flags::OPEN_ENDED),
    run: psync,
    ..Command::BASE
};

pub(super) const REPLCONF: Command = Command {
    name: "REPLCONF",
    syntax: "[option value ...]",
    arguments: "undocumented",
    summary: "An internal command for configuring the replication stream",
    since: "3.0.0",
    group: Group::Server,
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::ALLOW_BUSY)
        .with(Flags::SYSCMD),
    run: replconf,
    ..Command::BASE
};

pub(super) const WAIT: Command = Command {
    name: "WAIT",
    syntax: "numreplicas timeout",
    arguments: "timeout :integer",
    summary: "Waits until so many replicas have the connection's writes.",
    since: "3.0.0",
    group: Group::Generic,
    flags: Flags::NOSCRIPT,
    acl: Acl::CONNECTION.with(Acl::NOT_GROUP),
    run: wait,
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    ..Command::BASE
};

/// Milliseconds of the clock that only grows.
pub(super) fn monotonic_ms(ctx: &Context<'_>) -> u64 {
    ctx.server.clock().stamp() / 1_000_000
}

fn sync(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    args.finish()?;
    follow(ctx, None)
}

fn psync(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (id, offset) = (args.bytes(), args.bytes());
    if args.keyword("FAILOVER") {
        return Err(CommandError::fixed("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    follow(ctx, Some((id, offset)))
}

/// The connection becomes a replica's: it goes on where it was, or gets everything. Its answers come in the stream.
fn follow(ctx: &mut Context<'_>, place: Option<(&[u8], &[u8])>) -> Outcome {
    let client = Arc::clone(&ctx.session.client);
    if client.has(ClientFlag::Replica) || client.has(ClientFlag::Monitor) {
        return Ok(Reply::Nothing);
    }
    if !ctx.out.is_empty() {
        return Err(CommandError::fixed("ERR SYNC and PSYNC are invalid with pending output"));
    }
    let (server, now_ms) = (ctx.server, monotonic_ms(ctx));
    let link = client.link_in(server.replication());
    if link.announced().is_filtered() && !link.announced().capabilities.eof {
        return Err(CommandError::fixed("ERR Filtered replica requires EOF capability"));
    }
    tracing::info!("Replica {} asks for synchronization", link.name());
    if let Some((id, offset)) = place {
        let Some(next) = parse_i64(offset) else {
            tracing::warn!("Replica {} asks for synchronization but with a wrong offset", link.name());
            return Err(CommandError::NotInteger);
        };
        if server.replication().resume(link, id, next, now_ms) {
            become_replica(ctx);
            return Ok(Reply::Nothing);
        }
    }
    become_replica(ctx);
    server.replication().ask(link, place.is_none(), now_ms);
    server.begin_syncs();
    Ok(Reply::Nothing)
}

/// From here on the connection is sent the stream: what else its batch holds is run when it is one.
fn become_replica(ctx: &Context<'_>) {
    let client = &ctx.session.client;
    client.set(ClientFlag::Replica, true);
    client.set(ClientFlag::BatchOver, true);
}

fn replconf(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() % 2 == 1 {
        return Err(CommandError::Syntax);
    }
    if args.remaining() == 0 {
        return OK;
    }
    let client = Arc::clone(&ctx.session.client);
    let link = client.link_in(ctx.server.replication());
    while let (Some(option), Some(value)) = (args.next(), args.next()) {
        match &option.to_ascii_lowercase()[..] {
            b"ack" => {
                acknowledge(ctx, link, value);
                return Ok(Reply::Nothing);
            }
            // A replica asks nobody how far he is.
            b"getack" => return Ok(Reply::Nothing),
            name => announce(link, name, option, value)?,
        }
    }
    OK
}

fn acknowledge(ctx: &Context<'_>, link: &Link, value: &[u8]) {
    if !ctx.session.client.has(ClientFlag::Replica) {
        return;
    }
    if let Some(offset) = parse_i64(value).and_then(|offset| u64::try_from(offset).ok()) {
        ctx.server.replication().acknowledge(link, offset, monotonic_ms(ctx));
    }
}

/// One option, by its name in lower case and as it was sent, with its value.
fn announce(link: &Link, name: &[u8], option: &[u8], value: &[u8]) -> Result<(), CommandError> {
    let say = |say: &dyn Fn(&mut Announced)| link.announce(say);
    match name {
        b"listening-port" => {
            let port = parse_i64(value).ok_or(CommandError::NotInteger)?;
            say(&|announced| announced.port = port);
        }
        b"ip-address" if value.len() > LONGEST_ADDRESS => {
            return Err(CommandError::err(format_args!(
                "REPLCONF ip-address provided by replica instance is too long: {} bytes",
                value.len()
            )));
        }
        b"ip-address" => {
            let address = String::from_utf8_lossy(value).into_owned();
            // An empty one is the connection's.
            say(&|announced| announced.address = Some(address.clone()).filter(|address| !address.is_empty()));
        }
        b"capa" => say(&|announced| {
            let Capabilities { eof, psync2 } = &mut announced.capabilities;
            *eof |= value.eq_ignore_ascii_case(b"eof");
            *psync2 |= value.eq_ignore_ascii_case(b"psync2");
        }),
        b"rdb-only" => {
            let only = parse_i64(value).ok_or(CommandError::NotInteger)?;
            if !(0..=1).contains(&only) {
                return Err(CommandError::fixed("ERR value is out of range, value must between 0 and 1"));
            }
            say(&|announced| announced.payload_only = only == 1);
        }
        b"rdb-filter-only" => {
            let Some(parts) = crate::resp::split_args(value) else {
                return Err(CommandError::fixed("ERR Missing rdb-filter-only values"));
            };
            say(&|announced| (announced.without_data, announced.without_functions) = (true, true));
            for part in parts {
                if !part.eq_ignore_ascii_case(b"functions") {
                    let part = crate::command::error::shown(&part);
                    return Err(CommandError::err(format_args!(
                        "Unsupported rdb-filter-only option: {part}"
                    )));
                }
                say(&|announced| announced.without_functions = false);
            }
        }
        _ => {
            let option = crate::command::error::shown(option);
            return Err(CommandError::err(format_args!("Unrecognized REPLCONF option: {option}")));
        }
    }
    Ok(())
}

/// Waits until so many replicas say that they have what the connection has changed.
fn wait(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let wanted = args.int();
    let timeout_ms = args.int_or(CommandError::fixed("ERR timeout is not an integer or out of range"));
    args.finish()?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| CommandError::TimeoutNegative)?;
    let client = Arc::clone(&ctx.session.client);
    let offset = client.written_to.load(Ordering::Relaxed);
    let replication = ctx.server.replication();
    let there = replication.acknowledged(offset);
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if there >= wanted || ctx.in_transaction {
        return Ok(Reply::Int(there as i64));
    }
    replication.ask_for_acknowledgements();
    let (server, asked) = (ctx.server.shared(), ctx.server.shared());
    let peer = client.peer();
    Ok(Reply::Until(Box::new(Until {
        timeout_ms,
        is_met: Box::new(move || server.replication().is_acknowledged(offset, wanted, &peer)),
        answer: Box::new(move || Reply::Int(asked.replication().acknowledged(offset) as i64)),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Bench, transcript};
    use crate::replica::Phase;

    #[test]
    fn what_a_replica_says_of_itself() {
        transcript(
            r#"
            > REPLCONF
            OK
            > REPLCONF listening-port
            (error) ERR syntax error
            > REPLCONF listening-port 7001 ip-address 10.0.0.1 capa eof capa psync2 capa more
            OK
            > REPLCONF listening-port x
            (error) ERR value is not an integer or out of range
            > REPLCONF rdb-only 1 rdb-only 0
            OK
            > REPLCONF rdb-only 2
            (error) ERR value is out of range, value must between 0 and 1
            > REPLCONF rdb-filter-only functions
            OK
            > REPLCONF rdb-filter-only keys
            (error) ERR Unsupported rdb-filter-only option: keys
            > REPLCONF rdb-filter-only "'"
            (error) ERR Missing rdb-filter-only values
            > REPLCONF speed fast
            (error) ERR Unrecognized REPLCONF option: speed
            "#,
        );
        let mut bench = Bench::new();
        let long = "x".repeat(LONGEST_ADDRESS + 1);
        let text = "(error) ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes";
        assert_eq!(bench.line(&format!("REPLCONF ip-address {long}")), text);
        bench.line("REPLCONF listening-port 7001 ip-address 10.0.0.1 capa psync2 rdb-filter-only functions");
        let link = bench.session.client.link().expect("it has said something");
        let expected = Announced {
            port: 7001,
            address: Some("10.0.0.1".to_owned()),
            capabilities: Capabilities { eof: false, psync2: true },
            payload_only: false,
            without_data: true,
            without_functions: false,
        };
        assert_eq!((link.announced(), link.name().as_str()), (expected, "10.0.0.1:7001"));
        assert_eq!(bench.line("SYNC"), "(error) ERR Filtered replica requires EOF capability");
    }

    #[test]
    fn a_connection_becomes_a_replica_without_an_answer() {
        for request in [&[&b"SYNC"[..]][..], &[b"PSYNC", b"?", b"-1"], &[b"PSYNC", b"other", b"5"]] {
            let mut bench = Bench::new();
            assert_eq!(bench.raw(request), b"");
            let client = Arc::clone(&bench.session.client);
            assert!(client.has(ClientFlag::Replica) && client.has(ClientFlag::BatchOver));
            assert_eq!(client.link().expect("a link").phase(), Phase::Waiting);
            assert_eq!(*bench.server.asked.lock().expect("the lock"), ["begin syncs"]);
            assert_eq!(bench.raw(request), b"", "it is one already");
            assert_eq!(bench.raw(&[b"REPLCONF", b"ACK", b"77"]), b"");
            assert_eq!(client.link().expect("a link").acknowledged(), 77);
            assert_eq!(bench.raw(&[b"REPLCONF", b"GETACK", b"*"]), b"");
            let role = "1) \"master\"\n2) (integer) 0\n3) (empty array)";
            assert_eq!(bench.line("ROLE"), role, "it has nothing yet");
        }
    }

    #[test]
    fn refusals() {
        transcript(
            r#"
            > SYNC now
            (error) ERR wrong number of arguments for 'sync' command
            > PSYNC ? x
            (error) ERR value is not an integer or out of range
            > PSYNC ? -1 FAILOVER
            (error) ERR PSYNC FAILOVER can't be sent to a master.
            "#,
        );
    }
}
