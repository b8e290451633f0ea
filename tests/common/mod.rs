//! The started program, and a client that talks to it.

// Every integration test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use glasswing::command::transcript::format_value;
use glasswing::resp::{Value, ValueDecoder, split_args};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than anything here takes; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often another port is tried when the one that was free is taken.
const TRIES: usize = 10;

/// A running `glasswing`. Dropping it kills it and removes its folder.
pub struct Server {
    child: Child,
    port: u16,
    lines: Receiver<String>,
    log: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts the program with one worker, no admin port and no save points, in an empty folder, and waits
    /// until it is ready. `options` come last, so they win.
    pub fn start(options: &[&str]) -> Server {
        Server::start_in(None, options)
    }

    /// The same with a file of settings.
    pub fn with_settings(settings: &str, options: &[&str]) -> Server {
        Server::start_in(Some(settings), options)
    }

    fn start_in(settings: Option<&str>, options: &[&str]) -> Server {
        let mut last = String::new();
        for _ in 0..TRIES {
            match Server::try_start(settings, options) {
                Ok(server) => return server,
                Err(log) if log.contains("in use") => last = log,
                Err(log) => panic!("the server did not start:\n{log}"),
            }
        }
        panic!("no free port was found:\n{last}");
    }

    fn try_start(settings: Option<&str>, options: &[&str]) -> Result<Server, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("glasswing.conf");
        if let Some(text) = settings {
            std::fs::write(&file, text).expect("a file in the folder");
        }
        let port = free_port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_glasswing"))
            .args(settings.map(|_| &file))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder.path())
            .args(["--workers", "1", "--admin-port", "0", "--save", ""])
            .args(options)
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        let mut server = Server { child, port, lines, log: Vec::new(), folder };
        if !server.log_says("Ready to accept connections") {
            return Err(server.log.join("\n"));
        }
        assert_eq!(server.client().line("PING"), "PONG");
        Ok(server)
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
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).expect("it runs");
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

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A client that speaks RESP and waits for each reply.
pub struct Client {
    stream: TcpStream,
    decoder: ValueDecoder,
    received: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream, decoder: ValueDecoder::default(), received: Vec::new() }
    }

    /// Sends one request without waiting for its reply.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("the server takes requests");
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

    /// Sends a line, quoted as in redis-cli, and shows the reply as redis-cli does.
    pub fn line(&mut self, line: &str) -> String {
        let words = split_args(line.as_bytes()).unwrap_or_else(|| panic!("unbalanced quotes: {line}"));
        match self.call(&words) {
            Some(value) => format_value(&value, ""),
            None => "(closed)".to_owned(),
        }
    }
}
