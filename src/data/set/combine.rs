//! Several sets into one: intersection, union, difference.

use super::{Member, Set, SetLimits};

/// The members that are in all of `sets`, up to `limit` of them (0: all). O(smallest set * number of sets).
pub fn intersection<'a>(sets: &[&'a Set], limit: usize) -> Vec<Member<'a>> {
    let mut by_size = sets.to_vec();
    // The smallest set is walked, and the next smallest is asked first: it says no most often.
    by_size.sort_unstable_by_key(|set| set.len());
    let Some((smallest, others)) = by_size.split_first() else { return Vec::new() };
    let limit = if limit == 0 { usize::MAX } else { limit };
    smallest.iter().filter(|member| others.iter().all(|set| set.holds(*member))).take(limit).collect()
}

/// The members that are in any of `sets`. O(all members).
pub fn union(sets: &[&Set], limits: &SetLimits) -> Set {
    let mut all = Set::new();
    for member in sets.iter().flat_map(|set| set.iter()) {
        member.with_bytes(|bytes| all.insert(bytes, limits));
    }
    all
}

/// The members of `first` that are in none of `others`. O(first * number of sets) or O(all members),
/// whichever is less.
pub fn difference<'a>(first: &'a Set, others: &[&Set]) -> Vec<Member<'a>> {
    let asking = first.len() * (others.len() + 1);
    let removing = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    // Half of the asking counts, as in Redis: a member that is found is asked for no further.
    if asking / 2 <= removing {
        let mut by_size = others.to_vec();
        // The largest set is the likeliest to know a member.
        by_size.sort_unstable_by_key(|set| std::cmp::Reverse(set.len()));
        return first.iter().filter(|member| !by_size.iter().any(|set| set.holds(*member))).collect();
    }
    let mut gone = Set::new();
    let limits = SetLimits::default();
    for member in others.iter().flat_map(|set| set.iter()).filter(|member| first.holds(*member)) {
        member.with_bytes(|bytes| gone.insert(bytes, &limits));
    }
    first.iter().filter(|member| !gone.holds(*member)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(members: &BTreeSet<Vec<u8>>) -> Set {
        let mut set = Set::new();
        let limits = SetLimits { max_intset_entries: 8 };
        members.iter().for_each(|member| {
            set.insert(member, &limits);
        });
        set
    }

    fn sorted<'a>(members: impl IntoIterator<Item = Member<'a>>) -> BTreeSet<Vec<u8>> {
        members.into_iter().map(|member| member.to_bytes().into_owned()).collect()
    }

    /// Integers and other texts, few enough to meet.
    fn members() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let number = (0..24i64).prop_map(|number| number.to_string().into_bytes());
        let text = "[a-c]{1,2}".prop_map(String::into_bytes);
        proptest::collection::btree_set(prop_oneof![3 => number, 1 => text], 0..20)
    }

    proptest! {
        #[test]
        fn they_are_what_a_plain_set_says(models in proptest::collection::vec(members(), 1..5)) {
            let sets: Vec<Set> = models.iter().map(set).collect();
            let sets: Vec<&Set> = sets.iter().collect();
            let (first, others) = (&models[0], &models[1..]);
            let common: BTreeSet<_> =
                first.iter().filter(|member| others.iter().all(|set| set.contains(*member))).cloned().collect();
            let left: BTreeSet<_> =
                first.iter().filter(|member| !others.iter().any(|set| set.contains(*member))).cloned().collect();
            let any: BTreeSet<_> = models.iter().flatten().cloned().collect();
            prop_assert_eq!(sorted(intersection(&sets, 0)), common.clone());
            prop_assert_eq!(intersection(&sets, 2).len(), common.len().min(2));
            prop_assert_eq!(sorted(difference(sets[0], &sets[1..])), left);
            let united = union(&sets, &SetLimits::default());
            prop_assert_eq!(sorted(united.iter()), any);
        }
    }
}
