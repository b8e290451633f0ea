//! What a server answers to bytes that are not RESP, in Redis's words.

use std::fmt;

/// A request that breaks the protocol or one of its limits.
///
/// After it the stream cannot be trusted: the server replies `-ERR <text>` and closes.
/// `Display` gives the text without `-ERR `. [`ProtocolError::reply_text`] gives the exact
/// bytes, which differ where the client sent a byte that is no ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The count after `*` is no number or above the limit.
    InvalidMultibulkLength,
    /// The length after `$` is no number, negative or above `proto-max-bulk-len`.
    InvalidBulkLength,
    /// More than ten arguments before authentication.
    UnauthenticatedMultibulkLength,
    /// An argument of more than 16,384 bytes before authentication.
    UnauthenticatedBulkLength,
    /// An inline command without its end.
    TooBigInline,
    /// A `*` line without its end.
    TooBigMultibulkCount,
    /// A `$` line without its end.
    TooBigBulkCount,
    /// An argument began with this byte instead of `$`.
    ExpectedBulk(u8),
    /// An inline command with an open quote, or with text right after a closing one.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The reply's text after `-ERR `, byte for byte as Redis sends it.
    pub fn reply_text(&self) -> Vec<u8> {
        match self {
            Self::ExpectedBulk(byte) => {
                let mut text = b"Protocol error: expected '$', got '".to_vec();
                text.push(printable(*byte));
                text.push(b'\'');
                text
            }
            other => other.to_string().into_bytes(),
        }
    }

    /// The reason as Redis writes it to its log: `Protocol error (<reason>) from client: ...`.
    pub fn log_reason(&self) -> &'static str {
        match self {
            Self::InvalidMultibulkLength => "invalid mbulk count",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedMultibulkLength => "unauth mbulk count",
            Self::UnauthenticatedBulkLength => "unauth bulk length",
            Self::TooBigInline => "too big inline request",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::ExpectedBulk(_) => "expected $ but got something else",
            Self::UnbalancedQuotes => "unbalanced quotes in inline request",
        }
    }
}

/// An error reply is one line, so a line break in it becomes a space.
fn printable(byte: u8) -> u8 {
    match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigInline => "too big inline request",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::ExpectedBulk(byte) => {
                let got = char::from(printable(*byte));
                return write!(f, "Protocol error: expected '$', got '{got}'");
            }
            Self::UnbalancedQuotes => "unbalanced quotes in request",
        };
        write!(f, "Protocol error: {text}")
    }
}

impl std::error::Error for ProtocolError {}
