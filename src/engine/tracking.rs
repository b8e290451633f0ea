//! Client-side caching where commands run: what a client reads is remembered, and what a unit made stale is told.

use std::sync::Arc;

use crate::command::client::ClientFlag;
use crate::command::session::ReplyMode;
use crate::command::tracking::Own;
use crate::command::{Args, Context, Flags};
use crate::config::Settings;
use crate::store::Key;

use super::shared::Engine;

/// Remembers what the command that has just run has read, if its client tracks. It still holds its locks.
#[inline]
pub fn remember(ctx: &mut Context<'_>, args: &Args<'_>) {
    if ctx.session.tracking.is_some() {
        remember_keys(ctx, args);
    }
}

#[cold]
fn remember_keys(ctx: &mut Context<'_>, args: &Args<'_>) {
    let row = ctx.registry.get(ctx.command).row;
    let Some(caching) = &mut ctx.session.tracking else { return };
    let by_script = std::mem::take(&mut caching.script_reads);
    // A script reads when one of its calls does, and then all keys that it declares.
    let reads = if row.flags.has(Flags::TRIES) { by_script } else { row.flags.has(Flags::READONLY) };
    let client = &ctx.session.client;
    if !reads || !caching.remembers() || client.has(ClientFlag::TracksPrefixes) {
        return;
    }
    let reader = client.id;
    for key in args.keys() {
        ctx.view.track(Key { bytes: args.get(key.arg as usize), hash: key.hash }, reader);
    }
}

/// Tells who may have cached it what the unit has made stale. It still holds its locks, and its reply is written.
#[inline]
pub fn tell(engine: &Engine, ctx: &mut Context<'_>) {
    if ctx.view.has_stale() {
        tell_all(engine, ctx);
    }
}

#[cold]
fn tell_all(engine: &Engine, ctx: &mut Context<'_>) {
    let stale = ctx.view.take_stale();
    // What is written to who hears no replies is taken back.
    let hears = ctx.session.reply_mode == ReplyMode::On;
    let own = Own { id: ctx.session.client.id, out: hears.then_some(&mut *ctx.out) };
    let limits = &ctx.settings.client_output_buffer_limit;
    engine.server.tracking().tell(&*engine.clients, limits, &stale, own);
}

/// Has whatever no unit makes stale told at once: what expires or is evicted by itself.
pub fn tell_at_once(engine: &Arc<Engine>) {
    let told = Arc::downgrade(engine);
    engine.store.on_stale(move |stale| {
        if let Some(engine) = told.upgrade() {
            let settings = engine.config.current();
            let limits = &settings.client_output_buffer_limit;
            let nobody = Own { id: 0, out: None };
            engine.server.tracking().tell(&*engine.clients, limits, &[stale], nobody);
        }
    });
}

/// Whether more keys are tracked than `tracking-table-max-keys` allows.
#[inline]
pub fn is_beyond_limit(engine: &Engine, settings: &Settings) -> bool {
    let limit = settings.tracking_table_max_keys;
    limit > 0 && engine.store.tracked().0 as u64 > limit
}

/// Forgets so many tracked keys, from a shard on, that the limit is held.
#[cold]
pub fn hold_limit(engine: &Engine, settings: &Settings, from: &mut usize) {
    let limit = usize::try_from(settings.tracking_table_max_keys).unwrap_or(usize::MAX);
    *from = engine.store.forget_tracked(limit, *from);
}
