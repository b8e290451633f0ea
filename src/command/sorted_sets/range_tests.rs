//! Transcripts of ranges under all their names: read, stored, counted and removed.

use crate::command::testing::{Bench, transcript};

#[test]
fn ranges_by_their_older_names() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 3 c 4 d
        (integer) 4
        > ZREVRANGE z 0 -1
        1) "d"
        2) "c"
        3) "b"
        4) "a"
        > ZREVRANGE z 0 1 WITHSCORES
        1) "d"
        2) "4"
        3) "c"
        4) "3"
        > ZREVRANGE z 0 1 REV
        (error) ERR syntax error
        > ZREVRANGE z 0 1 LIMIT 0 1
        (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        > ZREVRANGE z a 1
        (error) ERR value is not an integer or out of range
        > ZREVRANGE z 1
        (error) ERR wrong number of arguments for 'zrevrange' command
        > ZRANGEBYSCORE z 2 3
        1) "b"
        2) "c"
        > ZRANGEBYSCORE z (2 +inf WITHSCORES
        1) "c"
        2) "3"
        3) "d"
        4) "4"
        > ZRANGEBYSCORE z -inf +inf LIMIT 1 2
        1) "b"
        2) "c"
        > ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 1 -1
        1) "b"
        2) "2"
        3) "c"
        4) "3"
        5) "d"
        6) "4"
        > ZRANGEBYSCORE z 1 2 BYLEX
        (error) ERR syntax error
        > ZRANGEBYSCORE z x 2
        (error) ERR min or max is not a float
        > ZRANGEBYSCORE z 1 2 LIMIT 1
        (error) ERR syntax error
        > ZRANGEBYSCORE nobody 1 2
        (empty array)
        > ZRANGEBYSCORE z 1
        (error) ERR wrong number of arguments for 'zrangebyscore' command
        > ZREVRANGEBYSCORE z 3 2
        1) "c"
        2) "b"
        > ZREVRANGEBYSCORE z +inf (2 WITHSCORES LIMIT 1 1
        1) "c"
        2) "3"
        > ZREVRANGEBYSCORE z 2 3
        (empty array)
        > ZREVRANGEBYSCORE z 1
        (error) ERR wrong number of arguments for 'zrevrangebyscore' command
        > ZADD l 0 a 0 b 0 c 0 d
        (integer) 4
        > ZRANGEBYLEX l - +
        1) "a"
        2) "b"
        3) "c"
        4) "d"
        > ZRANGEBYLEX l [b (d
        1) "b"
        2) "c"
        > ZRANGEBYLEX l - + LIMIT 1 2
        1) "b"
        2) "c"
        > ZRANGEBYLEX l - + WITHSCORES
        (error) ERR syntax error, WITHSCORES not supported in combination with BYLEX
        > ZRANGEBYLEX l b +
        (error) ERR min or max not valid string range item
        > ZRANGEBYLEX l -
        (error) ERR wrong number of arguments for 'zrangebylex' command
        > ZREVRANGEBYLEX l + -
        1) "d"
        2) "c"
        3) "b"
        4) "a"
        > ZREVRANGEBYLEX l (d [b
        1) "c"
        2) "b"
        > ZREVRANGEBYLEX l + - LIMIT 1 1
        1) "c"
        > ZREVRANGEBYLEX l -
        (error) ERR wrong number of arguments for 'zrevrangebylex' command
        > ZLEXCOUNT l - +
        (integer) 4
        > ZLEXCOUNT l (a [c
        (integer) 2
        > ZLEXCOUNT l + -
        (integer) 0
        > ZLEXCOUNT nobody - +
        (integer) 0
        > ZLEXCOUNT l a +
        (error) ERR min or max not valid string range item
        > ZLEXCOUNT l -
        (error) ERR wrong number of arguments for 'zlexcount' command
        "#,
    );
}

