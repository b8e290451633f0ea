//! The `OTEL_*` variables, as the OpenTelemetry specification names them
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
//!
//! As it asks, a value that cannot be read is ignored with a warning, and the default holds.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::sampling::Sampling;

/// Spans a second that are let through unless something else is asked for.
pub const SPANS_PER_SECOND: u64 = 1_000;

/// How traces are to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The whole URL that spans are posted to.
    pub endpoint: String,
    /// Headers of each request: they may hold secrets and are never logged.
    pub headers: Vec<(String, String)>,
    /// A PEM file with the only authorities that may vouch for an `https://` endpoint; without one
    /// the system's may.
    pub certificate: Option<PathBuf>,
    /// How long a request may take.
    pub timeout: Duration,
    /// The value of `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// What is sampled.
    pub sampling: Sampling,
    /// The most spans a second, whatever is sampled.
    pub spans_per_second: u64,
    /// The most spans that wait to be sent.
    pub queue_size: usize,
    /// The most spans in a request.
    pub batch_size: usize,
    /// How long a span waits at most before it is sent.
    pub delay: Duration,
    /// What could not be read, for the log.
    pub warnings: Vec<String>,
}

impl TraceSettings {
    /// Reads the variables through `get`. None when no endpoint is set or tracing is
    /// switched off.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let mut env = Env { get, warnings: Vec::new() };
        let off = env.text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let none = env.text("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        if off || none {
            return None;
        }
        let endpoint = env.endpoint()?;
        env.warn_of_protocol();
        let headers = env.either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        let resource = env.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES", &resource);
        let named = resource.iter().position(|(name, _)| name == "service.name");
        let named = named.map(|at| resource.remove(at).1);
        let service_name = env.text("OTEL_SERVICE_NAME").or(named).unwrap_or_else(|| "glasswing".into());
        let headers = env.pairs("OTEL_EXPORTER_OTLP_HEADERS", &headers.unwrap_or_default());
        let certificate =
            env.either("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE");
        let queue_size = env.number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048_usize).max(1);
        Some(Self {
            endpoint,
            headers,
            certificate: certificate.map(PathBuf::from),
            timeout: env.timeout(),
            service_name,
            resource,
            sampling: env.sampling(),
            spans_per_second: SPANS_PER_SECOND,
            queue_size,
            batch_size: env.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512_usize).clamp(1, queue_size),
            delay: Duration::from_millis(env.number("OTEL_BSP_SCHEDULE_DELAY", 5_000)),
            warnings: env.warnings,
        })
    }
}

