//! The running configuration: read by every worker, changed by CONFIG SET, all or nothing.

use super::choices::ProtectedAction;
use super::error::{Fault, StartupError};
use super::load::{DeclaredUser, Lines, Rename};
use super::rewrite::{self, RewriteError};
use super::row::{Flags, How, Row, find};
use super::table::{ROWS, Settings};
use crate::resp::text_of;
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The configuration of a server; clones share it.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("version", &self.version()).field("file", &self.shared.file).finish()
    }
}

struct Shared {
    settings: ArcSwap<Settings>,
    version: AtomicU64,
    /// One CONFIG SET or REWRITE at a time.
    changing: Mutex<()>,
    /// What holds without any source; `dir` is the folder of the start.
    defaults: Settings,
    file: Option<PathBuf>,
    /// What was read beside the settings.
    lines: Lines,
}

/// A setting that is not at its default; secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The setting.
    pub name: &'static str,
    /// Its value now.
    pub value: String,
    /// Its value without any configuration.
    pub default: String,
    /// It is stored only: what it tunes is not here.
    pub stored_only: bool,
}

/// Why the caller of [`Config::set`] could not carry a change out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// The setting that failed.
    pub name: &'static str,
    /// Redis's words, such as "Unable to listen on this port. Check server logs.".
    pub message: String,
}

/// Who changes a setting, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client is on this machine: `enable-protected-configs local` allows it.
    pub local: bool,
    /// The data set is being loaded: some settings wait.
    pub loading: bool,
}

/// Why CONFIG SET changed nothing; displayed as Redis's whole error line without the leading dash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No setting has this name (as the client wrote it).
    Unknown(String),
    /// A setting that cannot be changed while loading.
    Loading,
    /// A setting and what is wrong with its value.
    Refused {
        /// The name in the message.
        name: String,
        /// The reason.
        message: String,
    },
}

impl std::fmt::Display for SetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SetError::Unknown(name) => {
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            SetError::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            SetError::Refused { name, message } => {
                write!(f, "ERR CONFIG SET failed (possibly related to argument '{name}') - {message}")
            }
        }
    }
}

impl std::error::Error for SetError {}

/// What carries a change out; see [`Config::set`].
pub type Apply<'a> = dyn FnMut(&Settings, &Settings, &[&'static Row]) -> Result<(), ApplyError> + 'a;

/// A pair of CONFIG SET: the row, the name under which it was found, the value.
type Pair<'a> = (&'static Row, &'static str, &'a [u8]);

impl Config {
    /// A configuration that starts with `settings`; `file` is what CONFIG REWRITE writes.
    pub(super) fn new(settings: Settings, defaults: Settings, file: Option<PathBuf>, lines: Lines) -> Self {
        Config {
            shared: Arc::new(Shared {
                settings: ArcSwap::from_pointee(settings),
                version: AtomicU64::new(0),
                changing: Mutex::new(()),
                defaults,
                file,
                lines,
            }),
        }
    }

    /// The end of a start because of a setting's value that turned out to be of no use: with the place that set it.
    /// The setting's name is one of the table.
    pub fn refused(&self, setting: &str, why: impl Into<String>) -> StartupError {
        let place = self.shared.lines.place_of(setting);
        let fault = match find(setting.as_bytes()) {
            Some((row, _)) => Fault::of_row(row, why.into()),
            None => Fault::unknown(setting),
        };
        StartupError::where_it_was(&place, &fault)
    }

    /// The users that the file declared at the start.
    pub fn declared_users(&self) -> &[DeclaredUser] {
        &self.shared.lines.users
    }

    /// What commands are to be called.
    pub fn renames(&self) -> &[Rename] {
        &self.shared.lines.renames
    }

    /// A configuration without a file, for tests and embedding.
    pub fn from_settings(settings: Settings) -> Self {
        Self::new(settings, Settings::default(), None, Lines::default())
    }

