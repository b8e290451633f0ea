//! Commands that are traced: noted when they have run, sent when their replies are written.
//!
//! All of this is asked only while traces are on.

use crate::clock::Stamp;
use crate::command::observed::{Call, is_slow};
use crate::command::row::Flags;
use crate::command::{Args, Session};
use crate::observe::trace::parts::{self, Parts};
use crate::observe::trace::{Caller, CommandSpan, PartSpan, Stages};
use crate::resp::Encoder;
use crate::store::Moment;

use super::super::unit::Ended;
use super::Worker;
use super::batch::{Batch, Connection};

/// Names of keys that a span carries at most, where it may carry any.
const MAX_KEY_NAMES: usize = 8;
/// Bytes of such a name beyond this many are left out.
const MAX_KEY_BYTES: usize = 128;

/// How far a command has come.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Came {
    /// It was not run.
    Refused,
    /// It has ended.
    Ended,
    /// It waits for somebody who serves it.
    Parked,
    /// Its work is done on another thread, and its reply follows.
    Elsewhere,
}

impl Came {
    pub(super) fn with(ended: &Ended) -> Came {
        match ended {
            Ended::Parked(_) => Came::Parked,
            Ended::Later(_) => Came::Elsewhere,
            Ended::Replied | Ended::Pushed | Ended::Close => Came::Ended,
        }
    }
}

/// A command that may be traced.
pub(super) struct Seen<'a> {
    /// `None` where there is none of its name.
    pub(super) command: Option<usize>,
    pub(super) args: &'a Args<'a>,
    pub(super) ran_ns: u64,
    pub(super) lock_wait_ns: u64,
    pub(super) came: Came,
    pub(super) error: Option<String>,
}

