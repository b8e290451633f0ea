//! The order of a large sorted set: a B+-tree that counts.
//!
//! The leaves hold the items in order, 84 at most. An inner node holds up to 30
//! children, each with the number of items below it and the first of them:
//!
//! ```text
//!              [ 84 from (1, c) | 60 from (7, a) ]
//!               /                              \
//!   [(1, c) (1, d) (2, a) ...]        [(7, a) (7, b) ...]
//! ```
//!
//! The counts give ranks: an item's rank is what stands left of the way to it.
//! The first items give the way by score and member. Members are not in the
//! tree: an item names the entry of the table that has it, and the caller
//! compares. All operations are O(log n).
//!
//! A node that runs full is split. One that is less than a quarter full is joined
//! with a neighbour when both together fill three quarters at most.

use super::inner::{FAN_OUT, Inner};
use super::leaf::{Item, LEAF_ITEMS, Leaf};
use super::members::Id;
use crate::data::list::size_class;

/// Items in order, found by rank or by comparing.
#[derive(Debug, Clone)]
pub struct Order {
    root: Node,
}

#[derive(Debug, Clone)]
pub enum Node {
    Leaf(Box<Leaf>),
    /// Never empty below the root.
    Inner(Box<Inner>),
}

impl Order {
    pub fn new() -> Self {
        Self { root: Node::Leaf(Box::new(Leaf::new())) }
    }

    /// Adds an item behind all those with a lower score and those with its score that `is_before` says true of,
    /// which have to be the first ones of that score.
    pub fn insert(&mut self, item: Item, mut is_before: impl FnMut(Id) -> bool) {
        if let Some(right) = self.root.insert(item, &mut is_before, true) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Box::new(Leaf::new())));
            let mut root = Box::new(Inner::new());
            root.push(left);
            root.push(right);
            self.root = Node::Inner(root);
        }
    }

    /// Takes the item with this rank, which has to be there.
    pub fn remove(&mut self, rank: usize) -> Item {
        let item = self.root.remove(rank);
        self.lower_root();
        item
    }

    /// Takes the item with this score out that is the last one of those `is_up_to` says true of: of it and of all
    /// with its score that stand before it.
    pub fn remove_item(&mut self, score: f64, mut is_up_to: impl FnMut(Id) -> bool) {
        self.root.remove_item(score, &mut is_up_to);
        self.lower_root();
    }

    /// Takes levels away that lead to one node only.
    fn lower_root(&mut self) {
        while let Node::Inner(inner) = &mut self.root
            && inner.len() <= 1
        {
            let only = (inner.len() == 1).then(|| inner.remove(0)).flatten();
            self.root = only.unwrap_or_else(|| Node::Leaf(Box::new(Leaf::new())));
        }
    }

    /// Adds an item behind all others.
    pub fn push(&mut self, item: Item) {
        self.insert(item, |_| true);
    }

    /// Says that the member of the last item with this score that `is_up_to` says true of now is at `id`. It has to
    /// be true of that item and of all with its score before it.
    pub fn set_id(&mut self, score: f64, id: Id, mut is_up_to: impl FnMut(Id) -> bool) {
        self.root.set_id(score, id, &mut is_up_to);
    }

    /// How many items stand before a place: see [`Leaf::place`].
    pub fn rank(&self, score: f64, mut is_before: impl FnMut(Id) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.place(score, &mut is_before),
                Node::Inner(inner) => {
                    let at = inner.child_at_place(score, &mut is_before);
                    rank += inner.count_before(at);
                    node = inner.node(at);
                }
            }
        }
    }

    /// How many items from the first on are of the kind that `is_before` says.
    pub fn partition_point(&self, mut is_before: impl FnMut(Item) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.partition_point(is_before),
                Node::Inner(inner) => {
                    let at = inner.child_for(&mut is_before);
                    rank += inner.count_before(at);
                    node = inner.node(at);
                }
            }
        }
    }

    /// The leaf of the item with this rank, and the item's place there. A rank
    /// past the end lies at the end of the last leaf.
    pub fn locate(&self, rank: usize) -> (&Leaf, usize) {
        let mut within = rank;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, within.min(leaf.len())),
                Node::Inner(inner) => {
                    let (at, rest) = inner.child_at(within);
                    node = inner.node(at);
                    within = rest;
                }
            }
        }
    }

    /// The bytes of all nodes. O(number of nodes).
    pub fn memory_usage(&self) -> usize {
        self.root.memory_usage()
    }

    /// The same roughly: below the nodes of the upper levels some children stand for all.
    pub fn memory_estimate(&self) -> usize {
        self.root.memory_estimate()
    }
}

impl Node {
    /// Gives the node that has to stand right of this one, if it was split.
    /// `is_last`: nothing stands right of this node in the whole tree.
    fn insert(&mut self, item: Item, is_before: &mut impl FnMut(Id) -> bool, is_last: bool) -> Option<Node> {
        match self {
            Node::Leaf(leaf) => {
                let at = leaf.place(item.score, is_before);
                insert_into_leaf(leaf, at, item, is_last)
            }
            Node::Inner(inner) => {
                let at = inner.child_at_place(item.score, is_before);
                let is_last = is_last && at + 1 == inner.len();
                match inner.node_mut(at).insert(item, is_before, is_last) {
                    None => {
                        inner.add_to_count(at, 1);
                        inner.read_first(at);
                        None
                    }
                    Some(right) => {
                        inner.read_all(at);
                        insert_child(inner, at + 1, right, is_last)
                    }
                }
            }
        }
    }

