//! Where keys are: COPY, RENAME, RENAMENX, MOVE.

use crate::command::context::EventClass;
use crate::command::database::parse_database;
use crate::command::row::{Access, Command, Flags, Keys, OtherDatabase};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::store::{Entry, Key};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "COPY",
        syntax: "source destination [DB destination-db] [REPLACE]",
        summary: "Copies the value of a key to another key, of this or of another database.",
        since: "6.2.0",
        complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::CROSS_DATABASE),
        keys: Keys::Two(Access::RO.with(Access::ACCESS), Access::OW.with(Access::UPDATE)),
        databases: copy_database,
        run: copy,
        ..Command::BASE
    },
    Command {
        name: "RENAME",
        syntax: "key newkey",
        summary: "Gives a key another name, overwriting what has that name.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::WRITE,
        keys: Keys::Two(
            Access::RW.with(Access::ACCESS).with(Access::DELETE),
            Access::OW.with(Access::UPDATE),
        ),
        run: rename,
        ..Command::BASE
    },
    Command {
        name: "RENAMENX",
        history: &[(
            "3.2.0",
            "The command no longer returns an error when source and destination names are the same.",
        )],
        syntax: "key newkey",
        summary: "Gives a key another name, unless there is a key of that name.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::Two(
            Access::RW.with(Access::ACCESS).with(Access::DELETE),
            Access::OW.with(Access::INSERT),
        ),
        run: renamenx,
        ..Command::BASE
    },
    Command {
        name: "MOVE",
        syntax: "key db",
        summary: "Moves a key to another database, unless there is a key of its name.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::WRITE.with(Flags::FAST).with(Flags::CROSS_DATABASE),
        keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
        databases: move_database,
        run: move_key,
        ..Command::BASE
    },
];

const SAME_OBJECT: CommandError = CommandError::fixed("ERR source and destination objects are the same");

/// What COPY's arguments after the keys say.
#[derive(Default)]
struct CopyOptions {
    database: Option<usize>,
    replace: bool,
}

