use super::*;
use crate::observe::metrics::{DbFigures, Progress};

/// `INFO everything` of Redis 7.0.15 after a few commands.
const RECORDED: &str = include_str!("testdata/redis-7.0.15-info-everything.txt");

fn stats() -> Stats {
    let stats = Stats::new(1, &["set", "get", "config|get"]);
    stats.worker(0).record(0, 20_000);
    stats.worker(0).rejected(0);
    stats.worker(0).record(2, 3_000_000);
    stats.worker(0).error("ERR syntax error");
    stats
}

fn figures() -> Figures {
    Figures {
        redis_version: "7.0.15".into(),
        cpu_sys_main_thread_seconds: Some(0.5),
        cpu_user_main_thread_seconds: Some(1.25),
        now_unix_us: 1_795_417_161_552_121,
        uptime_seconds: 3 * 86_400 + 7,
        latency_percentiles: vec![50.0, 99.9],
        databases: vec![
            DbFigures::default(),
            DbFigures { keys: 3, expires: 1, avg_ttl_ms: 1500 },
            DbFigures::default(),
        ],
        ..Figures::default()
    }
}

fn shown(words: &[&str]) -> String {
    text(&stats(), &figures(), &Selection::parse(words.iter().map(|word| word.as_bytes())))
}

fn headings(words: &[&str]) -> Vec<String> {
    shown(words).lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

/// Sections with their fields' names, from the text that INFO prints.
fn names(text: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# ") {
            sections.push((name.to_owned(), Vec::new()));
        } else if let (Some((name, _)), Some(section)) = (line.split_once(':'), sections.last_mut()) {
            section.1.push(name.to_owned());
        }
    }
    sections
}

/// What we print has the sections and fields of `real` in its order, and nothing beside our own.
fn assert_same_fields(real: &str) {
    let (real, ours) = (names(real), names(&shown(&["everything"])));
    let sections = |all: &[(String, Vec<String>)]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    assert_eq!(sections(&ours), sections(&real));
    for ((section, ours), (_, real)) in ours.iter().zip(&real) {
        // What these list depends on what was called and stored.
        if ["Commandstats", "Errorstats", "Latencystats", "Keyspace"].contains(&section.as_str()) {
            continue;
        }
        let ours: Vec<_> = ours.iter().filter(|name| !name.starts_with("glasswing_")).collect();
        assert_eq!(ours, real.iter().collect::<Vec<_>>(), "in {section}");
    }
}

#[test]
fn fields_are_those_of_a_recorded_redis() {
    assert!(names(RECORDED).iter().map(|section| section.1.len()).sum::<usize>() > 180);
    assert_same_fields(RECORDED);
}

/// Starts an installed redis-server of the version that is matched, if there is one, and asks it.
#[test]
fn fields_are_those_of_an_installed_redis() {
    use std::io::{BufRead, BufReader, Read, Write};
    let version = std::process::Command::new("redis-server").arg("--version").output();
    if !version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(" v=7.0.15 ")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("redis.sock");
    let mut server = std::process::Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("redis-server starts");
    let log = BufReader::new(server.stdout.take().expect("its log"));
    let ready = log.lines().map_while(Result::ok).any(|line| line.contains("ready to accept connections at"));
    let info = ready.then(|| {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("a connection");
        stream.write_all(b"INFO everything\r\nQUIT\r\n").expect("it takes commands");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        reply
    });
    server.kill().expect("it ends");
    server.wait().expect("it ended");
    assert_same_fields(&info.expect("redis-server became ready"));
}

#[test]
fn sections_are_chosen_as_redis_chooses_them() {
    let default = headings(&[]);
    assert_eq!(default.len(), ROWS.len() - 2);
    assert!(!default.iter().any(|name| name == "Commandstats" || name == "Latencystats"));
    assert_eq!(headings(&["default"]), default);
    assert_eq!(headings(&["all"]).len(), ROWS.len());
    assert_eq!(headings(&["EVERYTHING"]).len(), ROWS.len());
    assert_eq!(headings(&["cpu", "Server", "cpu"]), ["Server", "CPU"]);
    assert_eq!(headings(&["modules"]), ["Modules"]);
    assert_eq!(headings(&["nosuch"]), [""; 0]);
    assert_eq!(headings(&["default", "commandstats"]).len(), default.len() + 1);
}

