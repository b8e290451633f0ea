//! The set: distinct byte strings, in no order.
//!
//! Integers only, and not too many of them: sorted in one array (Redis's intset).
//! Anything else: the hash table of `table`, which finds a member, or a random one, in O(1) and grows a piece at a
//! time. The way from the first form to the second is not taken back.

pub mod combine;
mod ints;
mod member;
mod serial;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ints::Ints;
pub use member::Member;

use super::ahead::{Ahead, Stretch};
use super::list::size_class;
use super::number::parse_i64;
use super::table::{self, Keys, Table, place_of};

/// A set of byte strings.
///
/// It is 16 bytes large; what it owns beside that is in [`Set::memory_usage`].
#[derive(Clone)]
pub struct Set {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Ints(Ints),
    Table(Box<Table<Keys>>),
}

const _: () = assert!(size_of::<Set>() == 16);

/// Up to which size a set of integers stays an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetLimits {
    /// The most integers: Redis's `set-max-intset-entries`.
    pub max_intset_entries: usize,
}

impl Default for SetLimits {
    /// Redis's default: 512.
    fn default() -> Self {
        Self { max_intset_entries: 512 }
    }
}

impl Set {
    /// A set without members, which owns no memory.
    pub fn new() -> Self {
        Self { form: Form::Ints(Ints::new()) }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Ints(ints) => ints.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Where a search for an element with this hash ([`element_hash`]) will read; `None` in the small form,
    /// which lies close together.
    ///
    /// [`element_hash`]: crate::data::element_hash
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<Stretch> {
        match &self.form {
            Form::Table(table) => table.ahead(hash, what),
            Form::Ints(_) => None,
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member; false when it was there.
    pub fn insert(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        if let Form::Ints(ints) = &mut self.form
            && let Some(value) = parse_i64(member)
        {
            let added = ints.insert(value);
            if added && ints.len() > limits.max_intset_entries {
                self.table_mut();
            }
            return added;
        }
        self.table_mut().set(member, b"")
    }

    /// Takes a member out; false when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Form::Table(table) => table.remove(member),
        }
    }

    /// Whether `member` is in the set.
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.form {
            Form::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            Form::Table(table) => table.get(member).is_some(),
        }
    }

    /// Whether a member of another set is in this one.
    fn holds(&self, member: Member<'_>) -> bool {
        match (&self.form, member) {
            (Form::Ints(ints), Member::Int(value)) => ints.contains(value),
            _ => member.with_bytes(|bytes| self.contains(bytes)),
        }
    }

    /// The members, in ascending order as long as the set is an array of integers.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.form {
            Form::Ints(ints) => Walk::Ints(ints, 0),
            Form::Table(table) => Walk::Table(table.iter()),
        })
    }

    /// A member, each equally likely when `pick` is uniform over all of `u64`.
    pub fn random(&self, pick: u64) -> Option<Cow<'_, [u8]>> {
        self.random_member(pick).map(Member::to_bytes)
    }

    /// Takes out a member, chosen as [`Set::random`] does.
    pub fn pop_random(&mut self, pick: u64) -> Option<Vec<u8>> {
        match &mut self.form {
            Form::Ints(ints) => {
                let at = place_of(pick, ints.len());
                (at < ints.len()).then(|| Member::Int(ints.remove_at(at)).to_bytes().into_owned())
            }
            Form::Table(table) => {
                let member = table.random(pick)?.0.to_vec();
                table.remove(&member);
                Some(member)
            }
        }
    }

    /// Shows members from `cursor` on (0 begins) and gives the next cursor, 0 when
    /// all have been shown.
    ///
    /// An array of integers is shown whole. A table is walked so that a member
    /// that is there from the first call to the last is shown at least once,
    /// whatever is added and removed in between; see [`Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(Member<'_>)) -> u64 {
        match &self.form {
            Form::Ints(_) => {
                self.iter().for_each(show);
                0
            }
            Form::Table(table) => table.scan(cursor, count, |member, _| show(Member::Bytes(member))),
        }
    }

    /// The bytes that the set owns on the heap, as the allocator's size classes
    /// count them. O(1).
    pub fn memory_usage(&self) -> usize {
        match &self.form {
            Form::Ints(ints) => ints.memory_usage(),
            Form::Table(table) => size_class(size_of::<Table<Keys>>()) + table.memory_usage(),
        }
    }

    /// What OBJECT ENCODING says: `intset` or `hashtable`.
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Ints(_) => "intset",
            Form::Table(_) => "hashtable",
        }
    }

    fn random_member(&self, pick: u64) -> Option<Member<'_>> {
        match &self.form {
            Form::Ints(ints) => ints.get(place_of(pick, ints.len())).map(Member::Int),
            Form::Table(table) => table.random(pick).map(|(member, _)| Member::Bytes(member)),
        }
    }

    /// The table of the set, which becomes one if it is not.
    fn table_mut(&mut self) -> &mut Table<Keys> {
        if let Form::Ints(_) = &self.form {
            let mut table = Table::new();
            for member in self.iter() {
                member.with_bytes(|bytes| table.set(bytes, b""));
            }
            self.form = Form::Table(Box::new(table));
        }
        match &mut self.form {
            Form::Table(table) => table,
            Form::Ints(_) => unreachable!("the set has just become a table"),
        }
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Set {
    /// Whether both have the same members, however they are stored.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(&member.to_bytes()))
    }
}

impl Eq for Set {}

impl std::fmt::Debug for Set {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

/// The members of a set.
#[derive(Debug, Clone)]
pub struct Iter<'a>(Walk<'a>);

#[derive(Debug, Clone)]
enum Walk<'a> {
    /// The integers and how many have been given.
    Ints(&'a Ints, usize),
    Table(table::Iter<'a, Keys>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match &mut self.0 {
            Walk::Ints(ints, given) => {
                let int = ints.get(*given)?;
                *given += 1;
                Some(Member::Int(int))
            }
            Walk::Table(members) => members.next().map(|(member, _)| Member::Bytes(member)),
        }
    }

    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut each: F) -> B {
        match self.0 {
            Walk::Ints(ints, given) => {
                (given..ints.len()).filter_map(|at| ints.get(at)).map(Member::Int).fold(init, each)
            }
            Walk::Table(members) => {
                members.fold(init, |result, (member, _)| each(result, Member::Bytes(member)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Ints(ints, given) => (ints.len() - given, Some(ints.len() - given)),
            Walk::Table(members) => members.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Set {
    type Item = Member<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
