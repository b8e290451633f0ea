//! What the append-only file survives, with real processes: damage, kills, a disk that is full.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::random::Random;
use common::redis::Redis;
use common::{Client, LOG_FOLDER, Server, encode, log_launch, ok, until};
use glasswing::resp::Value;
use nix::sys::signal::Signal;

/// Starts over a folder whose last increment was changed; what the log says last.
fn after(change: impl FnOnce(&mut Vec<u8>), options: &[&str]) -> Result<(Server, u64), String> {
    let launch = log_launch();
    let server = launch.start();
    let mut client = server.client();
    for number in 0..10 {
        assert_eq!(client.line(&format!("SET key:{number} value")), "OK");
    }
    let path = server.file(LOG_FOLDER).join("appendonly.aof.1.incr.aof");
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
    let launch = log_launch();
    let server = launch.start();
    let mut client = server.client();
    for number in 0..10 {
        client.line(&format!("SET key:{number} value"));
    }
    let mut server = server;
    server.signal(Signal::SIGTERM);
    server.ended();
    let (manifest, file) = ("appendonly.aof.manifest", "appendonly.aof.1.incr.aof");
    let at = |name: &str| launch.file(LOG_FOLDER).join(name);
    let (whole, said) = check(&[], &launch.file(LOG_FOLDER));
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
    // A text that begins like a comment is no log, and stays whole.
    std::fs::write(launch.file("notes.md"), "# Notes\nWhat else?\n").expect("a text");
    let (mended, said) = check(&["--fix"], &launch.file("notes.md"));
    assert!(!mended && said.contains("it is left as it is"), "{said}");
    assert_eq!(std::fs::read(launch.file("notes.md")).expect("the text"), b"# Notes\nWhat else?\n");
    std::fs::write(at(manifest), "file x\n").expect("a manifest");
    let (whole, said) = check(&[], &at(manifest));
    assert!(!whole && said.contains("at line 1: 'file x': Invalid AOF manifest file format"), "{said}");
}

#[test]
fn behind_a_wrong_checksum_nothing_is_kept_that_the_one_before_does_not_vouch_for() {
    let launch = log_launch();
    for round in 0..2 {
        let mut server = launch.start();
        server.client().line(&format!("SET key:{round} value"));
        server.signal(Signal::SIGTERM);
        server.ended();
    }
    let path = launch.file(LOG_FOLDER).join("appendonly.aof.1.incr.aof");
    let whole = std::fs::read(&path).expect("the increment");
    let flipped = |key: &str| {
        let mut bytes = whole.clone();
        let at = bytes.windows(5).position(|window| window == key.as_bytes()).expect("a key");
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("the increment");
    };
    flipped("key:0");
    let (mended, said) = check(&["--fix"], &path);
    assert!(!mended && said.contains("put back a good copy"), "{said}");
    flipped("key:1");
    let (mended, said) = check(&["--fix"], &path);
    assert!(mended && said.contains("2 commands, 1 checksums"), "{said}");
    assert!(path.with_extension("aof.damaged").exists());
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(
        (client.line("GET key:0").as_str(), client.line("DBSIZE").as_str()),
        ("\"value\"", "(integer) 1")
    );
}

#[test]
fn a_file_that_is_named_and_missing_is_refused() {
    let launch = log_launch();
    let server = launch.start();
    server.client().line("SET a 1");
    let path = server.file(LOG_FOLDER).join("appendonly.aof.1.incr.aof");
    let mut server = server;
    server.signal(Signal::SIGTERM);
    server.ended();
    std::fs::remove_file(path).expect("the increment");
    let mut server = launch.spawn();
    assert!(!server.log_says("Ready to accept connections"));
    let log = format!("{}\n{}", server.log_so_far().join("\n"), server.errors());
    assert!(log.contains("Unable to obtain the AOF file appendonly.aof.1.incr.aof length"), "{log}");
}

