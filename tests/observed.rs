//! What is seen from outside while a real server works: metrics, readiness, traces.

#[path = "common/collector.rs"]
mod collector;
mod common;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use collector::receiver;
use common::{Launch, PATIENCE, Server, log_launch, until};
use glasswing::resp::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

/// A sample of the metrics, by its name with its labels; 0 when it is not there.
fn sample(server: &Server, name: &str) -> f64 {
    let (status, text) = server.http("GET", "/metrics");
    assert_eq!(status, 200, "{text}");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}

#[test]
fn counters_rise_by_exactly_what_was_sent() {
    let server = Launch::new().admin().with(&["--workers", "2"]).start();
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    let names = ["set", "get", "incr", "lpush"].map(|name| format!("redis_commands_total{{cmd=\"{name}\"}}"));
    let before = names.each_ref().map(|name| sample(&server, name));
    let [hits, misses] = ["redis_keyspace_hits_total", "redis_keyspace_misses_total"];
    let (hits_before, misses_before) = (sample(&server, hits), sample(&server, misses));
    for (number, client) in clients.iter_mut().enumerate() {
        for turn in 0..250 {
            client.send(&["SET", &format!("key:{number}:{turn}"), "value"]);
            client.send(&["GET", &format!("key:{number}:{turn}")]);
            client.send(&["GET", "none"]);
        }
        for _ in 0..750 {
            assert!(client.reply().is_some());
        }
        assert_eq!(client.line("INCR key:0:0"), "(error) ERR value is not an integer or out of range");
        assert_eq!(client.line("SELECT 3"), "OK");
        assert!(client.line("LPUSH list x").starts_with("(integer)"));
        // While commands are under way nothing goes backwards.
        assert!(sample(&server, &names[0]) >= before[0] + 250.0 * (number + 1) as f64);
    }
    let after = names.each_ref().map(|name| sample(&server, name));
    let risen: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(risen, [1_000.0, 2_000.0, 4.0, 4.0]);
    // Four SELECTs are among them; INFO counts itself afterwards.
    let all = "redis_commands_processed_total";
    let processed = sample(&server, all);
    assert_eq!(processed, 3_012.0);
    assert_eq!(clients[0].info("total_commands_processed"), "3012");
    assert_eq!(sample(&server, all), processed + 1.0);
    assert_eq!(sample(&server, hits) - hits_before, 1_000.0);
    assert_eq!(sample(&server, misses) - misses_before, 1_000.0);
    assert_eq!(sample(&server, "redis_db_keys{db=\"db0\"}"), 1_000.0);
    assert_eq!(sample(&server, "redis_db_keys{db=\"db3\"}"), 1.0);
    assert_eq!(sample(&server, "redis_connected_clients"), 4.0);
    assert_eq!(clients[0].line("SELECT 0"), "OK");
    assert_eq!(clients[0].line("EXPIRE key:1:1 1000"), "(integer) 1");
    assert_eq!(sample(&server, "redis_db_keys_expiring{db=\"db0\"}"), 1.0);
    clients.truncate(1);
    until("three are gone", || sample(&server, "redis_connected_clients") == 1.0);
    clients[0].send(&["BLPOP", "nothing", "0"]);
    until("one waits", || sample(&server, "redis_blocked_clients") == 1.0);
    assert!(sample(&server, "redis_memory_used_bytes") > 100_000.0);
    assert!(sample(&server, "redis_uptime_in_seconds") >= 0.0);
}

/// How often a stage was measured, and for how many seconds in all.
fn stage(server: &Server, name: &str) -> (f64, f64) {
    let of =
        |part: &str| sample(server, &format!("glasswing_stage_duration_seconds_{part}{{stage=\"{name}\"}}"));
    (of("count"), of("sum"))
}

#[test]
fn every_stage_is_measured_where_it_takes_place() {
    let server = log_launch().admin().with(&["--appendfsync", "always"]).start();
    let mut client = server.client();
    let ((ran, slept), wrote, synced) =
        (stage(&server, "run"), stage(&server, "write").0, stage(&server, "sync").0);
    let writes = sample(&server, "redis_total_writes_processed");
    for turn in 0..20 {
        client.send(&["SET", &format!("key:{turn}"), "value"]);
    }
    (0..20).for_each(|_| assert!(client.reply().is_some()));
    assert_eq!(client.line("DEBUG SLEEP 0.1"), "OK");
    let (ran_now, slept_now) = stage(&server, "run");
    assert_eq!(ran_now - ran, 21.0);
    assert!((0.1..10.0).contains(&(slept_now - slept)), "{slept} {slept_now}");
    let wrote_now = stage(&server, "write").0;
    assert_eq!(wrote_now - wrote, sample(&server, "redis_total_writes_processed") - writes);
    assert!((2.0..=21.0).contains(&(wrote_now - wrote)), "the replies of a batch are one write");
    let (synced_now, took) = stage(&server, "sync");
    assert!((1.0..=21.0).contains(&(synced_now - synced)) && took > 0.0, "{synced} {synced_now} {took}");
    assert_eq!(stage(&server, "lock_wait"), (0.0, 0.0), "nobody was in the way");
    // Everything begins anew.
    assert_eq!(client.line("CONFIG RESETSTAT"), "OK");
    assert!(stage(&server, "run").0 <= 1.0 && stage(&server, "sync").0 == 0.0);
}

