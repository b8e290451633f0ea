//! What goes in comes out, whatever the records, the savers and the loaders.

use proptest::prelude::*;

use super::*;
use crate::persist::files::RealFiles;
use crate::persist::replace::remove_abandoned;
use crate::persist::snapshot::format::{BLOCK_HEADER_LEN, HEADER_LEN};
use crate::persist::snapshot::index::read_index;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<i128>().prop_map(|n| Value::Wrapped(Wrapped(n))),
        ".{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        Just(Value::Nothing),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(".{0,8}", -1e9..1e9, 0..5).prop_map(Value::Scores),
            (inner, any::<(u8, char)>()).prop_map(|(left, right)| Value::Pair { left: left.into(), right }),
        ]
    })
}

fn records() -> impl Strategy<Value = Vec<(u32, Record)>> {
    let key = prop::collection::vec(any::<u8>(), 0..30);
    let record = (0u32..4, key, any::<Option<u64>>(), value())
        .prop_map(|(db, key, expires_unix_ms, value)| (db, Record { key, expires_unix_ms, value }));
    prop::collection::vec(record, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_records(records in records(), savers in 1usize..5, loaders in 1usize..5) {
        let (files, _) = disk_with(&records, savers);
        let (loaded, back) = load_records(&files, loaders).unwrap();
        prop_assert_eq!(loaded.keys, records.len() as u64);
        prop_assert_eq!(back, sorted(records));
    }

    /// Large records of random sizes around the block's limits, alone and between small ones.
    #[test]
    fn any_sizes(sizes in prop::collection::vec(prop_oneof![0usize..2_000, 500_000usize..3_200_000], 1..6)) {
        let records: Vec<_> = sizes.iter().enumerate().map(|(i, n)| {
            let bytes = (0..*n).map(|b| (b * 31 + i) as u8).collect();
            record(&format!("k{i}"), Value::Bytes(bytes))
        }).collect();
        let (files, _) = disk_with(&records, 2);
        prop_assert!(load_records(&files, 2).unwrap().1 == sorted(records));
    }
}

/// Records of all kinds over many blocks: among them a chain of many small elements.
fn large() -> Vec<(u32, Record)> {
    let mut all: Vec<_> =
        (0..30_000).map(|i| record(&format!("key:{i}"), Value::Text("x".repeat(i % 200)))).collect();
    all.iter_mut().enumerate().for_each(|(i, (db, _))| *db = (i / 1000) as u32 % 3);
    all.push(record("blob", Value::Bytes((0..3_500_000u32).map(|n| (n >> 3) as u8).collect())));
    all.push(record(
        "list",
        Value::List((0..400_000).map(|n| Value::Text(format!("element {n}"))).collect()),
    ));
    all.push(record(
        "scores",
        Value::Scores((0..150_000).map(|n| (format!("m{n}"), f64::from(n))).collect()),
    ));
    all.push(record("after", Value::Pair { left: Box::new(Value::Int(1)), right: (2, 'ü') }));
    all
}

#[test]
fn every_number_of_threads_loads_the_same() {
    let records = large();
    let expected = sorted(records.clone());
    for savers in [1, 3] {
        let (files, _) = disk_with(&records, savers);
        for loaders in 1..=8 {
            let (loaded, back) = load_records(&files, loaders).unwrap();
            assert!(back == expected, "{savers} savers, {loaders} loaders");
            assert_eq!((loaded.keys, loaded.id), (records.len() as u64, ID));
        }
    }
}

#[test]
fn no_block_is_too_large_and_small_records_share_blocks() {
    let (files, bytes) = disk_with(&large(), 3);
    let file = files.open(Path::new(PATH)).unwrap();
    let index = read_index(file.as_ref(), Path::new(PATH), bytes.len() as u64).unwrap();
    let places: Vec<_> = index.units.iter().flatten().collect();
    assert!(places.iter().all(|p| p.header.payload_len as usize <= MAX_PAYLOAD_BYTES));
    assert!(index.units.iter().filter(|unit| unit.len() >= 3).count() >= 3, "three records are chains");
    assert!(places.len() < 40, "{} blocks", places.len());
    assert_eq!(index.databases.len(), 3);
}

#[test]
fn an_empty_keyspace() {
    let (files, bytes) = disk_with(&[], 2);
    assert_eq!(bytes.len(), HEADER_LEN + BLOCK_HEADER_LEN + 32);
    assert_eq!(load_records(&files, 4).unwrap().0.keys, 0);
    let no_captures = plan(Vec::new(), &Arc::default());
    assert_eq!(save(no_captures, &FaultyFiles::new(), &still()).unwrap().keys, 0);
}

#[test]
fn one_byte_elements_in_the_millions_are_not_over_the_limit() {
    // bincode counts each of these integers at its full width of 8 bytes.
    let records = [record("bits", Value::List((0..500_000).map(|n| Value::Int(n % 2)).collect()))];
    let (files, _) = disk_with(&records, 1);
    assert!(load_records(&files, 1).unwrap().1 == records);
}

#[test]
fn peek_tells_what_a_file_is() {
    let (files, _) = disk_with(&small(), 1);
    let path = Path::new(PATH);
    let Kind::Native(header) = peek(path, &files).unwrap() else { panic!("not native") };
    assert_eq!((header.keys, header.id, header.server_version.as_str()), (3, ID, "0.1.0"));
    for (bytes, kind) in [(&b"REDIS0010"[..], Kind::Redis), (b"", Kind::Unknown), (b"PNG", Kind::Unknown)] {
        files.put(path, bytes);
        assert_eq!(peek(path, &files).unwrap(), kind);
    }
    assert_eq!(peek(Path::new("/d/none"), &files).unwrap(), Kind::Missing);
}

#[test]
fn progress_counts_keys_and_bytes() {
    let files = FaultyFiles::new();
    let progress = still();
    let saved = save(plan(captures(&small(), 2), &Arc::default()), &files, &progress).unwrap();
    let report = progress.report();
    assert_eq!((report.share, report.keys, report.bytes), (1.0, 3, saved.bytes));
    let progress = still();
    load(Path::new(PATH), &files, 2, &progress, |_, _: Record| Ok(())).unwrap();
    let report = progress.report();
    assert_eq!((report.share, report.keys, report.expected_keys), (1.0, 3, 3));
}

#[test]
fn on_a_real_file_system_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("glasswing.snapshot");
    let abandoned = folder.path().join("glasswing.snapshot.1-00c0ffee.tmp");
    std::fs::write(&abandoned, "half a save").unwrap();
    assert_eq!(remove_abandoned(&path, &RealFiles).unwrap(), [abandoned]);
    let guard = Arc::default();
    for records in [small(), large(), small()] {
        let plan = SavePlan { path: path.clone(), ..plan(captures(&records, 2), &guard) };
        let saved = save(plan, &RealFiles, &still()).unwrap();
        assert_eq!(saved.bytes, std::fs::metadata(&path).unwrap().len());
        let count = std::sync::atomic::AtomicUsize::new(0);
        let loaded = load(&path, &RealFiles, 2, &still(), |_, _: Record| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        });
        assert_eq!(loaded.unwrap().identity, saved.identity, "the rename changes nothing");
        assert_eq!(count.into_inner(), records.len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    std::fs::write(&path, "somebody's notes").unwrap();
    let plan = SavePlan { path: path.clone(), ..plan(captures(&small(), 1), &guard) };
    assert!(matches!(save(plan, &RealFiles, &still()), Err(SaveError::NotOurs { changed: true, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's notes");
}
