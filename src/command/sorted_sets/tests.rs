//! What a client sees of sorted sets, and what else their commands do.

use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn members_have_scores() {
    transcript(
        r#"
        > ZADD z 1 a 2.5 b -inf c 0x10 d
        (integer) 4
        > ZADD z 1 a 3 b 4 e
        (integer) 1
        > ZCARD z
        (integer) 5
        > ZCARD nobody
        (integer) 0
        > ZSCORE z b
        "3"
        > ZSCORE z c
        "-inf"
        > ZSCORE z nothing
        (nil)
        > ZSCORE nobody a
        (nil)
        > ZMSCORE z d nothing e
        1) "16"
        2) (nil)
        3) "4"
        > ZMSCORE nobody a
        1) (nil)
        > ZRANK z c
        (integer) 0
        > ZRANK z d
        (integer) 4
        > ZREVRANK z d
        (integer) 0
        > ZREVRANK z c
        (integer) 4
        > ZRANK z nothing
        (nil)
        > ZREVRANK nobody a
        (nil)
        > ZREM z a nothing
        (integer) 1
        > ZREM z b c d e
        (integer) 4
        > ZREM z a
        (integer) 0
        > ZCARD z
        (integer) 0
        > ZADD z 0.1 a -0.0 b 3e20 c 1e-7 d
        (integer) 4
        > ZMSCORE z a b c d
        1) "0.10000000000000001"
        2) "0"
        3) "3e+20"
        4) "9.9999999999999995e-08"
        "#,
    );
}

#[test]
fn zadd_has_options() {
    transcript(
        r#"
        > ZADD z XX 1 a
        (integer) 0
        > ZADD z XX INCR 1 a
        (nil)
        > ZCARD z
        (integer) 0
        > ZADD z NX 1 a 2 b
        (integer) 2
        > ZADD z nx 9 a 3 c
        (integer) 1
        > ZADD z XX 5 a 5 d
        (integer) 0
        > ZADD z XX CH 6 a 5 b 5 d
        (integer) 2
        > ZADD z CH 6 a 7 b 4 e
        (integer) 2
        > ZADD z GT CH 5 a 8 b 1 f
        (integer) 2
        > ZADD z LT CH 5 a 9 b 2 g
        (integer) 2
        > ZADD z XX GT CH 6 a 9 h
        (integer) 1
        > ZADD z INCR 1.5 a
        "7.5"
        > ZADD z NX INCR 1 a
        (nil)
        > ZADD z GT INCR -1 a
        (nil)
        > ZADD z LT INCR -1 a
        "6.5"
        > ZADD z CH INCR 0 a
        "6.5"
        > ZINCRBY z 2 a
        "8.5"
        > ZINCRBY z 2 new
        "2"
        > ZADD z inf i
        (integer) 1
        > ZINCRBY z -inf i
        (error) ERR resulting score is not a number (NaN)
        > ZADD z INCR -inf i
        (error) ERR resulting score is not a number (NaN)
        > ZRANGE z 0 -1 WITHSCORES
         1) "f"
         2) "1"
         3) "g"
         4) "2"
         5) "new"
         6) "2"
         7) "c"
         8) "3"
         9) "e"
        10) "4"
        11) "b"
        12) "8"
        13) "a"
        14) "8.5"
        15) "i"
        16) "inf"
        "#,
    );
}

#[test]
fn zadd_refuses() {
    transcript(
        r#"
        > ZADD z NX XX 1 a
        (error) ERR XX and NX options at the same time are not compatible
        > ZADD z GT LT 1 a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD z GT NX 1 a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD z LT NX 1 a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD z INCR 1 a 2 b
        (error) ERR INCR option supports a single increment-element pair
        > ZADD z 1 a 2
        (error) ERR syntax error
        > ZADD z NX XX 1
        (error) ERR syntax error
        > ZADD z NX CH
        (error) ERR syntax error
        > ZADD z 1 a x b
        (error) ERR value is not a valid float
        > ZADD z nan a
        (error) ERR value is not a valid float
        > ZADD z WHAT 1
        (error) ERR value is not a valid float
        > ZINCRBY z x a
        (error) ERR value is not a valid float
        > ZCARD z
        (integer) 0
        > ZADD z 1
        (error) ERR wrong number of arguments for 'zadd' command
        > ZINCRBY z 1
        (error) ERR wrong number of arguments for 'zincrby' command
        > ZREM z
        (error) ERR wrong number of arguments for 'zrem' command
        "#,
    );
}

