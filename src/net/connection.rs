//! One connection's task: read, run, write, and wait for whatever the engine says.
//!
//! An idle connection holds no buffer. It reads into the worker's buffer, runs what came, writes the
//! replies at once, and keeps only what is left: part of a request, or replies that the socket did not
//! take. As in Redis, more is read and run although replies are pending: a client may send all of a long pipeline
//! before it reads. But not without end: where more than 64 MiB (`writing::PILE_BYTES`) wait, nothing is read from it until they
//! are taken. Whatever `client-output-buffer-limit` says, or `maxmemory-clients` for all together, closes it before.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::command::client::{Client, ClientFlag};
use crate::engine::memory;
use crate::engine::{Connection, Engine, Next, Ran};
use crate::observe::{Counter, Limited};
use crate::strand::{Resumed, Stack, Strand};

use super::stream::Stream;
use super::worker::{Apart, Shared};

mod follow;
mod replies;
mod wait;
mod writing;

use replies::Replies;

/// Room made for a request that came in pieces, when its length is unknown.
const PIECE_BYTES: usize = 16 * 1024;
/// Clients that were closed for what they send.
static TOO_MUCH_INPUT: Limited = Limited::new();

/// Serves a connection until it ends.
pub(super) async fn serve(shared: Rc<RefCell<Shared>>, stream: Stream, client: Arc<Client>) {
    let engine = Arc::clone(shared.borrow().worker.engine());
    let mut task = Task {
        connection: Box::new(Connection::new(Arc::clone(&client), engine.server.acl())),
        shared,
        engine,
        stream,
        client,
        rest: BytesMut::new(),
        pending: Replies::default(),
        patience: None,
    };
    // An error is the peer's going away, in one form or another.
    let _ = task.run().await;
    task.stream.close();
    let Task { shared, mut connection, rest, pending, .. } = task;
    drop((rest, pending));
    shared.borrow_mut().worker.leave(&mut connection);
    // What its buffers held is free now, not when this worker next has a command.
    drop(connection);
    crate::observe::memory::tell();
}

struct Task {
    shared: Rc<RefCell<Shared>>,
    engine: Arc<Engine>,
    stream: Stream,
    client: Arc<Client>,
    connection: Box<Connection>,
    /// Input that has not been consumed.
    rest: BytesMut,
    /// Replies that the socket has not taken.
    pending: Replies,
    /// Until when more than the soft limit of them may wait.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Waits for the keyspace; `None` once a script runs for so long that its clients are to be told.
async fn wait_unless_busy<T>(engine: &Engine, wait: impl Future<Output = T>) -> Option<T> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let mut wait = std::pin::pin!(wait);
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut wait).await {
            Ok(got) => return Some(got),
            Err(_) if engine.server.scripts().busy().is_some() => return None,
            Err(_) => {}
        }
    }
}

/// What made an idle connection go on.
enum Woken {
    Ran(Next),
    Mail,
    Closed,
}

