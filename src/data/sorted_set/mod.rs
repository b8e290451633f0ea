//! The sorted set: distinct byte strings with a score each, ordered by score and
//! then by their bytes.
//!
//! Few and short members: one buffer, in order (`packed.rs`; Redis's listpack).
//! Anything else: the members with their scores in blocks (`entries.rs`), a hash
//! table over them that grows a piece at a time (`index.rs`), and a tree that
//! counts (`order.rs`; Redis has a skip list there). The way from the first form
//! to the second is not taken back.

pub mod combine;
mod entries;
mod index;
#[cfg(test)]
mod index_tests;
mod inner;
mod iter;
mod large;
mod leaf;
mod members;
mod order;
mod packed;
mod serial;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Bound;

pub use iter::Iter;
use iter::Walk;
use large::Large;
use packed::Packed;

use super::ahead::{Ahead, Stretch};
use super::list::size_class;
use super::table::{Limits, place_of};

/// A set of byte strings in the order of their scores.
///
/// It is 16 bytes large; what it owns beside that is in
/// [`SortedSet::memory_usage`]. Scores are any `f64` but NaN, which the caller
/// keeps away. -0.0 and 0.0 are the same score.
#[derive(Clone)]
pub struct SortedSet {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Packed(Packed),
    Large(Box<Large>),
}

const _: () = assert!(size_of::<SortedSet>() == 16);

/// What became of a member and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Added {
    /// The member was not there.
    New,
    /// The member was there with this score, and has the new one now.
    Updated(f64),
    /// The member was there with this score.
    Same,
}

/// Whether the first of two members stands before the second.
fn before(score: f64, member: &[u8], other_score: f64, other: &[u8]) -> bool {
    score < other_score || (score == other_score && member < other)
}

