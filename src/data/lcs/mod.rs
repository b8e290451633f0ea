//! The longest common subsequence of two byte strings, as LCS answers it.
//!
//! The usual table: the cell of (i, j) is the length for the first i bytes of one
//! string and the first j of the other. Walking back from the last cell finds
//! the subsequence from its end, and which of several equally long ones is found
//! depends on that walk, so it is Redis's: where bytes differ, go to the larger
//! of the two neighbours, and on a tie shorten the second string.

use std::fmt;
use std::ops::Range;

/// Why a subsequence is not computed. Its text is what Redis answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LcsTooLarge {
    /// A string has 2^32 - 2 bytes or more.
    String,
    /// The table would be larger than the limit given.
    Limit,
    /// The table is larger than memory.
    Memory,
}

impl fmt::Display for LcsTooLarge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::String => "String too long for LCS",
            Self::Limit => "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            Self::Memory => "Insufficient memory, failed allocating transient memory for LCS",
        })
    }
}

impl std::error::Error for LcsTooLarge {}

/// A run of bytes that lies in both strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LcsMatch {
    /// Where it lies in the first string. (LCS answers the last index, not the end.)
    pub a: Range<usize>,
    /// Where it lies in the second string.
    pub b: Range<usize>,
}

impl LcsMatch {
    /// The bytes of the run.
    pub fn len(&self) -> usize {
        self.a.len()
    }

    /// Whether it has no bytes; no match that is returned is empty.
    pub fn is_empty(&self) -> bool {
        self.a.is_empty()
    }
}

/// The bytes of the table for strings of these lengths, if it is allowed.
///
/// Redis's limit is `proto-max-bulk-len`. Ask before the strings are copied.
///
/// # Errors
///
/// See [`LcsTooLarge`]; the order of the checks is Redis's.
pub fn lcs_table_bytes(a: usize, b: usize, limit_bytes: u64) -> Result<u64, LcsTooLarge> {
    const LONGEST: usize = u32::MAX as usize - 2;
    if a > LONGEST || b > LONGEST {
        return Err(LcsTooLarge::String);
    }
    let cells = (a as u64 + 1) * (b as u64 + 1);
    let bytes = cells.checked_mul(size_of::<u32>() as u64).ok_or(LcsTooLarge::Memory)?;
    if bytes > limit_bytes {
        return Err(LcsTooLarge::Limit);
    }
    Ok(bytes)
}

/// The length of the longest common subsequence.
///
/// It needs one row of the table only, but is refused where the table would be:
/// the answer does not depend on what else is asked.
///
/// # Errors
///
/// As [`lcs_table_bytes`].
pub fn lcs_len(a: &[u8], b: &[u8], limit_bytes: u64) -> Result<usize, LcsTooLarge> {
    lcs_table_bytes(a.len(), b.len(), limit_bytes)?;
    let mut row = zeroed(b.len() + 1)?;
    for byte in a {
        // The cell above and to the left of the one that is written.
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if byte == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    Ok(row[b.len()] as usize)
}

/// The matching runs of the longest common subsequence, the last one first.
///
/// The subsequence is their bytes, put together from the last run to the first
/// ([`lcs_string`]). Runs shorter than MINMATCHLEN are the caller's to leave out.
///
/// # Errors
///
/// As [`lcs_table_bytes`], and [`LcsTooLarge::Memory`] when the allocator fails.
pub fn lcs_matches(a: &[u8], b: &[u8], limit_bytes: u64) -> Result<Vec<LcsMatch>, LcsTooLarge> {
    lcs_table_bytes(a.len(), b.len(), limit_bytes)?;
    let table = Table::new(a, b)?;
    let mut matches: Vec<LcsMatch> = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] != b[j - 1] {
            if table.at(i - 1, j) > table.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
            continue;
        }
        match matches.last_mut() {
            Some(run) if run.a.start == i && run.b.start == j => {
                run.a.start -= 1;
                run.b.start -= 1;
            }
            _ => matches.push(LcsMatch { a: i - 1..i, b: j - 1..j }),
        }
        i -= 1;
        j -= 1;
    }
    Ok(matches)
}

