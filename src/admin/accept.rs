//! Which format a scraper wants its metrics in: the header `Accept` (RFC 9110, 12.5.1).
//!
//! Prometheus asks for OpenMetrics first, other scrapers for the plain text format, curl and browsers for anything.
//! OpenMetrics is for who names it and likes it no less than plain text; everybody else gets plain text, also who
//! wants neither: a page that can be read is better than an error.

use axum::http::{HeaderMap, header};

use crate::observe::metrics::Format;

/// The version of OpenMetrics that is spoken.
const OPENMETRICS_VERSION: &str = "1.0.0";
/// The version of the plain text format.
const TEXT_VERSION: &str = "0.0.4";

/// The format to answer in.
pub(super) fn format_of(headers: &HeaderMap) -> Format {
    let ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse);
    let (mut open, mut plain) = (0.0_f32, (0, 0.0_f32));
    for range in ranges {
        if range.is("application/openmetrics-text", OPENMETRICS_VERSION) {
            open = open.max(range.weight);
        }
        // What says more of it counts, whatever is less.
        let said = match range.kind {
            _ if range.is("text/plain", TEXT_VERSION) => 3,
            "text/*" => 2,
            "*/*" => 1,
            _ => continue,
        };
        if said > plain.0 {
            plain = (said, range.weight);
        } else if said == plain.0 {
            plain.1 = plain.1.max(range.weight);
        }
    }
    if open > 0.0 && open >= plain.1 { Format::OpenMetrics } else { Format::Text }
}

/// One member of the header.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    weight: f32,
}

impl<'a> Range<'a> {
    /// `None` for what is none.
    fn parse(text: &'a str) -> Option<Range<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let mut range =
            Range { kind: parts.next().filter(|kind| kind.contains('/'))?, version: None, weight: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
                "version" => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }

    /// Whether it names this type, in this version or in any.
    fn is(&self, kind: &str, version: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.version.is_none_or(|wanted| wanted == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().expect("a header's value"));
        }
        format_of(&headers)
    }

    #[test]
    fn prometheus_gets_openmetrics() {
        // 2.42, 2.55 and 3.1 as they ask by default, and 3.1 with native histograms.
        for accept in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2",
        ] {
            assert_eq!(format(&[accept]), Format::OpenMetrics, "{accept}");
        }
        assert_eq!(format(&["text/plain;q=0.5", "application/openmetrics-text"]), Format::OpenMetrics);
        assert_eq!(format(&["Application/OpenMetrics-Text; Version=\"1.0.0\" ; Q=0.5"]), Format::OpenMetrics);
        assert_eq!(format(&["application/openmetrics-text;q=0.5, text/plain;q=0.5"]), Format::OpenMetrics);
        // A wildcard says less of plain text than plain text does.
        assert_eq!(
            format(&["*/*, application/openmetrics-text;q=0.5, text/plain;q=0.2"]),
            Format::OpenMetrics
        );
    }

    #[test]
    fn everybody_else_gets_plain_text() {
        for accept in [
            "*/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.9",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;q=0.4,*/*;q=0.5",
            "application/*",
            "application/json",
            "",
            ",;=,/;q",
        ] {
            assert_eq!(format(&[accept]), Format::Text, "{accept}");
        }
        assert_eq!(format(&[]), Format::Text);
    }
}
