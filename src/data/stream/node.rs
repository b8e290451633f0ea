//! A node: some entries that follow each other, packed into one buffer.
//!
//! ```text
//! buffer   [names of the first entry][lengths of its values][entry][entry]...
//! names    for each field: [length v][bytes]
//! lengths  for each field: [length v]
//! entry    [head 1][ms v, if long][seq v, if flagged][body]
//! head     bit 0: deleted   bit 1: own names   bit 2: own lengths   bit 3: seq follows
//!          bits 4-7: milliseconds since the entry before, 15: they follow
//! body     with the names and lengths of the first entry: [value]...
//!          with its names:                                ([length v][value])...
//!          with own names:                                [fields v] ([length v][name][length v][value])...
//! ```
//!
//! `v` is a number of seven bits a byte, the lowest first. The sequence number is written as what it is
//! beyond the expected one: one more within the same millisecond, else 0. So an entry like the first, made
//! in the same or one of the next milliseconds, costs one byte beside its values. Deleted entries stay and
//! are marked; a node whose entries are all deleted goes as a whole. Redis has the same idea in its
//! listpacks; [`Node::listpack_len`] says how long one with these entries would be, since that is what
//! `stream-node-max-bytes` speaks of.

use crate::data::list::size_class;
use crate::data::parse_i64;

use super::Id;
use super::entry::{Cursor, Entries, Entry};

pub(super) const DELETED: u8 = 1;
pub(super) const OWN_NAMES: u8 = 2;
pub(super) const OWN_LENGTHS: u8 = 4;
pub(super) const SEQ_FOLLOWS: u8 = 8;
/// Greater differences do not fit into the head.
pub(super) const LONG: u64 = 15;

/// A field with its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) first: Id,
    /// Of the last entry, deleted or not.
    pub(super) last: Id,
    /// Entries that are not deleted; there are no more than [`super::NODE_ENTRIES`] of both kinds.
    pub(super) live: u16,
    pub(super) deleted: u16,
    /// What the entries and names take in a listpack.
    listpack: u32,
    /// Fields of the first entry.
    pub(super) fields: u32,
    pub(super) lengths_at: u32,
    pub(super) entries_at: u32,
    /// The sum of the first entry's values.
    pub(super) values_len: u32,
    pub(super) data: Vec<u8>,
}

