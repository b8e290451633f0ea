//! Who is answered, and who is not.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;

use crate::client::{
    FILES, GET_ROUTES, OTHER_ROUTES, PATIENCE, SENSITIVE, get, options, read_to_end, send, served, start,
};
use crate::fake::Fake;
use glasswing::admin::{AdminOptions, Secret};

#[test]
fn a_token_guards_all_but_the_probes_the_version_and_the_page_to_type_it_in() {
    let fake = Fake::new();
    fake.password_set.store(true, Ordering::SeqCst);
    let token = Some(Secret::new("s3cret").unwrap());
    let server = start(&fake, AdminOptions { token, ..options() });
    let open = ["/", "/livez", "/readyz", "/startupz", "/healthz", "/health", "/version"];
    for path in FILES {
        assert_eq!(get(&server, path).status, 200, "{path}");
    }
    for path in OTHER_ROUTES {
        let method = if path == "/clients/kill" { "POST" } else { "GET" };
        assert_eq!(send(&server, &format!("{method} {path}?id=7&name=a"), &[]).status, 401, "{path}");
    }
    assert!(fake.killed.lock().unwrap().is_empty());
    for (path, _) in GET_ROUTES.into_iter().chain([("/nowhere", ""), ("/console/", "")]) {
        let bare = get(&server, path);
        if open.contains(&path) {
            assert_eq!(bare.status, 200, "{path}");
            continue;
        }
        assert_eq!(bare.status, 401, "{path}");
        assert!(bare.header("www-authenticate").unwrap().starts_with("Bearer"), "{path}");
        assert!(bare.error().contains("needed"), "{path}");
        let line = format!("GET {path}");
        let wrong = send(&server, &line, &["Authorization: Bearer s3creT"]);
        assert_eq!(wrong.status, 401, "{path}");
        assert!(wrong.error().contains("wrong"), "{path}");
        let right = send(&server, &line, &["Authorization: Bearer s3cret", "Host: any.example"]);
        let is_there = GET_ROUTES.iter().any(|(known, _)| *known == path);
        assert_eq!(right.status, if is_there { 200 } else { 404 }, "{path}");
    }
    assert_eq!(send(&server, "POST /save", &[]).status, 401);
    assert!(!fake.save.borrow().running);
    assert_eq!(send(&server, "POST /save", &["Authorization: Bearer s3cret"]).status, 202);
}

#[test]
fn metrics_are_public_by_the_setting() {
    let token = Some(Secret::new("s3cret").unwrap());
    let server = start(&Fake::new(), AdminOptions { token, metrics_public: true, ..options() });
    assert_eq!(get(&server, "/metrics").status, 200);
    assert_eq!(get(&server, "/save").status, 401);
}

#[test]
fn with_a_password_and_no_token_nothing_sensitive_is_shown() {
    let (fake, server) = served();
    fake.password_set.store(true, Ordering::SeqCst);
    for (path, _) in GET_ROUTES {
        let expected = if SENSITIVE.contains(&path) { 403 } else { 200 };
        assert_eq!(get(&server, path).status, expected, "{path}");
    }
    assert_eq!(get(&server, "/key?name=a").status, 403);
    assert_eq!(get(&server, "/debug/bundle").status, 403);
    assert_eq!(get(&server, "/debug/profile").status, 403);
    assert_eq!(send(&server, "POST /clients/kill?id=7", &[]).status, 403);
    assert!(fake.killed.lock().unwrap().is_empty());
    assert!(get(&server, "/info").error().contains("clients need a password"));
    assert_eq!(send(&server, "POST /save", &[]).status, 202);
}

#[test]
fn every_loopback_address_is_trusted() {
    let (_, server) = served();
    let SocketAddr::V4(address) = server.addresses()[0] else { panic!() };
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let other: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), 0).into();
    socket.bind(&other.into()).unwrap();
    socket.connect(&SocketAddr::V4(address).into()).unwrap();
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_to_end(stream).status, 200);
}

#[test]
fn a_rebound_name_is_refused_where_no_token_protects() {
    let hosts = vec!["glasswing.internal".to_owned()];
    let server = start(&Fake::new(), AdminOptions { hosts, ..options() });
    for (path, _) in GET_ROUTES {
        let open = ["/metrics", "/livez", "/readyz", "/startupz", "/healthz", "/health", "/version"];
        let line = format!("GET {path}");
        let evil = send(&server, &line, &["Host: evil.example"]);
        assert_eq!(evil.status, if open.contains(&path) { 200 } else { 403 }, "{path}");
        assert_eq!(send(&server, &line, &["Host: glasswing.internal:8080"]).status, 200, "{path}");
    }
    for path in FILES.iter().chain(&["/live", "/key?name=a", "/debug/bundle", "/debug/profile"]) {
        assert_eq!(send(&server, &format!("GET {path}"), &["Host: evil.example"]).status, 403, "{path}");
    }
    assert_eq!(send(&server, "POST /save", &["Host: evil.example"]).status, 403);
    assert_eq!(send(&server, "POST /clients/kill?id=7", &["Host: evil.example"]).status, 403);
    assert_eq!(send(&server, "GET http://evil.example/save", &[]).status, 403);
}

#[test]
fn a_foreign_page_starts_no_save_and_closes_no_client() {
    let (fake, server) = served();
    for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let answer = send(&server, "POST /save", &[header]);
        assert_eq!(answer.status, 403, "{header}");
        assert!(answer.error().contains("another origin"));
        assert_eq!(send(&server, "POST /clients/kill?id=7", &[header]).status, 403, "{header}");
    }
    assert!(fake.killed.lock().unwrap().is_empty());
    assert!(fake.save.borrow().job.is_none());
    let own = ["Host: localhost:8080", "Origin: http://localhost:8080", "Sec-Fetch-Site: same-origin"];
    assert_eq!(send(&server, "POST /save", &own).status, 202);
    assert_eq!(send(&server, "POST /clients/kill?id=7", &own).status, 200);
    assert_eq!(*fake.killed.lock().unwrap(), [7]);
}

#[test]
fn access_changes_while_the_server_runs() {
    let token = Some(Secret::new("s3cret").unwrap());
    let server = start(&Fake::new(), AdminOptions { token, ..options() });
    assert_eq!(get(&server, "/metrics").status, 401);
    server.set_access(Vec::new(), true);
    assert_eq!(get(&server, "/metrics").status, 200);
    assert_eq!(get(&server, "/save").status, 401);
    server.set_access(Vec::new(), false);
    assert_eq!(get(&server, "/metrics").status, 401);
}
