//! Writes the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), for the families that
//! keep redis_exporter's names.

use std::fmt::Write as _;

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
}

impl Text {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes) }
    }

    pub fn into_string(self) -> String {
        self.out
    }

    /// Opens a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.push(&["# HELP ", name, " "]);
        escape_help(&mut self.out, help);
        self.push(&["\n# TYPE ", name, " ", kind.name(), "\n"]);
    }

    /// A family whose samples are written already; without any it is left out.
    pub fn labelled(&mut self, name: &str, kind: Kind, help: &str, samples: Text) {
        if !samples.out.is_empty() {
            self.family(name, kind, help);
            self.out.push_str(&samples.out);
        }
    }

    /// One sample of the family `name`.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(name);
        for (nth, (label, text)) in labels.iter().enumerate() {
            self.push(&[if nth == 0 { "{" } else { "," }, label, "=\""]);
            escape_label(&mut self.out, text);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        self.out.push(' ');
        self.number(value);
        self.out.push('\n');
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.push_str(part);
        }
    }

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

fn escape_help(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

fn escape_label(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_and_its_samples() {
        let mut text = Text::default();
        text.family("redis_x_total", Kind::Counter, "one\\two\nthree \"four\"");
        text.sample("redis_x_total", &[], 3.0);
        text.sample("redis_x_total", &[("a", "b"), ("c", "q\"b\\n\n")], 0.25);
        assert_eq!(
            text.into_string(),
            "# HELP redis_x_total one\\\\two\\nthree \"four\"\n# TYPE redis_x_total counter\n\
             redis_x_total 3\nredis_x_total{a=\"b\",c=\"q\\\"b\\\\n\\n\"} 0.25\n"
        );
    }

    #[test]
    fn numbers() {
        let written = |value| {
            let mut text = Text::default();
            text.number(value);
            text.into_string()
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
