//! The way of the replies: written at once where the socket takes them, kept in their order where it does not.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::has_budget_remaining;

use crate::clock::Stamp;
use crate::command::client::{ClientFlag, UNCOUNTED_OUTPUT_BYTES};
use crate::config::OutputLimit;
use crate::engine::Next;
use crate::observe::{Counter, Limited, Stage};

use super::Task;

/// More replies than these are written although inline commands follow, bytes.
const HELD_FOR_LINES: usize = 64 << 10;
/// A buffer for replies that has grown beyond this is given back.
const KEPT_REPLY_BYTES: usize = 1024 * 1024;
/// The same where the replies are kept elsewhere until they can be written.
const KEPT_BESIDE_HELD_BYTES: usize = 64 * 1024;

/// Where more replies wait than this, and than the limits of the client's class, bytes, it has to take them before more
/// of its commands are run. Beyond what any client lets wait that reads at all; Redis knows no such bound.
pub(super) const PILE_BYTES: u64 = 64 << 20;

/// Clients that were closed for what they do not read.
static TOO_MUCH_OUTPUT: Limited = Limited::new();

impl Task {
    /// Writes the worker's buffer of replies, which are there since `began`; keeps what the socket does not take. How
    /// long the writing took, if any were written.
    pub(super) fn write_now(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        began: Stamp,
    ) -> io::Result<Option<u64>> {
        if out.is_empty() {
            return Ok(None);
        }
        let mut took_ns = None;
        if out.len() > UNCOUNTED_OUTPUT_BYTES && self.is_too_much(out.len()) {
            *out = Vec::new();
            return Err(self.cut_off());
        }
        // What waits for the log leaves with the rest, once it is safe.
        let logging = self.engine.status.logging.any();
        if self.pending.is_empty() && (!logging || self.engine.log.settle()) {
            match self.stream.poll_write(cx, out) {
                Poll::Ready(Ok(written)) => {
                    took_ns = Some(self.count_written(written, began));
                    if written < out.len() {
                        self.pending.take_rest(out, written);
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
        if out.capacity() > KEPT_REPLY_BYTES {
            *out = Vec::new();
        }
        Ok(took_ns)
    }

    /// The limit of the client's class.
    fn output_limit(&self) -> OutputLimit {
        self.client.output_limit(&self.engine.config.current().client_output_buffer_limit)
    }

    /// Whether the replies of one batch are beyond the client's hard limit: it is cut off before it gets a part of
    /// them, as Redis does, whatever its socket would take.
    fn is_too_much(&self, bytes: usize) -> bool {
        let limit = self.output_limit();
        let total = (self.pending.len() + bytes) as u64;
        self.client.has(ClientFlag::Overflowed) || (limit.hard_bytes > 0 && total > limit.hard_bytes)
    }

    /// Counts a write that began then; how long it took.
    fn count_written(&self, written: usize, began: Stamp) -> u64 {
        let took_ns = self.engine.clock.stamp().saturating_sub(began);
        let stats = self.engine.stats.worker(self.client.worker);
        stats.add(Counter::NetOutputBytes, written as u64);
        stats.incr(Counter::WritesProcessed);
        stats.stage(Stage::Write, took_ns);
        took_ns
    }

    /// Whether replies wait until all of what was read has run, as in Redis: where a client is cut off by a hard limit
    /// it gets nothing of what goes beyond it, and somebody who speaks HTTP, which is seen in a later line, gets nothing.
    pub(super) fn holds_back(&self, next: &Next) -> bool {
        match next {
            Next::Drop => return true,
            Next::Again if !self.rest.is_empty() => {}
            _ => return false,
        }
        let limit = self.output_limit();
        let waiting = self.pending.len();
        let lines_follow = self.rest[0] != b'*' && waiting <= HELD_FOR_LINES;
        lines_follow || (limit.hard_bytes > 0 && waiting as u64 <= limit.hard_bytes)
    }

    /// Keeps replies that are not written yet. What the worker's buffer has grown for them is not kept beside them.
    pub(super) fn hold(&mut self, out: &mut Vec<u8>) {
        self.pending.take(out);
        if out.capacity() > KEPT_BESIDE_HELD_BYTES {
            *out = Vec::new();
        }
    }

    /// Writes pending replies as far as the socket takes them, or all of them if nothing is to be run before that. A
    /// client that lets more wait than `client-output-buffer-limit` allows is closed.
    pub(super) async fn flush(&mut self, next: &Next) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.note_pending();
        if self.engine.status.logging.any() && !self.engine.log.settle() {
            let end = self.engine.log.end();
            poll_fn(|cx| self.engine.log.poll_safe(end, cx)).await;
        }
        let limit = self.output_limit();
        if limit.hard_bytes > 0 && self.pending.len() as u64 > limit.hard_bytes {
            return Err(self.cut_off());
        }
        let piled_up = self.pending.len() as u64 > PILE_BYTES.max(limit.hard_bytes).max(limit.soft_bytes);
        let waits = piled_up || matches!(next, Next::Close);
        poll_fn(|cx| match self.poll_flush(cx) {
            Poll::Pending if !waits => Poll::Ready(Ok(())),
            written => written,
        })
        .await
    }

    /// Writes pending replies. Whoever waits for something else calls this first, and wakes for both.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.client.set_waker(cx.waker());
        while !self.pending.is_empty() {
            if self.client.has(ClientFlag::Killed) {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
            }
            if self.client.has(ClientFlag::Overflowed) || self.poll_patience(cx).is_ready() {
                return Poll::Ready(Err(self.cut_off()));
            }
            let began = self.engine.clock.stamp();
            let Poll::Ready(written) = self.stream.poll_write(cx, self.pending.next())? else {
                // Redis lets 1,024 bytes wait for who has not authenticated. The socket alone holds more. Where the
                // task has had its turn it was not asked.
                if !self.connection.session.authenticated && has_budget_remaining() {
                    return Poll::Ready(Err(self.cut_off()));
                }
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            self.pending.wrote(written);
            self.count_written(written, began);
            self.note_pending();
        }
        self.patience = None;
        Poll::Ready(Ok(()))
    }

    /// Ready when more than the soft limit has waited for too long. The time runs from the moment at which too much
    /// waits, and anew once it was less.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.output_limit();
        let mail = self.client.mail_bytes.load(Ordering::Relaxed);
        if limit.soft_bytes == 0 || (self.pending.len() + mail) as u64 <= limit.soft_bytes {
            self.patience = None;
            return Poll::Pending;
        }
        let begin = || Box::pin(tokio::time::sleep(patience_of(limit.soft_s)));
        self.patience.get_or_insert_with(begin).as_mut().poll(cx)
    }

    /// The client does not take its replies: the connection ends.
    pub(super) fn cut_off(&self) -> io::Error {
        self.engine.stats.worker(self.client.worker).incr(Counter::OutputBufferDisconnections);
        let (client, address, waiting_bytes) =
            (self.client.id, &self.client.address, self.client.waiting_bytes());
        TOO_MUCH_OUTPUT.write(&self.engine.stats, self.engine.clock.stamp(), || {
            let words = "Client closed for overcoming of output buffer limits.";
            tracing::warn!(client, %address, waiting_bytes, "{words}");
        });
        io::Error::from(io::ErrorKind::ConnectionAborted)
    }

    /// Puts what others have sent behind the replies that wait.
    pub(super) fn take_mail(&mut self) {
        let mut mail = Vec::new();
        self.client.take_mail_into(&mut mail);
        self.pending.take(&mut mail);
        self.note_pending();
    }

    pub(super) fn note_pending(&self) {
        self.client.output_pending.store(self.pending.len(), Ordering::Relaxed);
    }
}

/// How long more than the soft limit may wait. Redis counts whole seconds and never ends it early by anybody's clock.
fn patience_of(soft_s: u64) -> Duration {
    Duration::from_secs(soft_s) + Duration::from_millis(100)
}
