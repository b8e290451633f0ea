//! Several sets into one: union, intersection and difference, with weights.
//!
//! A source is a sorted set or a plain one, whose members count as having the score 1. What comes out
//! are members of the sources, borrowed where they lie, so nothing is copied until a result is stored.

use std::borrow::Cow;

use super::SortedSet;
use crate::data::Set;
use crate::data::table::hash_of;

/// A set that goes in.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A key that is absent.
    Empty,
    /// A sorted set.
    Sorted(&'a SortedSet),
    /// A set; each member has the score 1.
    Plain(&'a Set),
}

/// How the scores of a member that is in several sources become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// Their sum; what is no number (inf - inf) is 0.
    #[default]
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// A member of a result.
#[derive(Debug, Clone)]
pub struct Scored<'a> {
    /// The member.
    pub member: Cow<'a, [u8]>,
    /// Its score, which is a number.
    pub score: f64,
}

impl Aggregate {
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(score + other),
            Self::Min => {
                if other < score {
                    other
                } else {
                    score
                }
            }
            Self::Max => {
                if other > score {
                    other
                } else {
                    score
                }
            }
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

impl<'a> Source<'a> {
    /// The number of members.
    pub fn len(self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Empty => None,
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Shows members until `show` says false.
    fn each(self, mut show: impl FnMut(Cow<'a, [u8]>, f64) -> bool) {
        match self {
            Self::Empty => {}
            Self::Sorted(set) => {
                set.iter().all(|(member, score)| show(Cow::Borrowed(member), score));
            }
            Self::Plain(set) => {
                set.iter().all(|member| show(member.to_bytes(), 1.0));
            }
        }
    }
}

/// All members of all sources, in order. Scores are multiplied by the weight of their source first.
pub fn union<'a>(sources: &[(Source<'a>, f64)], aggregate: Aggregate) -> Vec<Scored<'a>> {
    let sources = smallest_first(sources);
    let total = sources.iter().map(|(source, _)| source.len()).sum();
    let mut found = Found::with_room_for(total);
    for (source, weight) in sources {
        source.each(|member, score| {
            let score = number_or_zero(weight * score);
            found.add(member, score, aggregate);
            true
        });
    }
    in_order(found.members)
}

/// The members that are in every source, in order.
pub fn intersection<'a>(sources: &[(Source<'a>, f64)], aggregate: Aggregate) -> Vec<Scored<'a>> {
    let mut found = Vec::new();
    each_in_all(&smallest_first(sources), aggregate, |member, score| {
        found.push(Scored { member, score });
        true
    });
    in_order(found)
}

/// How many members are in every source, counted up to `limit` if that is not 0.
pub fn intersection_len(sources: &[(Source<'_>, f64)], limit: usize) -> usize {
    let mut count = 0;
    each_in_all(&smallest_first(sources), Aggregate::Sum, |_, _| {
        count += 1;
        count != limit
    });
    count
}

/// The members of the first source that are in no other, in order, with the scores they have there.
pub fn difference<'a>(sources: &[(Source<'a>, f64)]) -> Vec<Scored<'a>> {
    let Some(((first, _), others)) = sources.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    first.each(|member, score| {
        if others.iter().all(|(other, _)| other.score(&member).is_none()) {
            found.push(Scored { member, score });
        }
        true
    });
    in_order(found)
}

/// The order in which scores are added up, as rounding shows it: that of the sources' sizes.
fn smallest_first<'a>(sources: &[(Source<'a>, f64)]) -> Vec<(Source<'a>, f64)> {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|(source, _)| source.len());
    sources
}

fn each_in_all<'a>(
    sources: &[(Source<'a>, f64)],
    aggregate: Aggregate,
    mut show: impl FnMut(Cow<'a, [u8]>, f64) -> bool,
) {
    let Some(((first, weight), others)) = sources.split_first() else { return };
    first.each(|member, score| {
        let start = Some(number_or_zero(weight * score));
        let score = others
            .iter()
            .fold(start, |score, (other, weight)| Some(aggregate.of(score?, weight * other.score(&member)?)));
        score.is_none_or(|score| show(member, score))
    });
}

/// Sorts members. Sources come in order mostly, and the sort finds what is in order already.
fn in_order(mut members: Vec<Scored<'_>>) -> Vec<Scored<'_>> {
    members.sort_by(|a, b| {
        a.score
            .partial_cmp(&b.score)
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| a.member.cmp(&b.member))
    });
    members
}

/// Members with the scores found so far, and a hash table over them that is made large enough at once.
struct Found<'a> {
    members: Vec<Scored<'a>>,
    /// Hash, and place in `members`; `u32::MAX` is free.
    slots: Vec<(u32, u32)>,
}

const FREE: u32 = u32::MAX;

impl<'a> Found<'a> {
    fn with_room_for(members: usize) -> Self {
        let slots = vec![(0, FREE); (members + members / 2 + 1).next_power_of_two()];
        Self { members: Vec::with_capacity(members), slots }
    }

    fn add(&mut self, member: Cow<'a, [u8]>, score: f64, aggregate: Aggregate) {
        let hash = hash_of(&member);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                (_, FREE) => {
                    self.slots[at] = (hash, self.members.len() as u32);
                    self.members.push(Scored { member, score });
                    return;
                }
                (other, place) if other == hash => {
                    let there = &mut self.members[place as usize];
                    if there.member == member {
                        there.score = aggregate.of(there.score, score);
                        return;
                    }
                }
                _ => {}
            }
            at = (at + 1) & mask;
        }
    }
}
