//! What a row says: names, kind, flags, and the capability that a setting needs.

use super::table::Settings;

const KB: u64 = 1024;

/// How a row reads arguments into its field.
type Update = fn(&mut Settings, &Kind, &[Vec<u8>], How) -> Result<(), String>;

/// One setting. Every reader (files, command line, environment, CONFIG, help, docs) works from this.
pub struct Row {
    /// The name, as CONFIG GET prints it.
    pub name: &'static str,
    /// A second, older name that means the same.
    pub alias: Option<&'static str>,
    /// The chapter of the documentation it stands in.
    pub group: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// What may be done with it.
    pub flags: Flags,
    /// The capability without which only some values are accepted.
    pub requires: Option<Requires>,
    /// One line of explanation; [`Row::explanation`] has all there is to say.
    pub doc: &'static str,
    /// Changes the typed field from arguments; on an error the field may be half changed (work on a copy).
    pub(super) update: Update,
    /// The value as CONFIG GET shows it.
    pub(super) show: fn(&Settings, &Kind) -> Vec<u8>,
    /// The lines of a file that stand for the value, the defaults being given second.
    pub(super) lines: fn(&Settings, &Settings, &Row) -> Vec<Line>,
    /// Whether two configurations agree on this setting.
    pub(super) same: fn(&Settings, &Settings) -> bool,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl Row {
    /// The value as CONFIG GET shows it; bytes that are not UTF-8 become replacement characters.
    pub fn text(&self, settings: &Settings) -> String {
        String::from_utf8_lossy(&(self.show)(settings, &self.kind)).into_owned()
    }

    /// As [`Row::text`], with the value of a secret that is set hidden.
    pub fn public_text(&self, settings: &Settings) -> String {
        let text = self.text(settings);
        if self.flags.has(Flags::SECRET) && !text.is_empty() { "(hidden)".into() } else { text }
    }

    /// Parses `args` into the setting's field and refuses what needs an absent capability.
    pub(super) fn parse(&self, settings: &mut Settings, args: &[Vec<u8>], how: How) -> Result<(), String> {
        self.set(settings, args, how)?;
        self.check_capability(settings)
    }

    /// Parses `args` into the setting's field.
    pub(super) fn set(&self, settings: &mut Settings, args: &[Vec<u8>], how: How) -> Result<(), String> {
        (self.update)(settings, &self.kind, args, how)
    }

    /// Refuses a value that needs an absent capability.
    pub(super) fn check_capability(&self, settings: &Settings) -> Result<(), String> {
        let Some(requires) = &self.requires else { return Ok(()) };
        if requires.capability.present() {
            return Ok(());
        }
        let value = self.text(settings);
        if requires.off.contains(&value.as_str()) { Ok(()) } else { Err(requires.refusal()) }
    }

    /// One line about what is accepted, for messages.
    pub fn usage(&self) -> String {
        format!(
            "'{}' takes {} (default: {}). {}",
            self.name,
            self.kind.words(),
            self.default_words(),
            self.explanation()
        )
    }

    /// What it is, and whether it does nothing here.
    pub fn explanation(&self) -> String {
        format!("{}{}", self.doc, if self.flags.has(Flags::STORED) { " Stored only." } else { "" })
    }

    /// The default value in words for people: an empty one is shown as `""`.
    pub fn default_words(&self) -> String {
        let text = self.text(&Settings::default());
        if text.is_empty() { "\"\"".into() } else { text }
    }
}

/// Finds a row by name or alias, without regard to case, and tells the name under which it was found.
pub fn find(name: &[u8]) -> Option<(&'static Row, &'static str)> {
    super::table::ROWS.iter().find_map(|row| {
        let known = [Some(row.name), row.alias];
        let hit = known.into_iter().flatten().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some((row, hit))
    })
}

/// When a value is read: `save` lines of a file add up, CONFIG SET replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// CONFIG SET and the environment: the value replaces the old one.
    Set,
    /// A line of a file or of the command line; `first` for the first of its name.
    Load {
        /// No line of this name was read before.
        first: bool,
    },
}

/// One line of a rewritten file. An unforced line is written only where the old file had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The whole line without its end.
    pub text: Vec<u8>,
    /// Written even when the old file does not mention the setting.
    pub forced: bool,
}

/// A set of [`Row`] properties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u16);

impl Flags {
    /// No property.
    pub const NONE: Flags = Flags(0);
    /// Fixed at start: CONFIG SET refuses it.
    pub const IMMUTABLE: Flags = Flags(1);
    /// CONFIG GET shows it only when asked by its exact name.
    pub const HIDDEN: Flags = Flags(1 << 1);
    /// Never shown on the admin port, in logs or in the slow log.
    pub const SECRET: Flags = Flags(1 << 2);
    /// Takes several values on one line.
    pub const MULTI: Flags = Flags(1 << 3);
    /// CONFIG SET refuses it while the data set is being loaded.
    pub const DENY_LOADING: Flags = Flags(1 << 4);
    /// CONFIG SET obeys `enable-protected-configs`.
    pub const PROTECTED: Flags = Flags(1 << 5);
    /// A change must be carried out by the caller of CONFIG SET (listeners, folders, limits of the system);
    /// without it, whoever reads the settings next sees the new value and nothing else is needed.
    pub const APPLIED: Flags = Flags(1 << 6);
    /// The value names a file whose content counts: CONFIG SET of the same value is a change.
    pub const VOLATILE: Flags = Flags(1 << 8);
    /// A directive of ours that Redis does not know.
    pub const OURS: Flags = Flags(1 << 7);

