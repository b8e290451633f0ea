//! Requests that are drawn to learn which keys and clients take most: one in some dozens.
//!
//! What it costs the others is a subtraction and a branch for each group of them.

use crate::clock::Stamp;
use crate::command::row::Flags;
use crate::command::{KeyAt, Session};
use crate::resp::Span;

use super::super::usage::{Seen, SeenKey, gap};
use super::Worker;
use super::batch::Planned;

/// Names are hashed so far: a client chooses how long they are.
const HASHED: usize = 64;

/// A group that has run, or as far as it has.
pub(super) struct RunGroup<'a> {
    pub(super) input: &'a [u8],
    pub(super) plan: &'a [Planned],
    pub(super) spans: &'a [Span],
    pub(super) keys: &'a [KeyAt],
}

impl Worker {
    /// Draws requests of a group, if their turn is in it.
    #[inline]
    pub(super) fn draw_from(&mut self, session: &Session, group: &RunGroup<'_>, stamp: Stamp) {
        // A group is some dozen requests.
        match self.gap.checked_sub(group.plan.len() as u32) {
            Some(gap) => self.gap = gap,
            None => self.draw(session, group, stamp),
        }
    }

    #[cold]
    #[inline(never)]
    fn draw(&mut self, session: &Session, group: &RunGroup<'_>, stamp: Stamp) {
        if !self.settings.key_statistics {
            self.gap = u32::MAX;
            return;
        }
        let mut at = self.gap as usize;
        while let Some(planned) = group.plan.get(at) {
            // What strangers send is no use of anything.
            if session.authenticated {
                self.see(session, group, planned, stamp);
            }
            at += 1 + gap(self.random()) as usize;
        }
        self.gap = (at - group.plan.len()) as u32;
    }

    fn see(&mut self, session: &Session, group: &RunGroup<'_>, planned: &Planned, stamp: Stamp) {
        let Some(command) = planned.command else { return };
        let random = self.random() >> 32;
        let now_ms = self.wall.at(stamp);
        let args = planned.args(group.input, group.spans, group.keys);
        let keys = args.keys();
        let key = (!keys.is_empty()).then(|| {
            let key = keys[random as usize % keys.len()];
            let name = args.get(key.arg as usize);
            SeenKey { database: session.database, name, hash: key.hash, of: keys.len() }
        });
        let (engine, client) = (&self.engine, &session.client);
        client.read_text(|text| {
            let hash = |name: &[u8]| match name {
                [] => 0,
                name => engine.store.hash(&name[..name.len().min(HASHED)]).wrapping_add(name.len() as u64),
            };
            let library = (&text.library[..], &text.library_version[..]);
            let origin = hash(&text.name).rotate_left(2) ^ hash(library.0).rotate_left(1) ^ hash(library.1);
            let seen = Seen {
                key,
                writes: engine.registry.get(command).row.flags.has(Flags::WRITE),
                client: client.id,
                address: &|| client.address.to_string(),
                name: &text.name,
                library,
                origin,
            };
            engine.usage.saw(self.index, now_ms, &seen);
        });
    }

    #[inline]
    pub(super) fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed
    }

    /// Begins to draw, or ends it, as the settings say.
    pub(super) fn set_drawing(&mut self, was_on: bool) {
        let is_on = self.settings.key_statistics;
        if is_on && (!was_on || self.gap == u32::MAX) {
            self.gap = gap(self.random());
        } else if !is_on {
            self.gap = u32::MAX;
            self.engine.usage.forget(self.index);
        }
    }
}
