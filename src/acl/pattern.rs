//! A pattern of keys or channels.
//!
//! Most patterns in use are a fixed beginning and a star. For these the first eight bytes are compared
//! as one number, so that a user's ten patterns cost some ten instructions each, not ten globs.

use crate::data::glob_match;

/// How a pattern is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Fixed bytes and one star at the end.
    Prefix,
    /// Fixed bytes only.
    Exact,
    /// Anything else.
    Glob,
}

/// A glob, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
    /// The first eight fixed bytes, and which of them there are.
    head: u64,
    mask: u64,
}

/// The first eight bytes of a name as a number, with zeros where there are none.
#[derive(Clone, Copy, Debug)]
pub struct Head(u64);

impl Head {
    /// Of a name.
    #[inline]
    pub fn of(name: &[u8]) -> Head {
        if let Some(first) = name.first_chunk::<8>() {
            return Head(u64::from_le_bytes(*first));
        }
        let mut word = [0; 8];
        word[..name.len()].copy_from_slice(name);
        Head(u64::from_le_bytes(word))
    }
}

/// A pattern's fixed beginning alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuickPattern {
    head: u64,
    mask: u64,
    /// Nothing but these bytes matters.
    is_whole: bool,
}

impl QuickPattern {
    /// Whether a name may match. The other is whether it then surely does.
    #[inline]
    pub fn may_match(&self, head: Head) -> (bool, bool) {
        (head.0 & self.mask == self.head, self.is_whole)
    }
}

impl Pattern {
    /// From its text.
    pub fn new(text: &[u8]) -> Pattern {
        let special = text.iter().position(|byte| b"*?[\\".contains(byte));
        let (shape, fixed) = match special {
            None => (Shape::Exact, text),
            // An empty name matches no star.
            Some(at) if at > 0 && text[at] == b'*' && at + 1 == text.len() => (Shape::Prefix, &text[..at]),
            Some(_) => (Shape::Glob, &text[..0]),
        };
        let known = fixed.len().min(8);
        let mask = if known == 8 { u64::MAX } else { (1 << (8 * known)) - 1 };
        Pattern { text: text.into(), shape, head: Head::of(fixed).0 & mask, mask }
    }

    /// What a name's first eight bytes say of a match. Patterns hold no zeros, so a name that is shorter than the
    /// fixed bytes never has them.
    pub fn quick(&self) -> QuickPattern {
        let is_whole = self.shape == Shape::Prefix && self.text.len() - 1 <= 8;
        QuickPattern { head: self.head, mask: self.mask, is_whole }
    }

    /// As it was written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it matches a name whose beginning is `head`.
    #[inline]
    pub fn matches(&self, name: &[u8], head: Head) -> bool {
        // A name with fewer bytes has zeros there: what follows looks at its length.
        head.0 & self.mask == self.head && self.matches_rest(name)
    }

    fn matches_rest(&self, name: &[u8]) -> bool {
        match self.shape {
            Shape::Prefix => name.starts_with(&self.text[..self.text.len() - 1]),
            Shape::Exact => *name == *self.text,
            Shape::Glob => glob_match(&self.text, name, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_its_glob_does() {
        let patterns =
            ["", "*", "a", "a*", "abcdefgh*", "abcdefghi*", "abcdefgh", "a?c", "a\\*", "[ab]*", "**", "a**"];
        let names =
            ["", "a", "ab", "abc", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghij", "a*", "b", "\0", "a\0"];
        for pattern in patterns {
            let compiled = Pattern::new(pattern.as_bytes());
            for name in names {
                let name = name.as_bytes();
                let expected = glob_match(pattern.as_bytes(), name, false);
                let (may, surely) = compiled.quick().may_match(Head::of(name));
                // What may stand in a pattern has no zeros.
                assert!(may || !expected, "{pattern} {name:?}");
                assert!(!(may && surely) || expected, "{pattern} {name:?}");
                assert_eq!(compiled.matches(name, Head::of(name)), expected, "{pattern} {name:?}");
            }
        }
    }
}
