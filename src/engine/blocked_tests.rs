//! What happens between clients that wait and those that wake them.

use crate::store::{Key, Moment};

use super::testing::Rig;

/// The reply of a pop, as redis-cli shows it.
fn pair(key: &str, element: &str) -> String {
    format!("1) \"{key}\"\n2) \"{element}\"")
}

/// A rig with this many clients.
fn rig(clients: usize) -> Rig {
    let mut rig = Rig::new(2);
    for _ in 0..clients {
        rig.connect();
    }
    rig
}

#[test]
fn clients_are_served_in_the_order_in_which_they_came() {
    let mut rig = rig(4);
    for id in [1, 2, 3] {
        assert_eq!(rig.send(id, "BLPOP k 0"), "");
    }
    assert_eq!(rig.engine.clients.blocked(), 3);
    assert_eq!(rig.send(0, "RPUSH k a"), "(integer) 1");
    assert_eq!(rig.send(0, "RPUSH k b"), "(integer) 1");
    assert_eq!(rig.read(2), pair("k", "b"));
    assert_eq!(rig.read(1), pair("k", "a"));
    assert!(rig.is_parked(3));
    assert_eq!(rig.engine.clients.blocked(), 1);
    assert_eq!(rig.send(0, "LLEN k"), "(integer) 0");
}

#[test]
fn one_push_serves_several_after_the_whole_command() {
    let mut rig = rig(4);
    rig.send(1, "BLPOP k 0");
    rig.send(2, "BRPOP k 0");
    rig.send(3, "BLMPOP 0 1 k LEFT COUNT 10");
    assert_eq!(rig.send(0, "LPUSH k a b c d"), "(integer) 4");
    assert_eq!(rig.read(1), pair("k", "d"));
    assert_eq!(rig.read(2), pair("k", "a"));
    assert_eq!(rig.read(3), "1) \"k\"\n2) 1) \"c\"\n   2) \"b\"");
    assert_eq!(rig.send(0, "LLEN k"), "(integer) 0");
}

#[test]
fn a_served_client_goes_on_with_what_it_has_sent() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP k 0");
    assert_eq!(rig.send(1, "LLEN k"), "");
    assert_eq!(rig.send(1, "BLPOP k 0"), "");
    rig.send(0, "RPUSH k a b");
    assert_eq!(rig.read(1), format!("{}\n(integer) 1\n{}", pair("k", "a"), pair("k", "b")));
}

#[test]
fn a_client_that_waits_at_several_keys_is_served_once() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP a b a 0");
    assert_eq!(rig.send(0, "RPUSH b 1"), "(integer) 1");
    assert_eq!(rig.send(0, "RPUSH a 2"), "(integer) 1");
    assert_eq!(rig.read(1), pair("b", "1"));
    assert_eq!(rig.send(0, "LLEN a"), "(integer) 1");
    assert_eq!(rig.send(1, "BLPOP a b 0"), pair("a", "2"));
}

#[test]
fn the_same_key_twice_is_one_place_in_its_queue() {
    let mut rig = rig(3);
    rig.send(1, "BLPOP k k k 0");
    rig.send(2, "BLPOP k 0");
    rig.send(0, "RPUSH k a b");
    assert_eq!(rig.read(1), pair("k", "a"));
    assert_eq!(rig.read(2), pair("k", "b"));
}

#[test]
fn a_served_move_wakes_the_next() {
    let mut rig = rig(4);
    rig.send(3, "BLPOP c 0");
    rig.send(2, "BLMOVE b c LEFT RIGHT 0");
    rig.send(1, "BRPOPLPUSH a b 0");
    assert_eq!(rig.send(0, "RPUSH a x"), "(integer) 1");
    assert_eq!(rig.read(1), "\"x\"");
    assert_eq!(rig.read(2), "\"x\"");
    assert_eq!(rig.read(3), pair("c", "x"));
    for key in ["a", "b", "c"] {
        assert_eq!(rig.send(0, &format!("LLEN {key}")), "(integer) 0");
    }
}

