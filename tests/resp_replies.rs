//! Replies: the examples of the protocol's specification, both directions, in pieces.

use bytes::Bytes;
use glasswing::resp::{Encoder, Protocol, Value, ValueDecoder, ValueError, ValueLimits};
use proptest::prelude::*;

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn simple(s: &str) -> Value {
    Value::Simple(text(s))
}

fn bulk(s: &str) -> Value {
    Value::Bulk(text(s))
}

fn ints(numbers: &[i64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Int).collect()
}

/// Decodes a stream that arrives cut at `cuts` (ascending) up to its end or its first error.
fn decode_cut(stream: &[u8], cuts: &[usize], limits: ValueLimits) -> (Vec<Value>, usize, Option<ValueError>) {
    let mut decoder = ValueDecoder::new(limits);
    let (mut values, mut start) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([stream.len()]) {
        loop {
            match decoder.decode(&stream[start..end]) {
                Ok(Some((value, consumed))) => {
                    values.push(value);
                    start += consumed;
                }
                Ok(None) => break,
                Err(error) => return (values, start, Some(error)),
            }
        }
    }
    (values, start, None)
}

fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, ValueError> {
    ValueDecoder::default().decode(bytes)
}

fn encode(value: &Value, protocol: Protocol) -> Vec<u8> {
    let mut out = Encoder::new(protocol);
    value.encode(&mut out);
    out.into_vec()
}

/// The whole input is this value, also when it arrives byte by byte.
fn reads(bytes: &[u8], value: &Value) {
    assert_eq!(decode(bytes), Ok(Some((value.clone(), bytes.len()))), "{}", bytes.escape_ascii());
    let cuts: Vec<usize> = (0..bytes.len()).collect();
    let pieces = decode_cut(bytes, &cuts, ValueLimits::default()).0;
    assert_eq!(pieces, std::slice::from_ref(value), "{}", bytes.escape_ascii());
}

/// The bytes and the value are each other's form in this protocol.
fn is(protocol: Protocol, bytes: &[u8], value: Value) {
    reads(bytes, &value);
    assert_eq!(encode(&value, protocol).escape_ascii().to_string(), bytes.escape_ascii().to_string());
}

#[test]
fn examples_of_resp2() {
    let is = |bytes: &[u8], value| is(Protocol::Resp2, bytes, value);
    is(b"+OK\r\n", simple("OK"));
    is(b"-Error message\r\n", Value::Error(text("Error message")));
    is(b"-ERR unknown command 'asdf'\r\n", Value::Error(text("ERR unknown command 'asdf'")));
    is(
        b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        Value::Error(text("WRONGTYPE Operation against a key holding the wrong kind of value")),
    );
    is(b":0\r\n", Value::Int(0));
    is(b":1000\r\n", Value::Int(1000));
    is(b":-1\r\n", Value::Int(-1));
    is(b":48293\r\n", Value::Int(48293));
    is(b":9223372036854775807\r\n", Value::Int(i64::MAX));
    is(b":-9223372036854775808\r\n", Value::Int(i64::MIN));
    is(b"$5\r\nhello\r\n", bulk("hello"));
    is(b"$0\r\n\r\n", bulk(""));
    is(b"$-1\r\n", Value::Null);
    is(b"*0\r\n", Value::Array(vec![]));
    is(b"*2\r\n$5\r\nhello\r\n$5\r\nworld\r\n", Value::Array(vec![bulk("hello"), bulk("world")]));
    is(b"*3\r\n:1\r\n:2\r\n:3\r\n", Value::Array(ints(&[1, 2, 3])));
    is(
        b"*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n$5\r\nhello\r\n",
        Value::Array(ints(&[1, 2, 3, 4]).into_iter().chain([bulk("hello")]).collect()),
    );
    is(b"*-1\r\n", Value::NullArray);
    is(
        b"*2\r\n*3\r\n:1\r\n:2\r\n:3\r\n*2\r\n+Hello\r\n-World\r\n",
        Value::Array(vec![
            Value::Array(ints(&[1, 2, 3])),
            Value::Array(vec![simple("Hello"), Value::Error(text("World"))]),
        ]),
    );
    is(
        b"*3\r\n$5\r\nhello\r\n$-1\r\n$5\r\nworld\r\n",
        Value::Array(vec![bulk("hello"), Value::Null, bulk("world")]),
    );
    is(b"*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n", Value::Array(vec![bulk("LLEN"), bulk("mylist")]));
    is(b"*1\r\n$7\r\nCOMMAND\r\n", Value::Array(vec![bulk("COMMAND")]));
}

