//! Error replies by their code, as INFO errorstats shows them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many codes are kept apart. Scripts can make up codes, and Redis 7.0.15 keeps them all;
/// later versions stop at 128 codes because that is memory a client can ask for.
pub const MAX_CODES: usize = 128;
/// Where codes past the bound are counted.
pub const OVERFLOW: &str = "ERRORSTATS_OVERFLOW";
/// Redis looks for the end of the code in the first 32 bytes, the `-` included.
const MAX_CODE_BYTES: usize = 31;

/// Counts by code, sorted by code as Redis's radix tree is.
pub type ErrorCounts = BTreeMap<Box<str>, u64>;

/// The error counts of one worker. The lock is taken by its worker, which is alone but for
/// the moments when somebody looks.
#[derive(Debug, Default)]
pub struct ErrorTable {
    counts: Mutex<ErrorCounts>,
}

impl ErrorTable {
    /// Counts an error reply, given its text without the leading `-`. The code is the first
    /// word; a text without one counts as ERR.
    pub fn record(&self, text: &str) {
        let mut counts = self.lock();
        add(&mut counts, code_of(text), 1);
    }

    /// Adds the counts to `into`, which keeps the same bound.
    pub fn add_to(&self, into: &mut ErrorCounts) {
        for (code, count) in self.lock().iter() {
            add(into, code, *count);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, ErrorCounts> {
        // Nothing in here can panic half way through a change, so a poisoned lock is sound.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counts: &mut ErrorCounts, code: &str, count: u64) {
    if let Some(sum) = counts.get_mut(code) {
        *sum += count;
        return;
    }
    let code = if counts.len() < MAX_CODES { code } else { OVERFLOW };
    *counts.entry(code.into()).or_default() += count;
}

fn code_of(text: &str) -> &str {
    match text.as_bytes().iter().take(MAX_CODE_BYTES).position(|byte| *byte == b' ') {
        Some(end) if end > 0 => &text[..end],
        _ => "ERR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_first_word() {
        assert_eq!(code_of("WRONGTYPE Operation against a key"), "WRONGTYPE");
        assert_eq!(code_of("ERR syntax error"), "ERR");
        assert_eq!(code_of("nospace"), "ERR");
        assert_eq!(code_of(""), "ERR");
        assert_eq!(code_of(" x"), "ERR");
        assert_eq!(code_of(&format!("{} x", "A".repeat(30))), "A".repeat(30));
        assert_eq!(code_of(&format!("{} x", "A".repeat(31))), "ERR");
    }

    #[test]
    fn made_up_codes_are_bounded() {
        let table = ErrorTable::default();
        for number in 0..1000 {
            table.record(&format!("CODE{number} made up"));
        }
        table.record("CODE5 again");
        let mut counts = ErrorCounts::new();
        table.add_to(&mut counts);
        assert_eq!(counts.len(), MAX_CODES + 1);
        assert_eq!(counts["CODE5"], 2);
        assert_eq!(counts[OVERFLOW], 1000 - MAX_CODES as u64);
    }

    #[test]
    fn merging_keeps_the_bound_and_the_sum() {
        let mut counts = ErrorCounts::new();
        for worker in 0..4 {
            let table = ErrorTable::default();
            for number in 0..100 {
                table.record(&format!("W{worker}N{number} x"));
            }
            table.add_to(&mut counts);
        }
        assert_eq!(counts.len(), MAX_CODES + 1);
        assert_eq!(counts.values().sum::<u64>(), 400);
    }
}