#[test]
fn moves_in_a_circle_end() {
    let mut rig = rig(3);
    rig.send(1, "BRPOPLPUSH a b 0");
    rig.send(2, "BRPOPLPUSH b a 0");
    rig.send(0, "RPUSH a foo");
    assert_eq!((rig.read(1), rig.read(2)), ("\"foo\"".to_owned(), "\"foo\"".to_owned()));
    assert_eq!(rig.send(0, "LRANGE a 0 -1"), "1) \"foo\"");
    assert_eq!(rig.send(0, "LLEN b"), "(integer) 0");
    rig.send(1, "BLMOVE own own LEFT LEFT 0");
    rig.send(0, "RPUSH own bar");
    assert_eq!(rig.read(1), "\"bar\"");
    assert_eq!(rig.send(0, "LLEN own"), "(integer) 1");
}

#[test]
fn keys_are_served_in_the_order_in_which_they_were_filled() {
    let mut rig = rig(3);
    // The first needs a lock that the transaction lacks: what comes after it has to wait for it too.
    rig.send(1, "BLMOVE a elsewhere LEFT LEFT 0");
    rig.send(2, "BLPOP b a 0");
    rig.multi(0);
    assert_eq!(rig.send(0, "RPUSH a 1 2"), "QUEUED");
    assert_eq!(rig.send(0, "RPUSH b 3"), "QUEUED");
    assert_eq!(rig.exec(0), "1) (integer) 2\n2) (integer) 1");
    assert_eq!(rig.read(1), "\"1\"");
    assert_eq!(rig.read(2), pair("a", "2"));
    assert_eq!(rig.send(0, "LLEN b"), "(integer) 1");
}

#[test]
fn a_destination_of_another_type_is_an_error_and_the_element_stays() {
    let mut rig = rig(3);
    rig.send(0, "SET s x");
    rig.send(1, "BLMOVE a s LEFT LEFT 0");
    rig.send(2, "BLPOP a 0");
    assert_eq!(rig.send(0, "RPUSH a 1"), "(integer) 1");
    let wrong = "(error) WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(rig.read(1), wrong);
    assert_eq!(rig.read(2), pair("a", "1"));
    rig.send(1, "BRPOPLPUSH a s 0");
    rig.send(0, "RPUSH a 2");
    assert_eq!(rig.read(1), wrong);
    assert_eq!(rig.send(0, "LRANGE a 0 -1"), "1) \"2\"");
}

#[test]
fn a_key_that_comes_to_hold_another_type_serves_nobody() {
    let mut rig = rig(3);
    rig.send(1, "BLPOP k 0");
    rig.send(2, "BLMOVE k d LEFT LEFT 0");
    assert_eq!(rig.send(0, "SET k x"), "OK");
    assert!(rig.is_parked(1) && rig.is_parked(2));
    assert_eq!((rig.read(1), rig.read(2)), (String::new(), String::new()));
}

#[test]
fn a_transaction_serves_when_it_is_over() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP k 0");
    rig.multi(0);
    for element in ["a", "b", "c"] {
        assert_eq!(rig.send(0, &format!("LPUSH k {element}")), "QUEUED");
    }
    assert_eq!(rig.read(1), "");
    assert_eq!(rig.exec(0), "1) (integer) 1\n2) (integer) 2\n3) (integer) 3");
    assert_eq!(rig.read(1), pair("k", "c"));
    rig.send(1, "BLPOP k other 0");
    rig.send(1, "BLPOP other 0");
    rig.read(1);
    rig.multi(0);
    rig.send(0, "LPUSH other x");
    rig.send(0, "LPOP other");
    assert_eq!(rig.exec(0), "1) (integer) 1\n2) \"x\"");
    assert!(rig.is_parked(1), "what was pushed and taken within one transaction wakes nobody");
}

