//! The entries of a stream: a row of nodes, and the counters that Redis keeps beside them.

use std::sync::Arc;

use super::entry::{Entries, Entry};
use super::node::{Node, Pair};
use super::ordered::{Down, Iter, Ordered};
use super::{Id, NodeLimits};

/// A node that takes no more entries. What trimming asks of it is kept beside it: to look into some ten
/// thousand nodes would take milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// Its entries that are not deleted.
    pub(super) live: u32,
    /// Its bytes.
    pub(super) bytes: u32,
    pub(super) node: Arc<Node>,
}

/// The entries, without the groups that read them.
///
/// The last node stands by itself, so that adding an entry looks for nothing, and a stream of one node
/// owns nothing else. IDs, counts and the counters mean what they mean in Redis 7.0.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub(super) sealed: Option<Box<Ordered<Sealed>>>,
    pub(super) tail: Option<Arc<Node>>,
    pub(super) len: u64,
    pub(super) last_id: Id,
    /// The first entry's ID; 0-0 without entries.
    pub(super) first_entry: Id,
    /// The last entry's ID; means nothing without entries.
    pub(super) last_entry: Id,
    pub(super) max_deleted: Id,
    pub(super) added: u64,
    /// Bytes of the nodes.
    pub(super) bytes: usize,
}

/// From so many full nodes on the next is expected to become full too, and gets its buffer at once. What it
/// does not need is little then, compared with the rest.
const EXPECTING_NODES: usize = 8;
/// The longest buffer that is reserved at once for a node to come.
const EXPECTED_BYTES: usize = 64 * 1024;

impl Log {
    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The greatest ID ever given.
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    /// The first entry's ID; 0-0 if there is none.
    pub fn first_entry(&self) -> Id {
        self.first_entry
    }

    /// The last entry's ID, if there is one.
    pub fn last_entry(&self) -> Option<Id> {
        (self.len > 0).then_some(self.last_entry)
    }

    /// The greatest ID that was deleted one by one; 0-0 if none was.
    pub fn max_deleted(&self) -> Id {
        self.max_deleted
    }

    /// How many entries were ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Number of nodes: keys in Redis's radix tree.
    pub fn nodes(&self) -> usize {
        self.sealed.as_ref().map_or(0, |sealed| sealed.len()) + usize::from(self.tail.is_some())
    }