impl Node {
    /// A node with its first entry. `expected` is how long its buffer is likely to become.
    pub fn new(id: Id, pairs: &[Pair<'_>], expected: usize) -> Node {
        let mut node = Node {
            first: id,
            // So that the first entry is what is expected to follow.
            last: Id { ms: id.ms, seq: id.seq.wrapping_sub(1) },
            live: 0,
            deleted: 0,
            listpack: 0,
            fields: pairs.len() as u32,
            lengths_at: 0,
            entries_at: 0,
            values_len: 0,
            data: Vec::new(),
        };
        let values: usize = pairs.iter().map(|(_, value)| value.len()).sum();
        let names: usize = pairs
            .iter()
            .map(|(name, value)| name.len() + var_len(name.len() as u64) + var_len(value.len() as u64))
            .sum();
        node.data.reserve_exact(size_class((names + values + 1).max(expected)));
        for (name, _) in pairs {
            put_bytes(&mut node.data, name);
            node.listpack += listpack_string(name);
        }
        node.lengths_at = node.data.len() as u32;
        for (_, value) in pairs {
            put_var(&mut node.data, value.len() as u64);
        }
        node.entries_at = node.data.len() as u32;
        node.values_len = values as u32;
        node.listpack += listpack_int(pairs.len() as i64) + listpack_int(0);
        node.push(id, pairs);
        node
    }

    /// How long a listpack with these entries would be.
    #[inline]
    pub fn listpack_len(&self) -> usize {
        const HEADER_AND_END: u32 = 7;
        let counts = listpack_int(i64::from(self.live)) + listpack_int(i64::from(self.deleted));
        (HEADER_AND_END + counts + self.listpack) as usize
    }

    /// Adds an entry. Its ID is above the last one's.
    pub fn push(&mut self, id: Id, pairs: &[Pair<'_>]) {
        let form = self.form_of(pairs);
        let (ms, implied) = match id.ms - self.last.ms {
            0 => (0, self.last.seq.wrapping_add(1)),
            ms => (ms, 0),
        };
        let seq = id.seq.wrapping_sub(implied);
        let long = if ms >= LONG { var_len(ms) } else { 0 } + if seq > 0 { var_len(seq) } else { 0 };
        self.make_room(1 + long + body_len(form, pairs));
        let head = form | if seq > 0 { SEQ_FOLLOWS } else { 0 } | (ms.min(LONG) as u8) << 4;
        self.data.push(head);
        if ms >= LONG {
            put_var(&mut self.data, ms);
        }
        if seq > 0 {
            put_var(&mut self.data, seq);
        }
        self.push_body(form, pairs);
        self.count_listpack(id, form, pairs);
        self.last = id;
        self.live += 1;
    }

    fn push_body(&mut self, form: u8, pairs: &[Pair<'_>]) {
        if form & OWN_NAMES != 0 {
            put_var(&mut self.data, pairs.len() as u64);
            for (name, value) in pairs {
                put_bytes(&mut self.data, name);
                put_bytes(&mut self.data, value);
            }
        } else if form & OWN_LENGTHS != 0 {
            pairs.iter().for_each(|(_, value)| put_bytes(&mut self.data, value));
        } else {
            pairs.iter().for_each(|(_, value)| self.data.extend_from_slice(value));
        }
    }

    /// Grows in the allocator's steps: an eighth to a quarter at a time, so that little is left over.
    #[inline]
    fn make_room(&mut self, needed: usize) {
        let len = self.data.len();
        if self.data.capacity() - len < needed {
            self.data.reserve_exact(size_class(len + needed) - len);
        }
    }

    /// In which way an entry is like the first.
    #[inline]
    fn form_of(&self, pairs: &[Pair<'_>]) -> u8 {
        if pairs.len() != self.fields as usize {
            return OWN_NAMES;
        }
        let mut names = Cursor { data: &self.data, at: 0 };
        let mut lengths = Cursor { data: &self.data, at: self.lengths_at as usize };
        let mut form = 0;
        for (name, value) in pairs {
            if names.bytes() != *name {
                return OWN_NAMES;
            }
            if lengths.var() != value.len() as u64 {
                form = OWN_LENGTHS;
            }
        }
        form
    }

    /// Adds what the entry takes in a listpack.
    #[inline]
    fn count_listpack(&mut self, id: Id, form: u8, pairs: &[Pair<'_>]) {
        let own = form & OWN_NAMES != 0;
        let fields = pairs.len() as i64;
        let mut bytes = listpack_int(0)
            + listpack_int(id.ms.wrapping_sub(self.first.ms) as i64)
            + listpack_int(id.seq.wrapping_sub(self.first.seq) as i64);
        for (name, value) in pairs {
            bytes += listpack_string(value) + if own { listpack_string(name) } else { 0 };
        }
        let parts = if own { 2 * fields + 4 } else { fields + 3 };
        bytes += listpack_int(parts) + if own { listpack_int(fields) } else { 0 };
        self.listpack += bytes;
    }

    /// All entries, deleted ones too.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(self)
    }

    /// The entry of an ID, unless it is deleted.
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.id >= id).filter(|entry| entry.id == id && !entry.is_deleted())
    }

    /// Marks an entry. False if it is not there.
    pub fn delete(&mut self, id: Id) -> bool {
        let Some(head) = self.get(id).map(|entry| entry.head) else { return false };
        self.mark(head);
        true
    }

    /// Marks entries from the first on for as long as `goes` says so, which hears of an ID and whether its
    /// entry is deleted already. How many there were.
    pub fn delete_while(&mut self, mut goes: impl FnMut(Id, bool) -> bool) -> u32 {
        let mut marked = Vec::new();
        for entry in self.entries() {
            if !goes(entry.id, entry.is_deleted()) {
                break;
            }
            if !entry.is_deleted() {
                marked.push(entry.head);
            }
        }
        marked.iter().for_each(|&head| self.mark(head));
        marked.len() as u32
    }

    /// Forgets the entries from `id` on, all of which are deleted. The count of deleted ones stays.
    pub fn forget_from(&mut self, id: Id) {
        let mut last = None;
        let mut ends = self.data.len();
        for entry in self.entries() {
            if entry.id >= id {
                ends = entry.head;
                break;
            }
            last = Some(entry.id);
        }
        self.data.truncate(ends);
        self.last = last.unwrap_or(Id { ms: self.first.ms, seq: self.first.seq.wrapping_sub(1) });
    }

    fn mark(&mut self, head: usize) {
        if let Some(byte) = self.data.get_mut(head) {
            *byte |= DELETED;
            self.live -= 1;
            self.deleted += 1;
        }
    }

    /// Gives back what the buffer has left over: nothing will be added any more.
    pub fn seal(&mut self) {
        if size_class(self.data.len()) < self.data.capacity() {
            self.data.shrink_to(size_class(self.data.len()));
        }
    }

    /// Bytes of the node and of what its buffer must have. A function of the content alone, so that sums
    /// stay right when a copy's buffer has another capacity.
    pub fn memory_usage(&self) -> usize {
        size_of::<Node>() + 16 + size_class(self.data.len())
    }
}

/// Bytes of an entry behind its ID.
#[inline]
fn body_len(form: u8, pairs: &[Pair<'_>]) -> usize {
    let sized = |bytes: &[u8]| bytes.len() + var_len(bytes.len() as u64);
    if form & OWN_NAMES != 0 {
        let fields: usize = pairs.iter().map(|(name, value)| sized(name) + sized(value)).sum();
        return var_len(pairs.len() as u64) + fields;
    }
    let own_lengths = form & OWN_LENGTHS != 0;
    pairs.iter().map(|(_, value)| if own_lengths { sized(value) } else { value.len() }).sum()
}

/// Bytes of a number of seven bits a byte.
pub(super) fn var_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[inline]
pub(super) fn put_var(data: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        data.push(number as u8 | 0x80);
        number >>= 7;
    }
    data.push(number as u8);
}

#[inline]
fn put_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
    put_var(data, bytes.len() as u64);
    data.extend_from_slice(bytes);
}

/// What a number takes in a listpack, the length at its end included.
#[inline]
pub(super) fn listpack_int(number: i64) -> u32 {
    1 + match number {
        0..=127 => 1,
        -4_096..=4_095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    }
}

/// What a string takes in a listpack; one that is a number is written as one.
#[inline]
fn listpack_string(text: &[u8]) -> u32 {
    let numeric = text.len() <= 20 && text.first().is_some_and(|&byte| byte == b'-' || byte.is_ascii_digit());
    if numeric && let Some(number) = parse_i64(text) {
        return listpack_int(number);
    }
    let len = text.len() as u32;
    let coded = len
        + match len {
            0..64 => 1,
            64..4096 => 2,
            _ => 5,
        };
    coded
        + match coded {
            0..128 => 1,
            128..16_384 => 2,
            16_384..2_097_152 => 3,
            2_097_152..268_435_456 => 4,
            _ => 5,
        }
}
