//! A selector: commands, keys and channels that are allowed together. Every user has a root selector;
//! further ones stand in parentheses.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::check::Needs;
use super::pattern::{Head, Pattern};
use super::rule::{RuleError, Rules, has_spaces};
use crate::resp::split_args;

/// Places of commands, one bit each.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<u64>);

impl PartialEq for Places {
    fn eq(&self, other: &Places) -> bool {
        // Words that were never needed are zeros.
        let word = |places: &Places, at: usize| places.0.get(at).copied().unwrap_or(0);
        (0..self.0.len().max(other.0.len())).all(|at| word(self, at) == word(other, at))
    }
}

impl Eq for Places {}

impl Places {
    /// Whether the place is in it.
    #[inline]
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 != 0)
    }

    fn set(&mut self, place: usize, on: bool) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        let bit = 1 << (place % 64);
        if on {
            self.0[place / 64] |= bit;
        } else {
            self.0[place / 64] &= !bit;
        }
    }

    /// None, or all of so many.
    fn fill(&mut self, count: usize, on: bool) {
        self.0.clear();
        (0..count).filter(|_| on).for_each(|place| self.set(place, true));
    }
}

/// A pattern of keys and what may be done with those that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// Which keys.
    pub pattern: Pattern,
    /// Reading, writing or both.
    pub allows: Needs,
}

impl KeyPattern {
    /// As a rule: `~k*`, `%R~k*`.
    pub fn rule(&self) -> Vec<u8> {
        let mark: &[u8] = match (self.allows.reads(), self.allows.writes()) {
            // `~*` would allow all keys, after which no other pattern is taken.
            (true, true) if self.pattern.text() == b"*" => b"%RW~",
            (true, true) => b"~",
            (true, false) => b"%R~",
            _ => b"%W~",
        };
        [mark, self.pattern.text()].concat()
    }
}

/// What is allowed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Every command, known or not: nothing was taken away since `+@all`.
    pub(super) all_commands: bool,
    /// Its commands began with `+@all`, from which some were taken away.
    pub(super) subtractive: bool,
    /// Every key.
    pub(super) all_keys: bool,
    /// Every channel.
    pub(super) all_channels: bool,
    pub(super) commands: Places,
    /// Of commands that are not allowed otherwise: the first arguments with which they are.
    pub(super) first_arguments: BTreeMap<usize, Vec<Vec<u8>>>,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) channels: Vec<Pattern>,
}

impl Selector {
    /// One that allows nothing but, if it says so, all channels.
    pub fn new(all_channels: bool) -> Selector {
        Selector { all_channels, ..Selector::default() }
    }

    /// Whether it allows everything, so that nothing needs to be asked.
    pub fn is_unrestricted(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels
    }

    /// The channels that it names, if it does not allow all.
    pub fn channels(&self) -> Option<&[Pattern]> {
        if self.all_channels { None } else { Some(&self.channels) }
    }

    /// Whether it allows these needs for each key there is.
    pub(super) fn allows_every_key(&self, needs: Needs) -> bool {
        self.all_keys || self.keys.iter().any(|one| one.allows.cover(needs) && one.pattern.text() == b"*")
    }

    /// Whether it allows these needs for a key.
    #[inline]
    pub(super) fn allows_key(&self, key: &[u8], needs: Needs) -> bool {
        let head = Head::of(key);
        self.keys.iter().any(|one| one.allows.cover(needs) && one.pattern.matches(key, head))
    }

    /// Whether it allows a channel. What is to be listened to as a pattern must stand there literally.
    pub(super) fn allows_channel(&self, name: &[u8], literally: bool) -> bool {
        is_among(&self.channels, name, literally)
    }

