//! Where the server listens, and how it speaks TLS there: at the start, and as CONFIG SET changes it.

use std::sync::Arc;

use crate::config::{ApplyError, Flags, Row, Settings};
use crate::net::{BoundListener, Tls, bind_tcp, bind_unix};

use super::host::{Host, refused};

/// The chapter of the settings that say how TLS is spoken.
const CHAPTER: &str = "TLS";

const UNABLE: &str = "Unable to listen on this port. Check server logs.";

/// What is listened on from the start.
pub(super) struct Listeners {
    pub(super) tcp: Vec<BoundListener>,
    pub(super) tls: Vec<BoundListener>,
    pub(super) unix: Option<BoundListener>,
}

impl Listeners {
    /// Opens all that the settings name.
    pub(super) fn open(settings: &Settings) -> Result<Listeners, String> {
        let bind = |port, kind| {
            bind_tcp(&settings.bind, port, settings.tcp_backlog).map_err(|error| {
                tracing::warn!("{error}");
                format!("Failed listening on port {port} ({kind}), aborting.")
            })
        };
        let (tcp, tls) = (bind(settings.port, "TCP")?, bind(settings.tls_port, "TLS")?);
        let unix = match settings.unixsocket.as_str() {
            "" => None,
            path => {
                let bound = bind_unix(path, settings.unixsocketperm, settings.tcp_backlog);
                Some(bound.map_err(|error| format!("Failed opening Unix socket: {error}"))?)
            }
        };
        if tcp.is_empty() && tls.is_empty() && unix.is_none() {
            return Err("Configured to not listen anywhere, exiting.".to_owned());
        }
        Ok(Listeners { tcp, tls, unix })
    }
}

/// The port that is shown as the server's: the plain one, if there is one.
pub(super) fn shown_port(settings: &Settings) -> u16 {
    if settings.port != 0 { settings.port } else { settings.tls_port }
}

/// Reads what TLS needs, if anything is to use it.
pub(super) fn configure_at_start(tls: &Tls, settings: &Settings) -> Result<(), String> {
    if !Tls::is_wanted(settings) {
        return Ok(());
    }
    tls.configure(settings).map_err(|error| {
        tracing::warn!("{error}");
        "Failed to configure TLS. Check logs for more info.".to_owned()
    })
}

impl Host {
    /// Reads certificates and keys anew when a setting of TLS changes. `changed` has those whose files may have
    /// changed under their names, too.
    pub(super) fn change_tls(&self, new: &Settings, changed: &[&'static Row]) -> Result<(), ApplyError> {
        let row = changed.iter().find(|row| row.group == CHAPTER && row.flags.has(Flags::APPLIED));
        let Some(row) = row else { return Ok(()) };
        // What is in force is to stay in force: this takes a change back.
        if std::ptr::eq(new, Arc::as_ptr(&self.config.current())) {
            self.tls.put_back();
            return Ok(());
        }
        if !Tls::is_wanted(new) {
            return Ok(());
        }
        self.tls.configure(new).map_err(|error| {
            refused(row.name, "Unable to update TLS configuration. Check server logs.", &error)
        })
    }

    /// Listens where the new settings say.
    pub(super) fn change_listeners(&self, old: &Settings, new: &Settings) -> Result<(), ApplyError> {
        if (&old.bind, old.port, old.tls_port) == (&new.bind, new.port, new.tls_port) {
            return Ok(());
        }
        self.listen_again(old, new)
    }

    fn listen_again(&self, old: &Settings, new: &Settings) -> Result<(), ApplyError> {
        let Some(acceptor) = self.acceptor.get() else { return Ok(()) };
        let same_ports = (old.port, old.tls_port) == (new.port, new.tls_port);
        // The addresses of before are in the way of those they share and of `*`, and a port of the one kind is in
        // the way of the other kind. If the new ones fail, the change is rolled back, which listens on the old
        // ones again.
        let swapped =
            (new.port != 0 && new.port == old.tls_port) || (new.tls_port != 0 && new.tls_port == old.port);
        let all = same_ports || old.bind != new.bind || swapped;
        if all {
            acceptor.close_tcp();
        }
        let bind = |port, row| {
            let (row, reason) = match same_ports {
                true => ("bind", "Failed to bind to specified addresses."),
                false => (row, UNABLE),
            };
            bind_tcp(&new.bind, port, new.tcp_backlog).map_err(|error| refused(row, reason, &error))
        };
        if all || old.port != new.port {
            acceptor.listen_tcp(bind(new.port, "port")?);
        }
        if all || old.tls_port != new.tls_port {
            let listeners = bind(new.tls_port, "tls-port")?;
            acceptor.listen_tls(listeners).map_err(|error| refused("tls-port", UNABLE, &error))?;
        }
        Ok(())
    }

    /// Listens again where the settings say, after an end that did not come.
    pub(super) fn open_again(&self) -> Result<(), String> {
        let settings = self.config.current();
        self.listen_again(&settings, &settings).map_err(|error| error.message)?;
        let Some(acceptor) = self.acceptor.get().filter(|_| !settings.unixsocket.is_empty()) else {
            return Ok(());
        };
        let unix = bind_unix(&settings.unixsocket, settings.unixsocketperm, settings.tcp_backlog);
        acceptor.listen_unix(unix.map_err(|error| error.to_string())?);
        Ok(())
    }
}
