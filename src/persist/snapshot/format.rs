//! The bytes of the file header, the block headers and the trailer.
//!
//! ```text
//! file    = header (128 bytes) block* trailer
//! block   = block header (32 bytes) payload (1 byte to 1 MiB)
//! payload = records, then one run per change of database: (database u32, count u32)
//! trailer = a block of kind 2
//! ```
//!
//! All integers are little endian. `docs/snapshot-format.md` draws every byte.

use std::collections::BTreeMap;

/// The version of the format that this code writes, and the highest that it reads.
pub const FORMAT_VERSION: u16 = 2;
/// The lowest that this code reads: it has no libraries of functions.
const OLDEST_VERSION: u16 = 1;
/// The most bytes that a block carries, its runs included.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

pub(super) const MAGIC: [u8; 8] = *b"GLASSWNG";
pub(super) const HEADER_LEN: usize = 128;
pub(super) const BLOCK_MAGIC: [u8; 4] = *b"GWBK";
pub(super) const BLOCK_HEADER_LEN: usize = 32;
pub(super) const RUN_LEN: usize = 8;
/// The stream that the trailer belongs to; no saver has this number.
pub(super) const TRAILER_STREAM: u16 = u16::MAX;
/// In the header's place for the number of keys until the file is finished.
pub(super) const UNFINISHED: u64 = u64::MAX;
const VERSION_TEXT_LEN: usize = 40;

/// A block's first record begins in it.
pub(super) const STARTS_RECORD: u8 = 1;
/// A block's last record ends in it.
pub(super) const ENDS_RECORD: u8 = 2;
/// A block of whole records.
pub(super) const WHOLE: u8 = STARTS_RECORD | ENDS_RECORD;

pub(super) const KIND_RECORDS: u8 = 1;
pub(super) const KIND_TRAILER: u8 = 2;

/// Which snapshot this is: random, and part of every checksum, so that a block of another
/// file is never taken for one of this.
pub(super) type SnapshotId = [u8; 16];

/// Takes little-endian fields from the front of a slice.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.bytes().map(u8::from_le_bytes)
    }
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }
}

/// The first 128 bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub version: u16,
    pub created_unix_ms: u64,
    pub id: SnapshotId,
    pub keys: u64,
    pub server_version: String,
}

/// Why the first bytes of a file are no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged(&'static str),
    Version(u16),
}

impl FileHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        // NUL is the padding.
        let mut text = self.server_version.split('\0').next().unwrap_or_default().as_bytes();
        while text.len() > VERSION_TEXT_LEN || std::str::from_utf8(text).is_err() {
            text = text.split_last().map_or(&[], |(_, rest)| rest);
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&self.created_unix_ms.to_le_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.keys.to_le_bytes());
        bytes.extend_from_slice(text);
        bytes.resize(HEADER_LEN - 4, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut out = [0; HEADER_LEN];
        out.copy_from_slice(&bytes);
        out
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<FileHeader, BadHeader> {
        const SHORT: BadHeader = BadHeader::Damaged("the header is too short");
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        let mut fields = Fields(body);
        if fields.bytes::<8>() != Some(MAGIC) {
            return Err(BadHeader::Damaged("the header does not begin with GLASSWNG"));
        }
        let version = fields.u16().ok_or(SHORT)?;
        // Every version keeps these 128 bytes under this checksum, so that a later version
        // can be told from damage.
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(BadHeader::Damaged("the header's checksum does not match"));
        }
        let (length, flags) = (fields.u16().ok_or(SHORT)?, fields.u32().ok_or(SHORT)?);
        if !(OLDEST_VERSION..=FORMAT_VERSION).contains(&version)
            || length as usize != HEADER_LEN
            || flags != 0
        {
            return Err(BadHeader::Version(version));
        }
        let header = FileHeader {
            version,
            created_unix_ms: fields.u64().ok_or(SHORT)?,
            id: fields.bytes().ok_or(SHORT)?,
            keys: fields.u64().ok_or(SHORT)?,
            server_version: text(fields.bytes::<VERSION_TEXT_LEN>().ok_or(SHORT)?),
        };
        if header.keys == UNFINISHED {
            return Err(BadHeader::Damaged("the save that wrote it was never finished"));
        }
        Ok(header)
    }
}

