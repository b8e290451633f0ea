//! Bytes to values and back: RESP2 and RESP3, with every limit of the protocol.
//!
//! What lives here:
//! - [`request`]: what a client sends, cut into arguments without copying them;
//! - [`inline`]: the quoting rules of inline commands and of `redis.conf`;
//! - [`encoder`]: what a server answers, and [`double`], how it writes a number;
//! - [`text_of`]: text of bytes that may be no UTF-8;
//! - [`value`]: what a client reads, whole replies of both protocols.
//!
//! What never does: sockets, commands, keys, configuration. This room imports nothing of
//! ours. It sees slices of bytes and says what they mean.

pub mod double;
pub mod encoder;
pub mod inline;
mod protocol_error;
pub mod request;
mod text;
pub mod value;
mod value_decoder;

#[cfg(test)]
mod request_tests;

pub use double::{DoubleText, format_double};
pub use encoder::{Deferred, Encoder, Protocol};
pub use inline::split_args;
pub use protocol_error::ProtocolError;
pub use request::{Decoded, Header, RequestDecoder, RequestLimits, Span, is_http_slip};
pub use text::text_of;
pub use value::Value;
pub use value_decoder::{ValueDecoder, ValueError, ValueLimits};
