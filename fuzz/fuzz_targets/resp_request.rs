//! Any bytes as a stream of requests: no panic, and the same whole as in pieces.
//!
//! The first byte chooses the limits, the second the size of the pieces, the rest is the stream.

#![no_main]

use glasswing::resp::{Decoded, ProtocolError, RequestDecoder, RequestLimits};
use libfuzzer_sys::fuzz_target;

/// One request's arguments.
type Request = Vec<Vec<u8>>;

fuzz_target!(|data: &[u8]| {
    let [choice, piece, stream @ ..] = data else { return };
    let limits = limits(*choice);
    let whole = decode(stream, stream.len().max(1), &limits);
    let pieces = decode(stream, usize::from(*piece).max(1), &limits);
    assert_eq!(whole, pieces);
});

fn limits(choice: u8) -> RequestLimits {
    let authenticated = choice & 1 == 0;
    match choice & 2 {
        0 => RequestLimits { authenticated, ..RequestLimits::default() },
        _ => RequestLimits { max_bulk_len: 64, max_args: 8, max_inline: 48, authenticated },
    }
}

/// Every request, what refused the rest, and how many bytes were taken.
fn decode(
    stream: &[u8],
    piece: usize,
    limits: &RequestLimits,
) -> (Vec<Request>, Option<ProtocolError>, usize) {
    let mut decoder = RequestDecoder::default();
    let (mut requests, mut args) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, piece.min(stream.len()));
    loop {
        let input = &stream[start..end];
        args.clear();
        match decoder.decode(input, start, &mut args, limits) {
            Ok(Decoded::Request { consumed }) => {
                assert!(consumed <= input.len() && !args.is_empty() && args.len() <= limits.max_args);
                requests.push(
                    args.iter().map(|span| stream[span.start..span.start + span.len].to_vec()).collect(),
                );
                start += consumed;
            }
            Ok(Decoded::Inline { consumed, args }) => {
                assert!(consumed <= input.len() && !args.is_empty());
                requests.push(args.iter().map(|word| word.to_vec()).collect());
                start += consumed;
            }
            Ok(Decoded::Empty { consumed }) => {
                assert!(consumed > 0 && consumed <= input.len());
                requests.push(Vec::new());
                start += consumed;
            }
            Ok(Decoded::Incomplete { .. }) if end < stream.len() => end = stream.len().min(end + piece),
            Ok(Decoded::Incomplete { .. }) => return (requests, None, start),
            Err(error) => return (requests, Some(error), start),
        }
    }
}
