//! Starting a save, waiting for it, looking at it.

use std::time::Duration;

use crate::client::{get, options, send, served, start};
use crate::fake::Fake;
use glasswing::admin::{AdminOptions, Limits, SaveRefused};

#[test]
fn a_save_is_started_and_looked_at() {
    let (fake, server) = served();
    let before = get(&server, "/save").json();
    assert_eq!(before["running"], false);
    assert!(before["job"].is_null() && before["last"].is_null());

    let started = send(&server, "POST /save", &[]);
    assert_eq!(started.status, 202);
    assert_eq!(started.json()["job"], 1);
    let location = started.header("location").unwrap().to_owned();
    let running = get(&server, &location).json();
    assert_eq!(running["running"], true);
    assert_eq!(running["progress"], 0.5);
    assert_eq!(running["keys"], 6);
    assert_eq!(running["seconds_left"], 1.5);

    for path in ["/save", "/save?wait=true"] {
        let second = send(&server, &format!("POST {path}"), &[]);
        assert_eq!(second.status, 409);
        assert_eq!(second.header("location"), Some(location.as_str()));
        assert!(second.error().contains("save 1 is running"));
    }

    fake.finish_save(None);
    let ended = get(&server, &location).json();
    assert_eq!(ended["running"], false);
    assert!(ended["progress"].is_null());
    assert_eq!(ended["last"]["ok"], true);
    assert_eq!(ended["last"]["file"], "/data/glasswing.snapshot");
    assert_eq!(ended["last"]["bytes"], 4096);
    assert_eq!(ended["last"]["seconds"], 0.25);

    assert_eq!(send(&server, "POST /save", &[]).json()["job"], 2);
    assert_eq!(get(&server, &location).status, 410);
    assert_eq!(get(&server, "/save?job=3").status, 404);
    assert_eq!(get(&server, "/save?job=x").status, 400);
}

#[test]
fn a_save_is_waited_for_without_holding_up_others() {
    let fake = Fake::new();
    // The wait is longer than any other request may take.
    let limits = Limits { request_time: Duration::from_millis(20), ..Limits::default() };
    let server = start(&fake, AdminOptions { limits, ..options() });
    for (error, expected) in [(None, 200), (Some("no space left on device"), 500)] {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| send(&server, "POST /save?wait=true", &[]));
            fake.wait_until_saving();
            assert_eq!(get(&server, "/livez").body, "ok");
            assert!(!waiting.is_finished());
            fake.finish_save(error);
            let answer = waiting.join().unwrap();
            assert_eq!(answer.status, expected);
            match error {
                None => assert_eq!(answer.json()["last"]["keys"], 12),
                Some(reason) => assert_eq!(answer.error(), reason),
            }
        });
    }
}

#[test]
fn a_save_that_cannot_start_says_why() {
    let (fake, server) = served();
    *fake.refusal.lock().unwrap() = Some(SaveRefused::Failed("still loading".to_owned()));
    for path in ["/save", "/save?wait=true"] {
        let answer = send(&server, &format!("POST {path}"), &[]);
        assert_eq!(answer.status, 500);
        assert_eq!(answer.error(), "still loading");
    }
    assert_eq!(send(&server, "POST /save?wait=perhaps", &[]).status, 400);
}
