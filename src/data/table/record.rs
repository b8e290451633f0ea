//! A record: its lengths, its key and its value, and those that are too long to stand among others.

use super::Records;
use super::packed::{Length, length_at};
use crate::data::list::size_class;

/// The mark of an offset that counts the records outside.
pub const OUTSIDE: u16 = 1 << 15;

/// The highest offset, less the one that an empty slot has.
pub const REACH: usize = OUTSIDE as usize - 2;

/// Records that are long, each by itself.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Each by itself.
    pub records: Vec<Box<[u8]>>,
    /// What they take.
    owned_bytes: usize,
}

/// Where the parts of a record are.
pub struct Parts {
    pub start: usize,
    pub key: usize,
    pub value: usize,
    pub end: usize,
}

impl Outside {
    pub fn push(&mut self, lengths: &Lengths, key: &[u8], value: &[u8]) -> u16 {
        let mut record = Vec::with_capacity(lengths.len() + key.len() + value.len());
        lengths.write(&mut record);
        record.extend_from_slice(key);
        record.extend_from_slice(value);
        self.add(record.into_boxed_slice())
    }

    /// Gives the record's offset.
    ///
    /// # Panics
    ///
    /// With more than 32,767 long records. A segment with more than `MOST_RECORDS` has keys whose hashes all
    /// begin with the same bits; nobody can choose such keys.
    pub fn add(&mut self, record: Box<[u8]>) -> u16 {
        assert!(self.records.len() <= REACH, "the hashes of keys differ");
        self.owned_bytes += size_class(record.len());
        self.records.push(record);
        OUTSIDE | (self.records.len() - 1) as u16
    }

    /// Frees a record and gives the number that the one in its place had.
    pub fn swap_remove(&mut self, number: usize) -> usize {
        let record = self.records.swap_remove(number);
        self.owned_bytes -= size_class(record.len());
        self.records.len()
    }

    pub fn memory_usage(&self) -> usize {
        let list = self.records.capacity() * size_of::<Box<[u8]>>();
        size_class(size_of::<Self>()) + size_class(list) + self.owned_bytes
    }
}

/// The lengths that a record begins with.
pub struct Lengths {
    key: Length,
    value: Option<Length>,
}

impl Lengths {
    pub fn of<R: Records>(key: &[u8], value: &[u8]) -> Self {
        Self { key: Length::of(key.len()), value: R::VALUES.then(|| Length::of(value.len())) }
    }

    pub fn len(&self) -> usize {
        self.key.as_bytes().len() + self.value.as_ref().map_or(0, |value| value.as_bytes().len())
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        if let Some(value) = &self.value {
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// Whether what begins with a record begins with one of this key.
#[inline]
pub fn has_key<R: Records>(record: &[u8], key: &[u8]) -> bool {
    match *record {
        // Two short lengths, or one, are the usual case.
        [key_len, value_len, ref rest @ ..] if R::VALUES && key_len < 0x80 && value_len < 0x80 => {
            usize::from(key_len) == key.len() && rest.starts_with(key)
        }
        [key_len, ref rest @ ..] if !R::VALUES && key_len < 0x80 => {
            usize::from(key_len) == key.len() && rest.starts_with(key)
        }
        _ => {
            let parts = parts_at::<R>(record, 0);
            record[parts.key..parts.value] == *key
        }
    }
}

#[inline]
pub fn parts_at<R: Records>(bytes: &[u8], start: usize) -> Parts {
    let (key_len, at) = length_at(bytes, start);
    let (value_len, key) = if R::VALUES { length_at(bytes, at) } else { (0, at) };
    let value = key + key_len;
    Parts { start, key, value, end: value + value_len }
}
