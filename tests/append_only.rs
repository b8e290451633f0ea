//! The append-only file with real processes: Redis reads what is written here and the other way round, and the log
//! says exactly what happened. What it survives is in `append_only_survival.rs`.

mod common;

use std::path::Path;

use common::redis::Redis;
use common::{Client, LOG_FOLDER, Launch, Server, encode, log_launch, ok, until};
use nix::sys::signal::Signal;

fn manifest(server: &Server) -> String {
    std::fs::read_to_string(server.file(LOG_FOLDER).join("appendonly.aof.manifest")).expect("a manifest")
}

/// The bytes of the increment that the manifest names last.
fn increment(server: &Server) -> Vec<u8> {
    let manifest = manifest(server);
    let name = manifest.lines().last().and_then(|line| line.split(' ').nth(1)).expect("a line").to_owned();
    std::fs::read(server.file(LOG_FOLDER).join(name)).expect("the increment")
}

/// The commands of an increment, a line each.
fn commands(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    let line = |rest: &mut &[u8]| {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("a line");
        let line = String::from_utf8_lossy(&rest[..end - 1]).into_owned();
        *rest = &rest[end + 1..];
        line
    };
    while !rest.is_empty() {
        let head = line(&mut rest);
        let Some(count) = head.strip_prefix('*') else {
            assert!(head.starts_with('#'), "{head}");
            continue;
        };
        let words = (0..count.parse::<usize>().expect("a number")).map(|_| {
            let length: usize = line(&mut rest)[1..].parse().expect("a length");
            let word = String::from_utf8_lossy(&rest[..length]).into_owned();
            rest = &rest[length + 2..];
            word
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines
}

fn digest(client: &mut Client) -> String {
    client.line("DEBUG DIGEST")
}

/// Waits until no rewrite runs or is scheduled.
fn wait_for_rewrite(client: &mut Client) {
    until("the rewrite ends", || {
        client.info("aof_rewrite_in_progress") == "0" && client.info("aof_rewrite_scheduled") == "0"
    });
}

/// A real Redis over a folder.
fn redis_over(folder: &Path) -> Option<Redis> {
    let redis = Redis::start_in(folder, &["--appendonly", "yes", "--enable-debug-command", "yes"])?;
    until("Redis has loaded", || Client::connect(redis.port()).line("PING") == "PONG");
    Some(redis)
}

/// Some of everything.
fn fill(client: &mut Client) {
    for line in [
        "SET text hello",
        "SET count 10",
        "INCR count",
        "APPEND text ' world'",
        "SET later x EX 1000",
        "GETEX count PX 900000",
        "RPUSH list a b c d",
        "LMOVE list other LEFT RIGHT",
        "LMPOP 2 none list RIGHT COUNT 2",
        "SADD set a b c 1 2 3",
        "SPOP set 2",
        "SPOP set",
        "HSET hash f 1 g 2",
        "HINCRBYFLOAT hash f 0.1",
        "INCRBYFLOAT float 3.25",
        "ZADD scores 1 a 2.5 b -inf c",
        "ZPOPMIN scores",
        "XADD stream * f v",
        "XADD stream MAXLEN ~ 100 * f w",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        "XAUTOCLAIM stream group you 0 0",
        "PFADD log a b c",
        "SETBIT bits 100 1",
        "GEOADD places 13.36 38.11 Palermo",
        "EVAL \"redis.call('SET', KEYS[1], ARGV[1]) redis.call('EXPIRE', KEYS[1], 500) return 1\" 1 scripted 5",
        "MULTI",
        "SET one 1",
        "SELECT 3",
        "SET two 2 EX 77",
        "EXEC",
        "SET three 3",
        "MOVE three 4",
        "SELECT 0",
        "COPY text text2 DB 5",
    ] {
        let reply = client.line(line);
        assert!(!reply.starts_with("(error)"), "{line}: {reply}");
    }
    let code = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";
    assert!(client.call(&["FUNCTION", "LOAD", code]).is_some());
}

#[test]
fn everything_is_there_after_a_kill_and_a_restart() {
    for rdb in ["yes", "no"] {
        let launch = log_launch().with(&["--aof-use-rdb-preamble", rdb]);
        let server = launch.start();
        let mut client = server.client();
        fill(&mut client);
        let before = digest(&mut client);
        server.signal(Signal::SIGKILL);
        drop(server);
        let server = launch.start();
        let mut client = server.client();
        assert_eq!(digest(&mut client), before);
        assert_eq!(client.line("FCALL f 0"), "(integer) 7");
        assert_eq!(client.line("BGREWRITEAOF"), "Background append only file rewriting started");
        wait_for_rewrite(&mut client);
        let kind = if rdb == "yes" { "rdb" } else { "aof" };
        assert_eq!(
            manifest(&server),
            format!(
                "file appendonly.aof.2.base.{kind} seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
            )
        );
        let expected: Vec<String> = ["lock", "manifest", &format!("2.base.{kind}"), "2.incr.aof"]
            .map(|end| format!("appendonly.aof.{end}"))
            .into();
        until("the old files are gone", || {
            let names = std::fs::read_dir(server.file(LOG_FOLDER)).expect("the folder").flatten();
            let names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.len() == 4 && expected.iter().all(|name| names.contains(name))
        });
        client.line("SET after 1");
        let before = digest(&mut client);
        assert_eq!(client.line("DEBUG LOADAOF"), "OK");
        assert_eq!(digest(&mut client), before);
        server.signal(Signal::SIGKILL);
        drop(server);
        let server = launch.start();
        let mut client = server.client();
        assert_eq!(digest(&mut client), before);
        assert_eq!(client.line("FCALL f 0"), "(integer) 7");
    }
}

#[test]
fn redis_reads_our_folder_and_we_read_its() {
    let launch = log_launch().with(&["--aof-timestamp-enabled", "yes"]);
    let server = launch.start();
    let mut client = server.client();
    fill(&mut client);
    let before = digest(&mut client);
    let folder = server.folder().to_path_buf();
    let (status, _) = {
        server.signal(Signal::SIGTERM);
        let mut server = server;
        server.ended()
    };
    assert!(status.success());
    let Some(redis) = redis_over(&folder) else { return };
    let mut client = Client::connect(redis.port());
    assert_eq!(
        digest(&mut client),
        before,
        "Redis has loaded our base, and our increment with its annotations"
    );
    client.line("SET from redis");
    client.line("BGREWRITEAOF");
    wait_for_rewrite(&mut client);
    client.line("LPUSH also redis");
    let before = digest(&mut client);
    drop(client);
    drop(redis);
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(digest(&mut client), before);
    client.line("SET ours again");
    let before = digest(&mut client);
    server.signal(Signal::SIGKILL);
    drop(server);
    let redis = redis_over(&folder).expect("as before");
    assert_eq!(
        digest(&mut Client::connect(redis.port())),
        before,
        "we went on in a file that Redis had begun"
    );
}

/// What the log says of some lines.
fn said(lines: &[&str]) -> Vec<String> {
    let server = log_launch().start();
    let mut client = server.client();
    for line in lines {
        let reply = client.line(line);
        assert!(!reply.starts_with("(error)"), "{line}: {reply}");
    }
    commands(&increment(&server))
}

#[test]
fn what_belongs_together_stands_in_a_transaction() {
    assert_eq!(said(&["SET a 1", "GET a", "DEL none", "EXPIRE none 1"]), ["SELECT 0", "SET a 1"]);
    assert_eq!(
        said(&["MULTI", "SET a 1", "GET a", "SELECT 2", "SET b 2", "EXEC", "SET c 3"]),
        ["SELECT 0", "MULTI", "SET a 1", "SELECT 2", "SET b 2", "EXEC", "SET c 3"]
    );
    assert_eq!(said(&["MULTI", "SET a 1", "GET a", "EXEC"]), ["SELECT 0", "SET a 1"]);
    let script = "EVAL \"redis.call('SET', KEYS[1], 1) redis.call('INCR', KEYS[1]) return 1\" 1 a";
    assert_eq!(said(&[script]), ["SELECT 0", "MULTI", "SET a 1", "INCR a", "EXEC"]);
    // What a script on trial did before it was undone is not said.
    let wanders = "EVAL \"redis.call('SET', KEYS[1], 1) redis.call('SET', 'other', 2) return 1\" 1 a";
    assert_eq!(said(&[wanders]), ["SELECT 0", "MULTI", "SET a 1", "SET other 2", "EXEC"]);
    let one = "EVAL \"redis.call('SET', KEYS[1], 1) return redis.call('GET', KEYS[1])\" 1 a";
    assert_eq!(said(&[one]), ["SELECT 0", "SET a 1"]);
}

#[test]
fn times_are_absolute_and_chance_is_told() {
    let all = said(&["SET a 1 EX 100", "SADD s x", "SPOP s", "FLUSHALL"]);
    assert!(all[1].starts_with("SET a 1 PXAT 1"), "{all:?}");
    assert_eq!(all[2..], ["SADD s x", "SREM s x", "FLUSHALL"]);
}

#[test]
fn who_was_served_is_repeated_as_a_pop() {
    let server = log_launch().start();
    let (mut waits, mut pushes) = (server.client(), server.client());
    waits.send(&["BLPOP", "list", "0"]);
    until("it waits", || pushes.info("blocked_clients") == "1");
    assert_eq!(pushes.line("RPUSH list a b"), "(integer) 2");
    assert!(waits.reply().is_some());
    assert_eq!(commands(&increment(&server)), ["SELECT 0", "RPUSH list a b", "LPOP list"]);
}

#[test]
fn what_expires_or_is_evicted_is_deleted_in_the_log() {
    let server = log_launch().start();
    let mut client = server.client();
    client.line("SET a 1 PX 1");
    until("it is gone", || client.line("EXISTS a") == "(integer) 0");
    client.line("SET b 1 PX 1");
    client.line("SET c 1");
    until("the sweeper took it", || client.info("expired_keys") == "2");
    client.line("CONFIG SET maxmemory-policy allkeys-lru maxmemory 1");
    until("c is evicted", || {
        client.line("PING");
        client.line("DBSIZE") == "(integer) 0"
    });
    let all = commands(&increment(&server));
    assert!(all[1].starts_with("SET a 1 PXAT") && all[2] == "DEL a", "{all:?}");
    assert!(all.contains(&"DEL b".to_owned()) && all.contains(&"DEL c".to_owned()), "{all:?}");
}

#[test]
fn expired_keys_stay_while_the_log_is_repeated() {
    let launch = log_launch().with(&["--aof-checksum", "no"]);
    let server = launch.start();
    let mut client = server.client();
    client.line("SET a 1 PX 900000");
    assert_eq!(client.line("PERSIST a"), "(integer) 1");
    client.line("SET b 1");
    client.line("PEXPIRE b 900000");
    client.line("RENAME b c");
    client.line("SET c 2");
    let before = digest(&mut client);
    server.signal(Signal::SIGKILL);
    drop(server);
    // The expiries have passed when the log is loaded, but the keys were made to stay before.
    let path = launch.file(LOG_FOLDER).join("appendonly.aof.1.incr.aof");
    let log = std::fs::read_to_string(&path).expect("the increment");
    let mut moved = 0;
    let words: Vec<&str> = log
        .split("\r\n")
        .map(|word| match word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                moved += 1;
                "1000000000000"
            }
            false => word,
        })
        .collect();
    assert_eq!(moved, 2, "{log}");
    std::fs::write(&path, words.join("\r\n")).expect("the increment");
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(digest(&mut client), before);
    assert_eq!(client.line("MGET a c"), "1) \"1\"\n2) \"2\"");
}

#[test]
fn it_is_switched_on_and_off_while_the_server_runs() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes"]);
    let server = launch.start();
    let mut client = server.client();
    fill(&mut client);
    assert_eq!(client.line("CONFIG SET appendonly yes"), "OK");
    client.line("SET meanwhile 1");
    wait_for_rewrite(&mut client);
    assert_eq!(client.info("aof_enabled"), "1");
    client.line("SET after 1");
    let before = digest(&mut client);
    assert_eq!(client.line("CONFIG SET appendonly no"), "OK");
    assert_eq!(client.info("aof_enabled"), "0");
    assert_eq!(client.line("SET lost 1"), "OK");
    server.signal(Signal::SIGKILL);
    drop(server);
    let server = launch.clone().with(&["--appendonly", "yes"]).start();
    let mut client = server.client();
    assert_eq!(digest(&mut client), before);
}

