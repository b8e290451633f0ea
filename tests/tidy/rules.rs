//! The rules. What they allow stands in tables; an exception has its reason beside it.

use super::source::{Named, Source, Tree};

/// The rooms, and which other rooms each may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("data", &[]),
    ("resp", &[]),
    ("clock", &[]),
    ("strand", &[]),
    ("acl", &["data", "resp"]),
    ("config", &["acl", "data", "resp"]),
    ("observe", &["clock", "config"]),
    ("store", &["clock", "data"]),
    ("persist", &["data", "store"]),
    ("pubsub", &["data", "resp"]),
    ("replica", &[]),
    ("command", &["acl", "clock", "config", "data", "observe", "pubsub", "replica", "resp", "store"]),
    (
        "engine",
        &["acl", "clock", "command", "config", "data", "observe", "pubsub", "replica", "resp", "store"],
    ),
    ("script", &["acl", "clock", "command", "config", "data", "observe", "resp", "store", "strand"]),
    ("net", &["clock", "command", "config", "engine", "observe", "replica", "resp", "strand"]),
    ("admin", &["clock", "config", "observe"]),
    (
        "app",
        &[
            "acl", "admin", "clock", "command", "config", "data", "engine", "net", "observe", "persist",
            "pubsub", "replica", "resp", "script", "store",
        ],
    ),
    // The map of the crate and the program: they name rooms, and wire nothing.
    ("lib", &[]),
    ("main", &["app"]),
];

/// Packages that one room alone may name.
const HOMES: &[(&str, &str)] = &[
    ("dashmap", "store"),
    ("hashbrown", "store"),
    ("axum", "admin"),
    ("hyper", "admin"),
    ("hyper_util", "admin"),
    ("flate2", "admin"),
    ("tar", "admin"),
    ("prometheus", "observe"),
    ("framehop", "observe"),
    ("addr2line", "observe"),
    ("prost", "observe"),
    ("tracing_opentelemetry", "observe"),
    ("opentelemetry", "observe"),
    ("opentelemetry_sdk", "observe"),
    ("opentelemetry_otlp", "observe"),
    ("bincode", "persist"),
    ("mlua", "script"),
    ("corosensei", "strand"),
];

/// The packages that this project was asked to be built of, and the rooms in which each must do real work.
const GIVEN: &[(&str, &str)] = &[
    ("tokio", "net"),
    ("bytes", "resp"),
    ("bytes", "net"),
    ("dashmap", "store"),
    ("axum", "admin"),
    ("prometheus", "observe"),
    ("serde", "data"),
    ("serde", "persist"),
    ("bincode", "persist"),
    ("tracing_opentelemetry", "observe"),
];

/// Files outside `clock.rs` that may read the time, each with its reason.
const READS_TIME: &[(&str, &str)] = &[];

/// Files that may hold unsafe code.
const UNSAFE: &[(&str, &str)] = &[
    ("store/entry.rs", "one allocation holds the header, the key and the value"),
    ("store/shard.rs", "the raw table of a shard, whose lock the caller holds"),
    ("script/raw.rs", "redis.call on the C interface of Lua, whose errors jump over frames"),
    ("script/current.rs", "the context of the command that runs, reached from callbacks that outlive it"),
    ("strand.rs", "a stack of its own for work that borrows from its caller"),
    ("observe/profile/sampler.rs", "a handler of signals, and the registers that the kernel hands it"),
    ("app/title.rs", "the kernel is told where the process's title is"),
    ("store/prefetch.rs", "a hint to the processor about an address"),
];

/// Files past the limit of lines, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Past this many lines a file is cut by meaning.
const LINES: usize = 600;

/// Borders between the rooms.
pub fn borders(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let Some((_, may)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
            complaints.push(format!("{}: the room is not in the table of rooms", source.at(1)));
            continue;
        };
        for named in &source.named {
            let Some(room) = room_of(named) else { continue };
            if room != source.room() && !may.contains(&room) {
                complaints.push(format!("{}: {} may not see {room}", source.at(named.line), source.room()));
            }
        }
    }
    complaints
}

