//! `GET /debug/profile`: where the server's processor time goes, for some seconds.
//!
//! The threads are sampled and the answer is made on a thread of its own, one at a time in the process; a profile counts as
//! long as a byte of it is unsent, as a bundle does. It ends early when whoever asked goes away, or the server stops.

use std::fmt;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::observe::profile::{self, Profile, Turn, Wanted};

use super::query::Asked;
use super::reply::Problem;
use super::server::Shared;

/// For how long a profile may be taken, and is where nobody says it.
const SECONDS: RangeInclusive<u64> = 1..=60;
const USUAL_SECONDS: u64 = 10;
/// How often a thread may be sampled. The usual number is odd, so as not to keep step with what happens every 10 ms.
const HZ: RangeInclusive<u64> = 1..=999;
const USUAL_HZ: u64 = 99;

/// The graph's own style and script, and nothing from anywhere.
const GRAPH_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// How the profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    FlameGraph,
    Folded,
    Pprof,
}

impl Form {
    /// What it is called, and what that is.
    const NAMES: [(&str, Form); 3] =
        [("svg", Form::FlameGraph), ("folded", Form::Folded), ("pprof", Form::Pprof)];

    fn write(self, profile: &Profile) -> io::Result<Vec<u8>> {
        match self {
            Form::FlameGraph => Ok(profile.flame_graph().into_bytes()),
            Form::Folded => Ok(profile.folded().into_bytes()),
            Form::Pprof => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(&profile.pprof())?;
                packed.finish()
            }
        }
    }

    fn headers(self, begun_unix_ms: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let kind = match self {
            Form::FlameGraph => "image/svg+xml",
            Form::Folded => "text/plain; charset=utf-8",
            Form::Pprof => "application/octet-stream",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        match self {
            Form::FlameGraph => {
                headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(GRAPH_POLICY));
            }
            Form::Folded => {}
            Form::Pprof => {
                let begun = i64::try_from(begun_unix_ms).unwrap_or(i64::MAX);
                let begun = Timestamp::from_millisecond(begun).unwrap_or_default();
                let name = begun.strftime("attachment; filename=\"glasswing-profile-%Y%m%dT%H%M%SZ.pb.gz\"");
                headers.extend(
                    HeaderValue::from_str(&name.to_string()).map(|name| (header::CONTENT_DISPOSITION, name)),
                );
            }
        }
        headers
    }
}

/// Takes and sends the profile.
pub(super) async fn profile(State(mut shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let seconds = within(&asked, "seconds", USUAL_SECONDS, SECONDS)?;
    let hz = within(&asked, "hz", USUAL_HZ, HZ)?;
    let form = form(&asked)?;
    let wanted = Wanted { time: Duration::from_secs(seconds), hz: u32::try_from(hz).unwrap_or(u32::MAX) };
    let turn = profile::turn().ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "another profile is being taken or sent",
            "ask again when that one has been taken; none takes longer than a minute",
        )
    })?;
    let gone = Arc::new(AtomicBool::new(false));
    let still = Arc::clone(&gone);
    let _gone = SetWhenDropped(gone);
    let work = tokio::task::spawn_blocking(move || {
        let made = turn.take(wanted, || !still.load(Ordering::Relaxed)).map_err(|error| failed(&error));
        let written = made.and_then(|profile| {
            let bytes = form.write(&profile).map_err(|error| failed(&error))?;
            Ok((form.headers(profile.begun_unix_ms()), bytes))
        });
        written.map(|(headers, bytes)| (headers, Body::from(Bytes::from_owner(Sent { bytes, _turn: turn }))))
    });
    tokio::select! {
        done = work => match done {
            Ok(made) => made.map(IntoResponse::into_response),
            // As a panic on this thread: it is answered, and counted, where all are.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(stopping()),
        },
        _ = shared.stopping.wait_for(|stop| *stop) => Err(stopping()),
    }
}

fn within(asked: &Asked, name: &str, usual: u64, range: RangeInclusive<u64>) -> Result<u64, Problem> {
    let given = asked.number(name, usual)?;
    if range.contains(&given) {
        return Ok(given);
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        format!("'{name}' is {given}"),
        format!("ask with {name}= and a number from {} to {}", range.start(), range.end()),
    ))
}

fn form(asked: &Asked) -> Result<Form, Problem> {
    let Some(name) = asked.values("format").last() else { return Ok(Form::FlameGraph) };
    let known = Form::NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, form)| *form).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("'format' is '{name}'"),
            "ask with format=svg, format=folded or format=pprof",
        )
    })
}

fn failed(error: &dyn fmt::Display) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the profile cannot be taken: {error}"),
        "the server needs to read /proc/self and to make timers, which what it runs under may forbid",
    )
}

fn stopping() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping", "ask the one that comes after it")
}

/// Tells the thread that samples that nobody waits for it any longer.
struct SetWhenDropped(Arc<AtomicBool>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A profile that is being sent.
struct Sent {
    bytes: Vec<u8>,
    _turn: Turn,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