impl CopyOptions {
    fn read(args: &mut Args<'_>, databases: usize) -> Result<CopyOptions, CommandError> {
        let mut options = CopyOptions::default();
        while args.remaining() > 0 {
            if args.keyword("REPLACE") {
                options.replace = true;
            } else if args.remaining() > 1 && args.keyword("DB") {
                options.database = Some(parse_database(args.bytes(), databases)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn other_database(number: usize) -> OtherDatabase {
    OtherDatabase { number, selects: false }
}

fn copy_database(mut args: Args<'_>) -> Option<OtherDatabase> {
    let _keys = (args.next(), args.next());
    // Arguments that make no sense name no database: the handler will refuse them before it touches
    // a key, and also a number that is too large.
    CopyOptions::read(&mut args, usize::MAX).ok()?.database.map(other_database)
}

fn move_database(args: Args<'_>) -> Option<OtherDatabase> {
    parse_database(args.get(2), usize::MAX).ok().map(other_database)
}

fn copy(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (from, to) = (args.key(), args.key());
    args.check()?;
    let options = CopyOptions::read(&mut args, ctx.view.databases())?;
    let source = ctx.view.database();
    let target = options.database.unwrap_or(source);
    if source == target && from.bytes == to.bytes {
        return Err(SAME_OBJECT);
    }
    if ctx.view.read(from).is_none() {
        return Ok(Reply::Int(0));
    }
    ctx.view.select(target);
    if ctx.view.look_to_change(to).is_some() && !options.replace {
        ctx.view.select(source);
        return Ok(Reply::Int(0));
    }
    ctx.view.select(source);
    let Some(entry) = ctx.view.copy_of(from) else { return Ok(Reply::Int(0)) };
    ctx.view.select(target);
    put(ctx, to, entry);
    // A copy begins its own life: it was never used under this name.
    let fresh = ctx.view.usage().fresh(ctx.now_ms());
    ctx.view.set_usage_bits(to, fresh);
    ctx.effect(to, EventClass::Generic, "copy_to");
    ctx.view.select(source);
    Ok(Reply::Int(1))
}

fn put(ctx: &mut Context<'_>, key: Key<'_>, entry: Entry) {
    let expiry = entry.expire_at_ms();
    ctx.view.put(key, entry, expiry);
}

/// What a RENAME came to.
enum Renamed {
    Done,
    SameKey,
    TargetExists,
}

fn rename(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    rename_key(ctx, args, true).map(|_| Reply::Ok)
}

fn renamenx(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    rename_key(ctx, args, false).map(|renamed| Reply::flag(matches!(renamed, Renamed::Done)))
}

fn rename_key(ctx: &mut Context<'_>, mut args: Args<'_>, overwrite: bool) -> Result<Renamed, CommandError> {
    let (from, to) = (args.key(), args.key());
    args.finish()?;
    if ctx.view.look_to_change(from).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from.bytes == to.bytes {
        return Ok(Renamed::SameKey);
    }
    if !overwrite && ctx.view.look_to_change(to).is_some() {
        return Ok(Renamed::TargetExists);
    }
    let entry = ctx.view.take(from).ok_or(CommandError::NoSuchKey)?;
    put(ctx, to, entry);
    // Two keys changed, but Redis counts one change.
    ctx.view.signal(from);
    ctx.event(from, EventClass::Generic, "rename_from");
    ctx.effect(to, EventClass::Generic, "rename_to");
    Ok(Renamed::Done)
}

fn move_key(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    args.check()?;
    let target = parse_database(args.bytes(), ctx.view.databases())?;
    args.finish()?;
    let source = ctx.view.database();
    if source == target {
        return Err(SAME_OBJECT);
    }
    if ctx.view.look_to_change(key).is_none() {
        return Ok(Reply::Int(0));
    }
    ctx.view.select(target);
    let taken = ctx.view.look_to_change(key).is_some();
    ctx.view.select(source);
    if taken {
        return Ok(Reply::Int(0));
    }
    let Some(entry) = ctx.view.take(key) else { return Ok(Reply::Int(0)) };
    // Two keys changed, but Redis counts one change.
    ctx.view.signal(key);
    ctx.view.select(target);
    put(ctx, key, entry);
    ctx.view.select(source);
    ctx.event(key, EventClass::Generic, "move_from");
    ctx.view.select(target);
    ctx.effect(key, EventClass::Generic, "move_to");
    ctx.view.select(source);
    Ok(Reply::Int(1))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};
    use crate::store::Moment;

    #[test]
    fn copy() {
        transcript(
            r#"
            > SET a 1
            OK
            > COPY a b
            (integer) 1
            > GET b
            "1"
            > COPY a b
            (integer) 0
            > SET a 2
            OK
            > COPY a b REPLACE
            (integer) 1
            > GET b
            "2"
            > COPY nobody b REPLACE
            (integer) 0
            > GET b
            "2"
            > COPY a a
            (error) ERR source and destination objects are the same
            > COPY a a DB 0
            (error) ERR source and destination objects are the same
            > COPY a a DB 3
            (integer) 1
            > COPY a a DB 3
            (integer) 0
            > COPY a a db 3 replace
            (integer) 1
            > COPY a c DB 99
            (error) ERR DB index is out of range
            > COPY a c DB -1
            (error) ERR DB index is out of range
            > COPY a c DB x
            (error) ERR value is not an integer or out of range
            > COPY a c DB 2147483648
            (error) ERR value is out of range, value must between -2147483648 and 2147483647
            > COPY a c DB
            (error) ERR syntax error
            > COPY a c WHATEVER
            (error) ERR syntax error
            > COPY a c DB x WHATEVER
            (error) ERR value is not an integer or out of range
            > COPY a c REPLACE DB 4 DB 3
            (integer) 1
            > COPY a
            (error) ERR wrong number of arguments for 'copy' command
            > SWAPDB 0 3
            OK
            > GET c
            "2"
            > GET a
            "2"
            > GET b
            (nil)
            "#,
        );
    }

    #[test]
    fn a_copy_has_the_expiry_of_its_source() {
        transcript(
            r#"
            > SET a text
            OK
            > EXPIREAT a 33333333333
            (integer) 1
            > SET b other
            OK
            > COPY a b REPLACE
            (integer) 1
            > EXPIRETIME b
            (integer) 33333333333
            > PERSIST a
            (integer) 1
            > COPY a b REPLACE
            (integer) 1
            > TTL b
            (integer) -1
            > OBJECT ENCODING b
            "embstr"
            "#,
        );
    }

    #[test]
    fn rename_and_renamenx() {
        transcript(
            r#"
            > SET a 1
            OK
            > RENAME a b
            OK
            > GET b
            "1"
            > EXISTS a
            (integer) 0
            > RENAME a c
            (error) ERR no such key
            > RENAME a a
            (error) ERR no such key
            > RENAMENX a a
            (error) ERR no such key
            > RENAME b b
            OK
            > RENAMENX b b
            (integer) 0
            > SET c 3
            OK
            > RENAMENX b c
            (integer) 0
            > GET c
            "3"
            > RENAME b c
            OK
            > GET c
            "1"
            > RENAMENX c d
            (integer) 1
            > GET d
            "1"
            > RENAME a
            (error) ERR wrong number of arguments for 'rename' command
            > RENAMENX a b c
            (error) ERR wrong number of arguments for 'renamenx' command
            "#,
        );
    }

    #[test]
    fn the_expiry_goes_with_the_name() {
        transcript(
            r#"
            > SET a 1
            OK
            > EXPIREAT a 33333333333
            (integer) 1
            > SET b 2
            OK
            > RENAME a b
            OK
            > EXPIRETIME b
            (integer) 33333333333
            > SET c 3
            OK
            > RENAME c b
            OK
            > TTL b
            (integer) -1
            > PEXPIRE b 10
            (integer) 1
            > SET d 4
            OK
            ! advance 15
            > RENAMENX d b
            (integer) 1
            > GET b
            "4"
            "#,
        );
    }

    #[test]
    fn move_between_databases() {
        transcript(
            r#"
            > SET a 1
            OK
            > EXPIREAT a 33333333333
            (integer) 1
            > MOVE a 9
            (integer) 1
            > EXISTS a
            (integer) 0
            > MOVE a 9
            (integer) 0
            > SET a 2
            OK
            > MOVE a 9
            (integer) 0
            > GET a
            "2"
            > MOVE a 0
            (error) ERR source and destination objects are the same
            > MOVE a 16
            (error) ERR DB index is out of range
            > MOVE a -1
            (error) ERR DB index is out of range
            > MOVE a x
            (error) ERR value is not an integer or out of range
            > MOVE a 4294967296
            (error) ERR value is out of range, value must between -2147483648 and 2147483647
            > MOVE a
            (error) ERR wrong number of arguments for 'move' command
            > SWAPDB 0 9
            OK
            > GET a
            "1"
            > EXPIRETIME a
            (integer) 33333333333
            "#,
        );
    }

    #[test]
    fn the_second_database_is_declared() {
        let bench = Bench::new();
        let databases = |line: &[&[u8]]| {
            let (mut buffer, mut spans) = (Vec::new(), Vec::new());
            for word in line {
                spans.push(crate::resp::Span { start: buffer.len(), len: word.len() });
                buffer.extend_from_slice(word);
            }
            let row = bench.registry.get(bench.registry.find(line[0]).unwrap()).row;
            (row.databases)(crate::command::Args::new(&buffer, &spans, &[])).map(|other| other.number)
        };
        assert_eq!(databases(&[b"COPY", b"a", b"b"]), None);
        assert_eq!(databases(&[b"COPY", b"a", b"b", b"db", b"7"]), Some(7));
        assert_eq!(databases(&[b"COPY", b"a", b"b", b"REPLACE", b"DB", b"7", b"DB", b"8"]), Some(8));
        assert_eq!(databases(&[b"COPY", b"DB", b"3"]), None);
        assert_eq!(databases(&[b"COPY", b"a", b"b", b"DB", b"x"]), None);
        assert_eq!(databases(&[b"MOVE", b"a", b"5"]), Some(5));
        assert_eq!(databases(&[b"MOVE", b"a", b"-5"]), None);
    }

    #[test]
    fn a_rename_is_one_change_of_two_keys() {
        let mut bench = Bench::new();
        bench.line("SET a 1");
        let flags: Vec<_> = ["a", "b"]
            .map(|name| {
                let flag = std::sync::Arc::default();
                let mut view = bench.store.view_whole(Moment::at(bench.clock.unix_ms()), 0);
                let key = view.key(name.as_bytes());
                view.watch(key, &flag);
                flag
            })
            .into();
        assert_eq!(bench.line("RENAME a b"), "OK");
        assert!(flags.iter().all(|flag| flag.is_raised()));
        assert_eq!(
            (bench.done.changes, &bench.done.events()[..]),
            (1, &["rename_from a@0".into(), "rename_to b@0".into()][..])
        );
    }

    #[test]
    fn a_move_is_one_change_in_two_databases() {
        let mut bench = Bench::new();
        bench.line("SET a 1");
        bench.line("MOVE a 3");
        assert_eq!(
            (bench.done.changes, &bench.done.events()[..]),
            (1, &["move_from a@0".into(), "move_to a@3".into()][..])
        );
        bench.line("SET a 1");
        bench.line("COPY a b DB 3");
        assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["copy_to b@3".into()][..]));
    }
}
