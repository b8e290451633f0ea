//! The stream: entries in the order of their IDs, and groups of consumers that read them.
//!
//! Entries lie in nodes of some hundred (`node.rs`, `entry.rs`), nodes in segments (`ordered.rs`), so that
//! adding one is O(1), finding one O(log n), and trimming takes whole nodes away. What groups have pending
//! lies in such segments too. A copy of a stream copies pointers to segments, a few for a million entries;
//! what is shared then is copied when it changes, a node or a segment at a time. So a save can be handed
//! the stream as it was without anybody waiting.

mod entry;
mod group;
mod id;
mod lag;
mod log;
mod node;
mod ordered;
mod serial;
#[cfg(test)]
mod tests;
mod tree;
mod trim;

use std::sync::Arc;

pub use entry::{Entry, Fields};
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::{Id, IdText};
pub use log::{Log, Range, RangeDown};
use node::Node;
pub use node::Pair;
pub use trim::{Keep, Trim, Trimmed};

use super::list::size_class;

/// Up to which size a node takes entries: Redis's `stream-node-max-bytes` and `stream-node-max-entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes, as a listpack would have them; 0 is as many as possible.
    pub max_bytes: u64,
    /// Entries, deleted ones too; 0 is as many as possible.
    pub max_entries: u64,
}

impl Default for NodeLimits {
    /// Redis's defaults: 4,096 bytes, 100 entries.
    fn default() -> Self {
        NodeLimits { max_bytes: 4096, max_entries: 100 }
    }
}

/// No node takes more, whatever the settings say: a node is copied and searched as a whole.
const NODE_BYTES: u64 = 1 << 20;
const NODE_ENTRIES: u64 = 10_000;
const _: () = assert!(NODE_ENTRIES <= u16::MAX as u64);

impl NodeLimits {
    #[inline]
    fn allow(self, node: &Node, more: usize) -> bool {
        let within = |limit: u64, most: u64| if limit == 0 { most } else { limit.min(most) };
        let entries = u64::from(node.live) + u64::from(node.deleted);
        ((node.listpack_len() + more) as u64) < within(self.max_bytes, NODE_BYTES)
            && entries < within(self.max_entries, NODE_ENTRIES)
    }
}

/// A stream. Unlike other collections it may be there without entries.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    inner: Box<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    log: Log,
    /// Most streams have none.
    groups: Option<Box<Groups>>,
}

// Classes of the allocator, the second with the two counters of an `Arc`.
const _: () = assert!(size_of::<Inner>() == 112 && size_of::<Node>() + 16 == 96);

/// By name. In practice few.
#[derive(Clone, Debug, Default)]
struct Groups(Vec<Arc<Group>>);

impl Stream {
    /// A stream without entries.
    pub fn new() -> Stream {
        Stream::default()
    }

    /// The entries.
    #[inline]
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// The entries, to be changed.
    #[inline]
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.inner.log
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        usize::try_from(self.inner.log.len()).unwrap_or(usize::MAX)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.inner.log.is_empty()
    }

    /// The groups, by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> + '_ {
        self.all_groups().iter().map(|group| &**group)
    }

    fn all_groups(&self) -> &[Arc<Group>] {
        self.inner.groups.as_ref().map_or(&[], |groups| &groups.0)
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.all_groups().binary_search_by(|group| (*group.name).cmp(name))
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.place(name).ok().map(|place| &*self.all_groups()[place])
    }

    /// The entries, and the group of this name to be changed.
    #[inline]
    pub fn group_mut(&mut self, name: &[u8]) -> Option<(&Log, &mut Group)> {
        let place = self.place(name).ok()?;
        let inner = &mut *self.inner;
        Some((&inner.log, Arc::make_mut(inner.groups.as_mut()?.0.get_mut(place)?)))
    }

    /// Makes a group. False if there is one of this name.
    pub fn create_group(&mut self, name: &[u8], last_id: Id, entries_read: Option<i64>) -> bool {
        let Err(place) = self.place(name) else { return false };
        let groups = self.inner.groups.get_or_insert_default();
        groups.0.insert(place, Arc::new(Group::new(name, last_id, entries_read)));
        true
    }

    /// Removes a group and gives it, as a stream of its own that is free of entries: it may be large, and
    /// is to be freed elsewhere then.
    pub fn destroy_group(&mut self, name: &[u8]) -> Option<Stream> {
        let place = self.place(name).ok()?;
        let groups = self.inner.groups.as_mut()?;
        let group = groups.0.remove(place);
        if groups.0.is_empty() {
            self.inner.groups = None;
        }
        let mut taken = Stream::default();
        taken.inner.groups = Some(Box::new(Groups(vec![group])));
        Some(taken)
    }

    /// What it costs to free it: entries and what is pending.
    pub fn weight(&self) -> usize {
        self.len() + self.groups().map(Group::pending_len).sum::<usize>()
    }

    /// Bytes allocated.
    pub fn memory_usage(&self) -> usize {
        let row = |groups: &Groups| {
            size_class(size_of::<Groups>()) + size_class(groups.0.capacity() * size_of::<Arc<Group>>())
        };
        let groups: usize = self.groups().map(Group::memory_usage).sum();
        let rows = self.inner.groups.as_deref().map_or(0, row);
        size_of::<Inner>() + self.inner.log.memory_usage() + rows + groups
    }
}
