//! The text of `/metrics`: the process, redis_exporter's families under its own names, then ours.
//!
//! Nothing here counts or keeps anything: the counters are those of `Stats`, and the rest is
//! given as `Figures` at each scrape.

mod exporter;
mod figures;
mod own;
mod process;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Registry, TextEncoder};

pub use figures::{
    AofFigures, DbFigures, Figures, FoundFigures, KeyFigures, Progress, ReplicaFigures, ReplicationFigures,
    ScriptFigures, WorkerFigures,
};

use super::stats::Stats;

/// The content type that Prometheus asks for.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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

    /// The text for a scrape, in the format of `CONTENT_TYPE`.
    ///
    /// # Errors
    ///
    /// When the encoder refuses a family, which it does for one without samples or name.
    pub fn render(&self, figures: Figures) -> prometheus::Result<String> {
        let mut text = text::Text::with_capacity(64 << 10);
        process::write(&mut text, &figures);
        exporter::write(&mut text, &exporter::Scrape::new(&self.stats, &figures));
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
        let mut out = text.into_string();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
