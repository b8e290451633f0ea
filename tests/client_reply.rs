//! CLIENT REPLY, and where a message to oneself stands: byte for byte what Redis sends, which is asked where it is
//! installed.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::redis::Redis;
use common::{Client, Server};

/// Requests in one write, lines of inline commands, and all that comes back.
const CASES: &[(&str, &str)] = &[
    ("CLIENT REPLY OFF\nMULTI\nSET a 1\nEXEC\nCLIENT REPLY ON\n", "+OK\n"),
    ("CLIENT REPLY OFF\nMULTI\nECHO 1\nCLIENT REPLY ON\nECHO 2\nEXEC\n", "+OK\n$1\n2\n"),
    ("CLIENT REPLY OFF\nNOTHING\nEXEC\nCLIENT REPLY ON\n", "+OK\n"),
    ("MULTI\nSET a 1\nCLIENT REPLY SKIP\nEXEC\nPING\nPING\n", "+OK\n+QUEUED\n+QUEUED\n*2\n+OK\n+PONG\n"),
    (
        "MULTI\nCLIENT REPLY OFF\nECHO 1\nCLIENT REPLY ON\nECHO 2\nEXEC\nPING\n",
        "+OK\n+QUEUED\n+QUEUED\n+QUEUED\n+QUEUED\n*4\n+OK\n$1\n2\n+PONG\n",
    ),
    ("CLIENT REPLY SKIP\nPING\nECHO 1\n", "$1\n1\n"),
    ("CLIENT REPLY SKIP\nMULTI\nPING\nEXEC\n", "+QUEUED\n*1\n+PONG\n"),
    ("MULTI\nPING\nCLIENT REPLY SKIP\nEXEC\nEXEC\nPING\n", "+OK\n+QUEUED\n+QUEUED\n*2\n+PONG\n+PONG\n"),
    ("CLIENT REPLY OFF\nBLPOP queue:{} 0.05\nCLIENT REPLY ON\n", "+OK\n"),
    ("CLIENT REPLY SKIP\nBLPOP queue:{} 0.05\nPING\n", "+PONG\n"),
    ("CLIENT REPLY OFF\nWAIT 1 50\nCLIENT REPLY ON\n", "+OK\n"),
    ("CLIENT REPLY OFF\nSAVE\nCLIENT REPLY ON\n", "+OK\n"),
    ("CLIENT REPLY SKIP\nSAVE\nPING\n", "+PONG\n"),
];

/// What comes back until `end` does, which nothing else holds.
fn answers(port: u16, requests: &str, end: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let text = format!("{requests}ECHO {end}\n").replace("{}", end);
    stream.write_all(text.replace('\n', "\r\n").as_bytes()).expect("it takes them");
    let end = format!("${}\r\n{end}\r\n", end.len());
    let (mut said, mut bytes) = (Vec::new(), [0; 4096]);
    while !said.ends_with(end.as_bytes()) {
        match stream.read(&mut bytes) {
            Ok(length) if length > 0 => said.extend_from_slice(&bytes[..length]),
            _ => return format!("{:?} and no end", String::from_utf8_lossy(&said)),
        }
    }
    String::from_utf8_lossy(&said[..said.len() - end.len()]).replace("\r\n", "\n")
}

#[test]
fn nothing_is_heard_that_was_not_to_be() {
    let server = Server::start(&[]);
    let redis = Redis::start(&[]);
    for (place, (requests, expected)) in CASES.iter().enumerate() {
        let end = format!("the-end-{place}");
        assert_eq!(answers(server.port(), requests, &end), *expected, "{requests}");
        if let Some(redis) = &redis {
            assert_eq!(
                answers(redis.port(), requests, &end),
                *expected,
                "redis-server says otherwise: {requests}"
            );
        }
    }
}

#[test]
fn who_is_served_while_silent_hears_nothing() {
    let server = Server::start(&[]);
    for mode in ["OFF", "SKIP"] {
        let mut waits = server.client();
        waits.send(&["CLIENT", "REPLY", mode]);
        waits.send(&["BLPOP", "queue", "0"]);
        common::until("it waits", || server.client().info("blocked_clients") == "1");
        assert_eq!(server.client().line("RPUSH queue v"), "(integer) 1");
        common::until("it is served", || server.client().info("blocked_clients") == "0");
        if mode == "OFF" {
            waits.send(&["CLIENT", "REPLY", "ON"]);
            assert_eq!(waits.reply(), common::ok());
        }
        assert_eq!(waits.line("ECHO heard"), "\"heard\"");
    }
}

/// The message, the reply to PUBLISH and that to ECHO, as they come.
fn pushes(mut client: Client) -> Vec<String> {
    client.send(&["HELLO", "3"]);
    client.reply().expect("a greeting");
    client.send(&["SUBSCRIBE", "c"]);
    client.reply().expect("a confirmation");
    let mut packet = common::encode(&["PUBLISH", "c", "x"]);
    packet.extend(common::encode(&["ECHO", "end"]));
    assert!(client.raw(&packet));
    (0..3).map(|_| format!("{:?}", client.reply().expect("a reply"))).collect()
}

#[test]
fn a_message_to_oneself_comes_before_the_reply_that_tells_of_it() {
    let ours = pushes(Server::start(&[]).client());
    assert!(ours[0].starts_with("Push"), "{ours:?}");
    if let Some(redis) = Redis::start(&[]) {
        assert_eq!(pushes(Client::connect(redis.port())), ours);
    }
}

#[test]
fn what_a_client_has_sent_runs_though_it_goes_without_reading() {
    // Some of these wait for others: for the whole keyspace, for the disk, for a thread of their own.
    let server = Server::start(&["--enable-debug-command", "yes"]);
    for round in 0..20 {
        let mut packet = Vec::new();
        for line in ["SET a 1", "FLUSHALL", "SET b 2", "SAVE", "SET c 3", "BGSAVE", "SCRIPT FLUSH"] {
            packet.extend(common::encode(&line.split(' ').collect::<Vec<_>>()));
        }
        packet.extend(common::encode(&["SET", "round", &round.to_string()]));
        assert!(server.client().raw(&packet));
        let expected = format!("\"{round}\"");
        common::until("the last one has run", || server.client().line("GET round") == expected);
        assert_eq!(server.client().line("MGET a b c"), "1) (nil)\n2) \"2\"\n3) \"3\"");
    }
}

/// All that comes back until the other side closes.
fn last_words(port: u16, requests: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream.write_all(requests.replace('\n', "\r\n").as_bytes()).expect("it takes them");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it closes");
    said.replace("\r\n", "\n")
}

#[test]
fn who_closes_itself_in_a_transaction_is_told_no_more_but_the_rest_runs() {
    let requests = "MULTI\nSET a 1\nCLIENT KILL TYPE normal SKIPME no\nINCR a\nEXEC\nPING\n";
    let expected = "+OK\n+QUEUED\n+QUEUED\n+QUEUED\n*3\n+OK\n:1\n";
    let server = Server::start(&[]);
    assert_eq!(last_words(server.port(), requests), expected);
    assert_eq!(server.client().line("GET a"), "\"2\"");
    if let Some(redis) = Redis::start(&[]) {
        assert_eq!(last_words(redis.port(), requests), expected);
        assert_eq!(Client::connect(redis.port()).line("GET a"), "\"2\"");
    }
}
