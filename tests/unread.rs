//! Clients that send all of a long pipeline before they read a reply: as in Redis, they get all replies, unless a limit
//! says otherwise.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use common::{Client, PATIENCE, Server, encode, until};

/// With a kilobyte each way this is more than the kernel holds for both directions of a connection.
const COMMANDS: usize = 30_000;

fn stream(server: &Server) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// `length` bytes of replies, which end with `end`.
fn read_all(stream: &mut TcpStream, length: usize, end: &[u8]) {
    let mut replies = vec![0; length];
    stream.read_exact(&mut replies).expect("all replies come");
    assert!(replies.ends_with(end), "{:?}", replies[length - end.len()..].escape_ascii().to_string());
}

#[test]
fn a_pipeline_is_sent_before_a_reply_is_read() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let text = "v".repeat(1_000);
    let echo = encode(&["ECHO", &text]).repeat(COMMANDS);
    let reply = format!("$1000\r\n{text}\r\n");
    for (between, answer) in [
        (encode(&["PING"]), "+PONG\r\n"),
        // What needs the whole keyspace, and what waits, stands in the way of nobody either.
        (encode(&["EVAL", "return redis.call('DEL', 'other')", "0"]), ":0\r\n"),
        (encode(&["BLPOP", "nothing", "0.05"]), "*-1\r\n"),
    ] {
        let mut asks = stream(&server);
        for requests in [&echo, &between, &echo] {
            asks.write_all(requests).expect("it is read");
        }
        asks.write_all(&encode(&["ECHO", "end"])).expect("it is read");
        let length = 2 * COMMANDS * reply.len() + answer.len() + "$3\r\nend\r\n".len();
        read_all(&mut asks, length, format!("{reply}$3\r\nend\r\n").as_bytes());
        drop(asks);
        until("it is gone", || client.info("connected_clients") == "1");
    }
}

/// Who has sent all and says so gets the replies that wait, as `nc -N` expects it.
#[test]
fn the_end_of_the_requests_is_not_the_end_of_the_replies() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"key", &vec![b'v'; 1 << 20]]), common::ok());
    let mut asks = stream(&server);
    asks.write_all(&encode(&["GET", "key"]).repeat(64)).expect("it is read");
    until("all has run", || clients(&mut client).contains("cmd=get") && waiting(&mut client) > 8 << 20);
    asks.shutdown(Shutdown::Write).expect("it is open");
    let mut replies = Vec::new();
    asks.read_to_end(&mut replies).expect("all replies come");
    assert_eq!(replies.len(), 64 * ("$1048576\r\n\r\n".len() + (1 << 20)));
}

/// Messages keep their place between replies that wait.
#[test]
fn messages_stay_in_order_behind_replies_that_wait() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"key", &vec![b'v'; 1 << 20]]), common::ok());
    let mut listens = stream(&server);
    listens.write_all(b"HELLO 3\r\nSUBSCRIBE channel\r\n").expect("it is read");
    // Less than a subscriber may let wait.
    listens.write_all(&encode(&["GET", "key"]).repeat(24)).expect("it is read");
    until("its replies wait", || clients(&mut client).contains("cmd=get") && waiting(&mut client) > 8 << 20);
    assert_eq!(client.line("PUBLISH channel first"), "(integer) 1");
    listens.write_all(b"ECHO second\r\n").expect("it is read");
    until("it ran", || clients(&mut client).contains("cmd=echo"));
    assert_eq!(client.line("PUBLISH channel third"), "(integer) 1");
    let mut reader = Client::over(listens);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let text = format!("{:?}", reader.reply().expect("a reply"));
        let told = ["first", "second", "third"].into_iter().find(|word| text.contains(word));
        seen.extend(told.filter(|_| text.len() < 1_000));
    }
    assert_eq!(seen, ["first", "second", "third"]);
}

#[test]
fn who_reads_nothing_meets_the_limits() {
    let mut server = Server::start(&["--client-output-buffer-limit", "normal", "8mb", "0", "0"]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"key", &vec![b'v'; 100_000]]), common::ok());
    let requests = encode(&["GET", "key"]).repeat(1_000);
    let mut greedy = stream(&server);
    let _ = greedy.write_all(&requests);
    assert!(server.log_says("overcoming of output buffer limits"));

    // Without one of its own all clients together may be limited.
    assert_eq!(
        client.line("CONFIG SET client-output-buffer-limit 'normal 0 0 0' maxmemory-clients 20mb"),
        "OK"
    );
    assert_eq!(client.line("CLIENT NO-EVICT on"), "OK");
    let mut greedy = stream(&server);
    let _ = greedy.write_all(&requests);
    until("it is evicted", || client.info("evicted_clients") == "1");
    until("what waited is given back", || client.info("connected_clients") == "1");
}

/// Redis would take the 2 GB that it asks for. What it asks for then waits in its own hands.
#[test]
fn who_has_no_limit_is_bounded_all_the_same_and_gets_everything() {
    const ASKED: usize = 2_000;
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"key", &vec![b'v'; 1 << 20]]), common::ok());
    let mut greedy = stream(&server);
    greedy.write_all(&encode(&["GET", "key"]).repeat(ASKED)).expect("it is read");
    greedy.write_all(&encode(&["ECHO", "end"])).expect("it is read");
    until("64 MiB wait", || waiting(&mut client) > 64 << 20);
    // Others are served many times over, and no more is run for it.
    for _ in 0..100 {
        assert!(waiting(&mut client) < 68 << 20, "{}", waiting(&mut client));
        assert!(client.info("used_memory").parse::<usize>().expect("a number") < 100 << 20);
    }
    let length = ASKED * ("$1048576\r\n\r\n".len() + (1 << 20)) + "$3\r\nend\r\n".len();
    let (mut read, mut piece) = (0, vec![0; 1 << 20]);
    while read < length {
        let more = greedy.read(&mut piece).expect("more comes");
        assert!(more > 0, "{read} of {length}");
        read += more;
    }
    until("nothing waits", || waiting(&mut client) == 0);
}

/// CLIENT LIST without the client that asks.
fn clients(client: &mut Client) -> String {
    let list = client.line("CLIENT LIST");
    list.split("\\n").filter(|line| !line.contains("cmd=client")).collect()
}

/// The most that waits for any client.
fn waiting(client: &mut Client) -> usize {
    let list = clients(client);
    let figures = list.split(" omem=").skip(1);
    figures.filter_map(|rest| rest.split(' ').next()?.parse().ok()).max().unwrap_or(0)
}