#[test]
fn a_loop_that_is_held_up_is_seen() {
    let server = Launch::new().admin().with(&["--enable-debug-command", "yes"]).start();
    let lag = || sample(&server, "glasswing_worker_loop_lag_seconds_sum{worker=\"0\"}");
    let before = lag();
    assert_eq!(server.client().line("DEBUG SLEEP 0.5"), "OK");
    // It had wanted to turn after a tenth of a second at most.
    until("its lag is told", || lag() - before > 0.35);
    assert!(sample(&server, "glasswing_worker_loop_age_seconds{worker=\"0\"}") < PATIENCE.as_secs_f64());
    assert_eq!(sample(&server, "glasswing_expiry_lag_seconds"), 0.0);
    assert_eq!(sample(&server, "glasswing_eviction_lag_seconds"), 0.0);
}

/// As Prometheus 2.42 asks.
const ASKS_FOR_OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";

#[test]
fn who_asks_for_openmetrics_gets_it_with_the_traces_of_calls() {
    let (endpoint, spans) = receiver();
    let server = traced(&endpoint).start();
    assert_eq!(server.client().line("GET key"), "(nil)");
    let span = loop {
        let span = spans.recv_timeout(PATIENCE).expect("GET's span arrives");
        if span.name == "get" {
            break span;
        }
    };
    let (head, text) = server.http_with("GET", "/metrics", ASKS_FOR_OPENMETRICS);
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(head.contains("vary: accept"), "{head}");
    assert!(text.ends_with("\n# EOF\n"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ids = format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} ", hex(&span.trace_id), hex(&span.span_id));
    let bucket = "glasswing_command_duration_seconds_bucket{cmd=\"get\",le=\"";
    let with: Vec<_> = text.lines().filter(|line| line.contains(&ids)).collect();
    let [line] = with.as_slice() else { panic!("{ids}: {with:?}") };
    assert!(line.starts_with(bucket), "{line}");
    // Everybody else reads what they know.
    let (head, text) = server.http_with("GET", "/metrics", "Accept: */*\r\n");
    assert!(head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(!text.contains("# EOF") && !text.contains(" # {"));
}

#[test]
fn scripts_and_functions_are_counted_and_weighed() {
    let server = Launch::new().admin().with(&["--workers", "2"]).start();
    let mut client = server.client();
    let names =
        ["number_of_cached_scripts", "number_of_libraries", "number_of_functions", "used_memory_scripts"];
    for name in names {
        assert_eq!(client.info(name), "0");
    }
    let text = format!("return '{}'", "x".repeat(10_000));
    client.send(&["SCRIPT", "LOAD", &text]);
    client.send(&["SCRIPT", "LOAD", "return 1"]);
    client.send(&["EVAL", "return 1", "0"]);
    let library = "#!lua name=lib\nredis.register_function('a', function() return 1 end)\n\
                   redis.register_function('b', function() return 2 end)";
    client.send(&["FUNCTION", "LOAD", library]);
    for _ in 0..4 {
        assert!(client.reply().is_some());
    }
    assert_eq!(names[..3].iter().map(|name| client.info(name)).collect::<Vec<_>>(), ["2", "1", "2"]);
    let bytes = |client: &mut common::Client, name| client.info(name).parse::<u64>().expect("a number");
    let scripts = bytes(&mut client, "used_memory_scripts_eval");
    assert!((10_000..11_000).contains(&scripts), "{scripts} bytes of scripts");
    let libraries = bytes(&mut client, "used_memory_functions");
    assert!(libraries > library.len() as u64, "{libraries} bytes of libraries");
    assert_eq!(bytes(&mut client, "used_memory_scripts"), scripts + libraries);
    // The text is in the state too, and a state with its tables is no less than some kilobytes.
    let (states, functions) =
        (bytes(&mut client, "used_memory_vm_eval"), bytes(&mut client, "used_memory_vm_functions"));
    assert!(states > 20_000 && functions > 10_000, "{states} and {functions} bytes of states");
    assert_eq!(bytes(&mut client, "used_memory_vm_total"), states + functions);
    assert_eq!(sample(&server, "redis_number_of_cached_scripts"), 2.0);
    assert_eq!(sample(&server, "redis_memory_used_scripts_bytes"), (scripts + libraries) as f64);
    assert_eq!(client.line("SCRIPT FLUSH"), "OK");
    assert_eq!(client.line("FUNCTION FLUSH"), "OK");
    assert_eq!(names.map(|name| client.info(name)), ["0", "0", "0", "0"]);
}

#[test]
fn info_measures_what_waits_what_a_save_holds_back_and_what_has_expired() {
    let slow = ["--dbfilename", "dump.rdb", "--rdb-key-save-delay", "1000"];
    let server = Launch::new().with(&["--enable-debug-command", "yes", "--save", ""]).with(&slow).start();
    let mut client = server.client();
    assert_ne!(client.info("redis_build_id"), "");
    // Who waits with a limit of time is told apart from who waits for ever.
    let mut waits = [server.client(), server.client()];
    for (waiter, seconds) in waits.iter_mut().zip(["0", "1000"]) {
        waiter.send(&["BLPOP", "queue", seconds]);
    }
    until("both wait", || server.client().info("blocked_clients") == "2");
    assert_eq!(client.info("clients_in_timeout_table"), "1");
    assert_eq!(client.line("RPUSH queue a b"), "(integer) 2");
    until("nobody waits", || server.client().info("blocked_clients") == "0");
    assert_eq!(client.info("clients_in_timeout_table"), "0");
    // What is overwritten during a save is held back for it.
    assert_eq!(client.line("DEBUG POPULATE 2000 key 10000"), "OK");
    let number =
        |client: &mut common::Client, field: &str| client.info(field).parse::<u64>().expect("a number");
    assert_eq!((number(&mut client, "current_cow_peak"), number(&mut client, "rdb_last_cow_size")), (0, 0));
    assert_eq!(client.line("BGSAVE"), "Background saving started");
    for at in (0..2_000).rev().take(200) {
        assert_eq!(client.line(&format!("SET key:{at} x")), "OK");
    }
    let peak = number(&mut client, "current_cow_peak");
    assert!(peak >= number(&mut client, "current_cow_size") && peak > 1_000_000, "{peak}");
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 0"), "OK");
    until("it is saved", || server.client().info("rdb_bgsave_in_progress") == "0");
    assert!(number(&mut client, "rdb_last_cow_size") >= peak);
    assert_eq!(client.info("current_cow_peak"), "0");
    // Keys that are past their time when the sweep comes to them.
    assert_eq!(client.info("expired_stale_perc"), "0.00");
    for at in 0..500 {
        assert_eq!(client.line(&format!("SET gone:{at} x PX 1")), "OK");
    }
    until("they are gone", || server.client().info("expired_keys") == "500");
    until("it has been noted", || server.client().info("expired_stale_perc") != "0.00");
}

#[test]
fn the_slow_log_is_shortened_at_once() {
    let server = Server::start(&["--slowlog-log-slower-than", "0"]);
    let mut client = server.client();
    (0..20).for_each(|_| assert_eq!(client.line("PING"), "PONG"));
    assert_eq!(client.line("CONFIG SET slowlog-log-slower-than 1000000 slowlog-max-len 3"), "OK");
    assert_eq!(client.line("SLOWLOG LEN"), "(integer) 3");
}

#[test]
fn promtool_has_nothing_to_say_about_our_own() {
    let server = Launch::new().admin().start();
    let mut client = server.client();
    assert_eq!(client.line("SET key value"), "OK");
    assert_eq!(client.line("SAVE"), "OK");
    assert!(client.line("NONSENSE").starts_with("(error)"));
    let (_, text) = server.http("GET", "/metrics");
    let own = text.lines().filter(|line| line.starts_with("glasswing_")).count();
    assert!(own > 10, "only {own} samples of our own:\n{text}");
    let checker = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checker) = checker else {
        println!("promtool is not installed: the metrics' form was not checked");
        return;
    };
    checker.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = checker.wait_with_output().expect("it ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("error while linting"), "{said}");
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("glasswing_")).collect();
    assert!(about_ours.is_empty(), "{about_ours:?}");
}

#[test]
fn not_ready_while_it_loads() {
    let launch = Launch::new().admin().with(&["--enable-debug-command", "yes", "--save", "3600 1"]);
    let mut server = launch.start();
    assert_eq!(server.http("GET", "/readyz").0, 200);
    assert_eq!(server.client().line("DEBUG POPULATE 1000000"), "OK");
    assert_eq!(server.client().line("SAVE"), "OK");
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.ended();
    let mut server = launch.spawn();
    assert!(server.log_says("Running mode="));
    let (status, body) = server.http("GET", "/readyz?verbose");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("loading: ") || body.contains("loading failed: loading"), "{body}");
    assert_eq!(server.http("GET", "/livez").0, 200, "it lives");
    assert_eq!(server.http("GET", "/startupz").0, 503);
    let (status, text) = server.http("POST", "/save?wait=true");
    assert!(status == 503 && text.contains("being loaded"), "{status} {text}");
    assert_eq!(sample(&server, "redis_loading_dump_file"), 1.0);
    let reply = server.client().line("GET key:1");
    assert_eq!(reply, "(error) LOADING Redis is loading the dataset in memory");
    until("it is ready", || server.http("GET", "/readyz").0 == 200);
    assert_eq!(server.client().line("DBSIZE"), "(integer) 1000000");
    assert_eq!(server.http("GET", "/startupz").0, 200);
    assert_eq!(sample(&server, "redis_loading_dump_file"), 0.0);
}

