//! What a client sends: requests, cut into arguments that stay where they were received.
//!
//! A request is an array of bulk strings, or one line of words (an inline command):
//!
//! ```text
//! *2\r\n $3\r\nGET\r\n $4\r\nName\r\n        GET Name\r\n
//! ```
//!
//! The decoder reads a number as it goes over its digits and jumps over payloads, so it
//! needs no search in the common case. Where the input ends it notes how far it came and
//! goes on from there: no byte is looked at twice, however the input is cut. (The first four
//! bytes of a malformed line are the exception, once.)
//!
//! Where Redis is lenient this is too: the byte after a `\r` and the two bytes after a
//! payload are not examined, and a zero byte hides the rest of a line (Redis searches lines
//! as C strings), so that such a line has no end until it is too long. One thing is
//! stricter. Redis refuses a line of more than 64 KiB only if it is found without its end,
//! which depends on how the bytes arrived. Here every such line is refused.

use bytes::Bytes;

use super::ProtocolError;
use super::inline::split_args;
use short::{further_short_arguments, short_arguments};

mod header;
mod short;
mod unfinished;

pub use header::Header;

/// Where one argument lies in the caller's buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index of its first byte.
    pub start: usize,
    /// How many bytes it has.
    pub len: usize,
}

/// What a request may be at most.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// The longest argument in bytes (`proto-max-bulk-len`).
    pub max_bulk_len: usize,
    /// The most arguments of one request.
    pub max_args: usize,
    /// The longest inline command, `*` line or `$` line in bytes, without its line end.
    pub max_inline: usize,
    /// Whether the client may send large requests; before it has authenticated it may not.
    pub authenticated: bool,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { max_bulk_len: 512 << 20, max_args: 1 << 20, max_inline: 64 << 10, authenticated: true }
    }
}

/// The most arguments that a client may send before it has authenticated.
pub const UNAUTHENTICATED_MAX_ARGS: usize = 10;
/// The longest argument in bytes that a client may send before it has authenticated.
pub const UNAUTHENTICATED_MAX_BULK_LEN: usize = 16_384;

/// What the input was.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The first `consumed` bytes were one request; its arguments were appended to `args`.
    Request {
        /// Bytes of input that the request took.
        consumed: usize,
    },
    /// The first `consumed` bytes were an inline command with at least one word. Quoting makes
    /// bytes that are not in the input, so its arguments are values of their own.
    Inline {
        /// Bytes of input that the command took.
        consumed: usize,
        /// Its words, quotes removed.
        args: Vec<Bytes>,
    },
    /// An empty request (`\r\n`, `*0\r\n`, `*-1\r\n`): no reply is due.
    Empty {
        /// Bytes of input that it took.
        consumed: usize,
    },
    /// The request is not complete.
    Incomplete {
        /// At least so many bytes are missing (0 when unknown), so that room for a large
        /// argument can be made exactly once.
        hint: usize,
    },
}

/// Whether a command's first word is one that HTTP clients send (`POST` or `Host:`).
///
/// Redis closes such a connection without a reply: a web page may have been tricked into
/// talking to the server.
pub fn is_http_slip(first_arg: &[u8]) -> bool {
    first_arg.eq_ignore_ascii_case(b"post") || first_arg.eq_ignore_ascii_case(b"host:")
}

/// Decodes one request after the other, remembering how far it came in the current one.
///
/// Owns no memory between two requests.
#[derive(Debug, Default)]
pub struct RequestDecoder {
    progress: Progress,
    /// The arguments found in a request that is not complete, relative to its first byte.
    found: Vec<Span>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A new request.
    #[default]
    Idle,
    /// The `*` line.
    Count,
    /// A `$` line.
    Length,
    /// An argument whose length is `Progress::number`.
    Payload,
    /// An inline command.
    Inline,
}

/// How far a line was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Its number is being read.
    #[default]
    Number,
    /// It holds no number; its end is being searched, because Redis answers then.
    Invalid,
    /// Its `\r` was seen; one more byte is due.
    End,
    /// As `End`, but the line holds no number.
    InvalidEnd,
    /// A zero byte hides its end.
    Hidden,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The next byte that was not looked at.
    pos: usize,
    /// Where the line begins.
    line_start: usize,
    /// The line's number so far, or the length of the payload at `pos`.
    number: u64,
    /// Arguments that are missing.
    missing: u32,
    stage: Stage,
    line: Line,
    negative: bool,
}

/// How a step over a multibulk request ended.
enum Step {
    Complete,
    Empty,
    Incomplete { hint: usize },
}

