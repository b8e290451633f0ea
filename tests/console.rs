//! What the console asks, of a started server: keys, clients, live figures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use common::{Launch, PATIENCE, Server, until};
use serde_json::{Value, json};

fn server() -> Server {
    Launch::new().admin().with(&["--enable-debug-command", "yes"]).start()
}

fn get(server: &Server, path: &str) -> Value {
    let (status, body) = server.http("GET", path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn texts(key: &Value) -> Vec<Vec<String>> {
    let of = |part: &Value| part["text"].as_str().unwrap().to_owned();
    let element = |element: &Value| element.as_array().unwrap().iter().map(of).collect();
    key["elements"].as_array().unwrap().iter().map(element).collect()
}

#[test]
fn a_key_of_every_type_is_shown() {
    let server = server();
    let mut client = server.client();
    client.call(&[&b"SET"[..], b"\xff\"</b>\n", b"v\x00w", b"PX", b"90000"]);
    let pairs: Vec<String> = (0..900).map(|at| format!("f{at} v{at}")).collect();
    for line in [
        "RPUSH list a b c".to_owned(),
        format!("HSET hash {}", pairs.join(" ")),
        "SADD set 1 2".to_owned(),
        "ZADD sorted 2.5 b 1 a".to_owned(),
        "XADD stream 5-1 f v g w".to_owned(),
        "XADD stream 6-1 f x".to_owned(),
    ] {
        client.line(&line);
    }
    let page = get(&server, "/keys?pattern=*b*");
    assert_eq!((page["keys"].as_array().unwrap().len(), &page["done"]), (1, &json!(true)));
    let found = &page["keys"][0];
    assert_eq!(found["name"], json!({ "text": "\\xff\"</b>\\n", "bytes": 7, "cut": false }));
    assert!((1..=90_000).contains(&found["ttl_ms"].as_u64().unwrap()));
    let key = get(&server, &format!("/key?name={}", found["id"].as_str().unwrap()));
    assert_eq!(
        (&key["type"], &key["encoding"], &key["size"]),
        (&json!("string"), &json!("embstr"), &json!(3))
    );
    assert_eq!(texts(&key), [["v\\0w"]]);
    assert_eq!(texts(&get(&server, "/key?name=list")), [["a"], ["b"], ["c"]]);
    assert_eq!(texts(&get(&server, "/key?name=sorted")), [["a", "1"], ["b", "2.5"]]);
    assert_eq!(texts(&get(&server, "/key?name=set")), [["1"], ["2"]]);
    let entries = texts(&get(&server, "/key?name=stream"));
    assert_eq!(entries, [vec!["5-1", "f", "v", "g", "w"], vec!["6-1", "f", "x"]]);
    let hash = get(&server, "/key?name=hash");
    assert_eq!((&hash["size"], &hash["encoding"]), (&json!(900), &json!("hashtable")));
    assert_eq!(texts(&hash).len(), 20);
    for pair in texts(&hash) {
        assert_eq!(pair[0].replace('f', "v"), pair[1]);
    }
    let sorted = get(&server, "/keys?type=zset");
    assert_eq!((sorted["keys"].as_array().unwrap().len(), &sorted["keys"][0]["size"]), (1, &json!(2)));
    assert_eq!(server.http("GET", "/key?name=nothing").0, 404);
    assert_eq!(server.http("GET", "/key?db=1&name=list").0, 404);
}

#[test]
fn elements_end_where_there_are_enough_bytes() {
    let server = server();
    let mut client = server.client();
    for _ in 0..20 {
        client.call(&[&b"RPUSH"[..], b"long", &[b'x'; 30_000]]);
    }
    let key = get(&server, "/key?name=long");
    let elements = key["elements"].as_array().unwrap();
    assert_eq!(elements.len(), 3);
    assert_eq!((&elements[0][0]["bytes"], &elements[0][0]["cut"]), (&json!(30_000), &json!(true)));
    client.call(&[&b"SET"[..], b"text", &[b'y'; 30_000]]);
    let text = get(&server, "/key?name=text");
    assert_eq!((&text["size"], &text["elements"][0][0]["bytes"]), (&json!(30_000), &json!(30_000)));
    assert_eq!(text["elements"][0][0]["text"].as_str().unwrap().len(), 256);
}

#[test]
fn a_search_goes_on_from_page_to_page_and_finds_every_key_once() {
    let server = server();
    let mut client = server.client();
    client.line("DEBUG POPULATE 25000 key 10");
    client.line("SET needle 1");
    let (mut cursor, mut requests, mut found) = ("0".to_owned(), 0, Vec::new());
    loop {
        let page = get(&server, &format!("/keys?pattern=needle&cursor={cursor}"));
        requests += 1;
        assert!(page["looked_at"].as_u64().unwrap() <= 10_000);
        found.extend(
            page["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()),
        );
        if page["done"] == true {
            break;
        }
        cursor = page["cursor"].as_str().unwrap().to_owned();
    }
    assert_eq!(found, ["needle"]);
    assert!(requests >= 2, "one request has looked at 25,000 keys");
    let page = get(&server, "/keys?count=10");
    assert!((10..60).contains(&page["keys"].as_array().unwrap().len()));
}

#[test]
fn looking_changes_nothing() {
    let server = server();
    let mut client = server.client();
    client.line("DEBUG SET-ACTIVE-EXPIRE 0");
    client.line("SET here 1");
    client.line("SET gone 1 PX 1");
    let figures = |client: &mut common::Client| {
        ["keyspace_hits", "keyspace_misses", "expired_keys"].map(|field| client.info(field))
    };
    let before = figures(&mut client);
    until("the key is gone for the search", || get(&server, "/keys")["keys"].as_array().unwrap().len() == 1);
    assert_eq!(server.http("GET", "/key?name=gone").0, 404);
    get(&server, "/key?name=here");
    assert_eq!(figures(&mut client), before);
    // It is still there to be removed by whoever may.
    assert_eq!(client.line("DBSIZE"), "(integer) 2");
}

#[test]
fn a_client_is_found_and_closed() {
    let mut server = server();
    let (mut victim, mut other) = (server.client(), server.client());
    victim.call(&["CLIENT", "SETNAME", "vic'tim"]);
    other.line("SELECT 3");
    let list = get(&server, "/clients?holding=VIC'T");
    assert_eq!((&list["connected"], &list["matching"]), (&json!(2), &json!(1)));
    let row = &list["clients"][0];
    assert_eq!((&row["name"]["text"], &row["command"]), (&json!("vic'tim"), &json!("client|setname")));
    assert_eq!(get(&server, "/clients?holding=select")["clients"][0]["database"], 3);
    let (status, _) = server.http("POST", &format!("/clients/kill?id={}", row["id"]));
    assert_eq!(status, 200);
    assert_eq!(victim.reply(), None);
    assert!(server.log_says("closed from the admin port"));
    until("the client is gone", || get(&server, "/clients")["connected"] == 1);
    assert_eq!(other.line("PING"), "PONG");
}

#[test]
fn figures_move_with_the_load_and_name_the_commands() {
    let server = server();
    let mut stream = TcpStream::connect(("127.0.0.1", server.admin_port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut frame = move || -> Value {
        let line = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str(&line.expect("the stream goes on")).unwrap()
    };
    let first = frame();
    assert!(first["rates"].is_null());
    assert_eq!(first["latency"]["commands"], json!([]));
    let mut client = server.client();
    for at in 0..500 {
        client.line(&format!("SET key{at} 1 EX 1000"));
        client.line("GET nothing");
    }
    client.line("LPUSH key1 x");
    let busy = std::iter::repeat_with(&mut frame)
        .take(10)
        .find(|frame| frame["latency"]["commands"].as_array().is_some_and(|named| named.len() >= 3))
        .expect("a frame with the commands");
    let of = |name: &str| {
        let commands = busy["latency"]["commands"].as_array().unwrap();
        commands.iter().find(|command| command["name"] == name).unwrap().clone()
    };
    assert!(of("set")["calls"].as_f64().unwrap() > 0.0);
    assert!(of("set")["p50_us"].as_f64().unwrap() > 0.0);
    assert!(of("set")["p99_us"].as_f64() <= of("set")["max_us"].as_f64());
    assert_eq!(of("lpush")["errors"], 1);
    assert!(busy["rates"]["misses"].as_f64().unwrap() > 0.0);
    assert_eq!(busy["databases"], json!([{ "number": 0, "keys": 500, "expiring": 500 }]));
    assert_eq!(busy["workers"][0]["connections"], 1);
    assert!((0.0..=1.0).contains(&busy["workers"][0]["busy"].as_f64().unwrap()));
    assert!(busy["memory"]["used"].as_u64() > Some(0));
    assert!(busy["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true));
    assert_eq!(server.http("POST", "/save?wait=true").0, 200);
    let saved = std::iter::repeat_with(&mut frame)
        .take(10)
        .find(|frame| !frame["persistence"]["save"]["last"].is_null())
        .expect("a frame with the save");
    assert_eq!(saved["persistence"]["save"]["last"]["keys"], 500);
    assert_eq!(saved["persistence"]["unsaved_changes"], 0);
}

#[test]
fn a_search_is_told_to_come_again_while_a_script_holds_the_keyspace() {
    let server = Launch::new().admin().with(&["--busy-reply-threshold", "50"]).start();
    let mut client = server.client();
    client.send(&["EVAL", "while true do end", "0"]);
    until("the script holds the keyspace", || server.http("GET", "/keys").0 == 503);
    let (_, body) = server.http("GET", "/keys");
    assert!(body.contains("SCRIPT KILL") || body.contains("holds the whole keyspace"), "{body}");
    let mut killer = server.client();
    until("the script can be killed", || killer.line("SCRIPT KILL") == "OK");
    // It ends at its next look; its reply leaves when the keyspace is free again.
    assert!(matches!(client.reply(), Some(glasswing::resp::Value::Error(_))));
    assert_eq!(server.http("GET", "/keys").0, 200);
}
