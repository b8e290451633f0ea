//! Setting strings whole, one or many.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::store::{Expiry, Key};

use super::deadline::{Deadline, Form};
use super::{stored, write_value};

const BY_KEYS: &str = "O(N) where N is the number of keys to set.";

pub(super) const SET: Command = Command {
    name: "SET",
    arguments: "condition @2.6.12; get @6.2.0; seconds_* =expiration; seconds @2.6.12; milliseconds @2.6.12; unix-time-seconds @6.2.0; unix-time-milliseconds @6.2.0; keepttl @6.0.0",
    history: &[
        ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
        ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
    ],
    syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL]",
    summary: "Set the string value of a key",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    // Reads the value only when GET is among the options.
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE).with(Access::VARIABLE_FLAGS)),
    key_notes: &["RW and ACCESS due to the optional `GET` argument"],
    access: crate::command::keys::overwrites_unless_get,
    run: set,
    ..Command::BASE
};

pub(super) const SETNX: Command = Command {
    name: "SETNX",
    syntax: "key value",
    summary: "Set the value of a key, only if the key does not exist",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::OW.with(Access::INSERT)),
    run: setnx,
    ..Command::BASE
};

pub(super) const GETSET: Command = Command {
    name: "GETSET",
    deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
    syntax: "key value",
    summary: "Set the string value of a key and return its old value",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
    run: getset,
    ..Command::BASE
};

pub(super) const MSET: Command = Command {
    name: "MSET",
    syntax: "key value [key value ...]",
    summary: "Set multiple keys to multiple values",
    since: "1.0.1",
    complexity: BY_KEYS,
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::Pairs(Access::OW.with(Access::UPDATE)),
    run: mset,
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    ..Command::BASE
};

pub(super) const MSETNX: Command = Command {
    name: "MSETNX",
    syntax: "key value [key value ...]",
    summary: "Set multiple keys to multiple values, only if none of the keys exist",
    since: "1.0.1",
    complexity: BY_KEYS,
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::Pairs(Access::OW.with(Access::INSERT)),
    run: msetnx,
    tips: &["request_policy:multi_shard", "response_policy:agg_min"],
    ..Command::BASE
};

/// What may follow `SET key value`.
#[derive(Default)]
struct Options<'a> {
    only_absent: bool,
    only_present: bool,
    answer_old: bool,
    keep_expiry: bool,
    deadline: Option<Deadline<'a>>,
}

#[inline]
fn set(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, value) = (args.key(), args.bytes());
    if args.remaining() > 0 {
        let options = options(&mut args)?;
        return set_with(ctx, key, value, &options);
    }
    put(ctx, key, value, Expiry::Clear);
    Ok(Reply::Ok)
}

/// Sets the value and says so.
#[inline]
pub(super) fn put(ctx: &mut Context<'_>, key: Key<'_>, value: &[u8], expiry: Expiry) {
    ctx.view.set_string(key, stored(value), expiry);
    ctx.effect(key, EventClass::String, "set");
}

fn options<'a>(args: &mut Args<'a>) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    while args.remaining() > 0 {
        if !options.only_present && args.keyword("NX") {
            options.only_absent = true;
        } else if !options.only_absent && args.keyword("XX") {
            options.only_present = true;
        } else if args.keyword("GET") {
            options.answer_old = true;
        } else if options.deadline.is_none() && args.keyword("KEEPTTL") {
            options.keep_expiry = true;
        } else if options.keep_expiry {
            return Err(CommandError::Syntax);
        } else {
            options.deadline = Some(Deadline::parse(args, options.deadline)?);
        }
    }
    Ok(options)
}

fn set_with(ctx: &mut Context<'_>, key: Key<'_>, value: &[u8], options: &Options<'_>) -> Outcome {
    let expire_at_ms = match options.deadline {
        None => None,
        Some(deadline) => Some(deadline.at_ms(ctx)?),
    };
    if options.answer_old {
        write_value(ctx, key)?;
    }
    let refused =
        (options.only_absent || options.only_present) && ctx.view.exists(key) != options.only_present;
    if !refused {
        match expire_at_ms {
            Some(at_ms) => put_until(ctx, key, value, at_ms),
            None => put_without_deadline(ctx, key, value, options),
        }
    }
    Ok(match (options.answer_old, refused) {
        (true, _) => Reply::Sent,
        (false, true) => Reply::Nil,
        (false, false) => Reply::Ok,
    })
}

