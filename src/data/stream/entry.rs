//! Reading a node's entries.

use super::Id;
use super::node::{DELETED, LONG, Node, OWN_LENGTHS, OWN_NAMES, SEQ_FOLLOWS};

/// A place in a node's buffer. What lies behind its end reads as nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) data: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn byte(&mut self) -> u8 {
        let byte = self.data.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    #[inline]
    pub(super) fn var(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let taken = self.data.get(self.at..self.at.saturating_add(len)).unwrap_or(&[]);
        self.at = self.at.saturating_add(len);
        taken
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = self.var() as usize;
        self.take(len)
    }
}

/// An entry of a node.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its ID.
    pub id: Id,
    node: &'a Node,
    /// Where its head is.
    pub(super) head: usize,
    body: usize,
}

impl<'a> Entry<'a> {
    fn flags(&self) -> u8 {
        self.node.data.get(self.head).copied().unwrap_or(DELETED)
    }

    /// Whether it was deleted.
    #[inline]
    pub fn is_deleted(&self) -> bool {
        self.flags() & DELETED != 0
    }

    /// Its fields with their values. The iterator knows how many there are.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        let (node, flags) = (self.node, self.flags());
        let at = |at| Cursor { data: &node.data, at };
        let mut body = at(self.body);
        let own_names = flags & OWN_NAMES != 0;
        let left = if own_names { body.var() as usize } else { node.fields as usize };
        let names = (!own_names).then(|| at(0));
        let lengths = (flags & (OWN_NAMES | OWN_LENGTHS) == 0).then(|| at(node.lengths_at as usize));
        Fields { body, names, lengths, left }
    }

    /// Where the next entry begins.
    #[inline]
    fn end(&self) -> usize {
        let flags = self.flags();
        if flags & (OWN_NAMES | OWN_LENGTHS) == 0 {
            return self.body + self.node.values_len as usize;
        }
        let mut fields = self.fields();
        while fields.next().is_some() {}
        fields.body.at
    }
}

/// An entry's fields.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    body: Cursor<'a>,
    /// Where the names are, unless they stand before their values.
    names: Option<Cursor<'a>>,
    /// Where the lengths are, unless they stand before their values.
    lengths: Option<Cursor<'a>>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.bytes(),
            None => self.body.bytes(),
        };
        let len = match &mut self.lengths {
            Some(lengths) => lengths.var(),
            None => self.body.var(),
        };
        Some((name, self.body.take(len as usize)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// A node's entries in order, deleted ones too.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    node: &'a Node,
    at: usize,
    before: Id,
}

impl<'a> Entries<'a> {
    pub(super) fn new(node: &'a Node) -> Entries<'a> {
        let before = Id { ms: node.first.ms, seq: node.first.seq.wrapping_sub(1) };
        Entries { node, at: node.entries_at as usize, before }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let node = self.node;
        if self.at >= node.data.len() {
            return None;
        }
        let mut cursor = Cursor { data: &node.data, at: self.at };
        let head = cursor.byte();
        let ms = match u64::from(head >> 4) {
            LONG => cursor.var(),
            ms => ms,
        };
        let implied = if ms == 0 { self.before.seq.wrapping_add(1) } else { 0 };
        let beyond = if head & SEQ_FOLLOWS != 0 { cursor.var() } else { 0 };
        let id = Id { ms: self.before.ms.wrapping_add(ms), seq: implied.wrapping_add(beyond) };
        let entry = Entry { id, node, head: self.at, body: cursor.at };
        self.at = entry.end();
        self.before = id;
        Some(entry)
    }
}
