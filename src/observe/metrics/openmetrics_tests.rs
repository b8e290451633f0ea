//! `/metrics` in OpenMetrics, read by a parser that takes nothing that the specification does not allow, and held
//! against the same page in Prometheus's own format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::page::everything;
use super::tests::{busy_stats, figures};
use super::*;
use crate::observe::exemplars::Exemplar;

/// The suffixes that samples of a type may have.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" | "unknown" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        // Ours are of no other, nor without one.
        _ => &[],
    }
}

/// Names with their values.
type Labels = Vec<(String, String)>;

#[derive(Debug, Default)]
struct Family {
    kind: String,
    has_help: bool,
    unit: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    suffix: String,
    labels: Labels,
    value: f64,
    exemplar: Option<Spoken>,
}

#[derive(Debug)]
struct Spoken {
    labels: Labels,
    value: f64,
    seconds: f64,
}

/// Reads a page, or says what of it is wrong.
fn read(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with its end")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.split_terminator('\n') {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (Some(what), Some(name), Some(rest)) = (words.next(), words.next(), words.next()) else {
                return Err(wrong("an unknown comment"));
            };
            if name != current {
                if families.contains_key(name) {
                    return Err(wrong("a family in two places"));
                }
                current = name.to_owned();
            }
            let family = families.entry(current.clone()).or_default();
            if !family.samples.is_empty() {
                return Err(wrong("said behind samples"));
            }
            match what {
                "TYPE" if family.kind.is_empty() => family.kind = rest.to_owned(),
                "HELP" if !family.has_help => family.has_help = true,
                "UNIT" if family.unit.is_none() => family.unit = Some(rest.to_owned()),
                _ => return Err(wrong("said twice, or unknown")),
            }
            continue;
        }
        let (name, labels, rest) = series(line).ok_or_else(|| wrong("no series"))?;
        let family = families.get_mut(&current).ok_or_else(|| wrong("no family"))?;
        let suffix = name.strip_prefix(&current).ok_or_else(|| wrong("of another family"))?;
        if !suffixes(&family.kind).contains(&suffix) {
            return Err(wrong("its name does not fit its type"));
        }
        let (value, exemplar) = match rest.split_once(" # ") {
            None => (rest, None),
            Some((value, exemplar)) => (value, Some(spoken(exemplar).ok_or_else(|| wrong("no exemplar"))?)),
        };
        if exemplar.is_some() && !["_bucket", "_total"].contains(&suffix) {
            return Err(wrong("an exemplar where none is allowed"));
        }
        // A value alone: a timestamp would stand behind a blank.
        let value = value.parse().map_err(|_| wrong("no value"))?;
        family.samples.push(Sample { suffix: suffix.to_owned(), labels, value, exemplar });
    }
    for (name, family) in &families {
        check(name, family).map_err(|what| format!("{name}: {what}"))?;
    }
    clash(&families)?;
    Ok(families)
}

/// A name, its labels, and what follows.
fn series(line: &str) -> Option<(String, Labels, &str)> {
    let end = line.find(['{', ' '])?;
    let name = &line[..end];
    let well_formed = |name: &str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !well_formed(name) {
        return None;
    }
    let (labels, rest) =
        if line[end..].starts_with('{') { labels(&line[end..])? } else { (Vec::new(), &line[end..]) };
    let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
    let fine = names.len() == labels.len() && labels.iter().all(|(name, _)| well_formed(name));
    fine.then_some(())?;
    Some((name.to_owned(), labels, rest.strip_prefix(' ')?))
}

/// What stands in braces at the begin of `text`, unescaped, and what follows.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut rest = text.strip_prefix('{')?;
    let mut labels = Vec::new();
    loop {
        let (name, behind) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    _ => return None,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &behind[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((labels, rest.strip_prefix('}')?)),
        }
    }
}