fn put_without_deadline(ctx: &mut Context<'_>, key: Key<'_>, value: &[u8], options: &Options<'_>) {
    put(ctx, key, value, if options.keep_expiry { Expiry::Keep } else { Expiry::Clear });
    // The old value is nothing to repeat; and the condition was met.
    match (options.answer_old, options.keep_expiry) {
        (false, _) => {}
        (true, false) => ctx.replay_as([b"SET", key.bytes, value]),
        (true, true) => ctx.replay_as([b"SET", key.bytes, value, b"KEEPTTL"]),
    }
}

/// Sets a value that expires. A time in the past is stored as any other: the key is then found expired
/// by whoever looks next.
pub(super) fn put_until(ctx: &mut Context<'_>, key: Key<'_>, value: &[u8], at_ms: u64) {
    put(ctx, key, value, Expiry::At(at_ms));
    ctx.event(key, EventClass::Generic, "expire");
    let mut digits = itoa::Buffer::new();
    let at = digits.format(at_ms).as_bytes();
    ctx.replay_as([b"SET", key.bytes, value, Form::Pxat.name().as_bytes(), at]);
}

fn setnx(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, value) = (args.key(), args.bytes());
    args.finish()?;
    if ctx.view.exists(key) {
        return Ok(Reply::Int(0));
    }
    put(ctx, key, value, Expiry::Clear);
    Ok(Reply::Int(1))
}

fn getset(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, value) = (args.key(), args.bytes());
    args.finish()?;
    write_value(ctx, key)?;
    put(ctx, key, value, Expiry::Clear);
    ctx.replay_as([b"SET", key.bytes, value]);
    Ok(Reply::Sent)
}

fn mset(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    check_pairs(ctx, &args)?;
    put_all(ctx, &args);
    Ok(Reply::Ok)
}

fn msetnx(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    check_pairs(ctx, &args)?;
    let mut keys = (0..args.keys().len()).filter_map(|ordinal| args.declared(ordinal));
    if keys.any(|key| ctx.view.exists(key)) {
        return Ok(Reply::Int(0));
    }
    put_all(ctx, &args);
    Ok(Reply::Int(1))
}

/// Every key needs its value: with the name the number of words is odd.
fn check_pairs(ctx: &Context<'_>, args: &Args<'_>) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(ctx.command_name().to_owned()));
    }
    Ok(())
}

