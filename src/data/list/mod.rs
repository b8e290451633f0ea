//! The list: elements in order, cheap at both ends.
//!
//! A list is a row of nodes of at most 8 KiB (see [`NodeLimit`]), each of them one
//! buffer that can take and give at both ends (see `node.rs`). A list of one
//! node is that node and nothing else; a longer one has a spine, a ring of nodes
//! that stand side by side in memory. To find an index the spine's counts are
//! added up from the nearer end: 32 bytes for some 480 elements, read in sequence.
//!
//! Pushing and popping touch one node. Inserting into a node that is full splits
//! it; removing from the middle joins neighbours that have become small.

mod edit;
mod iter;
mod limit;
mod node;
mod node_iter;
mod node_room;
mod search;
mod serial;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use edit::Trimmed;
pub use iter::{Iter, RevIter};
pub use limit::{NodeLimit, size_class};
pub use node::Node;
use node::{Growth, Side};
pub use node_iter::NodeIter;

/// An element that has been taken out of a list.
pub type Element = Vec<u8>;

/// A list of byte strings.
///
/// It is 16 bytes large; what it owns beside that is in [`List::memory_usage`].
#[derive(Clone)]
pub struct List {
    nodes: Nodes,
}

#[derive(Clone)]
enum Nodes {
    /// The only node, which may be empty.
    One(Box<Node>),
    /// Several nodes, none of them empty. It may be a single one for a while.
    Many(Box<Spine>),
}

#[derive(Clone)]
struct Spine {
    nodes: VecDeque<Node>,
    /// The sum of the nodes' counts.
    len: usize,
}

const _: () = assert!(size_of::<List>() == 16);

/// A ring of this many nodes (512 bytes) is not made smaller.
const RING_KEPT: usize = 16;

impl List {
    /// A list without elements.
    pub fn new() -> Self {
        Self { nodes: Nodes::One(Box::new(Node::new())) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match &self.nodes {
            Nodes::One(node) => node.len(),
            Nodes::Many(spine) => spine.len,
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an element before the first. Amortised O(1).
    pub fn push_front(&mut self, value: &[u8], limit: NodeLimit) {
        self.push(Side::Front, value, limit);
    }

    /// Adds an element behind the last. Amortised O(1).
    pub fn push_back(&mut self, value: &[u8], limit: NodeLimit) {
        self.push(Side::Back, value, limit);
    }

    /// Takes the first element.
    pub fn pop_front(&mut self) -> Option<Element> {
        self.pop_front_with(<[u8]>::to_vec)
    }

    /// Takes the last element.
    pub fn pop_back(&mut self) -> Option<Element> {
        self.pop_back_with(<[u8]>::to_vec)
    }

    /// Takes the first element, which `take` sees where it lies: no allocation.
    pub fn pop_front_with<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.pop_with(Side::Front, take)
    }

    /// Takes the last element, which `take` sees where it lies: no allocation.
    pub fn pop_back_with<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.pop_with(Side::Back, take)
    }

    /// The first element.
    pub fn front(&self) -> Option<&[u8]> {
        match &self.nodes {
            Nodes::One(node) => node.front(),
            Nodes::Many(spine) => spine.nodes.front()?.front(),
        }
    }

    /// The last element.
    pub fn back(&self) -> Option<&[u8]> {
        match &self.nodes {
            Nodes::One(node) => node.back(),
            Nodes::Many(spine) => spine.nodes.back()?.back(),
        }
    }

    /// The element at `index`; -1 is the last one, -2 the one before it.
    ///
    /// O(number of nodes between the nearer end and the element).
    pub fn get(&self, index: i64) -> Option<&[u8]> {
        let index = self.resolve(index)?;
        match &self.nodes {
            Nodes::One(node) => node.get(index),
            Nodes::Many(spine) => {
                let (at, within) = spine.locate(index);
                spine.nodes.get(at)?.get(within)
            }
        }
    }

    /// The elements from the first to the last.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0, self.len())
    }

