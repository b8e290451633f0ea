//! The append-only file with real processes: what was acknowledged is there after a kill, Redis reads what is
//! written here and the other way round, and the log says exactly what happened.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::random::Random;
use common::{Client, Launch, Server, encode, free_port, ok, until};
use glasswing::resp::Value;
use nix::sys::signal::Signal;

const FOLDER: &str = "appendonlydir";

fn launch() -> Launch {
    Launch::new().with(&["--appendonly", "yes", "--enable-debug-command", "yes"])
}

fn manifest(server: &Server) -> String {
    std::fs::read_to_string(server.file(FOLDER).join("appendonly.aof.manifest")).expect("a manifest")
}

/// The bytes of the increment that the manifest names last.
fn increment(server: &Server) -> Vec<u8> {
    let manifest = manifest(server);
    let name = manifest.lines().last().and_then(|line| line.split(' ').nth(1)).expect("a line").to_owned();
    std::fs::read(server.file(FOLDER).join(name)).expect("the increment")
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
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(folder: &Path) -> Option<Redis> {
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Redis { child, port };
        until("Redis is there", || {
            Client::reach(("127.0.0.1", port)).is_ok_and(|mut client| client.line("PING") == "PONG")
        });
        Some(redis)
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It is ours, and it may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
        let launch = launch().with(&["--aof-use-rdb-preamble", rdb]);
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
        let expected: Vec<String> = ["manifest", &format!("2.base.{kind}"), "2.incr.aof"]
            .map(|end| format!("appendonly.aof.{end}"))
            .into();
        until("the old files are gone", || {
            let names = std::fs::read_dir(server.file(FOLDER)).expect("the folder").flatten();
            let names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.len() == 3 && expected.iter().all(|name| names.contains(name))
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
    let launch = launch().with(&["--aof-timestamp-enabled", "yes"]);
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
    let Some(redis) = Redis::start(&folder) else { return };
    let mut client = redis.client();
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
    let redis = Redis::start(&folder).expect("as before");
    assert_eq!(digest(&mut redis.client()), before, "we went on in a file that Redis had begun");
}

/// What the log says of some lines.
fn said(lines: &[&str]) -> Vec<String> {
    let server = launch().start();
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
    let server = launch().start();
    let (mut waits, mut pushes) = (server.client(), server.client());
    waits.send(&["BLPOP", "list", "0"]);
    until("it waits", || pushes.info("blocked_clients") == "1");
    assert_eq!(pushes.line("RPUSH list a b"), "(integer) 2");
    assert!(waits.reply().is_some());
    assert_eq!(commands(&increment(&server)), ["SELECT 0", "RPUSH list a b", "LPOP list"]);
}

#[test]
fn what_expires_or_is_evicted_is_deleted_in_the_log() {
    let server = launch().start();
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
    let launch = launch();
    let server = launch.start();
    let mut client = server.client();
    client.line("DEBUG SET-ACTIVE-EXPIRE 0");
    // The expiry passes before the log is loaded, but the key was made to stay before.
    client.line("SET a 1 PX 300");
    assert_eq!(client.line("PERSIST a"), "(integer) 1");
    client.line("SET b 1");
    client.line("PEXPIRE b 200");
    client.line("RENAME b c");
    client.line("SET c 2");
    let before = digest(&mut client);
    server.signal(Signal::SIGKILL);
    drop(server);
    std::thread::sleep(std::time::Duration::from_millis(350));
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
    let launch = launch();
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

/// Starts over a folder whose last increment was changed; what the log says last.
fn after(change: impl FnOnce(&mut Vec<u8>), options: &[&str]) -> Result<(Server, u64), String> {
    let launch = launch();
    let server = launch.start();
    let mut client = server.client();
    for number in 0..10 {
        assert_eq!(client.line(&format!("SET key:{number} value")), "OK");
    }
    let path = server.file(FOLDER).join("appendonly.aof.1.incr.aof");
    server.signal(Signal::SIGTERM);
    let mut server = server;
    server.ended();
    let mut bytes = std::fs::read(&path).expect("the increment");
    let length = bytes.len() as u64;
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("the increment");
    let launch = launch.with(options);
    let mut server = launch.spawn();
    if server.log_says("Ready to accept connections") {
        return Ok((server, length));
    }
    Err(format!("{}\n{}", server.log_so_far().join("\n"), server.errors()))
}

#[test]
fn damage_is_refused_with_its_place() {
    let refused = after(|bytes| bytes[60] ^= 1, &[]).err().expect("a flipped byte");
    assert!(refused.contains("Bad file format reading the append only file appendonly.aof.1.incr.aof"));
    assert!(refused.contains("offset"), "{refused}");
    // The value of a command: its form is right, and only the checksum tells.
    let flip = |bytes: &mut Vec<u8>| {
        let at = bytes.windows(5).position(|window| window == b"value").expect("a value");
        bytes[at] ^= 2;
    };
    let refused = after(flip, &[]).err().expect("a flipped byte of a value");
    assert!(refused.contains("checksum"), "{refused}");
}

#[test]
fn a_command_that_is_cut_off_is_taken_away_if_the_settings_say_so() {
    let cut = |bytes: &mut Vec<u8>| {
        let at = bytes.windows(5).rposition(|window| window == b"key:9").expect("a key");
        bytes.truncate(at + 3);
    };
    let (server, _) = after(cut, &[]).expect("it starts");
    let mut client = server.client();
    assert_eq!(client.line("DBSIZE"), "(integer) 9");
    assert!(server.log_so_far().iter().any(|line| line.contains("!!! Truncating the AOF")));
    client.line("SET more 1");
    assert_eq!(client.line("DEBUG LOADAOF"), "OK");
    assert_eq!(client.line("DBSIZE"), "(integer) 10");
    let refused = after(cut, &["--aof-load-truncated", "no"]).err().expect("it does not start");
    assert!(refused.contains("Unexpected end of file reading the append only file"), "{refused}");
}

fn check(options: &[&str], path: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_glasswing")).arg("check").args(options).arg(path).output();
    let output = output.expect("our program");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_folder_is_examined_and_its_last_file_mended() {
    let launch = launch();
    let server = launch.start();
    let mut client = server.client();
    for number in 0..10 {
        client.line(&format!("SET key:{number} value"));
    }
    let mut server = server;
    server.signal(Signal::SIGTERM);
    server.ended();
    let (manifest, file) = ("appendonly.aof.manifest", "appendonly.aof.1.incr.aof");
    let at = |name: &str| launch.file(FOLDER).join(name);
    let (whole, said) = check(&[], &launch.file(FOLDER));
    assert!(whole && said.contains("a manifest of 2 files"), "{said}");
    let (whole, said) = check(&[], &at(manifest));
    assert!(whole && said.contains("11 commands, 1 checksums") && said.contains("a base of"), "{said}");
    if let Ok(output) = Command::new("redis-check-aof").arg(at(manifest)).output() {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("All AOF files and manifest are valid"), "{said}");
    }
    let bytes = std::fs::read(at(file)).expect("the increment");
    let cut = bytes.windows(5).rposition(|window| window == b"key:9").expect("a key");
    std::fs::write(at(file), &bytes[..cut]).expect("the increment");
    let (whole, said) = check(&[], &at(manifest));
    assert!(!whole && said.contains("ends within the command"), "{said}");
    let (mended, said) = check(&["--fix"], &at(manifest));
    assert!(mended && at("appendonly.aof.1.incr.aof.damaged").exists(), "{said}");
    assert!(check(&[], &at(file)).0);
    let strict = launch.clone().with(&["--aof-load-truncated", "no"]);
    assert_eq!(strict.start().client().line("DBSIZE"), "(integer) 9");
    std::fs::write(at(manifest), "file x\n").expect("a manifest");
    let (whole, said) = check(&[], &at(manifest));
    assert!(!whole && said.contains("at line 1: 'file x': Invalid AOF manifest file format"), "{said}");
}

#[test]
fn a_file_that_is_named_and_missing_is_refused() {
    let launch = launch();
    let server = launch.start();
    server.client().line("SET a 1");
    let path = server.file(FOLDER).join("appendonly.aof.1.incr.aof");
    let mut server = server;
    server.signal(Signal::SIGTERM);
    server.ended();
    std::fs::remove_file(path).expect("the increment");
    let mut server = launch.spawn();
    assert!(!server.log_says("Ready to accept connections"));
    let log = format!("{}\n{}", server.log_so_far().join("\n"), server.errors());
    assert!(log.contains("Unable to obtain the AOF file appendonly.aof.1.incr.aof length"), "{log}");
}

/// Writers that count, until the server is killed: each key holds what its last acknowledged write said, or the
/// one that was on its way.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const WRITERS: usize = 8;
    let launch = launch().with(&["--appendfsync", "always", "--workers", "2"]);
    let mut acknowledged = vec![0u64; WRITERS];
    let mut random = Random(7);
    for round in 0..20 {
        let server = launch.start();
        let mut client = server.client();
        for (writer, slot) in acknowledged.iter_mut().enumerate() {
            let last = *slot;
            let there = client.line(&format!("GET writer:{writer}"));
            let there: u64 = there.trim_matches('"').parse().unwrap_or(0);
            assert!(there == last || there == last + 1, "round {round}, {writer}: {there} after {last}");
            // Both halves of a transaction, or none.
            let twin = client.line(&format!("GET twin:{writer}"));
            assert_eq!(
                twin.trim_matches('"').parse().unwrap_or(0),
                there,
                "round {round}, a torn transaction"
            );
            *slot = there;
        }
        if round % 3 == 1 {
            client.line("BGREWRITEAOF");
        }
        let after = random.below(300) as u64;
        let port = server.port();
        let threads: Vec<_> = acknowledged
            .iter()
            .enumerate()
            .map(|(writer, &from)| std::thread::spawn(move || count(port, writer, from)))
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(20 + after));
        server.signal(Signal::SIGKILL);
        for (writer, thread) in threads.into_iter().enumerate() {
            acknowledged[writer] = thread.join().expect("a writer");
        }
    }
    assert!(acknowledged.iter().all(|&count| count > 0), "{acknowledged:?}");
}

/// Counts on until the server is gone: the last number that it acknowledged.
fn count(port: u16, writer: usize, mut last: u64) -> u64 {
    let Ok(mut client) = Client::reach(("127.0.0.1", port)) else { return last };
    loop {
        let number = (last + 1).to_string();
        let mut request = encode(&["MULTI"]);
        request.extend(encode(&["SET", &format!("writer:{writer}"), &number]));
        request.extend(encode(&["SET", &format!("twin:{writer}"), &number]));
        request.extend(encode(&["EXEC"]));
        if !client.raw(&request) {
            return last;
        }
        for _ in 0..3 {
            if client.reply().is_none() {
                return last;
            }
        }
        match client.reply() {
            Some(Value::Array(_)) => last += 1,
            _ => return last,
        }
    }
}

#[test]
fn a_disk_that_is_full_stops_writes_and_is_recovered_from() {
    // A folder that a file system of its own bounds cannot be had everywhere.
    let launch = launch();
    let folder: PathBuf = launch.file("small");
    std::fs::create_dir(&folder).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&folder)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        return;
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            // It is ours; what is left of it goes with the machine.
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let _unmount = Unmount(folder.clone());
    let launch = launch.with(&["--dir", &folder.display().to_string()]).admin();
    let server = launch.start();
    let mut client = server.client();
    let filler = folder.join("filler");
    std::fs::write(&filler, vec![0u8; 200 * 1024]).expect("room for the filler");
    let large = "x".repeat(100 * 1024);
    assert_eq!(client.call(&["SET", "large", &large]), ok());
    until("writes are refused", || {
        client.line("SET a 1").starts_with("(error) MISCONF Errors writing to the AOF file: No space left")
    });
    assert_eq!(client.line("STRLEN large"), "(integer) 102400");
    assert_eq!(client.info("aof_last_write_status"), "err");
    assert_eq!(server.http("GET", "/readyz").0, 503);
    std::fs::remove_file(&filler).expect("the filler");
    until("it recovers by itself", || client.line("SET a 1") == "OK");
    assert_eq!(client.info("aof_last_write_status"), "ok");
    assert_eq!(server.http("GET", "/readyz").0, 200);
    assert_eq!(client.line("DEBUG LOADAOF"), "OK");
    assert_eq!(client.line("MGET a none"), "1) \"1\"\n2) (nil)");
    assert_eq!(client.line("STRLEN large"), "(integer) 102400");
}

#[test]
fn a_base_of_commands_says_when_it_was_made() {
    for (timed, expected) in [("yes", &b"#TS:1"[..]), ("no", b"*2\r\n")] {
        let timed = ["--aof-timestamp-enabled", timed, "--aof-use-rdb-preamble", "no"];
        let server = launch().with(&timed).start();
        let mut client = server.client();
        client.line("SET k v");
        client.line("BGREWRITEAOF");
        wait_for_rewrite(&mut client);
        let base = std::fs::read(server.file(FOLDER).join("appendonly.aof.2.base.aof")).expect("the base");
        assert!(base.starts_with(expected), "{}", String::from_utf8_lossy(&base));
        assert_eq!(client.line("DEBUG LOADAOF"), "OK");
        assert_eq!(client.line("GET k"), "\"v\"");
    }
}

#[test]
fn a_slow_script_in_the_log_leaves_others_told_that_it_loads() {
    let server = launch().with(&["--busy-reply-threshold", "1"]).start();
    let (mut loads, mut other) = (server.client(), server.client());
    // It is slow only when it is repeated: what the log says is written there by the test.
    let code = "redis.call('SET', KEYS[1], 'y') for i = 1, 1500000 do redis.call('PING') end";
    let path = server.file(FOLDER).join("appendonly.aof.1.incr.aof");
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
    let server = launch().with(&["--appendfsync", "always"]).start();
    let mut client = server.client();
    assert_eq!(client.line("DEBUG AOF-FLUSH-SLEEP 200000"), "OK");
    let began = std::time::Instant::now();
    assert_eq!(client.line("SET k v"), "OK");
    assert!(began.elapsed().as_millis() >= 200, "{:?}", began.elapsed());
    assert_eq!(client.line("DEBUG AOF-FLUSH-SLEEP 0"), "OK");
}