fn spoken(text: &str) -> Option<Spoken> {
    let (labels, rest) = labels(text)?;
    let (value, seconds) = rest.strip_prefix(' ')?.split_once(' ')?;
    Some(Spoken { labels, value: value.parse().ok()?, seconds: seconds.parse().ok()? })
}

/// The rules about one family.
fn check(name: &str, family: &Family) -> Result<(), String> {
    if family.kind.is_empty() || !family.has_help {
        return Err("without a type or a help".into());
    }
    if let Some(unit) = &family.unit
        && !name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'))
    {
        return Err(format!("its unit is {unit}"));
    }
    let without_bound =
        |sample: &Sample| sample.labels.iter().filter(|(name, _)| name != "le").cloned().collect::<Vec<_>>();
    // The samples of one labelset are not interrupted by others'.
    let mut seen = Vec::new();
    for sample in &family.samples {
        let labels = without_bound(sample);
        if seen.last() != Some(&labels) {
            if seen.contains(&labels) {
                return Err(format!("{labels:?} in two places"));
            }
            seen.push(labels);
        }
        if family.kind == "counter" && !(sample.value >= 0.0 && sample.value.is_finite()) {
            return Err(format!("a counter of {}", sample.value));
        }
        if let Some(exemplar) = &sample.exemplar {
            let length: usize = exemplar.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            let bound =
                sample.labels.iter().find(|(name, _)| name == "le").map(|(_, bound)| bound.parse::<f64>());
            let fits = bound.is_none_or(|bound| bound.is_ok_and(|bound| exemplar.value <= bound));
            if length > 128 || !fits || sample.value < 1.0 {
                return Err(format!("a wrong exemplar: {sample:?}"));
            }
        }
    }
    if family.kind == "histogram" {
        for labels in seen {
            let of: Vec<_> = family.samples.iter().filter(|sample| without_bound(sample) == labels).collect();
            histogram(&of)?;
        }
    }
    Ok(())
}

/// Buckets that rise, the last without a bound and as many as are counted, in order, then the sum and the count.
fn histogram(samples: &[&Sample]) -> Result<(), String> {
    let (buckets, rest) = samples.split_at(samples.len() - 2);
    let bound = |sample: &Sample| {
        let bound = &sample.labels.iter().find(|(name, _)| name == "le").expect("a bucket has a bound").1;
        // `1` is no bound, `1.0` is.
        bound.contains(['.', 'I']).then(|| bound.parse::<f64>().expect("a number"))
    };
    let bounds: Option<Vec<f64>> = buckets.iter().map(|bucket| bound(bucket)).collect();
    let bounds = bounds.ok_or("a bound that is no fraction")?;
    let rises = bounds.is_sorted_by(|a, b| a < b) && buckets.is_sorted_by_key(|bucket| bucket.value);
    let named = buckets.iter().all(|bucket| bucket.suffix == "_bucket");
    let closed =
        bounds.last() == Some(&f64::INFINITY) && buckets.last().map(|last| last.value) == Some(rest[1].value);
    let ends = rest[0].suffix == "_sum" && rest[1].suffix == "_count";
    if rises && named && closed && ends { Ok(()) } else { Err(format!("no histogram: {samples:?}")) }
}

/// No two families can have samples of the same name.
fn clash(families: &BTreeMap<String, Family>) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (name, family) in families {
        // What a family may come to have counts, too.
        let reserved: &[&str] = match family.kind.as_str() {
            "counter" => &["", "_total", "_created"],
            "histogram" => &["", "_bucket", "_sum", "_count", "_created"],
            _ => &[""],
        };
        for suffix in reserved {
            if !names.insert(format!("{name}{suffix}")) {
                return Err(format!("{name}{suffix} is of two families"));
            }
        }
    }
    Ok(())
}

