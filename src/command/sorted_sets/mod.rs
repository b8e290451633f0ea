//! Sorted sets.
//!
//! What lives here: the sorted-set commands by what they do: [`change`] (add and remove), [`remove`]
//! (by range), [`pop`], [`multi`] and [`block`] (from either end, now or later), [`range`], [`combine`]
//! (several sets into one), [`draw`] (by chance) and [`read`] (one member, or how many), with the
//! [`bounds`] that clients write. What never does: how a sorted set is stored (`data::sorted_set`).

mod block;
mod bounds;
mod change;
mod combine;
#[cfg(test)]
mod combine_tests;
mod draw;
mod multi;
mod pop;
#[cfg(test)]
mod pop_tests;
mod range;
#[cfg(test)]
mod range_tests;
mod read;
mod remove;
#[cfg(test)]
mod tests;

use crate::store::Key;

use super::Context;
use super::context::EventClass;

pub use block::COMMANDS as BLOCK;
pub use change::COMMANDS as CHANGE;
pub use combine::COMMANDS as COMBINE;
pub use draw::COMMANDS as DRAW;
pub use pop::COMMANDS as POP;
pub use range::COMMANDS as RANGE;
pub use read::COMMANDS as READ;
pub use remove::COMMANDS as REMOVE;

/// Members that a command took out of a sorted set.
#[derive(Clone, Copy)]
struct Gone {
    /// How many; not 0.
    count: usize,
    /// None is left.
    all: bool,
}

/// Says that members are gone, and removes the key if none is left: the key is looked for again only then.
fn taken(ctx: &mut Context<'_>, key: Key<'_>, event: &'static str, gone: Gone) {
    ctx.effect_on(key, EventClass::SortedSet, event, gone.count);
    if gone.all && ctx.view.remove_if_empty(key) {
        ctx.event(key, EventClass::Generic, "del");
    }
}
