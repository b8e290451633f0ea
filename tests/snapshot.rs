//! Saving and loading with real processes: what is written is read back, a save is one instant, and no file is
//! lost to a kill, a fault or a stranger's folder.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Client, Launch, Server, until};
use glasswing::resp::Value;
use nix::sys::signal::Signal;

const FILE: &str = "glasswing.snapshot";

/// Waits until so many saves have ended and none runs: both from one answer.
fn wait_for_saves(client: &mut Client, saves: &str) {
    until("the save ends", || {
        let Some(Value::Bulk(text)) = client.call(&["INFO", "persistence"]) else { return false };
        let text = String::from_utf8_lossy(&text).into_owned();
        text.contains("rdb_bgsave_in_progress:0\r\n") && text.contains(&format!("rdb_saves:{saves}\r\n"))
    });
}

fn temporaries(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).expect("the folder").flatten();
    names.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "tmp")).collect()
}

/// Every type in several shapes, over sixteen databases.
fn fill(client: &mut Client) {
    for database in 0..16 {
        let number = database.to_string();
        assert_eq!(client.line(&format!("SELECT {number}")), "OK");
        assert_eq!(client.line(&format!("MSET text {number}-text count 12{number} empty ''")), "OK");
        for (line, reply) in [
            (format!("RPUSH list a b {number}"), "(integer) 3"),
            (format!("SADD numbers 1 2 3{number}"), "(integer) 3"),
            (format!("SADD words x y {number}"), "(integer) 3"),
            (format!("HSET hash field {number} other 1.5"), "(integer) 2"),
            (format!("ZADD scores 1.5 one -inf low {number} db"), "(integer) 3"),
            (format!("SET later {number} PXAT 400000000000{number}"), "OK"),
        ] {
            assert_eq!(client.line(&line), reply, "{line}");
        }
    }
    assert_eq!(client.line("SELECT 0"), "OK");
    assert_eq!(client.call(&[&b"SET"[..], b"large", &large()]), Some(Value::Simple("OK".into())));
    for part in 0..100 {
        let mut words = vec!["RPUSH".to_owned(), "long".to_owned()];
        words.extend((0..1_000).map(|number| format!("element:{}", part * 1_000 + number)));
        assert_eq!(client.call(&words), Some(Value::Int((part + 1) * 1_000)));
    }
    for kind in ["SADD", "HSET", "ZADD"] {
        let mut words = vec![kind.to_owned(), format!("big-{kind}")];
        for number in 0..2_000 {
            match kind {
                "SADD" => words.push(format!("member:{number}")),
                "HSET" => words.extend([format!("field:{number}"), format!("value:{number}")]),
                _ => words.extend([format!("{}.25", number * 3), format!("member:{number}")]),
            }
        }
        assert_eq!(client.call(&words), Some(Value::Int(2_000)));
    }
    assert_eq!(client.line("RPUSH stays x"), "(integer) 1");
    assert_eq!(client.line("PEXPIREAT stays 4100000000123"), "(integer) 1");
    assert_eq!(
        client.call(&[&b"SET"[..], b"\x00\xff\r\n", b"\x00\x01\xfe"]),
        Some(Value::Simple("OK".into()))
    );
}

