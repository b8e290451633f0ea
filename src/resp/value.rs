//! What a client reads: one reply as a value.

use bytes::Bytes;

use super::encoder::{Encoder, Protocol};

/// A reply of RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`
    Simple(Bytes),
    /// `-ERR unknown command`, without the `-`.
    Error(Bytes),
    /// `!21`: an error that may hold any byte.
    BlobError(Bytes),
    /// `:1000`
    Int(i64),
    /// `$5`: any bytes.
    Bulk(Bytes),
    /// `$-1` or `_`
    Null,
    /// `*-1`, in RESP2 only.
    NullArray,
    /// `*3`
    Array(Vec<Value>),
    /// `%2`, in the order received, repeated keys included.
    Map(Vec<(Value, Value)>),
    /// `~3`, in the order received, repeated elements included.
    Set(Vec<Value>),
    /// `>3`: not an answer but something that the server has to say.
    Push(Vec<Value>),
    /// `|1`: facts about a value, and that value.
    Attribute {
        /// What is said about the value.
        attributes: Vec<(Value, Value)>,
        /// The value.
        value: Box<Value>,
    },
    /// `,1.23`
    Double(f64),
    /// `#t` or `#f`
    Bool(bool),
    /// `(3492890328409238509324850943850943825024385`: sign and digits as received.
    BigNumber(Bytes),
    /// `=15`: text with a format.
    Verbatim {
        /// `txt`, `mkd` or another of three bytes.
        format: [u8; 3],
        /// The text without its format.
        text: Bytes,
    },
}

impl Value {
    /// Writes the value in the encoder's protocol.
    ///
    /// In RESP3 a decoder reads the same value back, but for `NullArray`, which is `Null`
    /// there. In RESP2 this holds for the types that RESP2 has; an attribute is left out.
    pub fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Simple(text) => out.simple(&String::from_utf8_lossy(text)),
            Self::Error(text) => out.error_bytes(text),
            Self::BlobError(text) => out.blob_error(text),
            Self::Int(number) => out.int(*number),
            Self::Bulk(bytes) => out.bulk(bytes),
            Self::Null => out.null(),
            Self::NullArray => out.null_array(),
            Self::Array(items) => {
                out.array(items.len());
                encode_all(items, out);
            }
            Self::Map(pairs) => {
                out.map(pairs.len());
                encode_pairs(pairs, out);
            }
            Self::Set(items) => {
                out.set(items.len());
                encode_all(items, out);
            }
            Self::Push(items) => {
                out.push(items.len());
                encode_all(items, out);
            }
            Self::Attribute { attributes, value } => {
                if out.protocol() == Protocol::Resp3 {
                    out.attribute(attributes.len());
                    encode_pairs(attributes, out);
                }
                value.encode(out);
            }
            Self::Double(number) => out.double(*number),
            Self::Bool(truth) => out.bool(*truth),
            Self::BigNumber(digits) => out.big_number(&String::from_utf8_lossy(digits)),
            Self::Verbatim { format, text } => out.verbatim(&String::from_utf8_lossy(format), text),
        }
    }
}

fn encode_all(items: &[Value], out: &mut Encoder) {
    for item in items {
        item.encode(out);
    }
}

fn encode_pairs(pairs: &[(Value, Value)], out: &mut Encoder) {
    for (key, value) in pairs {
        key.encode(out);
        value.encode(out);
    }
}
