//! Sets.
//!
//! What lives here: the set commands by what they do: [`change`] (add, remove, move), [`combine`] (several
//! into one), [`draw`] (members by chance) and [`read`]. What never does: how a set is stored (`data::set`).

mod change;
mod combine;
mod draw;
mod read;
#[cfg(test)]
mod tests;

use crate::config::Settings;
use crate::data::SetLimits;
use crate::data::set::Member;
use crate::resp::Encoder;

pub use change::COMMANDS as CHANGE;
pub use combine::COMMANDS as COMBINE;
pub use draw::COMMANDS as DRAW;
pub use read::COMMANDS as READ;

/// Up to which size a set of integers stays packed, as the settings say.
#[inline]
fn limits(settings: &Settings) -> SetLimits {
    SetLimits { max_intset_entries: usize::try_from(settings.set_max_intset_entries).unwrap_or(usize::MAX) }
}

/// Writes a member as a bulk string.
#[inline]
fn write(out: &mut Encoder, member: Member<'_>) {
    match member {
        Member::Int(number) => out.bulk_int(number),
        Member::Bytes(bytes) => out.bulk(bytes),
    }
}
