//! Any bytes as a stream of requests: no panic, and the same whole as in pieces, and with how a request began
//! remembered for the next ones, as the workers do.
//!
//! The first byte chooses the limits, the second the size of the pieces, the rest is the stream.

#![no_main]

use glasswing::resp::{Decoded, Header, ProtocolError, RequestDecoder, RequestLimits};
use libfuzzer_sys::fuzz_target;

/// One request's arguments.
type Request = Vec<Vec<u8>>;

fuzz_target!(|data: &[u8]| {
    let [choice, piece, stream @ ..] = data else { return };
    let limits = limits(*choice);
    let whole = decode(stream, stream.len().max(1), &limits, false);
    let pieces = decode(stream, usize::from(*piece).max(1), &limits, false);
    assert_eq!(whole, pieces);
    assert_eq!(whole, decode(stream, stream.len().max(1), &limits, true));
    assert_eq!(whole, decode(stream, usize::from(*piece).max(1), &limits, true));
});

fn limits(choice: u8) -> RequestLimits {
    let authenticated = choice & 1 == 0;
    match choice & 2 {
        0 => RequestLimits { authenticated, ..RequestLimits::default() },
        _ => RequestLimits { max_bulk_len: 64, max_args: 8, max_inline: 48, authenticated },
    }
}

/// Every request, what refused the rest, and how many bytes were taken. `remembers` tells whether each request's
/// header is compared with the next one's.
fn decode(
    stream: &[u8],
    piece: usize,
    limits: &RequestLimits,
    remembers: bool,
) -> (Vec<Request>, Option<ProtocolError>, usize) {
    let mut decoder = RequestDecoder::default();
    let (mut requests, mut args) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, piece.min(stream.len()));
    let mut header: Option<Header> = None;
    loop {
        let input = &stream[start..end];
        args.clear();
        let alike = header.as_ref().filter(|header| decoder.is_idle() && header.begins(input));
        let decoded = match alike {
            Some(header) => decoder.decode_after(header, input, start, &mut args, limits),
            None => decoder.decode(input, start, &mut args, limits),
        };
        assert!(decoder.understood() <= input.len());
        match decoded {
            Ok(Decoded::Request { consumed }) => {
                assert!(consumed <= input.len() && !args.is_empty() && args.len() <= limits.max_args);
                requests.push(
                    args.iter().map(|span| stream[span.start..span.start + span.len].to_vec()).collect(),
                );
                if remembers {
                    header = Header::of(input, &args, start).or(header);
                }
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
