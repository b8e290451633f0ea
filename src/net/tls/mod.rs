//! TLS through rustls: what the settings say, the handshake, and a connection's records.
//!
//! [`Tls`] holds what connections begin with. It is made anew when a setting or a file changes (`contexts`,
//! `ciphers`, `keys`, `sessions`), and connections that are there keep what they began with. The handshake runs on
//! threads of its own (`handshake`), so that its arithmetic holds up no command; then the connection goes to its
//! worker as any other, and `records` opens and seals what it reads and writes.

mod ciphers;
mod contexts;
mod handshake;
mod keys;
mod peer;
mod records;
mod sessions;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::{ClientConfig, ServerConfig};

use crate::clock::Clock;
use crate::config::Settings;

pub(super) use handshake::{Arriving, Handshakes};
pub(super) use records::Established;
pub use records::{Room, TlsStream};

/// A connection that this server opened to another one.
pub type ToServer = rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream>;

/// What connections begin with.
#[derive(Debug)]
pub(super) struct Contexts {
    /// For clients that connect.
    pub(super) server: Arc<ServerConfig>,
    /// For connections that this server opens.
    client: Option<Arc<ClientConfig>>,
}

/// How this server speaks TLS, which CONFIG SET can change.
#[derive(Debug)]
pub struct Tls {
    clock: Clock,
    contexts: ArcSwapOption<Contexts>,
    /// What was before the last change, while that can still be taken back.
    before: Mutex<Option<Option<Arc<Contexts>>>>,
}

impl Tls {
    /// Without TLS, until [`Tls::configure`].
    pub fn new(clock: Clock) -> Tls {
        Tls { clock, contexts: ArcSwapOption::empty(), before: Mutex::default() }
    }

    /// Whether any connection is to use TLS.
    pub fn is_wanted(settings: &Settings) -> bool {
        settings.tls_port != 0 || settings.tls_replication || settings.tls_cluster
    }

    /// Reads the files that the settings name. New connections begin with them.
    ///
    /// # Errors
    /// What is wrong with a file or a setting, in words for the log. All is as it was then.
    pub fn configure(&self, settings: &Settings) -> Result<(), String> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = None;
        let contexts = contexts::read(settings, &self.clock)?;
        *before = Some(self.contexts.swap(Some(Arc::new(contexts))));
        Ok(())
    }

    /// Takes the last [`Tls::configure`] back, if it changed anything. No file is read: it may be gone.
    pub fn put_back(&self) {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(contexts) = before {
            self.contexts.store(contexts);
        }
    }

    /// What a connection begins with now.
    pub(super) fn contexts(&self) -> Option<Arc<Contexts>> {
        self.contexts.load_full()
    }

    /// Speaks TLS on a connection that this server opened to `host`, a name or an address. The other side has to
    /// show a certificate of an authority that is trusted; as in Redis its name is not compared.
    ///
    /// # Errors
    /// TLS is not configured, or `host` is no name. What the other side does wrong shows when it is talked to.
    pub fn connect(&self, host: &str, socket: std::net::TcpStream) -> std::io::Result<ToServer> {
        let unset = || std::io::Error::other("TLS is not configured");
        let config = self.contexts().and_then(|contexts| contexts.client.clone()).ok_or_else(unset)?;
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let connection = rustls::ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        Ok(rustls::StreamOwned::new(connection, socket))
    }
}
