//! What a client sees of hashes, and what else their commands do.

use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn fields_come_change_and_go() {
    transcript(
        r#"
        > HSET h a 1 b 22
        (integer) 2
        > HSET h a 3 c 4 c 5
        (integer) 1
        > HMSET h d 6 a 7
        OK
        > HSETNX h a 8
        (integer) 0
        > HSETNX h e 9
        (integer) 1
        > HSETNX other a 1
        (integer) 1
        > HGET h a
        "7"
        > HGET h nothing
        (nil)
        > HGET nobody a
        (nil)
        > HMGET h a nothing c
        1) "7"
        2) (nil)
        3) "5"
        > HMGET nobody a b
        1) (nil)
        2) (nil)
        > HGETALL h
         1) "a"
         2) "7"
         3) "b"
         4) "22"
         5) "c"
         6) "5"
         7) "d"
         8) "6"
         9) "e"
        10) "9"
        > HDEL h d e nothing
        (integer) 2
        > HKEYS h
        1) "a"
        2) "b"
        3) "c"
        > HVALS h
        1) "7"
        2) "22"
        3) "5"
        > HLEN h
        (integer) 3
        > HSTRLEN h b
        (integer) 2
        > HSTRLEN h nothing
        (integer) 0
        > HSTRLEN nobody b
        (integer) 0
        > HEXISTS h b
        (integer) 1
        > HEXISTS h nothing
        (integer) 0
        > HEXISTS nobody b
        (integer) 0
        > HDEL h a b c d
        (integer) 3
        > HDEL h a
        (integer) 0
        > HLEN h
        (integer) 0
        > HGETALL h
        (empty array)
        > HKEYS h
        (empty array)
        > HVALS h
        (empty array)
        "#,
    );
}

#[test]
fn values_are_added_to() {
    transcript(
        r#"
        > HINCRBY h n 5
        (integer) 5
        > HINCRBY h n -7
        (integer) -2
        > HGET h n
        "-2"
        > HSET h text 1x big 9223372036854775807 padded 01
        (integer) 3
        > HINCRBY h text 1
        (error) ERR hash value is not an integer
        > HINCRBY h padded 1
        (error) ERR hash value is not an integer
        > HINCRBY h big 1
        (error) ERR increment or decrement would overflow
        > HINCRBY h n -9223372036854775808
        (error) ERR increment or decrement would overflow
        > HINCRBY h n x
        (error) ERR value is not an integer or out of range
        > HGET h big
        "9223372036854775807"
        "#,
    );
}

#[test]
fn a_walk_shows_pairs() {
    transcript(
        r#"
        > HSET h a 1 ab 2 b 3
        (integer) 3
        > HSCAN h 0
        1) "0"
        2) 1) "a"
           2) "1"
           3) "ab"
           4) "2"
           5) "b"
           6) "3"
        > HSCAN h 0 MATCH a? COUNT 1
        1) "0"
        2) 1) "ab"
           2) "2"
        > HSCAN nobody 0 WHATEVER
        1) "0"
        2) (empty array)
        > HSCAN h x
        (error) ERR invalid cursor
        > HSCAN h 0 COUNT 0
        (error) ERR syntax error
        > HSCAN h 0 NOVALUES
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
        > HSET text a 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HMSET text a 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HSETNX text a 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HGET text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HMGET text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HGETALL text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HKEYS text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HVALS text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HLEN text
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HSTRLEN text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HEXISTS text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HDEL text a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HINCRBY text a 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HINCRBY text a x
        (error) ERR value is not an integer or out of range
        > HSCAN text 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > HSET text a 1 b
        (error) ERR wrong number of arguments for 'hset' command
        > HMSET text a 1 b
        (error) ERR wrong number of arguments for 'hmset' command
        > HSET h a
        (error) ERR wrong number of arguments for 'hset' command
        > HMSET h a
        (error) ERR wrong number of arguments for 'hmset' command
        > HSETNX h a 1 2
        (error) ERR wrong number of arguments for 'hsetnx' command
        > HGET h
        (error) ERR wrong number of arguments for 'hget' command
        > HMGET h
        (error) ERR wrong number of arguments for 'hmget' command
        > HGETALL h a
        (error) ERR wrong number of arguments for 'hgetall' command
        > HKEYS h a
        (error) ERR wrong number of arguments for 'hkeys' command
        > HVALS h a
        (error) ERR wrong number of arguments for 'hvals' command
        > HLEN h a
        (error) ERR wrong number of arguments for 'hlen' command
        > HSTRLEN h
        (error) ERR wrong number of arguments for 'hstrlen' command
        > HEXISTS h
        (error) ERR wrong number of arguments for 'hexists' command
        > HDEL h
        (error) ERR wrong number of arguments for 'hdel' command
        > HINCRBY h a
        (error) ERR wrong number of arguments for 'hincrby' command
        > HSCAN h
        (error) ERR wrong number of arguments for 'hscan' command
        "#,
    );
}

#[test]
fn changes_are_told_and_counted() {
    let mut bench = Bench::new();
    bench.line("HSET h a 1 b 2 a 1");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (3, &["hset h@0".to_owned()][..]));
    bench.line("HMSET h a 1");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["hset h@0".to_owned()][..]));
    bench.line("HSETNX h a 1");
    assert_eq!((bench.done.changes, bench.done.events().len()), (0, 0));
    bench.line("HINCRBY h n 1");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (1, &["hincrby h@0".to_owned()][..]));
    bench.line("HDEL h a b x");
    assert_eq!((bench.done.changes, &bench.done.events()[..]), (2, &["hdel h@0".to_owned()][..]));
    bench.line("HDEL h n");
    assert_eq!(bench.done.events(), ["hdel h@0", "del h@0"]);
}

#[test]
fn the_settings_bound_a_packed_hash() {
    let mut bench = Bench::new();
    let encoding = |bench: &Bench, key: &[u8]| {
        let mut view = bench.store.view_whole(crate::store::Moment::at(1), 0);
        let key = view.key(key);
        view.peek(key).and_then(crate::store::Entry::as_object).map(crate::store::Object::encoding)
    };
    bench
        .server
        .config
        .set(&[(b"hash-max-listpack-entries", b"2")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    bench
        .server
        .config
        .set(&[(b"hash-max-listpack-value", b"3")], &mut |_, _, _| Ok(()))
        .expect("a good value");
    bench.line("HSET h a 123 b 1");
    assert_eq!(encoding(&bench, b"h"), Some("listpack"));
    bench.line("HSET h c 1");
    assert_eq!(encoding(&bench, b"h"), Some("hashtable"));
    bench.line("HSET long a 1234");
    assert_eq!(encoding(&bench, b"long"), Some("hashtable"));
    bench.line("HINCRBY sum n 1234");
    assert_eq!(encoding(&bench, b"sum"), Some("hashtable"));
}

#[test]
fn resp3_has_maps() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    bench.line("HSET h a 1");
    assert_eq!(bench.raw(&[b"HGETALL", b"h"]), b"%1\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_eq!(bench.raw(&[b"HGETALL", b"nobody"]), b"%0\r\n");
    assert_eq!(bench.raw(&[b"HKEYS", b"nobody"]), b"*0\r\n");
    assert_eq!(bench.raw(&[b"HMGET", b"h", b"a", b"b"]), b"*2\r\n$1\r\n1\r\n_\r\n");
    assert_eq!(bench.raw(&[b"HGET", b"h", b"b"]), b"_\r\n");
}