#[test]
fn nobody_waits_inside_a_transaction() {
    let mut rig = rig(1);
    rig.multi(0);
    for line in ["BLPOP a b 0", "BLMPOP 0 1 a LEFT", "BLMOVE a b LEFT LEFT 0", "BRPOPLPUSH a b 0"] {
        assert_eq!(rig.send(0, line), "QUEUED");
    }
    assert_eq!(rig.exec(0), "1) (nil)\n2) (nil)\n3) (nil)\n4) (nil)");
    assert!(!rig.is_parked(0));
}

#[test]
fn what_a_served_client_pushes_breaks_a_watch() {
    let mut rig = rig(3);
    rig.send(1, "BLMOVE a d LEFT LEFT 0");
    rig.watch(2, "d");
    rig.multi(2);
    rig.send(2, "LLEN d");
    rig.send(0, "RPUSH a x");
    assert_eq!(rig.exec(2), "(nil)");
    rig.watch(2, "d");
    rig.multi(2);
    rig.send(2, "LLEN d");
    rig.send(0, "RPUSH a y");
    assert_eq!(rig.exec(2), "1) (integer) 1");
}

#[test]
fn time_runs_out_at_the_millisecond() {
    let mut rig = rig(3);
    rig.send(1, "BLPOP k 0.1");
    rig.send(2, "BLMOVE k d LEFT LEFT 0.2");
    assert_eq!(rig.advance_ms(99), []);
    assert_eq!(rig.advance_ms(1), [(1, "(nil)".to_owned())]);
    rig.send(0, "RPUSH k a");
    assert_eq!(rig.read(2), "\"a\"");
    assert_eq!(rig.advance_ms(1_000), []);
    rig.send(0, "RPUSH k b");
    assert_eq!(rig.send(0, "LLEN k"), "(integer) 1");
    assert_eq!(rig.engine.clients.blocked(), 0);
}

#[test]
fn waiting_for_ever_has_no_end() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP k 0");
    assert_eq!(rig.advance_ms(1_000_000_000), []);
    assert!(rig.is_parked(1));
}

#[test]
fn who_leaves_is_not_served() {
    let mut rig = rig(3);
    rig.send(1, "BLPOP k 0");
    rig.send(2, "BLPOP k 0");
    rig.disconnect(1);
    rig.send(0, "RPUSH k a b");
    assert_eq!(rig.read(2), pair("k", "a"));
    assert_eq!(rig.send(0, "LRANGE k 0 -1"), "1) \"b\"");
    assert_eq!(rig.engine.clients.blocked(), 0);
}

#[test]
fn who_is_unblocked_is_told_so_once() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP k 0");
    let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    assert_eq!(rig.unpark(1, Some(text)), format!("(error) {text}"));
    assert_eq!(rig.unpark(1, Some(text)), "");
    rig.send(1, "BLPOP k 0");
    assert_eq!(rig.unpark(1, None), "(nil)");
    rig.send(1, "BLPOP k 0");
    rig.send(0, "RPUSH k a");
    assert_eq!(rig.unpark(1, Some(text)), "", "it was served before");
    assert_eq!(rig.read(1), pair("k", "a"));
}

#[test]
fn a_parked_call_counts_once_however_it_ends() {
    let mut rig = rig(2);
    let blpop = rig.engine.registry.find(b"BLPOP").expect("a command");
    let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    rig.send(1, "BLPOP k 0");
    assert_eq!(rig.engine.stats.command(blpop).calls, 1, "as soon as it waits");
    rig.unpark(1, Some(text));
    rig.send(1, "BLPOP k 1");
    rig.unpark(1, None);
    rig.send(1, "BLPOP k 0");
    rig.send(0, "RPUSH k a");
    rig.read(1);
    rig.send(1, "BLPOP k 0");
    rig.disconnect(1);
    let totals = rig.engine.stats.command(blpop);
    assert_eq!((totals.calls, totals.failed, totals.rejected), (4, 1, 0));
    assert_eq!(rig.engine.stats.counter(crate::observe::Counter::CommandsProcessed), 5);
    assert_eq!(rig.engine.stats.errors().get("UNBLOCKED"), Some(&1));
    assert_eq!(rig.engine.stats.counter(crate::observe::Counter::ErrorReplies), 1);
}

