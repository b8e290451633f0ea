//! What becomes of an entry that changes or leaves: who may still want it as it was.

use super::entry::Entry;
use super::view::{Held, Place, View};

/// Collections with more elements than this are freed elsewhere (Redis's lazy-free threshold).
const FREE_ELSEWHERE_ELEMENTS: usize = 64;

impl View<'_> {
    /// Whether the saver still has to see this entry as it is now.
    #[inline]
    pub(super) fn is_unsaved(&self, entry: &Entry) -> bool {
        self.epoch.saving && entry.epoch() != self.epoch.current
    }

    /// Whether somebody may still want this entry as it is now: a running save, or who undoes the unit.
    #[inline]
    pub(super) fn is_wanted(&self, entry: &Entry) -> bool {
        self.is_on_trial() || self.is_unsaved(entry)
    }

    /// Before an entry is changed in place: hands a copy over to a running save that has not seen it, and to
    /// the log of a trial.
    #[inline]
    pub(super) fn keep_for_save(&mut self, place: Place) {
        if self.epoch.saving || self.is_on_trial() {
            self.keep_for_save_slow(place);
        }
    }

    #[cold]
    fn keep_for_save_slow(&mut self, place: Place) {
        if self.is_on_trial() {
            self.log_change(place);
        }
        let Some(entry) = self.entry(place) else { return };
        if !self.is_unsaved(entry) {
            return;
        }
        let copy = entry.duplicate(entry.key(), entry.meta());
        let Held { physical, shard, .. } = self.held[place.held];
        self.store.saves.retain(physical, shard, copy, true);
        let epoch = self.epoch.current;
        if let Some(entry) = self.entry_mut(place) {
            entry.set_epoch(epoch);
        }
    }

    /// Gives back an entry that left the keyspace: to a running save if it has not seen it, else to
    /// whoever frees what is large.
    pub(super) fn dispose(&mut self, held: usize, entry: Entry) {
        let Held { physical, shard, .. } = self.held[held];
        if self.is_on_trial() {
            return self.dispose_on_trial(held, entry);
        }
        if self.is_unsaved(&entry) {
            self.store.saves.retain(physical, shard, entry, true);
        } else if entry.as_object().is_some_and(|object| object.weight() > FREE_ELSEWHERE_ELEMENTS) {
            self.store.discard(vec![entry]);
        }
    }

    /// The same on trial: the log comes first, and a save gets a copy of what the log keeps.
    #[cold]
    fn dispose_on_trial(&mut self, held: usize, entry: Entry) {
        let Held { physical, shard, .. } = self.held[held];
        if self.is_unsaved(&entry) {
            let copy = entry.duplicate(entry.key(), entry.meta());
            self.store.saves.retain(physical, shard, copy, true);
        }
        if let Some(entry) = self.log_removal(held, entry)
            && entry.as_object().is_some_and(|object| object.weight() > FREE_ELSEWHERE_ELEMENTS)
        {
            self.store.discard(vec![entry]);
        }
    }
}
