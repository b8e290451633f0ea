//! Transcripts of several sets made one.

use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn sets_are_united() {
    transcript(
        r#"
        > ZADD a 1 x 2 y 3 z
        (integer) 3
        > ZADD b 10 y 20 w
        (integer) 2
        > SADD s x q
        (integer) 2
        > ZUNION 2 a b
        1) "x"
        2) "z"
        3) "y"
        4) "w"
        > ZUNION 2 a b WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        5) "y"
        6) "12"
        7) "w"
        8) "20"
        > ZUNION 2 a b WEIGHTS 2 -1 WITHSCORES
        1) "w"
        2) "-20"
        3) "y"
        4) "-6"
        5) "x"
        6) "2"
        7) "z"
        8) "6"
        > ZUNION 2 a b AGGREGATE MIN WITHSCORES
        1) "x"
        2) "1"
        3) "y"
        4) "2"
        5) "z"
        6) "3"
        7) "w"
        8) "20"
        > ZUNION 2 a b AGGREGATE max WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        5) "y"
        6) "10"
        7) "w"
        8) "20"
        > ZUNION 3 a b s AGGREGATE SUM WITHSCORES
         1) "q"
         2) "1"
         3) "x"
         4) "2"
         5) "z"
         6) "3"
         7) "y"
         8) "12"
         9) "w"
        10) "20"
        > ZUNION 1 nobody
        (empty array)
        > ZUNION 2 a a WITHSCORES
        1) "x"
        2) "2"
        3) "y"
        4) "4"
        5) "z"
        6) "6"
        > ZUNIONSTORE t 2 a b
        (integer) 4
        > ZRANGE t 0 -1 WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        5) "y"
        6) "12"
        7) "w"
        8) "20"
        > ZUNIONSTORE t 2 a s WEIGHTS 1.5 3 AGGREGATE MAX
        (integer) 4
        > ZRANGE t 0 -1 WITHSCORES
        1) "q"
        2) "3"
        3) "x"
        4) "3"
        5) "y"
        6) "3"
        7) "z"
        8) "4.5"
        > ZUNIONSTORE a 2 a b
        (integer) 4
        > ZRANGE a 0 -1 WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        5) "y"
        6) "12"
        7) "w"
        8) "20"
        > ZUNIONSTORE t 1 nobody
        (integer) 0
        > EXISTS t
        (integer) 0
        > ZUNIONSTORE t 2 a b WITHSCORES
        (error) ERR syntax error
        > ZADD i inf m
        (integer) 1
        > ZADD j -inf m
        (integer) 1
        > ZUNION 2 i j WITHSCORES
        1) "m"
        2) "0"
        > ZUNION 1 i WEIGHTS 0 WITHSCORES
        1) "m"
        2) "0"
        > ZUNIONSTORE t 2 i j WEIGHTS 1 -1
        (integer) 1
        > ZRANGE t 0 -1 WITHSCORES
        1) "m"
        2) "inf"
        "#,
    );
}

#[test]
fn unions_refuse() {
    transcript(
        r#"
        > SET text x
        OK
        > ZADD a 1 x
        (integer) 1
        > ZUNION 0 a
        (error) ERR at least 1 input key is needed for 'zunion' command
        > ZUNION -1 a
        (error) ERR at least 1 input key is needed for 'zunion' command
        > ZUNION x a
        (error) ERR value is not an integer or out of range
        > ZUNION 2 a
        (error) ERR syntax error
        > ZUNIONSTORE t 0 a
        (error) ERR at least 1 input key is needed for 'zunionstore' command
        > ZUNIONSTORE t 3 a a
        (error) ERR syntax error
        > ZINTER 0 a
        (error) ERR at least 1 input key is needed for 'zinter' command
        > ZINTERSTORE t 0 a
        (error) ERR at least 1 input key is needed for 'zinterstore' command
        > ZINTERCARD 0 a
        (error) ERR at least 1 input key is needed for 'zintercard' command
        > ZDIFF 0 a
        (error) ERR at least 1 input key is needed for 'zdiff' command
        > ZDIFFSTORE t 0 a
        (error) ERR at least 1 input key is needed for 'zdiffstore' command
        > ZUNION 1 text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZUNION 1 text WHAT
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZUNION 1 a WHAT
        (error) ERR syntax error
        > ZUNION 1 a WEIGHTS
        (error) ERR syntax error
        > ZUNION 1 a WEIGHTS x
        (error) ERR weight value is not a float
        > ZUNION 1 a WEIGHTS 1 2
        (error) ERR syntax error
        > ZUNION 1 a AGGREGATE
        (error) ERR syntax error
        > ZUNION 1 a AGGREGATE avg
        (error) ERR syntax error
        > ZDIFF 1 a WEIGHTS 1
        (error) ERR syntax error
        > ZDIFF 1 a AGGREGATE sum
        (error) ERR syntax error
        > ZINTERCARD 1 a WITHSCORES
        (error) ERR syntax error
        > ZINTERCARD 1 a LIMIT -1
        (error) ERR LIMIT can't be negative
        > ZINTERCARD 1 a LIMIT x
        (error) ERR LIMIT can't be negative
        > ZINTERCARD 1 a LIMIT
        (error) ERR syntax error
        > ZINTERCARD 1 text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZDIFFSTORE t 1 text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZINTERSTORE t 1 a WITHSCORES
        (error) ERR syntax error
        > ZUNION 1
        (error) ERR wrong number of arguments for 'zunion' command
        > ZUNIONSTORE t 1
        (error) ERR wrong number of arguments for 'zunionstore' command
        > ZINTER 1
        (error) ERR wrong number of arguments for 'zinter' command
        > ZINTERSTORE t 1
        (error) ERR wrong number of arguments for 'zinterstore' command
        > ZINTERCARD 1
        (error) ERR wrong number of arguments for 'zintercard' command
        > ZDIFF 1
        (error) ERR wrong number of arguments for 'zdiff' command
        > ZDIFFSTORE t 1
        (error) ERR wrong number of arguments for 'zdiffstore' command
        "#,
    );
}

