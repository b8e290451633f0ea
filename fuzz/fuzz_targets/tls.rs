//! Any bytes at the port for TLS, before the handshake, in the middle of it and after it: as the listener's threads
//! and a worker drive rustls, without sockets.
//!
//! The first byte chooses an honest client's conversation and whether the rest is a stream of its own or a list of
//! changes to that conversation's records; the second the size of the pieces in which they come, the third how much
//! the socket takes at once. Nothing is random and nothing is sealed (`tls/plain.rs`), so what is changed is what the
//! server reads, in every state. It may refuse; it must not panic or wait for what does not come, it gives out no
//! more than was sent, its answers are whole records, and what it gives out and how it ends are the same whole and in
//! pieces. Only of a fault more comes to light in pieces: what the same read brought before it is given up with it.
#![no_main]

#[path = "tls/plain.rs"]
mod plain;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use glasswing::net::tls::TlsStream;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use plain::{COMMANDS, CONVERSATIONS, Conversation, split};

fuzz_target!(
    init: honest_clients_are_served(),
    |input: &[u8]| {
        let [choice, piece, takes, rest @ ..] = input else { return };
        let conversation = &CONVERSATIONS[usize::from(choice & 7) % CONVERSATIONS.len()];
        let stream = match choice & 8 {
            0 => changed(conversation, rest),
            _ => rest.to_vec(),
        };
        // A stream that is too long for a handshake, whatever it is.
        let stream = if choice >> 4 == 15 { stream.repeat(1 + (70 << 10) / stream.len().max(1)) } else { stream };
        let whole = serve(conversation, &stream, stream.len().max(1), usize::MAX, usize::MAX);
        let room = if choice & 16 == 0 { usize::MAX } else { 1 + usize::from(choice >> 5) };
        let pieces = serve(conversation, &stream, usize::from(*piece).max(1), usize::from(*takes).max(1), room);
        compare(&whole, &pieces);
    }
);

/// What nobody changed is served to its end.
fn honest_clients_are_served() {
    for conversation in CONVERSATIONS.iter() {
        let served = serve(conversation, &conversation.records.concat(), 7, 11, 5);
        assert_eq!((&served.agreed, served.end), (&Ok(()), End::Said));
        assert_eq!(served.read, COMMANDS.concat());
    }
}

/// The records with changes in them, each named by a byte and the place of a record.
fn changed(conversation: &Conversation, mut script: &[u8]) -> Vec<u8> {
    let mut records = conversation.records.clone();
    while let [what, place, at, rest @ ..] = script {
        script = rest;
        let place = usize::from(*place) % (records.len() + 1);
        let (at, last) = (usize::from(*at), place == records.len());
        match what % 8 {
            0 if !last => {
                let at = at % records[place].len();
                records[place][at] = take(&mut script, 1).first().copied().unwrap_or(0);
            }
            1 if !last => drop(records.remove(place)),
            2 if !last => records.insert(place, records[place].clone()),
            // A record of a kind in the open, and one as it is under a seal of TLS 1.3.
            3 => records.insert(place, record(what / 8, take(&mut script, at))),
            4 => {
                let mut body = take(&mut script, at).to_vec();
                body.push(20 + what / 8 % 5);
                records.insert(place, record(23 - 20, &body));
            }
            5 if !last => {
                let at = at % records[place].len();
                records[place].truncate(at);
            }
            // One message in two records, and two messages in one.
            6 if !last && records[place].len() > 6 => {
                let (kind, body) = (records[place][0], records[place][5..].to_vec());
                let (front, back) = body.split_at(at % body.len());
                records[place] = record(kind.wrapping_sub(20), front);
                records.insert(place + 1, record(kind.wrapping_sub(20), back));
            }
            7 if place + 1 < records.len() && records[place].len() > 5 && records[place + 1].len() > 5 => {
                let next = records.remove(place + 1);
                let body = [&records[place][5..], &next[5..]].concat();
                records[place] = record(next[0].wrapping_sub(20), &body);
            }
            _ => {}
        }
        if records.len() > 64 {
            break;
        }
    }
    records.concat()
}

fn take<'s>(script: &mut &'s [u8], count: usize) -> &'s [u8] {
    let (taken, rest) = script.split_at(count.min(script.len()));
    *script = rest;
    taken
}

/// A record of the kind 20 and so many.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind.wrapping_add(20), 3, 3, (body.len() >> 8) as u8, body.len() as u8];
    record.extend_from_slice(body);
    record
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In the handshake.
    Refused,
    /// The client said so, or its stream ended.
    Said,
    /// By a fault.
    Fault,
}

#[derive(Debug, PartialEq)]
struct Served {
    agreed: Result<(), String>,
    end: End,
    /// What the client's records brought.
    read: Vec<u8>,
    /// What went back, by the kind of its records: what is said by the way stands between replies where it happens
    /// to, and replies are as long as what was read.
    sent: BTreeMap<u8, Vec<u8>>,
}

