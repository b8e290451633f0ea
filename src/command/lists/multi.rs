//! What LMPOP and BLMPOP share: their arguments, and the pop of one key with its name.

use crate::command::{Args, CommandError, Context};
use crate::data::{List, number};
use crate::store::Key;

use super::{End, popped};

/// `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]`
pub struct Request {
    /// Number of keys: the declared keys of the command.
    pub keys: usize,
    /// Where elements are taken.
    pub end: End,
    /// How many at most.
    pub count: usize,
}

impl Request {
    /// Reads the arguments from `numkeys` on to the last.
    pub fn read(args: &mut Args<'_>) -> Result<Request, CommandError> {
        let too_few = CommandError::fixed("ERR numkeys should be greater than 0");
        let keys = args.int_in(1..=i64::MAX, too_few);
        args.check()?;
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        if keys >= args.remaining() {
            return Err(CommandError::Syntax);
        }
        for _ in 0..keys {
            args.bytes();
        }
        let end = End::read(args);
        args.check()?;
        let mut count = 1;
        if args.keyword("COUNT") {
            if args.remaining() == 0 {
                return Err(CommandError::Syntax);
            }
            count = args.int_in(1..=i64::MAX, CommandError::fixed("ERR count should be greater than 0"));
        }
        args.check()?;
        args.finish()?;
        Ok(Request { keys, end, count: usize::try_from(count).unwrap_or(usize::MAX) })
    }
}

/// Pops from one key and answers its name with the elements. False when the key is absent.
pub fn pop(ctx: &mut Context<'_>, key: Key<'_>, request: &Request) -> Result<bool, CommandError> {
    let Some(list) = ctx.view.get_mut::<List>(key)? else { return Ok(false) };
    let count = request.count.min(list.len());
    let out = &mut *ctx.out;
    out.array(2);
    out.bulk(key.bytes);
    out.array(count);
    for _ in 0..count {
        request.end.pop_with(list, |element| out.bulk(element));
    }
    let emptied = list.is_empty();
    let mut buffer = number::IntegerBuffer::new();
    let count_text = number::format_i64(count as i64, &mut buffer);
    ctx.replay_as([request.end.pop_command(), key.bytes, count_text]);
    popped(ctx, key, request.end, count, emptied);
    Ok(true)
}