impl RequestDecoder {
    /// Decodes the request at the start of `input`.
    ///
    /// `input` starts at the first byte of the current request, as long as that is not
    /// complete. The caller keeps these bytes: they may move in memory but not change. `base`
    /// is added to the start of every span, for callers that decode many requests from one
    /// buffer. `args` is only ever appended to, and only by a complete request.
    ///
    /// # Errors
    /// The first byte sequence that breaks the protocol or a limit. The decoder is idle then.
    #[inline]
    pub fn decode(
        &mut self,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        if self.progress.stage != Stage::Idle {
            return self.resume(input, base, args, limits);
        }
        match input.first() {
            Some(b'*') => self.fresh(input, base, args, limits),
            Some(_) => {
                self.progress.stage = Stage::Inline;
                self.resume(input, base, args, limits)
            }
            None => Ok(Decoded::Incomplete { hint: 0 }),
        }
    }

    /// The hot path: a multibulk request from its first byte, spans straight into `args`.
    #[inline]
    fn fresh(
        &mut self,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        let first = args.len();
        let progress = short_arguments(input, base, args, limits);
        self.go_on(progress, first, input, base, args, limits)
    }

    /// As [`RequestDecoder::decode`], of a request that begins with `header`, while no other is under way: what the
    /// header says is not read again.
    #[inline]
    pub fn decode_after(
        &mut self,
        header: &Header,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        look(header.len());
        let (first, name) = (args.len(), header.name());
        args.push(Span { start: base + name.start, ..name });
        let progress = further_short_arguments(header.len(), header.missing(), input, base, args, limits);
        self.go_on(progress, first, input, base, args, limits)
    }

    #[inline(always)]
    fn go_on(
        &mut self,
        mut progress: Progress,
        first: usize,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        if progress.stage == Stage::Idle {
            return Ok(Decoded::Request { consumed: progress.pos });
        }
        match multibulk(&mut progress, input, base, args, limits) {
            Ok(Step::Complete) => Ok(Decoded::Request { consumed: progress.pos }),
            Ok(Step::Empty) => Ok(Decoded::Empty { consumed: progress.pos }),
            Ok(Step::Incomplete { hint }) => {
                self.suspend(progress, base, args, first);
                Ok(Decoded::Incomplete { hint })
            }
            Err(error) => {
                args.truncate(first);
                Err(error)
            }
        }
    }

    /// Takes what was found back from `args`: the caller may move the bytes before the rest is
    /// here, and `base` with them.
    #[cold]
    fn suspend(&mut self, progress: Progress, base: usize, args: &mut Vec<Span>, first: usize) {
        self.progress = progress;
        self.found = args.drain(first..).map(|span| Span { start: span.start - base, ..span }).collect();
    }

    #[cold]
    fn resume(
        &mut self,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        let decoded = match self.progress.stage {
            Stage::Inline => inline(&mut self.progress, input, limits.max_inline),
            _ => self.resume_multibulk(input, base, args, limits),
        };
        if !matches!(decoded, Ok(Decoded::Incomplete { .. })) {
            *self = Self::default();
        }
        decoded
    }

    fn resume_multibulk(
        &mut self,
        input: &[u8],
        base: usize,
        args: &mut Vec<Span>,
        limits: &RequestLimits,
    ) -> Result<Decoded, ProtocolError> {
        Ok(match multibulk(&mut self.progress, input, 0, &mut self.found, limits)? {
            Step::Complete => {
                args.extend(self.found.iter().map(|span| Span { start: span.start + base, ..*span }));
                Decoded::Request { consumed: self.progress.pos }
            }
            Step::Empty => Decoded::Empty { consumed: self.progress.pos },
            Step::Incomplete { hint } => Decoded::Incomplete { hint },
        })
    }
}

/// Goes on in a multibulk request, appending the arguments it passes to `out`.
#[inline(always)]
fn multibulk(
    progress: &mut Progress,
    input: &[u8],
    base: usize,
    out: &mut Vec<Span>,
    limits: &RequestLimits,
) -> Result<Step, ProtocolError> {
    if progress.stage == Stage::Count {
        if !progress.read_line(input, limits.max_inline, ProtocolError::TooBigMultibulkCount)? {
            return Ok(Step::Incomplete { hint: 0 });
        }
        match checked_count(progress.line_number(), limits)? {
            0 => return Ok(Step::Empty),
            count => progress.missing = count,
        }
        progress.begin_length();
    }
    loop {
        if progress.stage == Stage::Length
            && progress.pos == progress.line_start
            && progress.line == Line::Number
        {
            progress.read_short_length(input);
            if progress.stage == Stage::Payload && progress.number > limits.max_bulk_len as u64 {
                return Err(ProtocolError::InvalidBulkLength);
            }
        }
        if progress.stage == Stage::Length {
            if !progress.read_argument_line(input, limits.max_inline)? {
                return Ok(Step::Incomplete { hint: 0 });
            }
            progress.number = checked_length(progress, input, limits)?;
            progress.stage = Stage::Payload;
        }
        let len = progress.number as usize;
        let end = progress.pos.saturating_add(len).saturating_add(2);
        if end > input.len() {
            return Ok(Step::Incomplete { hint: end - input.len() });
        }
        out.push(Span { start: base + progress.pos, len });
        progress.pos = end;
        progress.missing -= 1;
        if progress.missing == 0 {
            return Ok(Step::Complete);
        }
        progress.begin_length();
    }
}

