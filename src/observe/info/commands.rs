//! Commandstats, Errorstats and Latencystats, each sorted by name.

use super::{Fields, Look};

pub(super) fn calls(fields: &mut Fields, look: &Look<'_>) {
    let mut commands = look.stats.commands();
    commands.sort_unstable_by_key(|(command, _)| look.stats.names()[*command]);
    for (command, totals) in commands {
        let micros = totals.nanos / 1_000;
        let each = if totals.calls == 0 { 0.0 } else { micros as f64 / totals.calls as f64 };
        let line = format!(
            "calls={},usec={micros},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
            totals.calls, totals.rejected, totals.failed
        );
        fields.put(format!("cmdstat_{}", look.stats.names()[command]), line);
    }
}

pub(super) fn errors(fields: &mut Fields, look: &Look<'_>) {
    for (code, count) in look.stats.errors() {
        // A code is what a script made of it: nothing in it may break the line.
        let code: String = code.chars().map(|c| if "#:\r\n".contains(c) { '_' } else { c }).collect();
        fields.put(format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latencies(fields: &mut Fields, look: &Look<'_>) {
    let mut latencies = look.stats.latencies();
    latencies.sort_unstable_by_key(|(command, _)| look.stats.names()[*command]);
    for (command, latency) in latencies {
        let name = format!("latency_percentiles_usec_{}", look.stats.names()[command]);
        fields.put(name, latency.percentile_text(&look.figures.latency_percentiles));
    }
}
