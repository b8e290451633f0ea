//! Clients and keys: their shapes, their limits, and names that mean harm.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::client::{get, send, served};
use crate::fake_console::{HOSTILE, HOSTILE_SHOWN};

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn clients_are_listed_within_limits() {
    let (_, server) = served();
    let list = get(&server, "/clients").json();
    assert_eq!((&list["connected"], &list["matching"]), (&json!(5000), &json!(5000)));
    assert_eq!(list["clients"].as_array().unwrap().len(), 100);
    let first = &list["clients"][0];
    assert_eq!(first["id"], 7);
    assert_eq!(first["name"], json!({ "text": HOSTILE_SHOWN, "bytes": HOSTILE.len(), "cut": false }));
    assert_eq!((&first["command"], &first["states"]), (&json!("client|list"), &json!(["blocked"])));
    let asked = get(&server, "/clients?count=2&order=memory&holding=a%20%ff").json();
    assert_eq!(asked["clients"].as_array().unwrap().len(), 2);
    assert_eq!(asked["clients"][0]["database"], 1);
    assert_eq!(asked["clients"][0]["library"]["text"], "a \\xff");
    assert_eq!(get(&server, "/clients?count=999999").json()["clients"].as_array().unwrap().len(), 1000);
    for wrong in ["order=age", "count=-1", "count=many"] {
        assert_eq!(get(&server, &format!("/clients?{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn what_takes_most_is_told_within_limits() {
    let (_, server) = served();
    let told = get(&server, "/usage?top=2").json();
    assert_eq!((&told["on"], &told["found"]), (&json!(true), &json!(null)));
    let keys = told["used"]["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    let name = json!({ "text": HOSTILE_SHOWN, "bytes": 512 << 20, "cut": true });
    assert_eq!(
        keys[0],
        json!({
            "db": 3, "name": name, "id": null, "share": 0.5, "share_low": 0.4, "share_high": 0.6,
            "per_second": 10.0, "writes": 0.25,
        })
    );
    let keys_of = |query: &str| get(&server, query).json()["used"]["keys"].as_array().unwrap().len();
    assert_eq!((keys_of("/usage"), keys_of("/usage?top=999999")), (10, 128));
    assert_eq!(get(&server, "/usage?top=-1").status, 400);
}

#[test]
fn a_client_is_closed_by_its_number() {
    let (fake, server) = served();
    let killed = send(&server, "POST /clients/kill?id=7", &[]);
    assert_eq!((killed.status, killed.json()), (200, json!({ "id": 7, "killed": true })));
    for (query, status) in [("", 400), ("?id=", 400), ("?id=-7", 400), ("?id=x", 400), ("?id=8", 404)] {
        let answer = send(&server, &format!("POST /clients/kill{query}"), &[]);
        assert_eq!(answer.status, status, "{query}");
        assert!(!answer.error().is_empty());
    }
    assert_eq!(*fake.killed.lock().unwrap(), [7]);
}

#[test]
fn keys_are_found_and_told_so_that_nothing_breaks() {
    let (_, server) = served();
    let page =
        get(&server, "/keys?db=3&pattern=a%00%ff*&type=zset&cursor=18446744073709551615&count=7").json();
    // A 64-bit number as text: as a number it would not survive JavaScript.
    assert_eq!((&page["cursor"], &page["done"]), (&json!("18446744073709551615"), &json!(false)));
    assert_eq!((&page["db"], &page["looked_at"]), (&json!(3), &json!(500)));
    let keys = page["keys"].as_array().unwrap();
    assert_eq!(keys[0]["name"]["text"], HOSTILE_SHOWN);
    assert_eq!(
        keys[0]["id"].as_str().unwrap(),
        "%3C%2Fscript%3E%3Cb%20onclick%3D%22x%22%3E%27%0D%0A%1B%5B31m%FF%00%E2%80%AE"
    );
    assert_eq!((&keys[0]["type"], &keys[0]["encoding"]), (&json!("list"), &json!("quicklist")));
    assert_eq!(
        (&keys[0]["ttl_ms"], &keys[0]["size"], &keys[0]["memory"]),
        (&json!(1500), &json!(3), &json!(null))
    );
    assert_eq!(keys[1]["name"]["text"], "a\\0\\xff*");
    assert_eq!(keys[2]["name"]["text"], "3 Some(\"zset\") 18446744073709551615 7");
    // A name that is too long to be asked for is cut and cannot be opened.
    assert_eq!((&keys[3]["name"]["bytes"], &keys[3]["name"]["cut"]), (&json!(70_000), &json!(true)));
    assert_eq!(keys[3]["name"]["text"].as_str().unwrap().len(), 256);
    assert!(keys[3]["id"].is_null());
    let plain = get(&server, "/keys").json();
    assert_eq!(plain["keys"][1]["name"]["text"], "*");
    assert_eq!(plain["keys"][2]["name"]["text"], "0 None 0 50");
}

#[test]
fn a_search_has_limits() {
    let (_, server) = served();
    assert_eq!(get(&server, "/keys?count=100000").json()["keys"][2]["name"]["text"], "0 None 0 200");
    assert_eq!(get(&server, "/keys?count=0").json()["keys"][2]["name"]["text"], "0 None 0 1");
    let long = format!("/keys?pattern={}", "*a".repeat(129));
    for path in ["/keys?cursor=x", "/keys?db=-1", "/keys?db=16", "/keys?type=module", &long] {
        assert_eq!(get(&server, path).status, 400, "{path}");
    }
    assert!(get(&server, "/keys?db=99").json()["what_to_do"].as_str().unwrap().contains("0 to 15"));
    let loading = get(&server, "/keys?pattern=loading");
    assert_eq!((loading.status, loading.header("retry-after")), (503, Some("1")));
}

#[test]
fn a_key_is_shown_with_its_first_elements() {
    let (_, server) = served();
    let key = get(&server, &format!("/key?db=2&name={}", percent_encoded(HOSTILE))).json();
    assert_eq!((&key["name"]["text"], &key["db"]), (&json!(HOSTILE_SHOWN), &json!(2)));
    assert_eq!(key["elements"][0][0]["text"], HOSTILE_SHOWN);
    assert_eq!(
        (&key["elements"][1][0]["bytes"], &key["elements"][1][0]["cut"]),
        (&json!(1000), &json!(true))
    );
    // The empty name is a name.
    assert_eq!(get(&server, "/key?db=2&name=").json()["name"]["bytes"], 0);
    let long = format!("/key?name={}", "k".repeat(2049));
    for (path, status) in [("/key", 400), ("/key?db=2", 400), (&long, 400), ("/key?name=a", 404)] {
        let answer = get(&server, path);
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.error().is_empty());
    }
}

#[test]
fn who_asks_while_the_keyspace_is_held_is_told_to_come_again() {
    let (fake, server) = served();
    fake.held.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&server, "/keys"));
        // Others are answered meanwhile.
        assert_eq!(get(&server, "/livez").body, "ok");
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.error().contains("whole keyspace"));
    });
}
