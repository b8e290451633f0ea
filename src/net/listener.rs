//! Listening sockets, as `bind`, `port`, `unixsocket` and `tcp-backlog` describe them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// A socket that listens.
#[derive(Debug)]
pub enum BoundListener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket, with its path.
    Unix(UnixListener, String),
}

/// Why a socket does not listen.
#[derive(Debug)]
pub struct ListenError {
    /// The address or path.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.source.kind() {
            io::ErrorKind::AddrInUse => ": another server listens there; choose another with --port",
            io::ErrorKind::PermissionDenied => {
                ": ports below 1024 need privileges; choose another with --port"
            }
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address; see `bind`",
            _ => "",
        };
        write!(f, "could not listen on {}: {}{hint}", self.address, self.source)
    }
}

impl std::error::Error for ListenError {}

/// Listens on every address of `bind` at `port`. An address that begins with `-` may be missing on this
/// machine; any other must work.
pub fn bind_tcp(bind: &[String], port: u16, backlog: u32) -> Result<Vec<BoundListener>, ListenError> {
    let mut listeners = Vec::new();
    if port == 0 {
        return Ok(listeners);
    }
    for name in bind {
        let (optional, name) = name.strip_prefix('-').map_or((false, name.as_str()), |rest| (true, rest));
        for address in resolve(name, port)? {
            match listen(address, backlog) {
                Ok(listener) => listeners.push(BoundListener::Tcp(listener)),
                Err(error) if optional && is_absent(&error) => {}
                Err(source) => return Err(ListenError { address: address.to_string(), source }),
            }
        }
    }
    Ok(listeners)
}

fn is_absent(error: &io::Error) -> bool {
    // What a machine without that address, or without IPv6 at all, answers.
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(error.raw_os_error(), Some(code) if code == nix::libc::EAFNOSUPPORT || code == nix::libc::EPROTONOSUPPORT || code == nix::libc::ENOPROTOOPT)
}

fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, ListenError> {
    match name {
        "*" => Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]),
        "::*" | "::" => Ok(vec![SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)]),
        name => {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let found = (name, port).to_socket_addrs().map(|found| found.take(1).collect());
            found.map_err(|source| ListenError { address: format!("{name}:{port}"), source })
        }
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // As Redis: IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Listens on a unix socket, in place of a stale one. `permissions` of 0 keeps what the umask gives.
pub fn bind_unix(path: &str, permissions: u32, backlog: u32) -> Result<BoundListener, ListenError> {
    let listen = || -> io::Result<UnixListener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&socket2::SockAddr::unix(Path::new(path))?)?;
        if permissions != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
        }
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(socket.into())
    };
    let listener = listen().map_err(|source| ListenError { address: path.to_owned(), source })?;
    Ok(BoundListener::Unix(listener, path.to_owned()))
}
