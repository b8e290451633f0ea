//! An element of a packed structure.

use super::Malformed;
use super::primitive::Reader;

/// A number, or bytes.
#[derive(Clone, Copy, Debug)]
pub enum Element<'a> {
    /// The element is the decimal text of this.
    Int(i64),
    /// The element.
    Text(&'a [u8]),
}

impl Element<'_> {
    /// What `read` says of the element's bytes.
    pub fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Int(number) => read(itoa::Buffer::new().format(*number).as_bytes()),
            Element::Text(text) => read(text),
        }
    }

    /// A signed number of three bytes, the low one first.
    pub fn of_24_bits(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [low, middle, high] = reader.array()?;
        // As the upper bytes of 32 bits, so that the sign comes along.
        Ok(Element::Int(i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)))
    }
}
