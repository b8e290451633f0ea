//! Any bytes as a stream of replies: no panic, the same whole as in pieces, and what is read
//! is written and read back unchanged.
//!
//! The first byte chooses the limits, the second the size of the pieces, the rest is the stream.

#![no_main]

use glasswing::resp::{Encoder, Protocol, Value, ValueDecoder, ValueError, ValueLimits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, piece, stream @ ..] = data else { return };
    let whole = decode(stream, stream.len().max(1), limits(*choice));
    let pieces = decode(stream, usize::from(*piece).max(1), limits(*choice));
    // As text: unlike themselves, two NaN are written alike.
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    whole.0.iter().for_each(comes_back);
});

fn limits(choice: u8) -> ValueLimits {
    match choice & 1 {
        0 => ValueLimits::default(),
        _ => ValueLimits { max_depth: 3, max_bulk_len: 64, max_items: 8, max_line: 48 },
    }
}

/// Every value, what refused the rest, and how many bytes were taken.
fn decode(stream: &[u8], piece: usize, limits: ValueLimits) -> (Vec<Value>, Option<ValueError>, usize) {
    let mut decoder = ValueDecoder::new(limits);
    let mut values = Vec::new();
    let (mut start, mut end) = (0, piece.min(stream.len()));
    loop {
        let input = &stream[start..end];
        match decoder.decode(input) {
            Ok(Some((value, consumed))) => {
                assert!(consumed > 0 && consumed <= input.len());
                values.push(value);
                start += consumed;
            }
            Ok(None) if end < stream.len() => end = stream.len().min(end + piece),
            Ok(None) => return (values, None, start),
            Err(error) => return (values, Some(error), start),
        }
    }
}

/// The first writing settles what has two forms (`*-1`, `:+1`, text that is no UTF-8); from
/// then on nothing changes. Either protocol's form is exactly one value.
fn comes_back(value: &Value) {
    let written = encode(value, Protocol::Resp3);
    let read = one(&written);
    assert_eq!(encode(&read, Protocol::Resp3), written);
    one(&encode(value, Protocol::Resp2));
}

fn encode(value: &Value, protocol: Protocol) -> Vec<u8> {
    let mut out = Encoder::new(protocol);
    value.encode(&mut out);
    out.into_vec()
}

/// Reads bytes that this crate wrote. Writing may lengthen a line, so lines have no limit here.
fn one(bytes: &[u8]) -> Value {
    let limits = ValueLimits { max_line: usize::MAX, ..ValueLimits::default() };
    match ValueDecoder::new(limits).decode(bytes) {
        Ok(Some((value, consumed))) if consumed == bytes.len() => value,
        other => panic!("{} read as {other:?}", bytes.escape_ascii()),
    }
}
