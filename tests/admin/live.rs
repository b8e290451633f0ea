//! The live figures: one reader for all, at most so many listeners, none of them waited for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use glasswing::admin::{AdminOptions, AdminServer, Limits};
use serde_json::Value;

use crate::client::{PATIENCE, connect, get, options, start};
use crate::fake::Fake;

/// Quick frames, and few listeners.
fn quick(fake: &Arc<Fake>) -> AdminServer {
    let limits = Limits { listeners: 3, live_period: Duration::from_millis(5), ..Limits::default() };
    start(fake, AdminOptions { limits, ..options() })
}

struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(server: &AdminServer) -> Listener {
        let mut stream = connect(server);
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: text/event-stream"), "{head}");
        Listener(reader)
    }

    /// The next frame; none when the stream has ended.
    fn frame(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(text).unwrap());
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.frame().unwrap()["uptime_s"].as_u64().unwrap()
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn one_reader_serves_all_and_goes_with_the_last() {
    let fake = Fake::new();
    let server = quick(&fake);
    assert_eq!(fake.samplers.load(Ordering::SeqCst), 0);
    let mut first = Listener::new(&server);
    assert!(first.number() < first.number());
    let mut second = Listener::new(&server);
    let (a, b) = (first.number(), second.number());
    assert!(a > 0 && b > 0);
    assert_eq!(fake.samplers.load(Ordering::SeqCst), 1);
    drop(first);
    assert!(second.number() < second.number());
    drop(second);
    until("the reader stays without listeners", || fake.samplers_now.load(Ordering::SeqCst) == 0);
    let read = fake.samples.load(Ordering::SeqCst);
    let mut third = Listener::new(&server);
    // What a reader before it has read is not told again.
    assert!(third.number() > read);
    assert_eq!(fake.samplers.load(Ordering::SeqCst), 2);
}

#[test]
fn a_frame_has_every_part_in_its_form() {
    let fake = Fake::new();
    let server = quick(&fake);
    let frame = Listener::new(&server).frame().unwrap();
    let names: Vec<&str> = frame.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "checks",
        "clients",
        "databases",
        "databases_left_out",
        "latency",
        "memory",
        "persistence",
        "port",
        "rates",
        "slow_log",
        "time_unix_ms",
        "uptime_s",
        "version",
        "workers",
    ];
    assert_eq!(names, expected);
    assert!(frame["rates"].is_null());
    assert_eq!(frame["persistence"]["save"]["running"], false);
}

#[test]
fn listeners_have_a_limit() {
    let fake = Fake::new();
    let server = quick(&fake);
    let listeners: Vec<Listener> = (0..3).map(|_| Listener::new(&server)).collect();
    let refused = get(&server, "/live");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert!(refused.error().contains("3 listeners"));
    drop(listeners);
    until("the places stay taken", || {
        let mut stream = connect(&server);
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        &head == b"HTTP/1.1 200"
    });
}

#[test]
fn who_only_asks_for_the_head_holds_no_place() {
    let fake = Fake::new();
    let server = quick(&fake);
    for _ in 0..10 {
        let head = crate::client::send(&server, "HEAD /live", &[]);
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    }
    until("the reader stays", || fake.samplers_now.load(Ordering::SeqCst) == 0);
}

#[test]
fn who_does_not_read_keeps_nobody_waiting_and_misses_frames() {
    let fake = Fake::new();
    // A few of these are more than the kernel's buffers on both sides take.
    fake.metrics_bytes.store(4 << 20, Ordering::SeqCst);
    let server = quick(&fake);
    let mut slow = Listener::new(&server);
    let mut other = Listener::new(&server);
    let reached = (0..20).map(|_| other.number()).last().unwrap();
    drop(other);
    let mut received = 0;
    loop {
        received += 1;
        let number = slow.number();
        if number >= reached {
            assert!(received < number, "{received} frames, up to {number}");
            return;
        }
    }
}

#[test]
fn who_never_reads_is_let_go() {
    let fake = Fake::new();
    fake.metrics_bytes.store(4 << 20, Ordering::SeqCst);
    let limits = Limits {
        live_period: Duration::from_millis(1),
        request_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = start(&fake, AdminOptions { limits, ..options() });
    let _deaf = Listener::new(&server);
    until("the deaf one keeps its place", || fake.samplers_now.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_panic_of_the_reader_lets_its_listeners_go_and_is_counted() {
    let fake = Fake::new();
    let server = quick(&fake);
    fake.panics_in_samples.store(true, Ordering::SeqCst);
    assert_eq!(Listener::new(&server).frame(), None);
    assert_eq!(fake.panics.load(Ordering::SeqCst), 1);
    fake.panics_in_samples.store(false, Ordering::SeqCst);
    until("no figures after a panic", || Listener::new(&server).frame().is_some());
}

#[test]
fn a_server_that_stops_ends_the_stream() {
    let fake = Fake::new();
    let limits = Limits { stop_time: PATIENCE, ..Limits::default() };
    let server = start(&fake, AdminOptions { limits, ..options() });
    let mut listener = Listener::new(&server);
    assert!(listener.number() > 0);
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < PATIENCE / 2);
    while listener.frame().is_some() {}
}