#[test]
fn examples_of_resp3_scalars() {
    let is = |bytes: &[u8], value| is(Protocol::Resp3, bytes, value);
    is(b"_\r\n", Value::Null);
    is(b"#t\r\n", Value::Bool(true));
    is(b"#f\r\n", Value::Bool(false));
    is(b",1.23\r\n", Value::Double(1.23));
    is(b",10\r\n", Value::Double(10.0));
    is(b",inf\r\n", Value::Double(f64::INFINITY));
    is(b",-inf\r\n", Value::Double(f64::NEG_INFINITY));
    is(
        b"(3492890328409238509324850943850943825024385\r\n",
        Value::BigNumber(text("3492890328409238509324850943850943825024385")),
    );
    is(b"(-12\r\n", Value::BigNumber(text("-12")));
    is(b"!21\r\nSYNTAX invalid syntax\r\n", Value::BlobError(text("SYNTAX invalid syntax")));
    is(b"=15\r\ntxt:Some string\r\n", Value::Verbatim { format: *b"txt", text: text("Some string") });
    is(b"$11\r\nhello world\r\n", bulk("hello world"));
    is(b"+hello world\r\n", simple("hello world"));
    is(b"-ERR this is the error description\r\n", Value::Error(text("ERR this is the error description")));
    is(b":1234\r\n", Value::Int(1234));
    // Forms that are read but not written.
    reads(b":+5\r\n", &Value::Int(5));
    reads(b",+1.5E-3\r\n", &Value::Double(0.0015));
    reads(b",-10\r\n", &Value::Double(-10.0));
    reads(b"(+7\r\n", &Value::BigNumber(text("+7")));
    for nan in [&b",nan\r\n"[..], b",-nan\r\n"] {
        assert!(matches!(decode(nan), Ok(Some((Value::Double(number), _))) if number.is_nan()));
    }
    assert_eq!(encode(&Value::Double(f64::NAN), Protocol::Resp3), b",nan\r\n");
}

#[test]
fn examples_of_resp3_aggregates() {
    let is = |bytes: &[u8], value| is(Protocol::Resp3, bytes, value);
    is(
        b"%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n",
        Value::Map(vec![(simple("first"), Value::Int(1)), (simple("second"), Value::Int(2))]),
    );
    is(b"%0\r\n", Value::Map(vec![]));
    is(
        b"~5\r\n+orange\r\n+apple\r\n#t\r\n:100\r\n:999\r\n",
        Value::Set(vec![
            simple("orange"),
            simple("apple"),
            Value::Bool(true),
            Value::Int(100),
            Value::Int(999),
        ]),
    );
    is(
        b">4\r\n+pubsub\r\n+message\r\n+somechannel\r\n+this is the message\r\n",
        Value::Push(vec![
            simple("pubsub"),
            simple("message"),
            simple("somechannel"),
            simple("this is the message"),
        ]),
    );
    is(
        b"*3\r\n:1\r\n$5\r\nhello\r\n#f\r\n",
        Value::Array(vec![Value::Int(1), bulk("hello"), Value::Bool(false)]),
    );
    let popularity = Value::Map(vec![(bulk("a"), Value::Double(0.1923)), (bulk("b"), Value::Double(0.0012))]);
    let reply = b"|1\r\n+key-popularity\r\n%2\r\n$1\r\na\r\n,0.1923\r\n$1\r\nb\r\n,0.0012\r\n*2\r\n:2039123\r\n:9543892\r\n";
    let value = Value::Attribute {
        attributes: vec![(simple("key-popularity"), popularity)],
        value: Box::new(Value::Array(ints(&[2_039_123, 9_543_892]))),
    };
    reads(reply, &value);
    let ttl = Value::Attribute {
        attributes: vec![(simple("ttl"), Value::Int(3600))],
        value: Box::new(Value::Int(3)),
    };
    is(
        b"*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n",
        Value::Array(vec![Value::Int(1), Value::Int(2), ttl.clone()]),
    );
    is(b"|0\r\n:1\r\n", Value::Attribute { attributes: vec![], value: Box::new(Value::Int(1)) });
    // RESP2 has no attributes.
    assert_eq!(encode(&ttl, Protocol::Resp2), b":3\r\n");
}

