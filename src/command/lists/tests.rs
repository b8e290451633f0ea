//! Transcripts of the family. The blocking commands are tested here as far as they do not wait; what
//! happens while they wait is tested in the engine.

use std::fmt::Write;

use crate::command::context::Replay;
use crate::command::testing::{Bench, transcript};

#[test]
fn pushing() {
    transcript(
        r#"
        > RPUSH l a
        (integer) 1
        > LPUSH l b c
        (integer) 3
        > LRANGE l 0 -1
        1) "c"
        2) "b"
        3) "a"
        > LPUSHX none a
        (integer) 0
        > RPUSHX none a b
        (integer) 0
        > LPUSHX l d e
        (integer) 5
        > RPUSHX l f g
        (integer) 7
        > LRANGE l 0 -1
        1) "e"
        2) "d"
        3) "c"
        4) "b"
        5) "a"
        6) "f"
        7) "g"
        > SET s x
        OK
        > LPUSH s a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > RPUSHX s a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LPUSH l
        (error) ERR wrong number of arguments for 'lpush' command
        > RPUSH numbers 12 -7 007 "" "with space"
        (integer) 5
        > LRANGE numbers 0 -1
        1) "12"
        2) "-7"
        3) "007"
        4) ""
        5) "with space"
        "#,
    );
}

#[test]
fn popping() {
    transcript(
        r#"
        > RPUSH l 1 2 3 4 5 6
        (integer) 6
        > LPOP l
        "1"
        > RPOP l
        "6"
        > LPOP l 2
        1) "2"
        2) "3"
        > RPOP l 9
        1) "5"
        2) "4"
        > LLEN l
        (integer) 0
        > LPOP l
        (nil)
        > RPOP l 1
        (nil)
        > LPOP l 0
        (nil)
        > RPUSH l 1
        (integer) 1
        > LPOP l 0
        (empty array)
        > LPOP l -1
        (error) ERR value is out of range, must be positive
        > RPOP l x
        (error) ERR value is out of range, must be positive
        > LPOP l 1 2
        (error) ERR wrong number of arguments for 'lpop' command
        > SET s x
        OK
        > LPOP s
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > RPOP s 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn popping_from_the_first_of_many() {
    transcript(
        r#"
        > RPUSH b 1 2 3
        (integer) 3
        > LMPOP 2 a b LEFT
        1) "b"
        2) 1) "1"
        > LMPOP 2 a b right COUNT 10
        1) "b"
        2) 1) "3"
           2) "2"
        > LMPOP 2 a b LEFT COUNT 1
        (nil)
        > LMPOP 0 a LEFT
        (error) ERR numkeys should be greater than 0
        > LMPOP x a LEFT
        (error) ERR numkeys should be greater than 0
        > LMPOP 2 a LEFT
        (error) ERR syntax error
        > LMPOP 1 a UP
        (error) ERR syntax error
        > LMPOP 1 a LEFT COUNT
        (error) ERR syntax error
        > LMPOP 1 a LEFT COUNT 0
        (error) ERR count should be greater than 0
        > LMPOP 1 a LEFT COUNT x
        (error) ERR count should be greater than 0
        > LMPOP 1 a LEFT COUNT 1 COUNT 2
        (error) ERR syntax error
        > LMPOP 9223372036854775807 a LEFT
        (error) ERR syntax error
        > SET s x
        OK
        > LMPOP 2 s b LEFT
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn reading() {
    transcript(
        r#"
        > RPUSH l a b c d
        (integer) 4
        > LLEN l
        (integer) 4
        > LINDEX l 0
        "a"
        > LINDEX l -1
        "d"
        > LINDEX l 4
        (nil)
        > LINDEX l -5
        (nil)
        > LINDEX l x
        (error) ERR value is not an integer or out of range
        > LINDEX none x
        (nil)
        > LRANGE l 1 2
        1) "b"
        2) "c"
        > LRANGE l -100 0
        1) "a"
        > LRANGE l -2 100
        1) "c"
        2) "d"
        > LRANGE l 2 1
        (empty array)
        > LRANGE l 4 10
        (empty array)
        > LRANGE l 0 -5
        (empty array)
        > LRANGE l -9223372036854775808 9223372036854775807
        1) "a"
        2) "b"
        3) "c"
        4) "d"
        > LRANGE none 0 -1
        (empty array)
        > LRANGE none 0 x
        (error) ERR value is not an integer or out of range
        > SET s x
        OK
        > LLEN s
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LINDEX s 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LRANGE s 0 -1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LPOS s x
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn finding() {
    transcript(
        r#"
        > RPUSH l a b c 1 2 3 c c
        (integer) 8
        > LPOS l c
        (integer) 2
        > LPOS l c RANK 2
        (integer) 6
        > LPOS l c RANK -1
        (integer) 7
        > LPOS l c RANK 4
        (nil)
        > LPOS l c COUNT 0
        1) (integer) 2
        2) (integer) 6
        3) (integer) 7
        > LPOS l c COUNT 2 RANK -1
        1) (integer) 7
        2) (integer) 6
        > LPOS l c COUNT 0 MAXLEN 3
        1) (integer) 2
        > LPOS l c MAXLEN 2
        (nil)
        > LPOS l c COUNT 0 MAXLEN 3 RANK -2
        1) (integer) 6
        > LPOS l x COUNT 1
        (empty array)
        > LPOS none x
        (nil)
        > LPOS none x COUNT 1
        (empty array)
        > LPOS l c RANK 0
        (error) ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        > LPOS l c RANK x
        (error) ERR value is not an integer or out of range
        > LPOS l c COUNT -1
        (error) ERR COUNT can't be negative
        > LPOS l c MAXLEN -1
        (error) ERR MAXLEN can't be negative
        > LPOS l c MAXLEN
        (error) ERR syntax error
        > LPOS l c OTHER 1
        (error) ERR syntax error
        "#,
    );
}

