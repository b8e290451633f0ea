//! Strings changed in place: APPEND and SETRANGE.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::store::{Expiry, Key};

use super::{length, stored};

pub(super) const APPEND: Command = Command {
    name: "APPEND",
    syntax: "key value",
    summary: "Append a value to a key",
    since: "2.0.0",
    complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the \
                 already present value is of any size, since the dynamic string library used by Redis will \
                 double the free space available on every reallocation.",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::INSERT)),
    run: append,
    ..Command::BASE
};

pub(super) const SETRANGE: Command = Command {
    name: "SETRANGE",
    syntax: "key offset value",
    summary: "Overwrite part of a string at key starting at the specified offset",
    since: "2.2.0",
    complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is \
                 very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being \
                 the length of the value argument.",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::One(Access::RW.with(Access::UPDATE)),
    run: setrange,
    ..Command::BASE
};

fn append(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, more) = (args.key(), args.bytes());
    args.finish()?;
    let total = match ctx.view.string_to_change(key)?.map(length) {
        None => {
            ctx.view.set_string(key, stored(more), Expiry::Clear);
            more.len()
        }
        Some(before) => overwrite(ctx, key, before, more)?,
    };
    ctx.effect(key, EventClass::String, "append");
    Ok(Reply::Int(total as i64))
}

fn setrange(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, offset, part) = (args.key(), args.int(), args.bytes());
    args.finish()?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::fixed("ERR offset is out of range"))?;
    let before = ctx.view.string_to_change(key)?.map_or(0, length);
    if part.is_empty() {
        return Ok(Reply::Int(before as i64));
    }
    let reached = overwrite(ctx, key, offset, part)?;
    ctx.effect(key, EventClass::String, "setrange");
    Ok(Reply::Int(reached.max(before) as i64))
}

/// Writes `part` at `offset`, with zero bytes before it where the string was shorter. Returns where the
/// part ends. A part that would end beyond `proto-max-bulk-len` is refused.
fn overwrite(ctx: &mut Context<'_>, key: Key<'_>, offset: usize, part: &[u8]) -> Result<usize, CommandError> {
    let end = offset
        .checked_add(part.len())
        .filter(|&end| end as u64 <= ctx.settings.proto_max_bulk_len_bytes)
        .ok_or(CommandError::StringTooLong)?;
    ctx.view.edit_string(key, end, |bytes| bytes[offset..end].copy_from_slice(part))?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn appending() {
        transcript(
            r#"
            > APPEND k foo
            (integer) 3
            > APPEND k ""
            (integer) 3
            > APPEND k " bar"
            (integer) 7
            > GET k
            "foo bar"
            > SET n 12
            OK
            > APPEND n 34
            (integer) 4
            > GET n
            "1234"
            > APPEND empty ""
            (integer) 0
            > GET empty
            ""
            > SET brief x PX 40
            OK
            > APPEND brief y
            (integer) 2
            ! advance 60
            > GET brief
            (nil)
            > APPEND k
            (error) ERR wrong number of arguments for 'append' command
            "#,
        );
    }

    #[test]
    fn setting_a_range() {
        transcript(
            r#"
            > SETRANGE k 0 foo
            (integer) 3
            > SETRANGE k 1 b
            (integer) 3
            > GET k
            "fbo"
            > SETRANGE k 4 bar
            (integer) 7
            > GET k
            "fbo\x00bar"
            > SETRANGE k 9 ""
            (integer) 7
            > SETRANGE nobody 0 ""
            (integer) 0
            > GET nobody
            (nil)
            > SETRANGE fresh 2 x
            (integer) 3
            > GET fresh
            "\x00\x00x"
            > SET n 1234
            OK
            > SETRANGE n 1 3
            (integer) 4
            > GET n
            "1334"
            > SETRANGE n 5 2
            (integer) 6
            > GET n
            "1334\x002"
            > SETRANGE k -1 x
            (error) ERR offset is out of range
            > SETRANGE k one x
            (error) ERR value is not an integer or out of range
            > SETRANGE k 536870908 world
            (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > SETRANGE nobody 9223372036854775807 x
            (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > SETRANGE k 1
            (error) ERR wrong number of arguments for 'setrange' command
            "#,
        );
    }
}
