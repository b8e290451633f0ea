//! Where a search for an element of a large collection will read: what a batch fetches before it runs.

/// The places that a search reads which are far from what was read before, in this order. What a place depends on
/// is read to say where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Where the search begins: the slot of a hash table, or the head of a segment.
    Slot,
    /// The slot in the segment, where there is one.
    Inner,
    /// The entry that the slot names.
    Entry,
}

impl Ahead {
    /// All, in their order.
    pub const ALL: [Self; 3] = [Self::Slot, Self::Inner, Self::Entry];
}

/// Bytes to fetch, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where they begin.
    pub address: *const u8,
    /// How many there are, as far as is known.
    pub bytes: usize,
}

impl Stretch {
    /// Where something is.
    pub fn of<T: ?Sized>(what: &T) -> Self {
        Self { address: std::ptr::from_ref(what).cast(), bytes: size_of_val(what) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Limits, Set, SetLimits, SortedSet, element_hash};

    #[test]
    fn a_large_collection_says_where_an_element_lies_and_a_small_one_nothing() {
        let mut set = Set::new();
        let mut sorted = SortedSet::new();
        for number in 0..1_000 {
            let member = format!("member:{number}");
            assert_eq!(set.ahead(element_hash(b"x"), Ahead::Slot).is_some(), number > 0);
            set.insert(member.as_bytes(), &SetLimits::default());
            sorted.insert(member.as_bytes(), f64::from(number), &Limits::default());
        }
        for number in 0..1_000 {
            let hash = element_hash(format!("member:{number}").as_bytes());
            assert!(Ahead::ALL.iter().all(|what| set.ahead(hash, *what).is_some()));
            assert!(sorted.ahead(hash, Ahead::Slot).is_some() && sorted.ahead(hash, Ahead::Entry).is_some());
            assert!(sorted.ahead(hash, Ahead::Inner).is_none());
        }
        let mut small = Set::new();
        small.insert(b"1", &SetLimits::default());
        assert_eq!(small.ahead(element_hash(b"1"), Ahead::Slot), None);
    }
}