fn large() -> Vec<u8> {
    (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// What `fill` made is all there.
fn check(client: &mut Client) {
    for database in 0..16 {
        assert_eq!(client.line(&format!("SELECT {database}")), "OK");
        let keys = if database == 0 { 16 } else { 9 };
        assert_eq!(client.line("DBSIZE"), format!("(integer) {keys}"), "database {database}");
        assert_eq!(client.line("GET text"), format!("\"{database}-text\""));
        assert_eq!(client.line("INCRBY count 0"), format!("(integer) 12{database}"));
        assert_eq!(client.line("GET empty"), "\"\"");
        assert_eq!(client.line("LINDEX list -1"), format!("\"{database}\""));
        assert_eq!(client.line(&format!("SISMEMBER numbers 3{database}")), "(integer) 1");
        assert_eq!(client.line(&format!("SISMEMBER words {database}")), "(integer) 1");
        assert_eq!(client.line("HGET hash field"), format!("\"{database}\""));
        assert_eq!(client.line("ZSCORE scores db"), format!("\"{database}\""));
        assert_eq!(client.line("ZSCORE scores low"), "\"-inf\"");
        assert_eq!(client.line("PEXPIRETIME later"), format!("(integer) 400000000000{database}"));
        assert_eq!(client.line("PTTL text"), "(integer) -1");
    }
    assert_eq!(client.line("SELECT 0"), "OK");
    assert_eq!(client.call(&["GET", "large"]), Some(Value::Bulk(large().into())));
    assert_eq!(client.line("LLEN long"), "(integer) 100000");
    for index in [0, 49_999, 99_999] {
        assert_eq!(client.line(&format!("LINDEX long {index}")), format!("\"element:{index}\""));
    }
    assert_eq!(client.line("SCARD big-SADD"), "(integer) 2000");
    assert_eq!(client.line("HGET big-HSET field:1999"), "\"value:1999\"");
    assert_eq!(client.line("ZSCORE big-ZADD member:1999"), "\"5997.25\"");
    assert_eq!(client.line("PEXPIRETIME stays"), "(integer) 4100000000123");
    assert_eq!(
        client.call(&[&b"GET"[..], b"\x00\xff\r\n"]),
        Some(Value::Bulk((&b"\x00\x01\xfe"[..]).into()))
    );
}

#[test]
fn everything_is_read_back_with_other_workers_and_shards() {
    let base = Launch::new().with(&["--enable-debug-command", "yes"]);
    let shapes = [("1", "16"), ("4", "4096"), ("1", "4096"), ("4", "16"), ("1", "16")];
    let mut digest = None;
    for (workers, shards) in shapes {
        let launch = base.clone().with(&["--workers", workers, "--shards", shards]);
        let server = launch.start();
        let mut client = server.client();
        if digest.is_none() {
            fill(&mut client);
        }
        check(&mut client);
        let found = client.line("DEBUG DIGEST");
        assert_eq!(*digest.get_or_insert_with(|| found.clone()), found, "{workers} workers, {shards} shards");
        assert_eq!(client.line("SAVE"), "OK");
        let (status, _) = server.stop();
        assert_eq!(status.code(), Some(0));
    }
}

/// Saves in one of the ways there are.
type Way = fn(&Server, &mut Client);

#[test]
fn every_way_to_save_writes_the_file() {
    let base = Launch::new().admin();
    let ways: [(&str, Way); 4] = [
        ("SAVE", |_, client| assert_eq!(client.line("SAVE"), "OK")),
        ("BGSAVE", |_, client| {
            assert_eq!(client.line("BGSAVE"), "Background saving started");
            wait_for_saves(client, "1");
        }),
        ("POST /save", |server, _| {
            let (status, body) = server.http("POST", "/save?wait=true");
            assert_eq!(status, 200, "{body}");
            assert!(body.contains(FILE), "{body}");
        }),
        ("save 1 1", |_, client| {
            assert_eq!(client.line("CONFIG SET save '1 1'"), "OK");
            assert_eq!(client.line("SET changed yes"), "OK");
            wait_for_saves(client, "1");
            assert_eq!(client.info("rdb_changes_since_last_save"), "0");
            assert_eq!(client.line("CONFIG SET save ''"), "OK");
        }),
    ];
    for (number, (way, save)) in ways.iter().enumerate() {
        let server = base.start();
        let mut client = server.client();
        assert_eq!(client.line("DBSIZE"), format!("(integer) {number}"), "before {way}");
        assert_eq!(client.line(&format!("SET key:{number} '{way}'")), "OK");
        save(&server, &mut client);
        assert_eq!(client.info("rdb_last_bgsave_status"), "ok");
        let mut server = server;
        server.signal(Signal::SIGKILL);
        server.ended();
    }
    let server = base.start();
    assert_eq!(server.client().line("GET changed"), "\"yes\"");
    for (number, (way, _)) in ways.iter().enumerate() {
        assert_eq!(server.client().line(&format!("GET key:{number}")), format!("\"{way}\""));
    }
}

#[test]
fn what_expired_while_nobody_ran_is_not_there() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes"]);
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("DEBUG SET-ACTIVE-EXPIRE 0"), "OK");
    assert_eq!(client.line("SET stays 1 EX 1000"), "OK");
    assert_eq!(client.line("SET goes 1 PX 200"), "OK");
    assert_eq!(client.line("SAVE"), "OK");
    until("the key expires", || client.line("EXISTS goes") == "(integer) 0");
    drop(client);
    server.stop();
    let server = launch.start();
    assert_eq!(server.client().line("DBSIZE"), "(integer) 1");
    assert_eq!(server.client().line("EXISTS stays"), "(integer) 1");
}

