//! The bounds of ranges, as clients write them.

use std::ops::Bound;

use crate::command::CommandError;
use crate::data::{SortedSet, parse_f64};

/// Scores from one to another, each with or without its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    min: Bound<f64>,
    max: Bound<f64>,
}

impl Scores {
    /// Reads both bounds: a number, or with `(` before it a number that does not belong to the range.
    pub(super) fn read(min: &[u8], max: &[u8]) -> Result<Scores, CommandError> {
        match (score(min), score(max)) {
            (Some(min), Some(max)) => Ok(Scores { min, max }),
            _ => Err(CommandError::fixed("ERR min or max is not a float")),
        }
    }

    /// The ranks of the members in the range: the first one's, and the one after the last one's.
    pub(super) fn ranks(self, set: &SortedSet) -> (usize, usize) {
        set.range_by_score(self.min, self.max)
    }
}

fn score(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', number @ ..] => number_of(number).map(Bound::Excluded),
        number => number_of(number).map(Bound::Included),
    }
}

/// A bound is read by plain `strtod`, which is more liberal than what reads a score: spaces may lead,
/// nothing at all is 0, and what is too large is infinite.
fn number_of(text: &[u8]) -> Option<f64> {
    // The six characters that C calls space; Rust's ASCII whitespace lacks the vertical tab.
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r')).unwrap_or(text.len());
    let number = &text[start..];
    if text.is_empty() {
        return Some(0.0);
    }
    parse_f64(number).or_else(|| {
        let beyond = std::str::from_utf8(number).ok()?.parse::<f64>().ok()?;
        (!beyond.is_nan()).then_some(beyond)
    })
}

/// The ranks from one to another, both included and negative from the end, as a first rank and a count.
pub(super) fn ranks(first: i64, last: i64, len: usize) -> (usize, usize) {
    let from_start = |rank: i64| if rank < 0 { rank.saturating_add(len as i64) } else { rank };
    let first = from_start(first).max(0);
    let last = from_start(last).min(len as i64 - 1);
    if first > last { (0, 0) } else { (first as usize, (last - first) as usize + 1) }
}

/// Members from one to another in the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Members<'a> {
    min: Edge<'a>,
    max: Edge<'a>,
}

/// One end of a range of members.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Edge<'a> {
    /// Before all members.
    First,
    /// This member, which belongs to the range.
    With(&'a [u8]),
    /// This member, which does not.
    Without(&'a [u8]),
    /// Behind all members.
    Last,
}

impl<'a> Members<'a> {
    /// Reads both bounds: `-`, `+`, `[member` or `(member`.
    pub(super) fn read(min: &'a [u8], max: &'a [u8]) -> Result<Members<'a>, CommandError> {
        match (edge(min), edge(max)) {
            (Some(min), Some(max)) => Ok(Members { min, max }),
            _ => Err(CommandError::fixed("ERR min or max not valid string range item")),
        }
    }

    /// The ranks of the members in the range: the first one's, and the one after the last one's.
    /// Meant for sets with one score only; of others it finds some range, as Redis does.
    pub(super) fn ranks(self, set: &SortedSet) -> (usize, usize) {
        let start = match self.min {
            Edge::First => 0,
            Edge::With(min) => set.partition_point(|member, _| member < min),
            Edge::Without(min) => set.partition_point(|member, _| member <= min),
            Edge::Last => set.len(),
        };
        let end = match self.max {
            Edge::First => 0,
            Edge::With(max) => set.partition_point(|member, _| member <= max),
            Edge::Without(max) => set.partition_point(|member, _| member < max),
            Edge::Last => set.len(),
        };
        (start, end.max(start))
    }
}

fn edge(text: &[u8]) -> Option<Edge<'_>> {
    match text {
        b"-" => Some(Edge::First),
        b"+" => Some(Edge::Last),
        [b'[', member @ ..] => Some(Edge::With(member)),
        [b'(', member @ ..] => Some(Edge::Without(member)),
        _ => None,
    }
}
