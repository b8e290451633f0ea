//! Transcripts: what somebody would see in redis-cli, as a test.
//!
//! ```text
//! > SET greeting hello PX 1500
//! OK
//! ! advance 1500
//! > GET greeting
//! (nil)
//! ```
//!
//! A line that begins with `> ` is sent, quoted as in redis-cli. The lines after it are the reply as
//! redis-cli shows it, up to an empty line or the next line with a mark. `! advance` moves the clock by
//! that many milliseconds. A family's unit tests run their transcripts against a bench with a manual
//! clock; `tests/coverage.rs` takes the same transcripts out of the sources and runs them against the
//! started program.

use crate::resp::{Value, format_double};

/// One step of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request and its reply.
    Send {
        /// The request, without its mark.
        line: String,
        /// The reply as redis-cli shows it.
        expected: String,
    },
    /// Time passes.
    Advance {
        /// Milliseconds.
        ms: u64,
    },
}

/// Reads a transcript. The error says what is wrong with which line.
pub fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut lines = text.lines().map(str::trim_end).peekable();
    let mut steps = Vec::new();
    while let Some(whole) = lines.next() {
        let line = whole.trim_start();
        let indent = whole.len() - line.len();
        if let Some(ms) = line.strip_prefix("! advance ") {
            steps.push(Step::Advance { ms: ms.parse().map_err(|_| format!("no number: {line}"))? });
        } else if let Some(request) = line.strip_prefix("> ") {
            let inside = |next: &&str| -> bool {
                let next = next.get(indent..).unwrap_or("");
                !(next.is_empty() || next.starts_with("> ") || next.starts_with("! "))
            };
            let mut expected = Vec::new();
            while let Some(next) = lines.next_if(inside) {
                expected.push(&next[indent..]);
            }
            steps.push(Step::Send { line: request.to_owned(), expected: expected.join("\n") });
        } else if !line.is_empty() {
            return Err(format!("a transcript's step begins with '> ' or '! advance ': {line}"));
        }
    }
    Ok(steps)
}

/// Shows a value as redis-cli does. `indent` stands before every line but the first.
pub fn format_value(value: &Value, indent: &str) -> String {
    let quoted = |bytes: &[u8]| format!("\"{}\"", bytes.escape_ascii().to_string().replace("\\'", "'"));
    match value {
        Value::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Error(text) | Value::BlobError(text) => format!("(error) {}", String::from_utf8_lossy(text)),
        Value::Int(number) => format!("(integer) {number}"),
        Value::Bulk(bytes) => quoted(bytes),
        Value::Null | Value::NullArray => "(nil)".to_owned(),
        Value::Array(items) => list(items, indent, ")", "(empty array)"),
        Value::Set(items) => list(items, indent, "~", "(empty set)"),
        Value::Push(items) => list(items, indent, ">", "(empty push)"),
        Value::Map(pairs) if pairs.is_empty() => "(empty hash)".to_owned(),
        Value::Map(pairs) => numbered(pairs.len(), indent, "#", |at, inner| {
            let (key, value) = &pairs[at];
            format!("{} => {}", format_value(key, inner), format_value(value, inner))
        }),
        Value::Attribute { value, .. } => format_value(value, indent),
        Value::Double(number) => format!("(double) {}", format_double(*number).as_str()),
        Value::Bool(yes) => format!("({yes})"),
        Value::BigNumber(digits) => String::from_utf8_lossy(digits).into_owned(),
        Value::Verbatim { text, .. } => String::from_utf8_lossy(text).into_owned(),
    }
}

fn list(items: &[Value], indent: &str, mark: &str, empty: &str) -> String {
    if items.is_empty() {
        return empty.to_owned();
    }
    numbered(items.len(), indent, mark, |at, inner| format_value(&items[at], inner))
}

fn numbered(count: usize, indent: &str, mark: &str, item: impl Fn(usize, &str) -> String) -> String {
    let width = count.to_string().len();
    let inner = format!("{indent}{}", " ".repeat(width + 2));
    (0..count)
        .map(|at| {
            let lead = if at == 0 { "" } else { indent };
            format!("{lead}{:>width$}{mark} {}", at + 1, item(at, &inner))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_cut_into_steps() {
        let text = r#"
            > LRANGE l 0 -1
            1) "a"
            2) 1) "b"
               2) "c"
            ! advance 20
            > CLIENT REPLY OFF

            > GET k
            (nil)
        "#;
        let send = |line: &str, expected: &str| Step::Send { line: line.into(), expected: expected.into() };
        let expected = [
            send("LRANGE l 0 -1", "1) \"a\"\n2) 1) \"b\"\n   2) \"c\""),
            Step::Advance { ms: 20 },
            send("CLIENT REPLY OFF", ""),
            send("GET k", "(nil)"),
        ];
        assert_eq!(steps(text), Ok(expected.to_vec()));
    }

    #[test]
    fn what_is_no_step_is_refused() {
        assert_eq!(steps("! advance soon"), Err("no number: ! advance soon".to_owned()));
        assert!(steps("GET k").is_err());
    }
}
