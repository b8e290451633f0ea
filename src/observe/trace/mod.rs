//! Traces, sent by OTLP over HTTP when the `OTEL_*` variables name an endpoint.
//!
//! A command is traced after it ran, from the stamps that were taken anyway: only a sampled
//! one builds anything. Its spans have times that lie in the past, which `tracing` cannot say,
//! so they are made with the SDK directly. Saves, loads and admin requests are spans of
//! `tracing`, through tracing-opentelemetry, which have a subscriber of their own: the log's
//! level does not touch them. Both end in the same queue and on the same plain thread, which
//! talks to the endpoint; nobody else ever waits for it.
//!
//! Whoever calls may hand the place in its own trace over, which ours then continue.
//!
//! Spans carry names, sizes and times: never a value, and keys only where a setting allows it.

mod client;
mod command;
mod context;
pub mod parts;
mod queue;
mod sampling;
mod settings;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

pub use self::command::{CommandSpan, PartSpan, Stages};
pub use self::context::Caller;
use self::queue::Bounded;
use self::sampling::Cap;
pub use self::sampling::{Draw, Sampling};
pub use self::settings::{SPANS_PER_SECOND, TraceSettings};
use super::counters::Counter;
use super::log::Now;
use super::stats::Stats;

/// The target of the spans of `tracing` that become traces.
pub const TARGET: &str = "glasswing::span";

/// Why traces could not be set up.
#[derive(Debug)]
pub struct TraceError(String);

impl fmt::Display for TraceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "traces cannot be sent: {}", self.0)
    }
}

impl std::error::Error for TraceError {}

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
    pub fn request(&self, name: &str, caller: Option<&Caller>) -> BackgroundSpan {
        self.start(name, "server", caller)
    }

    fn start(&self, name: &str, kind: &str, caller: Option<&Caller>) -> BackgroundSpan {
        let Some(on) = &self.on else { return BackgroundSpan::none() };
        let sampled = match caller {
            Some(caller) => on.sampling.takes(caller),
            None => on.background.lock().unwrap_or_else(PoisonError::into_inner).hit(),
        };
        if !sampled || !on.admit(1, (on.now)()) {
            return BackgroundSpan::none();
        }
        let span = tracing::dispatcher::with_default(
            &on.dispatch,
            || tracing::info_span!(target: TARGET, parent: None, "work", otel.name = name, otel.kind = kind),
        );
        if let Some(caller) = caller {
            // It fails only for a span that has started or is off, which this is not.
            let _ = span.set_parent(Context::new().with_remote_span_context(caller.span_context()));
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
}

/// What a worker asks. It belongs to one thread, so to draw is one subtraction.
#[derive(Debug)]
pub struct WorkerTracer {
    tracer: Tracer,
    draw: Draw,
}

impl WorkerTracer {
    /// Whether traces are sent anywhere: if not, nothing else need be asked.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.tracer.is_on()
    }

    /// Whether the next command is to be traced: its caller's trace says so, or chance. Always false when
    /// traces are off.
    #[inline]
    pub fn sample(&mut self, caller: Option<&Caller>) -> bool {
        match caller {
            Some(caller) => self.tracer.on.as_ref().is_some_and(|on| on.sampling.takes(caller)),
            None => self.draw.hit(),
        }
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