#[test]
fn a_save_is_one_instant() {
    const PAIRS: usize = 64;
    let base = Launch::new().with(&["--workers", "2", "--enable-debug-command", "yes"]);
    let server = base.start();
    // More than the pairs, so that a save takes a while.
    assert_eq!(server.client().line("DEBUG POPULATE 60000 filler 100"), "OK");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let copies: Vec<PathBuf> = std::thread::scope(|scope| {
        for writer in 0..4 {
            let (port, stop, written) = (server.port(), &stop, &written);
            scope.spawn(move || {
                let mut client = Client::connect(port);
                let mut round = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    for pair in 0..PAIRS {
                        let (a, b) = (format!("a:{writer}:{pair}"), format!("b:{writer}:{pair}"));
                        let value = round.to_string();
                        client.send(&["MSET", &a, &value, &b, &value]);
                    }
                    for _ in 0..PAIRS {
                        assert_eq!(client.reply(), Some(Value::Simple("OK".into())));
                    }
                    round += 1;
                    written.fetch_add(PAIRS as u64, Ordering::Relaxed);
                }
            });
        }
        // Also when an assertion below fails: the writers would never end.
        let _stop = OnDrop(&stop);
        let mut client = server.client();
        (1..=5)
            .map(|save| {
                let before = written.load(Ordering::Relaxed);
                until("writes go on", || written.load(Ordering::Relaxed) > before + 500);
                assert_eq!(client.line("BGSAVE"), "Background saving started");
                wait_for_saves(&mut client, &save.to_string());
                let copy = base.file(&format!("copy-{save}"));
                std::fs::copy(base.file(FILE), &copy).expect("a copy");
                copy
            })
            .collect()
    });
    assert!(written.load(Ordering::Relaxed) > 2_000);
    for copy in copies {
        let other =
            base.clone().with(&["--dbfilename", &copy.file_name().unwrap().to_string_lossy()]).start();
        let mut client = other.client();
        assert_eq!(client.line("DBSIZE"), format!("(integer) {}", 60_000 + 2 * 4 * PAIRS));
        for writer in 0..4 {
            for pair in 0..PAIRS {
                let pair = client.line(&format!("MGET a:{writer}:{pair} b:{writer}:{pair}"));
                let mut values = pair.lines().map(|line| line.split_once(") ").expect("a value").1);
                assert_eq!(values.next(), values.next(), "{} holds half of an MSET", copy.display());
            }
        }
    }
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_kill_halfway_leaves_the_old_file() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes"]);
    let mut server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("SET old value"), "OK");
    assert_eq!(client.line("SAVE"), "OK");
    let old = std::fs::read(launch.file(FILE)).expect("the snapshot");
    assert_eq!(client.line("DEBUG POPULATE 300000 key 200"), "OK");
    assert_eq!(client.line("BGSAVE"), "Background saving started");
    let written = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 1 << 20);
    until("the save is under way", || temporaries(server.folder()).iter().any(written));
    server.signal(Signal::SIGKILL);
    server.ended();
    assert_eq!(temporaries(server.folder()).len(), 1, "the save was cut off before its end");
    assert!(std::fs::read(launch.file(FILE)).expect("the snapshot") == old, "the old file is as it was");

    let server = launch.start();
    assert_eq!(server.client().line("DBSIZE"), "(integer) 1");
    assert_eq!(server.client().line("GET old"), "\"value\"");
    assert_eq!(temporaries(server.folder()), Vec::<PathBuf>::new(), "what the dead process left is gone");
    assert_eq!(server.client().line("SAVE"), "OK");
}

/// Starts over a file that must be refused: it says so on standard error and in the log, and leaves it alone.
fn refused(launch: &Launch, bytes: &[u8], case: &str, words: &[&str]) {
    std::fs::write(launch.file(FILE), bytes).expect("a file");
    let (code, log, errors) = launch.ends();
    assert_eq!(code, Some(1), "{case}: {log}\n{errors}");
    for text in [&log, &errors] {
        for word in words.iter().chain(&[FILE, "The file was not touched"]) {
            assert!(text.contains(word), "{case}: no '{word}' in {text}");
        }
    }
    assert!(std::fs::read(launch.file(FILE)).expect("the file") == bytes, "{case}: the file is as it was");
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes"]);
    let server = launch.start();
    assert_eq!(server.client().line("DEBUG POPULATE 20000 key 100"), "OK");
    assert_eq!(server.client().line("SAVE"), "OK");
    server.stop();
    let good = std::fs::read(launch.file(FILE)).expect("the snapshot");
    for length in [0, 1, 7, 12, 40, good.len() / 3, good.len() / 2, good.len() - 1] {
        let words: &[&str] = if length < 40 { &[] } else { &["damaged at byte"] };
        refused(&launch, &good[..length], &format!("cut to {length}"), words);
    }
    let mut longer = good.clone();
    longer.push(0);
    refused(&launch, &longer, "a byte too many", &["damaged at byte"]);
    for place in [0, 4, 13, 30, 100, good.len() / 2, good.len() - 9, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[place] ^= 0x10;
        refused(&launch, &flipped, &format!("flipped at {place}"), &["byte"]);
    }
    let mut later = good.clone();
    later[8..10].copy_from_slice(&99u16.to_le_bytes());
    // Every version keeps the header's checksum.
    let checksum = crc32fast::hash(&later[..124]);
    later[124..128].copy_from_slice(&checksum.to_le_bytes());
    refused(&launch, &later, "a later version", &["format version 99", "that wrote it"]);
    refused(&launch, b"REDIS0010\xfa\x09redis-ver", "half an RDB file", &["the RDB file", "at byte"]);
    refused(&launch, b"Something else entirely, and long enough.", "a text", &["not a Glasswing snapshot"]);
    std::fs::write(launch.file(FILE), &good).expect("the file");
    assert_eq!(launch.start().client().line("DBSIZE"), "(integer) 20000", "the whole file loads");
}

