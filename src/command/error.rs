//! What a client did wrong, in Redis's exact words. The one place where they stand.

use std::borrow::Cow;
use std::fmt;

use crate::resp::text_of;
use crate::store::WrongType;

/// What a write is told while too few replicas follow.
pub const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

/// What a write is told after a save that failed.
pub const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
     disk. Commands that may modify the data set are disabled, because this instance is configured to report \
     errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis \
     logs for details about the RDB error.";

/// How that begins which a write is told while the append-only file cannot be written.
pub const AOF_FAILS: &str = "MISCONF Errors writing to the AOF file: ";

/// What a write is told while the append-only file cannot be written.
#[cold]
pub fn cannot_log(why: &str) -> CommandError {
    CommandError::Text(format!("{AOF_FAILS}{why}").into())
}

/// A refusal. Its display is the error reply without the leading minus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds another type.
    WrongType,
    /// The options make no sense together.
    Syntax,
    /// Not an integer, or too large for one.
    NotInteger,
    /// Not a number.
    NotFloat,
    /// Wrong number of arguments for the command (lower-case name, `a|b` for subcommands).
    Arity(String),
    /// No such key.
    NoSuchKey,
    /// An index is out of range.
    IndexOutOfRange,
    /// An increment would overflow.
    Overflow,
    /// A value out of range.
    OutOfRange,
    /// A negative or oversized count.
    MustBePositive,
    /// A string would exceed `proto-max-bulk-len`.
    StringTooLong,
    /// An expiry that makes no sense (lower-case name of the command).
    InvalidExpire(&'static str),
    /// A timeout that is no number.
    TimeoutNotFloat,
    /// A timeout below zero.
    TimeoutNegative,
    /// A database that does not exist.
    DatabaseOutOfRange,
    /// Any other text, with its code: `ERR no such user`.
    Text(Cow<'static, str>),
}

impl CommandError {
    /// An error with the code ERR.
    pub fn err(text: impl fmt::Display) -> CommandError {
        CommandError::Text(Cow::Owned(format!("ERR {text}")))
    }

    /// An error whose whole text, code included, is fixed.
    pub const fn fixed(text: &'static str) -> CommandError {
        CommandError::Text(Cow::Borrowed(text))
    }

    /// The reply without the leading minus.
    pub fn text(&self) -> Cow<'static, str> {
        let fixed = match self {
            CommandError::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            CommandError::Syntax => "ERR syntax error",
            CommandError::NotInteger => "ERR value is not an integer or out of range",
            CommandError::NotFloat => "ERR value is not a valid float",
            CommandError::NoSuchKey => "ERR no such key",
            CommandError::IndexOutOfRange => "ERR index out of range",
            CommandError::Overflow => "ERR increment or decrement would overflow",
            CommandError::OutOfRange => "ERR value is out of range",
            CommandError::MustBePositive => "ERR value is out of range, must be positive",
            CommandError::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            CommandError::TimeoutNotFloat => "ERR timeout is not a float or out of range",
            CommandError::TimeoutNegative => "ERR timeout is negative",
            CommandError::DatabaseOutOfRange => "ERR DB index is out of range",
            CommandError::Arity(name) => {
                return format!("ERR wrong number of arguments for '{name}' command").into();
            }
            CommandError::InvalidExpire(name) => {
                return format!("ERR invalid expire time in '{name}' command").into();
            }
            CommandError::Text(text) => return text.clone(),
        };
        Cow::Borrowed(fixed)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A client's word within an error, only up to a NUL, which ends Redis's. The encoder takes line breaks out.
pub fn shown(word: &[u8]) -> Cow<'_, str> {
    shown_up_to(word, usize::MAX)
}

/// At most so many bytes of a client's word within an error.
pub fn shown_up_to(word: &[u8], limit: usize) -> Cow<'_, str> {
    let word = &word[..word.len().min(limit)];
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    text_of(&word[..end])
}

/// What a container answers to a subcommand that it does not have, or to words and options that the subcommand
/// does not take, where Redis reads them by hand.
pub fn wrong_usage(container: &str, subcommand: &[u8]) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try {container} HELP.",
        shown_up_to(subcommand, 128)
    ))
}

impl From<WrongType> for CommandError {
    fn from(_: WrongType) -> CommandError {
        CommandError::WrongType
    }
}