fn compare(whole: &Served, pieces: &Served) {
    match (whole.end, pieces.end) {
        (End::Refused, End::Fault) => assert!(whole.read.is_empty()),
        (End::Fault, End::Fault) => {
            assert!(pieces.read.starts_with(&whole.read));
            for (kind, sent) in &whole.sent {
                let more = pieces.sent.get(kind).map_or(&[][..], Vec::as_slice);
                let is_alert = kind % 100 == 21;
                assert!(more.starts_with(sent) && (!is_alert || more == sent), "{kind}: {sent:?}, {more:?}");
            }
        }
        _ => assert_eq!(whole, pieces),
    }
}

/// Serves a stream that comes in pieces; what is read is sent back.
fn serve(conversation: &Conversation, stream: &[u8], piece: usize, takes: usize, room: usize) -> Served {
    let wire = Wire(Rc::new(RefCell::new(Ends {
        stream: stream.to_vec(),
        at: 0,
        piece,
        takes,
        has_room: false,
        is_full: false,
        sent: Vec::new(),
    })));
    let mut read = Vec::new();
    let agreeing = pin!(TlsStream::agreed(wire.clone(), conversation.config()));
    let mut agreeing = agreeing;
    let agreed = until_ready(&wire, |cx| agreeing.as_mut().poll(cx));
    let (agreed, end) = match agreed {
        Err(words) => (Err(words), End::Refused),
        Ok(mut tls) => (Ok(()), serve_agreed(&mut tls, &wire, room, &mut read)),
    };
    assert!(read.len() <= stream.len());
    Served { agreed, end, read, sent: by_kind(&wire.0.borrow().sent) }
}

fn serve_agreed(tls: &mut TlsStream<Wire>, wire: &Wire, room: usize, read: &mut Vec<u8>) -> End {
    loop {
        let mut buffer = BytesMut::with_capacity(room.min(16 << 10));
        let got = until_ready(wire, |cx| tls.poll_read(cx, &mut buffer));
        match got {
            Ok(0) => return End::Said,
            Ok(count) => {
                assert_eq!(count, buffer.len());
                read.extend_from_slice(&buffer);
                while !buffer.is_empty() {
                    // The client's end was seen, or a fault, while this was sealed: then it is not sent.
                    let Ok(wrote) = until_ready(wire, |cx| tls.poll_write(cx, &buffer)) else { break };
                    assert!(0 < wrote && wrote <= buffer.len());
                    let _ = buffer.split_to(wrote);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
                assert!(until_ready(wire, |cx| tls.poll_write(cx, b"+OK\r\n")).is_err());
                return End::Fault;
            }
        }
    }
}

/// What goes back, by the kind of its records, which are whole.
fn by_kind(sent: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut kinds: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let records = split(sent);
    let chosen = |record: &Vec<u8>| record.windows(6).any(|words| words == [0, 43, 0, 2, 3, 4]);
    let is_thirteen = records.first().is_some_and(chosen);
    for record in records {
        assert!(record.len() >= 5 && (20..=23).contains(&record[0]), "no record: {record:?}");
        let length = usize::from(record[3]) * 256 + usize::from(record[4]);
        assert_eq!(record.len(), 5 + length, "a part of a record");
        assert!(length <= (16 << 10) + 256);
        // Of TLS 1.3 the kind stands behind what is inside.
        match record[5..].split_last() {
            Some((kind, body)) if record[0] == 23 && is_thirteen => {
                assert!((21..=23).contains(kind), "a kind of its own: {kind}");
                kinds.entry(100 + kind).or_default().extend_from_slice(body);
            }
            _ => kinds.entry(record[0]).or_default().extend_from_slice(&record[5..]),
        }
    }
    kinds
}

/// Polls until it is ready: who is not may have been stopped by the socket, and otherwise waits for what never comes.
fn until_ready<T>(wire: &Wire, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ready) = poll(&mut cx) {
            return ready;
        }
        assert!(std::mem::take(&mut wire.0.borrow_mut().is_full), "it waits for nothing");
    }
}

/// The client's end of a connection.
struct Ends {
    stream: Vec<u8>,
    at: usize,
    /// Bytes that come at once.
    piece: usize,
    /// Bytes that the socket takes at once; every other time it takes none.
    takes: usize,
    has_room: bool,
    /// Somebody found it full and has to wait.
    is_full: bool,
    sent: Vec<u8>,
}

#[derive(Clone)]
struct Wire(Rc<RefCell<Ends>>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ends = &mut *self.0.borrow_mut();
        let count = ends.piece.min(ends.stream.len() - ends.at).min(buffer.remaining());
        buffer.put_slice(&ends.stream[ends.at..ends.at + count]);
        ends.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let ends = &mut *self.0.borrow_mut();
        ends.has_room = !ends.has_room || ends.takes == usize::MAX;
        if !ends.has_room {
            ends.is_full = true;
            return Poll::Pending;
        }
        let count = bytes.len().min(ends.takes);
        ends.sent.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
