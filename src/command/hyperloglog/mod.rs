//! HyperLogLogs: strings that count different elements.
//!
//! What lives here: PFADD, PFCOUNT and PFMERGE ([`value`]), and what looks into one or checks them all ([`look`]).
//! What never does: how registers are stored and counted (`data::hyperloglog`).

mod look;
#[cfg(test)]
mod tests;
mod value;

use super::{Command, CommandError, Context};
use crate::data::hyperloglog::{self, Corrupt, Encoding};
use crate::store::{Expiry, Key, Str};

/// The rows of this family.
pub static COMMANDS: &[Command] =
    &[value::PFADD, value::PFCOUNT, look::PFDEBUG, value::PFMERGE, look::PFSELFTEST];

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> CommandError {
        CommandError::fixed("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// A value's bytes with their encoding; refused when they are no HyperLogLog.
fn checked(value: Str<'_>) -> Result<(&[u8], Encoding), CommandError> {
    let bytes = match value {
        Str::Bytes(bytes) => bytes,
        Str::Int(_) => &[],
    };
    match hyperloglog::encoding(bytes) {
        Some(encoding) => Ok((bytes, encoding)),
        None => Err(CommandError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.")),
    }
}

/// Puts a value under a key, whose expiry stays. To OBJECT ENCODING it is raw, however short it is.
fn store(ctx: &mut Context<'_>, key: Key<'_>, value: Vec<u8>) -> Result<(), CommandError> {
    let len = value.len();
    ctx.view.set_bytes(key, value, Expiry::Keep);
    ctx.view.edit_string(key, len, |_| ())?;
    Ok(())
}
