//! Client-side caching where commands run: what a client reads is remembered, and what a unit made stale is told.

use std::sync::Arc;

use crate::command::session::ReplyMode;
use crate::command::tracking::{self, Own};
use crate::command::{Args, Context, Flags, KeyAt};
use crate::config::Settings;
use crate::store::Stale;

use super::shared::Engine;

/// Before a command of a client that tracks: a script's calls count its declared keys as read.
#[cold]
pub fn begin(ctx: &mut Context<'_>, args: &Args<'_>) {
    let is_script = ctx.registry.get(ctx.command).row.flags.has(Flags::TRIES);
    if let Some(caching) = &mut ctx.session.tracking
        && is_script
    {
        let named = |key: &KeyAt| (args.get(key.arg as usize).into(), key.hash);
        caching.declared = args.keys().iter().map(named).collect();
    }
}

/// After it: what it has read is remembered. It still holds its locks.
#[cold]
pub fn remember(ctx: &mut Context<'_>, args: &Args<'_>) {
    let flags = ctx.registry.get(ctx.command).row.flags;
    if flags.has(Flags::TRIES) {
        if let Some(caching) = &mut ctx.session.tracking {
            caching.declared = Vec::new();
        }
    } else if flags.has(Flags::READONLY) {
        tracking::remember(ctx, args);
    }
}

/// Tells who may have cached it what the unit has made stale. It still holds its locks, and its reply is written.
#[inline]
pub fn tell(engine: &Engine, ctx: &mut Context<'_>) {
    if ctx.view.has_stale() {
        // What is written to who hears no replies is taken back.
        let hears = ctx.session.reply_mode == ReplyMode::On;
        let stale = ctx.view.take_stale();
        let own = Own { id: ctx.session.client.id, out: hears.then_some(&mut *ctx.out) };
        tell_all(engine, ctx.settings, &stale, own);
    }
}

/// The same of what was done for clients that the unit woke: they are not its own.
#[inline]
pub fn tell_of_others(engine: &Engine, ctx: &mut Context<'_>) {
    if ctx.view.has_stale() {
        let stale = ctx.view.take_stale();
        tell_all(engine, ctx.settings, &stale, Own::NOBODY);
    }
}

#[cold]
fn tell_all(engine: &Engine, settings: &Settings, stale: &[Stale], own: Own<'_>) {
    let limits = &settings.client_output_buffer_limit;
    engine.server.tracking().tell(&*engine.clients, limits, stale, own);
}

/// Has whatever no unit makes stale told at once: what expires or is evicted by itself.
pub fn tell_at_once(engine: &Arc<Engine>) {
    let (told, asked) = (Arc::downgrade(engine), Arc::downgrade(engine));
    let tell = move |stale| {
        if let Some(engine) = told.upgrade() {
            tell_all(&engine, &engine.config.current(), &[stale], Own::NOBODY);
        }
    };
    let hears_of =
        move |key: &[u8]| asked.upgrade().is_some_and(|engine| engine.server.tracking().hears_of(key));
    engine.store.on_stale(tell, hears_of);
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
