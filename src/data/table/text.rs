//! A byte string of 24 bytes that holds up to 22 in place.

use std::fmt;

use super::Entry;
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

    /// Becomes a copy of `bytes`, in the memory that is there if they are as many as before.
    pub fn assign(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Form::Heap(here) if here.len() == bytes.len() => here.copy_from_slice(bytes),
            _ => *self = Self::new(bytes),
        }
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Here { len, bytes } => &bytes[..usize::from(*len)],
            Form::Heap(bytes) => bytes,
        }
    }

    /// The bytes on their own.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.0 {
            Form::Here { len, bytes } => bytes[..usize::from(len)].to_vec(),
            Form::Heap(bytes) => bytes.into_vec(),
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

impl Entry for Text {
    #[inline]
    fn key(&self) -> &[u8] {
        self.as_bytes()
    }

    fn owned_bytes(&self) -> usize {
        Text::owned_bytes(self)
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
    fn assigning_as_many_bytes_keeps_the_memory() {
        let mut text = Text::new(&[b'a'; 64]);
        let place = text.as_bytes().as_ptr();
        text.assign(&[b'b'; 64]);
        assert_eq!((text.as_bytes(), text.as_bytes().as_ptr()), (&[b'b'; 64][..], place));
        for len in [65, 22, 23, 0, 64] {
            text.assign(&vec![b'c'; len]);
            assert_eq!(text.as_bytes(), vec![b'c'; len]);
        }
    }
}