#[test]
fn a_strangers_file_is_not_replaced() {
    let launch = Launch::new().admin().with(&["--save", "3600 1"]);
    let mut server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("SET key value"), "OK");
    for (case, words) in [("before the first save", "neither written nor loaded"), ("later", "was changed")] {
        std::fs::write(launch.file(FILE), "a stranger's data").expect("a file");
        let reply = client.line("SAVE");
        assert!(reply.starts_with("(error) ERR") && reply.contains(words), "{case}: {reply}");
        assert_eq!(client.line("BGSAVE"), "Background saving started");
        until("the save fails", || client.info("rdb_bgsave_in_progress") == "0");
        assert_eq!(client.info("rdb_last_bgsave_status"), "err");
        let (status, body) = server.http("POST", "/save?wait=true");
        assert!(status >= 500 && body.contains(words), "{case}: {status} {body}");
        assert_eq!(server.http("GET", "/readyz").0, 503, "{case}: unable to persist");
        assert_eq!(client.line("SHUTDOWN SAVE"), "(error) ERR Errors trying to SHUTDOWN. Check logs.");
        assert_eq!(std::fs::read(launch.file(FILE)).expect("the file"), b"a stranger's data");
        assert_eq!(temporaries(server.folder()), Vec::<PathBuf>::new());
        std::fs::remove_file(launch.file(FILE)).expect("moved away");
        assert_eq!(client.line("SAVE"), "OK");
        assert_eq!(server.http("GET", "/readyz").0, 200, "{case}: all is well again");
    }
    assert!(server.log_says("so it is not replaced"));
}

#[test]
fn of_two_servers_in_one_folder_neither_replaces_what_the_other_saved() {
    let launch = Launch::new().with(&["--enable-protected-configs", "yes"]);
    let (first, second) = (launch.start(), launch.start());
    let (mut one, mut other) = (first.client(), second.client());
    assert_eq!(one.line("SET key first"), "OK");
    assert_eq!(other.line("SET key second"), "OK");
    assert_eq!(one.line("SAVE"), "OK");
    let saved = std::fs::read(launch.file(FILE)).expect("the snapshot");
    let reply = other.line("SAVE");
    assert!(reply.starts_with("(error) ERR") && reply.contains("neither written nor loaded"), "{reply}");
    assert!(std::fs::read(launch.file(FILE)).expect("the snapshot") == saved);
    assert_eq!(one.line("SAVE"), "OK");
    // What the second one has goes to a file of its own.
    assert_eq!(other.line("CONFIG SET dbfilename second.snapshot"), "OK");
    assert_eq!(other.line("SAVE"), "OK");
    drop((first, second));
    assert_eq!(launch.start().client().line("GET key"), "\"first\"");
    let second = launch.with(&["--dbfilename", "second.snapshot"]).start();
    assert_eq!(second.client().line("GET key"), "\"second\"");
}

#[test]
fn who_insists_on_an_end_gets_it_and_nothing_of_the_last_save_stays() {
    let launch = Launch::new().with(&["--save", "3600 1", "--dbfilename", "dump.rdb"]);
    let mut server = launch.start();
    let mut client = server.client();
    for number in 0..20 {
        assert_eq!(client.line(&format!("SET {number} {number}")), "OK");
    }
    assert_eq!(client.line("CONFIG SET rdb-key-save-delay 10000000"), "OK");
    server.signal(Signal::SIGINT);
    let files = || std::fs::read_dir(launch.file("")).expect("the folder").flatten().count();
    until("the last save is under way", || files() == 1);
    server.signal(Signal::SIGINT);
    assert!(server.log_says("You insist"));
    assert_eq!(server.ended().0.code(), Some(1));
    assert_eq!(files(), 0);
}