#[test]
fn sets_are_intersected_and_subtracted() {
    transcript(
        r#"
        > ZADD a 1 x 2 y 3 z 4 w
        (integer) 4
        > ZADD b 10 y 20 w 30 v
        (integer) 3
        > SADD s y z
        (integer) 2
        > ZINTER 2 a b
        1) "y"
        2) "w"
        > ZINTER 2 a b WITHSCORES
        1) "y"
        2) "12"
        3) "w"
        4) "24"
        > ZINTER 2 a b WEIGHTS 1 0.5 AGGREGATE MIN WITHSCORES
        1) "y"
        2) "2"
        3) "w"
        4) "4"
        > ZINTER 3 a b s WITHSCORES
        1) "y"
        2) "13"
        > ZINTER 2 a nobody
        (empty array)
        > ZINTERSTORE t 2 a b AGGREGATE max
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "y"
        2) "10"
        3) "w"
        4) "20"
        > ZINTERSTORE t 2 a nobody
        (integer) 0
        > EXISTS t
        (integer) 0
        > ZINTERCARD 2 a b
        (integer) 2
        > ZINTERCARD 2 a b LIMIT 1
        (integer) 1
        > ZINTERCARD 2 a b LIMIT 0
        (integer) 2
        > ZINTERCARD 2 a a LIMIT 9
        (integer) 4
        > ZINTERCARD 1 nobody
        (integer) 0
        > ZDIFF 2 a b
        1) "x"
        2) "z"
        > ZDIFF 2 a b WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        > ZDIFF 3 a b s
        1) "x"
        > ZDIFF 2 a a
        (empty array)
        > ZDIFF 2 nobody a
        (empty array)
        > ZDIFF 1 a WITHSCORES
        1) "x"
        2) "1"
        3) "y"
        4) "2"
        5) "z"
        6) "3"
        7) "w"
        8) "4"
        > ZDIFFSTORE t 2 a b
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "x"
        2) "1"
        3) "z"
        4) "3"
        > ZDIFFSTORE t 2 a a
        (integer) 0
        > EXISTS t
        (integer) 0
        "#,
    );
}

#[test]
fn results_are_told() {
    let mut bench = Bench::new();
    bench.line("ZADD a 1 x 2 y");
    bench.line("ZADD b 1 x");
    bench.line("ZUNIONSTORE t 2 a b");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["zunionstore t@0".to_owned()][..]));
    bench.line("ZINTERSTORE t 2 a b");
    assert_eq!(bench.done.events(), ["zinterstore t@0"]);
    bench.line("ZDIFFSTORE t 2 a b");
    assert_eq!(bench.done.events(), ["zdiffstore t@0"]);
    bench.line("ZDIFFSTORE t 2 a a");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["del t@0".to_owned()][..]));
}

#[test]
fn resp3_pairs_members_with_scores() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("ZADD a 1.5 x");
    for command in [&b"ZUNION"[..], b"ZINTER", b"ZDIFF"] {
        let reply = bench.raw(&[command, b"1", b"a", b"WITHSCORES"]);
        assert_eq!(reply, b"*1\r\n*2\r\n$1\r\nx\r\n,1.5\r\n");
        assert_eq!(bench.raw(&[command, b"1", b"a"]), b"*1\r\n$1\r\nx\r\n");
    }
}

/// Results beyond the limits take the large form, all others the packed one, as in Redis.
#[test]
fn results_are_packed_when_small() {
    let mut bench = Bench::new();
    let setting = (&b"zset-max-listpack-entries"[..], &b"3"[..]);
    bench.server.config.set(&[setting], &mut |_, _, _| Ok(())).expect("a good value");
    bench.line("ZADD a 1 a 2 b 3 c 4 d");
    bench.line("ZADD b 1 a");
    for (line, encoding) in [
        ("ZUNIONSTORE t 2 a b", "skiplist"),
        ("ZINTERSTORE t 2 a b", "listpack"),
        ("ZDIFFSTORE t 2 a b", "listpack"),
        ("ZRANGESTORE t a 0 -1", "skiplist"),
        ("ZRANGESTORE t a 0 2", "listpack"),
    ] {
        bench.line(line);
        assert_eq!(bench.line("OBJECT ENCODING t"), format!("\"{encoding}\""), "{line}");
    }
}
