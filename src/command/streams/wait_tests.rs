//! What a client sees of XREAD and XREADGROUP.

use crate::command::testing::{Bench, transcript};
use crate::resp::Protocol;

#[test]
fn what_is_delivered_is_pending() {
    transcript(
        r#"
        > XADD s 1-0 n 1
        "1-0"
        > XADD s 2-0 n 2
        "2-0"
        > XADD s 3-0 n 3
        "3-0"
        > XGROUP CREATE s g 0
        OK
        > XPENDING s g
        1) (integer) 0
        2) (nil)
        3) (nil)
        4) (nil)
        > XREADGROUP GROUP g a COUNT 2 STREAMS s >
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        > XREADGROUP GROUP g b STREAMS s >
        1) 1) "s"
           2) 1) 1) "3-0"
                 2) 1) "n"
                    2) "3"
        > XREADGROUP GROUP g b STREAMS s >
        (nil)
        > XREADGROUP GROUP g a STREAMS s 0
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        > XREADGROUP GROUP g a COUNT 1 STREAMS s 1
        1) 1) "s"
           2) 1) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        > XPENDING s g
        1) (integer) 3
        2) "1-0"
        3) "3-0"
        4) 1) 1) "a"
              2) "2"
           2) 1) "b"
              2) "1"
        > XPENDING s g IDLE 100000 - + 10
        (empty array)
        > XPENDING s g IDLE 100000 - + 10 a
        (empty array)
        > XPENDING s g - + 10 nobody
        (empty array)
        > XPENDING s g - + 0
        (empty array)
        > XPENDING s g (3-0 + 10
        (empty array)
        > XPENDING s g IDLE x - + 10
        (error) ERR value is not an integer or out of range
        > XPENDING s g IDLE 1 - +
        (error) ERR syntax error
        > XPENDING s g - +
        (error) ERR syntax error
        > XPENDING s g - + x
        (error) ERR value is not an integer or out of range
        > XPENDING s g x + 10
        (error) ERR Invalid stream ID specified as stream command argument
        > XPENDING s nogroup
        (error) NOGROUP No such key 's' or consumer group 'nogroup'
        > XPENDING none g
        (error) NOGROUP No such key 'none' or consumer group 'g'
        > XDEL s 1-0
        (integer) 1
        > XREADGROUP GROUP g a STREAMS s 0
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) (nil)
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        > XACK s g 1-0 3-0 9-9
        (integer) 2
        > XACK s g 1-0
        (integer) 0
        > XACK s nogroup 1-0
        (integer) 0
        > XACK none g 1-0
        (integer) 0
        > XACK s g x
        (error) ERR Invalid stream ID specified as stream command argument
        > XPENDING s g
        1) (integer) 1
        2) "2-0"
        3) "2-0"
        4) 1) 1) "a"
              2) "1"
        > XREADGROUP GROUP g c NOACK STREAMS s >
        (nil)
        > XADD s 4-0 n 4
        "4-0"
        > XREADGROUP GROUP g c NOACK STREAMS s >
        1) 1) "s"
           2) 1) 1) "4-0"
                 2) 1) "n"
                    2) "4"
        > XPENDING s g
        1) (integer) 1
        2) "2-0"
        3) "2-0"
        4) 1) 1) "a"
              2) "1"
        > XINFO GROUPS s
        1)  1) "name"
            2) "g"
            3) "consumers"
            4) (integer) 3
            5) "pending"
            6) (integer) 1
            7) "last-delivered-id"
            8) "4-0"
            9) "entries-read"
           10) (integer) 4
           11) "lag"
           12) (integer) 0
        > SET k v
        OK
        > XACK k g 1-0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XPENDING k g
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn pending_entries_are_claimed() {
    transcript(
        r#"
        > XADD s 1-0 n 1
        "1-0"
        > XADD s 2-0 n 2
        "2-0"
        > XADD s 3-0 n 3
        "3-0"
        > XGROUP CREATE s g 0
        OK
        > XREADGROUP GROUP g a STREAMS s >
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
              3) 1) "3-0"
                 2) 1) "n"
                    2) "3"
        > XCLAIM s g b 0 1-0
        1) 1) "1-0"
           2) 1) "n"
              2) "1"
        > XCLAIM s g b 0 2-0 JUSTID
        1) "2-0"
        > XCLAIM s g b 100000 3-0
        (empty array)
        > XCLAIM s g b 0 7-7 FORCE JUSTID
        (empty array)
        > XCLAIM s g b 0 1-0 3-0 JUSTID RETRYCOUNT 7 IDLE 5
        1) "1-0"
        2) "3-0"
        > XCLAIM s g b 0 1-0 TIME 1000 LASTID 9-0 FORCE
        1) 1) "1-0"
           2) 1) "n"
              2) "1"
        > XPENDING s g
        1) (integer) 3
        2) "1-0"
        3) "3-0"
        4) 1) 1) "b"
              2) "3"
        > XINFO GROUPS s
        1)  1) "name"
            2) "g"
            3) "consumers"
            4) (integer) 2
            5) "pending"
            6) (integer) 3
            7) "last-delivered-id"
            8) "9-0"
            9) "entries-read"
           10) (integer) 3
           11) "lag"
           12) (integer) 0
        > XDEL s 1-0
        (integer) 1
        > XCLAIM s g c 0 1-0 2-0
        1) 1) "2-0"
           2) 1) "n"
              2) "2"
        > XPENDING s g
        1) (integer) 2
        2) "2-0"
        3) "3-0"
        4) 1) 1) "b"
              2) "1"
           2) 1) "c"
              2) "1"
        > XACK s g 3-0
        (integer) 1
        > XCLAIM s g c 0 3-0
        (empty array)
        > XCLAIM s g c 0 3-0 FORCE
        1) 1) "3-0"
           2) 1) "n"
              2) "3"
        > XCLAIM s g c x 3-0
        (error) ERR Invalid min-idle-time argument for XCLAIM
        > XCLAIM s g c 0 3-0 IDLE x
        (error) ERR Invalid IDLE option argument for XCLAIM
        > XCLAIM s g c 0 3-0 TIME x
        (error) ERR Invalid TIME option argument for XCLAIM
        > XCLAIM s g c 0 3-0 RETRYCOUNT x
        (error) ERR Invalid RETRYCOUNT option argument for XCLAIM
        > XCLAIM s g c 0 3-0 LASTID x
        (error) ERR Invalid stream ID specified as stream command argument
        > XCLAIM s g c 0 3-0 WHAT
        (error) ERR Unrecognized XCLAIM option 'WHAT'
        > XCLAIM s g c 0 3-0 TIME
        (error) ERR Unrecognized XCLAIM option 'TIME'
        > XCLAIM s nogroup c 0 3-0
        (error) NOGROUP No such key 's' or consumer group 'nogroup'
        > XCLAIM none g c 0 3-0
        (error) NOGROUP No such key 'none' or consumer group 'g'
        > SET k v
        OK
        > XCLAIM k g c 0 3-0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn what_pends_for_long_is_claimed() {
    transcript(
        r#"
        > XADD s 1-0 n 1
        "1-0"
        > XADD s 2-0 n 2
        "2-0"
        > XADD s 3-0 n 3
        "3-0"
        > XADD s 4-0 n 4
        "4-0"
        > XGROUP CREATE s g 0
        OK
        > XREADGROUP GROUP g a STREAMS s >
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
              3) 1) "3-0"
                 2) 1) "n"
                    2) "3"
              4) 1) "4-0"
                 2) 1) "n"
                    2) "4"
        > XAUTOCLAIM s g b 0 - COUNT 1
        1) "2-0"
        2) 1) 1) "1-0"
              2) 1) "n"
                 2) "1"
        3) (empty array)
        > XAUTOCLAIM s g b 0 2-0 COUNT 1 JUSTID
        1) "3-0"
        2) 1) "2-0"
        3) (empty array)
        > XDEL s 3-0
        (integer) 1
        > XAUTOCLAIM s g c 0 (1-0 COUNT 2
        1) "4-0"
        2) 1) 1) "2-0"
              2) 1) "n"
                 2) "2"
        3) 1) "3-0"
        > XAUTOCLAIM s g c 0 0
        1) "0-0"
        2) 1) 1) "1-0"
              2) 1) "n"
                 2) "1"
           2) 1) "2-0"
              2) 1) "n"
                 2) "2"
           3) 1) "4-0"
              2) 1) "n"
                 2) "4"
        3) (empty array)
        > XAUTOCLAIM s g c 100000 0
        1) "0-0"
        2) (empty array)
        3) (empty array)
        > XPENDING s g
        1) (integer) 3
        2) "1-0"
        3) "4-0"
        4) 1) 1) "c"
              2) "3"
        > XAUTOCLAIM s g c x 0
        (error) ERR Invalid min-idle-time argument for XAUTOCLAIM
        > XAUTOCLAIM s g c 0 x
        (error) ERR Invalid stream ID specified as stream command argument
        > XAUTOCLAIM s g c 0 0 COUNT 0
        (error) ERR COUNT must be > 0
        > XAUTOCLAIM s g c 0 0 COUNT x
        (error) ERR COUNT must be > 0
        > XAUTOCLAIM s g c 0 0 COUNT
        (error) ERR syntax error
        > XAUTOCLAIM s g c 0 0 WHAT
        (error) ERR syntax error
        > XAUTOCLAIM s nogroup c 0 0
        (error) NOGROUP No such key 's' or consumer group 'nogroup'
        > XAUTOCLAIM none g c 0 0
        (error) NOGROUP No such key 'none' or consumer group 'g'
        > SET k v
        OK
        > XAUTOCLAIM k g c 0 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn several_streams_are_read_at_once() {
    transcript(
        r#"
        > XADD a 1-0 n 1
        "1-0"
        > XADD a 2-0 n 2
        "2-0"
        > XADD b 1-0 n 1
        "1-0"
        > XREAD STREAMS a b 0 0
        1) 1) "a"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
              2) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        2) 1) "b"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
        > XREAD COUNT 1 STREAMS a b c 1-0 0-5 0
        1) 1) "a"
           2) 1) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        2) 1) "b"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
        > XREAD COUNT -1 STREAMS a 2-0
        (nil)
        > XREAD STREAMS a $
        (nil)
        > XREAD BLOCK 10 STREAMS a b $ 1
        (nil)
        > XREAD STREAMS c $
        (nil)
        > XREAD STREAMS a
        (error) ERR wrong number of arguments for 'xread' command
        > XREAD STREAMS
        (error) ERR wrong number of arguments for 'xread' command
        > XREAD COUNT x STREAMS a 0
        (error) ERR value is not an integer or out of range
        > XREAD BLOCK x STREAMS a 0
        (error) ERR timeout is not an integer or out of range
        > XREAD BLOCK -1 STREAMS a 0
        (error) ERR timeout is negative
        > XREAD STREAMS a b 0
        (error) ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.
        > XREAD STREAMS a x
        (error) ERR Invalid stream ID specified as stream command argument
        > XREAD STREAMS a >
        (error) ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
        > XREAD NOACK STREAMS a 0
        (error) ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.
        > XREAD GROUP g c STREAMS a 0
        (error) ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.
        > XREAD WHAT STREAMS a 0
        (error) ERR syntax error
        > XGROUP CREATE a g 0
        OK
        > XREADGROUP GROUP g c STREAMS a b > >
        (error) NOGROUP No such key 'b' or consumer group 'g' in XREADGROUP with GROUP option
        > XREADGROUP GROUP g c STREAMS c >
        (error) NOGROUP No such key 'c' or consumer group 'g' in XREADGROUP with GROUP option
        > XREADGROUP GROUP g c STREAMS a $
        (error) ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.
        > XREADGROUP GROUP g c STREAMS a x
        (error) ERR Invalid stream ID specified as stream command argument
        > XREADGROUP COUNT 1 NOACK STREAMS a b c > > >
        (error) ERR Missing GROUP option for XREADGROUP
        > XREADGROUP GROUP g c COUNT 1 BLOCK 10 STREAMS a >
        1) 1) "a"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
        > XREADGROUP GROUP g c BLOCK 10 STREAMS a >
        1) 1) "a"
           2) 1) 1) "2-0"
                 2) 1) "n"
                    2) "2"
        > XREADGROUP GROUP g c BLOCK 10 STREAMS a >
        (nil)
        > COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0
        1) "a"
        2) "b"
        > COMMAND GETKEYS XREADGROUP GROUP g c STREAMS a b > >
        1) "a"
        2) "b"
        > COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0
        1) "a"
        > SET k v
        OK
        > XREAD STREAMS k 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XREADGROUP GROUP g c STREAMS k >
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn a_map_of_streams_in_resp3() {
    let mut bench = Bench::new();
    bench.line("XADD a 1-0 n 1");
    bench.protocol = Protocol::Resp3;
    let reply = bench.raw(&[b"XREAD", b"STREAMS", b"a", b"b", b"0", b"0"]);
    assert_eq!(reply, b"%1\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n");
    assert_eq!(bench.raw(&[b"XREAD", b"STREAMS", b"a", b"1"]), b"_\r\n");
}
