//! Three ways to the same metrics: redis_exporter asking a real redis-server, redis_exporter asking us, and
//! our own `/metrics`. Every family that the first has comes from the other two, under the same name, with the
//! same type, help and labels, and where the work is the same with the same value.
//!
//! Runs where Debian's prometheus-redis-exporter and a redis-server are installed (`scripts/setup test`).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::redis::Redis;
use common::{Client, Launch, PATIENCE, free_port};
use glasswing::command::Registry;

/// Families about the exporter and its own work: there is none here.
const ITS_OWN: &[&str] = &["redis_exporter_", "redis_target_scrape_", "redis_last_key_groups_scrape_"];

/// What dashboards 763, 11835 and 14091 and the exporter's alert rules ask for, and the labels that they group by. A line
/// with a comment is about a replica; a comment alone says that what follows is about a cluster.
const ASKED_FOR: &str = include_str!("prometheus/asked-for.txt");

/// Figures that depend on what was asked alone: the same from all three.
const SAME: &[&str] = &[
    "redis_blocked_clients",
    "redis_commands_total{cmd=\"set\"}",
    "redis_commands_total{cmd=\"lpush\"}",
    "redis_commands_failed_calls_total{cmd=\"lpush\"}",
    "redis_commands_rejected_calls_total{cmd=\"get\"}",
    "redis_connected_slaves",
    "redis_db_keys{db=\"db0\"}",
    "redis_db_keys{db=\"db3\"}",
    "redis_db_keys_expiring{db=\"db0\"}",
    "redis_errors_total{err=\"ERR\"}",
    "redis_errors_total{err=\"WRONGTYPE\"}",
    "redis_evicted_keys_total",
    "redis_expired_keys_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_loading_dump_file",
    "redis_memory_max_bytes",
    "redis_pubsub_channels",
    "redis_rdb_bgsave_in_progress",
    "redis_rejected_connections_total",
    "redis_up",
];

/// The exporter, killed when this goes.
struct Exporter {
    child: Child,
    port: u16,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    fn start(of: u16) -> Option<Exporter> {
        let port = free_port();
        let child = Command::new("prometheus-redis-exporter")
            .arg("-redis.addr")
            .arg(format!("redis://127.0.0.1:{of}"))
            .arg("-web.listen-address")
            .arg(format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let exporter = Exporter { child, port };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the exporter does not listen");
            std::thread::yield_now();
        }
        Some(exporter)
    }

    fn families(&self) -> Families {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the exporter listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("the exporter takes requests");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        families(text.split_once("\r\n\r\n").expect("a body").1)
    }
}

#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// The names of the labels of each sample.
    labels: BTreeSet<Vec<String>>,
    samples: BTreeMap<String, f64>,
}

type Families = BTreeMap<String, Family>;

/// Reads the text format.
fn families(text: &str) -> Families {
    let mut all = Families::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            all.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            all.entry(name.to_owned()).or_default().kind = kind.to_owned();
            current = name.to_owned();
        } else if let Some((series, value)) = line.rsplit_once(' ') {
            let family = all.entry(current.clone()).or_default();
            let labels = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
            family.labels.insert(names(labels));
            family.samples.insert(series.to_owned(), value.parse().expect("a number"));
        }
    }
    all
}

