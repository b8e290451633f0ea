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

/// Says that `count` members are gone, which is not 0, and removes the key if none is left.
fn taken(ctx: &mut Context<'_>, key: Key<'_>, event: &'static str, count: usize) {
    ctx.effect_on(key, EventClass::SortedSet, event, count);
    if ctx.view.remove_if_empty(key) {
        ctx.event(key, EventClass::Generic, "del");
    }
}
