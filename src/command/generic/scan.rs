//! SCAN.

use crate::command::cursor::parse_cursor;
use crate::command::row::{Command, Flags};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::glob_match;
use crate::resp::Encoder;
use crate::store::{Cursor, Entry};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "SCAN",
    arguments: "type @6.0.0",
    history: &[("6.0.0", "Added the `TYPE` subcommand.")],
    syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    summary: "Lists some keys and a cursor to go on with, so that all keys can be seen bit by bit.",
    since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    flags: Flags::READONLY.with(Flags::WANDERS),
    run: scan,
    tips: &["nondeterministic_output", "request_policy:special"],
    ..Command::BASE
}];

/// Keys that a call looks at when nothing is said.
const DEFAULT_COUNT: usize = 10;

/// Which keys are wanted, and how many are looked at.
struct Filter<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Reads the options; of one that stands twice the last counts.
    fn read(args: &mut Args<'a>) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter { count: DEFAULT_COUNT, pattern: None, type_name: None };
        while args.remaining() > 0 {
            if args.remaining() == 1 {
                return Err(CommandError::Syntax);
            }
            if args.keyword("COUNT") {
                let count = args.int();
                args.check()?;
                filter.count =
                    usize::try_from(count).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
            } else if args.keyword("MATCH") {
                // `*` shows the empty key too, which no pattern with a star matches.
                filter.pattern = Some(args.bytes()).filter(|pattern| *pattern != b"*");
            } else if args.keyword("TYPE") {
                filter.type_name = Some(args.bytes());
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.type_name.is_none_or(|name| name.eq_ignore_ascii_case(entry.value_type().name().as_bytes()))
            && self.pattern.is_none_or(|pattern| glob_match(pattern, entry.key(), false))
    }
}

fn scan(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let cursor = parse_cursor(args.bytes())?;
    let filter = Filter::read(&mut args)?;
    let mut found = Encoder::new(ctx.out.protocol());
    let mut count = 0;
    let next = ctx.view.scan(Cursor(cursor), filter.count, |entry| {
        if filter.wants(entry) {
            found.bulk(entry.key());
            count += 1;
        }
    });
    ctx.out.array(2);
    ctx.out.bulk(itoa::Buffer::new().format(next.0).as_bytes());
    ctx.out.array(count);
    ctx.out.raw(found.as_slice());
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::command::testing::{Bench, transcript};
    use crate::resp::{Value, ValueDecoder};

    #[test]
    fn options_and_errors() {
        transcript(
            r#"
            > SCAN 0
            1) "0"
            2) (empty array)
            > SET one 1
            OK
            > SCAN 0
            1) "0"
            2) 1) "one"
            > SCAN 0 COUNT 1000 MATCH o?e TYPE string
            1) "0"
            2) 1) "one"
            > SCAN 0 match o*
            1) "0"
            2) 1) "one"
            > SCAN 0 MATCH x*
            1) "0"
            2) (empty array)
            > SCAN 0 MATCH x* MATCH *
            1) "0"
            2) 1) "one"
            > SCAN 0 TYPE STRING
            1) "0"
            2) 1) "one"
            > SCAN 0 TYPE hash
            1) "0"
            2) (empty array)
            > SCAN 0 TYPE nosuchtype
            1) "0"
            2) (empty array)
            > SCAN ""
            1) "0"
            2) 1) "one"
            > SCAN x
            (error) ERR invalid cursor
            > SCAN 1x COUNT x
            (error) ERR invalid cursor
            > SCAN 18446744073709551616
            (error) ERR invalid cursor
            > SCAN 0 COUNT x
            (error) ERR value is not an integer or out of range
            > SCAN 0 COUNT 0
            (error) ERR syntax error
            > SCAN 0 COUNT -5
            (error) ERR syntax error
            > SCAN 0 COUNT
            (error) ERR syntax error
            > SCAN 0 MATCH
            (error) ERR syntax error
            > SCAN 0 TYPE
            (error) ERR syntax error
            > SCAN 0 COUNT 0 WHATEVER
            (error) ERR syntax error
            > SCAN 0 COUNT 5 WHATEVER
            (error) ERR syntax error
            > SCAN
            (error) ERR wrong number of arguments for 'scan' command
            > DEL one
            (integer) 1
            > SET "" empty
            OK
            > SCAN 0 MATCH *
            1) "0"
            2) 1) ""
            > SCAN 0 MATCH **
            1) "0"
            2) (empty array)
            > PEXPIRE "" 10
            (integer) 1
            ! advance 15
            > SCAN 0
            1) "0"
            2) (empty array)
            > DBSIZE
            (integer) 0
            "#,
        );
    }

    fn bytes(value: &Value) -> String {
        match value {
            Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("no bulk string: {other:?}"),
        }
    }

    #[test]
    fn a_walk_meets_every_key() {
        let mut bench = Bench::new();
        for number in 0..1_000 {
            bench.line(&format!("SET key:{number} 1"));
        }
        for count in ["1", "5", "10", "1000"] {
            let (mut seen, mut cursor, mut calls) = (BTreeSet::new(), "0".to_owned(), 0);
            loop {
                let reply = bench.raw(&[b"SCAN", cursor.as_bytes(), b"COUNT", count.as_bytes()]);
                let Ok(Some((Value::Array(parts), _))) = ValueDecoder::default().decode(&reply) else {
                    panic!("no array")
                };
                let Value::Array(keys) = &parts[1] else { panic!("no keys") };
                seen.extend(keys.iter().map(bytes));
                cursor = bytes(&parts[0]);
                calls += 1;
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(seen.len(), 1_000, "COUNT {count} in {calls} calls");
        }
    }
}
