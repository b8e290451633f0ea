//! The hash: fields with a value each, in no order.
//!
//! Few and short pairs: one buffer that is searched from its start (Redis's
//! listpack). Anything else: the hash table of `table`, whose pairs stand in one
//! row, so that a random one is found in O(1). The way from the first form to
//! the second is not taken back.

mod packed;
mod serial;
#[cfg(test)]
mod tests;

use packed::Packed;

use super::ahead::{Ahead, Stretch};
use super::list::size_class;
use super::table::{self, Limits, Pairs, Table, place_of};

/// A map of byte strings to byte strings.
///
/// It is 16 bytes large; what it owns beside that is in [`Hash::memory_usage`].
#[derive(Clone)]
pub struct Hash {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Packed(Packed),
    Table(Box<Table<Pairs>>),
}

const _: () = assert!(size_of::<Hash>() == 16);

impl Hash {
    /// A hash without fields, which owns no memory.
    pub fn new() -> Self {
        Self { form: Form::Packed(Packed::new()) }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(pairs) => pairs.len(),
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
            Form::Packed(_) => None,
        }
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives `field` this value; true when the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        if let Form::Packed(pairs) = &mut self.form
            && field.len().max(value.len()) <= limits.max_value
        {
            if let Some(place) = pairs.find(field) {
                pairs.set_value(place, value);
                return false;
            }
            if pairs.len() < limits.max_entries {
                pairs.push(field, value);
                return true;
            }
        }
        self.table_mut().set(field, value)
    }

    /// The value of `field`.
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.form {
            Form::Packed(pairs) => pairs.find(field).map(|place| pairs.value(place)),
            Form::Table(table) => table.get(field),
        }
    }

    /// Takes a field out; false when it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.form {
            Form::Packed(pairs) => match pairs.find(field) {
                Some(place) => {
                    pairs.remove(place);
                    true
                }
                None => false,
            },
            Form::Table(table) => table.remove(field),
        }
    }

    /// Whether there is such a field.
    pub fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// The length of the value of `field` in bytes.
    pub fn value_len(&self, field: &[u8]) -> Option<usize> {
        self.get(field).map(<[u8]>::len)
    }

    /// The fields with their values, in the order of their coming as long as the
    /// hash is packed.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.form {
            Form::Packed(pairs) => Walk::Packed(pairs.iter()),
            Form::Table(table) => Walk::Table(table.iter()),
        })
    }

    /// A pair, each equally likely when `pick` is uniform over all of `u64`.
    ///
    /// O(1), or O(number of fields) while the hash is packed.
    pub fn random(&self, pick: u64) -> Option<(&[u8], &[u8])> {
        match &self.form {
            Form::Packed(pairs) => pairs.iter().nth(place_of(pick, pairs.len())),
            Form::Table(table) => table.random(pick),
        }
    }

    /// Shows pairs from `cursor` on (0 begins) and gives the next cursor, 0 when
    /// all have been shown.
    ///
    /// A packed hash is shown whole. A table is walked so that a field that is
    /// there from the first call to the last is shown at least once, whatever is
    /// added and removed in between; see [`Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&[u8], &[u8])) -> u64 {
        match &self.form {
            Form::Packed(pairs) => {
                pairs.iter().for_each(|(field, value)| show(field, value));
                0
            }
            Form::Table(table) => table.scan(cursor, count, show),
        }
    }

    /// The bytes that the hash owns on the heap, as the allocator's size classes
    /// count them. O(1).
    pub fn memory_usage(&self) -> usize {
        match &self.form {
            Form::Packed(pairs) => pairs.memory_usage(),
            Form::Table(table) => size_class(size_of::<Table<Pairs>>()) + table.memory_usage(),
        }
    }

    /// What OBJECT ENCODING says: `listpack` or `hashtable`.
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// The table of the hash, which becomes one if it is not.
    fn table_mut(&mut self) -> &mut Table<Pairs> {
        if let Form::Packed(pairs) = &self.form {
            let mut table = Table::new();
            for (field, value) in pairs.iter() {
                table.set(field, value);
            }
            self.form = Form::Table(Box::new(table));
        }
        match &mut self.form {
            Form::Table(table) => table,
            Form::Packed(_) => unreachable!("the hash has just become a table"),
        }
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Hash {
    /// Whether both have the same fields with the same values, however they are stored.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(field, value)| other.get(field) == Some(value))
    }
}

impl Eq for Hash {}

impl std::fmt::Debug for Hash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        out.debug_map().entries(self.iter().map(|(field, value)| (text(field), text(value)))).finish()
    }
}

/// The pairs of a hash.
#[derive(Debug, Clone)]
pub struct Iter<'a>(Walk<'a>);

#[derive(Debug, Clone)]
enum Walk<'a> {
    Packed(packed::Iter<'a>),
    Table(table::Iter<'a, Pairs>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Packed(pairs) => pairs.next(),
            Walk::Table(pairs) => pairs.next(),
        }
    }

    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, each: F) -> B {
        match self.0 {
            Walk::Packed(pairs) => pairs.fold(init, each),
            Walk::Table(pairs) => pairs.fold(init, each),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Packed(pairs) => pairs.size_hint(),
            Walk::Table(pairs) => pairs.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Hash {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
