//! What a client sees of sets, and what else their commands do.

use crate::command::context::Replay;
use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn members_come_and_go() {
    transcript(
        r#"
        > SADD s 3 1 2 3
        (integer) 3
        > SADD s 3
        (integer) 0
        > SCARD s
        (integer) 3
        > SMEMBERS s
        1) "1"
        2) "2"
        3) "3"
        > SISMEMBER s 2
        (integer) 1
        > SISMEMBER s 02
        (integer) 0
        > SISMEMBER nobody 2
        (integer) 0
        > SMISMEMBER s 1 x 3
        1) (integer) 1
        2) (integer) 0
        3) (integer) 1
        > SMISMEMBER nobody a b
        1) (integer) 0
        2) (integer) 0
        > SREM s 1 9
        (integer) 1
        > SREM s 2 3 4
        (integer) 2
        > SCARD s
        (integer) 0
        > SREM s 2
        (integer) 0
        > SMEMBERS s
        (empty array)
        > SADD t a
        (integer) 1
        > SMEMBERS t
        1) "a"
        "#,
    );
}

#[test]
fn members_are_drawn() {
    transcript(
        r#"
        > SADD s 1 2 3
        (integer) 3
        > SRANDMEMBER s 9
        1) "1"
        2) "2"
        3) "3"
        > SPOP s 0
        (empty array)
        > SPOP s 9
        1) "1"
        2) "2"
        3) "3"
        > SPOP s
        (nil)
        > SPOP s 3
        (empty array)
        > SADD s a
        (integer) 1
        > SRANDMEMBER s
        "a"
        > SRANDMEMBER s 5
        1) "a"
        > SRANDMEMBER s -3
        1) "a"
        2) "a"
        3) "a"
        > SRANDMEMBER s 0
        (empty array)
        > SRANDMEMBER nobody
        (nil)
        > SRANDMEMBER nobody 2
        (empty array)
        > SRANDMEMBER nobody -2
        (empty array)
        > SPOP s
        "a"
        > SCARD s
        (integer) 0
        "#,
    );
}

#[test]
fn a_walk_shows_members() {
    transcript(
        r#"
        > SADD s 1 2 12
        (integer) 3
        > SSCAN s 0
        1) "0"
        2) 1) "1"
           2) "2"
           3) "12"
        > SSCAN s 0 MATCH 1* COUNT 1
        1) "0"
        2) 1) "1"
           2) "12"
        > SSCAN s 0 COUNT 100 MATCH *
        1) "0"
        2) 1) "1"
           2) "2"
           3) "12"
        > SSCAN nobody 0 WHATEVER
        1) "0"
        2) (empty array)
        > SSCAN s x
        (error) ERR invalid cursor
        > SSCAN s 0 COUNT 0
        (error) ERR syntax error
        > SSCAN s 0 COUNT x
        (error) ERR value is not an integer or out of range
        > SSCAN s 0 MATCH
        (error) ERR syntax error
        > SSCAN s 0 TYPE set
        (error) ERR syntax error
        "#,
    );
}

#[test]
fn requests_are_refused() {
    transcript(
        r#"
        > SET text 1
        OK
        > SADD text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SREM text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SCARD text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SISMEMBER text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SMISMEMBER text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SMEMBERS text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SPOP text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SPOP text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SRANDMEMBER text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SRANDMEMBER text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SSCAN text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SPOP text -1
        (error) ERR value is out of range, must be positive
        > SPOP text x
        (error) ERR value is out of range, must be positive
        > SPOP text x y
        (error) ERR syntax error
        > SRANDMEMBER text x y
        (error) ERR syntax error
        > SRANDMEMBER text x
        (error) ERR value is not an integer or out of range
        > SRANDMEMBER text -9223372036854775808
        (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        > SADD s
        (error) ERR wrong number of arguments for 'sadd' command
        > SREM s
        (error) ERR wrong number of arguments for 'srem' command
        > SCARD s s
        (error) ERR wrong number of arguments for 'scard' command
        > SISMEMBER s
        (error) ERR wrong number of arguments for 'sismember' command
        > SMISMEMBER s
        (error) ERR wrong number of arguments for 'smismember' command
        > SMEMBERS s s
        (error) ERR wrong number of arguments for 'smembers' command
        > SPOP
        (error) ERR wrong number of arguments for 'spop' command
        > SRANDMEMBER
        (error) ERR wrong number of arguments for 'srandmember' command
        > SSCAN s
        (error) ERR wrong number of arguments for 'sscan' command
        "#,
    );
}

#[test]
fn changes_are_told_and_counted() {
    let mut bench = Bench::new();
    bench.line("SADD s 1 2 3 3");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (3, &["sadd s@0".to_owned()][..]));
    bench.line("SADD s 1");
    assert_eq!((bench.done.changes, bench.done.events().len()), (0, 0));
    bench.line("SREM s 1 2");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["srem s@0".to_owned()][..]));
    bench.line("SREM s 3");
    assert_eq!(bench.done.events(), ["srem s@0", "del s@0"]);
    assert_eq!(bench.done.replay, Replay::AsSent);
}

