//! Where the entries of a large sorted set stand: in blocks of 64, each at a place that is its name in the order.
//!
//! An entry that goes leaves its place free, and the next that comes takes it: a queue that stays about as long as it is
//! moves nothing. Only when more than three of four places are free do entries from the end move to the front, a few
//! with each one that goes, so that memory is given back and nothing takes long because there are many.
//!
//! ```text
//! place  0 1 2 3 4 5 6        free: 3 <-> 1
//!        a . c . e f g        the next entry goes to 3
//! ```

use super::text::Text;
use crate::data::list::size_class;

/// The place of an entry.
pub type Id = u32;

const BLOCK: usize = 64;
/// There is no such place.
const NONE: Id = Id::MAX;
/// So many places may be free for each that is taken, beside a block.
const FREE_PER_TAKEN: usize = 3;
/// Free places at the end that are given up at once: more than one entry less allows.
const GIVEN_UP_AT_ONCE: usize = 8;

/// A member with its score.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The member.
    pub member: Text,
    /// Its score.
    pub score: f64,
}

impl Scored {
    /// Both.
    pub fn as_pair(&self) -> (&[u8], f64) {
        (self.member.as_bytes(), self.score)
    }
}

#[derive(Debug, Clone)]
enum Slot {
    Taken(Scored),
    /// One of a list of free ones.
    Free {
        before: Id,
        behind: Id,
    },
}

const _: () = assert!(size_of::<Slot>() == 32);

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Entries {
    blocks: Vec<Vec<Slot>>,
    /// All places, the free ones as well.
    slots: usize,
    taken: usize,
    first_free: Id,
}

impl Entries {
    pub fn with_room_for(entries: usize) -> Self {
        let blocks = Vec::with_capacity(entries.div_ceil(BLOCK));
        Self { blocks, slots: 0, taken: 0, first_free: NONE }
    }

    pub fn len(&self) -> usize {
        self.taken
    }

    /// The entry at `id`, which has to be there.
    #[inline]
    pub fn get(&self, id: Id) -> &Scored {
        match &self.blocks[id as usize / BLOCK][id as usize % BLOCK] {
            Slot::Taken(entry) => entry,
            Slot::Free { .. } => unreachable!("the place of an entry is taken"),
        }
    }

    /// Gives a member another score.
    pub fn set_score(&mut self, id: Id, score: f64) {
        if let Slot::Taken(entry) = self.slot_mut(id) {
            entry.score = score;
        }
    }

    /// Adds an entry, and says where.
    ///
    /// # Panics
    ///
    /// When there are 4,294,967,295 members.
    pub fn push(&mut self, entry: Scored) -> Id {
        self.taken += 1;
        let free = self.first_free;
        if free != NONE {
            self.unlink(free);
            *self.slot_mut(free) = Slot::Taken(entry);
            return free;
        }
        assert!(self.slots < NONE as usize, "a sorted set has fewer than 2^32 members");
        let at = self.slots / BLOCK;
        if at == self.blocks.len() {
            // Only the first block may stay small.
            self.blocks.push(Vec::with_capacity(if at == 0 { 1 } else { BLOCK }));
        }
        let block = &mut self.blocks[at];
        if block.len() == block.capacity() {
            block.reserve_exact(block.len().min(BLOCK - block.len()));
        }
        block.push(Slot::Taken(entry));
        self.slots += 1;
        (self.slots - 1) as Id
    }

    /// Takes the entry at `id` out, which has to be there.
    pub fn remove(&mut self, id: Id) -> Scored {
        let behind = std::mem::replace(&mut self.first_free, id);
        if behind != NONE
            && let Slot::Free { before, .. } = self.slot_mut(behind)
        {
            *before = id;
        }
        let freed = std::mem::replace(self.slot_mut(id), Slot::Free { before: NONE, behind });
        self.taken -= 1;
        self.give_up_end();
        match freed {
            Slot::Taken(entry) => entry,
            Slot::Free { .. } => unreachable!("the place of an entry is taken"),
        }
    }

    /// An entry that is to move, and where to, because too many places are free.
    pub fn surplus(&self) -> Option<(Id, Id)> {
        let free = self.slots - self.taken;
        let last = self.slots.checked_sub(1)? as Id;
        let is_taken = matches!(self.slot(last), Slot::Taken(_));
        (free > self.taken * FREE_PER_TAKEN + BLOCK && is_taken).then_some((last, self.first_free))
    }

    /// Moves the last entry to a free place.
    pub fn relocate(&mut self, last: Id, free: Id) {
        self.unlink(free);
        let Some(entry) = self.pop() else { return };
        debug_assert_eq!(self.slots, last as usize, "the last one moves");
        *self.slot_mut(free) = entry;
        self.give_up_end();
    }

    /// The bytes on the heap, but for what the members own.
    pub fn memory_usage(&self) -> usize {
        let last = self.blocks.last().map_or(0, |block| size_class(block.capacity() * size_of::<Slot>()));
        let full = self.blocks.len().saturating_sub(1) * size_class(BLOCK * size_of::<Slot>());
        last + full + size_class(self.blocks.capacity() * size_of::<Vec<Slot>>())
    }

