//! The end: SHUTDOWN and signals, with what is saved before it and what it must not lose.

mod common;

use std::net::{Ipv4Addr, TcpStream};

use common::{Client, Launch, Server, until};
use glasswing::resp::Value;
use nix::sys::signal::Signal;

#[test]
fn shutdown_with_and_without_a_save() {
    for (how, saved) in [("SHUTDOWN NOSAVE", false), ("SHUTDOWN", true), ("SHUTDOWN SAVE", true)] {
        let launch = Launch::new().with(&["--save", "3600 1"]);
        let mut server = launch.start();
        let mut client = server.client();
        assert_eq!(client.line("SET key value"), "OK");
        assert_eq!(client.line(how), "(closed)");
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log:?}");
        assert_eq!(launch.file("glasswing.snapshot").exists(), saved, "{how}");
    }
}

#[test]
fn a_signal_whose_save_fails_ends_nothing() {
    let launch = Launch::new().with(&["--save", "3600 1", "--unixsocket", "s"]);
    let mut server = launch.start();
    assert_eq!(server.client().line("SET key value"), "OK");
    std::fs::write(launch.file("glasswing.snapshot"), "a stranger's data").expect("a file");
    // Whoever asked for a save is told that it failed, and nobody else.
    let mut client = server.client();
    assert!(client.line("SAVE").starts_with("(error) ERR"));
    let stats = client.info("cmdstat_save");
    assert!(stats.starts_with("calls=1,") && stats.ends_with("failed_calls=1"), "{stats}");
    let status = client.info("rdb_last_bgsave_status");
    assert_eq!((client.line("SET key value").as_str(), status.as_str()), ("OK", "ok"));
    drop(client);
    server.signal(Signal::SIGTERM);
    assert!(server.log_says("errors trying to shut down"));
    until("new clients are let in", || TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_ok());
    assert_eq!(server.client().line("GET key"), "\"value\"");
    assert_eq!(Client::unix(&launch.file("s")).line("GET key"), "\"value\"");
    std::fs::remove_file(launch.file("glasswing.snapshot")).expect("moved away");
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(launch.file("glasswing.snapshot").exists());
}

#[test]
fn an_interrupt_during_the_last_save_ends_at_once() {
    // A save of half a minute, if it were let.
    let slow = ["--dbfilename", "dump.rdb", "--rdb-key-save-delay", "1000"];
    let launch = Launch::new().with(&["--save", "3600 1", "--enable-debug-command", "yes"]).with(&slow);
    let mut server = launch.start();
    assert_eq!(server.client().line("DEBUG POPULATE 30000"), "OK");
    server.signal(Signal::SIGTERM);
    assert!(server.log_says("Saving the final snapshot before exiting."));
    server.signal(Signal::SIGINT);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(1), "{log:?}");
    assert!(!launch.file("dump.rdb").exists());
}

#[test]
fn what_a_signal_does_can_be_set() {
    for (options, signal, saves) in [
        (["--save", "", "--shutdown-on-sigterm", "save"], Signal::SIGTERM, true),
        (["--save", "100 1", "--shutdown-on-sigterm", "nosave now"], Signal::SIGTERM, false),
        (["--save", "", "--shutdown-on-sigint", "save"], Signal::SIGINT, true),
        (["--save", "100 1", "--shutdown-on-sigint", "nosave"], Signal::SIGINT, false),
        (["--save", "", "--shutdown-on-sigint", "save"], Signal::SIGTERM, false),
    ] {
        let launch = Launch::new().with(&options);
        let mut server = launch.start();
        assert_eq!(server.client().line("SET key value"), "OK");
        server.signal(signal);
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log:?}");
        assert_eq!(launch.file("glasswing.snapshot").exists(), saves, "{options:?} {signal}");
    }
}

