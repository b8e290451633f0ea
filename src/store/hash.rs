//! From a key to its shard: a keyed hash, and shards of unequal weight.

use siphasher::sip::SipHasher13;

/// The hash of a key. The low bits and the top seven address the table inside a shard
/// (hashbrown's rule); bits 25 to 56 choose the shard.
pub type KeyHash = u64;

/// SipHash-1-3 under a key drawn at start, so that a client that sees SCAN's order cannot
/// make keys that collide.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    sip: SipHasher13,
}

impl KeyHasher {
    /// A hasher with a key from the system's random source.
    pub fn random() -> KeyHasher {
        let mut key = [0u8; 16];
        if getrandom::fill(&mut key).is_err() {
            // No source of randomness: the address space layout still differs from run to run.
            let here = std::ptr::from_ref(&key) as u64;
            key[..8].copy_from_slice(&here.to_le_bytes());
        }
        KeyHasher::with_key(&key)
    }

    /// A hasher with a given key, for tests that want the same order each time.
    pub fn with_key(key: &[u8; 16]) -> KeyHasher {
        KeyHasher { sip: SipHasher13::new_with_key(key) }
    }

    pub(super) fn sip(&self) -> SipHasher13 {
        self.sip
    }

    /// Hashes a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        self.sip.hash(key)
    }
}

/// The shard of a hash among `shards` (a power of two up to 65,536).
///
/// Tables double when they are full; with equal shards all of them would double within the same
/// few thousand insertions. So the shards' shares of the keys are spread over one octave: with u
/// uniform in [0, 1), the shard is floor(shards * log2(1 + u)). The quadratic below stands in for
/// log2(1 + u): its slope falls from 1.3465 to 0.6535, as good an octave, for two multiplications.
#[inline]
pub fn shard_of(hash: KeyHash, shards: usize) -> usize {
    const SLOPE_AT_ZERO: u64 = (1.3465 * (1u64 << 30) as f64) as u64;
    const BEND: u64 = (0.3465 * (1u64 << 30) as f64) as u64;
    let u = (hash >> 25) & 0xFFFF_FFFF;
    let slope = SLOPE_AT_ZERO - ((u * BEND) >> 32);
    let share = (u * slope) >> 30;
    // `share` is below 2^32 but for rounding at the very end of the range.
    ((share * shards as u64) >> 32).min(shards as u64 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_differ_in_weight_by_an_octave() {
        let hasher = KeyHasher::with_key(&[7; 16]);
        let shards = 64;
        let mut counts = vec![0u32; shards];
        for number in 0..200_000u32 {
            counts[shard_of(hasher.hash(&number.to_le_bytes()), shards)] += 1;
        }
        let (first, last) = (f64::from(counts[0]), f64::from(counts[shards - 1]));
        assert!((1.7..2.4).contains(&(last / first)), "{first} {last}");
        assert!(counts.windows(8).all(|w| w[7] * 10 > w[0] * 9), "weights rise along the shards");
    }

    #[test]
    fn every_hash_has_a_shard() {
        for shards in [16usize, 4096, 65_536] {
            assert_eq!(shard_of(0, shards), 0);
            assert_eq!(shard_of(u64::MAX, shards), shards - 1);
        }
    }
}
