//! Traces, sent by OTLP over HTTP when the `OTEL_*` variables name an endpoint.
//!
//! A command is traced after it ran, from the stamps that were taken anyway: only a sampled
//! one builds anything. Its spans have times that lie in the past, which `tracing` cannot say,
//! so they are made with the SDK directly. Saves, loads and admin requests are spans of
//! `tracing`, through tracing-opentelemetry, which have a subscriber of their own: the log's
//! level does not touch them. Both end in the same queue and on the same plain thread, which
//! talks to the endpoint; nobody else ever waits for it.
//!
//! Spans carry names, sizes and times: never a key or a value.

mod client;
mod queue;
mod sampling;
mod settings;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use self::queue::Bounded;
use self::sampling::Cap;
pub use self::sampling::{Draw, Sampling};
pub use self::settings::{SPANS_PER_SECOND, TraceSettings};
use super::counters::Counter;
use super::log::Now;
use super::stats::Stats;

/// The target of the spans of `tracing` that become traces.
pub const TARGET: &str = "glasswing::span";

/// A stage of a command becomes a span of its own from this share of the whole on: a
/// twentieth. All stages are attributes anyway.
const STAGE_SHARE: u64 = 20;

/// Why traces could not be set up.
#[derive(Debug)]
pub struct TraceError(String);

impl fmt::Display for TraceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "traces cannot be sent: {}", self.0)
    }
}

impl std::error::Error for TraceError {}

/// How long the stages of a command took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// From bytes to arguments.
    pub parse_nanos: u64,
    /// Waiting for the locks of its shards.
    pub lock_wait_nanos: u64,
    /// The handler.
    pub run_nanos: u64,
    /// The one write of the batch that the command was in; 0 where that happens in a later turn (docs/traces.md).
    pub write_nanos: u64,
}

impl Stages {
    /// The whole, in nanoseconds.
    pub fn total_nanos(self) -> u64 {
        self.named().iter().map(|(_, nanos)| nanos).sum()
    }

    /// In the order in which they happen.
    fn named(self) -> [(&'static str, u64); 4] {
        [
            ("parse", self.parse_nanos),
            ("lock_wait", self.lock_wait_nanos),
            ("run", self.run_nanos),
            ("write", self.write_nanos),
        ]
    }
}

/// A command that was sampled and has run.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpan<'a> {
    /// Its name, as in the table of commands.
    pub name: &'static str,
    /// The database that was selected.
    pub db: u32,
    /// When its first stage began, in nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// How long each stage took.
    pub stages: Stages,
    /// How many keys it named.
    pub keys: usize,
    /// How many commands ran in its batch, itself included.
    pub batch: usize,
    /// The worker that ran it.
    pub worker: usize,
    /// The id of the client, as CLIENT ID answers it.
    pub client: u64,
    /// The error's text without the leading `-`; only its code is sent.
    pub error: Option<&'a str>,
}

/// Makes spans, or costs nothing when traces are off.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    on: Option<Arc<On>>,
}

#[derive(Debug)]
struct On {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    dispatch: Dispatch,
    cap: Cap,
    sampling: Sampling,
    background: Mutex<Draw>,
    stats: Arc<Stats>,
    now: Now,
}

impl Tracer {
    /// A tracer that does nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// A tracer that sends. It starts one thread; what is lost is counted in `stats`.
    ///
    /// # Errors
    ///
    /// When the endpoint is no URL this can speak to.
    pub fn new(settings: &TraceSettings, stats: Arc<Stats>, now: Now) -> Result<Self, TraceError> {
        let exporter = exporter(settings)?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(exporter, settings, stats.clone()))
            // What gets as far as the SDK has been sampled.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource(settings))
            .build();
        let tracer = provider.tracer("glasswing");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let on = On {
            provider,
            tracer,
            dispatch,
            cap: Cap::new(settings.spans_per_second),
            sampling: settings.sampling,
            background: Mutex::new(Draw::new(settings.sampling.background, now())),
            stats,
            now,
        };
        Ok(Self { on: Some(Arc::new(on)) })
    }

    /// Whether spans are sent anywhere.
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// The tracer of one worker, which draws the commands to sample.
    pub fn worker(&self, worker: usize) -> WorkerTracer {
        let (ratio, seed) = match &self.on {
            Some(on) => (on.sampling.ratio, (on.now)().wrapping_add(worker as u64)),
            None => (0.0, 0),
        };
        WorkerTracer { tracer: self.clone(), draw: Draw::new(ratio, seed) }
    }

    /// A span for work outside the commands, such as a save; it ends when it is dropped.
    pub fn background(&self, name: &str) -> BackgroundSpan {
        self.start(name, "internal", None)
    }

    /// A span for a request to the admin port. A caller that sent a `traceparent` header (W3C
    /// Trace Context) gets it into its trace, and decides whether it is sampled where the
    /// sampler is parent-based.
    pub fn request(&self, name: &str, traceparent: Option<&str>) -> BackgroundSpan {
        self.start(name, "server", traceparent)
    }

    fn start(&self, name: &str, kind: &str, traceparent: Option<&str>) -> BackgroundSpan {
        let Some(on) = &self.on else { return BackgroundSpan::none() };
        let parent = traceparent.and_then(parent_of);
        let sampled = match &parent {
            Some(parent) if on.sampling.parent_based => parent.span().span_context().is_sampled(),
            _ => on.background.lock().unwrap_or_else(PoisonError::into_inner).hit(),
        };
        if !sampled || !on.admit(1, (on.now)()) {
            return BackgroundSpan::none();
        }
        let span = tracing::dispatcher::with_default(
            &on.dispatch,
            || tracing::info_span!(target: TARGET, parent: None, "work", otel.name = name, otel.kind = kind),
        );
        if let Some(parent) = parent {
            // It fails only for a span that has started or is off, which this is not.
            let _ = span.set_parent(parent);
        }
        BackgroundSpan { span, on: Some(on.clone()) }
    }

    /// Sends what waits and stops, within about `limit`. What could not be sent by then is lost.
    pub fn shutdown(&self, limit: Duration) {
        if let Some(on) = &self.on
            && let Err(error) = on.provider.shutdown_with_timeout(limit)
        {
            tracing::warn!(%error, "The last spans were not sent");
        }
    }
}

