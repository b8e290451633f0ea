//! What a run found, and its three forms: text, JSON, a page. Modes fill the model here and know
//! nothing of the forms; the forms know nothing of what was measured.

mod html;
mod json;
mod plot;
mod text;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Outcome;
use crate::acceptance::{Standing, Target};
use crate::machine::Machine;

/// A whole run.
pub struct Report {
    /// Where and when.
    pub machine: Machine,
    /// What it was asked.
    pub command_line: String,
    /// A run of `--quick`, which measures nothing.
    pub quick: bool,
    /// Each server that took part: label, version, threads, arguments.
    pub servers: Vec<ServerFacts>,
    /// One for each mode.
    pub sections: Vec<Section>,
}

/// What took part.
#[derive(Clone, PartialEq)]
pub struct ServerFacts {
    /// What the report calls it.
    pub label: String,
    /// Its version.
    pub version: String,
    /// Threads of the process, everything included.
    pub threads: u64,
    /// Its arguments.
    pub command_line: String,
}

/// What one mode found.
#[derive(Default)]
pub struct Section {
    /// Short name, as `--mode` has it.
    pub id: &'static str,
    /// The heading.
    pub title: String,
    /// How it was measured and how to read it; a paragraph each.
    pub notes: Vec<String>,
    /// Figures.
    pub tables: Vec<Table>,
    /// Pictures.
    pub plots: Vec<Plot>,
    /// Figures held against their targets.
    pub verdicts: Vec<Verdict>,
    /// Every single sample, for other programs.
    pub data: Value,
}

/// A table of texts.
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Names of the columns. The first column is text, the others are figures.
    pub head: Vec<String>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(caption: &str, head: &[&str]) -> Table {
        Table {
            caption: caption.to_owned(),
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

/// A figure and its target.
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// The limits.
    pub target: Target,
    /// The figure.
    pub measured: f64,
    /// Its lowest and highest, where it was measured several times.
    pub spread: Option<(f64, f64)>,
    /// `x` for a ratio, else a unit.
    pub unit: &'static str,
}

impl Verdict {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.target.standing(self.measured)
    }

    fn number(&self, value: f64) -> String {
        match self.unit {
            "x" => format!("{value:.2}x"),
            "bytes" => format!("{} bytes", grouped(value)),
            unit => format!("{value:.2} {unit}"),
        }
    }

    /// What, accepted, chased, measured, spread, standing.
    fn cells(&self) -> Vec<String> {
        let limit = |value| format!("{}{}", self.target.sign(), self.number(value));
        let spread = self
            .spread
            .map_or_else(String::new, |(low, high)| format!("{} to {}", self.number(low), self.number(high)));
        vec![
            self.what.clone(),
            limit(self.target.accepted),
            limit(self.target.chased),
            self.number(self.measured),
            spread,
            self.standing().word().to_owned(),
        ]
    }
}

/// The verdicts of a section as a table.
fn verdict_table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new(
        "Held against the targets",
        &["figure", "accepted", "chased", "measured", "spread", "standing"],
    );
    table.rows = verdicts.iter().map(Verdict::cells).collect();
    table
}

/// A picture.
pub enum Plot {
    /// A bar for each figure, with its spread and its target.
    Bars {
        /// What it shows.
        title: String,
        /// What the numbers are.
        unit: String,
        /// From top to bottom.
        bars: Vec<Bar>,
        /// Where "the same" is: 1 for ratios.
        even: Option<f64>,
        /// Lowest and highest of the control: what lies within is noise.
        noise: Option<(f64, f64)>,
    },
    /// A line for each series.
    Lines {
        /// What it shows.
        title: String,
        /// The axis to the right.
        x: Axis,
        /// The axis upwards.
        y: Axis,
        /// The lines.
        series: Vec<Series>,
        /// Moments on the x axis that have a name.
        moments: Vec<(f64, String)>,
    },
}

/// One bar.
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// Which colour: servers keep theirs.
    pub series: usize,
    /// Its length.
    pub value: f64,
    /// Lowest and highest.
    pub spread: Option<(f64, f64)>,
    /// What it is held against.
    pub target: Option<Target>,
}

/// An axis.
pub struct Axis {
    /// What it counts.
    pub label: String,
    /// Powers of ten instead of equal steps.
    pub log: bool,
}

/// A line.
pub struct Series {
    /// Whose it is.
    pub label: String,
    /// Points in the order of x.
    pub points: Vec<(f64, f64)>,
}

impl Report {
    /// Prints the text and writes report.json and report.html into `dir`.
    pub fn write(&self, dir: &Path) -> Outcome<()> {
        print!("{}", text::render(self));
        fs::create_dir_all(dir)?;
        let json = dir.join("report.json");
        fs::write(&json, json::render(self)?)?;
        let page = dir.join("report.html");
        fs::write(&page, html::render(self))?;
        println!("\nWritten: {} and {}", json.display(), page.display());
        Ok(())
    }
}

/// A whole number with commas: 1,234,567.
pub fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}