#[test]
fn pushes_stand_between_replies() {
    let stream = b">1\r\n+a\r\n$9\r\nGet-Reply\r\n>1\r\n+b\r\n";
    let expected = vec![Value::Push(vec![simple("a")]), bulk("Get-Reply"), Value::Push(vec![simple("b")])];
    assert_eq!(decode_cut(stream, &[], ValueLimits::default()), (expected, stream.len(), None));
    assert_eq!(decode(b"*1\r\n>0\r\n"), Err(ValueError::NestedPush));
}

#[test]
fn streamed_types_are_refused_clearly() {
    for kind in [b'$', b'*', b'%', b'~', b'>', b'|', b'!', b'='] {
        let error = decode(&[kind, b'?', b'\r', b'\n']).expect_err("streamed");
        assert_eq!(error, ValueError::Streamed(kind));
        let kind = kind as char;
        assert_eq!(
            error.to_string(),
            format!("streamed strings and aggregates are not supported (found with type '{kind}')")
        );
    }
    assert_eq!(decode(b";4\r\nHell\r\n"), Err(ValueError::Streamed(b';')));
    assert_eq!(decode(b".\r\n"), Err(ValueError::Streamed(b'.')));
}

#[test]
fn broken_replies_are_refused() {
    use ValueError::*;
    for (bytes, error) in [
        (&b"\r\n"[..], UnknownType(b'\r')),
        (b"x\r\n", UnknownType(b'x')),
        (b":\r\n", InvalidNumber),
        (b":1.5\r\n", InvalidNumber),
        (b":9223372036854775808\r\n", InvalidNumber),
        (b"(\r\n", InvalidNumber),
        (b"(-\r\n", InvalidNumber),
        (b"(12a\r\n", InvalidNumber),
        (b",\r\n", InvalidDouble),
        (b",infinity\r\n", InvalidDouble),
        (b",1.2.3\r\n", InvalidDouble),
        (b",0x1\r\n", InvalidDouble),
        (b"#x\r\n", InvalidBool),
        (b"#true\r\n", InvalidBool),
        (b"_0\r\n", InvalidNull),
        (b"$\r\n", InvalidLength),
        (b"$-2\r\n", InvalidLength),
        (b"$+1\r\n", InvalidLength),
        (b"%-1\r\n", InvalidLength),
        (b"!-1\r\n", InvalidLength),
        (b"*99999999999999999999\r\n", InvalidLength),
        (b"=3\r\ntxt\r\n", InvalidVerbatim),
        (b"=4\r\ntxt-\r\n", InvalidVerbatim),
        (b"$2\r\nabcd", InvalidLineEnd),
        (b"+a\nb\r\n", InvalidLineEnd),
        (b"+a\rb\r\n", InvalidLineEnd),
    ] {
        assert_eq!(decode(bytes), Err(error), "{}", bytes.escape_ascii());
    }
}

