//! The buffer of the small forms: records one after the other, without gaps.
//!
//! Lengths are written seven bits a byte, the lowest first, the high bit set when
//! another byte follows (LEB128): one byte for anything below 128.

use std::ops::Range;

use crate::data::list::size_class;

/// A length as it stands in a buffer, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    bytes: [u8; 10],
    used: u8,
}

impl Length {
    /// The bytes that stand for `len`.
    pub fn of(mut len: usize) -> Self {
        let mut length = Self { bytes: [0; 10], used: 1 };
        while len >= 0x80 {
            length.bytes[usize::from(length.used) - 1] = len as u8 | 0x80;
            length.used += 1;
            len >>= 7;
        }
        length.bytes[usize::from(length.used) - 1] = len as u8;
        length
    }

    /// Them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.used)]
    }
}

/// Reads the length at `at` and gives it with the place behind it.
#[inline]
pub fn length_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let first = bytes[at];
    if first < 0x80 {
        return (usize::from(first), at + 1);
    }
    let mut len = usize::from(first & 0x7f);
    let mut shift = 7;
    let mut at = at + 1;
    loop {
        let byte = bytes[at];
        len |= usize::from(byte & 0x7f) << shift;
        at += 1;
        if byte < 0x80 {
            return (len, at);
        }
        shift += 7;
    }
}

/// Puts `parts`, one after the other, in the place of `old`. What is behind is
/// moved once. The buffer grows along the allocator's size classes, and shrinks
/// when three quarters of it are unused.
pub fn replace(bytes: &mut Vec<u8>, old: Range<usize>, parts: &[&[u8]]) {
    let new_len: usize = parts.iter().map(|part| part.len()).sum();
    let end = bytes.len();
    let new_end = end - old.len() + new_len;
    if new_end > end {
        if new_end > bytes.capacity() {
            bytes.reserve_exact(size_class(new_end) - end);
        }
        bytes.resize(new_end, 0);
    }
    bytes.copy_within(old.end..end, old.start + new_len);
    bytes.truncate(new_end);
    let mut at = old.start;
    for part in parts {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    if new_end < bytes.capacity() / 4 {
        bytes.shrink_to(size_class(new_end * 2));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lengths_come_back(len in prop_oneof![0..300usize, any::<usize>()], before in 0..4usize) {
            let mut bytes = vec![0xff; before];
            bytes.extend_from_slice(Length::of(len).as_bytes());
            let end = bytes.len();
            bytes.push(0xff);
            prop_assert_eq!(length_at(&bytes, before), (len, end));
        }

        #[test]
        fn replacing_is_splicing(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            ends in (0..200usize, 0..200usize),
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4),
        ) {
            let (a, b) = (ends.0.min(bytes.len()), ends.1.min(bytes.len()));
            let old = a.min(b)..a.max(b);
            let mut expected = bytes.clone();
            expected.splice(old.clone(), parts.concat());
            let mut got = bytes;
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            replace(&mut got, old, &slices);
            prop_assert!(got.capacity() <= size_class(got.len().max(200) * 2));
            prop_assert_eq!(got, expected);
        }
    }
}
