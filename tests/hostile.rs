//! Bad input: nothing that a client sends ends the process, fills its memory or keeps others waiting.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use common::{Client, Launch, PATIENCE, Server, encode, ok, until};
use glasswing::resp::Value;

/// A small generator whose inputs are the same in every run (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Bytes of no meaning, or a request with some of its bytes changed, cut off or doubled.
    fn input(&mut self) -> Vec<u8> {
        const WORDS: [&[u8]; 14] = [
            b"SET",
            b"get",
            b"MULTI",
            b"EXEC",
            b"BLPOP",
            b"0",
            b"-1",
            b"key",
            b"HELLO",
            b"3",
            b"CLIENT",
            b"9223372036854775807",
            b"SORT",
            b"\x00\xff",
        ];
        if self.below(3) == 0 {
            return (0..self.below(200)).map(|_| self.next() as u8).collect();
        }
        let count = 1 + self.below(5);
        let mut input = format!("*{count}\r\n").into_bytes();
        for _ in 0..count {
            let word = WORDS[self.below(WORDS.len())];
            input.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            input.extend_from_slice(word);
            input.extend_from_slice(b"\r\n");
        }
        for _ in 0..self.below(4) {
            let place = self.below(input.len());
            match self.below(3) {
                0 => input[place] = self.next() as u8,
                1 => input.truncate(place + 1),
                _ => input.extend_from_within(place..),
            }
        }
        input
    }
}

/// The server answers as if nothing had happened.
fn is_well(server: &Server) {
    let mut client = server.client();
    assert_eq!(client.line("SET well yes"), "OK");
    assert_eq!(client.line("GET well"), "\"yes\"");
    until("the others are gone", || client.info("connected_clients") == "1");
    assert_eq!(client.info("blocked_clients"), "0");
    assert_eq!(client.info("loading"), "0");
    assert!(client.info("total_commands_processed").parse::<u64>().expect("a count") > 0);
    assert!(client.info("total_error_replies").parse::<u64>().is_ok());
}

fn resident_kib(server: &Server) -> u64 {
    memory_kib(server, "VmRSS:")
}

fn memory_kib(server: &Server, figure: &str) -> u64 {
    let path = format!("/proc/{}/status", server.pid());
    let text = std::fs::read_to_string(path).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(figure)).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn stream(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn random_bytes() {
    let launch = Launch::new().admin().with(&["--workers", "2"]);
    let server = launch.start();
    let port = server.port();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            scope.spawn(move || {
                let mut noise = Noise(thread);
                let mut connection = stream(port);
                for number in 0..2_500 {
                    // The server may have closed it for a broken request.
                    if connection.write_all(&noise.input()).is_err() || number % 50 == 0 {
                        connection = stream(port);
                    }
                    if number % 7 == 0 {
                        connection.set_nonblocking(true).expect("a mode");
                        let mut replies = [0; 4_096];
                        while connection.read(&mut replies).is_ok_and(|read| read > 0) {}
                        connection.set_nonblocking(false).expect("a mode");
                    }
                }
            });
        }
    });
    is_well(&server);
    let (_, metrics) = server.http("GET", "/metrics");
    let panics = metrics.lines().filter(|line| line.starts_with("glasswing_panics_total"));
    panics.for_each(|line| assert!(line.ends_with(" 0"), "{line}"));
}

