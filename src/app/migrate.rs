//! MIGRATE's way to another server: one connection for one batch of requests, plain blocking sockets on
//! the thread that the command was given for it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

use crate::command::ports::{Departing, Destination, Migrations, SendFailure, Sent};
use crate::observe::Counter;
use crate::resp::{Encoder, Protocol};
use crate::store::{Key, Moment};

use super::host::Host;

/// A reply to AUTH, SELECT or RESTORE is one line; a longer one is no Redis.
const LONGEST_REPLY: u64 = 1024;

impl Migrations for Host {
    fn send(&self, to: &Destination, requests: &[Vec<Vec<u8>>]) -> Sent {
        let mut sent = Sent::default();
        let stream = match connect(to) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(host = %to.host, port = to.port, %error, "MIGRATE cannot connect");
                sent.failure = Some(SendFailure::Connecting);
                return sent;
            }
        };
        if write(&stream, requests).is_err() {
            sent.failure = Some(SendFailure::Writing);
            return sent;
        }
        let mut replies = BufReader::new(&stream);
        for _ in requests {
            match line(&mut replies) {
                Ok(reply) => sent.replies.push(reply),
                Err(_) => {
                    sent.failure = Some(SendFailure::Reading);
                    break;
                }
            }
        }
        sent
    }

    fn depart(&self, database: usize, keys: &[Departing], acknowledged: &dyn Fn(usize) -> bool) -> Vec<bool> {
        // Whoever holds the whole keyspace must not meet this in the middle.
        let _turn = self.world.turn_blocking();
        let moment = Moment::at(self.clock.unix_ms());
        let depart_one = |(index, departing): (usize, &Departing)| {
            let key = Key { bytes: &departing.key, hash: self.store.hash(&departing.key) };
            let mut view = self.store.view_one(moment, database, key.hash);
            let there = view.exists(key);
            view.unwatch(key, &departing.changed);
            let unchanged = there && !departing.changed.is_raised();
            if unchanged && acknowledged(index) {
                view.remove(key);
                view.changed(key);
                if self.status.logging.any() {
                    self.effect_logs.append_command(database, &[b"DEL", &departing.key]);
                }
                self.stats.outside().add(Counter::Changes, 1);
            }
            unchanged
        };
        keys.iter().enumerate().map(depart_one).collect()
    }
}

fn connect(to: &Destination) -> std::io::Result<TcpStream> {
    let mut last = ErrorKind::AddrNotAvailable.into();
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, to.timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(to.timeout))?;
                stream.set_write_timeout(Some(to.timeout))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Writes request after request, so that no more than one stands in memory twice.
fn write(mut stream: &TcpStream, requests: &[Vec<Vec<u8>>]) -> std::io::Result<()> {
    for request in requests {
        let mut out = Encoder::new(Protocol::Resp2);
        out.array(request.len());
        request.iter().for_each(|word| out.bulk(word));
        stream.write_all(out.as_slice())?;
    }
    Ok(())
}

/// Reads a reply of one line: what an error says, if it is one.
fn line(replies: &mut BufReader<&TcpStream>) -> std::io::Result<Result<(), String>> {
    let mut text = Vec::new();
    replies.take(LONGEST_REPLY).read_until(b'\n', &mut text)?;
    if text.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(text.trim_ascii_end());
    Ok(match text.strip_prefix('-') {
        None => Ok(()),
        Some(error) => Err(error.to_owned()),
    })
}

/// A port of its own for work on another thread.
pub(super) fn shared(host: &Host) -> Arc<dyn Migrations> {
    match host.me.upgrade() {
        Some(host) => host,
        // Whoever calls a method of it holds it.
        None => unreachable!("the host is alive while it is asked"),
    }
}
