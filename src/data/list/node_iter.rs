//! Walking the elements of one node, from either end.

use super::node::{Width, read_separator};

/// The elements of a node. Both ends move towards each other.
#[derive(Debug, Clone)]
pub struct NodeIter<'a> {
    bytes: &'a [u8],
    width: Width,
    /// Length of every element, in a uniform node.
    each: usize,
    /// Offset of the separator before the next element, and the length before it.
    front: (usize, usize),
    /// Offset just past the separator behind the next element from the back,
    /// and the length behind that.
    back: (usize, usize),
    remaining: usize,
}

impl<'a> NodeIter<'a> {
    pub(super) fn new(bytes: &'a [u8], width: Width, each: usize, count: usize) -> Self {
        Self { bytes, width, each, front: (0, 0), back: (bytes.len(), 0), remaining: count }
    }

    fn len_at(&self, separator_at: usize, other: usize) -> usize {
        match self.width {
            Width::Uniform => self.each,
            width => read_separator(self.bytes, width, separator_at) ^ other,
        }
    }
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        let (at, before) = self.front;
        let len = self.len_at(at, before);
        let start = at + self.width.bytes();
        self.front = (start + len, len);
        Some(&self.bytes[start..start + len])
    }

    fn nth(&mut self, skip: usize) -> Option<&'a [u8]> {
        if self.width == Width::Uniform && skip < self.remaining {
            self.front = (self.front.0 + skip * self.each, self.each);
            self.remaining -= skip;
        } else {
            for _ in 0..skip {
                self.next()?;
            }
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let (past, behind) = self.back;
        let end = past - self.width.bytes();
        let len = self.len_at(end, behind);
        self.back = (end - len, len);
        Some(&self.bytes[end - len..end])
    }
}

impl ExactSizeIterator for NodeIter<'_> {}
