//! The first pass of a load: reads all headers, no payload, and proves the file complete.
//!
//! So a file that was cut, spliced or extended is refused before the first record of it
//! reaches the store, and the length of every chain is known before it is decoded.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::error::LoadError;
use super::format::{
    BLOCK_HEADER_LEN, BadHeader, BlockHeader, ENDS_RECORD, FileHeader, HEADER_LEN, KIND_TRAILER, MAGIC,
    STARTS_RECORD, Trailer, WHOLE,
};
use crate::persist::files::Handle;

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The block's number in the order of the file.
    pub number: u64,
    /// The byte at which its header begins.
    pub offset: u64,
    pub header: BlockHeader,
}

impl Place {
    pub(super) fn payload_offset(&self) -> u64 {
        self.offset + BLOCK_HEADER_LEN as u64
    }
}

/// All blocks of a file, as work for the loaders.
#[derive(Debug)]
pub(super) struct Index {
    pub header: FileHeader,
    pub file_len: u64,
    pub keys: u64,
    pub databases: BTreeMap<u32, u64>,
    /// Each one is a block of whole records, or the chain of blocks of one record.
    pub units: Vec<Vec<Place>>,
    /// Where the trailer begins.
    pub trailer_offset: u64,
}

/// Reads the file's header; says what else the file is if it is no snapshot.
pub(super) fn read_header(file: &dyn Handle, path: &Path, file_len: u64) -> Result<FileHeader, LoadError> {
    let mut bytes = [0; HEADER_LEN];
    let there = file_len.min(HEADER_LEN as u64) as usize;
    let start = bytes.get_mut(..there).unwrap_or_default();
    file.read_exact_at(start, 0).map_err(|e| LoadError::io(path, 0, e))?;
    let not_ours = |what: &str| LoadError::NotASnapshot { path: path.to_path_buf(), what: what.to_string() };
    if there == 0 {
        return Err(not_ours("it is empty"));
    }
    if start.starts_with(b"REDIS") {
        return Err(LoadError::RedisRdb { path: path.to_path_buf() });
    }
    if !start.starts_with(MAGIC.get(..there.min(MAGIC.len())).unwrap_or_default()) {
        return Err(not_ours("its first bytes are not GLASSWNG"));
    }
    if there < HEADER_LEN {
        return Err(LoadError::damaged(path, file_len, None, "the file ends within its header"));
    }
    FileHeader::decode(&bytes).map_err(|e| match e {
        BadHeader::Damaged(what) => LoadError::damaged(path, 0, None, what),
        BadHeader::Version(version) => LoadError::UnknownVersion { path: path.to_path_buf(), version },
    })
}

/// Walks over all block headers and checks everything that can be told without payloads.
pub(super) fn read_index(file: &dyn Handle, path: &Path, file_len: u64) -> Result<Index, LoadError> {
    let header = read_header(file, path, file_len)?;
    let mut walk = Walk {
        file,
        path,
        file_len,
        headers_crc: crc32fast::Hasher::new(),
        streams: HashMap::new(),
        units: Vec::new(),
        records: 0,
    };
    walk.headers_crc.update(&header.encode());
    let mut offset = HEADER_LEN as u64;
    let mut number = 0;
    loop {
        let place = walk.block_header(offset, number, &header)?;
        if place.header.kind == KIND_TRAILER {
            return walk.finish(place, header);
        }
        offset = place.payload_offset() + u64::from(place.header.payload_len);
        walk.take(place)?;
        number += 1;
    }
}

struct Walk<'a> {
    file: &'a dyn Handle,
    path: &'a Path,
    file_len: u64,
    headers_crc: crc32fast::Hasher,
    streams: HashMap<u16, StreamState>,
    units: Vec<Vec<Place>>,
    records: u64,
}

#[derive(Default)]
struct StreamState {
    next: u32,
    chain: Vec<Place>,
}

