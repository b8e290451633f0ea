//! Writes families and their samples, in either of the formats that Prometheus reads: its own text format, version
//! 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and OpenMetrics 1.0
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).
//!
//! A sample has the same name, labels and value in both. What OpenMetrics wants otherwise:
//!
//! - A counter's samples end in `_total`, and its family is named without that. A counter of redis_exporter's that has
//!   another name is no counter to OpenMetrics: its type is `unknown` there, and its name stays.
//! - The quantiles of a summary lie between 0 and 1. Those of redis_exporter are per cent, so what it calls a
//!   summary is `unknown` there too, and its sum and its count are families of their own.
//! - A unit is said of a family whose name ends in it.
//! - The bounds of buckets are written as fractions, and buckets may carry exemplars.
//! - The page has an end.

use std::fmt::Write as _;

use crate::observe::exemplars::Exemplar;

/// A format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Its own.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// One series of a summary.
pub(super) struct Summed<'a> {
    /// What tells it from the others.
    pub label: (&'static str, &'a str),
    /// Each quantile with its value.
    pub quantiles: [(&'static str, f64); 3],
    pub sum: f64,
    pub count: f64,
}

/// One bucket of a histogram, and all below it.
pub(super) struct Bounded<'a> {
    pub upper_bound: f64,
    pub count: u64,
    pub exemplar: Option<&'a Exemplar>,
}

/// Units that a name may end in.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// The text so far.
#[derive(Debug)]
pub(super) struct Text {
    out: String,
    format: Format,
}