fn text(padded: [u8; VERSION_TEXT_LEN]) -> String {
    let used = padded.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(used).into_owned()
}

/// The 32 bytes before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub kind: u8,
    pub flags: u8,
    /// Which saver wrote it.
    pub stream: u16,
    /// Its place in that saver's stream, from 0; for the trailer, the number of blocks.
    pub sequence: u32,
    pub payload_len: u32,
    /// How many runs stand at the payload's end.
    pub runs: u32,
    /// How many records begin in this block.
    pub records: u32,
    pub payload_crc: u32,
}

impl BlockHeader {
    pub(super) fn encode(&self, id: &SnapshotId) -> [u8; BLOCK_HEADER_LEN] {
        let mut bytes = [0; BLOCK_HEADER_LEN];
        let fields: [&[u8]; 9] = [
            &BLOCK_MAGIC,
            &[self.kind],
            &[self.flags],
            &self.stream.to_le_bytes(),
            &self.sequence.to_le_bytes(),
            &self.payload_len.to_le_bytes(),
            &self.runs.to_le_bytes(),
            &self.records.to_le_bytes(),
            &self.payload_crc.to_le_bytes(),
        ];
        let mut rest: &mut [u8] = &mut bytes;
        for field in fields {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        let (body, crc) = bytes.split_at_mut(BLOCK_HEADER_LEN - 4);
        crc.copy_from_slice(&header_crc(id, body).to_le_bytes());
        bytes
    }

    pub(super) fn decode(
        bytes: &[u8; BLOCK_HEADER_LEN],
        id: &SnapshotId,
    ) -> Result<BlockHeader, &'static str> {
        const SHORT: &str = "the block's header is too short";
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        let mut fields = Fields(body);
        if fields.bytes::<4>() != Some(BLOCK_MAGIC) {
            return Err("no block begins here");
        }
        if header_crc(id, body) != u32::from_le_bytes(*crc) {
            return Err("the checksum of the block's header does not match");
        }
        let header = BlockHeader {
            kind: fields.u8().ok_or(SHORT)?,
            flags: fields.u8().ok_or(SHORT)?,
            stream: fields.u16().ok_or(SHORT)?,
            sequence: fields.u32().ok_or(SHORT)?,
            payload_len: fields.u32().ok_or(SHORT)?,
            runs: fields.u32().ok_or(SHORT)?,
            records: fields.u32().ok_or(SHORT)?,
            payload_crc: fields.u32().ok_or(SHORT)?,
        };
        header.check().map(|()| header)
    }

    /// What the fields of a header must be to each other, whatever the checksum says.
    fn check(&self) -> Result<(), &'static str> {
        let length = self.payload_len as usize;
        if length == 0 || length > MAX_PAYLOAD_BYTES {
            return Err("the block's length is out of range");
        }
        if self.runs as usize > length / RUN_LEN {
            return Err("the block has more runs than bytes");
        }
        let starts = self.flags & STARTS_RECORD != 0;
        let fits = match (self.kind, self.flags) {
            (KIND_TRAILER, 0) => self.stream == TRAILER_STREAM && self.records == 0 && self.runs == 0,
            (KIND_RECORDS, WHOLE) => self.runs > 0 && self.records as usize <= length,
            (KIND_RECORDS, 0..WHOLE) => self.records == u32::from(starts) && self.runs == u32::from(starts),
            _ => return Err("the block is of an unknown kind"),
        };
        if fits { Ok(()) } else { Err("the fields of the block's header contradict each other") }
    }
}

fn header_crc(id: &SnapshotId, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(id);
    crc.update(body);
    crc.finalize()
}

/// `count` records of one database, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub db: u32,
    pub count: u32,
}

impl Run {
    pub(super) fn encode(&self) -> [u8; RUN_LEN] {
        (u64::from(self.count) << 32 | u64::from(self.db)).to_le_bytes()
    }

    pub(super) fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Run> + '_ {
        let (runs, _) = bytes.as_chunks::<RUN_LEN>();
        runs.iter().map(|run| {
            let both = u64::from_le_bytes(*run);
            Run { db: both as u32, count: (both >> 32) as u32 }
        })
    }
}