#[test]
fn what_chance_chose_is_repeated_by_name() {
    let repeated = |bench: &Bench| match &bench.done.replay {
        Replay::Instead(commands) => commands
            .iter()
            .map(|command| String::from_utf8_lossy(&command.join(&b' ')).into_owned())
            .collect(),
        other => vec![format!("{other:?}")],
    };
    let mut bench = Bench::new();
    bench.line("SADD s a");
    bench.line("SPOP s");
    assert_eq!(repeated(&bench), ["SREM s a"]);
    assert_eq!(bench.done.events(), ["spop s@0", "del s@0"]);
    bench.line("SADD s 1 2 3 4 5");
    let popped = bench.line("SPOP s 2");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["spop s@0".to_owned()][..]));
    let expected: Vec<String> =
        popped.lines().map(|line| format!("SREM s {}", line[3..].trim_matches('"'))).collect();
    assert_eq!(repeated(&bench), expected);
    bench.line("SPOP s 3");
    assert_eq!((repeated(&bench), bench.done.changes), (vec!["DEL s".to_owned()], 3));
    assert_eq!(bench.done.events(), ["spop s@0", "del s@0"]);
}

/// Both ways to choose: a walk where many are wanted, drawing where few are.
#[test]
fn chosen_members_differ_and_come_from_the_set() {
    let mut bench = Bench::new();
    let members: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    bench.line(&format!("SADD s {}", members.join(" ")));
    for count in [2, 10, 33, 34, 60, 99] {
        let shown = bench.line(&format!("SRANDMEMBER s {count}"));
        let mut chosen: Vec<&str> = shown.lines().filter_map(|line| line.split('"').nth(1)).collect();
        assert_eq!(chosen.len(), count);
        assert!(chosen.iter().all(|member| members.iter().any(|known| known == member)));
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), count);
    }
    // A hundred draws that all miss one half would be a broken generator.
    let shown = bench.line("SRANDMEMBER s -100");
    let low =
        shown.lines().filter(|line| line.split('"').nth(1).is_some_and(|member| member.len() == 2)).count();
    assert!(shown.lines().count() == 100 && low < 60, "{low} of 100 draws hit the ten short members");
}

#[test]
fn a_large_set_is_walked_completely() {
    let mut bench = Bench::new();
    let members: Vec<String> = (0..1000).map(|number| format!("m{number}")).collect();
    bench.line(&format!("SADD s {}", members.join(" ")));
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), std::collections::HashSet::new(), 0);
    loop {
        let shown = bench.line(&format!("SSCAN s {cursor} COUNT 50"));
        let mut words = shown.lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned);
        cursor = words.next().expect("a cursor");
        seen.extend(words);
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), members.len());
    assert!((10..=21).contains(&calls), "{calls} calls of about 50 members each");
}

#[test]
fn the_setting_bounds_a_packed_set() {
    let mut bench = Bench::new();
    bench.line("SADD s 1");
    let encoding = |bench: &Bench| {
        let mut view = bench.store.view_whole(crate::store::Moment::at(1), 0);
        let key = view.key(b"s");
        view.peek(key).and_then(crate::store::Entry::as_object).map(crate::store::Object::encoding)
    };
    assert_eq!(encoding(&bench), Some("intset"));
    bench
        .server
        .config
        .set(&[(b"set-max-intset-entries", b"1")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    bench.line("SADD s 2");
    assert_eq!(encoding(&bench), Some("hashtable"));
}

#[test]
fn resp3_has_sets() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("SADD s 1 2");
    assert_eq!(bench.raw(&[b"SMEMBERS", b"s"]), b"~2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(bench.raw(&[b"SMEMBERS", b"nobody"]), b"~0\r\n");
    assert_eq!(bench.raw(&[b"SRANDMEMBER", b"s", b"2"]), b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(bench.raw(&[b"SRANDMEMBER", b"nobody"]), b"_\r\n");
    assert_eq!(bench.raw(&[b"SPOP", b"s", b"0"]), b"~0\r\n");
    assert_eq!(bench.raw(&[b"SPOP", b"s", b"2"]), b"~2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(bench.raw(&[b"SPOP", b"s", b"2"]), b"~0\r\n");
    assert_eq!(bench.raw(&[b"SPOP", b"s"]), b"_\r\n");
}