#[test]
fn editing() {
    transcript(
        r#"
        > RPUSH l a b c
        (integer) 3
        > LINSERT l BEFORE b x
        (integer) 4
        > LINSERT l after c y
        (integer) 5
        > LINSERT l AFTER none y
        (integer) -1
        > LINSERT none AFTER a y
        (integer) 0
        > LINSERT l NEAR a y
        (error) ERR syntax error
        > LRANGE l 0 -1
        1) "a"
        2) "x"
        3) "b"
        4) "c"
        5) "y"
        > LSET l 1 X
        OK
        > LSET l -1 Y
        OK
        > LSET l 5 z
        (error) ERR index out of range
        > LSET l x z
        (error) ERR value is not an integer or out of range
        > LSET none x z
        (error) ERR no such key
        > LRANGE l 0 -1
        1) "a"
        2) "X"
        3) "b"
        4) "c"
        5) "Y"
        > SET s x
        OK
        > LINSERT s BEFORE a b
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LSET s x z
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LREM s 0 z
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LTRIM s 0 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn removing() {
    transcript(
        r#"
        > RPUSH l a b a b a
        (integer) 5
        > LREM l -1 a
        (integer) 1
        > LREM l 1 a
        (integer) 1
        > LRANGE l 0 -1
        1) "b"
        2) "a"
        3) "b"
        > LREM l 0 b
        (integer) 2
        > LREM l 0 none
        (integer) 0
        > LREM l 5 a
        (integer) 1
        > LREM l 0 a
        (integer) 0
        > LREM none x a
        (error) ERR value is not an integer or out of range
        > LLEN l
        (integer) 0
        > RPUSH t 1 2 3 4 5
        (integer) 5
        > LTRIM t 1 -2
        OK
        > LTRIM t 0 100
        OK
        > LRANGE t 0 -1
        1) "2"
        2) "3"
        3) "4"
        > LTRIM t x 0
        (error) ERR value is not an integer or out of range
        > LTRIM t 2 1
        OK
        > LLEN t
        (integer) 0
        > LTRIM none 0 0
        OK
        "#,
    );
}

