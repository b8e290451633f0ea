//! `math.random` as Redis has it: the same numbers everywhere after the same seed.
//!
//! The linear congruential generator of `drand48`, of 48 bits, of which the upper 31 are the number.

use std::cell::Cell;

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// The generator of one Lua state.
#[derive(Debug)]
pub(super) struct Random(Cell<u64>);

impl Default for Random {
    fn default() -> Random {
        Random(Cell::new(0x1234_ABCD_330E))
    }
}

impl Random {
    /// Begins the sequence of this seed.
    pub(super) fn seed(&self, seed: i32) {
        self.0.set((u64::from(seed as u32) << 16) | 0x330E);
    }

    /// A number in [0, 1).
    pub(super) fn draw(&self) -> f64 {
        const MAX: u64 = 1 << 31;
        let next = self.0.get().wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        self.0.set(next);
        // As Redis divides: by one less than the number of values.
        ((next >> 17) % (MAX - 1)) as f64 / (MAX - 1) as f64
    }
}
