//! Moving between formats, and back in time, with real processes: `glasswing convert` between snapshots, RDB files and
//! append-only files in every direction, and `glasswing restore --at`.
//!
//! What is compared with Redis is when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::redis::Redis;
use common::{Client, LOG_FOLDER, Launch, log_launch, until};
use glasswing::resp::Value;
use nix::sys::signal::Signal;

const DATABASES: usize = 16;

/// Runs our program as a tool: whether all is well, and what it says.
fn tool<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_glasswing")).args(args).output().expect("our program");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn convert(from: &Path, to: &Path) -> String {
    let (done, said) = tool(&[Path::new("convert"), from, to]);
    assert!(done, "{said}");
    said
}

fn refused(from: &Path, to: &Path) -> String {
    let (done, said) = tool(&[Path::new("convert"), from, to]);
    assert!(!done, "{said}");
    said
}

fn restore(at: &str, folder: &Path) -> (bool, String) {
    tool(&[Path::new("restore"), Path::new("--at"), Path::new(at), folder])
}

fn keys_of(client: &mut Client) -> Vec<Vec<u8>> {
    match client.call(&["KEYS", "*"]) {
        Some(Value::Array(keys)) => keys
            .into_iter()
            .map(|key| match key {
                Value::Bulk(key) => key.to_vec(),
                other => panic!("no key: {other:?}"),
            })
            .collect(),
        other => panic!("no keys: {other:?}"),
    }
}

/// What XINFO STREAM says, but not how the entries are packed.
fn stream_facts(said: Option<Value>) -> String {
    let Some(Value::Array(pairs)) = said else { panic!("no facts: {said:?}") };
    let facts = pairs.chunks(2).map(|pair| format!("{pair:?}"));
    facts.filter(|fact| !fact.contains("radix-tree")).collect()
}

/// What a server holds, key by key: the type, when it expires, the digest, and of a stream what no digest has.
fn facts(port: u16) -> BTreeMap<String, String> {
    let mut client = Client::connect(port);
    until("it has loaded", || client.line("PING") == "PONG");
    let mut facts = BTreeMap::new();
    for database in 0..DATABASES {
        client.line(&format!("SELECT {database}"));
        for key in keys_of(&mut client) {
            let mut ask = |words: &[&[u8]]| format!("{:?} ", client.call(&[words, &[&key[..]]].concat()));
            let kind = ask(&[b"TYPE"]);
            let mut fact = [kind.clone(), ask(&[b"PEXPIRETIME"]), ask(&[b"DEBUG", b"DIGEST-VALUE"])].concat();
            if kind.contains("stream") {
                fact += &ask(&[b"XINFO", b"GROUPS"]);
                fact += &client.line(&format!("XPENDING {} group", key.escape_ascii()));
                fact += &stream_facts(client.call(&[&b"XINFO"[..], b"STREAM", &key]));
            }
            facts.insert(format!("{database}: {}", key.escape_ascii()), fact);
        }
    }
    facts.insert("all".to_owned(), client.line("DEBUG DIGEST"));
    facts.insert("functions".to_owned(), client.line("FUNCTION LIST WITHCODE"));
    facts
}

/// Some of everything, in several databases.
fn fill(client: &mut Client) {
    let lines = [
        "SET text hello",
        "SET count 12345",
        "APPEND bytes \"\\x00\\xff\\r\\n\"",
        "SET later x PXAT 4102444800123",
        "RPUSH list a b c 1 2 3",
        "SADD set a b c 1 2 3",
        "SADD ints 1 2 3 70000",
        "HSET hash f 1 g 2.5",
        "PEXPIREAT hash 4102444800456",
        "ZADD scores 1 a 2.5 b -inf c 1e300 d",
        "XADD stream 5-1 f v",
        "XADD stream 6-1 f w g x",
        "XADD stream 7-1 f y",
        "XDEL stream 6-1",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        "XADD empty MAXLEN 0 9-9 a b",
        "XGROUP CREATE empty group $",
        "PFADD log a b c",
        "SETBIT bits 100 1",
        "GEOADD places 13.36 38.11 Palermo",
        "SELECT 3",
        "SET text three",
        "SPOP set",
        "SELECT 15",
        "RPUSH \"odd key\\n\" x",
        "SELECT 0",
    ];
    for line in lines {
        let reply = client.line(line);
        assert!(!reply.starts_with("(error)"), "{line}: {reply}");
    }
    for number in 0..300 {
        client.line(&format!("HSET large field:{number} {}", "v".repeat(number)));
        client.line(&format!("RPUSH long {}", number * 7919));
        client.line(&format!("ZADD ranks {}.5 member:{number}", number % 7));
    }
    let code = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";
    assert!(client.call(&["FUNCTION", "LOAD", code]).is_some());
}

