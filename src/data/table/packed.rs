//! Lengths as they stand in packed buffers: one that all records have is said once.
//!
//! They are written seven bits a byte, the lowest first, the high bit set when
//! another byte follows (LEB128): one byte for anything below 128.

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

/// What is said once for all records of a buffer about one of their parts: its length, or that each record
/// says its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Common(u8);

impl Common {
    /// Each record says its own.
    pub const OWN: Self = Self(u8::MAX);

    /// All are of this length, if that can be said in a byte. Nothing is not: a record takes a byte or more.
    pub fn of(len: usize) -> Self {
        if len == 0 { Self::OWN } else { u8::try_from(len).map_or(Self::OWN, Self) }
    }

    /// What a buffer says at `at`.
    #[inline]
    pub fn at(bytes: &[u8], at: usize) -> Self {
        Self(bytes[at])
    }

    /// The byte that says it.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// Whether a record with this length may join the others.
    #[inline]
    pub fn takes(self, len: usize) -> bool {
        self == Self::OWN || usize::from(self.0) == len
    }

    /// The length of a part, which stands at `at` unless it is the same for all, and the place behind it.
    #[inline]
    pub fn length_at(self, bytes: &[u8], at: usize) -> (usize, usize) {
        if self == Self::OWN { length_at(bytes, at) } else { (usize::from(self.0), at) }
    }

    /// What a record with a part of this length says of it: nothing, unless each says its own.
    pub fn said(self, len: &Length) -> &[u8] {
        if self == Self::OWN { len.as_bytes() } else { &[] }
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
    }
}
