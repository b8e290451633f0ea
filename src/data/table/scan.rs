//! The walk behind SSCAN, HSCAN and ZSCAN: stateless, and complete although the
//! table changes between two calls.
//!
//! A call shows homes: all entries whose hash ends in the cursor's bits. The cursor
//! counts in reversed binary, from the highest bit of the home down (the scheme
//! is Pieter Noordhuis's, from Redis's `dict.c`). When a table doubles, home `h`
//! of `n` bits splits into `0h` and `1h`; both come after every home that came
//! before `h` and before every home that came after it. So what has been shown
//! stays behind the cursor, and what has not been shown stays before it. When
//! the table halves, two homes become one, and an entry may be shown twice.

use super::{Entry, Table};

/// A call looks at no more than this many homes for each entry asked for.
const HOMES_AN_ENTRY: usize = 10;

impl<E: Entry> Table<E> {
    /// Shows entries from `cursor` on (0 begins) and gives the next cursor, 0 when
    /// all have been shown.
    ///
    /// It stops after `count` entries, but finishes the home it is at, or after
    /// ten homes for each of `count`. An entry that is there from the first call
    /// to the last is shown at least once.
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&E)) -> u64 {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return 0;
        };
        let mut next = cursor;
        let mut shown = 0;
        for _ in 0..count.max(1).saturating_mul(HOMES_AN_ENTRY) {
            shown += self.show_home(next as usize & mask, &mut show);
            next = following(next, mask as u64);
            if next == 0 || shown >= count {
                break;
            }
        }
        next
    }

    /// Shows the entries that are at home in slot `home`: all of them stand
    /// between it and the next empty slot.
    fn show_home(&self, home: usize, show: &mut impl FnMut(&E)) -> usize {
        let mask = self.slots.len() - 1;
        let mut shown = 0;
        let mut at = home;
        while !self.slots[at].is_empty() {
            let slot = self.slots[at];
            if slot.hash as usize & mask == home {
                show(self.entry(slot.id));
                shown += 1;
            }
            at = (at + 1) & mask;
        }
        shown
    }
}

/// The home after `cursor`, counting from the highest bit of `mask` down.
fn following(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_follow_in_reversed_binary() {
        let mut cursor = 0;
        let mut homes = Vec::new();
        loop {
            homes.push(cursor);
            cursor = following(cursor, 7);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(homes, [0, 4, 2, 6, 1, 5, 3, 7]);
    }
}
