//! The members of a large sorted set with their scores, found by their bytes: [`Entries`], and an [`Index`] over them.

use super::entries::{Entries, Scored};
use super::index::Index;
use super::text::Text;
use crate::data::ahead::{Ahead, Stretch};
use crate::data::table::hash_of;

pub use super::entries::Id;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Members {
    entries: Entries,
    index: Index,
    /// What the members own on the heap.
    owned_bytes: usize,
}

impl Members {
    /// None, with room for so many in the index.
    pub fn with_room_for(members: usize) -> Self {
        Self {
            entries: Entries::with_room_for(members),
            index: Index::with_room_for(members),
            owned_bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at `id`, which has to be there.
    #[inline]
    pub fn entry(&self, id: Id) -> &Scored {
        self.entries.get(id)
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
    pub fn push(&mut self, hash: u32, member: &[u8], score: f64) -> Id {
        let entry = Scored { member: Text::new(member), score };
        self.owned_bytes += entry.member.owned_bytes();
        let id = self.entries.push(entry);
        self.index.insert(hash, id);
        id
    }

    /// Gives a member another score.
    pub fn set_score(&mut self, id: Id, score: f64) {
        self.entries.set_score(id, score);
    }

    /// Takes the entry at `id`, which has to be there; `hash` is that of its member.
    pub fn remove(&mut self, id: Id, hash: u32) -> Scored {
        self.index.remove(hash, id);
        let removed = self.entries.remove(id);
        self.owned_bytes -= removed.member.owned_bytes();
        removed
    }

    /// An entry that is to move, and where to: see [`Entries::surplus`].
    pub fn surplus(&self) -> Option<(Id, Id)> {
        self.entries.surplus()
    }

    /// Moves it.
    pub fn relocate(&mut self, from: Id, to: Id) {
        self.index.rename(hash_of(self.member(from)), from, to);
        self.entries.relocate(from, to);
    }

    /// Shows entries from `cursor` on; see [`Index::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&Scored)) -> u64 {
        self.index.scan(cursor, count, |id| show(self.entry(id)))
    }

    /// The bytes on the heap. O(number of the index's segments).
    pub fn memory_usage(&self) -> usize {
        self.entries.memory_usage() + self.index.memory_usage() + self.owned_bytes
    }

    /// The same roughly: see [`Index::memory_estimate`].
    pub fn memory_estimate(&self) -> usize {
        self.entries.memory_usage() + self.index.memory_estimate() + self.owned_bytes
    }
}
