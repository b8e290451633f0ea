//! What the probes say of a server in trouble: which check fails, with which reason, and that it is well again.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Launch, Server, until};
use glasswing::command::transcript::format_value;

fn started(options: &[&str]) -> Server {
    Launch::new().admin().with(&["--workers", "2", "--enable-debug-command", "yes"]).with(options).start()
}

/// What `/readyz?verbose` says about one check, and whether a probe without `?verbose` is as it should be then.
fn said(server: &Server, check: &str) -> (bool, String) {
    let (status, text) = server.http("GET", "/readyz?verbose");
    let line = text.lines().find(|line| line.get(3..).is_some_and(|rest| rest.starts_with(check)));
    let line = line.unwrap_or_else(|| panic!("no check {check} in {text}"));
    let well = line.starts_with("[+]");
    assert_eq!(status == 200, !text.contains("[-]"), "{status}: {text}");
    (well, line.to_owned())
}

/// Waits until a check fails; its line.
fn failed(server: &Server, check: &str) -> String {
    let mut line = String::new();
    until("the check fails", || {
        let (well, said) = said(server, check);
        line = said;
        !well
    });
    assert_eq!(server.http("GET", &format!("/readyz?exclude={check}")).0, 200, "only {check} fails");
    let named = format!("glasswing_health_check_ok{{check=\"{check}\"}} 0");
    assert!(server.http("GET", "/metrics").1.contains(&named), "no {named}");
    line
}

fn is_well(server: &Server, check: &str) {
    until("the check is well", || said(server, check).0);
    assert_eq!(server.http("GET", "/readyz"), (200, "ok".to_owned()));
}

#[test]
fn a_script_that_keeps_the_keyspace_is_named() {
    let server = started(&["--busy-reply-threshold", "50"]);
    let (mut caller, mut other) = (server.client(), server.client());
    let sha = format_value(&caller.call(&["SCRIPT", "LOAD", "while true do end"]).unwrap(), "");
    is_well(&server, "scripts");
    caller.send(&["EVALSHA", sha.trim_matches('"'), "0"]);
    let line = failed(&server, "scripts");
    for words in [sha.trim_matches('"'), "told BUSY", "SCRIPT KILL ends it", "has been running for "] {
        assert!(line.contains(words), "no '{words}' in {line}");
    }
    assert_eq!(server.http("GET", "/livez").0, 200, "a restart would lose more than the script does");
    assert_eq!(other.line("SCRIPT KILL"), "OK");
    is_well(&server, "scripts");

    let library = "#!lua name=l\nredis.register_function('spin', function() redis.call('SET', 'k', 1) while \
                   redis.call('EXISTS', 'k') == 1 do end end)";
    caller.call(&["FUNCTION", "LOAD", library]);
    caller.reply();
    caller.send(&["FCALL", "spin", "0"]);
    let line = failed(&server, "scripts");
    assert!(line.contains("function spin ") && line.contains("only SHUTDOWN NOSAVE ends it"), "{line}");
}

#[test]
fn a_server_that_takes_no_more_clients_is_not_ready() {
    let server = started(&["--maxclients", "3"]);
    let mut clients: Vec<_> = (0..2).map(|_| server.client()).collect();
    is_well(&server, "clients");
    clients.push(server.client());
    let line = failed(&server, "clients");
    assert!(line.contains("3 clients are connected"), "{line}");
    clients.pop();
    is_well(&server, "clients");
}

#[test]
fn a_server_that_refuses_writes_for_want_of_memory_is_not_ready() {
    let server = started(&["--save", ""]);
    let mut client = server.client();
    assert_eq!(client.line("DEBUG POPULATE 1000 key 1000"), "OK");
    is_well(&server, "memory");
    assert_eq!(client.line("CONFIG SET maxmemory 100000"), "OK");
    assert!(client.line("SET k v").starts_with("(error) OOM"));
    let line = failed(&server, "memory");
    assert!(line.contains("nothing is to be evicted") && line.contains("writes are refused"), "{line}");
    // Nobody has to ask for anything for it to be over.
    assert_eq!(client.line("CONFIG SET maxmemory 0"), "OK");
    is_well(&server, "memory");
}

#[test]
fn a_worker_that_hangs_is_not_alive_and_is_named_with_its_command() {
    let server = started(&[]);
    let mut client = server.client();
    let id = client.line("CLIENT ID").replace("(integer) ", "");
    assert_eq!(server.http("GET", "/livez"), (200, "ok".to_owned()));
    client.send(&["DEBUG", "SLEEP", "11.5"]);
    let line = failed(&server, "workers");
    assert!(line.contains(&format!("in the middle of debug of client {id}")), "{line}");
    assert_eq!(server.http("GET", "/livez").0, 503);
    assert_eq!(server.http("GET", "/startupz").0, 200);
    assert_eq!(format_value(&client.reply().unwrap(), ""), "OK");
    is_well(&server, "workers");
    assert_eq!(server.http("GET", "/livez").0, 200);
}
