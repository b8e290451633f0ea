//! The archive for a bug report, of a server in which secrets, keys and values are planted everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use common::{Launch, PATIENCE, Server};
use flate2::read::GzDecoder;
use serde_json::Value;

/// What every planted word begins with.
const PLANTED: &str = "planted";

fn files(server: &Server) -> BTreeMap<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.admin_port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = "Authorization: Bearer planted-token";
    write!(stream, "GET /debug/bundle HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}\r\n\r\n")
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes[..end]));
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(&bytes[end + 4..])).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(name, text);
    }
    files
}

const SETTINGS: &str = "
requirepass planted-requirepass
masterauth planted-masterauth
masteruser planted-masteruser
user bob on >planted-bob ~planted-pattern* &planted-channels* +@all
rename-command ECHO planted-echo
slowlog-log-slower-than 0
slowlog-max-len 200
loglevel debug
enable-debug-command yes
";

/// Each with the name that the slow log of the bundle is to have for it.
const COMMANDS: &[(&str, &str)] = &[
    ("auth", "AUTH planted-wrong"),
    ("auth", "AUTH alice planted-wrong"),
    ("auth", "AUTH planted-requirepass"),
    ("hello", "HELLO 3 AUTH default planted-requirepass SETNAME planted-name"),
    ("client|setname", "CLIENT SETNAME planted-name"),
    ("acl|setuser", "ACL SETUSER alice on >planted-alice <planted-alice >planted-new ~planted:* +get"),
    (
        "config|set",
        "CONFIG SET requirepass planted-later masterauth planted-later tls-key-file-pass planted-later",
    ),
    ("config|get", "CONFIG GET requirepass"),
    ("set", "SET planted-key planted-value"),
    ("get", "GET planted-key"),
    ("hset", "HSET planted-hash planted-field planted-value"),
    ("lpush", "LPUSH planted-key planted-value"),
    ("eval", "EVAL \"return redis.call('get', 'planted-key')\" 1 planted-key"),
    ("eval", "EVAL planted-syntax-error( 0"),
    ("eval", "EVAL \"redis.log(redis.LOG_WARNING, 'planted-log', KEYS[1])\" 1 planted-key"),
    ("debug", "DEBUG LOG planted-log"),
    ("script|load", "SCRIPT LOAD \"return 'planted'\""),
    ("publish", "PUBLISH planted-channel planted-message"),
    ("subscribe", "SUBSCRIBE planted-channel"),
    ("echo", "planted-echo planted-argument"),
    ("migrate", "MIGRATE 127.0.0.1 1 planted-key 0 100 AUTH2 planted-user planted-password"),
    ("acl|log", "ACL LOG"),
];

#[test]
fn what_is_given_away_holds_no_secret_no_key_and_no_value() {
    let launch = Launch::new().admin().settings(SETTINGS).env("GLASSWING_ADMIN_TOKEN", "planted-token");
    let mut server = launch.start();
    let mut client = server.client();
    client.line("PLANTED-UNKNOWN planted-argument");
    for (_, line) in COMMANDS {
        assert!(!client.line(line).contains("unknown command"), "{line}");
    }
    let mut alice = server.client();
    alice.line("AUTH alice planted-new");
    assert!(alice.line("SET planted:key planted-value").contains("NOPERM"));
    assert!(alice.line("GET planted-key").contains("NOPERM"));
    let mut other = server.client();
    assert!(!other.raw(b"*1\r\n$planted-frame\r\n") || other.reply().is_some());
    for said in ["planted-log planted-key", "DEBUG LOG: planted-log"] {
        assert!(server.log_says(said), "{said}");
    }

    let files = files(&server);
    assert_eq!(files.len(), 8);
    for (name, text) in &files {
        let found = text.lines().find(|line| line.to_ascii_lowercase().contains(PLANTED));
        assert_eq!(found, None, "{name}");
    }
    // What is looked through is really there.
    let json = |name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    let slow = json("slowlog.json");
    let names: Vec<_> = slow["entries"].as_array().unwrap().iter().map(|entry| &entry["command"]).collect();
    for (name, _) in COMMANDS {
        assert!(names.contains(&&Value::from(*name)), "{name} is not among {names:?}");
    }
    for secret in ["requirepass", "masterauth", "masteruser", "tls-key-file-pass"] {
        assert_eq!(json("config.json")[secret], "(hidden)", "{secret}");
    }
    assert!(files["log.txt"].contains("Ready to accept connections"));
    assert!(files["info.txt"].contains("cmdstat_config|set:calls=1"));
    assert!(files["metrics.txt"].contains("redis_commands_total{cmd=\"migrate\"}"));
    assert!(files["health.txt"].ends_with("readyz check passed\n"));
    let workers = json("workers.json");
    let total = |field: &str| -> u64 {
        workers.as_array().unwrap().iter().map(|worker| worker[field].as_u64().unwrap()).sum()
    };
    assert!(total("commands") >= COMMANDS.len() as u64 && total("connections") >= 2);
}

#[test]
fn with_a_password_and_no_token_there_is_no_bundle() {
    let launch = Launch::new().admin().settings("requirepass planted-requirepass\n");
    let server = launch.start();
    let (status, body) = server.http("GET", "/debug/bundle");
    assert_eq!(status, 403);
    assert!(body.contains("admin token") && !body.contains(PLANTED), "{body}");
}
