//! From the command line to the exit code: configuration, listeners, limits, idle clients, logs, the end.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use common::{Client, Launch, Server, free_port, until};
use glasswing::resp::Value;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

#[test]
fn settings_come_from_everywhere_and_the_last_one_wins() {
    let launch = Launch::new()
        .settings("# a comment\ninclude more-*.conf\nmaxclients 111\nrequirepass \"a \\x62 c\"\nhz 20\n")
        .env("GLASSWING_MAXCLIENTS", "99")
        .env("GLASSWING_TIMEOUT", "77")
        .stdin("hz 30\nslowlog-max-len 5\n")
        .with(&["--slowlog-max-len", "6", "--save", "900", "1", "300", "10", "-"]);
    std::fs::write(launch.file("more-1.conf"), "lfu-decay-time 3\nlatency-tracking no\n").expect("a file");
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("PING"), "(error) NOAUTH Authentication required.");
    assert_eq!(client.line("AUTH 'a b c'"), "OK");
    for (name, value) in [
        ("maxclients", "111"),
        ("timeout", "77"),
        ("hz", "30"),
        ("slowlog-max-len", "6"),
        ("lfu-decay-time", "3"),
        ("latency-tracking", "no"),
        ("save", "900 1 300 10"),
    ] {
        assert_eq!(client.line(&format!("CONFIG GET {name}")), format!("1) \"{name}\"\n2) \"{value}\""));
    }
}

#[test]
fn a_wrong_setting_is_refused_with_its_place_and_a_hint() {
    let cases: [(Launch, &[&str]); 13] = [
        (Launch::new().settings("hz 10\nmaxclient 5\n"), &["line 2", ">>> 'maxclient 5'", "'maxclients'"]),
        (Launch::new().settings("\n\ntimeout x\n"), &["glasswing.conf, line 3", ">>> 'timeout x'"]),
        (Launch::new().with(&["--replicaof", "127.0.0.1 1"]), &["command line", "role of a replica"]),
        (Launch::new().with(&["--maxmemory-policy", "most"]), &["allkeys-lru"]),
        (Launch::new().env("GLASSWING_PROT", "1"), &["environment", "GLASSWING_PROT", "'port'"]),
        (Launch::new().settings("requirepass \"open\n"), &["Unbalanced quotes", "line 1"]),
        (Launch::new().settings("hz 10\nmaxclients 5\0 60\n"), &["line 2", "NUL byte", "text file"]),
        (
            Launch::new().settings("port 1\nuser ann on >secret bar\n"),
            &["line 2", ">>> 'user ann on (hidden) bar'", "Error in user declaration 'bar': Syntax error"],
        ),
        (
            Launch::new().settings("admin-bind nowhere\n"),
            &["line 1", ">>> 'admin-bind nowhere'", "127.0.0.1"],
        ),
        // What only the rest of the server can judge.
        (
            Launch::new().settings("hz 10\nrename-command NIX \"\"\n"),
            &["glasswing.conf, line 2", ">>> 'rename-command NIX \"\"'", "No such command in rename-command"],
        ),
        (
            Launch::new().with(&["--rename-command", "get", "set"]),
            &["command line", "Target command name already exists"],
        ),
        (
            Launch::new().admin().settings("hz 10\nadmin-token-file nowhere\n"),
            &["glasswing.conf, line 2", ">>> 'admin-token-file nowhere'", "No such file or directory"],
        ),
        (
            Launch::new().admin().env("GLASSWING_ADMIN_TOKEN_FILE", "/dev/null"),
            &["environment", "GLASSWING_ADMIN_TOKEN_FILE", "empty"],
        ),
    ];
    for (launch, words) in cases {
        let (code, log, errors) = launch.ends();
        assert_eq!(code, Some(1), "{log}\n{errors}");
        assert!(errors.contains("FATAL CONFIG FILE ERROR"), "{errors}");
        assert!(!errors.contains("secret"), "{errors}");
        for word in words {
            assert!(errors.contains(word), "no '{word}' in {errors}");
        }
    }
    let (code, _, errors) = Launch::new().bare().with(&["/no/such/file.conf"]).ends();
    assert_eq!(code, Some(1));
    assert!(errors.contains("can't open config file '/no/such/file.conf'"), "{errors}");
}

