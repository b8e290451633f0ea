//! A command's arguments: slices of the read buffer, behind a cursor that remembers its first error.
//!
//! A handler reads everything it expects and asks once, with [`Args::finish`], whether all was well.

use crate::resp::Span;
use crate::store::{Key, KeyHash};

use super::CommandError;

/// A declared key: which argument it is, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAt {
    /// Index of the argument; 0 is the command's name.
    pub arg: u32,
    /// The key's hash.
    pub hash: KeyHash,
}

/// The arguments of one command. Copying it copies the cursor.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
    keys: &'a [KeyAt],
    at: usize,
    error: Option<CommandError>,
}

impl<'a> Args<'a> {
    /// Arguments given by their places in a buffer. The cursor stands behind the command's name.
    #[inline]
    pub fn new(buffer: &'a [u8], spans: &'a [Span], keys: &'a [KeyAt]) -> Args<'a> {
        Args { buffer, spans, keys, at: 1, error: None }
    }

    /// The same arguments with the cursor behind the subcommand's name.
    pub fn of_subcommand(mut self) -> Args<'a> {
        self.at = 2;
        self
    }

    /// The request that these arguments hold from this one on: `COMMAND GETKEYS get k` holds `get k`. It
    /// has no declared keys, and its cursor stands behind its command's name.
    pub fn skip(&self, count: usize) -> Args<'a> {
        Args::new(self.buffer, &self.spans[count.min(self.spans.len())..], &[])
    }

    /// Number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Never: a command has at least its name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many arguments are left to read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.spans.len().saturating_sub(self.at)
    }

    /// The argument at an index; empty when there is none. 0 is the command's name.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.spans.get(index).map_or(&[], |span| &self.buffer[span.start..span.start + span.len])
    }

    /// The declared keys.
    pub fn keys(&self) -> &'a [KeyAt] {
        self.keys
    }

    /// The declared key of this ordinal number.
    #[inline]
    pub fn declared(&self, ordinal: usize) -> Option<Key<'a>> {
        self.keys.get(ordinal).map(|key| Key { bytes: self.get(key.arg as usize), hash: key.hash })
    }

    /// The next argument without reading it.
    #[inline]
    pub fn peek(&self) -> Option<&'a [u8]> {
        if self.at < self.spans.len() { Some(self.get(self.at)) } else { None }
    }

    /// Reads the next argument.
    #[inline]
    #[allow(clippy::should_implement_trait)] // It is a cursor; an iterator would hide the latched error.
    pub fn next(&mut self) -> Option<&'a [u8]> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    /// Reads the next argument as bytes; a syntax error when there is none.
    #[inline]
    pub fn bytes(&mut self) -> &'a [u8] {
        match self.next() {
            Some(bytes) => bytes,
            None => {
                self.fail(CommandError::Syntax);
                &[]
            }
        }
    }

    /// Reads the next argument, which the row declares as a key.
    #[inline]
    pub fn key(&mut self) -> Key<'a> {
        let index = self.at as u32;
        let bytes = self.bytes();
        let hash = match self.keys.iter().find(|key| key.arg == index) {
            Some(key) => key.hash,
            None => {
                debug_assert!(self.error.is_some(), "argument {index} is not declared as a key");
                0
            }
        };
        Key { bytes, hash }
    }

    /// Reads an integer; latches "value is not an integer or out of range".
    #[inline]
    pub fn int(&mut self) -> i64 {
        self.int_or(CommandError::NotInteger)
    }

    /// Reads an integer; latches `error` when it is none.
    #[inline]
    pub fn int_or(&mut self, error: CommandError) -> i64 {
        let bytes = self.bytes();
        match crate::data::parse_i64(bytes) {
            Some(number) => number,
            None => {
                self.fail(error);
                0
            }
        }
    }

    /// Reads an integer within a range; latches `error` when it is none or outside.
    pub fn int_in(&mut self, range: std::ops::RangeInclusive<i64>, error: CommandError) -> i64 {
        let number = self.int_or(error.clone());
        if !range.contains(&number) {
            self.fail(error);
        }
        number
    }

    /// Reads a float; latches "value is not a valid float".
    pub fn float(&mut self) -> f64 {
        let bytes = self.bytes();
        match crate::data::parse_f64(bytes) {
            Some(number) => number,
            None => {
                self.fail(CommandError::NotFloat);
                0.0
            }
        }
    }

    /// Reads the next argument if it is this word, whatever its case.
    #[inline]
    pub fn keyword(&mut self, word: &str) -> bool {
        let matches = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        if matches {
            self.at += 1;
        }
        matches
    }

    /// Remembers an error if it is the first.
    #[cold]
    pub fn fail(&mut self, error: CommandError) {
        self.error.get_or_insert(error);
    }

    /// The first error so far.
    #[inline]
    pub fn check(&mut self) -> Result<(), CommandError> {
        match self.error.take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The first error; a syntax error when arguments are left over.
    #[inline]
    pub fn finish(&mut self) -> Result<(), CommandError> {
        if self.at < self.spans.len() {
            self.fail(CommandError::Syntax);
        }
        self.check()
    }

    /// All arguments from the cursor on.
    pub fn rest(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (buffer, spans) = (self.buffer, &self.spans[self.at.min(self.spans.len())..]);
        spans.iter().map(move |span| &buffer[span.start..span.start + span.len])
    }

    /// All arguments, the command's name first.
    pub fn all(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let buffer = self.buffer;
        self.spans.iter().map(move |span| &buffer[span.start..span.start + span.len])
    }
}
