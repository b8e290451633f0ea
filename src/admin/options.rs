//! What the admin server is started with, and why it may not start.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::network::IpNetwork;

/// How the admin server listens and whom it answers.
#[derive(Clone, Debug, Default)]
pub struct AdminOptions {
    /// Addresses to listen on; port 0 takes any free port.
    pub binds: Vec<SocketAddr>,
    /// More addresses, passed over where this machine does not have them: `-::1`.
    pub optional_binds: Vec<SocketAddr>,
    /// The bearer token. With one, every guarded route asks for it from every
    /// peer; without one, guarded routes answer trusted peers only.
    pub token: Option<Secret>,
    /// Whether `/metrics` answers everybody, as the probes do.
    pub metrics_public: bool,
    /// Networks that are trusted as loopback is, where no token is set.
    pub trusted_networks: Vec<IpNetwork>,
    /// Names that a `Host` header may have besides IP addresses, `localhost` and
    /// the machine's own name, where no token is set.
    pub hosts: Vec<String>,
    /// Sizes, times and counts.
    pub limits: Limits,
}

/// What one client may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. One more closes the one that was idle longest.
    pub connections: usize,
    /// Request line and headers together; at least 8 KiB are taken.
    pub header_bytes: usize,
    /// Request body. No route needs one.
    pub body_bytes: usize,
    /// From the connection, or the answer before, until the headers are complete.
    pub header_time: Duration,
    /// Until the body is complete, and again until the answer has been taken.
    pub request_time: Duration,
    /// Who may have the live figures at once.
    pub listeners: usize,
    /// How often these are read.
    pub live_period: Duration,
    /// How long [`AdminServer::stop`](super::AdminServer::stop) waits for requests that are under way.
    pub stop_time: Duration,
}

impl Default for Limits {
    /// Ample for probes, scrapes and people; small for anybody else.
    fn default() -> Limits {
        Limits {
            connections: 256,
            header_bytes: 16 * 1024,
            body_bytes: 16 * 1024,
            header_time: Duration::from_secs(10),
            request_time: Duration::from_secs(10),
            listeners: 32,
            live_period: Duration::from_secs(1),
            stop_time: Duration::from_secs(2),
        }
    }
}

/// A text that is never shown: the bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// Why a text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// Nothing is left after white space at both ends.
    Empty,
    /// A header cannot carry it: it has spaces, control characters or is not ASCII.
    NotPrintable,
}

impl Secret {
    /// Takes a token as a file or a variable holds it; white space at both ends,
    /// such as a file's last newline, is no part of it.
    ///
    /// # Errors
    /// [`SecretError`] when nothing is left, or what is left cannot stand in a header.
    pub fn new(text: &str) -> Result<Secret, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SecretError::NotPrintable);
        }
        Ok(Secret(text.as_bytes().into()))
    }

    /// Compares in a time that depends on the offered bytes' length only.
    pub(super) fn matches(&self, offered: &[u8]) -> bool {
        let Secret(own) = self;
        let mut different = u8::from(own.len() != offered.len());
        for (at, byte) in offered.iter().enumerate() {
            // A secret is never empty; the remainder only keeps the index inside it.
            different |= black_box(byte ^ own[at % own.len()]);
        }
        black_box(different) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SecretError::Empty => "the admin token is empty: give one or leave it out",
            SecretError::NotPrintable => "the admin token may hold printable ASCII without spaces only",
        })
    }
}

impl std::error::Error for SecretError {}

/// Why the admin server did not start.
#[derive(Debug)]
pub enum AdminError {
    /// An address cannot be listened on.
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Its runtime or thread cannot be made.
    Start(io::Error),
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminError::Bind { address, source } => {
                write!(f, "cannot listen for admin HTTP on {address}: {source}")
            }
            AdminError::Start(source) => write!(f, "cannot start the admin server: {source}"),
        }
    }
}

impl std::error::Error for AdminError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AdminError::Bind { source, .. } | AdminError::Start(source) => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_only() {
        let secret = Secret::new(" s3cret\n").unwrap();
        assert!(secret.matches(b"s3cret"));
        for offered in ["", "s3cre", "s3crets", "s3creT", "s3crets3cret", "3cret"] {
            assert!(!secret.matches(offered.as_bytes()), "{offered}");
        }
    }

    #[test]
    fn a_secret_is_never_empty_and_never_shown() {
        assert_eq!(Secret::new(" \n"), Err(SecretError::Empty));
        assert_eq!(Secret::new("a b"), Err(SecretError::NotPrintable));
        assert_eq!(format!("{:?}", Secret::new("abc").unwrap()), "Secret(hidden)");
    }
}
