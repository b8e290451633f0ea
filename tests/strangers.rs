//! Clients from elsewhere than this machine, as far as this machine can be one: through an address of its own that is
//! no loopback.

mod common;

use std::io::Read;
use std::net::{IpAddr, TcpStream, UdpSocket};

use common::redis::Redis;
use common::{Client, Launch, PATIENCE};

/// The address from which this machine would talk to others; nothing is sent. `None` on a machine without a network.
fn outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documentation (RFC 5737).
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// What is said to somebody who connects from there, until the connection is closed.
fn told(address: IpAddr, port: u16) -> String {
    let mut stream = TcpStream::connect((address, port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is closed");
    text
}

#[test]
fn protected_mode_refuses_who_comes_from_elsewhere_in_rediss_words() {
    let Some(address) = outside() else {
        eprintln!("this machine has no address but loopback: nothing to show");
        return;
    };
    let server = Launch::new().with(&["--bind", "0.0.0.0"]).start();
    let refused = told(address, server.port());
    assert!(refused.starts_with("-DENIED Redis is running in protected mode"), "{refused}");
    if let Some(redis) = Redis::start(&["--bind", "0.0.0.0"]) {
        assert_eq!(refused, told(address, redis.port()));
    }
    // Who is here may come in, and open the door: with a password, or for everybody.
    let mut here = server.client();
    assert_eq!(here.line("CONFIG SET requirepass secret"), "OK");
    let from_elsewhere = || Client::reach((address, server.port())).expect("the server listens");
    let mut stranger = from_elsewhere();
    assert_eq!(stranger.line("PING"), "(error) NOAUTH Authentication required.");
    assert_eq!(stranger.line("AUTH secret"), "OK");
    assert_eq!(stranger.line("PING"), "PONG");
    assert_eq!(here.line("CONFIG SET requirepass \"\""), "OK");
    assert!(told(address, server.port()).starts_with("-DENIED "));
    assert_eq!(here.line("CONFIG SET protected-mode no"), "OK");
    assert_eq!(from_elsewhere().line("PING"), "PONG");
}

#[test]
fn who_is_local_may_do_what_is_allowed_to_local_clients_and_others_may_not() {
    let Some(address) = outside() else {
        eprintln!("this machine has no address but loopback: nothing to show");
        return;
    };
    let options = ["--bind", "0.0.0.0", "--protected-mode", "no", "--enable-debug-command", "local"];
    let server = Launch::new().with(&options).start();
    assert_eq!(server.client().line("DEBUG SLEEP 0"), "OK");
    let mut stranger = Client::reach((address, server.port())).expect("the server listens");
    let refused = stranger.line("DEBUG SLEEP 0");
    assert!(refused.starts_with("(error) ERR DEBUG command not allowed."), "{refused}");
    let protected = stranger.line("CONFIG SET dir /");
    assert!(protected.ends_with("can't set protected config"), "{protected}");
}

#[test]
fn debug_is_refused_to_everybody_unless_a_setting_allows_it() {
    let server = Launch::new().start();
    let refused = server.client().line("DEBUG SLEEP 0");
    assert!(refused.starts_with("(error) ERR DEBUG command not allowed."), "{refused}");
}

#[test]
fn who_may_not_follow_gets_no_copy() {
    let server = Launch::new().start();
    let mut admin = server.client();
    assert_eq!(admin.line("SET key value"), "OK");
    assert_eq!(admin.line("ACL SETUSER reader on >secret ~* &* +@all -@dangerous"), "OK");
    let mut reader = server.client();
    assert_eq!(reader.line("AUTH reader secret"), "OK");
    assert_eq!(reader.line("GET key"), "\"value\"");
    for command in ["PSYNC ? -1", "SYNC", "REPLCONF listening-port 1"] {
        let refused = reader.line(command);
        assert!(refused.starts_with("(error) NOPERM "), "{command}: {refused}");
    }
    assert_eq!(admin.info("connected_slaves"), "0");
    assert_eq!(admin.info("sync_full"), "0");
}
