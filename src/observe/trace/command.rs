//! The spans of a command: its own, one for each stage that mattered, and one for each command that it ran.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Array, Context, KeyValue, Value};

use super::On;
use super::context::Caller;
use crate::observe::exemplars::Exemplar;

/// A stage of a command becomes a span of its own from this share of the whole on: a
/// twentieth. All stages are attributes anyway.
const STAGE_SHARE: u64 = 20;

/// How long the stages of a command took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// From bytes to arguments.
    pub parse_nanos: u64,
    /// Waiting for the locks of its shards.
    pub lock_wait_nanos: u64,
    /// The handler.
    pub run_nanos: u64,
    /// Waiting for what the handler asked for: a key that somebody fills, or work on another thread.
    pub blocked_nanos: u64,
    /// The one write of the batch that the command was in; 0 where that happens in a later turn (docs/traces.md).
    pub write_nanos: u64,
}

impl Stages {
    /// The whole, in nanoseconds.
    pub fn total_nanos(self) -> u64 {
        self.named().iter().map(|(_, nanos)| nanos).sum()
    }

    /// In the order in which they happen.
    fn named(self) -> [(&'static str, u64); 5] {
        [
            ("parse", self.parse_nanos),
            ("lock_wait", self.lock_wait_nanos),
            ("run", self.run_nanos),
            ("blocked", self.blocked_nanos),
            ("write", self.write_nanos),
        ]
    }
}

/// A command that is traced and has run.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpan<'a> {
    /// Its name, as in the table of commands.
    pub name: &'static str,
    /// Its index there, where its histogram has counted the time that it waited for locks and ran.
    pub measured: Option<usize>,
    /// The database that was selected.
    pub db: u32,
    /// When its first stage began, in nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// How long each stage took.
    pub stages: Stages,
    /// How many keys it named.
    pub keys: usize,
    /// Their names, as far as they may be shown.
    pub key_names: &'a [String],
    /// How many commands ran in its batch, itself included.
    pub batch: usize,
    /// The worker that ran it.
    pub worker: usize,
    /// The id of the client, as CLIENT ID answers it.
    pub client: u64,
    /// The error's text without the leading `-`; only its code is sent.
    pub error: Option<&'a str>,
    /// In whose trace it is.
    pub caller: Option<&'a Caller>,
    /// It was not sampled, and is kept because it was slow.
    pub only_slow: bool,
    /// The commands of a transaction, where it is one.
    pub queued: Option<usize>,
    /// How many commands a script called, where it is one.
    pub calls: Option<usize>,
    /// Commands that it ran, as far as they were kept.
    pub parts: &'a [PartSpan<'a>],
}

/// A command that another one ran.
#[derive(Clone, Copy, Debug)]
pub struct PartSpan<'a> {
    /// Its name, as in the table of commands.
    pub name: &'static str,
    /// When it began, in nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// How long it took.
    pub nanos: u64,
    /// The error's text without the leading `-`; only its code is sent.
    pub error: Option<&'a str>,
}

impl On {
    pub(super) fn command(&self, command: &CommandSpan<'_>) {
        let total = command.stages.total_nanos();
        let matters = |nanos: u64| nanos > 0 && nanos.saturating_mul(STAGE_SHARE) >= total;
        let stages = command.stages.named();
        let children = stages.iter().filter(|(_, nanos)| matters(*nanos)).count() + command.parts.len();
        // One that has waited began long ago: what counts is the second in which it is sent.
        if !self.admit(1 + children as u64, (self.now)()) {
            return;
        }
        let parent = match command.caller {
            Some(caller) => Context::new().with_remote_span_context(caller.span_context()),
            None => Context::new(),
        };
        let mut start = command.start_unix_nanos;
        let mut span = self
            .tracer
            .span_builder(command.name)
            .with_kind(SpanKind::Server)
            .with_start_time(at(start))
            .with_attributes(attributes(command))
            .start_with_context(&self.tracer, &parent);
        if let Some(error) = command.error {
            failed(&mut span, error);
        }
        self.note_exemplar(command, span.span_context());
        let context = Context::new().with_span(span);
        for (name, nanos) in stages {
            if matters(nanos) {
                self.tracer
                    .span_builder(name)
                    .with_start_time(at(start))
                    .start_with_context(&self.tracer, &context)
                    .end_with_timestamp(at(start + nanos));
            }
            start += nanos;
        }
        for part in command.parts {
            self.part(part, &context);
        }
        context.span().end_with_timestamp(at(start));
    }

