//! The part of an address after `?`.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};

use super::reply::Problem;

/// Names and values in order; a name may come several times.
pub(super) struct Asked {
    pairs: Vec<(String, String)>,
    /// As it was sent, for values that need not be UTF-8.
    sent: String,
}

impl Asked {
    pub(super) fn of(uri: &Uri) -> Result<Asked, Problem> {
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Asked { pairs, sent: uri.query().unwrap_or_default().to_owned() }),
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
        self.pairs.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A number that is not negative.
    pub(super) fn number(&self, name: &str, default: u64) -> Result<u64, Problem> {
        match self.values(name).last() {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                let what_to_do = format!("ask with {name}= and a number that is not negative");
                Problem::new(StatusCode::BAD_REQUEST, format!("'{name}' is '{text}'"), what_to_do)
            }),
        }
    }

    /// The last value of a name as the bytes that were meant, which need not be UTF-8.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let parts = self.sent.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        let given =
            |(given, value): (&str, &str)| (decoded(given) == name.as_bytes()).then(|| decoded(value));
        parts.rev().find_map(given)
    }
}

/// Bytes for `%xx` and a space for `+`; what is no escape stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits are one byte.
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_as_they_are_meant() {
        let asked = Asked::of(&"/?a=%ff%00x+y%2B%zz&b&a%31=one&c=1&c=2".parse().unwrap()).unwrap();
        assert_eq!(asked.bytes("a").unwrap(), b"\xff\0x y+%zz");
        assert_eq!(asked.bytes("b").unwrap(), b"");
        assert_eq!(asked.bytes("a1").unwrap(), b"one");
        assert_eq!(asked.bytes("c").unwrap(), b"2");
        assert_eq!(asked.bytes("d"), None);
        assert_eq!(asked.number("c", 7).unwrap(), 2);
        assert_eq!(asked.number("d", 7).unwrap(), 7);
        assert!(asked.number("b", 7).is_err());
    }
}
