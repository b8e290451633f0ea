//! Strings as rows of bits. Bit 0 is the highest of the first byte.
//!
//! Everything works on whole words with the edges masked, which the compiler turns into vector instructions.

pub mod field;

/// How sources are combined bit by bit. A source that is shorter than the longest ends in zero bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number of them.
    Xor,
}

/// How many bits of `bytes` are set.
pub fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// How many of the bits from `first` to `last` are set. Both lie in `bytes`, and `first` is not behind `last`.
pub fn count_between(bytes: &[u8], first: usize, last: usize) -> u64 {
    let (start, end) = (first / 8, last / 8);
    let before = u64::from((bytes[start] & !from(first)).count_ones());
    let behind = u64::from((bytes[end] & !up_to(last)).count_ones());
    count(&bytes[start..=end]) - before - behind
}

/// The first bit from `first` to `last` that is `wanted`. Both lie in `bytes`, and `first` is not behind `last`.
pub fn position(bytes: &[u8], wanted: bool, first: usize, last: usize) -> Option<usize> {
    let (start, end) = (first / 8, last / 8);
    // Looking for a zero bit is looking for a one in what is turned over.
    let turn: u8 = if wanted { 0 } else { 0xFF };
    let found = |at: usize, byte: u8| (byte != 0).then(|| at * 8 + byte.leading_zeros() as usize);
    let edge = |at: usize| {
        let mut byte = bytes[at] ^ turn;
        if at == start {
            byte &= from(first);
        }
        if at == end {
            byte &= up_to(last);
        }
        found(at, byte)
    };
    if let Some(bit) = edge(start) {
        return Some(bit);
    }
    if start == end {
        return None;
    }
    let inner = &bytes[start + 1..end];
    let (words, _) = inner.as_chunks::<8>();
    let dull = [turn; 8];
    let skipped = words.iter().position(|word| *word != dull).unwrap_or(words.len()) * 8;
    let in_inner = inner[skipped..].iter().position(|byte| *byte != turn).map(|at| start + 1 + skipped + at);
    in_inner.and_then(|at| found(at, bytes[at] ^ turn)).or_else(|| edge(end))
}

/// Combines one more source into `result`. The shorter of the two counts as filled up with zeros.
pub fn combine(how: Combine, result: &mut Vec<u8>, source: &[u8]) {
    result.resize(result.len().max(source.len()), 0);
    let (common, beyond) = result.split_at_mut(source.len());
    let pairs = common.iter_mut().zip(source);
    match how {
        Combine::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            beyond.fill(0);
        }
        Combine::Or => pairs.for_each(|(byte, other)| *byte |= other),
        Combine::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
    }
}

/// Every bit turned over.
pub fn invert(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

/// The bits of a byte from `bit` on.
fn from(bit: usize) -> u8 {
    0xFF >> (bit % 8)
}

/// The bits of a byte up to `bit`.
fn up_to(bit: usize) -> u8 {
    0xFF << (7 - bit % 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bit(bytes: &[u8], at: usize) -> bool {
        bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
    }

    /// Mostly bytes without a change, so that a search goes far.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(0u8), 4 => Just(0xFF), 1 => any::<u8>()];
        proptest::collection::vec(byte, 1..40)
    }

    proptest! {
        #[test]
        fn counting_and_searching_agree_with_single_bits(
            bytes in bytes(), a: prop::sample::Index, b: prop::sample::Index, wanted: bool,
        ) {
            let (a, b) = (a.index(bytes.len() * 8), b.index(bytes.len() * 8));
            let (first, last) = (a.min(b), a.max(b));
            let set = (first..=last).filter(|&at| bit(&bytes, at)).count() as u64;
            prop_assert_eq!(count_between(&bytes, first, last), set);
            let place = (first..=last).find(|&at| bit(&bytes, at) == wanted);
            prop_assert_eq!(position(&bytes, wanted, first, last), place);
        }

        #[test]
        fn combining_agrees_with_single_bits(sources in proptest::collection::vec(bytes(), 1..4)) {
            let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
            for how in [Combine::And, Combine::Or, Combine::Xor] {
                let (first, others) = sources.split_first().expect("at least one");
                let mut result = first.to_vec();
                others.iter().for_each(|source| combine(how, &mut result, source));
                prop_assert_eq!(result.len(), longest);
                for at in 0..longest * 8 {
                    let set = sources.iter().filter(|source| bit(source, at)).count();
                    let expected = match how {
                        Combine::And => set == sources.len(),
                        Combine::Or => set > 0,
                        Combine::Xor => set % 2 == 1,
                    };
                    prop_assert_eq!(bit(&result, at), expected);
                }
            }
            prop_assert_eq!(count(&invert(sources[0])), sources[0].len() as u64 * 8 - count(sources[0]));
        }
    }
}
