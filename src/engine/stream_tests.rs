//! Clients that wait at streams, and what wakes them.

use super::testing::Rig;

/// A rig with this many clients.
fn rig(clients: usize) -> Rig {
    let mut rig = Rig::new(2);
    for _ in 0..clients {
        rig.connect();
    }
    rig
}

/// One entry with the field `n`, as a reader of one stream gets it.
fn entry(id: &str, n: &str) -> String {
    format!("1) 1) \"s\"\n   2) 1) 1) \"{id}\"\n         2) 1) \"n\"\n            2) \"{n}\"")
}

#[test]
fn an_entry_is_read_by_all_who_wait() {
    let mut rig = rig(4);
    rig.send(0, "XADD s 1-0 n 1");
    assert_eq!(rig.send(1, "XREAD BLOCK 0 STREAMS s $"), "");
    assert_eq!(rig.send(2, "XREAD BLOCK 0 STREAMS other s $ 1-5"), "");
    assert_eq!(rig.send(3, "XREAD BLOCK 0 STREAMS s 7"), "");
    assert_eq!(rig.send(0, "XADD s 2-0 n 2"), "\"2-0\"");
    assert_eq!((rig.read(1), rig.read(2)), (entry("2-0", "2"), entry("2-0", "2")));
    assert!(rig.is_parked(3), "what it has seen does not wake it");
    rig.send(0, "XADD s 8-0 n 8");
    assert_eq!(rig.read(3), entry("8-0", "8"));
}

#[test]
fn a_key_that_comes_and_goes_or_changes_its_type_leaves_a_reader_waiting() {
    let mut rig = rig(2);
    rig.send(1, "XREAD BLOCK 0 STREAMS s $");
    for line in ["SET s x", "DEL s", "XGROUP CREATE s g $ MKSTREAM", "DEL s"] {
        rig.send(0, line);
        assert!(rig.is_parked(1), "{line}");
    }
    rig.send(0, "XADD s 1-0 n 1");
    assert_eq!(rig.read(1), entry("1-0", "1"));
}

#[test]
fn a_group_serves_its_readers_in_order() {
    let mut rig = rig(4);
    rig.send(0, "XGROUP CREATE s g $ MKSTREAM");
    rig.send(1, "XREADGROUP GROUP g a BLOCK 0 STREAMS s >");
    rig.send(2, "XREADGROUP GROUP g b BLOCK 0 NOACK STREAMS s >");
    rig.send(3, "XREAD BLOCK 0 STREAMS s $");
    rig.send(0, "XADD s 1-0 n 1");
    assert_eq!((rig.read(1), rig.read(3)), (entry("1-0", "1"), entry("1-0", "1")));
    assert!(rig.is_parked(2));
    rig.send(0, "XADD s 2-0 n 2");
    assert_eq!(rig.read(2), entry("2-0", "2"));
    assert_eq!(
        rig.send(0, "XPENDING s g"),
        "1) (integer) 1\n2) \"1-0\"\n3) \"1-0\"\n4) 1) 1) \"a\"\n      2) \"1\""
    );
}

#[test]
fn a_groups_reader_hears_that_the_stream_is_gone() {
    let gone = "(error) UNBLOCKED the stream key no longer exists";
    for line in
        ["DEL s", "SET s x", "FLUSHALL", "RENAME s t", "SWAPDB 0 1", "PEXPIREAT s 1", "LPUSH l x", "MULTI"]
    {
        let mut rig = rig(2);
        rig.send(0, "XGROUP CREATE s g $ MKSTREAM");
        rig.send(1, "XREADGROUP GROUP g a BLOCK 0 STREAMS s >");
        match line {
            "LPUSH l x" => {
                rig.send(0, line);
                rig.send(0, "RENAME l s");
            }
            "MULTI" => ["MULTI", "DEL s", "EXEC"].iter().for_each(|line| drop(rig.send(0, line))),
            _ => drop(rig.send(0, line)),
        }
        assert_eq!(rig.read(1), gone, "{line}");
    }
}

#[test]
fn a_groups_reader_hears_that_the_group_is_gone() {
    let mut rig = rig(3);
    rig.send(0, "XGROUP CREATE s g $ MKSTREAM");
    rig.send(0, "XGROUP CREATE s other $");
    rig.send(1, "XREADGROUP GROUP g a BLOCK 0 STREAMS s >");
    rig.send(2, "XREADGROUP GROUP other a BLOCK 0 STREAMS s >");
    assert_eq!(rig.send(0, "XGROUP DESTROY s g"), "(integer) 1");
    assert_eq!(rig.read(1), "(error) NOGROUP the consumer group this client was blocked on no longer exists");
    assert!(rig.is_parked(2));
}

#[test]
fn within_a_transaction_nobody_waits() {
    let mut rig = rig(1);
    for line in ["MULTI", "XREAD BLOCK 0 STREAMS s $"] {
        rig.send(0, line);
    }
    assert_eq!(rig.send(0, "EXEC"), "1) (nil)");
}

#[test]
fn what_a_group_does_is_no_change_for_who_watches() {
    let mut rig = rig(2);
    rig.send(0, "XADD s 1-0 n 1");
    rig.send(0, "XGROUP CREATE s g 0");
    for (line, reply) in [
        ("XREADGROUP GROUP g a STREAMS s >", "1) PONG"),
        ("XACK s g 1-0", "1) PONG"),
        ("XGROUP DESTROY s g", "1) PONG"),
        ("XADD s 2-0 n 2", "(nil)"),
    ] {
        rig.send(1, "WATCH s");
        rig.send(1, "MULTI");
        rig.send(1, "PING");
        rig.send(0, line);
        assert_eq!(rig.send(1, "EXEC"), reply, "{line}");
    }
}
