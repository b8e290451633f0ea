//! What the commands that make sorted sets share: how far a set stays packed, and how a result is stored.

use crate::config::Settings;
use crate::data::{Limits, SortedSet};
use crate::store::{Key, Kind};

use super::context::EventClass;
use super::{Context, Outcome, Reply};

/// Up to which size a sorted set stays packed, as the settings say.
#[inline]
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        max_entries: usize::try_from(settings.zset_max_listpack_entries).unwrap_or(usize::MAX),
        max_value: usize::try_from(settings.zset_max_listpack_value_bytes).unwrap_or(usize::MAX),
    }
}

/// Puts a result under its key, whatever was there, and answers how many members it has. Without any,
/// the key goes.
pub fn store(ctx: &mut Context<'_>, key: Key<'_>, result: SortedSet, event: &'static str) -> Outcome {
    let members = result.len();
    if members > 0 {
        ctx.view.set_object(key, result.wrap());
        ctx.effect(key, EventClass::SortedSet, event);
    } else if ctx.view.remove(key) {
        ctx.effect(key, EventClass::Generic, "del");
    }
    Ok(Reply::Int(members as i64))
}
