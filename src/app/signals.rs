//! SIGTERM and SIGINT.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for a signal that asks the server to end, and names it.
pub(super) async fn asked_to_end() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