    fn slot(&self, id: Id) -> &Slot {
        &self.blocks[id as usize / BLOCK][id as usize % BLOCK]
    }

    fn slot_mut(&mut self, id: Id) -> &mut Slot {
        &mut self.blocks[id as usize / BLOCK][id as usize % BLOCK]
    }

    /// Takes a free place out of the list of them.
    fn unlink(&mut self, id: Id) {
        let &Slot::Free { before: earlier, behind: later } = self.slot(id) else { return };
        if earlier == NONE {
            self.first_free = later;
        } else if let Slot::Free { behind, .. } = self.slot_mut(earlier) {
            *behind = later;
        }
        if later != NONE
            && let Slot::Free { before, .. } = self.slot_mut(later)
        {
            *before = earlier;
        }
    }

    /// Gives up some free places at the end. Those that are left go with the next entries.
    fn give_up_end(&mut self) {
        for _ in 0..GIVEN_UP_AT_ONCE {
            let Some(last) = self.slots.checked_sub(1) else { return };
            if matches!(self.slot(last as Id), Slot::Taken(_)) {
                return;
            }
            self.unlink(last as Id);
            self.pop();
        }
    }

    /// Gives up the last place.
    fn pop(&mut self) -> Option<Slot> {
        let block = self.blocks.last_mut()?;
        let slot = block.pop();
        if block.is_empty() {
            self.blocks.pop();
        }
        self.slots -= 1;
        if self.blocks.len() > BLOCK && self.blocks.len() * 4 < self.blocks.capacity() {
            self.blocks.shrink_to(self.blocks.len() * 2);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(number: u64) -> Scored {
        Scored { member: Text::new(format!("member:{number}").as_bytes()), score: number as f64 }
    }

    /// Moves what is too much, as its owner does.
    fn settle(entries: &mut Entries, model: &mut BTreeMap<Id, u64>) {
        for _ in 0..=FREE_PER_TAKEN {
            let Some((from, to)) = entries.surplus() else { return };
            entries.relocate(from, to);
            let number = model.remove(&from).expect("what moves was there");
            assert_eq!(model.insert(to, number), None, "the place was free");
        }
    }

    /// Adds and removes by turns that depend on `seed`, more of either by `share` of 256.
    fn run(entries: &mut Entries, model: &mut BTreeMap<Id, u64>, steps: u64, share: u64, seed: &mut u64) {
        for _ in 0..steps {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = *seed >> 33;
            if random % 256 < share || model.is_empty() {
                let id = entries.push(entry(random));
                assert_eq!(model.insert(id, random), None, "the place was free");
            } else {
                let from = (random / 256) as Id % entries.slots as Id;
                let (&id, &number) = model.range(from..).next().or(model.iter().next()).expect("some");
                assert_eq!(entries.remove(id).score, number as f64);
                model.remove(&id);
                settle(entries, model);
            }
            let most = model.len() * (FREE_PER_TAKEN + 1) + 2 * BLOCK;
            assert!(entries.slots <= most, "{} places for {}", entries.slots, model.len());
        }
        assert_eq!(entries.len(), model.len());
        for (&id, &number) in model.iter() {
            assert_eq!(entries.get(id).as_pair(), (format!("member:{number}").as_bytes(), number as f64));
        }
    }

    #[test]
    fn places_are_used_again_and_given_back() {
        let (mut entries, mut model, mut seed) = (Entries::with_room_for(0), BTreeMap::new(), 7);
        for (steps, share) in [(20_000, 200), (20_000, 128), (30_000, 40), (5_000, 250), (20_000, 0)] {
            run(&mut entries, &mut model, steps, share, &mut seed);
        }
        assert_eq!((entries.len() <= 1, entries.slots <= BLOCK + 5), (true, true), "{entries:?}");
    }

    #[test]
    fn a_queue_moves_nothing() {
        let mut entries = Entries::with_room_for(0);
        let mut ids: std::collections::VecDeque<Id> = (0..1_000).map(|n| entries.push(entry(n))).collect();
        for number in 1_000..10_000 {
            let first = ids.pop_front().expect("a thousand");
            entries.remove(first);
            assert_eq!(entries.surplus(), None);
            ids.push_back(entries.push(entry(number)));
        }
        assert_eq!((entries.len(), entries.slots), (1_000, 1_000));
    }

    #[test]
    fn the_oldest_that_stay_do_not_hold_the_places_of_the_others() {
        let mut entries = Entries::with_room_for(0);
        let mut model: BTreeMap<Id, u64> = (0..100_000).map(|n| (entries.push(entry(n)), n)).collect();
        // The first 90,000 go, then from the middle of the rest.
        while model.len() > 100 {
            let id = *model.range((100_000 - 5_000)..).next().or(model.iter().next()).expect("some").0;
            let id = if model.len() > 10_000 { *model.iter().next().expect("some").0 } else { id };
            model.remove(&id);
            entries.remove(id);
            settle(&mut entries, &mut model);
            assert!(entries.slots <= model.len() * (FREE_PER_TAKEN + 1) + 2 * BLOCK);
        }
    }
}
