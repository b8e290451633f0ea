//! Every rule sees a violation that is planted, and lets alone what only looks like one.

use super::rules;
use super::source::Tree;

/// The complaints of a rule about a tree of one file or more.
fn complaints(rule: impl Fn(&Tree) -> Vec<String>, files: &[(&str, &str)]) -> Vec<String> {
    rule(&Tree::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()))
}

fn caught(rule: impl Fn(&Tree) -> Vec<String>, path: &str, text: &str) -> bool {
    !complaints(rule, &[(path, text)]).is_empty()
}

#[test]
fn a_border_crossed_in_any_spelling_is_seen() {
    for (path, text) in [
        ("data/list.rs", "use crate::resp::Value;"),
        ("resp/mod.rs", "//! x\nfn f() { crate::data::glob(); }"),
        ("store/view.rs", "use super::super::command::Args;"),
        ("command/args.rs", "use crate::{clock::Clock, net::{self, worker}};"),
        ("command/lists/pop.rs", "use crate::engine as motor;"),
        ("engine/gate.rs", "type T = crate::admin::Control;"),
        ("net/worker.rs", "pub(crate) use crate::store::Store;"),
        ("net/worker.rs", "mod inner { use super::super::super::admin::x; }"),
        ("admin/save.rs", "use crate::net::Workers;"),
        ("persist/mod.rs", "use crate::command::Command;"),
        ("clock.rs", "#[cfg(test)] mod tests { use crate::data::glob; }"),
        ("main.rs", "use glasswing::engine::Worker;"),
        ("pantry/mod.rs", "//! A room that nobody listed."),
    ] {
        assert!(caught(rules::borders, path, text), "{path}: {text}");
    }
    for (path, text) in [
        ("data/list.rs", "// use crate::resp::Value;\n/* crate::net::x */ use super::glob;"),
        (
            "resp/mod.rs",
            r##"const S: &str = r#"use crate::net::x"#; const C: char = '"'; const D: &str = "crate::net::x";"##,
        ),
        ("net/worker.rs", "use crate::engine::Worker; use crate::{config, resp::Encoder};"),
        ("app/run.rs", "use crate::{admin, net, store};"),
        ("engine/gate.rs", "use super::admin_like::x; use crate::command::Args;"),
    ] {
        assert_eq!(complaints(rules::borders, &[(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_family_that_names_another_is_seen() {
    const ROW: &str = "static C: Command = Command { ..Command::BASE };";
    let plant = |text: &str| {
        let planted = format!("{text}\n{ROW}");
        complaints(
            rules::families,
            &[
                ("command/lists/mod.rs", ROW),
                ("command/strings.rs", ROW),
                ("command/parse.rs", "pub fn number() {}"),
                ("command/sets/pop.rs", &planted),
            ],
        )
        .len()
    };
    assert_eq!(plant("use super::super::strings::stored;"), 1);
    assert_eq!(plant("fn f() { crate::command::lists::push(); }"), 1);
    assert_eq!(plant("use crate::command::{lists, strings::{stored}};"), 2);
    assert_eq!(plant("use super::super::parse::number; use super::add; use crate::command::sets::x;"), 0);
    // A file beside the rows of a family's folder belongs to it.
    let beside = [
        ("command/lists/mod.rs", ROW),
        ("command/strings/mod.rs", ROW),
        ("command/strings/set.rs", "use super::super::lists::x;"),
    ];
    assert_eq!(complaints(rules::families, &beside).len(), 1);
}

#[test]
fn a_package_outside_its_room_is_seen() {
    assert!(caught(rules::packages, "engine/world.rs", "use dashmap::DashMap;"));
    assert!(caught(rules::packages, "app/run.rs", "fn f() { axum::serve(); }"));
    assert!(caught(rules::packages, "net/worker.rs", "use ::hyper::body::Body;"));
    assert!(caught(rules::packages, "command/server.rs", "type R = prometheus::Registry;"));
    assert!(caught(rules::packages, "store/loading.rs", "use bincode::{decode_from_slice as decode};"));
    assert!(!caught(rules::packages, "store/shard.rs", "use dashmap::DashMap;"));
    assert!(!caught(rules::packages, "app/run.rs", "// axum::serve\nuse crate::observe::prometheus;"));
}

#[test]
fn a_package_that_does_no_work_is_seen() {
    const WORK: &[(&str, &str)] = &[
        (
            "net/worker.rs",
            "use tokio::runtime::Builder; fn f() -> Builder { Builder::new_current_thread(); tokio::spawn(f()); }",
        ),
        ("net/connection.rs", "fn f(b: bytes::BytesMut) -> bytes::BytesMut { bytes::BytesMut::new() }"),
        ("resp/request.rs", "fn f(b: bytes::Bytes) -> bytes::Bytes { bytes::Bytes::copy_from_slice(&b) }"),
        (
            "store/shard.rs",
            "use dashmap::DashMap as Map; struct S(Map<u8, u8>); fn f(m: &Map<u8, u8>) { Map::new() }",
        ),
        ("admin/server.rs", "use axum::Router; fn f(r: Router) -> Router { Router::new() }"),
        (
            "observe/metrics.rs",
            "use tracing_opentelemetry::layer; fn f(r: &prometheus::Registry) { prometheus::gather(); prometheus::Opts; \
             layer(); layer(); layer(); }",
        ),
        (
            "data/list.rs",
            "use serde::Serialize; #[derive(Serialize)] struct L; #[derive(Serialize)] struct M; #[derive(Serialize)] struct N;",
        ),
        (
            "persist/save.rs",
            "fn f<T: serde::Serialize>() { bincode::config::standard(); bincode::decode(); bincode::encode(); }",
        ),
        ("persist/load.rs", "fn f<T: serde::Serialize, U: serde::Serialize, V: serde::Serialize>() {}"),
    ];
    assert_eq!(complaints(rules::given_packages_work, WORK), Vec::<String>::new());
    let instead = |path: &str, text: &'static str| {
        let files: Vec<_> =
            WORK.iter().map(|&(at, work)| (at, if at == path { text } else { work })).collect();
        complaints(rules::given_packages_work, &files)
    };
    assert_eq!(instead("resp/request.rs", "use bytes::Bytes;"), ["bytes does no work in src/resp"]);
    assert_eq!(
        instead("resp/request.rs", "fn idle() -> Option<bytes::Bytes> { None }"),
        ["bytes does no work in src/resp"]
    );
    assert_eq!(
        instead("admin/server.rs", "// axum::Router\nconst S: &str = \"axum::Router\";"),
        ["axum does no work in src/admin"]
    );
    assert_eq!(
        instead(
            "data/list.rs",
            "#[cfg(test)] mod tests { use serde::Serialize; #[derive(Serialize)] struct L; }"
        ),
        ["serde does no work in src/data"]
    );
    assert_eq!(
        instead("store/shard.rs", "use dashmap::DashMap as Map; struct DashMap;"),
        ["dashmap does no work in src/store"]
    );
}

#[test]
fn a_clock_of_ones_own_is_seen() {
    assert!(caught(rules::time, "engine/unit.rs", "fn f() { std::time::Instant::now(); }"));
    assert!(caught(
        rules::time,
        "engine/unit.rs",
        "use std::time::SystemTime; fn f() { SystemTime::now(); }"
    ));
    assert!(caught(rules::time, "net/worker.rs", "fn f() { tokio::time::Instant::now(); }"));
    assert!(caught(rules::time, "observe/stats.rs", "use quanta::Clock;"));
    assert!(caught(rules::time, "observe/log.rs", "fn f() { jiff::Timestamp::now(); }"));
    assert!(!caught(rules::time, "clock.rs", "fn f() { std::time::SystemTime::now(); }"));
    assert!(!caught(rules::time, "net/worker.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }"));
    assert!(!caught(rules::time, "net/worker.rs", "use std::time::Instant; fn f(at: Instant) {}"));
}

#[test]
fn a_command_asked_for_its_name_is_seen() {
    for text in [
        "fn f() { if command.full_name == \"exec\" {} }",
        "fn f() { if command.row.name != other {} }",
        "fn f() { if \"exec\" == command.row.name {} }",
        "fn f() { row.name.as_bytes().eq_ignore_ascii_case(b\"exec\") }",
        "fn f() { match row.name { \"EXEC\" => 1, _ => 2 } }",
    ] {
        assert!(caught(rules::names, "engine/gate.rs", text), "{text}");
    }
    assert!(caught(
        rules::names,
        "command/transactions.rs",
        "fn f() { if registered.full_name == \"exec\" {} }"
    ));
    for text in ["fn f() { out.bulk(row.name.as_bytes()); }", "fn f() { let name = 1; if name == 2 {} }"] {
        assert!(!caught(rules::names, "engine/gate.rs", text), "{text}");
    }
    assert!(!caught(rules::names, "command/table.rs", "fn f() { if registered.full_name == name {} }"));
}

#[test]
fn work_left_undone_is_seen() {
    assert!(caught(rules::undone, "data/list.rs", "fn f() { todo!() }"));
    assert!(caught(rules::undone, "data/list.rs", "fn f() { unimplemented!(\"later\") }"));
    assert!(caught(rules::undone, "data/list.rs", "fn f() { x\n.unwrap(); }"));
    assert!(!caught(
        rules::undone,
        "data/list.rs",
        "/// todo!() .unwrap()\nfn f() { x.unwrap_or(1); unimplemented_row(); }"
    ));
    assert!(!caught(rules::undone, "data/list.rs", "#[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }"));
    // A guard reaches over its own item and no further.
    assert!(caught(rules::undone, "data/list.rs", "#[cfg(test)]\nuse a::{b, c};\nfn f() { x.unwrap(); }"));
    assert!(caught(rules::undone, "data/list.rs", "#[cfg(test)]\nmod tests;\nfn f() { x.unwrap(); }"));
    assert!(caught(
        rules::undone,
        "data/list.rs",
        "struct S { #[cfg(test)] a: u8, b: u8 }\nfn f() { x.unwrap(); }"
    ));
    // A test module in a file of its own, and what lies below it.
    let apart = [
        ("data/list/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("data/list/tests.rs", "fn f() { x.unwrap(); }"),
        ("data/list/tests/model.rs", "fn f() { x.unwrap(); }"),
        ("data/list/node.rs", "fn f() { x.unwrap(); }"),
    ];
    assert_eq!(complaints(rules::undone, &apart), ["src/data/list/node.rs:1: unwrap() outside of tests"]);
}

#[test]
fn unsafe_code_out_of_place_or_unexplained_is_seen() {
    assert!(caught(rules::unsafe_code, "net/worker.rs", "// SAFETY: no.\nfn f() { unsafe { g() } }"));
    assert!(caught(rules::unsafe_code, "store/entry.rs", "fn f() {\n    unsafe { g() }\n}"));
    assert!(caught(
        rules::unsafe_code,
        "store/entry.rs",
        "// SAFETY: g is fine.\nunsafe { g() };\nunsafe { h() };"
    ));
    assert!(!caught(
        rules::unsafe_code,
        "store/entry.rs",
        "fn f() {\n    // SAFETY: g is fine.\n    let x =\n        unsafe { g() };\n}"
    ));
    assert!(!caught(rules::unsafe_code, "net/worker.rs", "// unsafe\nconst S: &str = \"unsafe\";"));
}

#[test]
fn a_room_without_an_introduction_is_seen() {
    assert!(caught(rules::introductions, "net/mod.rs", "// Sockets.\npub mod worker;"));
    assert!(caught(rules::introductions, "clock.rs", "pub struct Clock;"));
    assert!(!caught(rules::introductions, "net/mod.rs", "//! Sockets.\npub mod worker;"));
}

#[test]
fn a_file_that_grew_too_long_is_seen() {
    assert!(caught(rules::length, "net/worker.rs", &"fn f() {}\n".repeat(601)));
    assert!(!caught(rules::length, "net/worker.rs", &"fn f() {}\n".repeat(600)));
}
