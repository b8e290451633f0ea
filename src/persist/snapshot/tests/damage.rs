//! Files that are not what was written: each is refused with the place, or loads the same.

use super::*;
use crate::persist::snapshot::format::*;

/// Loads altered bytes. `Ok` means that everything was loaded as it was saved.
fn load_bytes(bytes: &[u8], expected: &[(u32, Record)]) -> Result<(), LoadError> {
    let files = FaultyFiles::new();
    files.put(Path::new(PATH), bytes);
    let outcome = load_records(&files, 2);
    assert_eq!(files.contents(Path::new(PATH)).unwrap(), bytes, "loading touched the file");
    let (_, back) = outcome?;
    assert_eq!(back, expected, "a silent difference");
    Ok(())
}

#[test]
fn every_flipped_byte_is_found() {
    let expected = sorted(small());
    let (_, bytes) = disk_with(&small(), 2);
    for i in 0..bytes.len() {
        for bit in [0x01, 0x20, 0x80, 0xff] {
            let mut altered = bytes.clone();
            altered[i] ^= bit;
            let e = load_bytes(&altered, &expected).expect_err("every byte is under a checksum");
            let text = e.to_string();
            assert!(text.contains(PATH), "byte {i}: {text}");
            match e {
                LoadError::Damaged { offset, .. } => assert!(offset <= i as u64, "byte {i}: {text}"),
                LoadError::NotASnapshot { .. } => assert!(i < 8, "byte {i}: {text}"),
                other => panic!("byte {i}: {other}"),
            }
        }
    }
}

#[test]
fn every_shorter_and_longer_file_is_found() {
    let expected = sorted(small());
    let (_, mut bytes) = disk_with(&small(), 2);
    for length in 0..bytes.len() {
        let e = load_bytes(&bytes[..length], &expected).unwrap_err();
        match e {
            LoadError::NotASnapshot { .. } => assert_eq!(length, 0),
            LoadError::Damaged { offset, .. } => assert!(offset <= length as u64, "{e}"),
            other => panic!("length {length}: {other}"),
        }
    }
    bytes.push(0);
    assert!(matches!(load_bytes(&bytes, &expected), Err(LoadError::Damaged { .. })));
}

/// The byte ranges of the blocks of a file, the trailer last.
fn blocks(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = HEADER_LEN;
    while at < bytes.len() {
        let header = BlockHeader::decode(bytes[at..].first_chunk().unwrap(), &ID).unwrap();
        let end = at + BLOCK_HEADER_LEN + header.payload_len as usize;
        ranges.push(at..end);
        at = end;
    }
    ranges
}

#[test]
fn missing_doubled_swapped_and_foreign_blocks_are_found() {
    let records: Vec<_> = (0..4).map(|i| record(&format!("{i}"), Value::Bytes(vec![i; 600_000]))).collect();
    let (_, bytes) = disk_with(&records, 1);
    let ranges = blocks(&bytes);
    assert!(ranges.len() >= 5);
    let build = |order: &[usize]| {
        let mut file = bytes[..HEADER_LEN].to_vec();
        order.iter().for_each(|i| file.extend_from_slice(&bytes[ranges[*i].clone()]));
        file
    };
    let last = ranges.len() - 1;
    let all: Vec<usize> = (0..=last).collect();
    load_bytes(&build(&all), &records).unwrap();
    for order in
        [[0, 2, 3, last].as_slice(), &[0, 1, 1, 2, 3, last], &[0, 2, 1, 3, last], &[1, 2, 3, last], &[last]]
    {
        let e = load_bytes(&build(order), &records).unwrap_err();
        assert!(matches!(e, LoadError::Damaged { .. }), "{order:?}: {e}");
    }
    let files = FaultyFiles::new();
    let other = save_as([7; 16], plan(captures(&records, 1), &Arc::default()), &files, &still());
    other.unwrap();
    let mut spliced = files.contents(Path::new(PATH)).unwrap();
    spliced[ranges[1].clone()].copy_from_slice(&bytes[ranges[1].clone()]);
    let e = load_bytes(&spliced, &records).unwrap_err();
    assert!(matches!(e, LoadError::Damaged { block: Some(1), .. }), "{e}");
}

/// A file around one block of this payload, with every checksum right: what an attacker writes.
fn forge(payloads: &[(u8, &[u8])]) -> Vec<u8> {
    forge_with(1, payloads)
}

/// The same with a header that counts so many keys.
fn forge_with(keys: u64, payloads: &[(u8, &[u8])]) -> Vec<u8> {
    let header = FileHeader {
        version: FORMAT_VERSION,
        created_unix_ms: 0,
        id: ID,
        keys,
        server_version: String::new(),
    }
    .encode();
    let mut headers_crc = crc32fast::Hasher::new();
    headers_crc.update(&header);
    let mut file = header.to_vec();
    let mut block = |header: BlockHeader, payload: &[u8], crc: bool| {
        let len = payload.len() as u32;
        let bytes =
            BlockHeader { payload_len: len, payload_crc: crc32fast::hash(payload), ..header }.encode(&ID);
        if crc {
            headers_crc.update(&bytes);
        }
        file.extend_from_slice(&bytes);
        file.extend_from_slice(payload);
        (file.len(), headers_crc.clone().finalize())
    };
    let plain = BlockHeader {
        kind: KIND_RECORDS,
        flags: 0,
        stream: 0,
        sequence: 0,
        payload_len: 0,
        runs: 0,
        records: 0,
        payload_crc: 0,
    };
    let mut end = (0, 0);
    for (i, (flags, payload)) in payloads.iter().enumerate() {
        let starts = u32::from(flags & STARTS_RECORD != 0);
        let mut payload = payload.to_vec();
        (0..starts).for_each(|_| payload.extend_from_slice(&Run { db: 0, count: 1 }.encode()));
        let header =
            BlockHeader { flags: *flags, sequence: i as u32, runs: starts, records: starts, ..plain };
        end = block(header, &payload, true);
    }
    let databases = BTreeMap::from([(0, 1)]);
    let length = end.0 + BLOCK_HEADER_LEN + Trailer::payload_len(1);
    let blocks = payloads.len() as u64;
    let trailer = Trailer { blocks, keys: 1, file_len: length as u64, headers_crc: end.1, databases };
    block(BlockHeader { kind: KIND_TRAILER, stream: TRAILER_STREAM, ..plain }, &trailer.encode(), false);
    file
}

