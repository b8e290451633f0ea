//! What ZMPOP and BZMPOP share: their arguments, and the pop of one key with its name.

use crate::command::{Args, CommandError, Context};
use crate::data::number;
use crate::store::Key;

use super::pop::{End, Shape, pop_and_answer};

/// The complexity of both.
pub(super) const COMPLEXITY: &str = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.";

/// `numkeys key [key ...] <MIN | MAX> [COUNT count]`
pub(super) struct Request {
    /// Number of keys: the declared keys of the command.
    pub keys: usize,
    /// Where members are taken.
    pub end: End,
    /// How many at most.
    pub count: usize,
}

impl Request {
    /// Reads the arguments from `numkeys` on to the last.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Request, CommandError> {
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
        if args.remaining() >= 2 && args.keyword("COUNT") {
            count = args.int_in(1..=i64::MAX, CommandError::fixed("ERR count should be greater than 0"));
            args.check()?;
        }
        args.finish()?;
        Ok(Request { keys, end, count: usize::try_from(count).unwrap_or(usize::MAX) })
    }
}

/// Pops from one key and answers its name with the members. False when the key is absent.
pub(super) fn pop(ctx: &mut Context<'_>, key: Key<'_>, request: &Request) -> Result<bool, CommandError> {
    let popped = pop_and_answer(ctx, key, request.end, request.count, Shape::PairsWithKey)?;
    let Some(count) = popped else { return Ok(false) };
    let mut buffer = number::IntegerBuffer::new();
    let count = number::format_i64(count as i64, &mut buffer);
    ctx.replay_as([request.end.command(), key.bytes, count]);
    Ok(true)
}
