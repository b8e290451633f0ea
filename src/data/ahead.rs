//! Where a search for an element of a large collection will read: what a batch fetches before it runs.

/// The two places that a search reads which are far from what was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// The slot of the hash table where the search begins.
    Slot,
    /// The entry that the slot names. To say where it is the slot is read.
    Entry,
}

/// Where something begins, as an address to fetch and nothing else.
pub fn address_of<T>(what: &T) -> *const u8 {
    std::ptr::from_ref(what).cast()
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
            assert!(set.ahead(hash, Ahead::Slot).is_some() && set.ahead(hash, Ahead::Entry).is_some());
            assert!(sorted.ahead(hash, Ahead::Slot).is_some() && sorted.ahead(hash, Ahead::Entry).is_some());
        }
        let mut small = Set::new();
        small.insert(b"1", &SetLimits::default());
        assert_eq!(small.ahead(element_hash(b"1"), Ahead::Slot), None);
    }
}
