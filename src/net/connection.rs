//! One connection's task: read, run, write, and wait for whatever the engine says.
//!
//! An idle connection holds no buffer. It reads into the worker's buffer, runs what came, writes the
//! replies at once, and keeps only what is left: part of a request, or replies that the socket did not
//! take. While replies are pending it reads nothing, so a client that does not read is bounded.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use crate::command::client::{Client, ClientFlag, UNCOUNTED_OUTPUT_BYTES};
use crate::engine::memory;
use crate::engine::{Connection, Engine, Next, Ran};
use crate::observe::Counter;
use crate::strand::{Resumed, Stack, Strand};

use super::stream::Stream;
use super::worker::{Apart, Shared};

mod follow;
mod wait;

/// More replies than these are written although inline commands follow, bytes.
const HELD_FOR_LINES: usize = 64 << 10;

/// A buffer for replies that has grown beyond this is given back.
const KEPT_REPLY_BYTES: usize = 1024 * 1024;
/// The same where the replies are kept elsewhere until they can be written.
const KEPT_BESIDE_HELD_BYTES: usize = 64 * 1024;
/// Room made for a request that came in pieces, when its length is unknown.
const PIECE_BYTES: usize = 16 * 1024;

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
        pending: Vec::new(),
        written: 0,
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
    /// Replies that the socket has not taken, from `written` on.
    pending: Vec<u8>,
    written: usize,
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
                && let Err(error) = self.flush().await
            {
                if !goes_on_unheard(&error, &next) {
                    return Err(error);
                }
                (self.pending, self.written) = (Vec::new(), 0);
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
                    let began = engine.clock.stamp();
                    let whole = wait_unless_busy(&engine, engine.world.whole()).await;
                    let next = match whole {
                        Some(_) => self.run_apart().await,
                        None => self.run_rest(false),
                    };
                    engine
                        .stats
                        .worker(self.client.worker)
                        .world_held(engine.clock.stamp().saturating_sub(began));
                    next
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
        if self.client.has_mail() {
            let shared = Rc::clone(&self.shared);
            let out = &mut shared.borrow_mut().out;
            self.client.take_mail_into(out);
            self.write_now(cx, out)?;
            self.note_pending();
            if !self.pending.is_empty() {
                return Poll::Ready(Ok(Woken::Mail));
            }
        }
        if self.client.has(ClientFlag::Replica)
            && let Some(woken) = self.send_stream(cx)?
        {
            return Poll::Ready(Ok(woken));
        }
        if !self.rest.is_empty() {
            let read = ready!(self.poll_more(cx, hint))?;
            if read == 0 || self.is_too_large_an_argument() {
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
            return Poll::Ready(Ok(Woken::Closed));
        }
        self.count_read(read);
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
        let began = if worker.wants_writing() { self.engine.clock.stamp() } else { 0 };
        let wrote = self.write_now(cx, out);
        if began > 0 {
            worker.wrote(Some(self.engine.clock.stamp().saturating_sub(began)));
        }
        match wrote {
            Err(error) if !goes_on_unheard(&error, &ran.next) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(Woken::Ran(self.after(ran)))),
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
        let (worker, out) = (&mut apart.worker, &mut self.pending);
        let (connection, rest) = (&mut self.connection, &self.rest);
        let mut strand = Strand::new(stack, || worker.run(connection, rest, out, true));
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
        self.client.output_pending.store(self.pending.len() - self.written, Ordering::Relaxed);
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
        tracing::warn!(
            client = self.client.id,
            address = %self.client.address,
            "Closing client that reached max query buffer length"
        );
    }

    /// Counts what the client takes; if that is too much for all together, some are closed. Whether it is one of them.
    fn is_evicted(&self, limit: usize) -> bool {
        self.engine.clients.count_bytes(&self.client);
        if self.engine.clients.bytes() > limit {
            evict_clients(&self.engine, self.client.worker, limit);
        }
        self.client.has(ClientFlag::Killed)
    }

    /// Writes the worker's buffer of replies; keeps what the socket does not take.
    fn write_now(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if out.len() > UNCOUNTED_OUTPUT_BYTES && self.is_too_much(out.len()) {
            *out = Vec::new();
            return Err(self.cut_off());
        }
        // What waits for the log leaves with the rest, once it is safe.
        let logging = self.engine.status.logging.any();
        if self.pending.is_empty() && (!logging || self.engine.log.settle()) {
            match self.stream.poll_write(cx, out) {
                Poll::Ready(Ok(written)) => {
                    self.count_written(written);
                    if written < out.len() && out.len() > KEPT_BESIDE_HELD_BYTES {
                        // What is long is not copied.
                        (self.pending, self.written) = (std::mem::take(out), written);
                    } else if written < out.len() {
                        self.pending.extend_from_slice(&out[written..]);
                    }
                }
                Poll::Ready(Err(error)) => {
                    out.clear();
                    return Err(error);
                }
                Poll::Pending => self.hold(out),
            }
        } else {
            self.hold(out);
        }
        out.clear();
        shrink(out);
        Ok(())
    }

    /// Whether the replies of one batch are beyond the client's hard limit: it is cut off before it gets a part of
    /// them, as Redis does, whatever its socket would take.
    fn is_too_much(&self, bytes: usize) -> bool {
        let limit = self.client.output_limit(&self.engine.config.current().client_output_buffer_limit);
        let total = (self.pending.len() - self.written + bytes) as u64;
        self.client.has(ClientFlag::Overflowed) || (limit.hard_bytes > 0 && total > limit.hard_bytes)
    }

    fn count_written(&self, written: usize) {
        let stats = self.engine.stats.worker(self.client.worker);
        stats.add(Counter::NetOutputBytes, written as u64);
        stats.incr(Counter::WritesProcessed);
    }

    /// Whether replies wait until all of what was read has run, as in Redis: where a client is cut off by a hard limit
    /// it gets nothing of what goes beyond it, and somebody who speaks HTTP, which is seen in a later line, gets nothing.
    fn holds_back(&self, next: &Next) -> bool {
        match next {
            Next::Drop => return true,
            Next::Again if !self.rest.is_empty() => {}
            _ => return false,
        }
        let limit = self.client.output_limit(&self.engine.config.current().client_output_buffer_limit);
        let waiting = self.pending.len();
        let lines_follow = self.rest[0] != b'*' && waiting <= HELD_FOR_LINES;
        lines_follow || (limit.hard_bytes > 0 && waiting as u64 <= limit.hard_bytes)
    }

    /// Keeps replies that are not written yet. What the worker's buffer has grown for them is not kept beside them.
    fn hold(&mut self, out: &mut Vec<u8>) {
        if self.pending.is_empty() && out.len() > out.capacity() / 2 {
            self.pending = std::mem::take(out);
            return;
        }
        self.pending.append(out);
        if out.capacity() > KEPT_BESIDE_HELD_BYTES {
            *out = Vec::new();
        }
    }

    /// Writes all pending replies. Nothing is read meanwhile. A client that lets more wait than
    /// `client-output-buffer-limit` allows is closed.
    async fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.engine.status.logging.any() && !self.engine.log.settle() {
            let end = self.engine.log.end();
            poll_fn(|cx| self.engine.log.poll_safe(end, cx)).await;
        }
        let limit = self.client.output_limit(&self.engine.config.current().client_output_buffer_limit);
        if limit.hard_bytes > 0 && self.pending.len() as u64 > limit.hard_bytes {
            return Err(self.cut_off());
        }
        let mut patience = None;
        poll_fn(|cx| {
            self.client.set_waker(cx.waker());
            while self.written < self.pending.len() {
                if self.client.has(ClientFlag::Killed) {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
                }
                if self.client.has(ClientFlag::Overflowed) {
                    return Poll::Ready(Err(self.cut_off()));
                }
                let mail = self.client.mail_bytes.load(Ordering::Relaxed);
                let waiting = (self.pending.len() - self.written + mail) as u64;
                // The time runs from the moment at which too much waits, and anew once it was less.
                if limit.soft_bytes == 0 || waiting <= limit.soft_bytes {
                    patience = None;
                } else if patience
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience_of(limit.soft_s))))
                    .as_mut()
                    .poll(cx)
                    .is_ready()
                {
                    return Poll::Ready(Err(self.cut_off()));
                }
                let Poll::Ready(written) = self.stream.poll_write(cx, &self.pending[self.written..])? else {
                    // Redis lets 1,024 bytes wait for who has not authenticated. The socket alone holds more.
                    if !self.connection.session.authenticated {
                        return Poll::Ready(Err(self.cut_off()));
                    }
                    return Poll::Pending;
                };
                if written == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
                }
                self.written += written;
                self.count_written(written);
                self.client.output_pending.store(self.pending.len() - self.written, Ordering::Relaxed);
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        self.written = 0;
        self.pending = Vec::new();
        Ok(())
    }

    /// The client does not take its replies: the connection ends.
    fn cut_off(&self) -> io::Error {
        self.engine.stats.worker(self.client.worker).incr(Counter::OutputBufferDisconnections);
        tracing::warn!(
            client = self.client.id,
            address = %self.client.address,
            waiting_bytes = self.client.waiting_bytes(),
            "Client closed for overcoming of output buffer limits."
        );
        io::Error::from(io::ErrorKind::ConnectionAborted)
    }

    fn take_mail(&mut self) {
        self.client.take_mail_into(&mut self.pending);
        self.note_pending();
    }

    fn note_pending(&self) {
        self.client.output_pending.store(self.pending.len() - self.written, Ordering::Relaxed);
    }
}

/// Closes the clients that take most, and counts them.
pub(super) fn evict_clients(engine: &Engine, worker: usize, limit: usize) {
    let stats = engine.stats.worker(worker);
    memory::evict_clients(&engine.clients, limit, || stats.incr(Counter::EvictedClients));
}

/// Whether what a client has sent is still run though it no longer takes a reply: it may have gone without reading.
fn goes_on_unheard(error: &io::Error, next: &Next) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        && matches!(
            next,
            Next::Again | Next::Permit | Next::Whole | Next::Saver | Next::Memory | Next::Later(_)
        )
}

/// How long more than the soft limit may wait. Redis counts whole seconds and never ends it early by anybody's clock.
fn patience_of(soft_s: u64) -> Duration {
    Duration::from_secs(soft_s) + Duration::from_millis(100)
}

/// Gives back a buffer that one large reply has grown.
fn shrink(out: &mut Vec<u8>) {
    if out.capacity() > KEPT_REPLY_BYTES {
        *out = Vec::new();
    }
}
