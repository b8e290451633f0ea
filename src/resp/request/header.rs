//! How the last request began: in a pipeline the next one mostly begins in the same way.
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n     the number of arguments and the first of them
//! ```
//!
//! One comparison stands in for reading it and for looking the command up.

use super::Span;

/// The longest header that is remembered, in bytes.
const LONGEST: usize = 32;

/// The beginning of a request, its line ends included.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u64; LONGEST / 8],
    /// The bytes of an input that are compared.
    mask: [u64; LONGEST / 8],
    len: u8,
    missing: u8,
    name: (u8, u8),
}

impl Header {
    /// The header of a request whose arguments are these, if it is of the form that is remembered: up to nine
    /// arguments, and a short first one.
    pub fn of(request: &[u8], args: &[Span], base: usize) -> Option<Header> {
        let name = args.first()?;
        let start = name.start - base;
        let len = start + name.len + 2;
        // No input that is shorter is compared, so one that comes alone is not worth it.
        let head = request.first_chunk::<LONGEST>()?.get(..len)?;
        // `*n`, its line end and `$l` or `$ll`.
        let plain = args.len() <= 9 && start == 8 + usize::from(name.len > 9);
        // The decoder takes any byte for the \n, and those behind the name for a line end.
        if !plain || head[2..4] != *b"\r\n" || head[start - 2..start] != *b"\r\n" {
            return None;
        }
        let (mut bytes, mut mask) = ([0; LONGEST], [0; LONGEST]);
        bytes[..len].copy_from_slice(head);
        mask[..len].fill(0xFF);
        Some(Header {
            bytes: words(&bytes),
            mask: words(&mask),
            len: len as u8,
            missing: args.len() as u8 - 1,
            name: (start as u8, name.len as u8),
        })
    }

    /// Whether an input begins with it. False too where the input is hardly longer.
    #[inline]
    pub fn begins(&self, input: &[u8]) -> bool {
        let Some(head) = input.first_chunk::<LONGEST>() else { return false };
        let differ = |at: usize| (words(head)[at] ^ self.bytes[at]) & self.mask[at];
        differ(0) | differ(1) | differ(2) | differ(3) == 0
    }

    /// How many bytes it has.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// How many arguments follow.
    #[inline]
    pub(super) fn missing(&self) -> u32 {
        u32::from(self.missing)
    }

    /// The first argument, from the header's first byte.
    #[inline]
    pub(super) fn name(&self) -> Span {
        Span { start: usize::from(self.name.0), len: usize::from(self.name.1) }
    }
}

#[inline]
fn words(bytes: &[u8; LONGEST]) -> [u64; LONGEST / 8] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, RequestDecoder, RequestLimits};
    use super::*;

    fn header(request: &[u8]) -> Option<Header> {
        let (mut args, limits) = (Vec::new(), RequestLimits::default());
        let decoded = RequestDecoder::default().decode(request, 0, &mut args, &limits);
        assert_eq!(decoded, Ok(Decoded::Request { consumed: request.len() }));
        Header::of(&[request, &[b'x'; LONGEST]].concat(), &args, 0)
    }

    #[test]
    fn what_begins_alike_is_decoded_alike() {
        let filler = [b'x'; LONGEST];
        for first in [&b"*1\r\n$4\r\nPING\r\n"[..], b"*2\r\n$3\r\nGET\r\n", b"*3\r\n$11\r\nINCRBYFLOAT\r\n"] {
            let missing = usize::from(first[1] - b'1');
            let request = [first, &b"$1\r\nk\r\n".repeat(missing)].concat();
            let header = header(&request).expect("a header");
            assert_eq!(header.len(), first.len());
            // Every input that is cut somewhere, and one whose further arguments are broken.
            let stream = [&b"*1\r\n$4\r\nPING\r\n"[..], &request, &filler].concat();
            for cut in 17..stream.len() {
                let input = &stream[17..cut];
                if !header.begins(input) {
                    continue;
                }
                both(&header, input);
            }
            both(&header, &[first, &filler].concat());
        }
    }

    fn both(header: &Header, input: &[u8]) {
        let limits = RequestLimits::default();
        let (mut plain, mut after) = (Vec::new(), Vec::new());
        let (mut one, mut other) = (RequestDecoder::default(), RequestDecoder::default());
        let expected = one.decode(input, 17, &mut plain, &limits);
        assert_eq!(other.decode_after(header, input, 17, &mut after, &limits), expected);
        assert_eq!((plain, one.is_idle()), (after, other.is_idle()));
    }

    #[test]
    fn another_name_or_number_does_not_begin_alike() {
        let header = header(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").expect("a header");
        let padded = |text: &str| [text.as_bytes(), &[b'x'; LONGEST]].concat();
        assert!(header.begins(&padded("*2\r\n$3\r\nGET\r\n")));
        for other in
            ["*2\r\n$3\r\nSET\r\n", "*3\r\n$3\r\nGET\r\n", "*2\r\n$3\r\nget\r\n", "*2\r\n$3\r\nGET\r"]
        {
            assert!(!header.begins(&padded(other)), "{other}");
        }
        assert!(!header.begins(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), "too short to compare");
    }

    #[test]
    fn what_is_longer_or_unusual_is_not_remembered() {
        let many = format!("*10\r\n{}", "$4\r\nPING\r\n".repeat(10));
        for request in ["*1\r\n$25\r\nabcdefghijklmnopqrstuvwxy\r\n", "*1\rx$4\r\nPING\r\n", &many] {
            assert!(header(request.as_bytes()).is_none(), "{request}");
        }
    }
}
