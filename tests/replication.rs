//! Replicas of ours: a real redis-server that follows through thick and thin, raw connections that see the stream
//! byte by byte, and redis-cli's tools.
//!
//! Runs its larger part when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::random::Random;
use common::redis::Redis;
use common::{Client, Launch, Server, until};
use glasswing::resp::Value;

/// A primary of two workers, whose full synchronizations begin at once.
fn primary(options: &[&str]) -> Server {
    let common = ["--workers", "2", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];
    Launch::new().with(&common).with(options).start()
}

/// A real Redis that follows it.
fn replica_of(server: &Server, options: &[&str]) -> Option<(Redis, Client)> {
    let target = format!("127.0.0.1 {}", server.port());
    let own = ["--enable-debug-command", "yes", "--replicaof", &target];
    let redis = Redis::start(&[&own, options].concat())?;
    let mut client = Client::connect(redis.port());
    until("the replica is in sync", || client.info("master_link_status") == "up");
    Some((redis, client))
}

/// Every key of every database: when it expires and a digest of its value.
fn everything(client: &mut Client) -> BTreeMap<(usize, String), (String, String)> {
    let mut all = BTreeMap::new();
    for database in 0..4 {
        assert_eq!(client.line(&format!("SELECT {database}")), "OK");
        let Some(Value::Array(keys)) = client.call(&["KEYS", "*"]) else { panic!("KEYS has no answer") };
        for key in keys {
            let Value::Bulk(key) = key else { panic!("no key: {key:?}") };
            let key = String::from_utf8_lossy(&key).into_owned();
            let expires = client.line(&format!("PEXPIRETIME {key}"));
            all.insert((database, key.clone()), (expires, client.line(&format!("DEBUG DIGEST-VALUE {key}"))));
        }
    }
    client.line("SELECT 0");
    all
}

/// What one has and the other has not, or has otherwise.
fn differences(one: &mut Client, other: &mut Client) -> Vec<String> {
    let (one, other) = (everything(one), everything(other));
    let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let unlike = keys.into_iter().filter(|key| one.get(key) != other.get(key));
    unlike.map(|key| format!("{key:?}: {:?}, {:?}", one.get(key), other.get(key))).collect()
}

/// Both hold the same: what expires meanwhile is gone at both sooner or later.
fn hold_the_same(one: &mut Client, other: &mut Client) {
    for _ in 0..20 {
        if differences(one, other).is_empty() {
            return;
        }
    }
    assert_eq!(differences(one, other), [""; 0]);
    assert_eq!(one.line("DEBUG DIGEST"), other.line("DEBUG DIGEST"));
}

/// Waits until the replica has processed all that has happened.
fn catch_up(primary: &mut Client, replica: &mut Client) {
    until("the replica has everything", || {
        let end = primary.info("master_repl_offset");
        replica.info("slave_repl_offset") == end
    });
}

