//! Reads what `redis-benchmark --precision 3` prints. Pure: text in, figures out.
//! Compiled a second time by `tests/compare_parts.rs`, because a bench without a harness has no tests.

use std::fmt;

/// One workload as redis-benchmark reports it. Times are milliseconds; with a pipeline, a
/// latency is that of the whole batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The title between the rows of `=`, e.g. `GET`.
    pub title: String,
    /// Requests per second.
    pub throughput: f64,
    /// Mean latency.
    pub avg_ms: f64,
    /// Half of the requests took no longer.
    pub p50_ms: f64,
    /// 99 in 100 took no longer.
    pub p99_ms: f64,
    /// 999 in 1000 took no longer: the first line of the percentile distribution at or above
    /// 99.9 (redis-benchmark prints 99.902), so it errs upwards and never down.
    pub p999_ms: f64,
    /// The slowest request.
    pub max_ms: f64,
}

/// What was missing in the output.
#[derive(Debug, PartialEq)]
pub struct ParseError(&'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "redis-benchmark's output has no {}", self.0)
    }
}

impl std::error::Error for ParseError {}

/// The last workload in `output`. Progress that redis-benchmark writes over itself with carriage
/// returns is skipped.
pub fn summary(output: &str) -> Result<Summary, ParseError> {
    let lines: Vec<&str> = output.split(['\r', '\n']).map(str::trim).collect();
    let start = lines.iter().rposition(|line| title_of(line).is_some()).ok_or(ParseError("title"))?;
    let report = &lines[start..];
    let title = title_of(report[0]).unwrap_or_default().to_owned();
    let throughput = report
        .iter()
        .find_map(|line| line.strip_prefix("throughput summary:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|figure| figure.parse().ok())
        .ok_or(ParseError("throughput summary"))?;
    let latency = latency_row(report).ok_or(ParseError("latency summary"))?;
    let [avg_ms, _min, p50_ms, _p95, p99_ms, max_ms] = latency;
    Ok(Summary {
        title,
        throughput,
        avg_ms,
        p50_ms,
        p99_ms,
        p999_ms: percentile(report, 99.9).ok_or(ParseError("percentile distribution"))?,
        max_ms,
    })
}

fn title_of(line: &str) -> Option<&str> {
    line.strip_prefix("====== ")?.strip_suffix(" ======")
}

/// The row under `avg min p50 p95 p99 max`.
fn latency_row(report: &[&str]) -> Option<[f64; 6]> {
    let head = report
        .iter()
        .position(|line| line.split_whitespace().eq(["avg", "min", "p50", "p95", "p99", "max"]))?;
    let figures: Vec<f64> =
        report.get(head + 1)?.split_whitespace().map_while(|figure| figure.parse().ok()).collect();
    figures.try_into().ok()
}

/// The latency of the first line at or above `percent` in the first distribution, the one by
/// percentile. (The second counts by latency and is coarser.)
fn percentile(report: &[&str], percent: f64) -> Option<f64> {
    let head = report.iter().position(|line| *line == "Latency by percentile distribution:")?;
    report[head + 1..]
        .iter()
        .map_while(|line| distribution_line(line))
        .find(|(at, _)| *at >= percent)
        .map(|(_, ms)| ms)
}

/// `99.902% <= 5.111 milliseconds (cumulative count 199808)`.
fn distribution_line(line: &str) -> Option<(f64, f64)> {
    let (percent, rest) = line.split_once("% <= ")?;
    let (ms, _) = rest.split_once(" milliseconds")?;
    Some((percent.parse().ok()?, ms.parse().ok()?))
}

#[cfg(test)]
#[allow(
    unused_imports,
    dead_code,
    reason = "the bench itself is compiled with cfg(test) too, but its #[test]s are left out"
)]
mod tests {
    use super::*;

    /// As redis-benchmark 7.0.15 wrote it, progress included; some distribution lines left out.
    const OUTPUT: &str = "GET: rps=0.0 (overall: 0.0) avg_msec=-nan (overall: -nan)\r\
        GET: rps=948207.2 (overall: 948207.2) avg_msec=0.520 (overall: 0.520)\r          \r\
====== GET ======
  200000 requests completed in 0.21 seconds
  50 parallel clients
  64 bytes payload
  keep alive: 1
  host configuration \"save\": 
  host configuration \"appendonly\": no
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.111 milliseconds (cumulative count 16)
50.000% <= 0.447 milliseconds (cumulative count 102160)
99.805% <= 4.847 milliseconds (cumulative count 199616)
99.902% <= 5.111 milliseconds (cumulative count 199808)
100.000% <= 5.359 milliseconds (cumulative count 200000)

Cumulative distribution of latencies:
0.000% <= 0.103 milliseconds (cumulative count 0)
99.896% <= 5.103 milliseconds (cumulative count 199792)
100.000% <= 6.103 milliseconds (cumulative count 200000)

Summary:
  throughput summary: 947867.31 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.521     0.104     0.447     0.855     1.639     5.359

";

    #[test]
    fn reads_every_figure() {
        let summary = summary(OUTPUT).unwrap();
        assert_eq!(
            summary,
            Summary {
                title: "GET".to_owned(),
                throughput: 947867.31,
                avg_ms: 0.521,
                p50_ms: 0.447,
                p99_ms: 1.639,
                p999_ms: 5.111,
                max_ms: 5.359,
            }
        );
    }

    #[test]
    fn takes_the_last_report() {
        let later = OUTPUT.replace("GET", "LRANGE_100 (first 100 elements)").replace("947867.31", "5.5");
        let summary = summary(&format!("{OUTPUT}{later}")).unwrap();
        assert_eq!(summary.title, "LRANGE_100 (first 100 elements)");
        assert_eq!(summary.throughput, 5.5);
    }

    #[test]
    fn a_distribution_that_jumps_over_the_percentile_reads_upwards() {
        let coarse = OUTPUT.replace("99.902% <= 5.111", "99.850% <= 5.111");
        assert_eq!(summary(&coarse).unwrap().p999_ms, 5.359);
    }

    #[test]
    fn the_distribution_by_latency_is_not_the_one_by_percentile() {
        let only_second = OUTPUT.replace("Latency by percentile distribution:", "Something else:");
        assert_eq!(summary(&only_second), Err(ParseError("percentile distribution")));
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(summary("Error: Connection reset"), Err(ParseError("title")));
        let cut = &OUTPUT[..OUTPUT.find("Summary:").unwrap()];
        assert_eq!(summary(cut), Err(ParseError("throughput summary")));
        let cut = OUTPUT.replace("0.104", "none");
        assert_eq!(summary(&cut), Err(ParseError("latency summary")));
    }
}
