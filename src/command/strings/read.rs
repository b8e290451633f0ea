//! Reading strings, whole or in part.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::store::Str;

use super::{length, removal, write, write_value};

const READ_ONE: Keys = Keys::One(Access::RO.with(Access::ACCESS));

const SUBSTRING: &str = "O(N) where N is the length of the returned string. The complexity is ultimately \
                         determined by the returned length, but because creating a substring from an \
                         existing string is very cheap, it can be considered O(1) for small strings.";

pub(super) const GET: Command = Command {
    name: "GET",
    syntax: "key",
    summary: "Get the value of a key",
    group: Group::String,
    flags: Flags::READONLY.with(Flags::FAST),
    keys: READ_ONE,
    run: get,
    ..Command::BASE
};

pub(super) const GETDEL: Command = Command {
    name: "GETDEL",
    syntax: "key",
    summary: "Get the value of a key and delete the key",
    since: "6.2.0",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::DELETE)),
    run: getdel,
    ..Command::BASE
};

pub(super) const GETRANGE: Command = Command {
    name: "GETRANGE",
    syntax: "key start end",
    summary: "Get a substring of the string stored at a key",
    since: "2.4.0",
    complexity: SUBSTRING,
    group: Group::String,
    flags: Flags::READONLY,
    keys: READ_ONE,
    run: getrange,
    ..Command::BASE
};

/// The older name of GETRANGE.
pub(super) const SUBSTR: Command =
    Command { name: "SUBSTR", since: "1.0.0", deprecated: Some(("2.0.0", "`GETRANGE`")), ..GETRANGE };

pub(super) const MGET: Command = Command {
    name: "MGET",
    syntax: "key [key ...]",
    summary: "Get the values of all the given keys",
    complexity: "O(N) where N is the number of keys to retrieve.",
    group: Group::String,
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::All(Access::RO.with(Access::ACCESS)),
    run: mget,
    tips: &["request_policy:multi_shard"],
    ..Command::BASE
};

pub(super) const STRLEN: Command = Command {
    name: "STRLEN",
    syntax: "key",
    summary: "Get the length of the value stored in a key",
    since: "2.2.0",
    group: Group::String,
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::One(Access::RO),
    run: strlen,
    ..Command::BASE
};

#[inline]
fn get(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    write_value(ctx, key)?;
    Ok(Reply::Sent)
}

fn getdel(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    write_value(ctx, key)?;
    if ctx.view.remove(key) {
        ctx.effect(key, EventClass::Generic, "del");
        ctx.replay_as([removal(ctx.settings.lazyfree_lazy_user_del), key.bytes]);
    }
    Ok(Reply::Sent)
}

fn getrange(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let (start, end) = (args.int(), args.int());
    args.finish()?;
    let mut digits = itoa::Buffer::new();
    let bytes = match ctx.view.string(key)? {
        None => &[],
        Some(Str::Bytes(bytes)) => bytes,
        Some(Str::Int(number)) => digits.format(number).as_bytes(),
    };
    ctx.out.bulk(part(bytes, start, end));
    Ok(Reply::Sent)
}

/// The bytes from `start` to `end`, both included; negative ones count from the end.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let len = bytes.len() as i64;
    let from_front = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    let (first, last) = (from_front(start), from_front(end).min(len - 1));
    if first > last { &[] } else { &bytes[first as usize..=last as usize] }
}

fn mget(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let count = args.keys().len();
    ctx.out.array(count);
    for key in (0..count).filter_map(|ordinal| args.declared(ordinal)) {
        match ctx.view.string(key) {
            Ok(Some(value)) => write(ctx.out, value),
            // A key of another type reads as absent here.
            Ok(None) | Err(_) => ctx.out.null(),
        }
    }
    Ok(Reply::Sent)
}

fn strlen(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let bytes = ctx.view.string(key)?.map_or(0, length);
    Ok(Reply::Int(bytes as i64))
}

#[cfg(test)]
mod tests {
    use super::part;
    use crate::command::testing::transcript;

    #[test]
    fn get_and_strlen() {
        transcript(
            r#"
            > SET name John
            OK
            > GET name
            "John"
            > GET nobody
            (nil)
            > STRLEN name
            (integer) 4
            > STRLEN nobody
            (integer) 0
            > SET number -9223372036854775808
            OK
            > GET number
            "-9223372036854775808"
            > STRLEN number
            (integer) 20
            > SET nearly 9223372036854775808
            OK
            > GET nearly
            "9223372036854775808"
            > SET padded 007
            OK
            > GET padded
            "007"
            > SET empty ""
            OK
            > GET empty
            ""
            > STRLEN empty
            (integer) 0
            > GET
            (error) ERR wrong number of arguments for 'get' command
            > GET a b
            (error) ERR wrong number of arguments for 'get' command
            > STRLEN
            (error) ERR wrong number of arguments for 'strlen' command
            "#,
        );
    }

    #[test]
    fn getdel_removes() {
        transcript(
            r#"
            > SET k v
            OK
            > GETDEL k
            "v"
            > GETDEL k
            (nil)
            > SET n 12
            OK
            > GETDEL n
            "12"
            > GET n
            (nil)
            > GETDEL
            (error) ERR wrong number of arguments for 'getdel' command
            "#,
        );
    }

    #[test]
    fn getrange_and_substr() {
        transcript(
            r#"
            > SET s "Hello World"
            OK
            > GETRANGE s 0 3
            "Hell"
            > GETRANGE s 0 -1
            "Hello World"
            > GETRANGE s -4 -1
            "orld"
            > GETRANGE s 5 3
            ""
            > GETRANGE s -1 -3
            ""
            > GETRANGE s 5 5000
            " World"
            > GETRANGE s -5000 10000
            "Hello World"
            > GETRANGE s -9223372036854775808 9223372036854775807
            "Hello World"
            > GETRANGE s 11 12
            ""
            > GETRANGE s 0 -5000
            "H"
            > SUBSTR s 0 4
            "Hello"
            > SET n 1234
            OK
            > GETRANGE n 1 2
            "23"
            > SUBSTR n -2 -1
            "34"
            > GETRANGE nobody 0 -1
            ""
            > SET empty ""
            OK
            > GETRANGE empty 0 0
            ""
            > GETRANGE s a 1
            (error) ERR value is not an integer or out of range
            > GETRANGE s 1 b
            (error) ERR value is not an integer or out of range
            > GETRANGE s 1
            (error) ERR wrong number of arguments for 'getrange' command
            > SUBSTR s 1
            (error) ERR wrong number of arguments for 'substr' command
            "#,
        );
    }

    #[test]
    fn mget_answers_each_key() {
        transcript(
            r#"
            > MSET a 1 b two
            OK
            > MGET a nobody b a
            1) "1"
            2) (nil)
            3) "two"
            4) "1"
            > MGET
            (error) ERR wrong number of arguments for 'mget' command
            "#,
        );
    }

    #[test]
    fn a_part_never_leaves_the_string() {
        for (start, end) in [(0, 0), (i64::MIN, i64::MIN), (i64::MAX, i64::MAX), (i64::MIN, i64::MAX)] {
            assert_eq!(part(b"", start, end), b"");
        }
        assert_eq!(part(b"abc", i64::MIN, i64::MIN), b"a");
        assert_eq!(part(b"abc", i64::MAX, i64::MIN), b"");
        assert_eq!(part(b"abc", i64::MIN, i64::MAX), b"abc");
    }
}