fn traced(endpoint: &str) -> Launch {
    Launch::new()
        .admin()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
}

#[test]
fn spans_of_commands_and_saves_arrive() {
    let (endpoint, spans) = receiver();
    let server = traced(&endpoint).start();
    let mut client = server.client();
    let large = "x".repeat(1 << 20);
    assert_eq!(client.call(&["SET", "key", &large]), Some(Value::Simple("OK".into())));
    assert!(client.line("INCR key").starts_with("(error)"));
    assert_eq!(client.line("SAVE"), "OK");
    assert_eq!(server.http("GET", "/version").0, 200);
    let mut seen: Vec<Span> = Vec::new();
    let mut wanted = vec!["set", "incr", "save", "GET /version"];
    while !wanted.is_empty() {
        let span = spans.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{wanted:?} never arrive"));
        wanted.retain(|name| *name != span.name);
        seen.push(span);
    }
    server.stop();
    seen.extend(spans.try_iter());
    let request = seen.iter().find(|span| span.name == "GET /version").expect("it arrived");
    assert!(request.attributes.iter().any(|attribute| attribute.key == "http.response.status_code"));
    let set = seen.iter().find(|span| span.name == "set").expect("it arrived");
    let stages: Vec<&str> = seen
        .iter()
        .filter(|span| span.parent_span_id == set.span_id)
        .map(|span| {
            assert_eq!(span.trace_id, set.trace_id);
            assert!(span.start_time_unix_nano >= set.start_time_unix_nano, "{span:?}");
            assert!(span.end_time_unix_nano <= set.end_time_unix_nano, "{span:?}");
            span.name.as_str()
        })
        .collect();
    assert!(!stages.is_empty(), "a command has the stages that mattered");
    assert!(stages.iter().all(|name| ["parse", "lock_wait", "run", "write"].contains(name)), "{stages:?}");
    let incr = seen.iter().find(|span| span.name == "incr").expect("it arrived");
    assert_eq!(incr.status.as_ref().map(|status| status.message.as_str()), Some("ERR"));
}