#[test]
fn an_end_that_a_signal_asked_for_can_be_given_up_before_it_begins() {
    let mut server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    assert_eq!(client.line("DEBUG PAUSE-CRON 1"), "OK");
    assert_eq!(client.line("SHUTDOWN ABORT"), "(error) ERR No shutdown in progress.");
    server.signal(Signal::SIGTERM);
    until("it is given up", || client.line("SHUTDOWN ABORT") == "OK");
    assert!(server.log_says("Shutdown manually aborted"));
    assert_eq!(client.line("DEBUG PAUSE-CRON 0"), "OK");
    assert_eq!(server.client().line("PING"), "PONG");
    assert!(server.stop().0.success());
}

#[test]
fn sigterm_saves_where_save_points_are_set() {
    for (points, saved) in [("3600 1", true), ("", false)] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let launch = Launch::new().with(&["--save", points]);
            let mut server = launch.start();
            assert_eq!(server.client().line("SET key value"), "OK");
            server.signal(signal);
            let (status, log) = server.ended();
            assert_eq!(status.code(), Some(0), "{log:?}");
            assert_eq!(launch.file(FILE).exists(), saved, "save '{points}', {signal}");
            let expected = if saved { "\"value\"" } else { "(nil)" };
            assert_eq!(launch.start().client().line("GET key"), expected);
        }
    }
}

#[test]
fn a_flush_during_a_save_tears_nothing() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes", "--workers", "2"]);
    let mut server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("DEBUG POPULATE 200000 key 100"), "OK");
    for (round, flush) in ["FLUSHALL", "FLUSHALL ASYNC"].into_iter().enumerate() {
        assert_eq!(client.line("BGSAVE"), "Background saving started");
        until("the save is under way", || !temporaries(server.folder()).is_empty());
        assert_eq!(client.line(flush), "OK");
        assert_eq!(client.line("DBSIZE"), "(integer) 0");
        until("the save ends", || client.info("rdb_bgsave_in_progress") == "0");
        // Redis gives such a save up; one that goes on holds the instant at which it began.
        let ended = client.info("rdb_last_bgsave_status");
        assert_eq!(ended, "ok", "{flush}");
        let copy = format!("copy-{round}");
        if launch.file(FILE).exists() {
            std::fs::copy(launch.file(FILE), launch.file(&copy)).expect("a copy");
        }
        let loaded = launch.clone().with(&["--dbfilename", &copy]).start();
        let keys = loaded.client().line("DBSIZE");
        assert!(keys == "(integer) 200000" || keys == "(integer) 0", "{flush}: {keys}");
        assert_eq!(client.line("DEBUG POPULATE 200000 key 100"), "OK");
    }
    server.signal(Signal::SIGKILL);
    server.ended();
}

#[test]
fn a_flush_with_save_points_is_on_disk_before_its_reply() {
    let launch = Launch::new().with(&["--enable-debug-command", "yes", "--workers", "2", "--save", "3600 1"]);
    for under_way in [false, true] {
        let mut server = launch.start();
        let mut client = server.client();
        assert_eq!(client.line("DEBUG POPULATE 200000 key 100"), "OK");
        if under_way {
            assert_eq!(client.line("BGSAVE"), "Background saving started");
        } else {
            assert_eq!(client.line("SAVE"), "OK");
        }
        assert_eq!(client.line("FLUSHALL"), "OK");
        server.signal(Signal::SIGKILL);
        server.ended();
        let again = launch.start();
        assert_eq!(again.client().line("DBSIZE"), "(integer) 0", "a save was under way: {under_way}");
    }
}

#[test]
fn flushes_that_are_saved_hold_each_other_up_and_nobody_for_good() {
    let server = Launch::new().with(&["--workers", "4", "--save", "3600 1"]).start();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let mut client = server.client();
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(client.line(&format!("SET key:{number} value")), "OK");
                    assert_eq!(client.line("FLUSHALL"), "OK");
                    assert_eq!(client.line("MULTI"), "OK");
                    assert_eq!(client.line("FLUSHALL"), "QUEUED");
                    assert_eq!(client.line("SET after 1"), "QUEUED");
                    assert_eq!(client.line("EXEC"), "1) OK\n2) OK");
                }
            });
        }
    });
    assert_eq!(server.client().line("DBSIZE"), "(integer) 1");
    assert_eq!(server.client().info("rdb_last_bgsave_status"), "ok");
}