#[test]
fn huge_lengths_and_deep_nesting() {
    let server = Server::start(&[]);
    let before = resident_kib(&server);
    let refused: [(&str, &str); 7] = [
        ("*1048577\r\n", "ERR Protocol error: invalid multibulk length"),
        ("*9223372036854775808\r\n", "ERR Protocol error: invalid multibulk length"),
        ("*1\r\n$536870913\r\n", "ERR Protocol error: invalid bulk length"),
        ("*1\r\n$-2\r\n", "ERR Protocol error: invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "ERR Protocol error: invalid bulk length"),
        ("*2\r\n*2\r\n*2\r\n", "ERR Protocol error: expected '$', got '*'"),
        ("SET \"key\r\n", "ERR Protocol error: unbalanced quotes in request"),
    ];
    for (input, words) in refused {
        let mut client = server.client();
        assert!(client.raw(input.as_bytes()));
        assert_eq!(client.reply(), Some(Value::Error(words.into())), "{input:?}");
        assert_eq!(client.reply(), None, "{input:?}: the connection is closed");
    }
    let mut inline = server.client();
    inline.raw(&vec![b'x'; 70_000]);
    assert_eq!(inline.reply(), Some(Value::Error("ERR Protocol error: too big inline request".into())));
    // Nesting has no place in a request; a million levels are refused at the first.
    let mut deep = stream(server.port());
    let _ = deep.write_all("*1\r\n".repeat(1_000_000).as_bytes());
    // Announced and not sent: no memory is set aside for it.
    let mut announced: Vec<_> = (0..50).map(|_| stream(server.port())).collect();
    for connection in &mut announced {
        connection.write_all(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$536870912\r\nabc").expect("it is taken");
    }
    let mut many: Vec<_> = (0..50).map(|_| stream(server.port())).collect();
    for connection in &mut many {
        connection.write_all(b"*1048576\r\n$4\r\nMSET\r\n$1\r\nx\r\n").expect("it is taken");
    }
    let mut client = server.client();
    for number in 1..=200 {
        assert_eq!(client.line("INCR turns"), format!("(integer) {number}"));
    }
    let grown = resident_kib(&server).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB for what was only announced");
    drop((announced, many, deep, client, inline));
    is_well(&server);
}

/// A reply that is many times as large as the data.
#[test]
fn a_long_reply_takes_hardly_more_than_its_length() {
    const MIB: u64 = 1024;
    let server = Server::start(&[]);
    let mut client = server.client();
    let value = vec![b'v'; 8 << 20];
    assert_eq!(client.call(&[&b"SET"[..], b"large", &value]), Some(Value::Simple("OK".into())));
    let length = 30 * ("$8388608\r\n\r\n".len() + value.len()) + "*30\r\n".len();
    let long = format!("MGET{}\r\n", " large".repeat(30));
    let ask = |request: &str| {
        let mut asks = stream(server.port());
        asks.write_all(request.as_bytes()).expect("the server listens");
        asks
    };
    let mut reader = ask(&long).take(length as u64);
    assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).expect("a reply"), length as u64);
    let most = memory_kib(&server, "VmHWM:");
    assert!(most < 400 * MIB, "{most} KiB for a reply of 240 MiB");
    drop(reader);
    until("what the reply took is given back", || resident_kib(&server) < 100 * MIB);

    // With a limit, what would go beyond it is not made at all.
    let server = Server::start(&["--client-output-buffer-limit", "normal", "20mb", "0", "0"]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"large", &value]), Some(Value::Simple("OK".into())));
    let before = memory_kib(&server, "VmHWM:");
    let gets = "GET large\r\n".repeat(30);
    for request in [long, format!("MULTI\r\n{gets}EXEC\r\n")] {
        let mut asks = stream(server.port());
        asks.write_all(request.as_bytes()).expect("the server listens");
        let mut received = Vec::new();
        let _ = asks.read_to_end(&mut received);
        assert!(received.len() < 1_000, "{} bytes came", received.len());
        let grown = memory_kib(&server, "VmHWM:") - before;
        assert!(grown < 100 * MIB, "{grown} KiB for what nobody gets");
    }
    drop(client);
    is_well(&server);
}

#[test]
fn a_client_that_never_reads() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "32mb", "0", "0"]);
    let mut client = server.client();
    let value = vec![b'v'; 1 << 20];
    assert_eq!(client.call(&[&b"SET"[..], b"large", &value]), Some(Value::Simple("OK".into())));
    let before = resident_kib(&server);
    let mut greedy: Vec<_> = (0..4).map(|_| stream(server.port())).collect();
    let requests = b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(2_000);
    let mut most = 0;
    for connection in &mut greedy {
        // 2 GB of replies are asked for. The server may stop reading, or close the connection.
        connection.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let _ = connection.write_all(&requests);
        for _ in 0..50 {
            assert_eq!(client.line("PING"), "PONG");
            most = most.max(resident_kib(&server).saturating_sub(before));
        }
    }
    assert!(most < 400 * 1024, "{most} KiB are held for four clients that do not read");
    drop(greedy);
    assert_eq!(client.line("DEL large"), "(integer) 1");
    drop(client);
    is_well(&server);
}

