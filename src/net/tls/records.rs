//! A connection's records: what is read is opened, what is written is sealed.
//!
//! rustls keeps no buffers here. What one read of the socket brought is opened where the worker reads into, sealed
//! replies leave from a buffer of the thread, and a connection holds bytes of its own only between the pieces of a
//! record, or while its socket takes no more. An idle one holds none.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::{Buf, BytesMut};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, WriteTraffic};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Sealed bytes read at once, and what a record of which a part had come before may add.
const SEALED_BYTES: usize = 64 * 1024 + LONGEST_RECORD;
/// A record of 16 KiB with what is around it.
const LONGEST_RECORD: usize = 5 + 16 * 1024 + 2048;
/// Bytes sealed at once: what they become waits in the connection while its socket is full.
const SEAL_BYTES: usize = 64 * 1024;
/// Room for what sealing adds to them, and for what rustls has to say by itself.
const SEAL_ROOM: usize = SEAL_BYTES + 8 * 1024;

thread_local! {
    /// Where the connections of a thread read, one after another.
    static SEALED: RefCell<Vec<u8>> = RefCell::new(vec![0; SEALED_BYTES]);
    /// Where they seal.
    static OUTGOING: RefCell<Vec<u8>> = RefCell::new(vec![0; SEAL_ROOM]);
}

/// Where opened bytes go.
pub trait Room {
    /// How many bytes it takes.
    fn room(&self) -> usize;
    /// Takes so many at most.
    fn put(&mut self, bytes: &[u8]);
}

impl Room for ReadBuf<'_> {
    fn room(&self) -> usize {
        self.remaining()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// What has been reserved is taken, and no more.
impl Room for BytesMut {
    fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The TLS of a connection, apart from its socket.
pub(super) struct Session {
    tls: UnbufferedServerConnection,
    /// What has been read and not opened yet.
    pub(super) incoming: Vec<u8>,
    /// More has to come before any of it can be opened.
    is_part: bool,
    /// What was opened and found no room, from `given` on.
    opened: Vec<u8>,
    given: usize,
    /// What is to be sent and the socket has not taken, from `sent` on.
    pub(super) outgoing: Vec<u8>,
    sent: usize,
    /// So many bytes of the last write are sealed and counted once all of `outgoing` has gone.
    promised: usize,
    /// The other side has said that it sends no more.
    is_over: bool,
    /// A fault has ended it: rustls is not to be asked any more.
    is_broken: bool,
}

/// What came behind the handshake, in the same packet: it is kept for the worker.
impl Room for Vec<u8> {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(tls: UnbufferedServerConnection) -> Session {
        Session {
            tls,
            incoming: Vec::new(),
            is_part: false,
            opened: Vec::new(),
            given: 0,
            outgoing: Vec::new(),
            sent: 0,
            promised: 0,
            is_over: false,
            is_broken: false,
        }
    }

    /// Whether both sides have yet to agree.
    pub(super) fn is_shaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether the other side has said that it sends no more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// One more look at what came during the handshake.
    pub(super) fn shake(&mut self, incoming: &mut BytesMut) -> Result<(), rustls::Error> {
        let mut early = std::mem::take(&mut self.opened);
        let used = self.open(incoming, &mut early);
        self.opened = early;
        incoming.advance(used?);
        Ok(())
    }

    /// Opens records as long as there is room: how many of the sealed bytes are done with. After an error what the
    /// other side is to hear of it is in `outgoing`.
    fn open(&mut self, sealed: &mut [u8], room: &mut impl Room) -> Result<usize, rustls::Error> {
        let mut used = 0;
        self.is_part = false;
        while room.room() > 0 && !self.is_over && !self.is_part {
            let status = self.tls.process_tls_records(&mut sealed[used..]);
            used += status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        used += record.discard;
                        let (fits, rest) = record.payload.split_at(record.payload.len().min(room.room()));
                        room.put(fits);
                        self.opened.extend_from_slice(rest);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                // It goes out in its order with what is sealed next.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => self.is_over = true,
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => {
                    self.is_part = true;
                }
                Ok(_) => return Err(rustls::Error::General("there is no early data here".to_owned())),
                Err(error) => {
                    self.is_broken = true;
                    // An alert is given out before anything else is looked at, from the bytes that are left.
                    let rest = &mut sealed[used..];
                    if let Ok(ConnectionState::EncodeTlsData(data)) = self.tls.process_tls_records(rest).state
                    {
                        encode(data, &mut self.outgoing);
                    }
                    return Err(error);
                }
            }
        }
        Ok(used)
    }

    /// Seals into a buffer: how many bytes it takes then.
    fn seal(&mut self, bytes: &[u8], into: &mut [u8]) -> io::Result<usize> {
        self.ready_to_send(|traffic| traffic.encrypt(bytes, into))
    }

    /// Comes to the state in which rustls takes something to be sent.
    fn ready_to_send(
        &mut self,
        send: impl FnOnce(&mut Sending<'_>) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // rustls knows places in what it has seen and not done with: it is shown that again.
        let mut held = std::mem::take(&mut self.incoming);
        let mut used = 0;
        let result = loop {
            let status = self.tls.process_tls_records(&mut held[used..]);
            used += status.discard;
            match status.state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    break send(&mut traffic).map_err(io::Error::other);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        used += record.discard;
                        self.opened.extend_from_slice(record.payload);
                    }
                }
                // It may say that it sends no more, and still read.
                Ok(ConnectionState::PeerClosed) => self.is_over = true,
                Ok(_) => break Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => {
                    self.is_broken = true;
                    break Err(io::Error::other(error));
                }
            }
        };
        held.drain(..used);
        self.incoming = held;
        result
    }
}