    /// Accepted and shown as Redis does, and nothing reads it: what it tunes is not here.
    pub const STORED: Flags = Flags(1 << 9);

    /// Both sets together.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether every property of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Something that Redis can do and that a setting would promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Capability {
    Acl,
    ActiveDefrag,
    AppendOnlyFile,
    ClientEviction,
    Cluster,
    CpuAffinity,
    MaxMemory,
    Replication,
    SocketMark,
    Syslog,
    Watchdog,
}

impl Capability {
    /// Whether this server has it. The one list to change when a capability arrives.
    pub const fn present(self) -> bool {
        match self {
            Capability::Acl | Capability::AppendOnlyFile => true,
            Capability::ActiveDefrag
            | Capability::Cluster
            | Capability::CpuAffinity
            | Capability::Replication
            | Capability::SocketMark
            | Capability::Syslog
            | Capability::Watchdog => false,
            Capability::MaxMemory | Capability::ClientEviction => true,
        }
    }

    /// Its name in a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Capability::Acl => "access control lists (ACL users and files)",
            Capability::ActiveDefrag => "active defragmentation",
            Capability::AppendOnlyFile => "the append-only file",
            Capability::ClientEviction => "the eviction of clients by memory",
            Capability::Cluster => "cluster mode",
            Capability::CpuAffinity => "pinning threads to processors (use taskset or a cpuset)",
            Capability::MaxMemory => "a memory limit with eviction",
            Capability::Replication => "the role of a replica",
            Capability::SocketMark => "marking sockets for the packet filter",
            Capability::Syslog => "logging to syslog",
            Capability::Watchdog => "the software watchdog",
        }
    }
}

/// The values that promise nothing, accepted while the capability is not there.
#[derive(Clone, Copy, Debug)]
pub struct Requires {
    /// What any other value would promise.
    pub capability: Capability,
    /// The accepted values, in CONFIG GET's form.
    pub off: &'static [&'static str],
}

impl Requires {
    /// Why a value was refused and what is accepted.
    pub fn refusal(&self) -> String {
        let accepted: Vec<String> = self.off.iter().map(|value| format!("'{value}'")).collect();
        format!(
            "this server does not have {} yet; accepted here: {}",
            self.capability.words(),
            accepted.join(", ")
        )
    }
}

/// What a value looks like, with its bounds (inclusive).
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// A decimal integer.
    Integer {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// Accepted values outside these bounds are moved to them.
        cap: Option<(i128, i128)>,
    },
    /// A power of two.
    PowerOfTwo {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
    },
    /// Bytes, with units: `1k` is 1000, `1kb` is 1024, likewise `m`, `mb`, `g`, `gb`.
    Memory {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// Also `0%` to `100%`.
        percent: bool,
    },
    /// A permission mask in octal digits.
    Octal {
        /// Greatest value.
        max: i128,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Free text.
    Text {
        /// An empty value means that there is none, and is not written to a file.
        optional: bool,
        /// A further condition; the error is the whole message.
        check: fn(&str) -> Result<(), &'static str>,
    },
    /// A shape of its own, described in words.
    Shape(&'static str),
}

impl Kind {
    /// What is accepted, in words.
    pub fn words(&self) -> String {
        match self {
            Kind::YesNo => "yes or no".into(),
            Kind::Integer { min, max, .. } => format!("an integer from {min} to {max}"),
            Kind::PowerOfTwo { min, max } => format!("a power of two from {min} to {max}"),
            Kind::Memory { percent: true, .. } => "bytes (1kb, 1mb, 1gb) or a percentage up to 100%".into(),
            Kind::Memory { min, max, .. } => format!("bytes from {min} to {max} (1kb, 1mb, 1gb)"),
            Kind::Octal { max } => format!("an octal number from 0 to {max:o}"),
            Kind::OneOf(names) => format!("one of {}", names.join(", ")),
            Kind::Text { optional: true, .. } => "text, or \"\" for none".into(),
            Kind::Text { .. } => "text".into(),
            Kind::Shape(words) => (*words).into(),
        }
    }
}

/// Bytes with the largest unit that divides them, as CONFIG REWRITE writes them.
pub(super) fn memory_words(bytes: u64) -> String {
    for (unit, name) in [(KB * KB * KB, "gb"), (KB * KB, "mb"), (KB, "kb")] {
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}
