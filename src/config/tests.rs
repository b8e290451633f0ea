//! The readers of the table together, against what a real redis-server 7.0.15 said.

use super::*;
use proptest::prelude::*;
use std::ffi::OsString;

const GRAMMAR: &str = include_str!("testdata/grammar.txt");
const ACCEPTED: &str = include_str!("testdata/accepted.txt");
const CONFIG_GET: &str = include_str!("testdata/redis-config-get.txt");

/// Where CONFIG GET of an unconfigured server differs from Redis on purpose, or because of how it was recorded.
const DIFFERENT: &[&str] = &["dbfilename", "dir", "port", "daemonize", "pidfile", "save"];

fn start_with(args: &[&str], env: &[(&str, &str)], stdin: &str) -> Result<Config, String> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let env: Vec<(String, String)> = env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    match startup(&args, &env, &mut stdin.as_bytes()) {
        Ok(Startup::Run(config)) => Ok(*config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn start(args: &[&str]) -> Result<Config, String> {
    start_with(args, &[], "")
}

fn words(line: &str) -> Vec<String> {
    let words = quote::split_args(line.as_bytes()).expect("balanced");
    words.into_iter().map(|word| String::from_utf8(word).expect("text")).collect()
}

/// The recorded cases of a file: arguments and what follows the arrow.
fn cases(text: &'static str) -> impl Iterator<Item = (Vec<String>, &'static str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(" => ").expect("a case")).map(|(args, result)| (words(args), result))
}

fn ends_like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.strip_prefix(b"*") {
        Some(end) => text.ends_with(end),
        None => text == pattern,
    }
}

fn value(config: &Config, name: &str) -> String {
    let found = config.get(&[name.as_bytes()], ends_like);
    found.into_iter().next().unwrap_or_else(|| panic!("no {name}")).1
}

fn set(config: &Config, pairs: &[(&str, &str)]) -> Result<(), String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
    config.set(&pairs, &mut |_, _, _| Ok(())).map_err(|error| error.to_string())
}

#[test]
fn refused_arguments_are_refused_in_redis_words() {
    for (args, expected) in cases(GRAMMAR) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let error = start(&args).err().unwrap_or_else(|| panic!("{args:?} was accepted"));
        let expected = expected.replace('|', "\n");
        assert!(error.contains(&expected), "{args:?}\nexpected {expected}\ngot {error}");
    }
}

#[test]
fn accepted_arguments_mean_what_they_mean_to_redis() {
    for (args, expected) in cases(ACCEPTED) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let config = start(&args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        for pair in expected.split('|').collect::<Vec<_>>().chunks(2) {
            assert_eq!(value(&config, pair[0]), pair[1], "{args:?} {}", pair[0]);
        }
    }
}

#[test]
fn config_get_answers_as_redis_does() {
    let config = start(&[]).expect("start");
    let ours = config.get(&[b"*"], ends_like);
    let redis: Vec<(&str, &str)> = CONFIG_GET.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(redis.len() > 190);
    for (name, expected) in &redis {
        let found = ours.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(
            found.1 == *expected || DIFFERENT.contains(name),
            "{name}: {} instead of {expected}",
            found.1
        );
    }
    for (name, _) in &ours {
        let (row, _) = find(name.as_bytes()).expect("row");
        assert!(
            row.flags.has(Flags::OURS) || redis.iter().any(|(known, _)| known == name),
            "{name} is not Redis's"
        );
    }
}

#[test]
fn config_get_finds_names_once_and_hidden_ones_by_name_only() {
    let config = start(&[]).expect("start");
    let names = |patterns: &[&[u8]]| -> Vec<String> {
        config.get(patterns, ends_like).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&[b"PORT", b"port", b"nothing"]), ["PORT"]);
    assert_eq!(names(&[b"*OF"]), ["replicaof", "slaveof"]);
    assert_eq!(names(&[b"key-load-delay"]), ["key-load-delay"]);
    assert!(!names(&[b"*"]).contains(&"key-load-delay".to_owned()));
}