/// The room that a path leads to, when it leads to one.
fn room_of(named: &Named) -> Option<&str> {
    let ours = matches!(named.segments.first()?.as_str(), "crate" | "glasswing");
    let room = named.segments.get(1)?.as_str();
    (ours && ROOMS.iter().any(|(name, _)| *name == room)).then_some(room)
}

/// A family of `command`: a file, or a folder, with rows in it.
fn family_of(source: &Source) -> Option<&str> {
    let rest = source.path.strip_prefix("command/")?;
    Some(rest.split('/').next()?.trim_end_matches(".rs"))
}

/// Families never import each other. What is not a family is neutral ground.
pub fn families(tree: &Tree) -> Vec<String> {
    let families: Vec<&str> = tree
        .0
        .iter()
        .filter(|source| source.path != "command/row.rs" && has_rows(source))
        .filter_map(family_of)
        .collect();
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let Some(own) = family_of(source).filter(|own| families.contains(own)) else { continue };
        for named in &source.named {
            let path: Vec<&str> = named.segments.iter().map(String::as_str).collect();
            if let ["crate", "command", other, ..] = path[..]
                && other != own
                && families.contains(&other)
            {
                complaints
                    .push(format!("{}: the family {own} names the family {other}", source.at(named.line)));
            }
        }
    }
    complaints
}

fn has_rows(source: &Source) -> bool {
    source
        .named
        .iter()
        .any(|named| !named.test && named.segments.ends_with(&["Command".into(), "BASE".into()]))
}

/// A package is named only in its room.
pub fn packages(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.0 {
        for named in &source.named {
            let home = HOMES.iter().find(|(package, _)| named.segments[0] == *package);
            if let Some((package, home)) = home.filter(|(_, home)| *home != source.room()) {
                complaints.push(format!("{}: {package} belongs to {home}", source.at(named.line)));
            }
        }
    }
    complaints
}

/// Each given package is used, not only imported, in its room's own code, and more than in passing.
pub fn given_packages_work(tree: &Tree) -> Vec<String> {
    /// Names of the package that a room's code has to have.
    const WORTH_ITS_PLACE: usize = 3;
    GIVEN
        .iter()
        .filter(|(package, room)| {
            let sources = tree.0.iter().filter(|source| source.room() == *room);
            sources.map(|source| uses(source, package)).sum::<usize>() < WORTH_ITS_PLACE
        })
        .map(|(package, room)| format!("{package} does no work in src/{room}"))
        .collect()
}

/// How often a source's own code names what a package gives it, imports apart.
fn uses(source: &Source, package: &str) -> usize {
    let named = source.named.iter().filter(|named| !named.test && named.segments[0] == package);
    named
        .map(|named| match &named.local {
            None => 1,
            Some(local) => source.own_words().filter(|word| !word.import && word.text == *local).count(),
        })
        .sum()
}

/// The time is read in one file.
pub fn time(tree: &Tree) -> Vec<String> {
    const READERS: [&str; 5] = ["Instant", "SystemTime", "Timestamp", "Zoned", "Utc"];
    let mut complaints = Vec::new();
    for source in &tree.0 {
        if source.path == "clock.rs" || READS_TIME.iter().any(|(path, _)| *path == source.path) {
            continue;
        }
        for named in source.named.iter().filter(|named| !named.test) {
            let asks = |pair: &[String]| READERS.contains(&pair[0].as_str()) && pair[1] == "now";
            if named.segments.windows(2).any(asks) || named.segments[0] == "quanta" {
                complaints.push(format!("{}: only clock.rs reads the time", source.at(named.line)));
            }
        }
    }
    complaints
}

/// What matters about a command is a flag of its row: nobody compares its name.
///
/// In the rooms that run commands no `name` is compared at all; elsewhere in `command`, where clients have
/// names too, it is the full name, which only commands have.
pub fn names(tree: &Tree) -> Vec<String> {
    const COMPARES: [&str; 3] = ["==", "!=", "eq_ignore_ascii_case"];
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let asked: &[&str] = match source.room() {
            "engine" | "net" => &["name", "full_name"],
            "command" if source.path != "command/table.rs" => &["full_name"],
            _ => continue,
        };
        let words: Vec<_> = source.own_words().collect();
        for (at, word) in words.iter().enumerate() {
            if !asked.contains(&word.text.as_str())
                || words.get(at.wrapping_sub(1)).is_none_or(|w| w.text != ".")
            {
                continue;
            }
            let after = words[at + 1..].iter().find(|next| !is_conversion(&next.text));
            let compared = after.is_some_and(|next| COMPARES.contains(&next.text.as_str()))
                || comparison_before(&words[..at], &COMPARES)
                || is_matched(&words, at);
            if compared {
                complaints.push(format!("{}: a command is asked for its name", source.at(word.line)));
            }
        }
    }
    complaints
}