/// A Redis over a folder, with its append-only file or without.
fn redis_over(folder: &Path, append_only: bool) -> Option<Redis> {
    let on = if append_only { "yes" } else { "no" };
    Redis::start_in(folder, &["--appendonly", on, "--enable-debug-command", "yes"])
}

/// What a Redis finds that is given this file or folder.
fn facts_in_redis(path: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let (given, append_only) = match name {
        name if path.is_dir() => (name, true),
        name if name.ends_with(".aof") => ("appendonly.aof".to_owned(), true),
        _ => ("dump.rdb".to_owned(), false),
    };
    let copied = Command::new("cp").arg("-r").arg(path).arg(folder.path().join(given)).status();
    assert!(copied.expect("cp").success());
    let redis = redis_over(folder.path(), append_only).expect("it started before");
    facts(redis.port())
}

/// What our server finds in a snapshot.
fn facts_in_ours(path: &Path) -> BTreeMap<String, String> {
    let launch = Launch::new().with(&["--enable-debug-command", "yes"]);
    std::fs::copy(path, launch.file("glasswing.snapshot")).expect("a copy");
    let server = launch.start();
    facts(server.port())
}

#[test]
fn every_format_becomes_every_other_and_redis_finds_the_same() {
    let home = tempfile::tempdir().expect("a folder");
    let options = ["--appendonly", "yes", "--enable-debug-command", "yes", "--aof-timestamp-enabled", "yes"];
    let Some(redis) = Redis::start_in(home.path(), &options) else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    let mut client = Client::connect(redis.port());
    fill(&mut client);
    client.line("BGREWRITEAOF");
    until("the rewrite ends", || {
        client.info("aof_rewrite_in_progress") == "0" && client.info("aof_rewrite_scheduled") == "0"
    });
    for line in ["SET after 1", "MULTI", "LPOP list", "INCR count", "EXEC", "DEL bits"] {
        client.line(line);
    }
    let expected = facts(redis.port());
    assert!(expected.len() > 20, "{expected:?}");
    drop(redis);

    let at = |name: &str| home.path().join(name);
    let names = ["a.snapshot", "a.rdb", "a.aof", "a/appendonlydir"];
    std::fs::create_dir(at("a")).expect("a folder");
    for name in names {
        let said = convert(&at(LOG_FOLDER), &at(name));
        assert!(said.contains("keys, ") && tool(&[Path::new("check"), &at(name)]).0, "{said}");
    }
    let found = |path: &Path| match path.extension().is_some_and(|ending| ending == "snapshot") {
        true => facts_in_ours(path),
        false => facts_in_redis(path),
    };
    for from in names {
        assert_eq!(found(&at(from)), expected, "{from}");
        let folder = at(&format!("from {}", from.replace('/', " ")));
        std::fs::create_dir(&folder).expect("a folder");
        for to in ["b.snapshot", "b.rdb", "b.aof", "log/"] {
            convert(&at(from), &folder.join(to));
            if to == "log/" {
                std::fs::rename(folder.join(to), folder.join(LOG_FOLDER)).expect("another name");
                assert_eq!(found(&folder.join(LOG_FOLDER)), expected, "{from} to {to}");
            } else {
                assert_eq!(found(&folder.join(to)), expected, "{from} to {to}");
            }
        }
    }
    // As a Redis before 7 kept it: a base and the commands behind it, in one file.
    let read = |name: &str| std::fs::read(at(LOG_FOLDER).join(name)).expect("a file of the log");
    let old = [read("appendonly.aof.2.base.rdb"), read("appendonly.aof.2.incr.aof")].concat();
    std::fs::write(at("appendonly.aof"), old).expect("a file");
    convert(&at("appendonly.aof"), &at("old.rdb"));
    assert_eq!(facts_in_redis(&at("old.rdb")), expected);
}