#[test]
fn a_file_is_judged_without_a_start() {
    let launch = Launch::new();
    let judged = |text: &str| {
        std::fs::write(launch.file("redis.conf"), text).expect("a file");
        Launch::new()
            .bare()
            .with(&["--check-config", &launch.file("redis.conf").display().to_string()])
            .ends()
    };
    let (code, text, _) =
        judged("port 7000\nio-threads 4\nrename-command NIX \"\"\nuser bob +nosuch\nprot 1\n");
    assert_eq!(code, Some(1), "{text}");
    for words in [
        "Honoured (1)",
        "io-threads 4 (not the default)",
        "Refused (3)",
        "No such command",
        "'+nosuch'",
        "'port'",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text, _) = judged("port 7000\n");
    assert!(code == Some(0) && text.contains("A server starts with this file."), "{text}");
    let (code, _, errors) = Launch::new().bare().with(&["--check-config", "/no/such/file"]).ends();
    assert!(code == Some(1) && errors.contains("can't open config file '/no/such/file'"), "{errors}");
}

#[test]
fn help_version_and_healthcheck() {
    let (code, help, _) = Launch::new().bare().with(&["--help"]).ends();
    assert_eq!(code, Some(0));
    for word in ["Usage", "healthcheck", "--port", "--admin-port", "--workers"] {
        assert!(help.contains(word), "no {word} in {help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 110), "a line is too wide:\n{help}");
    let (code, version, _) = Launch::new().bare().with(&["--version"]).ends();
    assert_eq!(code, Some(0));
    assert!(version.starts_with(concat!("Glasswing v=", env!("CARGO_PKG_VERSION"))), "{version}");

    let server = Launch::new().admin().start();
    let port = server.admin_port().to_string();
    let ask =
        |port: &str| Launch::new().bare().env("GLASSWING_ADMIN_PORT", port).with(&["healthcheck"]).ends();
    let (code, text, errors) = ask(&port);
    assert_eq!(code, Some(0), "{text}{errors}");
    let (code, _, errors) = ask(&free_port().to_string());
    assert_eq!(code, Some(1));
    assert!(!errors.is_empty());
    let (code, text, errors) = Launch::new().bare().with(&["healthcheck", "--admin-port", &port]).ends();
    assert_eq!(code, Some(0), "{text}{errors}");
    let url = format!("http://127.0.0.1:{port}/nothing-there");
    let (code, ..) = Launch::new().bare().with(&["healthcheck", "--url", &url]).ends();
    assert_eq!(code, Some(1));
}

#[test]
fn two_addresses_and_ipv6() {
    let with_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let second = if with_ipv6 { "::1" } else { "127.0.0.3" };
    let server = Server::start(&["--bind", "127.0.0.1", "127.0.0.2", second, "-192.0.2.1"]);
    for address in ["127.0.0.1", "127.0.0.2", second] {
        let mut client = Client::reach((address, server.port())).expect("it listens");
        assert_eq!(client.line("PING"), "PONG", "{address}");
        let list = client.line("CLIENT LIST");
        assert!(
            list.contains(&format!("laddr={}", if address == "::1" { "[::1]" } else { address })),
            "{list}"
        );
    }
    assert!(TcpStream::connect(("127.0.0.4", server.port())).is_err(), "nobody listens there");
}

#[test]
fn a_unix_socket_alone() {
    let launch = Launch::new().with(&["--port", "0", "--unixsocket", "s", "--unixsocketperm", "700"]);
    let server = launch.start();
    let mut client = Client::unix(&launch.file("s"));
    assert_eq!(client.line("SET key value"), "OK");
    assert!(client.line("CLIENT LIST").contains("addr=s:0"));
    let mode = std::fs::metadata(launch.file("s")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err(), "no port is open");
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!launch.file("s").exists(), "the socket is tidied away");
}

#[test]
fn too_many_clients_are_refused_in_rediss_words() {
    let server = Server::start(&["--maxclients", "3"]);
    let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.line("PING"), "PONG"));
    let mut refused = server.client();
    assert_eq!(refused.reply(), Some(Value::Error("ERR max number of clients reached".into())));
    assert_eq!(refused.reply(), None, "and the connection is closed");
    assert_eq!(clients[0].info("rejected_connections"), "1");
    assert_eq!(clients[0].line("CONFIG SET maxclients 4"), "OK");
    assert_eq!(server.client().line("PING"), "PONG");
}

