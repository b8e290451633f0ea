//! A panic in one connection's work closes that connection alone, is counted, and keeps no lock.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Launch, Server, encode, ok};
use glasswing::resp::Value;

fn start() -> Server {
    Launch::new().admin().with(&["--workers", "2", "--enable-debug-command", "yes"]).start()
}

fn queued() -> Option<Value> {
    Some(Value::Simple("QUEUED".into()))
}

fn panics(server: &Server) -> f64 {
    server.metric("glasswing_panics_total").first().map_or(0.0, |sample| sample.1)
}

#[test]
fn a_panic_closes_one_connection_and_no_other() {
    let mut server = start();
    let mut others: Vec<_> = (0..4).map(|_| server.client()).collect();
    for other in &mut others {
        assert_eq!(other.call(&["SET", "key", "before"]), ok());
    }
    for round in 1..=4 {
        let mut failing = server.client();
        assert!(failing.raw(
            &[encode(&["SET", "key", "during"]), encode(&["DEBUG", "PANIC"]), encode(&["PING"])].concat(),
        ));
        assert_eq!(failing.reply(), ok(), "what ran before the panic is answered");
        assert_eq!(failing.reply(), None, "the connection is closed without a reply");
        assert_eq!(panics(&server), f64::from(round));
        assert!(server.log_says("DEBUG PANIC was called"), "the panic is logged");
    }
    // On both workers, with the keys' locks, and with the whole keyspace.
    for other in &mut others {
        assert_eq!(other.call(&["SET", "key", "after"]), ok());
        assert_eq!(
            other.call(&["MGET", "key", "none"]),
            Some(Value::Array(vec![Value::Bulk((&b"after"[..]).into()), Value::Null]))
        );
        assert_eq!(other.call(&["FLUSHALL"]), ok());
        assert_eq!(other.call(&["DBSIZE"]), Some(Value::Int(0)));
    }
}

#[test]
fn a_panic_within_a_transaction_lets_go_of_its_keys() {
    let server = start();
    let mut other = server.client();
    for request in [vec!["SET", "a", "1"], vec!["DEBUG", "PANIC"]] {
        let mut failing = server.client();
        assert_eq!(failing.call(&["WATCH", "a", "b"]), ok());
        assert_eq!(failing.call(&["MULTI"]), ok());
        assert_eq!(failing.call(&request), queued());
        assert_eq!(failing.call(&["DEBUG", "PANIC"]), queued());
        failing.send(&["EXEC"]);
        while failing.reply().is_some() {}
        assert_eq!(other.call(&["MSET", "a", "1", "b", "2"]), ok());
        assert_eq!(other.call(&["FLUSHALL"]), ok());
    }
    assert_eq!(panics(&server), 2.0);
}

#[test]
fn a_panic_in_a_script_s_command_ends_the_script_and_its_connection_only() {
    let server = start();
    let mut other = server.client();
    assert_eq!(other.call(&["DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1"]), ok());
    for (round, script) in [
        "redis.call('SET', KEYS[1], 1) redis.call('DEBUG', 'PANIC') return 1",
        "redis.pcall('DEBUG', 'PANIC') redis.call('SET', KEYS[1], 'went on') return 1",
    ]
    .into_iter()
    .enumerate()
    {
        let mut failing = server.client();
        failing.send(&["EVAL", script, "1", "key"]);
        assert_eq!(failing.reply(), None, "the connection is closed without a reply");
        assert!(panics(&server) > round as f64, "it is counted");
        assert_ne!(other.call(&["GET", "key"]), Some(Value::Bulk((&b"went on"[..]).into())));
        let mut next = server.client();
        let reply = next.call(&["EVAL", "return redis.call('SET', KEYS[1], 2)", "1", "key"]);
        assert_eq!(reply, ok(), "scripts run on");
    }
}
