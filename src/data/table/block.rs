//! The buffer of the small forms: records one after the other, without gaps, in one allocation that also
//! knows how much of it is used and how many records there are.
//!
//! ```text
//! buffer of up to     256 bytes   [used 1][count 1][records][spare]
//!              up to 65,536       [used 2][count 2][records][spare]
//!              longer             [used 8][count 8][records][spare]
//! ```
//!
//! So a block is a pointer and a length, 16 bytes: a collection that is one fits into its key's entry. A
//! record has a byte or more, so that the count is never wider than what is used. Numbers are
//! little-endian.

use std::ops::Range;

use crate::data::list::size_class;

/// See the module's text. Without records it owns no memory.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// As long as a size class of the allocator: what is not used could not be used by anybody else.
    buffer: Box<[u8]>,
}

/// What a buffer's first bytes say.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// How many bytes say it.
    len: usize,
    used: usize,
    count: usize,
}

/// The bytes of a head's two numbers in a buffer of this length.
#[inline]
const fn head_len(buffer: usize) -> usize {
    match buffer {
        0 => 0,
        1..=0x100 => 2,
        0x101..=0x1_0000 => 4,
        _ => 16,
    }
}

/// How long a buffer for so many bytes of records is.
fn buffer_len(used: usize) -> usize {
    if used == 0 {
        return 0;
    }
    // A longer head may need the next longer one in turn: 255 bytes, and two of head, are more than 256.
    let mut len = size_class(used + head_len(used));
    while len < used + head_len(len) {
        len = size_class(used + head_len(len));
    }
    len
}

impl Block {
    #[inline]
    fn head(&self) -> Head {
        let wide = |at: usize| self.buffer[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let buffer = &*self.buffer;
        let len = head_len(buffer.len());
        match len {
            0 => Head::default(),
            2 => Head { len, used: usize::from(buffer[0]), count: usize::from(buffer[1]) },
            4 => {
                let two = |at| usize::from(u16::from_le_bytes([buffer[at], buffer[at + 1]]));
                Head { len, used: two(0), count: two(2) }
            }
            _ => Head { len, used: wide(0) as usize, count: wide(8) as usize },
        }
    }

    #[inline]
    fn set_head(&mut self, used: usize, count: usize) {
        debug_assert!(used + head_len(self.buffer.len()) <= self.buffer.len() && count <= used);
        match head_len(self.buffer.len()) {
            0 => {}
            2 => self.buffer[..2].copy_from_slice(&[used as u8, count as u8]),
            4 => {
                self.buffer[..2].copy_from_slice(&(used as u16).to_le_bytes());
                self.buffer[2..4].copy_from_slice(&(count as u16).to_le_bytes());
            }
            _ => {
                self.buffer[..8].copy_from_slice(&(used as u64).to_le_bytes());
                self.buffer[8..16].copy_from_slice(&(count as u64).to_le_bytes());
            }
        }
    }

    /// The number of records.
    #[inline]
    pub fn count(&self) -> usize {
        self.head().count
    }

    /// The records.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let head = self.head();
        &self.buffer[head.len..head.len + head.used]
    }

    /// The records, to change them in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let head = self.head();
        &mut self.buffer[head.len..head.len + head.used]
    }

    /// Puts `parts`, one after the other, in the place of `old`; there are `count` records then. What is
    /// behind is moved once. The buffer grows along the allocator's size classes, and shrinks when three
    /// quarters of it are unused.
    pub fn replace(&mut self, old: Range<usize>, parts: &[&[u8]], count: usize) {
        let head = self.head();
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let used = head.used - old.len() + added;
        if head.len + used > self.buffer.len() {
            self.rebuild(buffer_len(used), old, parts);
        } else if used < self.buffer.len() / 4 && buffer_len(used * 2) < self.buffer.len() {
            self.rebuild(buffer_len(used * 2), old, parts);
        } else {
            let mut at = head.len + old.start;
            if added != old.len() {
                self.buffer.copy_within(head.len + old.end..head.len + head.used, at + added);
            }
            for part in parts {
                self.buffer[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
        self.set_head(used, count);
    }

    /// The same in a new buffer, whose head is still to be written.
    fn rebuild(&mut self, len: usize, old: Range<usize>, parts: &[&[u8]]) {
        let mut buffer = Vec::with_capacity(len);
        buffer.resize(head_len(len), 0);
        let bytes = self.bytes();
        buffer.extend_from_slice(&bytes[..old.start]);
        parts.iter().for_each(|part| buffer.extend_from_slice(part));
        buffer.extend_from_slice(&bytes[old.end..]);
        buffer.resize(len, 0);
        self.buffer = buffer.into_boxed_slice();
    }

    /// The bytes that it owns on the heap.
    pub fn memory_usage(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn replacing_is_splicing(
            steps in prop::collection::vec(
                (
                    (0.0..=1.0f64, 0.0..=1.0f64),
                    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..4),
                    prop_oneof![9 => Just(0usize), 1 => 0..70_000usize],
                ),
                1..40,
            ),
        ) {
            let (mut block, mut model) = (Block::default(), Vec::new());
            for ((a, b), parts, more) in steps {
                let place = |share: f64| (share * model.len() as f64) as usize;
                let old = place(a).min(place(b))..place(a).max(place(b));
                let long = vec![7; more];
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).chain([&long[..]]).collect();
                model.splice(old.clone(), parts.concat());
                let count = model.len() / 2;
                block.replace(old, &parts, count);
                prop_assert_eq!(block.bytes(), &model[..]);
                prop_assert_eq!(block.count(), count);
                prop_assert!(block.memory_usage() <= buffer_len(model.len()).max(8) * 4);
                prop_assert_eq!(block.memory_usage(), size_class(block.memory_usage()));
            }
        }
    }

    #[test]
    fn a_buffer_is_no_longer_than_it_must_be() {
        let mut block = Block::default();
        assert_eq!(block.memory_usage(), 0);
        for len in 1..70_000 {
            block.replace(len - 1..len - 1, &[b"x"], len / 2);
            let head = match len {
                ..255 => 2,
                255..65_533 => 4,
                _ => 16,
            };
            assert_eq!(block.memory_usage(), size_class(len + head), "{len}");
            assert_eq!((block.bytes().len(), block.count()), (len, len / 2));
        }
        block.replace(0..69_999, &[], 0);
        assert_eq!(block.memory_usage(), 0);
    }
}
