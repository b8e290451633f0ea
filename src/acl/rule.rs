//! What stands around rules: why one is refused, how they are cut out of words, and what is not allowed
//! in a name.

use super::catalog::Catalog;

/// Why a rule is refused, in Redis's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// It is no rule.
    Syntax,
    /// It names a command or category that is not there.
    Unknown,
    /// A pattern of keys where all keys are allowed already.
    KeysAfterAll,
    /// A pattern of channels where all channels are allowed already.
    ChannelsAfterAll,
    /// A password to remove that is not there.
    NoSuchPassword,
    /// What should be the hash of a password is none.
    BadHash,
    /// The first argument of a subcommand cannot be a condition.
    FirstArgumentOfSubcommand,
}

impl RuleError {
    /// What the client is told.
    pub const fn text(self) -> &'static str {
        match self {
            RuleError::Syntax => "Syntax error",
            RuleError::Unknown => "Unknown command or category name in ACL",
            RuleError::KeysAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::ChannelsAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have \
                 any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::FirstArgumentOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// What rules are read with.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The commands that they may name.
    pub catalog: &'a Catalog,
    /// What a new user may listen to: all channels, or none (`acl-pubsub-default`).
    pub all_channels: bool,
}

/// Whether a name, a pattern or the like has bytes that would make its written form ambiguous.
pub fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0))
}

/// Joins selectors that are spread over several words, `(+get` and `~k*)`. The error is the place of the
/// word with a parenthesis that nothing closes.
pub fn join_selectors<W: AsRef<[u8]>>(words: &[W]) -> Result<Vec<Vec<u8>>, usize> {
    let mut joined: Vec<Vec<u8>> = Vec::with_capacity(words.len());
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (at, word) in words.iter().map(AsRef::as_ref).enumerate() {
        if word.first() == Some(&b'(') && word.last() != Some(&b')') {
            open = Some((at, word.to_vec()));
        } else if let Some((from, mut selector)) = open.take() {
            selector.push(b' ');
            selector.extend_from_slice(word);
            if word.last() == Some(&b')') {
                joined.push(selector);
            } else {
                open = Some((from, selector));
            }
        } else {
            joined.push(word.to_vec());
        }
    }
    match open {
        Some((at, _)) => Err(at),
        None => Ok(joined),
    }
}