#[test]
fn a_folder_of_another_name_is_gone_on_with() {
    let launch = log_launch();
    let mut server = launch.start();
    fill(&mut server.client());
    let expected = facts(server.port());
    server.signal(Signal::SIGTERM);
    server.ended();
    let said = convert(&launch.file(LOG_FOLDER), &launch.file("mine/log.aof.manifest"));
    assert!(said.contains("appenddirname mine and appendfilename log.aof"), "{said}");
    let named = launch.clone().with(&["--appenddirname", "mine", "--appendfilename", "log.aof"]);
    let server = named.start();
    assert_eq!(facts(server.port()), expected);
    server.client().line("SET more 1");
    let expected = facts(server.port());
    server.signal(Signal::SIGKILL);
    drop(server);
    assert_eq!(facts(named.start().port()), expected);
    let left = std::fs::read_dir(launch.file("")).expect("the folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn what_cannot_be_converted_is_refused_and_nothing_is_touched() {
    let launch = log_launch();
    let server = launch.start();
    server.client().line("SET key value");
    let log = launch.file(LOG_FOLDER);
    let (file, snapshot) = (log.join("appendonly.aof.1.incr.aof"), launch.file("a.snapshot"));
    // A log that is being written is whole at every moment.
    convert(&log, &launch.file("live.rdb"));
    for taken in ["live.rdb", LOG_FOLDER] {
        let said = refused(&launch.file("live.rdb"), &launch.file(taken));
        assert!(said.contains("left as it is. Choose another name, or move it away"), "{said}");
    }
    let said = refused(&launch.file("live.rdb"), &log.join("appendonly.aof.manifest"));
    assert!(said.contains("there is a folder of that name already"), "{said}");
    let said = refused(&file, &snapshot);
    assert!(said.contains("it is a part of the log that") && said.contains("name that"), "{said}");
    let said = refused(&launch.file(""), &snapshot);
    assert!(said.contains("the append-only file is in") && said.contains(LOG_FOLDER), "{said}");
    for missing in ["no.aof", "no.rdb", "no.manifest"] {
        let said = refused(&launch.file(missing), &snapshot);
        assert!(said.contains("there is no such file"), "{said}");
    }
    let torn = {
        let bytes = std::fs::read(&file).expect("the increment");
        let at = bytes.windows(5).position(|window| window == b"value").expect("the value");
        bytes[..at + 2].to_vec()
    };
    std::fs::write(&file, &torn).expect("half a command");
    let said = refused(&log, &snapshot);
    assert!(said.contains("ends within a command") && said.contains("A running server writes it"), "{said}");
    let (mended, said) = tool(&[Path::new("check"), Path::new("--fix"), &log]);
    assert!(!mended && said.contains("A running server writes it: it is left as it is"), "{said}");
    drop(server);
    let said = refused(&log, &snapshot);
    assert!(said.contains("ends within a command") && said.contains("check --fix"), "{said}");
    assert_eq!(std::fs::read(&file).expect("the increment"), torn, "it is only read");
    assert!(tool(&[Path::new("check"), Path::new("--fix"), &log]).0);
    convert(&log, &snapshot);
    let left = std::fs::read_dir(launch.file("")).expect("the folder").flatten();
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")));
}

/// The server's time in seconds.
fn time(client: &mut Client) -> u64 {
    match client.call(&["TIME"]) {
        Some(Value::Array(parts)) => match parts.first() {
            Some(Value::Bulk(seconds)) => String::from_utf8_lossy(seconds).parse().expect("a number"),
            other => panic!("no seconds: {other:?}"),
        },
        other => panic!("no time: {other:?}"),
    }
}

/// Waits for another second, and says which one is over.
fn next_second(client: &mut Client) -> u64 {
    let now = time(client);
    until("a second is over", || time(client) > now);
    now
}

fn timed_launch() -> Launch {
    log_launch().with(&["--aof-timestamp-enabled", "yes"])
}

fn files_in(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the folder").flatten();
    // The lock of who writes there is no data.
    let entries = entries.filter(|entry| !entry.file_name().to_string_lossy().ends_with(".lock"));
    entries.map(|entry| (entry.file_name().into(), std::fs::read(entry.path()).expect("a file"))).collect()
}

/// The copies that `restore` made, the oldest first.
fn copies(launch: &Launch) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(launch.file("")).expect("the folder").flatten();
    let mut copies: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(".before-restore-"))
        .collect();
    copies.sort();
    copies
}