type Sending<'c> = WriteTraffic<'c, ServerConnectionData>;

/// Puts what rustls has to say behind what is to be sent.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) {
    let from = outgoing.len();
    if let Err(EncodeError::InsufficientSize(short)) = data.encode(&mut []) {
        outgoing.resize(from + short.required_size, 0);
        let wrote = data.encode(&mut outgoing[from..]).unwrap_or(0);
        outgoing.truncate(from + wrote);
    }
}

/// A connection that has agreed on TLS, on its way to its worker.
#[derive(Debug)]
pub struct Established {
    pub(crate) socket: std::net::TcpStream,
    pub(super) session: Session,
    pub(super) forward: Arc<Forward>,
}

/// Passes a client's wake-ups on to the task that serves it now: a client knows one waker for life, and is served by
/// one task during the handshake and by another one after it.
#[derive(Debug, Default)]
pub(super) struct Forward(Mutex<Option<Waker>>);

impl Forward {
    pub(super) fn point_at(&self, waker: &Waker) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !target.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *target = Some(waker.clone());
        }
    }
}

impl Wake for Forward {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let target = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = target {
            waker.wake();
        }
    }
}

/// A connection on its worker's runtime.
#[derive(Debug)]
pub struct TlsStream<S = TcpStream> {
    socket: S,
    session: Session,
    /// Until the task of the connection has been seen.
    forward: Option<Arc<Forward>>,
}

impl TlsStream {
    pub(crate) fn register(established: Established) -> io::Result<TlsStream> {
        let Established { socket, session, forward } = established;
        Ok(TlsStream { socket: TcpStream::from_std(socket)?, session, forward: Some(forward) })
    }

    /// Says good-bye, if nothing waits before it: without it the other side takes the end for a fault.
    pub(crate) fn close(&mut self) {
        say_goodbye(&mut self.session, &SockRef::from(&self.socket));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn over(socket: S, session: Session) -> TlsStream<S> {
        TlsStream { socket, session, forward: None }
    }

    /// Reads and opens what is there: how many bytes, 0 at the end.
    ///
    /// # Errors
    /// The socket's, and what is no TLS or breaks its rules. The connection is over then.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut impl Room) -> Poll<io::Result<usize>> {
        if let Some(forward) = self.forward.take() {
            forward.point_at(cx.waker());
            // Whatever woke the task of the handshake in its last moment is looked at once more.
            cx.waker().wake_by_ref();
        }
        let session = &mut self.session;
        let before = room.room();
        if session.given < session.opened.len() {
            let rest = &session.opened[session.given..];
            let count = rest.len().min(before);
            room.put(&rest[..count]);
            session.given += count;
            if session.given == session.opened.len() {
                (session.opened, session.given) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(count));
        }
        loop {
            if let Poll::Pending = self.poll_send(cx)?
                && self.session.outgoing.len() - self.session.sent > SEAL_ROOM
            {
                // Who only asks and never reads is not answered without end.
                return Poll::Pending;
            }
            if self.session.is_over {
                return Poll::Ready(Ok(0));
            }
            let there = ready!(SEALED.with_borrow_mut(|sealed| self.poll_open(cx, sealed, room)))?;
            let opened = before - room.room();
            if opened > 0 || !there {
                // What rustls has to say goes out now if it can.
                let _ = self.poll_send(cx)?;
                return Poll::Ready(Ok(opened));
            }
        }
    }

