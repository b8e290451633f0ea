//! Saving: start one, wait for it, look at it.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ports::{SaveJob, SaveRefused, SaveResult, SaveStatus};
use super::query::Asked;
use super::reply::{self, Problem};
use super::server::Shared;

/// `POST /save`: starts a save and says where to look, or waits for its end (and first for what else is being written).
pub(super) async fn start(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let wait = Asked::of(&uri)?.switch("wait")?;
    let job = loop {
        match shared.control.start_save() {
            Err(SaveRefused::Occupied(other, _)) if wait => {
                shared.control.wait_for_save(other.id).await;
            }
            started => break started.map_err(refused)?,
        }
    };
    if !wait {
        let look_at = place_of(job);
        let body = json!({ "job": job.id, "state": "running", "look_at": look_at });
        let location = [(header::LOCATION, look_at)];
        return Ok((location, reply::json(StatusCode::ACCEPTED, &body)).into_response());
    }
    let status = shared.control.wait_for_save(job.id).await;
    match &status.last {
        Some(last) if last.ok => Ok(reply::json(StatusCode::OK, &describe(&status))),
        Some(last) => Err(failed(last.error.as_deref().unwrap_or("the save failed"))
            .field("job", job.id)
            .field("last", describe_result(last))),
        None => Err(failed("the save ended without a result").field("job", job.id)),
    }
}

/// `GET /save`: the running save and the last result; `?job=` asks for one save.
pub(super) async fn status(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let status = shared.control.save_status();
    if let Some(text) = asked.values("job").last() {
        known_job(text, status.job)?;
    }
    Ok(reply::json(StatusCode::OK, &describe(&status)))
}

/// Only the newest save's state is kept, so an older job's is not told as if it were.
fn known_job(text: &str, newest: Option<u64>) -> Result<(), Problem> {
    let job: u64 = text.parse().map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("'{text}' is not the number of a save"),
            "use the number that POST /save gave, or leave it out",
        )
    })?;
    match newest {
        Some(newest) if newest == job => Ok(()),
        Some(newest) if newest > job => Err(Problem::new(
            StatusCode::GONE,
            format!("save {job} is over and save {newest} came after it"),
            "GET /save shows the newest one",
        )),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there was no save {job} since this server started"),
            "GET /save shows the newest one",
        )),
    }
}

fn refused(refusal: SaveRefused) -> Problem {
    match refusal {
        SaveRefused::Running(job) => Problem::new(
            StatusCode::CONFLICT,
            format!("save {} is running", job.id),
            "GET /save shows how far it is; ask again when it has ended",
        )
        .field("job", job.id)
        .field("look_at", place_of(job))
        .header(header::LOCATION, &place_of(job)),
        SaveRefused::Occupied(_, what) => Problem::new(
            StatusCode::CONFLICT,
            what,
            "ask again when that has ended, or with ?wait=true, which waits for it and then saves",
        ),
        SaveRefused::Loading => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the data is being loaded, so there is nothing whole to save",
            "GET /startupz shows how far it is; ask again when it has ended",
        ),
        SaveRefused::Failed(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        reason,
        "remove the cause and save again; an older snapshot file is as it was",
    )
}

fn place_of(job: SaveJob) -> String {
    format!("/save?job={}", job.id)
}

pub(super) fn describe(status: &SaveStatus) -> Value {
    json!({
        "running": status.running,
        "job": status.job,
        "progress": status.running.then_some(status.share),
        "keys": status.running.then_some(status.keys),
        "bytes": status.running.then_some(status.bytes),
        "seconds_left": if status.running { status.seconds_left } else { None },
        "last": status.last.as_ref().map(describe_result),
        "last_success_unix_ms": status.last_success_unix_ms,
    })
}

fn describe_result(last: &SaveResult) -> Value {
    json!({
        "ok": last.ok,
        "error": last.error,
        "file": last.file,
        "bytes": last.bytes,
        "keys": last.keys,
        "seconds": last.seconds,
        "finished_unix_ms": last.finished_unix_ms,
    })
}
