//! LZF, the compression of long strings (format of Marc Lehmann's liblzf).
//!
//! ```text
//! 000LLLLL                     a run of L+1 bytes follows as it is
//! LLLOOOOO OOOOOOOO            L+2 bytes are those that stand O+1 bytes before, L from 1 to 6
//! 111OOOOO LLLLLLLL OOOOOOOO   the same with L+7+2 bytes
//! ```
//!
//! The one crate for it is deprecated by its author, hence this one.

use super::Malformed;

const MAX_RUN: usize = 32;
const MAX_OFFSET: usize = 1 << 13;
const MAX_MATCH: usize = 2 + 7 + 255;
/// The table of places has at most so many bits, and fewer for short texts: clearing it costs more than they do.
const MOST_BITS: u32 = 14;
const LEAST_BITS: u32 = 6;

/// Compresses `input`; `None` when that saves less than four bytes.
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    let limit = input.len().checked_sub(4).filter(|&limit| limit > 0)?;
    let mut out = Vec::with_capacity(limit.min(input.len() / 2 + 64));
    // Where the three bytes of each hash were seen last, plus one.
    let bits = (usize::BITS - input.len().leading_zeros()).clamp(LEAST_BITS, MOST_BITS);
    let mut seen = vec![0u32; 1 << bits];
    let (mut at, mut literal) = (0, 0);
    while at + 2 < input.len() {
        let slot = slot_of(&input[at..at + 3], bits);
        let before = seen[slot] as usize;
        // Positions past 4 GiB alias: the comparison decides.
        seen[slot] = (at as u32).wrapping_add(1);
        let found = before.checked_sub(1).filter(|&from| {
            from < at && at - from <= MAX_OFFSET && input[from..from + 3] == input[at..at + 3]
        });
        let Some(from) = found else {
            at += 1;
            continue;
        };
        put_literals(&mut out, &input[literal..at]);
        let longest = MAX_MATCH.min(input.len() - at);
        let length = 3 + (3..longest).take_while(|&step| input[from + step] == input[at + step]).count();
        put_match(&mut out, at - from - 1, length);
        if out.len() >= limit {
            return None;
        }
        at += length;
        literal = at;
    }
    put_literals(&mut out, &input[literal..]);
    (out.len() < limit).then_some(out)
}

fn slot_of(bytes: &[u8], bits: u32) -> usize {
    let key = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
    // Fibonacci hashing: the upper bits of a product with 2^32 over the golden ratio.
    (key.wrapping_mul(0x9E37_79B1) >> (32 - bits)) as usize
}

fn put_literals(out: &mut Vec<u8>, bytes: &[u8]) {
    for run in bytes.chunks(MAX_RUN) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn put_match(out: &mut Vec<u8>, offset: usize, length: usize) {
    let coded = length - 2;
    let high = (offset >> 8) as u8;
    if coded < 7 {
        out.push((coded as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (coded - 7) as u8]);
    }
    out.push(offset as u8);
}

/// Gives back the `len` bytes that were compressed to `input`. Memory grows with what `input` yields.
pub fn decompress(input: &[u8], len: usize) -> Result<Vec<u8>, Malformed> {
    // Three bytes yield at most MAX_MATCH.
    if len > input.len().saturating_mul(MAX_MATCH) / 2 {
        return Err(Malformed::Structure);
    }
    let mut out = Vec::with_capacity(len.min(input.len().saturating_mul(4)));
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        if control < 32 {
            let (run, after) = after.split_at_checked(usize::from(control) + 1).ok_or(Malformed::Short)?;
            out.extend_from_slice(run);
            rest = after;
        } else {
            rest = copy_match(&mut out, control, after, len)?;
        }
        if out.len() > len {
            return Err(Malformed::Structure);
        }
    }
    if out.len() == len { Ok(out) } else { Err(Malformed::Structure) }
}

fn copy_match<'a>(
    out: &mut Vec<u8>,
    control: u8,
    mut rest: &'a [u8],
    limit: usize,
) -> Result<&'a [u8], Malformed> {
    let mut length = usize::from(control >> 5) + 2;
    if control >> 5 == 7 {
        let (&more, after) = rest.split_first().ok_or(Malformed::Short)?;
        length += usize::from(more);
        rest = after;
    }
    let (&low, rest) = rest.split_first().ok_or(Malformed::Short)?;
    let offset = usize::from(control & 31) << 8 | usize::from(low);
    let from = out.len().checked_sub(offset + 1).ok_or(Malformed::Structure)?;
    if out.len() + length > limit {
        return Err(Malformed::Structure);
    }
    if offset + 1 >= length {
        out.extend_from_within(from..from + length);
    } else {
        // It repeats what it has just written.
        (from..from + length).for_each(|at| out.push(out[at]));
    }
    Ok(rest)
}
