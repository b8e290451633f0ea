//! ACL LOG: what was denied of late.

use crate::command::error::wrong_usage;
use crate::command::reply::OK;
use crate::command::row::Command;
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

use super::{ADMIN, ROW};

pub(super) const LOG: Command = Command {
    name: "LOG",
    arguments: "count_reset =operation",
    syntax: "[count | RESET]",
    summary: "Lists what was denied of late, or forgets it.",
    complexity: "O(N) with N being the number of entries shown.",
    flags: ADMIN,
    run: log,
    ..ROW
};

/// So many entries are shown if nobody says how many.
const SHOWN: usize = 10;

fn log(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    if args.remaining() > 1 {
        return Err(wrong_usage("ACL", args.get(1)));
    }
    let log = ctx.server.acl().log();
    if args.keyword("RESET") {
        log.reset();
        return OK;
    }
    let count = match args.next() {
        None => SHOWN,
        Some(count) => parse_i64(count).ok_or(CommandError::NotInteger)?.max(0) as usize,
    };
    let now_ms = ctx.now_ms();
    let entries = log.newest(count);
    let out = &mut *ctx.out;
    out.array(entries.len());
    for entry in &entries {
        out.map(7);
        out.bulk(b"count");
        out.int(entry.count as i64);
        let refusal = &entry.refusal;
        for (name, value) in [
            ("reason", refusal.reason.name().as_bytes()),
            ("context", refusal.context.name().as_bytes()),
            ("object", &refusal.object),
            ("username", &refusal.user),
        ] {
            out.bulk(name.as_bytes());
            out.bulk(value);
        }
        out.bulk(b"age-seconds");
        out.double(now_ms.saturating_sub(entry.at_ms) as f64 / 1_000.0);
        out.bulk(b"client-info");
        out.bulk(&entry.client);
    }
    Ok(Reply::Sent)
}
