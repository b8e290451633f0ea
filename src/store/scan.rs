//! SCAN: a walk over a database that keeps no state between its steps.
//!
//! ```text
//! cursor, 63 bits:  | generation 15 | slot 32 | shard 16 |
//! ```
//!
//! An entry keeps its slot until its shard's table is rebuilt, and a rebuild bumps the shard's
//! generation. So a cursor whose generation still holds continues exactly where it was; one whose
//! generation does not starts that one shard again. What was there all along is returned at least
//! once; duplicates are possible, losses are not.

use super::entry::Entry;
use super::view::View;

/// Where a scan goes on. The start is 0, and so is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

const SHARD_BITS: u32 = 16;
const SLOT_BITS: u32 = 32;
const GENERATION_MASK: u64 = 0x7FFF;

impl Cursor {
    fn new(generation: u32, slot: usize, shard: usize) -> Cursor {
        let generation = u64::from(generation) & GENERATION_MASK;
        Cursor(generation << (SLOT_BITS + SHARD_BITS) | (slot as u64) << SHARD_BITS | shard as u64)
    }

    fn shard(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }

    /// The slot to go on with in a shard that has come to `generation`.
    fn slot_in(self, generation: u32) -> usize {
        let same =
            self.0 >> (SLOT_BITS + SHARD_BITS) & GENERATION_MASK == u64::from(generation) & GENERATION_MASK;
        if same { (self.0 >> SHARD_BITS & 0xFFFF_FFFF) as usize } else { 0 }
    }
}

impl View<'_> {
    /// Shows some entries from `cursor` on, looking at about `count` slots beyond the empty ones, and
    /// returns where to go on. Expired entries are not shown.
    pub fn scan(&mut self, cursor: Cursor, count: usize, mut show: impl FnMut(&Entry)) -> Cursor {
        self.release_touched();
        let now = self.now_ms();
        let Some(database) = self.store.existing(self.physical) else { return Cursor(0) };
        let (mut shard, mut cursor) = (cursor.shard(), cursor);
        let (mut shown, mut looked) = (0usize, 0usize);
        // Ten slots looked at for one asked for bounds the work on a sparse table.
        let look_limit = count.saturating_mul(10);
        while shard < database.shards() {
            let guard = database.lock(shard);
            let generation = guard.side().generation;
            let start = cursor.slot_in(generation);
            let slots = if guard.is_empty() { 0 } else { guard.slots() };
            for slot in start..slots {
                if shown >= count || looked >= look_limit {
                    return Cursor::new(generation, slot, shard);
                }
                looked += 1;
                if let Some(entry) = guard.get(slot)
                    && !entry.is_expired(now)
                {
                    shown += 1;
                    show(entry);
                }
            }
            shard += 1;
            // The next shard begins at its first slot whatever its generation is.
            cursor = Cursor(0);
            if shown >= count && shard < database.shards() {
                let generation = database.lock(shard).side().generation;
                return Cursor::new(generation, 0, shard);
            }
        }
        Cursor(0)
    }
}
