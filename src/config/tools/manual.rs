//! The page for man, in the macros of man(7), which every formatter knows.

use super::super::help::SERVER;
use super::super::row::{Flags, Row};
use super::super::table::ROWS;
use super::{EXAMPLES, Item, TOOLS, Tool, VARIABLES};

const DESCRIPTION: &[&str] = &[
    "Serves Redis's protocol on port 6379, and its health, metrics and saves over HTTP on port 8080. Started with \
     nothing it loads the snapshot that it finds in the working folder.",
    "It is started as redis-server is: with a file of settings, and with options, which count more than the file. A \
     single - among them reads more settings from standard input, which count more than the file and less than the \
     options. A file that does not contain a slash and is called as one of the tools below is named with ./ before \
     it.",
];

const FILES: &[(&str, &str)] = &[
    ("glasswing.snapshot", "The snapshot, in the folder that dir names; dbfilename calls it otherwise."),
    ("appendonlydir/", "The append-only file, with appendonly yes."),
    ("/etc/glasswing/glasswing.conf", "The settings of the service, where it was installed from a package."),
    ("/etc/default/glasswing", "More options and variables of the service."),
    ("/var/lib/glasswing, /var/log/glasswing", "The service's data and its log."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Save where save points are set, and end; shutdown-on-sigterm and shutdown-on-sigint decide.",
    ),
    (
        "SIGHUP",
        "Say so in the log, which makes a log file anew that was moved away. It is not needed for that.",
    ),
];

const EXIT: &[(&str, &str)] = &[
    ("0", "The server ended as it was told to, or a tool found all well."),
    (
        "1",
        "It could not start, or what the log says went wrong; a tool found a fault, or its arguments were none.",
    ),
];

/// The page.
pub(super) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page =
        format!(".\\\" Made by: glasswing --generate man\n.TH GLASSWING 1 \"\" \"Glasswing {version}\"\n");
    section(&mut page, "NAME");
    // As whatis wants it: a phrase.
    let description = env!("CARGO_PKG_DESCRIPTION").replacen("A ", "a ", 1);
    line(&mut page, &format!("glasswing - {description}"));
    section(&mut page, "SYNOPSIS");
    page += ".nf\n";
    line(&mut page, SERVER);
    for tool in TOOLS {
        line(&mut page, &tool.usage());
    }
    page += ".fi\n";
    section(&mut page, "DESCRIPTION");
    for (nth, paragraph) in DESCRIPTION.iter().enumerate() {
        page += if nth == 0 { "" } else { ".PP\n" };
        line(&mut page, paragraph);
    }
    section(&mut page, "TOOLS");
    for tool in TOOLS {
        put_tool(&mut page, tool);
    }
    section(&mut page, "SETTINGS");
    line(
        &mut page,
        "Each is an option, and without the -- a line of a file. What is stored only is read by nothing: it tunes a \
         part of Redis that is not here.",
    );
    let mut group = "";
    for row in ROWS.iter().filter(|row| !row.flags.has(Flags::HIDDEN)) {
        if row.group != group {
            group = row.group;
            page += &format!(".SS {}\n", escaped(group));
        }
        put_setting(&mut page, row);
    }
    section(&mut page, "ENVIRONMENT");
    let of_settings = (
        "GLASSWING_PORT, GLASSWING_...",
        "Every setting is a variable, in capitals and with _ for -. Files and options count more.",
    );
    let traces = ("OTEL_...", "Where traces go, as OpenTelemetry names these variables.");
    list(&mut page, &[of_settings]);
    list(&mut page, VARIABLES);
    list(&mut page, &[traces]);
    for (title, entries) in [("FILES", FILES), ("SIGNALS", SIGNALS), ("EXIT STATUS", EXIT)] {
        section(&mut page, title);
        list(&mut page, entries);
    }
    section(&mut page, "EXAMPLES");
    list(&mut page, EXAMPLES);
    section(&mut page, "SEE ALSO");
    page += ".BR redis-cli (1),\n.BR systemctl (1)\n";
    page
}

fn put_tool(page: &mut String, tool: &Tool) {
    *page += &format!(".SS {}\n", escaped(tool.name));
    line(page, tool.about);
    if let Some(alias) = tool.alias {
        line(page, &format!("Its short form is {alias}."));
    }
    for item in tool.options.iter().chain(tool.operands).filter(|item| !item.doc.is_empty()) {
        put_item(page, item);
    }
}

fn put_item(page: &mut String, item: &Item) {
    entry(page, &item.shown(), item.doc);
    if !item.forms.is_empty() {
        *page += ".RS\n";
        list(page, item.forms);
        *page += ".RE\n";
    }
}

fn put_setting(page: &mut String, row: &Row) {
    let alias = row.alias.map(|alias| format!(" (or --{alias})")).unwrap_or_default();
    let ours = if row.flags.has(Flags::OURS) { " Redis does not have it." } else { "" };
    let needs = row.requires.filter(|requires| !requires.capability.present());
    let needs = needs
        .map(|requires| format!(" Only its default counts until {} is there.", requires.capability.words()));
    let text = format!(
        "{}{ours}{} Takes {}; {} if not given.",
        row.explanation(),
        needs.unwrap_or_default(),
        row.kind.words(),
        row.default_words()
    );
    entry(page, &format!("--{}{alias}", row.name), &text);
}

fn section(page: &mut String, title: &str) {
    *page += &format!(".SH {title}\n");
}

fn list(page: &mut String, entries: &[(&str, &str)]) {
    for (word, text) in entries {
        entry(page, word, text);
    }
}

/// A word in bold, and what it means, indented.
fn entry(page: &mut String, word: &str, text: &str) {
    *page += &format!(".TP\n\\fB{}\\fR\n", escaped(word));
    line(page, text);
}

fn line(page: &mut String, text: &str) {
    *page += &escaped(text);
    page.push('\n');
}

/// Text as itself: nothing in it is an instruction to the formatter, and a minus can be copied as one.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    // What begins a line with one of these would be a request.
    if text.starts_with(['.', '\'']) {
        out += "\\&";
    }
    for character in text.chars() {
        match character {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '\'' => out += "\\(aq",
            '`' => out += "\\(ga",
            '^' => out += "\\(ha",
            '~' => out += "\\(ti",
            '"' => out += "\\(dq",
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_tool_and_setting() {
        let page = page();
        for tool in TOOLS {
            assert!(page.contains(&format!(".SS {}\n", escaped(tool.name))), "{}", tool.name);
        }
        for row in ROWS {
            let said = page.contains(&format!("\\fB{}", escaped(&format!("--{}", row.name))));
            assert_eq!(said, !row.flags.has(Flags::HIDDEN), "{}", row.name);
        }
        assert!(page.is_ascii(), "not every formatter is told of another encoding");
    }

    #[test]
    fn text_is_no_request() {
        assert_eq!(escaped("'a' \\n -1"), "\\&\\(aqa\\(aq \\en \\-1");
        assert_eq!(escaped(".so x"), "\\&.so x");
        let known = [".\\\"", ".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".BR"];
        for line in page().lines().filter(|line| line.starts_with(['.', '\''])) {
            assert!(known.contains(&line.split(' ').next().unwrap_or_default()), "{line}");
        }
    }
}
