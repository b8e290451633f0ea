//! Live figures by server-sent events, at a cost that does not grow with the listeners.
//!
//! One task reads the figures once a second while anybody listens, and writes them once; each listener's
//! connection sends the same bytes. A listener that has not taken a frame when the next one comes is not
//! waited for: it gets the latest when it reads again.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use crate::admin::Control;
use crate::admin::reply::Problem;
use crate::admin::server::Shared;

/// `GET /live`.
pub(in crate::admin) async fn live(State(shared): State<Shared>) -> Result<Response, Problem> {
    let Some(listener) = shared.live.listen(&shared.control, shared.stopping.clone()) else {
        let error = format!("{} listeners have the live figures already", shared.live.limit);
        let busy =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, "close a console, or ask again later");
        return Err(busy.header(header::RETRY_AFTER, "5"));
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // A proxy that gathers an answer before it sends it on would never be done.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(Frames(Some(Box::pin(listener.next()))))).into_response())
}

/// The one task that reads the figures, and who listens to it.
pub(in crate::admin) struct LiveFigures {
    limit: usize,
    period: Duration,
    state: Mutex<ListenersState>,
}

#[derive(Default)]
struct ListenersState {
    listeners: usize,
    running: Option<Running>,
}

/// The task while it runs.
struct Running {
    frames: watch::Receiver<Bytes>,
    task: AbortHandle,
}

impl LiveFigures {
    pub(in crate::admin) fn new(limit: usize, period: Duration) -> Arc<LiveFigures> {
        Arc::new(LiveFigures { limit, period, state: Mutex::default() })
    }

    /// Joins the listeners, of whom the first starts the task. None when there are too many.
    fn listen(
        self: &Arc<LiveFigures>,
        control: &Arc<dyn Control>,
        stopping: watch::Receiver<bool>,
    ) -> Option<Listener> {
        let mut state = self.state();
        if state.listeners >= self.limit {
            return None;
        }
        let running = state.running.get_or_insert_with(|| self.start(Arc::clone(control)));
        let mut frames = running.frames.clone();
        // The last frame is less than a period old: better than an empty page.
        if !frames.borrow_and_update().is_empty() {
            frames.mark_changed();
        }
        state.listeners += 1;
        Some(Listener { frames, stopping, _membership: Membership(Arc::clone(self)) })
    }

    fn start(&self, control: Arc<dyn Control>) -> Running {
        let (sender, frames) = watch::channel(Bytes::new());
        let task = tokio::spawn(sample(control, self.period, sender)).abort_handle();
        Running { frames, task }
    }

    fn state(&self) -> MutexGuard<'_, ListenersState> {
        // The state is whole after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the figures until it is aborted. After a panic it ends, and with it all listeners: they come again.
async fn sample(control: Arc<dyn Control>, period: Duration, frames: watch::Sender<Bytes>) {
    let mut sampler = control.sampler();
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let read = catch_unwind(AssertUnwindSafe(|| serde_json::to_string(&sampler.sample())));
        let Ok(Ok(text)) = read else {
            tracing::error!("the live figures could not be read; their listeners are let go");
            control.panicked();
            return;
        };
        frames.send_replace(Bytes::from(format!("data: {text}\n\n")));
    }
}

/// Counts one listener; the last one ends the task.
struct Membership(Arc<LiveFigures>);

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.listeners -= 1;
        if state.listeners == 0
            && let Some(running) = state.running.take()
        {
            running.task.abort();
        }
    }
}

struct Listener {
    frames: watch::Receiver<Bytes>,
    stopping: watch::Receiver<bool>,
    _membership: Membership,
}

/// A frame, and the listener for the next one.
type Next = Option<(Bytes, Listener)>;

impl Listener {
    /// The next frame that it has not sent; none when the server stops or nobody reads the figures any more.
    async fn next(mut self) -> Next {
        let is_there = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop) => false,
            changed = self.frames.changed() => changed.is_ok(),
        };
        let frame = is_there.then(|| self.frames.borrow_and_update().clone())?;
        Some((frame, self))
    }
}

/// The body of an answer: frame after frame, as fast as the client takes them.
struct Frames(Option<Pin<Box<dyn Future<Output = Next> + Send>>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = self.0.as_mut() else { return Poll::Ready(None) };
        match next.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.0 = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((frame, listener))) => {
                self.0 = Some(Box::pin(listener.next()));
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
        }
    }
}
