//! What a unit has to tell of its keys beside the commands' own effects: who can be served now, what was found
//! expired, what came into being. Most units have nothing to tell, and pay for an empty place only.

use super::tracked::StaleKeys;
use super::view::View;

/// What happens to a key that no command says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It was found expired.
    Expired,
    /// It came into being.
    New,
    /// It was read, and is not there.
    Missed,
}

/// A key with its database's number.
type Named = (usize, Vec<u8>);

/// See the module's text.
#[derive(Default)]
pub(super) struct Told {
    /// Keys that changed and that clients wait for.
    ready: Vec<Named>,
    /// Keys found expired and removed.
    expired: Vec<Named>,
    /// The same while two databases were exchanged, with the database's number afterwards.
    expired_after: Vec<Named>,
    noted: Vec<(usize, Vec<u8>, Noted)>,
    /// What somebody may have cached and is not so any more: each key once.
    pub(super) stale: StaleKeys,
}

impl View<'_> {
    pub(super) fn tell(&mut self) -> &mut Told {
        self.told.get_or_insert_with(Box::default)
    }

    /// Notes that a key of the current database can be served to those who wait for it.
    #[cold]
    pub(super) fn note_ready(&mut self, key: &[u8]) {
        let named = (self.number, key.to_vec());
        self.tell().ready.push(named);
    }

    /// Whether keys have changed while clients wait for them.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.told.as_ref().is_some_and(|told| !told.ready.is_empty())
    }

    /// Keys that changed while clients wait for them; empties the list.
    pub fn take_ready(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.told.as_mut().map(|told| std::mem::take(&mut told.ready)).unwrap_or_default()
    }

    /// Says whether to note what happens to keys beside the commands' own effects.
    pub fn set_notes_keys(&mut self, on: bool) {
        self.notes_keys = on;
    }

    #[inline]
    pub(super) fn note(&mut self, key: &[u8], what: Noted) {
        if self.notes_keys {
            let noted = (self.number, key.to_vec(), what);
            self.tell().noted.push(noted);
        }
    }

    /// What happened to keys, in order, with their database; empties the list.
    pub fn take_noted(&mut self) -> Vec<(usize, Vec<u8>, Noted)> {
        self.told.as_mut().map(|told| std::mem::take(&mut told.noted)).unwrap_or_default()
    }

    /// Says whether the unit itself tells which keys it found expired, in the order of its own changes.
    pub fn set_tells_expired(&mut self, on: bool) {
        self.tells_expired = on;
    }

    /// Notes that a key of the current database was found expired.
    #[cold]
    pub(super) fn note_expired(&mut self, key: &[u8]) {
        let named = (self.number, key.to_vec());
        self.tell().expired.push(named);
    }

    /// How many keys the unit has found expired so far.
    pub(super) fn count_expired(&self) -> usize {
        self.told.as_ref().map_or(0, |told| told.expired.len())
    }

    /// Keys that the unit found expired and removed, with their database; empties the list.
    pub fn take_expired(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.told.as_mut().map(|told| std::mem::take(&mut told.expired)).unwrap_or_default()
    }

    /// Those found expired from the `from`th on lie in a database that is called `b` from now on if it was
    /// called `a`, and the other way round.
    pub(super) fn tell_expired_after(&mut self, from: usize, a: usize, b: usize) {
        let Some(told) = &mut self.told else { return };
        let moved = |(number, key)| (if number == a { b } else { a }, key);
        told.expired_after.extend(told.expired.drain(from..).map(moved));
    }

    /// Keys that an exchange of databases found expired and removed, with the database's number after it; empties the
    /// list.
    pub fn take_expired_after(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.told.as_mut().map(|told| std::mem::take(&mut told.expired_after)).unwrap_or_default()
    }

    /// Forgets all of it but exchanges: the unit was undone.
    pub(super) fn tell_nothing(&mut self) {
        if let Some(told) = &mut self.told {
            told.ready.clear();
            told.noted.clear();
            told.expired.clear();
            told.stale = StaleKeys::default();
        }
    }
}
