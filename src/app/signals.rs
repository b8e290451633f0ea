//! SIGTERM and SIGINT, which end the server, and SIGHUP, which does not.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the server to end. From `listen` on none ends the process by itself, and none is lost.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A closed terminal sends it. Caught and never looked at: as in Redis it ends nothing.
    _hang_up: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal, and names it.
    pub(super) async fn asked_to_end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for SIGINT: somebody at the terminal asks with Ctrl-C. A supervisor's second SIGTERM is no hurry.
    pub(super) async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
}
