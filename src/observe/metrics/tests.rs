//! What `/metrics` says, held against redis_exporter's own output and promtool.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::observe::counters::{Counter, Refusal, Stage};

/// What redis_exporter 1.45.0 (Debian 12) printed for a redis-server 7.0.15 that had seen a
/// handful of commands; the families of Go's runtime are cut off.
const EXPORTER: &str = include_str!("fixtures/redis_exporter-1.45.0.txt");

pub(super) fn figures() -> Figures {
    Figures {
        redis_version: "7.0.15".into(),
        glasswing_version: "0.1.0".into(),
        role: "master".into(),
        run_id: "0123456789abcdef0123456789abcdef01234567".into(),
        os: "a \"quoted\" \\ system\nof two lines".into(),
        maxmemory_policy: "noeviction".into(),
        tcp_port: 6379,
        process_id: 42,
        connected_clients: 3,
        used_memory: 1_000,
        used_memory_rss: 2_500,
        cpu_user_main_thread_seconds: Some(0.5),
        cpu_sys_main_thread_seconds: Some(0.25),
        databases: vec![DbFigures { keys: 2, expires: 1, avg_ttl_ms: 1_500 }, DbFigures::default()],
        workers: vec![
            WorkerFigures { connections: 2, turned_seconds_ago: 0.25 },
            WorkerFigures { connections: 1, turned_seconds_ago: 0.5 },
        ],
        lock_waits: vec![LockWaitFigures { waits: 3, nanos: 2_000 }, LockWaitFigures::default()],
        checks: vec![("memory", false), ("workers", true)],
        save: Some(Progress { keys_done: 1, keys_total: 4 }),
        load: Some(Progress { keys_done: 0, keys_total: 0 }),
        ..Figures::default()
    }
}

pub(super) fn busy_stats() -> Arc<Stats> {
    let stats = Stats::new(2, &["set", "get", "client|list", "ping"]);
    stats.worker(0).record(1, 1_500);
    stats.worker(1).record(1, 3_000_000);
    stats.worker(1).record(0, 20_000);
    stats.worker(1).rejected(2);
    stats.worker(0).failed(1);
    stats.worker(0).error("WRONGTYPE Operation against a key");
    stats.worker(0).add(Counter::CommandsProcessed, 2);
    stats.worker(0).batch(3, 2_000_000);
    stats.worker(0).stage(Stage::Run, 1_500);
    stats.worker(1).stage(Stage::Run, 3_000_000);
    stats.worker(1).stage(Stage::LockWait, 2_000);
    stats.outside().stage(Stage::Sync, 8_000_000);
    stats.worker(1).turned_late(3_000_000);
    stats.worker(1).swept_late(1_250, false);
    stats.worker(1).refused(Refusal::NoAuth);
    stats.outside().add(Counter::SpansDropped, 7);
    Arc::new(stats)
}

fn rendered() -> String {
    rendered_with(figures())
}

pub(super) fn rendered_with(figures: Figures) -> String {
    rendered_as(figures, Format::Text)
}

pub(super) fn rendered_as(figures: Figures, format: Format) -> String {
    Metrics::new(busy_stats()).expect("the names are well-formed").render(figures, format)
}

/// The lines of some families, comments left out.
fn lines_of<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
    text.lines().filter(is_of).collect()
}

/// For each redis_* family: its type and help lines, and the label names of its samples.
fn shapes(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            family = rest.split(' ').nth(1).expect("a name").to_owned();
            shapes.entry(family.clone()).or_default().insert(rest.to_owned());
        } else {
            let (name, labels) = line.split_once('{').map_or((line, ""), |(name, rest)| (name, rest));
            let name = name.split(' ').next().expect("a name");
            let names = labels.split("\",").map(|pair| pair.split('=').next().unwrap_or_default());
            let names: Vec<_> = names.filter(|name| !name.contains(' ')).collect();
            shapes.entry(family.clone()).or_default().insert(format!("{name} {names:?}"));
        }
    }
    shapes.retain(|name, _| name.starts_with("redis_"));
    shapes
}

#[test]
fn families_are_those_of_redis_exporter() {
    let mut figures = figures();
    figures.os = "Linux".into();
    let ours = rendered_with(figures);
    let (ours, theirs) = (shapes(&ours), shapes(EXPORTER));
    let extra: Vec<_> = ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
    assert_eq!(extra, ["redis_memory_fragmentation_ratio", "redis_total_system_memory_bytes"]);
    let missing: Vec<_> = theirs.keys().filter(|name| !ours.contains_key(*name)).collect();
    assert_eq!(
        missing,
        [
            "redis_exporter_build_info",
            "redis_exporter_last_scrape_connect_time_seconds",
            "redis_exporter_last_scrape_duration_seconds",
            "redis_exporter_last_scrape_error",
            "redis_exporter_scrape_duration_seconds",
            "redis_exporter_scrapes_total",
            "redis_last_key_groups_scrape_duration_milliseconds",
            "redis_target_scrape_request_errors_total",
        ]
    );
    for (name, shape) in ours {
        if let Some(expected) = theirs.get(&name) {
            assert_eq!(&shape, expected, "{name}");
        }
    }
}