/// One step of a client that does a bit of everything, in the names of its own and in shared ones.
fn step(client: &mut Client, random: &mut Random, own: usize) {
    let key = random.below(40);
    let number = random.below(1_000);
    let line = match random.below(34) {
        0 => format!("SET s{key} {number}"),
        1 => format!("SET s{key} {number} PX {}", 1 + random.below(40)),
        2 => format!("SET s{key} {number} EX 1000 GET"),
        3 => format!("GETEX s{key} PX {}", 1 + random.below(1_000)),
        4 => format!("INCRBY n{key} {number}"),
        5 => format!("INCRBYFLOAT f{key} 0.{number}"),
        6 => format!("APPEND s{key} {number}"),
        7 => format!("RPUSH l{key} {number} b c"),
        8 => format!("LMOVE l{key} l{} LEFT RIGHT", random.below(40)),
        9 => format!("LMPOP 2 l{key} l{} RIGHT COUNT 2", random.below(40)),
        10 => format!("BLPOP l{key} l{} 0.01", random.below(40)),
        11 => format!("BLMOVE l{key} w{own} LEFT LEFT 0.01"),
        12 => format!("BZPOPMIN z{key} 0.01"),
        13 => format!("SADD t{key} {number} {own}"),
        14 => format!("SPOP t{key}"),
        15 => format!("SPOP t{key} 3"),
        16 => format!("SMOVE t{key} t{} {number}", random.below(40)),
        17 => format!("HSET h{key} f{number} {number}"),
        18 => format!("HINCRBYFLOAT h{key} f{} 1.5", random.below(5)),
        19 => format!("ZADD z{key} {number} m{own}"),
        20 => format!("ZPOPMAX z{key}"),
        21 => format!("XADD x{key} MAXLEN ~ 50 * f {number}"),
        22 => format!("XGROUP CREATE x{key} g 0 MKSTREAM"),
        23 => format!("XREADGROUP GROUP g c{own} COUNT 2 STREAMS x{key} >"),
        24 => format!("XAUTOCLAIM x{key} g d 0 0 COUNT 1"),
        25 => format!("PFADD p{key} {number}"),
        26 => format!("EXPIRE h{key} {}", random.below(2)),
        27 => format!(
            "EVAL \"redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], ARGV[1]) return \
             redis.call('SPOP', KEYS[2])\" 2 n{key} t{key} {}",
            random.below(2_000)
        ),
        28 => format!("COPY l{key} l{} REPLACE", random.below(40)),
        29 => format!("RENAME t{key} t{}", random.below(40)),
        30 => format!("MOVE s{key} 1"),
        31 => format!("SORT l{key} ALPHA STORE o{own}"),
        32 => format!("PUBLISH news {number}"),
        _ => {
            client.line("MULTI");
            client.line(&format!("SELECT {}", random.below(3)));
            client.line(&format!("SETEX s{key} 500 {number}"));
            client.line(&format!("RPUSH l{key} {number}"));
            client.line("EXEC");
            "SELECT 0".to_owned()
        }
    };
    let reply = client.line(&line);
    assert!(reply != "(closed)", "{line}");
}

