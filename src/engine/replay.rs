//! Repeating what a log holds: commands of nobody, that are refused nothing and answered nothing.

use std::sync::Arc;

use crate::command::row::Flags;
use crate::command::{Args, KeyAt, Session, keys};
use crate::config::Settings;
use crate::resp::{Encoder, Protocol, Span};
use crate::store::Moment;

use super::shared::Engine;
use super::unit::{self, Ended, Scope};
use super::{blocked, transaction, usage_of};

/// Why a command cannot be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// There is no such command.
    Unknown,
    /// It cannot have so many arguments.
    Arguments,
}

/// Runs commands one after the other as one connection would.
pub struct Replayer {
    engine: Arc<Engine>,
    settings: Arc<Settings>,
    session: Session,
    out: Encoder,
    /// The caller holds the whole keyspace.
    whole: bool,
    seed: u64,
}

impl Replayer {
    /// Begins in database 0. `whole` says that the caller holds the whole keyspace.
    pub fn new(engine: Arc<Engine>, whole: bool) -> Replayer {
        let settings = engine.config.current();
        let session = Session::new(blocked::nobody(), true);
        Replayer { engine, settings, session, out: Encoder::new(Protocol::Resp2), whole, seed: 1 }
    }

    /// Whether a MULTI waits for its EXEC.
    pub fn in_multi(&self) -> bool {
        self.session.multi.is_some()
    }

    /// Gives up the MULTI that waits for its EXEC.
    pub fn abandon(&mut self) {
        self.session.end_multi();
    }

    /// Repeats a command: its words lie in `bytes`.
    ///
    /// # Errors
    /// [`ReplayError`] when it is none.
    pub fn apply(&mut self, bytes: &[u8], spans: &[Span]) -> Result<(), ReplayError> {
        let engine = Arc::clone(&self.engine);
        let args = Args::new(bytes, spans, &[]);
        let second = if args.len() > 1 { Some(args.get(1)) } else { None };
        // What was sent is kept under the name that it was called by, what has become of it under its own.
        let registry = &engine.registry;
        let index = registry
            .resolve(args.get(0), second)
            .or_else(|| registry.resolve_own(args.get(0), second))
            .ok_or(ReplayError::Unknown)?;
        let registered = engine.registry.get(index);
        if !registered.accepts(args.len()) {
            return Err(ReplayError::Arguments);
        }
        let flags = registered.row.flags;
        if self.in_multi() && !transaction::runs_inside_multi(flags) {
            transaction::queue(&mut self.session, index, flags, &args);
            return Ok(());
        }
        let mut found: Vec<KeyAt> = Vec::new();
        let word = |at| args.get(at);
        keys::each(registered.row.keys, args.len(), word, |at, _| {
            found.push(KeyAt { arg: at as u32, hash: engine.store.hash(args.get(at)) });
        });
        let args = Args::new(bytes, spans, &found);
        let executes = flags.has(Flags::EXECUTES_QUEUE);
        let needs_whole = engine.registry.is_whole(index, &args)
            || flags.any(Flags::WANDERS.with(Flags::TRIES))
            || executes && transaction::needs_whole(&self.session, &engine.registry);
        let _whole = (needs_whole && !self.whole).then(|| engine.world.whole_blocking());
        let moment = self.moment();
        let scope =
            Scope { whole: self.whole || needs_whole, ..Scope::new(&engine, 0, &self.settings, moment) };
        if executes {
            transaction::exec(&scope, &mut self.session, &mut self.out, index);
        } else if let Ended::Parked(parked) =
            unit::run(&scope, &mut self.session, &mut self.out, index, &args)
        {
            // Nobody is there to wait.
            parked.leave(&engine, scope.moment);
        }
        self.out.clear();
        Ok(())
    }

    /// What has expired stays until the log says that it is gone.
    fn moment(&mut self) -> Moment {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Moment {
            usage: usage_of(&self.settings),
            horizon_ms: 0,
            seed: self.seed,
            ..Moment::at(self.engine.clock.unix_ms())
        }
    }
}