#[test]
fn ranges_are_stored() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 3 c 4 d
        (integer) 4
        > ZRANGESTORE t z 1 2
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "b"
        2) "2"
        3) "c"
        4) "3"
        > ZRANGESTORE t z 0 0 REV
        (integer) 1
        > ZRANGE t 0 -1 WITHSCORES
        1) "d"
        2) "4"
        > ZRANGESTORE t z (1 3 BYSCORE LIMIT 0 5
        (integer) 2
        > ZRANGE t 0 -1
        1) "b"
        2) "c"
        > ZRANGESTORE t z 4 2 BYSCORE REV LIMIT 1 1
        (integer) 1
        > ZRANGE t 0 -1
        1) "c"
        > ZRANGESTORE t z [b + BYLEX
        (integer) 3
        > ZRANGE t 0 -1
        1) "b"
        2) "c"
        3) "d"
        > ZRANGESTORE t z 5 9
        (integer) 0
        > EXISTS t
        (integer) 0
        > ZRANGESTORE t nobody 0 -1
        (integer) 0
        > SET t text
        OK
        > ZRANGESTORE t z 0 -1
        (integer) 4
        > TYPE t
        zset
        > ZRANGESTORE z z 1 2
        (integer) 2
        > ZRANGE z 0 -1
        1) "b"
        2) "c"
        > ZRANGESTORE t z 0 -1 WITHSCORES
        (error) ERR syntax error
        > ZRANGESTORE t z a -1
        (error) ERR value is not an integer or out of range
        > ZRANGESTORE t z 0 -1 LIMIT 0 1
        (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        > ZRANGESTORE t z 0
        (error) ERR wrong number of arguments for 'zrangestore' command
        > SET text x
        OK
        > ZRANGESTORE t text 0 -1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn members_are_removed_by_range() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g
        (integer) 7
        > ZREMRANGEBYRANK z 1 2
        (integer) 2
        > ZRANGE z 0 -1
        1) "a"
        2) "d"
        3) "e"
        4) "f"
        5) "g"
        > ZREMRANGEBYRANK z -1 -1
        (integer) 1
        > ZREMRANGEBYRANK z 5 9
        (integer) 0
        > ZREMRANGEBYRANK z a 1
        (error) ERR value is not an integer or out of range
        > ZREMRANGEBYRANK z 1
        (error) ERR wrong number of arguments for 'zremrangebyrank' command
        > ZREMRANGEBYRANK nobody 0 1
        (integer) 0
        > ZREMRANGEBYSCORE z (1 4
        (integer) 1
        > ZRANGE z 0 -1
        1) "a"
        2) "e"
        3) "f"
        > ZREMRANGEBYSCORE z 100 200
        (integer) 0
        > ZREMRANGEBYSCORE z x 1
        (error) ERR min or max is not a float
        > ZREMRANGEBYSCORE z 1
        (error) ERR wrong number of arguments for 'zremrangebyscore' command
        > ZREMRANGEBYSCORE z -inf inf
        (integer) 3
        > EXISTS z
        (integer) 0
        > ZADD z 0 a 0 b 0 c 0 d
        (integer) 4
        > ZREMRANGEBYLEX z [b (d
        (integer) 2
        > ZRANGE z 0 -1
        1) "a"
        2) "d"
        > ZREMRANGEBYLEX z - -
        (integer) 0
        > ZREMRANGEBYLEX z b c
        (error) ERR min or max not valid string range item
        > ZREMRANGEBYLEX z -
        (error) ERR wrong number of arguments for 'zremrangebylex' command
        > ZREMRANGEBYLEX z - +
        (integer) 2
        > EXISTS z
        (integer) 0
        > SET text x
        OK
        > ZREMRANGEBYRANK text 0 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZREMRANGEBYSCORE text 0 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZREMRANGEBYLEX text - +
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn ranges_tell_what_they_changed() {
    let mut bench = Bench::new();
    bench.line("ZADD z 1 a 2 b 3 c 4 d");
    bench.line("ZRANGESTORE t z 0 1");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["zrangestore t@0".to_owned()][..]));
    bench.line("ZRANGESTORE t z 9 9");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["del t@0".to_owned()][..]));
    bench.line("ZRANGESTORE t z 9 9");
    assert_eq!((bench.done.changes, bench.done.events().len()), (0, 0));
    bench.line("ZREMRANGEBYRANK z 0 1");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["zremrangebyrank z@0".to_owned()][..]));
    bench.line("ZREMRANGEBYSCORE z 3 3");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["zremrangebyscore z@0".to_owned()][..]));
    bench.line("ZREMRANGEBYLEX z - +");
    assert_eq!(
        (bench.done.changes, &bench.done.events()[..]),
        (1, &["zremrangebylex z@0".to_owned(), "del z@0".to_owned()][..])
    );
}

/// Removal by range goes through two forms of the set: both must agree.
#[test]
fn large_sets_lose_ranges_as_small_ones() {
    let pairs: Vec<String> = (0..100).map(|number| format!("{} m{number:02}", number / 7)).collect();
    let mut small = Bench::new();
    let mut large = Bench::new();
    let setting = (&b"zset-max-listpack-entries"[..], &b"0"[..]);
    large.server.config.set(&[setting], &mut |_, _, _| Ok(())).expect("a good value");
    for bench in [&mut small, &mut large] {
        bench.line(&format!("ZADD z {}", pairs.join(" ")));
    }
    for line in [
        "ZREMRANGEBYRANK z 3 20",
        "ZREMRANGEBYSCORE z (5 7",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZRANGESTORE t z 5 9 REV",
        "ZRANGE t 0 -1",
        "ZREMRANGEBYRANK z -3 -1",
        "ZRANGE z 0 -1 WITHSCORES",
    ] {
        assert_eq!(large.line(line), small.line(line), "{line}");
    }
}
