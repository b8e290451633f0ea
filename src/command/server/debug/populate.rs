//! DEBUG POPULATE: many keys at once.

use crate::command::context::EventClass;
use crate::command::reply::OK;
use crate::command::{Args, CommandError, Context, Outcome};
use crate::store::{Expiry, Str};

/// Keys between two moments at which the touched shards are let go of.
const KEYS_A_TURN: i64 = 1_024;

/// `DEBUG POPULATE count [prefix [size]]` makes `prefix:0`, `prefix:1`, ... with the values `value:0`,
/// `value:1`, ..., cut or filled with zero bytes to `size`. Keys that are there stay as they are.
pub(super) fn populate(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let count = args.int_in(0..=i64::MAX, CommandError::MustBePositive);
    let prefix = args.next().unwrap_or(b"key");
    let size = if args.remaining() > 0 { args.int_in(0..=i64::MAX, CommandError::MustBePositive) } else { 0 };
    args.finish()?;
    if size as u64 > ctx.settings.proto_max_bulk_len_bytes {
        return Err(CommandError::StringTooLong);
    }
    for number in 0..count {
        let bytes = [prefix, b":", number.to_string().as_bytes()].concat();
        let key = ctx.view.key(&bytes);
        if !ctx.view.exists(key) {
            let mut value = format!("value:{number}").into_bytes();
            if size > 0 {
                value.resize(size as usize, 0);
            }
            ctx.view.set_string(key, Str::Bytes(&value), Expiry::Clear);
            ctx.effect(key, EventClass::String, "set");
        }
        if number % KEYS_A_TURN == KEYS_A_TURN - 1 {
            ctx.view.release_touched();
        }
    }
    OK
}
