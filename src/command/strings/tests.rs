//! What transcripts do not show: other types, what is repeated and announced, encodings, row facts.

use crate::command::context::Replay;
use crate::command::testing::Bench;
use crate::data::{List, NodeLimit};
use crate::resp::Protocol;
use crate::store::{Entry, Moment, Object};

/// Puts a list under `key`.
fn plant_list(bench: &Bench, key: &str) {
    let mut view = bench.store.view_whole(Moment::at(bench.clock.unix_ms()), 0);
    let mut list = List::default();
    list.push_back(b"x", NodeLimit::from_listpack_size(-2));
    let key = view.key(key.as_bytes());
    view.set_object(key, Object::List(list));
}

fn encoding(bench: &Bench, key: &str) -> Option<&'static str> {
    let mut view = bench.store.view_whole(Moment::at(bench.clock.unix_ms()), 0);
    let key = view.key(key.as_bytes());
    view.peek(key).map(Entry::encoding)
}

fn expire_at_ms(bench: &Bench, key: &str) -> Option<u64> {
    let mut view = bench.store.view_whole(Moment::at(bench.clock.unix_ms()), 0);
    let key = view.key(key.as_bytes());
    view.peek(key).and_then(Entry::expire_at_ms)
}

/// What a line is repeated as, joined by spaces; `None` when as it was sent.
fn replayed(bench: &mut Bench, line: &str) -> Option<String> {
    let reply = bench.line(line);
    assert!(!reply.starts_with("(error)"), "{line}: {reply}");
    match &bench.done.replay {
        Replay::AsSent | Replay::Nothing | Replay::ByReplicas => None,
        Replay::Instead(commands) => {
            let words = commands.iter().flatten();
            Some(words.map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" "))
        }
    }
}

const WRONG_TYPE: &str = "(error) WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn other_types_are_refused() {
    let mut bench = Bench::new();
    plant_list(&bench, "list");
    for line in [
        "GET list",
        "GETDEL list",
        "GETEX list",
        "GETEX list EX ten",
        "GETRANGE list 0 1",
        "SUBSTR list 0 1",
        "STRLEN list",
        "GETSET list v",
        "SET list v GET",
        "SET list v NX GET",
        "APPEND list v",
        "SETRANGE list 0 v",
        "SETRANGE list 0 \"\"",
        "INCR list",
        "DECR list",
        "INCRBY list 1",
        "DECRBY list 1",
        "INCRBYFLOAT list 1",
        "INCRBYFLOAT list x",
    ] {
        assert_eq!(bench.line(line), WRONG_TYPE, "{line}");
        assert_eq!(bench.done.changes, 0, "{line}");
    }
    assert_eq!(bench.line("INCRBY list x"), "(error) ERR value is not an integer or out of range");
    assert_eq!(
        bench.line("LCS list other WHAT"),
        "(error) ERR The specified keys must contain string values"
    );
    assert_eq!(bench.line("MGET list"), "1) (nil)");
    assert_eq!(bench.line("SETNX list v"), "(integer) 0");
    assert_eq!(bench.line("MSETNX other 1 list v"), "(integer) 0");
    assert_eq!(bench.line("SET list v XX"), "OK");
    assert_eq!(bench.line("GET list"), "\"v\"");
}

#[test]
fn set_overwrites_any_type() {
    let mut bench = Bench::new();
    for line in ["SET list v", "MSET list v", "SETEX list 10 v", "SET list v KEEPTTL"] {
        plant_list(&bench, "list");
        assert_eq!(bench.line(line), "OK");
        assert_eq!(bench.line("GET list"), "\"v\"");
    }
}