#[test]
fn databases_do_not_wake_each_other() {
    let mut rig = rig(2);
    rig.send(1, "BLPOP k 0");
    rig.as_unit(0, |view| {
        view.select(1);
        let key = view.key(b"k");
        if let Ok(list) = view.get_or_create::<crate::data::List>(key) {
            list.push_back(b"x", crate::data::NodeLimit::default());
        }
        view.changed(key);
    });
    assert_eq!(rig.read(1), "");
    // What SWAPDB brings serves those who wait at the number.
    rig.as_unit(0, |view| view.swap(0, 1));
    assert_eq!(rig.read(1), pair("k", "x"));
}

#[test]
fn a_renamed_key_serves_those_who_wait_for_its_new_name() {
    let mut rig = rig(2);
    rig.send(0, "RPUSH old x");
    rig.send(1, "BLPOP new 0");
    rig.as_unit(0, |view| {
        let (old, new) = (view.key(b"old"), view.key(b"new"));
        if let Some(entry) = view.take(old) {
            view.put(new, entry, None);
        }
        view.changed(old);
        view.changed(new);
    });
    assert_eq!(rig.read(1), pair("new", "x"));
}

/// Somebody has claimed the client, and will find that the key does not suffice, when its time runs out:
/// it must not believe that it was served.
#[test]
fn a_claim_that_comes_to_nothing_takes_no_answer_away() {
    let rig = Rig::new(2);
    let mut leaver = rig.beside(1);
    leaver.connect();
    leaver.send(0, "BLPOP k 0");
    let key = Key { bytes: b"k", hash: rig.engine.store.hash(b"k") };
    let mut view = rig.engine.store.view_one(Moment::at(rig.engine.clock.unix_ms()), 0, key.hash);
    let waiter = view.waiter(key, 0).expect("a client waits");
    assert!(waiter.claim());
    let before = rig.engine.store.lock_waits();
    let leaving = std::thread::spawn(move || leaver.unpark(0, None));
    while rig.engine.store.lock_waits() == before && !leaving.is_finished() {
        std::thread::yield_now();
    }
    waiter.release();
    drop(view);
    assert_eq!(leaving.join().ok().as_deref(), Some("(nil)"));
}

/// A time that runs out while somebody serves, or tries to and cannot: the client gets one answer, and
/// no element is lost.
#[test]
fn a_client_that_gives_up_while_it_is_served_has_one_answer() {
    const ELEMENTS: usize = 2_000;
    let rig = Rig::new(2);
    let mut pusher = rig.beside(0);
    let mut popper = rig.beside(1);
    pusher.connect();
    popper.connect();
    let pushing = std::thread::spawn(move || {
        for element in 0..ELEMENTS {
            pusher.send(0, &format!("RPUSH k {element}"));
            // For a moment the other key holds what the client does not want.
            pusher.send(0, "SET other x");
            pusher.as_unit(0, |view| {
                let key = view.key(b"other");
                view.remove(key);
                view.changed(key);
            });
        }
    });
    let mut received = Vec::new();
    loop {
        let over = pushing.is_finished();
        let mut reply = popper.send(0, "BLPOP k other 0");
        if popper.is_parked(0) {
            assert_eq!(reply, "");
            reply = popper.unpark(0, None);
            if reply.is_empty() {
                reply = popper.read(0);
            }
        }
        match reply.strip_prefix("1) \"k\"\n2) ") {
            Some(element) => received.push(element.to_owned()),
            None if reply == "(nil)" && over => break,
            None => assert!(reply == "(nil)" || reply.contains("WRONGTYPE"), "{reply:?}"),
        }
    }
    let expected: Vec<String> = (0..ELEMENTS).map(|element| format!("\"{element}\"")).collect();
    assert_eq!(received, expected, "every element once and in order");
    assert!(pushing.join().is_ok());
}