#[test]
fn a_folder_goes_back_to_a_moment_and_the_original_stays() {
    let launch = timed_launch();
    let mut server = launch.start();
    let mut client = server.client();
    fill(&mut client);
    let early = next_second(&mut client);
    for line in ["SET balance 100", "LPUSH list new", "MULTI", "SET one 1", "SET two 2", "EXEC"] {
        client.line(line);
    }
    let expected = facts(server.port());
    let moment = next_second(&mut client);
    client.line("FLUSHALL");
    client.line("SET balance 0");
    let log = launch.file(LOG_FOLDER);
    let (done, said) = restore(&moment.to_string(), &log);
    assert!(!done && said.contains("a running server writes it: end that server first"), "{said}");
    server.signal(Signal::SIGTERM);
    server.ended();
    let original = files_in(&log);

    // What Redis's own tool does to the last file is what is done here.
    let beside = launch.file("beside");
    assert!(Command::new("cp").arg("-r").arg(&log).arg(&beside).status().expect("cp").success());
    let manifest = beside.join("appendonly.aof.manifest");
    let of_redis = Command::new("redis-check-aof")
        .args(["--truncate-to-timestamp", &moment.to_string()])
        .arg(&manifest)
        .output();

    let (done, said) = restore(&moment.to_string(), &log);
    assert!(done && said.contains("brought back to the state before"), "{said}");
    if let Ok(output) = of_redis {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(files_in(&log), files_in(&beside), "byte by byte as redis-check-aof cuts it");
    }
    let kept = copies(&launch);
    assert_eq!(kept.len(), 1);
    assert!(said.contains(&kept[0].display().to_string()), "{said}");
    assert_eq!(files_in(&kept[0]), original);

    // Again: nothing is later any more, and no copy is made.
    let (done, said) = restore(&moment.to_string(), &log);
    assert!(done && said.contains("nothing in it is later than that"), "{said}");
    assert_eq!(copies(&launch).len(), 1);
    if let Some(redis) = redis_over(&launch.file(""), true) {
        assert_eq!(facts(redis.port()), expected);
    }
    let mut server = launch.start();
    assert_eq!(facts(server.port()), expected);
    let mut client = server.client();
    client.line("SET balance 50");
    server.signal(Signal::SIGTERM);
    server.ended();
    // By the manifest, in the other notation, further back.
    let early_text = glasswing::persist::aof::rewind::moment(early);
    let (done, said) = restore(&early_text, &log.join("appendonly.aof.manifest"));
    assert!(done, "{said}");
    let server = launch.start();
    assert_eq!(server.client().line("EXISTS balance"), "(integer) 0");
    assert_eq!(server.client().line("GET text"), "\"hello\"");
}

#[test]
fn increments_behind_the_moment_go_altogether() {
    let launch = timed_launch().with(&["--aof-checksum", "no"]);
    let mut server = launch.start();
    let mut client = server.client();
    let mut moments = Vec::new();
    for number in 1..=3 {
        client.line(&format!("SET key:{number} {number}"));
        moments.push(next_second(&mut client));
    }
    server.signal(Signal::SIGTERM);
    server.ended();
    // A file for each second, as rewrites that failed leave them.
    let log = launch.file(LOG_FOLDER);
    let whole = std::fs::read(log.join("appendonly.aof.1.incr.aof")).expect("the increment");
    let starts: Vec<usize> = (0..whole.len()).filter(|at| whole[*at..].starts_with(b"#TS:")).collect();
    assert_eq!(starts.len(), 3, "{}", String::from_utf8_lossy(&whole));
    let mut manifest = "file appendonly.aof.1.base.rdb seq 1 type b\n".to_owned();
    for (index, start) in starts.iter().enumerate() {
        let name = format!("appendonly.aof.{}.incr.aof", index + 1);
        let end = starts.get(index + 1).copied().unwrap_or(whole.len());
        std::fs::write(log.join(&name), &whole[*start..end]).expect("an increment");
        manifest += &format!("file {name} seq {} type i\n", index + 1);
    }
    std::fs::write(log.join("appendonly.aof.manifest"), &manifest).expect("the manifest");
    let (done, said) = restore(&moments[0].to_string(), &log);
    assert!(done && said.contains("no more a part of it: appendonly.aof.3.incr.aof"), "{said}");
    assert!(!log.join("appendonly.aof.3.incr.aof").exists());
    assert_eq!(std::fs::read(log.join("appendonly.aof.2.incr.aof")).expect("the cut one"), b"");
    let kept =
        std::fs::read_to_string(copies(&launch)[0].join("appendonly.aof.manifest")).expect("the old one");
    assert_eq!(kept, manifest);
    if let Some(redis) = redis_over(&launch.file(""), true) {
        assert_eq!(keys_when_loaded(redis.port()), ["key:1"]);
    }
    let server = launch.start();
    assert_eq!(keys_when_loaded(server.port()), ["key:1"]);
    server.client().line("SET more 1");
    server.signal(Signal::SIGKILL);
    drop(server);
    assert_eq!(keys_when_loaded(launch.start().port()).len(), 2);
}

