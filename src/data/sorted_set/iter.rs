//! Members of a sorted set in order.

use super::{large, packed};

/// Members with their scores, in the order that was asked for.
#[derive(Debug, Clone)]
pub struct Iter<'a>(pub(super) Walk<'a>);

#[derive(Debug, Clone)]
pub(super) enum Walk<'a> {
    Packed(std::iter::Take<packed::Iter<'a>>),
    /// A small set cannot be read backwards where it lies.
    PackedRev(std::iter::Rev<std::vec::IntoIter<(&'a [u8], f64)>>),
    Large(large::Range<'a>),
    LargeRev(large::RangeRev<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Packed(members) => members.next(),
            Walk::PackedRev(members) => members.next(),
            Walk::Large(members) => members.next(),
            Walk::LargeRev(members) => members.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Packed(members) => members.size_hint(),
            Walk::PackedRev(members) => members.size_hint(),
            Walk::Large(members) => members.size_hint(),
            Walk::LargeRev(members) => members.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
