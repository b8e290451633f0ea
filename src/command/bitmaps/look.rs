//! Bits are counted and searched.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::bitmap;

use super::bytes;

const READ: Command = Command {
    complexity: "O(N)",
    group: Group::Bitmap,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "BITCOUNT",
        arguments: "start_* =index; byte_bit =index_unit @7.0.0",
        history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
        syntax: "key [start end [BYTE | BIT]]",
        summary: "Counts the bits of a string that are set.",
        since: "2.6.0",
        run: bitcount,
        ..READ
    },
    Command {
        name: "BITPOS",
        arguments: "start_* =index; end_byte_bit =end_index; byte_bit =index_unit @7.0.0",
        history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
        syntax: "key bit [start [end [BYTE | BIT]]]",
        summary: "Finds the first bit of a string that is set, or clear.",
        since: "2.8.7",
        run: bitpos,
        ..READ
    },
];

/// A part of a string as the client wrote it.
struct Range {
    start: i64,
    /// `None` is the string's end, and what lies beyond it.
    end: Option<i64>,
    in_bits: bool,
}

impl Range {
    /// The whole string.
    const ALL: Range = Range { start: 0, end: None, in_bits: false };

    /// Its first and last bit in a string of `len` bytes; `None` when it holds none.
    fn bits(&self, len: usize) -> Option<(usize, usize)> {
        let total = if self.in_bits { len as i64 * 8 } else { len as i64 };
        let from_front = |index: i64| if index < 0 { total.saturating_add(index).max(0) } else { index };
        let (start, end) = (from_front(self.start), from_front(self.end.unwrap_or(-1)).min(total - 1));
        if total == 0 || start > end {
            return None;
        }
        let (start, end) = (start as usize, end as usize);
        Some(if self.in_bits { (start, end) } else { (start * 8, end * 8 + 7) })
    }
}

/// Reads `BYTE` or `BIT`, if it is there. True for bits.
fn unit(args: &mut Args<'_>) -> Result<bool, CommandError> {
    match args.next() {
        None => Ok(false),
        Some(word) if word.eq_ignore_ascii_case(b"bit") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case(b"byte") => Ok(false),
        Some(_) => Err(CommandError::Syntax),
    }
}

fn bitcount(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let mut digits = itoa::Buffer::new();
    // As in Redis the range of an absent key is not looked at.
    let Some(value) = ctx.view.string(key)? else { return Ok(Reply::Int(0)) };
    let bytes = bytes(Some(value), &mut digits);
    let range = match args.remaining() {
        0 => Range::ALL,
        2 | 3 => {
            let (start, end) = (args.int(), args.int());
            args.check()?;
            if start < 0 && end < 0 && start > end {
                return Ok(Reply::Int(0));
            }
            Range { start, end: Some(end), in_bits: unit(&mut args)? }
        }
        _ => return Err(CommandError::Syntax),
    };
    let count = range.bits(bytes.len()).map_or(0, |(first, last)| bitmap::count_between(bytes, first, last));
    Ok(Reply::Int(count as i64))
}

fn bitpos(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, bit) = (args.key(), args.int());
    args.check()?;
    if bit != 0 && bit != 1 {
        return Err(CommandError::fixed("ERR The bit argument must be 1 or 0."));
    }
    let wanted = bit == 1;
    let mut digits = itoa::Buffer::new();
    // An absent key is an endless row of zeros.
    let Some(value) = ctx.view.string(key)? else { return Ok(Reply::Int(if wanted { -1 } else { 0 })) };
    let bytes = bytes(Some(value), &mut digits);
    let range = searched(&mut args)?;
    let Some((first, last)) = range.bits(bytes.len()) else { return Ok(Reply::Int(-1)) };
    let found = match bitmap::position(bytes, wanted, first, last) {
        Some(at) => at as i64,
        // Without an end, zeros follow the string.
        None if !wanted && range.end.is_none() => bytes.len() as i64 * 8,
        None => -1,
    };
    Ok(Reply::Int(found))
}

/// Reads `[start [end [BYTE | BIT]]]`.
fn searched(args: &mut Args<'_>) -> Result<Range, CommandError> {
    let mut range = Range::ALL;
    let given = args.remaining();
    if given > 3 {
        return Err(CommandError::Syntax);
    }
    if given >= 1 {
        range.start = args.int();
        args.check()?;
    }
    if given >= 2 {
        // The unit is looked at before the end.
        let end = args.int();
        range.in_bits = unit(args)?;
        args.check()?;
        range.end = Some(end);
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn bits_are_counted() {
        transcript(
            r#"
            > SET k foobar
            OK
            > BITCOUNT k
            (integer) 26
            > BITCOUNT k 0 0
            (integer) 4
            > BITCOUNT k 1 1
            (integer) 6
            > BITCOUNT k 0 -2
            (integer) 22
            > BITCOUNT k 5 30 BIT
            (integer) 17
            > BITCOUNT k -2 -3
            (integer) 0
            > BITCOUNT k 4 2
            (integer) 0
            > BITCOUNT k 100 200 byte
            (integer) 0
            > BITCOUNT none
            (integer) 0
            > BITCOUNT none x y z
            (integer) 0
            > SET number 1234
            OK
            > BITCOUNT number
            (integer) 13
            > SET empty ""
            OK
            > BITCOUNT empty 0 -1 BIT
            (integer) 0
            "#,
        );
    }

    #[test]
    fn bits_are_found() {
        transcript(
            r#"
            > SET k "\xff\xf0\x00"
            OK
            > BITPOS k 0
            (integer) 12
            > BITPOS k 1
            (integer) 0
            > BITPOS k 1 2
            (integer) -1
            > BITPOS k 0 2
            (integer) 16
            > BITPOS k 1 7 15 BIT
            (integer) 7
            > BITPOS k 0 7 11 BIT
            (integer) -1
            > SET ones "\xff\xff\xff"
            OK
            > BITPOS ones 0
            (integer) 24
            > BITPOS ones 0 0
            (integer) 24
            > BITPOS ones 0 0 -1
            (integer) -1
            > BITPOS ones 0 5
            (integer) -1
            > BITPOS none 0
            (integer) 0
            > BITPOS none 1
            (integer) -1
            > SET empty ""
            OK
            > BITPOS empty 0
            (integer) -1
            "#,
        );
    }

    #[test]
    fn bad_ranges_are_refused() {
        transcript(
            r#"
            > SET k foobar
            OK
            > BITCOUNT k 0
            (error) ERR syntax error
            > BITCOUNT k a b
            (error) ERR value is not an integer or out of range
            > BITCOUNT k 0 1 hello
            (error) ERR syntax error
            > BITCOUNT k 0 1 BIT BYTE
            (error) ERR syntax error
            > BITPOS k 2
            (error) ERR The bit argument must be 1 or 0.
            > BITPOS k x
            (error) ERR value is not an integer or out of range
            > BITPOS k 1 0 1 hello
            (error) ERR syntax error
            > BITPOS k 1 0 x hello
            (error) ERR syntax error
            > BITPOS k 1 0 x BIT
            (error) ERR value is not an integer or out of range
            > BITPOS k 1 0 1 BIT x
            (error) ERR syntax error
            > LPUSH list x
            (integer) 1
            > BITCOUNT list
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITPOS list 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }
}