#[test]
fn a_snapshot_beside_the_log_is_an_older_state_and_saves_replace_it() {
    let snapshot = ["--dbfilename", "dump.rdb", "--save", "3600 1"];
    let without = Launch::new().with(&snapshot);
    let server = without.start();
    assert_eq!(server.client().line("SET key of-the-snapshot"), "OK");
    server.stop();
    // The first log begins with what there is.
    let with = without.clone().with(&["--appendonly", "yes"]);
    let server = with.start();
    assert_eq!(server.client().line("GET key"), "\"of-the-snapshot\"");
    assert_eq!(server.client().line("SET key of-the-log"), "OK");
    server.signal(Signal::SIGKILL);
    drop(server);
    let server = with.start();
    let mut client = server.client();
    assert_eq!(client.line("GET key"), "\"of-the-log\"");
    assert_eq!(client.line("SAVE"), "OK");
    assert_eq!(client.line("SET other 1"), "OK");
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:?}");
    let server = without.start();
    assert_eq!(server.client().line("MGET key other"), "1) \"of-the-log\"\n2) \"1\"");
}

#[test]
fn a_single_file_of_an_older_redis_becomes_the_base() {
    let launch = log_launch();
    std::fs::write(launch.file("appendonly.aof"), encode(&["SET", "old", "1"])).expect("a file");
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("GET old"), "\"1\"");
    assert_eq!(
        manifest(&server),
        "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    );
    assert!(!server.file("appendonly.aof").exists());
    client.line("BGREWRITEAOF");
    wait_for_rewrite(&mut client);
    assert!(manifest(&server).starts_with("file appendonly.aof.2.base.rdb seq 2 type b\n"));
}

