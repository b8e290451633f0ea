//! All keys at once: KEYS, RANDOMKEY, DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.

use crate::command::context::Replay;
use crate::command::database::parse_database;
use crate::command::reply::Work;
use crate::command::row::{Acl, Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply, reply};
use crate::data::glob_match;
use crate::resp::Encoder;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "KEYS",
        syntax: "pattern",
        summary: "Lists all keys that match a pattern.",
        since: "1.0.0",
        complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
        flags: Flags::READONLY.with(Flags::WHOLE),
        acl: Acl::DANGEROUS,
        run: keys,
        tips: &["nondeterministic_output_order", "request_policy:all_shards"],
        ..Command::BASE
    },
    Command {
        name: "RANDOMKEY",
        syntax: "",
        summary: "Names a key drawn at random.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::READONLY.with(Flags::WANDERS),
        run: random_key,
        tips: &["nondeterministic_output", "request_policy:all_shards"],
        ..Command::BASE
    },
    Command {
        name: "DBSIZE",
        syntax: "",
        summary: "Counts the keys of the selected database.",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Server,
        flags: Flags::READONLY.with(Flags::FAST).with(Flags::WHOLE),
        acl: Acl::KEYSPACE,
        run: db_size,
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "FLUSHDB",
        arguments: "async; async @4.0.0; sync @6.2.0",
        history: &[
            ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
            ("6.2.0", "Added the `SYNC` flushing mode modifier."),
        ],
        syntax: "[ASYNC | SYNC]",
        summary: "Removes all keys of the selected database.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys in the selected database",
        group: Group::Server,
        flags: Flags::WRITE.with(Flags::WHOLE),
        acl: Acl::KEYSPACE.with(Acl::DANGEROUS),
        run: flush_database,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Command::BASE
    },
    Command {
        name: "FLUSHALL",
        arguments: "async; async @4.0.0; sync @6.2.0",
        history: &[
            ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
            ("6.2.0", "Added the `SYNC` flushing mode modifier."),
        ],
        syntax: "[ASYNC | SYNC]",
        summary: "Removes all keys of all databases.",
        since: "1.0.0",
        complexity: "O(N) where N is the total number of keys in all databases",
        group: Group::Server,
        flags: Flags::WRITE.with(Flags::WHOLE),
        acl: Acl::KEYSPACE.with(Acl::DANGEROUS),
        run: flush_all,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Command::BASE
    },
    Command {
        name: "SWAPDB",
        syntax: "index1 index2",
        summary: "Exchanges two databases: clients of one see the keys of the other at once.",
        since: "4.0.0",
        complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        group: Group::Server,
        flags: Flags::WRITE.with(Flags::FAST).with(Flags::WHOLE),
        acl: Acl::KEYSPACE.with(Acl::DANGEROUS),
        run: swap_databases,
        ..Command::BASE
    },
];

fn keys(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let pattern = args.bytes();
    args.finish()?;
    // Not only faster: `*` as a pattern does not match the empty key, but KEYS * shows it.
    let all = pattern == b"*";
    let mut found = Encoder::new(ctx.out.protocol());
    let mut count = 0;
    ctx.view.each(|entry| {
        if all || glob_match(pattern, entry.key(), false) {
            found.bulk(entry.key());
            count += 1;
        }
    });
    ctx.out.array(count);
    ctx.out.raw(found.as_slice());
    Ok(Reply::Sent)
}

fn random_key(ctx: &mut Context<'_>, _args: Args<'_>) -> Outcome {
    match ctx.view.random_key() {
        None => Ok(Reply::Nil),
        Some(key) => ctx.bulk(&key),
    }
}

fn db_size(ctx: &mut Context<'_>, _args: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.view.counts().keys as i64))
}

fn flush_database(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let here = frees_here(ctx, args.clone())?;
    let number = ctx.view.database();
    ctx.view.flush(number, here);
    repeat_as_sent(ctx, &args);
    reply::OK
}

