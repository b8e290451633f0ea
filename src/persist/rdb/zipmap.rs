//! The zipmap, the packed hash of Redis before 2.6.
//!
//! ```text
//! [fields 1, 254 and more: not known] ([length][field][length][unused 1][value][unused bytes])* [255]
//! ```
//!
//! A length is one byte, or, from 254 on, 254 and four bytes, the low one first.

use super::Malformed;
use super::primitive::Reader;

const END: u8 = 255;
const LONG: u8 = 254;

/// Shows every field with its value.
pub fn each<'a>(
    bytes: &'a [u8],
    mut show: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let announced = reader.byte()?;
    let mut count = 0usize;
    while let Some(length) = length(&mut reader)? {
        let field = reader.take(length)?;
        let length = self::length(&mut reader)?.ok_or(Malformed::Structure)?;
        let unused = reader.byte()?;
        let value = reader.take(length)?;
        reader.take(u64::from(unused))?;
        show(field, value)?;
        count += 1;
    }
    let agrees = announced >= LONG || usize::from(announced) == count;
    if agrees && reader.is_empty() { Ok(()) } else { Err(Malformed::Structure) }
}

/// A length; `None` at the end of the map.
fn length(reader: &mut Reader<'_>) -> Result<Option<u64>, Malformed> {
    Ok(match reader.byte()? {
        END => None,
        LONG => match u32::from_le_bytes(reader.array()?) {
            // Nobody writes it so long.
            short if short < u32::from(LONG) => return Err(Malformed::Structure),
            length => Some(u64::from(length)),
        },
        short => Some(u64::from(short)),
    })
}
