//! The part of an address after `?`.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};

use super::reply::Problem;

/// Names and values in order; a name may come several times.
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(super) fn of(uri: &Uri) -> Result<Asked, Problem> {
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Asked(pairs)),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                rejection.body_text(),
                "write the query as name=value, joined by &",
            )),
        }
    }

    /// A switch: absent is no, `?name` alone is yes.
    pub(super) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.values(name).last() {
            None | Some("false" | "0" | "no") => Ok(false),
            Some("" | "true" | "1" | "yes") => Ok(true),
            Some(other) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                format!("'{name}' is '{other}'"),
                format!("ask with {name}=true or {name}=false"),
            )),
        }
    }

    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let Asked(pairs) = self;
        pairs.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}