    /// From `(+get ~k*)`.
    pub fn parse(rules: &Rules<'_>, text: &[u8]) -> Result<Selector, RuleError> {
        let inner =
            text.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).ok_or(RuleError::Syntax)?;
        let mut selector = Selector::new(rules.all_channels);
        // What has unbalanced quotes holds no words, as in Redis.
        for word in split_args(inner).unwrap_or_default() {
            selector.apply(rules, &word)?;
        }
        Ok(selector)
    }

    /// Applies one rule.
    pub fn apply(&mut self, rules: &Rules<'_>, rule: &[u8]) -> Result<(), RuleError> {
        let catalog = rules.catalog;
        match &rule.to_ascii_lowercase()[..] {
            b"allkeys" | b"~*" => self.allow_keys(true),
            b"resetkeys" => self.allow_keys(false),
            b"allchannels" | b"&*" => self.allow_channels(true),
            b"resetchannels" => self.allow_channels(false),
            b"allcommands" | b"+@all" => self.allow_commands(catalog, true),
            b"nocommands" | b"-@all" => self.allow_commands(catalog, false),
            _ => match rule {
                [b'~', pattern @ ..] => self.add_keys(Needs::BOTH, pattern)?,
                // Where all keys are allowed Redis says so first.
                [b'%', ..] if self.all_keys => return Err(RuleError::KeysAfterAll),
                [b'%', rest @ ..] => {
                    let (allows, pattern) = read_permission(rest).ok_or(RuleError::Syntax)?;
                    self.add_keys(allows, pattern)?;
                }
                [b'&', pattern @ ..] => self.add_channel(pattern)?,
                [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                    let bit = catalog.category(category).ok_or(RuleError::Unknown)?;
                    self.change_category(catalog, bit, *sign == b'+');
                }
                [b'+', name @ ..] => self.add_command(catalog, name)?,
                [b'-', name @ ..] => {
                    let place = catalog.find(name).ok_or(RuleError::Unknown)?;
                    self.change(catalog, place, false);
                }
                _ => return Err(RuleError::Syntax),
            },
        }
        Ok(())
    }

    fn allow_keys(&mut self, all: bool) {
        self.all_keys = all;
        self.keys.clear();
    }

    fn allow_channels(&mut self, all: bool) {
        self.all_channels = all;
        self.channels.clear();
    }

    fn allow_commands(&mut self, catalog: &Catalog, all: bool) {
        self.all_commands = all;
        self.subtractive = all;
        self.commands.fill(catalog.len(), all);
        self.first_arguments.clear();
    }

    fn add_keys(&mut self, allows: Needs, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::KeysAfterAll);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|one| one.pattern.text() == pattern) {
            Some(known) => known.allows = known.allows.with(allows),
            None => self.keys.push(KeyPattern { pattern: Pattern::new(pattern), allows }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::ChannelsAfterAll);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known.text() == pattern) {
            self.channels.push(Pattern::new(pattern));
        }
        Ok(())
    }

    /// `+get`, `+config|get`, and `+select|0` for a command that has no subcommands.
    fn add_command(&mut self, catalog: &Catalog, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            let place = catalog.find(name).ok_or(RuleError::Unknown)?;
            self.change(catalog, place, true);
            return Ok(());
        };
        let place = catalog.find(&name[..bar]).ok_or(RuleError::Unknown)?;
        let argument = &name[bar + 1..];
        if catalog.entry(place).parent.is_some() {
            return Err(RuleError::FirstArgumentOfSubcommand);
        }
        // With a blank it could not be written down and read again.
        if argument.is_empty() || has_spaces(argument) {
            return Err(RuleError::Syntax);
        }
        if !catalog.children(place).is_empty() {
            let child = catalog.find(name).ok_or(RuleError::Unknown)?;
            self.change(catalog, child, true);
            return Ok(());
        }
        if self.commands.has(place) {
            // It is allowed with any.
            return Ok(());
        }
        let known = self.first_arguments.entry(place).or_default();
        if !known.iter().any(|one| one.eq_ignore_ascii_case(argument)) {
            known.push(argument.to_vec());
        }
        Ok(())
    }

    /// Allows or forbids a command, and all its subcommands with it.
    pub(super) fn change(&mut self, catalog: &Catalog, place: usize, allow: bool) {
        self.set(place, allow);
        self.first_arguments.remove(&place);
        for &child in catalog.children(place) {
            self.set(child, allow);
        }
    }

    fn set(&mut self, place: usize, allow: bool) {
        self.commands.set(place, allow);
        self.all_commands &= allow;
    }

    pub(super) fn change_category(&mut self, catalog: &Catalog, bit: u32, allow: bool) {
        for place in 0..catalog.len() {
            if catalog.entry(place).categories & bit != 0 {
                self.change(catalog, place, allow);
            }
        }
    }
}

/// Whether a channel is among these patterns.
pub fn is_among(patterns: &[Pattern], name: &[u8], literally: bool) -> bool {
    let head = Head::of(name);
    patterns.iter().any(|pattern| match literally {
        true => pattern.text() == name,
        false => pattern.matches(name, head),
    })
}

/// `R~k*`, `W~k*`, `RW~k*`, behind the percent sign.
fn read_permission(rest: &[u8]) -> Option<(Needs, &[u8])> {
    let mut allows = Needs::NONE;
    for (at, byte) in rest.iter().enumerate() {
        let more = match byte.to_ascii_uppercase() {
            b'R' if !allows.reads() => Needs::READ,
            b'W' if !allows.writes() => Needs::WRITE,
            b'~' if allows != Needs::NONE => return Some((allows, &rest[at + 1..])),
            _ => return None,
        };
        allows = allows.with(more);
    }
    // Without a tilde the pattern is empty, as in Redis.
    (allows != Needs::NONE).then_some((allows, &[]))
}
