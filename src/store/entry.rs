//! An entry: one allocation that holds a key, its header and, for a small string, its value; for a collection,
//! what says where it is.
//!
//! ```text
//!  0        1       2..5    5            6..8
//! +--------+-------+-------+------------+--------------+
//! | kind 1 | flag 1| lru 3 | key len 1  | value len 2  |   header, 8 bytes
//! +--------+-------+-------+------------+--------------+
//! | expiry, unix ms, 8            when EXPIRES is set  |
//! | integer, or pointer, 8        when kind is Int or Large
//! | collection, 24                when kind is Object    |
//! | key length, 8                 when key len is 255  |
//! +-----------------------------------------------------+
//! | key bytes | value bytes (kind Inline)               |
//! +-----------------------------------------------------+
//! ```
//!
//! The table holds only the pointer: eight bytes a slot. The allocation's size is always
//! [`size_class`] of what the header says is in use, so a value can change its length in place
//! within its class and the layout for freeing is computed, never stored.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::object::{Object, Type};
use super::size::size_class;
use crate::data::Set;

const HEADER: usize = 8;
const LONG_KEY: u8 = 255;

/// A string value longer than this lives in an allocation of its own.
pub const MAX_INLINE: usize = 65_000;

/// Redis calls strings up to this length embstr when they were set whole.
const EMBSTR_LIMIT: usize = 44;

const EXPIRES: u8 = 1;
const RAW: u8 = 1 << 1;
const EPOCH_SHIFT: u8 = 2;
const EPOCH_MASK: u8 = 0b111 << EPOCH_SHIFT;

/// The bytes between header and key for an [`EntryKind`], beside the expiry: one byte each of a word, because
/// this is asked at every look at a key.
const fn payload_len(kind: EntryKind) -> usize {
    const PAYLOAD: u32 = u32::from_le_bytes([0, 8, 8, size_of::<Object>() as u8]);
    (PAYLOAD >> (kind as u32 * 8)) as usize & 0xFF
}

// With a key of 16 bytes that makes 48, a class of the allocator. Places are multiples of eight.
const _: () = assert!(size_of::<Object>() == 24 && align_of::<Object>() == 8);

/// How many epochs an entry can tell apart.
pub const EPOCHS: u8 = 8;

/// What an entry's value is and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// A string inside the entry.
    Inline = 0,
    /// A string that is an integer, inside the entry.
    Int = 1,
    /// A string in an allocation of its own.
    Large = 2,
    /// A collection: itself inside the entry, its elements elsewhere.
    Object = 3,
}

/// A string value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Str<'a> {
    /// Stored as a number.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

/// The parts of an entry's header that survive when its value is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Milliseconds since 1970, when the key has an expiry.
    pub expire_at_ms: Option<u64>,
    /// 24 bits: the LRU clock, or LFU's minutes and counter.
    pub lru: u32,
    /// The save epoch that the entry belongs to, below [`EPOCHS`].
    pub epoch: u8,
}

/// One key and its value. Owns its allocation.
#[derive(Debug)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its allocation and what it holds (a Vec<u8> or an Object, both Send);
// nothing in it is tied to a thread.
unsafe impl Send for Entry {}
// SAFETY: through a shared reference an entry is only read.
unsafe impl Sync for Entry {}

impl Entry {
    /// A string entry; stored as an integer when `value` is one in canonical form.
    pub fn string(key: &[u8], value: Str<'_>, meta: Meta) -> Entry {
        match value {
            Str::Int(number) => {
                let entry = Entry::allocate(key, EntryKind::Int, 0, meta);
                entry.write_payload(number as u64);
                entry
            }
            Str::Bytes(bytes) if bytes.len() <= MAX_INLINE => {
                let mut entry = Entry::allocate(key, EntryKind::Inline, bytes.len(), meta);
                entry.inline_mut().copy_from_slice(bytes);
                entry
            }
            Str::Bytes(bytes) => Entry::large(key, bytes.to_vec(), meta),
        }
    }

    /// A string entry around bytes that were allocated before.
    pub fn large(key: &[u8], bytes: Vec<u8>, meta: Meta) -> Entry {
        let entry = Entry::allocate(key, EntryKind::Large, 0, meta);
        entry.write_payload(Box::into_raw(Box::new(bytes)) as u64);
        entry
    }