#[test]
fn ten_thousand_silent_clients_and_one_that_is_served() {
    const WANTED: u64 = 10_000;
    // This process holds one end of each, and the server the other.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let spare = 200;
    if soft < WANTED + spare {
        let raised = setrlimit(Resource::RLIMIT_NOFILE, WANTED + spare, hard.max(WANTED + spare));
        raised
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
            .expect("the hard limit may be used");
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let silent = WANTED.min(soft - spare);
    assert!(silent >= 4_000, "only {soft} descriptors are allowed here");
    println!("{silent} silent connections");
    let server = Server::start(&["--maxclients", &(silent + 10).to_string(), "--workers", "2"]);
    let mut client = server.client();
    let mut connections = Vec::new();
    for number in 1..=silent {
        connections
            .push(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("the server listens"));
        // A backlog of 511 fills up otherwise.
        if number % 250 == 0 {
            until("they are accepted", || client.info("connected_clients") == (number + 1).to_string());
        }
    }
    for number in 0..100 {
        assert_eq!(
            client.line(&format!("INCRBY sum {number}")),
            format!("(integer) {}", number * (number + 1) / 2)
        );
    }
    drop(connections);
    until("they are gone", || client.info("connected_clients") == "1");
}

#[test]
fn timeout_closes_the_idle_but_not_the_parked() {
    let server = Server::start(&["--timeout", "1"]);
    let (mut idle, mut parked) = (server.client(), server.client());
    assert_eq!(idle.line("PING"), "PONG");
    parked.send(&["BLPOP", "list", "0"]);
    // It waits for the server to close it, past its second.
    assert_eq!(idle.reply(), None);
    let mut other = server.client();
    assert_eq!(other.info("blocked_clients"), "1");
    let parked_since = std::time::Instant::now();
    until("more than its second has passed for the parked one", || {
        assert_eq!(other.line("PING"), "PONG");
        parked_since.elapsed().as_millis() > 2_200
    });
    assert_eq!(other.line("RPUSH list x"), "(integer) 1");
    assert_eq!(parked.reply(), Some(Value::Array(vec![Value::Bulk("list".into()), Value::Bulk("x".into())])));
}

#[test]
fn a_password() {
    let server = Launch::new().with(&["--requirepass", "secret"]).start();
    let mut client = server.client();
    assert_eq!(client.line("GET key"), "(error) NOAUTH Authentication required.");
    let wrong = "(error) WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.line("AUTH wrong"), wrong);
    assert_eq!(client.line("AUTH default secret"), "OK");
    assert_eq!(client.line("SET key value"), "OK");
    assert_eq!(client.line("CONFIG SET requirepass other"), "OK");
    assert_eq!(client.line("GET key"), "\"value\"", "who is in stays in");
    assert_eq!(server.client().line("AUTH secret"), wrong);
    let mut hello = server.client();
    assert!(hello.line("HELLO 3 AUTH default other").contains("glasswing") || hello.line("PING") == "PONG");
    assert_eq!(client.line("CONFIG SET requirepass ''"), "OK");
    assert_eq!(server.client().line("GET key"), "\"value\"");
}

#[test]
fn another_port_by_config_set() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let (taken, free) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"), free_port());
    let taken = taken.local_addr().map(|address| (taken, address.port())).expect("its address");
    let refused = client.line(&format!("CONFIG SET port {}", taken.1));
    assert!(refused.starts_with("(error) ERR CONFIG SET failed"), "{refused}");
    assert_eq!(server.client().line("PING"), "PONG", "the old port goes on");
    assert_eq!(client.line(&format!("CONFIG SET port {free}")), "OK");
    assert_eq!(Client::connect(free).line("PING"), "PONG");
    assert_eq!(client.line("PING"), "PONG", "connections stay");
    until("the old port is closed", || TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err());
}