#[test]
fn members_are_popped() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 3 c 4 d 5 e
        (integer) 5
        > ZPOPMIN z
        1) "a"
        2) "1"
        > ZPOPMAX z
        1) "e"
        2) "5"
        > ZPOPMIN z 0
        (empty array)
        > ZPOPMAX z 2
        1) "d"
        2) "4"
        3) "c"
        4) "3"
        > ZPOPMIN z 9
        1) "b"
        2) "2"
        > ZPOPMIN z
        (empty array)
        > ZPOPMAX nobody 3
        (empty array)
        > ZPOPMIN z -1
        (error) ERR value is out of range, must be positive
        > ZPOPMAX z x
        (error) ERR value is out of range, must be positive
        > ZPOPMIN z x y
        (error) ERR syntax error
        > ZPOPMAX z x y
        (error) ERR syntax error
        > ZPOPMIN
        (error) ERR wrong number of arguments for 'zpopmin' command
        > ZPOPMAX
        (error) ERR wrong number of arguments for 'zpopmax' command
        "#,
    );
}

#[test]
fn ranges_by_rank() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 3 c
        (integer) 3
        > ZRANGE z 0 -1
        1) "a"
        2) "b"
        3) "c"
        > ZRANGE z -2 99
        1) "b"
        2) "c"
        > ZRANGE z -99 0 WITHSCORES
        1) "a"
        2) "1"
        > ZRANGE z 0 1 REV
        1) "c"
        2) "b"
        > ZRANGE z -1 -1 rev withscores
        1) "a"
        2) "1"
        > ZRANGE z 2 1
        (empty array)
        > ZRANGE z 3 9
        (empty array)
        > ZRANGE z 0 -9
        (empty array)
        > ZRANGE z 0 0 LIMIT 5 -1
        1) "a"
        > ZRANGE nobody 0 -1 WITHSCORES
        (empty array)
        > ZRANGE z 0 1 LIMIT 0 1
        (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        > ZRANGE z a 1
        (error) ERR value is not an integer or out of range
        > ZRANGE z 0 1.5
        (error) ERR value is not an integer or out of range
        > ZRANGE z 0 1 WHAT
        (error) ERR syntax error
        > ZRANGE z 0 1 REV REV
        (error) ERR syntax error
        > ZRANGE z 0
        (error) ERR wrong number of arguments for 'zrange' command
        "#,
    );
}

