//! The hash of elements: MurmurHash2 in its 64-bit form "64A" (Austin Appleby), seed and byte order as Redis has them.

const SEED: u64 = 0xadc8_3b19;
const M: u64 = 0xc6a4_a793_5bd1_e995;

/// Hashes an element.
pub(super) fn murmur2(element: &[u8]) -> u64 {
    let (words, rest) = element.as_chunks::<8>();
    // The length counts as a 32-bit number there; no element is that long here.
    let mut hash = SEED ^ (element.len() as u64).wrapping_mul(M);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(M);
        hash = (hash ^ (word ^ word >> 47).wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}