#[test]
fn every_default_is_accepted_as_its_own_value() {
    let defaults = Settings::default();
    for row in ROWS {
        let mut settings = defaults.clone();
        let shown = (row.show)(&settings, &row.kind);
        let args: Vec<Vec<u8>> = match row.flags.has(Flags::MULTI) {
            true => quote::split_args(&shown).expect("words"),
            false => vec![shown],
        };
        let skipped = ["dir", "replicaof"].contains(&row.name);
        if !skipped {
            row.parse(&mut settings, &args, row::How::Set)
                .unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert!((row.same)(&settings, &defaults), "{}", row.name);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = ROWS.iter().flat_map(|row| [Some(row.name), row.alias]).flatten().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn sources_override_one_another_in_order() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("redis.conf");
    let text = "port 2\ntimeout 2\nmaxclients 2\nhz 2\n";
    std::fs::write(&file, text).expect("file");
    let env =
        [("GLASSWING_PORT", "1"), ("GLASSWING_TIMEOUT", "1"), ("GLASSWING_TCP_BACKLOG", "1"), ("HOME", "/")];
    let args = [file.to_str().expect("path"), "--maxclients", "4", "-"];
    let config = start_with(&args, &env, "timeout 3\nmaxclients 3\n").expect("start");
    let now = config.current();
    assert_eq!((now.tcp_backlog, now.port, now.timeout_s, now.maxclients, now.hz), (1, 2, 3, 4, 2));
    assert_eq!(config.config_file().as_deref(), Some(file.as_path()));
}

#[test]
fn save_lines_add_up_and_the_first_replaces_what_came_before() {
    let env = [("GLASSWING_SAVE", "5 5")];
    let saved = |stdin: &str, args: &[&str]| value(&start_with(args, &env, stdin).expect("start"), "save");
    assert_eq!(saved("", &[]), "5 5");
    assert_eq!(saved("save 900 1\n", &["-", "--save", "100", "100"]), "900 1 100 100");
    assert_eq!(saved("save 900 1\n", &["-", "--save", ""]), "");
}

#[test]
fn an_empty_name_is_no_file() {
    let config = start(&["", "--port", "7000"]).expect("it starts as with no argument, as redis-server does");
    assert_eq!((config.current().port, config.config_file()), (7000, None));
}

#[test]
fn environment_variables_are_settings() {
    let start = |name: &str, value: &str| start_with(&[], &[(name, value)], "");
    assert_eq!(
        value(&start("GLASSWING_ADMIN_BIND", "0.0.0.0 ::").expect("start"), "admin-bind"),
        "0.0.0.0 ::"
    );
    assert_eq!(value(&start("GLASSWING_REQUIREPASS", "a b'").expect("start"), "requirepass"), "a b'");
    start("GLASSWING_ADMIN_TOKEN", "secret").expect("no setting");
    for link in [
        ("GLASSWING_PORT", "tcp://10.0.0.1:6379"),
        ("GLASSWING_SERVICE_HOST", "10.0.0.1"),
        ("GLASSWING_PORT_6379_TCP_ADDR", "x"),
        ("GLASSWING_METRICS_PORT", "tcp://10.0.0.1:8080"),
        ("GLASSWING_METRICS_SERVICE_HOST", "10.0.0.1"),
        ("GLASSWING_METRICS_SERVICE_PORT_HTTP", "8080"),
        ("GLASSWING_METRICS_PORT_8080_TCP_PROTO", "tcp"),
    ] {
        start(link.0, link.1).expect("a service link is ignored");
    }
    let error = start("GLASSWING_PROT", "1").expect_err("unknown");
    assert!(error.contains("Bad directive") && error.contains("'port'"), "{error}");
    let error = start("GLASSWING_PORT", "x").expect_err("invalid");
    assert!(error.contains(">>> 'GLASSWING_PORT=x'\nargument couldn't be parsed into an integer"), "{error}");
}

#[test]
fn a_fault_names_file_line_and_what_is_allowed() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("file");
        path.display().to_string()
    };
    let inner = write("inner.conf", "timeout 1\n\nprot 6379\n");
    let outer = write("outer.conf", &format!("# outer\ninclude {inner}\n"));
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 3\n\
         >>> 'prot 6379'\nBad directive or wrong number of arguments\nFile: {inner}, line 3.\n\
         There is no setting 'prot'. Did you mean 'port'? All settings: docs/configuration.md.\n"
    );
    assert_eq!(start(&[&outer]).expect_err("refused"), expected);
    let error = super::check_text(b"timeout 1\nprot 6379\n").expect_err("refused").to_string();
    assert!(error.contains("\nFile: standard input, line 2.\n"), "{error}");
    for (word, advice) in [
        ("--port=7000", "port 7000 in a file, --port 7000 as an option."),
        ("--bind=127.0.0.1", "bind 127.0.0.1 in a file, --bind 127.0.0.1 as an option."),
    ] {
        let error = start(&[word]).expect_err("refused");
        assert!(error.contains(advice), "{error}");
    }
    let itself = write("self.conf", &format!("include {}/self.conf\n", folder.path().display()));
    assert!(start(&[&itself]).expect_err("refused").contains("Too many nested includes"));
    let missing = write("missing.conf", "port 1\ninclude nowhere.conf\n");
    let error = start(&[&missing]).expect_err("refused");
    assert!(error.contains("can't open config file") && error.contains("at line 2"), "{error}");
    let pattern = format!("{}/none*.conf", folder.path().display());
    start(&["--include", &pattern]).expect("a pattern without files is no error");
}

