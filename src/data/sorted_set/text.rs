//! A byte string of 24 bytes that holds up to 22 in place.

use std::fmt;

use crate::data::list::size_class;

const IN_PLACE_BYTES: usize = 22;

/// An owned byte string. Up to 22 bytes it needs no allocation, and comparing
/// it needs no second cache line.
#[derive(Clone)]
pub struct Text(Form);

#[derive(Clone)]
enum Form {
    Here { len: u8, bytes: [u8; IN_PLACE_BYTES] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<Text>() == 24);

impl Text {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() > IN_PLACE_BYTES {
            return Self(Form::Heap(bytes.into()));
        }
        let mut here = [0; IN_PLACE_BYTES];
        here[..bytes.len()].copy_from_slice(bytes);
        Self(Form::Here { len: bytes.len() as u8, bytes: here })
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Here { len, bytes } => &bytes[..usize::from(*len)],
            Form::Heap(bytes) => bytes,
        }
    }

    /// The bytes that the string owns on the heap, as the allocator counts them.
    pub fn owned_bytes(&self) -> usize {
        match &self.0 {
            Form::Here { .. } => 0,
            Form::Heap(bytes) => size_class(bytes.len()),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_in_place_is_allocated() {
        for (len, owned) in [(0, 0), (22, 0), (23, 32), (64, 64), (65, 80)] {
            let text = Text::new(&vec![b'c'; len]);
            assert_eq!((text.as_bytes(), text.owned_bytes()), (&vec![b'c'; len][..], owned));
        }
    }
}