    /// A string entry of `len` bytes: `start`, then zero bytes. `start` is not longer than `len`.
    pub fn padded(key: &[u8], start: &[u8], len: usize, meta: Meta) -> Entry {
        debug_assert!(start.len() <= len);
        if len > MAX_INLINE {
            // Zeroed memory costs nothing until it is touched.
            let mut bytes = vec![0; len];
            bytes[..start.len()].copy_from_slice(start);
            return Entry::large(key, bytes, meta);
        }
        let mut entry = Entry::allocate(key, EntryKind::Inline, len, meta);
        let (head, tail) = entry.inline_mut().split_at_mut(start.len());
        head.copy_from_slice(start);
        tail.fill(0);
        entry
    }

    /// A collection's entry.
    pub fn object(key: &[u8], object: Object, meta: Meta) -> Entry {
        let entry = Entry::allocate(key, EntryKind::Object, 0, meta);
        // SAFETY: an Object entry has room for an Object at this place, which is aligned for it, and nothing is
        // there yet that would have to be dropped.
        unsafe { entry.0.as_ptr().add(HEADER + entry.expiry_len()).cast::<Object>().write(object) };
        entry
    }

    fn allocate(key: &[u8], kind: EntryKind, inline_len: usize, meta: Meta) -> Entry {
        let long_key = key.len() >= LONG_KEY as usize;
        let prefix = HEADER
            + if meta.expire_at_ms.is_some() { 8 } else { 0 }
            + payload_len(kind)
            + if long_key { 8 } else { 0 };
        let layout = Entry::layout(prefix + key.len() + inline_len);
        // SAFETY: the layout's size is at least the header's eight bytes, never zero.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let flags = u8::from(meta.expire_at_ms.is_some()) | (meta.epoch << EPOCH_SHIFT & EPOCH_MASK);
        let lru = meta.lru.to_le_bytes();
        let value_len = (inline_len as u16).to_le_bytes();
        let key_len = if long_key { LONG_KEY } else { key.len() as u8 };
        let header = [kind as u8, flags, lru[0], lru[1], lru[2], key_len, value_len[0], value_len[1]];
        // SAFETY: every write lies inside the allocation, whose size is the sum of these parts,
        // and the source slices are distinct from it because it is new.
        unsafe {
            let at = start.as_ptr();
            at.cast::<[u8; HEADER]>().write(header);
            if let Some(expiry) = meta.expire_at_ms {
                at.add(HEADER).cast::<u64>().write(expiry);
            }
            if long_key {
                at.add(prefix - 8).cast::<u64>().write(key.len() as u64);
            }
            std::ptr::copy_nonoverlapping(key.as_ptr(), at.add(prefix), key.len());
        }
        Entry(start)
    }

    fn layout(used: usize) -> Layout {
        // A key or value cannot be longer than isize::MAX: it came out of a slice.
        Layout::from_size_align(size_class(used), 8).unwrap_or(Layout::new::<[u64; 1]>())
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        debug_assert!(at < HEADER);
        // SAFETY: the header's eight bytes are always there and initialised.
        unsafe { *self.0.as_ptr().add(at) }
    }

    #[inline]
    fn set_byte(&mut self, at: usize, value: u8) {
        debug_assert!(at < HEADER);
        // SAFETY: inside the header; `&mut self` makes the access exclusive.
        unsafe { *self.0.as_ptr().add(at) = value }
    }

    /// What the entry holds.
    #[inline]
    pub fn kind(&self) -> EntryKind {
        match self.byte(0) {
            0 => EntryKind::Inline,
            1 => EntryKind::Int,
            2 => EntryKind::Large,
            _ => EntryKind::Object,
        }
    }

    #[inline]
    fn flags(&self) -> u8 {
        self.byte(1)
    }

    #[inline]
    fn expiry_len(&self) -> usize {
        usize::from(self.flags() & EXPIRES) * 8
    }

    #[inline]
    fn payload_len(&self) -> usize {
        payload_len(self.kind())
    }

    /// Where the key begins, and its length.
    #[inline]
    fn key_place(&self) -> (usize, usize) {
        let before = HEADER + self.expiry_len() + self.payload_len();
        match self.byte(5) {
            LONG_KEY => {
                // SAFETY: a key length byte of 255 says that eight bytes of length stand here,
                // aligned because every part before them is a multiple of eight.
                let len = unsafe { self.0.as_ptr().add(before).cast::<u64>().read() };
                (before + 8, len as usize)
            }
            short => (before, short as usize),
        }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let (start, len) = self.key_place();
        // SAFETY: `allocate` wrote `len` key bytes at `start`; they live as long as the entry.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(start), len) }
    }

