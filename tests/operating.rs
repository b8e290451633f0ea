//! What whoever runs the server does to it: rotating its log, looking at it with `ps`, asking the program for its pages.

mod common;

use std::fs;
use std::path::Path;

use common::{Client, Launch, Server, free_port, until};
use nix::sys::signal::Signal;

#[test]
fn a_log_that_was_moved_away_goes_on_with_and_without_a_signal() {
    let launch = Launch::new().with(&["--logfile", "the.log"]);
    let server = launch.spawn();
    let (log, moved) = (launch.file("the.log"), launch.file("the.log.1"));
    let says = |path: &Path, words: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(words));
    until("it is ready", || says(&log, "Ready to accept connections"));

    fs::rename(&log, &moved).expect("a log");
    server.signal(Signal::SIGHUP);
    until("the new file is there", || says(&log, "Received SIGHUP"));
    let before = fs::read_to_string(&moved).expect("the old file");
    assert!(before.contains("Ready to accept connections") && !before.contains("SIGHUP"), "{before}");

    let second = launch.file("the.log.2");
    fs::rename(&log, &second).expect("a log");
    assert_eq!(server.client().line("BGSAVE"), "Background saving started");
    until("it is made anew for the next line", || says(&log, "ackground sav"));
    assert_eq!(fs::read_to_string(&second).expect("the old file").lines().count(), 1);

    // What copies and cuts off instead leaves no hole: every line is put at the end.
    fs::write(&log, "").expect("a file that can be cut off");
    server.signal(Signal::SIGHUP);
    until("it goes on at the beginning", || says(&log, "Received SIGHUP"));
    assert!(!fs::read(&log).expect("a log").contains(&0));
    assert_eq!(server.client().line("PING"), "PONG");
}

/// What `ps` shows.
fn shown(server: &Server) -> String {
    let bytes = fs::read(format!("/proc/{}/cmdline", server.pid())).expect("it runs");
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}

#[test]
fn ps_shows_a_title_and_no_password() {
    let server = Server::start(&["--requirepass", "a-long-password"]);
    let mut client = server.client();
    assert_eq!(client.line("AUTH a-long-password"), "OK");
    let title = shown(&server);
    let (program, rest) = title.split_once(' ').expect("a program and an address");
    assert!(program.contains("glasswing"), "{title}");
    assert_eq!(rest, format!("127.0.0.1:{}", server.port()));

    // A longer one than the arguments were, and a short one after it.
    let long = "x".repeat(1000);
    assert_eq!(client.line(&format!("CONFIG SET proc-title-template '{{port}} {long}'")), "OK");
    assert_eq!(shown(&server), format!("{} {long}", server.port()));
    assert_eq!(client.line("CONFIG SET proc-title-template '{listen-addr} {config-file}'"), "OK");
    assert_eq!(shown(&server), format!("127.0.0.1:{} -", server.port()));
    let other = free_port();
    assert_eq!(client.line(&format!("CONFIG SET port {other}")), "OK");
    assert_eq!(shown(&server), format!("127.0.0.1:{other} -"));
    // The program's own arguments and variables are where they were.
    assert!(Client::connect(other).line("AUTH a-long-password") == "OK");
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).expect("its variables");
    assert!(environment.windows(5).any(|word| word == b"PATH="));

    let server = Server::start(&["--set-proc-title", "no"]);
    assert!(shown(&server).contains("--set-proc-title no"), "{}", shown(&server));
}

#[test]
fn the_page_for_man_and_completions_are_printed() {
    for (what, words) in [
        ("man", ".TH GLASSWING 1"),
        ("bash", "complete -F _glasswing glasswing"),
        ("zsh", "#compdef glasswing"),
        ("fish", "complete -c glasswing"),
    ] {
        let (code, text, errors) = Launch::new().bare().with(&["--generate", what]).ends();
        assert!(code == Some(0) && errors.is_empty(), "{errors}");
        assert!(text.contains(words) && text.contains("appendfsync"), "{what}: {text}");
    }
    let (code, _, errors) = Launch::new().bare().with(&["--generate", "csh"]).ends();
    assert!(code == Some(1) && errors.contains("'csh' cannot be made"), "{errors}");
    let (code, _, errors) = Launch::new().bare().with(&["--generate"]).ends();
    assert!(code == Some(1) && errors.contains("Usage: glasswing --generate man|bash|zsh|fish"), "{errors}");
}
