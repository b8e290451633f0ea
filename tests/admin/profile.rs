//! Profiles of the process: what is asked, who may, how many at once. `tests/profile.rs` has what is in them.

use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use glasswing::admin::AdminServer;
use glasswing::observe::profile;

use crate::client::{Answer, PATIENCE, ask, get, get_bytes, send, served};

/// A process has one profile at a time, and so have its tests.
static ONE: Mutex<()> = Mutex::new(());

fn one() -> MutexGuard<'static, ()> {
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The one before has its answer, and its server may not have seen that yet.
    patiently("the turn is free", || !is_taken());
    one
}

fn patiently(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        // To look whether the turn is free is to have it for an instant: whoever asks then is refused.
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether somebody has the turn now.
fn is_taken() -> bool {
    profile::turn().is_none()
}

fn refused(server: &AdminServer, path: &str, status: u16, error: &str) {
    let answer = get(server, path);
    assert_eq!(answer.status, status, "{path}");
    assert!(answer.error().contains(error), "{path}: {}", answer.body);
}

#[test]
fn what_is_not_understood_is_told() {
    let (_, server) = served();
    for (query, error) in [
        ("seconds=0", "'seconds' is 0"),
        ("seconds=61", "'seconds' is 61"),
        ("seconds=ten", "'seconds' is 'ten'"),
        ("seconds=-1", "'seconds' is '-1'"),
        ("hz=0", "'hz' is 0"),
        ("hz=1000", "'hz' is 1000"),
        ("hz=", "'hz' is ''"),
        ("format=png", "'format' is 'png'"),
        ("seconds=99999999999999999999", "'seconds' is '99999999999999999999'"),
    ] {
        refused(&server, &format!("/debug/profile?{query}"), 400, error);
    }
}

/// The tags of a document, if each that is opened is closed and nothing else is amiss.
fn tags(document: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        for (amp, _) in text.match_indices('&') {
            assert!(entities.iter().any(|entity| text[amp..].starts_with(entity)), "{text}");
        }
        rest = &rest[at..];
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            rest = data.split_once("]]>").expect("an end of CDATA").1;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>').expect("an end of a tag");
        rest = after;
        assert!(!tag.contains('<'), "{tag}");
        let name = |tag: &str| tag.split([' ', '/', '\n']).next().unwrap_or_default().to_owned();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        seen.push(name(tag));
        if !tag.ends_with('/') {
            open.push(name(tag));
        }
    }
    assert_eq!(open, Vec::<String>::new());
    seen
}

#[test]
fn each_form_has_its_type_and_none_is_kept_by_anybody() {
    let _one = one();
    let (_, server) = served();
    let no_store = |answer: &Answer| assert_eq!(answer.header("cache-control"), Some("no-store"));

    let graph = get(&server, "/debug/profile?seconds=1&hz=250");
    assert_eq!((graph.status, graph.header("content-type")), (200, Some("image/svg+xml")));
    assert!(graph.header("content-security-policy").unwrap().starts_with("default-src 'none';"));
    no_store(&graph);
    let tags = tags(&graph.body);
    for tag in ["svg", "style", "rect", "title", "script"] {
        assert!(tags.iter().any(|seen| seen == tag), "{tag}");
    }
    for elsewhere in ["href", "@import", "url("] {
        assert!(!graph.body.contains(elsewhere), "{elsewhere}");
    }

    let folded = get(&server, "/debug/profile?seconds=1&format=folded");
    assert_eq!((folded.status, folded.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    no_store(&folded);
    for line in folded.body.lines() {
        let (stack, samples) = line.rsplit_once(' ').unwrap();
        assert!(!stack.is_empty() && samples.parse::<u64>().unwrap() > 0, "{line}");
    }

    let (packed, bytes) = get_bytes(&server, "/debug/profile?seconds=1&format=pprof");
    assert_eq!((packed.status, packed.header("content-type")), (200, Some("application/octet-stream")));
    no_store(&packed);
    let name = packed.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"glasswing-profile-2") && name.ends_with("Z.pb.gz\""));
    let mut message = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut message).unwrap();
    assert!(!message.is_empty());
}

#[test]
fn one_is_taken_at_a_time_and_holds_nobody_up() {
    let _one = one();
    let (_, server) = served();
    thread::scope(|scope| {
        let first = scope.spawn(|| get(&server, "/debug/profile?seconds=2"));
        patiently("a profile has begun", is_taken);
        refused(&server, "/debug/profile?seconds=1", 409, "another profile");
        assert_eq!(send(&server, "HEAD /debug/profile", &[]).status, 409);
        assert_eq!(get(&server, "/livez").body, "ok");
        assert_eq!(first.join().unwrap().status, 200);
    });
    patiently("its turn has ended", || !is_taken());
}

#[test]
fn who_goes_away_ends_it() {
    let _one = one();
    let (_, server) = served();
    let asking = ask(&server, "GET /debug/profile?seconds=60", &[]);
    patiently("a profile has begun", is_taken);
    let begun = Instant::now();
    drop(asking);
    patiently("the profile has ended", || !is_taken());
    assert!(begun.elapsed().as_secs() < 20);
    assert_eq!(get(&server, "/debug/profile?seconds=1&format=folded").status, 200);
}

#[test]
fn a_server_that_stops_waits_for_no_profile() {
    let _one = one();
    let (_, server) = served();
    let asking = ask(&server, "GET /debug/profile?seconds=60", &[]);
    patiently("a profile has begun", is_taken);
    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed().as_secs() < 20);
    assert_eq!(crate::client::read_to_end(asking).status, 503);
}
