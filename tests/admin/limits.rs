//! What one client may use up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::client::{PATIENCE, connect, get, options, read_to_end, send, served, start};
use crate::fake::Fake;
use glasswing::admin::{AdminOptions, Limits};

#[test]
fn headers_have_a_limit() {
    let (_, server) = served();
    let long = format!("X-Long: {}", "x".repeat(20 * 1024));
    assert_eq!(send(&server, "GET /livez", &[&long]).status, 431);
    let fits = format!("X-Long: {}", "x".repeat(12 * 1024));
    assert_eq!(send(&server, "GET /livez", &[&fits]).status, 200);
    let many: Vec<&str> = vec!["A: b"; 200];
    assert_eq!(send(&server, "GET /livez", &many).status, 431);
}

#[test]
fn what_is_no_http_is_refused() {
    let (_, server) = served();
    for bytes in [&b"\x00\xff\x13\x37\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"GET\r\n\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(bytes).unwrap();
        assert_eq!(read_to_end(stream).status, 400, "{bytes:?}");
    }
    assert_eq!(get(&server, "/livez").body, "ok");
}

#[test]
fn bodies_have_a_limit() {
    let (fake, server) = served();
    let post = |framing: &str, body: &str| {
        let mut stream = connect(&server);
        let head =
            format!("POST /save HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{framing}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The server may have answered and closed before all is sent.
        let _ = stream.write_all(body.as_bytes());
        read_to_end(stream)
    };
    let long = "x".repeat(64 * 1024);
    let declared = post("Content-Length: 65536", &long);
    assert_eq!(declared.status, 413);
    assert!(declared.error().contains("16384"));
    assert_eq!(declared.header("connection"), Some("close"));
    let chunked = post("Transfer-Encoding: chunked", &format!("10000\r\n{long}\r\n0\r\n\r\n"));
    assert_eq!(chunked.status, 413);
    assert_eq!(post("Content-Length: 99999999999999", "").status, 413);
    let malformed = post("Transfer-Encoding: chunked", "no length\r\n");
    assert_eq!(malformed.status, 400);
    assert!(malformed.error().contains("not well formed"));
    assert!(fake.save.borrow().job.is_none());
    assert_eq!(post("Content-Length: 4", "some").status, 202);
}

#[test]
fn a_slow_client_is_closed_and_told_why() {
    let limits = Limits {
        header_time: Duration::from_millis(50),
        request_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = start(&Fake::new(), AdminOptions { limits, ..options() });
    let mut silent = connect(&server);
    let mut in_head = connect(&server);
    in_head.write_all(b"G").unwrap();
    let mut in_body = connect(&server);
    in_body.write_all(b"POST /save HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab").unwrap();
    for (stream, part) in [(in_head, "headers"), (in_body, "body")] {
        let answer = read_to_end(stream);
        assert_eq!(answer.status, 408);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(answer.error().contains(part));
    }
    let mut nothing = Vec::new();
    silent.read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn a_client_that_never_reads_is_closed() {
    let fake = Fake::new();
    // More than the kernel's buffers on both sides take.
    fake.metrics_bytes.store(64 << 20, Ordering::SeqCst);
    let limits = Limits { connections: 1, request_time: Duration::from_millis(50), ..Limits::default() };
    let server = start(&fake, AdminOptions { limits, ..options() });
    let mut deaf = connect(&server);
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // The only place is free again once the deaf client has lost it; until then 503 is right.
    let give_up = Instant::now() + PATIENCE;
    while get(&server, "/livez").status != 200 {
        assert!(Instant::now() < give_up, "the deaf client keeps the only place");
    }
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = deaf.read(&mut buffer) {
        bytes += read;
    }
    assert!(bytes < 64 << 20, "{bytes}");
}

#[test]
fn stalled_connections_lock_nobody_out() {
    let (_, server) = served();
    let mut stalled: Vec<TcpStream> = (0..300)
        .map(|at| {
            let mut stream = connect(&server);
            // Some say nothing, some begin a request and stop.
            if at % 2 == 0 {
                stream.write_all(b"GET /livez HT").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(get(&server, "/livez").body, "ok");
    }
    // The oldest made place for the newer ones: 300 and 20 came, 256 may stay.
    for stream in stalled.drain(..44) {
        let mut stream = stream;
        let mut nothing = Vec::new();
        stream.read_to_end(&mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
    // The newest can still end what it began.
    let mut last = stalled.swap_remove(254);
    last.write_all(b"TP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_to_end(last).body, "ok");
}

#[test]
fn when_every_connection_works_the_next_is_told_to_come_again() {
    let fake = Fake::new();
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = start(&fake, AdminOptions { limits, ..options() });
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| send(&server, "POST /save?wait=true", &[]));
        fake.wait_until_saving();
        let refused = read_to_end(connect(&server));
        assert_eq!(refused.status, 503);
        assert!(refused.error().contains("in use"));
        fake.finish_save(None);
        assert_eq!(waiting.join().unwrap().status, 200);
    });
    assert_eq!(get(&server, "/livez").body, "ok");
}