fn flush_all(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let here = frees_here(ctx, args.clone())?;
    for number in 0..ctx.view.databases() {
        ctx.view.flush(number, here);
    }
    let to_save = ctx.server.saves().flushed();
    repeat_as_sent(ctx, &args);
    if !to_save {
        return reply::OK;
    }
    if ctx.in_transaction {
        // What follows in the transaction still needs the keyspace: the save begins when it is free.
        let _ = ctx.server.saves().start(true);
        return reply::OK;
    }
    let server = ctx.server.shared();
    Ok(Reply::Later(Work::new(move || {
        server.saves().save_flushed();
        reply::OK
    })))
}

/// Whether the client waits until what was removed is freed.
fn frees_here(ctx: &Context<'_>, mut args: Args<'_>) -> Result<bool, CommandError> {
    let here = if args.keyword("SYNC") {
        true
    } else if args.keyword("ASYNC") {
        false
    } else {
        !ctx.settings.lazyfree_lazy_user_flush
    };
    args.finish()?;
    Ok(here)
}

/// A flush is repeated even if there was nothing to remove: who repeats it may hold other keys.
fn repeat_as_sent(ctx: &mut Context<'_>, args: &Args<'_>) {
    ctx.replay = Replay::Instead(vec![args.all().map(<[u8]>::to_vec).collect()]);
}

fn swap_databases(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let first = index(args.bytes(), "ERR invalid first DB index")?;
    let second = index(args.bytes(), "ERR invalid second DB index")?;
    args.finish()?;
    let databases = ctx.view.databases();
    let (first, second) = (in_range(first, databases)?, in_range(second, databases)?);
    ctx.view.swap(first, second);
    reply::OK
}

/// A number of 32 bits.
fn index(text: &[u8], error: &'static str) -> Result<i32, CommandError> {
    crate::data::parse_i64(text)
        .and_then(|number| i32::try_from(number).ok())
        .ok_or(CommandError::fixed(error))
}