#[test]
fn text_has_an_empty_line_between_sections() {
    let text = shown(&["cluster", "keyspace"]);
    assert_eq!(
        text,
        "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb1:keys=3,expires=1,avg_ttl=1500\r\n"
    );
    assert_eq!(shown(&["nosuch"]), "");
}

#[test]
fn commands_errors_and_latencies_have_their_lines() {
    assert_eq!(
        shown(&["commandstats"]),
        "# Commandstats\r\n\
         cmdstat_config|get:calls=1,usec=3000,usec_per_call=3000.00,rejected_calls=0,failed_calls=0\r\n\
         cmdstat_set:calls=1,usec=20,usec_per_call=20.00,rejected_calls=1,failed_calls=0\r\n"
    );
    assert_eq!(shown(&["errorstats"]), "# Errorstats\r\nerrorstat_ERR:count=1\r\n");
    let latencies = shown(&["latencystats"]);
    assert!(latencies.contains("\r\nlatency_percentiles_usec_set:p50=20."), "{latencies}");
    assert!(latencies.contains(",p99.9="), "{latencies}");
}

fn field(figures: &Figures, name: &str) -> String {
    let all = sections(&stats(), figures, &Selection::everything());
    let mut fields = all.into_iter().flat_map(|section| section.fields);
    fields.find(|(known, _)| known == name).unwrap_or_else(|| panic!("no field {name}")).1
}

#[test]
fn figures_are_shown_in_their_units() {
    let figures = Figures {
        used_memory: 1_162_008,
        used_memory_peak: 2_324_016,
        used_memory_startup: 162_008,
        used_memory_dataset: 250_000,
        used_memory_rss: 581_004,
        cpu_user_seconds: 1.5,
        save: Some(Progress { keys_done: 1, keys_total: 4 }),
        rdb_last_bgsave_ok: true,
        ..figures()
    };
    for (name, value) in [
        ("used_memory_human", "1.11M"),
        ("used_memory_peak_perc", "50.00%"),
        ("used_memory_dataset_perc", "25.00%"),
        ("mem_fragmentation_ratio", "0.50"),
        ("mem_fragmentation_bytes", "-581004"),
        ("maxmemory_human", "0B"),
        ("used_cpu_user", "1.500000"),
        ("used_cpu_user_main_thread", "1.250000"),
        ("uptime_in_days", "3"),
        ("lru_clock", "255049"),
        ("current_fork_perc", "25.00"),
        ("rdb_bgsave_in_progress", "1"),
        ("rdb_saves", "1"),
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", "-1"),
        ("glasswing_save_seconds_left", "-1"),
        ("total_error_replies", "1"),
    ] {
        assert_eq!(field(&figures, name), value, "{name}");
    }
}

#[test]
fn a_load_shows_how_far_it_is() {
    let figures = Figures {
        loading: true,
        load: Some(Progress { keys_done: 5, keys_total: 20 }),
        load_total_bytes: 400,
        load_done_bytes: 100,
        load_seconds_left: Some(2.1),
        ..figures()
    };
    assert_eq!(field(&figures, "loading"), "1");
    assert_eq!(field(&figures, "loading_loaded_perc"), "25.00");
    assert_eq!(field(&figures, "loading_eta_seconds"), "3");
    assert_eq!(field(&figures, "glasswing_loading_keys_total"), "20");
}

#[test]
fn bytes_for_people() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (943 * 1024 + 389, "943.38K"),
        (25_276_514_304, "23.54G"),
        (u64::MAX, "16384.00P"),
    ] {
        assert_eq!(human_bytes(bytes), text);
    }
}
