//! A connected socket: TCP, a unix socket, or TCP with TLS.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::command::client::Address;

use super::tls::{Established, TlsStream};

/// A connection as the acceptor hands it to a worker: not yet tied to a runtime.
#[derive(Debug)]
pub enum Accepted {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket, with its path.
    Unix(std::os::unix::net::UnixStream, String),
    /// TCP with TLS, after the handshake.
    Tls(Box<Established>),
}

impl Accepted {
    /// The peer's address and the local one.
    pub fn addresses(&self) -> (Address, Address) {
        match self.tcp() {
            Some(stream) => {
                let tcp = |address: io::Result<std::net::SocketAddr>| {
                    // An IPv4 peer of a dual-stack socket is shown as what it is.
                    address.map_or(Address::Internal, |address| {
                        Address::Tcp(std::net::SocketAddr::new(address.ip().to_canonical(), address.port()))
                    })
                };
                (tcp(stream.peer_addr()), tcp(stream.local_addr()))
            }
            None => match self {
                Accepted::Unix(_, path) => (Address::Unix(path.clone()), Address::Unix(path.clone())),
                _ => (Address::Internal, Address::Internal),
            },
        }
    }

    /// The TCP socket, if it is one.
    pub fn tcp(&self) -> Option<&std::net::TcpStream> {
        match self {
            Accepted::Tcp(stream) => Some(stream),
            Accepted::Tls(established) => Some(&established.socket),
            Accepted::Unix(..) => None,
        }
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        match self {
            Accepted::Tcp(stream) => stream.as_raw_fd(),
            Accepted::Unix(stream, _) => stream.as_raw_fd(),
            Accepted::Tls(established) => established.socket.as_raw_fd(),
        }
    }

    /// Writes a short last word and closes. What does not fit the socket's buffer is lost.
    pub fn refuse(self, text: &str) {
        use std::io::Write;
        // The peer may be gone already, which is as good.
        let _ = match self {
            Accepted::Tcp(mut stream) => stream.write_all(text.as_bytes()),
            Accepted::Unix(mut stream, _) => stream.write_all(text.as_bytes()),
            Accepted::Tls(established) => {
                established.refuse(text);
                Ok(())
            }
        };
    }
}

/// A connection on its worker's runtime.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// TCP with TLS.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Ties an accepted connection to the runtime of this thread.
    pub fn register(accepted: Accepted) -> io::Result<Stream> {
        match accepted {
            Accepted::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
            Accepted::Unix(stream, _) => UnixStream::from_std(stream).map(Stream::Unix),
            Accepted::Tls(established) => {
                TlsStream::register(*established).map(|stream| Stream::Tls(Box::new(stream)))
            }
        }
    }

    /// Reads what is there.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => stream.poll_read(cx, buffer).map_ok(|_| ()),
        }
    }

    /// Reads what is there to the end of a buffer, into the room that it has.
    pub fn poll_read_more(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => std::pin::pin!(stream.read_buf(buffer)).poll(cx),
            Stream::Unix(stream) => std::pin::pin!(stream.read_buf(buffer)).poll(cx),
            Stream::Tls(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// Writes as much as the socket takes. After `Pending` the next call begins with the same bytes.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Says good-bye where the protocol below has a word for it.
    pub fn close(&mut self) {
        if let Stream::Tls(stream) = self {
            stream.close();
        }
    }
}
