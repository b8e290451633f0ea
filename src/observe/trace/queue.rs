//! The way from a finished span to the exporter: bounded, never waiting, every loss counted.
//!
//! The SDK's batch processor drops silently when its queue is full. So a bound of our own
//! stands before it, over the same number of spans: what it lets in always has a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::settings::TraceSettings;
use crate::observe::counters::Counter;
use crate::observe::stats::Stats;

/// What both ends share.
#[derive(Debug)]
struct Shared {
    /// Spans that were let in and have not been handed to the exporter.
    waiting: AtomicUsize,
    stats: Arc<Stats>,
}

/// The entrance.
#[derive(Debug)]
pub(super) struct Bounded {
    batches: BatchSpanProcessor,
    limit: usize,
    shared: Arc<Shared>,
}

impl Bounded {
    /// A queue before this exporter.
    pub fn new<E: SpanExporter + 'static>(exporter: E, settings: &TraceSettings, stats: Arc<Stats>) -> Self {
        let shared = Arc::new(Shared { waiting: AtomicUsize::new(0), stats });
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(settings.queue_size)
            .with_max_export_batch_size(settings.batch_size)
            .with_scheduled_delay(settings.delay)
            .build();
        let exporter = Counting { exporter, failing: AtomicBool::new(false), shared: shared.clone() };
        Self { batches: BatchSpanProcessor::new(exporter, config), limit: settings.queue_size, shared }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.shared.waiting.fetch_add(1, Relaxed) >= self.limit {
            self.shared.waiting.fetch_sub(1, Relaxed);
            self.shared.stats.outside().incr(Counter::SpansDropped);
            return;
        }
        self.shared.stats.outside().incr(Counter::SpansRecorded);
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// The exit: counts what the receiver did not take, and says once that it does not.
#[derive(Debug)]
struct Counting<E> {
    exporter: E,
    failing: AtomicBool,
    shared: Arc<Shared>,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.shared.waiting.fetch_sub(spans, Relaxed);
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!("Traces reach their endpoint again");
                }
            }
            Err(error) => {
                self.shared.stats.outside().add(Counter::SpansDropped, spans as u64);
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(%error, "Traces do not reach their endpoint, spans are lost until they do");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
