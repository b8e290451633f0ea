//! A small client, of RESP2 and as much of RESP3 as caches need: enough to fill a server, to ask it what it is, and to time a command.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;

/// Longer than any command here takes, short enough that a dead server ends the run.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 * 1024;

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A simple string or a bulk string.
    Text(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// A null bulk string or array.
    Nil,
    /// An error, without its `-`.
    Error(String),
    /// An array; in RESP3 also what the server says by itself, and a map, whose keys and values alternate.
    Array(Vec<Reply>),
}

/// Appends one command in RESP to `out`.
pub fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.push(b'*');
    number(out, args.len());
    for arg in args {
        out.push(b'$');
        number(out, arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn number(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Bytes in, replies out: knows when a reply is not complete yet.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    at: usize,
}

impl Decoder {
    /// Adds what was read.
    pub fn feed(&mut self, read: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        self.bytes.extend_from_slice(read);
    }

    /// The next whole reply, or none yet.
    pub fn next_reply(&mut self) -> Outcome<Option<Reply>> {
        let mut at = self.at;
        let reply = decode(&self.bytes, &mut at)?;
        if reply.is_some() {
            self.at = at;
        }
        Ok(reply)
    }
}

fn decode(bytes: &[u8], at: &mut usize) -> Outcome<Option<Reply>> {
    let Some(length) = memchr::memchr(b'\n', &bytes[*at..]) else {
        return Ok(None);
    };
    let line = &bytes[*at..*at + length];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    *at += length + 1;
    let Some((kind, rest)) = line.split_first() else {
        return Err("an empty line where a reply begins".into());
    };
    let text = String::from_utf8_lossy(rest);
    Ok(Some(match kind {
        b'+' => Reply::Text(rest.to_vec()),
        b'_' => Reply::Nil,
        b'-' => Reply::Error(text.into_owned()),
        b':' => Reply::Integer(text.parse()?),
        b'$' => match usize::try_from(text.parse::<i64>()?) {
            Err(_) => Reply::Nil,
            Ok(length) if bytes.len() < *at + length + 2 => return Ok(None),
            Ok(length) => {
                let body = bytes[*at..*at + length].to_vec();
                *at += length + 2;
                Reply::Text(body)
            }
        },
        b'*' | b'>' | b'%' => match usize::try_from(text.parse::<i64>()?) {
            Err(_) => Reply::Nil,
            Ok(count) => {
                let mut items = Vec::new();
                for _ in 0..if *kind == b'%' { 2 * count } else { count } {
                    match decode(bytes, at)? {
                        Some(item) => items.push(item),
                        None => return Ok(None),
                    }
                }
                Reply::Array(items)
            }
        },
        _ => return Err(format!("a reply of an unknown kind: {}", String::from_utf8_lossy(line)).into()),
    }))
}

/// A blocking connection.
pub struct Client {
    stream: TcpStream,
    decoder: Decoder,
    out: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> Outcome<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, decoder: Decoder::default(), out: Vec::new() })
    }

    /// The connection itself; nothing may be under way.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends one command and waits for its reply. An error reply is a failure.
    pub fn command(&mut self, args: &[&str]) -> Outcome<Reply> {
        let bytes: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut command = std::mem::take(&mut self.out);
        command.clear();
        encode(&mut command, &bytes);
        self.send(&command)?;
        self.out = command;
        self.reply().map_err(|error| format!("{}: {error}", args.join(" ")).into())
    }

    /// Writes commands that are already encoded.
    pub fn send(&mut self, commands: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(commands)?)
    }

    /// Waits for the next reply, or for what the server says by itself. An error reply is a failure.
    pub fn reply(&mut self) -> Outcome<Reply> {
        let mut read = [0; 4096];
        loop {
            match self.decoder.next_reply()? {
                Some(Reply::Error(error)) => return Err(error.into()),
                Some(reply) => return Ok(reply),
                None => match self.stream.read(&mut read)? {
                    0 => return Err("the server closed the connection".into()),
                    count => self.decoder.feed(&read[..count]),
                },
            }
        }
    }

    /// The value of `field` in a section of INFO, where it has one.
    pub fn info(&mut self, section: &str, field: &str) -> Outcome<Option<String>> {
        match self.command(&["INFO", section])? {
            Reply::Text(text) => Ok(info_field(&text, field)),
            other => Err(format!("INFO {section}: not a string: {other:?}").into()),
        }
    }

    /// Writes `commands`, already encoded, and reads `replies` replies that are single lines
    /// (`+OK`, integers). The first error among them is a failure.
    pub fn pipeline_of_lines(&mut self, commands: &[u8], replies: usize) -> Outcome<()> {
        self.stream.write_all(commands)?;
        let mut read = vec![0; READ_BYTES];
        let (mut left, mut line_start) = (replies, true);
        while left > 0 {
            let count = self.stream.read(&mut read)?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            for byte in &read[..count] {
                if line_start && *byte == b'-' {
                    let text = String::from_utf8_lossy(&read[..count]);
                    let error = text.lines().find(|line| line.starts_with('-'));
                    return Err(format!("while filling: {}", error.unwrap_or("an error")).into());
                }
                line_start = *byte == b'\n';
                left -= usize::from(line_start);
            }
        }
        Ok(())
    }
}

/// The value of a field in INFO's text.
pub fn info_field(text: &[u8], field: &str) -> Option<String> {
    String::from_utf8_lossy(text)
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned()))
}

/// A connection that never blocks and never sleeps: its owner spins, so that what it times is
/// the server and not its own waking up.
pub struct Spinner {
    stream: TcpStream,
    decoder: Decoder,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl Spinner {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> Outcome<Spinner> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Spinner { stream, decoder: Decoder::default(), out: Vec::new(), read: vec![0; READ_BYTES] })
    }

    /// Writes a command, or as much of it as the socket takes now: `poll` writes the rest.
    pub fn send(&mut self, args: &[&[u8]]) -> Outcome<()> {
        encode(&mut self.out, args);
        self.flush()
    }

    fn flush(&mut self) -> Outcome<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// One reply, if it is here. An error reply is a failure.
    pub fn poll(&mut self) -> Outcome<Option<Reply>> {
        self.flush()?;
        let mut reply = self.decoder.next_reply()?;
        if reply.is_none() {
            match self.stream.read(&mut self.read) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(count) => self.decoder.feed(&self.read[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            reply = self.decoder.next_reply()?;
        }
        match reply {
            Some(Reply::Error(error)) => Err(format!("the server answered {error}").into()),
            other => Ok(other),
        }
    }
}
