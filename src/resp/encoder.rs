//! What a server answers: replies written into one growing buffer, in either protocol.

use super::ProtocolError;
use super::double::format_double;
use super::text::bytes_of;

/// Which protocol a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// RESP2, what every connection begins with.
    #[default]
    Resp2,
    /// RESP3, after `HELLO 3`.
    Resp3,
}

/// Writes replies. Every method appends one reply, or the head of an aggregate.
///
/// Types that RESP2 lacks are written there as Redis does: a map as a flat array, a set or a
/// push as an array, a double, a big number or a verbatim string as a bulk string, a boolean
/// as an integer.
#[derive(Debug, Default)]
pub struct Encoder {
    buf: Vec<u8>,
    protocol: Protocol,
    /// Beyond so many bytes no string is written any more; 0: there is no limit.
    limit: usize,
}

/// The place of an aggregate whose length is not known yet.
///
/// Aggregates that are nested are finished from the innermost outwards.
#[derive(Debug)]
#[must_use = "the aggregate has no head until it is finished"]
pub struct Deferred {
    at: usize,
}

/// Room that `defer` leaves for the head, enough for up to nine elements.
const DEFERRED_HEAD: usize = 4;
/// The longest head: marker, 20 digits, line end.
const MAX_HEAD: usize = 24;

impl Encoder {
    /// An encoder with an empty buffer of its own.
    pub fn new(protocol: Protocol) -> Self {
        Self::with_buffer(Vec::new(), protocol)
    }

    /// An encoder that appends to `buf`.
    pub fn with_buffer(buf: Vec<u8>, protocol: Protocol) -> Self {
        Self { buf, protocol, limit: 0 }
    }

    /// Leaves out the strings that would begin beyond so many bytes (0: none). For a client that is cut off there and
    /// gets nothing of it: what is long must not be made for nobody.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    #[inline]
    fn is_beyond_limit(&self) -> bool {
        self.limit > 0 && self.buf.len() > self.limit
    }

