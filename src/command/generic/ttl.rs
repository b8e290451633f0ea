//! How long keys have left to live: TTL, PTTL, EXPIRETIME, PEXPIRETIME.

use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::store::Entry;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "TTL",
        history: &[("2.8.0", "Added the -2 reply.")],
        syntax: "key",
        summary: "Returns the seconds that a key has left to live.",
        since: "1.0.0",
        run: ttl,
        tips: &["nondeterministic_output"],
        ..ROW
    },
    Command {
        name: "PTTL",
        history: &[("2.8.0", "Added the -2 reply.")],
        syntax: "key",
        summary: "Returns the milliseconds that a key has left to live.",
        since: "2.6.0",
        run: pttl,
        tips: &["nondeterministic_output"],
        ..ROW
    },
    Command {
        name: "EXPIRETIME",
        syntax: "key",
        summary: "Returns when a key expires, in seconds since 1970.",
        since: "7.0.0",
        run: expire_time,
        ..ROW
    },
    Command {
        name: "PEXPIRETIME",
        syntax: "key",
        summary: "Returns when a key expires, in milliseconds since 1970.",
        since: "7.0.0",
        run: pexpire_time,
        ..ROW
    },
];

/// What these commands have in common.
const ROW: Command = Command {
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    ..Command::BASE
};

const NO_KEY: Reply = Reply::Int(-2);
const NO_EXPIRY: Reply = Reply::Int(-1);

fn ttl(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now_ms();
    answer(ctx, args, |at| seconds(at.saturating_sub(now)))
}

fn pttl(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now_ms();
    answer(ctx, args, |at| at.saturating_sub(now))
}

fn expire_time(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, seconds)
}

fn pexpire_time(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, |at| at)
}

/// Half a second counts as a whole one.
fn seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1_000
}

fn answer(ctx: &mut Context<'_>, mut args: Args<'_>, show: impl Fn(u64) -> u64) -> Outcome {
    Ok(match ctx.view.look(args.key()).map(Entry::expire_at_ms) {
        None => NO_KEY,
        Some(None) => NO_EXPIRY,
        Some(Some(at)) => Reply::Int(i64::try_from(show(at)).unwrap_or(i64::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn times_left_and_points_in_time() {
        transcript(
            r#"
            > TTL nobody
            (integer) -2
            > PTTL nobody
            (integer) -2
            > EXPIRETIME nobody
            (integer) -2
            > PEXPIRETIME nobody
            (integer) -2
            > SET a 1
            OK
            > TTL a
            (integer) -1
            > PTTL a
            (integer) -1
            > EXPIRETIME a
            (integer) -1
            > PEXPIRETIME a
            (integer) -1
            > PEXPIREAT a 33333333333499
            (integer) 1
            > EXPIRETIME a
            (integer) 33333333333
            > PEXPIREAT a 33333333333500
            (integer) 1
            > EXPIRETIME a
            (integer) 33333333334
            > PEXPIRETIME a
            (integer) 33333333333500
            > EXPIRE a 100
            (integer) 1
            > TTL a
            (integer) 100
            > TTL
            (error) ERR wrong number of arguments for 'ttl' command
            > PTTL a b
            (error) ERR wrong number of arguments for 'pttl' command
            > EXPIRETIME
            (error) ERR wrong number of arguments for 'expiretime' command
            > PEXPIRETIME
            (error) ERR wrong number of arguments for 'pexpiretime' command
            "#,
        );
    }

    #[test]
    fn the_time_left_is_rounded_to_the_nearest_second() {
        let mut bench = Bench::new();
        bench.line("SET a 1");
        bench.line("PEXPIRE a 1500");
        assert_eq!(
            (bench.line("TTL a"), bench.line("PTTL a")),
            ("(integer) 2".into(), "(integer) 1500".into())
        );
        bench.clock.advance_ms(1);
        assert_eq!(
            (bench.line("TTL a"), bench.line("PTTL a")),
            ("(integer) 1".into(), "(integer) 1499".into())
        );
        bench.clock.advance_ms(1_000);
        assert_eq!(
            (bench.line("TTL a"), bench.line("PTTL a")),
            ("(integer) 0".into(), "(integer) 499".into())
        );
    }
}
