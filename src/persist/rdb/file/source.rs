//! Bytes that come one after the other, counted and summed up on the way.

use std::io::{self, Read};

use crc::{Digest, Table};

use super::error::{ReadError, What};
use crate::persist::files::Handle;
use crate::persist::rdb::payload::CHECKSUM;

/// What is asked of the reader behind at once.
const BUFFER: usize = 64 * 1024;
/// So much of a string is made room for before its bytes are there.
const PIECE: u64 = 1 << 20;

/// A file as a stream.
pub struct HandleReader<'a> {
    handle: &'a dyn Handle,
    at: u64,
}

impl<'a> HandleReader<'a> {
    /// Reads from a byte on.
    pub fn new(handle: &'a dyn Handle, at: u64) -> Self {
        HandleReader { handle, at }
    }
}

impl Read for HandleReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.handle.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A stream that is read by the byte.
pub(super) struct Source<'a> {
    inner: &'a mut dyn Read,
    buffer: Vec<u8>,
    from: usize,
    /// Bytes taken so far.
    pub(super) offset: u64,
    /// Bytes of the buffer before this are in the checksum.
    summed: usize,
    digest: Digest<'static, u64, Table<16>>,
}

/// What a length's first byte announces.
pub(super) enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Source<'a> {
    pub(super) fn new(inner: &'a mut dyn Read) -> Source<'a> {
        Source { inner, buffer: Vec::new(), from: 0, offset: 0, summed: 0, digest: CHECKSUM.digest() }
    }

    fn sum_up(&mut self) {
        self.digest.update(&self.buffer[self.summed..self.from]);
        self.summed = self.from;
    }

    /// The checksum of all bytes taken so far.
    pub(super) fn checksum(&mut self) -> u64 {
        self.sum_up();
        self.digest.clone().finalize()
    }

    /// Gets more bytes; false at the end.
    fn refill(&mut self) -> Result<bool, ReadError> {
        self.sum_up();
        (self.from, self.summed) = (0, 0);
        self.buffer.resize(BUFFER, 0);
        loop {
            match self.inner.read(&mut self.buffer) {
                Ok(count) => {
                    self.buffer.truncate(count);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(ReadError::new(self.offset, What::Io(error)));
                }
            }
        }
    }

    /// Appends the next `count` bytes to `out`, as they come.
    pub(super) fn copy(&mut self, mut count: u64, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let begin = self.offset;
        while count > 0 {
            let there = &self.buffer[self.from..];
            if there.is_empty() {
                if !self.refill()? {
                    return Err(ReadError::new(begin, What::Short));
                }
                continue;
            }
            let taken = there.len().min(usize::try_from(count.min(PIECE)).unwrap_or(there.len()));
            out.extend_from_slice(&there[..taken]);
            self.from += taken;
            self.offset += taken as u64;
            count -= taken as u64;
        }
        Ok(())
    }

    /// The next byte, appended to `out` as well.
    #[inline]
    pub(super) fn byte(&mut self, out: &mut Vec<u8>) -> Result<u8, ReadError> {
        if self.from == self.buffer.len() && !self.refill()? {
            return Err(ReadError::new(self.offset, What::Short));
        }
        let byte = self.buffer[self.from];
        self.from += 1;
        self.offset += 1;
        out.push(byte);
        Ok(byte)
    }

    /// The next bytes, as many as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = Vec::with_capacity(N);
        self.copy(N as u64, &mut bytes)?;
        let short = ReadError::new(self.offset, What::Short);
        bytes.try_into().map_err(|_| short)
    }

    pub(super) fn length(&mut self, out: &mut Vec<u8>) -> Result<Length, ReadError> {
        let at = self.offset;
        let first = self.byte(out)?;
        let from = out.len();
        let bytes = match first {
            0..0x40 => return Ok(Length::Plain(u64::from(first))),
            0x40..0x80 => return Ok(Length::Plain(u64::from(first & 63) << 8 | u64::from(self.byte(out)?))),
            0x80 => 4,
            0x81 => 8,
            0xC0.. => return Ok(Length::Encoded(first & 63)),
            _ => return Err(ReadError::new(at, What::Malformed(format!("a length begins with {first}")))),
        };
        self.copy(bytes, out)?;
        Ok(Length::Plain(out[from..].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))))
    }

    /// A length or another number that is not negative.
    pub(super) fn len(&mut self, out: &mut Vec<u8>) -> Result<u64, ReadError> {
        let at = self.offset;
        match self.length(out)? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => {
                Err(ReadError::new(at, What::Malformed("a string stands where a length should".to_owned())))
            }
        }
    }

    /// Appends a string's bytes, in the form they have.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let at = self.offset;
        let count = match self.length(out)? {
            Length::Plain(count) => count,
            Length::Encoded(0) => 1,
            Length::Encoded(1) => 2,
            Length::Encoded(2) => 4,
            Length::Encoded(3) => {
                let here = self.len(out)?;
                self.len(out)?;
                here
            }
            Length::Encoded(other) => {
                let what = format!("a string of the unknown encoding {other}");
                return Err(ReadError::new(at, What::Malformed(what)));
            }
        };
        self.copy(count, out).map_err(|error| match error.what {
            // Where it begins says more than where its bytes begin.
            What::Short => ReadError::new(at, What::Short),
            _ => error,
        })
    }
}
