//! A large sorted set: members with their scores in a hash table, and the order
//! over them.

use super::Added;
use super::entries::Scored;
use super::leaf::{Item, Leaf};
use super::members::{Id, Members};
use super::order::Order;
use crate::data::ahead::{Ahead, Stretch};
use crate::data::table::hash_of;

/// Entries that move when one goes and too many places are free: one entry less allows four places less.
const MOVED_AT_ONCE: usize = 4;

/// Members with their scores, and the tree that gives ranks.
#[derive(Debug, Clone)]
pub struct Large {
    table: Members,
    order: Order,
}

impl Large {
    /// Members that come in their order.
    pub fn from_sorted<'a>(members: impl ExactSizeIterator<Item = (&'a [u8], f64)>) -> Self {
        let mut large = Self { table: Members::with_room_for(members.len()), order: Order::new() };
        for (member, score) in members {
            let id = large.table.push(hash_of(member), member, score);
            large.order.push(Item { score, id });
        }
        large
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Where a search for a member with this hash will read.
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<Stretch> {
        self.table.ahead(hash, what)
    }

    pub fn insert(&mut self, member: &[u8], score: f64) -> Added {
        let hash = hash_of(member);
        let Some(id) = self.table.find(hash, member) else {
            self.push(hash, member, score);
            return Added::New;
        };
        let old = self.table.entry(id).score;
        if old == score {
            return Added::Same;
        }
        self.take_from_order(id, old, member);
        self.table.set_score(id, score);
        self.put_in_order(id, member, score);
        Added::Updated(old)
    }

    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = hash_of(member);
        let id = self.table.find(hash, member)?;
        let score = self.table.entry(id).score;
        self.take_from_order(id, score, member);
        self.take(id, hash);
        Some(score)
    }

    /// Takes the member with this rank, which has to be there.
    pub fn pop_with<R>(&mut self, rank: usize, take: impl FnOnce(&[u8], f64) -> R) -> R {
        let item = self.order.remove(rank);
        let hash = hash_of(self.member(item.id));
        take(self.take(item.id, hash).member.as_bytes(), item.score)
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.find(hash_of(member), member).map(|id| self.table.entry(id).score)
    }

    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.score(member).map(|score| self.rank_of(score, member))
    }

    /// The member with this rank.
    pub fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        let (leaf, at) = self.order.locate(rank);
        (at < leaf.len()).then(|| self.pair(leaf.get(at)))
    }

    pub fn partition_point(&self, mut is_before: impl FnMut(&[u8], f64) -> bool) -> usize {
        self.order.partition_point(|item| is_before(self.member(item.id), item.score))
    }

    /// [`Large::partition_point`] by scores alone, which needs no look at a member.
    pub fn partition_by_score(&self, mut is_before: impl FnMut(f64) -> bool) -> usize {
        self.order.partition_point(|item| is_before(item.score))
    }

    /// See [`super::SortedSet::walk_scores`]; from the rank `start` to before `end`.
    pub fn walk_scores<'a, T>(
        &'a self,
        start: usize,
        end: usize,
        mut wants: impl FnMut(f64) -> Option<T>,
        mut show: impl FnMut(&'a [u8], f64, T) -> bool,
    ) {
        let mut next = start;
        while next < end {
            let (leaf, at) = self.order.locate(next);
            let here = (leaf.len() - at).min(end - next);
            for item in (at..at + here).map(|at| leaf.get(at)) {
                if let Some(wanted) = wants(item.score)
                    && !show(self.member(item.id), item.score, wanted)
                {
                    return;
                }
            }
            next += here;
        }
    }

    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, count, |entry| show(entry.member.as_bytes(), entry.score))
    }

    pub fn memory_usage(&self) -> usize {
        self.table.memory_usage() + self.order.memory_usage()
    }

    pub fn memory_estimate(&self) -> usize {
        self.table.memory_estimate() + self.order.memory_estimate()
    }

    /// The members with the ranks from `start` to before `end`, which are there.
    pub fn range(&self, start: usize, end: usize) -> Range<'_> {
        Range { large: self, leaf: None, next: start, end }
    }

    /// The same from the highest rank down.
    pub fn range_rev(&self, start: usize, end: usize) -> RangeRev<'_> {
        RangeRev { large: self, leaf: None, start, next: end }
    }

    fn member(&self, id: Id) -> &[u8] {
        self.table.member(id)
    }

    fn pair(&self, item: Item) -> (&[u8], f64) {
        (self.member(item.id), item.score)
    }

    /// How many stand before (`score`, `member`).
    fn rank_of(&self, score: f64, member: &[u8]) -> usize {
        self.order.rank(score, |id| self.member(id) < member)
    }

    /// Adds a member that is not there.
    fn push(&mut self, hash: u32, member: &[u8], score: f64) {
        let id = self.table.push(hash, member, score);
        self.put_in_order(id, member, score);
    }

    fn put_in_order(&mut self, id: Id, member: &[u8], score: f64) {
        let table = &self.table;
        self.order.insert(Item { score, id }, |other| table.member(other) < member);
    }

    /// Takes an entry out of the order, which the table still has.
    fn take_from_order(&mut self, id: Id, score: f64, member: &[u8]) {
        let table = &self.table;
        self.order.remove_item(score, |other| other == id || table.member(other) < member);
    }

    /// Takes an entry that is no longer in the order out of the table; `hash` is that of its member. If places have
    /// become too many, others move, and the order has to hear of it.
    fn take(&mut self, id: Id, hash: u32) -> Scored {
        let taken = self.table.remove(id, hash);
        for _ in 0..MOVED_AT_ONCE {
            let Some((from, to)) = self.table.surplus() else { break };
            let table = &self.table;
            let (member, score) = table.entry(from).as_pair();
            self.order.set_id(score, to, |other| other == from || table.member(other) < member);
            self.table.relocate(from, to);
        }
        taken
    }
}

/// Members by rank, ascending.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    large: &'a Large,
    /// The leaf of the next member, and its place there.
    leaf: Option<(&'a Leaf, usize)>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let (leaf, at) = match self.leaf {
            Some((leaf, at)) if at < leaf.len() => (leaf, at),
            _ => self.large.order.locate(self.next),
        };
        self.leaf = Some((leaf, at + 1));
        self.next += 1;
        Some(self.large.pair(leaf.get(at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.saturating_sub(self.next);
        (left, Some(left))
    }
}

/// Members by rank, descending.
#[derive(Debug, Clone)]
pub struct RangeRev<'a> {
    large: &'a Large,
    /// The leaf of the next member, and the place behind it there.
    leaf: Option<(&'a Leaf, usize)>,
    start: usize,
    /// The rank after the next member's.
    next: usize,
}

impl<'a> Iterator for RangeRev<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next <= self.start {
            return None;
        }
        self.next -= 1;
        let (leaf, at) = match self.leaf {
            Some((leaf, behind)) if behind > 0 => (leaf, behind - 1),
            _ => self.large.order.locate(self.next),
        };
        self.leaf = Some((leaf, at));
        Some(self.large.pair(leaf.get(at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.next.saturating_sub(self.start);
        (left, Some(left))
    }
}
