//! Lists.
//!
//! What lives here: the list commands by what they do: [`push`], [`pop`], [`read`], [`edit`], [`shift`]
//! (from one list to another) and [`block`] (those that wait). What never does: how a list is stored
//! (`data::list`), and who waits where (the engine).

mod block;
mod edit;
mod multi;
mod pop;
mod push;
mod read;
mod shift;
#[cfg(test)]
mod tests;

use crate::data::{List, NodeLimit};
use crate::store::Key;

use super::context::EventClass;
use super::{Args, CommandError, Context};

pub use block::COMMANDS as BLOCK;
pub use edit::COMMANDS as EDIT;
pub use pop::COMMANDS as POP;
pub use push::COMMANDS as PUSH;
pub use read::COMMANDS as READ;
pub use shift::COMMANDS as MOVE;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The first element.
    Left,
    /// The last one.
    Right,
}

impl End {
    /// Reads LEFT or RIGHT; a syntax error when it is neither.
    fn read(args: &mut Args<'_>) -> End {
        if args.keyword("LEFT") {
            return End::Left;
        }
        if !args.keyword("RIGHT") {
            args.fail(CommandError::Syntax);
        }
        End::Right
    }

    fn word(self) -> &'static [u8] {
        match self {
            End::Left => b"LEFT",
            End::Right => b"RIGHT",
        }
    }

    /// The command that pops there, for replays.
    fn pop_command(self) -> &'static [u8] {
        match self {
            End::Left => b"LPOP",
            End::Right => b"RPOP",
        }
    }

    fn pop_event(self) -> &'static str {
        match self {
            End::Left => "lpop",
            End::Right => "rpop",
        }
    }

    fn push_event(self) -> &'static str {
        match self {
            End::Left => "lpush",
            End::Right => "rpush",
        }
    }

    #[inline]
    fn push(self, list: &mut List, element: &[u8], limit: NodeLimit) {
        match self {
            End::Left => list.push_front(element, limit),
            End::Right => list.push_back(element, limit),
        }
    }

    #[inline]
    fn pop_with<R>(self, list: &mut List, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            End::Left => list.pop_front_with(take),
            End::Right => list.pop_back_with(take),
        }
    }
}

/// How large a node of a list may become.
#[inline]
fn node_limit(ctx: &Context<'_>) -> NodeLimit {
    NodeLimit::from_listpack_size(i64::from(ctx.settings.list_max_listpack_size))
}

/// Says that `count` elements were popped from a list, and removes the key if none is left.
#[inline]
fn popped(ctx: &mut Context<'_>, key: Key<'_>, end: End, count: usize, emptied: bool) {
    ctx.effect(key, EventClass::List, end.pop_event());
    ctx.view.tally.changes += count as u64 - 1;
    if emptied {
        remove_empty(ctx, key);
    }
}

/// Removes the key of a list that has lost its last element.
fn remove_empty(ctx: &mut Context<'_>, key: Key<'_>) {
    if ctx.view.remove_if_empty(key) {
        ctx.event(key, EventClass::Generic, "del");
    }
}

/// The elements from `start` to `stop`, both included and negative from the end, as a first index and
/// a count. `None` when there are none.
fn resolve_range(len: usize, start: i64, stop: i64) -> Option<(usize, usize)> {
    let from_end = |index: i64| if index < 0 { index.saturating_add_unsigned(len as u64) } else { index };
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    let stop = usize::try_from(from_end(stop)).ok()?.min(len.checked_sub(1)?);
    (start <= stop).then(|| (start, stop - start + 1))
}