#[test]
fn limits_hold() {
    let limits = || ValueLimits { max_depth: 3, max_bulk_len: 5, max_items: 2, max_line: 8 };
    let decode = |bytes: &[u8]| ValueDecoder::new(limits()).decode(bytes);
    let whole = |bytes: &[u8]| decode(bytes).map(|value| value.is_some());
    assert_eq!(whole(b"$5\r\nhello\r\n"), Ok(true));
    assert_eq!(whole(b"$6\r\n"), Err(ValueError::TooLong));
    assert_eq!(whole(b"%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n"), Ok(true));
    assert_eq!(whole(b"*3\r\n"), Err(ValueError::TooManyItems));
    assert_eq!(whole(b"*1\r\n*1\r\n*1\r\n:1\r\n"), Ok(true));
    assert_eq!(whole(b"*1\r\n*1\r\n*1\r\n*0\r\n"), Err(ValueError::TooDeep));
    assert_eq!(whole(b"+1234567\r\n"), Ok(true));
    assert_eq!(whole(b"+12345678\r\n"), Err(ValueError::LineTooLong));
    assert_eq!(whole(b"+1234567"), Ok(false));
    let deep = b"|1\r\n:1\r\n:1\r\n".repeat(200);
    assert_eq!(ValueDecoder::default().decode(&deep), Err(ValueError::TooDeep));
}

#[test]
fn the_hint_is_what_a_large_string_lacks() {
    let mut decoder = ValueDecoder::default();
    assert_eq!(decoder.decode(b"*1\r\n$1000\r\nabc"), Ok(None));
    assert_eq!(decoder.hint(b"*1\r\n$1000\r\nabc".len()), 999);
    assert_eq!(ValueDecoder::default().hint(0), 0);
}

/// What the encoder writes for the types that RESP2 lacks, as Redis does.
#[test]
fn resp3_types_in_resp2() {
    let resp2 = |value: &Value| encode(value, Protocol::Resp2).escape_ascii().to_string();
    let pair = || vec![(bulk("a"), Value::Int(1))];
    for (value, bytes) in [
        (Value::Map(pair()), &b"*2\r\n$1\r\na\r\n:1\r\n"[..]),
        (Value::Set(ints(&[1])), b"*1\r\n:1\r\n"),
        (Value::Push(ints(&[1])), b"*1\r\n:1\r\n"),
        (Value::Double(1.5), b"$3\r\n1.5\r\n"),
        (Value::Double(f64::NEG_INFINITY), b"$4\r\n-inf\r\n"),
        (Value::Bool(true), b":1\r\n"),
        (Value::Bool(false), b":0\r\n"),
        (Value::BigNumber(text("-12")), b"$3\r\n-12\r\n"),
        (Value::Verbatim { format: *b"txt", text: text("hi") }, b"$2\r\nhi\r\n"),
        (Value::BlobError(text("ERR a\r\nb")), b"-ERR a  b\r\n"),
    ] {
        assert_eq!(resp2(&value), bytes.escape_ascii().to_string());
    }
    assert_eq!(encode(&Value::NullArray, Protocol::Resp3), b"_\r\n");
}

#[test]
fn line_breaks_never_split_a_line() {
    let mut out = Encoder::new(Protocol::Resp2);
    out.error("ERR a\r\nb\nc\r\n");
    out.simple("\r\nx\ry");
    out.error("\r\n");
    assert_eq!(
        out.as_slice().escape_ascii().to_string(),
        b"-ERR a  b c\r\n+x y\r\n-\r\n".escape_ascii().to_string()
    );
}

#[test]
fn the_encoder_writes_heads_of_every_length() {
    for len in [0, 1, 9, 10, 99, 100, 12_345, 1 << 20] {
        let body = vec![b'x'; len];
        let mut out = Encoder::new(Protocol::Resp2);
        out.bulk(&body);
        let expected = [format!("${len}\r\n").into_bytes(), body, b"\r\n".to_vec()].concat();
        assert_eq!(out.as_slice(), expected);
    }
    let mut out = Encoder::with_buffer(b"+OK\r\n".to_vec(), Protocol::Resp3);
    out.bulk_int(-12);
    out.int(i64::MIN);
    out.verbatim("md", b"x");
    out.human_double("3.0");
    out.truncate(out.len() - 6);
    out.ok();
    out.raw(b"_\r\n");
    assert_eq!(
        out.as_slice().escape_ascii().to_string(),
        b"+OK\r\n$3\r\n-12\r\n:-9223372036854775808\r\n=5\r\nmd :x\r\n+OK\r\n_\r\n"
            .escape_ascii()
            .to_string()
    );
}

