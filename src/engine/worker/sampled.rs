//! Commands that were drawn for a trace: noted when they have run, sent when their replies are written.

use crate::clock::Stamp;
use crate::command::observed::Call;
use crate::observe::trace::{CommandSpan, Stages};
use crate::resp::Encoder;
use crate::store::Moment;

use super::Worker;

/// A command that was drawn for a trace.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) name: &'static str,
    pub(super) database: u32,
    pub(super) client: u64,
    pub(super) keys: usize,
    pub(super) batch: usize,
    pub(super) began: Stamp,
    pub(super) lock_wait_nanos: u64,
    pub(super) run_nanos: u64,
    pub(super) error: Option<String>,
}

impl Worker {
    /// Whether commands of the last batch wait to hear how long the writing of their replies took.
    #[inline]
    pub fn wants_writing(&self) -> bool {
        !self.sampled.is_empty() || !self.slow.is_empty()
    }

    /// The replies of the last batch are written, which took so long; `None` when that was not seen.
    #[cold]
    pub fn wrote(&mut self, write_nanos: Option<u64>) {
        for stages in self.slow.drain(..) {
            if let Some(nanos) = write_nanos {
                stages.wrote(nanos);
            }
        }
        self.trace(write_nanos.unwrap_or(0));
    }

    /// A command took long enough to be noted.
    #[cold]
    pub(super) fn note(&mut self, call: Call<'_>, moment: Moment, took_ns: u64, lock_wait_ns: u64) {
        let stats = &self.engine.stats;
        let noted =
            call.note(stats, &self.settings, moment.now_ms + took_ns / 1_000_000, took_ns, lock_wait_ns);
        self.slow.extend(noted);
    }

    /// Sends the spans of the batch's sampled commands.
    fn trace(&mut self, write_nanos: u64) {
        let now_ns = self.engine.clock.unix_us() * 1_000;
        let now = self.wall.stamp();
        for one in std::mem::take(&mut self.sampled) {
            let before = now.saturating_sub(one.began) + self.parse_nanos;
            self.tracer.command(&CommandSpan {
                name: one.name,
                db: one.database,
                start_unix_nanos: now_ns.saturating_sub(before),
                stages: Stages {
                    parse_nanos: self.parse_nanos,
                    lock_wait_nanos: one.lock_wait_nanos,
                    run_nanos: one.run_nanos,
                    write_nanos,
                },
                keys: one.keys,
                batch: one.batch,
                worker: self.index,
                client: one.client,
                error: one.error.as_deref(),
            });
        }
    }
}

/// The error that a command's reply begins with, if it is one.
pub(super) fn error_of(out: &Encoder, mark: usize) -> Option<String> {
    let reply = out.as_slice().get(mark..)?.strip_prefix(b"-")?;
    let end = reply.iter().position(|&byte| byte == b'\r').unwrap_or(reply.len());
    Some(String::from_utf8_lossy(&reply[..end]).into_owned())
}