fn keys_when_loaded(port: u16) -> Vec<String> {
    let mut client = Client::connect(port);
    until("it has loaded", || client.line("PING") == "PONG");
    keys_of(&mut client).into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()).collect()
}

#[test]
fn moments_that_a_folder_cannot_go_back_to_are_refused() {
    let without = log_launch();
    let mut server = without.start();
    let mut client = server.client();
    client.line("SET key value");
    let moment = time(&mut client);
    server.signal(Signal::SIGTERM);
    server.ended();
    let before = files_in(&without.file(LOG_FOLDER));
    let (done, said) = restore(&moment.to_string(), &without.file(LOG_FOLDER));
    assert!(!done && said.contains("aof-timestamp-enabled yes"), "{said}");
    assert_eq!((files_in(&without.file(LOG_FOLDER)), copies(&without).len()), (before, 0));

    let launch = timed_launch();
    let mut server = launch.start();
    let mut client = server.client();
    let first = next_second(&mut client);
    client.line("SET key value");
    let second = next_second(&mut client);
    client.line("SET key other");
    let log = launch.file(LOG_FOLDER);
    server.signal(Signal::SIGTERM);
    server.ended();
    let (done, said) = restore("1700000000", &log);
    assert!(!done && said.contains("the earliest moment that it can be brought back to is 20"), "{said}");
    let (done, said) = restore(&first.to_string(), &launch.file("nowhere"));
    assert!(!done && said.contains("there is no such folder"), "{said}");
    let (done, said) = restore(&first.to_string(), &log.join("appendonly.aof.1.incr.aof"));
    assert!(!done && said.contains("name the folder of an append-only file"), "{said}");
    let (done, said) = restore("tomorrow", &log);
    assert!(!done && said.contains("'tomorrow' is no TIME"), "{said}");
    // Torn: what is behind the tear cannot be told, what is before it can.
    let file = log.join("appendonly.aof.1.incr.aof");
    let whole = std::fs::read(&file).expect("the increment");
    let at = whole.windows(5).position(|window| window == b"other").expect("the last value");
    std::fs::write(&file, &whole[..at + 2]).expect("half a command");
    let before = files_in(&log);
    let (done, said) = restore(&(second + 60).to_string(), &log);
    assert!(!done && said.contains("ends within the command") && said.contains("check --fix"), "{said}");
    assert_eq!((files_in(&log), copies(&launch).len()), (before, 0));
    let (done, said) = restore(&second.to_string(), &log);
    assert!(done, "{said}");
    assert_eq!(launch.start().client().line("GET key"), "\"value\"");

    // A Redis locks nothing, and is seen all the same.
    let home = tempfile::tempdir().expect("a folder");
    let options = ["--appendonly", "yes", "--aof-timestamp-enabled", "yes"];
    let Some(redis) = Redis::start_in(home.path(), &options) else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    Client::connect(redis.port()).line("SET key value");
    let (done, said) = restore("1700000000", &home.path().join(LOG_FOLDER));
    assert!(!done && said.contains("a running server writes it"), "{said}");
    drop(redis);
    let (done, said) = restore("1700000000", &home.path().join(LOG_FOLDER));
    assert!(!done && said.contains("the earliest moment"), "{said}");
}