    fn remove(&mut self, rank: usize) -> Item {
        match self {
            Node::Leaf(leaf) => leaf.remove(rank),
            Node::Inner(inner) => {
                let (at, within) = inner.child_at(rank);
                let item = inner.node_mut(at).remove(within);
                removed_below(inner, at);
                item
            }
        }
    }

    fn remove_item(&mut self, score: f64, is_up_to: &mut impl FnMut(Id) -> bool) {
        match self {
            Node::Leaf(leaf) => {
                let up_to = leaf.place(score, is_up_to);
                leaf.remove(up_to.saturating_sub(1));
            }
            Node::Inner(inner) => {
                let at = inner.child_at_place(score, is_up_to);
                inner.node_mut(at).remove_item(score, is_up_to);
                removed_below(inner, at);
            }
        }
    }

    fn set_id(&mut self, score: f64, id: Id, is_up_to: &mut impl FnMut(Id) -> bool) {
        match self {
            Node::Leaf(leaf) => {
                let up_to = leaf.place(score, is_up_to);
                leaf.set_id(up_to.saturating_sub(1), id);
            }
            Node::Inner(inner) => {
                let at = inner.child_at_place(score, is_up_to);
                inner.node_mut(at).set_id(score, id, is_up_to);
                inner.read_first(at);
            }
        }
    }

    /// The first item of a node that is not empty. What an inner node says of its first child is up to date.
    #[inline]
    pub fn first(&self) -> Item {
        match self {
            Node::Leaf(leaf) => leaf.get(0),
            Node::Inner(inner) => inner.first(),
        }
    }

    pub fn count(&self) -> u32 {
        match self {
            Node::Leaf(leaf) => leaf.len() as u32,
            Node::Inner(inner) => inner.count(),
        }
    }

    /// How much is in the node, and how much could be.
    fn fill(&self) -> (usize, usize) {
        match self {
            Node::Leaf(leaf) => (leaf.len(), LEAF_ITEMS),
            Node::Inner(inner) => (inner.len(), FAN_OUT),
        }
    }

    fn is_sparse(&self) -> bool {
        let (used, most) = self.fill();
        used < most / 4
    }

    fn memory_usage(&self) -> usize {
        match self {
            Node::Leaf(_) => size_class(size_of::<Leaf>()),
            Node::Inner(inner) => {
                let below: usize = inner.nodes().map(Node::memory_usage).sum();
                size_class(size_of::<Inner>()) + below
            }
        }
    }

    fn memory_estimate(&self) -> usize {
        /// Below so many items all nodes are looked at.
        const EXACT: u32 = 20_000;
        /// Children that stand for all of a node.
        const LOOKED_AT: usize = 3;
        let Node::Inner(inner) = self else { return self.memory_usage() };
        if inner.count() <= EXACT || inner.len() <= LOOKED_AT {
            return self.memory_usage();
        }
        // What is below grows with the items, not with the nodes: those of a tree that was filled in order are fuller.
        let step = inner.len() / LOOKED_AT;
        let some = (0..LOOKED_AT).map(|at| at * step + step / 2);
        let (mut bytes, mut items) = (0, 0);
        for at in some {
            bytes += inner.node(at).memory_estimate() as u64;
            items += u64::from(inner.count_of(at));
        }
        let below = u128::from(bytes) * u128::from(inner.count()) / u128::from(items.max(1));
        size_class(size_of::<Inner>()) + below as usize
    }
}

/// What follows in a node when an item below its child at `at` is gone.
#[inline]
fn removed_below(inner: &mut Inner, at: usize) {
    inner.add_to_count(at, -1);
    if inner.count_of(at) == 0 {
        inner.remove(at);
        return;
    }
    inner.read_first(at);
    if inner.node(at).is_sparse() {
        join(inner, at);
    }
}

/// A full leaf is split in the middle. The last one of the tree stays full when
/// the item goes to its end: items that come in order leave full leaves behind.
fn insert_into_leaf(leaf: &mut Leaf, at: usize, item: Item, is_last: bool) -> Option<Node> {
    if leaf.len() < LEAF_ITEMS {
        leaf.insert(at, item);
        return None;
    }
    let cut = if is_last && at == LEAF_ITEMS { LEAF_ITEMS } else { LEAF_ITEMS / 2 };
    let mut right = Box::new(leaf.split_off(cut));
    if at < cut {
        leaf.insert(at, item);
    } else {
        right.insert(at - cut, item);
    }
    Some(Node::Leaf(right))
}

fn insert_child(inner: &mut Inner, at: usize, child: Node, is_last: bool) -> Option<Node> {
    if inner.len() < FAN_OUT {
        inner.insert(at, child);
        return None;
    }
    let cut = if is_last && at == FAN_OUT { FAN_OUT } else { FAN_OUT / 2 };
    let mut right = Box::new(inner.split_off(cut));
    if at < cut {
        inner.insert(at, child);
    } else {
        right.insert(at - cut, child);
    }
    Some(Node::Inner(right))
}

/// Joins the child at `at` with a neighbour, if there is one that is not too full.
fn join(inner: &mut Inner, at: usize) {
    let left = at.min(inner.len().saturating_sub(2));
    if left + 1 >= inner.len() {
        return;
    }
    let ((used_a, most), (used_b, _)) = (inner.node(left).fill(), inner.node(left + 1).fill());
    if used_a + used_b > most * 3 / 4 {
        return;
    }
    let Some(right) = inner.remove(left + 1) else { return };
    match (inner.node_mut(left), right) {
        (Node::Leaf(leaf), Node::Leaf(other)) => leaf.append(&other),
        (Node::Inner(inner), Node::Inner(mut others)) => inner.append(&mut others),
        _ => unreachable!("all leaves are equally deep"),
    }
    inner.read_all(left);
}