#[test]
fn a_base_of_commands_says_when_it_was_made() {
    for (timed, expected) in [("yes", &b"#TS:1"[..]), ("no", b"*2\r\n")] {
        let timed = ["--aof-timestamp-enabled", timed, "--aof-use-rdb-preamble", "no"];
        let server = log_launch().with(&timed).start();
        let mut client = server.client();
        client.line("SET k v");
        client.line("BGREWRITEAOF");
        wait_for_rewrite(&mut client);
        let base =
            std::fs::read(server.file(LOG_FOLDER).join("appendonly.aof.2.base.aof")).expect("the base");
        assert!(base.starts_with(expected), "{}", String::from_utf8_lossy(&base));
        assert_eq!(client.line("DEBUG LOADAOF"), "OK");
        assert_eq!(client.line("GET k"), "\"v\"");
    }
}

#[test]
fn a_slow_script_in_the_log_leaves_others_told_that_it_loads() {
    let server = log_launch().with(&["--busy-reply-threshold", "1"]).start();
    let (mut loads, mut other) = (server.client(), server.client());
    // It is slow only when it is repeated: what the log says is written there by the test.
    let code = "redis.call('SET', KEYS[1], 'y') for i = 1, 1500000 do redis.call('PING') end";
    let path = server.file(LOG_FOLDER).join("appendonly.aof.1.incr.aof");
    let mut log = std::fs::read(&path).expect("the increment");
    log.extend(encode(&["EVAL", code, "1", "k"]));
    std::fs::write(&path, log).expect("the increment");
    loads.send(&["DEBUG", "LOADAOF"]);
    until("it loads", || other.line("PING").starts_with("(error) LOADING "));
    assert_eq!(loads.reply(), ok());
    assert_eq!(other.line("GET k"), "\"y\"");
}

