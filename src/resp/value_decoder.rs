//! Reads replies of RESP2 and RESP3 as they arrive.
//!
//! A reply is a line that begins with its type, perhaps a payload, perhaps other replies:
//!
//! ```text
//! %1\r\n  +key\r\n  *2\r\n :1\r\n $2\r\nhi\r\n
//! ```
//!
//! Aggregates under way stand on a stack of their own, so nesting never deepens the call
//! stack. The end of a line is searched once, payloads are not searched at all.

use std::fmt;

use bytes::Bytes;

use super::Value;

/// What a reply may be at most.
#[derive(Clone, Debug)]
pub struct ValueLimits {
    /// How deep aggregates may be nested; an attribute counts as one level of its value.
    pub max_depth: usize,
    /// The longest payload in bytes.
    pub max_bulk_len: usize,
    /// The most elements of one aggregate (of a map: pairs).
    pub max_items: usize,
    /// The longest line in bytes, type included, line end not.
    pub max_line: usize,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self { max_depth: 128, max_bulk_len: 512 << 20, max_items: u32::MAX as usize, max_line: 64 << 10 }
    }
}

/// Bytes that are no reply, or one above a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// No type begins with this byte.
    UnknownType(u8),
    /// Not a number where one is due.
    InvalidNumber,
    /// Not a double where one is due.
    InvalidDouble,
    /// Neither `#t` nor `#f`.
    InvalidBool,
    /// Something between `_` and its line end.
    InvalidNull,
    /// A length that is no number, or negative and not -1 of a type that may be null.
    InvalidLength,
    /// A verbatim string without its three characters and colon.
    InvalidVerbatim,
    /// A `\r` without `\n`, a `\n` without `\r`, or a payload without its line end.
    InvalidLineEnd,
    /// A push inside another reply.
    NestedPush,
    /// A streamed string or aggregate (`$?`, `*?`, `%?`, ..., and its parts `;` and `.`).
    Streamed(u8),
    /// A payload above `max_bulk_len`.
    TooLong,
    /// More elements than `max_items`.
    TooManyItems,
    /// A line above `max_line`.
    LineTooLong,
    /// Nesting above `max_depth`.
    TooDeep,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType(byte) => {
                return write!(f, "no RESP type begins with '{}'", byte.escape_ascii());
            }
            Self::Streamed(byte) => {
                let byte = byte.escape_ascii();
                return write!(
                    f,
                    "streamed strings and aggregates are not supported (found with type '{byte}')"
                );
            }
            Self::InvalidNumber => "invalid number",
            Self::InvalidDouble => "invalid double",
            Self::InvalidBool => "invalid boolean",
            Self::InvalidNull => "invalid null",
            Self::InvalidLength => "invalid length",
            Self::InvalidVerbatim => "invalid verbatim string",
            Self::InvalidLineEnd => "invalid line end",
            Self::NestedPush => "a push inside another reply",
            Self::TooLong => "string longer than the limit",
            Self::TooManyItems => "more elements than the limit",
            Self::LineTooLong => "line longer than the limit",
            Self::TooDeep => "nested deeper than the limit",
        })
    }
}

impl std::error::Error for ValueError {}

/// Decodes one reply after the other, remembering how far it came in the current one.
#[derive(Debug, Default)]
pub struct ValueDecoder {
    limits: ValueLimits,
    /// Where the current line or payload begins.
    start: usize,
    /// The next byte that was not looked at.
    pos: usize,
    /// The payload that is due at `start`, if one is.
    payload: Option<Payload>,
    /// The aggregates that are not complete, outermost first.
    open: Vec<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    kind: u8,
    len: usize,
}

/// An aggregate under way.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// Replies that are missing.
    missing: usize,
    items: Vec<Value>,
}

#[derive(Debug)]
enum Kind {
    Array,
    Set,
    Push,
    Map,
    /// The attributes themselves.
    Attributes,
    /// The value that these attributes describe.
    Described(Vec<(Value, Value)>),
}

/// Room made at once for the elements of an aggregate; more is made as they arrive, so that a
/// length alone costs no memory.
const FIRST_ITEMS: usize = 64;

