//! The report as JSON, with every single sample, for other programs.

use serde_json::{Value, json};

use super::{Report, Section, Table, Verdict};
use crate::Outcome;
use crate::acceptance::Direction;

/// The whole report.
pub fn render(report: &Report) -> Outcome<String> {
    let machine: serde_json::Map<String, Value> = report
        .machine
        .facts()
        .into_iter()
        .map(|(name, value)| (name.replace(' ', "_"), Value::from(value)))
        .collect();
    let servers: Vec<Value> = report
        .servers
        .iter()
        .map(|server| {
            json!({
                "label": server.label,
                "version": server.version,
                "threads": server.threads,
                "command_line": server.command_line,
            })
        })
        .collect();
    let value = json!({
        "command_line": report.command_line,
        "quick": report.quick,
        "machine": machine,
        "servers": servers,
        "sections": report.sections.iter().map(section).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&value)?)
}

fn section(section: &Section) -> Value {
    json!({
        "id": section.id,
        "title": section.title,
        "notes": section.notes,
        "tables": section.tables.iter().map(table).collect::<Vec<_>>(),
        "verdicts": section.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "data": section.data,
    })
}

fn table(table: &Table) -> Value {
    json!({ "caption": table.caption, "head": table.head, "rows": table.rows })
}

fn verdict(verdict: &Verdict) -> Value {
    json!({
        "what": verdict.what,
        "direction": match verdict.target.direction {
            Direction::AtMost => "at_most",
            Direction::AtLeast => "at_least",
        },
        "accepted": verdict.target.accepted,
        "chased": verdict.target.chased,
        "measured": verdict.measured,
        "lowest": verdict.spread.map(|(low, _)| low),
        "highest": verdict.spread.map(|(_, high)| high),
        "unit": verdict.unit,
        "standing": verdict.standing().word(),
    })
}
