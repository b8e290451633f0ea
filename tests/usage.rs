//! What takes most, of a started server: over HTTP, in the metrics, as `redis-cli --hotkeys` and `--bigkeys` ask for it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::Command;

use common::{Client, Launch, Server, until};
use serde_json::{Value, json};

fn usage(server: &Server) -> Value {
    let (status, body) = server.http("GET", "/usage?top=20");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Sends many requests at once; their replies are read and dropped.
fn pipelined(client: &mut Client, requests: &[Vec<Vec<u8>>]) {
    for some in requests.chunks(500) {
        some.iter().for_each(|request| client.send(request));
        some.iter().for_each(|_| assert!(client.reply().is_some()));
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Holds the share of one of a list against what it is. What is drawn is a matter of chance: six standard deviations are
/// allowed for.
fn has_share(list: &Value, truth: f64, is_it: impl Fn(&Value) -> bool) {
    let one =
        list.as_array().unwrap().iter().find(|one| is_it(one)).unwrap_or_else(|| panic!("not in {list}"));
    let [share, low, high] = ["share", "share_low", "share_high"].map(|field| one[field].as_f64().unwrap());
    assert!((share - truth).abs() < 0.14, "{share} for {truth}");
    assert!(low < share && share < high && high - low < 0.2, "{low} to {high}");
}

const HOSTILE: &[u8] = b"</b>\"\x00\r\n\x1b[31m\xff:";

#[test]
fn the_hot_key_the_big_keys_and_the_busy_clients_are_named() {
    let server = Launch::new().admin().with(&["--workers", "2"]).start();
    let (mut busy, mut other) = (server.client(), server.client());
    busy.line("CLIENT SETNAME busy-one");
    busy.line("CLIENT SETINFO LIB-NAME my-lib");
    busy.line("CLIENT SETINFO LIB-VER 1.2");
    other.line("SELECT 3");
    let mut long = HOSTILE.to_vec();
    long.resize(1 << 20, b'x');
    other.call(&[&b"RPUSH"[..], &long, b"a"]);
    for _ in 0..20 {
        other.line("RPUSH lists:long 1 2 3 4 5 6 7 8 9 0");
    }
    let requests: Vec<_> = (0..40_000)
        .map(|at| if at % 4 == 0 { words("INCR hot") } else { words(&format!("SET user:{at} value")) })
        .collect();
    // In turn, so that what fades fades of both.
    for some in requests.chunks(400) {
        pipelined(&mut busy, some);
        pipelined(&mut other, &vec![words("PING"); 100]);
    }

    let told = usage(&server);
    let used = &told["used"];
    assert_eq!(
        (&told["on"], &used["one_in"], &used["confidence"]),
        (&json!(true), &json!(128), &json!(0.99))
    );
    assert_eq!(used["keys"].as_array().unwrap().len(), 1, "{used}");
    let key = &used["keys"][0];
    assert_eq!((&key["name"]["text"], &key["db"], &key["id"]), (&json!("hot"), &json!(0), &json!("hot")));
    has_share(&used["keys"], 0.25, |key| key["id"] == "hot");
    assert!(key["writes"].as_f64().unwrap() > 0.99);
    has_share(&used["clients"], 0.8, |client| client["name"]["text"] == "busy-one");
    has_share(&used["libraries"], 0.8, |one| {
        (&one["library"]["text"], &one["version"]["text"]) == (&json!("my-lib"), &json!("1.2"))
    });

    // A walk that began before all of this may be the first that ends; the next one sees it.
    let mut told = Value::Null;
    until("a walk has ended", || {
        told = usage(&server);
        !told["found"].is_null() && told["found"]["keys"] == 30_003
    });
    let found = &told["found"];
    let by_type =
        |name: &str| found["types"].as_array().unwrap().iter().find(|one| one["type"] == name).unwrap();
    assert_eq!((&by_type("string")["keys"], &by_type("list")["keys"]), (&json!(30_001), &json!(2)));
    assert_eq!(by_type("list")["elements"], 201);
    let largest = &found["largest_by_bytes"][0];
    assert_eq!(
        largest["name"],
        json!({ "text": format!("</b>\"\\0\\r\\n\\u{{1b}}[31m\\xff:{}", "x".repeat(128 - HOSTILE.len())), "bytes": 1 << 20, "cut": true })
    );
    assert_eq!((&largest["db"], &largest["id"]), (&json!(3), &json!(null)));
    let longest = &found["largest_by_elements"][0];
    assert_eq!((&longest["name"]["text"], &longest["elements"]), (&json!("lists:long"), &json!(200)));
    let usage_of = other.line("MEMORY USAGE lists:long");
    assert_eq!(usage_of, format!("(integer) {}", longest["bytes"]));
    let prefixes = found["prefixes"].as_array().unwrap();
    let users = prefixes.iter().find(|one| one["prefix"]["text"] == "user:").unwrap();
    assert_eq!((&users["keys"], &users["bytes_low"]), (&json!(30_000), &users["bytes_high"]));
    assert_eq!(found["without_prefix"]["keys"], 1);

    let keys = server.metric("glasswing_keys_by_type");
    assert!(keys.contains(&("type=\"string\"".to_owned(), 30_001.0)), "{keys:?}");
    let total: f64 = server.metric("glasswing_keys_memory_bytes").iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(total, found["bytes"].as_f64().unwrap());
    assert!(server.metric("glasswing_key_samples_total")[0].1 > 200.0);
    assert_eq!(server.metric("glasswing_keys_walk_age_seconds").len(), 1);
    let (_, metrics) = server.http("GET", "/metrics");
    assert!(!metrics.contains("user:") && !metrics.contains("busy-one"));

    assert_eq!(other.line("CONFIG SET key-statistics no"), "OK");
    until("all is forgotten", || {
        busy.line("PING");
        let told = usage(&server);
        told["on"] == false && told["found"].is_null() && told["used"]["samples"] == 0
    });
}

/// What redis-cli prints; nothing where it is not installed.
fn cli(server: &Server, argument: &str) -> Option<String> {
    let done = Command::new("redis-cli").args(["-p", &server.port().to_string(), argument]).output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn redis_cli_finds_hot_and_big_keys() {
    let server = Launch::new().with(&["--maxmemory-policy", "allkeys-lfu"]).start();
    let mut client = server.client();
    let requests: Vec<_> = (0..500).map(|at| words(&format!("SET key:{at} v"))).collect();
    pipelined(&mut client, &requests);
    pipelined(&mut client, &vec![words("GET key:77"); 5_000]);
    client.line("RPUSH list a b c");
    let Some(hot) = cli(&server, "--hotkeys") else {
        eprintln!("no redis-cli found: nothing to ask with");
        return;
    };
    let first = hot
        .lines()
        .find(|line| line.starts_with("hot key found with counter"))
        .unwrap_or_else(|| panic!("{hot}"));
    assert!(first.ends_with("keyname: \"key:77\""), "{hot}");
    let big = cli(&server, "--bigkeys").unwrap();
    assert!(big.contains("Biggest   list found '\"list\"' has 3 items"), "{big}");
    assert!(cli(&server, "--memkeys").unwrap().contains("Biggest   list found '\"list\"' has"));
}
