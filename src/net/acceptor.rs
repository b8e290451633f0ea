//! Accepting: who may come in, and to which worker.
//!
//! A new connection goes to the worker that has fewest, so that 2N connections on N workers lie two on
//! each; that is not left to the kernel. It never changes its worker.

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::command::client::{Address, Client};
use crate::engine::Engine;
use crate::observe::{Counter, Limited, Refusal};

use super::listener::BoundListener;
use super::stream::Accepted;
use super::tls::{Arriving, Handshakes, Tls};

/// What a worker receives: a connection and its record.
pub type Arrivals = UnboundedSender<(Accepted, Arc<Client>)>;

/// Accepts on all listeners. Lives on the main thread's runtime.
pub struct Acceptor {
    engine: Arc<Engine>,
    workers: Vec<Arrivals>,
    tls: Arc<Tls>,
    /// Started with the first listener for TLS.
    handshakes: OnceLock<Handshakes>,
    tcp: Mutex<Vec<Listening>>,
    secure: Mutex<Vec<Listening>>,
    unix: Mutex<Vec<Listening>>,
    runtime: tokio::runtime::Handle,
}

/// A listener at work.
struct Listening {
    task: JoinHandle<()>,
    /// The listener's socket once more: the task's own is closed only when the runtime comes round to it,
    /// and until then its port would be taken.
    socket: Option<Socket>,
}