fn in_range(number: i32, databases: usize) -> Result<usize, CommandError> {
    parse_database(number.to_string().as_bytes(), databases)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use crate::command::testing::{Bench, transcript};
    use crate::store::{Moment, WatchFlag};

    #[test]
    fn keys_by_pattern() {
        transcript(
            r#"
            > KEYS *
            (empty array)
            > SET key_x hello
            OK
            > KEYS *
            1) "key_x"
            > SET "" empty
            OK
            > KEYS key*
            1) "key_x"
            > KEYS *x
            1) "key_x"
            > KEYS ke[xy]_?
            1) "key_x"
            > KEYS nothing
            (empty array)
            > KEYS ""
            1) ""
            > DEL key_x
            (integer) 1
            > KEYS *
            1) ""
            > KEYS **
            (empty array)
            > KEYS
            (error) ERR wrong number of arguments for 'keys' command
            > PEXPIRE "" 10
            (integer) 1
            ! advance 15
            > KEYS *
            (empty array)
            "#,
        );
    }

    #[test]
    fn sizes_and_draws() {
        transcript(
            r#"
            > DBSIZE
            (integer) 0
            > RANDOMKEY
            (nil)
            > SET a 1
            OK
            > RANDOMKEY
            "a"
            > SET b 1
            OK
            > DBSIZE
            (integer) 2
            > DBSIZE 1
            (error) ERR wrong number of arguments for 'dbsize' command
            > RANDOMKEY 1
            (error) ERR wrong number of arguments for 'randomkey' command
            "#,
        );
    }

    #[test]
    fn flushes() {
        transcript(
            r#"
            > SET a 1
            OK
            > COPY a a DB 5
            (integer) 1
            > FLUSHDB
            OK
            > DBSIZE
            (integer) 0
            > SWAPDB 0 5
            OK
            > DBSIZE
            (integer) 1
            > FLUSHDB sync
            OK
            > FLUSHDB ASYNC
            OK
            > FLUSHDB WHENEVER
            (error) ERR syntax error
            > FLUSHDB SYNC ASYNC
            (error) ERR syntax error
            > SET a 1
            OK
            > MOVE a 7
            (integer) 1
            > SET a 1
            OK
            > FLUSHALL
            OK
            > DBSIZE
            (integer) 0
            > SWAPDB 0 7
            OK
            > DBSIZE
            (integer) 0
            > FLUSHALL SYNC
            OK
            > FLUSHALL async
            OK
            > FLUSHALL NOW
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn swaps() {
        transcript(
            r#"
            > SET a 1
            OK
            > SWAPDB 0 1
            OK
            > GET a
            (nil)
            > SWAPDB 1 0
            OK
            > GET a
            "1"
            > SWAPDB 0 0
            OK
            > GET a
            "1"
            > SWAPDB x 1
            (error) ERR invalid first DB index
            > SWAPDB 0 x
            (error) ERR invalid second DB index
            > SWAPDB 2147483648 x
            (error) ERR invalid first DB index
            > SWAPDB 0 16
            (error) ERR DB index is out of range
            > SWAPDB -1 0
            (error) ERR DB index is out of range
            > SWAPDB 0
            (error) ERR wrong number of arguments for 'swapdb' command
            "#,
        );
    }

    #[test]
    fn a_random_key_may_be_any_but_an_expired_one() {
        let mut bench = Bench::new();
        for number in 0..30 {
            bench.line(&format!("SET k{number} 1"));
            bench.line(&format!("SET gone{number} 1"));
            bench.line(&format!("PEXPIRE gone{number} 10"));
        }
        bench.clock.advance_ms(10);
        let drawn: HashSet<String> = (0..600)
            .map(|_| {
                // The harness seeds chance with the time.
                bench.clock.advance_ms(1);
                bench.line("RANDOMKEY")
            })
            .collect();
        assert!(drawn.iter().all(|key| key.starts_with("\"k")), "{drawn:?}");
        assert!(drawn.len() > 25, "only {} of 30 keys were ever drawn", drawn.len());
        bench.line("FLUSHALL");
        bench.line("SET gone 1 PX 1");
        bench.clock.advance_ms(1);
        assert_eq!(
            (bench.line("RANDOMKEY").as_str(), bench.store.counts(0).keys),
            ("(nil)", 0),
            "removed on the way"
        );
    }

    fn watch(bench: &Bench, number: usize, name: &str) -> Arc<WatchFlag> {
        let flag = Arc::default();
        let mut view = bench.store.view_whole(Moment::at(bench.clock.unix_ms()), number);
        let key = view.key(name.as_bytes());
        view.watch(key, &flag);
        flag
    }

    #[test]
    fn a_flush_changes_watched_keys_that_were_there() {
        for flush in ["FLUSHALL", "FLUSHDB ASYNC", "FLUSHDB SYNC"] {
            let mut bench = Bench::new();
            bench.line("SET a 1");
            let (there, absent) = (watch(&bench, 0, "a"), watch(&bench, 0, "b"));
            bench.line(flush);
            assert_eq!((there.is_raised(), absent.is_raised()), (true, false), "{flush}");
        }
    }

    #[test]
    fn a_swap_changes_watched_keys_that_were_there_or_are_now() {
        let mut bench = Bench::new();
        for line in ["SET new 1", "SET stale 1", "PEXPIRE stale 5", "SWAPDB 0 1", "SET old 1"] {
            bench.line(line);
        }
        bench.clock.advance_ms(5);
        let flags = ["new", "old", "stale", "neither"].map(|name| watch(&bench, 0, name));
        bench.line("SWAPDB 1 0");
        assert_eq!(flags.map(|flag| flag.is_raised()), [true, true, false, false]);
    }

    #[test]
    fn a_flush_of_everything_is_saved_before_it_is_answered() {
        let mut bench = Bench::new();
        bench.line("FLUSHDB");
        assert_eq!(bench.server.flushed(), 0);
        assert_eq!(bench.line("FLUSHALL"), "OK");
        bench.line("FLUSHALL NOW");
        assert_eq!(bench.server.flushed(), 1);
        let asked = bench.server.asked.lock().expect("no test panics with this lock").clone();
        assert_eq!(asked, ["flushed", "save what was flushed"]);
    }
}
