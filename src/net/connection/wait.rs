//! A connection that waits: while clients are paused, parked by a blocking command, or for work done elsewhere.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::command::client::ClientFlag;
use crate::engine::Awaited;
use crate::engine::blocked::Parked;

use super::Task;

impl Task {
    /// CLIENT PAUSE: waits for its end, or for CLIENT UNPAUSE. What the client sends meanwhile is kept. False when it
    /// goes: nothing that it has sent is run any more.
    pub(super) async fn wait_for_unpause(&mut self) -> io::Result<bool> {
        // INFO counts who is held back among those that wait.
        self.client.set(ClientFlag::Paused, true);
        self.engine.clients.count_blocked(true);
        let left_ms = self.engine.clients.paused_until().saturating_sub(self.engine.clock.unix_ms());
        let time = tokio::time::sleep(Duration::from_millis(left_ms.clamp(1, 1_000)));
        let mut time = std::pin::pin!(time);
        let stays = poll_fn(|cx| {
            self.client.set_waker(cx.waker());
            if self.client.has(ClientFlag::Killed) {
                return Poll::Ready(Ok(false));
            }
            if !self.engine.clients.may_be_paused() || time.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(true));
            }
            let _ = self.poll_flush(cx)?;
            self.poll_gone(cx).map_ok(|()| false)
        })
        .await;
        self.client.set(ClientFlag::Paused, false);
        self.engine.clients.count_blocked(false);
        stays
    }

    /// A parked client: waits until it is served, its time is up, it is unblocked, or it goes. What it
    /// sends meanwhile is kept. False when the connection is over.
    pub(super) async fn wait_parked(&mut self) -> io::Result<bool> {
        loop {
            let deadline = self.connection.parked.as_ref().and_then(|parked| parked.deadline_ms);
            let left_ms = deadline.map(|at| at.saturating_sub(self.engine.clock.unix_ms()));
            let time = tokio::time::sleep(Duration::from_millis(left_ms.unwrap_or(MONTH_MS).min(MONTH_MS)));
            let mut time = std::pin::pin!(time);
            let event = poll_fn(|cx| {
                let event = self.poll_parked(cx);
                if event.is_pending() && time.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(Event::TimeUp));
                }
                event
            })
            .await?;
            let error = match event {
                Event::Gone => return Ok(false),
                Event::TimeUp if deadline.is_none() => continue,
                Event::Served | Event::Met | Event::TimeUp => None,
                Event::Unblocked { error } => {
                    error.then_some("UNBLOCKED client unblocked via CLIENT UNBLOCK")
                }
            };
            let mut out = Vec::new();
            let won = self.shared.borrow_mut().worker.unpark(&mut self.connection, error, &mut out);
            self.pending.take(&mut out);
            if !won {
                // What served it may have been changed in its name.
                self.client.written_to.store(self.engine.server.replication().end(), Ordering::Relaxed);
                self.take_mail();
            }
            return Ok(true);
        }
    }

    fn poll_parked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        self.client.set_waker(cx.waker());
        if self.client.has(ClientFlag::Killed) {
            return Poll::Ready(Ok(Event::Gone));
        }
        // What came before it asked to wait.
        let _ = self.poll_flush(cx)?;
        if self.connection.parked.as_ref().is_none_or(Parked::is_served) {
            return Poll::Ready(Ok(Event::Served));
        }
        if self.connection.parked.as_ref().is_some_and(Parked::is_met) {
            return Poll::Ready(Ok(Event::Met));
        }
        if self.client.has(ClientFlag::Unblock) {
            self.client.set(ClientFlag::Unblock, false);
            let error = self.client.has(ClientFlag::UnblockError);
            self.client.set(ClientFlag::UnblockError, false);
            return Poll::Ready(Ok(Event::Unblocked { error }));
        }
        self.poll_gone(cx).map_ok(|()| Event::Gone)
    }

    /// Reads what a client sends while it waits, until it goes or sends too much.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = self.engine.config.current().client_query_buffer_limit_bytes;
        while self.rest.len() as u64 <= limit {
            match self.poll_more(cx, 0) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        self.note_too_much_input();
        Poll::Ready(Ok(()))
    }

    /// A command whose work is done on a thread of its own (SAVE): the reply follows.
    pub(super) async fn finish_later(&mut self, Awaited { work, command, silent }: Awaited) {
        let began = self.engine.clock.stamp();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let spawned = std::thread::Builder::new().name("command".to_owned()).spawn(move || {
            // The connection may have gone; then nobody wants the reply.
            let _ = sender.send(work.run());
        });
        let reply = match spawned {
            Ok(_) => receiver.await.unwrap_or_else(|_| crate::command::reply::Work::lost()),
            Err(_) => crate::command::reply::Work::lost(),
        };
        let stats = self.engine.stats.worker(self.client.worker);
        stats.took(command, self.engine.clock.stamp().saturating_sub(began));
        let mut encoder = crate::resp::Encoder::new(self.connection.protocol);
        let failure = match reply {
            Ok(reply) => {
                reply.write(&mut encoder);
                None
            }
            Err(error) => {
                let text = error.text();
                stats.failed(command);
                stats.error(&text);
                encoder.error(&text);
                Some(text.into_owned())
            }
        };
        self.shared.borrow_mut().worker.waited(&mut self.connection, failure.as_deref());
        if !silent {
            self.pending.take(&mut encoder.into_vec());
        }
    }
}

/// The timer's longest sleep; a client may wait for ever in pieces of it.
const MONTH_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// What ends a client's wait.
enum Event {
    Served,
    Met,
    TimeUp,
    Unblocked { error: bool },
    Gone,
}
