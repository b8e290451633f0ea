//! Dashboards, rules, the runbook and the metrics speak of the same things: every metric that a query names is a
//! family that `/metrics` or redis_exporter gives or that the rules record, every alert has its section in the
//! runbook, a case in which it fires and one in which it does not.
//!
//! That the queries have data is for `tests/prometheus/run`, with a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Words of PromQL that stand where a metric could.
const WORDS: &[&str] = &[
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "bool",
    "inf",
    "nan",
];

/// Words behind which a list of labels follows.
const LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// What Prometheus itself says of a scrape.
const OF_A_SCRAPE: &[&str] = &["up"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn boards() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let files = std::fs::read_dir(folder).expect("grafana/dashboards is here");
    let mut boards: Vec<_> = files
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a dashboard that can be read");
            (path, serde_json::from_str(&text).expect("a dashboard is JSON"))
        })
        .collect();
    boards.sort_by(|a, b| a.0.cmp(&b.0));
    boards
}

/// The metrics that a query names: words outside of strings, selectors, windows and lists of labels that are
/// no function and no word of the language.
fn metrics_of(query: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut rest = query;
    let mut list_follows = false;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if first == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
            rest = &rest[end..];
        } else if first == '{' || first == '[' || first == '(' && list_follows {
            let closing = match first {
                '{' => '}',
                '[' => ']',
                _ => ')',
            };
            rest = after(rest, closing);
            list_follows = false;
        } else if first == '$' {
            rest = rest[1..].trim_start_matches(is_word);
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            // An aggregation may have its labels first: `sum by (cmd) (...)`.
            let function = ["(", "by ", "without "].iter().any(|next| behind.trim_start().starts_with(next));
            list_follows = LISTS.contains(&word);
            if !function && !WORDS.contains(&word) && !first.is_ascii_digit() {
                named.insert(word.to_owned());
            }
            rest = behind;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    named
}

/// What follows the closing bracket, which does not count inside of a string.
fn after(text: &str, closing: char) -> &str {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        if character == '"' {
            quoted = !quoted;
        } else if character == closing && !quoted {
            return &text[at + character.len_utf8()..];
        }
    }
    ""
}

/// Every name that a sample of `/metrics` or of redis_exporter can have.
fn given() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut family = |name: &str, kind: &str| {
        names.insert(name.to_owned());
        if kind == "histogram" {
            names.remove(name);
            names.insert(format!("{name}_bucket"));
        }
        if kind == "histogram" || kind == "summary" {
            names.extend([format!("{name}_sum"), format!("{name}_count")]);
        }
    };
    // docs/metrics.md is made from what a scrape says, and a test of its own keeps it so.
    for row in file("docs/metrics.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        family(cells[1], cells[2]);
    }
    for line in file("src/observe/metrics/fixtures/redis_exporter-1.45.0.txt").lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family(name, kind);
        }
    }
    names
}

/// One rule of deploy/prometheus/rules.yml.
#[derive(Debug, Default)]
struct Rule {
    expr: String,
    severity: String,
    summary: String,
    runbook: String,
}

/// The rules by name: alerts, and what is recorded.
#[derive(Debug, Default)]
struct Rules {
    alerts: BTreeMap<String, Rule>,
    recorded: BTreeMap<String, Rule>,
}

/// Reads the rules as that file writes them: one key a line, and expressions of several lines behind `>-`.
fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    let mut current: Option<(bool, String)> = None;
    let mut open_expr = None;
    for line in text.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        for (key, alert) in [("- alert: ", true), ("- record: ", false)] {
            if let Some(name) = line.strip_prefix(key) {
                let all = if alert { &mut rules.alerts } else { &mut rules.recorded };
                assert!(all.insert(name.to_owned(), Rule::default()).is_none(), "{name} stands there twice");
                current = Some((alert, name.to_owned()));
            }
        }
        let Some((alert, name)) = &current else { continue };
        let all = if *alert { &mut rules.alerts } else { &mut rules.recorded };
        let rule = all.get_mut(name).expect("it was put in");
        if open_expr.is_some_and(|of| indent > of) {
            rule.expr += " ";
            rule.expr += line;
            continue;
        }
        open_expr = None;
        match line.split_once(": ").unwrap_or(("", "")) {
            ("expr", ">-") => open_expr = Some(indent),
            ("expr", expr) => rule.expr = expr.to_owned(),
            ("severity", severity) => rule.severity = severity.to_owned(),
            ("summary", summary) => rule.summary = summary.trim_matches('"').to_owned(),
            ("runbook_url", address) => rule.runbook = address.to_owned(),
            _ => {}
        }
    }
    rules
}

fn the_rules() -> Rules {
    let rules = rules(&file("deploy/prometheus/rules.yml"));
    assert!(rules.alerts.len() > 20 && rules.recorded.len() > 4, "{rules:?}");
    rules
}

