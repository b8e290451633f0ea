//! Requests: what a real Redis 7.0.15 answered to the same bytes, and every stream in pieces.

use glasswing::resp::{Decoded, ProtocolError, RequestDecoder, RequestLimits, is_http_slip};
use proptest::prelude::*;

/// One request's arguments; none for an empty request.
type Request = Vec<Vec<u8>>;

/// Everything that a stream holds, and what ended it.
#[derive(Debug, PartialEq)]
struct Outcome {
    requests: Vec<Request>,
    error: Option<ProtocolError>,
    /// Bytes that belong to no complete request.
    left: usize,
}

/// Decodes a stream that arrives cut at `cuts` (ascending), in a buffer that moves.
fn decode_cut(stream: &[u8], cuts: &[usize], limits: &RequestLimits) -> Outcome {
    let mut decoder = RequestDecoder::default();
    let mut outcome = Outcome { requests: Vec::new(), error: None, left: 0 };
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        loop {
            // The buffer's place changes from piece to piece; spans must follow `base`.
            let base = end % 13;
            let mut args = Vec::new();
            let input = &stream[start..end];
            match decoder.decode(input, base, &mut args, limits) {
                Ok(Decoded::Request { consumed }) => {
                    let arg = |at: usize, len: usize| input[at - base..at - base + len].to_vec();
                    outcome.requests.push(args.iter().map(|span| arg(span.start, span.len)).collect());
                    start += consumed;
                }
                Ok(Decoded::Inline { consumed, args: words }) => {
                    outcome.requests.push(words.iter().map(|word| word.to_vec()).collect());
                    start += consumed;
                }
                Ok(Decoded::Empty { consumed }) => {
                    outcome.requests.push(Vec::new());
                    start += consumed;
                }
                Ok(Decoded::Incomplete { hint }) => {
                    assert!(hint == 0 || args.is_empty(), "arguments of an incomplete request");
                    break;
                }
                Err(error) => {
                    assert!(args.is_empty(), "arguments of a refused request");
                    outcome.error = Some(error);
                    return outcome;
                }
            }
            assert!(decoder.is_idle());
        }
    }
    outcome.left = stream.len() - start;
    outcome
}

fn decode(stream: &[u8]) -> Outcome {
    decode_cut(stream, &[], &RequestLimits::default())
}

/// The reply to a stream that breaks the protocol, or nothing.
fn refusal(stream: &[u8], limits: &RequestLimits) -> Vec<u8> {
    match decode_cut(stream, &[], limits).error {
        Some(error) => [b"-ERR ", &error.reply_text()[..], b"\r\n"].concat(),
        None => Vec::new(),
    }
}

