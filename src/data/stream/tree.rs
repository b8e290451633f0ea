//! How many nodes Redis's radix tree would have over a stream's nodes, for XINFO STREAM.

use super::{Id, Log};

/// Bytes of a key: both numbers of an ID, the highest byte first.
const KEY: usize = 16;
/// So many keys are counted; of more the number is taken to grow with them.
const COUNTED: usize = 1_024;

impl Log {
    /// The number of nodes of a radix tree that holds the first ID of every node: Redis's tree has a node
    /// where keys part, one for the bytes between two such places, and one at each key's end.
    pub fn radix_tree_nodes(&self) -> usize {
        let keys = self.nodes();
        let counted: Vec<[u8; KEY]> = self.node_ids().take(COUNTED).map(key).collect();
        let nodes = tree_nodes(&counted, 0);
        if keys > COUNTED { nodes * keys / COUNTED } else { nodes }
    }
}

fn key(id: Id) -> [u8; KEY] {
    ((u128::from(id.ms) << 64) | u128::from(id.seq)).to_be_bytes()
}

/// The nodes of a tree over sorted keys that are alike up to `depth`.
fn tree_nodes(keys: &[[u8; KEY]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 1 };
    if keys.len() == 1 {
        return 1 + usize::from(depth < KEY);
    }
    let alike = (depth..KEY).take_while(|&at| first[at] == last[at]).count();
    let parting = depth + alike;
    let branches = keys.chunk_by(|one, other| one.get(parting) == other.get(parting));
    let below: usize = branches.map(|branch| tree_nodes(branch, parting + 1)).sum();
    usize::from(alike > 0) + 1 + below
}