    /// The first IDs of all nodes, in order.
    pub fn node_ids(&self) -> impl Iterator<Item = Id> + '_ {
        let sealed = self.sealed.iter().flat_map(|sealed| sealed.iter().map(|(id, _)| id));
        sealed.chain(self.tail.iter().map(|node| node.first))
    }

    /// Adds an entry. False, and nothing happens, unless its ID is above [`Log::last_id`].
    pub fn append(&mut self, id: Id, pairs: &[Pair<'_>], limits: NodeLimits) -> bool {
        if id <= self.last_id {
            return false;
        }
        if self.tail.as_ref().is_some_and(|tail| tail.last >= id) {
            self.forget_deleted_from(id);
        }
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        match &mut self.tail {
            Some(tail) if limits.allow(tail, bytes) => {
                let node = Arc::make_mut(tail);
                let before = node.memory_usage();
                node.push(id, pairs);
                self.bytes += node.memory_usage() - before;
            }
            _ => self.begin_node(id, pairs),
        }
        if self.len == 0 {
            self.first_entry = id;
        }
        (self.last_id, self.last_entry) = (id, id);
        self.len += 1;
        self.added += 1;
        true
    }

    /// XSETID may have gone back behind deleted entries, which are still marked in the last node: within a
    /// node IDs grow, so those from `id` on are forgotten.
    #[cold]
    fn forget_deleted_from(&mut self, id: Id) {
        while let Some(tail) = &mut self.tail
            && tail.last >= id
        {
            self.bytes -= tail.memory_usage();
            if tail.live > 0 {
                let node = Arc::make_mut(tail);
                node.forget_from(id);
                self.bytes += node.memory_usage();
                return;
            }
            self.tail = None;
            self.reopen();
        }
    }

    fn begin_node(&mut self, id: Id, pairs: &[Pair<'_>]) {
        let mut expected = 0;
        if let Some(mut full) = self.tail.take() {
            if let Some(node) = Arc::get_mut(&mut full) {
                node.seal();
            }
            let sealed = self.sealed.get_or_insert_default();
            if sealed.len() >= EXPECTING_NODES {
                expected = full.data.len().min(EXPECTED_BYTES);
            }
            sealed.insert(
                full.first,
                Sealed { live: full.live.into(), bytes: full.memory_usage() as u32, node: full },
            );
        }
        let node = Node::new(id, pairs, expected);
        self.bytes += node.memory_usage();
        self.tail = Some(Arc::new(node));
    }

    /// The entry of an ID.
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        if self.len == 0 || id < self.first_entry || id > self.last_entry {
            return None;
        }
        self.node_for(id)?.get(id)
    }

    /// Whether there is an entry of this ID.
    pub fn contains(&self, id: Id) -> bool {
        self.get(id).is_some()
    }

    /// The node in which an ID would be.
    fn node_for(&self, id: Id) -> Option<&Node> {
        if let Some(tail) = &self.tail
            && tail.first <= id
        {
            return Some(tail);
        }
        let (_, sealed) = self.sealed.as_ref()?.down_from(id).next()?;
        Some(&sealed.node)
    }

    /// The entries from `start` to `end`, both included.
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        let start = start.max(self.first_entry);
        if self.len == 0 || start > end || start > self.last_entry {
            return Range { sealed: None, tail: None, entries: None, start, end };
        }
        if let Some(tail) = &self.tail
            && tail.first <= start
        {
            return Range { sealed: None, tail: None, entries: Some(tail.entries()), start, end };
        }
        let sealed = self.sealed.as_ref().map(|sealed| {
            let from = sealed.down_from(start).next().map_or(start, |(first, _)| first);
            sealed.from(from)
        });
        Range { sealed, tail: self.tail.as_deref(), entries: None, start, end }
    }

    /// The same entries from the last to the first.
    pub fn range_down(&self, start: Id, end: Id) -> RangeDown<'_> {
        let start = start.max(self.first_entry);
        let tail = self.tail.as_deref().filter(|tail| tail.first <= end);
        let sealed = self.sealed.as_ref().map(|sealed| sealed.down_from(end));
        let over = self.len == 0 || start > end;
        RangeDown { sealed, tail, entries: Vec::new(), start, end, over }
    }

    /// All entries.
    pub fn iter(&self) -> Range<'_> {
        self.range(Id::MIN, Id::MAX)
    }

    /// Deletes entries one by one. How many of them were there.
    pub fn delete(&mut self, ids: &[Id]) -> usize {
        let (mut deleted, mut first, mut last) = (0, false, false);
        for &id in ids {
            if !self.delete_one(id) {
                continue;
            }
            deleted += 1;
            first |= id == self.first_entry;
            last |= id == self.last_entry;
            self.max_deleted = self.max_deleted.max(id);
        }
        self.find_ends(first, last);
        deleted
    }

    /// Marks an entry, or takes out the node of which it is the last. The ends are not looked at.
    fn delete_one(&mut self, id: Id) -> bool {
        if self.len == 0 {
            return false;
        }
        if self.tail.as_ref().is_some_and(|tail| tail.first <= id) {
            return self.delete_in_tail(id);
        }
        let Some(sealed) = &mut self.sealed else { return false };
        let Some((first, found)) = sealed.down_from(id).next() else { return false };
        if found.node.get(id).is_none() {
            return false;
        }
        self.len -= 1;
        if found.live == 1 {
            self.bytes -= found.node.memory_usage();
            sealed.remove(first);
        } else if let Some(found) = sealed.get_mut(first) {
            found.live -= 1;
            let node = Arc::make_mut(&mut found.node);
            node.delete(id);
        }
        true
    }

    fn delete_in_tail(&mut self, id: Id) -> bool {
        let Some(tail) = &mut self.tail else { return false };
        if tail.get(id).is_none() {
            return false;
        }
        self.len -= 1;
        if tail.live == 1 {
            self.bytes -= tail.memory_usage();
            self.tail = None;
            self.reopen();
        } else {
            Arc::make_mut(tail).delete(id);
        }
        true
    }

    /// Where there is no last node: makes it of the one before.
    pub(super) fn reopen(&mut self) {
        let Some(sealed) = &mut self.sealed else { return };
        if self.tail.is_none() {
            self.tail = sealed.pop_last().map(|(_, last)| last.node);
        }
        if sealed.is_empty() {
            self.sealed = None;
        }
    }

    /// Looks for the first and the last entry where they have gone.
    pub(super) fn find_ends(&mut self, first: bool, last: bool) {
        if self.len == 0 {
            self.first_entry = Id::MIN;
            return;
        }
        if first {
            self.first_entry = self.range(self.first_entry, Id::MAX).next().map_or(Id::MIN, |entry| entry.id);
        }
        if last {
            self.last_entry = self.range_down(Id::MIN, Id::MAX).next().map_or(Id::MIN, |entry| entry.id);
        }
    }

    /// XSETID: the greatest ID ever given, and where they are told, the counters.
    pub fn set_last_id(&mut self, id: Id, added: Option<u64>, max_deleted: Option<Id>) {
        self.last_id = id;
        self.added = added.unwrap_or(self.added);
        self.max_deleted = max_deleted.unwrap_or(self.max_deleted);
    }

    /// Bytes allocated.
    pub fn memory_usage(&self) -> usize {
        let spine = |sealed: &Ordered<Sealed>| size_of::<Ordered<Sealed>>() + sealed.memory_usage();
        self.bytes + self.sealed.as_deref().map_or(0, spine)
    }
}