    /// The protocol that replies are written in.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Writes later replies in another protocol.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes written and not yet taken.
    #[inline]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The bytes written.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// Takes back what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(len);
    }

    /// Takes everything back; the buffer keeps its room.
    pub fn clear(&mut self) {
        self.buf.clear();
    }

    /// The buffer itself.
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }

    /// Appends bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The buffer, for callers that write or drain it directly.
    #[inline]
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// A marker, a number and the line end.
    #[inline]
    fn head(&mut self, marker: u8, number: usize) {
        if number < 10 {
            self.buf.extend_from_slice(&[marker, b'0' + number as u8, b'\r', b'\n']);
        } else {
            self.buf.reserve(MAX_HEAD);
            self.buf.push(marker);
            self.buf.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            self.buf.extend_from_slice(b"\r\n");
        }
    }

    /// A marker, a text and the line end.
    fn line(&mut self, marker: u8, text: &[u8]) {
        self.buf.reserve(text.len() + 3);
        self.buf.push(marker);
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// As `line`, for text that may hold line breaks: those at its ends are dropped, those
    /// within become spaces, as Redis does.
    fn safe_line(&mut self, marker: u8, text: &[u8]) {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        if memchr::memchr2(b'\r', b'\n', text).is_none() {
            return self.line(marker, text);
        }
        let start = text.iter().position(|byte| !is_break(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !is_break(byte)).map_or(start, |last| last + 1);
        let safe: Vec<u8> =
            text[start..end].iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect();
        self.line(marker, &safe);
    }

    /// `+OK`, the most frequent simple string.
    #[inline]
    pub fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    /// Puts bytes before what was written from `at` on.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.buf.splice(at..at, bytes.iter().copied());
    }

    /// A simple string. What [`text_of`](super::text_of) has put in the place of bytes becomes these again. Line breaks in it become spaces.
    #[inline]
    pub fn simple(&mut self, s: &str) {
        self.safe_line(b'+', &bytes_of(s));
    }

    /// An error: its code and its words, without the `-`; bytes come back as in [`Encoder::simple`]. Line breaks in it become spaces.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(&bytes_of(text));
    }

    /// As [`Encoder::error`], for text that repeats bytes of the client's.
    pub fn error_bytes(&mut self, text: &[u8]) {
        self.safe_line(b'-', text);
    }

    /// The last reply to a client that broke the protocol.
    pub fn protocol_error(&mut self, error: &ProtocolError) {
        let mut text = b"ERR ".to_vec();
        text.extend_from_slice(&error.reply_text());
        self.error_bytes(&text);
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, v: i64) {
        match usize::try_from(v) {
            Ok(small) => self.head(b':', small),
            Err(_) => self.line(b':', itoa::Buffer::new().format(v).as_bytes()),
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, b: &[u8]) {
        if self.is_beyond_limit() {
            return;
        }
        self.buf.reserve(b.len() + MAX_HEAD + 2);
        self.head(b'$', b.len());
        self.buf.extend_from_slice(b);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    #[inline]
    pub fn bulk_int(&mut self, v: i64) {
        self.bulk(itoa::Buffer::new().format(v).as_bytes());
    }

    /// No value: `$-1`, or `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.buf.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No array: `*-1`, or `_` in RESP3.
    #[inline]
    pub fn null_array(&mut self) {
        self.buf.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The head of an array of `len` replies.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.head(b'*', len);
    }

    /// The head of a map of `pairs` keys and values, each key before its value.
    pub fn map(&mut self, pairs: usize) {
        let (marker, len) = self.map_head(pairs);
        self.head(marker, len);
    }

    /// The head of a set of `len` replies.
    pub fn set(&mut self, len: usize) {
        self.head(self.set_marker(), len);
    }

    /// The head of a push of `len` replies.
    pub fn push(&mut self, len: usize) {
        self.head(if self.is_resp3() { b'>' } else { b'*' }, len);
    }

    /// The head of `pairs` attributes of the reply that follows them. RESP3 only: the caller
    /// leaves attributes out for a client of RESP2.
    pub fn attribute(&mut self, pairs: usize) {
        debug_assert!(self.is_resp3(), "RESP2 has no attributes");
        self.head(b'|', pairs);
    }

    fn map_head(&self, pairs: usize) -> (u8, usize) {
        if self.is_resp3() { (b'%', pairs) } else { (b'*', pairs * 2) }
    }

    fn set_marker(&self) -> u8 {
        if self.is_resp3() { b'~' } else { b'*' }
    }

    /// A double, written as [`format_double`] does.
    pub fn double(&mut self, v: f64) {
        let text = format_double(v);
        self.double_text(text.as_bytes());
    }

    /// A double that the caller has written, as INCRBYFLOAT does.
    pub fn human_double(&mut self, v: &str) {
        self.double_text(v.as_bytes());
    }

    #[inline]
    fn double_text(&mut self, text: &[u8]) {
        if self.is_resp3() { self.line(b',', text) } else { self.bulk(text) }
    }

    /// A boolean.
    pub fn bool(&mut self, v: bool) {
        self.buf.extend_from_slice(match (self.is_resp3(), v) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// An integer of any size, in decimal digits with an optional sign.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() { self.line(b'(', digits.as_bytes()) } else { self.bulk(digits.as_bytes()) }
    }

    /// Text with a format of three characters, such as `txt` or `mkd`. A shorter name is filled
    /// with spaces, a longer one cut.
    pub fn verbatim(&mut self, format: &str, b: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(b);
        }
        if self.is_beyond_limit() {
            return;
        }
        let mut name = [b' ', b' ', b' ', b':'];
        for (to, from) in name[..3].iter_mut().zip(format.bytes()) {
            *to = from;
        }
        self.buf.reserve(b.len() + MAX_HEAD + name.len() + 2);
        self.head(b'=', b.len() + name.len());
        self.buf.extend_from_slice(&name);
        self.buf.extend_from_slice(b);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An error whose text may hold any byte: RESP3's bulk error, a plain one in RESP2.
    pub fn blob_error(&mut self, text: &[u8]) {
        if !self.is_resp3() {
            return self.error_bytes(text);
        }
        self.head(b'!', text.len());
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// Begins an aggregate whose length is known only after its elements are written.
    ///
    /// To give it up, truncate to the [`Encoder::len`] from before this call.
    pub fn defer(&mut self) -> Deferred {
        let at = self.buf.len();
        self.buf.extend_from_slice(&[0; DEFERRED_HEAD]);
        Deferred { at }
    }

    /// Ends an array of `len` elements.
    pub fn finish_array(&mut self, d: Deferred, len: usize) {
        self.finish(d, b'*', len);
    }

    /// Ends a map of `pairs` keys and values.
    pub fn finish_map(&mut self, d: Deferred, pairs: usize) {
        let (marker, len) = self.map_head(pairs);
        self.finish(d, marker, len);
    }

    /// Ends a set of `len` elements.
    pub fn finish_set(&mut self, d: Deferred, len: usize) {
        self.finish(d, self.set_marker(), len);
    }

    /// Writes the head into the room that was left, moving the elements when it is longer.
    fn finish(&mut self, d: Deferred, marker: u8, len: usize) {
        let mut number = itoa::Buffer::new();
        let digits = number.format(len).as_bytes();
        let mut head = [0; MAX_HEAD];
        head[0] = marker;
        head[1..=digits.len()].copy_from_slice(digits);
        head[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
        let head = &head[..digits.len() + 3];

        let more = head.len() - DEFERRED_HEAD;
        if more > 0 {
            let end = self.buf.len();
            self.buf.resize(end + more, 0);
            self.buf.copy_within(d.at + DEFERRED_HEAD..end, d.at + head.len());
        }
        self.buf[d.at..d.at + head.len()].copy_from_slice(head);
    }
}