/// The subsequence that `matches`, which [`lcs_matches`] found, have in `a`.
pub fn lcs_string(a: &[u8], matches: &[LcsMatch]) -> Vec<u8> {
    let runs = matches.iter().rev().filter_map(|run| a.get(run.a.clone()));
    runs.flatten().copied().collect()
}

struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Result<Self, LcsTooLarge> {
        let width = b.len() + 1;
        let mut cells = zeroed(width * (a.len() + 1))?;
        for (i, byte) in a.iter().enumerate() {
            let (above, below) = cells.split_at_mut((i + 1) * width);
            let (above, row) = (&above[i * width..], &mut below[..width]);
            for (j, other) in b.iter().enumerate() {
                row[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
        Ok(Self { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }
}

/// Zeros, or the error where an ordinary allocation would end the process.
fn zeroed(count: usize) -> Result<Vec<u32>, LcsTooLarge> {
    let mut cells = Vec::new();
    cells.try_reserve_exact(count).map_err(|_| LcsTooLarge::Memory)?;
    cells.resize(count, 0);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 512 * 1024 * 1024;

    fn ranges(a: &str, b: &str) -> Vec<(usize, usize, usize, usize)> {
        let matches = lcs_matches(a.as_bytes(), b.as_bytes(), LIMIT).unwrap();
        let inclusive = |run: &LcsMatch| (run.a.start, run.a.end - 1, run.b.start, run.b.end - 1);
        matches.iter().map(inclusive).collect()
    }

    #[test]
    fn answers_are_those_of_redis() {
        // LCS key1 key2 IDX, as a Redis 7.0.15 answered.
        assert_eq!(ranges("ohmytext", "mynewtext"), [(4, 7, 5, 8), (2, 3, 0, 1)]);
        for (a, b, expected) in include!("answers.in") {
            assert_eq!(ranges(a, b), *expected, "{a} {b}");
        }
    }

    #[test]
    fn strings_without_common_bytes() {
        assert_eq!(ranges("", ""), []);
        assert_eq!(ranges("abc", ""), []);
        assert_eq!(ranges("abc", "xyz"), []);
        assert_eq!(lcs_len(b"abc", b"xyz", LIMIT), Ok(0));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_allocated() {
        assert_eq!(lcs_table_bytes(9, 99, 4000), Ok(4000));
        assert_eq!(lcs_table_bytes(9, 99, 3999), Err(LcsTooLarge::Limit));
        let longest = u32::MAX as usize - 2;
        assert_eq!(lcs_table_bytes(longest, longest, u64::MAX), Err(LcsTooLarge::Memory));
        assert_eq!(lcs_table_bytes(longest + 1, 1, LIMIT), Err(LcsTooLarge::String));
        assert_eq!(lcs_matches(b"abc", b"abc", 63), Err(LcsTooLarge::Limit));
        assert_eq!(lcs_len(b"abc", b"abc", 63), Err(LcsTooLarge::Limit));
        assert_eq!(lcs_len(b"abc", b"abc", 64), Ok(3));
    }

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|byte| rest.any(|other| other == byte))
    }

    /// By definition: every subsequence of the shorter one.
    fn longest(a: &[u8], b: &[u8]) -> usize {
        let chosen =
            |mask: u32| -> Vec<u8> { (0..a.len()).filter(|i| mask >> i & 1 == 1).map(|i| a[i]).collect() };
        let common = (0..1u32 << a.len()).map(chosen).filter(|part| is_subsequence(part, b));
        common.map(|part| part.len()).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn the_string_is_common_and_longest(
            a in proptest::collection::vec(b'a'..b'd', 0..9),
            b in proptest::collection::vec(b'a'..b'd', 0..20),
        ) {
            let matches = lcs_matches(&a, &b, LIMIT).unwrap();
            let string = lcs_string(&a, &matches);
            prop_assert!(is_subsequence(&string, &a) && is_subsequence(&string, &b));
            prop_assert_eq!(string.len(), longest(&a, &b));
            prop_assert_eq!(lcs_len(&a, &b, LIMIT).unwrap(), string.len());
            for run in &matches {
                prop_assert_eq!(&a[run.a.clone()], &b[run.b.clone()]);
            }
        }
    }
}
