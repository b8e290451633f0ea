//! The commands as the rules see them: a name, a parent, categories, and a place.

use std::collections::HashMap;

/// One command or subcommand.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Lower case, `config|get` for a subcommand.
    pub name: &'static str,
    /// The place of the container of a subcommand.
    pub parent: Option<usize>,
    /// One bit for each category that it is in.
    pub categories: u32,
}

/// All commands. A rule names a command; a user's rights are bits at the commands' places.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
    categories: Vec<(u32, &'static str)>,
    children: Vec<Vec<usize>>,
    names: HashMap<&'static str, usize>,
    /// The places in the order in which rules are written: by name, each container before its subcommands.
    ordered: Vec<usize>,
}

/// Names that are looked up are cut here: no command's is as long.
const LONGEST_NAME: usize = 128;

impl Catalog {
    /// A catalog of these commands, in the order of their places, and of the categories by their bits.
    pub fn new(entries: Vec<Entry>, categories: Vec<(u32, &'static str)>) -> Catalog {
        let mut children = vec![Vec::new(); entries.len()];
        for (place, entry) in entries.iter().enumerate() {
            if let Some(parent) = entry.parent {
                children[parent].push(place);
            }
        }
        let by_name = |places: &mut Vec<usize>| places.sort_unstable_by_key(|&place| entries[place].name);
        children.iter_mut().for_each(by_name);
        let mut top: Vec<usize> = (0..entries.len()).filter(|&at| entries[at].parent.is_none()).collect();
        by_name(&mut top);
        let ordered =
            top.iter().flat_map(|&at| std::iter::once(at).chain(children[at].iter().copied())).collect();
        let names = entries.iter().enumerate().map(|(place, entry)| (entry.name, place)).collect();
        Catalog { children, names, ordered, entries, categories }
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none: a catalog to read rules with whose commands are not known yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The command at a place.
    pub fn entry(&self, place: usize) -> &Entry {
        &self.entries[place]
    }

    /// The subcommands of a command, by name.
    pub fn children(&self, place: usize) -> &[usize] {
        &self.children[place]
    }

    /// All places, by name, each container before its subcommands.
    pub fn ordered(&self) -> &[usize] {
        &self.ordered
    }

    /// The command of this name, whatever its case: `get`, `CONFIG|get`.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        self.names.get(std::str::from_utf8(&lower).ok()?).copied()
    }

    /// Each category's bit and name, in Redis's order.
    pub fn categories(&self) -> &[(u32, &'static str)] {
        &self.categories
    }

    /// The bit of a category, whatever the case of its name.
    pub fn category(&self, name: &[u8]) -> Option<u32> {
        let named = |(_, known): &&(u32, &str)| known.as_bytes().eq_ignore_ascii_case(name);
        self.categories.iter().find(named).map(|(bit, _)| *bit)
    }
}