    /// The call stands for the bucket of its command's histogram that it is counted in.
    fn note_exemplar(&self, command: &CommandSpan<'_>, span: &SpanContext) {
        let Some(index) = command.measured else { return };
        let Stages { parse_nanos, lock_wait_nanos, run_nanos, .. } = command.stages;
        let nanos = lock_wait_nanos + run_nanos;
        let exemplar = Exemplar {
            nanos,
            unix_ms: (command.start_unix_nanos + parse_nanos + nanos) / 1_000_000,
            trace: span.trace_id().to_bytes(),
            span: span.span_id().to_bytes(),
        };
        self.stats.exemplars().note(index, exemplar);
    }

    fn part(&self, part: &PartSpan<'_>, context: &Context) {
        let mut span = self
            .tracer
            .span_builder(part.name)
            .with_start_time(at(part.start_unix_nanos))
            .with_attributes(vec![
                KeyValue::new("db.system.name", "redis"),
                KeyValue::new("db.operation.name", part.name),
            ])
            .start_with_context(&self.tracer, context);
        if let Some(error) = part.error {
            failed(&mut span, error);
        }
        span.end_with_timestamp(at(part.start_unix_nanos + part.nanos));
    }
}

/// Says that a command failed, and with which code. The rest of the text may name a key.
fn failed(span: &mut opentelemetry_sdk::trace::Span, error: &str) {
    let code = error.split(' ').next().unwrap_or_default().to_owned();
    span.set_attribute(KeyValue::new("db.response.status_code", code.clone()));
    span.set_attribute(KeyValue::new("error.type", code.clone()));
    span.set_status(Status::error(code));
}

/// The names are those of OpenTelemetry's conventions for Redis where it has one
/// (<https://opentelemetry.io/docs/specs/semconv/db/redis/>).
fn attributes(command: &CommandSpan<'_>) -> Vec<KeyValue> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let stages = command.stages;
    let mut all = vec![
        KeyValue::new("db.system.name", "redis"),
        KeyValue::new("db.operation.name", command.name),
        KeyValue::new("db.namespace", command.db.to_string()),
        KeyValue::new("glasswing.keys", number(command.keys as u64)),
        KeyValue::new("glasswing.batch", number(command.batch as u64)),
        KeyValue::new("glasswing.worker", number(command.worker as u64)),
        KeyValue::new("glasswing.client", number(command.client)),
        KeyValue::new("glasswing.parse_ns", number(stages.parse_nanos)),
        KeyValue::new("glasswing.lock_wait_ns", number(stages.lock_wait_nanos)),
        KeyValue::new("glasswing.run_ns", number(stages.run_nanos)),
        KeyValue::new("glasswing.write_ns", number(stages.write_nanos)),
    ];
    if stages.blocked_nanos > 0 {
        all.push(KeyValue::new("glasswing.blocked_ns", number(stages.blocked_nanos)));
    }
    // A batch of one is none to the conventions.
    if let Some(queued) = command.queued.filter(|&queued| queued > 1) {
        all.push(KeyValue::new("db.operation.batch.size", number(queued as u64)));
    }
    if let Some(calls) = command.calls {
        all.push(KeyValue::new("glasswing.calls", number(calls as u64)));
    }
    if command.only_slow {
        all.push(KeyValue::new("glasswing.kept", "slow"));
    }
    if !command.key_names.is_empty() {
        let names = command.key_names.iter().map(|name| name.clone().into()).collect();
        all.push(KeyValue::new("glasswing.key_names", Value::Array(Array::String(names))));
    }
    all
}

fn at(unix_nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}