impl ValueDecoder {
    /// A decoder with limits of one's own.
    pub fn new(limits: ValueLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Decodes the reply at the start of `input`; gives it with the bytes that it took, or
    /// `None` while it is not complete.
    ///
    /// `input` starts at the first byte of the current reply, as long as that is not complete:
    /// the caller keeps the bytes and appends to them.
    ///
    /// # Errors
    /// What is no reply or above a limit. The stream cannot be trusted after it.
    pub fn decode(&mut self, input: &[u8]) -> Result<Option<(Value, usize)>, ValueError> {
        loop {
            let step = match self.payload {
                Some(payload) => self.read_payload(input, payload),
                None => self.read_line(input),
            };
            let complete = match step {
                Ok(Step::More) => return Ok(None),
                Ok(Step::Opened) => continue,
                Ok(Step::Value(value)) => self.close(value),
                Err(error) => {
                    self.reset();
                    return Err(error);
                }
            };
            if let Some(value) = complete {
                let consumed = self.start;
                self.reset();
                return Ok(Some((value, consumed)));
            }
        }
    }

    /// At least so many bytes are missing after `received` of the current reply (0 when
    /// unknown), so that room for a large string can be made exactly once.
    pub fn hint(&self, received: usize) -> usize {
        self.payload.map_or(0, |payload| (self.start + payload.len + 2).saturating_sub(received))
    }

    fn reset(&mut self) {
        (self.start, self.pos, self.payload) = (0, 0, None);
        self.open.clear();
    }

    /// Reads on in a line; takes it when it is complete.
    fn read_line(&mut self, input: &[u8]) -> Result<Step, ValueError> {
        let Some(end) = self.line_end(input)? else { return Ok(Step::More) };
        let line = &input[self.start..end];
        self.start = end + 2;
        self.pos = self.start;
        self.take_line(line)
    }

    /// Searches on for the line's `\r\n`.
    fn line_end(&mut self, input: &[u8]) -> Result<Option<usize>, ValueError> {
        // `pos` stays at a `\r` whose `\n` is not here yet.
        let last = self.start.saturating_add(self.limits.max_line);
        let window = input.len().min(last.saturating_add(1));
        let unseen = input.get(self.pos..window).unwrap_or_default();
        let Some(at) = memchr::memchr2(b'\r', b'\n', unseen) else {
            self.pos += unseen.len();
            return if input.len() > last { Err(ValueError::LineTooLong) } else { Ok(None) };
        };
        self.pos += at;
        match (input[self.pos], input.get(self.pos + 1)) {
            (b'\r', Some(b'\n')) => Ok(Some(self.pos)),
            (b'\r', None) => Ok(None),
            _ => Err(ValueError::InvalidLineEnd),
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Step, ValueError> {
        let Some((&kind, text)) = line.split_first() else { return Err(ValueError::UnknownType(b'\r')) };
        Ok(Step::Value(match kind {
            b'+' => Value::Simple(Bytes::copy_from_slice(text)),
            b'-' => Value::Error(Bytes::copy_from_slice(text)),
            b':' => Value::Int(integer(text)?),
            b',' => Value::Double(double(text)?),
            b'#' => boolean(text)?,
            b'(' => Value::BigNumber(big_number(text)?),
            b'_' if text.is_empty() => Value::Null,
            b'_' => return Err(ValueError::InvalidNull),
            b'$' | b'!' | b'=' => return self.begin_payload(kind, text),
            b'*' | b'%' | b'~' | b'>' | b'|' => return self.begin_aggregate(kind, text),
            b';' | b'.' => return Err(ValueError::Streamed(kind)),
            other => return Err(ValueError::UnknownType(other)),
        }))
    }

    fn begin_payload(&mut self, kind: u8, text: &[u8]) -> Result<Step, ValueError> {
        let Some(len) = length(kind, text)? else { return Ok(Step::Value(Value::Null)) };
        if len > self.limits.max_bulk_len {
            return Err(ValueError::TooLong);
        }
        self.payload = Some(Payload { kind, len });
        Ok(Step::Opened)
    }

    fn read_payload(&mut self, input: &[u8], payload: Payload) -> Result<Step, ValueError> {
        let end = self.start.saturating_add(payload.len);
        let Some(line_end) = input.get(end..end.saturating_add(2)) else { return Ok(Step::More) };
        if line_end != b"\r\n" {
            return Err(ValueError::InvalidLineEnd);
        }
        let bytes = &input[self.start..end];
        self.payload = None;
        self.start = end + 2;
        self.pos = self.start;
        Ok(Step::Value(match payload.kind {
            b'$' => Value::Bulk(Bytes::copy_from_slice(bytes)),
            b'!' => Value::BlobError(Bytes::copy_from_slice(bytes)),
            _ => verbatim(bytes)?,
        }))
    }

    fn begin_aggregate(&mut self, kind: u8, text: &[u8]) -> Result<Step, ValueError> {
        let Some(len) = length(kind, text)? else { return Ok(Step::Value(Value::NullArray)) };
        if len > self.limits.max_items {
            return Err(ValueError::TooManyItems);
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(ValueError::TooDeep);
        }
        let (kind, per_item) = match kind {
            b'*' => (Kind::Array, 1),
            b'~' => (Kind::Set, 1),
            b'>' if !self.open.is_empty() => return Err(ValueError::NestedPush),
            b'>' => (Kind::Push, 1),
            b'%' => (Kind::Map, 2),
            _ => (Kind::Attributes, 2),
        };
        let missing = len.checked_mul(per_item).ok_or(ValueError::TooManyItems)?;
        let open = Open { kind, missing, items: Vec::with_capacity(missing.min(FIRST_ITEMS)) };
        if missing > 0 {
            self.open.push(open);
            return Ok(Step::Opened);
        }
        Ok(match open.finish() {
            Finished::Value(value) => Step::Value(value),
            Finished::Described(next) => {
                self.open.push(next);
                Step::Opened
            }
        })
    }

    /// Gives a complete value to the aggregate it belongs to, and that to the next one, as far
    /// as they are complete by it. The outermost value comes back.
    fn close(&mut self, mut value: Value) -> Option<Value> {
        while let Some(mut open) = self.open.pop() {
            open.items.push(value);
            open.missing -= 1;
            if open.missing > 0 {
                self.open.push(open);
                return None;
            }
            match open.finish() {
                Finished::Value(complete) => value = complete,
                Finished::Described(next) => {
                    self.open.push(next);
                    return None;
                }
            }
        }
        Some(value)
    }
}

/// How a step went.
enum Step {
    /// More bytes are needed.
    More,
    /// A payload or an aggregate has begun.
    Opened,
    /// A value is complete.
    Value(Value),
}

enum Finished {
    Value(Value),
    /// Attributes are complete; the value that they describe is due.
    Described(Open),
}

impl Open {
    fn finish(mut self) -> Finished {
        Finished::Value(match self.kind {
            Kind::Array => Value::Array(self.items),
            Kind::Set => Value::Set(self.items),
            Kind::Push => Value::Push(self.items),
            Kind::Map => Value::Map(pairs(self.items)),
            Kind::Attributes => {
                let kind = Kind::Described(pairs(self.items));
                return Finished::Described(Open { kind, missing: 1, items: Vec::with_capacity(1) });
            }
            Kind::Described(attributes) => {
                let value = Box::new(self.items.pop().unwrap_or(Value::Null));
                Value::Attribute { attributes, value }
            }
        })
    }
}

fn pairs(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// A length, or `None` where it is -1 and the type may be null.
fn length(kind: u8, text: &[u8]) -> Result<Option<usize>, ValueError> {
    if text.first() == Some(&b'?') {
        return Err(ValueError::Streamed(kind));
    }
    if text == b"-1" && matches!(kind, b'$' | b'*') {
        return Ok(None);
    }
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(ValueError::InvalidLength);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or(ValueError::InvalidLength)
}

fn integer(text: &[u8]) -> Result<i64, ValueError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(ValueError::InvalidNumber)
}

fn boolean(text: &[u8]) -> Result<Value, ValueError> {
    match text {
        b"t" => Ok(Value::Bool(true)),
        b"f" => Ok(Value::Bool(false)),
        _ => Err(ValueError::InvalidBool),
    }
}

fn big_number(text: &[u8]) -> Result<Bytes, ValueError> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ValueError::InvalidNumber);
    }
    Ok(Bytes::copy_from_slice(text))
}

/// `inf`, `-inf`, `nan`, or digits with an optional sign, fraction and exponent.
fn double(text: &[u8]) -> Result<f64, ValueError> {
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    match text {
        b"inf" => Ok(f64::INFINITY),
        b"-inf" => Ok(f64::NEG_INFINITY),
        // Redis 7 prints what C does, and C prints a sign here too.
        b"nan" | b"-nan" => Ok(f64::NAN),
        // Rust's grammar is the protocol's once the names above are out of the way.
        _ if text.iter().all(plain) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(ValueError::InvalidDouble)
        }
        _ => Err(ValueError::InvalidDouble),
    }
}

fn verbatim(bytes: &[u8]) -> Result<Value, ValueError> {
    match bytes {
        [a, b, c, b':', text @ ..] => {
            Ok(Value::Verbatim { format: [*a, *b, *c], text: Bytes::copy_from_slice(text) })
        }
        _ => Err(ValueError::InvalidVerbatim),
    }
}
