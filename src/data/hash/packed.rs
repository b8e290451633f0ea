//! A small hash: its pairs one after the other in one buffer.
//!
//! ```text
//! [length of field][length of value][field][value] [length of field]...
//! ```

use crate::data::list::size_class;
use crate::data::table::packed::{Length, length_at, replace};

/// Pairs in the order in which their fields came.
#[derive(Debug, Clone)]
pub struct Packed {
    bytes: Vec<u8>,
    count: u32,
}

/// Where a pair is. It ends where its value ends.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    start: usize,
    field: usize,
    value: usize,
    end: usize,
}

impl Packed {
    /// No pairs, no memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Where the pair of `field` is. O(number of pairs).
    #[inline]
    pub fn find(&self, field: &[u8]) -> Option<Place> {
        let mut at = 0;
        while at < self.bytes.len() {
            let place = self.place_at(at);
            if self.bytes[place.field..place.value] == *field {
                return Some(place);
            }
            at = place.end;
        }
        None
    }

    /// The value of the pair at `place`.
    pub fn value(&self, place: Place) -> &[u8] {
        &self.bytes[place.value..place.end]
    }

    /// Adds a pair whose field is not there yet.
    pub fn push(&mut self, field: &[u8], value: &[u8]) {
        let end = self.bytes.len();
        let (field_len, value_len) = (Length::of(field.len()), Length::of(value.len()));
        replace(&mut self.bytes, end..end, &[field_len.as_bytes(), value_len.as_bytes(), field, value]);
        self.count += 1;
    }

    /// Gives the pair at `place` another value.
    pub fn set_value(&mut self, place: Place, value: &[u8]) {
        if place.end - place.value == value.len() {
            self.bytes[place.value..place.end].copy_from_slice(value);
            return;
        }
        let field = self.bytes[place.field..place.value].to_vec();
        let (field_len, value_len) = (Length::of(field.len()), Length::of(value.len()));
        let parts = [field_len.as_bytes(), value_len.as_bytes(), &field, value];
        replace(&mut self.bytes, place.start..place.end, &parts);
    }

    /// Takes the pair at `place` out.
    pub fn remove(&mut self, place: Place) {
        replace(&mut self.bytes, place.start..place.end, &[]);
        self.count -= 1;
    }

    /// The pairs.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pairs: self, at: 0, left: self.len() }
    }

    /// The bytes that they own on the heap.
    pub fn memory_usage(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    #[inline]
    fn place_at(&self, start: usize) -> Place {
        let (field_len, at) = length_at(&self.bytes, start);
        let (value_len, field) = length_at(&self.bytes, at);
        let value = field + field_len;
        Place { start, field, value, end: value + value_len }
    }
}

/// The pairs of a small hash.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    pairs: &'a Packed,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = self.pairs.place_at(self.at);
        self.at = place.end;
        let bytes = &self.pairs.bytes;
        Some((&bytes[place.field..place.value], &bytes[place.value..place.end]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
