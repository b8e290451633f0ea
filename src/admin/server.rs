//! The routes, and starting and stopping the server that answers them.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::Instrument;

use crate::observe::trace::Caller;

use super::connection::{self, Serving};
use super::console::LiveFigures;
use super::guard::{self, Access, Guard};
use super::network::IpNetwork;
use super::options::{AdminError, AdminOptions, Limits};
use super::ports::Control;
use super::reply::Problem;
use super::slots::Slots;
use super::{bundle, console, facts, probes, profile, save};

/// Every route. The router, the guard, the 404 and 405 answers and the test of
/// the page read this table.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { path: "/",         methods: "GET, HEAD",       access: Access::Page,      what: "the console, a page for browsers",     serve: || get(console::page) },
    Route { path: "/metrics",  methods: "GET, HEAD",       access: Access::Metrics,   what: "metrics for Prometheus",               serve: || get(facts::metrics) },
    Route { path: "/livez",    methods: "GET, HEAD",       access: Access::Open,      what: "does the process work",                serve: || get(probes::livez) },
    Route { path: "/readyz",   methods: "GET, HEAD",       access: Access::Open,      what: "may clients be sent here",             serve: || get(probes::readyz) },
    Route { path: "/startupz", methods: "GET, HEAD",       access: Access::Open,      what: "has the start finished",               serve: || get(probes::startupz) },
    Route { path: "/healthz",  methods: "GET, HEAD",       access: Access::Open,      what: "every check at once",                  serve: || get(probes::healthz) },
    Route { path: "/health",   methods: "GET, HEAD",       access: Access::Open,      what: "the same as /healthz",                 serve: || get(probes::healthz) },
    Route { path: "/save",     methods: "GET, HEAD, POST", access: Access::Trusted,   what: "POST starts a save, GET looks at it",  serve: || get(save::status).merge(post(save::start)) },
    Route { path: "/config",   methods: "GET, HEAD",       access: Access::Sensitive, what: "every setting, secrets hidden",        serve: || get(facts::config) },
    Route { path: "/info",     methods: "GET, HEAD",       access: Access::Sensitive, what: "what INFO says, as JSON",              serve: || get(facts::info) },
    Route { path: "/slowlog",  methods: "GET, HEAD",       access: Access::Sensitive, what: "the slow commands of late, with what took the time", serve: || get(facts::slow_log) },
    Route { path: "/live",     methods: "GET, HEAD",       access: Access::Trusted,   what: "figures as they change, by server-sent events", serve: || get(console::live) },
    Route { path: "/clients",  methods: "GET, HEAD",       access: Access::Sensitive, what: "who is connected",                     serve: || get(console::list) },
    Route { path: "/clients/kill", methods: "POST",        access: Access::Sensitive, what: "closes a client's connection",         serve: || post(console::kill) },
    Route { path: "/keys",     methods: "GET, HEAD",       access: Access::Sensitive, what: "a search over keys",                   serve: || get(console::find) },
    Route { path: "/key",      methods: "GET, HEAD",       access: Access::Sensitive, what: "a key and its first elements",         serve: || get(console::look) },
    Route { path: "/usage",    methods: "GET, HEAD",       access: Access::Sensitive, what: "the keys and clients that take most",  serve: || get(console::usage) },
    Route { path: "/debug/bundle", methods: "GET, HEAD",   access: Access::Sensitive, what: "one archive for a bug report",         serve: || get(bundle::bundle) },
    Route { path: "/debug/profile", methods: "GET, HEAD",  access: Access::Sensitive, what: "where processor time goes, as a flame graph or for pprof", serve: || get(profile::profile) },
    Route { path: "/version",  methods: "GET, HEAD",       access: Access::Open,      what: "what runs here",                       serve: || get(facts::version) },
];

/// One path.
pub(super) struct Route {
    pub(super) path: &'static str,
    /// As the `Allow` header has them.
    pub(super) methods: &'static str,
    access: Access,
    what: &'static str,
    serve: fn() -> MethodRouter<Shared>,
}

/// Connections that may wait to be accepted; twice the limit on open ones, so that
/// a burst is sorted out here and not by lost packets. The kernel caps it.
const BACKLOG: i32 = 512;

