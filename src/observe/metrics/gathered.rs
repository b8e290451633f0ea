//! Writes the families of the registry. The encoder of the `prometheus` crate knows neither OpenMetrics nor
//! exemplars; what stays with the crate is that names and labels are checked, and everything sorted.

use std::collections::HashMap;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::own::COMMAND_DURATION;
use super::text::{Bounded, Kind, Text};
use crate::observe::exemplars::{Exemplar, OfCommand, SHOWN};
use crate::observe::stats::Stats;

/// The exemplars of commands, by name.
pub(super) struct Traced(HashMap<&'static str, OfCommand>);

impl Traced {
    /// Those that there are now.
    pub fn of(stats: &Stats) -> Self {
        Self(stats.exemplars().all().into_iter().map(|(command, of)| (stats.names()[command], of)).collect())
    }

    /// None.
    pub fn none() -> Self {
        Self(HashMap::new())
    }

    fn of_series(&self, family: &str, labels: &[(&str, &str)]) -> Option<&[Option<Exemplar>; SHOWN]> {
        let (_, command) = labels.first().filter(|_| family == COMMAND_DURATION)?;
        self.0.get(*command).map(|of| &**of)
    }
}

/// Writes one family.
pub(super) fn write(text: &mut Text, family: &MetricFamily, traced: &Traced) {
    let name = family.name();
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::HISTOGRAM => Kind::Histogram,
        // There is nothing else among our rows.
        MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => Kind::Gauge,
    };
    text.family(name, kind, family.help());
    for metric in family.get_metric() {
        let labels: Vec<(&str, &str)> =
            metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        match kind {
            Kind::Histogram => histogram(text, name, &labels, metric, traced),
            Kind::Counter => text.sample(name, &labels, metric.get_counter().get_value()),
            Kind::Gauge | Kind::Summary => text.sample(name, &labels, metric.get_gauge().get_value()),
        }
    }
}

fn histogram(text: &mut Text, name: &str, labels: &[(&str, &str)], metric: &Metric, traced: &Traced) {
    let histogram = metric.get_histogram();
    let exemplars = traced.of_series(name, labels);
    let bounded =
        histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let all = bounded.chain([(f64::INFINITY, histogram.get_sample_count())]);
    let buckets: Vec<_> = all
        .enumerate()
        .map(|(at, (upper_bound, count))| {
            let exemplar = exemplars.and_then(|of| of.get(at)?.as_ref());
            // What counts nothing has none: somebody has just begun to count anew.
            Bounded { upper_bound, count, exemplar: exemplar.filter(|_| count > 0) }
        })
        .collect();
    text.histogram(name, labels, histogram.get_sample_sum(), &buckets);
}
