//! All commands, and the way from a name to its row.

#[cfg(test)]
use super::row::Handler;
use super::row::{Acl, Command, Flags};
use super::{Args, keys, rights, syntax};
use crate::acl::{Catalog, Entry, Needs};

/// The families. Adding a family adds a line here; adding a command does not.
static FAMILIES: &[&[Command]] = &[
    super::bitmaps::BIT,
    super::bitmaps::COMBINE,
    super::bitmaps::FIELD,
    super::bitmaps::LOOK,
    super::cluster::COMMANDS,
    super::connection::COMMANDS,
    super::generic::dump::COMMANDS,
    super::generic::existence::COMMANDS,
    super::generic::expire::COMMANDS,
    super::generic::keyspace::COMMANDS,
    super::generic::migrate::COMMANDS,
    super::generic::object::COMMANDS,
    super::generic::scan::COMMANDS,
    super::generic::sort::COMMANDS,
    super::generic::transfer::COMMANDS,
    super::generic::ttl::COMMANDS,
    super::geo::COMMANDS,
    super::geo::SEARCH,
    super::hashes::CHANGE,
    super::hashes::DRAW,
    super::hashes::READ,
    super::hyperloglog::COMMANDS,
    super::introspection::COMMANDS,
    super::lists::BLOCK,
    super::lists::EDIT,
    super::lists::MOVE,
    super::lists::POP,
    super::lists::PUSH,
    super::lists::READ,
    super::pubsub::LOOK,
    super::pubsub::PUBLISH,
    super::pubsub::SUBSCRIBE,
    super::scripting::COMMANDS,
    super::server::COMMANDS,
    super::sets::CHANGE,
    super::sets::COMBINE,
    super::sets::DRAW,
    super::sets::READ,
    super::sorted_sets::BLOCK,
    super::sorted_sets::CHANGE,
    super::sorted_sets::COMBINE,
    super::sorted_sets::DRAW,
    super::sorted_sets::POP,
    super::sorted_sets::RANGE,
    super::sorted_sets::READ,
    super::sorted_sets::REMOVE,
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
    super::users::COMMANDS,
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
    /// What it does with its one key, when a user's rights depend on nothing else of its arguments.
    pub one_key: Option<Needs>,
    /// [`Command::is_plain`].
    pub plain: bool,
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
    /// The names by which clients call the commands of the top level.
    names: Names,
    /// The names of their rows, if some are called otherwise (`rename-command`).
    own_names: Option<Names>,
    top_level: usize,
}

/// Names in lower case with the places of their commands: open addressing.
#[derive(Debug)]
struct Names {
    slots: Box<[Named]>,
    /// By the commands' places; `None` for one that cannot be called.
    called: Vec<Option<Box<[u8]>>>,
}

const FREE: u16 = u16::MAX;

/// A name of at most 16 bytes in lower case: its first and its last bytes, which overlap unless it is
/// 16 long, and its length. Equal for two names exactly if they differ in case at most, so that a lookup
/// compares three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packed {
    head: u64,
    tail: u64,
    len: u64,
}

impl Packed {
    /// `None` for a longer name.
    #[inline]
    fn of(name: &[u8]) -> Option<Packed> {
        let (head, tail) = match name.len() {
            8..=16 => (u64::from_le_bytes(*name.first_chunk()?), u64::from_le_bytes(*name.last_chunk()?)),
            4..=7 => (
                u64::from(u32::from_le_bytes(*name.first_chunk()?)),
                u64::from(u32::from_le_bytes(*name.last_chunk()?)),
            ),
            0..=3 => (name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
            _ => return None,
        };
        Some(Packed { head: lower(head), tail: lower(tail), len: name.len() as u64 })
    }

    #[inline]
    fn hash(self) -> usize {
        let mixed = (self.head ^ self.tail.rotate_left(29) ^ self.len).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize
    }
}

/// Eight ASCII bytes in lower case: what is no letter stays as it is.
#[inline]
fn lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = word & (EACH * 0x7F);
    let from_a = seven + EACH * (0x80 - b'A' as u64);
    let beyond_z = seven + EACH * (0x7F - b'Z' as u64);
    let upper = (from_a ^ beyond_z) & !word & (EACH * 0x80);
    word | upper >> 2
}

/// FNV-1a over lower-cased bytes, for names that do not pack: the table is ours, not a client's.
fn long_hash(name: &[u8]) -> usize {
    name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    }) as usize
}

