//! Lengths and strings, of which everything else is made.
//!
//! ```text
//! 00LLLLLL                a length of six bits
//! 01LLLLLL LLLLLLLL       of fourteen, the high ones first
//! 10000000 and 4 bytes    of 32 bits, the high byte first
//! 10000001 and 8 bytes    of 64 bits
//! 11000000 and 1 byte     a string that is a number of 8 bits
//! 11000001 and 2 bytes    of 16 bits, the low byte first
//! 11000010 and 4 bytes    of 32 bits
//! 11000011 length length  a compressed string: its bytes here, its bytes when decompressed
//! ```

use std::borrow::Cow;

use crate::data::parse_i64;

use super::{Malformed, lzf};

/// Strings up to this length may be numbers of 32 bits.
const LONGEST_NUMBER: usize = 11;
/// Strings up to this length are never compressed.
const NEVER_COMPRESSED: usize = 20;

/// Bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// What a length's first byte announces.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes, if there are as many.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed::Short)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes, as many as the array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length(&mut self) -> Result<Length, Malformed> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 63) << 8 | u64::from(self.byte()?)),
            3 => Length::Encoded(first & 63),
            _ if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            _ if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            _ => return Err(Malformed::Structure),
        })
    }

    /// A length or another number that is not negative.
    pub fn len(&mut self) -> Result<u64, Malformed> {
        match self.length()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Malformed::Structure),
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A string, whichever way it is written.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let number = match self.length()? {
            Length::Plain(length) => return self.take(length).map(Cow::Borrowed),
            Length::Encoded(0) => i32::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(1) => i32::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(2) => i32::from_le_bytes(self.array()?),
            Length::Encoded(3) => return self.compressed().map(Cow::Owned),
            Length::Encoded(_) => return Err(Malformed::Structure),
        };
        Ok(Cow::Owned(number.to_string().into_bytes()))
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Malformed> {
        let (here, whole) = (self.len()?, self.len()?);
        let whole = usize::try_from(whole).map_err(|_| Malformed::Structure)?;
        lzf::decompress(self.take(here)?, whole)
    }
}

/// Writes a length.
pub fn put_len(out: &mut Vec<u8>, length: usize) {
    put_len_u64(out, length as u64);
}

/// Writes a length or another number that is not negative.
pub fn put_len_u64(out: &mut Vec<u8>, length: u64) {
    match length {
        0..64 => out.push(length as u8),
        64..16_384 => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        _ => match u32::try_from(length) {
            Ok(length) => {
                out.push(0x80);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(0x81);
                out.extend_from_slice(&length.to_be_bytes());
            }
        },
    }
}

/// Writes a string: as a number if it is one, compressed if that is wanted and saves something.
pub fn put_string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    let number = if text.len() <= LONGEST_NUMBER { parse_i64(text) } else { None };
    if let Some(number) = number.and_then(|number| i32::try_from(number).ok()) {
        return put_number(out, number);
    }
    if compress
        && text.len() > NEVER_COMPRESSED
        && let Some(short) = lzf::compress(text)
    {
        out.push(0xC3);
        put_len(out, short.len());
        put_len(out, text.len());
        out.extend_from_slice(&short);
        return;
    }
    put_len(out, text.len());
    out.extend_from_slice(text);
}

fn put_number(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.push(0xC0);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xC1);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(0xC2);
        out.extend_from_slice(&number.to_le_bytes());
    }
}