    /// The settings now. Keep them until [`Config::version`] changes.
    pub fn current(&self) -> Arc<Settings> {
        self.shared.settings.load_full()
    }

    /// A number that changes with each successful CONFIG SET, after the new settings can be read.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Whether a setting of this name is a secret.
    pub fn is_secret(name: &[u8]) -> bool {
        super::row::find(name).is_some_and(|(row, _)| row.flags.has(Flags::SECRET))
    }

    /// Every row of the table.
    pub fn rows() -> &'static [Row] {
        ROWS
    }

    /// The file that was given at start.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.shared.file.clone()
    }

    /// CONFIG GET: names and values that match any pattern, each once. A name without glob characters is found
    /// without regard to case and answered as it was written. Hidden settings need their exact name.
    /// A value that is not UTF-8 is shown with replacement characters; [`Config::get_bytes`] has it as it is.
    pub fn get(&self, patterns: &[&[u8]], matches: fn(&[u8], &[u8]) -> bool) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        self.get_bytes(patterns, matches).into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    /// As [`Config::get`], with the exact bytes of each value.
    pub fn get_bytes(&self, patterns: &[&[u8]], matches: fn(&[u8], &[u8]) -> bool) -> Vec<(String, Vec<u8>)> {
        let settings = self.current();
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        let mut add = |name: &str, row: &Row| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_owned(), (row.show)(&settings, &row.kind)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|b| b"[*?".contains(b)) {
                if let (Some((row, _)), Ok(name)) = (find(pattern), std::str::from_utf8(pattern)) {
                    add(name, row);
                }
                continue;
            }
            let pattern = pattern.to_ascii_lowercase();
            for row in ROWS.iter().filter(|row| !row.flags.has(Flags::HIDDEN)) {
                let names = [Some(row.name), row.alias].into_iter().flatten();
                names.filter(|name| matches(&pattern, name.as_bytes())).for_each(|name| add(name, row));
            }
        }
        found
    }

    /// CONFIG SET by a client that is not on this machine, outside of loading; see [`Config::set_from`].
    ///
    /// # Errors
    /// See [`SetError`]; nothing has changed then.
    pub fn set(&self, pairs: &[(&[u8], &[u8])], apply: &mut Apply<'_>) -> Result<(), SetError> {
        self.set_from(Origin::default(), pairs, apply)
    }

    /// CONFIG SET: all pairs or none. All values are checked first. Then `apply` is called once with the old and the
    /// new settings and the rows that differ (not at all when none does), and carries out what needs more than a new
    /// value ([`Flags::APPLIED`]). When it fails it is called once more with both swapped, to bring back whatever it
    /// had changed, so it must move the world towards its second argument from wherever it is. Only then are the new
    /// settings published.
    ///
    /// # Errors
    /// See [`SetError`]; nothing has changed then.
    pub fn set_from(
        &self,
        origin: Origin,
        pairs: &[(&[u8], &[u8])],
        apply: &mut Apply<'_>,
    ) -> Result<(), SetError> {
        let _one_at_a_time = self.lock();
        let old = self.current();
        let pairs = checked_names(&old, origin, pairs)?;
        let mut new = Settings::clone(&old);
        for (row, name, value) in &pairs {
            let args: Vec<Vec<u8>> = match row.flags.has(Flags::MULTI) {
                true if value.is_empty() => Vec::new(),
                true => value.split(|&b| b == b' ').map(<[u8]>::to_vec).collect(),
                false => vec![value.to_vec()],
            };
            let refused = |message| SetError::Refused { name: (*name).into(), message };
            row.parse(&mut new, &args, How::Set).map_err(refused)?;
        }
        // A file may have changed under the name that it had.
        let named = |row: &Row| pairs.iter().any(|(asked, ..)| std::ptr::eq(*asked, row));
        let is_changed =
            |row: &Row| !(row.same)(&old, &new) || (row.flags.has(Flags::VOLATILE) && named(row));
        let changed: Vec<&'static Row> = ROWS.iter().filter(|row| is_changed(row)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        if let Err(error) = apply(&old, &new, &changed) {
            // The first error is the one to tell; going back is as far as this can help.
            let _ = apply(&new, &old, &changed);
            return Err(SetError::Refused { name: error.name.into(), message: error.message });
        }
        self.shared.settings.store(Arc::new(new));
        self.shared.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// CONFIG REWRITE: brings the file up to date, keeping its comments and order.
    ///
    /// # Errors
    /// There is no file, or it could not be written; the old file is as it was then.
    pub fn rewrite(&self) -> Result<(), RewriteError> {
        self.rewrite_with(false, None)
    }

    /// As [`Config::rewrite`], with the users of now in place of the file's, a line each.
    ///
    /// # Errors
    /// As [`Config::rewrite`].
    pub fn rewrite_with_users(&self, users: &[Vec<u8>]) -> Result<(), RewriteError> {
        self.rewrite_with(false, Some(users))
    }

    /// DEBUG CONFIG-REWRITE-FORCE-ALL: as [`Config::rewrite`], with every setting in the file.
    ///
    /// # Errors
    /// As [`Config::rewrite`].
    pub fn rewrite_all(&self) -> Result<(), RewriteError> {
        self.rewrite_with(true, None)
    }

    fn rewrite_with(&self, all: bool, users: Option<&[Vec<u8>]>) -> Result<(), RewriteError> {
        let _one_at_a_time = self.lock();
        let file = self.shared.file.as_deref().ok_or(RewriteError::NoFile)?;
        rewrite::rewrite_file(file, &self.current(), &self.shared.defaults, all, users)
    }

    /// The settings that are not at their default.
    pub fn differing(&self) -> Vec<Difference> {
        let (now, defaults) = (self.current(), &self.shared.defaults);
        let rows = ROWS.iter().filter(|row| !(row.same)(&now, defaults));
        let difference = |row: &Row| Difference {
            name: row.name,
            value: row.public_text(&now),
            default: row.text(defaults),
            stored_only: row.flags.has(Flags::STORED),
        };
        rows.map(difference).collect()
    }

    /// Every setting that is not hidden, with secrets that are set shown as `(hidden)`.
    pub fn visible(&self) -> Vec<(String, String)> {
        let now = self.current();
        let rows = ROWS.iter().filter(|row| !row.flags.has(Flags::HIDDEN));
        rows.map(|row| (row.name.to_owned(), row.public_text(&now))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data that a panic could leave half changed.
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds every setting and refuses those that may not be changed, in the order of Redis's checks.
fn checked_names<'a>(
    now: &Settings,
    origin: Origin,
    pairs: &[(&'a [u8], &'a [u8])],
) -> Result<Vec<Pair<'a>>, SetError> {
    let allowed = match now.enable_protected_configs {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => origin.local,
        ProtectedAction::No => false,
    };
    let mut known: Vec<Pair<'a>> = Vec::with_capacity(pairs.len());
    for &(asked, value) in pairs {
        let name = || text_of(asked).into_owned();
        let refused = |message: &str| SetError::Refused { name: name(), message: message.into() };
        let (row, found) = find(asked).ok_or_else(|| SetError::Unknown(name()))?;
        // Redis's are refused in any case. What CONFIG GET shows of ours can be given back, as tools do that
        // restore a configuration.
        if row.flags.has(Flags::IMMUTABLE.with(Flags::OURS)) && (row.show)(now, &row.kind) == value {
            continue;
        }
        if row.flags.has(Flags::IMMUTABLE) {
            return Err(refused("can't set immutable config"));
        }
        if row.flags.has(Flags::PROTECTED) && !allowed {
            return Err(refused("can't set protected config"));
        }
        if origin.loading && row.flags.has(Flags::DENY_LOADING) {
            return Err(SetError::Loading);
        }
        if known.iter().any(|(_, earlier, _)| *earlier == found) {
            return Err(refused("duplicate parameter"));
        }
        known.push((row, found, value));
    }
    Ok(known)
}