#[test]
fn moving() {
    transcript(
        r#"
        > RPUSH a 1 2 3
        (integer) 3
        > LMOVE a b LEFT RIGHT
        "1"
        > LMOVE a b right left
        "3"
        > RPOPLPUSH a b
        "2"
        > LRANGE b 0 -1
        1) "2"
        2) "3"
        3) "1"
        > LLEN a
        (integer) 0
        > RPOPLPUSH b b
        "1"
        > LMOVE b b LEFT LEFT
        "1"
        > LRANGE b 0 -1
        1) "1"
        2) "2"
        3) "3"
        > LMOVE none b LEFT LEFT
        (nil)
        > RPOPLPUSH none b
        (nil)
        > LMOVE b a UP LEFT
        (error) ERR syntax error
        > SET s x
        OK
        > LMOVE s b LEFT LEFT
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > RPOPLPUSH b s
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > RPOPLPUSH none s
        (nil)
        > LLEN b
        (integer) 3
        > RPUSH one 1
        (integer) 1
        > RPOPLPUSH one one
        "1"
        > LLEN one
        (integer) 1
        "#,
    );
}

#[test]
fn blocking_commands_that_need_not_wait() {
    transcript(
        r#"
        > RPUSH b 1 2 3 4 5 6 7
        (integer) 7
        > BLPOP a b 0
        1) "b"
        2) "1"
        > BRPOP b a 0
        1) "b"
        2) "7"
        > BLMPOP 0 2 a b RIGHT COUNT 2
        1) "b"
        2) 1) "6"
           2) "5"
        > BLMOVE b c LEFT RIGHT 0
        "2"
        > BRPOPLPUSH b c 0
        "4"
        > LRANGE c 0 -1
        1) "4"
        2) "2"
        > BLPOP b 0
        1) "b"
        2) "3"
        > LLEN b
        (integer) 0
        > SET s x
        OK
        > BLPOP s b 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > BLMPOP 0 1 s LEFT
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > BLMOVE s c LEFT LEFT 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > BRPOPLPUSH c s 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn blocking_commands_whose_time_is_up() {
    transcript(
        r#"
        > BLPOP a b 0.01
        (nil)
        > BRPOP a 0.01
        (nil)
        > BLMPOP 0.01 1 a LEFT
        (nil)
        > BLMOVE a b LEFT LEFT 0.01
        (nil)
        > BRPOPLPUSH a b 0.01
        (nil)
        > BLPOP a -1
        (error) ERR timeout is negative
        > BLPOP a 1 x
        (error) ERR timeout is not a float or out of range
        > BLPOP a inf
        (error) ERR timeout is negative
        > BLMOVE a b LEFT UP x
        (error) ERR syntax error
        > BLMOVE a b LEFT LEFT x
        (error) ERR timeout is not a float or out of range
        > BRPOPLPUSH a b -2
        (error) ERR timeout is negative
        > BLMPOP x 0 a LEFT
        (error) ERR numkeys should be greater than 0
        > BLMPOP x 1 a LEFT
        (error) ERR timeout is not a float or out of range
        > BLMPOP -1 1 a LEFT
        (error) ERR timeout is negative
        > BLMPOP 1 2 a LEFT
        (error) ERR syntax error
        "#,
    );
}

/// What a command is to be repeated as, each part joined by spaces.
fn replay_of(bench: &mut Bench, line: &str) -> String {
    bench.line(line);
    match &bench.done.replay {
        Replay::Instead(commands) => commands.iter().fold(String::new(), |mut text, command| {
            let parts: Vec<_> = command.iter().map(|part| String::from_utf8_lossy(part)).collect();
            let _ = write!(text, "{};", parts.join(" "));
            text
        }),
        other => format!("{other:?}"),
    }
}