#[test]
fn debug_makes_a_write_of_the_log_wait() {
    let server = log_launch().with(&["--appendfsync", "always"]).start();
    let mut client = server.client();
    assert_eq!(client.line("DEBUG AOF-FLUSH-SLEEP 200000"), "OK");
    let began = std::time::Instant::now();
    assert_eq!(client.line("SET k v"), "OK");
    assert!(began.elapsed().as_millis() >= 200, "{:?}", began.elapsed());
    assert_eq!(client.line("DEBUG AOF-FLUSH-SLEEP 0"), "OK");
}

#[test]
fn an_end_that_would_lose_the_first_base_is_refused() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.line("SET a 1"), "OK");
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 20000000"), "OK");
    assert_eq!(client.line("CONFIG SET appendonly yes"), "OK");
    assert_eq!(client.line("SHUTDOWN"), "(error) ERR Errors trying to SHUTDOWN. Check logs.");
    assert!(server.log_says("Writing initial AOF, can't exit."));
    server.signal(Signal::SIGTERM);
    assert!(server.log_says("SIGTERM received but errors trying to shut down"));
    until("new clients are let in", || Client::reach(("127.0.0.1", server.port())).is_ok());
    assert_eq!(server.client().line("GET a"), "\"1\"");
    client.send(&["SHUTDOWN", "NOSAVE", "FORCE"]);
    assert_eq!(client.reply(), None);
    assert!(server.log_says("Writing initial AOF. Exit anyway."));
    assert!(server.ended().0.success());
}

