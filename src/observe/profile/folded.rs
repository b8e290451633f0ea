//! Stacks by the names on them, those with the same names together.

use std::collections::BTreeMap;

/// What stands between two names in the text.
const BETWEEN: char = ';';

/// Stacks and the samples that had them. A stack begins with its thread and ends with the innermost call.
#[derive(Debug, Default)]
pub(super) struct Folded {
    stacks: BTreeMap<String, u64>,
}

impl Folded {
    pub(super) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, samples: u64) {
        let mut stack = String::new();
        for name in names {
            if !stack.is_empty() {
                stack.push(BETWEEN);
            }
            // What would be taken for the end of a name or of the line: `[u8; 4]` is a part of names.
            let plain = |c: char| if c == BETWEEN { ',' } else { ' ' };
            stack.extend(name.chars().map(|c| if c == BETWEEN || c.is_control() { plain(c) } else { c }));
        }
        *self.stacks.entry(stack).or_default() += samples;
    }

    /// In order: the names of each, the samples.
    pub(super) fn stacks(&self) -> impl Iterator<Item = (impl Iterator<Item = &str>, u64)> {
        self.stacks.iter().map(|(stack, samples)| (stack.split(BETWEEN), *samples))
    }

    pub(super) fn text(&self) -> String {
        self.stacks.iter().map(|(stack, samples)| format!("{stack} {samples}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_are_counted_together_and_break_no_line() {
        let mut folded = Folded::default();
        folded.add(["worker-0", "run", "<[u8; 4] as A>::b"], 2);
        folded.add(["worker-0", "run"], 1);
        folded.add(["worker-0", "run", "<[u8; 4] as A>::b"], 3);
        folded.add(["a\nthread", "run"], 4);
        assert_eq!(folded.text(), "a thread;run 4\nworker-0;run 1\nworker-0;run;<[u8, 4] as A>::b 5\n");
        let (names, samples) = folded.stacks().last().unwrap();
        assert_eq!((names.collect::<Vec<_>>(), samples), (vec!["worker-0", "run", "<[u8, 4] as A>::b"], 5));
    }
}
