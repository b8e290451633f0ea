//! What the program does besides serving: one row a tool, and its readers.
//!
//! [`TOOLS`] holds the rows. The parser ([`Tool::take`]), each tool's `--help`, the program's `--help`, the man page
//! and the completions of shells are all made from them, so that none can say what another does not. What never lives
//! here is what a tool does: it is named by a [`Startup`], and done by whoever started.
//!
//! In reading order: this file says what a row is and reads arguments by it, `rows` lists the tools, `manual` writes
//! the man page, `shells` the completions.

mod manual;
mod rows;
mod shells;

pub use rows::{CheckArgs, ConvertArgs, HealthcheckArgs, RestoreArgs};
pub(super) use rows::{EXAMPLES, TOOLS, VARIABLES};

use super::error::StartupError;
use super::start::Startup;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// How wide text for a terminal gets.
const WIDTH: usize = 79;

/// Names and values of the environment.
type Variables = [(String, String)];

/// Says what arguments ask for that fit a tool's row.
type Read = fn(&Tool, Given, &Variables) -> Result<Startup, StartupError>;

/// A word that stands first on the command line and makes the program do something else than serve.
pub(super) struct Tool {
    /// The word.
    pub(super) name: &'static str,
    /// A short form.
    pub(super) alias: Option<&'static str>,
    /// What may stand behind it and begins with `--`.
    pub(super) options: &'static [Item],
    /// What else may stand behind it.
    pub(super) operands: &'static [Item],
    /// One line.
    pub(super) summary: &'static str,
    /// All there is to say, but for options and operands.
    pub(super) about: &'static str,
    /// What the arguments ask for.
    read: Read,
}

/// An option or an operand.
pub(super) struct Item {
    /// `--fix`, or what an operand is called where usage is shown.
    pub(super) name: &'static str,
    /// What may be written: of an option, as its value.
    pub(super) value: Value,
    /// Whether it may be left out.
    pub(super) optional: bool,
    /// What it is.
    pub(super) doc: &'static str,
    /// Forms that it may have, and what each means.
    pub(super) forms: &'static [(&'static str, &'static str)],
}

impl Item {
    /// An option without a value, of which nothing is said yet.
    pub(super) const BASE: Item =
        Item { name: "", value: Value::Nothing, optional: true, doc: "", forms: &[] };

    /// As it is written: `--url URL`.
    pub(super) fn shown(&self) -> String {
        match self.value {
            Value::Text(word) if self.name.starts_with('-') => format!("{} {word}", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Whether it may be given again and again.
    fn repeats(&self) -> bool {
        self.name.ends_with("...")
    }
}

/// What may be written for an option's value, or as an operand. Completions go by it.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// An option that has none.
    Nothing,
    /// Something that cannot be listed; in usage it is called this.
    Text(&'static str),
    /// A file or a folder.
    File,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Whatever a server is started with.
    OfServer,
}

/// Arguments, taken apart by a tool's row.
#[derive(Default)]
pub(super) struct Given {
    options: Vec<(&'static str, String)>,
    operands: Vec<OsString>,
}

impl Given {
    /// The value of an option; the last one counts. An option without a value has an empty one.
    fn option(&self, name: &str) -> Option<&str> {
        let mut from_last = self.options.iter().rev();
        from_last.find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// The tool that the first argument names.
pub(super) fn named(first: &OsStr) -> Option<&'static Tool> {
    let is = |name: &str| name.as_bytes() == first.as_bytes();
    TOOLS.iter().find(|tool| is(tool.name) || tool.alias.is_some_and(is))
}

impl Tool {
    /// What its arguments ask for, which are those behind its name.
    pub(super) fn startup(&self, args: &[OsString], env: &Variables) -> Result<Startup, StartupError> {
        match self.take(args)? {
            Some(given) => (self.read)(self, given, env),
            None => Ok(Startup::Print(self.help())),
        }
    }

    /// Takes arguments apart: `--name value` and `--name=value`, and the rest; None when help is asked for.
    fn take(&self, args: &[OsString]) -> Result<Option<Given>, StartupError> {
        let passes_on = self.operands.iter().any(|operand| matches!(operand.value, Value::OfServer));
        let mut given = Given::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let word = arg.to_string_lossy();
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&*word, None),
            };
            if matches!(&*word, "-h" | "--help") {
                return Ok(None);
            }
            let value = match self.options.iter().find(|option| option.name == name) {
                Some(Item { value: Value::Nothing, name, .. }) if inline.is_none() => {
                    Some((*name, String::new()))
                }
                Some(Item { value: Value::Nothing, .. }) => None,
                Some(option) => {
                    let next = || rest.next().map(|next| next.to_string_lossy().into_owned());
                    let value = inline.or_else(next);
                    let wanted = || self.refused(&format!("{} is needed behind it.", option.shown()));
                    Some((option.name, value.ok_or_else(wanted)?))
                }
                None => None,
            };
            match value {
                Some(option) => given.options.push(option),
                None if word.starts_with("--") && !passes_on => {
                    return Err(self.refused(&format!("'{word}' is not understood.")));
                }
                None => given.operands.push(arg.clone()),
            }
        }
        let needed = self.operands.iter().filter(|operand| !operand.optional).count();
        let endless = self.operands.iter().any(|operand| operand.repeats() || passes_on);
        let lacks = self.options.iter().any(|option| !option.optional && given.option(option.name).is_none());
        if given.operands.len() < needed || lacks {
            return Err(StartupError::plain(self.help()));
        }
        if let Some(extra) = given.operands.get(self.operands.len()).filter(|_| !endless) {
            return Err(self.refused(&format!("'{}' is not understood.", extra.to_string_lossy())));
        }
        Ok(Some(given))
    }

    /// Why its arguments are none, with how they should be.
    fn refused(&self, why: &str) -> StartupError {
        StartupError::plain(format!("glasswing {}: {why}\n{}", self.name, self.help()))
    }

    /// How it is called.
    pub(super) fn usage(&self) -> String {
        let mut usage = format!("glasswing {}", self.name);
        for item in self.options.iter().chain(self.operands) {
            let shown = item.shown();
            usage += &if item.optional { format!(" [{shown}]") } else { format!(" {shown}") };
        }
        usage
    }

    /// The text of its `--help`.
    fn help(&self) -> String {
        let mut text = format!("Usage: {}\n\n{}", self.usage(), filled(self.about, 0));
        let items = || self.options.iter().chain(self.operands).filter(|item| !item.doc.is_empty());
        let widest = items().map(|item| item.shown().len()).max().unwrap_or(0);
        for (nth, item) in items().enumerate() {
            text += if nth == 0 { "\n" } else { "" };
            text += &beside(&item.shown(), item.doc, 2, widest);
            let of_forms = item.forms.iter().map(|(form, _)| form.len()).max().unwrap_or(0);
            text.extend(item.forms.iter().map(|(form, means)| beside(form, means, widest + 6, of_forms)));
        }
        text
    }
}

/// `word  text`, where the text goes on below itself.
pub(super) fn beside(word: &str, text: &str, indent: usize, widest: usize) -> String {
    let text = filled(text, indent + widest + 2);
    format!("{:indent$}{word:widest$}  {}", "", text.trim_start())
}

/// Text in lines that fit a terminal.
pub(super) fn filled(text: &str, indent: usize) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.len() + 1 + word.len() > WIDTH {
            lines += &format!("{:indent$}{line}\n", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if !line.is_empty() {
        lines += &format!("{:indent$}{line}\n", "");
    }
    lines
}