#[test]
fn an_endpoint_that_never_answers_slows_nobody() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let server = traced(&format!("http://{}", listener.local_addr().expect("its address"))).start();
    let mut client = server.client();
    for turn in 0..200 {
        for number in 0..100 {
            client.send(&["SET", &format!("key:{turn}:{number}"), "value"]);
        }
        for _ in 0..100 {
            assert_eq!(client.reply(), Some(Value::Simple("OK".into())));
        }
    }
    assert_eq!(client.line("DBSIZE"), "(integer) 20000");
    let dropped = || sample(&server, "glasswing_spans_dropped_total");
    until("what does not fit is dropped and counted", || {
        assert_eq!(client.line("PING"), "PONG");
        dropped() > 0.0
    });
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_password_is_in_no_span() {
    let (endpoint, spans) = receiver();
    let server = traced(&endpoint).start();
    let mut client = server.client();
    for line in [
        "ACL SETUSER bob on >hunter2 +@all",
        "ACL SETUSER bob <hunter2x",
        "AUTH bob hunter2x",
        "HELLO 3 AUTH bob hunter2",
        "CONFIG SET requirepass hunter2",
    ] {
        client.line(line);
    }
    let mut seen: Vec<Span> = Vec::new();
    while !seen.iter().any(|span| span.name == "config|set") {
        seen.push(spans.recv_timeout(PATIENCE).expect("all commands arrive"));
    }
    server.stop();
    seen.extend(spans.try_iter());
    let shown = format!("{seen:?}");
    assert!(shown.contains("acl|setuser") && shown.contains("WRONGPASS"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
