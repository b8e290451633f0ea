//! Changes in the middle of a list: setting, inserting, removing, trimming.

use std::collections::VecDeque;

use super::node::{Growth, Node, Side};
use super::{List, NodeLimit, Nodes, Spine};

/// What [`List::trim`] removed. Dropping it frees the memory: a caller may do that
/// elsewhere when there is much of it.
#[derive(Debug, Default)]
pub struct Trimmed {
    nodes: VecDeque<Node>,
}

impl Trimmed {
    /// The nodes to free, each up to the node limit large.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The removed nodes as a list of their own, to be dropped elsewhere.
    pub fn into_list(self) -> List {
        let len = self.nodes.iter().map(Node::len).sum();
        List { nodes: Nodes::Many(Box::new(Spine { nodes: self.nodes, len })) }
    }
}

impl List {
    /// Replaces the element at `index` (negative from the end); `false` when
    /// there is none.
    pub fn set(&mut self, index: i64, value: &[u8], limit: NodeLimit) -> bool {
        let Some(index) = self.resolve(index) else {
            return false;
        };
        let (at, within) = self.locate(index);
        let Some(node) = self.node_mut(at) else {
            return false;
        };
        if !node.overwrite(within, value) {
            node.remove(within);
            if let Nodes::Many(spine) = &mut self.nodes {
                spine.len -= 1;
            }
            self.insert_at(at, within, value, limit);
        }
        true
    }

    /// Inserts `value` before the first element that equals `pivot`. Returns the
    /// new length, or `None` when there is no such element.
    pub fn insert_before(&mut self, pivot: &[u8], value: &[u8], limit: NodeLimit) -> Option<usize> {
        let (at, within) = self.find(pivot)?;
        self.insert_at(at, within, value, limit);
        Some(self.len())
    }

    /// Inserts `value` behind the first element that equals `pivot`. Returns the
    /// new length, or `None` when there is no such element.
    pub fn insert_after(&mut self, pivot: &[u8], value: &[u8], limit: NodeLimit) -> Option<usize> {
        let (at, within) = self.find(pivot)?;
        self.insert_at(at, within + 1, value, limit);
        Some(self.len())
    }

    /// Removes elements that equal `value` and returns how many: the first
    /// `count` of them, the last `-count` when it is negative, all when it is 0.
    pub fn remove(&mut self, count: i64, value: &[u8], limit: NodeLimit) -> usize {
        let side = if count < 0 { Side::Back } else { Side::Front };
        let most = match usize::try_from(count.unsigned_abs()) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(most) => most,
        };
        let removed = match &mut self.nodes {
            Nodes::One(node) => {
                let removed = node.remove_equal(value, most, side);
                node.shrink_when_sparse();
                removed
            }
            Nodes::Many(spine) => spine.remove_equal(value, most, side, limit),
        };
        self.gather();
        removed
    }

    /// Keeps the elements from `start` to `stop`, both included, both resolved;
    /// none when `start` is past `stop` or past the end. Returns the nodes that
    /// went, because thousands of them take milliseconds to free.
    pub fn trim(&mut self, start: usize, stop: usize) -> Trimmed {
        let len = self.len();
        if start > stop || start >= len {
            return match std::mem::take(self).nodes {
                Nodes::One(_) => Trimmed::default(),
                Nodes::Many(spine) => Trimmed { nodes: spine.nodes },
            };
        }
        let mut trimmed = Trimmed::default();
        let drop_back = len - 1 - stop.min(len - 1);
        match &mut self.nodes {
            Nodes::One(node) => {
                node.truncate(len - drop_back);
                node.drop_front(start);
                node.shrink_when_sparse();
            }
            Nodes::Many(spine) => {
                spine.drop_back(drop_back, &mut trimmed.nodes);
                spine.drop_front(start, &mut trimmed.nodes);
                spine.shrink_ring();
            }
        }
        self.gather();
        trimmed
    }

    fn node_mut(&mut self, at: usize) -> Option<&mut Node> {
        match &mut self.nodes {
            Nodes::One(node) => Some(node),
            Nodes::Many(spine) => spine.nodes.get_mut(at),
        }
    }

    /// Inserts before element `within` of node `at`, which may be just past its end.
    fn insert_at(&mut self, at: usize, within: usize, value: &[u8], limit: NodeLimit) {
        match &mut self.nodes {
            Nodes::One(node) => {
                if !node.insert(within, value, limit) {
                    self.spread().insert_at(0, within, value, limit);
                }
            }
            Nodes::Many(spine) => spine.insert_at(at, within, value, limit),
        }
    }
}

