//! What people read: `--help`, `--version` and the page of all settings.

use super::row::{Flags, Row, find};
use super::table::ROWS;
use super::tools::{EXAMPLES, TOOLS, beside};

/// The settings that most people need, in the order of the help text.
const OFTEN_USED: &[(&str, &[&str])] = &[
    ("Network", &["port", "bind", "protected-mode", "requirepass", "maxclients"]),
    ("Data", &["dir", "dbfilename", "save"]),
    ("Server", &["workers", "loglevel", "log-format", "admin-port"]),
];

/// What a server is started with.
pub(super) const SERVER: &str = "glasswing [/path/to/redis.conf] [--setting value ...] [-]";

const SOURCES: &str = "  A file is read first, then standard input (-), then the options.
  Every setting of redis.conf is an option (--port 7000) and an
  environment variable (GLASSWING_PORT=7000), which a file overrides.
";

/// The text of `--help`.
pub fn help_text() -> String {
    let mut text = String::from(
        "Glasswing: a Redis-compatible in-memory server that you can see through.\n\
         It speaks Redis's protocol on port 6379 and shows its health, metrics and\n\
         saves over HTTP on port 8080.\n\n",
    );
    text += &format!("Usage\n  {SERVER}\n");
    text.extend(TOOLS.iter().map(|tool| format!("  {}\n", tool.usage())));
    text += "\n";
    let widest = TOOLS.iter().map(|tool| tool.name.len()).max().unwrap_or(0);
    text.extend(TOOLS.iter().map(|tool| beside(tool.name, tool.summary, 2, widest)));
    text += "\n";
    text += SOURCES;
    text += "\nOften used\n";
    for (group, names) in OFTEN_USED {
        text += &format!("  {group}\n");
        for (row, _) in names.iter().filter_map(|name| find(name.as_bytes())) {
            let (doc, default) = (row.explanation(), row.default_words());
            text += &format!("    --{:<16} {doc}\n{:22} Default: {default}\n", row.name, "");
        }
    }
    text += "\n";
    text += "Examples\n";
    text.extend(EXAMPLES.iter().map(|(line, _)| format!("  {line}\n")));
    text += "\nAll settings: man glasswing, docs/configuration.md, or CONFIG GET * on a running server.\n";
    text
}

/// The line of `--version`.
pub fn version_text() -> String {
    let (version, bits) = (env!("CARGO_PKG_VERSION"), usize::BITS);
    format!("Glasswing v={version} redis_version={} malloc=jemalloc bits={bits}\n", super::REDIS_VERSION)
}

const PAGE_HEAD: &str = "\
# Configuration

This page is made from the table of settings in `src/config/table`; a test fails when it is stale
(`UPDATE_DOCS=1 cargo test --lib config::help` writes it anew).

Settings come from, later ones winning: the defaults below, environment variables (`GLASSWING_PORT=7000` for
`port`; a `-` becomes `_`), the file named as the first argument, standard input when `-` is given, and options
(`--port 7000`). A file may `include` others, also by a pattern such as `/etc/glasswing/*.conf`.
`GLASSWING_ADMIN_TOKEN` is not a setting but the bearer token of the admin port.

`CONFIG SET` changes what is marked *at run time*. `CONFIG REWRITE` writes what holds now to the file that the
server was started with, and keeps its comments and order. Memory values take units: `1k` is 1000 bytes, `1kb`
is 1024, likewise `m`, `mb`, `g` and `gb`.

A setting with a limit in its last column needs something that this server does not have yet: any other value is
refused at start and by `CONFIG SET`. \"Stored only\" says that nothing reads the value: it tunes a part of Redis that
is not here or does not need it, so a Redis's file goes through, and the log names those that are not at their
default. `loadmodule` and `sentinel` lines are refused.

`rename-command NAME NEWNAME` calls a command otherwise, and not at all if the new name is `\"\"`.
";

/// The page `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = PAGE_HEAD.to_owned();
    let mut group = "";
    for row in ROWS.iter().filter(|row| !row.flags.has(Flags::HIDDEN)) {
        if row.group != group {
            group = row.group;
            page += &format!(
                "\n## {group}\n\n| setting | default | value | changed | what it is |\n|---|---|---|---|---|\n"
            );
        }
        page += &table_line(row);
    }
    page
}

fn table_line(row: &Row) -> String {
    let alias = row.alias.map(|alias| format!(" (also `{alias}`)")).unwrap_or_default();
    let ours = if row.flags.has(Flags::OURS) { " *(Glasswing)*" } else { "" };
    let changed = match row.flags {
        flags if flags.has(Flags::IMMUTABLE) => "at start",
        flags if flags.has(Flags::PROTECTED) => "at run time, if `enable-protected-configs` allows",
        _ => "at run time",
    };
    let needs = row.requires.filter(|requires| !requires.capability.present()).map(|requires| {
        let off: Vec<String> = requires.off.iter().map(|off| format!("`{}`", quoted(off))).collect();
        format!(" Only {} until {} is there.", off.join(", "), requires.capability.words())
    });
    let (default, kind) = (row.default_words(), row.kind.words());
    let cells = [
        format!("`{}`{alias}{ours}", row.name),
        format!("`{default}`"),
        kind,
        changed.into(),
        format!("{}{}", row.explanation(), needs.unwrap_or_default()),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|").replace('<', "\\<")).join(" | "))
}

fn quoted(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_a_dozen_settings_and_fits_a_terminal() {
        let text = help_text();
        assert_eq!(
            text.matches("    --").count(),
            OFTEN_USED.iter().map(|(_, names)| names.len()).sum::<usize>()
        );
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{long:?}");
    }

    #[test]
    fn version_is_one_line() {
        assert!(version_text().starts_with("Glasswing v=") && version_text().lines().count() == 1);
        assert!(version_text().contains("redis_version=7.0.15"));
    }

    #[test]
    fn the_page_of_settings_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).expect("docs");
            std::fs::write(path, markdown()).expect("page");
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/configuration.md is stale: UPDATE_DOCS=1 cargo test --lib config::help"
        );
    }
}