/// What redis-server 7.0.15 with `proto-max-bulk-len 1mb` answered.
#[test]
fn refusals_are_those_of_redis() {
    let limits = RequestLimits { max_bulk_len: 1 << 20, ..RequestLimits::default() };
    let transcript: &[(&[u8], &[u8])] = &[
        (b"*\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*01\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*+1\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*-\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*-0\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*00\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1 \r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1x\rz", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1x\r", b""),
        (b"*3000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*9223372036854775808\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*-9223372036854775809\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\nfoo\r\n", b"-ERR Protocol error: expected '$', got 'f'\r\n"),
        (b"*1\r\nf\r", b""),
        (b"*1\r\n\r\n", b"-ERR Protocol error: expected '$', got ' '\r\n"),
        (b"*1\r\n\n\r\n", b"-ERR Protocol error: expected '$', got ' '\r\n"),
        (b"*1\r\n\xff\r\n", b"-ERR Protocol error: expected '$', got '\xff'\r\n"),
        (b"*1\r\n:1\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"*1\r\n$\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$-0\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$04\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$+4\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$x\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$1048577\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$2000000000\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$18446744073709551617\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", b"-ERR Protocol error: expected '$', got 'f'\r\n"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"PING \"a\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"PING 'a'b\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        // A zero byte hides the line's end.
        (b"\0\r\nPING\r\n", b""),
        (b"*1\0\r\nPING\r\n", b""),
        (b"*1\r\n\0\r\n", b""),
    ];
    for (sent, answered) in transcript {
        let reply = refusal(sent, &limits);
        assert_eq!(
            reply.escape_ascii().to_string(),
            answered.escape_ascii().to_string(),
            "{}",
            sent.escape_ascii()
        );
    }
}

/// What redis-server 7.0.15 answered to lines of 65,536 bytes and one more.
#[test]
fn lines_without_end_are_refused_as_by_redis() {
    const LIMIT: usize = 65_536;
    let line = |head: &[u8], filler: u8, len: usize| {
        let fill = vec![filler; len - head.len()];
        [head, &fill[..]].concat()
    };
    let limits = RequestLimits::default();
    let after_count = |line: Vec<u8>| [b"*1\r\n".to_vec(), line].concat();
    for (at_limit, above, answered) in [
        (line(b"", b'A', LIMIT), line(b"", b'A', LIMIT + 1), "too big inline request"),
        (line(b"*", b'1', LIMIT), line(b"*", b'1', LIMIT + 1), "too big mbulk count string"),
        (
            after_count(line(b"$", b'1', LIMIT)),
            after_count(line(b"$", b'1', LIMIT + 1)),
            "too big bulk count string",
        ),
        (
            after_count(line(b"", b'x', LIMIT)),
            after_count(line(b"", b'x', LIMIT + 1)),
            "too big bulk count string",
        ),
        (line(b"\0", b'a', LIMIT), line(b"\0", b'a', LIMIT + 1), "too big inline request"),
        (line(b"*\0", b'a', LIMIT), line(b"*\0", b'a', LIMIT + 1), "too big mbulk count string"),
    ] {
        assert_eq!(refusal(&at_limit, &limits), b"");
        assert_eq!(refusal(&above, &limits), format!("-ERR Protocol error: {answered}\r\n").into_bytes());
    }
    // With its end, the line of 65,536 bytes is a command, and one of 65,537 is not.
    for end in [&b"\r\n"[..], b"\n"] {
        let whole = [&line(b"", b'A', LIMIT), end].concat();
        assert_eq!(decode(&whole).requests, [[vec![b'A'; LIMIT]]]);
        let above = [&line(b"", b'A', LIMIT + 1), end].concat();
        assert_eq!(refusal(&above, &limits), b"-ERR Protocol error: too big inline request\r\n");
    }
    let torn = [&line(b"", b'A', LIMIT), &b"\r"[..]].concat();
    assert_eq!(refusal(&torn, &limits), b"");
    let no_end = [&torn, &b"\r"[..]].concat();
    assert_eq!(refusal(&no_end, &limits), b"-ERR Protocol error: too big inline request\r\n");
}

/// What redis-server 7.0.15 with `requirepass` answered.
#[test]
fn small_limits_before_authentication() {
    let limits = RequestLimits { authenticated: false, ..RequestLimits::default() };
    let argument =
        |len: usize| [format!("*1\r\n${len}\r\n").into_bytes(), vec![b'a'; len], b"\r\n".to_vec()].concat();
    assert_eq!(refusal(b"*11\r\n", &limits), b"-ERR Protocol error: unauthenticated multibulk length\r\n");
    assert_eq!(
        refusal(b"*-5\r\n*11\r\n", &limits),
        b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    );
    assert_eq!(refusal(b"*2147483648\r\n", &limits), b"-ERR Protocol error: invalid multibulk length\r\n");
    assert_eq!(
        refusal(b"*1\r\n$16385\r\n", &limits),
        b"-ERR Protocol error: unauthenticated bulk length\r\n"
    );
    assert_eq!(refusal(b"*1\r\n$600000000\r\n", &limits), b"-ERR Protocol error: invalid bulk length\r\n");
    assert_eq!(refusal(b"*1\r\n$-1\r\n", &limits), b"-ERR Protocol error: invalid bulk length\r\n");
    let ten = [b"*10\r\n".to_vec(), b"$1\r\na\r\n".repeat(10)].concat();
    assert_eq!(decode_cut(&ten, &[], &limits).requests, [vec![b"a".to_vec(); 10]]);
    assert_eq!(decode_cut(&argument(16_384), &[], &limits).requests.len(), 1);
}

#[test]
fn short_arguments_are_limited_too() {
    for (max_bulk_len, allowed, refused) in [(5, 5, 6), (12, 12, 13), (150, 150, 151)] {
        let limits = RequestLimits { max_bulk_len, ..RequestLimits::default() };
        let argument = |len: usize| format!("*1\r\n${len}\r\n{}\r\n", "a".repeat(len)).into_bytes();
        assert_eq!(decode_cut(&argument(allowed), &[], &limits).requests, [[vec![b'a'; allowed]]]);
        assert_eq!(refusal(&argument(refused), &limits), b"-ERR Protocol error: invalid bulk length\r\n");
    }
}

#[test]
fn the_number_of_arguments_is_limited() {
    let limits = RequestLimits::default();
    assert_eq!(refusal(b"*1048577\r\n", &limits), b"-ERR Protocol error: invalid multibulk length\r\n");
    assert_eq!(decode(b"*1048576\r\n").error, None);
    let tight = RequestLimits { max_args: 2, ..RequestLimits::default() };
    assert_eq!(refusal(b"*3\r\n", &tight), b"-ERR Protocol error: invalid multibulk length\r\n");
}

/// What redis-server 7.0.15 took for a command, or for nothing at all.
#[test]
fn requests_are_those_of_redis() {
    let ping = || vec![b"PING".to_vec()];
    for empty in
        [&b"*0\r\n"[..], b"*-1\r\n", b"*-10\r\n", b"*-9223372036854775808\r\n", b"\r\n", b"\n", b"   \r\n"]
    {
        let outcome = decode(&[empty, b"PING\r\n"].concat());
        assert_eq!(outcome, Outcome { requests: vec![vec![], ping()], error: None, left: 0 });
    }
    // Line ends are counted, not examined.
    assert_eq!(decode(b"*1\rX$4\rYPINGab").requests, [ping()]);
    assert_eq!(decode(b"*1\r\n$4\r\nPINGxy").requests, [ping()]);
    assert_eq!(decode(b"*2\r\n$3\r\nGET\r\n$4\r\nName\r\n").requests, [[b"GET".to_vec(), b"Name".to_vec()]]);
    assert_eq!(decode(b"*1\r\n$0\r\n\r\n").requests, [[b"".to_vec()]]);
    for (line, argument) in [
        (&b"PING \"a\\x41b\"\r\n"[..], &b"aAb"[..]),
        (b"PING 'a\\'b'\n", b"a'b"),
        (b"PING ab\"c d\"\r\n", b"abc d"),
        (b"PING \"\\n\\r\\t\\b\\a\\q\\xzz\"\r\n", b"\n\r\t\x08\x07qxzz"),
        (b"PING a\x0bb\r\n", b"a\x0bb"),
        (b"PING \xff\r\n", b"\xff"),
        (b"PING a\rb\r\r\n", b"a"),
    ] {
        assert_eq!(
            decode(line).requests[0][..2],
            [b"PING".to_vec(), argument.to_vec()],
            "{}",
            line.escape_ascii()
        );
    }
    assert_eq!(decode(b"\"\"\r\n").requests, [[b"".to_vec()]]);
}

#[test]
fn http_is_recognised() {
    for word in ["POST", "post", "Host:", "hOsT:"] {
        assert!(is_http_slip(word.as_bytes()));
    }
    for word in ["GET", "HOST", "POST/", ""] {
        assert!(!is_http_slip(word.as_bytes()));
    }
}

#[test]
fn the_hint_is_what_a_large_argument_lacks() {
    let mut decoder = RequestDecoder::default();
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n";
    let mut stream = head.to_vec();
    let limits = RequestLimits::default();
    let mut decode = |input: &[u8]| decoder.decode(input, 0, &mut Vec::new(), &limits);
    assert_eq!(decode(&stream), Ok(Decoded::Incomplete { hint: 1_000_002 }));
    stream.extend_from_slice(b"abc");
    assert_eq!(decode(&stream), Ok(Decoded::Incomplete { hint: 999_999 }));
    stream.resize(head.len() + 1_000_002, b'x');
    assert_eq!(decode(&stream), Ok(Decoded::Request { consumed: head.len() + 1_000_002 }));
}

#[test]
fn what_stands_before_the_awaited_bytes_is_understood() {
    let limits = RequestLimits::default();
    for (input, understood, awaited) in [
        (&b"*2\r\n$3\r\nGET\r\n$32768\r\nab"[..], 21, 32_770),
        (b"*2\r\n$3\r\nGET\r\n$5\r\nab", 17, 7),
        (b"*2\r\n$3\r\nGET\r\n$5\r", 13, 0),
        (b"*2\r\n$3\r\nGET\r\n$", 13, 0),
        (b"*2\r\n$3\r\nGET\r\n", 13, 0),
        (b"*2\r\n$3\r\nGET\r", 8, 5),
        (b"*1\r\n$40000\r", 4, 0),
        (b"*1\r", 0, 0),
        (b"GET", 0, 0),
    ] {
        let mut decoder = RequestDecoder::default();
        let decoded = decoder.decode(input, 0, &mut Vec::new(), &limits);
        assert!(matches!(decoded, Ok(Decoded::Incomplete { .. })));
        assert_eq!(decoder.understood(), understood, "{}", input.escape_ascii());
        assert_eq!(decoder.awaited(), awaited, "{}", input.escape_ascii());
    }
}

#[test]
fn a_length_without_its_bytes_reserves_nothing() {
    let limits = RequestLimits { max_bulk_len: usize::MAX, max_args: usize::MAX, ..RequestLimits::default() };
    let mut args = Vec::new();
    for head in [&b"*2147483647\r\n"[..], b"*2147483647\r\n$9223372036854775807\r\nx"] {
        let decoded = RequestDecoder::default().decode(head, 0, &mut args, &limits);
        assert!(matches!(decoded, Ok(Decoded::Incomplete { .. })));
    }
    assert_eq!(args.capacity(), 0);
}

/// A word of any bytes, often short.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::collection::vec(prop::sample::select(&b"*$\r\n\0 019-"[..]), 0..12),
        (90usize..110).prop_map(|len| vec![b'v'; len]),
    ]
}

