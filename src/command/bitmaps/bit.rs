//! One bit.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

use super::bytes;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "GETBIT",
        syntax: "key offset",
        summary: "Returns a bit of a string by its offset.",
        since: "2.2.0",
        complexity: "O(1)",
        group: Group::Bitmap,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: getbit,
        ..Command::BASE
    },
    Command {
        name: "SETBIT",
        arguments: "value :integer",
        syntax: "key offset value",
        summary: "Sets or clears a bit of a string by its offset, and makes the string long enough.",
        since: "2.2.0",
        complexity: "O(1)",
        group: Group::Bitmap,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        run: setbit,
        ..Command::BASE
    },
];

/// Longer strings are shown as raw in any case.
const SHORT: usize = 44;

/// Reads the offset of a bit, which has to lie in a string of at most `proto-max-bulk-len` bytes.
fn offset(ctx: &Context<'_>, args: &mut Args<'_>) -> Result<usize, CommandError> {
    let bad = CommandError::fixed("ERR bit offset is not an integer or out of range");
    let offset = args.int_in(0..=i64::MAX, bad.clone());
    args.check()?;
    if (offset as u64) >> 3 >= ctx.settings.proto_max_bulk_len_bytes {
        return Err(bad);
    }
    usize::try_from(offset).map_err(|_| bad)
}

fn getbit(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let offset = offset(ctx, &mut args)?;
    let mut digits = itoa::Buffer::new();
    let byte = bytes(ctx.view.string(key)?, &mut digits).get(offset / 8).copied().unwrap_or(0);
    Ok(Reply::flag(byte & mask(offset) != 0))
}

fn setbit(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let offset = offset(ctx, &mut args)?;
    let bad = CommandError::fixed("ERR bit is not an integer or out of range");
    let on = args.int_in(0..=1, bad) == 1;
    args.finish()?;
    let mut digits = itoa::Buffer::new();
    let before = ctx.view.string_to_change(key)?;
    let at = offset / 8;
    let before = bytes(before, &mut digits);
    let (old, length) = (before.get(at).copied(), before.len());
    let was = old.unwrap_or(0) & mask(offset) != 0;
    // A string that is long enough and holds the bit already does not change.
    if old.is_none() || was != on {
        ctx.view.edit_string(key, at + 1, |bytes| {
            bytes[at] = if on { bytes[at] | mask(offset) } else { bytes[at] & !mask(offset) };
        })?;
        ctx.effect(key, EventClass::String, "setbit");
    } else if length <= SHORT {
        // Its bytes stay, but from now on Redis shows it as raw, however short it is.
        ctx.view.edit_string(key, length, |_| ())?;
    }
    Ok(Reply::flag(was))
}

/// The bit's place in its byte: the highest is the first.
fn mask(offset: usize) -> u8 {
    0x80 >> (offset % 8)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn bits_are_set_and_read() {
        transcript(
            r#"
            > SETBIT k 1 1
            (integer) 0
            > GET k
            "@"
            > SETBIT k 1 0
            (integer) 1
            > SETBIT k 1 0
            (integer) 0
            > SETBIT k 20 1
            (integer) 0
            > STRLEN k
            (integer) 3
            > GETBIT k 20
            (integer) 1
            > GETBIT k 100
            (integer) 0
            > GETBIT none 0
            (integer) 0
            > SET number 1
            OK
            > GETBIT number 2
            (integer) 1
            > SETBIT number 6 1
            (integer) 0
            > GET number
            "3"
            > SET short d
            OK
            > SETBIT short 0 0
            (integer) 0
            > OBJECT ENCODING short
            "raw"
            > SET number 1
            OK
            > SETBIT number 7 1
            (integer) 1
            > OBJECT ENCODING number
            "raw"
            "#,
        );
    }

    #[test]
    fn bad_bits_are_refused() {
        transcript(
            r#"
            > SETBIT k -1 1
            (error) ERR bit offset is not an integer or out of range
            > SETBIT k x 1
            (error) ERR bit offset is not an integer or out of range
            > SETBIT k 4294967296 1
            (error) ERR bit offset is not an integer or out of range
            > SETBIT k 0 2
            (error) ERR bit is not an integer or out of range
            > SETBIT k 0 -1
            (error) ERR bit is not an integer or out of range
            > GETBIT k 4294967296
            (error) ERR bit offset is not an integer or out of range
            > EXISTS k
            (integer) 0
            > LPUSH list x
            (integer) 1
            > SETBIT list 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GETBIT list 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }
}