struct Env<G> {
    get: G,
    warnings: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Env<G> {
    /// The value of a variable; an empty one counts as not set, as the specification says.
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn either(&self, first: &str, second: &str) -> Option<String> {
        self.text(first).or_else(|| self.text(second))
    }

    fn number<T: FromStr>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.warnings.push(format!("{name} is not a number, the default holds"));
            default
        })
    }

    /// The variable for traces is taken as it is, the general one gets the path of traces.
    fn endpoint(&self) -> Option<String> {
        let general = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
        let endpoint = self
            .text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| self.text("OTEL_EXPORTER_OTLP_ENDPOINT").map(general))?;
        // One that cannot work is kept: whoever builds the exporter refuses it, and the operator learns why.
        Some(endpoint)
    }

    fn warn_of_protocol(&mut self) {
        let protocol = self.either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        if protocol.is_some_and(|protocol| protocol != "http/protobuf") {
            self.warnings.push("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken".into());
        }
    }

    fn timeout(&mut self) -> Duration {
        let general = self.number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000);
        Duration::from_millis(self.number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", general))
    }

    /// `a=b,c=d`, the values percent-encoded.
    fn pairs(&mut self, name: &str, text: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    pairs.push((key.trim().to_owned(), percent_decoded(value.trim())));
                }
                // The part itself may be a secret.
                _ => self.warnings.push(format!("{name} has a part without a name and '=', it is ignored")),
            }
        }
        pairs
    }

    fn sampling(&mut self) -> Sampling {
        let Some(name) = self.text("OTEL_TRACES_SAMPLER") else { return Sampling::default() };
        let (name, parent_based) = match name.strip_prefix("parentbased_") {
            Some(rest) => (rest, true),
            None => (name.as_str(), false),
        };
        let ratio = match name {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                self.warnings.push("OTEL_TRACES_SAMPLER is not known, the default holds".into());
                return Sampling::default();
            }
        };
        Sampling { ratio, parent_based, background: ratio }
    }

    fn ratio(&mut self) -> f64 {
        let ratio = self.number("OTEL_TRACES_SAMPLER_ARG", 1.0_f64);
        if (0.0..=1.0).contains(&ratio) {
            return ratio;
        }
        self.warnings.push("OTEL_TRACES_SAMPLER_ARG is not between 0 and 1, 1 holds".into());
        1.0
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<TraceSettings> {
        TraceSettings::from_env(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
        assert_eq!(read(&[BASE, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(read(&[BASE, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let settings = read(&[BASE]).expect("an endpoint is set");
        assert_eq!(settings.endpoint, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(settings.service_name, "glasswing");
        assert_eq!(settings.timeout, Duration::from_secs(10));
        assert_eq!((settings.queue_size, settings.batch_size), (2048, 512));
        assert_eq!(settings.delay, Duration::from_secs(5));
        assert_eq!(settings.sampling, Sampling { ratio: 0.001, parent_based: true, background: 1.0 });
        assert_eq!(settings.spans_per_second, 1_000);
        assert!(settings.warnings.is_empty());
    }

    #[test]
    fn every_variable_is_read() {
        let settings = read(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/here"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, b=c=d"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/collector.pem"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_SERVICE_NAME", "cache"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment=a%2Cb"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "500"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ])
        .expect("an endpoint is set");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(settings.endpoint, "http://c:1/here");
        assert_eq!(settings.headers, [pair("authorization", "Bearer x"), pair("b", "c=d")]);
        assert_eq!(settings.certificate, Some(PathBuf::from("/etc/collector.pem")));
        assert_eq!(settings.timeout, Duration::from_millis(1500));
        assert_eq!(settings.service_name, "cache");
        assert_eq!(settings.resource, [pair("deployment.environment", "a,b")]);
        assert_eq!(settings.sampling, Sampling { ratio: 0.25, parent_based: false, background: 0.25 });
        assert_eq!((settings.queue_size, settings.batch_size), (100, 100));
        assert_eq!(settings.delay, Duration::from_millis(50));
    }

    #[test]
    fn samplers_by_name() {
        let sampler = |name, arg| {
            read(&[BASE, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)])
                .map(|settings| {
                    (settings.sampling.ratio, settings.sampling.parent_based, settings.warnings.len())
                })
                .expect("an endpoint is set")
        };
        assert_eq!(sampler("always_on", ""), (1.0, false, 0));
        assert_eq!(sampler("always_off", "0.5"), (0.0, false, 0));
        assert_eq!(sampler("parentbased_always_on", ""), (1.0, true, 0));
        assert_eq!(sampler("parentbased_always_off", ""), (0.0, true, 0));
        assert_eq!(sampler("parentbased_traceidratio", "0.5"), (0.5, true, 0));
        assert_eq!(sampler("traceidratio", "7"), (1.0, false, 1));
        assert_eq!(sampler("traceidratio", "x"), (1.0, false, 1));
        assert_eq!(sampler("jaeger_remote", ""), (0.001, true, 1));
    }

    #[test]
    fn what_cannot_be_read_warns_without_showing_it() {
        let settings = read(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ])
        .expect("an endpoint is set");
        assert_eq!(settings.warnings.len(), 3, "{:?}", settings.warnings);
        assert!(!settings.warnings.concat().contains("hunter2"));
    }
}