#[test]
fn a_client_beyond_its_output_limit() {
    for limit in [["normal", "1mb", "0", "0"], ["normal", "0", "1mb", "1"]] {
        let mut server = Server::start(&[&["--client-output-buffer-limit"][..], &limit].concat());
        let mut client = server.client();
        let value = vec![b'v'; 48 << 20];
        assert_eq!(client.call(&[&b"SET"[..], b"large", &value]), Some(Value::Simple("OK".into())));
        let mut greedy = stream(server.port());
        greedy.write_all(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n").expect("the server listens");
        assert!(server.log_says("overcoming of output buffer limits"), "{limit:?}");
        let mut received = Vec::new();
        // The kernel may hold a part of the reply, or say that the connection was reset.
        let _ = greedy.read_to_end(&mut received);
        assert!(received.len() < value.len(), "{limit:?}");
        drop(client);
        is_well(&server);
    }
}

#[test]
fn a_reply_beyond_the_limit_is_not_begun() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "100000", "0", "0"]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"large", &vec![b'v'; 150_000]]), Some(Value::Simple("OK".into())));
    for line in ["HSET hash field value", "SADD set member", "ZADD sorted 1 member"] {
        assert_eq!(client.line(line), "(integer) 1");
    }
    // The socket would take all of the first; the others would be gigabytes.
    for request in [
        "GET large",
        "HRANDFIELD hash -999999999",
        "SRANDMEMBER set -999999999",
        "ZRANDMEMBER sorted -999999999 WITHSCORES",
    ] {
        let mut greedy = stream(server.port());
        greedy.write_all(format!("{request}\r\n").as_bytes()).expect("the server listens");
        let mut received = Vec::new();
        let _ = greedy.read_to_end(&mut received);
        assert_eq!(received.len(), 0, "{request}");
    }
    assert_eq!(client.line("SET other 5"), "OK");
    // A script gets all of it.
    assert_eq!(client.line("EVAL \"return #redis.call('HRANDFIELD', 'hash', -50000)\" 0"), "(integer) 50000");
    drop(client);
    is_well(&server);
}

#[test]
fn a_reply_beyond_the_limit_leaves_no_memory_behind() {
    let limit = ["--client-output-buffer-limit", "normal", "100000", "0", "0"];
    let server =
        Server::start(&[&["--workers", "1", "--enable-debug-command", "yes"][..], &limit[..]].concat());
    let mut client = server.client();
    let value = vec![b'v'; 10 << 20];
    let empty = client.info("used_memory").parse::<u64>().expect("a number");
    assert_eq!(client.call(&[&b"SET"[..], b"large", &value]), ok());
    let mut used = || client.info("used_memory").parse::<u64>().expect("a number");
    // INFO may show what was in use a millisecond ago.
    until("the value is counted", || used() >= empty + (5 << 20));
    let before = used();
    // By itself, after a command that ends the batch for its time, and before one.
    let (large, slow) = ("GET large\r\n", "DEBUG SLEEP 0.001\r\n");
    for requests in [large.to_owned(), format!("{slow}{large}"), format!("{large}{slow}")] {
        let mut greedy = stream(server.port());
        greedy.write_all(requests.as_bytes()).expect("the server listens");
        let mut received = Vec::new();
        let _ = greedy.read_to_end(&mut received);
        assert_eq!(received.len(), 0, "{requests}");
        until(&requests, || used() < before + (5 << 20));
    }
    drop(client);
    is_well(&server);
}

#[test]
fn replies_that_go_beyond_the_limit_together_are_not_begun_either() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "100000", "0", "0"]);
    let mut client = server.client();
    assert_eq!(client.call(&[&b"SET"[..], b"k", &[b'v'; 300]]), Some(Value::Simple("OK".into())));
    // One read, and more than one batch: the replies of none are beyond the limit.
    for (gets, length) in [(300, 4 + 300 * 308), (1_000, 0)] {
        let mut greedy = stream(server.port());
        let requests = format!("KEYS nosuch\r\n{}QUIT\r\n", "GET k\r\n".repeat(gets));
        greedy.write_all(requests.as_bytes()).expect("the server listens");
        let mut received = Vec::new();
        let _ = greedy.read_to_end(&mut received);
        let end = if length > 0 { "+OK\r\n".len() } else { 0 };
        assert_eq!(received.len(), length + end, "{gets}");
    }
    drop(client);
    is_well(&server);
}

