//! The started program, and a client that talks to it.

// Every integration test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

pub mod random;
pub mod redis;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use glasswing::command::transcript::format_value;
use glasswing::resp::{Value, ValueDecoder, split_args};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than anything here takes; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server of [`log_launch`] keeps its append-only file.
pub const LOG_FOLDER: &str = "appendonlydir";

/// A program with an append-only file.
pub fn log_launch() -> Launch {
    Launch::new().with(&["--appendonly", "yes", "--enable-debug-command", "yes"])
}

/// How often another port is tried when the one that was free is taken.
const TRIES: usize = 10;

/// How a program is started. Its folder lives as long as this or a server in it, so that one server after
/// another can be started over the same files.
#[derive(Clone)]
pub struct Launch {
    folder: Arc<tempfile::TempDir>,
    options: Vec<OsString>,
    settings: Option<String>,
    env: Vec<(String, String)>,
    stdin: Option<String>,
    admin: bool,
    bare: bool,
}

impl Launch {
    /// In an empty folder: one worker, no admin port, no save points, a free port of 127.0.0.1.
    pub fn new() -> Launch {
        Launch {
            folder: Arc::new(tempfile::tempdir().expect("a temporary folder")),
            options: Vec::new(),
            settings: None,
            env: Vec::new(),
            stdin: None,
            admin: false,
            bare: false,
        }
    }

    /// Only the options that a test gives: nothing of `new`'s but the folder to start in.
    pub fn bare(mut self) -> Launch {
        self.bare = true;
        self
    }

    /// More options; the last one wins.
    pub fn with<S: AsRef<OsStr>>(mut self, options: &[S]) -> Launch {
        self.options.extend(options.iter().map(|option| option.as_ref().to_owned()));
        self
    }

    /// A file of settings, named before the options.
    pub fn settings(mut self, text: &str) -> Launch {
        self.settings = Some(text.to_owned());
        self
    }

    /// Without the file of settings that `settings` writes.
    pub fn unsettled(mut self) -> Launch {
        self.settings = None;
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Text for the standard input.
    pub fn stdin(mut self, text: &str) -> Launch {
        self.stdin = Some(text.to_owned());
        self
    }

    /// With an admin port, for `Server::http`.
    pub fn admin(mut self) -> Launch {
        self.admin = true;
        self
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the program and waits until it is ready.
    pub fn start(&self) -> Server {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut server = self.spawn();
            if server.log_says("Ready to accept connections") {
                return server;
            }
            last = format!("{}\n{}", server.log.join("\n"), server.errors());
            assert!(last.contains("in use"), "the server did not start:\n{last}");
        }
        panic!("no free port was found:\n{last}");
    }

    /// Starts the program and waits for nothing.
    pub fn spawn(&self) -> Server {
        let (port, admin) = (free_port(), if self.admin { free_port() } else { 0 });
        let built = || env!("CARGO_BIN_EXE_glasswing").into();
        let mut command = Command::new(std::env::var_os("TESTED_SERVER").unwrap_or_else(built));
        // Settings of whoever runs the tests are not the server's.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        if let Some(text) = &self.settings {
            std::fs::write(self.file("glasswing.conf"), text).expect("a file in the folder");
            command.arg(self.file("glasswing.conf"));
        }
        if !self.bare {
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
                .arg(self.folder.path())
                .args(["--workers", "1", "--admin-port", &admin.to_string(), "--save", ""]);
        }
        let mut child = command
            .args(&self.options)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        if let (Some(text), Some(mut stdin)) = (&self.stdin, child.stdin.take()) {
            stdin.write_all(text.as_bytes()).expect("the program reads");
        }
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        let errors = lines_of(child.stderr.take().expect("a pipe"));
        Server {
            child,
            port,
            admin,
            lines,
            errors,
            error_text: String::new(),
            log: Vec::new(),
            folder: Arc::clone(&self.folder),
        }
    }

    /// Starts a program that is to end by itself: its exit code, its output and what it says on standard error.
    pub fn ends(&self) -> (Option<i32>, String, String) {
        let mut server = self.spawn();
        let (status, log) = server.ended();
        (status.code(), log.join("\n"), server.errors())
    }
}

/// Whether the server reads an environment variable of this name.
fn is_setting(name: &str) -> bool {
    name.starts_with("GLASSWING_") || name.starts_with("OTEL_")
}

/// A running `glasswing`. Dropping it kills it; its folder goes with the last who uses it.
pub struct Server {
    child: Child,
    port: u16,
    admin: u16,
    lines: Receiver<String>,
    errors: Receiver<String>,
    error_text: String,
    log: Vec<String>,
    folder: Arc<tempfile::TempDir>,
}

impl Server {
    /// Starts the program with one worker, no admin port and no save points, in an empty folder, and waits
    /// until it is ready. `options` come last, so they win.
    pub fn start(options: &[&str]) -> Server {
        Launch::new().with(options).start()
    }

    /// The same with a file of settings.
    pub fn with_settings(settings: &str, options: &[&str]) -> Server {
        Launch::new().settings(settings).with(options).start()
    }

