//! Strings.

use crate::store::{Expiry, Str};

use super::context::EventClass;
use super::row::{Access, Acl, Command, Flags, Group, Keys};
use super::{Args, CommandError, Context, Outcome, Reply};

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "GET",
        syntax: "key",
        summary: "Returns the string value of a key.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::String,
        flags: Flags::READONLY.with(Flags::FAST),
        acl: Acl::NONE,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: get,
        ..Command::BASE
    },
    Command {
        name: "INCR",
        syntax: "key",
        summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::String,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        run: incr,
        ..Command::BASE
    },
    Command {
        name: "SET",
        syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::String,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE).with(Access::VARIABLE_FLAGS)),
        access: super::keys::overwrites_unless_get,
        run: set,
        ..Command::BASE
    },
];

/// How a client's bytes are stored: as a number when they are one in canonical form.
#[inline]
pub fn stored(bytes: &[u8]) -> Str<'_> {
    // The longest integer has twenty characters, its sign included.
    match if bytes.len() <= 20 { crate::data::parse_i64(bytes) } else { None } {
        Some(number) => Str::Int(number),
        None => Str::Bytes(bytes),
    }
}

#[inline]
fn get(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    match ctx.view.string(key)? {
        None => Ok(Reply::Nil),
        Some(Str::Bytes(bytes)) => {
            ctx.out.bulk(bytes);
            Ok(Reply::Sent)
        }
        Some(Str::Int(number)) => {
            ctx.out.bulk_int(number);
            Ok(Reply::Sent)
        }
    }
}

fn set(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let value = args.bytes();
    if args.remaining() > 0 {
        return Err(CommandError::Syntax);
    }
    ctx.view.set_string(key, stored(value), Expiry::Clear);
    ctx.effect(key, EventClass::String, "set");
    Ok(Reply::Ok)
}

fn incr(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let before = match ctx.view.string_to_change(key)? {
        None => 0,
        Some(Str::Int(number)) => number,
        Some(Str::Bytes(_)) => return Err(CommandError::NotInteger),
    };
    let after = before.checked_add(1).ok_or(CommandError::Overflow)?;
    ctx.view.set_string(key, Str::Int(after), Expiry::Keep);
    ctx.effect(key, EventClass::String, "incrby");
    Ok(Reply::Int(after))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn get_set_incr() {
        transcript(
            r#"
            > SET Name John
            OK
            > GET Name
            "John"
            > GET nobody
            (nil)
            > INCR n
            (integer) 1
            > GET n
            "1"
            > INCR Name
            (error) ERR value is not an integer or out of range
            "#,
        );
    }
}
