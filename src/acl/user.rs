//! A user: whether it may log in, with which passwords, and its selectors.

use std::fmt;

use super::check::Needs;
use super::password::{PasswordHash, is_one_of};
use super::pattern::{Head, QuickPattern};
use super::rule::{RuleError, Rules};
use super::selector::Selector;

/// Whether payloads of RESTORE are to be looked at closely, where a rule has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sanitize {
    Skip,
    Do,
}

/// A user, as it is at one time: a change makes another.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: Box<[u8]>,
    id: u64,
    pub(super) enabled: bool,
    pub(super) no_password: bool,
    pub(super) sanitize: Option<Sanitize>,
    pub(super) passwords: Vec<PasswordHash>,
    /// The root selector first; there is always one.
    pub(super) selectors: Vec<Selector>,
    /// What the selectors say together, worked out when the user is published.
    unrestricted: bool,
    asks_for_keys: bool,
    asks_for_channels: bool,
    /// The patterns of the root selector's keys, packed: most requests are answered from here.
    quick: Vec<(QuickPattern, Needs)>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name.escape_ascii().to_string()).finish_non_exhaustive()
    }
}

impl User {
    /// A new user, which may do nothing.
    pub fn new(name: &[u8], id: u64, all_channels: bool) -> User {
        let mut user = User {
            name: name.into(),
            id,
            enabled: false,
            no_password: false,
            sanitize: None,
            passwords: Vec::new(),
            selectors: vec![Selector::new(all_channels)],
            unrestricted: false,
            asks_for_keys: false,
            asks_for_channels: false,
            quick: Vec::new(),
        };
        user.sum_up();
        user
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// A number that no other user has, not even a later one of the same name.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it may do everything: then nothing needs to be asked.
    #[inline]
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// Whether what it may do depends on the keys of a request.
    #[inline]
    pub fn asks_for_keys(&self) -> bool {
        self.asks_for_keys
    }

    /// Whether what it may do depends on the channels of a request.
    #[inline]
    pub fn asks_for_channels(&self) -> bool {
        self.asks_for_channels
    }

    /// Its selectors, the root first.
    #[inline]
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// The hashes of its passwords.
    pub fn passwords(&self) -> &[PasswordHash] {
        &self.passwords
    }

    /// Whether whoever comes is this user at once: it is enabled and needs no password.
    pub fn is_open(&self) -> bool {
        self.enabled && self.no_password
    }

    /// Whether it needs no password.
    pub fn needs_no_password(&self) -> bool {
        self.no_password
    }

    /// Whether it may log in with this password.
    pub fn accepts(&self, password: &[u8]) -> bool {
        self.enabled && (self.no_password || is_one_of(password, &self.passwords))
    }

    /// The words for what it is, in Redis's order.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let state = if self.enabled { "on" } else { "off" };
        let sanitize = self.sanitize.map(|sanitize| match sanitize {
            Sanitize::Skip => "skip-sanitize-payload",
            Sanitize::Do => "sanitize-payload",
        });
        [Some(state), self.no_password.then_some("nopass"), sanitize].into_iter().flatten()
    }

    /// Works out what the selectors say together.
    pub(super) fn sum_up(&mut self) {
        self.unrestricted = self.selectors.iter().any(Selector::is_unrestricted);
        self.asks_for_keys = self.selectors.iter().any(|selector| !selector.all_keys);
        self.quick = self.selectors[0].keys.iter().map(|one| (one.pattern.quick(), one.allows)).collect();
        self.asks_for_channels = self.selectors.iter().any(|selector| !selector.all_channels);
    }

    /// Whether its root selector surely allows a command on one key. If not, [`User::check`] has the last word.
    #[inline]
    pub fn allows_one_key(&self, command: usize, key: &[u8], needs: Needs) -> bool {
        let root = &self.selectors[0];
        if !root.all_commands && !root.commands.has(command) {
            return false;
        }
        let head = Head::of(key);
        root.all_keys
            || self.quick.iter().enumerate().any(|(at, (pattern, allows))| {
                let (may, surely) = pattern.may_match(head);
                may && allows.cover(needs) && (surely || root.keys[at].pattern.matches(key, head))
            })
    }

    /// Applies rules, all or none. The error is the rule that failed and why.
    pub fn apply_all(&mut self, rules: &Rules<'_>, all: &[Vec<u8>]) -> Result<(), (usize, RuleError)> {
        let mut changed = self.clone();
        for (at, rule) in all.iter().enumerate() {
            changed.apply(rules, rule).map_err(|error| (at, error))?;
        }
        *self = changed;
        Ok(())
    }

    /// Applies one rule.
    pub fn apply(&mut self, rules: &Rules<'_>, rule: &[u8]) -> Result<(), RuleError> {
        let result = self.apply_one(rules, rule);
        self.sum_up();
        result
    }

    fn apply_one(&mut self, rules: &Rules<'_>, rule: &[u8]) -> Result<(), RuleError> {
        match &rule.to_ascii_lowercase()[..] {
            b"" => {}
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"skip-sanitize-payload" => self.sanitize = Some(Sanitize::Skip),
            b"sanitize-payload" => self.sanitize = Some(Sanitize::Do),
            b"nopass" => self.reset_passwords(true),
            b"resetpass" => self.reset_passwords(false),
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => self.reset(rules),
            _ => match rule {
                [b'>' | b'#', ..] => {
                    let hash = password_of(rule)?;
                    if !self.passwords.iter().any(|known| known.same(&hash)) {
                        self.passwords.push(hash);
                    }
                    self.no_password = false;
                }
                [b'<' | b'!', ..] => {
                    let hash = password_of(rule)?;
                    let known = self.passwords.iter().position(|known| known.same(&hash));
                    self.passwords.remove(known.ok_or(RuleError::NoSuchPassword)?);
                }
                [b'(', .., b')'] => self.selectors.push(Selector::parse(rules, rule)?),
                _ => self.selectors[0].apply(rules, rule)?,
            },
        }
        Ok(())
    }

    fn reset_passwords(&mut self, no_password: bool) {
        self.no_password = no_password;
        self.passwords.clear();
    }

    fn reset(&mut self, rules: &Rules<'_>) {
        self.reset_passwords(false);
        self.enabled = false;
        self.sanitize = Some(Sanitize::Do);
        self.selectors = vec![Selector::new(rules.all_channels)];
    }
}

/// The hash in `>password`, `<password`, `#hash` or `!hash`.
fn password_of(rule: &[u8]) -> Result<PasswordHash, RuleError> {
    match rule {
        [b'>' | b'<', password @ ..] => Ok(PasswordHash::of(password)),
        [_, digits @ ..] => PasswordHash::parse(digits).ok_or(RuleError::BadHash),
        [] => Err(RuleError::Syntax),
    }
}
