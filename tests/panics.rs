//! A panic in one connection's work closes that connection alone, is counted, and keeps no lock.

#![allow(clippy::unwrap_used)]

mod support_process;

use support_process::{Reply, Server, encode};

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

fn panics(server: &Server) -> f64 {
    server.metric("glasswing_panics_total").first().map_or(0.0, |sample| sample.1)
}

#[test]
fn a_panic_closes_one_connection_and_no_other() {
    let server = Server::start(2, &["--enable-debug-command", "yes"]);
    let mut others: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for other in &mut others {
        assert_eq!(other.ask(&["SET", "key", "before"]), ok());
    }
    for round in 1..=4 {
        let mut failing = server.connect();
        failing
            .send(
                &[encode(&["SET", "key", "during"]), encode(&["DEBUG", "PANIC"]), encode(&["PING"])].concat(),
            )
            .unwrap();
        assert_eq!(failing.read().unwrap(), ok(), "what ran before the panic is answered");
        assert!(failing.read().is_err(), "the connection is closed without a reply");
        assert_eq!(panics(&server), f64::from(round));
        assert!(server.log().contains("DEBUG PANIC was called"), "the panic is logged");
    }
    // On both workers, with the keys' locks, and with the whole keyspace.
    for other in &mut others {
        assert_eq!(other.ask(&["SET", "key", "after"]), ok());
        assert_eq!(
            other.ask(&["MGET", "key", "none"]),
            Reply::Array(vec![Reply::Bulk(b"after".to_vec()), Reply::Nil])
        );
        assert_eq!(other.ask(&["FLUSHALL"]), ok());
        assert_eq!(other.ask(&["DBSIZE"]), Reply::Integer(0));
    }
}

#[test]
fn a_panic_within_a_transaction_lets_go_of_its_keys() {
    let server = Server::start(2, &["--enable-debug-command", "yes"]);
    let mut other = server.connect();
    for request in [vec!["SET", "a", "1"], vec!["DEBUG", "PANIC"]] {
        let mut failing = server.connect();
        assert_eq!(failing.ask(&["WATCH", "a", "b"]), ok());
        assert_eq!(failing.ask(&["MULTI"]), ok());
        assert_eq!(failing.ask(&request), Reply::Simple("QUEUED".to_owned()));
        assert_eq!(failing.ask(&["DEBUG", "PANIC"]), Reply::Simple("QUEUED".to_owned()));
        failing.send(&encode(&["EXEC"])).unwrap();
        while failing.read().is_ok() {}
        assert_eq!(other.ask(&["MSET", "a", "1", "b", "2"]), ok());
        assert_eq!(other.ask(&["FLUSHALL"]), ok());
    }
    assert_eq!(panics(&server), 2.0);
}