/// Clients that do a bit of everything until `is_over`, beside one that cuts the replicas' links again and again.
fn soak(port: u16, steps: usize, cuts: usize) {
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for own in 0..4 {
            let done = &done;
            scope.spawn(move || {
                let (mut client, mut random) = (Client::connect(port), Random(4711 + own as u64));
                for _ in 0..steps {
                    step(&mut client, &mut random, own);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (over, done) = (&over, &done);
        scope.spawn(move || {
            let mut client = Client::connect(port);
            for cut in 1..=cuts {
                // Spread over the whole time, and never while the replica is away anyway.
                let due = (steps * 4 * cut / (cuts + 1)) as u64;
                until("it is time", || done.load(Ordering::Relaxed) >= due);
                until("the replica is there", || client.info("connected_slaves") == "1");
                let before = client.info("sync_partial_ok");
                assert_eq!(client.line("CLIENT KILL TYPE replica"), "(integer) 1");
                until("the replica is back", || client.info("sync_partial_ok") != before);
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    assert!(over.load(Ordering::Relaxed));
}

#[test]
fn a_real_redis_follows_a_soak_and_comes_back_after_cuts() {
    for options in [
        &["--repl-diskless-sync", "yes", "--appendonly", "no"][..],
        &["--repl-diskless-sync", "no", "--appendonly", "yes"],
    ] {
        let server = primary(&[options, &["--repl-backlog-size", "16mb"]].concat());
        let mut client = server.client();
        // What is there before anybody follows.
        let mut random = Random(1);
        (0..500).for_each(|_| step(&mut client, &mut random, 9));
        assert_eq!(
            client.line(
                "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 1 end)\""
            ),
            "\"lib\""
        );
        let Some((_redis, mut replica)) = replica_of(&server, &[]) else {
            return eprintln!("skipped: no redis-server in the PATH");
        };
        soak(server.port(), 4_000, 5);
        catch_up(&mut client, &mut replica);
        hold_the_same(&mut client, &mut replica);
        assert!(everything(&mut client).len() > 100);
        assert!(replica.line("FUNCTION LIST").contains("\"lib\""));
        assert_eq!((client.info("sync_full"), client.info("sync_partial_ok")), ("1".into(), "5".into()));
        assert_eq!(client.info("sync_partial_err"), "0");
    }
}

#[test]
fn a_payload_is_of_one_instant_while_writes_go_on() {
    for diskless in ["yes", "no"] {
        let server = primary(&["--repl-diskless-sync", diskless]);
        let mut client = server.client();
        assert_eq!(client.line("DEBUG POPULATE 50000 key 100"), "OK");
        let going = AtomicBool::new(true);
        let found = std::thread::scope(|scope| {
            for own in 0..2 {
                let (port, going) = (server.port(), &going);
                scope.spawn(move || {
                    let (mut client, mut random) = (Client::connect(port), Random(own as u64));
                    while going.load(Ordering::Relaxed) {
                        step(&mut client, &mut random, own);
                        client.line(&format!("APPEND key:{} x", random.below(50_000)));
                        client.line(&format!("DEL key:{}", random.below(50_000)));
                    }
                });
            }
            let found = replica_of(&server, &[]);
            going.store(false, Ordering::Relaxed);
            found
        });
        let Some((_redis, mut replica)) = found else {
            return eprintln!("skipped: no redis-server in the PATH");
        };
        catch_up(&mut client, &mut replica);
        hold_the_same(&mut client, &mut replica);
    }
}

/// A connection that has sent SYNC and got its payload: what follows is the stream.
fn attached(server: &Server) -> Client {
    let stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
    let mut reader = stream.try_clone().expect("a handle");
    std::io::Write::write_all(&mut &stream, b"SYNC\r\n").expect("the server reads");
    let line = line_of(&mut reader);
    let length: usize = line.strip_prefix('$').expect("a length").parse().expect("a number");
    let mut payload = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut payload).expect("the payload");
    assert!(payload.starts_with(b"REDIS0010"), "{}", payload.escape_ascii());
    Client::over(stream)
}

/// The next line that is not empty.
fn line_of(reader: &mut impl std::io::Read) -> String {
    let mut line = String::new();
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte).expect("a line");
        match byte[0] {
            b'\n' if line.is_empty() => {}
            b'\n' => return line.trim_end().to_owned(),
            byte => line.push(byte.into()),
        }
    }
}

/// The next command of the stream.
fn next(stream: &mut Client) -> String {
    let Some(Value::Array(words)) = stream.reply() else { panic!("no command") };
    let word = |word: &Value| match word {
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("no word: {other:?}"),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_stream_is_as_redis_writes_it() {
    let server = primary(&["--repl-ping-replica-period", "3600"]);
    let mut client = server.client();
    client.line("SADD one x");
    let mut stream = attached(&server);
    for (line, expected) in [
        ("SET a 1", &["SELECT 0", "SET a 1"][..]),
        ("GET a", &[]),
        ("DEL missing", &[]),
        ("SPOP one", &["SREM one x"]),
        ("INCRBYFLOAT a 0.5", &["SET a 1.5 KEEPTTL"]),
        ("PUBLISH news hello", &["PUBLISH news hello"]),
        (
            "EVAL \"redis.call('SET', 'b', 1) redis.call('DEL', 'a') return redis.call('PUBLISH', 'n', 'm')\" 0",
            &["MULTI", "SET b 1", "DEL a", "PUBLISH n m", "EXEC"],
        ),
        ("EVAL \"return redis.call('INCR', 'b')\" 0", &["INCR b"]),
        ("SELECT 5", &[]),
        ("RPUSH l 1", &["SELECT 5", "RPUSH l 1"]),
        ("BLPOP l 0", &["LPOP l"]),
    ] {
        let reply = client.line(line);
        assert!(!reply.starts_with("(error)"), "{line}: {reply}");
        for expected in expected {
            assert_eq!(next(&mut stream), *expected, "after {line}");
        }
    }
    for line in ["MULTI", "SET m 1", "SELECT 0", "SET m 2", "EXEC"] {
        client.line(line);
    }
    for expected in ["MULTI", "SET m 1", "SELECT 0", "SET m 2", "EXEC"] {
        assert_eq!(next(&mut stream), expected);
    }
    // A waiting client is served after what served it.
    let mut waiting = server.client();
    waiting.send(&["BLPOP", "q", "0"]);
    until("it waits", || client.info("blocked_clients") == "1");
    client.line("SELECT 0");
    client.line("RPUSH q 1");
    assert_eq!((next(&mut stream), next(&mut stream)), ("RPUSH q 1".to_owned(), "LPOP q".to_owned()));
    // An expiry is absolute, and what has expired is deleted.
    client.line("SET e 1 PX 30");
    assert!(next(&mut stream).starts_with("SET e 1 PXAT 1"));
    assert_eq!(next(&mut stream), "DEL e");
}

#[test]
fn what_a_walk_finds_expired_is_deleted_one_by_one() {
    let server = primary(&["--repl-ping-replica-period", "3600", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    client.line("DEBUG SET-ACTIVE-EXPIRE 0");
    let mut stream = attached(&server);
    for walk in ["SCAN 0 COUNT 1000", "RANDOMKEY"] {
        for key in ["a", "b"] {
            client.line(&format!("SET {key} 1 PX 1"));
        }
        until("both are gone", || client.line(walk) == "(nil)" || client.line("DBSIZE") == "(integer) 0");
        let commands = std::iter::repeat_with(|| next(&mut stream));
        let mut told: Vec<String> = commands.filter(|command| command != "SELECT 0").take(4).collect();
        told[2..].sort();
        assert!(told[0].starts_with("SET a 1 PXAT ") && told[1].starts_with("SET b 1 PXAT "), "{told:?}");
        assert_eq!(told[2..], ["DEL a", "DEL b"], "by {walk}");
    }
}

#[test]
fn wait_counts_replicas_and_writes_can_need_them() {
    let server = primary(&["--min-replicas-to-write", "1", "--min-replicas-max-lag", "10"]);
    let mut client = server.client();
    let refused = "(error) NOREPLICAS Not enough good replicas to write.";
    assert_eq!((client.line("SET a 1").as_str(), client.line("GET a").as_str()), (refused, "(nil)"));
    assert_eq!(client.line("WAIT 1 10"), "(integer) 0");
    assert_eq!(client.info("min_slaves_good_slaves"), "0");
    let Some((redis, mut replica)) = replica_of(&server, &[]) else {
        return eprintln!("skipped: no redis-server in the PATH");
    };
    until("it counts", || client.line("SET a 1") == "OK");
    assert_eq!(client.line("WAIT 1 0"), "(integer) 1");
    assert_eq!(replica.line("GET a"), "\"1\"");
    assert_eq!(client.line("WAIT 0 0"), "(integer) 1");
    // Scripts ask for each write, unless they say before that they write nothing.
    assert_eq!(client.line("EVAL \"return redis.call('SET', 'a', 1)\" 0"), "OK");
    // Nothing is known of a second one.
    assert_eq!(client.line("WAIT 2 50"), "(integer) 1");
    // One that waits is told at once when it is so, and when it is unblocked.
    let mut waiting = server.client();
    let Some(Value::Int(id)) = waiting.call(&["CLIENT", "ID"]) else { panic!("no id") };
    waiting.line("SET a 2");
    assert_eq!(waiting.line("WAIT 1 0"), "(integer) 1");
    waiting.send(&["WAIT", "2", "0"]);
    until("it waits", || client.info("blocked_clients") == "1");
    assert_eq!(client.line(&format!("CLIENT UNBLOCK {id}")), "(integer) 1");
    assert_eq!(waiting.reply(), Some(Value::Int(1)));

    let role = client.line("ROLE");
    assert!(role.starts_with("1) \"master\""), "{role}");
    assert!(
        role.contains("1) \"127.0.0.1\"") && role.contains(&format!("2) \"{}\"", redis.port())),
        "{role}"
    );
    let list = client.line("CLIENT LIST TYPE replica");
    assert!(list.contains(" flags=S ") && list.contains(" cmd=replconf "), "{list}");
    assert!(!client.line("CLIENT LIST TYPE normal").contains(" flags=S "));
    let line = client.info("slave0");
    let expected = format!("ip=127.0.0.1,port={},state=online,offset=", redis.port());
    assert!(line.starts_with(&expected), "{line}");
    // No scripts write either once nobody follows.
    drop(redis);
    until("it is missed", || client.info("connected_slaves") == "0");
    assert_eq!(client.line("SET a 3"), refused);
    for script in ["return redis.call('SET', 'a', 1)", "#!lua\nreturn redis.call('GET', 'a')"] {
        assert!(client.line(&format!("EVAL {script:?} 0")).starts_with(refused), "{script}");
    }
    assert_eq!(client.line("EVAL \"#!lua flags=no-writes\\nreturn redis.call('GET', 'a')\" 0"), "\"2\"");
    assert_eq!(client.line("CONFIG SET min-replicas-to-write 0"), "OK");
    assert_eq!(client.line("SET a 3"), "OK");
}

#[test]
fn who_does_not_read_is_cut_off_and_what_it_needed_is_given_back() {
    let mut server = primary(&[]);
    let mut client = server.client();
    let mut stream = attached(&server);
    client.line("CONFIG SET client-output-buffer-limit \"replica 2mb 0 0\"");
    let value = "x".repeat(100_000);
    until("it is cut off", || {
        client.call(&["SET", "k", &value]);
        client.info("connected_slaves") == "0"
    });
    assert!(server.log_says("closed for overcoming of output buffer limits"));
    let kept: u64 = client.info("repl_backlog_histlen").parse().expect("a number");
    assert!(kept <= 3 << 20, "{kept}");
    while stream.reply().is_some() {}
}

#[test]
fn a_connection_that_follows_can_do_nothing_else() {
    let server = primary(&["--repl-ping-replica-period", "3600"]);
    let mut client = server.client();
    let mut stream = attached(&server);
    stream.send(&["REPLCONF", "ACK", "0"]);
    client.line("SET a 1");
    assert_eq!((next(&mut stream), next(&mut stream)), ("SELECT 0".to_owned(), "SET a 1".to_owned()));
    stream.send(&["GET", "a"]);
    assert_eq!(stream.reply(), None, "the connection is closed without an answer");
    // In a pipeline nothing may be owed when it asks.
    let mut other = server.client();
    assert!(other.raw(b"PING\r\nSYNC\r\n"));
    assert_eq!(other.reply(), Some(Value::Simple("PONG".into())));
    let refused = b"ERR SYNC and PSYNC are invalid with pending output";
    assert_eq!(other.reply(), Some(Value::Error(refused.to_vec().into())));
}

/// Runs redis-cli; `None` when there is none.
fn redis_cli(server: &Server, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &server.port().to_string()]).args(arguments);
    let output = command.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn redis_cli_takes_a_backup() {
    for diskless in ["yes", "no"] {
        let server = primary(&["--repl-diskless-sync", diskless]);
        let mut client = server.client();
        client.line("DEBUG POPULATE 1000 key 100");
        let digest = client.line("DEBUG DIGEST");
        let file = server.file("backup.rdb");
        let Some(said) = redis_cli(&server, &["--rdb", &file.display().to_string()]) else {
            return eprintln!("skipped: no redis-cli in the PATH");
        };
        assert!(said.contains("Transfer finished with success"), "{said}");
        until("it has gone", || client.info("connected_slaves") == "0");
        // It is a file like any other.
        let folder = server.folder().display().to_string();
        let other = Launch::new()
            .with(&["--dir", &folder, "--dbfilename", "backup.rdb", "--enable-debug-command", "yes"])
            .start();
        assert_eq!(other.client().line("DEBUG DIGEST"), digest, "diskless {diskless}");
        // Functions alone.
        let functions = server.file("functions.rdb");
        let said = redis_cli(&server, &["--functions-rdb", &functions.display().to_string()]);
        assert!(said.is_some_and(|said| said.contains("Transfer finished with success")));
        let length = |path: &std::path::Path| std::fs::metadata(path).expect("a file").len();
        assert!(length(&functions) < 200 && length(&file) > 10_000);
    }
}
