//! What SSCAN, HSCAN and ZSCAN share: their options and the form of their answer.

use crate::data::glob_match;
use crate::resp::Encoder;

use super::cursor::parse_cursor;
use super::{Args, CommandError, Context, Outcome, Reply};

/// Elements asked for when COUNT is not given, as in Redis.
const DEFAULT_COUNT: usize = 10;

/// One call's options, and the elements found so far. They are collected because the cursor, which is
/// known only afterwards, comes first in the answer.
#[derive(Debug)]
pub struct ElementScan<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    found: Encoder,
    replies: usize,
}

impl<'a> ElementScan<'a> {
    /// Reads `[MATCH pattern] [COUNT count]`.
    pub fn options(args: &mut Args<'a>) -> Result<ElementScan<'a>, CommandError> {
        let mut scan =
            ElementScan { pattern: None, count: DEFAULT_COUNT, found: Encoder::default(), replies: 0 };
        while args.remaining() > 0 {
            if args.keyword("MATCH") {
                scan.pattern = Some(args.bytes());
            } else if args.keyword("COUNT") {
                let count = args.int();
                args.check()?;
                scan.count =
                    usize::try_from(count).ok().filter(|count| *count > 0).ok_or(CommandError::Syntax)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        args.check()?;
        Ok(scan)
    }

    /// How many elements to look for.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the pattern matches this member or field. `*` wants the empty one too, which no pattern matches.
    pub fn wants(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| pattern == b"*" || glob_match(pattern, element, false))
    }

    /// Adds a bulk string to the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.found.bulk(bytes);
        self.replies += 1;
    }

    /// Answers: the next cursor and what was found.
    pub fn answer(self, ctx: &mut Context<'_>, cursor: u64) -> Outcome {
        ctx.out.array(2);
        ctx.out.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        ctx.out.array(self.replies);
        ctx.out.raw(self.found.as_slice());
        Ok(Reply::Sent)
    }
}

/// Reads the cursor; Redis refuses a bad one before it looks at the key.
pub fn cursor(args: &mut Args<'_>) -> Result<u64, CommandError> {
    parse_cursor(args.bytes())
}

/// The answer for a key that is absent, whatever the options are.
pub fn nothing(ctx: &mut Context<'_>) -> Outcome {
    ctx.out.array(2);
    ctx.out.bulk(b"0");
    ctx.out.array(0);
    Ok(Reply::Sent)
}