/// All queries of the dashboards and the rules, with where they stand.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (path, board) in boards() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned();
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.push((format!("{name}: panel {}", panel["title"]), text(&target["expr"])));
            }
        }
        for annotation in board["annotations"]["list"].as_array().expect("annotations") {
            queries.push((format!("{name}: annotation {}", annotation["name"]), text(&annotation["expr"])));
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            let definition = text(&variable["definition"]);
            let asked = definition.trim_start_matches("label_values(").trim_start_matches("query_result(");
            // The label that is wanted stands behind the last comma.
            let asked = match asked.rsplit_once(", ").filter(|_| definition.starts_with("label_values")) {
                Some((series, _)) => series,
                None => asked,
            };
            queries.push((format!("{name}: variable {}", variable["name"]), asked.to_owned()));
        }
    }
    let rules = the_rules();
    for (name, rule) in rules.alerts.into_iter().chain(rules.recorded) {
        queries.push((format!("rule {name}"), rule.expr));
    }
    queries
}

/// What is named and given by nobody.
fn unknown<'q>(
    queries: impl IntoIterator<Item = &'q (String, String)>,
    known: &BTreeSet<String>,
) -> Vec<String> {
    let mut unknown = Vec::new();
    for (place, query) in queries {
        let metrics = metrics_of(query);
        if metrics.is_empty() {
            unknown.push(format!("{place} names no metric: {query}"));
        }
        unknown.extend(metrics.difference(known).map(|name| format!("{place} names {name}")));
    }
    unknown
}

fn known() -> BTreeSet<String> {
    let mut known = given();
    known.extend(the_rules().recorded.into_keys());
    known.extend(OF_A_SCRAPE.iter().map(|name| (*name).to_owned()));
    known
}

#[test]
fn every_metric_that_is_asked_for_is_given() {
    let queries = queries();
    assert!(queries.len() > 150, "only {} queries found", queries.len());
    let unknown = unknown(&queries, &known());
    assert!(unknown.is_empty(), "{} names that nobody gives:\n{}", unknown.len(), unknown.join("\n"));
}

#[test]
fn a_planted_name_is_seen() {
    let planted = [
        ("one".to_owned(), "sum by (cmd) (rate(redis_comands_total{cmd=\"get\"}[5m]))".to_owned()),
        ("two".to_owned(), "glasswing_batch_commands".to_owned()),
        ("three".to_owned(), "vector(1)".to_owned()),
    ];
    let seen = unknown(&planted, &known());
    assert_eq!(
        seen,
        [
            "one names redis_comands_total",
            "two names glasswing_batch_commands",
            "three names no metric: vector(1)"
        ]
    );
}

#[test]
fn names_are_read_out_of_queries() {
    for (query, names) in [
        ("up{server!=\"\"} == 0 or redis_up{server=\"a_b\"} == 0", vec!["redis_up", "up"]),
        (
            "topk by (server) (5, sum by (server, cmd) (rate(a_total{x=\"}\"}[$__rate_interval])))",
            vec!["a_total"],
        ),
        ("a:b:c > 0.1 * (d > 1e3) and on (job, instance) e offset 5m", vec!["a:b:c", "d", "e"]),
        ("time() - a > 86400", vec!["a"]),
    ] {
        let named = metrics_of(query);
        assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), names, "{query}");
    }
}

/// The titles of the runbook's sections.
fn sections(runbook: &str) -> Vec<&str> {
    runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect()
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let (runbook, rules) = (file("docs/runbook.md"), the_rules());
    let sections = sections(&runbook);
    let titles: BTreeSet<_> = sections.iter().map(|title| (*title).to_owned()).collect();
    assert_eq!(titles.len(), sections.len(), "a section stands there twice");
    let alerts: BTreeSet<_> = rules.alerts.keys().cloned().collect();
    assert_eq!(
        alerts.difference(&titles).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "alerts without a section"
    );
    assert_eq!(
        titles.difference(&alerts).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "sections without an alert"
    );
    for text in runbook.split("\n## ").skip(1) {
        let name = text.lines().next().unwrap_or_default();
        for part in ["**What it means.**", "**How to see it.**", "**What to do.**"] {
            assert_eq!(text.matches(part).count(), 1, "{name}: {part}");
        }
    }
}

#[test]
fn every_alert_says_what_is_wrong_and_where_to_read_on() {
    for (name, rule) in the_rules().alerts {
        let severity = rule.severity.as_str();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: severity {severity:?}");
        assert!(rule.summary.contains("{{ $labels."), "{name} does not say of whom: {}", rule.summary);
        assert_eq!(rule.runbook, format!("docs/runbook.md#{}", name.to_lowercase()), "{name}");
    }
}