#[test]
fn config_rewrite_is_read_again() {
    let launch = Launch::new().bare().settings(&format!(
        "# mine\nport {}\nbind 127.0.0.1\nadmin-port 0\nworkers 1\n\n# points\nsave 900 1\nhz 12\n",
        free_port()
    ));
    let server = launch.start();
    let path = launch.file("glasswing.conf");
    let text = std::fs::read_to_string(&path).expect("the file");
    let port: u16 = text.lines().find_map(|line| line.strip_prefix("port ")?.parse().ok()).expect("a port");
    let mut client = Client::connect(port);
    for set in ["hz 15", "maxclients 123", "save '60 5 30 6'", "requirepass 'a \"b\" c'"] {
        assert_eq!(client.line(&format!("CONFIG SET {set}")), "OK", "{set}");
    }
    assert_eq!(client.line("CONFIG REWRITE"), "OK");
    let before = client.line("CONFIG GET *");
    server.stop();
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(text.starts_with("# mine\nport "), "{text}");
    assert!(text.contains("# points\nsave 60 5\nhz 15\n"), "{text}");
    // `settings` would write the file anew.
    let again = launch.clone().unsettled().with(&[&path]);
    let _server = again.start();
    let mut client = Client::connect(port);
    assert_eq!(client.line("AUTH 'a \"b\" c'"), "OK");
    assert_eq!(client.line("CONFIG GET *"), before);
}

#[test]
fn a_start_names_what_it_loads_and_what_it_passes_over() {
    let launch = Launch::new().with(&["--save", "3600 1", "--list-compress-depth", "1", "--io-threads", "4"]);
    let (status, _) = launch.start().stop();
    assert_eq!(status.code(), Some(0));
    std::fs::write(launch.file("dump.rdb"), "REDIS0010").expect("a file");
    std::fs::create_dir(launch.file("appendonlydir")).expect("a folder");
    std::fs::write(launch.file("appendonlydir/appendonly.aof.manifest"), "").expect("a file");
    let (_, log) = launch.start().stop();
    let says = |words: &str| assert!(log.iter().any(|line| line.contains(words)), "{words}: {log:?}");
    says("dump.rdb is there too, and is not loaded: ");
    says("An append-only file is in appendonlydir, and is not loaded");
    says("Loading ");
    says("Stored only, as what they tune is not here: io-threads 4, list-compress-depth 1");
}

#[test]
fn whoever_comes_at_once_finds_what_was_loaded() {
    let launch = Launch::new();
    for _ in 0..3 {
        let server = launch.spawn();
        until("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_ok());
        assert_eq!(server.client().line("SET key value"), "OK");
    }
}

#[test]
fn a_second_server_on_the_same_port() {
    let server = Server::start(&[]);
    let port = server.port().to_string();
    let (code, log, errors) = Launch::new().with(&["--port", &port]).ends();
    assert_eq!(code, Some(1));
    let words = format!("Failed listening on port {port} (TCP), aborting.");
    assert!(log.contains(&words) && errors.contains(&words), "{log}\n{errors}");
    assert_eq!(server.client().line("PING"), "PONG");

    // The default admin port may be taken, by us or by whoever runs these tests; then there is none.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080));
    let mut second = Launch::new().with(&["--admin-port", "8080"]).start();
    assert!(second.log_says("There is no admin HTTP; choose another port with --admin-port"));
    assert_eq!(second.client().line("PING"), "PONG");
    // One that was asked for must work.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let (code, _, errors) = Launch::new().with(&["--admin-port", &port]).ends();
    assert_eq!(code, Some(1));
    assert!(errors.contains("Choose another port with --admin-port"), "{errors}");
}

#[test]
fn the_log_as_json_and_its_level() {
    let mut server = Server::start(&["--log-format", "json"]);
    let mut client = server.client();
    assert_eq!(client.line("SAVE"), "OK");
    assert_eq!(client.line("CONFIG SET loglevel debug"), "OK");
    drop(client);
    server.signal(Signal::SIGTERM);
    let (_, log) = server.ended();
    assert!(log.len() > 4, "{log:?}");
    for line in &log {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value.is_object(), "{line}");
    }

    let mut server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.line("CONFIG SET loglevel warning"), "OK");
    assert_eq!(client.line("BGSAVE"), "Background saving started");
    until("it ends", || client.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(client.line("CONFIG SET loglevel notice"), "OK");
    assert_eq!(client.line("SAVE"), "OK");
    drop(client);
    server.signal(Signal::SIGTERM);
    let (_, log) = server.ended();
    assert_eq!(log.iter().filter(|line| line.contains("DB saved on disk")).count(), 1, "{log:?}");
}