/// The names in `a="1",b="2"`.
fn names(labels: &str) -> Vec<String> {
    let mut quoted = false;
    let mut escaped = false;
    let outside: String = labels
        .chars()
        .filter(|&character| {
            let was = quoted;
            match character {
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = character == '\\' && !escaped;
            !was && character != '"'
        })
        .collect();
    outside
        .split(',')
        .map(|name| name.trim_end_matches('=').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The same work for both servers.
fn work(client: &mut Client) {
    for line in [
        "SET a 1",
        "SET b 2 EX 10000",
        "GET a",
        "GET none",
        "LPUSH a x",
        "LPUSH l x y",
        "GET",
        "NOSUCH",
        "SELECT 3",
        "SET c 1",
        "SET d 1 EX 10000",
        "PEXPIRE d 0",
        "SELECT 0",
    ] {
        client.line(line);
    }
}

#[test]
fn the_exporter_and_we_say_the_same() {
    let Some(redis) = Redis::start(&[]) else {
        println!("skipped: there is no redis-server here (scripts/setup test installs one)");
        return;
    };
    let server = Launch::new().admin().start();
    let (Some(of_redis), Some(of_us)) = (Exporter::start(redis.port()), Exporter::start(server.port()))
    else {
        println!("skipped: there is no prometheus-redis-exporter here (scripts/setup test installs one)");
        return;
    };
    let mut clients = [Client::connect(redis.port()), server.client()];
    clients.iter_mut().for_each(work);
    // Twice, so that what the exporter asks has been counted by both.
    for exporter in [&of_redis, &of_us] {
        exporter.families();
    }
    let (theirs, through, own) =
        (of_redis.families(), of_us.families(), families(&server.http("GET", "/metrics").1));
    let mut wrong = Vec::new();
    // As long as a command is missing the exporter is told so, and has no family from it.
    let registry = Registry::new();
    let asks_in_vain = ["SLOWLOG", "LATENCY"].iter().any(|name| registry.find(name.as_bytes()).is_none());
    let asked = |name: &str| {
        name.starts_with("process_")
            || name.starts_with("redis_") && !ITS_OWN.iter().any(|its| name.starts_with(its))
    };
    let mut compared = 0;
    for (name, family) in theirs.iter().filter(|(name, _)| asked(name)) {
        compared += 1;
        for (which, all) in [("through the exporter", &through), ("our own", &own)] {
            let Some(ours) = all.get(name) else {
                if !asks_in_vain || !name.contains("slow") || which == "our own" {
                    wrong.push(format!("{name}: {which}: missing"));
                }
                continue;
            };
            if ours.kind != family.kind || ours.help != family.help {
                wrong.push(format!(
                    "{name}: {which}: {} '{}' is {} '{}'",
                    family.kind, family.help, ours.kind, ours.help
                ));
            }
            if ours.labels != family.labels {
                wrong.push(format!("{name}: {which}: {:?} are {:?}", family.labels, ours.labels));
            }
        }
    }
    assert!(compared > 100, "{compared} families");
    for series in SAME.iter().filter(|series| !asks_in_vain || !series.contains("err=\"ERR\"")) {
        let family = series.split('{').next().unwrap_or(series);
        let value = |all: &Families| all.get(family).and_then(|family| family.samples.get(*series)).copied();
        let values = [&theirs, &through, &own].map(value);
        if values[0].is_none() || values[1..].iter().any(|value| *value != values[0]) {
            wrong.push(format!("{series}: {values:?}"));
        }
    }
    let (standalone, _) =
        ASKED_FOR.split_once("# on a cluster only").expect("the list ends with a cluster's");
    let asked: Vec<_> = standalone.lines().filter(|line| !line.contains('#')).collect();
    assert!(asked.len() > 20, "only {} lines in the list", asked.len());
    for line in asked {
        let (name, label) = line.split_once(' ').unwrap_or((line, ""));
        let label = label.trim();
        let has = own.get(name).is_some_and(|family| {
            family.labels.iter().any(|labels| label.is_empty() || labels.iter().any(|name| name == label))
        });
        if !has {
            wrong.push(format!("dashboards ask for {name} by '{label}'"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    println!("{compared} families are the same three ways");
}

#[test]
fn the_slow_log_is_in_the_metrics() {
    let server = Launch::new().admin().start();
    let value = |name: &str| families(&server.http("GET", "/metrics").1)[name].samples[name];
    assert_eq!(value("redis_slowlog_length"), 0.0);
    let mut client = server.client();
    client.line("CONFIG SET slowlog-log-slower-than 0");
    for line in ["SET a 1", "GET a", "KEYS *"] {
        client.line(line);
    }
    assert!(value("redis_slowlog_length") >= 3.0);
    assert!(value("redis_slowlog_last_id") >= 2.0);
    let seconds = value("redis_last_slow_execution_duration_seconds");
    assert!((0.0..1.0).contains(&seconds), "{seconds}");
    client.line("SLOWLOG RESET");
    client.line("CONFIG SET slowlog-log-slower-than -1");
    client.line("SLOWLOG RESET");
    assert_eq!(value("redis_slowlog_length"), 0.0);
}

#[test]
fn a_planted_difference_is_seen() {
    let text = "# HELP a_total Some.\n# TYPE a_total counter\na_total{x=\"1,\\\"y=\",z=\"2\"} 3\n";
    let all = families(text);
    assert_eq!(all["a_total"].kind, "counter");
    assert_eq!(all["a_total"].help, "Some.");
    assert_eq!(all["a_total"].labels.iter().next().unwrap(), &["x", "z"]);
    assert_eq!(all["a_total"].samples["a_total{x=\"1,\\\"y=\",z=\"2\"}"], 3.0);
}