impl Listening {
    /// Stops listening at once. The task that is given back ends soon after.
    fn close(self) -> JoinHandle<()> {
        self.task.abort();
        if let Some(socket) = self.socket {
            // It can fail only if the socket listens no longer.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.task
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// Handshakes that failed.
static HANDSHAKES: Limited = Limited::new();

const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no \
password is set for the default user. In this mode connections are only accepted from the loopback interface. \
If you want to connect from external computers to Redis you may adopt one of the following solutions: \
1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface \
by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly \
accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. \
2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting \
the protected mode option to 'no', and then restarting the server. \
3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. \
4) Setup a an authentication password for the default user. \
NOTE: You only need to do one of the above things in order for the server to start accepting connections from \
the outside.\r\n";

impl Acceptor {
    /// An acceptor for these workers, whose tasks run on `runtime`.
    pub fn new(
        engine: Arc<Engine>,
        workers: Vec<Arrivals>,
        tls: Arc<Tls>,
        runtime: tokio::runtime::Handle,
    ) -> Acceptor {
        Acceptor {
            engine,
            workers,
            tls,
            handshakes: OnceLock::new(),
            tcp: Mutex::default(),
            secure: Mutex::default(),
            unix: Mutex::default(),
            runtime,
        }
    }

    /// Accepts on these TCP listeners, and no longer on those of before.
    pub fn listen_tcp(self: &Arc<Self>, listeners: Vec<BoundListener>) {
        let tasks = listeners.into_iter().map(|listener| self.spawn(listener, false)).collect();
        replace(&self.tcp, tasks);
    }

    /// Accepts clients that speak TLS on these TCP listeners, and no longer on those of before.
    ///
    /// # Errors
    /// There are no threads for handshakes.
    pub fn listen_tls(self: &Arc<Self>, listeners: Vec<BoundListener>) -> io::Result<()> {
        if !listeners.is_empty() && self.handshakes.get().is_none() {
            // Another thread may have been first; then its threads are used.
            let _ = self.handshakes.set(Handshakes::start(self.workers.len())?);
        }
        let tasks = listeners.into_iter().map(|listener| self.spawn(listener, true)).collect();
        replace(&self.secure, tasks);
        Ok(())
    }

    /// Accepts on a unix socket.
    pub fn listen_unix(self: &Arc<Self>, listener: BoundListener) {
        replace(&self.unix, vec![self.spawn(listener, false)]);
    }

    fn spawn(self: &Arc<Self>, listener: BoundListener, secure: bool) -> Listening {
        let acceptor = Arc::clone(self);
        // Without a second descriptor, which can lack only where there are none left, it closes a little later.
        let socket = match &listener {
            BoundListener::Tcp(listener) => SockRef::from(listener).try_clone().ok(),
            BoundListener::Unix(listener, _) => SockRef::from(listener).try_clone().ok(),
        };
        Listening {
            task: self.runtime.spawn(async move { acceptor.accept_all(listener, secure).await }),
            socket,
        }
    }

    /// Stops accepting over TCP, with TLS and without. The addresses are free when this returns.
    pub fn close_tcp(&self) {
        replace(&self.tcp, Vec::new());
        replace(&self.secure, Vec::new());
    }

    /// Closes the listeners.
    pub fn close(&self) {
        self.close_tcp();
        replace(&self.unix, Vec::new());
    }

    /// Closes the listeners, and is ready when they are closed: their addresses are free then.
    pub async fn closed(&self) {
        for listeners in [&self.tcp, &self.secure, &self.unix] {
            for listening in take(listeners) {
                // It ends as one that was given up.
                let _ = listening.close().await;
            }
        }
    }

    async fn accept_all(self: Arc<Self>, listener: BoundListener, secure: bool) {
        match listener {
            BoundListener::Tcp(listener) => {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                loop {
                    let accepted = listener.accept().await.and_then(|(stream, _)| stream.into_std());
                    self.arrived(accepted.map(Accepted::Tcp), secure).await;
                }
            }
            BoundListener::Unix(listener, path) => {
                let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
                loop {
                    let accepted = listener.accept().await.and_then(|(stream, _)| stream.into_std());
                    let accepted = accepted.map(|stream| Accepted::Unix(stream, path.clone()));
                    self.arrived(accepted, false).await;
                }
            }
        }
    }

    async fn arrived(self: &Arc<Self>, accepted: io::Result<Accepted>, secure: bool) {
        match accepted {
            Ok(accepted) => self.place(accepted, secure),
            // The listener was shut down: CONFIG SET moved it, or the server ends. Its task is given up.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => std::future::pending().await,
            Err(error) => {
                // Out of descriptors, mostly. Trying again at once would only burn the processor.
                tracing::warn!(%error, "Error accepting a client connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn place(self: &Arc<Self>, accepted: Accepted, secure: bool) {
        let stats = self.engine.stats.outside();
        let settings = self.engine.config.current();
        if self.engine.clients.count() >= settings.maxclients as usize {
            stats.incr(Counter::ConnectionsRejected);
            stats.refused(Refusal::MaxClients);
            if !secure {
                accepted.refuse("-ERR max number of clients reached\r\n");
            }
            return;
        }
        let (address, local) = accepted.addresses();
        // Over TLS it is said once it can be: behind the handshake.
        if !secure && !self.is_let_in(&address) {
            accepted.refuse(PROTECTED);
            return;
        }
        stats.incr(Counter::ConnectionsReceived);
        if let Err(error) = prepare(&accepted, settings.tcp_keepalive_s) {
            tracing::debug!(%error, "A connection was closed before it could be served");
            return;
        }
        let worker = self.emptiest();
        let id = self.engine.clients.next_id();
        let client = Client::new(id, address, local, accepted.fd(), worker, self.engine.clock.unix_ms());
        let client = Arc::new(client);
        // Entered here, so that the next connection already sees it in the worker's count.
        self.engine.clients.add(Arc::clone(&client));
        tracing::trace!(client = id, address = %client.address, "Accepted");
        match accepted {
            Accepted::Tcp(socket) if secure => self.shake_hands(socket, client),
            accepted => self.hand_over(accepted, client),
        }
    }

    /// Whether protected mode lets a peer in.
    fn is_let_in(&self, address: &Address) -> bool {
        let outside = matches!(address, Address::Tcp(peer) if !peer.ip().is_loopback());
        let open = || self.engine.server.acl().table().default_user().needs_no_password();
        if outside && self.engine.config.current().protected_mode && open() {
            let stats = self.engine.stats.outside();
            stats.incr(Counter::ConnectionsRejected);
            stats.refused(Refusal::ProtectedMode);
            return false;
        }
        true
    }

    fn hand_over(&self, accepted: Accepted, client: Arc<Client>) {
        if self.workers[client.worker].send((accepted, Arc::clone(&client))).is_err() {
            self.engine.clients.remove(&client);
        }
    }

    /// Lets a client agree with us on TLS, elsewhere, and goes on with it then.
    fn shake_hands(self: &Arc<Self>, socket: std::net::TcpStream, client: Arc<Client>) {
        let (Some(contexts), Some(handshakes)) = (self.tls.contexts(), self.handshakes.get()) else {
            // A listener for TLS is not opened before both are there.
            self.engine.clients.remove(&client);
            return;
        };
        let acceptor = Arc::clone(self);
        let waiting = Arc::clone(&client);
        let done = move |agreed| match agreed {
            Ok(established) => {
                let accepted = Accepted::Tls(Box::new(established));
                if acceptor.is_let_in(&waiting.address) {
                    acceptor.hand_over(accepted, waiting);
                } else {
                    acceptor.engine.clients.remove(&waiting);
                    accepted.refuse(PROTECTED);
                }
            }
            Err(error) => {
                acceptor.engine.stats.outside().refused(Refusal::TlsHandshake);
                let (client, address) = (waiting.id, &waiting.address);
                HANDSHAKES.write(&acceptor.engine.stats, acceptor.engine.clock.stamp(), || {
                    tracing::warn!(client, %address, "Error accepting a client connection: {error}");
                });
                acceptor.engine.clients.remove(&waiting);
            }
        };
        let patience_s = self.engine.config.current().tls_handshake_timeout_s;
        handshakes.begin(Arriving {
            socket,
            config: Arc::clone(&contexts.server),
            client,
            patience: Duration::from_secs(u64::from(patience_s)),
            done: Box::new(done),
        });
    }

    fn emptiest(&self) -> usize {
        (0..self.workers.len()).min_by_key(|&worker| self.engine.clients.count_of(worker)).unwrap_or(0)
    }
}

fn take(listeners: &Mutex<Vec<Listening>>) -> Vec<Listening> {
    std::mem::take(&mut *listeners.lock().unwrap_or_else(PoisonError::into_inner))
}

fn replace(listeners: &Mutex<Vec<Listening>>, by: Vec<Listening>) {
    let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *listeners, by).into_iter().for_each(|old| drop(old.close()));
}

fn prepare(accepted: &Accepted, keepalive_s: u32) -> io::Result<()> {
    if let Accepted::Unix(stream, _) = accepted {
        return stream.set_nonblocking(true);
    }
    let Some(stream) = accepted.tcp() else { return Ok(()) };
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    if keepalive_s > 0 {
        let interval = Duration::from_secs(u64::from(keepalive_s / 3).max(1));
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(u64::from(keepalive_s)))
            .with_interval(interval)
            .with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}
