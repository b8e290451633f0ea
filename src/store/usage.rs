//! How recently or how often a key was used: the 24 bits that eviction chooses by.
//!
//! Under an LRU policy they hold 23 bits of seconds (a clock that wraps after 97 days) and whether the key was used
//! again since it was new; under LFU 16 bits of minutes since the counter last decayed and 8 bits of a logarithmic
//! counter. Redis has a bit more of seconds in place of the other; its OBJECT IDLETIME and OBJECT FREQ show them.
//!
//! The bit is worth more than what it takes. Most keys of a cache are asked for once and never again (one in a scan
//! always is), and the time of the last use alone lets them push out keys that are used now and then.

/// How an access is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The time of the last access.
    Lru,
    /// An access counter that grows with the logarithm and decays with time.
    Lfu {
        /// How many hits saturate the counter (`lfu-log-factor`).
        log_factor: u32,
        /// Minutes after which the counter loses one (`lfu-decay-time`; 0 means never).
        decay_minutes: u32,
    },
}

const LRU_MASK: u32 = 0x7F_FFFF;
/// Set once a key was used after it was new.
const REUSED: u32 = 0x80_0000;
const MINUTES_MASK: u32 = 0xFFFF;
/// A new key starts here, so that it is not evicted before it had a chance.
const LFU_START: u32 = 5;

fn lru_seconds(now_ms: u64) -> u32 {
    (now_ms / 1_000) as u32 & LRU_MASK
}

fn minutes(now_ms: u64) -> u32 {
    (now_ms / 60_000) as u32 & MINUTES_MASK
}

impl Usage {
    /// The bits of a new key.
    #[inline]
    pub fn fresh(self, now_ms: u64) -> u32 {
        match self {
            Usage::Lru => lru_seconds(now_ms),
            Usage::Lfu { .. } => minutes(now_ms) << 8 | LFU_START,
        }
    }

    /// The bits after one more access. `random` decides whether the logarithmic counter moves.
    #[inline]
    pub fn touched(self, bits: u32, now_ms: u64, random: impl FnOnce() -> u32) -> u32 {
        match self {
            Usage::Lru => lru_seconds(now_ms) | REUSED,
            Usage::Lfu { log_factor, decay_minutes } => {
                let counter = decayed(bits, now_ms, decay_minutes);
                minutes(now_ms) << 8 | grown(counter, log_factor, random())
            }
        }
    }

    /// The bits of a key whose value is replaced by another: under LFU, as in Redis, how often it was used stays.
    #[inline]
    pub fn replaced(self, bits: u32, now_ms: u64) -> u32 {
        match self {
            Usage::Lru => lru_seconds(now_ms) | REUSED,
            Usage::Lfu { .. } => bits,
        }
    }
}

/// Seconds since the last access, from LRU bits.
pub fn idle_seconds(bits: u32, now_ms: u64) -> u32 {
    lru_seconds(now_ms).wrapping_sub(bits) & LRU_MASK
}

/// Whether the key was used after it was new, from LRU bits.
pub fn is_reused(bits: u32) -> bool {
    bits & REUSED != 0
}

/// Minutes since the last access, from LFU bits.
pub fn idle_minutes(bits: u32, now_ms: u64) -> u32 {
    minutes(now_ms).wrapping_sub(bits >> 8) & MINUTES_MASK
}

/// LRU bits for a key that was idle for `seconds` already.
pub fn idle_since(seconds: u64, now_ms: u64) -> u32 {
    let seconds = seconds.min(u64::from(LRU_MASK));
    lru_seconds(now_ms.saturating_sub(seconds * 1_000))
}

/// LFU bits with a given counter.
pub fn with_frequency(counter: u8, now_ms: u64) -> u32 {
    minutes(now_ms) << 8 | u32::from(counter)
}

/// The LFU counter after what time took off it.
pub fn decayed(bits: u32, now_ms: u64, decay_minutes: u32) -> u32 {
    let counter = bits & 0xFF;
    let elapsed = minutes(now_ms).wrapping_sub(bits >> 8) & MINUTES_MASK;
    elapsed.checked_div(decay_minutes).map_or(counter, |periods| counter.saturating_sub(periods))
}

/// Probability of growing is 1 / (hits above the start * factor + 1).
fn grown(counter: u32, log_factor: u32, random: u32) -> u32 {
    if counter >= 255 {
        return 255;
    }
    let above = u64::from(counter.saturating_sub(LFU_START));
    let odds = above * u64::from(log_factor) + 1;
    if u64::from(random) * odds <= u64::from(u32::MAX) { counter + 1 } else { counter }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn idle_time_counts_seconds_and_survives_the_wrap() {
        let bits = Usage::Lru.fresh(NOW);
        assert_eq!(idle_seconds(bits, NOW + 42_000), 42);
        assert_eq!(idle_seconds(LRU_MASK, u64::from(LRU_MASK) * 1_000 + 3_000), 3);
        assert_eq!(idle_seconds(idle_since(77, NOW), NOW), 77);
        assert_eq!(idle_seconds(idle_since(u64::MAX, NOW), NOW), LRU_MASK);
    }

    #[test]
    fn what_is_used_again_is_known_and_as_idle_as_what_is_new() {
        let fresh = Usage::Lru.fresh(NOW);
        let again = Usage::Lru.touched(fresh, NOW + 1_000, || 0);
        assert!(!is_reused(fresh) && is_reused(again) && !is_reused(idle_since(7, NOW)));
        assert_eq!(idle_seconds(again, NOW + 4_000), 3);
        assert!(is_reused(Usage::Lru.touched(again, NOW + 9_000, || 0)));
    }

    #[test]
    fn a_counter_grows_at_once_when_young_and_rarely_when_old() {
        let usage = Usage::Lfu { log_factor: 10, decay_minutes: 1 };
        let young = usage.touched(usage.fresh(NOW), NOW, || u32::MAX);
        assert_eq!(young & 0xFF, LFU_START + 1);
        let old = with_frequency(100, NOW);
        assert_eq!(usage.touched(old, NOW, || u32::MAX) & 0xFF, 100);
        assert_eq!(usage.touched(old, NOW, || 0) & 0xFF, 101);
        assert_eq!(usage.touched(with_frequency(255, NOW), NOW, || 0) & 0xFF, 255);
    }

    #[test]
    fn a_counter_decays_with_the_minutes() {
        let bits = with_frequency(10, NOW);
        assert_eq!(decayed(bits, NOW + 3 * 60_000, 1), 7);
        assert_eq!(decayed(bits, NOW + 600 * 60_000, 1), 0);
        assert_eq!(decayed(bits, NOW + 600 * 60_000, 0), 10);
    }
}