#[test]
fn a_job_that_has_just_begun_holds_up_no_end() {
    const REPEATS: usize = 12;
    for (options, before) in [
        (&["--save", "3600 1"][..], &["BGSAVE"][..]),
        (&["--save", "3600 1", "--dbfilename", "dump.rdb"], &["MULTI", "BGSAVE", "EXEC"]),
        (&["--save", "3600 1", "--appendonly", "yes"], &["BGREWRITEAOF"]),
        (&["--save", "3600 1"], &["CONFIG SET appendonly yes"]),
    ] {
        for _ in 0..REPEATS {
            let launch = Launch::new().with(options);
            let mut server = launch.start();
            let mut packet = common::encode(&["SET", "key", "value"]);
            for line in before.iter().chain(&["SHUTDOWN FORCE"]) {
                packet.extend(common::encode(&line.split(' ').collect::<Vec<_>>()));
            }
            assert!(server.client().raw(&packet));
            let (status, log) = server.ended();
            assert_eq!(status.code(), Some(0), "{before:?}: {log:?}");
            assert_eq!(
                launch.with(options).start().client().line("GET key"),
                "\"value\"",
                "{before:?}: {log:?}"
            );
        }
    }
}

#[test]
fn a_signal_while_loading_ends_at_once() {
    let launch = Launch::new().with(&["--save", "3600 1", "--enable-debug-command", "yes"]);
    let server = launch.start();
    assert_eq!(server.client().line("DEBUG POPULATE 300000"), "OK");
    server.stop();
    let size = std::fs::metadata(launch.file("glasswing.snapshot")).expect("a file").len();
    // A load of many seconds, if it were let.
    let launch = launch.with(&["--key-load-delay", "20"]);
    let mut server = launch.spawn();
    assert!(server.log_says("Running mode="));
    server.signal(Signal::SIGTERM);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("Ready to accept")), "it had loaded: {log:?}");
    assert_eq!(std::fs::metadata(launch.file("glasswing.snapshot")).expect("a file").len(), size);
}

#[test]
fn a_load_that_hangs_holds_up_no_end() {
    let launch = Launch::new();
    let made = std::process::Command::new("mkfifo").arg(launch.file("glasswing.snapshot")).status();
    assert!(made.expect("mkfifo runs").success());
    let mut server = launch.spawn();
    assert!(server.log_says("Running mode="));
    server.signal(Signal::SIGTERM);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log:?}");
}

/// Four clients count without end; each says how far its last reply was.
fn counting(server: &Server) -> Vec<std::thread::JoinHandle<i64>> {
    let port = server.port();
    let count = move |name: usize| {
        let mut client = Client::connect(port);
        let mut last = 0;
        loop {
            if !client.raw(&common::encode(&["INCR".to_owned(), format!("count:{name}")])) {
                return last;
            }
            match client.reply() {
                Some(Value::Int(number)) => last = number,
                _ => return last,
            }
        }
    };
    (0..4).map(|name| std::thread::spawn(move || count(name))).collect()
}

#[test]
fn what_was_acknowledged_before_a_clean_end_is_there_after_it() {
    for (options, by_command) in [
        (&["--save", "3600 1", "--workers", "2"][..], false),
        (&["--save", "3600 1", "--dbfilename", "dump.rdb"], true),
    ] {
        let launch = Launch::new().with(options);
        let mut server = launch.start();
        assert!(server.client().line("PING") == "PONG");
        let clients = counting(&server);
        let mut asks = server.client();
        until("there is something to save", || asks.line("GET count:3").len() > 6);
        if by_command {
            asks.send(&["SHUTDOWN"]);
        } else {
            server.signal(Signal::SIGTERM);
        }
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log:?}");
        let acknowledged: Vec<i64> =
            clients.into_iter().map(|client| client.join().expect("a count")).collect();
        let server = launch.start();
        let mut client = server.client();
        for (name, last) in acknowledged.into_iter().enumerate() {
            let Some(Value::Bulk(text)) = client.call(&["GET".to_owned(), format!("count:{name}")]) else {
                panic!("count:{name} is gone, {last} was acknowledged");
            };
            let kept: i64 = String::from_utf8_lossy(&text).parse().expect("a number");
            // The last INCR may have run while its reply did not come through any more.
            assert!(kept == last || kept == last + 1, "{kept} are kept, {last} were acknowledged");
        }
    }
}

#[test]
fn a_closed_terminal_ends_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    server.signal(Signal::SIGHUP);
    assert_eq!(client.line("SET key value"), "OK");
    // A second one is asked for only when the first has been dealt with.
    server.signal(Signal::SIGHUP);
    assert_eq!(server.client().line("GET key"), "\"value\"");
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}
