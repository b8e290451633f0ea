//! The order of a large sorted set: a B+-tree that counts.
//!
//! The leaves hold the items in order, 84 at most. An inner node holds up to 32
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

use super::leaf::{Item, LEAF_ITEMS, Leaf};
use super::members::Id;
use crate::data::list::size_class;

/// The most children of an inner node.
const FAN_OUT: usize = 32;

/// Items in order, found by rank or by comparing.
#[derive(Debug, Clone)]
pub struct Order {
    root: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(Box<Leaf>),
    /// Never empty below the root.
    Inner(Vec<Child>),
}

#[derive(Debug, Clone)]
struct Child {
    node: Node,
    first_score: f64,
    first_id: Id,
    count: u32,
}

impl Order {
    pub fn new() -> Self {
        Self { root: Node::Leaf(Box::new(Leaf::new())) }
    }

    /// Adds an item behind all those with a lower score and those with its score that `is_before` says true of,
    /// which have to be the first ones of that score.
    pub fn insert(&mut self, item: Item, mut is_before: impl FnMut(Id) -> bool) {
        if let Some(right) = self.root.insert(item, &mut is_before, true) {
            let left = std::mem::replace(&mut self.root, Node::Inner(Vec::new()));
            self.root = Node::Inner(vec![Child::of(left), Child::of(right)]);
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
        while let Node::Inner(children) = &mut self.root {
            match children.pop() {
                Some(only) if children.is_empty() => self.root = only.node,
                Some(last) => {
                    children.push(last);
                    break;
                }
                None => self.root = Node::Leaf(Box::new(Leaf::new())),
            }
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
                Node::Inner(children) => {
                    let at = child_at_place(children, score, &mut is_before);
                    rank += children[..at].iter().map(|child| child.count as usize).sum::<usize>();
                    node = &children[at].node;
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
                Node::Inner(children) => {
                    let at = child_for(children, &mut is_before);
                    rank += children[..at].iter().map(|child| child.count as usize).sum::<usize>();
                    node = &children[at].node;
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
                Node::Inner(children) => {
                    let (at, rest) = child_at(children, within);
                    node = &children[at].node;
                    within = rest;
                }
            }
        }
    }

    /// The bytes of all nodes. O(number of nodes).
    pub fn memory_usage(&self) -> usize {
        self.root.memory_usage()
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
            Node::Inner(children) => {
                let at = child_at_place(children, item.score, is_before);
                let is_last = is_last && at + 1 == children.len();
                let child = &mut children[at];
                match child.node.insert(item, is_before, is_last) {
                    None => {
                        child.count += 1;
                        child.read_first();
                        None
                    }
                    Some(right) => {
                        child.read_all();
                        insert_child(children, at + 1, Child::of(right), is_last)
                    }
                }
            }
        }
    }

    fn remove(&mut self, rank: usize) -> Item {
        match self {
            Node::Leaf(leaf) => leaf.remove(rank),
            Node::Inner(children) => {
                let (at, within) = child_at(children, rank);
                let child = &mut children[at];
                let item = child.node.remove(within);
                removed_below(children, at);
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
            Node::Inner(children) => {
                let at = child_at_place(children, score, is_up_to);
                children[at].node.remove_item(score, is_up_to);
                removed_below(children, at);
            }
        }
    }

    fn set_id(&mut self, score: f64, id: Id, is_up_to: &mut impl FnMut(Id) -> bool) {
        match self {
            Node::Leaf(leaf) => {
                let up_to = leaf.place(score, is_up_to);
                leaf.set_id(up_to.saturating_sub(1), id);
            }
            Node::Inner(children) => {
                let at = child_at_place(children, score, is_up_to);
                children[at].node.set_id(score, id, is_up_to);
                children[at].read_first();
            }
        }
    }

    /// The first item of a node that is not empty. What an inner node says of its first child is up to date.
    fn first(&self) -> Item {
        match self {
            Node::Leaf(leaf) => leaf.get(0),
            Node::Inner(children) => children[0].first(),
        }
    }

    fn count(&self) -> u32 {
        match self {
            Node::Leaf(leaf) => leaf.len() as u32,
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    /// How much is in the node, and how much could be.
    fn fill(&self) -> (usize, usize) {
        match self {
            Node::Leaf(leaf) => (leaf.len(), LEAF_ITEMS),
            Node::Inner(children) => (children.len(), FAN_OUT),
        }
    }

    fn is_sparse(&self) -> bool {
        let (used, most) = self.fill();
        used < most / 4
    }

    fn memory_usage(&self) -> usize {
        match self {
            Node::Leaf(_) => size_class(size_of::<Leaf>()),
            Node::Inner(children) => {
                let below: usize = children.iter().map(|child| child.node.memory_usage()).sum();
                size_class(children.capacity() * size_of::<Child>()) + below
            }
        }
    }
}

impl Child {
    fn of(node: Node) -> Self {
        let first = node.first();
        let count = node.count();
        Self { node, first_score: first.score, first_id: first.id, count }
    }

    fn first(&self) -> Item {
        Item { score: self.first_score, id: self.first_id }
    }

    fn read_first(&mut self) {
        let first = self.node.first();
        (self.first_score, self.first_id) = (first.score, first.id);
    }

    fn read_all(&mut self) {
        self.count = self.node.count();
        self.read_first();
    }
}

/// The child in which the last item lies that `is_before` says true of.
fn child_for(children: &[Child], is_before: &mut impl FnMut(Item) -> bool) -> usize {
    children[1..].partition_point(|child| is_before(child.first()))
}

/// The child in which a place lies: see [`Leaf::place`].
#[inline]
fn child_at_place(children: &[Child], score: f64, ties: &mut impl FnMut(Id) -> bool) -> usize {
    let others = &children[1..];
    let lower = others.partition_point(|child| child.first_score < score);
    if others.get(lower).is_none_or(|child| child.first_score != score) {
        return lower;
    }
    let tied = others[lower..].partition_point(|child| child.first_score == score && ties(child.first_id));
    lower + tied
}

/// What follows in a node when an item below its child at `at` is gone.
#[inline]
fn removed_below(children: &mut Vec<Child>, at: usize) {
    let child = &mut children[at];
    child.count -= 1;
    if child.count == 0 {
        children.remove(at);
        return;
    }
    child.read_first();
    if child.node.is_sparse() {
        join(children, at);
    }
}

/// The child of the item with this rank, and its rank there. A rank past the end
/// lies past the end of the last child.
fn child_at(children: &[Child], rank: usize) -> (usize, usize) {
    let mut within = rank;
    for (at, child) in children[..children.len() - 1].iter().enumerate() {
        match within.checked_sub(child.count as usize) {
            None => return (at, within),
            Some(rest) => within = rest,
        }
    }
    (children.len() - 1, within)
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

fn insert_child(children: &mut Vec<Child>, at: usize, child: Child, is_last: bool) -> Option<Node> {
    if children.len() < FAN_OUT {
        children.insert(at, child);
        return None;
    }
    let cut = if is_last && at == FAN_OUT { FAN_OUT } else { FAN_OUT / 2 };
    let mut right = children.split_off(cut);
    if at < cut {
        children.insert(at, child);
    } else {
        right.insert(at - cut, child);
    }
    Some(Node::Inner(right))
}

/// Joins the child at `at` with a neighbour, if there is one that is not too full.
fn join(children: &mut Vec<Child>, at: usize) {
    let left = at.min(children.len().saturating_sub(2));
    let Some([a, b]) = children.get(left..left + 2) else {
        return;
    };
    let ((used_a, most), (used_b, _)) = (a.node.fill(), b.node.fill());
    if used_a + used_b > most * 3 / 4 {
        return;
    }
    let right = children.remove(left + 1);
    let child = &mut children[left];
    match (&mut child.node, right.node) {
        (Node::Leaf(leaf), Node::Leaf(other)) => leaf.append(&other),
        (Node::Inner(inner), Node::Inner(mut others)) => inner.append(&mut others),
        _ => unreachable!("all leaves are equally deep"),
    }
    child.count += right.count;
}
