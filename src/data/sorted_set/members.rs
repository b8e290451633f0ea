//! The members of a large sorted set with their scores, found by their bytes.
//!
//! Entries stand in blocks of 64, one behind the other without holes: when one goes, the last takes its place.
//! A new block moves nothing, so no insertion takes longer because there are many. [`Index`] finds them.

use super::index::Index;
use super::text::Text;
use crate::data::ahead::{Ahead, Stretch};
use crate::data::list::size_class;
use crate::data::table::hash_of;

/// The place of an entry. Removing another entry may change it.
pub type Id = u32;

const BLOCK: usize = 64;

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

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Members {
    blocks: Vec<Vec<Scored>>,
    len: usize,
    index: Index,
    /// What the members own on the heap.
    owned_bytes: usize,
}

impl Members {
    /// None, with room for so many in the index.
    pub fn with_room_for(members: usize) -> Self {
        let blocks = Vec::with_capacity(members.div_ceil(BLOCK));
        Self { blocks, len: 0, index: Index::with_room_for(members), owned_bytes: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The entry at `id`, which has to be there.
    #[inline]
    pub fn entry(&self, id: Id) -> &Scored {
        &self.blocks[id as usize / BLOCK][id as usize % BLOCK]
    }

    /// The member at `id`.
    #[inline]
    pub fn member(&self, id: Id) -> &[u8] {
        self.entry(id).member.as_bytes()
    }

    /// The place of a member. `hash` is [`hash_of`] it.
    #[inline]
    pub fn find(&self, hash: u32, member: &[u8]) -> Option<Id> {
        self.index.find(hash, |id| self.entry(id).member.as_bytes() == member)
    }

    /// Where a search for a member with this hash will read.
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<Stretch> {
        match what {
            Ahead::Slot => Some(self.index.home(hash)),
            Ahead::Inner => None,
            Ahead::Entry => self.index.find(hash, |_| true).map(|id| Stretch::of(self.entry(id))),
        }
    }

    /// Adds a member that is not there.
    ///
    /// # Panics
    ///
    /// When there are 4,294,967,295 members.
    pub fn push(&mut self, hash: u32, member: &[u8], score: f64) -> Id {
        assert!(self.len < Id::MAX as usize, "a sorted set has fewer than 2^32 members");
        let id = self.len as Id;
        let at = self.len / BLOCK;
        if at == self.blocks.len() {
            // Only the first block may stay small.
            self.blocks.push(Vec::with_capacity(if at == 0 { 1 } else { BLOCK }));
        }
        let block = &mut self.blocks[at];
        if block.len() == block.capacity() {
            block.reserve_exact(block.len().min(BLOCK - block.len()));
        }
        let entry = Scored { member: Text::new(member), score };
        self.owned_bytes += entry.member.owned_bytes();
        block.push(entry);
        self.len += 1;
        self.index.insert(hash, id);
        id
    }

    /// Gives a member another score.
    pub fn set_score(&mut self, id: Id, score: f64) {
        self.blocks[id as usize / BLOCK][id as usize % BLOCK].score = score;
    }

    /// Takes the entry at `id`, which has to be there; `hash` is that of its member. The last entry gets its id.
    pub fn remove(&mut self, id: Id, hash: u32) -> Scored {
        let last = (self.len - 1) as Id;
        self.index.remove(hash, id);
        let block = &mut self.blocks[last as usize / BLOCK];
        let Some(moved) = block.pop() else { unreachable!("the last block has entries") };
        if block.is_empty() {
            self.blocks.pop();
        }
        self.len -= 1;
        let removed = if id == last {
            moved
        } else {
            self.index.rename(hash_of(moved.member.as_bytes()), last, id);
            std::mem::replace(&mut self.blocks[id as usize / BLOCK][id as usize % BLOCK], moved)
        };
        if self.blocks.len() > BLOCK && self.blocks.len() * 4 < self.blocks.capacity() {
            self.blocks.shrink_to(self.blocks.len() * 2);
        }
        self.owned_bytes -= removed.member.owned_bytes();
        removed
    }

    /// Shows entries from `cursor` on; see [`Index::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&Scored)) -> u64 {
        self.index.scan(cursor, count, |id| show(self.entry(id)))
    }

    /// The bytes on the heap. O(number of the index's segments).
    pub fn memory_usage(&self) -> usize {
        let last = self.blocks.last().map_or(0, |block| size_class(block.capacity() * size_of::<Scored>()));
        let full = self.blocks.len().saturating_sub(1) * size_class(BLOCK * size_of::<Scored>());
        let spine = size_class(self.blocks.capacity() * size_of::<Vec<Scored>>());
        last + full + spine + self.index.memory_usage() + self.owned_bytes
    }
}
