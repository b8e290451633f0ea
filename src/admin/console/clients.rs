//! Clients: who is connected, and closing one.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::json;

use super::ports::{ClientOrder, WantedClients};
use crate::admin::query::Asked;
use crate::admin::reply::{self, Problem};
use crate::admin::server::Shared;

/// Clients in one answer when nothing is said, and at most.
const DEFAULT_COUNT: usize = 100;
const MOST: usize = 1000;

/// `GET /clients`: `?count=`, `?order=id`, `idle` or `memory`, `?holding=` a part of what is shown.
pub(in crate::admin) async fn list(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let order = match asked.values("order").last() {
        None | Some("id") => ClientOrder::Id,
        Some("idle") => ClientOrder::Idle,
        Some("memory") => ClientOrder::Memory,
        Some(other) => {
            let error = format!("'order' is '{other}'");
            return Err(Problem::new(StatusCode::BAD_REQUEST, error, "ask with order=id, idle or memory"));
        }
    };
    let count = asked.number("count", DEFAULT_COUNT as u64)?.min(MOST as u64) as usize;
    let holding = asked.bytes("holding").unwrap_or_default();
    let list = shared.control.clients(&WantedClients { count, order, holding });
    Ok(reply::json(StatusCode::OK, &list))
}

/// `POST /clients/kill?id=`: closes a connection.
pub(in crate::admin) async fn kill(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let what_to_do = "ask with id= and the number of a client, as /clients has it";
    let id = asked.values("id").last().and_then(|text| text.parse().ok());
    let Some(id) = id else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no client is named", what_to_do));
    };
    if !shared.control.close_client(id) {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no client has the number {id}"),
            what_to_do,
        ));
    }
    tracing::info!(client = id, "A client's connection was closed from the admin port");
    Ok(reply::json(StatusCode::OK, &json!({ "id": id, "killed": true })))
}
