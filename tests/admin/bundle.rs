//! The archive for a bug report.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use flate2::read::GzDecoder;
use glasswing::admin::AdminServer;
use serde_json::{Value, json};

use crate::client::{PATIENCE, get, get_bytes, send, served};

const FOLDER: &str = "glasswing-bundle-20261123T061728Z";

/// The files of the archive, by their names in its folder.
fn files(server: &AdminServer) -> BTreeMap<String, String> {
    let (answer, bytes) = get_bytes(server, "/debug/bundle");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    let attached = format!("attachment; filename=\"{FOLDER}.tar.gz\"");
    assert_eq!(answer.header("content-disposition"), Some(attached.as_str()));
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(&bytes[..])).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 1_795_414_648);
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(path.strip_prefix(&format!("{FOLDER}/")).unwrap().to_owned(), text);
    }
    files
}

#[test]
fn the_archive_has_everything_in_one_folder() {
    let (fake, server) = served();
    fake.fail("persistence", "the disk is full");
    let files = files(&server);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "config.json",
        "health.txt",
        "info.txt",
        "log.txt",
        "metrics.txt",
        "slowlog.json",
        "version.json",
        "workers.json",
    ];
    assert_eq!(names, expected);
    let json = |name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    assert_eq!(json("config.json"), get(&server, "/config").json());
    assert_eq!(json("version.json"), get(&server, "/version").json());
    assert_eq!(files["health.txt"], get(&server, "/readyz?verbose").body);
    assert!(files["health.txt"].contains("the disk is full"));
    assert!(files["info.txt"].starts_with("# server\nredis_version:7.0.15\n\n# clients\n"));
    assert_eq!(files["metrics.txt"], "glasswing_up 1\n");
    assert_eq!(files["log.txt"], "a line of the log\n");
    let busy = json!({ "worker": 1, "connections": 3, "commands": 40, "busy_s": 1.5, "turned_s_ago": 0.25 });
    assert_eq!(json("workers.json")[1], busy);
    assert!(json("workers.json")[0]["turned_s_ago"].is_null());
}

#[test]
fn a_slow_command_has_its_name_and_neither_arguments_nor_client() {
    let (_, server) = served();
    let log: Value = serde_json::from_str(&files(&server)["slowlog.json"]).unwrap();
    assert_eq!((&log["len"], &log["slower_than_us"]), (&json!(2), &json!(10)));
    let stages = json!({ "lock_wait_us": 5.5, "run_us": 20.0, "write_us": 3.0 });
    let expected = json!({
        "id": 4, "time_unix_s": 1_700_000_000, "duration_us": 25, "command": "get", "stages": stages,
    });
    assert_eq!(log["entries"][0], expected);
}

#[test]
fn a_file_that_is_too_long_is_cut() {
    let (fake, server) = served();
    fake.metrics_bytes.store(5 * 1024 * 1024, Ordering::SeqCst);
    let metrics = files(&server).remove("metrics.txt").unwrap();
    assert!(metrics.starts_with("glasswing_up 1\n###") && metrics.ends_with("##\n(cut here)\n"));
    assert_eq!(metrics.len(), 4 * 1024 * 1024 + "\n(cut here)\n".len());
}

#[test]
fn one_is_made_at_a_time_and_holds_nobody_up() {
    let (fake, server) = served();
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        let held = fake.log.lock().unwrap();
        for _ in 0..2 {
            let (sender, server) = (sender.clone(), &server);
            scope.spawn(move || sender.send(get_bytes(server, "/debug/bundle")).unwrap());
        }
        // Whichever came second.
        let (refused, body) = answers.recv_timeout(PATIENCE).unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((refused.status, problem["error"].is_string()), (409, true));
        assert!(problem["what_to_do"].as_str().unwrap().starts_with("ask again"));
        assert_eq!(get(&server, "/livez").body, "ok");
        assert_eq!(send(&server, "HEAD /debug/bundle", &[]).status, 409);
        drop(held);
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap().0.status, 200);
    });
    assert_eq!(files(&server).len(), 8);
}

#[test]
fn a_panic_is_answered_and_the_next_bundle_is_whole() {
    let (fake, server) = served();
    fake.panics_in_metrics.store(true, Ordering::SeqCst);
    assert_eq!(get(&server, "/debug/bundle").status, 500);
    assert_eq!(fake.panics.load(Ordering::SeqCst), 1);
    fake.panics_in_metrics.store(false, Ordering::SeqCst);
    assert_eq!(files(&server).len(), 8);
}
