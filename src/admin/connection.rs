//! Sockets: accepting them, and the limits on what one may take.
//!
//! `axum::serve` has no limit on the time of headers nor on connections, so hyper
//! is driven here directly.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::options::Limits;
use super::reply::Problem;
use super::server::Shared;
use super::slots::{Slot, Slots};
use super::watched::Watched;

/// hyper takes no smaller buffer.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// Nobody needs more header lines; each costs memory beside its bytes.
const HEADER_LINES: usize = 64;

/// How long what a client still sends is read after the last answer: a socket
/// closed with unread bytes resets, and the reset overtakes the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How much of it is read.
const LINGER_BYTES: u64 = 256 * 1024;

/// Refused connections that are told why at the same time.
pub(super) const REFUSALS: usize = 32;

/// The pause after an accept that failed, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) shared: Shared,
    pub(super) limits: Limits,
    pub(super) slots: Arc<Slots>,
    /// One for each refused connection that is still being told so.
    pub(super) refusals: Arc<Semaphore>,
    /// Turns true when the server stops.
    pub(super) stopping: watch::Receiver<bool>,
    /// Every connection holds a copy, so the other end sees when the last one ended.
    pub(super) _alive: mpsc::Sender<Infallible>,
}

/// Takes connections from one listener until the server stops.
pub(super) async fn accept(listener: TcpListener, mut serving: Serving) {
    let mut stopping = serving.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => serving.admit(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "the admin server cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Serving {
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(slot) = self.slots.take() else {
            self.refuse(stream);
            return;
        };
        let slot = Arc::new(slot);
        let serving = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serving.serve(stream, peer, Arc::clone(&slot)) => {}
                () = slot.evicted() => {}
            }
        });
    }

    /// Says that there is no room. Waiting for the client to take that is limited
    /// too: beyond a few at once the connection just ends.
    fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let busy = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "every connection of the admin server is in use",
                "ask again in a moment",
            );
            let answer = busy.to_closing_bytes();
            // A new socket's buffer is empty, so this does not wait.
            let _ = stream.write_all(&answer).await;
            close(stream).await;
            drop(permit);
        });
    }

    async fn serve(mut self, stream: TcpStream, peer: SocketAddr, slot: Arc<Slot>) {
        // Answers are small; waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&slot), self.limits.request_time));
        let router = self.router.clone();
        let shared = self.shared.clone();
        let service = service_fn(move |request| {
            let in_request = slot.begin_request();
            let answer = answer(router.clone(), shared.clone(), request, peer);
            Box::pin(async move {
                let response = answer.await;
                drop(in_request);
                Ok::<_, Infallible>(response)
            })
        });
        let mut connection = self.http().serve_connection(io, service);
        let ended = tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
            _ = self.stopping.wait_for(|stop| *stop) => None,
        };
        let outcome = match ended {
            Some(outcome) => outcome,
            None => {
                // Ends at once when idle, else after the answer that is under way.
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner();
        let too_slow = outcome.is_err_and(|error| error.is_timeout());
        // An idle connection just ends; one that began a request is told why.
        if too_slow && !parts.read_buf.is_empty() {
            let _ = stream.write_all(&headers_too_slow().to_closing_bytes()).await;
        }
        // Who did not take the answer so far will not take its end.
        if !stream.has_stalled() {
            close(stream).await;
        }
    }

    fn http(&self) -> http1::Builder {
        let header_bytes = self.limits.header_bytes.max(LEAST_HEADER_BYTES);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_time)
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes)
            .max_headers(HEADER_LINES);
        http
    }
}

/// Runs the routes on a request; a panic in them is answered and counted.
async fn answer(
    router: Router,
    shared: Shared,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<Body> {
    request.extensions_mut().insert(peer);
    let service = TowerToHyperService::new(router);
    let mut work = pin!(async move { service.call(request).await });
    let outcome = poll_fn(|cx| {
        // The future is dropped, not polled again, after a panic.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Some(response)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
    .await;
    outcome.unwrap_or_else(|| {
        tracing::error!("an admin request panicked; it is answered with 500");
        shared.control.panicked();
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server made a mistake while it answered",
            "the log has the details; report them as a bug",
        )
        .into_response()
    })
}

fn headers_too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "the request's headers did not arrive in time",
        "send the whole request at once",
    )
}

async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(LINGER_BYTES);
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}
