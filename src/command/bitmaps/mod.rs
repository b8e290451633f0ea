//! Bitmaps: strings as rows of bits.
//!
//! What lives here: the commands by what they do: [`bit`] (one of them), [`look`] (count and search),
//! [`field`] (integers of any width) and [`combine`]. What never does: how bits are counted and combined (`data::bitmap`).

mod bit;
mod combine;
mod field;
mod look;

use crate::store::Str;

pub use bit::COMMANDS as BIT;
pub use combine::COMMANDS as COMBINE;
pub use field::COMMANDS as FIELD;
pub use look::COMMANDS as LOOK;

/// A string's bytes; a number's are written to `digits`.
fn bytes<'a>(value: Option<Str<'a>>, digits: &'a mut itoa::Buffer) -> &'a [u8] {
    match value {
        None => &[],
        Some(Str::Bytes(bytes)) => bytes,
        Some(Str::Int(number)) => digits.format(number).as_bytes(),
    }
}
