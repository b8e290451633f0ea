//! The connection of a replica: what happens is sent to it as it happens.

use std::io;
use std::task::Context;

use crate::observe::Limited;
use crate::observe::log::QUOTES;
use crate::replica::Taken;

use super::{Task, Woken};

/// So many pieces of the stream are sent before the connection looks for input and others have their turn.
const PIECES_A_TURN: usize = 16;
/// Replicas that were closed for what they sent.
static REPLIES: Limited = Limited::new();

impl Task {
    /// Sends what is next for the replica as far as its socket takes it. Nothing when that is all: then it is woken
    /// by what comes.
    pub(super) fn send_stream(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Woken>> {
        let Some(link) = self.client.link().cloned() else { return Ok(None) };
        let engine = std::sync::Arc::clone(&self.engine);
        let shared = std::rc::Rc::clone(&self.shared);
        for _ in 0..PIECES_A_TURN {
            let now_ms = engine.clock.stamp() / 1_000_000;
            let out = &mut shared.borrow_mut().out;
            match engine.server.replication().take(&link, out, now_ms) {
                Taken::Nothing => return Ok(None),
                Taken::Over => return Ok(Some(Woken::Closed)),
                Taken::Bytes(_) => {
                    self.write_now(cx, out, engine.clock.stamp())?;
                    self.note_pending();
                    if !self.pending.is_empty() {
                        return Ok(Some(Woken::Mail));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(None)
    }

    /// A replica is sent the stream alone: one whose command was answered is none, and its connection ends.
    pub(super) fn reject_replies(&self, out: &mut Vec<u8>) -> io::Error {
        let line = out.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let (client, address, line) = (self.client.id, &self.client.address, line.escape_ascii());
        REPLIES.write(&self.engine.stats, self.engine.clock.stamp(), || {
            tracing::warn!(
                target: QUOTES,
                client,
                %address,
                "Replica generated a reply to a command, disconnecting it: '{line}'"
            );
        });
        out.clear();
        io::Error::from(io::ErrorKind::ConnectionAborted)
    }
}
