//! Delivering entries to a member of a group.

use crate::command::context::EventClass;
use crate::command::{CommandError, Context};
use crate::data::Stream;
use crate::data::stream::{ConsumerId, Group, Id, Pending};
use crate::store::Key;

use super::{as_claim, as_set_id, count_changes, replay, words, write_entry, write_id};

/// Who reads, and for which group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
    /// What is delivered counts as acknowledged.
    pub(super) no_ack: bool,
}

/// The consumer of this name, noted as seen, or made. True if it was made.
pub(super) fn find_or_create(group: &mut Group, name: &[u8], now_ms: u64) -> Option<(ConsumerId, bool)> {
    match group.find(name) {
        Some(consumer) => {
            group.saw(consumer, now_ms);
            Some((consumer, false))
        }
        None => group.create_consumer(name, now_ms).map(|consumer| (consumer, true)),
    }
}

/// Says that a consumer came into being.
pub(super) fn created(ctx: &mut Context<'_>, key: Key<'_>) {
    count_changes(ctx, 1);
    ctx.event(key, EventClass::Stream, "xgroup-createconsumer");
}

/// Answers what is new to the group, and makes it the reader's.
pub(super) fn news(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    reader: Reader<'_>,
    count: usize,
) -> Result<(), CommandError> {
    let (now_ms, mut repeated) = (ctx.now_ms(), Vec::new());
    let out = &mut *ctx.out;
    let Some((log, group)) =
        ctx.view.get_mut::<Stream>(key)?.and_then(|stream| stream.group_mut(reader.group))
    else {
        out.array(0);
        return Ok(());
    };
    let Some((consumer, made)) = find_or_create(group, reader.consumer, now_ms) else { return Ok(()) };
    if made && reader.no_ack && ctx.collect_replay {
        let command = [&b"XGROUP"[..], b"CREATECONSUMER", key.bytes, reader.group, reader.consumer];
        repeated.push(words(&command));
    }
    let deferred = out.defer();
    let (mut delivered, mut moved) = (0, false);
    let from = group.last_id.next().unwrap_or(Id::MAX);
    for entry in log.range(from, Id::MAX).take(if count == 0 { usize::MAX } else { count }) {
        moved |= group.advance(log, entry.id);
        write_entry(out, &entry);
        delivered += 1;
        if reader.no_ack {
            continue;
        }
        let pending = Pending { consumer, delivered_ms: now_ms as i64, deliveries: 1 };
        if ctx.collect_replay {
            repeated.push(as_claim(key, group, entry.id, &pending));
        }
        group.assign(entry.id, pending);
    }
    out.finish_array(deferred, delivered);
    if moved && reader.no_ack && ctx.collect_replay {
        repeated.push(as_set_id(key, group));
    }
    if made {
        created(ctx, key);
    }
    count_changes(ctx, 1);
    repeated.into_iter().for_each(|command| replay(ctx, command));
    Ok(())
}

/// Answers what the reader has pending above an ID, once more. What was deleted meanwhile has no fields.
pub(super) fn history(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    reader: Reader<'_>,
    after: Id,
    count: usize,
) -> Result<(), CommandError> {
    let now_ms = ctx.now_ms();
    let out = &mut *ctx.out;
    let Some((log, group)) =
        ctx.view.get_mut::<Stream>(key)?.and_then(|stream| stream.group_mut(reader.group))
    else {
        out.array(0);
        return Ok(());
    };
    let Some((consumer, made)) = find_or_create(group, reader.consumer, now_ms) else { return Ok(()) };
    let from = after.next().unwrap_or(Id::MAX);
    let count = if count == 0 { usize::MAX } else { count };
    let pending: Vec<Id> =
        group.consumer(consumer).map_or_else(Vec::new, |one| one.pending_from(from).take(count).collect());
    out.array(pending.len());
    for id in pending {
        match log.get(id) {
            Some(entry) => {
                write_entry(out, &entry);
                group.delivered_again(id, now_ms as i64);
            }
            None => {
                out.array(2);
                write_id(out, id);
                out.null_array();
            }
        }
    }
    let create = made && reader.no_ack && ctx.collect_replay;
    if made {
        created(ctx, key);
    }
    if create {
        let command = [&b"XGROUP"[..], b"CREATECONSUMER", key.bytes, reader.group, reader.consumer];
        replay(ctx, words(&command));
    }
    count_changes(ctx, 1);
    Ok(())
}
