//! Strings as numbers: INCR and its relatives.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::LongDouble;
use crate::store::{Expiry, Key, Str};

/// What all of these rows have in common.
const COUNTER: Command = Command {
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
    ..Command::BASE
};

pub(super) const INCR: Command = Command {
    name: "INCR",
    syntax: "key",
    summary: "Increment the integer value of a key by one",
    run: incr,
    ..COUNTER
};

pub(super) const DECR: Command = Command {
    name: "DECR",
    syntax: "key",
    summary: "Decrement the integer value of a key by one",
    run: decr,
    ..COUNTER
};

pub(super) const INCRBY: Command = Command {
    name: "INCRBY",
    arguments: "increment :integer",
    syntax: "key increment",
    summary: "Increment the integer value of a key by the given amount",
    run: incrby,
    ..COUNTER
};

pub(super) const DECRBY: Command = Command {
    name: "DECRBY",
    syntax: "key decrement",
    summary: "Decrement the integer value of a key by the given number",
    run: decrby,
    ..COUNTER
};

pub(super) const INCRBYFLOAT: Command = Command {
    name: "INCRBYFLOAT",
    arguments: "increment :double",
    syntax: "key increment",
    summary: "Increment the float value of a key by the given amount",
    since: "2.6.0",
    run: incrbyfloat,
    ..COUNTER
};

#[inline]
fn incr(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    add(ctx, args.key(), 1)
}

#[inline]
fn decr(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    add(ctx, args.key(), -1)
}

fn incrby(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, increment) = (args.key(), args.int());
    args.finish()?;
    add(ctx, key, increment)
}

fn decrby(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, decrement) = (args.key(), args.int());
    args.finish()?;
    let increment = decrement.checked_neg().ok_or(CommandError::fixed("ERR decrement would overflow"))?;
    add(ctx, key, increment)
}

#[inline]
fn add(ctx: &mut Context<'_>, key: Key<'_>, increment: i64) -> Outcome {
    let after = ctx
        .view
        .change_int(key, |before| number(before)?.checked_add(increment).ok_or(CommandError::Overflow))?;
    ctx.effect(key, EventClass::String, "incrby");
    Ok(Reply::Int(after))
}

#[inline]
fn number(value: Option<Str<'_>>) -> Result<i64, CommandError> {
    match value {
        None => Ok(0),
        Some(Str::Int(number)) => Ok(number),
        // Edited in place ("1" with "0" appended, say), a number is stored as bytes.
        Some(Str::Bytes(bytes)) => crate::data::parse_i64(bytes).ok_or(CommandError::NotInteger),
    }
}

fn incrbyfloat(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, increment) = (args.key(), args.bytes());
    // The type is looked at before the increment is read, as in Redis.
    let before = match ctx.view.string_to_change(key)? {
        None => LongDouble::from(0),
        Some(Str::Int(number)) => LongDouble::from(number),
        Some(Str::Bytes(bytes)) => LongDouble::parse(bytes).ok_or(CommandError::NotFloat)?,
    };
    let after = before + LongDouble::parse(increment).ok_or(CommandError::NotFloat)?;
    if after.is_nan() || after.is_infinite() {
        return Err(CommandError::fixed("ERR increment would produce NaN or Infinity"));
    }
    let text = after.to_human();
    // Never stored as a number, even if it is a whole one: Redis shows embstr.
    ctx.view.set_string(key, Str::Bytes(text.as_bytes()), Expiry::Keep);
    ctx.effect(key, EventClass::String, "incrbyfloat");
    ctx.replay_as([b"SET", key.bytes, text.as_bytes(), b"KEEPTTL"]);
    ctx.bulk(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn counting_by_one() {
        transcript(
            r#"
            > INCR n
            (integer) 1
            > INCR n
            (integer) 2
            > DECR n
            (integer) 1
            > GET n
            "1"
            > DECR fresh
            (integer) -1
            > SET text John
            OK
            > INCR text
            (error) ERR value is not an integer or out of range
            > DECR text
            (error) ERR value is not an integer or out of range
            > SET text " 11"
            OK
            > INCR text
            (error) ERR value is not an integer or out of range
            > SET text 012
            OK
            > INCR text
            (error) ERR value is not an integer or out of range
            > SET text ""
            OK
            > INCR text
            (error) ERR value is not an integer or out of range
            > SET top 9223372036854775807
            OK
            > INCR top
            (error) ERR increment or decrement would overflow
            > GET top
            "9223372036854775807"
            > SET bottom -9223372036854775808
            OK
            > DECR bottom
            (error) ERR increment or decrement would overflow
            > INCR
            (error) ERR wrong number of arguments for 'incr' command
            > DECR
            (error) ERR wrong number of arguments for 'decr' command
            "#,
        );
    }

    #[test]
    fn counting_by_more() {
        transcript(
            r#"
            > INCRBY n 17179869184
            (integer) 17179869184
            > INCRBY n -1
            (integer) 17179869183
            > DECRBY n 17179869184
            (integer) -1
            > DECRBY n -2
            (integer) 1
            > INCRBY n ten
            (error) ERR value is not an integer or out of range
            > DECRBY n 1.5
            (error) ERR value is not an integer or out of range
            > INCRBY n 9223372036854775807
            (error) ERR increment or decrement would overflow
            > DECRBY n -9223372036854775808
            (error) ERR decrement would overflow
            > DECRBY n 9223372036854775807
            (integer) -9223372036854775806
            > DECRBY n 3
            (error) ERR increment or decrement would overflow
            > INCRBY n
            (error) ERR wrong number of arguments for 'incrby' command
            > DECRBY n
            (error) ERR wrong number of arguments for 'decrby' command
            "#,
        );
    }

    #[test]
    fn a_number_made_by_editing_still_counts() {
        transcript(
            r#"
            > SET n 1
            OK
            > APPEND n 0
            (integer) 2
            > INCR n
            (integer) 11
            > INCRBYFLOAT n 0.5
            "11.5"
            > INCRBYFLOAT n 0.5
            "12"
            > INCR n
            (integer) 13
            > APPEND n x
            (integer) 3
            > INCR n
            (error) ERR value is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn counting_keeps_the_expiry() {
        transcript(
            r#"
            > SET n 1 PX 40
            OK
            > INCR n
            (integer) 2
            > INCRBYFLOAT n 1
            "3"
            ! advance 60
            > GET n
            (nil)
            > INCR n
            (integer) 1
            "#,
        );
    }

    #[test]
    fn counting_in_fractions() {
        transcript(
            r#"
            > INCRBYFLOAT f 1
            "1"
            > INCRBYFLOAT f 0.25
            "1.25"
            > GET f
            "1.25"
            > INCRBYFLOAT f -1.25
            "0"
            > SET f 1.5
            OK
            > INCRBYFLOAT f 1.5e3
            "1501.5"
            > SET f 3
            OK
            > INCRBYFLOAT f 1.1
            "4.1"
            > SET f 17179869184
            OK
            > INCRBYFLOAT f 17179869184
            "34359738368"
            > INCRBYFLOAT f abc
            (error) ERR value is not a valid float
            > INCRBYFLOAT f "1 "
            (error) ERR value is not a valid float
            > INCRBYFLOAT f +inf
            (error) ERR increment would produce NaN or Infinity
            > SET text abc
            OK
            > INCRBYFLOAT text 1
            (error) ERR value is not a valid float
            > SET text "    11"
            OK
            > INCRBYFLOAT text 1
            (error) ERR value is not a valid float
            > INCRBYFLOAT f
            (error) ERR wrong number of arguments for 'incrbyfloat' command
            "#,
        );
    }
}
