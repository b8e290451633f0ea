//! Integers of any width inside a string.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::bitmap::field::{Overflow, Width};
use crate::store::Key;

use super::bytes;

const ROW: Command =
    Command { complexity: "O(1) for each subcommand specified", group: Group::Bitmap, ..Command::BASE };

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "BITFIELD",
        arguments: "encoding_* =operation; wrap_* =write; encoding_* =write_operation; value :integer; increment :integer",
        syntax: "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]",
        summary: "Reads, sets and increments integers of any width inside a string.",
        since: "3.2.0",
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: Keys::One(Access::RW.with(Access::UPDATE).with(Access::ACCESS).with(Access::VARIABLE_FLAGS)),
        key_notes: &["This command allows both access and modification of the key"],
        access: reads_unless_told,
        run: |ctx, args| bitfield(ctx, args, false),
        ..ROW
    },
    Command {
        name: "BITFIELD_RO",
        syntax: "key [GET encoding offset [GET encoding offset ...]]",
        summary: "Reads integers of any width inside a string.",
        since: "6.0.0",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        run: |ctx, args| bitfield(ctx, args, true),
        ..ROW
    },
];

/// What is done at a place.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

struct Operation {
    action: Action,
    width: Width,
    offset: usize,
    overflow: Overflow,
}

/// Reads a type such as `i16` or `u8`.
/// The access of BITFIELD: with nothing but GET it only reads. What makes no sense may write.
fn reads_unless_told(args: &Args<'_>, declared: Access) -> Access {
    let mut at = 2;
    while at < args.len() {
        let is = |name: &str, values: usize| {
            args.get(at).eq_ignore_ascii_case(name.as_bytes()) && args.len() - at > values
        };
        at += match () {
            () if is("GET", 2) => 3,
            () if is("OVERFLOW", 1) => 2,
            () => return declared,
        };
    }
    Access::RO | Access::ACCESS
}

fn width(word: &[u8]) -> Result<Width, CommandError> {
    let bad = CommandError::fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (signed, most) = match word.first() {
        Some(b'i') => (true, 64),
        Some(b'u') => (false, 63),
        _ => return Err(bad),
    };
    match crate::data::parse_i64(&word[1..]) {
        Some(bits) if (1..=most).contains(&bits) => Ok(Width { signed, bits: bits as u32 }),
        _ => Err(bad),
    }
}

/// Reads an offset in bits, or with `#` in integers of this width.
fn offset(ctx: &Context<'_>, word: &[u8], width: Width) -> Result<usize, CommandError> {
    let bad = CommandError::fixed("ERR bit offset is not an integer or out of range");
    let (digits, unit) = match word.strip_prefix(b"#") {
        Some(digits) => (digits, i64::from(width.bits)),
        None => (word, 1),
    };
    let offset = crate::data::parse_i64(digits).and_then(|offset| offset.checked_mul(unit));
    match offset {
        Some(offset) if offset >= 0 && (offset as u64) >> 3 < ctx.settings.proto_max_bulk_len_bytes => {
            Ok(offset as usize)
        }
        _ => Err(bad),
    }
}

fn overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    match () {
        () if is(b"wrap") => Ok(Overflow::Wrap),
        () if is(b"sat") => Ok(Overflow::Saturate),
        () if is(b"fail") => Ok(Overflow::Fail),
        () => Err(CommandError::fixed("ERR Invalid OVERFLOW type specified")),
    }
}

/// Reads all operations; nothing is changed before the last of them was understood.
fn operations(ctx: &Context<'_>, args: &mut Args<'_>) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut mode = Overflow::Wrap;
    while args.remaining() > 0 {
        if args.remaining() >= 2 && args.keyword("OVERFLOW") {
            mode = overflow(args.bytes())?;
            continue;
        }
        let writes: Option<fn(i64) -> Action> = if args.remaining() >= 3 && args.keyword("GET") {
            None
        } else if args.remaining() >= 4 && args.keyword("SET") {
            Some(Action::Set)
        } else if args.remaining() >= 4 && args.keyword("INCRBY") {
            Some(Action::Add)
        } else {
            return Err(CommandError::Syntax);
        };
        let width = width(args.bytes())?;
        let offset = offset(ctx, args.bytes(), width)?;
        let action = writes.map_or(Action::Get, |action| action(args.int()));
        args.check()?;
        operations.push(Operation { action, width, offset, overflow: mode });
    }
    Ok(operations)
}

