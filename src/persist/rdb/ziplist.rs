//! The ziplist, which Redis wrote before the listpack.
//!
//! ```text
//! [bytes in all 4][place of the last element 4][elements 2, 65535: not known]
//! ([length of the element before: 1, or 254 and 4][encoding and element])* [255]
//!
//! 00LLLLLL bytes             a string of up to 63 bytes
//! 01LLLLLL LLLLLLLL bytes    a string of up to 16,383 bytes
//! 10000000 LLLL bytes        a string; the high byte of its length first
//! C0, D0, E0, F0, FE         a signed number of 16, 32, 64, 24, 8 bits, the low byte first
//! F1 to FD                   a number from 0 to 12
//! ```

use super::primitive::Reader;
use super::{Element, Malformed};

const HEADER: usize = 10;
const END: u8 = 255;
const LONG_BEFORE: u8 = 254;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Shows every element of a ziplist.
pub fn each<'a>(
    bytes: &'a [u8],
    mut show: impl FnMut(Element<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let total = u32::from_le_bytes(reader.array()?);
    let tail = u32::from_le_bytes(reader.array()?) as usize;
    let announced = u16::from_le_bytes(reader.array()?);
    if total as usize != bytes.len() {
        return Err(Malformed::Structure);
    }
    let (mut count, mut before, mut last) = (0usize, 0usize, HEADER);
    loop {
        let at = bytes.len() - reader.rest().len();
        let length_before = match reader.byte()? {
            END => break,
            LONG_BEFORE => u32::from_le_bytes(reader.array()?) as usize,
            short => usize::from(short),
        };
        if length_before != before {
            return Err(Malformed::Structure);
        }
        show(element(&mut reader)?)?;
        before = bytes.len() - reader.rest().len() - at;
        last = at;
        count += 1;
    }
    let agrees = announced == COUNT_UNKNOWN || usize::from(announced) == count;
    if agrees && tail == last && reader.is_empty() { Ok(()) } else { Err(Malformed::Structure) }
}

fn element<'a>(reader: &mut Reader<'a>) -> Result<Element<'a>, Malformed> {
    let first = reader.byte()?;
    let length = match first {
        0..0x40 => u64::from(first),
        0x40..0x80 => u64::from(first & 63) << 8 | u64::from(reader.byte()?),
        0x80 => u64::from(u32::from_be_bytes(reader.array()?)),
        0xC0 => return Ok(Element::Int(i16::from_le_bytes(reader.array()?).into())),
        0xD0 => return Ok(Element::Int(i32::from_le_bytes(reader.array()?).into())),
        0xE0 => return Ok(Element::Int(i64::from_le_bytes(reader.array()?))),
        0xF0 => return Element::of_24_bits(reader),
        0xFE => return Ok(Element::Int(i8::from_le_bytes(reader.array()?).into())),
        0xF1..=0xFD => return Ok(Element::Int(i64::from(first & 15) - 1)),
        _ => return Err(Malformed::Structure),
    };
    reader.take(length).map(Element::Text)
}