#[test]
fn what_is_repeated_is_the_effect() {
    let mut bench = Bench::new();
    let now = bench.clock.unix_ms();
    let in_ms = |ms: u64| (now + ms).to_string();
    for (line, expected) in [
        ("SET k v", None),
        ("SET k v NX", None),
        ("SET k v EX 10", Some(format!("SET k v PXAT {}", in_ms(10_000)))),
        ("SET k v PX 10 GET", Some(format!("SET k v PXAT {}", in_ms(10)))),
        ("SET k v EXAT 33177117420", Some("SET k v PXAT 33177117420000".to_owned())),
        ("SET k v PXAT 1 XX", Some("SET k v PXAT 1".to_owned())),
        ("SET k v GET", Some("SET k v".to_owned())),
        ("SET k v XX GET KEEPTTL", Some("SET k v KEEPTTL".to_owned())),
        ("SET k w NX GET", None),
        ("SETEX k 10 v", Some(format!("SET k v PXAT {}", in_ms(10_000)))),
        ("PSETEX k 10 v", Some(format!("SET k v PXAT {}", in_ms(10)))),
        ("GETSET k v", Some("SET k v".to_owned())),
        ("GETEX k", None),
        ("GETEX k PERSIST", None),
        ("GETEX k EX 10", Some(format!("PEXPIREAT k {}", in_ms(10_000)))),
        ("GETEX k PERSIST", Some("PERSIST k".to_owned())),
        ("GETEX k PXAT 1", Some("DEL k".to_owned())),
        ("INCRBYFLOAT n 1.5", Some("SET n 1.5 KEEPTTL".to_owned())),
        ("GETDEL n", Some("DEL n".to_owned())),
        ("GETDEL n", None),
        ("MSET a 1 b 2", None),
        ("INCR a", None),
        ("APPEND a 1", None),
    ] {
        assert_eq!(replayed(&mut bench, line), expected, "{line}");
    }
}

#[test]
fn changes_and_events_are_redis_s() {
    let mut bench = Bench::new();
    for (line, changes, events) in [
        ("SET k v", 1, "set"),
        ("SET k v NX", 0, ""),
        ("SET k v EX 10", 1, "set expire"),
        ("GET k", 0, ""),
        ("GETEX k", 0, ""),
        ("GETEX k PERSIST", 1, "persist"),
        ("GETEX k PERSIST", 0, ""),
        ("GETEX k EX 5", 1, "expire"),
        ("GETEX k PXAT 1", 1, "del"),
        ("SETEX k 10 v", 1, "set expire"),
        ("GETSET k v", 1, "set"),
        ("GETDEL k", 1, "del"),
        ("GETDEL k", 0, ""),
        ("SETNX k v", 1, "set"),
        ("SETNX k v", 0, ""),
        ("MSET a 1 b 2", 2, "set set"),
        ("MSETNX a 1 c 2", 0, ""),
        ("MSETNX c 1 d 2", 2, "set set"),
        ("INCR n", 1, "incrby"),
        ("DECRBY n 2", 1, "incrby"),
        ("INCRBYFLOAT n 2", 1, "incrbyfloat"),
        ("APPEND n 2", 1, "append"),
        ("SETRANGE n 1 2", 1, "setrange"),
        ("SETRANGE n 9 \"\"", 0, ""),
    ] {
        bench.line(line);
        let names: Vec<&str> = bench.done.events.iter().map(|(_, _, event)| event.name).collect();
        assert_eq!((bench.done.changes, names.join(" ").as_str()), (changes, events), "{line}");
    }
}

#[test]
fn encodings_are_redis_s() {
    let mut bench = Bench::new();
    let long = "x".repeat(45);
    for (line, expected) in [
        ("SET k 12", "int"),
        ("SETRANGE k 0 \"\"", "int"),
        ("APPEND k 3", "raw"),
        ("INCR k", "int"),
        ("INCRBYFLOAT k 1", "embstr"),
        ("SETRANGE k 0 9", "raw"),
        ("SET k 0012", "embstr"),
        ("APPEND fresh 12", "int"),
        (&format!("SET k {long}"), "raw"),
        (&format!("SET k {}", &long[1..]), "embstr"),
        ("SET k 99999999999999999999", "embstr"),
        ("GETSET k -1", "int"),
        ("MSET k 7", "int"),
    ] {
        bench.line(line);
        let key = line.split(' ').nth(1).unwrap_or("");
        assert_eq!(encoding(&bench, key), Some(expected), "{line}");
    }
}

