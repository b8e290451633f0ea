//! What a client sees of HyperLogLogs, and what else their commands do.

use crate::command::testing::{Bench, transcript};

#[test]
fn elements_are_added_and_counted() {
    transcript(
        r#"
        > PFADD h
        (integer) 1
        > PFADD h
        (integer) 0
        > PFCOUNT h
        (integer) 0
        > PFADD h foo bar zap
        (integer) 1
        > PFADD h zap zap zap
        (integer) 0
        > PFCOUNT h
        (integer) 3
        > STRLEN h
        (integer) 27
        > OBJECT ENCODING h
        "raw"
        > PFCOUNT none
        (integer) 0
        > PFADD other a b c foo
        (integer) 1
        > PFCOUNT h other none
        (integer) 6
        > SET brief x PX 100
        OK
        > PFADD h2 x
        (integer) 1
        > PEXPIRE h2 100
        (integer) 1
        > PFADD h2 y
        (integer) 1
        ! advance 150
        > EXISTS h2
        (integer) 0
        "#,
    );
}

#[test]
fn the_string_is_that_of_redis() {
    transcript(
        r#"
        > PFADD h foo bar
        (integer) 1
        > GET h
        "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\\\xb3\x90Ja\x80X\xe7"
        > PFCOUNT h
        (integer) 2
        > GET h
        "HYLL\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\\\xb3\x90Ja\x80X\xe7"
        > PFDEBUG DECODE h
        "Z:7348 v:5,1 Z:2658 v:1,1 Z:6376"
        "#,
    );
}

#[test]
fn values_are_merged() {
    transcript(
        r#"
        > PFADD a 1 2 3
        (integer) 1
        > PFADD b 3 4 5
        (integer) 1
        > PFMERGE to a b none
        OK
        > PFCOUNT to
        (integer) 5
        > PFDEBUG ENCODING to
        sparse
        > PFDEBUG TODENSE a
        (integer) 1
        > PFDEBUG TODENSE a
        (integer) 0
        > PFMERGE to a
        OK
        > PFDEBUG ENCODING to
        dense
        > PFCOUNT to
        (integer) 5
        > PFMERGE fresh
        OK
        > PFCOUNT fresh
        (integer) 0
        > PFADD to 6
        (integer) 1
        > PFADD to 6
        (integer) 0
        > PFCOUNT to
        (integer) 6
        > STRLEN to
        (integer) 12304
        "#,
    );
}

#[test]
fn a_value_that_grows_becomes_dense() {
    transcript(
        r#"
        > CONFIG SET hll-sparse-max-bytes 30
        OK
        > PFADD h 1 2
        (integer) 1
        > PFDEBUG ENCODING h
        sparse
        > PFADD h 3 4 5 6
        (integer) 1
        > PFDEBUG ENCODING h
        dense
        > PFDEBUG DECODE h
        (error) ERR HLL encoding is not sparse
        > PFCOUNT h
        (integer) 6
        > CONFIG SET hll-sparse-max-bytes 3000
        OK
        "#,
    );
}

#[test]
fn registers_are_shown() {
    let mut bench = Bench::new();
    bench.line("PFADD h foo");
    let shown = bench.line("PFDEBUG GETREG h");
    assert_eq!(shown.lines().count(), 16384);
    assert_eq!(shown.lines().nth(7348), Some(" 7349) (integer) 5"));
    assert_eq!(bench.line("PFDEBUG ENCODING h"), "dense");
}

#[test]
fn what_is_no_hyperloglog_is_refused() {
    transcript(
        r#"
        > SET text hello
        OK
        > SET number 12345678901234567
        OK
        > LPUSH list x
        (integer) 1
        > PFADD text x
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFADD number x
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFCOUNT text
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFADD h x
        (integer) 1
        > PFCOUNT h text
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFMERGE h text
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFMERGE text h
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFADD list x
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFCOUNT list
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFMERGE h list
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFDEBUG ENCODING list
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFDEBUG ENCODING none
        (error) ERR The specified key does not exist
        > PFDEBUG NONSENSE h
        (error) ERR Unknown PFDEBUG subcommand 'NONSENSE'
        > PFDEBUG GETREG
        (error) ERR wrong number of arguments for 'pfdebug' command
        "#,
    );
}

#[test]
fn corrupt_values_are_refused() {
    transcript(
        r#"
        > PFADD h a b c
        (integer) 1
        > APPEND h hello
        (integer) 32
        > PFCOUNT h
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFCOUNT h none
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFMERGE to h
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFDEBUG GETREG h
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFDEBUG TODENSE h
        (error) INVALIDOBJ Corrupted HLL object detected
        > EXISTS to
        (integer) 0
        > SETRANGE h 0 0123
        (integer) 32
        > PFCOUNT h
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > SET short "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00"
        OK
        > PFADD short a
        (error) INVALIDOBJ Corrupted HLL object detected
        "#,
    );
}

#[test]
fn the_self_test_passes() {
    transcript(
        r#"
        > PFSELFTEST
        OK
        "#,
    );
}

#[test]
fn changes_are_counted_and_named() {
    let mut bench = Bench::new();
    let did = |bench: &mut Bench, line: &str| {
        bench.line(line);
        let names: Vec<&str> = bench.done.events.iter().map(|(_, _, event)| event.name).collect();
        (bench.done.changes, names.join(" "))
    };
    assert_eq!(did(&mut bench, "PFADD h a b"), (3, "pfadd".to_owned()));
    assert_eq!(did(&mut bench, "PFADD h a b"), (0, String::new()));
    assert_eq!(did(&mut bench, "PFCOUNT h"), (1, String::new()));
    assert_eq!(did(&mut bench, "PFCOUNT h"), (0, String::new()));
    assert_eq!(did(&mut bench, "PFMERGE h"), (1, "pfadd".to_owned()));
    assert_eq!(did(&mut bench, "PFDEBUG TODENSE h"), (1, String::new()));
    assert_eq!(did(&mut bench, "PFADD h c a"), (1, "pfadd".to_owned()));
}
