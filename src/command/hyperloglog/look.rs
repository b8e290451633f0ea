//! Looking into a HyperLogLog, and testing the algorithm.

use crate::command::error::shown;
use std::fmt::Write;

use crate::command::reply::{OK, Work};
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::hyperloglog::{self, Encoding, Registers, selftest, sparse};

use super::value::limit_bytes;
use super::{checked, store};

pub(super) const PFDEBUG: Command = Command {
    name: "PFDEBUG",
    syntax: "subcommand key",
    summary: "Shows or converts the inside of a HyperLogLog: GETREG, DECODE, ENCODING, TODENSE.",
    since: "2.8.9",
    complexity: "N/A",
    group: Group::HyperLogLog,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::ADMIN).with(Flags::SYSCMD),
    keys: Keys::Second(Access::RW.with(Access::ACCESS)),
    run: pfdebug,
    ..Command::BASE
};

pub(super) const PFSELFTEST: Command = Command {
    name: "PFSELFTEST",
    syntax: "",
    summary: "Tests the implementation of HyperLogLogs.",
    since: "2.8.9",
    complexity: "N/A",
    group: Group::HyperLogLog,
    flags: Flags::ADMIN.with(Flags::SYSCMD),
    run: pfselftest,
    ..Command::BASE
};

fn pfdebug(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (what, key) = (args.bytes(), args.key());
    args.finish()?;
    let Some(value) = ctx.view.string_to_change(key)? else {
        return Err(CommandError::fixed("ERR The specified key does not exist"));
    };
    let (value, encoding) = checked(value)?;
    let is = |name: &[u8]| what.eq_ignore_ascii_case(name);
    match () {
        () if is(b"encoding") => Ok(Reply::Simple(encoding.name())),
        () if is(b"decode") && encoding == Encoding::Sparse => Ok(Reply::text(decoded(value))),
        () if is(b"decode") => Err(CommandError::fixed("ERR HLL encoding is not sparse")),
        () if is(b"todense") && encoding == Encoding::Dense => Ok(Reply::flag(false)),
        () if is(b"todense") => {
            let dense = hyperloglog::to_dense(value)?;
            store(ctx, key, dense)?;
            ctx.view.tally.changes += 1;
            Ok(Reply::flag(true))
        }
        () if is(b"getreg") => {
            let mut registers = Registers::new();
            registers.merge(value)?;
            if encoding == Encoding::Sparse {
                let dense = hyperloglog::to_dense(value)?;
                store(ctx, key, dense)?;
                ctx.view.tally.changes += 1;
            }
            ctx.out.array(hyperloglog::REGISTERS);
            registers.bytes().iter().for_each(|&register| ctx.out.int(i64::from(register)));
            Ok(Reply::Sent)
        }
        () => Err(CommandError::err(format_args!("Unknown PFDEBUG subcommand '{}'", shown(what)))),
    }
}

/// The runs of a sparse value: `z:41 v:2,1 Z:16342`.
fn decoded(value: &[u8]) -> String {
    let mut shown = String::new();
    for run in sparse::Runs::of(value) {
        let gap = if shown.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = match run.value {
            0 => write!(shown, "{gap}{}:{}", run.letter(), run.len),
            value => write!(shown, "{gap}{}:{value},{}", run.letter(), run.len),
        };
    }
    shown
}

fn pfselftest(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let (seed, limit) = (ctx.view.random(), limit_bytes(ctx));
    let test = move || match selftest::run(seed, limit) {
        Ok(()) => OK,
        Err(what) => Err(CommandError::Text(format!("TESTFAILED {what}").into())),
    };
    // It takes about a second, which nobody else is to wait for.
    if ctx.in_transaction { test() } else { Ok(Reply::Later(Work::new(test))) }
}
