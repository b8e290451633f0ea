//! The table of all users, and the server's one place where it is changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::catalog::Catalog;
use super::file;
use super::log::Log;
use super::rule::{RuleError, Rules, has_spaces, join_selectors};
use super::user::User;

use crate::resp::text_of;

/// The user that everybody is who has not said otherwise. It is always there.
pub const DEFAULT_USER: &[u8] = b"default";

/// The default user's number.
const DEFAULT_ID: u64 = 1;

/// A user as a configuration file declares it: a name and rules, selectors joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The user's name.
    pub name: Vec<u8>,
    /// Its rules.
    pub rules: Vec<Vec<u8>>,
}

/// A declared user that is left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Undeclared {
    /// Its place among the declared ones, from 0.
    pub at: usize,
    /// Why, as Redis says it.
    pub why: String,
}

/// All users at one time.
#[derive(Clone, Debug)]
pub struct Table {
    users: BTreeMap<Box<[u8]>, Arc<User>>,
    default: Arc<User>,
}

impl Table {
    fn new(default: User) -> Table {
        let default = Arc::new(default);
        let users = BTreeMap::from([(DEFAULT_USER.into(), Arc::clone(&default))]);
        Table { users, default }
    }

    /// The default user.
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// A user by its name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.users.values()
    }

    fn put(&mut self, user: User) {
        let user = Arc::new(user);
        if user.name() == DEFAULT_USER {
            self.default = Arc::clone(&user);
        }
        self.users.insert(user.name().into(), user);
    }
}

/// Why a user was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// A parenthesis that nothing closes, in this word.
    Unmatched(Vec<u8>),
    /// A rule that is none, and why.
    Rule(Vec<u8>, RuleError),
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChangeError::Unmatched(word) => {
                let word = text_of(word);
                write!(f, "Unmatched parenthesis in acl selector starting at '{word}'.")
            }
            ChangeError::Rule(rule, error) => {
                let rule = text_of(rule);
                write!(f, "Error in ACL SETUSER modifier '{rule}': {}", error.text())
            }
        }
    }
}

/// A user before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it was, unless it is new.
    pub before: Option<Arc<User>>,
    /// As it is.
    pub after: Arc<User>,
}

/// Everything about users that the workers share.
#[derive(Debug)]
pub struct Acl {
    catalog: Catalog,
    table: ArcSwap<Table>,
    generation: AtomicU64,
    /// One change at a time; the number of the next new user.
    changing: Mutex<u64>,
    all_channels: AtomicBool,
    log: Log,
}

impl Acl {
    /// With a default user that may do everything and needs no password.
    pub fn new(catalog: Catalog, all_channels: bool) -> Acl {
        let default = default_user(&Rules { catalog: &catalog, all_channels });
        Acl {
            catalog,
            table: ArcSwap::from_pointee(Table::new(default)),
            generation: AtomicU64::new(0),
            changing: Mutex::new(DEFAULT_ID + 1),
            all_channels: AtomicBool::new(all_channels),
            log: Log::default(),
        }
    }

