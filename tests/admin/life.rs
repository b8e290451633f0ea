//! Starting, stopping, panics, and the healthcheck that containers call.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::{PATIENCE, connect, connect_to, get, options, read_to_end, served, start};
use crate::fake::Fake;
use glasswing::admin::{AdminError, AdminOptions, AdminServer, Control, Limits, healthcheck};

#[test]
fn a_panic_is_answered_and_counted() {
    let (fake, server) = served();
    fake.panics_in_metrics.store(true, Ordering::SeqCst);
    for count in 1..=3 {
        let answer = get(&server, "/metrics");
        assert_eq!(answer.status, 500);
        assert!(answer.error().contains("mistake"));
        assert_eq!(fake.panics.load(Ordering::SeqCst), count);
    }
    assert_eq!(get(&server, "/livez").body, "ok");
}

#[test]
fn a_connection_is_used_again() {
    let (_, server) = served();
    let mut stream = connect(&server);
    // Three requests in one write: answered one after another, in order.
    let one = "HTTP/1.1\r\nHost: localhost\r\n";
    let all =
        format!("GET /livez {one}\r\nGET /version {one}\r\nGET /nowhere {one}Connection: close\r\n\r\n");
    stream.write_all(all.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let statuses: Vec<_> = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "404"]);
}

#[test]
fn several_addresses_are_listened_on() {
    let binds = vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv4Addr::new(127, 0, 0, 2), 0).into()];
    let server = start(&Fake::new(), AdminOptions { binds, ..options() });
    for &address in server.addresses() {
        assert_ne!(address.port(), 0);
        let mut stream = connect_to(address);
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(read_to_end(stream).body, "ok");
    }
}

#[test]
fn an_optional_address_may_be_missing_but_not_taken() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    let missing: SocketAddr = "192.0.2.1:0".parse().unwrap();
    let fake = Fake::new();
    let server = start(&fake, AdminOptions { optional_binds: vec![missing], ..options() });
    assert_eq!(server.addresses().len(), 1);
    let start = |options: AdminOptions| AdminServer::start(options, Arc::clone(&fake) as Arc<dyn Control>);
    let needed = start(AdminOptions { binds: vec![missing], ..AdminOptions::default() });
    assert!(matches!(needed, Err(AdminError::Bind { address, .. }) if address == missing));
    let taken = server.addresses()[0];
    let optional = start(AdminOptions { optional_binds: vec![taken], ..options() });
    assert!(matches!(optional, Err(AdminError::Bind { address, .. }) if address == taken));
}

#[test]
fn an_address_in_use_is_named() {
    let (fake, server) = served();
    let taken = server.addresses()[0];
    let control: Arc<dyn Control> = fake;
    let error = AdminServer::start(AdminOptions { binds: vec![taken], ..options() }, control);
    let error = error.unwrap_err();
    assert!(matches!(error, AdminError::Bind { address, .. } if address == taken));
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn stopping_finishes_what_is_under_way() {
    let (fake, server) = served();
    let address = server.addresses()[0];
    let mut idle = connect(&server);
    let mut waiting = connect(&server);
    waiting.write_all(b"POST /save?wait=true HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    fake.wait_until_saving();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| server.stop());
        // The idle connection's end shows that the stop has begun.
        let mut nothing = Vec::new();
        idle.read_to_end(&mut nothing).unwrap();
        assert!(nothing.is_empty());
        fake.finish_save(None);
        assert_eq!(read_to_end(waiting).status, 200);
        stopping.join().unwrap();
    });
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn stopping_waits_no_longer_than_its_limit() {
    let fake = Fake::new();
    let limits = Limits { stop_time: Duration::from_millis(20), ..Limits::default() };
    let server = start(&fake, AdminOptions { limits, ..options() });
    let mut waiting = connect(&server);
    waiting.write_all(b"POST /save?wait=true HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    fake.wait_until_saving();
    server.stop();
    let mut nothing = Vec::new();
    // Closed without an answer: the save never ended.
    let _ = waiting.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn the_healthcheck_asks_whether_the_server_is_ready() {
    let (fake, server) = served();
    let url = format!("http://{}", server.addresses()[0]);
    assert_eq!(healthcheck(&url, PATIENCE), Ok("ok".to_owned()));
    fake.fail("loading", "3 of 9 blocks are loaded");
    let failing = Err("503: loading: 3 of 9 blocks are loaded".to_owned());
    assert_eq!(healthcheck(&format!("{url}/readyz"), PATIENCE), failing);
    assert_eq!(healthcheck(&format!("{url}/livez"), PATIENCE), Ok("ok".to_owned()));
    let address = server.addresses()[0];
    server.stop();
    let gone = healthcheck(&format!("http://{address}"), PATIENCE).unwrap_err();
    assert!(gone.contains("cannot connect"), "{gone}");
}

#[test]
fn the_healthcheck_does_not_wait_for_ever() {
    let silent = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let error = healthcheck(&url, Duration::from_millis(30)).unwrap_err();
    assert!(!error.is_empty());
    // The question did arrive.
    let (mut asked, _) = silent.accept().unwrap();
    let mut request = String::new();
    asked.shutdown(Shutdown::Write).unwrap();
    asked.read_to_string(&mut request).unwrap();
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"));
}