fn bitfield(ctx: &mut Context<'_>, mut args: Args<'_>, read_only: bool) -> Outcome {
    let key = args.key();
    let operations = operations(ctx, &mut args)?;
    let last_written = operations
        .iter()
        .filter(|operation| !matches!(operation.action, Action::Get))
        .map(|operation| operation.offset + operation.width.bits as usize - 1)
        .max();
    match last_written {
        None => read(ctx, key, &operations),
        Some(_) if read_only => Err(CommandError::fixed("ERR BITFIELD_RO only supports the GET subcommand")),
        Some(last) => write(ctx, key, &operations, last / 8 + 1),
    }
}

fn read(ctx: &mut Context<'_>, key: Key<'_>, operations: &[Operation]) -> Outcome {
    let mut digits = itoa::Buffer::new();
    let bytes = bytes(ctx.view.string(key)?, &mut digits);
    ctx.out.array(operations.len());
    for operation in operations {
        ctx.out.int(operation.width.read(bytes, operation.offset) as i64);
    }
    Ok(Reply::Sent)
}

/// Runs operations that write. The string gets `len` bytes first, as in Redis even if none of them is stored.
fn write(ctx: &mut Context<'_>, key: Key<'_>, operations: &[Operation], len: usize) -> Outcome {
    let mut digits = itoa::Buffer::new();
    let grows = bytes(ctx.view.string_to_change(key)?, &mut digits).len() < len;
    let mut changes = 0;
    let replies: Vec<Option<i128>> = ctx.view.edit_string(key, len, |bytes| {
        operations
            .iter()
            .map(|operation| {
                let Operation { action, width, offset, overflow } = *operation;
                let old = width.read(bytes, offset);
                let wanted = match action {
                    Action::Get => return Some(old),
                    // As in Redis a negative number is a huge one to an unsigned integer.
                    Action::Set(value) if !width.signed => i128::from(value as u64),
                    Action::Set(value) => i128::from(value),
                    Action::Add(increment) => old + i128::from(increment),
                };
                let stored = width.fit(wanted, overflow)?;
                width.write(bytes, offset, stored);
                changes += usize::from(grows || stored != old);
                Some(if matches!(action, Action::Set(_)) { old } else { stored })
            })
            .collect()
    })?;
    ctx.out.array(replies.len());
    for reply in replies {
        match reply {
            Some(number) => ctx.out.int(number as i64),
            None => ctx.out.null(),
        }
    }
    if changes > 0 {
        ctx.effect_on(key, EventClass::String, "setbit", changes);
    }
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn fields_are_read_and_written() {
        transcript(
            r#"
            > BITFIELD k SET i8 0 -100 SET u8 8 200 GET i8 0 GET u8 8 GET i8 8
            1) (integer) 0
            2) (integer) 0
            3) (integer) -100
            4) (integer) 200
            5) (integer) -56
            > BITFIELD k INCRBY u8 #1 100 OVERFLOW SAT INCRBY u8 #1 250 OVERFLOW FAIL INCRBY u8 #1 1
            1) (integer) 44
            2) (integer) 255
            3) (nil)
            > BITFIELD k OVERFLOW SAT INCRBY i8 0 -100 SET u4 100 -1 GET u4 100
            1) (integer) -128
            2) (integer) 0
            3) (integer) 15
            > STRLEN k
            (integer) 13
            > BITFIELD k SET u4 0 17 GET u4 0
            1) (integer) 8
            2) (integer) 1
            > BITFIELD big SET i64 3 -9223372036854775808 INCRBY i64 3 -1 GET u63 4
            1) (integer) 0
            2) (integer) 9223372036854775807
            3) (integer) 9223372036854775807
            > BITFIELD k
            (empty array)
            > BITFIELD_RO k GET u8 8
            1) (integer) 255
            > BITFIELD_RO none GET u8 8 GET i3 100
            1) (integer) 0
            2) (integer) 0
            > BITFIELD fresh OVERFLOW FAIL SET u4 0 16
            1) (nil)
            > STRLEN fresh
            (integer) 1
            "#,
        );
    }

    #[test]
    fn bad_operations_are_refused() {
        transcript(
            r#"
            > BITFIELD k GET u64 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD k GET i65 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD k GET i8 -1
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD k GET i8 #-1
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD k GET i8 4294967296
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD k SET i8 0 x
            (error) ERR value is not an integer or out of range
            > BITFIELD k SET i8 0
            (error) ERR syntax error
            > BITFIELD k OVERFLOW OTHER GET i8 0
            (error) ERR Invalid OVERFLOW type specified
            > BITFIELD k OTHER i8 0
            (error) ERR syntax error
            > BITFIELD_RO k SET i8 0 1
            (error) ERR BITFIELD_RO only supports the GET subcommand
            > EXISTS k
            (integer) 0
            > LPUSH list x
            (integer) 1
            > BITFIELD list GET i8 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITFIELD list SET i8 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }
}
