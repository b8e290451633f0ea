//! Several bitmaps into one.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::bitmap::{self, Combine};
use crate::store::Expiry;

use super::bytes;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "BITOP",
    syntax: "operation destkey key [key ...]",
    summary: "Combines strings bit by bit and stores the result.",
    since: "2.6.0",
    complexity: "O(N)",
    group: Group::Bitmap,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::SecondAndRest(Access::OW.with(Access::UPDATE), Access::RO.with(Access::ACCESS)),
    run: bitop,
    ..Command::BASE
}];

/// What BITOP does; `None` is NOT.
fn operation(word: &[u8]) -> Result<Option<Combine>, CommandError> {
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    match () {
        () if is(b"and") => Ok(Some(Combine::And)),
        () if is(b"or") => Ok(Some(Combine::Or)),
        () if is(b"xor") => Ok(Some(Combine::Xor)),
        () if is(b"not") => Ok(None),
        () => Err(CommandError::Syntax),
    }
}

fn bitop(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let how = operation(args.bytes())?;
    let destination = args.key();
    if how.is_none() && args.remaining() != 1 {
        return Err(CommandError::fixed("ERR BITOP NOT must be called with a single source key."));
    }
    // Each source is read where it is: copies of them all would be as large as they are together. The destination may
    // be one of them, and is written last.
    let mut digits = itoa::Buffer::new();
    let key = args.key();
    let first = bytes(ctx.view.string(key)?, &mut digits);
    let result = match how {
        None => bitmap::invert(first),
        Some(how) => {
            let mut result = first.to_vec();
            for _ in 0..args.remaining() {
                let key = args.key();
                bitmap::combine(how, &mut result, bytes(ctx.view.string(key)?, &mut digits));
            }
            result
        }
    };
    let len = result.len();
    if len > 0 {
        ctx.view.set_bytes(destination, result, Expiry::Clear);
        // Redis shows what it computed as raw, however short it is.
        ctx.view.edit_string(destination, 0, |_| ())?;
        ctx.effect(destination, EventClass::String, "set");
    } else if ctx.view.remove(destination) {
        ctx.effect(destination, EventClass::Generic, "del");
    }
    Ok(Reply::Int(len as i64))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn bitmaps_are_combined() {
        transcript(
            r#"
            > SET a "\xff\x0f\x01"
            OK
            > SET b "\x0f\xff"
            OK
            > BITOP AND to a b
            (integer) 3
            > GET to
            "\x0f\x0f\x00"
            > BITOP or to a b none
            (integer) 3
            > GET to
            "\xff\xff\x01"
            > BITOP XOR to a b
            (integer) 3
            > GET to
            "\xf0\xf0\x01"
            > OBJECT ENCODING to
            "raw"
            > BITOP NOT to b
            (integer) 2
            > GET to
            "\xf0\x00"
            > BITOP AND a a b
            (integer) 3
            > GET a
            "\x0f\x0f\x00"
            > BITOP OR b none b
            (integer) 2
            > GET b
            "\x0f\xff"
            > SET number 12
            OK
            > BITOP XOR number number none a number
            (integer) 3
            > GET number
            "\x0f\x0f\x00"
            > BITOP OR to none
            (integer) 0
            > EXISTS to
            (integer) 0
            > SET to x EX 100
            OK
            > BITOP OR to b
            (integer) 2
            > TTL to
            (integer) -1
            "#,
        );
    }

    #[test]
    fn what_cannot_be_combined_is_refused() {
        transcript(
            r#"
            > BITOP XYZ to a
            (error) ERR syntax error
            > BITOP NOT to a b
            (error) ERR BITOP NOT must be called with a single source key.
            > LPUSH list x
            (integer) 1
            > BITOP AND to list
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }
}
