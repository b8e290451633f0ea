//! What DUMP answers: a value, the version of the format, and a checksum over both.
//!
//! ```text
//! [type 1][value] [version 2, the low byte first] [CRC-64 of all before it 8, the low byte first]
//! ```

use crc::{CRC_64_REDIS, Crc, Table};

use crate::data::ValueLimits;
use crate::store::{DumpError, Entry, LoadedValue};

use super::primitive::Reader;
use super::{Malformed, VERSION, decode, encode, kind};

const FOOTER: usize = 10;

pub(super) static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Redis's checksum of some bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    CHECKSUM.checksum(bytes)
}

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
/// value are not looked at, and the checksum only if `checks`.
pub fn restore(payload: &[u8], limits: &ValueLimits, checks: bool) -> Result<LoadedValue, DumpError> {
    let value = opened(payload, checks)?;
    if value.first().is_some_and(|&kind| kind > kind::NEWEST_OF_7_0) {
        return Err(DumpError::Value);
    }
    decode(&mut Reader::new(value), limits).map_err(|malformed| {
        tracing::warn!("A payload is refused: {}", told(value.first().copied(), malformed));
        DumpError::Value
    })
}

/// What is wrong with a value: where it is packed into one string, in which way, in Redis's words.
pub(super) fn told(kind: Option<u8>, malformed: Malformed) -> String {
    let packed = match kind {
        Some(kind::STREAM | kind::STREAM_2 | kind::STREAM_3) if malformed == Malformed::Duplicate => {
            return "Duplicate stream consumer detected".to_owned();
        }
        Some(kind::HASH_ZIPMAP) => "Zipmap",
        Some(kind::LIST_ZIPLIST | kind::LIST_QUICKLIST) => "Ziplist",
        Some(kind::SET_INTSET) => "Intset",
        Some(kind::ZSET_ZIPLIST) => "Zset ziplist",
        Some(kind::HASH_ZIPLIST) => "Hash ziplist",
        Some(kind::HASH_LISTPACK) => "Hash listpack",
        Some(kind::ZSET_LISTPACK) => "Zset listpack",
        Some(kind::LIST_QUICKLIST_2 | kind::SET_LISTPACK) => "Listpack",
        Some(kind::STREAM | kind::STREAM_2 | kind::STREAM_3) => "Stream listpack",
        _ => return malformed.to_string(),
    };
    format!("{packed} integrity check failed: {malformed}")
}

/// What stands before a footer that is as it should be.
pub(super) fn opened(payload: &[u8], checks: bool) -> Result<&[u8], DumpError> {
    let at = payload.len().checked_sub(FOOTER).ok_or(DumpError::Footer)?;
    let (value, mut footer) = (&payload[..at], Reader::new(&payload[at..]));
    let version = footer.array().map(u16::from_le_bytes);
    let checksum = footer.array().map(u64::from_le_bytes);
    let known = version.is_ok_and(|version| version <= VERSION);
    if !known || (checks && checksum != Ok(CHECKSUM.checksum(&payload[..payload.len() - 8]))) {
        return Err(DumpError::Footer);
    }
    Ok(value)
}