/// What each writer knows, and what the rounds did.
#[derive(Debug, Default)]
struct Record {
    rounds: usize,
    acknowledged: u64,
    /// Writes that were on their way when the server was killed, and are there.
    arrived: u64,
    rewrites: u64,
    saves: u64,
    /// Rounds in which the kill met a rewrite or a save.
    interrupted: u64,
}

/// A number of the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Writers that count, until the server is killed: each key holds what its last acknowledged write said, or the
/// one that was on its way. `KILL_ROUNDS` says how often, `KILL_SEED` which moments.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const WRITERS: usize = 8;
    let launch =
        log_launch().with(&["--appendfsync", "always", "--workers", "2", "--dbfilename", "dump.rdb"]);
    let mut acknowledged = vec![0u64; WRITERS];
    let (mut random, mut record) = (Random(number("KILL_SEED", 7)), Record::default());
    for round in 0..number("KILL_ROUNDS", 20) {
        let server = launch.start();
        let mut client = server.client();
        for (writer, slot) in acknowledged.iter_mut().enumerate() {
            let there = found(&mut client, writer, round);
            assert!(there == *slot || there == *slot + 1, "round {round}, {writer}: {there} after {slot}");
            record.arrived += there - *slot;
            *slot = there;
        }
        // Long enough for a kill to meet them.
        client.line("CONFIG SET rdb-key-save-delay 2000");
        match round % 3 {
            1 => record.rewrites += u64::from(client.line("BGREWRITEAOF").ends_with("started")),
            2 => record.saves += u64::from(client.line("BGSAVE").ends_with("started")),
            _ => {}
        }
        let (port, enough) = (server.port(), 1 + random.below(400) as u64);
        let told = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = acknowledged
            .iter()
            .enumerate()
            .map(|(writer, &from)| {
                let told = Arc::clone(&told);
                std::thread::spawn(move || count(port, writer, from, &told))
            })
            .collect();
        until("so many writes are acknowledged", || told.load(Ordering::Relaxed) >= enough);
        let busy = ["aof_rewrite_in_progress", "rdb_bgsave_in_progress"].map(|field| client.info(field));
        record.interrupted += u64::from(busy.iter().any(|is| is == "1"));
        server.signal(Signal::SIGKILL);
        for (writer, thread) in threads.into_iter().enumerate() {
            acknowledged[writer] = thread.join().expect("a writer");
        }
        record.acknowledged += told.load(Ordering::Relaxed);
        record.rounds += 1;
    }
    assert!(acknowledged.iter().all(|&count| count > 0), "{acknowledged:?}");
    eprintln!("{record:?}");
}

/// The last number of a writer that is there. All that it wrote before is there, too, and both halves of each of its
/// transactions.
fn found(client: &mut Client, writer: usize, round: u64) -> u64 {
    let mut number = |line: String| {
        let reply = client.line(&line);
        reply.trim_start_matches("(integer) ").trim_matches('"').parse().unwrap_or(0)
    };
    let last = number(format!("GET writer:{writer}"));
    let others = [
        number(format!("GET twin:{writer}")),
        number(format!("LLEN all:{writer}")),
        number(format!("LINDEX all:{writer} -1")),
    ];
    assert_eq!(others, [last; 3], "round {round}, {writer}: a torn transaction, or one that is lost");
    last
}

/// Counts on until the server is gone: the last number that it acknowledged. Each is counted in `told`, too.
fn count(port: u16, writer: usize, mut last: u64, told: &AtomicU64) -> u64 {
    let Ok(mut client) = Client::reach(("127.0.0.1", port)) else { return last };
    loop {
        let number = (last + 1).to_string();
        let key = |kind: &str| format!("{kind}:{writer}");
        let commands = [
            encode(&["MULTI"]),
            encode(&["SET", &key("writer"), &number]),
            encode(&["RPUSH", &key("all"), &number]),
            encode(&["SET", &key("twin"), &number]),
            encode(&["EXEC"]),
        ];
        if !client.raw(&commands.concat()) {
            return last;
        }
        for _ in 1..commands.len() {
            if client.reply().is_none() {
                return last;
            }
        }
        match client.reply() {
            Some(Value::Array(_)) => {
                last += 1;
                told.fetch_add(1, Ordering::Relaxed);
            }
            _ => return last,
        }
    }
}