#[test]
fn ranges_by_score() {
    transcript(
        r#"
        > ZADD z 1 a 2 b 2 bb 3 c inf d
        (integer) 5
        > ZRANGE z 2 3 BYSCORE
        1) "b"
        2) "bb"
        3) "c"
        > ZRANGE z (2 +inf BYSCORE WITHSCORES
        1) "c"
        2) "3"
        3) "d"
        4) "inf"
        > ZRANGE z 3 (1 BYSCORE REV
        1) "c"
        2) "bb"
        3) "b"
        > ZRANGE z -inf inf BYSCORE LIMIT 1 2
        1) "b"
        2) "bb"
        > ZRANGE z inf -inf BYSCORE REV LIMIT 1 2
        1) "c"
        2) "bb"
        > ZRANGE z -inf inf BYSCORE LIMIT 3 -1
        1) "c"
        2) "d"
        > ZRANGE z -inf inf BYSCORE LIMIT 0 0
        (empty array)
        > ZRANGE z -inf inf BYSCORE LIMIT -1 5
        (empty array)
        > ZRANGE z -inf inf BYSCORE LIMIT 9 5
        (empty array)
        > ZRANGE z 3 1 BYSCORE
        (empty array)
        > ZRANGE z x 1 BYSCORE
        (error) ERR min or max is not a float
        > ZRANGE z 1 2 BYSCORE LIMIT 1
        (error) ERR syntax error
        > ZRANGE z 1 2 BYSCORE LIMIT 1 x
        (error) ERR value is not an integer or out of range
        > ZRANGE z 1 2 BYSCORE BYLEX
        (error) ERR syntax error
        > ZCOUNT z 1 2
        (integer) 3
        > ZCOUNT z (1 (3
        (integer) 2
        > ZCOUNT z 3 1
        (integer) 0
        > ZCOUNT nobody 0 1
        (integer) 0
        > ZCOUNT z "" " 2"
        (integer) 3
        > ZCOUNT z ( 1e999
        (integer) 5
        > ZCOUNT z nan 1
        (error) ERR min or max is not a float
        > ZCOUNT z 1 (x
        (error) ERR min or max is not a float
        > ZCOUNT z 1 " "
        (error) ERR min or max is not a float
        > ZCOUNT z 1
        (error) ERR wrong number of arguments for 'zcount' command
        "#,
    );
}

#[test]
fn ranges_by_member() {
    transcript(
        r#"
        > ZADD z 0 a 0 aa 0 b 0 c
        (integer) 4
        > ZRANGE z - + BYLEX
        1) "a"
        2) "aa"
        3) "b"
        4) "c"
        > ZRANGE z [aa (c BYLEX
        1) "aa"
        2) "b"
        > ZRANGE z (a + BYLEX LIMIT 1 1
        1) "b"
        > ZRANGE z [b - BYLEX REV
        1) "b"
        2) "aa"
        3) "a"
        > ZRANGE z + (a BYLEX REV LIMIT 1 -1
        1) "b"
        2) "aa"
        > ZRANGE z + - BYLEX
        (empty array)
        > ZRANGE z - - BYLEX
        (empty array)
        > ZRANGE z a c BYLEX
        (error) ERR min or max not valid string range item
        > ZRANGE z -- + BYLEX
        (error) ERR min or max not valid string range item
        > ZRANGE z - + BYLEX WITHSCORES
        (error) ERR syntax error, WITHSCORES not supported in combination with BYLEX
        "#,
    );
}

#[test]
fn a_walk_shows_members_and_scores() {
    transcript(
        r#"
        > ZADD z 1 a 2.5 ab inf b
        (integer) 3
        > ZSCAN z 0
        1) "0"
        2) 1) "a"
           2) "1"
           3) "ab"
           4) "2.5"
           5) "b"
           6) "inf"
        > ZSCAN z 0 MATCH ?b COUNT 5
        1) "0"
        2) 1) "ab"
           2) "2.5"
        > ZSCAN nobody 0 WHATEVER
        1) "0"
        2) (empty array)
        > ZSCAN z x
        (error) ERR invalid cursor
        > ZSCAN z 0 COUNT
        (error) ERR syntax error
        > ZSCAN z
        (error) ERR wrong number of arguments for 'zscan' command
        "#,
    );
}

#[test]
fn other_types_are_refused() {
    transcript(
        r#"
        > SET text 1
        OK
        > ZADD text 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZADD text XX 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZADD text x a
        (error) ERR value is not a valid float
        > ZINCRBY text 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZREM text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZCARD text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZSCORE text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZMSCORE text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZRANK text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZREVRANK text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZPOPMIN text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZPOPMAX text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZRANGE text 0 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZCOUNT text 0 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZSCAN text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZCARD z z
        (error) ERR wrong number of arguments for 'zcard' command
        > ZSCORE z
        (error) ERR wrong number of arguments for 'zscore' command
        > ZMSCORE z
        (error) ERR wrong number of arguments for 'zmscore' command
        > ZRANK z
        (error) ERR wrong number of arguments for 'zrank' command
        > ZREVRANK z
        (error) ERR wrong number of arguments for 'zrevrank' command
        "#,
    );
}

