//! The text of `/metrics`: the process, redis_exporter's families under its own names, then ours. In Prometheus's own
//! format or in OpenMetrics: one writer (`text`) knows what is different.
//!
//! Nothing here counts or keeps anything: the counters are those of `Stats`, and the rest is
//! given as `Figures` at each scrape.

mod exporter;
mod figures;
mod gathered;
mod own;
mod process;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;

pub use figures::{
    AofFigures, DbFigures, Figures, FoundFigures, KeyFigures, LockWaitFigures, Progress, ReplicaFigures,
    ReplicationFigures, ScriptFigures, WorkerFigures,
};
pub use text::Format;

use super::stats::Stats;

/// Renders `/metrics`.
pub struct Metrics {
    stats: Arc<Stats>,
    figures: Arc<Mutex<Figures>>,
    registry: Registry,
}

impl Metrics {
    /// Metrics of these counters.
    ///
    /// # Errors
    ///
    /// When a family of ours has an invalid name: a mistake in the table, which a test finds.
    pub fn new(stats: Arc<Stats>) -> prometheus::Result<Self> {
        let figures = Arc::new(Mutex::new(Figures::default()));
        let registry = Registry::new();
        registry.register(Box::new(own::Own::new(stats.clone(), figures.clone())?))?;
        Ok(Self { stats, figures, registry })
    }

    /// The text for a scrape, in one of the formats.
    pub fn render(&self, figures: Figures, format: Format) -> String {
        let mut text = text::Text::with_capacity(format, 64 << 10);
        process::write(&mut text, &figures);
        exporter::write(&mut text, &exporter::Scrape::new(&self.stats, &figures));
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
        let traced = match format {
            Format::Text => gathered::Traced::none(),
            Format::OpenMetrics => gathered::Traced::of(&self.stats),
        };
        for family in self.registry.gather() {
            gathered::write(&mut text, &family, &traced);
        }
        text.finish()
    }
}

#[cfg(test)]
mod openmetrics_tests;
#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