#[test]
fn http_on_the_wrong_port_is_closed_and_logged() {
    let mut server = Server::start(&[]);
    for request in ["PING\r\nPOST / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost:6379\r\n\r\n"] {
        let mut client = server.client();
        assert!(client.raw(request.as_bytes()));
        assert_eq!(client.reply(), None, "it is told nothing, as in Redis");
    }
    assert!(server.log_says("Possible SECURITY ATTACK detected"));
    assert_eq!(server.client().line("PING"), "PONG");
    let (_, log) = server.stop();
    let said = log.iter().filter(|line| line.contains("SECURITY ATTACK")).count();
    assert_eq!(said, 1, "once a minute: {log:?}");
}

#[test]
fn a_pause_beyond_the_end_of_time_is_none() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.line("CLIENT PAUSE 9223372036854775807"), "OK");
    assert_eq!(client.line("PING"), "PONG");
}

#[test]
fn who_authenticates_may_send_more_in_the_same_packet() {
    let server = Server::start(&["--requirepass", "x"]);
    let long = "v".repeat(20_000);
    let many: Vec<String> = (0..24).map(|number| number.to_string()).collect();
    let mut mset = vec!["MSET"];
    mset.extend(many.iter().map(String::as_str));
    let mut client = server.client();
    let mut packet = common::encode(&["AUTH", "x"]);
    packet.extend(common::encode(&mset));
    packet.extend(common::encode(&["SET", "a", &long]));
    assert!(client.raw(&packet));
    for _ in 0..3 {
        assert_eq!(client.reply(), common::ok());
    }
    let mut stranger = server.client();
    assert!(stranger.raw(&common::encode(&mset)));
    assert!(matches!(stranger.reply(), Some(Value::Error(text)) if text.ends_with(b"multibulk length")));
}

#[test]
fn a_low_limit_of_descriptors_lowers_maxclients() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let launch = Launch::new().with(&["--maxclients", "4294967295"]);
    let mut server = launch.start();
    // Nobody has so many: it takes what there is.
    assert!(server.log_says("maxclients has been reduced to"));
    let shown = server.client().line("CONFIG GET maxclients");
    assert!(!shown.contains("4294967295"), "{shown}, {soft} and {hard} descriptors");
    assert_eq!(server.client().line("SAVE"), "OK");
}

#[test]
fn a_server_that_listens_nowhere_ends() {
    let (code, log, _) = Launch::new().with(&["--port", "0"]).ends();
    assert_eq!(code, Some(1));
    assert!(log.contains("Configured to not listen anywhere, exiting."), "{log}");
}

#[test]
fn subscribers_are_not_idle() {
    let server = Server::start(&["--timeout", "1"]);
    let (mut listens, mut idles) = (server.client(), server.client());
    listens.send(&["SUBSCRIBE", "news"]);
    assert!(listens.reply().is_some());
    assert_eq!(idles.line("PING"), "PONG");
    assert_eq!(idles.reply(), None, "who says nothing is closed");
    assert_eq!(server.client().line("PUBLISH news hello"), "(integer) 1");
    assert!(listens.reply().is_some());
}

#[test]
fn who_is_held_back_by_a_pause_counts_as_blocked() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.client(), server.client());
    assert_eq!(client.line("CLIENT PAUSE 100000 WRITE"), "OK");
    other.send(&["SET", "k", "v"]);
    until("it is held back", || client.info("blocked_clients") == "1");
    assert_eq!(client.line("CLIENT UNPAUSE"), "OK");
    assert_eq!(other.reply(), Some(Value::Simple("OK".into())));
    assert_eq!(client.info("blocked_clients"), "0");
}

