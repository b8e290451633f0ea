//! The short way: a command on keys, while nothing stands in the way of any such command.
//!
//! Most batches are full of them. What the ladder of refusals and the waits would ask for each is asked once, when the
//! batch begins, and again after every command that did not come this way: it may have changed the answer. A
//! batch lasts a fraction of a millisecond, so that what others change meanwhile is seen soon enough; what must be seen
//! before the next command (a pause) is still looked at each time.

use std::sync::atomic::Ordering;

use crate::command::client::ClientFlag;
use crate::command::rights;
use crate::command::session::ReplyMode;
use crate::command::{Args, Session};
use crate::observe::Stage;
use crate::resp::Encoder;

use super::super::memory::Room;
use super::super::unit::{self, Ended, Scope};
use super::Worker;
use super::batch::{Batch, Connection, Step};
use super::step::Did;

/// States of a client in which commands are treated in ways of their own.
const SPECIAL: u32 = ClientFlag::Subscriber as u32 | ClientFlag::Replica as u32 | ClientFlag::Monitor as u32;

impl Worker {
    /// Whether any plain command of this connection may run at once.
    pub(super) fn is_open(&self, session: &Session, batch: &Batch<'_>) -> bool {
        let (engine, status) = (batch.engine, &batch.engine.status);
        let held_up = batch.whole || batch.busy.is_some() || engine.store.saves().over_limit();
        let refused = status.loading.load(Ordering::Relaxed)
            || status.writes_stopped.load(Ordering::Relaxed)
            || status.log_failing.load(Ordering::Relaxed)
            || status.replicas_lacking.load(Ordering::Relaxed);
        let special = !session.authenticated
            || session.multi.is_some()
            || session.reply_mode != ReplyMode::On
            || session.client.any(SPECIAL)
            // What is evicted for a command comes before its reply.
            || batch.limited && session.tracking.is_some();
        let watched = batch.monitored || engine.tracer.is_on() || self.hot_keys.is_on();
        let caching = session.tracking.as_ref().is_some_and(|caching| caching.is_given);
        !(held_up || refused || special || watched || caching)
    }

    /// Whether this is such a command, well formed, allowed to its user, and nobody has asked for a pause. What is not
    /// allowed is refused on the long way, in the right words.
    #[inline]
    pub(super) fn is_plain(&self, index: usize, args: &Args<'_>, session: &Session) -> bool {
        let registered = self.engine.registry.get(index);
        registered.plain
            && registered.accepts(args.len())
            && !self.engine.clients.may_be_paused()
            && session
                .restricted_user()
                .is_none_or(|user| rights::check(user, registered, index, args).is_ok())
    }

    /// Whether memory has room for a command, or is made to have it. If not, the long way says what becomes of the command.
    #[inline]
    pub(super) fn has_room(&mut self, batch: &Batch<'_>) -> bool {
        !batch.limited || self.room(batch) == Room::Enough
    }

    /// Runs a plain command.
    #[inline]
    pub(super) fn plain(
        &mut self,
        connection: &mut Connection,
        out: &mut Encoder,
        batch: &mut Batch<'_>,
        index: usize,
        args: &Args<'_>,
    ) -> Step {
        let (engine, session) = (batch.engine, &mut connection.session);
        session.client.last_command.store(index, Ordering::Relaxed);
        let (mark, moment) = (out.len(), self.moment(batch.stamp));
        let scope = Scope::new(engine, self.index, &self.settings, moment);
        let ended = unit::run(&scope, session, out, index, args);
        let stamp = self.wall.stamp();
        let ran_ns = stamp.saturating_sub(batch.stamp);
        if !matches!(ended, Ended::Replied) || ran_ns >= self.notable_ns {
            let did = Did { index, mark, moment, lock_wait_ns: scope.lock_wait_ns.get() };
            return self.conclude(connection, out, batch, args, &did, ended);
        }
        scope.stats.record(index, ran_ns);
        scope.stats.stage(Stage::Run, ran_ns.saturating_sub(scope.lock_wait_ns.get()));
        batch.count(stamp);
        batch.executed += 1;
        Step::Done
    }
}