/// Entries in ascending order.
#[derive(Debug)]
pub struct Range<'a> {
    sealed: Option<Iter<'a, Sealed>>,
    tail: Option<&'a Node>,
    entries: Option<Entries<'a>>,
    start: Id,
    end: Id,
}

impl<'a> Range<'a> {
    fn next_node(&mut self) -> Option<&'a Node> {
        let sealed = self.sealed.as_mut().and_then(Iterator::next);
        sealed.map(|(_, sealed)| &*sealed.node).or_else(|| self.tail.take())
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(entries) = &mut self.entries {
                for entry in entries {
                    if entry.id < self.start || entry.is_deleted() {
                        continue;
                    }
                    if entry.id > self.end {
                        (self.sealed, self.tail, self.entries) = (None, None, None);
                        return None;
                    }
                    return Some(entry);
                }
            }
            let start = self.start;
            self.entries = None;
            let node = self.next_node()?;
            self.entries = (node.last >= start).then(|| node.entries());
        }
    }
}

/// Entries in descending order.
#[derive(Debug)]
pub struct RangeDown<'a> {
    sealed: Option<Down<'a, Sealed>>,
    tail: Option<&'a Node>,
    /// Those of the node at hand, the next one last. A node is read forwards, as its IDs build on each other.
    entries: Vec<Entry<'a>>,
    start: Id,
    end: Id,
    over: bool,
}

impl<'a> Iterator for RangeDown<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        while !self.over {
            if let Some(entry) = self.entries.pop() {
                return Some(entry);
            }
            let sealed = &mut self.sealed;
            let next = self
                .tail
                .take()
                .or_else(|| sealed.as_mut().and_then(Iterator::next).map(|(_, sealed)| &*sealed.node));
            let Some(node) = next.filter(|node| node.last >= self.start) else {
                self.over = true;
                break;
            };
            let wanted =
                |entry: &Entry<'_>| entry.id >= self.start && entry.id <= self.end && !entry.is_deleted();
            self.entries.extend(node.entries().take_while(|entry| entry.id <= self.end).filter(wanted));
        }
        None
    }
}
