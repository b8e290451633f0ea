//! `GET /debug/bundle`: what one attaches to a bug report, as one archive.
//!
//! It is made to be given away, so it holds less than the routes that show the same: no argument of a slow command
//! (most are keys and values), and neither the address nor the name of the client that sent it. Gathering and packing
//! run on a thread of their own, one archive at a time, and an archive counts as long as a byte of it is unsent:
//! whoever asks and does not read holds no second one in memory.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::observe::metrics::Format;

use super::facts;
use super::ports::Control;
use super::probes;
use super::reply::{self, InOrder, Problem};
use super::server::Shared;

/// A file is cut after so many bytes; the largest one that is usual, the metrics, has some hundred thousand.
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// Entries of the slow log, the latest.
const SLOW_COMMANDS: usize = 256;

/// Makes and sends the archive.
pub(super) async fn bundle(State(shared): State<Shared>) -> Result<Response, Problem> {
    let Ok(permit) = Arc::clone(&shared.bundling).try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "another bundle is being made or sent",
            "ask again in some seconds, when that one has been taken",
        ));
    };
    let work = move || (make(&*shared.control), permit);
    let (made, permit) = match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // As a panic on this thread: it is answered, and counted, where all are.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => return Err(failed("the server is stopping")),
    };
    let (name, bytes) = made.map_err(|error| failed(&error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.tar.gz\"")),
    ];
    let body = Body::from(Bytes::from_owner(Archive { bytes, _permit: permit }));
    Ok((headers, body).into_response())
}

fn failed(error: &str) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the bundle cannot be made: {error}"),
        "ask again; /info, /config, /slowlog and /metrics have the parts of it",
    )
}

/// An archive that is being sent.
struct Archive {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Archive {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The archive's name without its ending, and its bytes.
fn make(control: &dyn Control) -> io::Result<(String, Vec<u8>)> {
    let unix_ms = control.unix_ms();
    let now = Timestamp::from_millisecond(i64::try_from(unix_ms).unwrap_or(i64::MAX)).unwrap_or_default();
    let name = format!("glasswing-bundle-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (file, text) in files(control) {
        let text = cut(text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(unix_ms / 1_000);
        archive.append_data(&mut header, format!("{name}/{file}"), text.as_bytes())?;
    }
    Ok((name, archive.into_inner()?.finish()?))
}

/// The files, the log last: what was said while the others were gathered is in it.
fn files(control: &dyn Control) -> [(&'static str, String); 8] {
    [
        ("version.json", reply::json_text(&facts::version_json(&control.version()))),
        ("health.txt", probes::ready_in_words(control.checks())),
        ("info.txt", info(control)),
        ("config.json", reply::json_text(&InOrder(&control.config()))),
        ("workers.json", workers(control)),
        ("slowlog.json", slow_log(control)),
        ("metrics.txt", control.metrics(Format::Text)),
        ("log.txt", control.recent_log()),
    ]
}

/// As a client sees `INFO everything`, but for its line ends.
fn info(control: &dyn Control) -> String {
    let mut text = String::new();
    for section in control.info() {
        text.push_str(&format!("# {}\n", section.name));
        for (name, value) in &section.fields {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push('\n');
    }
    text
}

fn workers(control: &dyn Control) -> String {
    let states: Vec<_> = control
        .worker_states()
        .iter()
        .enumerate()
        .map(|(number, state)| {
            json!({
                "worker": number,
                "connections": state.connections,
                "commands": state.commands,
                "busy_s": state.busy_s,
                "turned_s_ago": state.turned_s_ago,
            })
        })
        .collect();
    reply::json_text(&states)
}

fn slow_log(control: &dyn Control) -> String {
    let log = control.slow_log(SLOW_COMMANDS);
    reply::json_text(&facts::slow_log_json(&log, |entry| json!({ "command": entry.command })))
}

fn cut(mut text: String) -> String {
    if text.len() > FILE_BYTES {
        text.truncate(text.floor_char_boundary(FILE_BYTES));
        text.push_str("\n(cut here)\n");
    }
    text
}