    /// The elements from the last to the first.
    pub fn iter_rev(&self) -> RevIter<'_> {
        self.range_rev(0, self.len())
    }

    /// At most `count` elements, beginning with the one at `start`.
    pub fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let count = count.min(self.len().saturating_sub(start));
        let (at, within) = self.locate(start.min(self.len()));
        Iter::new(self.node_slices(), at, within, count)
    }

    /// At most `count` elements towards the first, beginning with the one that
    /// has `skip` elements behind it (0: the last).
    pub fn range_rev(&self, skip: usize, count: usize) -> RevIter<'_> {
        let count = count.min(self.len().saturating_sub(skip));
        let (at, within) = self.locate(self.len().saturating_sub(skip));
        RevIter::new(self.node_slices(), at, within, count)
    }

    /// The nodes from front to back, for one who copies them one at a time.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Node> {
        let (front, back) = self.node_slices();
        front.iter().chain(back).filter(|node| !node.is_empty())
    }

    /// The bytes that the list owns on the heap, as the allocator's size classes
    /// count them. The list itself (16 bytes) is not in it. O(number of nodes).
    pub fn memory_usage(&self) -> usize {
        match &self.nodes {
            Nodes::One(node) => size_class(size_of::<Node>()) + node.allocated(),
            Nodes::Many(spine) => {
                let buffers: usize = spine.nodes.iter().map(Node::allocated).sum();
                size_class(size_of::<Spine>())
                    + size_class(spine.nodes.capacity() * size_of::<Node>())
                    + buffers
            }
        }
    }

    /// The same, in a time that does not grow with the list: of more than a thousand nodes some that lie evenly are
    /// looked at.
    pub fn memory_estimate(&self) -> usize {
        /// Nodes that are looked at.
        const LOOKED_AT: usize = 1_024;
        let Nodes::Many(spine) = &self.nodes else { return self.memory_usage() };
        let step = spine.nodes.len() / LOOKED_AT;
        if step < 2 {
            return self.memory_usage();
        }
        let looked_at = spine.nodes.len().div_ceil(step);
        let bytes: usize = spine.nodes.iter().step_by(step).map(Node::allocated).sum();
        size_class(size_of::<Spine>())
            + size_class(spine.nodes.capacity() * size_of::<Node>())
            + bytes / looked_at * spine.nodes.len()
    }

    /// The index that `index` means, when there is such an element.
    fn resolve(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let resolved = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (resolved < len).then_some(resolved)
    }

    /// The node of the element at `index`, and its index there.
    fn locate(&self, index: usize) -> (usize, usize) {
        match &self.nodes {
            Nodes::One(_) => (0, index),
            Nodes::Many(spine) => spine.locate(index),
        }
    }

    fn node_slices(&self) -> (&[Node], &[Node]) {
        match &self.nodes {
            Nodes::One(node) => (std::slice::from_ref(&**node), &[]),
            Nodes::Many(spine) => spine.nodes.as_slices(),
        }
    }

    #[inline]
    fn push(&mut self, side: Side, value: &[u8], limit: NodeLimit) {
        match &mut self.nodes {
            Nodes::One(node) => {
                if !node.push(side, value, limit, Growth::Tight) {
                    self.spread().push(side, value, limit);
                }
            }
            Nodes::Many(spine) => spine.push(side, value, limit),
        }
    }

    #[inline]
    fn pop_with<R>(&mut self, side: Side, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match &mut self.nodes {
            Nodes::One(node) => {
                let taken = node.pop_with(side, take)?;
                node.shrink_when_sparse();
                Some(taken)
            }
            Nodes::Many(spine) => {
                let taken = spine.pop_with(side, take);
                if spine.nodes.len() <= 1 {
                    self.gather();
                }
                taken
            }
        }
    }

    /// The spine of the list, which it gets if it has none.
    fn spread(&mut self) -> &mut Spine {
        if let Nodes::One(node) = &mut self.nodes {
            let node = std::mem::replace(&mut **node, Node::new());
            let len = node.len();
            let nodes = if len > 0 { VecDeque::from([node]) } else { VecDeque::new() };
            self.nodes = Nodes::Many(Box::new(Spine { nodes, len }));
        }
        match &mut self.nodes {
            Nodes::Many(spine) => spine,
            Nodes::One(_) => unreachable!("the list has just got a spine"),
        }
    }

    /// Gives up the spine when one node is left that is at most half full: a
    /// list that changes around one node's size keeps it.
    #[cold]
    fn gather(&mut self) {
        let Nodes::Many(spine) = &mut self.nodes else {
            return;
        };
        if spine.nodes.len() > 1 {
            return;
        }
        let sparse = |node: &Node| node.used() <= node.allocated() / 2;
        if spine.nodes.front().is_none_or(sparse) {
            let mut node = spine.nodes.pop_front().unwrap_or_else(Node::new);
            node.shrink_when_sparse();
            self.nodes = Nodes::One(Box::new(node));
        }
    }
}

impl Spine {
    /// The node of the element at `index`, and its index there. An index past the
    /// end lies at the end of the last node.
    fn locate(&self, index: usize) -> (usize, usize) {
        if index < self.len / 2 {
            let mut left = index;
            for (at, node) in self.nodes.iter().enumerate() {
                match left.checked_sub(node.len()) {
                    None => return (at, left),
                    Some(rest) => left = rest,
                }
            }
        }
        let mut behind = self.len.saturating_sub(index);
        for (at, node) in self.nodes.iter().enumerate().rev() {
            match node.len().checked_sub(behind) {
                Some(within) => return (at, within),
                None => behind -= node.len(),
            }
        }
        (0, 0)
    }

    fn push(&mut self, side: Side, value: &[u8], limit: NodeLimit) {
        let end = match side {
            Side::Front => self.nodes.front_mut(),
            Side::Back => self.nodes.back_mut(),
        };
        if !end.is_some_and(|node| node.push(side, value, limit, Growth::Eager)) {
            let node = Node::of(value, limit, Growth::Eager);
            match side {
                Side::Front => self.nodes.push_front(node),
                Side::Back => self.nodes.push_back(node),
            }
        }
        self.len += 1;
    }

    fn pop_with<R>(&mut self, side: Side, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let node = match side {
            Side::Front => self.nodes.front_mut(),
            Side::Back => self.nodes.back_mut(),
        }?;
        let taken = node.pop_with(side, take)?;
        if node.is_empty() {
            match side {
                Side::Front => self.nodes.pop_front(),
                Side::Back => self.nodes.pop_back(),
            };
            self.shrink_ring();
        }
        self.len -= 1;
        Some(taken)
    }

    /// Gives the ring's memory back once three quarters of it are unused.
    fn shrink_ring(&mut self) {
        let capacity = self.nodes.capacity();
        if capacity > RING_KEPT && self.nodes.len() < capacity / 4 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for List {
    /// Whether both have the same elements, however they are stored.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for List {}

impl std::fmt::Debug for List {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.iter().map(<[u8]>::escape_ascii).map(|text| text.to_string())).finish()
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
