//! The snapshot reader on bytes that nobody vouches for.
//!
//! Random bytes hardly ever get past a checksum, so the first byte of the input chooses:
//! an even one takes the rest as a whole file, an odd one mends every checksum and count
//! that can be mended and so lets the rest reach the decoder. The reader may refuse; it
//! must not panic, hang, or ask for memory that the bytes do not justify.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use glasswing::persist::files::faulty::FaultyFiles;
use glasswing::persist::progress::Progress;
use glasswing::persist::snapshot::{load, peek};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

const PATH: &str = "/fuzz/glasswing.snapshot";
const HEADER_LEN: usize = 128;
const BLOCK_HEADER_LEN: usize = 32;

/// Of the shapes that the store's records have.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Record {
    key: Vec<u8>,
    expires_unix_ms: Option<u64>,
    value: Value,
}

#[derive(Deserialize)]
#[allow(dead_code)]
enum Value {
    Int(i64),
    Text(String),
    List(Vec<String>),
    Scores(BTreeMap<String, f64>),
    Pair((u8, char), [u16; 3]),
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else { return };
    let files = FaultyFiles::new();
    let bytes = if mode % 2 == 0 { bytes.to_vec() } else { mended(bytes) };
    files.put(Path::new(PATH), &bytes);
    let _ = peek(Path::new(PATH), &files);
    let progress = Progress::new(Box::new(|| 0));
    let _ = load(Path::new(PATH), &files, 1 + usize::from(mode % 3), &progress, |_, _: Record| Ok(()));
});

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize().to_le_bytes()
}

/// Cuts the input into blocks by its own bytes, puts right headers around them, and ends
/// the file with the trailer that fits.
fn mended(mut input: &[u8]) -> Vec<u8> {
    let id = [5; 16];
    let mut blocks = Vec::new();
    let mut headers = Vec::new();
    let (mut count, mut keys) = (0u64, 0u64);
    while let Some((shape, rest)) = input.split_first_chunk::<3>() {
        let wanted = usize::from(u16::from_le_bytes([shape[0], shape[1]]) % 512) + 1;
        let (body, rest) = rest.split_at(wanted.min(rest.len()));
        input = rest;
        if body.is_empty() {
            break;
        }
        let flags = shape[2] % 4;
        let starts = flags & 1;
        let records = if flags == 3 { u32::from(shape[2] >> 2).max(1) } else { u32::from(starts) };
        let mut payload = body.to_vec();
        if starts == 1 {
            payload.extend_from_slice(&0u32.to_le_bytes());
            payload.extend_from_slice(&records.to_le_bytes());
        }
        let fields = Fields { kind: 1, flags, stream: 0, sequence: count as u32, runs: u32::from(starts), records };
        let header = fields.encode(&id, &payload);
        headers.extend_from_slice(&header);
        blocks.extend_from_slice(&header);
        blocks.extend_from_slice(&payload);
        count += 1;
        keys += u64::from(records);
    }
    let mut file = b"GLASSWNG\x01\0\x80\0\0\0\0\0".to_vec();
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&id);
    file.extend_from_slice(&keys.to_le_bytes());
    file.resize(HEADER_LEN - 4, 0);
    let check = crc(&[&file]);
    file.extend_from_slice(&check);
    let headers_crc = crc(&[&file, &headers]);
    file.extend_from_slice(&blocks);
    let databases = u32::from(keys > 0);
    let length = file.len() + BLOCK_HEADER_LEN + 32 + databases as usize * 12;
    let mut payload = Vec::new();
    payload.extend_from_slice(&count.to_le_bytes());
    payload.extend_from_slice(&keys.to_le_bytes());
    payload.extend_from_slice(&(length as u64).to_le_bytes());
    payload.extend_from_slice(&headers_crc);
    payload.extend_from_slice(&databases.to_le_bytes());
    if databases > 0 {
        payload.extend_from_slice(&0u32.to_le_bytes());
        payload.extend_from_slice(&keys.to_le_bytes());
    }
    let trailer = Fields { kind: 2, flags: 0, stream: u16::MAX, sequence: count as u32, runs: 0, records: 0 };
    file.extend_from_slice(&trailer.encode(&id, &payload));
    file.extend_from_slice(&payload);
    file
}

struct Fields {
    kind: u8,
    flags: u8,
    stream: u16,
    sequence: u32,
    runs: u32,
    records: u32,
}

impl Fields {
    fn encode(&self, id: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut header = b"GWBK".to_vec();
        header.extend_from_slice(&[self.kind, self.flags]);
        header.extend_from_slice(&self.stream.to_le_bytes());
        header.extend_from_slice(&self.sequence.to_le_bytes());
        header.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        header.extend_from_slice(&self.runs.to_le_bytes());
        header.extend_from_slice(&self.records.to_le_bytes());
        header.extend_from_slice(&crc(&[payload]));
        let check = crc(&[id, &header]);
        header.extend_from_slice(&check);
        header
    }
}
