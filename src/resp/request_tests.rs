//! What of the request decoder is seen only from within: how often it looks, what it owns.

use super::request::{Decoded, LOOKED, RequestDecoder, RequestLimits, Span};
use super::value::Value;
use super::{Encoder, Protocol, ProtocolError};

/// Feeds `stream` in pieces of `piece` bytes; gives how many bytes were looked at, and the end.
fn looked_at(stream: &[u8], piece: usize) -> (usize, Result<Decoded, ProtocolError>) {
    let mut decoder = RequestDecoder::default();
    let mut args = Vec::new();
    LOOKED.set(0);
    let mut end = piece.min(stream.len());
    loop {
        match decoder.decode(&stream[..end], 0, &mut args, &RequestLimits::default()) {
            Ok(Decoded::Incomplete { .. }) if end < stream.len() => end = stream.len().min(end + piece),
            decoded => return (LOOKED.get(), decoded),
        }
    }
}

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Encoder::new(Protocol::Resp2);
    Value::Array(args.iter().map(|arg| Value::Bulk(arg.to_vec().into())).collect()).encode(&mut out);
    out.into_vec()
}

#[test]
fn no_byte_is_looked_at_twice() {
    let large = vec![b'x'; 1 << 20];
    let many: Vec<&[u8]> = (0..1000).map(|_| &b"argument"[..]).collect();
    let streams: Vec<Vec<u8>> = vec![
        request(&[b"SET", b"key", &large]),
        request(&many),
        [vec![b'a'; 65_000], b"\r\n".to_vec()].concat(),
        [b"*".to_vec(), vec![b'x'; 65_000], b"\r\n".to_vec()].concat(),
        [b"*1\r\n$".to_vec(), vec![b'1'; 65_000], b"\r\n".to_vec()].concat(),
        vec![b'a'; 70_000],
        [b"*".to_vec(), vec![b'1'; 70_000]].concat(),
        [b"*1\r\n".to_vec(), vec![b'x'; 70_000]].concat(),
        [b"*\0".to_vec(), vec![b'x'; 70_000]].concat(),
    ];
    for stream in &streams {
        let (whole, expected) = looked_at(stream, stream.len());
        assert!(whole > 0 && whole <= stream.len());
        for piece in [1, 2, 7, 4096] {
            let (cut, decoded) = looked_at(stream, piece);
            assert_eq!(decoded, expected);
            assert!(cut <= stream.len(), "{cut} looks at {} bytes in pieces of {piece}", stream.len());
        }
    }
}

#[test]
fn payloads_are_not_looked_at() {
    let large = vec![b'x'; 1 << 20];
    let stream = request(&[b"SET", b"key", &large]);
    let heads = b"*3\r$3\r$3\r$1048576\r".len();
    assert_eq!(looked_at(&stream, 1).0, heads);
    assert_eq!(looked_at(&stream, stream.len()).0, heads);
}

#[test]
fn an_idle_decoder_is_small_and_owns_nothing() {
    assert!(std::mem::size_of::<RequestDecoder>() <= 64);
    let stream = request(&[b"GET", b"key"]);
    let mut decoder = RequestDecoder::default();
    let mut args = Vec::new();
    let limits = RequestLimits::default();
    decoder.decode(&stream[..stream.len() - 1], 0, &mut args, &limits).expect("valid");
    assert!(!decoder.is_idle() && args.is_empty());
    decoder.decode(&stream, 0, &mut args, &limits).expect("valid");
    assert!(decoder.is_idle());
    assert!(format!("{decoder:?}").contains("found: []"));
    assert_eq!(args, [Span { start: 8, len: 3 }, Span { start: 17, len: 3 }]);
}
