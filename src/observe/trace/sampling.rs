//! Which commands and which other work become spans, and the cap that holds whatever happens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::context::Caller;

/// What share of the work is traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The share of commands, from 0 to 1.
    pub ratio: f64,
    /// Whether a caller who sends a trace of its own decides for its request.
    pub parent_based: bool,
    /// The share of saves, loads and admin requests. They are rare and each is worth seeing, so
    /// without `OTEL_TRACES_SAMPLER` all of them are traced; with it, it decides for all alike.
    pub background: f64,
}

impl Default for Sampling {
    /// One command in a thousand, parent-based.
    fn default() -> Self {
        Self { ratio: 0.001, parent_based: true, background: 1.0 }
    }
}

impl Sampling {
    /// Whether work in a caller's trace is traced. Where the caller does not decide, the trace's id does,
    /// so that of one trace all spans are kept, or none.
    pub(super) fn takes(&self, caller: &Caller) -> bool {
        if self.parent_based {
            return caller.is_sampled();
        }
        caller.lot() < (self.ratio * (1_u64 << 63) as f64) as u64
    }
}

/// Draws the commands to sample. Each is drawn on its own with the same chance; instead of
/// asking chance every time, the gap to the next one is drawn, which has a geometric
/// distribution. So a command costs one subtraction and one branch.
#[derive(Clone, Debug)]
pub struct Draw {
    left: u64,
    state: u64,
    /// ln(1 - ratio).
    log_miss: f64,
}

impl Draw {
    /// Draws with this chance, from 0 to 1. Different seeds give independent draws.
    pub fn new(ratio: f64, seed: u64) -> Self {
        // The state must not be zero; the odd constant spreads small seeds (splitmix64's).
        let state = (seed.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = Self { left: 1, state, log_miss: (-ratio.clamp(0.0, 1.0)).ln_1p() };
        draw.left = draw.gap();
        draw
    }

    /// Whether this one is to be sampled.
    #[inline]
    pub fn hit(&mut self) -> bool {
        self.left -= 1;
        if self.left != 0 {
            return false;
        }
        self.left = self.gap();
        true
    }

    /// How many to go until the next hit, at least 1.
    #[cold]
    fn gap(&mut self) -> u64 {
        if self.log_miss == 0.0 {
            // Never: not within the life of any machine.
            return u64::MAX;
        }
        // xorshift64*, G. Marsaglia 2003 and S. Vigna 2016; 53 bits make a number in (0, 1].
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        let uniform = (bits + 1) as f64 / (1_u64 << 53) as f64;
        // The conversion saturates, and -inf (a ratio of 1) gives a gap of 1.
        1_u64.saturating_add((uniform.ln() / self.log_miss) as u64)
    }
}

/// At most so many spans a second.
#[derive(Debug)]
pub(super) struct Cap {
    per_second: u64,
    /// The second, above 24 bits that count its spans.
    window: AtomicU64,
}

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Cap {
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second.min(COUNT_MASK), window: AtomicU64::new(0) }
    }

    /// Whether so many spans may still be made in the second of this time.
    pub fn admit(&self, spans: u64, now_ns: u64) -> bool {
        let second = (now_ns / 1_000_000_000) << COUNT_BITS;
        let taken = self.window.fetch_update(Relaxed, Relaxed, |window| {
            let used = if window & !COUNT_MASK == second { window & COUNT_MASK } else { 0 };
            (used + spans <= self.per_second).then_some(second | (used + spans))
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_exact() {
        let mut always = Draw::new(1.0, 7);
        assert!((0..1000).all(|_| always.hit()));
        let mut never = Draw::new(0.0, 7);
        assert!((0..100_000).all(|_| !never.hit()));
    }

    #[test]
    fn the_share_is_as_asked() {
        for (ratio, seed) in [(0.5, 1), (0.1, 2), (0.001, 3)] {
            let mut draw = Draw::new(ratio, seed);
            let draws = 4_000_000;
            let hits = (0..draws).filter(|_| draw.hit()).count() as f64;
            let expected = f64::from(draws) * ratio;
            // Five standard deviations of a binomial; the seed is fixed, so this cannot flicker.
            let bound = 5.0 * (expected * (1.0 - ratio)).sqrt();
            assert!((hits - expected).abs() < bound, "{hits} for {expected}");
        }
    }

    #[test]
    fn of_one_trace_all_is_kept_or_nothing() {
        let caller = |half: &str, flags: &str| {
            let text = format!("00-4bf92f3577b34da6{half}-00f067aa0ba902b7-{flags}");
            Caller::parse(text.as_bytes(), None).expect("it is well-formed")
        };
        let by = |ratio, parent_based| Sampling { ratio, parent_based, background: ratio };
        for (ratio, half, kept) in [
            (0.0, "0000000000000000", false),
            (0.25, "3fffffffffffffff", true),
            (0.25, "4000000000000000", false),
            (1.0, "ffffffffffffffff", true),
        ] {
            assert_eq!(by(ratio, false).takes(&caller(half, "00")), kept, "{ratio} {half}");
        }
        assert!(by(0.0, true).takes(&caller("ffffffffffffffff", "01")));
        assert!(!by(1.0, true).takes(&caller("0000000000000000", "00")));
    }

    #[test]
    fn seeds_draw_differently() {
        let hits = |seed| {
            let mut draw = Draw::new(0.2, seed);
            (0..64).map(|_| draw.hit()).collect::<Vec<_>>()
        };
        assert_ne!(hits(0), hits(1));
    }

    #[test]
    fn the_cap_holds_each_second() {
        let cap = Cap::new(5);
        assert!(cap.admit(3, 1_000_000_000));
        assert!(!cap.admit(3, 1_500_000_000), "a trace is let through as a whole or not at all");
        assert!(cap.admit(2, 1_999_999_999));
        assert!(!cap.admit(1, 1_999_999_999));
        assert!(cap.admit(5, 2_000_000_000));
        assert!(!Cap::new(0).admit(1, 0));
    }
}
