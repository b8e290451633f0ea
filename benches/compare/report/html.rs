//! The report as one page that needs nothing else: style and pictures are in it.

use std::fmt::Write;

use super::{Report, Section, Table, plot, verdict_table};
use crate::acceptance::Standing;

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fbfbf9;--ink:#1d2328;--soft:#5d6770;--rule:#dcdfe0;--card:#fff;\
--c0:#0e7c86;--c1:#c4562f;--c2:#6d5fa8;--c3:#7d858c;--bad:#b3261e;--good:#1b7a3d;--best:#0b5fa5;--noise:#c9ced133}\
@media(prefers-color-scheme:dark){:root{--page:#14181b;--ink:#e6e9ea;--soft:#9aa5ad;--rule:#30383d;--card:#1b2024;\
--c0:#45b8c2;--c1:#ec8a63;--c2:#a99be0;--c3:#8d979e;--bad:#ff8a80;--good:#7bd397;--best:#7fbdf2;--noise:#aab4bb26}}\
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
main{max-width:1000px;margin:0 auto;padding:28px 20px 60px}h1{font-size:26px;margin:0 0 4px}\
h2{font-size:20px;margin:44px 0 6px;padding-top:14px;border-top:1px solid var(--rule)}\
p{max-width:72ch;margin:6px 0;color:var(--soft)}nav a{margin-right:14px}a{color:var(--best)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:16px 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
code{font:13px/1.5 ui-monospace,'DejaVu Sans Mono',monospace}\
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--rule);border-radius:8px;margin:14px 0;padding:4px 12px}\
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}\
caption{text-align:left;padding:8px 4px;font-weight:600}\
th,td{padding:5px 9px;text-align:right;border-top:1px solid var(--rule);white-space:nowrap}\
th{color:var(--soft);font-weight:500;border-top:0}th:first-child,td:first-child{text-align:left;padding-left:4px}\
.missed{color:var(--bad);font-weight:700}.accepted-cell{color:var(--good)}.chased-cell{color:var(--best);font-weight:600}\
figure{background:var(--card);border:1px solid var(--rule);border-radius:8px;margin:14px 0;padding:12px}\
figcaption{font-weight:600;font-size:13.5px;margin:0 4px 6px}svg{display:block;width:100%;height:auto}\
svg text{fill:var(--ink);font-size:12px;font-variant-numeric:tabular-nums}svg .tick{fill:var(--soft);font-size:11px}svg .figure{font-weight:600}\
svg .missed-text{fill:var(--bad)}svg .accepted-text{fill:var(--good)}svg .chased-text{fill:var(--best)}\
.grid{stroke:var(--rule)}.even{stroke:var(--soft);stroke-dasharray:2 3}.noise{fill:var(--noise)}\
.noise-mark{stroke:var(--noise);stroke-width:7}.spread{stroke:var(--ink);stroke-width:1.3}\
.accepted{stroke:var(--bad);stroke-width:2}.chased{stroke:var(--best);stroke-width:2;stroke-dasharray:3 2}\
.fill0{fill:var(--c0)}.fill1{fill:var(--c1)}.fill2{fill:var(--c2)}.fill3{fill:var(--c3)}\
.line0,.line1,.line2,.line3{fill:none;stroke-width:2}.line0{stroke:var(--c0)}.line1{stroke:var(--c1)}.line2{stroke:var(--c2)}.line3{stroke:var(--c3)}\
.warn{color:var(--bad);font-weight:600}";

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Glasswing side by side</title><style>{STYLE}</style></head><body><main>\
         <h1>Glasswing side by side</h1>"
    );
    if report.quick {
        out.push_str("<p class=\"warn\">--quick: these figures measure nothing.</p>");
    }
    out.push_str(&summary(report));
    head(&mut out, report);
    if report.sections.len() > 1 {
        out.push_str("<nav>");
        for section in &report.sections {
            let _ = write!(out, "<a href=\"#{}\">{}</a>", section.id, escape(&section.title));
        }
        out.push_str("</nav>");
    }
    for section in &report.sections {
        render_section(&mut out, section);
    }
    out.push_str("</main></body></html>\n");
    out
}

/// One sentence: how many of the targets are missed.
fn summary(report: &Report) -> String {
    let verdicts = || report.sections.iter().flat_map(|section| &section.verdicts);
    let stand = |standing| verdicts().filter(|verdict| verdict.standing() == standing).count();
    match verdicts().count() {
        0 => String::new(),
        all => format!(
            "<p>Of {all} figures with a target, {} reach what is chased, {} more what is accepted, <b>{} missed</b>.</p>",
            stand(Standing::Chased),
            stand(Standing::Accepted),
            stand(Standing::Missed),
        ),
    }
}

fn head(out: &mut String, report: &Report) {
    out.push_str("<dl>");
    let mut fact = |name: &str, value: &str| {
        let _ = write!(out, "<dt>{}</dt><dd>{value}</dd>", escape(name));
    };
    fact("command", &format!("<code>{}</code>", escape(&report.command_line)));
    for (name, value) in report.machine.facts() {
        fact(name, &escape(&value));
    }
    for server in &report.servers {
        let (version, threads) = (escape(&server.version), server.threads);
        let command = escape(&server.command_line);
        fact(&server.label, &format!("{version}, {threads} threads: <code>{command}</code>"));
    }
    out.push_str("</dl>");
}

fn render_section(out: &mut String, section: &Section) {
    let _ = write!(out, "<section id=\"{}\"><h2>{}</h2>", section.id, escape(&section.title));
    for note in &section.notes {
        let _ = write!(out, "<p>{}</p>", escape(note));
    }
    if !section.verdicts.is_empty() {
        render_table(out, &verdict_table(&section.verdicts));
    }
    for plot in &section.plots {
        out.push_str(&plot::render(plot));
    }
    for table in &section.tables {
        render_table(out, table);
    }
    out.push_str("</section>");
}

fn render_table(out: &mut String, table: &Table) {
    let _ = write!(out, "<div class=\"wide\"><table><caption>{}</caption><tr>", escape(&table.caption));
    for name in &table.head {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out.push_str("</tr>");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            let class = match cell.as_str() {
                "missed" => " class=\"missed\"",
                "accepted" => " class=\"accepted-cell\"",
                "chased" => " class=\"chased-cell\"",
                _ => "",
            };
            let _ = write!(out, "<td{class}>{}</td>", escape(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
}

/// Text as it may stand in an element or an attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
