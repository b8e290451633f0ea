//! The log of effects as the engine sees it: where a unit's effects go while it still holds its locks, and
//! when its replies may leave.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use crate::command::Context;
use crate::command::effects::Effects;

use super::shared::Engine;

/// Whoever keeps effects. Nobody is asked unless [`super::Status::logging`] is set.
pub trait EffectLog: Send + Sync {
    /// Adds what a unit did. The unit still holds its locks: the order of the calls is the order of the log.
    fn append(&self, effects: &Effects);
    /// How far the log reaches.
    fn end(&self) -> u64;
    /// Whether everything up to now is as safe as a reply promises. Writes it if that is all it takes.
    fn settle(&self) -> bool;
    /// Waits until the log is safe up to `end`.
    fn poll_safe(&self, end: u64, cx: &mut TaskContext<'_>) -> Poll<()>;
    /// What keeps it from being written, in the operating system's words.
    fn error(&self) -> Option<String>;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl EffectLog for NoLog {
    fn append(&self, _: &Effects) {}

    fn end(&self) -> u64 {
        0
    }

    fn settle(&self) -> bool {
        true
    }

    fn poll_safe(&self, _: u64, _: &mut TaskContext<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn error(&self) -> Option<String> {
        None
    }
}

thread_local! {
    /// What the next unit of this thread collects in.
    static SPARE: RefCell<Option<Box<Effects>>> = const { RefCell::new(None) };
}

/// What a unit that begins now collects its effects in; `None` while nobody keeps them.
#[inline]
pub fn effects(engine: &Engine) -> Option<Box<Effects>> {
    if engine.status.logging.load(Ordering::Relaxed) { Some(fresh()) } else { None }
}

#[cold]
fn fresh() -> Box<Effects> {
    SPARE.take().unwrap_or_default()
}

/// Hands over what the unit has done so far. It still holds its locks.
#[inline]
pub fn commit(engine: &Engine, ctx: &mut Context<'_>) {
    if ctx.collect_replay {
        hand_over(engine, ctx);
    }
}

#[cold]
fn hand_over(engine: &Engine, ctx: &mut Context<'_>) {
    let Some(mut effects) = ctx.effects.take() else { return };
    ctx.collect_replay = false;
    if !effects.is_empty() {
        engine.log.append(&effects);
        effects.clear();
    }
    SPARE.set(Some(effects));
}
