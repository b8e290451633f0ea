//! Round trips, Redis's own bytes, and bytes that nobody vouches for.

use proptest::prelude::*;

use super::primitive::{Reader, put_len, put_string};
use super::{Malformed, VERSION, decode, dump, intset, listpack, lzf, restore, sealed};
use crate::data::{Hash, Limits, List, NodeLimit, Set, SetLimits, SortedSet, ValueLimits};
use crate::store::{DumpError, Entry, LoadedValue, Meta, Object, Str};

fn entry(object: Object) -> Entry {
    Entry::object(b"k", object, Meta::default())
}

fn back(payload: &[u8]) -> LoadedValue {
    restore(payload, &ValueLimits::default(), true).expect("what was dumped is read")
}

fn object(payload: &[u8]) -> Object {
    match back(payload) {
        LoadedValue::Object(object) => object,
        other => panic!("no collection: {other:?}"),
    }
}

/// Bytes in hexadecimal, spaces apart.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

/// A value's bytes without a footer.
fn value(bytes: &[u8]) -> Result<LoadedValue, Malformed> {
    decode(&mut Reader::new(bytes), &ValueLimits::default())
}

fn list_of(bytes: &[u8]) -> Vec<String> {
    match value(bytes) {
        Ok(LoadedValue::Object(Object::List(list))) => {
            list.iter().map(|element| element.escape_ascii().to_string()).collect()
        }
        other => panic!("no list: {other:?}"),
    }
}

#[test]
fn the_footer_is_redis_s() {
    // DUMP of the value 10, as the documentation of the command has it for version 10.
    let ten = Entry::string(b"k", Str::Int(10), Meta::default());
    let payload = dump(&ten, true);
    assert_eq!(payload[..4], [0, 0xC0, 10, VERSION as u8]);
    assert!(matches!(back(&payload), LoadedValue::Int(10)));
    for at in 0..payload.len() {
        let mut damaged = payload.clone();
        damaged[at] ^= 1;
        assert!(
            matches!(restore(&damaged, &ValueLimits::default(), true), Err(DumpError::Footer)),
            "byte {at}"
        );
    }
    let mut damaged = payload.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    assert!(restore(&damaged, &ValueLimits::default(), false).is_ok(), "the checksum is not asked for");
    let newer = {
        let mut bytes = sealed(vec![0, 0xC0, 10]);
        bytes[3] = VERSION as u8 + 1;
        bytes
    };
    for checks in [true, false] {
        assert!(matches!(restore(&newer, &ValueLimits::default(), checks), Err(DumpError::Footer)));
    }
    assert!(matches!(restore(b"short", &ValueLimits::default(), true), Err(DumpError::Footer)));
    assert!(matches!(restore(&sealed(vec![0, 5]), &ValueLimits::default(), true), Err(DumpError::Value)));
}

#[test]
fn every_type_comes_back() {
    let mut list = List::new();
    let texts: Vec<Vec<u8>> =
        (0..5000).map(|n: i64| (n * n * 977 - 4_000_000).to_string().into_bytes()).collect();
    for text in &texts {
        list.push_back(text, NodeLimit::from_listpack_size(-2));
    }
    list.push_back(&[b'x'; 70_000], NodeLimit::from_listpack_size(-2));
    let mut numbers = Set::new();
    let mut words = Set::new();
    let (mut small, mut hash) = (Hash::new(), Hash::new());
    let (mut few, mut scores) = (SortedSet::new(), SortedSet::new());
    let limits = Limits { max_entries: 16, max_value: 64 };
    for (n, text) in texts.iter().enumerate() {
        if n < 300 {
            numbers.insert(text, &SetLimits::default());
        }
        words.insert(&[b"w", &text[..]].concat(), &SetLimits::default());
        hash.set(text, &[b'v'; 80], &limits);
        scores.insert(text, n as f64 / 7.0, &limits);
        if n < 16 {
            small.set(text, b"12345678901234567890", &limits);
            few.insert(text, [0.1, -1e300, 1e-300, f64::INFINITY, f64::NEG_INFINITY, 3.0][n % 6], &limits);
        }
    }
    for compress in [false, true] {
        let dumped = |object: Object| dump(&entry(object), compress);
        assert!(matches!(object(&dumped(Object::List(list.clone()))), Object::List(other) if other == list));
        for set in [&numbers, &words] {
            let read = object(&dumped(Object::Set(set.clone())));
            assert!(
                matches!(read, Object::Set(other) if other == *set && other.encoding() == set.encoding())
            );
        }
        for hash in [&small, &hash] {
            assert!(
                matches!(object(&dumped(Object::Hash(hash.clone()))), Object::Hash(other) if other == *hash)
            );
        }
        for sorted in [&few, &scores] {
            let read = object(&dumped(Object::SortedSet(sorted.clone())));
            assert!(matches!(read, Object::SortedSet(other) if other == *sorted));
        }
    }
}

/// An entry's fields and values.
type Texts = Vec<(Vec<u8>, Vec<u8>)>;

