//! The report as text for a terminal.

use std::fmt::Write;

use super::{Report, Section, Table, verdict_table};

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut out = String::from("\nGlasswing side by side\n\n");
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {name:<20} {value}");
    };
    line("command", &report.command_line);
    for (name, value) in report.machine.facts() {
        line(name, &value);
    }
    for server in &report.servers {
        let threads = server.threads;
        line(&server.label, &format!("{}, {threads} threads: {}", server.version, server.command_line));
    }
    if report.quick {
        out.push_str("\n  --quick: these figures measure nothing.\n");
    }
    for section in &report.sections {
        render_section(&mut out, section);
    }
    out
}

fn render_section(out: &mut String, section: &Section) {
    let _ = writeln!(out, "\n== {} ==", section.title);
    for note in &section.notes {
        let _ = writeln!(out, "{note}");
    }
    for table in &section.tables {
        render_table(out, table);
    }
    if !section.verdicts.is_empty() {
        render_table(out, &verdict_table(&section.verdicts));
    }
}

fn render_table(out: &mut String, table: &Table) {
    let width = |column: usize| {
        let cells = table.rows.iter().map(|row| row[column].chars().count());
        cells.chain([table.head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    let _ = writeln!(out, "\n{}", table.caption);
    for row in std::iter::once(&table.head).chain(&table.rows) {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if column == 0 { write!(line, " {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
