//! The listpack: elements one behind the other, readable from both ends.
//!
//! ```text
//! [bytes in all 4][elements 2, 65535: not known] ([encoding and element][its length, backwards])* [255]
//!
//! 0NNNNNNN                    a number of 7 bits
//! 10LLLLLL bytes              a string of up to 63 bytes
//! 110NNNNN NNNNNNNN           a signed number of 13 bits
//! 1110LLLL LLLLLLLL bytes     a string of up to 4,095 bytes
//! 11110000 LLLL bytes         a string; its length has four bytes, the low one first
//! 11110001 to 11110100        a signed number of 16, 24, 32 or 64 bits, the low byte first
//! ```

use super::primitive::Reader;
use super::{Element, Malformed};

const HEADER: usize = 6;
const END: u8 = 255;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Builds a listpack.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    count: usize,
}

impl Builder {
    /// One without elements.
    pub fn new() -> Builder {
        Builder { bytes: vec![0; HEADER], count: 0 }
    }

    /// Adds an element: as a number, if it is one.
    pub fn push(&mut self, element: &[u8]) {
        match crate::data::parse_i64(element) {
            Some(number) => self.push_int(number),
            None => self.push_text(element),
        }
    }

    /// Adds a number.
    pub fn push_int(&mut self, number: i64) {
        let from = self.bytes.len();
        let bytes = number.to_le_bytes();
        let mut put = |first: u8, count: usize| {
            self.bytes.push(first);
            self.bytes.extend_from_slice(&bytes[..count]);
        };
        match number {
            0..=127 => put(number as u8, 0),
            -4096..=4095 => {
                self.bytes.extend_from_slice(&[0xC0 | (number >> 8) as u8 & 0x1F, number as u8]);
            }
            -32_768..=32_767 => put(0xF1, 2),
            -8_388_608..=8_388_607 => put(0xF2, 3),
            -2_147_483_648..=2_147_483_647 => put(0xF3, 4),
            _ => put(0xF4, 8),
        }
        self.end_element(from);
    }

    fn push_text(&mut self, text: &[u8]) {
        let from = self.bytes.len();
        match text.len() {
            length @ 0..64 => self.bytes.push(0x80 | length as u8),
            length @ 64..4096 => self.bytes.extend_from_slice(&[0xE0 | (length >> 8) as u8, length as u8]),
            length => {
                self.bytes.push(0xF0);
                self.bytes.extend_from_slice(&(length as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.end_element(from);
    }

    fn end_element(&mut self, from: usize) {
        let (back, count) = back_length(self.bytes.len() - from);
        self.bytes.extend_from_slice(&back[..count]);
        self.count += 1;
    }

    /// The finished listpack.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let total = (self.bytes.len() as u32).to_le_bytes();
        self.bytes[..4].copy_from_slice(&total);
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

/// An element's length as it stands behind it: seven bits a byte, the high ones first, all but the
/// first byte marked by their top bit. The bounds are one lower than they could be, as Redis has them.
fn back_length(length: usize) -> ([u8; 5], usize) {
    let count = match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut bytes = [0; 5];
    for (at, byte) in bytes.iter_mut().take(count).enumerate() {
        let seven = (length >> (7 * (count - 1 - at))) as u8 & 127;
        *byte = if at == 0 { seven } else { seven | 128 };
    }
    (bytes, count)
}

/// Shows every element of a listpack.
pub fn each<'a>(
    bytes: &'a [u8],
    mut show: impl FnMut(Element<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let total = u32::from_le_bytes(reader.array()?);
    let announced = u16::from_le_bytes(reader.array()?);
    if total as usize != bytes.len() {
        return Err(Malformed::Structure);
    }
    let mut count = 0usize;
    loop {
        let before = reader.rest();
        let first = reader.byte()?;
        if first == END {
            break;
        }
        show(element(first, &mut reader)?)?;
        let (back, length) = back_length(before.len() - reader.rest().len());
        if reader.take(length as u64)? != &back[..length] {
            return Err(Malformed::Structure);
        }
        count += 1;
    }
    let agrees = announced == COUNT_UNKNOWN || usize::from(announced) == count;
    if agrees && reader.is_empty() { Ok(()) } else { Err(Malformed::Structure) }
}

fn element<'a>(first: u8, reader: &mut Reader<'a>) -> Result<Element<'a>, Malformed> {
    let length = match first {
        0..0x80 => return Ok(Element::Int(i64::from(first))),
        0x80..0xC0 => u64::from(first & 63),
        0xC0..0xE0 => {
            let bits = i64::from(first & 31) << 8 | i64::from(reader.byte()?);
            return Ok(Element::Int(if bits >= 1 << 12 { bits - (1 << 13) } else { bits }));
        }
        0xE0..0xF0 => u64::from(first & 15) << 8 | u64::from(reader.byte()?),
        0xF0 => u64::from(u32::from_le_bytes(reader.array()?)),
        0xF1 => return Ok(Element::Int(i16::from_le_bytes(reader.array()?).into())),
        0xF2 => return Element::of_24_bits(reader),
        0xF3 => return Ok(Element::Int(i32::from_le_bytes(reader.array()?).into())),
        0xF4 => return Ok(Element::Int(i64::from_le_bytes(reader.array()?))),
        _ => return Err(Malformed::Structure),
    };
    reader.take(length).map(Element::Text)
}
