//! What a client sees of streams, and what else their commands do.

use crate::command::context::Replay;
use crate::command::testing::{Bench, transcript};

#[test]
fn entries_are_added_and_read() {
    transcript(
        r#"
        > XADD s 1-1 f v
        "1-1"
        > XADD s 1-* f w g x
        "1-2"
        > XADD s 5 f y
        "5-0"
        > XLEN s
        (integer) 3
        > TYPE s
        stream
        > OBJECT ENCODING s
        "stream"
        > XRANGE s - +
        1) 1) "1-1"
           2) 1) "f"
              2) "v"
        2) 1) "1-2"
           2) 1) "f"
              2) "w"
              3) "g"
              4) "x"
        3) 1) "5-0"
           2) 1) "f"
              2) "y"
        > XRANGE s 1 1
        1) 1) "1-1"
           2) 1) "f"
              2) "v"
        2) 1) "1-2"
           2) 1) "f"
              2) "w"
              3) "g"
              4) "x"
        > XRANGE s (1-1 (5
        1) 1) "1-2"
           2) 1) "f"
              2) "w"
              3) "g"
              4) "x"
        2) 1) "5-0"
           2) 1) "f"
              2) "y"
        > XRANGE s - + COUNT 1
        1) 1) "1-1"
           2) 1) "f"
              2) "v"
        > XRANGE s - + COUNT 0
        (nil)
        > XRANGE s - + COUNT -1
        (nil)
        > XREVRANGE s + -
        1) 1) "5-0"
           2) 1) "f"
              2) "y"
        2) 1) "1-2"
           2) 1) "f"
              2) "w"
              3) "g"
              4) "x"
        3) 1) "1-1"
           2) 1) "f"
              2) "v"
        > XREVRANGE s (5 1-2 COUNT 1
        1) 1) "5-0"
           2) 1) "f"
              2) "y"
        > XREVRANGE s 1 0
        1) 1) "1-2"
           2) 1) "f"
              2) "w"
              3) "g"
              4) "x"
        2) 1) "1-1"
           2) 1) "f"
              2) "v"
        > XRANGE s 5 1
        (empty array)
        > XRANGE none - +
        (empty array)
        > XLEN none
        (integer) 0
        > SET k v
        OK
        > XADD k 1-1 f v
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XLEN k
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XRANGE k - +
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XRANGE s - + COUNT
        (error) ERR syntax error
        > XRANGE s - + COUNT x
        (error) ERR value is not an integer or out of range
        > XRANGE s a +
        (error) ERR Invalid stream ID specified as stream command argument
        > XRANGE s (- +
        (error) ERR Invalid stream ID specified as stream command argument
        > XRANGE s (18446744073709551615-18446744073709551615 +
        (error) ERR invalid start ID for the interval
        > XRANGE s - (0-0
        (error) ERR invalid end ID for the interval
        "#,
    );
}

#[test]
fn ids_grow() {
    transcript(
        r#"
        > XADD s 0-0 f v
        (error) ERR The ID specified in XADD must be greater than 0-0
        > XADD s 0-* f v
        "0-1"
        > XADD s 0-1 f v
        (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
        > XADD s 5-5 f v
        "5-5"
        > XADD s 5-4 f v
        (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
        > XADD s 5-5 f v
        (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
        > XADD s x f v
        (error) ERR Invalid stream ID specified as stream command argument
        > XADD s 1-2-3 f v
        (error) ERR Invalid stream ID specified as stream command argument
        > XADD s - f v
        (error) ERR Invalid stream ID specified as stream command argument
        > XADD s + f v
        (error) ERR Invalid stream ID specified as stream command argument
        > XADD s 5-6 f
        (error) ERR wrong number of arguments for 'xadd' command
        > XADD s 5-6 f v g
        (error) ERR wrong number of arguments for 'xadd' command
        > XADD s 5-18446744073709551615 f v
        "5-18446744073709551615"
        > XADD s 18446744073709551615-18446744073709551615 f v
        "18446744073709551615-18446744073709551615"
        > XADD s * f v
        (error) ERR The stream has exhausted the last possible ID, unable to add more items
        > XADD none NOMKSTREAM 1-1 f v
        (nil)
        > EXISTS none
        (integer) 0
        > XADD s
        (error) ERR wrong number of arguments for 'xadd' command
        > XSETID s 1-1
        (error) ERR The ID specified in XSETID is smaller than the target stream top item
        > XSETID none 1-1
        (error) ERR no such key
        > XSETID s x
        (error) ERR Invalid stream ID specified as stream command argument
        > XDEL s 18446744073709551615-18446744073709551615
        (integer) 1
        > XSETID s 9-9
        OK
        > XSETID s 9-9 ENTRIESADDED 1
        (error) ERR The entries_added specified in XSETID is smaller than the target stream length
        > XSETID s 9-9 ENTRIESADDED -1
        (error) ERR entries_added must be positive
        > XSETID s 9-9 ENTRIESADDED 10 MAXDELETEDID 9-10
        (error) ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id
        > XSETID s 9-9 MAXDELETEDID
        (error) ERR syntax error
        > XSETID s 9-9 ENTRIESADDED 10 MAXDELETEDID 9-8
        OK
        > XINFO STREAM s
         1) "length"
         2) (integer) 3
         3) "radix-tree-keys"
         4) (integer) 1
         5) "radix-tree-nodes"
         6) (integer) 2
         7) "last-generated-id"
         8) "9-9"
         9) "max-deleted-entry-id"
        10) "9-8"
        11) "entries-added"
        12) (integer) 10
        13) "recorded-first-entry-id"
        14) "0-1"
        15) "groups"
        16) (integer) 0
        17) "first-entry"
        18) 1) "0-1"
            2) 1) "f"
               2) "v"
        19) "last-entry"
        20) 1) "5-18446744073709551615"
            2) 1) "f"
               2) "v"
        "#,
    );
}