#[test]
fn the_page_is_openmetrics_to_the_letter() {
    let families = read(&everything(Format::OpenMetrics)).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(families.len() > 150, "only {} families", families.len());
    let kind = |name: &str| families[name].kind.as_str();
    assert_eq!(kind("redis_commands"), "counter");
    assert_eq!(kind("glasswing_refusals"), "counter");
    assert_eq!(kind("glasswing_stage_duration_seconds"), "histogram");
    assert_eq!(families["glasswing_lock_wait_seconds"].unit.as_deref(), Some("seconds"));
    assert_eq!(families["process_resident_memory_bytes"].unit.as_deref(), Some("bytes"));
    let unknown: Vec<_> = families.iter().filter(|(_, family)| family.kind == "unknown").collect();
    let names: Vec<_> = unknown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "redis_dump_payload_sanitizations",
            "redis_io_threaded_reads_processed",
            "redis_io_threaded_writes_processed",
            "redis_latency_percentiles_usec",
            "redis_latency_percentiles_usec_count",
            "redis_latency_percentiles_usec_sum",
            "redis_total_error_replies",
            "redis_total_reads_processed",
            "redis_total_writes_processed",
            "redis_unexpected_error_replies",
        ]
    );
}

#[test]
fn both_formats_have_the_same_series_and_values() {
    let samples = |format| {
        let text = everything(format);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // The bounds of batches are whole numbers, which OpenMetrics writes as fractions.
        let mut lines: Vec<String> = lines.map(|line| line.replace(".0\"}", "\"}")).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(samples(Format::Text), samples(Format::OpenMetrics));
}

#[test]
fn traced_calls_are_exemplars_of_the_bucket_that_counts_them() {
    let stats = busy_stats();
    let exemplar = |nanos, unix_ms| Exemplar { nanos, unix_ms, trace: [0xa1; 16], span: [0xb2; 8] };
    stats.exemplars().note(1, exemplar(1_500, 1_700_000_000_250));
    stats.exemplars().note(1, exemplar(3_000_000, 1_700_000_001_000));
    let metrics = Metrics::new(Arc::clone(&stats)).expect("the names are well-formed");
    let text = metrics.render(figures(), Format::OpenMetrics);
    let families = read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let with = |family: &Family| {
        let spoken = family.samples.iter().filter_map(|sample| Some((sample, sample.exemplar.as_ref()?)));
        spoken
            .map(|(sample, spoken)| (sample.labels.clone(), spoken.value, spoken.seconds))
            .collect::<Vec<_>>()
    };
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let durations = &families["glasswing_command_duration_seconds"];
    assert_eq!(
        with(durations),
        [
            (vec![label("cmd", "get"), label("le", "0.000002048")], 0.000_001_5, 1_700_000_000.25),
            (vec![label("cmd", "get"), label("le", "0.004194304")], 0.003, 1_700_000_001.0),
        ]
    );
    let spoken = durations.samples.iter().find_map(|sample| sample.exemplar.as_ref()).expect("there are two");
    let ids = [label("trace_id", &"a1".repeat(16)), label("span_id", &"b2".repeat(8))];
    assert_eq!(spoken.labels, ids);
    let others = families.iter().filter(|(name, _)| *name != "glasswing_command_duration_seconds");
    assert!(others.map(|(_, family)| with(family)).all(|with| with.is_empty()));
    // The plain format has no place for them.
    assert!(!metrics.render(figures(), Format::Text).contains(" # "));
    // They go with what they stand for.
    stats.reset();
    assert!(!metrics.render(figures(), Format::OpenMetrics).contains(" # {"));
}

#[test]
fn what_clients_name_breaks_no_page() {
    let stats = busy_stats();
    for code in ["\"quo\\ted\"", "new\nline", "\u{1}\u{7f}\u{85}\r", "{a=\"b\"}#", "\u{202e}äöü", "#"] {
        stats.worker(0).error(&format!("{code} text"));
    }
    let replica = |address: &str| ReplicaFigures {
        address: address.to_owned(),
        port: -1,
        state: "online",
        ..ReplicaFigures::default()
    };
    // Two of them say the same of themselves.
    let replicas = vec![replica("a\"b\\c\n} 1"), replica("a\"b\\c\n} 1"), replica("x")];
    let figures = Figures {
        replication: ReplicationFigures { replicas, ..ReplicationFigures::default() },
        ..figures()
    };
    let metrics = Metrics::new(stats).expect("the names are well-formed");
    let text = metrics.render(figures.clone(), Format::OpenMetrics);
    let families = read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let values = |family: &str, label: &str| -> Vec<String> {
        let of = |sample: &Sample| {
            sample.labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.clone())
        };
        families[family].samples.iter().filter_map(of).collect()
    };
    let errors = values("redis_errors", "err");
    assert_eq!(errors.len(), 7, "{errors:?}");
    assert!(
        errors.contains(&"\"quo\\ted\"".to_owned()) && errors.contains(&"new\nline".to_owned()),
        "{errors:?}"
    );
    assert_eq!(values("redis_connected_slave_lag_seconds", "slave_ip"), ["a\"b\\c\n} 1", "x"]);
    assert!(
        metrics.render(figures, Format::Text).lines().all(|line| line.starts_with('#') || line.contains(' '))
    );
}

