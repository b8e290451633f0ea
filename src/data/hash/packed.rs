//! A small hash: its pairs one after the other in one buffer.
//!
//! ```text
//! [all fields' length 1][all values' length 1] [field][value] [field][value]...
//! [all fields' length 1][255] [length of value][field][value] [length of value]...
//! [255][all values' length 1] [length of field][field][value] [length of field]...
//! [255][255] [length of field][length of value][field][value] [length of field]...
//! ```
//!
//! Fields of one kind are often equally long, and so are their values: what all have is said once. From the first
//! that is of another length on each says its own, until the hash is empty.

use crate::data::table::block::Block;
use crate::data::table::packed::{Common, Length};

/// Pairs in the order in which their fields came.
#[derive(Debug, Clone, Default)]
pub struct Packed(Block);

/// Where the first pair is.
const START: usize = 2;

/// Where a pair is. It ends where its value ends.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    start: usize,
    field: usize,
    value: usize,
    end: usize,
}

/// How pairs say how long they are.
#[derive(Debug, Clone, Copy)]
struct Form {
    field: Common,
    value: Common,
}

impl Form {
    /// That of a hash with pairs.
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        Self { field: Common::at(bytes, 0), value: Common::at(bytes, 1) }
    }

    #[inline]
    fn place_at(self, bytes: &[u8], start: usize) -> Place {
        let (field_len, at) = self.field.length_at(bytes, start);
        let (value_len, field) = self.value.length_at(bytes, at);
        let value = field + field_len;
        Place { start, field, value, end: value + value_len }
    }
}

impl Packed {
    /// No pairs, no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Where the pair of `field` is. O(number of pairs).
    #[inline]
    pub fn find(&self, field: &[u8]) -> Option<Place> {
        let bytes = self.0.bytes();
        if bytes.is_empty() {
            return None;
        }
        let form = Form::of(bytes);
        if !form.field.takes(field.len()) {
            return None;
        }
        let mut at = START;
        while at < bytes.len() {
            let place = form.place_at(bytes, at);
            if bytes[place.field..place.value] == *field {
                return Some(place);
            }
            at = place.end;
        }
        None
    }

    /// The value of the pair at `place`.
    pub fn value(&self, place: Place) -> &[u8] {
        &self.0.bytes()[place.value..place.end]
    }

    /// Adds a pair whose field is not there yet.
    pub fn push(&mut self, field: &[u8], value: &[u8]) {
        let form = self.form_for(field.len(), value.len());
        let (field_len, value_len) = (Length::of(field.len()), Length::of(value.len()));
        let pair = [form.field.said(&field_len), form.value.said(&value_len), field, value];
        let end = self.0.bytes().len();
        if end > 0 {
            self.0.replace(end..end, &pair, self.len() + 1);
        } else {
            let head = [form.field.byte(), form.value.byte()];
            self.0.replace(0..0, &[&head, pair[0], pair[1], field, value], 1);
        }
    }

    /// Gives the pair at `place` another value.
    pub fn set_value(&mut self, place: Place, value: &[u8]) {
        if place.end - place.value == value.len() {
            self.0.bytes_mut()[place.value..place.end].copy_from_slice(value);
            return;
        }
        let field = self.0.bytes()[place.field..place.value].to_vec();
        let form = self.form_for(field.len(), value.len());
        // Places are others if all pairs had values of one length before.
        let Some(place) = self.find(&field) else { return };
        let (field_len, value_len) = (Length::of(field.len()), Length::of(value.len()));
        let pair = [form.field.said(&field_len), form.value.said(&value_len), &field, value];
        self.0.replace(place.start..place.end, &pair, self.len());
    }

    /// Takes the pair at `place` out.
    pub fn remove(&mut self, place: Place) {
        let left = self.len() - 1;
        let gone = if left == 0 { 0..place.end } else { place.start..place.end };
        self.0.replace(gone, &[], left);
    }

    /// The pairs.
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.0.bytes(), at: START, left: self.len() }
    }

    /// The bytes that they own on the heap.
    pub fn memory_usage(&self) -> usize {
        self.0.memory_usage()
    }

    /// How pairs are written once one with these lengths is among them. Those that are there are written anew if
    /// that is in another way.
    fn form_for(&mut self, field: usize, value: usize) -> Form {
        if self.0.bytes().is_empty() {
            return Form { field: Common::of(field), value: Common::of(value) };
        }
        let old = Form::of(self.0.bytes());
        let or_own = |common: Common, len| if common.takes(len) { common } else { Common::OWN };
        let new = Form { field: or_own(old.field, field), value: or_own(old.value, value) };
        if (new.field, new.value) != (old.field, old.value) {
            self.rewrite(new);
        }
        new
    }

    #[cold]
    fn rewrite(&mut self, form: Form) {
        let mut bytes = vec![form.field.byte(), form.value.byte()];
        for (field, value) in self.iter() {
            bytes.extend_from_slice(form.field.said(&Length::of(field.len())));
            bytes.extend_from_slice(form.value.said(&Length::of(value.len())));
            bytes.extend_from_slice(field);
            bytes.extend_from_slice(value);
        }
        let (end, count) = (self.0.bytes().len(), self.len());
        self.0.replace(0..end, &[&bytes], count);
    }
}

/// The pairs of a small hash.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = Form::of(self.bytes).place_at(self.bytes, self.at);
        self.at = place.end;
        Some((&self.bytes[place.field..place.value], &self.bytes[place.value..place.end]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