/// As in Redis: who has given up may have tried again elsewhere.
#[test]
fn what_a_client_sent_that_leaves_during_a_pause_is_not_run() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.line("CLIENT PAUSE 100000 WRITE"), "OK");
    for lines in ["INCR n", "PING\r\nINCR n", "MULTI\r\nINCR n\r\nEXEC"] {
        let mut leaves = std::net::TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
        std::io::Write::write_all(&mut leaves, format!("{lines}\r\n").as_bytes()).expect("it reads");
        until("it is held back", || client.info("blocked_clients") == "1");
        drop(leaves);
        until("it is gone", || client.info("connected_clients") == "1");
        assert_eq!(client.info("blocked_clients"), "0");
    }
    // Who stays is served, with what came meanwhile.
    let mut stays = server.client();
    stays.send(&["INCR", "n"]);
    until("it is held back", || client.info("blocked_clients") == "1");
    stays.send(&["INCR", "n"]);
    assert_eq!(client.line("CLIENT UNPAUSE"), "OK");
    assert_eq!([stays.reply(), stays.reply()], [Some(Value::Int(1)), Some(Value::Int(2))]);
}

#[test]
fn the_background_is_another_process() {
    let launch = Launch::new().with(&["--daemonize", "yes", "--logfile", "log", "--pidfile", "the.pid"]);
    let pidfile = launch.file("the.pid");
    let mut server = launch.spawn();
    let (status, _) = server.ended();
    assert_eq!(status.code(), Some(0), "{}", server.errors());
    until("it listens", || Client::reach(("127.0.0.1", server.port())).is_ok());
    let mut client = server.client();
    let pid = client.info("process_id");
    assert_ne!(pid, server.pid().to_string());
    assert_eq!(client.line("CONFIG GET daemonize"), "1) \"daemonize\"\n2) \"yes\"");
    assert_eq!(std::fs::read_to_string(&pidfile).expect("the pid file").trim(), pid);
    until("its log says so", || {
        std::fs::read_to_string(launch.file("log")).expect("the log").contains("Ready to accept")
    });
    let log = std::fs::read_to_string(launch.file("log")).expect("the log");
    assert!(log.lines().any(|line| line.starts_with(&format!("{pid}:")) && line.contains("Ready")), "{log}");
    client.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(client.reply(), None);
    until("it ends", || !pidfile.exists());
    // The last line wins, wherever it stands.
    let launch = Launch::new().settings("daemonize yes\n").with(&["--daemonize", "no"]);
    assert_eq!(launch.start().client().line("PING"), "PONG");
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_ends() {
    let launch = Launch::new();
    let path = launch.file("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(common::PATIENCE)).expect("a time");
    let said = || {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    // Under a service manager it stays in the foreground.
    let launch = launch.env("NOTIFY_SOCKET", &path.to_string_lossy()).with(&["--daemonize", "yes"]);
    let server = launch.clone().env("WATCHDOG_USEC", "300000").with(&["--supervised", "systemd"]).start();
    let said_otherwise =
        || std::iter::from_fn(|| Some(said())).find(|message| !message.contains("WATCHDOG=1"));
    let message = said_otherwise().expect("a message");
    assert!(
        message.contains("READY=1") && message.contains("STATUS=Ready to accept connections"),
        "{message}"
    );
    assert_eq!(server.client().info("process_supervised"), "systemd");
    assert_eq!(server.client().info("process_id"), server.pid().to_string());
    for _ in 0..3 {
        assert_eq!(said(), "WATCHDOG=1\n");
    }
    server.stop();
    let message = said_otherwise().expect("a message");
    assert!(message.contains("STOPPING=1"), "{message}");
    let (status, log) = Launch::new().with(&["--supervised", "systemd"]).start().stop();
    assert_eq!(status.code(), Some(0));
    assert!(log.iter().any(|line| line.contains("NOTIFY_SOCKET not found")), "{log:?}");
}

#[test]
fn the_allocators_threads_are_there_as_the_setting_says() {
    let server = Server::start(&[]);
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("its threads");
        let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("jemalloc_bg")).count()
    };
    until("they are there", || threads() > 0);
    assert_eq!(server.client().line("CONFIG SET jemalloc-bg-thread no"), "OK");
    until("they are gone", || threads() == 0);
    assert_eq!(server.client().line("CONFIG SET jemalloc-bg-thread yes"), "OK");
    until("they are back", || threads() > 0);
}