#[test]
fn deferred_aggregates_nest() {
    for inner in [0, 1, 9, 10, 100, 1000] {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let numbers: Vec<i64> = (0..inner).collect();
            let mut out = Encoder::new(protocol);
            out.ok();
            let outer = out.defer();
            out.bulk(b"list");
            let list = out.defer();
            numbers.iter().for_each(|number| out.int(*number));
            out.finish_array(list, numbers.len());
            out.bulk(b"set");
            let set = out.defer();
            numbers.iter().for_each(|number| out.int(*number));
            out.finish_set(set, numbers.len());
            out.finish_map(outer, 2);

            let mut expected = Encoder::new(protocol);
            expected.ok();
            let list = Value::Array(ints(&numbers));
            let set = Value::Set(ints(&numbers));
            Value::Map(vec![(bulk("list"), list), (bulk("set"), set)]).encode(&mut expected);
            assert_eq!(out.as_slice(), expected.as_slice());
        }
    }
}

fn line() -> impl Strategy<Value = Bytes> {
    "[ -~é]{0,12}".prop_map(Bytes::from)
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..16),
        prop::collection::vec(prop::sample::select(&b"\r\n$*0:"[..]), 0..8)
    ]
    .prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        line().prop_map(Value::Simple),
        line().prop_map(Value::Error),
        payload().prop_map(Value::BlobError),
        payload().prop_map(Value::Bulk),
        any::<i64>().prop_map(Value::Int),
        Just(Value::Null),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool),
        "[+-]?[0-9]{1,30}".prop_map(|digits| Value::BigNumber(Bytes::from(digits))),
        ("[a-z]{3}", payload()).prop_map(|(format, text)| {
            let format = format.as_bytes().try_into().expect("three letters");
            Value::Verbatim { format, text }
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..4);
        let pairs = || prop::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            some().prop_map(Value::Array),
            some().prop_map(Value::Set),
            pairs().prop_map(Value::Map),
            (pairs(), inner.clone())
                .prop_map(|(attributes, value)| Value::Attribute { attributes, value: Box::new(value) }),
        ]
    })
}

/// Valid replies, some with a byte changed, some followed by anything.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec(value(), 1..3), change, payload()).prop_map(|(values, change, tail)| {
        let mut out = Encoder::new(Protocol::Resp3);
        values.iter().for_each(|value| value.encode(&mut out));
        let mut bytes = out.into_vec();
        if let Some((at, byte)) = change {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend_from_slice(&tail);
        bytes
    })
}

/// Values as text: unlike themselves, two NaN are written alike.
fn shown(outcome: (Vec<Value>, usize, Option<ValueError>)) -> String {
    format!("{outcome:?}")
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in value()) {
        let bytes = encode(&value, Protocol::Resp3);
        prop_assert_eq!(decode(&bytes), Ok(Some((value, bytes.len()))));
    }

    #[test]
    fn resp2_is_always_one_whole_reply(value in value()) {
        let bytes = encode(&value, Protocol::Resp2);
        let consumed = decode(&bytes).expect("valid").map(|(_, consumed)| consumed);
        prop_assert_eq!(consumed, Some(bytes.len()));
    }

    #[test]
    fn one_cut_anywhere_changes_nothing(stream in stream(), max_line in 20usize..60) {
        let limits = || ValueLimits { max_line, ..ValueLimits::default() };
        let whole = shown(decode_cut(&stream, &[], limits()));
        for cut in 0..=stream.len() {
            prop_assert_eq!(&shown(decode_cut(&stream, &[cut], limits())), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn byte_by_byte_changes_nothing(stream in stream()) {
        let cuts: Vec<usize> = (0..stream.len()).collect();
        let pieces = decode_cut(&stream, &cuts, ValueLimits::default());
        prop_assert_eq!(shown(pieces), shown(decode_cut(&stream, &[], ValueLimits::default())));
    }
}
