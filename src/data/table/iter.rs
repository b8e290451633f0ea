//! All records of a table, one after the other.

use super::Records;
use super::chapter::Chapter;
use super::segment::Segment;

/// The records of a table, in no order that means anything: each with its key and its value.
#[derive(Debug, Clone)]
pub struct Iter<'a, R> {
    chapters: std::slice::Iter<'a, Chapter<R>>,
    segments: std::slice::Iter<'a, Segment<R>>,
    /// How far the first of `segments` has been read.
    place: usize,
    left: usize,
}

impl<'a, R: Records> Iter<'a, R> {
    pub(super) fn new(segments: &'a [Segment<R>], chapters: &'a [Chapter<R>], len: usize) -> Self {
        Self { chapters: chapters.iter(), segments: segments.iter(), place: 0, left: len }
    }
}

impl<'a, R: Records> Iterator for Iter<'a, R> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(segment) = self.segments.as_slice().first() else {
                self.segments = self.chapters.next()?.segments().iter();
                continue;
            };
            if let Some(record) = segment.next(&mut self.place) {
                self.left -= 1;
                return Some(record);
            }
            self.segments.next();
            self.place = 0;
        }
    }

    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut each: F) -> B {
        let (mut result, mut place) = (init, self.place);
        for segment in self.segments.chain(self.chapters.flat_map(Chapter::segments)) {
            while let Some(record) = segment.next(&mut place) {
                result = each(result, record);
            }
            place = 0;
        }
        result
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<R: Records> ExactSizeIterator for Iter<'_, R> {}
