//! All commands, and the way from a name to its row.

#[cfg(test)]
use super::row::Handler;
use super::row::{Command, Flags};
use super::{keys, syntax};

/// The families. Adding a family adds a line here; adding a command does not.
static FAMILIES: &[&[Command]] = &[
    super::connection::COMMANDS,
    super::generic::existence::COMMANDS,
    super::generic::expire::COMMANDS,
    super::generic::keyspace::COMMANDS,
    super::generic::object::COMMANDS,
    super::generic::scan::COMMANDS,
    super::generic::transfer::COMMANDS,
    super::generic::ttl::COMMANDS,
    super::hashes::CHANGE,
    super::hashes::READ,
    super::introspection::COMMANDS,
    super::lists::BLOCK,
    super::lists::EDIT,
    super::lists::MOVE,
    super::lists::POP,
    super::lists::PUSH,
    super::lists::READ,
    super::server::COMMANDS,
    super::sets::CHANGE,
    super::sets::DRAW,
    super::sets::READ,
    super::sorted_sets::CHANGE,
    super::sorted_sets::POP,
    super::sorted_sets::RANGE,
    super::sorted_sets::READ,
    super::streams::ADD,
    super::streams::CLAIM,
    super::streams::EDIT,
    super::streams::GROUP,
    super::streams::INFO,
    super::streams::PENDING,
    super::streams::READ,
    super::streams::WAIT,
    super::strings::COMMANDS,
    super::transactions::COMMANDS,
];

/// A row with what is derived from it.
#[derive(Debug)]
pub struct Registered {
    /// The row.
    pub row: &'static Command,
    /// Lower case; `config|get` for a subcommand.
    pub full_name: &'static str,
    /// The container of a subcommand.
    pub parent: Option<usize>,
    /// Redis's arity: exact when positive, a minimum when negative; the name counts.
    pub arity: i32,
    /// Indexes of the subcommands.
    pub children: Vec<usize>,
    /// Where its keys are, in Redis's notation.
    pub specs: Vec<keys::Spec>,
}

impl Registered {
    /// Whether a request with this many arguments, the name included, may run.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        if self.arity >= 0 {
            count == self.arity as usize
        } else {
            count >= self.arity.unsigned_abs() as usize
        }
    }
}

/// The table of all commands.
#[derive(Debug)]
pub struct Registry {
    commands: Vec<Registered>,
    /// Open addressing over the names of the top level; `u16::MAX` is free.
    slots: Box<[u16]>,
    top_level: usize,
}

const FREE: u16 = u16::MAX;

/// FNV-1a over lower-cased bytes: names are short, and the table is ours, not a client's.
#[inline]
fn hash(name: &[u8]) -> usize {
    name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    }) as usize
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// Reads all rows. Called once at start; names live as long as the program.
    pub fn new() -> Registry {
        let mut registry = Registry { commands: Vec::new(), slots: Box::default(), top_level: 0 };
        for row in FAMILIES.iter().copied().flatten() {
            registry.add(row, None);
        }
        registry.top_level = registry.commands.len();
        for parent in 0..registry.top_level {
            for row in registry.commands[parent].row.subcommands {
                let child = registry.add(row, Some(parent));
                registry.commands[parent].children.push(child);
            }
        }
        registry.index();
        registry
    }

    fn add(&mut self, row: &'static Command, parent: Option<usize>) -> usize {
        let own = row.name.to_ascii_lowercase();
        let full = match parent {
            None => own,
            Some(parent) => format!("{}|{own}", self.commands[parent].full_name),
        };
        let words = if parent.is_some() { 2 } else { 1 };
        let open_ended = row.flags.has(Flags::OPEN_ENDED);
        let arity = match syntax::arity(row.syntax, words) {
            exact if open_ended => -exact.abs(),
            _ if !row.subcommands.is_empty() => -2,
            derived => derived,
        };
        self.commands.push(Registered {
            row,
            full_name: Box::leak(full.into_boxed_str()),
            parent,
            arity,
            children: Vec::new(),
            specs: keys::specs(row.keys),
        });
        self.commands.len() - 1
    }

    fn index(&mut self) {
        let size = (self.top_level * 4).next_power_of_two();
        self.slots = vec![FREE; size].into_boxed_slice();
        for (index, command) in self.commands.iter().enumerate().take(self.top_level) {
            let mut slot = hash(command.row.name.as_bytes()) & (size - 1);
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = index as u16;
        }
    }

    /// The command of this name, whatever its case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        loop {
            match self.slots[slot] {
                FREE => return None,
                index if self.commands[index as usize].row.name.as_bytes().eq_ignore_ascii_case(name) => {
                    return Some(index as usize);
                }
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// The command that a request means: a subcommand where the container has it, else the container.
    #[inline]
    pub fn resolve(&self, name: &[u8], first_argument: Option<&[u8]>) -> Option<usize> {
        let index = self.find(name)?;
        let command = &self.commands[index];
        if command.children.is_empty() {
            return Some(index);
        }
        let child = first_argument.and_then(|argument| self.find_child(index, argument));
        Some(child.unwrap_or(index))
    }

    /// A container's subcommand of this name.
    pub fn find_child(&self, parent: usize, name: &[u8]) -> Option<usize> {
        let children = &self.commands[parent].children;
        children
            .iter()
            .copied()
            .find(|&child| self.commands[child].row.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// A command by its full name, `config|get` for a subcommand.
    pub fn find_full(&self, name: &[u8]) -> Option<usize> {
        match name.iter().position(|&byte| byte == b'|') {
            None => self.find(name),
            Some(bar) => self.find_child(self.find(&name[..bar])?, &name[bar + 1..]),
        }
    }

    /// The command at an index.
    #[inline]
    pub fn get(&self, index: usize) -> &Registered {
        &self.commands[index]
    }

    /// All commands with their indexes, containers and subcommands alike.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Registered)> {
        self.commands.iter().enumerate()
    }

    /// The commands of the top level with their indexes.
    pub fn top_level(&self) -> impl Iterator<Item = (usize, &Registered)> {
        self.commands.iter().enumerate().take(self.top_level)
    }

    /// All full names, by index.
    pub fn names(&self) -> Vec<&'static str> {
        self.commands.iter().map(|command| command.full_name).collect()
    }

    /// Whether the command takes the whole keyspace.
    #[inline]
    pub fn is_whole(&self, index: usize) -> bool {
        self.commands[index].row.flags.has(Flags::WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case() {
        let registry = Registry::new();
        for (index, command) in registry.top_level() {
            assert_eq!(registry.find(command.row.name.as_bytes()), Some(index));
            assert_eq!(registry.find(command.full_name.as_bytes()), Some(index));
        }
        assert_eq!(registry.find(b"NOSUCHCOMMAND"), None);
        assert_eq!(registry.find(b""), None);
    }

    #[test]
    fn every_row_is_complete_and_unique() {
        let registry = Registry::new();
        let mut seen = std::collections::HashSet::new();
        for (_, command) in registry.iter() {
            assert!(seen.insert(command.full_name), "{} stands twice", command.full_name);
            assert!(!command.row.summary.is_empty(), "{} has no summary", command.full_name);
            assert!(
                !std::ptr::fn_addr_eq(command.row.run, super::super::context::unimplemented_row as Handler),
                "{} has no handler",
                command.full_name
            );
        }
    }
}
