//! Transcripts of members drawn, popped from several keys, and waited for.

use crate::command::context::Replay;
use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn members_are_drawn() {
    transcript(
        r#"
        > ZADD z 1 a 2 b
        (integer) 2
        > ZRANDMEMBER nobody
        (nil)
        > ZRANDMEMBER nobody 5
        (empty array)
        > ZRANDMEMBER z 0
        (empty array)
        > ZRANDMEMBER z x
        (error) ERR value is not an integer or out of range
        > ZRANDMEMBER z 1 WHAT
        (error) ERR syntax error
        > ZRANDMEMBER z 1 WITHSCORES x
        (error) ERR syntax error
        > ZRANDMEMBER z -9223372036854775808
        (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        > ZRANDMEMBER z -9223372036854775807 WITHSCORES
        (error) ERR value is out of range
        > ZRANDMEMBER z 9223372036854775807 WITHSCORES
        (error) ERR value is out of range
        > ZADD one 5 m
        (integer) 1
        > ZRANDMEMBER one
        "m"
        > ZRANDMEMBER one 3 WITHSCORES
        1) "m"
        2) "5"
        > ZRANDMEMBER one -2
        1) "m"
        2) "m"
        > ZRANDMEMBER one -2 withscores
        1) "m"
        2) "5"
        3) "m"
        4) "5"
        > ZRANDMEMBER
        (error) ERR wrong number of arguments for 'zrandmember' command
        > SET text x
        OK
        > ZRANDMEMBER text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZRANDMEMBER text 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn several_keys_are_popped() {
    transcript(
        r#"
        > ZADD b 1 a 2 b 3 c 4 d
        (integer) 4
        > ZMPOP 2 a b MIN
        1) "b"
        2) 1) 1) "a"
              2) "1"
        > ZMPOP 2 a b MAX COUNT 2
        1) "b"
        2) 1) 1) "d"
              2) "4"
           2) 1) "c"
              2) "3"
        > ZMPOP 1 b min count 10
        1) "b"
        2) 1) 1) "b"
              2) "2"
        > ZMPOP 2 a b MIN
        (nil)
        > ZMPOP 0 a MIN
        (error) ERR numkeys should be greater than 0
        > ZMPOP x a MIN
        (error) ERR numkeys should be greater than 0
        > ZMPOP 2 a MIN
        (error) ERR syntax error
        > ZMPOP 1 a MIDDLE
        (error) ERR syntax error
        > ZMPOP 1 a MIN COUNT
        (error) ERR syntax error
        > ZMPOP 1 a MIN COUNT 0
        (error) ERR count should be greater than 0
        > ZMPOP 1 a MIN COUNT x
        (error) ERR count should be greater than 0
        > ZMPOP 1 a MIN COUNT 1 COUNT 1
        (error) ERR syntax error
        > ZMPOP 1 a MIN WHAT 1
        (error) ERR syntax error
        > ZMPOP 1 a
        (error) ERR wrong number of arguments for 'zmpop' command
        > SET text x
        OK
        > ZMPOP 2 a text MIN
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn members_are_waited_for() {
    transcript(
        r#"
        > ZADD b 1 a 2 b 3 c 4 d 5 e
        (integer) 5
        > BZPOPMIN a b 0
        1) "b"
        2) "a"
        3) "1"
        > BZPOPMAX a b 0
        1) "b"
        2) "e"
        3) "5"
        > BZPOPMIN a 0.01
        (nil)
        > BZPOPMAX a 0.01
        (nil)
        > BZMPOP 0 2 a b MIN
        1) "b"
        2) 1) 1) "b"
              2) "2"
        > BZMPOP 0 1 b MAX COUNT 5
        1) "b"
        2) 1) 1) "d"
              2) "4"
           2) 1) "c"
              2) "3"
        > BZMPOP 0.01 1 b MAX
        (nil)
        > BZPOPMIN a x
        (error) ERR timeout is not a float or out of range
        > BZPOPMAX a -1
        (error) ERR timeout is negative
        > BZMPOP x 1 a MIN
        (error) ERR timeout is not a float or out of range
        > BZMPOP -1 1 a MIN
        (error) ERR timeout is negative
        > BZMPOP 1 0 a MIN
        (error) ERR numkeys should be greater than 0
        > BZMPOP 1 1 a MIDDLE
        (error) ERR syntax error
        > BZMPOP 1 1 a MIN COUNT 0
        (error) ERR count should be greater than 0
        > BZMPOP 1 1 a MIN COUNT 1 WHAT
        (error) ERR syntax error
        > BZMPOP 1 1 a
        (error) ERR wrong number of arguments for 'bzmpop' command
        > BZPOPMIN a
        (error) ERR wrong number of arguments for 'bzpopmin' command
        > BZPOPMAX a
        (error) ERR wrong number of arguments for 'bzpopmax' command
        > SET text x
        OK
        > BZPOPMIN a text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > BZPOPMAX text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > BZMPOP 0 1 text MIN
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn many_members_are_drawn_fairly() {
    let mut bench = Bench::new();
    let pairs: Vec<String> = (0..300).map(|number| format!("{number} m{number}")).collect();
    bench.line(&format!("ZADD z {}", pairs.join(" ")));
    for count in [1usize, 5, 50, 150, 299, 300, 1_000] {
        let reply = bench.line(&format!("ZRANDMEMBER z {count}"));
        let members: std::collections::HashSet<&str> =
            reply.lines().filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(members.len(), count.min(300), "all differ");
    }
    assert_eq!(bench.line("ZRANDMEMBER z -1000 WITHSCORES").lines().count(), 2_000);
    let single = bench.line("ZRANDMEMBER z");
    assert!(single.starts_with("\"m"), "{single}");
}

