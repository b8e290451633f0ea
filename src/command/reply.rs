//! What a handler answers. Small replies are values; large ones a handler writes itself, through
//! [`super::Context::out`], and then says [`Reply::Sent`].

use bytes::Bytes;

use crate::resp::Encoder;

use super::{Args, Context, Outcome};

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// The handler has written it.
    Sent,
    /// The handler has written pushes, which CLIENT REPLY does not hold back.
    Pushed,
    /// No answer is due at all.
    Nothing,
    /// `+OK`.
    Ok,
    /// A null: `$-1`, in RESP3 `_`.
    Nil,
    /// A null where an array was possible: `*-1`, in RESP3 `_`.
    NilArray,
    /// A number.
    Int(i64),
    /// A simple string.
    Simple(&'static str),
    /// A bulk string.
    Bulk(Bytes),
    /// An array.
    Array(Vec<Reply>),
    /// The client waits until one of its keys can serve it.
    Park(Box<Park>),
    /// The same, for a client that is to be served by other arguments than it sent, or hears of lost keys.
    ParkAs(Box<ParkAs>),
    /// The client waits until something is so, whatever its keys are (WAIT).
    Until(Box<Until>),
    /// The answer follows when this work is done, on a thread of its own (SAVE). The connection waits;
    /// nobody else does.
    Later(Work),
    /// The answered client's connection is closed afterwards.
    Close(Box<Reply>),
}

impl Reply {
    /// A bulk string of text.
    pub fn text(text: impl Into<String>) -> Reply {
        Reply::Bulk(Bytes::from(text.into()))
    }

    /// A bulk string of bytes.
    pub fn bulk(bytes: &[u8]) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(bytes))
    }

    /// 1 or 0.
    pub fn flag(yes: bool) -> Reply {
        Reply::Int(i64::from(yes))
    }

    /// Writes it. What is no answer in itself (a parked client) writes nothing.
    pub fn write(&self, out: &mut Encoder) {
        match self {
            Reply::Sent | Reply::Pushed | Reply::Nothing | Reply::Park(_) | Reply::Later(_) => {}
            Reply::Ok => out.simple("OK"),
            Reply::Nil => out.null(),
            Reply::NilArray => out.null_array(),
            Reply::Int(number) => out.int(*number),
            Reply::Simple(text) => out.simple(text),
            Reply::Bulk(bytes) => out.bulk(bytes),
            Reply::Array(items) => {
                out.array(items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Reply::Close(reply) => reply.write(out),
            // Where nothing may wait, its time is up at once.
            Reply::Until(until) => (until.answer)().write(out),
            Reply::ParkAs(park) => park.park.on_timeout.write(out),
        }
    }
}

/// Work that takes long and must not be done by a worker.
pub struct Work(Box<dyn FnOnce() -> Outcome + Send>);

impl Work {
    /// Wraps it.
    pub fn new(work: impl FnOnce() -> Outcome + Send + 'static) -> Work {
        Work(Box::new(work))
    }

    /// Does it.
    pub fn run(self) -> Outcome {
        (self.0)()
    }

    /// What the client is told when the work was never finished.
    pub fn lost() -> Outcome {
        Err(super::CommandError::fixed("ERR the server could not finish this command; see its log"))
    }
}

impl PartialEq for Work {
    /// Two pieces of work are never the same.
    fn eq(&self, _: &Work) -> bool {
        false
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

/// Serves a parked client from a key that has changed: `None` when the key does not suffice after all.
/// The arguments are those of the command that parked.
pub type Serve = fn(
    &mut Context<'_>,
    Args<'_>,
    ready: crate::store::Key<'_>,
) -> Result<Option<Reply>, super::CommandError>;

/// What a parked client waits for.
#[derive(Debug)]
pub struct Park {
    /// The ordinal numbers of the declared keys that can wake it.
    pub keys: Vec<usize>,
    /// The ordinal numbers of the declared keys that serving it needs beside the one that is ready
    /// (the destination of BLMOVE).
    pub needs: Vec<usize>,
    /// How long it waits, in milliseconds; 0 is for ever.
    pub timeout_ms: u64,
    /// Tries to serve it.
    pub serve: Serve,
    /// What it is told when the time is up.
    pub on_timeout: Reply,
}

/// What a parked client waits for, and how it differs from others that do.
#[derive(Debug)]
pub struct ParkAs {
    /// What it waits for.
    pub park: Park,
    /// Arguments, by index, that are others when it is served (XREAD's `$` is the last ID of now).
    pub arguments: Vec<(usize, Vec<u8>)>,
    /// Whether it is to be served as well when a key of its is gone or holds another type.
    pub hears_of_loss: bool,
}

/// What a client waits for that no key brings.
pub struct Until {
    /// How long it waits, in milliseconds; 0 is for ever.
    pub timeout_ms: u64,
    /// Whether it is so. If not, the client is woken when it may be.
    pub is_met: Box<dyn Fn() -> bool + Send + Sync>,
    /// What it is told then, or when the time is up.
    pub answer: Box<dyn Fn() -> Reply + Send + Sync>,
}

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Until").field("timeout_ms", &self.timeout_ms).finish_non_exhaustive()
    }
}

/// `Outcome` of a handler that only answers OK.
pub const OK: Outcome = Ok(Reply::Ok);
