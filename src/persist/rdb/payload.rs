//! What DUMP answers: a value, the version of the format, and a checksum over both.
//!
//! ```text
//! [type 1][value] [version 2, the low byte first] [CRC-64 of all before it 8, the low byte first]
//! ```

use crc::{CRC_64_REDIS, Crc, Table};

use crate::data::ValueLimits;
use crate::store::{DumpError, Entry, LoadedValue};

use super::primitive::Reader;
use super::{VERSION, decode, encode, kind};

const FOOTER: usize = 10;

pub(super) static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// An entry's value as DUMP answers it.
pub fn dump(entry: &Entry, compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode(entry, compress, &mut out);
    sealed(out)
}

/// A value with its footer.
pub fn sealed(mut value: Vec<u8>) -> Vec<u8> {
    value.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = CHECKSUM.checksum(&value);
    value.extend_from_slice(&checksum.to_le_bytes());
    value
}

/// The value of what DUMP answered, here or in a Redis that is not newer. As in Redis, bytes behind the
/// value are not looked at.
pub fn restore(payload: &[u8], limits: &ValueLimits) -> Result<LoadedValue, DumpError> {
    let value = opened(payload)?;
    if value.first().is_some_and(|&kind| kind > kind::NEWEST_OF_7_0) {
        return Err(DumpError::Value);
    }
    decode(&mut Reader::new(value), limits).map_err(|_| DumpError::Value)
}

/// What stands before a footer that is as it should be.
pub(super) fn opened(payload: &[u8]) -> Result<&[u8], DumpError> {
    let at = payload.len().checked_sub(FOOTER).ok_or(DumpError::Footer)?;
    let (value, mut footer) = (&payload[..at], Reader::new(&payload[at..]));
    let version = footer.array().map(u16::from_le_bytes);
    let checksum = footer.array().map(u64::from_le_bytes);
    let known = version.is_ok_and(|version| version <= VERSION);
    if !known || checksum != Ok(CHECKSUM.checksum(&payload[..payload.len() - 8])) {
        return Err(DumpError::Footer);
    }
    Ok(value)
}