#[test]
fn what_is_repeated_is_a_plain_pop() {
    let mut bench = Bench::new();
    let command = |words: &[&[u8]]| Replay::Instead(vec![words.iter().map(|word| word.to_vec()).collect()]);
    bench.line("ZADD z 1 a 2 b 3 c 4 d 5 e");
    bench.line("BZPOPMIN x z 0");
    assert_eq!(bench.done.replay, command(&[b"ZPOPMIN", b"z"]));
    bench.line("BZPOPMAX z 0");
    assert_eq!(bench.done.replay, command(&[b"ZPOPMAX", b"z"]));
    bench.line("ZMPOP 1 z MAX COUNT 2");
    assert_eq!(bench.done.replay, command(&[b"ZPOPMAX", b"z", b"2"]));
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["zpopmax z@0".to_owned()][..]));
    bench.line("BZMPOP 0 1 z MIN COUNT 9");
    assert_eq!(bench.done.replay, command(&[b"ZPOPMIN", b"z", b"1"]));
    assert_eq!(bench.done.events(), ["zpopmin z@0", "del z@0"]);
    bench.line("BZMPOP 0.01 1 z MIN");
    assert!(bench.parked);
    bench.line("ZMPOP 1 z MIN");
    assert!(!bench.parked);
}

#[test]
fn resp3_shapes_of_pops() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("ZADD z 1 a 2 b 3 c");
    assert_eq!(bench.raw(&[b"BZPOPMIN", b"z", b"0"]), b"*3\r\n$1\r\nz\r\n$1\r\na\r\n,1\r\n");
    assert_eq!(
        bench.raw(&[b"ZRANDMEMBER", b"z", b"-1", b"WITHSCORES"]).len(),
        b"*1\r\n*2\r\n$1\r\nb\r\n,2\r\n".len()
    );
    assert_eq!(bench.raw(&[b"ZMPOP", b"1", b"z", b"MIN"]), b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n,2\r\n");
    assert_eq!(bench.raw(&[b"ZMPOP", b"1", b"x", b"MIN"]), b"_\r\n");
}
