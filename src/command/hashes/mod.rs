//! Hashes.
//!
//! What lives here: the hash commands by what they do: [`change`] and [`read`]. What never does: how a
//! hash is stored (`data::hash`).

mod change;
mod draw;
mod read;
#[cfg(test)]
mod tests;

pub use change::COMMANDS as CHANGE;
pub use draw::COMMANDS as DRAW;
pub use read::COMMANDS as READ;