#[test]
fn commands_are_shown_as_redis_exporter_does() {
    let text = rendered();
    assert_eq!(
        lines_of(&text, "redis_commands_total"),
        [
            "redis_commands_total{cmd=\"client|list\"} 0",
            "redis_commands_total{cmd=\"get\"} 2",
            "redis_commands_total{cmd=\"set\"} 1",
        ]
    );
    assert_eq!(
        lines_of(&text, "redis_commands_duration_seconds_total")[1..],
        [
            "redis_commands_duration_seconds_total{cmd=\"get\"} 0.0030015",
            "redis_commands_duration_seconds_total{cmd=\"set\"} 0.00002",
        ]
    );
    assert_eq!(
        lines_of(&text, "redis_latency_percentiles_usec")[..5],
        [
            "redis_latency_percentiles_usec{cmd=\"get\",quantile=\"50\"} 1.535",
            "redis_latency_percentiles_usec{cmd=\"get\",quantile=\"99\"} 3014.655",
            "redis_latency_percentiles_usec{cmd=\"get\",quantile=\"99.9\"} 3014.655",
            "redis_latency_percentiles_usec_sum{cmd=\"get\"} 3001",
            "redis_latency_percentiles_usec_count{cmd=\"get\"} 2",
        ]
    );
    assert_eq!(lines_of(&text, "redis_errors_total"), ["redis_errors_total{err=\"WRONGTYPE\"} 1"]);
}

#[test]
fn figures_are_shown() {
    let text = rendered();
    let shown = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    shown("redis_up 1");
    shown("redis_connected_clients 3");
    shown("redis_mem_fragmentation_ratio 2.5");
    shown("redis_mem_fragmentation_bytes 1500");
    shown("redis_rdb_bgsave_in_progress 1");
    shown("redis_rdb_last_bgsave_duration_sec -1");
    shown("redis_db_keys{db=\"db0\"} 2");
    shown("redis_db_keys{db=\"db1\"} 0");
    shown("redis_db_avg_ttl_seconds{db=\"db0\"} 1.5");
    assert_eq!(lines_of(&text, "redis_db_avg_ttl_seconds").len(), 1);
    shown(
        "redis_instance_info{maxmemory_policy=\"noeviction\",os=\"a \\\"quoted\\\" \\\\ system\\nof two lines\",\
         process_id=\"42\",redis_build_id=\"\",redis_mode=\"standalone\",redis_version=\"7.0.15\",role=\"master\",\
         run_id=\"0123456789abcdef0123456789abcdef01234567\",tcp_port=\"6379\"} 1",
    );
}

#[test]
fn our_own_families_come_from_the_registry() {
    let text = rendered();
    let shown = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    shown("glasswing_build_info{version=\"0.1.0\",redis_version=\"7.0.15\"} 1");
    shown("glasswing_worker_busy_seconds_total{worker=\"0\"} 0.002");
    shown("glasswing_worker_connections{worker=\"1\"} 1");
    shown("glasswing_worker_commands_total{worker=\"0\"} 2");
    shown("glasswing_save_progress_ratio 0.25");
    shown("glasswing_load_progress_ratio 1");
    shown("glasswing_refusals_total{reason=\"no_auth\"} 1");
    shown("glasswing_refusals_total{reason=\"busy\"} 0");
    shown("glasswing_health_check_ok{check=\"memory\"} 0");
    shown("glasswing_health_check_ok{check=\"workers\"} 1");
    shown("glasswing_spans_dropped_total 7");
    shown("glasswing_lock_waits_total{shard_group=\"0\"} 3");
    shown("glasswing_lock_wait_seconds_total{shard_group=\"0\"} 0.000002");
    shown("glasswing_lock_waits_total{shard_group=\"1\"} 0");
    shown("glasswing_worker_loop_age_seconds{worker=\"1\"} 0.5");
    shown("glasswing_worker_loop_lag_seconds_bucket{worker=\"1\",le=\"0.001048576\"} 0");
    shown("glasswing_worker_loop_lag_seconds_bucket{worker=\"1\",le=\"0.004194304\"} 1");
    shown("glasswing_worker_loop_lag_seconds_count{worker=\"0\"} 0");
    shown("glasswing_expiry_lag_seconds 1.25");
    assert_eq!(lines_of(&text, "glasswing_refusals_total").len(), Refusal::COUNT);
}