impl Walk<'_> {
    fn block_header(&mut self, offset: u64, number: u64, header: &FileHeader) -> Result<Place, LoadError> {
        let bad = |at: u64, what: &str| LoadError::damaged(self.path, at, Some(number), what);
        if self.file_len.saturating_sub(offset) < BLOCK_HEADER_LEN as u64 {
            return Err(bad(
                offset,
                "the file ends where a block or the trailer must begin; it was cut short",
            ));
        }
        let mut bytes = [0; BLOCK_HEADER_LEN];
        self.file.read_exact_at(&mut bytes, offset).map_err(|e| LoadError::io(self.path, offset, e))?;
        let decoded = BlockHeader::decode(&bytes, &header.id).map_err(|what| bad(offset, what))?;
        let place = Place { number, offset, header: decoded };
        if self.file_len - place.payload_offset() < u64::from(decoded.payload_len) {
            return Err(bad(offset, "the file ends within this block; it was cut short"));
        }
        if decoded.kind != KIND_TRAILER {
            self.headers_crc.update(&bytes);
        }
        Ok(place)
    }

    /// Puts a block where it belongs: each stream is without gaps, each chain has an end.
    fn take(&mut self, place: Place) -> Result<(), LoadError> {
        let bad = |what: &str| LoadError::damaged(self.path, place.offset, Some(place.number), what);
        let stream = self.streams.entry(place.header.stream).or_default();
        if place.header.sequence != stream.next {
            return Err(bad("the block is out of order; one is missing or doubled"));
        }
        stream.next = stream.next.wrapping_add(1);
        let flags = place.header.flags;
        if (flags & STARTS_RECORD != 0) != stream.chain.is_empty() {
            return Err(bad("the block does not continue the record that was begun"));
        }
        self.records += u64::from(place.header.records);
        if flags == WHOLE {
            self.units.push(vec![place]);
            return Ok(());
        }
        stream.chain.push(place);
        if flags & ENDS_RECORD != 0 {
            self.units.push(std::mem::take(&mut stream.chain));
        }
        Ok(())
    }

    fn finish(self, place: Place, header: FileHeader) -> Result<Index, LoadError> {
        let bad = |what: String| LoadError::damaged(self.path, place.offset, Some(place.number), what);
        let mut payload = vec![0; place.header.payload_len as usize];
        let read = self.file.read_exact_at(&mut payload, place.payload_offset());
        read.map_err(|e| LoadError::io(self.path, place.payload_offset(), e))?;
        if crc32fast::hash(&payload) != place.header.payload_crc {
            return Err(bad("the trailer's checksum does not match".into()));
        }
        let trailer =
            Trailer::decode(&payload).ok_or_else(|| bad("the trailer's length does not fit".into()))?;
        let end = place.payload_offset() + u64::from(place.header.payload_len);
        if end != self.file_len || trailer.file_len != self.file_len {
            return Err(LoadError::damaged(self.path, end, None, "there are bytes after the trailer"));
        }
        if trailer.blocks != place.number || trailer.headers_crc != self.headers_crc.finalize() {
            return Err(bad(format!("the trailer counts other blocks ({}) than there are", trailer.blocks)));
        }
        if self.streams.values().any(|stream| !stream.chain.is_empty()) {
            return Err(bad("a record was begun and never ended".into()));
        }
        let sum = trailer.databases.values().try_fold(0u64, |sum, keys| sum.checked_add(*keys));
        if self.records != trailer.keys || sum != Some(trailer.keys) {
            let (found, told) = (self.records, trailer.keys);
            return Err(bad(format!("the blocks hold {found} keys, the trailer counts {told}")));
        }
        if header.keys != trailer.keys {
            let (first, last) = (header.keys, trailer.keys);
            return Err(bad(format!("the header counts {first} keys, the trailer {last}")));
        }
        Ok(Index {
            header,
            file_len: self.file_len,
            keys: trailer.keys,
            databases: trailer.databases,
            units: self.units,
            trailer_offset: place.offset,
        })
    }
}
