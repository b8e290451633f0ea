//! Walking the elements of a list, forwards and backwards.

use std::iter::{Chain, Rev};
use std::slice;

use super::node::Node;
use super::node_iter::NodeIter;

/// The nodes in order: the two halves of the spine's ring.
type Nodes<'a> = Chain<slice::Iter<'a, Node>, slice::Iter<'a, Node>>;

/// Elements from front to back. It knows how many are left.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    nodes: Nodes<'a>,
    elements: Option<NodeIter<'a>>,
    remaining: usize,
}

/// Elements from back to front. It knows how many are left.
#[derive(Debug, Clone)]
pub struct RevIter<'a> {
    nodes: Rev<Nodes<'a>>,
    elements: Option<Rev<NodeIter<'a>>>,
    remaining: usize,
}

/// The nodes without the first `skip`, without looking at those.
fn nodes_from<'a>((front, back): (&'a [Node], &'a [Node]), skip: usize) -> Nodes<'a> {
    let in_front = skip.min(front.len());
    let in_back = (skip - in_front).min(back.len());
    front[in_front..].iter().chain(&back[in_back..])
}

/// The first `keep` nodes.
fn nodes_to<'a>((front, back): (&'a [Node], &'a [Node]), keep: usize) -> Nodes<'a> {
    let in_front = keep.min(front.len());
    let in_back = (keep - in_front).min(back.len());
    front[..in_front].iter().chain(&back[..in_back])
}

impl<'a> Iter<'a> {
    /// `count` elements from the one at `within` of node `at`.
    pub(super) fn new(nodes: (&'a [Node], &'a [Node]), at: usize, within: usize, count: usize) -> Self {
        let mut nodes = nodes_from(nodes, at);
        let mut elements = nodes.next().map(Node::iter);
        if let (Some(elements), Some(last_skipped)) = (&mut elements, within.checked_sub(1)) {
            elements.nth(last_skipped);
        }
        Self { nodes, elements, remaining: count }
    }
}

impl<'a> RevIter<'a> {
    /// `count` elements backwards, the first of them the one before `within` of node `at`.
    pub(super) fn new(nodes: (&'a [Node], &'a [Node]), at: usize, within: usize, count: usize) -> Self {
        let mut nodes = nodes_to(nodes, at + 1).rev();
        let mut elements = nodes.next().map(|node| (node.len() - within, node.iter().rev()));
        if let Some((skip @ 1.., elements)) = &mut elements {
            elements.nth(*skip - 1);
        }
        Self { nodes, elements: elements.map(|(_, elements)| elements), remaining: count }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        loop {
            if let Some(element) = self.elements.as_mut()?.next() {
                return Some(element);
            }
            self.elements = self.nodes.next().map(Node::iter);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<'a> Iterator for RevIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.remaining = self.remaining.checked_sub(1)?;
        loop {
            if let Some(element) = self.elements.as_mut()?.next() {
                return Some(element);
            }
            self.elements = self.nodes.next().map(|node| node.iter().rev());
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl ExactSizeIterator for RevIter<'_> {}
