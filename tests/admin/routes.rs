//! Every route, method, status and content type.

use crate::client::{FILES, GET_ROUTES, OTHER_ROUTES, get, send, served};

#[test]
fn every_route_answers_get_and_head() {
    let (_, server) = served();
    for (path, kind) in GET_ROUTES {
        let answer = get(&server, path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        let head = send(&server, &format!("HEAD {path}"), &[]);
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), Some(kind), "{path}");
        assert_eq!(head.header("content-length"), answer.header("content-length"), "{path}");
        assert_eq!(head.body, "", "{path}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let (_, server) = served();
    let kill = get(&server, "/clients/kill");
    assert_eq!((kill.status, kill.header("allow")), (405, Some("POST")));
    for (path, _) in GET_ROUTES {
        let allowed = if path == "/save" { "GET, HEAD, POST" } else { "GET, HEAD" };
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "POST"] {
            if method == "POST" && path == "/save" {
                continue;
            }
            let answer = send(&server, &format!("{method} {path}"), &[]);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
            assert!(answer.error().contains(path));
        }
    }
}

#[test]
fn an_unknown_path_is_answered_with_the_routes() {
    let (_, server) = served();
    for path in ["/nowhere", "/save/", "/metrics/x", "/%73ave"] {
        let answer = get(&server, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains(path));
        let routes = answer.json()["routes"].as_array().unwrap().clone();
        let listed: Vec<_> = routes.iter().map(|it| it["path"].as_str().unwrap()).collect();
        for path in GET_ROUTES.iter().map(|(path, _)| path).chain(&OTHER_ROUTES) {
            assert!(listed.contains(path), "{path}");
        }
        assert_eq!(listed.len(), GET_ROUTES.len() + OTHER_ROUTES.len());
    }
    assert_eq!(send(&server, "POST /nowhere", &[]).status, 404);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let (_, server) = served();
    let page = get(&server, "/");
    assert!(page.body.starts_with("<!doctype html>"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for outside in ["http://", "https://", "//", "@import"] {
        assert!(!page.body.contains(outside), "{outside}");
    }
    for path in FILES {
        let file = get(&server, path);
        let kind = if path.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert_eq!(file.header("content-type"), Some(&*format!("{kind}; charset=utf-8")), "{path}");
        assert_eq!(file.header("content-security-policy"), page.header("content-security-policy"));
        // The names of XML's and SVG's elements are no address.
        let text = file.body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://") && !text.contains("@import"),
            "{path}"
        );
        assert_eq!(send(&server, &format!("POST {path}"), &[]).status, 405, "{path}");
    }
}

#[test]
fn facts_come_as_they_are_and_in_their_order() {
    let (_, server) = served();
    assert_eq!(get(&server, "/metrics").body, "glasswing_up 1\n");
    let version = get(&server, "/version").json();
    assert_eq!(version["glasswing_version"], "0.1.0");
    assert_eq!(version["redis_version"], "7.0.15");
    assert_eq!(version["build"], "abc1234");
    assert_eq!(version["rust"], "1.95.0");
    let changed = get(&server, "/config?changed").json();
    assert_eq!(changed, serde_json::json!({ "port": { "value": "7000", "default": "6379" } }));
    assert_eq!(get(&server, "/config?changed=maybe").status, 400);
    let config = get(&server, "/config");
    assert_eq!(config.json()["requirepass"], "(hidden)");
    let place = |text: &str| config.body.find(text).unwrap();
    assert!(place("\"port\"") < place("\"bind\"") && place("\"bind\"") < place("\"requirepass\""));
}

#[test]
fn the_slow_log_has_the_stages_of_each_command() {
    let (_, server) = served();
    let log = get(&server, "/slowlog").json();
    assert_eq!((log["slower_than_us"].as_i64(), log["len"].as_u64()), (Some(10), Some(2)));
    let first = &log["entries"][0];
    assert_eq!(first["arguments"][1], "a\"\u{7}<b>");
    assert_eq!((&first["id"], &first["client"]), (&4.into(), &"127.0.0.1:5".into()));
    assert_eq!(first["stages"]["lock_wait_us"], 5.5);
    assert_eq!(first["stages"]["write_us"], 3.0);
    assert!(log["entries"][1]["stages"]["write_us"].is_null());
    assert_eq!(get(&server, "/slowlog?count=1").json()["entries"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, "/slowlog?count=-1").status, 400);
}

#[test]
fn info_is_asked_whole_or_by_section() {
    let (_, server) = served();
    let names = |path: &str| -> Vec<String> {
        get(&server, path).json().as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names("/info"), ["clients", "memory", "server"]);
    assert_eq!(names("/info?section=Memory"), ["memory"]);
    assert_eq!(names("/info?section=memory,server"), ["memory", "server"]);
    assert_eq!(names("/info?section=memory&section=clients"), ["clients", "memory"]);
    assert_eq!(names("/info?section=memory,ALL"), ["clients", "memory", "server"]);
    assert_eq!(get(&server, "/info").json()["server"]["redis_version"], "7.0.15");
    let unknown = get(&server, "/info?section=nothing");
    assert_eq!(unknown.status, 404);
    assert!(unknown.error().contains("'nothing'"));
    assert!(unknown.json()["what_to_do"].as_str().unwrap().contains("server, clients, memory"));
}

#[test]
fn probes_follow_the_checks_that_count_for_them() {
    let (fake, server) = served();
    for path in ["/livez", "/readyz", "/startupz", "/healthz", "/health"] {
        assert_eq!(get(&server, path).body, "ok");
    }
    fake.fail("persistence", "the disk is full");
    let statuses =
        || ["/livez", "/startupz", "/readyz", "/healthz", "/health"].map(|path| get(&server, path).status);
    assert_eq!(statuses(), [200, 200, 503, 503, 503]);
    assert_eq!(get(&server, "/readyz").body, "persistence: the disk is full\n");
    fake.fail("loading", "3 of 9 blocks are loaded");
    assert_eq!(statuses(), [200, 503, 503, 503, 503]);
    let both = "loading: 3 of 9 blocks are loaded\npersistence: the disk is full\n";
    assert_eq!(get(&server, "/readyz").body, both);
    assert_eq!(send(&server, "HEAD /readyz", &[]).status, 503);
    fake.fail("workers", "worker 1 is stuck");
    assert_eq!(statuses(), [503, 503, 503, 503, 503]);
}

#[test]
fn probes_name_each_check_when_asked() {
    let (fake, server) = served();
    let all_well = "[+]workers ok: all is well\n[+]loading ok: all is well\nstartupz check passed\n";
    assert_eq!(get(&server, "/startupz?verbose").body, all_well);
    assert_eq!(get(&server, "/startupz?verbose=false").body, "ok");
    fake.fail("loading", "not yet");
    let failing = get(&server, "/startupz?verbose=true");
    assert_eq!(failing.status, 503);
    let expected = "[+]workers ok: all is well\n[-]loading failed: not yet\nstartupz check failed\n";
    assert_eq!(failing.body, expected);
    let wrong = get(&server, "/startupz?verbose=maybe");
    assert_eq!(wrong.status, 400);
    assert!(wrong.error().contains("'maybe'"));
}

#[test]
fn probes_leave_checks_out_when_asked() {
    let (fake, server) = served();
    fake.fail("loading", "not yet");
    fake.fail("persistence", "the disk is full");
    let one = get(&server, "/readyz?exclude=loading");
    assert_eq!((one.status, one.body.as_str()), (503, "persistence: the disk is full\n"));
    assert_eq!(get(&server, "/readyz?exclude=loading&exclude=persistence").body, "ok");
    let verbose = get(&server, "/startupz?verbose&exclude=loading&exclude=moon");
    assert_eq!(verbose.status, 200);
    assert!(verbose.body.contains("[+]loading excluded: ok\n"));
    assert!(verbose.body.contains("warn: no check is named \"moon\""));
}

#[test]
fn probes_answer_in_json_to_those_who_accept_it() {
    let (fake, server) = served();
    fake.fail("loading", "not yet");
    let answer = send(&server, "GET /startupz", &["Accept: application/json"]);
    assert_eq!(answer.status, 503);
    let body = answer.json();
    assert_eq!(body["probe"], "startupz");
    assert_eq!(body["status"], "failed");
    assert_eq!(body["checks"].as_array().unwrap().len(), 2);
    assert_eq!(body["checks"][0]["ok"], true);
    assert_eq!(body["checks"][1]["name"], "loading");
    assert_eq!(body["checks"][1]["reason"], "not yet");
    let healthy = send(&server, "GET /livez", &["Accept: application/json"]);
    assert_eq!((healthy.status, healthy.json()["status"].as_str()), (200, Some("ok")));
}