impl Text {
    pub fn with_capacity(format: Format, bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), format }
    }

    /// An empty text of the same format.
    pub fn like(&self) -> Self {
        Self { out: String::new(), format: self.format }
    }

    /// All that was written, ended as the format wants it.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Opens a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (name, kind) = match (self.format, kind) {
            (Format::Text, kind) => (name, kind.name()),
            (Format::OpenMetrics, Kind::Counter) => {
                name.strip_suffix("_total").map_or((name, "unknown"), |name| (name, "counter"))
            }
            (Format::OpenMetrics, Kind::Summary) => (name, "unknown"),
            (Format::OpenMetrics, kind) => (name, kind.name()),
        };
        self.push(&["# HELP ", name, " "]);
        let quotes = self.format == Format::OpenMetrics;
        escape(&mut self.out, help, quotes);
        self.push(&["\n# TYPE ", name, " ", kind, "\n"]);
        let is_of = |unit: &&&str| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'));
        if self.format == Format::OpenMetrics
            && let Some(unit) = UNITS.iter().find(is_of)
        {
            self.push(&["# UNIT ", name, " ", unit, "\n"]);
        }
    }

    /// A family whose samples are written already; without any it is left out.
    pub fn labelled(&mut self, name: &str, kind: Kind, help: &str, samples: Text) {
        if !samples.out.is_empty() {
            self.family(name, kind, help);
            self.out.push_str(&samples.out);
        }
    }

    /// A family of summaries; without any it is left out.
    pub fn summaries(&mut self, name: &str, help: &str, all: &[Summed<'_>]) {
        if all.is_empty() {
            return;
        }
        let (sum, count) = (format!("{name}_sum"), format!("{name}_count"));
        self.family(name, Kind::Summary, help);
        for one in all {
            for (quantile, value) in one.quantiles {
                self.sample(name, &[one.label, ("quantile", quantile)], value);
            }
            if self.format == Format::Text {
                self.sample(&sum, &[one.label], one.sum);
                self.sample(&count, &[one.label], one.count);
            }
        }
        if self.format == Format::OpenMetrics {
            self.family(&sum, Kind::Summary, help);
            all.iter().for_each(|one| self.sample(&sum, &[one.label], one.sum));
            self.family(&count, Kind::Summary, help);
            all.iter().for_each(|one| self.sample(&count, &[one.label], one.count));
        }
    }

    /// One sample of the family `name`.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.series(name, "", labels.iter().copied());
        self.number(value);
        self.out.push('\n');
    }

    /// A name with its labels, and the blank behind it.
    fn series<'a>(&mut self, name: &str, suffix: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        self.push(&[name, suffix]);
        let mut opened = false;
        for (label, text) in labels {
            self.push(&[if opened { "," } else { "{" }, label, "=\""]);
            escape(&mut self.out, text, true);
            self.out.push('"');
            opened = true;
        }
        self.out.push_str(if opened { "} " } else { " " });
    }

    /// The samples of one histogram of the family `name`. The bucket without a bound is the last of `buckets`.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], sum: f64, buckets: &[Bounded<'_>]) {
        for bucket in buckets {
            let bound = self.bound(bucket.upper_bound);
            self.series(name, "_bucket", labels.iter().copied().chain([("le", bound.as_str())]));
            self.number(bucket.count as f64);
            if let Some(exemplar) = bucket.exemplar.filter(|_| self.format == Format::OpenMetrics) {
                self.exemplar(exemplar);
            }
            self.out.push('\n');
        }
        self.series(name, "_sum", labels.iter().copied());
        self.number(sum);
        self.out.push('\n');
        self.series(name, "_count", labels.iter().copied());
        self.number(buckets.last().map_or(0.0, |bucket| bucket.count as f64));
        self.out.push('\n');
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let (trace, span) = (u128::from_be_bytes(exemplar.trace), u64::from_be_bytes(exemplar.span));
        // Writing to a String cannot fail.
        let _ = write!(self.out, " # {{trace_id=\"{trace:032x}\",span_id=\"{span:016x}\"}} ");
        self.number(exemplar.nanos as f64 / 1e9);
        self.out.push(' ');
        self.number(exemplar.unix_ms as f64 / 1e3);
    }

    /// A bucket's bound as the label `le` has it.
    fn bound(&self, bound: f64) -> String {
        let mut text = Text { out: String::new(), format: self.format };
        text.number(bound);
        if self.format == Format::OpenMetrics && bound.is_finite() && bound.fract() == 0.0 {
            text.out.push_str(".0");
        }
        text.out
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.push_str(part);
        }
    }

    /// A value.
    fn number(&mut self, value: f64) {
        // A double counts whole numbers exactly up to 2^53.
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            self.out.push_str(itoa::Buffer::new().format(value as i64));
        } else if value.is_nan() {
            self.out.push_str("NaN");
        } else if value.is_infinite() {
            self.out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "{value}");
        }
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: Format) -> Text {
        Text::with_capacity(format, 0)
    }

    #[test]
    fn a_family_and_its_samples() {
        let write = |format| {
            let mut text = text(format);
            text.family("redis_x_total", Kind::Counter, "one\\two\nthree \"four\"");
            text.sample("redis_x_total", &[], 3.0);
            text.sample("redis_x_total", &[("a", "b"), ("c", "q\"b\\n\n")], 0.25);
            text.finish()
        };
        assert_eq!(
            write(Format::Text),
            "# HELP redis_x_total one\\\\two\\nthree \"four\"\n# TYPE redis_x_total counter\n\
             redis_x_total 3\nredis_x_total{a=\"b\",c=\"q\\\"b\\\\n\\n\"} 0.25\n"
        );
        assert_eq!(
            write(Format::OpenMetrics),
            "# HELP redis_x one\\\\two\\nthree \\\"four\\\"\n# TYPE redis_x counter\n\
             redis_x_total 3\nredis_x_total{a=\"b\",c=\"q\\\"b\\\\n\\n\"} 0.25\n# EOF\n"
        );
    }

    #[test]
    fn what_openmetrics_calls_otherwise() {
        let head = |name, kind| {
            let mut text = text(Format::OpenMetrics);
            text.family(name, kind, "h");
            text.finish().replace("# EOF\n", "")
        };
        assert_eq!(head("x_processed", Kind::Counter), "# HELP x_processed h\n# TYPE x_processed unknown\n");
        assert_eq!(
            head("x_seconds_total", Kind::Counter),
            "# HELP x_seconds h\n# TYPE x_seconds counter\n# UNIT x_seconds seconds\n"
        );
        assert_eq!(
            head("x_bytes", Kind::Gauge),
            "# HELP x_bytes h\n# TYPE x_bytes gauge\n# UNIT x_bytes bytes\n"
        );
        assert_eq!(head("nanoseconds", Kind::Gauge), "# HELP nanoseconds h\n# TYPE nanoseconds gauge\n");
        assert_eq!(head("x_usec", Kind::Summary), "# HELP x_usec h\n# TYPE x_usec unknown\n");
    }

    #[test]
    fn a_summary_in_per_cent_is_none_to_openmetrics() {
        let write = |format| {
            let mut text = text(format);
            let quantiles = [("50", 1.5), ("99", 2.0), ("99.9", 3.0)];
            let one = |label| Summed { label: ("cmd", label), quantiles, sum: 4.0, count: 2.0 };
            text.summaries("x", "h", &[one("get"), one("set")]);
            text.finish()
        };
        let plain = write(Format::Text);
        assert!(plain.contains("x{cmd=\"get\",quantile=\"99.9\"} 3\nx_sum{cmd=\"get\"} 4\n"), "{plain}");
        let open = write(Format::OpenMetrics);
        let families: Vec<_> = open.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(families, ["x unknown", "x_sum unknown", "x_count unknown"]);
        let samples = |text: &str| {
            let mut lines: Vec<_> =
                text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(samples(&plain), samples(&open));
    }

    #[test]
    fn buckets_and_their_exemplars() {
        let exemplar = Exemplar { nanos: 1_500, unix_ms: 1_700_000_000_123, trace: [0xab; 16], span: [1; 8] };
        let buckets = [
            Bounded { upper_bound: 1.0, count: 2, exemplar: Some(&exemplar) },
            Bounded { upper_bound: f64::INFINITY, count: 3, exemplar: None },
        ];
        let write = |format| {
            let mut text = text(format);
            text.histogram("h", &[("cmd", "get")], 0.5, &buckets);
            text.out
        };
        let end = "h_sum{cmd=\"get\"} 0.5\nh_count{cmd=\"get\"} 3\n";
        assert_eq!(
            write(Format::Text),
            format!("h_bucket{{cmd=\"get\",le=\"1\"}} 2\nh_bucket{{cmd=\"get\",le=\"+Inf\"}} 3\n{end}")
        );
        let labels = "trace_id=\"abababababababababababababababab\",span_id=\"0101010101010101\"";
        assert_eq!(
            write(Format::OpenMetrics),
            format!(
                "h_bucket{{cmd=\"get\",le=\"1.0\"}} 2 # {{{labels}}} 0.0000015 1700000000.123\n\
                 h_bucket{{cmd=\"get\",le=\"+Inf\"}} 3\n{end}"
            )
        );
        // OpenMetrics allows names and values of 128 characters together.
        assert!(labels.chars().filter(|c| c.is_alphanumeric() || *c == '_').count() < 128);
    }

    #[test]
    fn numbers() {
        let written = |value| {
            let mut text = text(Format::Text);
            text.number(value);
            text.out
        };
        assert_eq!(written(-1.0), "-1");
        assert_eq!(written(1e15), "1000000000000000");
        assert_eq!(written(0.000016), "0.000016");
        assert_eq!(written(f64::NAN), "NaN");
        assert_eq!(written(f64::INFINITY), "+Inf");
        assert_eq!(written(f64::NEG_INFINITY), "-Inf");
        assert_eq!(written(1e20).parse::<f64>(), Ok(1e20));
    }
}
