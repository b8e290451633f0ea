//! Keys: a search that does a bounded amount of work for each request, and a look at one key. Both only read.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::ports::{Answer, KEPT_NAME, KeyRow, LookError, WantedKeys};
use super::text::percent_encoded;
use crate::admin::query::Asked;
use crate::admin::reply::{self, Problem};
use crate::admin::server::Shared;

/// Keys in one answer when nothing is said, and at most.
const DEFAULT_COUNT: u64 = 50;
const MOST: u64 = 200;

/// The longest pattern, in bytes: matching costs pattern times key.
const LONGEST_PATTERN: usize = 256;

/// How long an answer waits for whoever holds the whole keyspace.
const PATIENCE: Duration = Duration::from_secs(3);

const TYPES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

/// `GET /keys`: `?db=`, `?pattern=`, `?type=`, `?cursor=`, `?count=`.
pub(in crate::admin) async fn find(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let pattern =
        asked.bytes("pattern").filter(|pattern| !pattern.is_empty()).unwrap_or_else(|| b"*".to_vec());
    if pattern.len() > LONGEST_PATTERN {
        let error = format!("the pattern is longer than {LONGEST_PATTERN} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, error, "ask with a shorter pattern"));
    }
    let kind = asked.values("type").last().filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.filter(|kind| !TYPES.contains(kind)) {
        let what_to_do = format!("ask with one of: {}", TYPES.join(", "));
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("'type' is '{kind}'"), what_to_do));
    }
    let wanted = WantedKeys {
        database: database(&asked)?,
        pattern,
        kind: kind.map(str::to_owned),
        cursor: asked.number("cursor", 0)?,
        count: asked.number("count", DEFAULT_COUNT)?.clamp(1, MOST) as usize,
    };
    let database = wanted.database;
    let page = within(shared.control.find_keys(wanted)).await?;
    let keys: Vec<Value> = page.keys.iter().map(|key| Value::Object(described(key))).collect();
    let body = json!({
        "db": database,
        // A number of 64 bits would not survive JavaScript.
        "cursor": page.cursor.to_string(),
        "done": page.cursor == 0,
        "looked_at": page.looked_at,
        "keys": keys,
    });
    Ok(reply::json(StatusCode::OK, &body))
}

/// `GET /key`: `?db=` and `?name=`, whose bytes may be percent-encoded.
pub(in crate::admin) async fn look(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let database = database(&asked)?;
    let Some(name) = asked.bytes("name") else {
        let what_to_do = "ask with name= and the key's name; each byte may be written as %xx";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no key is named", what_to_do));
    };
    if name.len() > KEPT_NAME {
        let error = format!("the name is longer than {KEPT_NAME} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, error, "look at this key with redis-cli"));
    }
    let Some(details) = within(shared.control.look_at_key(database, name)).await? else {
        let error = format!("there is no such key in database {database}");
        return Err(Problem::new(StatusCode::NOT_FOUND, error, "it may have expired: search again"));
    };
    let mut body = described(&details.key);
    body.insert("db".to_owned(), database.into());
    body.insert("elements".to_owned(), json!(details.elements));
    Ok(reply::json(StatusCode::OK, &body))
}

fn database(asked: &Asked) -> Result<usize, Problem> {
    Ok(usize::try_from(asked.number("db", 0)?).unwrap_or(usize::MAX))
}

/// `id` is what `/key?name=` takes; none where the name is too long for that.
fn described(key: &KeyRow) -> serde_json::Map<String, Value> {
    let fields = [
        ("name", json!(key.name)),
        ("id", json!(key.name.whole().map(percent_encoded))),
        ("type", json!(key.kind)),
        ("encoding", json!(key.encoding)),
        ("ttl_ms", json!(key.ttl_ms)),
        ("size", json!(key.size)),
        ("memory", json!(key.memory)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn within<T>(answer: Answer<T>) -> Result<T, Problem> {
    let later = |why: String| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why, "ask again in a moment")
            .header(header::RETRY_AFTER, "1")
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(LookError::NotNow(why))) => Err(later(why)),
        Ok(Err(LookError::NoDatabase(count))) => {
            let what_to_do = format!("ask with db= from 0 to {}", count.saturating_sub(1));
            Err(Problem::new(StatusCode::BAD_REQUEST, "there is no such database", what_to_do))
        }
        Ok(Err(LookError::Refused(why))) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, why, "ask for something else"))
        }
        Err(_) => Err(later("a command or a script holds the whole keyspace".to_owned())),
    }
}
