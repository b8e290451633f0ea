//! What the server says about itself: metrics, configuration, INFO, version, and
//! the page that links them.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::query::Asked;
use super::reply::{self, InOrder, Problem};
use super::server::Shared;

pub(super) const PAGE: &str = include_str!("index.html");

/// The page loads nothing, runs nothing and is shown in no frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page calls itself when the request does not say.
const HERE: &str = "localhost:8080";

pub(super) async fn index(headers: HeaderMap) -> Response {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    let page = PAGE.replace("{here}", named.filter(is_plain).unwrap_or(HERE));
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    (headers, page).into_response()
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let text = shared.control.metrics();
    let kind = HeaderValue::from_str(&text.content_type).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the content type of the metrics is no header value",
            "report this as a bug",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, kind)], text.body).into_response())
}

pub(super) async fn config(State(shared): State<Shared>) -> Response {
    reply::json(StatusCode::OK, &InOrder(&shared.control.config()))
}

/// INFO by section; `?section=` takes one name or several, joined by commas or repeated.
pub(super) async fn info(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let wanted: Vec<&str> =
        asked.values("section").flat_map(|value| value.split(',')).filter(|name| !name.is_empty()).collect();
    let sections = shared.control.info();
    let unknown =
        wanted.iter().find(|name| !sections.iter().any(|section| section.name.eq_ignore_ascii_case(name)));
    if let Some(name) = unknown {
        let names: Vec<&str> = sections.iter().map(|section| section.name.as_str()).collect();
        let what_to_do = format!("ask for one of: {}", names.join(", "));
        let error = format!("there is no section '{name}'");
        return Err(Problem::new(StatusCode::NOT_FOUND, error, what_to_do));
    }
    let shown: Vec<_> = sections
        .iter()
        .filter(|section| {
            wanted.is_empty() || wanted.iter().any(|name| section.name.eq_ignore_ascii_case(name))
        })
        .map(|section| (section.name.clone(), InOrder(&section.fields)))
        .collect();
    Ok(reply::json(StatusCode::OK, &InOrder(&shown)))
}

/// The slow log, the latest first; `?count=` says how many, 128 unless told.
pub(super) async fn slow_log(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    const DEFAULT_COUNT: usize = 128;
    let asked = Asked::of(&uri)?;
    let count = match asked.values("count").last() {
        None => DEFAULT_COUNT,
        Some(text) => text.parse().map_err(|_| {
            let error = format!("'count' is '{text}'");
            Problem::new(StatusCode::BAD_REQUEST, error, "ask with count= and a number that is not negative")
        })?,
    };
    let log = shared.control.slow_log(count);
    let entries: Vec<_> = log
        .entries
        .iter()
        .map(|entry| {
            json!({
                "id": entry.id,
                "time_unix_s": entry.unix_s,
                "duration_us": entry.duration_us,
                "arguments": entry.arguments,
                "client": entry.client,
                "client_name": entry.client_name,
                "stages": {
                    "lock_wait_us": entry.lock_wait_us,
                    "run_us": entry.run_us,
                    "write_us": entry.write_us,
                },
            })
        })
        .collect();
    let body = json!({
        "slower_than_us": log.slower_than_us,
        "max_len": log.max_len,
        "len": log.len,
        "entries": entries,
    });
    Ok(reply::json(StatusCode::OK, &body))
}

pub(super) async fn version(State(shared): State<Shared>) -> Response {
    let version = shared.control.version();
    let body = json!({
        "glasswing_version": version.glasswing_version,
        "redis_version": version.redis_version,
        "build": version.build,
        "rust": version.rust,
    });
    reply::json(StatusCode::OK, &body)
}
