//! An entry's name: a time in milliseconds and a number within it.

/// The ID of an entry. IDs of a stream grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds since 1970, usually.
    pub ms: u64,
    /// Number among those of the same millisecond.
    pub seq: u64,
}

impl Id {
    /// The smallest, which no entry has.
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    /// The largest.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// An ID of these two numbers.
    pub const fn new(ms: u64, seq: u64) -> Id {
        Id { ms, seq }
    }

    /// The one that follows, if there is one.
    #[inline]
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => self.ms.checked_add(1).map(|ms| Id { ms, seq: 0 }),
        }
    }

    /// The one before it, if there is one.
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => self.ms.checked_sub(1).map(|ms| Id { ms, seq: u64::MAX }),
        }
    }

    /// As clients read it: `ms-seq`.
    #[inline]
    pub fn text(self) -> IdText {
        self.joined(b'-')
    }

    /// Its two numbers with a byte between them (DEBUG DIGEST has a point).
    pub fn joined(self, between: u8) -> IdText {
        let mut text = IdText { bytes: [0; ID_TEXT], at: ID_TEXT as u8 };
        text.put(self.seq);
        text.at -= 1;
        text.bytes[usize::from(text.at)] = between;
        text.put(self.ms);
        text
    }
}

/// Two numbers of at most twenty digits and what is between them.
const ID_TEXT: usize = 41;

/// An ID as text, without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct IdText {
    bytes: [u8; ID_TEXT],
    at: u8,
}

impl IdText {
    /// The text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.at)..]
    }

    /// Writes a number before what is there.
    #[inline]
    fn put(&mut self, mut number: u64) {
        loop {
            self.at -= 1;
            self.bytes[usize::from(self.at)] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_both_numbers() {
        assert_eq!(Id::MIN.text().as_bytes(), b"0-0");
        assert_eq!(Id::new(1_526_919_030_474, 55).text().as_bytes(), b"1526919030474-55");
        assert_eq!(Id::MAX.text().as_bytes(), b"18446744073709551615-18446744073709551615");
        assert_eq!(Id::new(1, 2).joined(b'.').as_bytes(), b"1.2");
    }

    #[test]
    fn neighbours_carry() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
    }
}