#[test]
fn blocking_commands_are_repeated_as_their_sisters() {
    let mut bench = Bench::new();
    bench.line("RPUSH l 1 2 3 4 5 6 7 8 9");
    for (line, replay) in [
        ("BLPOP none l 0", "LPOP l;"),
        ("BRPOP l 0", "RPOP l;"),
        ("BLMPOP 0 1 l LEFT COUNT 2", "LPOP l 2;"),
        ("LMPOP 1 l RIGHT", "RPOP l 1;"),
        ("BLMOVE l m LEFT RIGHT 0", "LMOVE l m LEFT RIGHT;"),
        ("BRPOPLPUSH l m 0", "RPOPLPUSH l m;"),
        ("BLMPOP 0 1 l LEFT COUNT 100", "LPOP l 2;"),
        ("RPOPLPUSH m m", "AsSent"),
    ] {
        assert_eq!(replay_of(&mut bench, line), replay, "{line}");
    }
}

#[test]
fn changes_are_counted_as_redis_counts_them() {
    let mut bench = Bench::new();
    for (line, changes) in [
        ("RPUSH l a b c d e f", 6),
        ("LPUSHX none a b", 0),
        ("LPOP l 2", 2),
        ("LPOP l 0", 0),
        ("LREM l 0 c", 1),
        ("LREM l 0 c", 0),
        ("LTRIM l 0 -1", 0),
        ("LMOVE l l LEFT RIGHT", 1),
        ("LINSERT l BEFORE none a", 0),
        ("LSET l 0 a", 1),
        ("LTRIM l 1 0", 3),
    ] {
        bench.line(line);
        assert_eq!(bench.done.changes, changes, "{line}");
    }
    assert_eq!(bench.line("LLEN l"), "(integer) 0");
}

#[test]
fn a_long_list_that_is_trimmed_is_freed_elsewhere() {
    let mut bench = Bench::new();
    let (to, garbage) = std::sync::mpsc::channel();
    bench.store.free_elsewhere(to);
    let element = "x".repeat(1_000);
    for _ in 0..1_000 {
        bench.line(&format!("RPUSH l {element}"));
    }
    bench.line("LTRIM l 0 10");
    assert_eq!(bench.line("LLEN l"), "(integer) 11");
    let freed: usize =
        garbage.try_iter().flatten().filter_map(|entry| entry.as_object().map(|object| object.len())).sum();
    assert!((900..=989).contains(&freed), "whole nodes go elsewhere, not {freed} elements");
}

#[test]
fn a_node_is_as_large_as_the_setting_says() {
    let mut bench = Bench::new();
    let set = |bench: &Bench, value: &[u8]| {
        let mut apply = |_: &_, _: &_, _: &[_]| Ok(());
        bench.server.config.set(&[(b"list-max-listpack-size", value)], &mut apply).expect("a valid setting");
    };
    let nodes = |bench: &Bench| {
        let key = crate::store::Key { bytes: b"l", hash: bench.store.hash(b"l") };
        let mut view = bench.store.view_whole(crate::store::Moment::at(bench.clock.unix_ms()), 0);
        view.get::<crate::data::List>(key).ok().flatten().map(|list| list.nodes().count())
    };
    set(&bench, b"2");
    bench.line("RPUSH l a b c d");
    assert_eq!(nodes(&bench), Some(2));
    set(&bench, b"-2");
    bench.line("RPUSH l e f g h");
    assert!(nodes(&bench).is_some_and(|nodes| nodes <= 3));
}

#[test]
fn arities_are_those_of_redis() {
    let registry = crate::command::Registry::new();
    for (name, arity) in [
        ("lpush", -3),
        ("rpush", -3),
        ("lpushx", -3),
        ("rpushx", -3),
        ("lpop", -2),
        ("rpop", -2),
        ("lmpop", -4),
        ("lindex", 3),
        ("llen", 2),
        ("lpos", -3),
        ("lrange", 4),
        ("linsert", 5),
        ("lrem", 4),
        ("lset", 4),
        ("ltrim", 4),
        ("lmove", 5),
        ("rpoplpush", 3),
        ("blpop", -3),
        ("brpop", -3),
        ("blmpop", -5),
        ("blmove", 6),
        ("brpoplpush", 4),
    ] {
        let command = registry.find(name.as_bytes()).map(|index| registry.get(index).arity);
        assert_eq!(command, Some(arity), "{name}");
    }
}
