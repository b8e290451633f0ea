//! A server on a free port, and a client that sees every byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use glasswing::admin::{AdminOptions, AdminServer, Control};
use serde_json::Value;

use crate::fake::{Fake, METRICS_TYPE};

/// Longer than any test waits for; only a failing test reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn options() -> AdminOptions {
    AdminOptions { binds: vec![(Ipv4Addr::LOCALHOST, 0).into()], ..AdminOptions::default() }
}

pub fn start(fake: &Arc<Fake>, options: AdminOptions) -> AdminServer {
    let control: Arc<dyn Control> = fake.clone();
    AdminServer::start(options, control).unwrap()
}

/// A server with the default options, and what is inside it.
pub fn served() -> (Arc<Fake>, AdminServer) {
    let fake = Fake::new();
    let server = start(&fake, options());
    (fake, server)
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error of an answer that says what to do.
    pub fn error(&self) -> String {
        let body = self.json();
        assert!(!body["what_to_do"].as_str().unwrap().is_empty());
        body["error"].as_str().unwrap().to_owned()
    }
}

pub fn connect(server: &AdminServer) -> TcpStream {
    connect_to(server.addresses()[0])
}

pub fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the server closes.
pub fn read_to_end(stream: TcpStream) -> Answer {
    let (answer, body) = read_bytes(stream);
    Answer { body: String::from_utf8(body).unwrap(), ..answer }
}

/// Everything until the server closes, with a body that need not be text beside the answer.
fn read_bytes(mut stream: TcpStream) -> (Answer, Vec<u8>) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a head");
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).unwrap().trim_end().to_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (Answer { status, head, body: String::new() }, body)
}

/// Sends a request as it is written here, with the header lines that each needs.
pub fn send(server: &AdminServer, line: &str, headers: &[&str]) -> Answer {
    read_to_end(ask(server, line, headers))
}

/// As [`get`], with a body that need not be text beside the answer.
pub fn get_bytes(server: &AdminServer, path: &str) -> (Answer, Vec<u8>) {
    read_bytes(ask(server, &format!("GET {path}"), &[]))
}

/// Sends a request, and leaves the answer to be read.
pub fn ask(server: &AdminServer, line: &str, headers: &[&str]) -> TcpStream {
    let mut stream = connect(server);
    let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        request.push_str("Host: localhost\r\n");
    }
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

pub fn get(server: &AdminServer, path: &str) -> Answer {
    send(server, &format!("GET {path}"), &[])
}

/// Every path that answers as it stands, with the content type of its answer.
pub const GET_ROUTES: [(&str, &str); 15] = [
    ("/", "text/html; charset=utf-8"),
    ("/metrics", METRICS_TYPE),
    ("/livez", "text/plain; charset=utf-8"),
    ("/readyz", "text/plain; charset=utf-8"),
    ("/startupz", "text/plain; charset=utf-8"),
    ("/healthz", "text/plain; charset=utf-8"),
    ("/health", "text/plain; charset=utf-8"),
    ("/save", "application/json"),
    ("/config", "application/json"),
    ("/info", "application/json"),
    ("/slowlog", "application/json"),
    ("/clients", "application/json"),
    ("/usage", "application/json"),
    ("/keys", "application/json"),
    ("/version", "application/json"),
];

/// The paths that need more than that: an answer without an end or of bytes, a query, another method.
pub const OTHER_ROUTES: [&str; 5] = ["/live", "/clients/kill", "/key", "/debug/bundle", "/debug/profile"];

/// The paths that show or change what a client would need the password for.
pub const SENSITIVE: [&str; 10] = [
    "/config",
    "/info",
    "/slowlog",
    "/clients",
    "/clients/kill",
    "/keys",
    "/key",
    "/usage",
    "/debug/bundle",
    "/debug/profile",
];

/// What the page of the console loads.
pub const FILES: [&str; 7] = [
    "/console/style.css",
    "/console/main.js",
    "/console/ask.js",
    "/console/show.js",
    "/console/figures.js",
    "/console/lists.js",
    "/console/keys.js",
];