#[test]
fn a_second_server_on_the_same_log_is_refused() {
    let launch = log_launch().with(&["--appendfsync", "always"]);
    let first = launch.start();
    let mut client = first.client();
    assert_eq!(client.line("SET a 1"), "OK");
    let (code, log, errors) = launch.ends();
    assert_eq!(code, Some(1), "{log}");
    for text in [&log, &errors] {
        assert!(text.contains("is written by another server") && text.contains("--appendfilename"), "{text}");
    }
    assert_eq!(client.line("SET b 2"), "OK", "the first one is as it was");

    // Without the log it starts, and may not begin to write it.
    let second = launch.clone().with(&["--appendonly", "no"]).start();
    let mut other = second.client();
    for line in ["CONFIG SET appendonly yes", "BGREWRITEAOF", "DEBUG LOADAOF"] {
        assert!(other.line(line).starts_with("(error) ERR"), "{line}");
    }
    assert_eq!(other.line("CONFIG GET appendonly"), "1) \"appendonly\"\n2) \"no\"");
    assert_eq!(other.line("CONFIG SET appendfsync no"), "OK");
    // A log of another name in the same folder is another log.
    let third = launch.clone().with(&["--appendfilename", "other.aof"]).start();
    assert_eq!(third.client().line("SET c 3"), "OK");

    assert_eq!(client.line("BGREWRITEAOF"), "Background append only file rewriting started");
    until("it is rewritten", || client.info("aof_rewrite_in_progress") == "0");
    assert_eq!(client.info("aof_last_bgrewrite_status"), "ok");
    assert_eq!(client.line("SET d 4"), "OK");
    first.signal(Signal::SIGKILL);
    drop(first);
    assert_eq!(other.line("CONFIG SET appendonly yes"), "OK", "a dead process holds nothing");
    drop(second);
}

#[test]
fn a_server_that_is_about_to_end_is_waited_for() {
    let launch = log_launch();
    let mut first = launch.start();
    assert_eq!(first.client().line("SET a 1"), "OK");
    let mut second = launch.spawn();
    assert!(second.log_says("its end is waited for"), "{:?}", second.log_so_far());
    assert_eq!(first.client().line("SET b 2"), "OK");
    first.signal(Signal::SIGTERM);
    assert!(first.ended().0.success());
    assert!(second.log_says("Ready to accept connections"), "{:?}", second.log_so_far());
    assert_eq!(second.client().line("MGET a b"), "1) \"1\"\n2) \"2\"");
}

#[test]
fn the_log_of_a_redis_that_runs_is_left_alone() {
    let launch = log_launch();
    let Some(redis) = Redis::start_in(&launch.file(""), &["--appendonly", "yes"]) else {
        eprintln!("no redis-server here: nothing was tried");
        return;
    };
    assert_eq!(Client::connect(redis.port()).line("SET a 1"), "OK");
    let (code, log, _) = launch.ends();
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("is written by another server, which has appendonlydir/appendonly.aof.1.incr.aof open"),
        "{log}"
    );
    drop(redis);
    assert_eq!(launch.start().client().line("GET a"), "\"1\"");
}

#[test]
fn a_disk_that_is_full_stops_writes_and_is_recovered_from() {
    // A folder that a file system of its own bounds cannot be had everywhere.
    let launch = log_launch();
    let folder: PathBuf = launch.file("small");
    std::fs::create_dir(&folder).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&folder)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("nothing may be mounted here: a full disk was not tried");
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