    #[inline]
    fn inline_len(&self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(6), self.byte(7)]))
    }

    #[inline]
    fn used(&self) -> usize {
        let (start, len) = self.key_place();
        start + len + self.inline_len()
    }

    /// Bytes allocated for the entry itself (not for what it points to).
    pub fn allocated(&self) -> usize {
        size_class(self.used())
    }

    #[inline]
    fn payload(&self) -> u64 {
        debug_assert!(matches!(self.kind(), EntryKind::Int | EntryKind::Large));
        // SAFETY: these two kinds have eight aligned payload bytes after header and expiry.
        unsafe { self.0.as_ptr().add(HEADER + self.expiry_len()).cast::<u64>().read() }
    }

    #[inline]
    fn write_payload(&self, payload: u64) {
        debug_assert!(matches!(self.kind(), EntryKind::Int | EntryKind::Large));
        // SAFETY: as in `payload`; called on entries just made or through `&mut self`.
        unsafe { self.0.as_ptr().add(HEADER + self.expiry_len()).cast::<u64>().write(payload) }
    }

    #[inline]
    fn inline(&self) -> &[u8] {
        let (start, len) = self.key_place();
        // SAFETY: an Inline entry has `inline_len` value bytes behind its key.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(start + len), self.inline_len()) }
    }

    #[inline]
    fn inline_mut(&mut self) -> &mut [u8] {
        let (start, len) = self.key_place();
        // SAFETY: as in `inline`; `&mut self` makes it exclusive. The bytes may be uninitialised
        // only between `allocate` and the copy that follows it at once, and u8 is written whole.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr().add(start + len), self.inline_len()) }
    }

    /// When the key expires, in milliseconds since 1970.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        if self.flags() & EXPIRES == 0 {
            return None;
        }
        // SAFETY: the flag says that eight aligned bytes of expiry follow the header.
        Some(unsafe { self.0.as_ptr().add(HEADER).cast::<u64>().read() })
    }

    /// Whether the key has expired at `now_ms`.
    #[inline]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expire_at_ms().is_some_and(|at| at <= now_ms)
    }

    /// The 24 bits of the LRU clock or LFU counter.
    #[inline]
    pub fn lru(&self) -> u32 {
        u32::from_le_bytes([self.byte(2), self.byte(3), self.byte(4), 0])
    }

    /// Sets the 24 bits of the LRU clock or LFU counter.
    #[inline]
    pub fn set_lru(&mut self, lru: u32) {
        let bytes = lru.to_le_bytes();
        self.set_byte(2, bytes[0]);
        self.set_byte(3, bytes[1]);
        self.set_byte(4, bytes[2]);
    }

    /// The save epoch of the entry.
    #[inline]
    pub fn epoch(&self) -> u8 {
        (self.flags() & EPOCH_MASK) >> EPOCH_SHIFT
    }

    /// Sets the save epoch.
    #[inline]
    pub fn set_epoch(&mut self, epoch: u8) {
        let flags = self.flags() & !EPOCH_MASK | (epoch << EPOCH_SHIFT & EPOCH_MASK);
        self.set_byte(1, flags);
    }

    /// What survives a replaced value.
    pub fn meta(&self) -> Meta {
        Meta { expire_at_ms: self.expire_at_ms(), lru: self.lru(), epoch: self.epoch() }
    }

    /// The string, when the value is one.
    #[inline]
    pub fn as_str(&self) -> Option<Str<'_>> {
        match self.kind() {
            EntryKind::Inline => Some(Str::Bytes(self.inline())),
            EntryKind::Int => Some(Str::Int(self.payload() as i64)),
            EntryKind::Large => Some(Str::Bytes(self.large_ref())),
            EntryKind::Object => None,
        }
    }

    fn large_ref(&self) -> &Vec<u8> {
        debug_assert!(self.kind() == EntryKind::Large);
        // SAFETY: a Large entry's payload is the pointer of a Box<Vec<u8>> that it owns.
        unsafe { &*(self.payload() as *const Vec<u8>) }
    }

    /// The bytes of a Large entry, to change them in place.
    pub fn large_mut(&mut self) -> Option<&mut Vec<u8>> {
        if self.kind() != EntryKind::Large {
            return None;
        }
        // SAFETY: as in `large_ref`; `&mut self` makes it exclusive.
        Some(unsafe { &mut *(self.payload() as *mut Vec<u8>) })
    }

    /// The collection, when the value is one.
    #[inline]
    pub fn as_object(&self) -> Option<&Object> {
        if self.kind() != EntryKind::Object {
            return None;
        }
        // SAFETY: an Object entry holds an initialised, aligned Object after header and expiry.
        Some(unsafe { &*self.0.as_ptr().add(HEADER + self.expiry_len()).cast::<Object>() })
    }

    /// The collection, to change it.
    #[inline]
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if self.kind() != EntryKind::Object {
            return None;
        }
        // SAFETY: as in `as_object`; `&mut self` makes it exclusive.
        Some(unsafe { &mut *self.0.as_ptr().add(HEADER + self.expiry_len()).cast::<Object>() })
    }

    /// The type of the value, as TYPE names it.
    pub fn value_type(&self) -> Type {
        self.as_object().map_or(Type::String, Object::value_type)
    }

    /// Redis's name for how the value is stored, as OBJECT ENCODING gives it.
    pub fn encoding(&self) -> &'static str {
        match self.kind() {
            EntryKind::Int => "int",
            EntryKind::Inline if self.flags() & RAW == 0 && self.inline_len() <= EMBSTR_LIMIT => "embstr",
            EntryKind::Inline | EntryKind::Large => "raw",
            EntryKind::Object => self.as_object().map_or("raw", Object::encoding),
        }
    }

    /// Marks a string as changed in place: Redis shows its encoding as raw from then on.
    pub fn mark_raw(&mut self) {
        let flags = self.flags() | RAW;
        self.set_byte(1, flags);
    }

    /// Writes a number over an Int entry's number. False when the entry is no Int.
    #[inline]
    pub fn set_int(&mut self, number: i64) -> bool {
        if self.kind() != EntryKind::Int {
            return false;
        }
        self.write_payload(number as u64);
        true
    }

    /// Writes `value` over an Inline string when it fits the allocation's class. False, and nothing
    /// changed, when it does not.
    #[inline]
    pub fn overwrite_inline(&mut self, value: &[u8]) -> bool {
        if self.kind() != EntryKind::Inline || value.len() > MAX_INLINE {
            return false;
        }
        let used = self.used();
        let new_used = used - self.inline_len() + value.len();
        if new_used != used && size_class(new_used) != size_class(used) {
            return false;
        }
        let len = (value.len() as u16).to_le_bytes();
        self.set_byte(6, len[0]);
        self.set_byte(7, len[1]);
        let flags = self.flags() & !RAW;
        self.set_byte(1, flags);
        self.inline_mut().copy_from_slice(value);
        true
    }

    /// Grows an Inline string to `len` bytes with zero bytes when that fits the allocation's class.
    /// False, and nothing changed, when it does not or when the string is not shorter than that.
    pub fn grow_inline(&mut self, len: usize) -> bool {
        if self.kind() != EntryKind::Inline || len > MAX_INLINE {
            return false;
        }
        let (used, before) = (self.used(), self.inline_len());
        if len <= before || size_class(used - before + len) != size_class(used) {
            return false;
        }
        let bytes = (len as u16).to_le_bytes();
        self.set_byte(6, bytes[0]);
        self.set_byte(7, bytes[1]);
        self.inline_mut()[before..].fill(0);
        true
    }

    /// The bytes of an Inline string, to change them without changing their number.
    pub fn inline_bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.kind() == EntryKind::Inline { Some(self.inline_mut()) } else { None }
    }

    /// Sets the expiry in place. False when the entry has no room for one (see [`Entry::with_expiry`]).
    #[inline]
    pub fn set_expiry_in_place(&mut self, at_ms: u64) -> bool {
        if self.flags() & EXPIRES == 0 {
            return false;
        }
        // SAFETY: the flag says that eight aligned bytes of expiry follow the header.
        unsafe { self.0.as_ptr().add(HEADER).cast::<u64>().write(at_ms) };
        true
    }

    /// The same entry with another expiry, moved to an allocation that has (no) room for one.
    pub fn with_expiry(mut self, expire_at_ms: Option<u64>) -> Entry {
        if let Some(at) = expire_at_ms
            && self.set_expiry_in_place(at)
        {
            return self;
        }
        self.moved(None, Meta { expire_at_ms, ..self.meta() })
    }

    /// The same value and header under another key and expiry.
    pub fn rekeyed(mut self, key: &[u8], expire_at_ms: Option<u64>) -> Entry {
        self.moved(Some(key), Meta { expire_at_ms, ..self.meta() })
    }

    /// Moves the value out of `self` (which is left with one that owns nothing, to be dropped) into a new entry.
    fn moved(&mut self, key: Option<&[u8]>, meta: Meta) -> Entry {
        let raw = self.flags() & RAW;
        let name = key.unwrap_or(self.key());
        let kind = self.kind();
        let mut entry = match kind {
            EntryKind::Inline => Entry::string(name, Str::Bytes(self.inline()), meta),
            EntryKind::Int | EntryKind::Large => {
                let entry = Entry::allocate(name, kind, 0, meta);
                entry.write_payload(self.payload());
                entry
            }
            EntryKind::Object => {
                let object = self.take_object();
                Entry::object(key.unwrap_or(self.key()), object, meta)
            }
        };
        let flags = entry.flags() | raw;
        entry.set_byte(1, flags);
        if kind == EntryKind::Large {
            // What the payload points to belongs to the new entry now; an Int is as large and owns nothing.
            self.set_byte(0, EntryKind::Int as u8);
        }
        entry
    }

    /// Takes the collection out of an Object entry and leaves an empty one, which owns nothing.
    fn take_object(&mut self) -> Object {
        let mut taken = Object::Set(Set::new());
        if let Some(object) = self.as_object_mut() {
            std::mem::swap(object, &mut taken);
        }
        taken
    }

    /// A deep copy under the same key, for a save's pre-image or COPY.
    pub fn duplicate(&self, key: &[u8], meta: Meta) -> Entry {
        let mut entry = match self.as_object() {
            Some(object) => Entry::object(key, object.clone(), meta),
            None => Entry::string(key, self.as_str().unwrap_or(Str::Bytes(b"")), meta),
        };
        let flags = entry.flags() | self.flags() & RAW;
        entry.set_byte(1, flags);
        entry
    }

    /// Bytes that the entry and everything behind it take.
    pub fn memory_usage(&self) -> usize {
        self.allocated()
            + match self.kind() {
                EntryKind::Inline | EntryKind::Int => 0,
                EntryKind::Large => {
                    size_class(size_of::<Vec<u8>>()) + size_class(self.large_ref().capacity())
                }
                EntryKind::Object => self.as_object().map_or(0, Object::memory_usage),
            }
    }

    /// Asks the processor to fetch the entry's first bytes, which are the key's and most values'. How long
    /// it is stands in the entry itself, so all lines that 96 bytes may touch are asked for: two, rarely three.
    #[inline]
    pub fn prefetch(&self) {
        super::prefetch::read(self.0.as_ptr());
        super::prefetch::read(self.0.as_ptr().wrapping_add(48));
        super::prefetch::read(self.0.as_ptr().wrapping_add(88));
    }

    /// Whether this is the entry of `key`.
    #[inline]
    pub fn has_key(&self, key: &[u8]) -> bool {
        equal(self.key(), key)
    }
}

/// Whether two keys are the same. Keys of 8 to 32 bytes are compared as four overlapping words, which
/// takes fewer instructions than a call of `memcmp`.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let word = |bytes: &[u8], at: usize| bytes[at..].first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
    match a.len() {
        8..=16 => word(a, 0) == word(b, 0) && word(a, a.len() - 8) == word(b, b.len() - 8),
        17..=32 => {
            let last = a.len() - 16;
            word(a, 0) == word(b, 0)
                && word(a, 8) == word(b, 8)
                && word(a, last) == word(b, last)
                && word(a, last + 8) == word(b, last + 8)
        }
        _ => a == b,
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let layout = Entry::layout(self.used());
        match self.kind() {
            EntryKind::Inline | EntryKind::Int => {}
            // SAFETY: the payload of a Large entry came from Box::into_raw and is owned by it alone.
            EntryKind::Large => drop(unsafe { Box::from_raw(self.payload() as *mut Vec<u8>) }),
            EntryKind::Object => drop(self.take_object()),
        }
        // SAFETY: allocated by `allocate` with the layout of the same used size's class; changes
        // in place keep the class (see `overwrite_inline`).
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}