/// What the trailer says about the file before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub blocks: u64,
    pub keys: u64,
    /// The file's length, this trailer included.
    pub file_len: u64,
    /// CRC-32 of the file header and of all block headers in the file's order.
    pub headers_crc: u32,
    /// Keys of each database that has any, by number.
    pub databases: BTreeMap<u32, u64>,
}

impl Trailer {
    pub(super) fn payload_len(databases: usize) -> usize {
        32 + databases * 12
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::payload_len(self.databases.len()));
        bytes.extend_from_slice(&self.blocks.to_le_bytes());
        bytes.extend_from_slice(&self.keys.to_le_bytes());
        bytes.extend_from_slice(&self.file_len.to_le_bytes());
        bytes.extend_from_slice(&self.headers_crc.to_le_bytes());
        bytes.extend_from_slice(&(self.databases.len() as u32).to_le_bytes());
        for (db, keys) in &self.databases {
            bytes.extend_from_slice(&db.to_le_bytes());
            bytes.extend_from_slice(&keys.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Trailer> {
        let mut fields = Fields(bytes);
        let mut trailer = Trailer {
            blocks: fields.u64()?,
            keys: fields.u64()?,
            file_len: fields.u64()?,
            headers_crc: fields.u32()?,
            databases: BTreeMap::new(),
        };
        let databases = fields.u32()? as usize;
        if bytes.len() != Self::payload_len(databases) {
            return None;
        }
        for _ in 0..databases {
            let (db, keys) = (fields.u32()?, fields.u64()?);
            trailer.databases.insert(db, keys);
        }
        Some(trailer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip_and_flips() {
        let header = FileHeader {
            version: FORMAT_VERSION,
            created_unix_ms: 1_700_000_000_123,
            id: [9; 16],
            keys: 12,
            server_version: "0.1.0-ü".repeat(9),
        };
        let bytes = header.encode();
        let back = FileHeader::decode(&bytes).unwrap();
        assert_eq!((back.keys, back.id, back.created_unix_ms), (12, [9; 16], 1_700_000_000_123));
        assert!(header.server_version.starts_with(&back.server_version) && back.server_version.len() > 30);
        for i in 0..bytes.len() {
            let mut flipped = bytes;
            flipped[i] ^= 0x40;
            assert!(FileHeader::decode(&flipped).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let header =
            FileHeader { version: 1, created_unix_ms: 1, id: [1; 16], keys: 0, server_version: "9".into() };
        let mut bytes = header.encode();
        assert!(FileHeader::decode(&bytes).is_ok(), "the first version is read");
        bytes[8] = 3;
        assert!(matches!(FileHeader::decode(&bytes), Err(BadHeader::Damaged(_))));
        let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes), Err(BadHeader::Version(3)));
    }

    #[test]
    fn a_block_header_belongs_to_its_file() {
        let header = BlockHeader {
            kind: KIND_RECORDS,
            flags: WHOLE,
            stream: 3,
            sequence: 7,
            payload_len: 100,
            runs: 2,
            records: 5,
            payload_crc: 0xdead_beef,
        };
        let bytes = header.encode(&[1; 16]);
        assert_eq!(BlockHeader::decode(&bytes, &[1; 16]), Ok(header));
        assert!(BlockHeader::decode(&bytes, &[2; 16]).is_err());
        let bad = BlockHeader { payload_len: MAX_PAYLOAD_BYTES as u32 + 1, ..header };
        assert!(BlockHeader::decode(&bad.encode(&[1; 16]), &[1; 16]).is_err());
    }

    #[test]
    fn trailer_and_runs_round_trip() {
        let databases = BTreeMap::from([(0, 5), (15, u64::MAX)]);
        let trailer = Trailer { blocks: 1, keys: 2, file_len: 3, headers_crc: 4, databases };
        assert_eq!(Trailer::decode(&trailer.encode()), Some(trailer.clone()));
        assert_eq!(Trailer::decode(&trailer.encode()[1..]), None);
        let runs = [Run { db: 1, count: u32::MAX }, Run { db: u32::MAX, count: 1 }];
        let bytes: Vec<u8> = runs.iter().flat_map(Run::encode).collect();
        assert_eq!(Run::decode_all(&bytes).collect::<Vec<_>>(), runs);
    }
}
