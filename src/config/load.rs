//! Reading configuration text, line by line, into settings.

use super::error::{Fault, Place, ShownPlace, Source, StartupError, as_two_words};
use super::include;
use super::quote::{split_args, trim_line};
use super::row::{Flags, How, Row, find};
use super::table::Settings;
use super::value::reason;
use crate::acl::{Catalog, Definition, RuleError, Rules, User, rule::join_selectors};
use std::borrow::Cow;
use std::path::Path;

/// A file may include another, this deep: enough for any layout, and an include of itself ends.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Names of older versions that are read and forgotten, as Redis 7.0 does, with exactly one argument.
const FORGOTTEN: &[&str] = &["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

/// A `rename-command` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The command's name.
    pub from: Vec<u8>,
    /// What it is to be called instead; empty for not at all.
    pub to: Vec<u8>,
    /// Where that was read.
    pub(super) place: ShownPlace,
}

impl Rename {
    /// The end of a start because of this line. Which commands there are is known elsewhere.
    pub fn refused(&self, why: &str) -> StartupError {
        let hint =
            "It takes the name of a command and one that is free: rename-command <command> <new name>.";
        StartupError::where_it_was(&self.place, &Fault::new(why, hint))
    }
}

/// A `user` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredUser {
    /// The user's name and rules.
    pub definition: Definition,
    /// Where that was read.
    pub(super) place: ShownPlace,
}

impl DeclaredUser {
    /// The end of a start because of this line. Which commands a rule may name is known elsewhere.
    pub fn refused(&self, why: &str) -> StartupError {
        StartupError::where_it_was(&self.place, &Fault::new(why, USER_RULES))
    }
}

/// What a `user` line may hold.
const USER_RULES: &str = "Rules are those of ACL SETUSER, and each user is declared once.";

/// What was read beside the settings.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Users in the order of their lines.
    pub users: Vec<DeclaredUser>,
    /// What commands are to be called, in the order of the lines.
    pub renames: Vec<Rename>,
    /// Where each setting was set last, by its row's name.
    pub places: Vec<(&'static str, ShownPlace)>,
}

impl Lines {
    /// Where a setting was set; nowhere, if it is at its default.
    pub(super) fn place_of(&self, setting: &str) -> ShownPlace {
        let place = self.places.iter().find(|(name, _)| *name == setting);
        place.map_or_else(ShownPlace::default, |(_, place)| place.clone())
    }

    /// Notes where a setting was set.
    pub(super) fn set_at(&mut self, row: &Row, place: &Place<'_>) {
        self.places.retain(|(name, _)| *name != row.name);
        self.places.push((row.name, place.shown()));
    }
}

/// Reads sources one after another; later lines win.
pub(super) struct Loader {
    pub settings: Settings,
    /// Names of rows that a line has set so far: the first `save` replaces the default, later ones add.
    seen: Vec<&'static str>,
    /// Whether `include` may open files.
    files: bool,
    depth: usize,
    pub lines: Lines,
    /// Values that need what is not there, by their rows' names, each with what is to be said about it: a later line
    /// may take one back.
    refused: Vec<(&'static str, StartupError)>,
    /// Faults so far, where reading goes on after one.
    faults: Option<Vec<StartupError>>,
}

/// A fault in the line itself, or in a file that it includes.
enum Failure {
    Here(Fault),
    /// It is one unless a later line sets the row of this name anew.
    Unless(&'static str, Fault),
    Below(StartupError),
}

impl Loader {
    pub(super) fn new(settings: Settings, files: bool) -> Self {
        let (seen, lines, refused) = (Vec::new(), Lines::default(), Vec::new());
        Loader { settings, seen, files, depth: 0, lines, refused, faults: None }
    }

    /// The same, but one that reads on after a fault.
    pub(super) fn forgiving(self) -> Self {
        Loader { faults: Some(Vec::new()), ..self }
    }

    /// What a forgiving loader has: the settings that could be read, where those stand that hold, and every fault.
    pub(super) fn into_parts(self) -> (Settings, Lines, Vec<StartupError>) {
        let mut lines = self.lines;
        lines.places.retain(|(row, _)| !self.refused.iter().any(|(refused, _)| refused == row));
        let refused = self.refused.into_iter().map(|(_, error)| error);
        let faults = self.faults.into_iter().flatten().chain(refused).collect();
        (self.settings, lines, faults)
    }