    /// What the program has said on standard error; all of it once the program has ended.
    pub fn errors(&mut self) -> String {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        let next = |errors: &Receiver<String>| {
            if ended { errors.recv_timeout(PATIENCE).ok() } else { errors.try_recv().ok() }
        };
        while let Some(line) = next(&self.errors) {
            self.error_text += &line;
            self.error_text.push('\n');
        }
        self.error_text.clone()
    }

    /// What has been read of the log until now: `log_says` reads it.
    pub fn log_so_far(&self) -> &[String] {
        &self.log
    }

    /// Asks the admin port: the status and the body.
    pub fn http(&self, method: &str, path: &str) -> (u16, String) {
        let (head, body) = self.http_with(method, path, "");
        (head[9..12].parse().expect("a status"), body)
    }

    /// The same with more lines of a head, each ended; the head of the answer, and its body.
    pub fn http_with(&self, method: &str, path: &str, more: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).expect("the admin port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).expect("the admin port takes requests");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// The samples of a metric: the labels between braces, and the value.
    pub fn metric(&self, name: &str) -> Vec<(String, f64)> {
        let (status, text) = self.http("GET", "/metrics");
        assert_eq!(status, 200, "{text}");
        text.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .filter_map(|rest| {
                let (labels, value) = rest.rsplit_once(' ')?;
                Some((labels.trim_matches(['{', '}']).to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// Whether the server knows a command.
    pub fn knows(&self, command: &str) -> bool {
        // Without arguments a known command complains about their number.
        match self.client().call(&[command]) {
            Some(Value::Error(text)) => !text.starts_with(b"ERR unknown command"),
            _ => true,
        }
    }

    /// The admin port.
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }

    /// Waits for a line of the log; `false` when the program ends before it.
    pub fn log_says(&mut self, words: &str) -> bool {
        let until = Instant::now() + PATIENCE;
        if self.log.iter().any(|line| line.contains(words)) {
            return true;
        }
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.log.push(line);
                    if self.log.last().is_some_and(|line| line.contains(words)) {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the log never says '{words}':\n{}", self.log.join("\n"))
                }
            }
        }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// The port of RESP clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder it was started in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks the program to end with SIGTERM, and waits for that.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Waits until the program ended; its status and its log.
    pub fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.log.join("\n")),
            }
        }
        (self.child.wait().expect("its status"), std::mem::take(&mut self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, read on a thread of their own so that the pipe never fills up.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A port that nobody listens on now. Whoever is given any port, a connection or another test's server, is given one
/// from 32768 on: these lie below, and no two tests of a program get the same.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let of_this_program = std::process::id().wrapping_mul(7_919);
    let port = (0..COUNT).find_map(|_| {
        let number = of_this_program.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + number).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port)
    });
    port.expect("a free port")
}

/// Asks again until the answer is yes: every question is a round trip to the server or to the disk.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE * 4, "never: {what}");
        std::thread::yield_now();
    }
}

/// A request in RESP.
pub fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// `+OK`, which most requests of a test are answered with.
pub fn ok() -> Option<Value> {
    Some(Value::Simple("OK".into()))
}

/// What a client speaks over.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A client that speaks RESP and waits for each reply.
pub struct Client {
    stream: Box<dyn Stream>,
    decoder: ValueDecoder,
    received: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> Client {
        Client::reach(("127.0.0.1", port)).expect("the server listens")
    }

    /// Connects to any address.
    pub fn reach(address: impl std::net::ToSocketAddrs) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client::over(stream))
    }

    /// Connects to a unix socket.
    pub fn unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client::over(stream)
    }

    /// Takes over a stream.
    pub fn over(stream: impl Stream + 'static) -> Client {
        Client { stream: Box::new(stream), decoder: ValueDecoder::default(), received: Vec::new() }
    }

    /// Sends bytes as they are; `false` when the server has closed the connection.
    pub fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends one request without waiting for its reply.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.stream.write_all(&encode(words)).expect("the server takes requests");
    }

    /// The next reply; `None` when the server closed the connection.
    pub fn reply(&mut self) -> Option<Value> {
        let mut piece = [0; 64 * 1024];
        loop {
            if let Some((value, used)) = self.decoder.decode(&self.received).expect("valid RESP") {
                self.received.drain(..used);
                return Some(value);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(read) => self.received.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// Sends a request and waits for its reply.
    pub fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Option<Value> {
        self.send(words);
        self.reply()
    }

    /// A field of INFO.
    pub fn info(&mut self, field: &str) -> String {
        let text = match self.call(&["INFO", "everything"]) {
            Some(Value::Bulk(text)) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("INFO says {other:?}"),
        };
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field} in {text}")).to_owned()
    }

    /// Sends a line, quoted as in redis-cli, and shows the reply as redis-cli does.
    pub fn line(&mut self, line: &str) -> String {
        let words = split_args(line.as_bytes()).unwrap_or_else(|| panic!("unbalanced quotes: {line}"));
        match self.call(&words) {
            Some(value) => format_value(&value, ""),
            None => "(closed)".to_owned(),
        }
    }
}