/// A command that is traced.
#[derive(Debug)]
pub(super) struct Sampled {
    name: &'static str,
    /// Its index, where its time is counted already.
    measured: Option<usize>,
    database: u32,
    client: u64,
    keys: usize,
    key_names: Vec<String>,
    batch: usize,
    began: Stamp,
    parse_nanos: u64,
    lock_wait_nanos: u64,
    run_nanos: u64,
    blocked_nanos: u64,
    error: Option<String>,
    caller: Option<Box<Caller>>,
    /// The caller wants it, or chance; otherwise it is kept if it is slow.
    is_drawn: bool,
    calls: Option<usize>,
    parts: Parts,
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
        for one in std::mem::take(&mut self.sampled) {
            self.send(&one, write_nanos.unwrap_or(0));
        }
    }

    /// A command took long enough to be noted.
    #[cold]
    pub(super) fn note(&mut self, call: Call<'_>, moment: Moment, took_ns: u64, lock_wait_ns: u64) {
        let stats = &self.engine.stats;
        let noted =
            call.note(stats, &self.settings, moment.now_ms + took_ns / 1_000_000, took_ns, lock_wait_ns);
        self.slow.extend(noted);
    }

    /// A command begins that runs others: while traces are on they are noted, in case it is traced.
    #[inline]
    pub(super) fn note_parts(&self) {
        if self.tracer.is_on() {
            parts::begin();
        }
    }

    /// Notes a command for its trace if it is to have one: because its caller says so, by chance, or because it
    /// was slow. One that waits is given back, to be sent when it has ended.
    #[cold]
    pub(super) fn trace_seen(
        &mut self,
        session: &mut Session,
        batch: &Batch<'_>,
        seen: Seen<'_>,
    ) -> Option<Box<Sampled>> {
        let registered = seen.command.map(|index| batch.engine.registry.get(index));
        let flags = registered.map_or(Flags::NONE, |registered| registered.row.flags);
        // What was refused has noted none: what is there belongs to a script that lets others have their turn.
        let runs_others = flags.any(Flags::TRIES.with(Flags::EXECUTES_QUEUE)) && seen.came != Came::Refused;
        let parts = if runs_others { parts::end() } else { Parts::default() };
        // What was said about a transaction is about its end.
        let is_queueing = session.multi.is_some() && !flags.has(Flags::EXECUTES_QUEUE);
        let keeps = is_queueing || flags.has(Flags::KEEPS_CALLER);
        let caller = if keeps { None } else { session.caller.take() };
        let is_drawn = self.tracer.sample(caller.as_deref());
        // Who waits is not slow; whether work elsewhere is will be known when it is done.
        let is_kept = match seen.came {
            Came::Parked => false,
            Came::Elsewhere => true,
            Came::Refused | Came::Ended => is_slow(&self.settings, seen.ran_ns),
        };
        if !is_drawn && !is_kept {
            return None;
        }
        let sampled = Sampled {
            name: registered.map_or("unknown", |registered| registered.full_name),
            measured: seen.command.filter(|_| seen.came == Came::Ended),
            database: session.database as u32,
            client: session.client.id,
            keys: seen.args.keys().len(),
            key_names: if self.settings.trace_keys { key_names(seen.args) } else { Vec::new() },
            batch: batch.commands + 1,
            began: batch.stamp,
            parse_nanos: self.parse_nanos,
            lock_wait_nanos: seen.lock_wait_ns,
            run_nanos: seen.ran_ns.saturating_sub(seen.lock_wait_ns),
            blocked_nanos: 0,
            error: seen.error,
            caller,
            is_drawn,
            calls: (runs_others && flags.has(Flags::TRIES)).then_some(parts.total),
            parts,
        };
        if matches!(seen.came, Came::Parked | Came::Elsewhere) {
            return Some(Box::new(sampled));
        }
        self.sampled.push(sampled);
        None
    }

    /// What a command of this connection has waited for has come, or comes no more; with the error that it ends with.
    #[inline]
    pub fn waited(&mut self, connection: &mut Connection, error: Option<&str>) {
        if let Some(one) = connection.awaited.take() {
            self.send_waited(*one, error);
        }
    }

    #[cold]
    fn send_waited(&mut self, mut one: Sampled, error: Option<&str>) {
        let passed_ns = self.wall.stamp().saturating_sub(one.began);
        if !one.is_drawn && !is_slow(&self.settings, passed_ns) {
            return;
        }
        one.blocked_nanos = passed_ns.saturating_sub(one.lock_wait_nanos + one.run_nanos);
        one.error = error.map(str::to_owned);
        self.send(&one, 0);
    }

    fn send(&mut self, one: &Sampled, write_nanos: u64) {
        let now_unix_ns = self.engine.clock.unix_us() * 1_000;
        let now = self.wall.stamp();
        let unix_ns = |stamp: Stamp| now_unix_ns.saturating_sub(now.saturating_sub(stamp));
        let parts = one.parts.kept.iter().map(|part| PartSpan {
            name: part.name,
            start_unix_nanos: unix_ns(part.began),
            nanos: part.nanos,
            error: part.error.as_deref(),
        });
        let parts: Vec<PartSpan<'_>> = parts.collect();
        self.tracer.command(&CommandSpan {
            name: one.name,
            measured: one.measured,
            db: one.database,
            start_unix_nanos: unix_ns(one.began).saturating_sub(one.parse_nanos),
            stages: Stages {
                parse_nanos: one.parse_nanos,
                lock_wait_nanos: one.lock_wait_nanos,
                run_nanos: one.run_nanos,
                blocked_nanos: one.blocked_nanos,
                write_nanos,
            },
            keys: one.keys,
            key_names: &one.key_names,
            batch: one.batch,
            worker: self.index,
            client: one.client,
            error: one.error.as_deref(),
            caller: one.caller.as_deref(),
            only_slow: !one.is_drawn,
            queued: one.parts.queued,
            calls: one.calls,
            parts: &parts,
        });
    }
}

/// The error that a command's reply begins with, if it is one.
pub(super) fn error_of(out: &Encoder, mark: usize) -> Option<String> {
    let reply = out.as_slice().get(mark..)?.strip_prefix(b"-")?;
    let end = reply.iter().position(|&byte| byte == b'\r').unwrap_or(reply.len());
    Some(String::from_utf8_lossy(&reply[..end]).into_owned())
}

/// The names of a command's first keys, cut.
fn key_names(args: &Args<'_>) -> Vec<String> {
    let name = |at: u32| {
        let key = args.get(at as usize);
        String::from_utf8_lossy(&key[..key.len().min(MAX_KEY_BYTES)]).into_owned()
    };
    args.keys().iter().take(MAX_KEY_NAMES).map(|key| name(key.arg)).collect()
}
