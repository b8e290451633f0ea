//! Strings: their rows, one file for each thing that is done with them.
//!
//! What lives here: reading ([`read`]), setting ([`set`]), setting and reading with an expiry
//! ([`deadline`]), counting ([`count`]), editing in place ([`edit`]) and comparing ([`lcs`]). What never
//! does: how a string is stored, which is the store's affair.

mod count;
mod deadline;
mod edit;
mod lcs;
mod read;
mod set;
#[cfg(test)]
mod tests;

use crate::resp::Encoder;
use crate::store::{Key, Str};

use super::{Command, CommandError, Context};

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    edit::APPEND,
    count::DECR,
    count::DECRBY,
    read::GET,
    read::GETDEL,
    deadline::GETEX,
    read::GETRANGE,
    set::GETSET,
    count::INCR,
    count::INCRBY,
    count::INCRBYFLOAT,
    lcs::LCS,
    read::MGET,
    set::MSET,
    set::MSETNX,
    deadline::PSETEX,
    set::SET,
    deadline::SETEX,
    set::SETNX,
    edit::SETRANGE,
    read::STRLEN,
    read::SUBSTR,
];

/// How a client's bytes are stored: as a number when they are one in canonical form.
#[inline]
fn stored(bytes: &[u8]) -> Str<'_> {
    /// The longest integer's characters, its sign included.
    const LONGEST: usize = 20;
    match if bytes.len() <= LONGEST { crate::data::parse_i64(bytes) } else { None } {
        Some(number) => Str::Int(number),
        None => Str::Bytes(bytes),
    }
}

/// Answers a string.
#[inline]
fn write(out: &mut Encoder, value: Str<'_>) {
    match value {
        Str::Bytes(bytes) => out.bulk(bytes),
        Str::Int(number) => out.bulk_int(number),
    }
}

/// Answers what a key holds, or null. A key of another type is refused.
#[inline]
fn write_value(ctx: &mut Context<'_>, key: Key<'_>) -> Result<(), CommandError> {
    match ctx.view.string(key)? {
        None => ctx.out.null(),
        Some(value) => write(ctx.out, value),
    }
    Ok(())
}

/// Number of bytes that a client sees.
fn length(value: Str<'_>) -> usize {
    match value {
        Str::Bytes(bytes) => bytes.len(),
        Str::Int(number) => itoa::Buffer::new().format(number).len(),
    }
}

/// What a log repeats for a removal: UNLINK where the setting asks for freeing in the background.
fn removal(lazy: bool) -> &'static [u8] {
    if lazy { b"UNLINK" } else { b"DEL" }
}