impl Task {
    async fn run(&mut self) -> io::Result<()> {
        let mut next = Next::Input(0);
        loop {
            if !self.holds_back(&next)
                && let Err(error) = self.flush(&next).await
            {
                if !goes_on_unheard(&error, &next) {
                    return Err(error);
                }
                self.pending = Replies::default();
            }
            next = match next {
                Next::Close | Next::Drop => return Ok(()),
                Next::Input(hint) => match poll_fn(|cx| self.poll_input(cx, hint)).await? {
                    Woken::Ran(next) => next,
                    Woken::Closed => return Ok(()),
                    Woken::Mail => Next::Input(hint),
                },
                Next::Again => {
                    tokio::task::yield_now().await;
                    self.run_rest(false)
                }
                Next::Permit => {
                    // Held while the batch runs: nobody can want the keyspace again before it has had its turn.
                    let engine = Arc::clone(&self.engine);
                    let _turn = wait_unless_busy(&engine, engine.world.passed()).await;
                    self.run_rest(false)
                }
                Next::Whole => {
                    let engine = Arc::clone(&self.engine);
                    match wait_unless_busy(&engine, engine.world.whole()).await {
                        Some(_whole) => {
                            let began = engine.clock.stamp();
                            let next = self.run_apart().await;
                            let held_ns = engine.clock.stamp().saturating_sub(began);
                            engine.stats.worker(self.client.worker).world_held(held_ns);
                            next
                        }
                        None => self.run_rest(false),
                    }
                }
                Next::Saver | Next::Memory => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    self.run_rest(false)
                }
                Next::Paused => match self.wait_for_unpause().await? {
                    true => self.run_rest(false),
                    false => return Ok(()),
                },
                Next::Later(awaited) => {
                    self.finish_later(awaited).await;
                    self.run_rest(false)
                }
                Next::Parked => match self.wait_parked().await? {
                    true => self.run_rest(false),
                    false => return Ok(()),
                },
            };
        }
    }

    /// Waits for input and runs it in the same turn, since the read buffer is the worker's.
    fn poll_input(&mut self, cx: &mut Context<'_>, hint: usize) -> Poll<io::Result<Woken>> {
        self.client.set_waker(cx.waker());
        if self.client.has(ClientFlag::Killed) {
            return Poll::Ready(Ok(Woken::Closed));
        }
        if self.client.has(ClientFlag::Overflowed) {
            return Poll::Ready(Err(self.cut_off()));
        }
        if !self.pending.is_empty() {
            // More may be run while they wait.
            let _ = self.poll_flush(cx)?;
        }
        let all_written = self.pending.is_empty();
        if all_written && self.client.has_mail() {
            let shared = Rc::clone(&self.shared);
            let out = &mut shared.borrow_mut().out;
            self.client.take_mail_into(out);
            self.write_now(cx, out, self.engine.clock.stamp())?;
            self.note_pending();
            if !self.pending.is_empty() {
                return Poll::Ready(Ok(Woken::Mail));
            }
        }
        if all_written
            && self.client.has(ClientFlag::Replica)
            && let Some(woken) = self.send_stream(cx)?
        {
            return Poll::Ready(Ok(woken));
        }
        if !self.rest.is_empty() {
            let read = ready!(self.poll_more(cx, hint))?;
            if read == 0 {
                return Poll::Ready(Ok(Woken::Ran(Next::Close)));
            }
            if self.is_too_large_an_argument() {
                return Poll::Ready(Ok(Woken::Closed));
            }
            return Poll::Ready(Ok(Woken::Ran(self.run_rest(false))));
        }
        let shared = Rc::clone(&self.shared);
        let mut shared = shared.borrow_mut();
        let Shared { worker, input, out, .. } = &mut *shared;
        let mut buffer = ReadBuf::new(input);
        ready!(self.stream.poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        if read == 0 {
            // It sends no more, and may still read what waits for it.
            return Poll::Ready(Ok(Woken::Ran(Next::Close)));
        }
        self.count_read(read);
        self.put_mail_first();
        let follows = self.client.has(ClientFlag::Replica);
        let ran = worker.run(&mut self.connection, &input[..read], out, false);
        if follows && !out.is_empty() {
            return Poll::Ready(Err(self.reject_replies(out)));
        }
        self.rest.extend_from_slice(&input[ran.consumed..read]);
        if self.holds_back(&ran.next) {
            self.hold(out);
            if worker.wants_writing() {
                worker.wrote(None);
            }
            return Poll::Ready(Ok(Woken::Ran(self.after(ran))));
        }
        if let Some(limit) = memory::limit_of_clients(worker.settings())
            && self.engine.clients.bytes() > limit
        {
            // What was sent to others may be too much: they go before anybody hears that it was done.
            let (engine, now) = (&self.engine, self.engine.clock.stamp());
            memory::evict_clients(&engine.clients, limit, &engine.stats, now);
        }
        let wrote = self.write_now(cx, out, worker.ended());
        if worker.wants_writing() {
            worker.wrote(*wrote.as_ref().unwrap_or(&None));
        }
        match wrote {
            Err(error) if !goes_on_unheard(&error, &ran.next) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(Woken::Ran(self.after(ran)))),
        }
    }

    /// What others have sent while replies waited goes before the replies of what is run now.
    fn put_mail_first(&mut self) {
        if !self.pending.is_empty() && self.client.has_mail() {
            self.take_mail();
        }
    }

    /// Reads on behind what is left of earlier input.
    fn poll_more(&mut self, cx: &mut Context<'_>, hint: usize) -> Poll<io::Result<usize>> {
        self.make_room(hint);
        let read = ready!(self.stream.poll_read_more(cx, &mut self.rest))?;
        if read > 0 {
            self.count_read(read);
        }
        Poll::Ready(Ok(read))
    }

    fn count_read(&self, read: usize) {
        let stats = self.engine.stats.worker(self.client.worker);
        stats.add(Counter::NetInputBytes, read as u64);
        stats.incr(Counter::ReadsProcessed);
    }

    /// Runs what is left of the input.
    fn run_rest(&mut self, whole: bool) -> Next {
        if self.client.has(ClientFlag::Killed) {
            return Next::Close;
        }
        if let Some(limit) = memory::limit_of_clients(&self.engine.config.current()) {
            // A large request counts before it runs: afterwards it is gone.
            self.client.query_room.store(self.rest.capacity(), Ordering::Relaxed);
            if self.is_evicted(limit) {
                return Next::Close;
            }
        }
        self.put_mail_first();
        let shared = Rc::clone(&self.shared);
        let mut shared = shared.borrow_mut();
        let Shared { worker, out, .. } = &mut *shared;
        let follows = self.client.has(ClientFlag::Replica);
        let ran = worker.run(&mut self.connection, &self.rest, out, whole);
        if follows && !out.is_empty() {
            let _ = self.reject_replies(out);
            return Next::Close;
        }
        self.consume(ran.consumed);
        self.hold(out);
        if worker.wants_writing() {
            // The replies leave later: what their writing takes is not known here.
            worker.wrote(None);
        }
        drop(shared);
        self.after(ran)
    }

    /// Runs the next command with the whole keyspace in hand, on a stack of its own: a script that turns out to
    /// take long lets the worker's other connections have their turn meanwhile, which are told so.
    async fn run_apart(&mut self) -> Next {
        if self.client.has(ClientFlag::Killed) {
            return Next::Close;
        }
        // Whoever holds the whole keyspace is alone: nobody else of this worker looks for it meanwhile.
        let apart = self.shared.borrow_mut().apart.take();
        let mut apart = apart.unwrap_or_else(|| Box::new(Apart::new(&self.engine, self.client.worker)));
        let stack = match apart.stack.take().map_or_else(Stack::new, Ok) {
            Ok(stack) => stack,
            Err(error) => {
                tracing::warn!(%error, "There is no stack for a command");
                return Next::Close;
            }
        };
        self.put_mail_first();
        let mut out = Vec::new();
        let worker = &mut apart.worker;
        let (connection, rest) = (&mut self.connection, &self.rest);
        let mut strand = Strand::new(stack, || worker.run(connection, rest, &mut out, true));
        let mut how = Resumed::GoOn;
        let ran = loop {
            if let Some(ran) = strand.resume(how) {
                break ran;
            }
            tokio::task::yield_now().await;
            if self.engine.status.stopping.load(Ordering::Relaxed) {
                how = Resumed::End;
            }
        };
        apart.stack = strand.into_stack();
        self.hold(&mut out);
        if apart.worker.wants_writing() {
            apart.worker.wrote(None);
        }
        self.shared.borrow_mut().apart = Some(apart);
        self.consume(ran.consumed);
        self.after(ran)
    }

    /// Takes what has run off the front of the input that waits. What is left moves into a buffer of its own length
    /// unless it is the longer part: what a large argument took is given back with it, and not with the connection.
    fn consume(&mut self, consumed: usize) {
        let left = self.rest.len() - consumed;
        if left == 0 {
            self.rest = BytesMut::new();
        } else if left < consumed {
            self.rest = BytesMut::from(&self.rest[consumed..]);
        } else {
            self.rest.advance(consumed);
        }
    }

    /// Makes room for the next read behind the input that waits. A large string gets its announced length at once: it
    /// is never copied to grow.
    fn make_room(&mut self, hint: usize) {
        let room = self.rest.capacity() - self.rest.len();
        if room == 0 || room < hint {
            self.rest.reserve(hint.max(PIECE_BYTES));
        }
    }

    /// Keeps the books after a batch and looks at the query buffer's limit.
    fn after(&mut self, ran: Ran) -> Next {
        if let Next::Input(hint) = ran.next
            && !self.rest.is_empty()
        {
            // Before the books: what an argument is to take counts from when it is announced.
            self.make_room(hint);
        }
        let arguments = self.connection.understood().min(self.rest.len());
        let used = self.rest.len() - arguments;
        let free = self.rest.capacity() - self.rest.len();
        let client = &self.client;
        let known = [&client.query_used, &client.query_arguments, &client.query_free, &client.query_room];
        let now = [used, arguments, free, self.rest.capacity()];
        if known.map(|figure| figure.load(Ordering::Relaxed)) != now {
            for (figure, now) in known.into_iter().zip(now) {
                figure.store(now, Ordering::Relaxed);
            }
        }
        self.note_pending();
        let settings = self.engine.config.current();
        if memory::limit_of_clients(&settings).is_some_and(|limit| self.is_evicted(limit)) {
            return Next::Close;
        }
        let limit = settings.client_query_buffer_limit_bytes;
        if used as u64 > limit && matches!(ran.next, Next::Input(_)) {
            self.note_too_much_input();
            return Next::Close;
        }
        ran.next
    }

    /// Whether more of the argument under way is here than may wait: it is not run, even if the last read completed it.
    fn is_too_large_an_argument(&self) -> bool {
        let limit = self.engine.config.current().client_query_buffer_limit_bytes;
        let unread = self.rest.len().saturating_sub(self.connection.understood());
        let too_large = unread.min(self.connection.awaited()) as u64 > limit;
        if too_large {
            self.note_too_much_input();
        }
        too_large
    }

    /// Says that the client is closed because of `client-query-buffer-limit`.
    fn note_too_much_input(&self) {
        self.engine.stats.worker(self.client.worker).incr(Counter::QueryBufferDisconnections);
        let (client, address) = (self.client.id, &self.client.address);
        TOO_MUCH_INPUT.write(&self.engine.stats, self.engine.clock.stamp(), || {
            tracing::warn!(client, %address, "Closing client that reached max query buffer length");
        });
    }

    /// Counts what the client takes; if that is too much for all together, some are closed. Whether it is one of them.
    fn is_evicted(&self, limit: usize) -> bool {
        self.engine.clients.count_bytes(&self.client);
        if self.engine.clients.bytes() > limit {
            let (engine, now) = (&self.engine, self.engine.clock.stamp());
            memory::evict_clients(&engine.clients, limit, &engine.stats, now);
        }
        self.client.has(ClientFlag::Killed)
    }
}

/// Whether what a client has sent is still run though it no longer takes a reply: it may have gone without reading.
fn goes_on_unheard(error: &io::Error, next: &Next) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        && matches!(
            next,
            Next::Again | Next::Permit | Next::Whole | Next::Saver | Next::Memory | Next::Later(_)
        )
}
