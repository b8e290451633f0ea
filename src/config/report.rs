//! `glasswing --check-config FILE`: what of a Redis's file is honoured here, what is stored only, what is refused.

use super::error::StartupError;
use super::load::{DeclaredUser, Loader, Rename};
use super::row::{Flags, Row, find};
use super::start::defaults;
use super::table::Settings;
use std::path::{Path, PathBuf};

/// Why a setting that nothing reads may be passed over, by how its name begins; the first that fits counts.
const REASONS: &[(&str, &str)] = &[
    ("active-defrag-", "activedefrag yes would be refused"),
    ("bind-source-addr", "replicaof would be refused"),
    ("cluster-", "cluster-enabled yes would be refused"),
    ("master", "replicaof would be refused"),
    ("rdb-del-sync-files", "replicaof would be refused"),
    ("repl", "replicaof would be refused"),
    ("syslog-", "syslog-enabled yes would be refused"),
    ("io-threads", "workers says how many threads serve"),
    ("", "it tunes how Redis works inside; no reply depends on it"),
];

/// The widest line of names.
const WIDTH: usize = 100;

/// What was found in a file, all of it and not only the first fault.
#[derive(Debug)]
pub struct Report {
    file: PathBuf,
    settings: Settings,
    /// Rows in the order of their last lines.
    rows: Vec<&'static Row>,
    users: Vec<DeclaredUser>,
    renames: Vec<Rename>,
    refused: Vec<StartupError>,
}

impl Report {
    /// Reads a file and those that it includes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(file: &Path) -> Result<Self, StartupError> {
        let mut loader = Loader::new(defaults()?, true).forgiving();
        loader.file(file)?;
        let (settings, lines, refused) = loader.into_parts();
        let rows = lines.places.iter().filter_map(|(name, _)| Some(find(name.as_bytes())?.0)).collect();
        let (users, renames) = (lines.users, lines.renames);
        Ok(Report { file: file.to_path_buf(), settings, rows, users, renames, refused })
    }

    /// The lines that rename commands: which commands there are is known elsewhere.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// The users that lines declare: whether there are the commands of their rules is known elsewhere.
    pub fn declared_users(&self) -> &[DeclaredUser] {
        &self.users
    }

    /// Adds what somebody else refuses.
    pub fn refuse(&mut self, errors: Vec<StartupError>) {
        self.refused.extend(errors);
    }

    /// Whether a server starts with the file.
    pub fn is_well(&self) -> bool {
        self.refused.is_empty()
    }

    fn stored(&self) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().copied().filter(|row| row.flags.has(Flags::STORED))
    }

    /// Rows that count here. What needs an absent capability and is at its off value counts as well: it says no.
    fn honoured(&self) -> Vec<&'static str> {
        self.rows.iter().filter(|row| !row.flags.has(Flags::STORED)).map(|row| row.name).collect()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (honoured, stored) = (self.honoured(), self.stored().count());
        writeln!(f, "{}", self.file.display())?;
        writeln!(f, "\nHonoured ({})", honoured.len())?;
        wrapped(f, &honoured)?;
        let (users, renames) = (self.users.len(), self.renames.len());
        if users + renames > 0 {
            writeln!(f, "  users: {users}, renamed commands: {renames}")?;
        }
        writeln!(f, "\nStored only ({stored}): kept and shown as in Redis, and read by nothing here")?;
        for row in self.stored() {
            let changed =
                if (row.same)(&self.settings, &Settings::default()) { "" } else { " (not the default)" };
            writeln!(f, "  {} {}{changed}", row.name, row.public_text(&self.settings))?;
            let why =
                REASONS.iter().find(|(prefix, _)| row.name.starts_with(prefix)).map_or("", |(_, why)| why);
            writeln!(f, "      {} Safe to pass over: {why}.", row.doc)?;
        }
        writeln!(f, "\nRefused ({})", self.refused.len())?;
        for error in &self.refused {
            // Without the headline that all have.
            for line in error.to_string().lines().skip(2) {
                writeln!(f, "  {line}")?;
            }
            writeln!(f)?;
        }
        match self.is_well() {
            true => writeln!(f, "\nA server starts with this file. (Files that it names were not opened.)"),
            false => writeln!(f, "No server starts with this file before what is refused is mended."),
        }
    }
}

/// Names, as many on a line as fit.
fn wrapped(f: &mut std::fmt::Formatter<'_>, names: &[&str]) -> std::fmt::Result {
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && line.len() + name.len() + 3 > WIDTH {
            writeln!(f, "  {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
    }
    if line.is_empty() { Ok(()) } else { writeln!(f, "  {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_file_is_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let included = folder.path().join("more.conf");
        std::fs::write(&included, "hz 0x\nmaxclients 50\n").expect("a file");
        let file = folder.path().join("redis.conf");
        let text = format!(
            "port 7000\nlist-compress-depth 1\nio-threads 1\ncluster-enabled yes\nprot 1\nuser ann on nopass\n\
             rename-command KEYS \"\"\ninclude {}\nappendonly yes\nreplicaof 127.0.0.1 1\nreplicaof no one\n",
            included.display()
        );
        std::fs::write(&file, text).expect("a file");
        let report = Report::of(&file).expect("it can be read");
        assert!(!report.is_well());
        assert_eq!(report.renames().len(), 1);
        let text = report.to_string();
        for words in [
            "Honoured (4)\n  port maxclients appendonly replicaof\n  users: 1, renamed commands: 1\n",
            "Stored only (2)",
            "  list-compress-depth 1 (not the default)\n",
            "  io-threads 1\n",
            "Refused (3)",
            "at line 4\n  >>> 'cluster-enabled yes'",
            "'prot 1'",
            "more.conf, line 1.",
            "No server starts",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        std::fs::write(&file, "port 7000\n").expect("a file");
        let report = Report::of(&file).expect("it can be read");
        assert!(report.is_well() && report.to_string().contains("\nA server starts with this file. "));
        assert!(Report::of(&folder.path().join("none")).is_err());
    }
}
