//! Files that come back, files of others, and files that nobody vouches for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::data::{Hash, Limits, List, NodeLimit, Set, SetLimits, SortedSet, Stream, ValueLimits};
use crate::persist::files::Files as _;
use crate::persist::files::faulty::FaultyFiles;
use crate::persist::ownership::Guard;
use crate::persist::progress::Progress;
use crate::persist::rdb::dump;
use crate::persist::snapshot::SaveError;
use crate::store::{LoadedValue, Moment, Object, Store, StoreOptions};

const NOW: u64 = 1_700_000_000_000;

fn progress() -> Progress {
    Progress::new(Box::new(|| 0))
}

fn store() -> Arc<Store> {
    Arc::new(Store::new(&StoreOptions { databases: 16, shards: 16 }))
}

fn options(threads: usize) -> Options {
    Options { threads, limits: ValueLimits::default(), checksum: true }
}

/// A save of the whole store in memory.
fn written(store: &Arc<Store>, walkers: usize, how: &WriteOptions) -> Vec<u8> {
    struct Memory(Vec<u8>);
    impl Sink for Memory {
        fn put(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let capture = store.begin_capture();
    let mut sink = Memory(Vec::new());
    let walkers = (0..walkers).map(|_| capture.walker()).collect();
    let result = write(walkers, how, &mut sink, &progress());
    capture.finish(result.is_ok());
    assert_eq!(result.unwrap().bytes, sink.0.len() as u64);
    sink.0
}

/// All keys by database and name: their values as DUMP has them, and their expiries.
type Keys = BTreeMap<(u64, Vec<u8>), (Vec<u8>, Option<u64>)>;

fn keys_of(bytes: &[u8], threads: usize) -> Result<(Contents, Keys), ReadError> {
    let keys = Mutex::new(Keys::new());
    let insert = |item: Item| {
        let dumped = dump(&item.value.into_entry(), false);
        let known = keys.lock().unwrap().insert((item.database, item.key), (dumped, item.expire_at_ms));
        if known.is_some() { Err(ReadError::refused("it comes twice")) } else { Ok(()) }
    };
    let mut source = bytes;
    let contents = read(&mut source, &options(threads), &progress(), &mut |_| {}, &insert)?;
    Ok((contents, keys.into_inner().unwrap()))
}

fn put(store: &Store, number: usize, key: &[u8], value: LoadedValue, expire_at_ms: Option<u64>) {
    assert!(store.load_key(Moment::at(NOW), number, key, value, expire_at_ms, None));
}

/// One key of each type and size.
fn mixed() -> Arc<Store> {
    mixed_of(&[1, 600])
}

/// One key of each type, collections of each of these sizes.
fn mixed_of(sizes: &[u32]) -> Arc<Store> {
    let (store, limits) = (store(), ValueLimits::default());
    put(&store, 0, b"int", LoadedValue::Int(-7), None);
    put(&store, 0, b"text", LoadedValue::Bytes(b"hello".repeat(30)), Some(NOW + 5_000));
    put(&store, 3, &b"a long key ".repeat(9), LoadedValue::Bytes(Vec::new()), None);
    for &size in sizes {
        let (mut list, mut set, mut ints) = (List::new(), Set::new(), Set::new());
        let (mut hash, mut sorted) = (Hash::new(), SortedSet::new());
        for n in 0..size {
            let text = format!("element {n}");
            list.push_back(text.as_bytes(), limits.list);
            set.insert(text.as_bytes(), &limits.set);
            ints.insert(n.to_string().as_bytes(), &limits.set);
            hash.set(text.as_bytes(), b"value", &limits.hash);
            sorted.insert(text.as_bytes(), f64::from(n) / 8.0, &limits.sorted_set);
        }
        for (name, object) in [
            ("list", Object::List(list)),
            ("set", Object::Set(set)),
            ("ints", Object::Set(ints)),
            ("hash", Object::Hash(hash)),
            ("sorted", Object::SortedSet(sorted)),
        ] {
            put(&store, 0, format!("{name} {size}").as_bytes(), LoadedValue::Object(object), None);
        }
    }
    let mut stream = Stream::new();
    let id = crate::data::stream::Id { ms: 5, seq: 1 };
    stream.log_mut().append(id, &[(b"field", b"value")], limits.stream);
    stream.create_group(b"group", id, Some(1));
    put(&store, 1, b"stream", LoadedValue::Object(Object::Stream(stream)), None);
    store
}

fn plain() -> WriteOptions {
    WriteOptions { checksum: true, redis_version: "7.0.15".to_owned(), ..WriteOptions::default() }
}

#[test]
fn every_type_comes_back_however_many_threads_there_are() {
    let store = mixed();
    let mut seen = Vec::new();
    for walkers in [1, 3] {
        for compress in [false, true] {
            let libraries = vec![b"#!lua name=a\nx".to_vec(), b"#!lua name=b\ny".to_vec()];
            let bytes = written(&store, walkers, &WriteOptions { compress, libraries, ..plain() });
            for threads in [1, 3] {
                let (contents, keys) = keys_of(&bytes, threads).unwrap();
                assert_eq!((contents.version, contents.keys, contents.empty), (10, 14, 0));
                assert_eq!((contents.bytes, contents.has_checksum), (bytes.len() as u64, true));
                assert_eq!(contents.libraries.len(), 2);
                assert_eq!(contents.aux[0], (b"redis-ver".to_vec(), b"7.0.15".to_vec()));
                seen.push(keys);
            }
        }
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    let (value, expiry) = &seen[0][&(0, b"text".to_vec())];
    assert_eq!((value.len() > 150, *expiry), (true, Some(NOW + 5_000)));
    assert!(seen[0].contains_key(&(1, b"stream".to_vec())));
}

#[test]
fn something_else_may_follow() {
    let mut bytes = written(&mixed(), 2, &plain());
    let length = bytes.len() as u64;
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    assert_eq!(keys_of(&bytes, 2).unwrap().0.bytes, length);
}

#[test]
fn a_file_without_checksum_has_zeros_there() {
    let bytes = written(&mixed(), 1, &WriteOptions { checksum: false, ..plain() });
    assert!(bytes.ends_with(&[255, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(!keys_of(&bytes, 1).unwrap().0.has_checksum);
}

#[test]
fn use_is_written_when_it_is_asked_for() {
    let store = store();
    put(&store, 0, b"k", LoadedValue::Int(1), None);
    for (usage, idle_s, frequency) in [
        (Usage::None, None, None),
        (Usage::Idle(NOW + 9_000), Some(9), None),
        // The LRU clock's low byte stands in for a counter.
        (Usage::Frequency { now_ms: 0, decay_minutes: 0 }, None, Some((NOW / 1_000) as u8)),
    ] {
        let bytes = written(&store, 1, &WriteOptions { usage, ..plain() });
        let found = Mutex::new(Vec::new());
        let insert = |item: Item| {
            found.lock().unwrap().push((item.idle_s, item.frequency));
            Ok(())
        };
        read(&mut bytes.as_slice(), &options(1), &progress(), &mut |_| {}, &insert).unwrap();
        assert_eq!(*found.lock().unwrap(), [(idle_s, frequency)], "{usage:?}");
    }
}

#[test]
fn a_flipped_byte_is_found() {
    let whole = written(&mixed_of(&[1, 3]), 1, &plain());
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = keys_of(&damaged, 1).expect_err("a flipped bit is found");
        assert!(error.offset <= whole.len() as u64, "byte {at}: {error}");
    }
}

#[test]
fn a_file_that_ends_too_early_is_refused_with_the_place() {
    let whole = written(&mixed_of(&[1, 3]), 1, &plain());
    for length in 0..whole.len() {
        let error = keys_of(&whole[..length], 1).expect_err("a part is missing");
        assert!(matches!(error.what, What::Short), "{length}: {error}");
        assert!(error.offset <= length as u64, "{length}: {error}");
    }
}

/// A file of these parts, without a checksum.
fn file(version: u16, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("REDIS{version:04}").into_bytes();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.push(255);
    if version >= 5 {
        bytes.extend_from_slice(&[0; 8]);
    }
    bytes
}

#[test]
fn lengths_in_the_file_are_not_believed() {
    const HUGE: [u8; 9] = [0x81, 0x7F, 255, 255, 255, 255, 255, 255, 255];
    for kind in [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21] {
        let error = keys_of(&file(10, &[&[kind, 1, b'k'], &HUGE]), 1).unwrap_err();
        assert!(matches!(error.what, What::Short | What::Malformed(_)), "{kind}: {error}");
    }
    // A compressed string of eight bytes that says it is 2^63 long.
    let error = keys_of(&file(10, &[&[0, 1, b'k', 0xC3, 8], &HUGE, &[0; 8]]), 1).unwrap_err();
    assert!(matches!(error.what, What::Value { .. }), "{error}");
}

#[test]
fn old_versions_have_their_own_ways() {
    // Version 1: no checksum; an expiry in seconds.
    let bytes = file(1, &[&[254, 2], &[253, 1, 0, 0, 0], &[0, 1, b'k', 1, b'v']]);
    let (contents, keys) = keys_of(&bytes, 1).unwrap();
    assert_eq!((contents.version, contents.keys, contents.bytes), (1, 1, bytes.len() as u64));
    assert_eq!(keys[&(2, b"k".to_vec())].1, Some(1_000));
    // -1 is no expiry, and what is before 1970 has passed.
    for (expiry, read) in [(-1, None), (-2, Some(0))] {
        let expiry: i64 = expiry;
        let bytes = file(9, &[&[252], &expiry.to_le_bytes(), &[0, 1, b'k', 1, b'v']]);
        assert_eq!(keys_of(&bytes, 1).unwrap().1[&(0, b"k".to_vec())].1, read);
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let refused = |bytes: &[u8]| keys_of(bytes, 1).unwrap_err().to_string();
    assert!(refused(b"REDIS0013").contains("Can't handle RDB format version 13"));
    assert!(refused(b"REDIS0000").contains("version 0"));
    assert!(refused(b"GLASSWNG0").contains("Wrong signature"));
    let unknown = refused(&file(12, &[&[24, 3, b'k', b'e', b'y']]));
    assert!(unknown.contains("'key'") && unknown.contains("fields expire"), "{unknown}");
    assert!(refused(&file(10, &[&[246, 0]])).contains("release candidate"));
    // The number of the type ReJSON-RL, version 3.
    let letters = [17u64, 30, 9, 18, 14, 13, 62, 17, 11];
    let id = letters.iter().fold(0, |id, letter| id << 6 | letter) << 10 | 3;
    let mut number = vec![0x81];
    number.extend_from_slice(&id.to_be_bytes());
    let module = refused(&file(10, &[&[7, 3, b'd', b'o', b'c'], &number]));
    assert!(module.contains("'doc'") && module.contains("'ReJSON-RL'"), "{module}");
    assert!(refused(&file(10, &[&[247], &number])).contains("'ReJSON-RL'"));
}

#[test]
fn collections_without_elements_are_left_out() {
    let bytes = file(10, &[&[2, 1, b'k', 0], &[0, 1, b's', 1, b'v']]);
    let (contents, keys) = keys_of(&bytes, 1).unwrap();
    assert_eq!((contents.keys, contents.empty, keys.len()), (1, 1, 1));
    assert_eq!(contents.empty_keys, [b"k".to_vec()]);
}

#[test]
fn sets_and_streams_of_later_versions_are_read() {
    let mut packed = crate::persist::rdb::listpack::Builder::new();
    [&b"a"[..], b"7"].iter().for_each(|member| packed.push(member));
    let packed = packed.finish();
    let bytes = file(11, &[&[20, 1, b'k', packed.len() as u8], &packed]);
    assert_eq!(keys_of(&bytes, 1).unwrap().0.keys, 1);
    // A stream without entries, a group, and a consumer with two times.
    let stream: &[u8] = &[21, 1, b'x', 0, 0, 5, 1, 0, 0, 0, 0, 2, 1, 1, b'g', 5, 1, 0, 0, 1, 1, b'c'];
    let bytes = file(11, &[stream, &NOW.to_le_bytes(), &NOW.to_le_bytes(), &[0]]);
    assert_eq!(keys_of(&bytes, 1).unwrap().0.keys, 1);
}

#[test]
fn a_save_replaces_the_file_and_a_cancelled_one_does_not() {
    let (files, store) = (FaultyFiles::new(), mixed());
    let (path, guard) = (Path::new("/d/dump.rdb"), Arc::new(Guard::new()));
    let save = |cancel: bool| {
        let capture = store.begin_capture();
        let progress = progress();
        if cancel {
            progress.cancel();
        }
        let plan = Plan {
            path: path.to_path_buf(),
            walkers: vec![capture.walker()],
            options: plain(),
            expected_keys: capture.expected_keys(),
            guard: Arc::clone(&guard),
        };
        let result = save(plan, &files, &progress);
        capture.finish(result.is_ok());
        result.map(|saved| (saved.keys, progress.report().share))
    };
    assert_eq!(save(false).unwrap(), (14, 1.0));
    let first = files.contents(path).unwrap();
    assert!(matches!(save(true), Err(SaveError::Cancelled)));
    assert_eq!(files.contents(path).unwrap(), first);
    assert_eq!(files.list(Path::new("/d")).unwrap().len(), 1, "no temporary file stays");
    assert_eq!(save(false).unwrap().0, 14, "after a cancelled save all is still there");
}

/// Any value, across the sizes at which encodings change.
fn value() -> impl Strategy<Value = (u8, Vec<Vec<u8>>)> {
    let element = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(prop::sample::select(&b"ab"[..]), 0..300),
    ];
    (0u8..5, prop::collection::vec(element, 1..300))
}

fn made((kind, elements): &(u8, Vec<Vec<u8>>)) -> LoadedValue {
    let limits = ValueLimits {
        list: NodeLimit::from_listpack_size(-1),
        set: SetLimits { max_intset_entries: 100 },
        hash: Limits { max_entries: 64, max_value: 64 },
        sorted_set: Limits { max_entries: 64, max_value: 64 },
        ..ValueLimits::default()
    };
    let (mut list, mut set, mut hash, mut sorted) = (List::new(), Set::new(), Hash::new(), SortedSet::new());
    for (at, element) in elements.iter().enumerate() {
        list.push_back(element, limits.list);
        set.insert(element, &limits.set);
        hash.set(element, &elements[elements.len() - 1 - at], &limits.hash);
        sorted.insert(element, at as f64 * 1.1, &limits.sorted_set);
    }
    match kind {
        0 => LoadedValue::Bytes(elements.concat()),
        1 => LoadedValue::Object(Object::List(list)),
        2 => LoadedValue::Object(Object::Set(set)),
        3 => LoadedValue::Object(Object::Hash(hash)),
        _ => LoadedValue::Object(Object::SortedSet(sorted)),
    }
}

/// A value's elements, in an order of their own where it has none.
fn elements(object: &Object) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = match object {
        Object::List(list) => return list.iter().map(<[u8]>::to_vec).collect(),
        Object::Set(set) => set.iter().map(|member| member.with_bytes(<[u8]>::to_vec)).collect(),
        Object::Hash(hash) => hash.iter().map(|(field, value)| [field, b"=", value].concat()).collect(),
        Object::SortedSet(sorted) => {
            sorted.iter().map(|(member, score)| [member, &score.to_le_bytes()].concat()).collect()
        }
        Object::Stream(_) => Vec::new(),
    };
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_comes_back(values in prop::collection::vec(value(), 1..6), compress: bool) {
        let store = store();
        for (at, value) in values.iter().enumerate() {
            put(&store, at % 16, at.to_string().as_bytes(), made(value), None);
        }
        let bytes = written(&store, 2, &WriteOptions { compress, ..plain() });
        let found = Mutex::new(BTreeMap::new());
        let insert = |item: Item| {
            found.lock().unwrap().insert(item.key, item.value);
            Ok(())
        };
        read(&mut bytes.as_slice(), &options(2), &progress(), &mut |_| {}, &insert).unwrap();
        let found = found.into_inner().unwrap();
        prop_assert_eq!(found.len(), values.len());
        for (at, value) in values.iter().enumerate() {
            match (&found[at.to_string().as_bytes()], made(value)) {
                (LoadedValue::Object(read), LoadedValue::Object(put)) => {
                    prop_assert_eq!(elements(read), elements(&put));
                }
                (LoadedValue::Bytes(read), LoadedValue::Bytes(put)) => prop_assert_eq!(read, &put),
                (LoadedValue::Int(read), LoadedValue::Bytes(put)) => {
                    prop_assert_eq!(read.to_string().into_bytes(), put);
                }
                (read, _) => prop_assert!(false, "another kind of value: {:?}", read),
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = keys_of(&file(10, &[&bytes]), 1);
    }
}
