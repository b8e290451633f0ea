//! SIGTERM and SIGINT, which end the server, and SIGHUP, which does not.

use std::{fmt, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks the server to end. Shown by its name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Terminate,
    Interrupt,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Asked::Terminate => "SIGTERM",
            Asked::Interrupt => "SIGINT",
        })
    }
}

/// The signals that ask the server to end. From `listen` on none ends the process by itself, and none is lost.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that asks to end, and answers SIGHUP meanwhile.
    ///
    /// A closed terminal sends it: as in Redis it ends nothing. Who rotates logs sends it too, after the file was moved
    /// away. As the log opens its file for each line there is nothing to open again, and the line that says so
    /// is the first of the new file, which is there from then on.
    pub(super) async fn asked_to_end(&mut self) -> Asked {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Asked::Terminate,
                _ = self.interrupt.recv() => return Asked::Interrupt,
                _ = self.hang_up.recv() => tracing::info!("Received SIGHUP: the log goes on here"),
            }
        }
    }

    /// Waits for SIGINT: somebody at the terminal asks with Ctrl-C. A supervisor's second SIGTERM is no hurry.
    pub(super) async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
}