#[test]
fn the_command_histogram_is_cumulative() {
    let text = rendered();
    let get: Vec<_> = lines_of(&text, "glasswing_command_duration_seconds")
        .into_iter()
        .filter(|line| line.contains("cmd=\"get\""))
        .collect();
    assert_eq!(get.len(), 18 + 3);
    assert_eq!(get[0], "glasswing_command_duration_seconds_bucket{cmd=\"get\",le=\"0.000001024\"} 0");
    assert_eq!(get[1], "glasswing_command_duration_seconds_bucket{cmd=\"get\",le=\"0.000002048\"} 1");
    assert_eq!(get[11], "glasswing_command_duration_seconds_bucket{cmd=\"get\",le=\"0.004194304\"} 2");
    assert_eq!(get[18], "glasswing_command_duration_seconds_bucket{cmd=\"get\",le=\"+Inf\"} 2");
    assert_eq!(get[19], "glasswing_command_duration_seconds_sum{cmd=\"get\"} 0.0030015");
    assert_eq!(get[20], "glasswing_command_duration_seconds_count{cmd=\"get\"} 2");
    assert!(!text.contains("cmd=\"ping\""), "a command that was never called is not shown");
}

#[test]
fn every_stage_has_a_histogram() {
    let text = rendered();
    let lines = lines_of(&text, "glasswing_stage_duration_seconds");
    assert_eq!(lines.len(), Stage::COUNT * (18 + 3));
    let shown = |line: &str| assert!(lines.contains(&line), "{line}\n{text}");
    shown("glasswing_stage_duration_seconds_count{stage=\"run\"} 2");
    shown("glasswing_stage_duration_seconds_sum{stage=\"run\"} 0.0030015");
    shown("glasswing_stage_duration_seconds_bucket{stage=\"run\",le=\"0.000002048\"} 1");
    shown("glasswing_stage_duration_seconds_count{stage=\"lock_wait\"} 1");
    shown("glasswing_stage_duration_seconds_sum{stage=\"sync\"} 0.008");
    shown("glasswing_stage_duration_seconds_bucket{stage=\"write\",le=\"+Inf\"} 0");
}

#[test]
fn the_batch_histogram_is_cumulative() {
    let text = rendered();
    let lines = lines_of(&text, "glasswing_batch_commands");
    assert_eq!(lines[1], "glasswing_batch_commands_bucket{le=\"2\"} 0");
    assert_eq!(lines[2], "glasswing_batch_commands_bucket{le=\"4\"} 1");
    assert_eq!(
        lines[11..],
        [
            "glasswing_batch_commands_bucket{le=\"+Inf\"} 1",
            "glasswing_batch_commands_sum 3",
            "glasswing_batch_commands_count 1",
        ]
    );
}

#[test]
fn what_does_not_run_is_absent() {
    let metrics = Metrics::new(Arc::new(Stats::new(1, &["get"]))).expect("it registers");
    let text = metrics.render(Figures::default(), Format::Text);
    for absent in [
        "glasswing_save_progress_ratio",
        "glasswing_load_progress_ratio",
        "glasswing_command_duration_seconds",
        "redis_cpu_user_main_thread_seconds_total",
        "redis_commands_total",
        "redis_errors_total",
    ] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

/// What dashboards 763, 14091 and 11835 and the alert rules of the mixin ask for.
#[test]
fn dashboards_find_what_they_ask_for() {
    let text = rendered();
    for name in [
        "redis_blocked_clients ",
        "redis_commands_duration_seconds_total{cmd=",
        "redis_commands_processed_total ",
        "redis_commands_total{cmd=",
        "redis_connected_clients ",
        "redis_connected_slaves ",
        "redis_db_keys{db=",
        "redis_db_keys_expiring{db=",
        "redis_evicted_keys_total ",
        "redis_expired_keys_total ",
        "redis_keyspace_hits_total ",
        "redis_keyspace_misses_total ",
        "redis_memory_fragmentation_ratio ",
        "redis_memory_max_bytes ",
        "redis_memory_used_bytes ",
        "redis_memory_used_rss_bytes ",
        "redis_net_input_bytes_total ",
        "redis_net_output_bytes_total ",
        "redis_total_system_memory_bytes ",
        "redis_up ",
        "redis_uptime_in_seconds ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

/// What `promtool check metrics` says of a text, or None where there is no promtool.
fn promtool(text: &str) -> Option<BTreeSet<String>> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&said).lines().map(str::to_owned).collect())
}

#[test]
fn promtool_says_no_more_than_of_redis_exporter() {
    let Some(of_theirs) = promtool(EXPORTER) else {
        println!("promtool is not here: nothing was checked");
        return;
    };
    assert!(!of_theirs.is_empty(), "promtool is known to complain of redis_exporter");
    let of_ours = promtool(&rendered()).expect("promtool ran a moment ago");
    let more: Vec<_> = of_ours.difference(&of_theirs).collect();
    assert!(more.is_empty(), "{more:#?}");
}

#[test]
fn a_scrape_of_many_commands_is_complete() {
    let names: Vec<&'static str> = (0..250).map(|n| &*String::leak(format!("command{n}"))).collect();
    let stats = Stats::new(4, &names);
    for command in 0..names.len() {
        for worker in 0..4 {
            stats.worker(worker).record(command, 1 << (command % 30));
        }
    }
    let metrics = Metrics::new(Arc::new(stats)).expect("it registers");
    let text = metrics.render(figures(), Format::Text);
    assert_eq!(lines_of(&text, "redis_commands_total").len(), 250);
    assert_eq!(lines_of(&text, "glasswing_command_duration_seconds_count").len(), 250);
}