    /// Reads a text that came from `source`.
    pub(super) fn text(&mut self, source: Source<'_>, text: &[u8]) -> Result<(), StartupError> {
        for (number, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = trim_line(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let shown = shown(line);
            let place = Place { source, line: Some((number + 1, &shown)) };
            match self.line(line, &place) {
                Ok(()) => {}
                Err(Failure::Below(error)) => return Err(error),
                Err(Failure::Here(fault)) => {
                    let error = StartupError::at(&place, &fault);
                    match &mut self.faults {
                        Some(faults) => faults.push(error),
                        None => return Err(error),
                    }
                }
                Err(Failure::Unless(row, fault)) => {
                    self.refused.push((row, StartupError::at(&place, &fault)))
                }
            }
        }
        Ok(())
    }

    /// Reads a file. A relative path is taken from the working folder set so far.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), StartupError> {
        let path = self.settings.dir.join(path);
        let text = read(&path).map_err(|message| StartupError::plain(format!("{message}\n")))?;
        self.text(Source::File(&path.display().to_string()), &text)
    }

    fn line(&mut self, line: &[u8], place: &Place<'_>) -> Result<(), Failure> {
        let here = |message: &str, hint: &str| Err(Failure::Here(Fault::new(message, hint)));
        if line.contains(&0) {
            // What stands behind it would be lost without a word.
            return here(
                "A configuration line holds a NUL byte",
                "Is this a text file? A value may have \"\\x00\" in quotes.",
            );
        }
        let Some(words) = split_args(line) else {
            return here(
                "Unbalanced quotes in configuration line",
                "A quoted value ends with the quote it began with, and a blank follows.",
            );
        };
        let Some((name, args)) = words.split_first() else { return Ok(()) };
        if let Some((row, _)) = find(name) {
            self.row(row, args).map_err(Failure::Here)?;
            self.refused.retain(|(name, _)| *name != row.name);
            self.lines.set_at(row, place);
            let missing = |message| Failure::Unless(row.name, Fault::of_row(row, message));
            return row.check_capability(&self.settings).map_err(missing);
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if args.len() == 1 && FORGOTTEN.contains(&name.as_str()) {
            return Ok(());
        }
        self.directive(&name, args, place)
    }

    fn row(&mut self, row: &'static Row, args: &[Vec<u8>]) -> Result<(), Fault> {
        let multi = row.flags.has(Flags::MULTI);
        if !multi && args.len() != 1 {
            return Err(Fault::of_row(row, "wrong number of arguments".into()));
        }
        let how = How::Load { first: !self.seen.contains(&row.name) };
        // One argument with blanks in it stands for several, as in `--save "900 1"`.
        let split = match args {
            [one] if multi && !one.is_empty() => Some(
                split_args(one)
                    .ok_or_else(|| Fault::of_row(row, "Unbalanced quotes in configuration line".into()))?,
            ),
            _ => None,
        };
        let args = split.as_deref().unwrap_or(args);
        row.set(&mut self.settings, args, how).map_err(|message| Fault::of_row(row, message))?;
        if matches!(how, How::Load { first: true }) {
            self.seen.push(row.name);
        }
        Ok(())
    }

    /// Directives that are no settings: they act while a file is read.
    fn directive(&mut self, name: &str, args: &[Vec<u8>], place: &Place<'_>) -> Result<(), Failure> {
        let missing = |what: &str, instead: &str| {
            Err(Failure::Here(Fault::new(format!("this server does not have {what} yet"), instead)))
        };
        match (name, args.len()) {
            ("include", 1) => self.include(&args[0]),
            ("user", 1..) => self.user(args, place).map_err(Failure::Here),
            ("loadmodule", 1..) => missing("modules", "Drop this line."),
            ("rename-command", 2) => {
                let (from, to) = (args[0].clone(), args[1].clone());
                self.lines.renames.push(Rename { from, to, place: place.shown() });
                Ok(())
            }
            ("rename-command", _) => Err(Failure::Here(Fault::new(
                "Bad directive or wrong number of arguments",
                "It takes two names: rename-command <command> <new name>. The new name \"\" takes the command away.",
            ))),
            ("sentinel", 0) => missing("Sentinel mode", "Drop this option."),
            ("sentinel", _) => Err(Failure::Here(Fault::new(
                "sentinel directive while not in sentinel mode",
                "This server does not have Sentinel mode yet.",
            ))),
            (name, 0) if name.contains('.') => Err(Failure::Here(Fault::new(
                "Module config specified without value",
                as_two_words(name)
                    .unwrap_or_else(|| "This server does not have modules yet. Drop this line.".to_owned()),
            ))),
            (name, _) if name.contains('.') && !name.contains('=') => {
                missing("modules", "A name with a dot belongs to a module. Drop this line.")
            }
            _ => Err(Failure::Here(Fault::unknown(name))),
        }
    }

    /// `user alice on >secret ~k* +@read`: the rules are tried at once, but for the names of commands, which
    /// are not known here.
    fn user(&mut self, args: &[Vec<u8>], place: &Place<'_>) -> Result<(), Fault> {
        let refused = |word: &[u8], text: &str| {
            // The rule that is wrong; Redis names the word two places before it.
            let shown = String::from_utf8_lossy(if is_secret(word) { HIDDEN } else { word });
            Fault::new(format!("Error in user declaration '{shown}': {text}"), USER_RULES)
        };
        let [name, words @ ..] = args else { return Ok(()) };
        if self.lines.users.iter().any(|known| known.definition.name == *name) {
            let text = "Duplicate user found. A user can only be defined once in config files";
            return Err(refused(name, text));
        }
        let rules = join_selectors(words).map_err(|at| refused(&words[at], "Unmatched parenthesis"))?;
        let reading = Rules { catalog: &Catalog::default(), all_channels: false };
        let mut tried = User::new(name, 0, false);
        for rule in &rules {
            match tried.apply(&reading, rule) {
                Ok(()) | Err(RuleError::Unknown) => {}
                Err(error) => return Err(refused(rule, error.text())),
            }
        }
        let definition = Definition { name: name.clone(), rules };
        self.lines.users.push(DeclaredUser { definition, place: place.shown() });
        Ok(())
    }

    fn include(&mut self, pattern: &[u8]) -> Result<(), Failure> {
        let pattern = String::from_utf8_lossy(pattern);
        if !self.files {
            return Err(Failure::Here(Fault::new(
                "include is not possible here",
                "This text is read without opening files.",
            )));
        }
        if self.depth == MAX_INCLUDE_DEPTH {
            let hint = format!(
                "At most {MAX_INCLUDE_DEPTH} files may include one another. Does a file include itself?"
            );
            return Err(Failure::Here(Fault::new("Too many nested includes", hint)));
        }
        let folder = self.settings.dir.clone();
        self.depth += 1;
        let result = include::expand(&folder, &pattern).iter().try_for_each(|path| self.included(path));
        self.depth -= 1;
        result
    }

    fn included(&mut self, path: &Path) -> Result<(), Failure> {
        // The fault is in the line that names it.
        let hint = "A pattern that matches nothing is no error; a file that is named has to be there.";
        let text = read(path).map_err(|message| Failure::Here(Fault::new(message, hint)))?;
        self.text(Source::File(&path.display().to_string()), &text).map_err(Failure::Below)
    }

    /// The settings as they stand when everything has been read, if all of them can be had.
    pub(super) fn settled(&self) -> Result<&Settings, StartupError> {
        match self.refused.first() {
            Some((_, error)) => Err(error.clone()),
            None => Ok(&self.settings),
        }
    }

    /// As [`Loader::settled`], with what Redis checks then: that the log file can be written.
    pub(super) fn finish(self) -> Result<(Settings, Lines), StartupError> {
        self.settled()?;
        let log = &self.settings.logfile;
        if !log.is_empty() {
            let path = self.settings.dir.join(log);
            let opened = std::fs::OpenOptions::new().append(true).create(true).open(&path);
            opened.map_err(|error| {
                let fault = Fault::new(
                    format!("Can't open the log file: {}", reason(&error)),
                    format!(
                        "logfile is {}; the server must be able to create and extend it.",
                        path.display()
                    ),
                );
                StartupError::where_it_was(&self.lines.place_of("logfile"), &fault)
            })?;
        }
        Ok((self.settings, self.lines))
    }
}

/// A file's text, or why it cannot be read.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        format!("Fatal error, can't open config file '{}': {}", path.display(), reason(&error))
    })
}

/// A line as it may be shown: of a user's without the rules that are passwords.
fn shown(line: &[u8]) -> Cow<'_, [u8]> {
    let is_user = line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"user "));
    if !is_user {
        return Cow::Borrowed(line);
    }
    match split_args(line) {
        Some(words) => {
            let words: Vec<&[u8]> =
                words.iter().map(|word| if is_secret(word) { HIDDEN } else { word }).collect();
            Cow::Owned(words.join(&b' '))
        }
        // Where a password begins and ends is not known.
        None => Cow::Borrowed(&line[..4]),
    }
}

/// What stands for a password in messages.
const HIDDEN: &[u8] = b"(hidden)";

/// Whether this word of a user's rules is a password or the hash of one.
fn is_secret(word: &[u8]) -> bool {
    matches!(word.first(), Some(b'>' | b'<' | b'#' | b'!'))
}

/// Reads configuration text as if it came from standard input, without opening any file.
///
/// # Errors
/// The message with which a start would end; `include` is refused.
pub fn check_text(text: &[u8]) -> Result<Settings, StartupError> {
    let mut loader = Loader::new(Settings::default(), false);
    loader.text(Source::Stdin, text)?;
    loader.settled().cloned()
}