#[test]
fn what_commands_are_to_be_called_is_kept_in_order() {
    let config =
        start(&["--rename-command", "FLUSHALL", "wipe", "--rename-command", "wipe", ""]).expect("start");
    let renames: Vec<_> = config.renames().iter().map(|rename| (&rename.from[..], &rename.to[..])).collect();
    assert_eq!(renames, [(&b"FLUSHALL"[..], &b"wipe"[..]), (b"wipe", b"")]);
    let error = check_text(b"rename-command x").expect_err("one name").to_string();
    assert!(
        error.contains("Bad directive or wrong number of arguments") && error.contains("two names"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_refused_with_its_name() {
    for (line, word) in [
        ("replicaof 127.0.0.1 6379", "the role of a replica"),
        ("cluster-enabled yes", "cluster mode"),
        ("loadmodule x.so", "modules"),
    ] {
        let error = check_text(line.as_bytes()).expect_err(line).to_string();
        assert!(error.contains("this server does not have") && error.contains(word), "{error}");
    }
    let off =
        "appendonly no\nwatchdog-period 0\nmaxmemory 0\nreplicaof no one\ncluster-enabled no\ndaemonize no\n";
    assert_eq!(check_text(off.as_bytes()), Ok(Settings::default()));
    // What counts is the value in the end, and what is said is where it was set last.
    assert_eq!(check_text(b"cluster-enabled yes\ncluster-enabled no"), Ok(Settings::default()));
    let error =
        check_text(b"cluster-enabled no\ncluster-enabled yes\nport 1").expect_err("refused").to_string();
    assert!(error.contains("at line 2"), "{error}");
    let config = start(&[]).expect("start");
    let error = set(&config, &[("timeout", "5"), ("watchdog-period", "1")]).expect_err("refused");
    assert!(error.starts_with(
        "ERR CONFIG SET failed (possibly related to argument 'watchdog-period') - this server does not"
    ));
    assert_eq!(value(&config, "timeout"), "0");
}

#[test]
fn config_set_refuses_in_redis_words() {
    let config = start(&[]).expect("start");
    let failed = |name: &str, why: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    };
    for (pairs, expected) in [
        (
            &[("Nope", ""), ("timeout", "5")][..],
            "ERR Unknown option or number of arguments for CONFIG SET - 'Nope'".into(),
        ),
        (&[("SAVE", ""), ("timeout", "5"), ("Timeout", "7")], failed("Timeout", "duplicate parameter")),
        (&[("DAEMONIZE", "f")], failed("DAEMONIZE", "can't set immutable config")),
        (&[("io-threads", "1")], failed("io-threads", "can't set immutable config")),
        (&[("shards", "8192")], failed("shards", "can't set immutable config")),
        (&[("dir", "/")], failed("dir", "can't set protected config")),
        (&[("slave-read-only", "f")], failed("slave-read-only", "argument must be 'yes' or 'no'")),
        (&[("timeout", " 1")], failed("timeout", "argument couldn't be parsed into an integer")),
        (&[("save", "x")], failed("save", "Invalid save parameters")),
        (
            &[("maxmemory-clients", "1x")],
            failed("maxmemory-clients", "argument must be a memory or percent value"),
        ),
        (
            &[("proc-title-template", "{a}")],
            failed("proc-title-template", "template format is invalid or contains unknown variables"),
        ),
        (
            &[("client-output-buffer-limit", "normal 1 2 -4")],
            failed(
                "client-output-buffer-limit",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
        ),
    ] {
        assert_eq!(set(&config, pairs), Err(expected), "{pairs:?}");
    }
    assert_eq!(*config.current(), *start(&[]).expect("start").current());
    let loading = Origin { loading: true, local: true };
    let refused = config.set_from(loading, &[(b"repl-diskless-load", b"swapdb")], &mut |_, _, _| Ok(()));
    assert_eq!(refused, Err(SetError::Loading));
}

#[test]
fn local_clients_may_change_protected_settings_when_told_so() {
    let config = start(&["--enable-protected-configs", "local"]).expect("start");
    let pairs: &[(&[u8], &[u8])] = &[(b"dbfilename", b"x.snapshot")];
    assert!(config.set(pairs, &mut |_, _, _| Ok(())).is_err());
    let local = Origin { local: true, loading: false };
    config.set_from(local, pairs, &mut |_, _, _| Ok(())).expect("allowed");
    assert_eq!(value(&config, "dbfilename"), "x.snapshot");
}

#[test]
fn a_change_that_cannot_be_applied_is_rolled_back() {
    let config = start(&[]).expect("start");
    let (before, version) = (config.current(), config.version());
    let mut calls = Vec::new();
    let refused = config.set(&[(b"port", b"7000"), (b"hz", b"50")], &mut |old, new, rows| {
        let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        calls.push((old.port, new.port, names));
        let message = "Unable to listen on this port. Check server logs.".to_owned();
        if new.port == 7000 { Err(ApplyError { name: "port", message }) } else { Ok(()) }
    });
    let refused = refused.expect_err("refused").to_string();
    assert_eq!(
        refused,
        "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
    );
    let rows = vec!["port", "hz"];
    assert_eq!(calls, [(6379, 7000, rows.clone()), (7000, 6379, rows)]);
    assert_eq!((config.current(), config.version()), (before, version));

    set(&config, &[("port", "7000"), ("list-max-ziplist-size", "5")]).expect("set");
    assert_ne!(config.version(), version);
    let differing: Vec<&str> = config.differing().iter().map(|difference| difference.name).collect();
    assert_eq!(differing, ["port", "list-max-listpack-size"]);
    config.set(&[(b"port", b"7000")], &mut |_, _, _| panic!("nothing changed")).expect("set");
}

#[test]
fn secrets_are_hidden_from_the_admin_port() {
    let config = start(&["--requirepass", "hunter2"]).expect("start");
    let visible = config.visible();
    assert!(visible.contains(&("requirepass".into(), "(hidden)".into())));
    assert!(visible.contains(&("masterauth".into(), String::new())));
    assert!(!format!("{visible:?}{:?}{:?}", config.differing(), config.current()).contains("hunter2"));
    assert_eq!(value(&config, "requirepass"), "hunter2");
}

/// The lines of a file, sorted where Redis's own order is that of a hash table: below the signature.
fn comparable(text: &str, folder: &str) -> (String, Vec<String>) {
    let text = text.replace("@DIR@", folder);
    let (kept, added) = text.split_once("# Generated by CONFIG REWRITE\n").expect("signature");
    // Redis writes its ACL users; there are none here, and such a line would be refused at start.
    let mut added: Vec<String> =
        added.lines().filter(|line| !line.starts_with("user ")).map(str::to_owned).collect();
    added.sort();
    (kept.to_owned(), added)
}

#[test]
fn rewrite_writes_what_redis_writes_and_writes_it_once() {
    let folder = tempfile::tempdir().expect("folder");
    let root = folder.path().canonicalize().expect("root");
    let file = root.join("r.conf");
    let before =
        include_str!("testdata/rewrite-before.conf").replace("dir .\n", &format!("dir {}\n", root.display()));
    std::fs::write(&file, before).expect("file");
    let config = start(&[file.to_str().expect("path")]).expect("start");
    set(
        &config,
        &[
            ("timeout", "30"),
            ("save", "60 5"),
            ("client-query-buffer-limit", "2097152"),
            ("bind", "* -::*"),
            ("requirepass", "a\"b"),
            ("repl-backlog-size", "1000001"),
            ("shutdown-on-sigterm", "nosave now"),
            ("notify-keyspace-events", "KEA"),
            ("latency-tracking-info-percentiles", "50.5 99"),
        ],
    )
    .expect("set");
    config.rewrite().expect("rewrite");
    let ours = std::fs::read_to_string(&file).expect("file");
    // Redis puts the class `normal` where `pubsub` stood, and moves on with the next rewrite; here it stays.
    let (normal, pubsub) =
        ("client-output-buffer-limit normal 0 0 0\n", "client-output-buffer-limit pubsub 1mb 0 0\n");
    let redis = include_str!("testdata/rewrite-redis.conf").replace(pubsub, "").replace(normal, pubsub);
    let root = root.display().to_string();
    assert_eq!(comparable(&ours, &root), comparable(&redis, &root));

    config.rewrite().expect("rewrite");
    assert_eq!(std::fs::read_to_string(&file).expect("file"), ours);
    let again = start(&[file.to_str().expect("path")]).expect("start");
    assert_eq!(*again.current(), *config.current());
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "no temporary file stays");
}

#[test]
fn rewrite_needs_a_file_and_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let error = start(&[]).expect("start").rewrite().expect_err("no file");
    assert_eq!(error.to_string(), "ERR The server is running without a config file");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("r.conf");
    std::fs::write(&file, "port 7000\n").expect("file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mode");
    let config = start(&[file.to_str().expect("path")]).expect("start");
    config.rewrite().expect("rewrite");
    assert_eq!(std::fs::metadata(&file).expect("file").permissions().mode() & 0o777, 0o600);
    config.rewrite_all().expect("rewrite");
    let all = std::fs::read_to_string(&file).expect("file");
    assert!(all.contains("\nmaxmemory-policy noeviction\n") && all.starts_with("port 7000\n"));
    assert_eq!(*start(&[file.to_str().expect("path")]).expect("start").current(), *config.current());
}

#[test]
fn redis_test_suites_own_configuration_is_accepted() {
    let text = "always-show-logo yes\nnotify-keyspace-events KEA\ndaemonize no\npidfile /var/run/redis.pid\nport 6379\n\
        timeout 0\nbind 127.0.0.1\nloglevel verbose\nlogfile ''\ndatabases 16\nlatency-monitor-threshold 1\n\
        repl-diskless-sync-delay 0\nsave 900 1\nrdbcompression yes\ndbfilename dump.rdb\ndir ./\n\
        slave-serve-stale-data yes\nappendonly no\nappendfsync everysec\nno-appendfsync-on-rewrite no\n\
        activerehashing yes\nenable-protected-configs yes\nenable-debug-command yes\nenable-module-command yes\n\
        propagation-error-behavior panic\nloglevel verbose\nuse-exit-on-panic yes\ncrash-memcheck-enabled no";
    let settings = check_text(text.as_bytes()).expect("accepted");
    assert!(settings.notify_keyspace_events.has(b'x') && !settings.notify_keyspace_events.has(b'm'));
    assert_eq!(settings.save, [SavePoint { seconds: 900, changes: 1 }]);
}

#[test]
fn networks_contain_addresses() {
    for (network, address, expected) in [
        ("10.0.0.0/8", "10.200.1.1", true),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("fd00::/8", "fdff::1", true),
        ("::1", "::1", true),
        ("::1", "::2", false),
    ] {
        let network: Network = network.parse().expect("network");
        assert_eq!(network.contains(address.parse().expect("address")), expected, "{network} {address}");
    }
    for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/-1", ""] {
        assert!(wrong.parse::<Network>().is_err(), "{wrong}");
    }
}