/// What every request may use.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) control: Arc<dyn Control>,
    pub(super) guard: Arc<ArcSwap<Guard>>,
    limits: Limits,
    pub(super) live: Arc<LiveFigures>,
    /// One permit: a bundle is being made or sent.
    pub(super) bundling: Arc<Semaphore>,
    /// Turns true when the server stops: what would go on for ever ends then.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Who may ask for a path. What does not exist is guarded as what does.
pub(super) fn access_to(path: &str) -> Access {
    if console::FILES.iter().any(|(file, ..)| *file == path) {
        return Access::Page;
    }
    route_of(path).map_or(Access::Trusted, |route| route.access)
}

fn route_of(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path)
}

fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.serve)().fallback(wrong_method));
    }
    for &(path, kind, content) in console::FILES {
        let serve = move || async move { console::served(kind, content) };
        router = router.route(path, get(serve).fallback(wrong_method));
    }
    // The last layer is the first that a request meets.
    router
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(shared.clone(), read_body))
        .layer(middleware::from_fn_with_state(shared.clone(), guard::check))
        .layer(middleware::from_fn_with_state(shared.clone(), finish))
        .with_state(shared)
}

const NO_BODY_IS_NEEDED: &str = "send no body: no request here needs one";

/// Reads what body there is, within its limits, and drops it: no route needs one.
///
/// This is the only wait before a handler, and handlers do not wait (but for
/// `POST /save?wait=true`, which may), so the limit on a request's time is here.
async fn read_body(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Limits { body_bytes, request_time, .. } = shared.limits;
    let (head, body) = request.into_parts();
    // A declared length is judged before a client has sent, or held back, a single byte.
    if body.size_hint().lower() > body_bytes as u64 {
        return body_too_long(body_bytes).closing().into_response();
    }
    let read = axum::body::to_bytes(body, body_bytes);
    let problem = match tokio::time::timeout(request_time, read).await {
        Ok(Ok(_)) => return next.run(Request::from_parts(head, Body::empty())).await,
        Ok(Err(error)) if is_of_the_wire(&error) => Problem::new(
            StatusCode::BAD_REQUEST,
            "the request's body is cut off or not well formed",
            NO_BODY_IS_NEEDED,
        ),
        Ok(Err(_)) => body_too_long(body_bytes),
        Err(_) => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not arrive in time",
            NO_BODY_IS_NEEDED,
        ),
    };
    problem.closing().into_response()
}

fn body_too_long(limit_bytes: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the request's body is longer than {limit_bytes} bytes"),
        NO_BODY_IS_NEEDED,
    )
}

/// Whether reading a body failed below, in what arrived, and not at the limit on its length.
fn is_of_the_wire(error: &axum::Error) -> bool {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source()).any(|error| error.is::<hyper::Error>())
}

/// A span around each request, and the headers that every answer has.
async fn finish(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = route_of(request.uri().path()).map_or("unknown", |route| route.path);
    let trace = shared.control.trace(&format!("{method} {route}"), caller_of(request.headers()).as_ref());
    let span = tracing::info_span!(
        "admin_request",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    trace.answered(method.as_str(), route, response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The caller's place in its trace, where it says one. Of two it cannot be known which one is meant.
fn caller_of(headers: &HeaderMap) -> Option<Caller> {
    let mut parents = headers.get_all("traceparent").iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let states: Vec<_> = headers.get_all("tracestate").iter().map(HeaderValue::as_bytes).collect();
    Caller::parse(parent.as_bytes(), Some(&states.join(&b',')))
}

async fn unknown_path(uri: Uri) -> Problem {
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| serde_json::json!({ "path": route.path, "methods": route.methods, "what": route.what }))
        .collect();
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}", uri.path()),
        "ask for one of the routes",
    )
    .field("routes", routes)
}

async fn wrong_method(uri: Uri) -> Problem {
    // The files of the console are read only.
    let allowed = route_of(uri.path()).map_or("GET, HEAD", |route| route.methods);
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take this method", uri.path()),
        format!("use one of: {allowed}"),
    )
    .header(header::ALLOW, allowed)
}