    /// One read of the socket, unless enough is there already. False at its end.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        sealed: &mut [u8],
        room: &mut impl Room,
    ) -> Poll<io::Result<bool>> {
        let session = &mut self.session;
        let kept = session.incoming.len();
        if kept >= sealed.len() {
            // Pieces of a message of the handshake, in records of a byte each: nobody honest sends that.
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let mut filled = kept;
        if session.is_part || kept == 0 {
            let mut buffer = ReadBuf::new(&mut sealed[kept..]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            filled += buffer.filled().len();
            if filled == kept {
                return Poll::Ready(Ok(false));
            }
        }
        sealed[..kept].copy_from_slice(&session.incoming);
        match session.open(&mut sealed[..filled], room) {
            Ok(used) => {
                let rest = &sealed[used..filled];
                if rest.is_empty() {
                    session.incoming = Vec::new();
                } else {
                    session.incoming.clear();
                    session.incoming.extend_from_slice(rest);
                }
                Poll::Ready(Ok(true))
            }
            Err(error) => {
                let _ = self.poll_send(cx);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
        }
    }

    /// Seals and writes: how many bytes have gone altogether. When the socket is full some are sealed already: the
    /// next call has to begin with the same bytes.
    ///
    /// # Errors
    /// The socket's, and [`io::ErrorKind::BrokenPipe`] once the connection is over.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.session.promised == 0 && !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(SEAL_BYTES)];
            let whole = OUTGOING.with_borrow_mut(|into| self.seal_and_send(cx, piece, into))?;
            if whole {
                return Poll::Ready(Ok(piece.len()));
            }
            self.session.promised = piece.len();
        }
        debug_assert!(self.session.promised <= bytes.len(), "a write is repeated with the same bytes");
        ready!(self.poll_send(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.session.promised)))
    }

    /// Whether the socket took all of it; what it did not take waits.
    fn seal_and_send(&mut self, cx: &mut Context<'_>, piece: &[u8], into: &mut [u8]) -> io::Result<bool> {
        let sealed = self.session.seal(piece, into)?;
        let mut sent = 0;
        if self.session.outgoing.is_empty() {
            while sent < sealed {
                match Pin::new(&mut self.socket).poll_write(cx, &into[sent..sealed])? {
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(count) => sent += count,
                    Poll::Pending => break,
                }
            }
            if sent == sealed {
                return Ok(true);
            }
        }
        self.session.outgoing.extend_from_slice(&into[sent..sealed]);
        Ok(false)
    }

    /// Sends what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let session = &mut self.session;
        while session.sent < session.outgoing.len() {
            let rest = &session.outgoing[session.sent..];
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => session.sent += count,
            }
        }
        if session.sent > 0 {
            (session.outgoing, session.sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

/// Seals the end and writes it as far as the socket takes it.
pub(super) fn say_goodbye(session: &mut Session, socket: &SockRef<'_>) {
    if session.sent < session.outgoing.len() {
        return;
    }
    let mut words = [0; 256];
    if let Ok(count) = session.ready_to_send(|traffic| traffic.queue_close_notify(&mut words)) {
        // The other side may be gone, which is as good.
        let _ = socket.send(&words[..count]);
    }
}

/// Seals a text and writes it as far as the socket takes it.
pub(super) fn say(session: &mut Session, socket: &SockRef<'_>, text: &str) {
    let mut into = vec![0; text.len() + 1024];
    if let Ok(count) = session.seal(text.as_bytes(), &mut into) {
        // As above.
        let _ = socket.send(&into[..count]);
    }
}