/// `.as_bytes()` and its like between a name and what is done with it.
fn is_conversion(word: &str) -> bool {
    matches!(
        word,
        "." | "(" | ")" | "as_bytes" | "as_str" | "as_ref" | "to_ascii_lowercase" | "to_ascii_uppercase"
    )
}

/// Whether the path that ends before the name is the right side of a comparison: `x == self.row.`.
fn comparison_before(words: &[&super::source::Word], compares: &[&str]) -> bool {
    let is_path = |text: &str| text == "." || text == "&" || text.starts_with(|c: char| c.is_alphabetic());
    words
        .iter()
        .rev()
        .find(|word| !is_path(&word.text))
        .is_some_and(|word| compares.contains(&word.text.as_str()))
}

/// Whether the name is what a `match` looks at.
fn is_matched(words: &[&super::source::Word], at: usize) -> bool {
    let opens =
        words[at + 1..].iter().find(|next| !is_conversion(&next.text)).is_some_and(|next| next.text == "{");
    opens
        && words[..at]
            .iter()
            .rev()
            .take_while(|word| !matches!(word.text.as_str(), "{" | "}" | ";"))
            .any(|word| word.text == "match")
}

/// No `todo!`, no `unimplemented!`, no `unwrap()` in code that is not a test.
pub fn undone(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let words: Vec<_> = source.own_words().collect();
        for pair in words.windows(2) {
            let said = match (pair[0].text.as_str(), pair[1].text.as_str()) {
                (left @ ("todo" | "unimplemented" | "dbg"), "!") => format!("{left}!"),
                (".", right @ "unwrap") => format!("{right}()"),
                _ => continue,
            };
            complaints.push(format!("{}: {said} outside of tests", source.at(pair[0].line)));
        }
    }
    complaints
}

/// Unsafe code stands in the files of the table, each place under a `SAFETY` comment.
pub fn unsafe_code(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let lines: Vec<&str> = source.text.lines().collect();
        for word in source.own_words().filter(|word| word.text == "unsafe") {
            if !UNSAFE.iter().any(|(path, _)| *path == source.path) {
                complaints.push(format!("{}: unsafe code does not belong here", source.at(word.line)));
            } else if !explained(&lines, word.line - 1) {
                complaints.push(format!("{}: unsafe without a SAFETY comment", source.at(word.line)));
            }
        }
    }
    complaints
}

/// Whether the comment over the statement that holds this line, or a comment within it, says `SAFETY`; or the
/// documentation of a function, what its callers promise.
fn explained(lines: &[&str], at: usize) -> bool {
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let mut line = at;
    loop {
        if lines[line].contains("SAFETY") || lines[line].trim() == "/// # Safety" {
            return true;
        }
        if line == 0 {
            return false;
        }
        let above = lines[line - 1].trim();
        let ended = above.is_empty() || above.ends_with([';', '{', '}']);
        if !is_comment(above) && ended {
            return false;
        }
        line -= 1;
    }
}

/// Every room, and every folder within one, opens with what lives there.
pub fn introductions(tree: &Tree) -> Vec<String> {
    tree.0
        .iter()
        .filter(|source| source.path.ends_with("mod.rs") || !source.path.contains('/'))
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| format!("{}: opens without //! and what lives here", source.at(1)))
        .collect()
}

/// A file is one idea.
pub fn length(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.0 {
        let (lines, listed) =
            (source.text.lines().count(), LONG.iter().any(|(path, _)| *path == source.path));
        if lines > LINES && !listed {
            complaints.push(format!("{}: {lines} lines, more than {LINES}", source.at(lines)));
        }
        if lines <= LINES && listed {
            complaints.push(format!("{}: listed as long, and is not", source.at(1)));
        }
    }
    complaints
}