#[test]
fn what_a_large_argument_took_is_given_back_with_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let before: u64 = client.info("used_memory").parse().expect("a number");
    let value = vec![b'v'; 1 << 20];
    // Kept by nobody, refused, and followed by a part of the next request.
    let mut idle: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for other in &mut idle {
        assert_eq!(other.call(&[&b"SET"[..], b"k", &value]), ok());
        assert!(matches!(other.call(&[&b"GET"[..], b"k", &value]), Some(Value::Error(_))));
        assert!(other.raw(&[&encode(&[&b"SET"[..], b"k", &value])[..], b"*2\r\n$4\r\nEC"].concat()));
        assert_eq!(other.reply(), ok());
    }
    assert_eq!(client.line("DEL k"), "(integer) 1");
    until("their memory is free", || {
        client.info("used_memory").parse::<u64>().expect("a number") < before + (4 << 20)
    });
    drop(idle);
}

#[test]
fn an_announced_argument_counts_for_its_client_before_it_comes() {
    let announced = b"*2\r\n$4\r\nECHO\r\n$536870000\r\nabc";
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut greedy = server.client();
    assert!(greedy.raw(announced));
    until("its buffer is seen", || client.line("CLIENT LIST").contains("qbuf-free=53686999"));
    assert!(client.info("mem_clients_normal").parse::<u64>().expect("a number") > 500_000_000);
    assert_eq!(client.line("CONFIG SET maxmemory-clients 50mb"), "OK");
    until("it is closed", || client.info("evicted_clients") == "1");
    let mut other = server.client();
    assert!(other.raw(announced));
    assert_eq!(other.reply(), None);
    assert_eq!(client.info("evicted_clients"), "2");
}

/// What a worker has taken before it first tells of it is not missing when it gives it back.
#[test]
fn memory_is_counted_whole_though_the_limit_came_later() {
    let server = Server::start(&["--workers", "2"]);
    let mut client = server.client();
    let before: u64 = client.info("used_memory").parse().expect("a number");
    assert_eq!(client.line("CONFIG SET maxmemory 50mb"), "OK");
    for _ in 0..4 {
        // It runs no command, which would be a reason to tell.
        let mut greedy = stream(server.port());
        greedy.write_all(b"*2\r\n$4\r\nECHO\r\n$100000000\r\nabc").expect("the server listens");
        until("it is counted", || client.line("SET x 1").contains("OOM"));
        drop(greedy);
        until("it is counted no more", || client.line("SET x 1") == "OK");
        // Asked once: each time INFO looks at the allocator, and what is wrong becomes less.
        assert!(client.info("used_memory").parse::<u64>().expect("a number") > before / 2);
    }
}

#[test]
fn a_client_without_the_password_that_never_reads() {
    let mut server = Server::start(&["--requirepass", "secret"]);
    let mut flood = stream(server.port());
    let request = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n5\r\n".repeat(1_000);
    // The kernel takes some megabytes of replies; then the connection ends.
    let closed = (0..10_000).any(|_| flood.write_all(&request).is_err());
    assert!(closed, "it may send for as long as it likes");
    assert!(server.log_says("overcoming of output buffer limits"));
    let mut client = server.client();
    assert_eq!(client.line("AUTH secret"), "OK");
    assert_eq!(client.line("PING"), "PONG");
}