fn put_all(ctx: &mut Context<'_>, args: &Args<'_>) {
    for (ordinal, place) in args.keys().iter().enumerate() {
        if let Some(key) = args.declared(ordinal) {
            put(ctx, key, args.get(place.arg as usize + 1), Expiry::Clear);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn plain_set_and_its_options() {
        transcript(
            r#"
            > SET k 1 XX
            (nil)
            > SET k 1 nx
            OK
            > SET k 2 NX
            (nil)
            > SET k 3 xx
            OK
            > GET k
            "3"
            > SET k 4 GET
            "3"
            > SET k 5 NX GET
            "4"
            > GET k
            "4"
            > SET k 5 XX GET
            "4"
            > SET fresh 1 GET
            (nil)
            > GET fresh
            "1"
            > SET other 1 NX GET
            (nil)
            > GET other
            "1"
            > SET nobody 1 XX GET
            (nil)
            > GET nobody
            (nil)
            > SET k v NX NX
            (nil)
            > SET k longer-than-before-and-so-in-another-place-altogether
            OK
            > GET k
            "longer-than-before-and-so-in-another-place-altogether"
            "#,
        );
    }

    #[test]
    fn what_set_refuses() {
        transcript(
            r#"
            > SET k
            (error) ERR wrong number of arguments for 'set' command
            > SET k v WHAT
            (error) ERR syntax error
            > SET k v NX XX
            (error) ERR syntax error
            > SET k v XX NX
            (error) ERR syntax error
            > SET k v EX
            (error) ERR syntax error
            > SET k v EX 10 PX 10
            (error) ERR syntax error
            > SET k v EX 10 EXAT 10
            (error) ERR syntax error
            > SET k v EX 10 KEEPTTL
            (error) ERR syntax error
            > SET k v KEEPTTL PX 10
            (error) ERR syntax error
            > SET k v PERSIST
            (error) ERR syntax error
            > SET k v EX ten
            (error) ERR value is not an integer or out of range
            > SET k v EX 0
            (error) ERR invalid expire time in 'set' command
            > SET k v PX -1
            (error) ERR invalid expire time in 'set' command
            > SET k v EXAT 0
            (error) ERR invalid expire time in 'set' command
            > SET k v PXAT -9
            (error) ERR invalid expire time in 'set' command
            > SET k v EX 9223372036854775807
            (error) ERR invalid expire time in 'set' command
            > SET k v EX 9223372036854775
            (error) ERR invalid expire time in 'set' command
            > SET k v PX 9223372036854775807
            (error) ERR invalid expire time in 'set' command
            > SET k v EXAT 9223372036854776
            (error) ERR invalid expire time in 'set' command
            > SET k v NX EX ten
            (error) ERR value is not an integer or out of range
            > GET k
            (nil)
            > SET k v EX 10 EX ten
            (error) ERR value is not an integer or out of range
            > SET k v EX ten EX 10
            OK
            "#,
        );
    }

    #[test]
    fn set_with_an_expiry() {
        transcript(
            r#"
            > SET a 1 PX 50
            OK
            > SET b 1 PX 50
            OK
            > SET c 1 PX 50
            OK
            > SET b 2 KEEPTTL
            OK
            > SET c 2
            OK
            > SET d 1 EX 100
            OK
            > SET d 2 PX 50
            OK
            > SET e 1 EXAT 33177117420
            OK
            > SET f 1 PXAT 33177117420000
            OK
            > SET g 1 KEEPTTL
            OK
            > SET h 1 PXAT 9223372036854775807
            OK
            > MGET a b c d e f g h
            1) "1"
            2) "2"
            3) "2"
            4) "2"
            5) "1"
            6) "1"
            7) "1"
            8) "1"
            ! advance 80
            > MGET a b c d e f g h
            1) (nil)
            2) (nil)
            3) "2"
            4) (nil)
            5) "1"
            6) "1"
            7) "1"
            8) "1"
            "#,
        );
    }

    #[test]
    fn a_time_in_the_past_leaves_nothing() {
        transcript(
            r#"
            > SET k v
            OK
            > SET k w PXAT 1
            OK
            > GET k
            (nil)
            > SET k w EXAT 1 NX
            OK
            > SETNX k x
            (integer) 1
            > GET k
            "x"
            "#,
        );
    }

    #[test]
    fn setnx_and_getset() {
        transcript(
            r#"
            > SETNX k 1
            (integer) 1
            > SETNX k 2
            (integer) 0
            > GETSET k 3
            "1"
            > GETSET fresh 1
            (nil)
            > GET k
            "3"
            > SET brief 1 PX 40
            OK
            > GETSET brief 2
            "1"
            ! advance 60
            > GET brief
            "2"
            > SETNX k
            (error) ERR wrong number of arguments for 'setnx' command
            > GETSET k
            (error) ERR wrong number of arguments for 'getset' command
            "#,
        );
    }

    #[test]
    fn many_at_once() {
        transcript(
            r#"
            > MSET a 1 b two a 3
            OK
            > MGET a b
            1) "3"
            2) "two"
            > MSETNX c 1 a 2
            (integer) 0
            > GET c
            (nil)
            > MSETNX c 1 d 2 c 3
            (integer) 1
            > MGET c d
            1) "3"
            2) "2"
            > MSET a
            (error) ERR wrong number of arguments for 'mset' command
            > MSET a 1 b
            (error) ERR wrong number of arguments for 'mset' command
            > MSETNX a 1 b
            (error) ERR wrong number of arguments for 'msetnx' command
            "#,
        );
    }
}
