//! The text of INFO, made from the counters and the figures of one moment.
//!
//! Every field that Redis 7.0.15 prints is here, in its order: either a figure that was measured, or
//! what a Redis prints whose subsystem of that kind is off or absent. Fields of our own begin with
//! `glasswing_` and stand at the end of their section. [`sections`] gives the same as data, for the
//! admin port.

mod clients;
mod commands;
mod memory;
mod persistence;
mod server;
mod stats;

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use super::metrics::Figures;
use super::stats::Stats;

/// One section of INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The name in its heading, such as `Server`.
    pub name: &'static str,
    /// Names and values, in INFO's order.
    pub fields: Vec<(String, String)>,
}

/// What a section's writer looks at.
struct Look<'a> {
    stats: &'a Stats,
    figures: &'a Figures,
}

/// Fields on their way into a section.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn put(&mut self, name: impl Into<String>, value: impl Display) {
        self.0.push((name.into(), value.to_string()));
    }

    /// Bytes, and the same again in a form for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.put(name, bytes);
        self.put(format!("{name}_human"), human_bytes(bytes));
    }

    /// Fields of a subsystem that is off or absent: what Redis prints then.
    fn absent(&mut self, fields: &[(&str, &str)]) {
        fields.iter().for_each(|(name, value)| self.put(*name, value));
    }
}

/// How a section is written, and when it is shown.
struct Row {
    name: &'static str,
    /// The words that ask for it.
    asked: &'static [&'static str],
    /// Whether it is among the sections that are shown when none is asked for.
    default: bool,
    write: fn(&mut Fields, &Look<'_>),
}

const fn row(
    name: &'static str,
    asked: &'static [&'static str],
    default: bool,
    write: fn(&mut Fields, &Look<'_>),
) -> Row {
    Row { name, asked, default, write }
}

const ROWS: &[Row] = &[
    row("Server", &["server"], true, server::server),
    row("Clients", &["clients"], true, clients::clients),
    row("Memory", &["memory"], true, memory::memory),
    row("Persistence", &["persistence"], true, persistence::persistence),
    row("Stats", &["stats"], true, stats::stats),
    row("Replication", &["replication"], true, server::replication),
    row("CPU", &["cpu"], true, server::cpu),
    // There are no modules: the heading stands alone, as in a Redis without any.
    row("Modules", &["modules", "module_list"], true, |_, _| {}),
    row("Commandstats", &["commandstats"], false, commands::calls),
    row("Errorstats", &["errorstats"], true, commands::errors),
    row("Latencystats", &["latencystats"], false, commands::latencies),
    row("Cluster", &["cluster"], true, |fields, _| fields.put("cluster_enabled", 0)),
    row("Keyspace", &["keyspace"], true, clients::keyspace),
];

/// Which sections are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    all: bool,
    default: bool,
    names: BTreeSet<String>,
}

impl Selection {
    /// Reads the arguments of INFO: names of sections, `default`, `all`, `everything`, in any case.
    /// None at all means the default ones. What no section is called selects nothing.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Selection {
        let mut selection = Selection::default();
        for word in words {
            let word = String::from_utf8_lossy(word).to_ascii_lowercase();
            match word.as_str() {
                "all" | "everything" => selection.all = true,
                "default" => selection.default = true,
                _ => {
                    selection.names.insert(word);
                }
            }
        }
        if selection == Selection::default() {
            selection.default = true;
        }
        selection
    }

    /// Every section that there is.
    pub fn everything() -> Selection {
        Selection { all: true, ..Selection::default() }
    }

    fn has(&self, row: &Row) -> bool {
        self.all || self.default && row.default || row.asked.iter().any(|name| self.names.contains(*name))
    }
}

/// The selected sections as data.
pub fn sections(stats: &Stats, figures: &Figures, selection: &Selection) -> Vec<Section> {
    let look = Look { stats, figures };
    let wanted = ROWS.iter().filter(|row| selection.has(row));
    wanted
        .map(|row| {
            let mut fields = Fields::default();
            (row.write)(&mut fields, &look);
            Section { name: row.name, fields: fields.0 }
        })
        .collect()
}

/// The selected sections as INFO prints them, lines ended by CR LF, an empty line between sections.
pub fn text(stats: &Stats, figures: &Figures, selection: &Selection) -> String {
    let mut text = String::new();
    for section in sections(stats, figures, selection) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "# {}\r\n", section.name);
        for (name, value) in &section.fields {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    text
}

/// Bytes as INFO's `_human` fields show them: two decimals of the largest binary unit that fits.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let exponent = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let unit = UNITS[exponent as usize - 1];
    format!("{:.2}{unit}", bytes as f64 / (1u64 << (10 * exponent)) as f64)
}

/// `part / of`, and 0 where there is nothing to divide by.
pub fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// `a - b` as Redis prints such differences: below zero where it is.
fn minus(a: u64, b: u64) -> i128 {
    i128::from(a) - i128::from(b)
}

/// A number of whole seconds, or -1 where there is none.
fn seconds_or_none(seconds: Option<u64>) -> i64 {
    seconds.map_or(-1, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