/// As in Redis, arguments that are there do not count, and nothing counts before it is read.
#[test]
fn the_query_buffer_of_a_client() {
    let launch = Launch::new().admin().with(&["--client-query-buffer-limit", "1mb"]);
    let server = launch.start();
    let mut other = server.client();
    // More than the limit in arguments, in one write and in pieces.
    let mut words = vec![b"MSET".to_vec()];
    for number in 0..150 {
        words.extend([format!("key:{number}").into_bytes(), vec![b'v'; 20_000]]);
    }
    let request = encode(&words);
    let mut client = server.client();
    assert_eq!(client.call(&words), ok());
    for piece in request.chunks(70_001) {
        assert!(client.raw(piece));
        assert_eq!(other.line("PING"), "PONG");
    }
    assert_eq!(client.reply(), ok());
    assert!(client.raw(&request[..2_000_000]));
    let list = |other: &mut Client| other.line("CLIENT LIST");
    until("most of the request is there", || list(&mut other).contains(" argv-mem=19"));
    assert!(client.raw(&request[2_000_000..]));
    assert_eq!(client.reply(), ok());
    // One argument beyond the limit, and one that has the most of it.
    assert_eq!(client.call(&[&b"SET"[..], b"large", &vec![b'v'; 1_000_000]]), ok());
    let _ = client.raw(&encode(&[&b"SET"[..], b"large", &vec![b'w'; 1_200_000]]));
    assert_eq!(client.reply(), None);
    // What a client sends while it waits counts as a whole.
    let mut parked = server.client();
    parked.send(&["BLPOP", "nothing", "0"]);
    until("it waits", || other.info("blocked_clients") == "1");
    let _ = parked.raw(&request);
    assert_eq!(parked.reply(), None);
    let closed = server.metric("glasswing_disconnections_total");
    assert!(
        closed.iter().any(|(labels, count)| labels.contains("query_buffer") && *count == 2.0),
        "{closed:?}"
    );
    assert_eq!(other.line("STRLEN large"), "(integer) 1000000");
    drop((other, client, parked));
    is_well(&server);
}

#[test]
fn what_clients_provoke_is_logged_only_so_often() {
    const CLIENTS: usize = 300;
    let mut server = Launch::new().admin().with(&["--client-query-buffer-limit", "1mb"]).start();
    // A request that is longer than a client may send closes it, with a line in the log.
    let too_much = [b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4000000\r\n".to_vec(), vec![b'x'; 2 << 20]].concat();
    for _ in 0..CLIENTS {
        let mut connection = stream(server.port());
        // It may be closed before all of it is sent.
        let _ = connection.write_all(&too_much);
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest);
    }
    let kept_back = server.metric("glasswing_log_lines_suppressed_total")[0].1 as usize;
    server.signal(nix::sys::signal::Signal::SIGTERM);
    let log = server.ended().1;
    let written = log.iter().filter(|line| line.contains("reached max query buffer length")).count();
    assert_eq!(written + kept_back, CLIENTS, "each was either written or counted");
    assert!(kept_back > 0, "{written} lines were written");
    assert!(log.iter().any(|line| line.contains("lines like the next one were kept back")) || written <= 20);
}

#[test]
fn a_byte_at_a_time() {
    let server = Server::start(&[]);
    let mut slow = server.client();
    let mut quick = server.client();
    for (number, byte) in b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nva\r\ne\r\n".iter().enumerate() {
        assert!(slow.raw(&[*byte]));
        // The other's round trip lets the server see each byte by itself.
        assert_eq!(quick.line("INCR turns"), format!("(integer) {}", number + 1));
    }
    assert_eq!(slow.reply(), Some(Value::Simple("OK".into())));
    assert_eq!(quick.line("GET key"), "\"va\\r\\ne\"");
    for byte in b"get  'key'\r\n" {
        assert!(slow.raw(&[*byte]));
        assert_eq!(quick.line("PING"), "PONG");
    }
    assert_eq!(slow.reply(), Some(Value::Bulk(b"va\r\ne".as_slice().into())));
    drop((slow, quick));
    is_well(&server);
}

#[test]
fn panics_while_others_work() {
    const ROUNDS: usize = 200;
    let server = Server::start(&["--enable-debug-command", "yes", "--workers", "2"]);
    let port = server.port();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                let mut client = Client::connect(port);
                for round in 1..=ROUNDS {
                    assert_eq!(client.line(&format!("INCR count:{worker}")), format!("(integer) {round}"));
                    assert_eq!(client.line("MSET a 1 b 2 c 3"), "OK");
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(server.client().line("DEBUG PANIC"), "(closed)");
        }
    });
    for worker in 0..4 {
        assert_eq!(server.client().line(&format!("GET count:{worker}")), format!("\"{ROUNDS}\""));
    }
    is_well(&server);
    let (_, log) = server.stop();
    assert_eq!(log.iter().filter(|line| line.contains("A panic was caught")).count(), 20);
}
