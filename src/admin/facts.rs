//! What the server says about itself: metrics, configuration, INFO, slow log, version.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::accept;
use super::ports::{SlowCommand, SlowCommands, VersionInfo};
use super::query::Asked;
use super::reply::{self, InOrder, Problem};
use super::server::Shared;

/// The metrics, in the format that the scraper likes best.
pub(super) async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let format = accept::format_of(&headers);
    let about = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")];
    (about, shared.control.metrics(format)).into_response()
}

/// Every setting; `?changed` gives those that are not at their default, each with that default.
pub(super) async fn config(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    if !Asked::of(&uri)?.switch("changed")? {
        return Ok(reply::json(StatusCode::OK, &InOrder(&shared.control.config())));
    }
    let changed: Vec<_> = shared
        .control
        .changed_settings()
        .into_iter()
        .map(|setting| (setting.name, json!({ "value": setting.value, "default": setting.default })))
        .collect();
    Ok(reply::json(StatusCode::OK, &InOrder(&changed)))
}

/// INFO's own names for all there is: here that is every section anyway.
const ALL_SECTIONS: [&str; 3] = ["all", "everything", "default"];

/// INFO by section; `?section=` takes one name or several, joined by commas or repeated.
pub(super) async fn info(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let mut wanted: Vec<&str> =
        asked.values("section").flat_map(|value| value.split(',')).filter(|name| !name.is_empty()).collect();
    if wanted.iter().any(|name| ALL_SECTIONS.iter().any(|all| all.eq_ignore_ascii_case(name))) {
        wanted.clear();
    }
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
    let asked = Asked::of(&uri)?;
    let count = usize::try_from(asked.number("count", 128)?).unwrap_or(usize::MAX);
    let body = slow_log_json(
        &shared.control.slow_log(count),
        |entry| json!({ "arguments": entry.arguments, "client": entry.client, "client_name": entry.client_name }),
    );
    Ok(reply::json(StatusCode::OK, &body))
}

/// The slow log with what `more` says of each command, an object.
pub(super) fn slow_log_json(log: &SlowCommands, more: impl Fn(&SlowCommand) -> Value) -> Value {
    let entry = |entry: &SlowCommand| {
        let mut shown = json!({
            "id": entry.id,
            "time_unix_s": entry.unix_s,
            "duration_us": entry.duration_us,
            "stages": {
                "lock_wait_us": entry.lock_wait_us,
                "run_us": entry.run_us,
                "write_us": entry.write_us,
            },
        });
        if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more(entry)) {
            shown.extend(more);
        }
        shown
    };
    json!({
        "slower_than_us": log.slower_than_us,
        "max_len": log.max_len,
        "len": log.len,
        "entries": log.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

pub(super) async fn version(State(shared): State<Shared>) -> Response {
    reply::json(StatusCode::OK, &version_json(&shared.control.version()))
}

pub(super) fn version_json(version: &VersionInfo) -> Value {
    json!({
        "glasswing_version": version.glasswing_version,
        "redis_version": version.redis_version,
        "build": version.build,
        "rust": version.rust,
    })
}