impl On {
    /// Whether so many spans may be made; counts them as dropped if not.
    fn admit(&self, spans: u64, now_ns: u64) -> bool {
        let admitted = self.cap.admit(spans, now_ns);
        if !admitted {
            self.stats.outside().add(Counter::SpansDropped, spans);
        }
        admitted
    }

    fn command(&self, command: &CommandSpan<'_>) {
        let total = command.stages.total_nanos();
        let matters = |nanos: u64| nanos > 0 && nanos.saturating_mul(STAGE_SHARE) >= total;
        let stages = command.stages.named();
        let children = stages.iter().filter(|(_, nanos)| matters(*nanos)).count();
        if !self.admit(1 + children as u64, command.start_unix_nanos) {
            return;
        }
        let mut start = command.start_unix_nanos;
        let mut span = self
            .tracer
            .span_builder(command.name)
            .with_kind(SpanKind::Server)
            .with_start_time(at(start))
            .with_attributes(attributes(command))
            .start_with_context(&self.tracer, &Context::new());
        if let Some(error) = command.error {
            let code = error.split(' ').next().unwrap_or_default().to_owned();
            span.set_attribute(KeyValue::new("error.type", code.clone()));
            span.set_status(Status::error(code));
        }
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
        context.span().end_with_timestamp(at(start));
    }
}

/// What a worker asks. It belongs to one thread, so a question is one subtraction.
#[derive(Debug)]
pub struct WorkerTracer {
    tracer: Tracer,
    draw: Draw,
}

impl WorkerTracer {
    /// Whether the next command is to be traced. Always false when traces are off.
    #[inline]
    pub fn sample(&mut self) -> bool {
        self.draw.hit()
    }

    /// Traces a command that was sampled and has run.
    #[cold]
    pub fn command(&self, command: &CommandSpan<'_>) {
        if let Some(on) = &self.tracer.on {
            on.command(command);
        }
    }
}

/// A span that ends when it is dropped. One that was not sampled does nothing.
#[derive(Debug)]
pub struct BackgroundSpan {
    span: tracing::Span,
    on: Option<Arc<On>>,
}

impl BackgroundSpan {
    /// A span that does nothing.
    pub fn none() -> Self {
        Self { span: tracing::Span::none(), on: None }
    }

    /// Adds a text.
    pub fn text(&self, name: &'static str, value: &str) {
        self.span.set_attribute(name, value.to_owned());
    }

    /// Adds a number.
    pub fn number(&self, name: &'static str, value: u64) {
        self.span.set_attribute(name, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Marks the work as failed. The text is sent: no key or value belongs into it.
    pub fn failed(&self, error: &str) {
        self.span.set_status(Status::error(error.to_owned()));
    }

    /// A part of this work.
    pub fn child(&self, name: &str) -> Self {
        let Some(on) = self.on.as_ref().filter(|on| on.admit(1, (on.now)())) else { return Self::none() };
        let span = tracing::dispatcher::with_default(
            &on.dispatch,
            || tracing::info_span!(target: TARGET, parent: &self.span, "work", otel.name = name, otel.kind = "internal"),
        );
        Self { span, on: Some(on.clone()) }
    }
}

impl Drop for BackgroundSpan {
    fn drop(&mut self) {
        // The registry releases a span's parent through the default subscriber of the moment,
        // which is the log's: without this a parent with parts would never end.
        if let Some(on) = &self.on {
            let span = std::mem::replace(&mut self.span, tracing::Span::none());
            tracing::dispatcher::with_default(&on.dispatch, || drop(span));
        }
    }
}

fn exporter(settings: &TraceSettings) -> Result<SpanExporter, TraceError> {
    let headers: HashMap<_, _> = settings.headers.iter().cloned().collect();
    SpanExporter::builder()
        .with_http()
        .with_http_client(client::client(settings)?)
        .with_endpoint(&settings.endpoint)
        .with_timeout(settings.timeout)
        .with_headers(headers)
        .build()
        .map_err(|error| TraceError(error.to_string()))
}

fn resource(settings: &TraceSettings) -> Resource {
    let further = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(further)
        .with_service_name(settings.service_name.clone())
        .build()
}

/// The names are those of OpenTelemetry's conventions for Redis where it has one
/// (<https://opentelemetry.io/docs/specs/semconv/database/redis/>).
fn attributes(command: &CommandSpan<'_>) -> Vec<KeyValue> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let stages = command.stages;
    vec![
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
    ]
}

fn at(unix_nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}

/// The caller's span, when the header can be read.
fn parent_of(traceparent: &str) -> Option<Context> {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().is_valid().then_some(context)
}