#[test]
fn old_entries_are_trimmed() {
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
        > XADD s MAXLEN 3 5-0 n 5
        "5-0"
        > XRANGE s - + COUNT 1
        1) 1) "3-0"
           2) 1) "n"
              2) "3"
        > XADD s MAXLEN = 3 6-0 n 6
        "6-0"
        > XADD s MAXLEN ~ 1 7-0 n 7
        "7-0"
        > XLEN s
        (integer) 4
        > XADD s MINID 5 8-0 n 8
        "8-0"
        > XRANGE s - + COUNT 1
        1) 1) "5-0"
           2) 1) "n"
              2) "5"
        > XADD s MINID ~ 8 LIMIT 2 9-0 n 9
        "9-0"
        > XTRIM s MAXLEN 3
        (integer) 2
        > XTRIM s MAXLEN 3
        (integer) 0
        > XTRIM s MINID = 8
        (integer) 1
        > XTRIM s MAXLEN ~ 0
        (integer) 2
        > XTRIM s MAXLEN ~ 0 LIMIT 1
        (integer) 0
        > XINFO STREAM s
         1) "length"
         2) (integer) 0
         3) "radix-tree-keys"
         4) (integer) 0
         5) "radix-tree-nodes"
         6) (integer) 1
         7) "last-generated-id"
         8) "9-0"
         9) "max-deleted-entry-id"
        10) "0-0"
        11) "entries-added"
        12) (integer) 9
        13) "recorded-first-entry-id"
        14) "0-0"
        15) "groups"
        16) (integer) 0
        17) "first-entry"
        18) (nil)
        19) "last-entry"
        20) (nil)
        > XTRIM none MAXLEN 1
        (integer) 0
        > XTRIM s
        (error) ERR wrong number of arguments for 'xtrim' command
        > XTRIM s MAXLEN
        (error) ERR wrong number of arguments for 'xtrim' command
        > XTRIM s MAXLEN x
        (error) ERR value is not an integer or out of range
        > XTRIM s MAXLEN -1
        (error) ERR The MAXLEN argument must be >= 0.
        > XTRIM s MAXLEN 1 MINID 2
        (error) ERR syntax error, MAXLEN and MINID options at the same time are not compatible
        > XTRIM s MAXLEN 1 LIMIT 5
        (error) ERR syntax error, LIMIT cannot be used without the special ~ option
        > XTRIM s MAXLEN ~ 1 LIMIT -1
        (error) ERR The LIMIT argument must be >= 0.
        > XTRIM s MAXLEN ~ 1 LIMIT x
        (error) ERR value is not an integer or out of range
        > XTRIM s MINID x
        (error) ERR Invalid stream ID specified as stream command argument
        > XTRIM s WHAT 5
        (error) ERR syntax error
        > XADD s LIMIT 5 10-0 f v
        (error) ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
        > XADD s MAXLEN 5 MINID 5 10-0 f v
        (error) ERR syntax error, MAXLEN and MINID options at the same time are not compatible
        > XADD s MAXLEN 5 LIMIT 5 10-0 f v
        (error) ERR syntax error, LIMIT cannot be used without the special ~ option
        > SET k v
        OK
        > XTRIM k MAXLEN 0
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn entries_are_deleted() {
    transcript(
        r#"
        > XADD s 1-0 n 1
        "1-0"
        > XADD s 2-0 n 2
        "2-0"
        > XADD s 3-0 n 3
        "3-0"
        > XDEL s 2 2-0 7-7
        (integer) 1
        > XINFO STREAM s
         1) "length"
         2) (integer) 2
         3) "radix-tree-keys"
         4) (integer) 1
         5) "radix-tree-nodes"
         6) (integer) 2
         7) "last-generated-id"
         8) "3-0"
         9) "max-deleted-entry-id"
        10) "2-0"
        11) "entries-added"
        12) (integer) 3
        13) "recorded-first-entry-id"
        14) "1-0"
        15) "groups"
        16) (integer) 0
        17) "first-entry"
        18) 1) "1-0"
            2) 1) "n"
               2) "1"
        19) "last-entry"
        20) 1) "3-0"
            2) 1) "n"
               2) "3"
        > XDEL s 1-0
        (integer) 1
        > XINFO STREAM s
         1) "length"
         2) (integer) 1
         3) "radix-tree-keys"
         4) (integer) 1
         5) "radix-tree-nodes"
         6) (integer) 2
         7) "last-generated-id"
         8) "3-0"
         9) "max-deleted-entry-id"
        10) "2-0"
        11) "entries-added"
        12) (integer) 3
        13) "recorded-first-entry-id"
        14) "3-0"
        15) "groups"
        16) (integer) 0
        17) "first-entry"
        18) 1) "3-0"
            2) 1) "n"
               2) "3"
        19) "last-entry"
        20) 1) "3-0"
            2) 1) "n"
               2) "3"
        > XDEL s 3-0
        (integer) 1
        > XINFO STREAM s
         1) "length"
         2) (integer) 0
         3) "radix-tree-keys"
         4) (integer) 0
         5) "radix-tree-nodes"
         6) (integer) 1
         7) "last-generated-id"
         8) "3-0"
         9) "max-deleted-entry-id"
        10) "3-0"
        11) "entries-added"
        12) (integer) 3
        13) "recorded-first-entry-id"
        14) "0-0"
        15) "groups"
        16) (integer) 0
        17) "first-entry"
        18) (nil)
        19) "last-entry"
        20) (nil)
        > EXISTS s
        (integer) 1
        > XADD s 3-0 n 3
        (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
        > XADD s 4-0 n 4
        "4-0"
        > XDEL none 1-1
        (integer) 0
        > XDEL none x
        (integer) 0
        > XDEL s x
        (error) ERR Invalid stream ID specified as stream command argument
        > SET k v
        OK
        > XDEL k 1-1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

/// What is repeated for a command, its words joined.
fn repeated(bench: &Bench) -> Vec<String> {
    let Replay::Instead(commands) = &bench.done.replay else {
        return vec![format!("{:?}", bench.done.replay)];
    };
    let shown = |command: &Vec<Vec<u8>>| {
        let words: Vec<_> = command.iter().map(|word| String::from_utf8_lossy(word)).collect();
        words.join(" ")
    };
    commands.iter().map(shown).collect()
}

/// A line, then what is repeated for it, its events and the changes that it counts.
fn done(bench: &mut Bench, line: &str) -> (Vec<String>, Vec<String>, u64) {
    bench.line(line);
    (repeated(bench), bench.done.events(), bench.done.changes)
}

fn of(repeated: &[&str], events: &[&str], changes: u64) -> (Vec<String>, Vec<String>, u64) {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    (owned(repeated), owned(events), changes)
}

#[test]
fn what_happened_is_repeated() {
    let mut bench = Bench::new();
    let now = bench.clock.unix_ms();
    assert_eq!(done(&mut bench, "XADD s 1-1 f v"), of(&["AsSent"], &["xadd s@0"], 1));
    assert_eq!(done(&mut bench, "XADD s 1-* f v"), of(&["XADD s 1-2 f v"], &["xadd s@0"], 1));
    let added = format!("XADD s NOMKSTREAM {now}-0 f v");
    assert_eq!(done(&mut bench, "XADD s NOMKSTREAM * f v"), of(&[&added], &["xadd s@0"], 1));
    let added = format!("XADD s MAXLEN = 4 {now}-1 f v");
    assert_eq!(done(&mut bench, "XADD s MAXLEN ~ 1 LIMIT 5 * f v"), of(&[&added], &["xadd s@0"], 1));
    let trimmed = of(&["AsSent"], &["xadd s@0", "xtrim s@0"], 1);
    assert_eq!(done(&mut bench, &format!("XADD s MAXLEN 4 {now}-2 f v")), trimmed);
    assert_eq!(done(&mut bench, "XDEL s 1-2 1-3"), of(&["AsSent"], &["xdel s@0"], 1));
    assert_eq!(done(&mut bench, "XTRIM s MINID ~ 5"), of(&["AsSent"], &[], 0));
    assert_eq!(done(&mut bench, "XTRIM s MAXLEN 1"), of(&["AsSent"], &["xtrim s@0"], 2));
    assert_eq!(done(&mut bench, "XTRIM s MAXLEN ~ 0"), of(&["XTRIM s MAXLEN = 0"], &["xtrim s@0"], 1));
}

#[test]
fn what_groups_do_is_repeated() {
    let mut bench = Bench::new();
    let now = bench.clock.unix_ms();
    for line in ["XADD s 1-0 f v", "XADD s 2-0 f v", "XADD s 3-0 f v", "XGROUP CREATE s g 0"] {
        bench.line(line);
    }
    let claim = |consumer: &str, id: &str, count: u64, last: &str| {
        format!("XCLAIM s g {consumer} 0 {id} TIME {now} RETRYCOUNT {count} FORCE JUSTID LASTID {last}")
    };
    let created = "xgroup-createconsumer s@0";
    assert_eq!(
        done(&mut bench, "XREADGROUP GROUP g a COUNT 2 STREAMS s >"),
        of(&[&claim("a", "1-0", 1, "1-0"), &claim("a", "2-0", 1, "2-0")], &[created], 2)
    );
    assert_eq!(done(&mut bench, "XREADGROUP GROUP g a STREAMS s 0"), of(&["Nothing"], &[], 1));
    let moved = "XGROUP SETID s g 3-0 ENTRIESREAD 3";
    assert_eq!(
        done(&mut bench, "XREADGROUP GROUP g b NOACK STREAMS s >"),
        of(&["XGROUP CREATECONSUMER s g b", moved], &[created], 2)
    );
    assert_eq!(done(&mut bench, "XCLAIM s g b 0 1-0"), of(&[&claim("b", "1-0", 3, "3-0")], &[], 1));
    assert_eq!(
        done(&mut bench, "XCLAIM s g b 0 9-0 LASTID 5"),
        of(&["XGROUP SETID s g 5-0 ENTRIESREAD 3"], &[], 1)
    );
    bench.line("XDEL s 1-0");
    assert_eq!(
        done(&mut bench, "XAUTOCLAIM s g c 0 0 JUSTID"),
        of(&[&claim("b", "1-0", 3, "5-0"), &claim("c", "2-0", 2, "5-0")], &[created], 3)
    );
    assert_eq!(done(&mut bench, "XACK s g 2-0 2-0"), of(&["AsSent"], &[], 1));
    assert_eq!(done(&mut bench, "XGROUP DELCONSUMER s g c"), of(&["AsSent"], &["xgroup-delconsumer s@0"], 1));
    assert_eq!(done(&mut bench, "XGROUP DESTROY s g"), of(&["AsSent"], &["xgroup-destroy s@0"], 1));
    assert_eq!(done(&mut bench, "XSETID s 9-0"), of(&["AsSent"], &["xsetid s@0"], 1));
}
