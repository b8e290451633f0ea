//! MIGRATE's way to another server: blocking sockets on the thread that the command was given for it, with TLS if
//! `tls-cluster` says so, as in Redis. A connection is kept for a while: who moves many keys calls MIGRATE many times.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Stamp;
use crate::command::ports::{Departing, Destination, Migrations, SendFailure, Sent};
use crate::net::tls::ToServer;
use crate::observe::Counter;
use crate::resp::{Encoder, Protocol};
use crate::store::{Key, Moment};

use super::host::Host;

/// A reply to AUTH, SELECT or RESTORE is one line; a longer one is no Redis.
const LONGEST_REPLY: u64 = 1024;
/// Connections that are kept, and for how long nobody may have used them: Redis's limits.
const KEPT_AT_MOST: usize = 64;
const KEPT_NS: u64 = 10_000_000_000;

/// Where a connection leads, and as whom: one that has logged in is not lent to a MIGRATE that gives no password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    host: String,
    port: u16,
    tls: bool,
    login: Option<Vec<Vec<u8>>>,
}

impl Peer {
    fn of(to: &Destination, tls: bool, requests: &[Vec<Vec<u8>>]) -> Peer {
        let logs_in = |request: &&Vec<Vec<u8>>| request.first().is_some_and(|word| word == b"AUTH");
        Peer { host: to.host.clone(), port: to.port, tls, login: requests.first().filter(logs_in).cloned() }
    }
}

/// A connection to another server.
#[derive(Debug)]
enum Link {
    Plain(TcpStream),
    Tls(Box<ToServer>),
}

impl Link {
    fn socket(&self) -> &TcpStream {
        match self {
            Link::Plain(socket) => socket,
            Link::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Link {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.read(into),
            Link::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.write(bytes),
            Link::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Link::Plain(socket) => socket.flush(),
            Link::Tls(stream) => stream.flush(),
        }
    }
}

/// The connections that are kept for the next MIGRATE.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<Peer, (Link, Stamp)>>);

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<Peer, (Link, Stamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are kept.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Closes those that nobody has used for long.
    pub(super) fn close_idle(&self, now: Stamp) {
        self.lock().retain(|_, (_, used)| now.saturating_sub(*used) < KEPT_NS);
    }

    fn take(&self, peer: &Peer) -> Option<Link> {
        self.lock().remove(peer).map(|(link, _)| link)
    }

    fn keep(&self, peer: Peer, link: Link, now: Stamp) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_AT_MOST
            && let Some(oldest) = kept.iter().min_by_key(|(_, (_, used))| *used).map(|(peer, _)| peer.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(peer, (link, now));
    }
}

impl Migrations for Host {
    fn send(&self, to: &Destination, requests: &[Vec<Vec<u8>>]) -> Sent {
        let tls = self.config.current().tls_cluster;
        let peer = Peer::of(to, tls, requests);
        let is_usable = |link: &Link| set_timeouts(link.socket(), to).is_ok();
        let mut kept = self.connections.take(&peer).filter(is_usable);
        loop {
            let is_kept = kept.is_some();
            let mut link = match kept.take().map_or_else(|| self.reach(to, tls), Ok) {
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(host = %to.host, port = to.port, tls, %error, "MIGRATE cannot connect");
                    return Sent { failure: Some(SendFailure::Connecting), ..Sent::default() };
                }
            };
            let (sent, error) = exchange(&mut link, requests);
            match error {
                None => {
                    self.connections.keep(peer, link, self.clock.stamp());
                    return sent;
                }
                // The other side had closed it meanwhile, most likely, and has seen nothing.
                Some(error) if is_kept && sent.replies.is_empty() && !is_timeout(&error) => {}
                Some(_) => return sent,
            }
        }
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

impl Host {
    fn reach(&self, to: &Destination, tls: bool) -> std::io::Result<Link> {
        let socket = connect(to)?;
        if tls {
            self.tls.connect(&to.host, socket).map(|stream| Link::Tls(Box::new(stream)))
        } else {
            Ok(Link::Plain(socket))
        }
    }
}

fn connect(to: &Destination) -> std::io::Result<TcpStream> {
    let mut last = ErrorKind::AddrNotAvailable.into();
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, to.timeout) {
            Ok(stream) => {
                set_timeouts(&stream, to)?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn set_timeouts(stream: &TcpStream, to: &Destination) -> std::io::Result<()> {
    stream.set_read_timeout(Some(to.timeout))?;
    stream.set_write_timeout(Some(to.timeout))
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Sends the requests and reads what comes back. The error is why there are not as many replies as requests.
fn exchange(link: &mut Link, requests: &[Vec<Vec<u8>>]) -> (Sent, Option<std::io::Error>) {
    let mut sent = Sent::default();
    if let Err(error) = write(link, requests) {
        sent.failure = Some(SendFailure::Writing);
        return (sent, Some(error));
    }
    let mut replies = BufReader::new(link);
    for _ in requests {
        match line(&mut replies) {
            Ok(reply) => sent.replies.push(reply),
            Err(error) => {
                sent.failure = Some(SendFailure::Reading);
                return (sent, Some(error));
            }
        }
    }
    (sent, None)
}

/// Writes request after request, so that no more than one stands in memory twice.
fn write(stream: &mut impl Write, requests: &[Vec<Vec<u8>>]) -> std::io::Result<()> {
    for request in requests {
        let mut out = Encoder::new(Protocol::Resp2);
        out.array(request.len());
        request.iter().for_each(|word| out.bulk(word));
        stream.write_all(out.as_slice())?;
    }
    stream.flush()
}

/// Reads a reply of one line: what an error says, if it is one.
fn line(replies: &mut BufReader<impl Read>) -> std::io::Result<Result<(), String>> {
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
