//! The health probes, as Kubernetes asks them.
//!
//! A probe is `ok` when every check that counts for it is; `/healthz` asks them
//! all. `?verbose` names each check with its reason, `?exclude=name` leaves one
//! out, and `Accept: application/json` gets the same as JSON.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::ports::Check;
use super::query::Asked;
use super::reply::{self, Problem};
use super::server::Shared;

pub(super) async fn livez(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer("livez", shared.control.checks(), |check| check.live, &uri, &headers)
}

pub(super) async fn readyz(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer("readyz", shared.control.checks(), |check| check.ready, &uri, &headers)
}

pub(super) async fn startupz(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer("startupz", shared.control.checks(), |check| check.startup, &uri, &headers)
}

pub(super) async fn healthz(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer("healthz", shared.control.checks(), |_| true, &uri, &headers)
}

fn answer(
    probe: &str,
    checks: Vec<Check>,
    counts: fn(&Check) -> bool,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::of(uri)?;
    let verdict = Verdict::new(probe, checks.into_iter().filter(counts).collect(), &asked);
    let status = if verdict.ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_json(headers) {
        return Ok(reply::json(status, &verdict.to_json()));
    }
    let text = if asked.switch("verbose")? { verdict.verbose() } else { verdict.brief() };
    Ok((status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// What `/readyz?verbose` answers.
pub(super) fn ready_in_words(checks: Vec<Check>) -> String {
    let checks = checks.into_iter().filter(|check| check.ready).collect();
    Verdict { probe: "readyz", checks, excluded: Vec::new() }.verbose()
}

/// What a probe found.
struct Verdict<'a> {
    probe: &'a str,
    checks: Vec<Check>,
    excluded: Vec<&'a str>,
}

impl<'a> Verdict<'a> {
    fn new(probe: &'a str, checks: Vec<Check>, asked: &'a Asked) -> Verdict<'a> {
        Verdict { probe, checks, excluded: asked.values("exclude").collect() }
    }

    fn is_excluded(&self, check: &Check) -> bool {
        self.excluded.contains(&check.name)
    }

    fn failing(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.ok && !self.is_excluded(check))
    }

    fn ok(&self) -> bool {
        self.failing().next().is_none()
    }

    fn brief(&self) -> String {
        if self.ok() {
            return "ok".to_owned();
        }
        self.failing().map(|check| format!("{}: {}\n", check.name, check.reason)).collect()
    }

    fn verbose(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for check in &self.checks {
            let _ = match (self.is_excluded(check), check.ok) {
                (true, _) => writeln!(text, "[+]{} excluded: ok", check.name),
                (false, true) => writeln!(text, "[+]{} ok: {}", check.name, check.reason),
                (false, false) => writeln!(text, "[-]{} failed: {}", check.name, check.reason),
            };
        }
        for name in &self.excluded {
            if !self.checks.iter().any(|check| check.name == *name) {
                let _ = writeln!(text, "warn: no check is named {name:?}, so none was excluded");
            }
        }
        let end = if self.ok() { "passed" } else { "failed" };
        let _ = writeln!(text, "{} check {end}", self.probe);
        text
    }

    fn to_json(&self) -> serde_json::Value {
        let checks: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name,
                    "ok": check.ok,
                    "excluded": self.is_excluded(check),
                    "reason": check.reason,
                })
            })
            .collect();
        let status = if self.ok() { "ok" } else { "failed" };
        json!({ "probe": self.probe, "status": status, "checks": checks })
    }
}

/// Whether `Accept` names JSON and does not rule it out with a weight of zero.
fn wants_json(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
        let refused = parts
            .filter_map(|part| part.strip_prefix("q="))
            .any(|weight| weight.parse::<f32>().is_ok_and(|weight| weight == 0.0));
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_to_those_who_ask_for_it() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            wants_json(&headers)
        };
        assert!(wants("application/json"));
        assert!(wants("text/html, Application/JSON;q=0.5"));
        assert!(!wants("*/*"));
        assert!(!wants("application/json;q=0"));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