#[test]
fn healthcheck_asks_the_admin_port_of_the_environment() {
    let run = |args: &[&str]| {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        startup(&args, &[("GLASSWING_ADMIN_PORT".into(), "9000".into())], &mut std::io::empty())
    };
    let Ok(Startup::Healthcheck(asked)) = run(&["healthcheck"]) else { panic!("healthcheck") };
    assert_eq!((asked.url.as_str(), asked.timeout.as_secs()), ("http://127.0.0.1:9000/readyz", 3));
    let Ok(Startup::Healthcheck(asked)) = run(&["healthcheck", "--url=http://x/y", "--timeout", "9"]) else {
        panic!("healthcheck")
    };
    assert_eq!((asked.url.as_str(), asked.timeout.as_secs()), ("http://x/y", 9));
    assert!(run(&["healthcheck", "--what"]).is_err() && run(&["healthcheck", "--timeout", "0"]).is_err());
    assert!(
        matches!(run(&["-v"]), Ok(Startup::Print(_))) && matches!(run(&["--help"]), Ok(Startup::Print(_)))
    );
    assert!(
        run(&["--test-memory", "4"]).is_err()
            && run(&["--check-system"]).is_err()
            && run(&["--sentinel"]).is_err()
    );
}

#[test]
fn the_tools_for_files_take_names() {
    let run = |args: &[&str]| {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        startup(&args, &[], &mut std::io::empty())
    };
    let Ok(Startup::Check(asked)) = run(&["check", "a", "--fix", "b"]) else { panic!("check") };
    assert_eq!((asked.files, asked.fix), (vec!["a".into(), "b".into()], true));
    let Ok(Startup::Convert(asked)) = run(&["convert", "a", "b"]) else { panic!("convert") };
    assert_eq!((asked.from, asked.to), ("a".into(), "b".into()));
    assert!(
        run(&["check"]).is_err() && run(&["check", "--what"]).is_err() && run(&["convert", "a"]).is_err()
    );
    for (time, at_unix_s) in [
        ("1700000000", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T23:13:20.9+01:00", 1_700_000_000),
        ("1970-01-01T00:00:00Z", 0),
    ] {
        let Ok(Startup::Restore(asked)) = run(&["restore", "--at", time, "x"]) else { panic!("{time}") };
        assert_eq!((asked.at_unix_s, asked.folder), (at_unix_s, "x".into()), "{time}");
        assert!(matches!(run(&["restore", "x", &format!("--at={time}")]), Ok(Startup::Restore(_))));
    }
    // Without a zone nobody knows which moment is meant, and milliseconds are no seconds.
    for time in
        ["", "2023-11-14T22:13:20", "2023-11-14", "yesterday", "-5", "1700000000000", "1969-12-31T23:59:59Z"]
    {
        let Err(refused) = run(&["restore", "--at", time, "x"]) else { panic!("{time}") };
        assert!(refused.to_string().contains(&format!("'{time}' is no TIME")), "{refused}");
    }
    for args in [&["restore"][..], &["restore", "x"], &["restore", "--at"], &["restore", "--at", "1"]] {
        assert!(run(args).is_err(), "{args:?}");
    }
    assert!(
        run(&["restore", "--at", "1", "x", "y"]).is_err() && run(&["restore", "--in", "1", "x"]).is_err()
    );
    for tool in ["check", "convert", "restore"] {
        assert!(matches!(run(&[tool, "--help"]), Ok(Startup::Print(_))));
    }
}

proptest! {
    #[test]
    fn random_lines_never_panic_and_accepted_ones_survive_a_rewrite(
        lines in proptest::collection::vec((0..ROWS.len(), "[ -~]{0,12}|[0-9]{1,6}|yes|no|[0-9]{1,3}[kmg]b"), 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut text = Vec::new();
        for (row, value) in lines.iter().filter(|(row, _)| ROWS[*row].name != "dir") {
            text.extend(format!("{} {value}\n", ROWS[*row].name).bytes());
        }
        if let Ok(settings) = check_text(&text) {
            let settings = Settings { dir: "/".into(), ..settings };
            let written = rewrite_text(&text, &settings, &Settings::default(), false);
            prop_assert_eq!(check_text(&written), Ok(settings.clone()));
            prop_assert_eq!(rewrite_text(&written, &settings, &Settings::default(), false), written);
        }
        text.extend(noise);
        let _ = check_text(&text);
    }
}

/// What the fuzz target `config` found.
#[test]
fn findings_of_the_fuzzer_survive_a_rewrite() {
    let findings: [&[u8]; 1] =
        // Shown with six decimals, as in CONFIG GET, the file lost the rest.
        [b"latency-tracking-info-percentiles 25 95 99.903333333333333330 1\n"];
    for text in findings {
        let settings = check_text(text).expect("accepted");
        let dir = settings.dir.canonicalize().expect("the working folder");
        let settings = Settings { dir, ..settings };
        let written = rewrite_text(text, &settings, &Settings::default(), false);
        assert_eq!(check_text(&written).as_ref(), Ok(&settings), "{}", text.escape_ascii());
    }
}

#[test]
fn an_immutable_setting_of_ours_takes_the_value_that_it_has() {
    let config = start(&["--workers", "3"]).expect("start");
    set(&config, &[("workers", "3"), ("timeout", "7")]).expect("nothing changes but the timeout");
    assert_eq!(config.current().timeout_s, 7);
    set(&config, &[("workers", "4")]).expect_err("another value");
}
