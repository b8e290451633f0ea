//! How long keys live: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, PERSIST.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::store::{Entry, Key};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "EXPIRE",
        arguments: "condition @7.0.0",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        syntax: "key seconds [NX | XX | GT | LT]",
        summary: "Sets the time that a key has left to live, in seconds.",
        since: "1.0.0",
        run: expire,
        ..ROW
    },
    Command {
        name: "PEXPIRE",
        arguments: "condition @7.0.0",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        syntax: "key milliseconds [NX | XX | GT | LT]",
        summary: "Sets the time that a key has left to live, in milliseconds.",
        since: "2.6.0",
        run: pexpire,
        ..ROW
    },
    Command {
        name: "EXPIREAT",
        arguments: "condition @7.0.0",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        syntax: "key unix-time-seconds [NX | XX | GT | LT]",
        summary: "Sets when a key expires, in seconds since 1970.",
        since: "1.2.0",
        run: expire_at,
        ..ROW
    },
    Command {
        name: "PEXPIREAT",
        arguments: "condition @7.0.0",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
        summary: "Sets when a key expires, in milliseconds since 1970.",
        since: "2.6.0",
        run: pexpire_at,
        ..ROW
    },
    Command {
        name: "PERSIST",
        syntax: "key",
        summary: "Lets a key live for ever.",
        since: "2.2.0",
        run: persist,
        ..ROW
    },
];

/// What these commands have in common.
const ROW: Command = Command {
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::UPDATE)),
    ..Command::BASE
};

/// How a command counts time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scale {
    /// Milliseconds in its unit.
    unit_ms: i64,
    /// From now on, or since 1970.
    relative: bool,
}

const MILLISECONDS_SINCE_1970: Scale = Scale { unit_ms: 1, relative: false };

fn expire(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Scale { unit_ms: 1_000, relative: true })
}

fn pexpire(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Scale { unit_ms: 1, relative: true })
}

fn expire_at(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, Scale { unit_ms: 1_000, relative: false })
}

fn pexpire_at(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_expiry(ctx, args, MILLISECONDS_SINCE_1970)
}