#[test]
fn expiries_are_where_the_options_say() {
    let mut bench = Bench::new();
    let now = bench.clock.unix_ms();
    for (line, expected) in [
        ("SET k v EX 10", Some(now + 10_000)),
        ("SET k v PX 20", Some(now + 20)),
        ("SET k w KEEPTTL", Some(now + 20)),
        ("INCRBYFLOAT f 1", None),
        ("GETEX k PX 30", Some(now + 30)),
        ("GETEX k EX 9", Some(now + 9_000)),
        ("SET k a-longer-value-in-another-allocation KEEPTTL", Some(now + 9_000)),
        ("APPEND k more", Some(now + 9_000)),
        ("SET k 1", None),
        ("SET k 1 EXAT 33177117420", Some(33_177_117_420_000)),
        ("INCR k", Some(33_177_117_420_000)),
        ("GETEX k PERSIST", None),
        ("PSETEX k 5 v", Some(now + 5)),
        ("MSET k v", None),
        ("SET k v PXAT 9223372036854775807", Some(i64::MAX as u64)),
    ] {
        assert!(!bench.line(line).starts_with("(error)"), "{line}");
        let key = line.split(' ').nth(1).unwrap_or("");
        assert_eq!(expire_at_ms(&bench, key), expected, "{line}");
    }
}

#[test]
fn the_limit_of_a_string_is_a_setting() {
    let mut bench = Bench::new();
    let changed = bench.server.config.set(&[(b"proto-max-bulk-len", b"1mb")], &mut |_, _, _| Ok(()));
    assert!(changed.is_ok(), "{changed:?}");
    let too_long = "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(bench.line("SETRANGE k 1048575 x"), "(integer) 1048576");
    assert_eq!(bench.line("APPEND k x"), too_long);
    assert_eq!(bench.line("APPEND k \"\""), "(integer) 1048576");
    assert_eq!(bench.line("SETRANGE k 1048575 xy"), too_long);
    assert_eq!(bench.line("SETRANGE other 1048576 x"), too_long);
    assert_eq!(bench.line("STRLEN k"), "(integer) 1048576");
    assert_eq!(bench.line("STRLEN other"), "(integer) 0");
}

#[test]
fn resp3_answers_maps_and_nulls() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    assert_eq!(bench.raw(&[b"GET", b"nobody"]), b"_\r\n");
    assert_eq!(bench.raw(&[b"MGET", b"nobody"]), b"*1\r\n_\r\n");
    assert_eq!(bench.raw(&[b"SET", b"k", b"v", b"XX"]), b"_\r\n");
    assert_eq!(bench.raw(&[b"LCS", b"a", b"b", b"IDX"]), b"%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
}

#[test]
fn arities_are_those_of_redis() {
    // COMMAND INFO of a Redis 7.0.15.
    let expected = [
        ("append", 3),
        ("decr", 2),
        ("decrby", 3),
        ("get", 2),
        ("getdel", 2),
        ("getex", -2),
        ("getrange", 4),
        ("getset", 3),
        ("incr", 2),
        ("incrby", 3),
        ("incrbyfloat", 3),
        ("lcs", -3),
        ("mget", -2),
        ("mset", -3),
        ("msetnx", -3),
        ("psetex", 4),
        ("set", -3),
        ("setex", 4),
        ("setnx", 3),
        ("setrange", 4),
        ("strlen", 2),
        ("substr", 4),
    ];
    let bench = Bench::new();
    assert_eq!(expected.len(), super::COMMANDS.len());
    for (name, arity) in expected {
        let found = bench.registry.find(name.as_bytes()).map(|index| bench.registry.get(index).arity);
        assert_eq!(found, Some(arity), "{name}");
    }
}