    /// The commands.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What was denied.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A number that changes after each change of the table.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All users now.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// What rules are read with now.
    pub fn rules(&self) -> Rules<'_> {
        Rules { catalog: &self.catalog, all_channels: self.all_channels.load(Ordering::Relaxed) }
    }

    /// Whether new users may listen to all channels (`acl-pubsub-default`).
    pub fn set_all_channels(&self, all: bool) {
        self.all_channels.store(all, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // What it guards is replaced whole: a panic elsewhere leaves nothing half done.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The user of this name if it may log in with this password.
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        self.table().get(name).filter(|user| user.accepts(password)).cloned()
    }

    /// Changes a user, or makes it: all rules or none.
    pub fn set_user<W: AsRef<[u8]>>(&self, name: &[u8], words: &[W]) -> Result<Changed, ChangeError> {
        let joined =
            join_selectors(words).map_err(|at| ChangeError::Unmatched(words[at].as_ref().to_vec()))?;
        let mut next = self.lock();
        let mut table = Table::clone(&self.table());
        let before = table.get(name).cloned();
        let rules = self.rules();
        let mut user = match &before {
            Some(user) => User::clone(user),
            None => new_user(name, &mut next, &rules),
        };
        user.apply_all(&rules, &joined)
            .map_err(|(at, error)| ChangeError::Rule(joined[at].clone(), error))?;
        table.put(user);
        let after = table.get(name).cloned();
        self.publish(table);
        // It was put there just now.
        let after = after.unwrap_or_else(|| Arc::clone(self.table().default_user()));
        Ok(Changed { before, after })
    }

    /// Removes users and gives those that were there. The default user stays.
    pub fn delete(&self, names: &[&[u8]]) -> Vec<Arc<User>> {
        let _one_at_a_time = self.lock();
        let mut table = Table::clone(&self.table());
        let gone: Vec<Arc<User>> = names
            .iter()
            .filter(|name| **name != DEFAULT_USER)
            .filter_map(|name| table.users.remove(*name))
            .collect();
        if !gone.is_empty() {
            self.publish(table);
        }
        gone
    }

    /// Sets the one password of the default user, or, without one, opens it (`requirepass`).
    pub fn set_default_password(&self, password: &[u8]) {
        let _one_at_a_time = self.lock();
        let mut table = Table::clone(&self.table());
        let mut user = User::clone(table.default_user());
        let password = match password {
            b"" => b"nopass".to_vec(),
            password => [b">", password].concat(),
        };
        for rule in [&b"resetpass"[..], &password] {
            // Neither can fail.
            let _ = user.apply(&self.rules(), rule);
        }
        table.put(user);
        self.publish(table);
    }

    /// Enters the users that a configuration file declares. Gives those that are wrong, which are left out.
    #[must_use]
    pub fn declare<'a>(&self, definitions: impl IntoIterator<Item = &'a Definition>) -> Vec<Undeclared> {
        let mut next = self.lock();
        let mut table = Table::clone(&self.table());
        let rules = self.rules();
        let mut undeclared = Vec::new();
        for (at, definition) in definitions.into_iter().enumerate() {
            match declared(definition, &table, &mut next, &rules) {
                Ok(user) => table.put(user),
                Err(why) => undeclared.push(Undeclared { at, why }),
            }
        }
        self.publish(table);
        undeclared
    }

    /// Replaces all users by those of a file, and gives those that are gone; whoever was one of them is
    /// gone with it, even if the file has a user of the same name. The error is for the client.
    pub fn load(&self, path: &str, text: &[u8]) -> Result<Vec<Arc<User>>, String> {
        let mut next = self.lock();
        let rules = self.rules();
        let old = self.table();
        let users = file::parse(&rules, path, text, |name| new_user(name, &mut next, &rules))?;
        let mut table = Table::new(default_user(&rules));
        for user in users {
            // The default user keeps its number: its connections go on, with its new rights.
            table.put(user);
        }
        self.publish(table);
        Ok(old.iter().filter(|user| user.id() != DEFAULT_ID).cloned().collect())
    }

    /// The text of a file with all users.
    pub fn text(&self) -> Vec<u8> {
        self.lines()
            .into_iter()
            .flat_map(|mut line| {
                line.push(b'\n');
                line
            })
            .collect()
    }

    /// All users, a line each, as a file has them.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.table().iter().map(|user| user.line(&self.catalog)).collect()
    }
}

/// The user of a declaration. The error is for the log.
fn declared(
    definition: &Definition,
    table: &Table,
    next: &mut u64,
    rules: &Rules<'_>,
) -> Result<User, String> {
    let Definition { name, rules: all } = definition;
    let shown = text_of(name);
    if has_spaces(name) {
        return Err("Spaces not allowed in ACL usernames".to_owned());
    }
    let mut user = match table.get(name) {
        // Only the default user can be there: files declare nobody twice.
        Some(known) => {
            let mut user = User::clone(known);
            let _ = user.apply(rules, b"reset");
            user
        }
        None => new_user(name, next, rules),
    };
    for rule in all {
        user.apply(rules, rule).map_err(|error| {
            let (rule, why) = (public(rule), error.text());
            format!("Error loading ACL rule '{rule}' for the user named '{shown}': {why}")
        })?;
    }
    if !user.enabled {
        tracing::info!(
            "The user '{shown}' is disabled (there is no 'on' modifier in the user description). Make sure this is \
             not a configuration error."
        );
    }
    Ok(user)
}

/// A rule as it may be shown: without a password.
fn public(rule: &[u8]) -> std::borrow::Cow<'_, str> {
    match rule.first() {
        Some(b'>' | b'<' | b'#' | b'!') => "(hidden)".into(),
        _ => text_of(rule),
    }
}

fn default_user(rules: &Rules<'_>) -> User {
    let mut user = User::new(DEFAULT_USER, DEFAULT_ID, rules.all_channels);
    for rule in ["+@all", "~*", "&*", "on", "nopass"] {
        // None of these can fail.
        let _ = user.apply(rules, rule.as_bytes());
    }
    user
}

fn new_user(name: &[u8], next: &mut u64, rules: &Rules<'_>) -> User {
    let id = if name == DEFAULT_USER { DEFAULT_ID } else { *next };
    *next += 1;
    User::new(name, id, rules.all_channels)
}