fn multibulk(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Valid requests, and now and then something that is none.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"*0\r\n",
        b"*-1\r\n",
        b"\r\n",
        b"PING\r\n",
        b"SET k \"a\\x41\"\n",
        b"GET 'a b'\r\n",
        b"*",
        b"$",
        b"*1\r\n",
        b"$1",
        b"\r",
        b"\n",
        b"*1\r\n$-1\r\n",
        b"*99999999999999999999\r\n",
        b"*2\r\nx\r\n",
        b"\"\r\n",
        b"\0",
        b"*1\r\n$010\r\n",
    ];
    let piece = prop_oneof![
        6 => prop::collection::vec(argument(), 1..5).prop_map(|args| multibulk(&args)),
        2 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn valid_requests_come_back(requests in prop::collection::vec(prop::collection::vec(argument(), 1..6), 0..6)) {
        let stream: Vec<u8> = requests.iter().flat_map(|args| multibulk(args)).collect();
        prop_assert_eq!(decode(&stream), Outcome { requests, error: None, left: 0 });
    }

    #[test]
    fn one_cut_anywhere_changes_nothing(stream in stream(), authenticated: bool, max_inline in 25usize..60) {
        let limits = RequestLimits { max_bulk_len: 100, max_args: 4, max_inline, authenticated };
        let whole = decode_cut(&stream, &[], &limits);
        for cut in 0..=stream.len() {
            prop_assert_eq!(&decode_cut(&stream, &[cut], &limits), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn byte_by_byte_changes_nothing(stream in stream(), max_inline in 25usize..60) {
        let limits = RequestLimits { max_bulk_len: 100, max_args: 4, max_inline, authenticated: true };
        let whole = decode_cut(&stream, &[], &limits);
        let cuts: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(decode_cut(&stream, &cuts, &limits), whole);
    }

    #[test]
    fn cuts_anywhere_change_nothing(stream in stream(), mut cuts in prop::collection::vec(0usize..400, 0..8)) {
        cuts.retain(|cut| *cut <= stream.len());
        cuts.sort_unstable();
        let limits = RequestLimits::default();
        prop_assert_eq!(decode_cut(&stream, &cuts, &limits), decode_cut(&stream, &[], &limits));
    }
}
