//! How a parked command ends, and a connection.

use std::sync::Arc;

use crate::command::client::ClientFlag;
use crate::observe::Counter;
use crate::resp::Encoder;

use super::super::blocked::Parked;
use super::super::transaction;
use super::super::unit::Scope;
use super::Worker;
use super::batch::Connection;

impl Worker {
    /// The connection ends: leaves queues and watches behind.
    pub fn leave(&mut self, connection: &mut Connection) {
        let moment = self.moment_now();
        let engine = Arc::clone(&self.engine);
        if let Some(parked) = connection.parked.take() {
            // If somebody has served it just now, the reply goes where the client went.
            if parked.leave(&engine, moment) {
                self.stats().took(parked.command, parked.ran_ns);
            }
            self.waited(connection, None);
            self.note_unparked(connection, &parked);
        }
        let scope = Scope::new(&engine, self.index, &self.settings, moment);
        transaction::unwatch(&scope, &mut connection.session);
        connection.session.forget_subscriptions(engine.server.pubsub());
        connection.session.stop_monitoring(engine.server.pubsub());
        if engine.server.tracking().disable(&mut connection.session) {
            engine.store.listen_to_changes(false);
        }
        if let Some(link) = connection.session.client.link() {
            engine.server.replication().remove(link, engine.clock.stamp() / 1_000_000);
        }
        engine.clients.remove(&connection.session.client);
        engine.stats.worker(self.index).incr(Counter::ConnectionsClosed);
    }

    /// Ends a parked command: it was served, its time is up, or it is unblocked with an error. True if
    /// nobody had served it; then what the client is told is written. Otherwise its answer lies in its
    /// mailbox.
    pub fn unpark(&mut self, connection: &mut Connection, error: Option<&str>, out: &mut Vec<u8>) -> bool {
        let Some(parked) = connection.parked.take() else { return false };
        let moment = self.moment_now();
        let won = parked.leave(&self.engine, moment);
        self.note_unparked(connection, &parked);
        if won {
            let stats = self.stats();
            stats.incr(Counter::ClientsUnblocked);
            stats.took(parked.command, parked.ran_ns);
            let mut encoder = Encoder::with_buffer(std::mem::take(out), connection.protocol);
            let mark = encoder.len();
            match error {
                Some(text) => {
                    // As in Redis, a command whose time is up is no slow one.
                    parked.note_unblocked(&self.engine, &self.settings);
                    stats.failed(parked.command);
                    stats.error(text);
                    encoder.error(text);
                }
                None => parked.write_timeout(&mut encoder),
            }
            if parked.silent {
                encoder.truncate(mark);
            }
            *out = encoder.into_vec();
        }
        self.waited(connection, error.filter(|_| won).or(parked.failure()));
        won
    }

    fn note_unparked(&self, connection: &Connection, parked: &Parked) {
        connection.session.client.set(ClientFlag::Blocked, false);
        self.engine.clients.count_blocked(false);
        if parked.deadline_ms.is_some() {
            self.engine.clients.count_timed(false);
        }
    }
}
