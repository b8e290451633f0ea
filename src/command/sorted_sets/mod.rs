//! Sorted sets.
//!
//! What lives here: the sorted-set commands by what they do: [`change`] (add and remove), [`pop`] (from
//! either end), [`range`] and [`read`] (one member, or how many), with the [`bounds`] that clients
//! write. What never does: how a sorted set is stored (`data::sorted_set`).

mod bounds;
mod change;
mod pop;
mod range;
mod read;
#[cfg(test)]
mod tests;

pub use change::COMMANDS as CHANGE;
pub use pop::COMMANDS as POP;
pub use range::COMMANDS as RANGE;
pub use read::COMMANDS as READ;