/// A place in the table of names.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// Of the name if it packs, else all zero.
    packed: Packed,
    /// `FREE` for a free place.
    index: u16,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// Reads all rows. Called once at start; names live as long as the program.
    pub fn new() -> Registry {
        let names = Names { slots: Box::default(), called: Vec::new() };
        let mut registry = Registry { commands: Vec::new(), names, own_names: None, top_level: 0 };
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
        let top_level = registry.commands.iter().take(registry.top_level);
        registry.names =
            Names::new(top_level.map(|command| Some(command.full_name.as_bytes().into())).collect());
        registry
    }

    /// Calls a command otherwise from now on, or not at all if the new name is empty.
    ///
    /// # Errors
    /// Redis's words, when there is no such command or the new name is taken.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
        let index = self.find(from).ok_or("No such command in rename-command")?;
        let mut called = self.names.called.clone();
        called[index] = None;
        if !to.is_empty() {
            let to: Box<[u8]> = to.to_ascii_lowercase().into();
            if called.iter().flatten().any(|taken| *taken == to) {
                return Err("Target command name already exists");
            }
            called[index] = Some(to);
        }
        let before = std::mem::replace(&mut self.names, Names::new(called));
        self.own_names.get_or_insert(before);
        Ok(())
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
            one_key: rights::one_key(row),
            plain: row.is_plain(),
        });
        self.commands.len() - 1
    }

    /// The command of this name, whatever its case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.names.find(name)
    }

    /// The command that a request means: a subcommand where the container has it, else the container.
    #[inline]
    pub fn resolve(&self, name: &[u8], first_argument: Option<&[u8]>) -> Option<usize> {
        Some(self.child_or(self.find(name)?, first_argument))
    }

    /// As [`Registry::resolve`], by the names that commands have in their rows, however clients call them: for what
    /// the server says to itself.
    pub fn resolve_own(&self, name: &[u8], first_argument: Option<&[u8]>) -> Option<usize> {
        let names = self.own_names.as_ref().unwrap_or(&self.names);
        Some(self.child_or(names.find(name)?, first_argument))
    }

    #[inline]
    fn child_or(&self, index: usize, first_argument: Option<&[u8]>) -> usize {
        let command = &self.commands[index];
        if command.children.is_empty() {
            return index;
        }
        first_argument.and_then(|argument| self.find_child(index, argument)).unwrap_or(index)
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

    /// The commands of the top level that can be called, with their indexes.
    pub fn top_level(&self) -> impl Iterator<Item = (usize, &Registered)> {
        let all = self.commands.iter().enumerate().take(self.top_level);
        all.filter(|(index, _)| self.names.called[*index].is_some())
    }

    /// All full names, by index.
    pub fn names(&self) -> Vec<&'static str> {
        self.commands.iter().map(|command| command.full_name).collect()
    }

    /// The commands as the rules of users see them: at the same places.
    pub fn catalog(&self) -> Catalog {
        let entry = |command: &Registered| Entry {
            name: command.full_name,
            parent: command.parent,
            categories: command.row.categories().0,
        };
        let named = Acl::NAMED.iter().filter(|(_, name)| !name.is_empty());
        let categories = named.map(|(category, name)| (category.0, *name)).collect();
        Catalog::new(self.commands.iter().map(entry).collect(), categories)
    }

    /// Whether a request of the command takes the whole keyspace.
    #[inline]
    pub fn is_whole(&self, index: usize, args: &Args<'_>) -> bool {
        self.commands[index].row.is_whole(args)
    }
}

impl Names {
    fn new(called: Vec<Option<Box<[u8]>>>) -> Names {
        let size = (called.len() * 4).next_power_of_two();
        let mut slots = vec![Named { packed: Packed::default(), index: FREE }; size].into_boxed_slice();
        for (index, name) in called.iter().enumerate() {
            let Some(name) = name else { continue };
            let packed = Packed::of(name);
            let mut slot = packed.map_or_else(|| long_hash(name), Packed::hash) & (size - 1);
            while slots[slot].index != FREE {
                slot = (slot + 1) & (size - 1);
            }
            slots[slot] = Named { packed: packed.unwrap_or_default(), index: index as u16 };
        }
        Names { slots, called }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<usize> {
        let Some(packed) = Packed::of(name) else { return self.find_long(name) };
        let mask = self.slots.len() - 1;
        let mut slot = packed.hash() & mask;
        loop {
            let named = &self.slots[slot];
            if named.packed == packed && named.index != FREE {
                return Some(usize::from(named.index));
            }
            if named.index == FREE {
                return None;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn find_long(&self, name: &[u8]) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = long_hash(name) & mask;
        loop {
            let index = match self.slots[slot].index {
                FREE => return None,
                index => usize::from(index),
            };
            if self.called[index].as_ref().is_some_and(|called| called.eq_ignore_ascii_case(name)) {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
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
        assert_eq!(registry.find(b"A_NAME_THAT_IS_LONGER_THAN_ALL"), None);
        // Bytes that only look like letters once a bit is dropped: `G|0x80`, `@`, `[`, `{`.
        for close in [&b"\xC7ET"[..], b"@ET", b"[ET", b"{ET", b"GE\x14", b"GET\0", b"\0GET", b"GE"] {
            assert_eq!(registry.find(close), None, "{close:?}");
        }
        assert_eq!(registry.find(b""), None);
    }

    #[test]
    fn a_renamed_command_is_called_by_its_new_name_alone() {
        let mut registry = Registry::new();
        let (flush, config) = (registry.find(b"flushdb").unwrap(), registry.find(b"config").unwrap());
        let count = registry.top_level().count();
        assert_eq!(registry.rename(b"FlushDB", b"Badger"), Ok(()));
        assert_eq!((registry.find(b"flushdb"), registry.find(b"BADGER")), (None, Some(flush)));
        assert_eq!(registry.resolve_own(b"flushdb", None), Some(flush));
        assert_eq!(registry.rename(b"flushdb", b"x"), Err("No such command in rename-command"));
        assert_eq!(registry.rename(b"get", b"badger"), Err("Target command name already exists"));
        assert_eq!(registry.rename(b"badger", b"a_name_that_is_longer_than_16_bytes"), Ok(()));
        assert_eq!(registry.find(b"A_NAME_that_is_longer_than_16_bytes"), Some(flush));
        assert_eq!(registry.rename(b"config", b""), Ok(()));
        assert_eq!((registry.find(b"config"), registry.find(b"")), (None, None));
        assert_eq!(registry.rename(b"get", b"config"), Ok(()), "the name is free");
        assert_ne!(registry.find(b"config"), Some(config));
        assert_eq!(registry.resolve_own(b"config", Some(b"get")), registry.find_child(config, b"get"));
        assert_eq!(registry.top_level().count(), count - 1);
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