/// The packed form is searched from its start, the large one by its tree: both must agree.
#[test]
fn large_sets_answer_as_small_ones() {
    let pairs: Vec<String> = (0..60).map(|number| format!("{} m{number:02}", number / 7)).collect();
    let fill = format!("ZADD z {}", pairs.join(" "));
    let mut small = Bench::new();
    let mut large = Bench::new();
    large
        .server
        .config
        .set(&[(b"zset-max-listpack-entries", b"0")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    for bench in [&mut small, &mut large] {
        bench.line(&fill);
    }
    for line in [
        "ZRANGE z 3 50 WITHSCORES",
        "ZRANGE z 3 50 REV",
        "ZRANGE z (2 7 BYSCORE",
        "ZRANGE z 7 (2 BYSCORE REV LIMIT 3 5",
        "ZRANGE z [m05 (m09 BYLEX LIMIT 1 2",
        "ZCOUNT z 1 (4",
        "ZRANK z m31",
        "ZREVRANK z m31",
        "ZPOPMIN z 3",
        "ZPOPMAX z 3",
        "ZADD z GT CH 9 m20 0 m21",
        "ZREM z m20 m21 m22",
        "ZRANGE z 0 -1 WITHSCORES",
    ] {
        assert_eq!(large.line(line), small.line(line), "{line}");
    }
}

#[test]
fn the_settings_bound_a_packed_set() {
    let mut bench = Bench::new();
    let encoding = |bench: &Bench, key: &[u8]| {
        let mut view = bench.store.view_whole(crate::store::Moment::at(1), 0);
        let key = view.key(key);
        view.peek(key).and_then(crate::store::Entry::as_object).map(crate::store::Object::encoding)
    };
    bench
        .server
        .config
        .set(&[(b"zset-max-listpack-entries", b"2")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    bench
        .server
        .config
        .set(&[(b"zset-max-listpack-value", b"3")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    bench.line("ZADD z 1 abc 2 b");
    assert_eq!(encoding(&bench, b"z"), Some("listpack"));
    bench.line("ZADD z 3 c");
    assert_eq!(encoding(&bench, b"z"), Some("skiplist"));
    bench.line("ZADD long 1 abcd");
    assert_eq!(encoding(&bench, b"long"), Some("skiplist"));
}

#[test]
fn changes_are_told_and_counted() {
    let mut bench = Bench::new();
    bench.line("ZADD z 1 a 2 b 3 c");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (3, &["zadd z@0".to_owned()][..]));
    bench.line("ZADD z 1 a 3 b 4 d");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["zadd z@0".to_owned()][..]));
    bench.line("ZADD z 1 a");
    assert_eq!((bench.done.changes, bench.done.events().len()), (0, 0));
    bench.line("ZINCRBY z 1 a");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["zincr z@0".to_owned()][..]));
    bench.line("ZREM z a x");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["zrem z@0".to_owned()][..]));
    bench.line("ZPOPMIN z 2");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["zpopmin z@0".to_owned()][..]));
    bench.line("ZPOPMAX z");
    assert_eq!(bench.done.events(), ["zpopmax z@0", "del z@0"]);
}

#[test]
fn resp3_has_doubles_and_pairs() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("ZADD z 1.5 a 2 b 3 c");
    assert_eq!(bench.raw(&[b"ZSCORE", b"z", b"a"]), b",1.5\r\n");
    assert_eq!(bench.raw(&[b"ZMSCORE", b"z", b"a", b"x"]), b"*2\r\n,1.5\r\n_\r\n");
    assert_eq!(bench.raw(&[b"ZINCRBY", b"z", b"1", b"b"]), b",3\r\n");
    assert_eq!(bench.raw(&[b"ZADD", b"z", b"NX", b"INCR", b"1", b"b"]), b"_\r\n");
    assert_eq!(
        bench.raw(&[b"ZRANGE", b"z", b"0", b"1", b"WITHSCORES"]),
        b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,3\r\n"
    );
    assert_eq!(bench.raw(&[b"ZPOPMIN", b"z"]), b"*2\r\n$1\r\na\r\n,1.5\r\n");
    assert_eq!(bench.raw(&[b"ZPOPMIN", b"z", b"1"]), b"*1\r\n*2\r\n$1\r\nb\r\n,3\r\n");
    assert_eq!(bench.raw(&[b"ZPOPMAX", b"nobody", b"1"]), b"*0\r\n");
    assert_eq!(bench.raw(&[b"ZSCAN", b"z", b"0"]), b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
}