/// What stands between backquotes and begins as a metric does.
#[test]
fn the_runbook_names_metrics_and_panels_that_are_there() {
    let (runbook, known) = (file("docs/runbook.md"), given());
    let quoted = runbook.split('`').skip(1).step_by(2);
    let metrics =
        quoted.filter(|text| ["redis_", "glasswing_", "process_"].iter().any(|p| text.starts_with(p)));
    let unknown: Vec<_> = metrics.filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let mut titles = BTreeSet::new();
    for (_, board) in boards() {
        titles.insert(board["title"].as_str().unwrap_or_default().to_owned());
        let panels = board["panels"].as_array().expect("panels").iter();
        titles.extend(panels.filter_map(|panel| panel["title"].as_str()).map(str::to_owned));
    }
    // A title may be broken over two lines.
    let text = runbook.replace('\n', " ");
    let mut named = 0;
    for sentence in text.split(['.', ';', '(', ')']) {
        if !["anel", "ashboard", "ile \"", "iles \"", "row"].iter().any(|word| sentence.contains(word)) {
            continue;
        }
        for title in sentence.split('"').skip(1).step_by(2) {
            // Commands that are quoted as they are typed, and lines within a panel.
            if title.contains('`') || title.chars().next().is_some_and(char::is_lowercase) {
                continue;
            }
            assert!(titles.contains(title), "no dashboard and no panel is called {title:?}: {sentence}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} titles found");
}

/// For each alert, how many cases expect it to fire and how many do not.
fn cases(text: &str) -> BTreeMap<String, (usize, usize)> {
    let mut cases: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut alert = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("alertname: ") {
            name.clone_into(&mut alert);
        } else if line == "exp_alerts:" {
            cases.entry(alert.clone()).or_default().0 += 1;
        } else if line == "exp_alerts: []" {
            cases.entry(alert.clone()).or_default().1 += 1;
        }
    }
    cases
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let tested = file("deploy/prometheus/rules.test.yml");
    let (cases, rules) = (cases(&tested), the_rules());
    for name in rules.alerts.keys() {
        let (fires, rests) = cases.get(name).copied().unwrap_or_default();
        assert!(
            fires > 0 && rests > 0,
            "{name}: {fires} cases in which it fires, {rests} in which it does not"
        );
    }
    for name in cases.keys() {
        assert!(rules.alerts.contains_key(name), "{name} is tested and is no alert");
    }
    for name in rules.recorded.keys() {
        assert!(tested.contains(&format!("- expr: {name}\n")), "{name} is recorded and not tested");
    }
}

#[test]
fn what_is_missing_from_the_rules_and_the_cases_is_seen() {
    let text = "rules:\n  - alert: A\n    expr: >-\n      up\n      == 0\n    labels:\n      severity: info\n  - record: a:b\n    expr: sum(up)\n";
    let read = rules(text);
    assert_eq!(read.alerts["A"].expr, " up == 0");
    assert_eq!((read.alerts["A"].severity.as_str(), read.alerts["A"].runbook.as_str()), ("info", ""));
    assert_eq!(read.recorded["a:b"].expr, "sum(up)");
    let cases = cases("alertname: A\nexp_alerts:\n  - x\nalertname: B\nexp_alerts: []\n");
    assert_eq!((cases["A"], cases["B"]), ((1, 0), (0, 1)));
    assert_eq!(sections("# T\n## A\ntext\n### B\n## C\n"), ["A", "C"]);
}

/// The rules as an object for the prometheus-operator: the same text, moved to the right.
fn rules_for_kubernetes(rules: &str) -> String {
    let (_, groups) = rules.split_once("\ngroups:\n").expect("rules.yml has groups");
    let mut object = String::from(
        "# Made from deploy/prometheus/rules.yml, where the words about them stand: `UPDATE_DOCS=1 cargo test --test \
         dashboards`.\n# The operator's Prometheus may choose rules by a label (ruleSelector): add that.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: glasswing\n  labels:\n    \
         app.kubernetes.io/name: glasswing\nspec:\n  groups:\n",
    );
    for line in groups.lines() {
        if !line.is_empty() {
            object.push_str("  ");
            object.push_str(line);
        }
        object.push('\n');
    }
    object
}

#[test]
fn the_rules_for_kubernetes_are_these() {
    const OBJECT: &str = "deploy/kubernetes/prometheusrule.yaml";
    let should_be = rules_for_kubernetes(&file("deploy/prometheus/rules.yml"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(OBJECT);
        std::fs::write(path, &should_be).expect("a file that can be written");
    }
    assert!(file(OBJECT) == should_be, "{OBJECT} is stale: UPDATE_DOCS=1 cargo test --test dashboards");
}
