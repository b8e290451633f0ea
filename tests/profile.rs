//! `GET /debug/profile` of a server that works: what is found, and that nobody notices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Client, Launch, PATIENCE, Server, encode};
use flate2::read::GzDecoder;
use glasswing::observe::profile::{Wanted, turn};
use glasswing::resp::Value;
use glasswing::strand::{Resumed, Stack, Strand, pause};
use prost::Message;

fn launch() -> Launch {
    Launch::new().admin().with(&["--workers", "2"])
}

/// What the admin port answers.
fn asked(admin: u16, query: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = "Host: localhost\r\nConnection: close";
    write!(stream, "GET /debug/profile?{query} HTTP/1.1\r\n{host}\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
    bytes.split_off(end + 4)
}

fn folded(admin: u16, query: &str) -> String {
    String::from_utf8(asked(admin, &format!("{query}&format=folded"))).unwrap()
}

/// Increments a counter in pipelines until it is told to end, and looks at every reply. Gives how often.
fn increments(port: u16, key: &str, until: &AtomicBool) -> u64 {
    const AT_ONCE: u64 = 16;
    let mut client = Client::connect(port);
    let request = encode(&["INCR", key]).repeat(AT_ONCE as usize);
    let mut sum = 0;
    while !until.load(Ordering::Relaxed) {
        assert!(client.raw(&request));
        for _ in 0..AT_ONCE {
            sum += 1;
            assert_eq!(client.reply(), Some(Value::Int(sum.try_into().unwrap())));
        }
    }
    sum
}

/// Ends the work of a test's threads, also when the test fails: it would wait for them.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `look` while two clients work, and shows that each had all its answers.
fn under_load<T>(server: &Server, look: impl FnOnce(u16) -> T) -> T {
    let until = AtomicBool::new(false);
    let port = server.port();
    let done = thread::scope(|scope| {
        let clients = ["one", "two"].map(|key| {
            let until = &until;
            scope.spawn(move || increments(port, key, until))
        });
        let ends = Ends(&until);
        let seen = look(server.admin_port());
        drop(ends);
        for client in clients {
            assert!(client.join().unwrap() > 1_000, "they were answered meanwhile");
        }
        seen
    });
    assert_eq!(server.client().line("PING"), "PONG");
    done
}

#[test]
fn the_workers_and_their_functions_are_found_and_all_commands_answered() {
    let server = launch().start();
    let stacks = under_load(&server, |admin| folded(admin, "seconds=3"));
    for worker in ["worker-0;", "worker-1;"] {
        let of_it = |line: &&str| line.starts_with(worker) && line.contains("glasswing::net::");
        let found: Vec<&str> = stacks.lines().filter(of_it).collect();
        assert!(!found.is_empty(), "{worker}\n{stacks}");
    }
    assert!(stacks.lines().any(|line| line.contains("glasswing::command::strings::")), "{stacks}");
    // From where a thread begins to a handler, with nothing left out between.
    let whole = stacks.lines().find(|line| line.contains("glasswing::command::strings::")).unwrap();
    assert!(whole.split(';').nth(1).unwrap().starts_with("glasswing::net::worker"), "{whole}");
}

#[derive(Clone, PartialEq, Message)]
struct Decoded {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Pair>,
    #[prost(string, repeated, tag = "6")]
    strings: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<Pair>,
    #[prost(int64, tag = "12")]
    period: i64,
}

/// What begins with two numbers: a type and its unit, a function and its name, a label and its text, a function and a line.
#[derive(Clone, Copy, PartialEq, Message)]
struct Pair {
    #[prost(int64, tag = "1")]
    first: i64,
    #[prost(int64, tag = "2")]
    second: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    locations: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    values: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    labels: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    lines: Vec<Pair>,
}

#[test]
fn pprof_has_the_same_threads_and_functions_and_says_how_long_they_ran() {
    let server = launch().start();
    let bytes = under_load(&server, |admin| asked(admin, "seconds=2&format=pprof"));
    let mut message = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut message).unwrap();
    let profile = Decoded::decode(&message[..]).unwrap();
    let text = |place: i64| profile.strings[usize::try_from(place).unwrap()].as_str();
    let types: Vec<_> =
        profile.sample_type.iter().map(|pair| (text(pair.first), text(pair.second))).collect();
    assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!((text(0), profile.period_type), ("", profile.sample_type.last().copied()));
    assert!(profile.duration_nanos >= 2_000_000_000 && profile.period > 1_000_000, "{}", profile.period);
    let mut of_workers = 0;
    for sample in &profile.sample {
        let [samples, time] = sample.values[..] else { panic!("{:?}", sample.values) };
        assert_eq!(samples * profile.period, time);
        let [label] = sample.labels[..] else { panic!("{:?}", sample.labels) };
        assert_eq!(text(label.first), "thread");
        let mut names = Vec::new();
        for id in &sample.locations {
            let found = profile.location.iter().find(|location| location.id == *id).expect("a location");
            for line in &found.lines {
                let function = profile.function.iter().find(|function| function.first == line.first);
                names.push(text(function.expect("a function").second));
            }
        }
        if text(label.second).starts_with("worker-") {
            of_workers += samples;
            // The innermost comes first.
            let ours = names.iter().position(|name| name.contains("glasswing::net::worker"));
            let thread = names.iter().position(|name| name.ends_with("__rust_begin_short_backtrace"));
            if let (Some(ours), Some(thread)) = (ours, thread) {
                assert!(ours < thread, "{names:?}");
            }
        }
    }
    assert!(of_workers > 10, "{of_workers}");
}