/// The number of arguments; none where the count is zero or negative.
#[inline]
fn checked_count(number: Option<i64>, limits: &RequestLimits) -> Result<u32, ProtocolError> {
    let Some(number) = number else { return Err(ProtocolError::InvalidMultibulkLength) };
    if number <= 0 {
        return Ok(0);
    }
    // Redis counts arguments in an int.
    let count = match u32::try_from(number) {
        Ok(count) if count <= i32::MAX as u32 && count as usize <= limits.max_args => count,
        _ => return Err(ProtocolError::InvalidMultibulkLength),
    };
    if !limits.authenticated && count as usize > UNAUTHENTICATED_MAX_ARGS {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    Ok(count)
}

/// The length of the argument whose line was just read.
#[inline]
fn checked_length(progress: &Progress, input: &[u8], limits: &RequestLimits) -> Result<u64, ProtocolError> {
    let Some(number) = progress.line_number() else { return Err(bad_length(progress, input)) };
    let Ok(len) = usize::try_from(number) else { return Err(ProtocolError::InvalidBulkLength) };
    if len > limits.max_bulk_len {
        return Err(ProtocolError::InvalidBulkLength);
    }
    if !limits.authenticated && len > UNAUTHENTICATED_MAX_BULK_LEN {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(len as u64)
}

#[cold]
fn bad_length(progress: &Progress, input: &[u8]) -> ProtocolError {
    match input.get(progress.line_start) {
        Some(b'$') | None => ProtocolError::InvalidBulkLength,
        Some(other) => ProtocolError::ExpectedBulk(*other),
    }
}

impl Progress {
    #[inline]
    fn begin_length(&mut self) {
        self.line_start = self.pos;
        self.number = 0;
        self.negative = false;
        self.stage = Stage::Length;
        self.line = Line::Number;
    }

    /// Reads a `$` line of one or two digits at once: nearly all of them, without the checks
    /// that other lines need. Of a longer number it takes three digits; the rest of it, and
    /// whatever is no number, is left to the reader of every line.
    #[inline(always)]
    fn read_short_length(&mut self, input: &[u8]) {
        let unseen = input.get(self.pos..).unwrap_or_default();
        let Some(&[b'$', a @ b'0'..=b'9', b, c, _]) = unseen.first_chunk::<5>() else { return };
        let first = u64::from(a - b'0');
        let second = u64::from(b.wrapping_sub(b'0'));
        let third = u64::from(c.wrapping_sub(b'0'));
        if b == b'\r' {
            look(3);
            self.number = first;
            self.pos += 4;
            self.stage = Stage::Payload;
        } else if second < 10 && c == b'\r' && first != 0 {
            look(4);
            self.number = first * 10 + second;
            self.pos += 5;
            self.stage = Stage::Payload;
        } else if second < 10 && third < 10 {
            look(4);
            self.number = first * 100 + second * 10 + third;
            self.pos += 4;
        }
    }

    /// Reads on in a `$` line. True when it is complete.
    #[inline(always)]
    fn read_argument_line(&mut self, input: &[u8], max: usize) -> Result<bool, ProtocolError> {
        if self.pos == self.line_start && self.line == Line::Number {
            match input.get(self.pos) {
                Some(b'$') => {
                    look(1);
                    self.pos += 1;
                }
                Some(&other) => self.refuse(other),
                None => return Ok(false),
            }
        }
        self.read_line(input, max, ProtocolError::TooBigBulkCount)
    }

    /// Reads on in a line of a number. True when it is complete, `too_big` when it never is.
    #[inline(always)]
    fn read_line(&mut self, input: &[u8], max: usize, too_big: ProtocolError) -> Result<bool, ProtocolError> {
        if self.line == Line::Number && !self.read_digits(input) {
            return Ok(false);
        }
        if self.line != Line::End && !self.search_end(input, max, too_big)? {
            return Ok(false);
        }
        if self.pos >= input.len() {
            return Ok(false);
        }
        // What follows the \r is taken for the \n that it should be.
        self.pos += 1;
        Ok(true)
    }

    /// Reads digits up to the `\r`. False when the input ended first.
    #[inline(always)]
    fn read_digits(&mut self, input: &[u8]) -> bool {
        // No number has more than 20 characters.
        let last = self.line_start + 20;
        while let Some(&byte) = input.get(self.pos) {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 && self.pos <= last {
                // Cannot wrap unseen: a number of 20 digits is refused by its length.
                self.number = self.number.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if byte == b'\r' {
                look(1);
                self.pos += 1;
                self.line = Line::End;
                return true;
            } else if byte == b'-' && self.pos == self.line_start + 1 {
                self.negative = true;
            } else {
                self.refuse(byte);
                return true;
            }
            look(1);
            self.pos += 1;
        }
        false
    }

    /// Steps over a byte that makes the line no number.
    #[cold]
    fn refuse(&mut self, byte: u8) {
        look(1);
        self.pos += 1;
        self.line = match byte {
            b'\r' => Line::InvalidEnd,
            0 => Line::Hidden,
            _ => Line::Invalid,
        };
    }

    /// Searches the end of a line that holds no number. True when its `\r` was seen.
    #[cold]
    fn search_end(
        &mut self,
        input: &[u8],
        max: usize,
        too_big: ProtocolError,
    ) -> Result<bool, ProtocolError> {
        if self.line == Line::Invalid && self.search(b'\r', input, max) {
            self.line = Line::InvalidEnd;
        }
        if self.line == Line::InvalidEnd {
            return Ok(true);
        }
        if input.len() - self.line_start > max { Err(too_big) } else { Ok(false) }
    }

    /// Searches the line's `end` in its first `max + 1` bytes and stops behind it.
    fn search(&mut self, end: u8, input: &[u8], max: usize) -> bool {
        let window = input.len().min(self.line_start.saturating_add(max).saturating_add(1));
        let unseen = input.get(self.pos..window).unwrap_or_default();
        let found = memchr::memchr2(end, 0, unseen);
        let seen = found.map_or(unseen.len(), |at| at + 1);
        let hidden = found.is_some_and(|at| unseen[at] == 0);
        look(seen);
        self.pos += seen;
        if hidden {
            self.line = Line::Hidden;
        }
        found.is_some() && !hidden
    }

    /// The number of the line that ends at `pos`: decimal, no `+`, no leading zero, 64 bits.
    #[inline(always)]
    fn line_number(&self) -> Option<i64> {
        if self.line != Line::End {
            return None;
        }
        // The marker before it, \r and \n after it.
        let digits = self.pos - self.line_start - 3;
        if digits == 1 && !self.negative {
            return Some(self.number as i64);
        }
        self.long_line_number(digits - usize::from(self.negative))
    }

    fn long_line_number(&self, digits: usize) -> Option<i64> {
        // Nothing between the marker and the \r, or so much that 64 bits may have wrapped.
        if digits == 0 || digits > 19 {
            return None;
        }
        // 0 and its like: `00`, `-0`, `007`. (A lone 0 does not come here.)
        if self.number < 10_u64.pow(digits as u32 - 1) {
            return None;
        }
        if self.negative { 0_i64.checked_sub_unsigned(self.number) } else { i64::try_from(self.number).ok() }
    }
}

/// Goes on in an inline command.
fn inline(progress: &mut Progress, input: &[u8], max: usize) -> Result<Decoded, ProtocolError> {
    // One byte more: the longest line may end in \r\n.
    if progress.line == Line::Hidden || !progress.search(b'\n', input, max.saturating_add(1)) {
        return match input.get(max..) {
            None | Some([] | b"\r") => Ok(Decoded::Incomplete { hint: 0 }),
            Some(_) => Err(ProtocolError::TooBigInline),
        };
    }
    let consumed = progress.pos;
    let line = &input[..consumed - 1];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > max {
        return Err(ProtocolError::TooBigInline);
    }
    let args = split_args(line).ok_or(ProtocolError::UnbalancedQuotes)?;
    if args.is_empty() { Ok(Decoded::Empty { consumed }) } else { Ok(Decoded::Inline { consumed, args }) }
}

#[cfg(test)]
thread_local! {
    /// How many bytes this thread's decoders looked at.
    pub(super) static LOOKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts bytes that were looked at, in tests; nothing otherwise.
#[inline(always)]
fn look(_bytes: usize) {
    #[cfg(test)]
    LOOKED.set(LOOKED.get() + _bytes);
}