#[test]
fn a_rewrite_follows_at_once_on_one_that_was_ended() {
    let server = Server::start(&["--appendonly", "yes"]);
    let mut client = server.client();
    for number in 0..100 {
        assert_eq!(client.line(&format!("SET {number} {number}")), "OK");
    }
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 20000000"), "OK");
    assert_eq!(client.line("BGREWRITEAOF"), "Background append only file rewriting started");
    assert!(
        client.line("BGREWRITEAOF").starts_with("(error) ERR Background append only file rewriting already")
    );
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 0"), "OK");
    assert_eq!(client.line("CONFIG SET appendonly no"), "OK");
    let reply = client.line("BGREWRITEAOF");
    assert!(reply.starts_with("Background append only file rewriting "), "{reply}");
    until("there is a base alone", || manifest(&server) == "file appendonly.aof.2.base.rdb seq 2 type b\n");
}

#[test]
fn saves_wait_for_a_rewrite_or_say_that_it_runs() {
    let launch =
        log_launch().admin().with(&["--enable-debug-command", "yes", "--aof-use-rdb-preamble", "yes"]);
    let server = launch.start();
    let (mut client, mut other) = (server.client(), server.client());
    assert_eq!(client.line("DEBUG POPULATE 1000"), "OK");
    let saves: u64 = client.info("rdb_saves").parse().expect("a number");
    // A second for the whole.
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 1000"), "OK");
    assert_eq!(client.line("BGREWRITEAOF"), "Background append only file rewriting started");
    assert!(
        client.line("BGSAVE").contains("ERR Another child process is active (AOF?): can't BGSAVE right now.")
    );
    let (status, body) = server.http("POST", "/save");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("the append-only file is being rewritten"), "{body}");
    assert!(server.http("GET", "/save").1.contains("\"running\": false"));
    assert_eq!(client.info("aof_rewrite_in_progress"), "1");
    // They come behind it.
    assert_eq!(client.line("BGSAVE SCHEDULE"), "Background saving scheduled");
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 0"), "OK");
    assert_eq!(other.line("SAVE"), "OK");
    assert_eq!(client.info("aof_rewrite_in_progress"), "0");
    until("all that was asked for is saved", || {
        client.info("rdb_saves") == (saves + 2).to_string() && client.info("rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 1000"), "OK");
    assert_eq!(client.line("BGREWRITEAOF"), "Background append only file rewriting started");
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 0"), "OK");
    let (status, body) = server.http("POST", "/save?wait=true");
    assert_eq!(status, 200, "{body}");
    assert_eq!(client.info("rdb_saves"), (saves + 3).to_string());
}

/// Beside a log the snapshot is not loaded, and yet nobody's file is lost: another's is kept, this log's is replaced.
#[test]
fn a_save_keeps_what_this_log_has_not_written() {
    let launch = log_launch();
    let snapshot = launch.file("glasswing.snapshot");
    let kept = |number: &str| launch.file(&format!("glasswing.snapshot.kept{number}"));
    let server = launch.start();
    assert_eq!(server.client().line("SET key 1"), "OK");
    assert!(server.stop().0.success());
    for (number, words) in [("", "my thesis"), ("-2", "my other one")] {
        std::fs::write(&snapshot, words).expect("a file");
        let mut server = launch.start();
        assert!(server.log_says("the next save keeps it under another name"));
        assert_eq!(server.client().line("SAVE"), "OK");
        assert_eq!(std::fs::read(kept(number)).expect("it is kept"), words.as_bytes());
        assert!(std::fs::read(&snapshot).expect("a snapshot").starts_with(b"GLASSWNG"));
        assert!(server.stop().0.success());
        let mut server = launch.start();
        assert!(server.log_says("the next save replaces it"));
        assert_eq!(server.client().line("SAVE"), "OK");
        server.signal(Signal::SIGKILL);
        server.ended();
        let mut server = launch.start();
        assert!(server.log_says("the next save replaces it"));
        assert!(server.stop().0.success());
    }
    assert!(!kept("-3").exists());
}