impl SortedSet {
    /// A sorted set without members, which owns no memory.
    pub fn new() -> Self {
        Self { form: Form::Packed(Packed::new()) }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(members) => members.len(),
            Form::Large(large) => large.len(),
        }
    }

    /// Where a search for an element with this hash ([`element_hash`]) will read; `None` in the small form,
    /// which lies close together.
    ///
    /// [`element_hash`]: crate::data::element_hash
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<Stretch> {
        match &self.form {
            Form::Large(large) => large.ahead(hash, what),
            Form::Packed(_) => None,
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives a member this score. `score` is not NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Added {
        if let Form::Packed(members) = &mut self.form {
            // Redis packs a whole number as an integer, so -0.0 comes back as 0 from there (and only there).
            let packed = score + 0.0;
            match members.score(member) {
                Some(old) if old == score => return Added::Same,
                Some(old) => {
                    members.remove(member);
                    members.insert(member, packed);
                    return Added::Updated(old);
                }
                None if members.len() < limits.max_entries && member.len() <= limits.max_value => {
                    members.insert(member, packed);
                    return Added::New;
                }
                None => {}
            }
        }
        self.large_mut().insert(member, score)
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.form {
            Form::Packed(members) => members.remove(member),
            Form::Large(large) => large.remove(member),
        }
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.form {
            Form::Packed(members) => members.score(member),
            Form::Large(large) => large.score(member),
        }
    }

    /// Whether `member` is in the set.
    pub fn contains(&self, member: &[u8]) -> bool {
        self.score(member).is_some()
    }

    /// How many members stand before this one.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.form {
            Form::Packed(members) => members.iter().position(|(other, _)| other == member),
            Form::Large(large) => large.rank(member),
        }
    }

    /// A sorted set of distinct members that come in their order. Large ones are built in one go.
    pub fn from_sorted<'a>(
        members: impl ExactSizeIterator<Item = (&'a [u8], f64)> + Clone,
        limits: &Limits,
    ) -> Self {
        let packs = members.len() <= limits.max_entries
            && members.clone().all(|(member, _)| member.len() <= limits.max_value);
        let form = if packs {
            let mut packed = Packed::new();
            members.for_each(|(member, score)| packed.push(member, score + 0.0));
            Form::Packed(packed)
        } else {
            Form::Large(Box::new(Large::from_sorted(members)))
        };
        Self { form }
    }

    /// Takes the first member out and gives what `take` makes of it.
    pub fn pop_min_with<R>(&mut self, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        self.pop_with(0, take)
    }

    /// Takes the last member out and gives what `take` makes of it.
    pub fn pop_max_with<R>(&mut self, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        self.pop_with(self.len().checked_sub(1)?, take)
    }

    fn pop_with<R>(&mut self, rank: usize, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        match &mut self.form {
            Form::Packed(members) => members.pop_with(rank, take),
            Form::Large(large) => (rank < large.len()).then(|| large.pop_with(rank, take)),
        }
    }

    /// Takes the members with the ranks from `start` to before `end` out.
    pub fn remove_range(&mut self, start: usize, end: usize) {
        let end = end.min(self.len());
        match &mut self.form {
            Form::Packed(members) => members.remove_range(start, end),
            Form::Large(large) => (start..end).for_each(|_| large.pop_with(start, |_, _| ())),
        }
    }

    /// The members from the first to the last.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0, self.len())
    }

    /// At most `count` members, beginning with the one of rank `start`.
    pub fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let start = start.min(self.len());
        let count = count.min(self.len() - start);
        Iter(match &self.form {
            Form::Packed(members) => {
                let mut members = members.iter();
                if start > 0 {
                    members.nth(start - 1);
                }
                Walk::Packed(members.take(count))
            }
            Form::Large(large) => Walk::Large(large.range(start, start + count)),
        })
    }

    /// At most `count` members towards the first, beginning with the one that has
    /// `skip` members behind it (0: the last).
    pub fn range_rev(&self, skip: usize, count: usize) -> Iter<'_> {
        let end = self.len().saturating_sub(skip);
        let start = end.saturating_sub(count);
        Iter(match &self.form {
            Form::Packed(_) => {
                let members: Vec<_> = self.range(start, end - start).collect();
                Walk::PackedRev(members.into_iter().rev())
            }
            Form::Large(large) => Walk::LargeRev(large.range_rev(start, end)),
        })
    }

    /// The ranks of the members with scores from `min` to `max`: the first one's,
    /// and the one after the last one's. Both are the same when there are none.
    ///
    /// O(log n), or O(n) while the set is packed.
    pub fn range_by_score(&self, min: Bound<f64>, max: Bound<f64>) -> (usize, usize) {
        let start = match min {
            Bound::Included(min) => self.partition_by_score(|score| score < min),
            Bound::Excluded(min) => self.partition_by_score(|score| score <= min),
            Bound::Unbounded => 0,
        };
        let end = match max {
            Bound::Included(max) => self.partition_by_score(|score| score <= max),
            Bound::Excluded(max) => self.partition_by_score(|score| score < max),
            Bound::Unbounded => self.len(),
        };
        (start, end.max(start))
    }

    /// How many members from the first on are of the kind that `is_before` says.
    /// It has to be true of the first ones and false of all others.
    ///
    /// O(log n), or O(n) while the set is packed.
    pub fn partition_point(&self, mut is_before: impl FnMut(&[u8], f64) -> bool) -> usize {
        match &self.form {
            Form::Packed(members) => {
                members.iter().take_while(|&(member, score)| is_before(member, score)).count()
            }
            Form::Large(large) => large.partition_point(is_before),
        }
    }

    fn partition_by_score(&self, mut is_before: impl FnMut(f64) -> bool) -> usize {
        match &self.form {
            Form::Packed(members) => members.iter().take_while(|&(_, score)| is_before(score)).count(),
            Form::Large(large) => large.partition_by_score(is_before),
        }
    }

    /// Walks over the members with scores from `min` to before `max`. `wants` sees each score; what it makes
    /// something of is shown with its member, until `show` says false. Members that are not wanted are not
    /// even looked up.
    pub fn walk_scores<'a, T>(
        &'a self,
        min: f64,
        max: f64,
        mut wants: impl FnMut(f64) -> Option<T>,
        mut show: impl FnMut(&'a [u8], f64, T) -> bool,
    ) {
        let (start, end) = self.range_by_score(Bound::Included(min), Bound::Excluded(max));
        match &self.form {
            Form::Packed(members) => {
                members
                    .iter()
                    .skip(start)
                    .take(end - start)
                    .all(|(member, score)| wants(score).is_none_or(|wanted| show(member, score, wanted)));
            }
            Form::Large(large) => large.walk_scores(start, end, wants, show),
        }
    }

    /// A member, each equally likely when `pick` is uniform over all of `u64`.
    ///
    /// O(log n), or O(n) while the set is packed.
    pub fn random(&self, pick: u64) -> Option<(&[u8], f64)> {
        let at = place_of(pick, self.len());
        match &self.form {
            Form::Packed(members) => members.iter().nth(at),
            Form::Large(large) => large.at(at),
        }
    }

    /// Shows members from `cursor` on (0 begins) and gives the next cursor, 0 when
    /// all have been shown.
    ///
    /// A packed set is shown whole. A large one is walked so that a member that
    /// is there from the first call to the last is shown at least once, whatever
    /// is added and removed in between; see `index.rs`.
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&[u8], f64)) -> u64 {
        match &self.form {
            Form::Packed(members) => {
                members.iter().for_each(|(member, score)| show(member, score));
                0
            }
            Form::Large(large) => large.scan(cursor, count, show),
        }
    }

    /// The bytes that the set owns on the heap, as the allocator's size classes
    /// count them. O(number of members), by nodes and tables.
    pub fn memory_usage(&self) -> usize {
        match &self.form {
            Form::Packed(members) => members.memory_usage(),
            Form::Large(large) => size_class(size_of::<Large>()) + large.memory_usage(),
        }
    }

    /// The same, of a very large set roughly, in a time that does not grow with it.
    pub fn memory_estimate(&self) -> usize {
        match &self.form {
            Form::Packed(members) => members.memory_usage(),
            Form::Large(large) => size_class(size_of::<Large>()) + large.memory_estimate(),
        }
    }

    /// What OBJECT ENCODING says: `listpack` or `skiplist`.
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Packed(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// The large form of the set, which it takes if it has not.
    fn large_mut(&mut self) -> &mut Large {
        if let Form::Packed(members) = &self.form {
            self.form = Form::Large(Box::new(Large::from_sorted(members.iter())));
        }
        match &mut self.form {
            Form::Large(large) => large,
            Form::Packed(_) => unreachable!("the set has just become a large one"),
        }
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for SortedSet {
    /// Whether both have the same members with the same scores, however they are stored.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_map()
            .entries(self.iter().map(|(member, score)| (member.escape_ascii().to_string(), score)))
            .finish()
    }
}

impl<'a> IntoIterator for &'a SortedSet {
    type Item = (&'a [u8], f64);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
