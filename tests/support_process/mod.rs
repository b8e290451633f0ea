//! A real server process of a test's own, and plain connections to it.
//!
//! The process gets free ports and an empty folder, and ends with the test. Every read has a time
//! limit, so a server that does not answer is a failure and no hang. `TESTED_SERVER` names another
//! binary than the one that was built with the tests: an optimised one, say.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a reply may take before the server counts as stuck.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct Server {
    process: Child,
    /// Where it speaks RESP.
    pub address: SocketAddr,
    /// Where it speaks HTTP.
    pub admin: SocketAddr,
    folder: tempfile::TempDir,
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether the server reads an environment variable of this name.
fn is_setting(name: &str) -> bool {
    name.starts_with("GLASSWING_") || name.starts_with("OTEL_")
}

impl Server {
    /// Starts the server with so many workers and these further arguments, and waits until it answers.
    pub fn start(workers: usize, arguments: &[&str]) -> Server {
        // Between finding a port and listening on it somebody else may take it: then once more.
        for _ in 0..5 {
            if let Some(server) = Server::try_start(workers, arguments) {
                return server;
            }
        }
        panic!("the server did not start");
    }

    fn try_start(workers: usize, arguments: &[&str]) -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let built = || env!("CARGO_BIN_EXE_glasswing").into();
        let mut command = Command::new(std::env::var_os("TESTED_SERVER").unwrap_or_else(built));
        // Settings of whoever runs the tests are not the server's.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        let process = command
            .args(["--port", &port.to_string(), "--admin-port", &admin.to_string()])
            .args(["--workers", &workers.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { process, address: local(port), admin: local(admin), folder };
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if server.process.try_wait().unwrap().is_some() {
                eprintln!("{}", server.log());
                return None;
            }
            if TcpStream::connect(server.address).is_ok_and(|stream| Connection::over(stream).answers()) {
                return Some(server);
            }
            std::thread::yield_now();
        }
        panic!("no answer from the server: {}", server.log());
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::over(TcpStream::connect(self.address).unwrap())
    }

    /// Whether the server knows a command.
    pub fn knows(&self, command: &str) -> bool {
        // Without arguments a known command complains about their number.
        match self.connect().ask(&[command]) {
            Reply::Error(text) => !text.contains("unknown command"),
            _ => true,
        }
    }

    /// The samples of a metric: the labels between braces, and the value.
    pub fn metric(&self, name: &str) -> Vec<(String, f64)> {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .filter_map(|rest| {
                let (labels, value) = rest.rsplit_once(' ')?;
                Some((labels.trim_matches(['{', '}']).to_owned(), value.parse().ok()?))
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A reply, as far as RESP2 goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status.
    Simple(String),
    /// An error's whole text.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// No string, or no array.
    Nil,
    /// An array.
    Array(Vec<Reply>),
}

/// A connection that asks and waits for the answer.
pub struct Connection {
    /// For tests that write and read in their own way.
    pub stream: BufReader<TcpStream>,
}

/// A request in RESP.
pub fn encode(request: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
    for argument in request {
        bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    bytes
}

impl Connection {
    /// Takes over a stream.
    pub fn over(stream: TcpStream) -> Connection {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Connection { stream: BufReader::new(stream) }
    }

    fn answers(mut self) -> bool {
        self.send(&encode(&["PING"])).is_ok()
            && self.read().is_ok_and(|reply| reply == Reply::Simple("PONG".to_owned()))
    }

    /// Writes bytes.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request and waits for its reply.
    pub fn ask(&mut self, request: &[&str]) -> Reply {
        self.send(&encode(request)).unwrap();
        self.read().unwrap_or_else(|error| panic!("no reply to {request:?}: {error}"))
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Reads one reply.
    pub fn read(&mut self) -> std::io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().map_err(std::io::Error::other);
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(number()?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..number()?).map(|_| self.read()).collect::<Result<_, _>>()?),
            _ => return Err(std::io::Error::other(format!("no reply: {line:?}"))),
        })
    }
}
