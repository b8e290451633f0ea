//! The log of effects as the engine sees it: where a unit's effects go while it still holds its locks, and
//! when its replies may leave.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context as TaskContext, Poll};

use crate::command::Context;
use crate::command::effects::Effects;

use super::shared::Engine;

/// Whoever keeps effects. Nobody is asked unless [`super::Status::logging`] is set.
pub trait EffectLog: Send + Sync {
    /// Adds what a unit did. The unit still holds its locks: the order of the calls is the order of the log. How far
    /// the replicas' stream reaches with it.
    fn append(&self, effects: &Effects) -> u64;
    /// How far the log reaches.
    fn end(&self) -> u64;
    /// Whether everything up to now is as safe as a reply promises. Writes it if that is all it takes.
    fn settle(&self) -> bool;
    /// Waits until the log is safe up to `end`.
    fn poll_safe(&self, end: u64, cx: &mut TaskContext<'_>) -> Poll<()>;
    /// What keeps it from being written, in the operating system's words.
    fn error(&self) -> Option<String>;
}

/// One who keeps effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Keeper {
    /// The append-only file.
    File = 1,
    /// The stream that replicas follow.
    Stream = 2,
}

/// Who keeps effects: units collect them while anybody does.
#[derive(Debug, Default)]
pub struct Keepers(AtomicU8);

impl Keepers {
    /// Whether anybody does.
    #[inline]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether this one does.
    pub fn has(&self, keeper: Keeper) -> bool {
        self.0.load(Ordering::Relaxed) & keeper as u8 != 0
    }

    /// From now on this one does, or does not.
    pub fn set(&self, keeper: Keeper, on: bool) {
        if on {
            self.0.fetch_or(keeper as u8, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!(keeper as u8), Ordering::SeqCst);
        }
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl EffectLog for NoLog {
    fn append(&self, _: &Effects) -> u64 {
        0
    }

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
    if engine.status.logging.any() { Some(fresh()) } else { None }
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
    ctx.note_last_expired();
    let Some(mut effects) = ctx.effects.take() else { return };
    ctx.collect_replay = false;
    if !effects.is_empty() {
        let reached = engine.log.append(&effects);
        ctx.session.client.written_to.store(reached, Ordering::Relaxed);
        effects.clear();
    }
    SPARE.set(Some(effects));
}
