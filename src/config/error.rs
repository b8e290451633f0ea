//! Why the server does not start: Redis's words first, then where it was and what is allowed.

use super::row::{Row, find};
use super::table::ROWS;

/// The whole message for standard error; the exit code is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupError(String);

impl StartupError {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        StartupError(text.into())
    }

    /// Redis's message about a line, with the place in our own words after it.
    pub(super) fn at(place: &Place<'_>, fault: &Fault) -> Self {
        Self::where_it_was(&place.shown(), fault)
    }

    /// The same, of a place that was read before.
    pub(super) fn where_it_was(place: &ShownPlace, fault: &Fault) -> Self {
        let mut text = format!("\n*** FATAL CONFIG FILE ERROR (Redis {}) ***\n", super::REDIS_VERSION);
        text += &place.before;
        text += &fault.message;
        text += "\n";
        text += &place.after;
        if let Some(hint) = &fault.hint {
            text += hint;
            text += "\n";
        }
        StartupError(text)
    }
}

impl std::fmt::Display for StartupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartupError {}

/// Where text comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a str),
    Stdin,
    CommandLine,
    Environment,
}

/// A source and, when the fault lies in one line, that line and its number from 1.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub source: Source<'a>,
    pub line: Option<(usize, &'a [u8])>,
}

impl Place<'_> {
    /// What a message says of it.
    pub(super) fn shown(&self) -> ShownPlace {
        let Some((number, line)) = self.line else { return ShownPlace::default() };
        let line = String::from_utf8_lossy(line);
        let reading = match self.source {
            Source::CommandLine => "Reading the command line, at option",
            Source::Environment => "Reading the environment, at variable",
            _ => "Reading the configuration file, at line",
        };
        let after = match self.source {
            Source::File(name) => format!("File: {name}, line {number}.\n"),
            Source::Stdin => format!("File: standard input, line {number}.\n"),
            _ => String::new(),
        };
        ShownPlace { before: format!("{reading} {number}\n>>> '{line}'\n"), after }
    }
}

/// A place in words, for a fault that shows later: around what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShownPlace {
    before: String,
    after: String,
}

/// What is wrong with a line: Redis's words, and what helps.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: Some(hint.into()) }
    }

    /// A value that its row refuses.
    pub(super) fn of_row(row: &Row, message: String) -> Self {
        Fault { message, hint: Some(row.usage()) }
    }

    /// A name that is in no table.
    pub(super) fn unknown(name: &str) -> Self {
        if let Some(hint) = as_two_words(name) {
            return Fault::new("Bad directive or wrong number of arguments", hint);
        }
        let near = nearest(name);
        let hint = match near.is_empty() {
            true => format!("There is no setting '{name}'."),
            false => format!("There is no setting '{name}'. Did you mean {}?", near.join(" or ")),
        };
        Fault::new(
            "Bad directive or wrong number of arguments",
            format!("{hint} All settings: docs/configuration.md."),
        )
    }
}

/// What to write instead of `name=value`.
pub(super) fn as_two_words(word: &str) -> Option<String> {
    let (name, value) = word.split_once('=')?;
    Some(format!(
        "A setting and its value are two words: {name} {value} in a file, --{name} {value} as an option."
    ))
}

/// Up to three known names that are few keystrokes away, in quotes, nearest first.
fn nearest(name: &str) -> Vec<String> {
    // Longer names are no typing slip of a setting; comparing them would only cost time.
    if name.len() > 64 || find(name.as_bytes()).is_some() {
        return Vec::new();
    }
    let names = ROWS.iter().flat_map(|row| [Some(row.name), row.alias]).flatten();
    let limit = 1 + name.len() / 4;
    let mut near: Vec<(usize, &str)> = names
        // Each letter more or less is an edit.
        .filter(|known| known.len().abs_diff(name.len()) <= limit)
        .filter_map(|known| Some((distance(name.as_bytes(), known.as_bytes(), limit)?, known)))
        .collect();
    near.sort();
    near.iter().take(3).map(|(_, known)| format!("'{known}'")).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other: optimal string alignment.
/// None when it takes more than `limit`.
fn distance(from: &[u8], to: &[u8], limit: usize) -> Option<usize> {
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut row = Vec::with_capacity(to.len() + 1);
    for (i, a) in from.iter().enumerate() {
        row.clear();
        row.push(i + 1);
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        // Every way leads through this row, or past it from the last one by a swap.
        if row.iter().chain(&last).all(|&edits| edits > limit) {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    Some(last[to.len()]).filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name() {
        assert_eq!(nearest("prot"), ["'port'"]);
        assert_eq!(nearest("max-clients"), ["'maxclients'"]);
        assert!(nearest("completely-else-and-far").is_empty());
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes(), expected), Some(expected), "{a} {b}");
            let less = expected.checked_sub(1);
            assert_eq!(less.and_then(|less| distance(a.as_bytes(), b.as_bytes(), less)), None, "{a} {b}");
        }
    }
}