/// A running admin server; dropping it stops it as [`AdminServer::stop`] does.
#[derive(Debug)]
pub struct AdminServer {
    addresses: Vec<SocketAddr>,
    guard: Arc<ArcSwap<Guard>>,
    stopping: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Listens on every address and answers from a thread of its own.
    ///
    /// # Errors
    /// [`AdminError`] when an address cannot be had or the thread cannot be made;
    /// nothing is left listening then.
    pub fn start(options: AdminOptions, control: Arc<dyn Control>) -> Result<AdminServer, AdminError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AdminError::Start)?;
        let listeners = {
            // A listener registers with the runtime that is entered.
            let _entered = runtime.enter();
            listen_on_all(&options)?
        };
        let addresses = listeners.iter().map(|(_, address)| *address).collect();
        let listeners = listeners.into_iter().map(|(listener, _)| listener).collect();
        let guard = Arc::new(ArcSwap::from_pointee(Guard::new(&options)));
        let limits = options.limits;
        let (stopping, stop_seen) = watch::channel(false);
        let live = LiveFigures::new(limits.listeners, limits.live_period);
        let shared = Shared {
            control,
            guard: Arc::clone(&guard),
            limits,
            live,
            bundling: Arc::new(Semaphore::new(1)),
            stopping: stop_seen.clone(),
        };
        let thread = thread::Builder::new()
            .name("glasswing-admin".to_owned())
            .spawn(move || runtime.block_on(run(listeners, shared, stop_seen)))
            .map_err(AdminError::Start)?;
        Ok(AdminServer { addresses, guard, stopping, thread: Some(thread) })
    }

    /// The addresses that are listened on, in the order of the options and the
    /// optional ones last, with the real port where 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Changes whom the server answers, from the next request on.
    pub fn set_access(&self, trusted_networks: Vec<IpNetwork>, metrics_public: bool) {
        self.guard.rcu(|guard| guard.with(trusted_networks.clone(), metrics_public));
    }

    /// Takes no more connections, lets requests under way finish within the limit
    /// on stopping, and ends the thread.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin server's thread panicked");
        }
    }
}

/// The life of the server: accepts until it is told to stop, then waits a while.
async fn run(listeners: Vec<TcpListener>, shared: Shared, mut stopping: watch::Receiver<bool>) {
    let limits = shared.limits;
    let (alive, mut all_ended) = mpsc::channel(1);
    let serving = Serving {
        router: router(shared.clone()),
        shared,
        limits,
        slots: Slots::new(limits.connections),
        refusals: Arc::new(Semaphore::new(connection::REFUSALS)),
        stopping: stopping.clone(),
        _alive: alive,
    };
    for listener in listeners {
        tokio::spawn(connection::accept(listener, serving.clone()));
    }
    drop(serving);
    // An error means that the sender is gone, which is a stop too.
    let _ = stopping.wait_for(|stop| *stop).await;
    let _ = tokio::time::timeout(limits.stop_time, all_ended.recv()).await;
}

fn listen_on_all(options: &AdminOptions) -> Result<Vec<(TcpListener, SocketAddr)>, AdminError> {
    let needed = options.binds.iter().map(|address| (*address, false));
    let optional = options.optional_binds.iter().map(|address| (*address, true));
    let mut listeners = Vec::new();
    for (address, optional) in needed.chain(optional) {
        match listen(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((real, listener)) => listeners.push((listener, real)),
            Err(error) if optional && is_not_here(&error) => {}
            Err(source) => return Err(AdminError::Bind { address, source }),
        }
    }
    Ok(listeners)
}

/// Whether the machine has no such address or no such family of addresses at all.
fn is_not_here(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // So that 0.0.0.0 and [::] can both be listened on with one port.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_links_every_route_that_can_be_read() {
        for route in ROUTES.iter().filter(|route| route.path != "/" && route.methods.contains("GET")) {
            let relative = route.path.trim_start_matches('/');
            assert!(console::PAGE.contains(&format!("href=\"{relative}\"")), "{}", route.path);
        }
    }

    #[test]
    fn an_unknown_path_is_guarded() {
        assert_eq!(access_to("/nowhere"), Access::Trusted);
        assert_eq!(access_to("/livez/"), Access::Trusted);
    }
}