#[test]
fn a_script_that_loops_on_a_stack_of_its_own_is_found_and_goes_on() {
    let server = launch().with(&["--busy-reply-threshold", "50"]).start();
    let mut looping = server.client();
    thread::scope(|scope| {
        let looping = scope.spawn(move || looping.line("EVAL \"while true do end\" 0"));
        let mut other = server.client();
        common::until("the script is busy", || other.line("GET a").contains("BUSY"));
        let stacks = folded(server.admin_port(), "seconds=2&hz=500");
        assert!(stacks.lines().any(|line| line.contains("worker-") && line.contains("lua")), "{stacks}");
        assert!(other.line("GET a").contains("BUSY"), "it runs still");
        assert_eq!(other.line("SCRIPT KILL"), "OK");
        assert!(looping.join().unwrap().contains("killed"));
    });
    assert_eq!(server.client().line("PING"), "PONG");
}

/// Samples meet a thread in the middle of going from one stack to another, and in one that is just made or thrown away.
#[test]
fn stacks_that_come_and_go_below_a_thread_do_no_harm() {
    let until = AtomicBool::new(false);
    let (profile, rounds) = thread::scope(|scope| {
        let apart = thread::Builder::new().name("apart".to_owned());
        let apart = apart.spawn_scoped(scope, || {
            let mut rounds = 0u64;
            while !until.load(Ordering::Relaxed) {
                let mut strand = Strand::new(Stack::new().unwrap(), works_apart);
                while strand.resume(Resumed::GoOn).is_none() {
                    rounds += 1;
                }
            }
            rounds
        });
        let ends = Ends(&until);
        let wanted = Wanted { time: Duration::from_secs(3), hz: 999 };
        let profile = turn().unwrap().take(wanted, || true).unwrap();
        drop(ends);
        (profile, apart.unwrap().join().unwrap())
    });
    assert!(rounds > 1_000, "{rounds}");
    let stacks = profile.folded();
    let seen = |line: &str| line.starts_with("apart;") && line.contains("works_apart");
    assert!(stacks.lines().any(seen), "{stacks}");
}

fn works_apart() -> u64 {
    let mut sum = 1u64;
    for step in 0..20_000u64 {
        sum = std::hint::black_box(sum.wrapping_mul(step | 1));
        if step % 1_000 == 0 {
            pause();
        }
    }
    sum
}

#[test]
fn clients_that_come_and_go_and_files_that_are_written_meanwhile_have_no_error() {
    let server = launch().with(&["--appendonly", "yes", "--appendfsync", "always"]).start();
    let until = AtomicBool::new(false);
    let come = AtomicU64::new(0);
    let (port, admin) = (server.port(), server.admin_port());
    thread::scope(|scope| {
        for number in 0..4 {
            let (until, come) = (&until, &come);
            scope.spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    let mut client = Client::connect(port);
                    assert_eq!(client.line(&format!("SET key:{number} value")), "OK");
                    let sum = client.line("EVAL \"return redis.call('INCR', KEYS[1])\" 1 sum");
                    assert!(sum.starts_with("(integer) "), "{sum}");
                    come.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let profile = scope.spawn(move || folded(admin, "seconds=4&hz=999"));
        let ends = Ends(&until);
        let mut saver = server.client();
        while !profile.is_finished() {
            assert_eq!(saver.line("SAVE"), "OK");
        }
        drop(ends);
        assert!(profile.join().unwrap().contains("worker-"));
    });
    let mut client = server.client();
    assert_eq!(client.line("GET sum"), format!("\"{}\"", come.load(Ordering::Relaxed)));
    assert_eq!(client.info("aof_last_write_status"), "ok");
    assert_eq!(client.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(server.stop().0.code(), Some(0));
}