fn encoded(value: &Value) -> Vec<u8> {
    bincode::serde::encode_to_vec(record("k", value.clone()).1, bincode::config::standard()).unwrap()
}

#[test]
fn forged_files_load_when_they_are_right() {
    let value = Value::Bytes(b"abcdefgh".to_vec());
    let bytes = encoded(&value);
    load_bytes(&forge(&[(WHOLE, &bytes)]), &[record("k", value.clone())]).unwrap();
    for cut in 1..bytes.len() {
        let (a, b) = bytes.split_at(cut);
        load_bytes(&forge(&[(STARTS_RECORD, a), (ENDS_RECORD, b)]), &[record("k", value.clone())]).unwrap();
    }
}

#[test]
fn a_header_with_another_number_of_keys_is_named() {
    let bytes = encoded(&Value::Int(7));
    for keys in [0, 2] {
        let e = load_bytes(&forge_with(keys, &[(WHOLE, &bytes)]), &[]).unwrap_err().to_string();
        assert!(e.contains(&format!("the header counts {keys} keys, the trailer 1")), "{e}");
    }
}

#[test]
fn claimed_lengths_are_not_believed() {
    // A byte string, a text and a list that claim 2^40 elements, in a block and in a chain.
    let huge = [253u8, 0, 0, 0, 0, 0, 1, 0, 0];
    for variant in [1u8, 2, 3, 4] {
        let mut bytes = vec![1, b'k', 0, variant];
        bytes.extend_from_slice(&huge);
        bytes.extend_from_slice(b"few");
        for file in
            [forge(&[(WHOLE, &bytes)]), forge(&[(STARTS_RECORD, &bytes), (0, b"m"), (ENDS_RECORD, b"n")])]
        {
            let e = load_bytes(&file, &[]).unwrap_err();
            assert!(matches!(e, LoadError::Damaged { block: Some(0), .. }), "{e}");
        }
    }
}

#[test]
fn records_must_fill_their_blocks_exactly() {
    let mut bytes = encoded(&Value::Int(7));
    bytes.push(0);
    let (a, b) = bytes.split_at(3);
    for file in [forge(&[(WHOLE, &bytes)]), forge(&[(STARTS_RECORD, a), (ENDS_RECORD, b)])] {
        assert!(matches!(load_bytes(&file, &[]), Err(LoadError::Damaged { block: Some(0), .. })));
    }
    // A chain without an end, and an end without a beginning.
    for flags in [STARTS_RECORD, ENDS_RECORD, 0] {
        assert!(matches!(load_bytes(&forge(&[(flags, &bytes)]), &[]), Err(LoadError::Damaged { .. })));
    }
}

#[test]
fn redis_later_versions_and_unfinished_files_are_told() {
    let e = load_bytes(b"REDIS0010\xfa\tredis-ver", &[]).unwrap_err();
    assert!(matches!(e, LoadError::RedisRdb { .. }) && e.to_string().contains("RDB"), "{e}");
    let (_, mut bytes) = disk_with(&small(), 1);
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
    bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    let e = load_bytes(&bytes, &[]).unwrap_err();
    assert!(matches!(e, LoadError::UnknownVersion { version: 9, .. }), "{e}");
    assert!(matches!(load_bytes(b"", &[]), Err(LoadError::NotASnapshot { .. })));
    let e = load_records(&FaultyFiles::new(), 1).unwrap_err();
    assert!(matches!(e, LoadError::Missing { .. }), "{e}");
}

#[test]
fn what_the_store_refuses_has_a_place() {
    let (files, _) = disk_with(&small(), 1);
    let refusal =
        load(Path::new(PATH), &files, 2, &still(), |_, record: Record| match record.key.as_slice() {
            b"n" => Err(LoadError::refused("this key twice")),
            _ => Ok(()),
        });
    let text = refusal.unwrap_err().to_string();
    assert!(text.contains("this key twice") && text.contains("block 0 at byte 128"), "{text}");
}

#[test]
fn loading_can_be_cancelled() {
    let (files, _) = disk_with(&small(), 2);
    let progress = still();
    progress.cancel();
    let cancelled = load(Path::new(PATH), &files, 1, &progress, |_, _: Record| Ok(()));
    assert!(matches!(cancelled, Err(LoadError::Cancelled)));
}

#[test]
fn a_panic_of_the_store_is_an_error_on_every_thread() {
    let (files, _) = disk_with(&small(), 3);
    for threads in [1, 3] {
        let panicked =
            load(Path::new(PATH), &files, threads, &still(), |_, _: Record| panic!("a planted panic"));
        let e = panicked.unwrap_err();
        assert!(matches!(&e, LoadError::Panicked(text) if text == "a planted panic"), "{e}");
    }
}
