//! What takes most: the keys and clients that are used most, the largest keys, memory by type and by prefix.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::text::{Text, percent_encoded};
use crate::admin::query::Asked;
use crate::admin::reply::{self, Problem};
use crate::admin::server::Shared;

/// Of each kind in one answer when nothing is said, and at most.
const DEFAULT_TOP: u64 = 10;
const MOST: u64 = 128;

/// What takes most, as the server has watched it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeyStatistics {
    /// It watches at all: `key-statistics`.
    pub on: bool,
    /// What was used most of late.
    pub used: UsedMost,
    /// What lies in the keyspace; nothing before the first walk over it has ended.
    pub found: Option<FoundMost>,
}

/// What was used most of late, told from requests that were drawn at random.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UsedMost {
    /// Over how many seconds.
    pub window_s: f64,
    /// Requests that were drawn in them; older ones weigh less.
    pub samples: u64,
    /// Requests to one that is drawn.
    pub one_in: u64,
    /// How sure `share_low` and `share_high` are, each for itself.
    pub confidence: f64,
    /// Requests.
    pub requests_per_second: f64,
    /// Keys that requests named.
    pub accesses_per_second: f64,
    /// The keys that stand out, the most used first.
    pub keys: Vec<UsedKey>,
    /// The busiest clients.
    pub clients: Vec<BusyClient>,
    /// The names and libraries of clients that send most.
    pub libraries: Vec<BusyLibrary>,
}

/// How much of everything is one thing's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct UsedShare {
    /// As the samples have it, from 0 to 1.
    pub share: f64,
    /// It is not less.
    pub share_low: f64,
    /// It is not more.
    pub share_high: f64,
    /// As many a second.
    pub per_second: f64,
    /// Which part of it are commands that write, from 0 to 1.
    pub writes: f64,
}

/// A key.
#[derive(Clone, Debug, Serialize)]
pub struct UsedKey {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub name: Text,
    /// Its name as `/key` takes it; none where it was cut.
    pub id: Option<String>,
    /// How much it is used.
    #[serde(flatten)]
    pub share: UsedShare,
}

/// A client.
#[derive(Clone, Debug, Serialize)]
pub struct BusyClient {
    /// Its number, as `/clients` has it.
    pub id: u64,
    /// Where it comes from.
    pub address: Text,
    /// What it called itself when it was first drawn.
    pub name: Text,
    /// It is still there.
    pub connected: bool,
    /// How much it sends.
    #[serde(flatten)]
    pub share: UsedShare,
}

/// What clients call themselves, with the library that they use.
#[derive(Clone, Debug, Serialize)]
pub struct BusyLibrary {
    /// Their name.
    pub name: Text,
    /// The library.
    pub library: Text,
    /// Its version.
    pub version: Text,
    /// How much they send.
    #[serde(flatten)]
    pub share: UsedShare,
}

/// What the last walk over the keyspace found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FoundMost {
    /// When it ended.
    pub ended_unix_ms: u64,
    /// From its begin to its end.
    pub took_s: f64,
    /// How long workers were busy with it.
    pub busy_s: f64,
    /// Keys.
    pub keys: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// By type.
    pub types: Vec<TypeAmount>,
    /// By prefix, the heaviest first.
    pub prefixes: Vec<PrefixAmount>,
    /// Keys without a prefix, and their bytes.
    pub without_prefix: PlainAmount,
    /// The largest keys by bytes.
    pub largest_by_bytes: Vec<LargeKey>,
    /// The collections with most elements.
    pub largest_by_elements: Vec<LargeKey>,
}

/// What keys of one type come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TypeAmount {
    /// As TYPE names it.
    #[serde(rename = "type")]
    pub name: &'static str,
    /// Keys.
    pub keys: u64,
    /// Their elements; 0 for strings.
    pub elements: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Keys and bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PlainAmount {
    /// Keys.
    pub keys: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What keys that begin alike come to.
#[derive(Clone, Debug, Serialize)]
pub struct PrefixAmount {
    /// How they begin, up to the first colon.
    pub prefix: Text,
    /// At least so many keys.
    pub keys: u64,
    /// They take so many bytes at least.
    pub bytes_low: u64,
    /// And so many at most: the same, unless there are very many prefixes.
    pub bytes_high: u64,
}

/// A large key.
#[derive(Clone, Debug, Serialize)]
pub struct LargeKey {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub name: Text,
    /// Its name as `/key` takes it; none where it was cut.
    pub id: Option<String>,
    /// As TYPE names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its elements; 0 for a string.
    pub elements: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// A name as `/key` takes it, unless it was cut.
pub fn id_of(name: &Text) -> Option<String> {
    name.whole().map(percent_encoded)
}

/// `GET /usage`: `?top=` says how many of each kind.
pub(in crate::admin) async fn usage(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let top = Asked::of(&uri)?.number("top", DEFAULT_TOP)?.min(MOST) as usize;
    Ok(reply::json(StatusCode::OK, &shared.control.key_statistics(top)))
}