impl Spine {
    fn insert_at(&mut self, at: usize, within: usize, value: &[u8], limit: NodeLimit) {
        self.len += 1;
        let node = &mut self.nodes[at];
        if node.insert(within, value, limit) {
            return;
        }
        let behind = at + 1;
        if within == 0 {
            let before = at.checked_sub(1).and_then(|before| self.nodes.get_mut(before));
            if !before.is_some_and(|node| node.push(Side::Back, value, limit, Growth::Tight)) {
                self.nodes.insert(at, Node::of(value, limit, Growth::Tight));
            }
            return;
        }
        if within < node.len() {
            let mut rest = node.split_off(within);
            node.shrink_to_fit();
            let taken = node.push(Side::Back, value, limit, Growth::Tight)
                || rest.push(Side::Front, value, limit, Growth::Tight);
            self.nodes.insert(behind, rest);
            if taken {
                return;
            }
        } else if let Some(next) = self.nodes.get_mut(behind)
            && next.push(Side::Front, value, limit, Growth::Tight)
        {
            return;
        }
        self.nodes.insert(behind, Node::of(value, limit, Growth::Tight));
    }

    fn remove_equal(&mut self, value: &[u8], most: usize, side: Side, limit: NodeLimit) -> usize {
        let mut removed = 0;
        let nodes = self.nodes.len();
        for step in 0..nodes {
            let at = match side {
                Side::Front => step,
                Side::Back => nodes - 1 - step,
            };
            removed += self.nodes[at].remove_equal(value, most - removed, side);
            if removed == most {
                break;
            }
        }
        if removed > 0 {
            self.len -= removed;
            self.tidy(limit);
        }
        removed
    }

    /// Drops nodes that have become empty and joins neighbours that together
    /// fill at most half a node: half, so that the next insertion does not split
    /// again what was joined.
    fn tidy(&mut self, limit: NodeLimit) {
        let mut kept: VecDeque<Node> = VecDeque::new();
        for mut node in self.nodes.drain(..) {
            if node.is_empty() {
                continue;
            }
            if let Some(last) = kept.back_mut()
                && last.joint_bytes(&node) <= limit.max_bytes() / 2
                && last.len() + node.len() <= limit.max_count()
            {
                for element in node.iter() {
                    // The bound above leaves room for every one of them.
                    let taken = last.push(Side::Back, element, limit, Growth::Tight);
                    debug_assert!(taken, "a join within the limit");
                }
                continue;
            }
            node.shrink_when_sparse();
            kept.push_back(node);
        }
        self.nodes = kept;
    }

    fn drop_front(&mut self, mut count: usize, gone: &mut VecDeque<Node>) {
        self.len -= count;
        while let Some(node) = self.nodes.front_mut() {
            if count < node.len() {
                node.drop_front(count);
                node.shrink_when_sparse();
                return;
            }
            count -= node.len();
            gone.extend(self.nodes.pop_front());
        }
    }

    fn drop_back(&mut self, mut count: usize, gone: &mut VecDeque<Node>) {
        self.len -= count;
        while let Some(node) = self.nodes.back_mut() {
            if count < node.len() {
                node.truncate(node.len() - count);
                node.shrink_when_sparse();
                return;
            }
            count -= node.len();
            gone.extend(self.nodes.pop_back());
        }
    }
}

impl Node {
    /// Removes at most `most` elements that equal `value`, seen from `side`.
    fn remove_equal(&mut self, value: &[u8], most: usize, side: Side) -> usize {
        let matching = self.iter().filter(|element| *element == value).count();
        let removing = matching.min(most);
        if removing == 0 {
            return 0;
        }
        // Matches that stay are the last of them, or the first.
        let spared = match side {
            Side::Front => removing..matching,
            Side::Back => 0..matching - removing,
        };
        let mut seen = 0;
        self.retain(|element| {
            if element != value {
                return true;
            }
            seen += 1;
            spared.contains(&(seen - 1))
        });
        removing
    }
}
