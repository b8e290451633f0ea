//! Answers: JSON, and problems that say what to do.

use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error answer: what is wrong, and what whoever asked can do about it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    fields: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Problem {
        let mut fields = Map::new();
        fields.insert("error".to_owned(), Value::String(error.into()));
        fields.insert("what_to_do".to_owned(), Value::String(what_to_do.into()));
        Problem { status, fields, headers: Vec::new() }
    }

    /// One more field beside the two that every problem has.
    pub(super) fn field(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// A header; a value that no header can carry is left out.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Problem {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The connection cannot be used again, for the rest of the request was not read.
    pub(super) fn closing(self) -> Problem {
        self.header(header::CONNECTION, "close")
    }

    pub(super) fn body(&self) -> String {
        let mut text = Value::Object(self.fields.clone()).to_string();
        text.push('\n');
        text
    }

    /// The whole answer as bytes, for a connection on which no request is complete.
    pub(super) fn to_closing_bytes(&self) -> Vec<u8> {
        let body = self.body();
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        let length = body.len();
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "content-type: application/json\r\ncache-control: no-store\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        head.into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Any value as JSON that stands in a file; why not, when it cannot.
pub(super) fn json_text(value: &impl Serialize) -> String {
    match serde_json::to_string_pretty(value) {
        Ok(text) => text + "\n",
        Err(error) => format!("it cannot be written as JSON: {error}\n"),
    }
}

/// Any value as JSON, with a last newline for terminals.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, JSON)], text + "\n").into_response(),
        Err(error) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the answer cannot be written as JSON: {error}"),
            "report this as a bug",
        )
        .into_response(),
    }
}

/// Names and values as a JSON object in their own order.
pub(super) struct InOrder<'a, V>(pub(super) &'a [(String, V)]);

impl<V: Serialize> Serialize for InOrder<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let InOrder(entries) = self;
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (name, value) in *entries {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
