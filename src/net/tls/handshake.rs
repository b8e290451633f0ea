//! Agreeing on TLS, on threads of their own: the arithmetic of a handshake takes as long as hundreds of commands.
//!
//! Whoever stalls in the middle costs a socket and what rustls has of it, counts towards `maxclients`, and is closed
//! after `tls-handshake-timeout`.

use std::future::{Future as _, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::command::client::{Client, ClientFlag};

use super::records::{Established, Forward, Session, TlsStream, say, say_goodbye};

/// A handshake is a few thousand bytes; a long chain of certificates some more.
const MOST_BYTES: usize = 64 * 1024;
/// What a record of a handshake begins with.
const HANDSHAKE_RECORD: u8 = 22;

/// A connection that has yet to agree on TLS.
pub(crate) struct Arriving {
    pub(crate) socket: std::net::TcpStream,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) client: Arc<Client>,
    pub(crate) patience: Duration,
    /// Called at the end, with what goes to the worker or with why nothing does.
    pub(crate) done: Finish,
}

/// The threads on which connections agree.
pub(crate) struct Handshakes {
    threads: Vec<UnboundedSender<Arriving>>,
    next: AtomicUsize,
}

impl Handshakes {
    /// Starts them.
    pub(crate) fn start(count: usize) -> io::Result<Handshakes> {
        let mut threads = Vec::new();
        for index in 0..count {
            let (sender, receiver) = unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // It ends with the process, or when nobody can send it anything any more.
            std::thread::Builder::new().name(format!("handshake-{index}")).spawn(move || {
                tokio::task::LocalSet::new().block_on(&runtime, serve(receiver));
            })?;
            threads.push(sender);
        }
        Ok(Handshakes { threads, next: AtomicUsize::new(0) })
    }

    /// Lets a connection agree.
    pub(crate) fn begin(&self, arriving: Arriving) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len().max(1);
        let unsent = match self.threads.get(index) {
            Some(thread) => thread.send(arriving).map_err(|error| error.0),
            None => Err(arriving),
        };
        if let Err(arriving) = unsent {
            (arriving.done)(Err("there is no thread for handshakes".to_owned()));
        }
    }
}

async fn serve(mut receiver: UnboundedReceiver<Arriving>) {
    while let Some(arriving) = receiver.recv().await {
        tokio::task::spawn_local(async move {
            let Arriving { socket, config, client, patience, done } = arriving;
            let done = Done(Some(done));
            let forward = Arc::new(Forward::default());
            client.set_waker(&Waker::from(Arc::clone(&forward)));
            let mut agreeing = std::pin::pin!(tokio::time::timeout(patience, agree_on(socket, config)));
            let result = poll_fn(|cx| {
                forward.point_at(cx.waker());
                if client.has(ClientFlag::Killed) {
                    return Poll::Ready(Err("the client was killed".to_owned()));
                }
                agreeing.as_mut().poll(cx).map(|result| {
                    let late = |_| format!("no handshake within {} seconds", patience.as_secs());
                    result.map_err(late).and_then(|agreed| agreed)
                })
            })
            .await;
            done.call(result.map(|(socket, session)| Established { socket, session, forward }));
        });
    }
}

type Finish = Box<dyn FnOnce(Result<Established, String>) + Send>;

/// Whatever happens, the end is told: a client in the table that nobody serves would never leave it.
struct Done(Option<Finish>);

impl Done {
    fn call(mut self, result: Result<Established, String>) {
        if let Some(finish) = self.0.take() {
            finish(result);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(finish) = self.0.take() {
            finish(Err("the handshake was cut off".to_owned()));
        }
    }
}

async fn agree_on(
    socket: std::net::TcpStream,
    config: Arc<ServerConfig>,
) -> Result<(std::net::TcpStream, Session), String> {
    let words = |error: io::Error| error.to_string();
    let mut socket = TcpStream::from_std(socket).map_err(words)?;
    let session = agree(&mut socket, config).await?;
    Ok((socket.into_std().map_err(words)?, session))
}

async fn agree(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    config: Arc<ServerConfig>,
) -> Result<Session, String> {
    let words = |error: io::Error| error.to_string();
    let tls = UnbufferedServerConnection::new(config).map_err(|error| error.to_string())?;
    let mut session = Session::new(tls);
    let mut incoming = BytesMut::new();
    let mut is_first = true;
    while session.is_shaking() {
        if incoming.len() > MOST_BYTES {
            return Err("the client's handshake is too long".to_owned());
        }
        if socket.read_buf(&mut incoming).await.map_err(words)? == 0 {
            return Err("the client closed the connection in the handshake".to_owned());
        }
        if std::mem::take(&mut is_first) && incoming[0] != HANDSHAKE_RECORD {
            return Err("the client does not speak TLS".to_owned());
        }
        let shaken = session.shake(&mut incoming);
        let sent = socket.write_all(&std::mem::take(&mut session.outgoing)).await;
        shaken.map_err(|error| error.to_string())?;
        sent.map_err(words)?;
        // Who says good-bye right behind the handshake is answered what came before it.
        if session.is_over() && session.is_shaking() {
            return Err("the client closed the connection in the handshake".to_owned());
        }
    }
    session.incoming = incoming.to_vec();
    Ok(session)
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// The server's side of a connection over any stream of bytes: it agrees as on a thread for handshakes, and what
    /// comes back opens and seals as a worker does. The fuzz target for TLS needs no sockets so.
    ///
    /// # Errors
    /// Why no connection comes of it, in words for the log.
    pub async fn agreed(mut stream: S, config: Arc<ServerConfig>) -> Result<TlsStream<S>, String> {
        let session = agree(&mut stream, config).await?;
        Ok(TlsStream::over(stream, session))
    }
}

impl Established {
    /// A last word to a client that is not served.
    pub(crate) fn refuse(mut self, text: &str) {
        let socket = SockRef::from(&self.socket);
        if !text.is_empty() {
            say(&mut self.session, &socket, text);
        }
        say_goodbye(&mut self.session, &socket);
    }
}
