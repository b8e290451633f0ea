//! An inner node of the order: what it has to say of its children stands side by side, each kind for itself, so that a
//! search reads a few cache lines at once and none because of another.

use super::leaf::{Item, count_below};
use super::members::Id;
use super::order::Node;

/// The most children of an inner node: with them it has one kibibyte.
pub const FAN_OUT: usize = 30;

const _: () = assert!(size_of::<Inner>() <= 1024);

/// Up to [`FAN_OUT`] children with the first item and the number of items of each.
#[derive(Debug, Clone)]
pub struct Inner {
    /// Of each child's first item; behind the last child: infinity.
    scores: [f64; FAN_OUT],
    nodes: [Option<Node>; FAN_OUT],
    counts: [u32; FAN_OUT],
    ids: [Id; FAN_OUT],
    len: u32,
}

impl Inner {
    pub fn new() -> Self {
        Self {
            scores: [f64::INFINITY; FAN_OUT],
            nodes: [const { None }; FAN_OUT],
            counts: [0; FAN_OUT],
            ids: [0; FAN_OUT],
            len: 0,
        }
    }

    /// The number of children.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The number of items below.
    pub fn count(&self) -> u32 {
        self.counts[..self.len()].iter().sum()
    }

    /// The number of items below one child.
    pub fn count_of(&self, at: usize) -> u32 {
        self.counts[at]
    }

    /// The number of items below the children before this one.
    pub fn count_before(&self, at: usize) -> usize {
        self.counts[..at].iter().map(|count| *count as usize).sum()
    }

    /// Says how many items more or less there are below a child.
    pub fn add_to_count(&mut self, at: usize, change: i32) {
        self.counts[at] = self.counts[at].wrapping_add_signed(change);
    }

    /// The first item below. There has to be a child.
    pub fn first(&self) -> Item {
        self.first_of(0)
    }

    fn first_of(&self, at: usize) -> Item {
        Item { score: self.scores[at], id: self.ids[at] }
    }

    #[inline]
    pub fn node(&self, at: usize) -> &Node {
        match &self.nodes[at] {
            Some(node) => node,
            None => unreachable!("there is a child at {at}"),
        }
    }

    #[inline]
    pub fn node_mut(&mut self, at: usize) -> &mut Node {
        match &mut self.nodes[at] {
            Some(node) => node,
            None => unreachable!("there is a child at {at}"),
        }
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// The child in which a place lies: see [`Leaf::place`](super::leaf::Leaf::place).
    #[inline]
    pub fn child_at_place(&self, score: f64, ties: &mut impl FnMut(Id) -> bool) -> usize {
        // The first child's first item decides nothing: what would stand before it belongs there too.
        let lower = count_below(&self.scores, score).saturating_sub(1);
        let tied = self.scores[1..self.len()][lower..].iter().take_while(|other| **other == score).count();
        if tied == 0 {
            return lower;
        }
        lower + self.ids[1 + lower..1 + lower + tied].partition_point(|id| ties(*id))
    }

    /// The child in which the last item lies that `is_before` says true of.
    pub fn child_for(&self, is_before: &mut impl FnMut(Item) -> bool) -> usize {
        let (mut low, mut high) = (1, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.first_of(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }

    /// The child of the item with this rank, and its rank there. A rank past the end lies past the end of the last
    /// child.
    pub fn child_at(&self, rank: usize) -> (usize, usize) {
        let mut within = rank;
        for (at, count) in self.counts[..self.len() - 1].iter().enumerate() {
            match within.checked_sub(*count as usize) {
                Some(rest) => within = rest,
                None => return (at, within),
            }
        }
        (self.len() - 1, within)
    }

    /// Puts a child before the one at `at`. There has to be room.
    pub fn insert(&mut self, at: usize, node: Node) {
        let len = self.len();
        self.scores.copy_within(at..len, at + 1);
        self.counts.copy_within(at..len, at + 1);
        self.ids.copy_within(at..len, at + 1);
        self.nodes[at..=len].rotate_right(1);
        self.nodes[at] = Some(node);
        self.len += 1;
        self.read_all(at);
    }

    pub fn push(&mut self, node: Node) {
        self.insert(self.len(), node);
    }

    pub fn remove(&mut self, at: usize) -> Option<Node> {
        let len = self.len();
        self.scores.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        let removed = self.nodes[at].take();
        self.nodes[at..len].rotate_left(1);
        self.scores[len - 1] = f64::INFINITY;
        self.len -= 1;
        removed
    }

    /// Takes the children from `at` on into a node of their own.
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut right = Self::new();
        right.take_over(self, at);
        right
    }

    /// Takes in all children of the node behind this one. There has to be room.
    pub fn append(&mut self, right: &mut Self) {
        self.take_over(right, 0);
    }

    /// Takes another node's children from `from` on behind its own.
    fn take_over(&mut self, other: &mut Self, from: usize) {
        let (here, there) = (self.len(), from..other.len());
        let moved = there.len();
        self.scores[here..here + moved].copy_from_slice(&other.scores[there.clone()]);
        self.counts[here..here + moved].copy_from_slice(&other.counts[there.clone()]);
        self.ids[here..here + moved].copy_from_slice(&other.ids[there.clone()]);
        self.nodes[here..here + moved].swap_with_slice(&mut other.nodes[there.clone()]);
        other.scores[there].fill(f64::INFINITY);
        self.len += moved as u32;
        other.len = from as u32;
    }

    /// Reads anew what the first item below a child is.
    #[inline]
    pub fn read_first(&mut self, at: usize) {
        let first = self.node(at).first();
        (self.scores[at], self.ids[at]) = (first.score, first.id);
    }

    /// The same, and how many items there are.
    pub fn read_all(&mut self, at: usize) {
        self.counts[at] = self.node(at).count();
        self.read_first(at);
    }
}