/// Under which conditions an expiry is set.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn read(args: &mut Args<'_>) -> Result<Conditions, CommandError> {
        let mut read = Conditions::default();
        while args.remaining() > 0 {
            let flag = if args.keyword("NX") {
                &mut read.nx
            } else if args.keyword("XX") {
                &mut read.xx
            } else if args.keyword("GT") {
                &mut read.gt
            } else if args.keyword("LT") {
                &mut read.lt
            } else {
                let other = crate::command::error::shown(args.bytes());
                return Err(CommandError::err(format_args!("Unsupported option {other}")));
            };
            *flag = true;
        }
        if read.nx && (read.xx || read.gt || read.lt) {
            return Err(CommandError::fixed(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if read.gt && read.lt {
            return Err(CommandError::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(read)
    }

    /// Whether a key that expires at `before` may expire at `after` instead. A key without an expiry
    /// lives for ever: nothing is later, everything is earlier.
    fn allow(&self, before: Option<i64>, after: i64) -> bool {
        match before {
            None => !self.xx && !self.gt,
            Some(before) => !(self.nx || self.gt && after <= before || self.lt && after >= before),
        }
    }
}

/// The point in time that an argument names, in milliseconds since 1970; before 1970 it is negative.
fn point_ms(ctx: &Context<'_>, text: &[u8], scale: Scale) -> Result<i64, CommandError> {
    let number = crate::data::parse_i64(text).ok_or(CommandError::NotInteger)?;
    let base = if scale.relative { i64::try_from(ctx.now_ms()).unwrap_or(i64::MAX) } else { 0 };
    number
        .checked_mul(scale.unit_ms)
        .and_then(|ms| ms.checked_add(base))
        .ok_or(CommandError::InvalidExpire(ctx.command_name()))
}

fn set_expiry(ctx: &mut Context<'_>, mut args: Args<'_>, scale: Scale) -> Outcome {
    let key = args.key();
    let time = args.bytes();
    args.check()?;
    let conditions = Conditions::read(&mut args)?;
    let at = point_ms(ctx, time, scale)?;
    let Some(before) = ctx.view.look_to_change(key).map(Entry::expire_at_ms) else {
        return Ok(Reply::Int(0));
    };
    let before = before.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    if !conditions.allow(before, at) {
        return Ok(Reply::Int(0));
    }
    match u64::try_from(at) {
        Ok(at) if !ctx.has_passed(at) => live_until(ctx, key, at, scale),
        _ => end_now(ctx, key),
    }
    Ok(Reply::Int(1))
}

fn live_until(ctx: &mut Context<'_>, key: Key<'_>, at_ms: u64, scale: Scale) {
    ctx.view.expire_at(key, Some(at_ms));
    ctx.effect(key, EventClass::Generic, "expire");
    if scale != MILLISECONDS_SINCE_1970 {
        let mut digits = itoa::Buffer::new();
        ctx.replay_as([b"PEXPIREAT", key.bytes, digits.format(at_ms).as_bytes()]);
    }
}

/// A key whose time has come already is removed, and that is what is repeated.
fn end_now(ctx: &mut Context<'_>, key: Key<'_>) {
    ctx.view.remove(key);
    ctx.effect(key, EventClass::Generic, "del");
    let command: &[u8] = if ctx.settings.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
    ctx.replay_as([command, key.bytes]);
}

fn persist(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    args.finish()?;
    let expires = ctx.view.look_to_change(key).is_some_and(|entry| entry.expire_at_ms().is_some());
    if expires {
        ctx.view.expire_at(key, None);
        ctx.effect(key, EventClass::Generic, "persist");
    }
    Ok(Reply::flag(expires))
}

#[cfg(test)]
mod tests {
    use crate::command::context::Replay;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn a_key_lives_as_long_as_it_was_told() {
        transcript(
            r#"
            > SET a 1
            OK
            > PEXPIRE a 100
            (integer) 1
            > GET a
            "1"
            ! advance 105
            > GET a
            (nil)
            > SET a 1
            OK
            > EXPIRE a 1
            (integer) 1
            > TTL a
            (integer) 1
            ! advance 1005
            > TTL a
            (integer) -2
            > EXPIRE nobody 10
            (integer) 0
            > PEXPIRE nobody 10
            (integer) 0
            > EXPIREAT nobody 10
            (integer) 0
            > PEXPIREAT nobody 10
            (integer) 0
            "#,
        );
    }

    #[test]
    fn points_in_time() {
        transcript(
            r#"
            > SET a 1
            OK
            > EXPIREAT a 33333333333
            (integer) 1
            > PEXPIRETIME a
            (integer) 33333333333000
            > PEXPIREAT a 33333333333444
            (integer) 1
            > PEXPIRETIME a
            (integer) 33333333333444
            > PEXPIREAT a 9223372036854770000
            (integer) 1
            > PEXPIRETIME a
            (integer) 9223372036854770000
            > PEXPIREAT a -9223372036854770000
            (integer) 1
            > EXISTS a
            (integer) 0
            > SET a 1
            OK
            > EXPIREAT a 0
            (integer) 1
            > EXISTS a
            (integer) 0
            > SET a 1
            OK
            > EXPIRE a -1
            (integer) 1
            > EXISTS a
            (integer) 0
            > SET a 1
            OK
            > PEXPIRE a 0
            (integer) 1
            > EXISTS a
            (integer) 0
            "#,
        );
    }

    #[test]
    fn conditions() {
        transcript(
            r#"
            > SET a 1
            OK
            > EXPIRE a 100 XX
            (integer) 0
            > EXPIRE a 100 GT
            (integer) 0
            > TTL a
            (integer) -1
            > EXPIRE a 100 NX
            (integer) 1
            > EXPIRE a 200 nx
            (integer) 0
            > EXPIRE a 200 XX
            (integer) 1
            > EXPIRE a 100 GT
            (integer) 0
            > EXPIRE a 300 gt
            (integer) 1
            > EXPIRE a 400 LT
            (integer) 0
            > EXPIRE a 50 lt xx
            (integer) 1
            > TTL a
            (integer) 50
            > PERSIST a
            (integer) 1
            > EXPIRE a 50 LT
            (integer) 1
            > PERSIST a
            (integer) 1
            > EXPIRE a 50 LT XX
            (integer) 0
            > EXPIRE a 50 GT XX
            (integer) 0
            > EXPIREAT a 33333333333
            (integer) 1
            > EXPIREAT a 33333333333 GT
            (integer) 0
            > EXPIREAT a 33333333333 LT
            (integer) 0
            > PEXPIREAT a 33333333333001 GT XX
            (integer) 1
            > PEXPIREAT a 5 NX
            (integer) 0
            > PEXPIREAT a 5 LT
            (integer) 1
            > EXISTS a
            (integer) 0
            > EXPIRE nobody 5 NX
            (integer) 0
            "#,
        );
    }

    #[test]
    fn refusals() {
        transcript(
            r#"
            > SET a 1
            OK
            > EXPIRE a
            (error) ERR wrong number of arguments for 'expire' command
            > PEXPIREAT a
            (error) ERR wrong number of arguments for 'pexpireat' command
            > EXPIRE a x
            (error) ERR value is not an integer or out of range
            > EXPIRE a 1.5
            (error) ERR value is not an integer or out of range
            > EXPIRE a 10 AB
            (error) ERR Unsupported option AB
            > EXPIRE a x AB
            (error) ERR Unsupported option AB
            > EXPIRE a 10 XX AB
            (error) ERR Unsupported option AB
            > EXPIRE a 10 NX GT
            (error) ERR NX and XX, GT or LT options at the same time are not compatible
            > EXPIRE a 10 LT NX
            (error) ERR NX and XX, GT or LT options at the same time are not compatible
            > EXPIRE a 10 NX XX
            (error) ERR NX and XX, GT or LT options at the same time are not compatible
            > EXPIRE a 10 GT LT
            (error) ERR GT and LT options at the same time are not compatible
            > EXPIRE a 9223372036854775807
            (error) ERR invalid expire time in 'expire' command
            > EXPIRE a -9223372036854775808
            (error) ERR invalid expire time in 'expire' command
            > EXPIRE a 9223372036854770
            (error) ERR invalid expire time in 'expire' command
            > PEXPIRE a 9223372036854770000
            (error) ERR invalid expire time in 'pexpire' command
            > EXPIREAT a 9223372036854776
            (error) ERR invalid expire time in 'expireat' command
            > PEXPIREAT a 9223372036854775808
            (error) ERR value is not an integer or out of range
            > EXPIRE nobody 9223372036854775807
            (error) ERR invalid expire time in 'expire' command
            > TTL a
            (integer) -1
            "#,
        );
    }

    #[test]
    fn persisting() {
        transcript(
            r#"
            > SET a 1
            OK
            > PERSIST a
            (integer) 0
            > EXPIRE a 100
            (integer) 1
            > PERSIST a
            (integer) 1
            > TTL a
            (integer) -1
            > PERSIST nobody
            (integer) 0
            > PERSIST
            (error) ERR wrong number of arguments for 'persist' command
            "#,
        );
    }

    fn replayed(bench: &Bench) -> String {
        match &bench.done.replay {
            Replay::AsSent => "as sent".to_owned(),
            Replay::Nothing | Replay::ByReplicas => "nothing".to_owned(),
            Replay::Instead(commands) => {
                let words = |command: &Vec<Vec<u8>>| {
                    command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>()
                };
                commands.iter().map(|command| words(command).join(" ")).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn what_is_repeated_does_not_depend_on_the_time() {
        let mut bench = Bench::new();
        let now = bench.clock.unix_ms();
        for (command, repeated, event) in [
            ("EXPIRE a 10", format!("PEXPIREAT a {}", now + 10_000), "expire"),
            ("PEXPIRE a 10 XX", format!("PEXPIREAT a {}", now + 10), "expire"),
            ("EXPIREAT a 33333333333", "PEXPIREAT a 33333333333000".to_owned(), "expire"),
            ("PEXPIREAT a 33333333333000", "as sent".to_owned(), "expire"),
            ("PERSIST a", "as sent".to_owned(), "persist"),
            ("EXPIRE a -1", "DEL a".to_owned(), "del"),
        ] {
            bench.line("SET b 1");
            bench.line("COPY b a");
            assert_eq!(bench.line(command), "(integer) 1", "{command}");
            assert_eq!(replayed(&bench), repeated, "{command}");
            assert_eq!(bench.done.changes, 1, "{command}");
            assert_eq!(bench.done.events(), [format!("{event} a@0")], "{command}");
        }
        assert_eq!(bench.line("EXPIRE a 10"), "(integer) 0");
        assert_eq!((replayed(&bench).as_str(), bench.done.changes), ("as sent", 0));
    }
}
