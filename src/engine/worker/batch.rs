//! What a batch is made of: the connection it belongs to, how far it has come, why it ended.

use std::sync::Arc;

use crate::acl::Acl;
use crate::clock::Stamp;
use crate::command::client::Client;
use crate::command::reply::Work;
use crate::command::{Args, CommandError, KeyAt, Session};
use crate::resp::{Protocol, ProtocolError, RequestDecoder, Span};

use super::super::blocked::Parked;
use super::super::shared::Engine;
use super::sampled::Sampled;

/// The engine's side of one connection.
#[derive(Debug)]
pub struct Connection {
    /// The state that commands see.
    pub session: Session,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// A blocking command that has not been served.
    pub parked: Option<Parked>,
    /// Its command that waits and is traced.
    pub(super) awaited: Option<Box<Sampled>>,
    pub(super) decoder: RequestDecoder,
    /// Where in the input the request begins that `decoder` has partly seen.
    pub(super) partial_at: usize,
}

impl Connection {
    /// A fresh connection.
    pub fn new(client: Arc<Client>, acl: &Acl) -> Connection {
        Connection {
            session: Session::connected(client, acl),
            protocol: Protocol::Resp2,
            parked: None,
            awaited: None,
            decoder: RequestDecoder::default(),
            partial_at: 0,
        }
    }

    /// Bytes of the argument under way, whether they are here or not.
    pub fn awaited(&self) -> usize {
        self.decoder.awaited()
    }

    /// Bytes at the start of the input that belong to a request under way and are understood: as in Redis, they count
    /// no longer as input.
    pub fn understood(&self) -> usize {
        match self.decoder.understood() {
            0 => 0,
            understood => self.partial_at + understood,
        }
    }
}

/// Why a batch ended.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// More input is needed; at least so many bytes more, or 0 if unknown.
    Input(usize),
    /// There is more to run: write the replies, let others run, come again.
    Again,
    /// Somebody holds or wants the whole keyspace: wait until that has passed.
    Permit,
    /// The next command needs the whole keyspace.
    Whole,
    /// The client is parked.
    Parked,
    /// The next command is held back by CLIENT PAUSE.
    Paused,
    /// A running save holds as much as it may: wait until it has caught up.
    Saver,
    /// Memory is over its limit: wait until what was removed is freed.
    Memory,
    /// The reply follows when this work is done, elsewhere.
    Later(Awaited),
    /// Write the replies and close.
    Close,
    /// Close without a word: no reply that waits is written any more.
    Drop,
}

/// Work that a command's reply waits for.
#[derive(Debug, PartialEq)]
pub struct Awaited {
    /// What is to be done.
    pub work: Work,
    /// For which command. Its call is counted, its time and its outcome are not.
    pub command: usize,
    /// CLIENT REPLY holds the reply back.
    pub silent: bool,
}

/// What a batch did.
#[derive(Debug)]
pub struct Ran {
    /// Bytes of input that are done with.
    pub consumed: usize,
    /// Why it ended.
    pub next: Next,
}

/// A decoded request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) command: Option<usize>,
    pub(super) spans: (u32, u32),
    pub(super) keys: (u32, u32),
    pub(super) end: usize,
}

impl Planned {
    /// Its arguments, with what was planned together.
    #[inline]
    pub(super) fn args<'a>(&self, input: &'a [u8], spans: &'a [Span], keys: &'a [KeyAt]) -> Args<'a> {
        Args::new(
            input,
            &spans[self.spans.0 as usize..self.spans.1 as usize],
            &keys[self.keys.0 as usize..self.keys.1 as usize],
        )
    }
}

/// How one command of a batch ended.
pub(super) enum Step {
    Done,
    Stop(Next),
    /// Stop before this command: it will be run next time.
    Before(Next),
}

/// How far a batch has come.
pub(super) struct Batch<'e> {
    pub(super) engine: &'e Arc<Engine>,
    pub(super) began: Stamp,
    /// The end of the last command, which is the start of the next.
    pub(super) stamp: Stamp,
    pub(super) commands: usize,
    /// Those of them that were neither refused nor queued.
    pub(super) executed: u64,
    pub(super) consumed: usize,
    pub(super) whole: bool,
    /// There is a limit of memory.
    pub(super) limited: bool,
    /// A script holds the keyspace, and has for long: what those are told who need it.
    pub(super) busy: Option<CommandError>,
    /// Somebody monitored when the batch began.
    pub(super) monitored: bool,
    /// Nothing stands in the way of a plain command: [`Worker::is_open`](super::Worker::is_open).
    pub(super) open: bool,
}

impl Batch<'_> {
    #[inline]
    pub(super) fn count(&mut self, stamp: Stamp) {
        self.stamp = stamp;
        self.commands += 1;
    }
}

/// What decoding a group came to.
pub(super) enum Group {
    /// There may be more.
    Full,
    /// An inline command, which ends there.
    Inline(Vec<bytes::Bytes>, usize),
    /// An empty request, which ends there.
    Skipped(usize),
    /// The input ends within a request.
    Short(usize),
    /// The input is no RESP.
    Broken(ProtocolError),
}