#[test]
fn streams_come_back_with_their_groups() {
    use crate::data::Stream;
    use crate::data::stream::{Id, NodeLimits, Pending};
    let mut stream = Stream::new();
    for n in 1..=300 {
        let text = n.to_string();
        let field: &[u8] = if n % 10 == 0 { b"other" } else { b"f" };
        let id = Id { ms: n / 4 + 1, seq: n };
        assert!(stream.log_mut().append(
            id,
            &[(field, text.as_bytes()), (b"g", b"x")],
            NodeLimits::default()
        ));
    }
    stream.log_mut().delete(&[Id { ms: 1, seq: 2 }]);
    stream.create_group(b"known", Id { ms: 3, seq: 9 }, Some(7));
    stream.create_group(b"not known", Id::MIN, None);
    let (_, group) = stream.group_mut(b"known").expect("the group");
    let consumer = group.create_consumer(b"c", 1_234).expect("a new one");
    group.assign(Id { ms: 1, seq: 1 }, Pending { consumer, delivered_ms: 55, deliveries: 2 });
    for compress in [false, true] {
        let payload = dump(&entry(Object::Stream(stream.clone())), compress);
        let Object::Stream(read) = object(&payload) else { panic!("no stream") };
        let entries = |stream: &Stream| -> Vec<(Id, Texts)> {
            let fields = |(field, value): (&[u8], &[u8])| (field.to_vec(), value.to_vec());
            stream
                .log()
                .iter()
                .map(|entry| (entry.id, entry.fields().into_iter().map(fields).collect()))
                .collect()
        };
        assert_eq!(entries(&read), entries(&stream));
        let (log, other) = (read.log(), stream.log());
        assert_eq!(
            (log.last_id(), log.max_deleted(), log.added()),
            (other.last_id(), other.max_deleted(), other.added())
        );
        let groups = |stream: &Stream| -> Vec<String> {
            let pending = |group: &crate::data::stream::Group| {
                format!("{:?}", group.pending_from(Id::MIN).collect::<Vec<_>>())
            };
            stream
                .groups()
                .map(|g| format!("{:?} {:?} {:?} {}", g.name(), g.last_id, g.entries_read, pending(g)))
                .collect()
        };
        assert_eq!(groups(&read), groups(&stream));
        let value = payload[..payload.len() - 10].to_vec();
        for at in 1..value.len() {
            assert!(
                restore(&sealed(value[..at].to_vec()), &ValueLimits::default(), true).is_err(),
                "cut at {at}"
            );
        }
    }
}

