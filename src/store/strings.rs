//! What a view can do with string values.

use super::entry::{Entry, EntryKind, MAX_INLINE, Str};
use super::view::{Key, Place, View};

/// The value under the key is of another type than the command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// What becomes of a key's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it is.
    Keep,
    /// It goes.
    Clear,
    /// The key expires at this time, in milliseconds since 1970.
    At(u64),
}

impl Expiry {
    fn resolve(self, before: Option<u64>) -> Option<u64> {
        match self {
            Expiry::Keep => before,
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        }
    }
}

impl View<'_> {
    /// Reads a string for a client (counts a hit or a miss). `None` when the key is absent.
    #[inline]
    pub fn string(&mut self, key: Key<'_>) -> Result<Option<Str<'_>>, WrongType> {
        match self.read(key) {
            None => Ok(None),
            Some(entry) => entry.as_str().map(Some).ok_or(WrongType),
        }
    }

    /// Reads a string before it is changed: an access, but neither hit nor miss.
    #[inline]
    pub fn string_to_change(&mut self, key: Key<'_>) -> Result<Option<Str<'_>>, WrongType> {
        let Some(place) = self.find(key) else { return Ok(None) };
        self.touch(place);
        match self.entry(place) {
            None => Ok(None),
            Some(entry) => entry.as_str().map(Some).ok_or(WrongType),
        }
    }

    /// Sets a key to a string, whatever it held.
    pub fn set_string(&mut self, key: Key<'_>, value: Str<'_>, expiry: Expiry) {
        match self.find(key) {
            Some(place) => self.set_existing(place, key, value, expiry),
            None => {
                let meta = self.fresh_meta(expiry.resolve(None));
                self.insert(key, Entry::string(key.bytes, value, meta));
            }
        }
    }

    /// Sets a key to the number that `next` makes of the string there (`None` when the key is absent),
    /// with one lookup. The expiry stays. Returns the new number; an error of `next` changes nothing.
    #[inline]
    pub fn change_int<E: From<WrongType>>(
        &mut self,
        key: Key<'_>,
        next: impl FnOnce(Option<Str<'_>>) -> Result<i64, E>,
    ) -> Result<i64, E> {
        let Some(place) = self.find(key) else {
            let number = next(None)?;
            let meta = self.fresh_meta(None);
            self.insert(key, Entry::string(key.bytes, Str::Int(number), meta));
            return Ok(number);
        };
        let before = self.entry(place).and_then(Entry::as_str).ok_or(WrongType)?;
        let number = next(Some(before))?;
        self.set_existing(place, key, Str::Int(number), Expiry::Keep);
        Ok(number)
    }

    #[inline]
    fn set_existing(&mut self, place: Place, key: Key<'_>, value: Str<'_>, expiry: Expiry) {
        self.touch(place);
        let Some(entry) = self.entry(place) else { return };
        let (before, lru, unsaved) = (entry.expire_at_ms(), entry.lru(), self.is_wanted(entry));
        let after = expiry.resolve(before);
        // In place when the entry has room for what it is to hold and no save needs what it holds.
        if before.is_some() == after.is_some() && !unsaved {
            let written = self.entry_mut(place).is_some_and(|entry| match value {
                Str::Int(number) => entry.set_int(number),
                Str::Bytes(bytes) => entry.overwrite_inline(bytes),
            });
            if written {
                if before != after {
                    self.set_expiry(place, after);
                }
                return;
            }
        }
        let mut meta = self.fresh_meta(after);
        meta.lru = self.moment.usage.replaced(lru, self.moment.now_ms);
        self.replace(place, Entry::string(key.bytes, value, meta));
    }

    /// Sets a key to bytes that were allocated before, without copying them if they are many.
    pub fn set_bytes(&mut self, key: Key<'_>, value: Vec<u8>, expiry: Expiry) {
        if value.len() <= MAX_INLINE {
            self.set_string(key, Str::Bytes(&value), expiry);
            return;
        }
        let found = self.find(key);
        let before = found.and_then(|place| self.entry(place)).and_then(Entry::expire_at_ms);
        let entry = Entry::large(key.bytes, value, self.fresh_meta(expiry.resolve(before)));
        match found {
            Some(place) => self.replace(place, entry),
            None => {
                self.insert(key, entry);
            }
        }
    }

    /// Changes a string's bytes in place after growing it with zero bytes to at least `len`. An absent
    /// key becomes an empty string first. The encoding becomes raw, as Redis shows it.
    pub fn edit_string<R>(
        &mut self,
        key: Key<'_>,
        len: usize,
        edit: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, WrongType> {
        let place = match self.find(key) {
            Some(place) => place,
            None => self.insert(key, Entry::padded(key.bytes, b"", len, self.fresh_meta(None))),
        };
        if self.entry(place).is_some_and(|entry| entry.kind() == EntryKind::Object) {
            return Err(WrongType);
        }
        self.touch(place);
        self.keep_for_save(place);
        self.grow_string(place, len);
        let entry = self.entry_mut(place).ok_or(WrongType)?;
        entry.mark_raw();
        match entry.kind() {
            EntryKind::Large => entry.large_mut().map(|bytes| edit(bytes)).ok_or(WrongType),
            _ => entry.inline_bytes_mut().map(edit).ok_or(WrongType),
        }
    }

    /// Makes the string in a slot a string of bytes with at least `len` of them.
    fn grow_string(&mut self, place: Place, len: usize) {
        let Some(entry) = self.entry_mut(place) else { return };
        if let Some(bytes) = entry.large_mut() {
            if bytes.len() < len {
                // A quarter more than needed: a string that grows by small steps is copied rarely.
                if bytes.capacity() < len {
                    bytes.reserve_exact(len - bytes.len() + len / 4);
                }
                bytes.resize(len, 0);
            }
            return;
        }
        if entry.grow_inline(len) {
            return;
        }
        let mut digits = itoa::Buffer::new();
        let old = match entry.as_str() {
            Some(Str::Bytes(bytes)) if bytes.len() >= len => return,
            Some(Str::Bytes(bytes)) => bytes,
            Some(Str::Int(number)) => digits.format(number).as_bytes(),
            None => return,
        };
        let grown = Entry::padded(entry.key(), old, len.max(old.len()), entry.meta());
        // Not `replace`: the value moved, it was not disposed of, and its expiry is the same.
        *entry = grown;
    }
}