#[test]
fn a_planted_fault_is_found() {
    let head = "# HELP a h\n# TYPE a counter\n";
    for (fault, text) in [
        ("no end", format!("{head}a_total 1\n")),
        ("something behind the end", format!("{head}a_total 1\n# EOF\n\n")),
        ("a counter's name", format!("{head}a 1\n# EOF\n")),
        ("below zero", format!("{head}a_total -1\n# EOF\n")),
        ("a timestamp", format!("{head}a_total 1 2\n# EOF\n")),
        ("no help", "# TYPE a counter\na_total 1\n# EOF\n".to_owned()),
        ("a type behind samples", "# HELP a h\na_total 1\n# TYPE a counter\n# EOF\n".to_owned()),
        ("two families in one", format!("{head}a_total 1\n# HELP b h\n# TYPE b gauge\na_total 2\n# EOF\n")),
        (
            "a family in two places",
            format!("{head}a_total{{x=\"1\"}} 1\n# HELP b h\n# TYPE b gauge\nb 1\n# TYPE a counter\n# EOF\n"),
        ),
        ("a clash", format!("{head}a_total 1\n# HELP a_total h\n# TYPE a_total gauge\na_total 1\n# EOF\n")),
        ("a label twice", format!("{head}a_total{{x=\"1\",x=\"2\"}} 1\n# EOF\n")),
        (
            "a set of labels in two places",
            format!("{head}a_total{{x=\"1\"}} 1\na_total{{x=\"2\"}} 1\na_total{{x=\"1\"}} 1\n# EOF\n"),
        ),
        ("a unit", "# HELP a h\n# TYPE a gauge\n# UNIT a bytes\na 1\n# EOF\n".to_owned()),
        (
            "an exemplar of a gauge",
            "# HELP a h\n# TYPE a gauge\na 1 # {trace_id=\"1\"} 1 1\n# EOF\n".to_owned(),
        ),
        (
            "an exemplar above its bucket",
            "# HELP a h\n# TYPE a histogram\na_bucket{le=\"0.5\"} 1 # {t=\"1\"} 0.6 1\na_bucket{le=\"+Inf\"} 1\n\
             a_sum 1\na_count 1\n# EOF\n"
                .to_owned(),
        ),
        (
            "a whole number as a bound",
            "# HELP a h\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n\
             # EOF\n"
                .to_owned(),
        ),
        (
            "buckets that fall",
            "# HELP a h\n# TYPE a histogram\na_bucket{le=\"0.5\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n\
             # EOF\n"
                .to_owned(),
        ),
    ] {
        assert!(read(&text).is_err(), "{fault}");
    }
    assert!(read(&format!("{head}a_total{{x=\"\\\\\\n\\\"\"}} 1 # {{t=\"1\"}} 1 1.5\n# EOF\n")).is_ok());
}