#[test]
fn older_encodings_are_read() {
    // A ziplist of "a", 5, 300, 100000 and -3.
    let ziplist = hex("1C000000 18000000 0500 00 01 61 03 F6 02 C0 2C01 04 F0 A08601 05 FE FD FF");
    let mut bytes = vec![10];
    put_string(&mut bytes, &ziplist, false);
    assert_eq!(list_of(&bytes), ["a", "5", "300", "100000", "-3"]);
    // The same as the only node of a quicklist.
    let mut bytes = vec![14, 1];
    put_string(&mut bytes, &ziplist, false);
    assert_eq!(list_of(&bytes).len(), 5);
    // A plain list, and a plain node.
    assert_eq!(list_of(&hex("01 02 01 61 C0 07")), ["a", "7"]);
    assert_eq!(list_of(&hex("12 01 01 03 616263")), ["abc"]);
    // A zipmap of foo => bar with one unused byte.
    let mut bytes = vec![9];
    put_string(&mut bytes, &hex("01 03 666F6F 03 01 626172 00 FF"), false);
    let Ok(LoadedValue::Object(Object::Hash(hash))) = value(&bytes) else { panic!("no hash") };
    assert_eq!(hash.get(b"foo"), Some(&b"bar"[..]));
    // Scores as text.
    let Ok(LoadedValue::Object(Object::SortedSet(sorted))) =
        value(&hex("03 03 01 61 03 312E35 01 62 FE 01 63 FF"))
    else {
        panic!("no sorted set")
    };
    assert_eq!(
        [b"a", b"b", b"c"].map(|member| sorted.score(member)),
        [Some(1.5), Some(f64::INFINITY), Some(f64::NEG_INFINITY)]
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    use Malformed::{Duplicate, Empty, Short, Structure, Type};
    for (bytes, expected) in [
        ("", Short),
        ("00", Short),
        ("00 81 FFFFFFFFFFFFFFFF", Short),
        ("00 C3 01 81 FFFFFFFFFFFFFFFF 00", Structure),
        ("00 C3 02 05 20 00", Structure),
        ("00 C4", Structure),
        ("00 82", Structure),
        ("01 00", Empty),
        ("01 81 FFFFFFFFFFFFFFFF 01 61", Short),
        ("02 02 01 61 01 61", Duplicate),
        ("04 02 01 61 01 62 01 61 01 62", Duplicate),
        ("05 01 01 61 000000000000F87F", Structure),
        ("03 01 01 61 FD", Structure),
        ("06", Type(6)),
        ("63", Type(99)),
        ("12 01 03 01 61", Structure),
        // Intsets: a wrong width, a wrong count, a wrong order, nothing in it.
        ("0B 0A 03000000 01000000 0100", Structure),
        ("0B 0A 02000000 02000000 0100", Structure),
        ("0B 0C 02000000 02000000 0200 0100", Structure),
        ("0B 08 02000000 00000000", Empty),
        // Listpacks: an odd number of elements, a wrong count, a wrong length, a wrong way back.
        ("10 09 09000000 0100 01 01 FF", Structure),
        ("10 0B 0B000000 0300 01 01 02 01 FF", Structure),
        ("10 0B 0C000000 0200 01 01 02 01 FF", Structure),
        ("10 0B 0B000000 0200 01 02 02 01 FF", Structure),
        ("10 0B 0B000000 0200 01 01 F0 01 FF", Short),
    ] {
        assert_eq!(value(&hex(bytes)).err(), Some(expected), "{bytes}");
    }
    assert!(value(&hex("10 0B 0B000000 0200 01 01 02 01 FF")).is_ok());
}

#[test]
fn numbers_take_the_width_they_need() {
    for numbers in [&[-32_768, 32_767][..], &[-32_769, 0], &[0, 1 << 31], &[i64::MIN, i64::MAX]] {
        let mut read = Vec::new();
        intset::each(&intset::build(numbers), |number| read.push(number)).expect("an intset");
        assert_eq!(read, numbers);
    }
    let edges: Vec<i64> = [0, 127, 128, 4095, 4096, 32_767, 32_768, 8_388_607, 8_388_608, 1 << 31, i64::MAX]
        .iter()
        .flat_map(|&edge: &i64| [edge, -edge, !edge])
        .collect();
    let mut packed = listpack::Builder::new();
    edges.iter().for_each(|edge| packed.push(edge.to_string().as_bytes()));
    let (packed, mut read) = (packed.finish(), Vec::new());
    listpack::each(&packed, |element| {
        read.push(element.with_bytes(|text| String::from_utf8_lossy(text).into_owned()));
        Ok(())
    })
    .expect("a listpack");
    assert_eq!(read, edges.iter().map(i64::to_string).collect::<Vec<_>>());
}

#[test]
fn lengths_come_back() {
    for length in [0, 63, 64, 16_383, 16_384, u32::MAX as usize, u32::MAX as usize + 1] {
        let mut bytes = Vec::new();
        put_len(&mut bytes, length);
        assert_eq!(Reader::new(&bytes).len(), Ok(length as u64));
    }
}

proptest! {
    #[test]
    fn compressed_text_comes_back(
        pieces in proptest::collection::vec((0usize..6, 1usize..400), 0..40),
    ) {
        let text: Vec<u8> = pieces
            .iter()
            .flat_map(|&(word, times)| [&b"a"[..], b"xyz", b"hello world ", b"\0\xff", b"0123456789abcdef", b"q"][word].repeat(times))
            .collect();
        if let Some(short) = lzf::compress(&text) {
            prop_assert!(short.len() < text.len());
            prop_assert_eq!(lzf::decompress(&short, text.len()), Ok(text.clone()));
            prop_assert!(lzf::decompress(&short, text.len() + 1).is_err());
            prop_assert!(lzf::decompress(&short[..short.len() - 1], text.len()).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(kind in 0u8..20, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut value = vec![kind];
        value.extend_from_slice(&bytes);
        let _ = restore(&sealed(value), &ValueLimits::default(), true);
    }

    #[test]
    fn no_packed_bytes_make_it_panic(kind in 9u8..19, bytes in proptest::collection::vec(any::<u8>(), 0..60), at in 0usize..60) {
        let mut packed = listpack::Builder::new();
        bytes.chunks(3).for_each(|chunk| packed.push(chunk));
        let mut packed = packed.finish();
        let at = at % packed.len();
        packed[at] ^= bytes.first().copied().unwrap_or(1);
        let mut value = vec![kind];
        if kind == 18 {
            value.extend_from_slice(&[1, 2]);
        }
        put_string(&mut value, &packed, true);
        let _ = restore(&sealed(value), &ValueLimits::default(), true);
    }
}

#[test]
fn what_nobody_writes_is_refused() {
    // A zipmap with one field of three bytes whose length takes five, then one whose field has 254 bytes.
    let short = value(b"\x09\x0d\x01\xfe\x03\x00\x00\x00key\x01\x00v\xff");
    assert!(matches!(short, Err(Malformed::Structure)), "{short:?}");
    let field = [b'f'; 254];
    let long = [&b"\x09\x41\x08\x01\xfe\xfe\x00\x00\x00"[..], &field, b"\x01\x00v\xff"].concat();
    assert!(value(&long).is_ok(), "{:?}", value(&long));
    // A quicklist whose one node is an empty element.
    let empty = value(b"\x12\x01\x01\x00");
    assert!(matches!(empty, Err(Malformed::Structure)), "{empty:?}");
}
