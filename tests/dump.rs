//! Values of all types and sizes, and whole RDB files, between this server and a real redis-server in both directions.
//!
//! Runs when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.

mod common;

use std::io::Write;
use std::process::Command;

use common::redis::Redis;
use common::{Client, Launch};
use glasswing::resp::Value;

fn start_redis(options: &[&str]) -> Option<Redis> {
    Redis::start(&[&["--enable-debug-command", "yes"], options].concat())
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Commands that make one key of each kind, in small and in large.
fn makers() -> Vec<Vec<Vec<u8>>> {
    let mut makers: Vec<Vec<Vec<u8>>> =
        ["0", "-1", "127", "128", "-32769", "2147483648", "9223372036854775807"]
            .iter()
            .map(|number| words(&format!("SET number:{number} {number}")))
            .collect();
    for length in [0usize, 1, 20, 21, 44, 45, 100, 20_000, 70_000, 300_000] {
        let repeated = "abcdefgh".repeat(length / 8 + 1);
        let noise: Vec<u8> =
            (0..length as u64).map(|n| (n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        makers.push(
            [words(&format!("SET text:{length}")), vec![repeated.as_bytes()[..length].to_vec()]].concat(),
        );
        makers.push([words(&format!("SET noise:{length}")), vec![noise]].concat());
    }
    let element = |n: usize| match n % 5 {
        0 => (n as i64 * n as i64 * 7919 - 40_000).to_string(),
        1 => format!("word-{n}"),
        2 => "x".repeat(n % 300) + &n.to_string(),
        3 => (n as i64 - 60).to_string(),
        _ => format!("{n}.5"),
    };
    for count in [1usize, 5, 60, 128, 513, 3_000] {
        let (mut list, mut set, mut ints) = (
            words(&format!("RPUSH l:{count}")),
            words(&format!("SADD s:{count}")),
            words(&format!("SADD i:{count}")),
        );
        let (mut hash, mut sorted) = (words(&format!("HSET h:{count}")), words(&format!("ZADD z:{count}")));
        for n in 0..count {
            list.push(element(n).into_bytes());
            set.push(element(n).into_bytes());
            ints.push((n as i64 * [1, 70_000, 1 << 40][count % 3] - 5).to_string().into_bytes());
            hash.extend([format!("f{n}").into_bytes(), element(n).into_bytes()]);
            let score = ["0.1", "-1e300", "3", "inf", "-inf", "1e-7", "12345678901234567"][n % 7];
            sorted.extend([score.as_bytes().to_vec(), element(n + count).into_bytes()]);
        }
        makers.extend([list, set, ints, hash, sorted]);
    }
    makers
        .push([words("RPUSH l:large"), vec![vec![b'q'; 200_000], b"1".to_vec(), vec![b'r'; 9_000]]].concat());
    makers.push([words("HSET h:long f"), vec![vec![b'v'; 500]]].concat());
    makers
}

/// Commands that make the stream `x:count` with groups, deleted entries and what is pending.
fn stream_makers(count: usize) -> Vec<Vec<Vec<u8>>> {
    let key = format!("x:{count}");
    let mut makers = Vec::new();
    for n in 1..=count {
        let fields = match n % 7 {
            0 => format!("other {n} a {}", "v".repeat(n % 100)),
            1 => "a -5 b text c 123456789012".to_owned(),
            _ => format!("a {n} b {}", n * n),
        };
        makers.push(words(&format!("XADD {key} {}-{} {fields}", n / 3 + 1, n % 3)));
    }
    makers.push(words(&format!("XDEL {key} 2-0 1-1")));
    makers.push(words(&format!("XGROUP CREATE {key} first 0")));
    makers.push(words(&format!("XGROUP CREATE {key} second 1-2")));
    makers.push(words(&format!("XREADGROUP GROUP first one COUNT 3 STREAMS {key} >")));
    makers.push(words(&format!("XREADGROUP GROUP first two COUNT 200 STREAMS {key} >")));
    makers.push(words(&format!("XACK {key} first 2-1")));
    makers.push(words(&format!("XGROUP CREATECONSUMER {key} second idle")));
    makers
}

#[test]
fn streams_go_to_redis_and_come_back() {
    let Some(redis) = start_redis(&["--sanitize-dump-payload", "yes"]) else { return };
    let ours = Launch::new().with(DEBUG).start();
    let (mut ours, mut redis) = (ours.client(), Client::connect(redis.port()));
    for count in [1, 2, 20, 250, 1_000] {
        carry_stream(&mut ours, &mut redis, count);
        for client in [&mut ours, &mut redis] {
            client.line("FLUSHALL");
        }
        carry_stream(&mut redis, &mut ours, count);
    }
}

fn carry_stream(from: &mut Client, to: &mut Client, count: usize) {
    for maker in stream_makers(count) {
        from.call(&maker);
    }
    let key = format!("x:{count}");
    let payload = bulk(from.call(&["DUMP", &key]));
    to.line(&format!("DEL {key}"));
    let restored = to.call(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
    assert!(matches!(&restored, Some(Value::Simple(ok)) if ok == "OK"), "{key}: {restored:?}");
    for look in [
        "DEBUG DIGEST-VALUE KEY",
        "XRANGE KEY - +",
        "XLEN KEY",
        "XINFO GROUPS KEY",
        "XPENDING KEY first",
        "XPENDING KEY second",
    ] {
        let look = look.replace("KEY", &key);
        assert_eq!(from.line(&look), to.line(&look), "{look}");
    }
}

fn bulk(value: Option<Value>) -> Vec<u8> {
    match value {
        Some(Value::Bulk(bytes)) => bytes.to_vec(),
        other => panic!("no bulk string: {other:?}"),
    }
}

/// Makes every key at `from`, carries it over by DUMP and RESTORE, and compares what both say of it.
fn carry(from: &mut Client, to: &mut Client) {
    for maker in makers() {
        let key = String::from_utf8(maker[1].clone()).expect("plain names");
        let made = from.call(&maker).expect("a reply");
        assert!(!matches!(made, Value::Error(_)), "{key}: {made:?}");
        let payload = bulk(from.call(&["DUMP", &key]));
        let restored = to.call(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
        assert!(matches!(&restored, Some(Value::Simple(ok)) if ok == "OK"), "{key}: {restored:?}");
        for look in [["DEBUG DIGEST-VALUE", &key].join(" "), ["OBJECT ENCODING", &key].join(" ")] {
            assert_eq!(from.line(&look), to.line(&look), "{look}");
        }
        // And what the other one makes of it.
        let payload = bulk(to.call(&["DUMP", &key]));
        let restored = from.call(&[b"RESTORE", key.as_bytes(), b"0", &payload, b"REPLACE"]);
        assert!(matches!(&restored, Some(Value::Simple(ok)) if ok == "OK"), "{key}: {restored:?}");
        let look = ["DEBUG DIGEST-VALUE", &key].join(" ");
        assert_eq!(from.line(&look), to.line(&look), "back again: {key}");
    }
    assert_eq!(from.line("DBSIZE"), to.line("DBSIZE"));
}

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

#[test]
fn values_go_to_redis_and_come_back() {
    for options in [&[][..], &["--rdbcompression", "no", "--sanitize-dump-payload", "yes"][..]] {
        let Some(redis) = start_redis(options) else { return };
        let ours = Launch::new().with(DEBUG).with(&options[..options.len().min(2)]).start();
        carry(&mut ours.client(), &mut Client::connect(redis.port()));
    }
}

#[test]
fn values_come_from_redis_and_go_back() {
    for options in [&[][..], &["--rdbcompression", "no", "--list-max-ziplist-size", "3"][..]] {
        let Some(redis) = start_redis(options) else { return };
        let ours = Launch::new().with(DEBUG).start();
        carry(&mut Client::connect(redis.port()), &mut ours.client());
    }
}

/// A key moves from one server to the other: gone here, there with its value and its expiry.
fn move_keys(from: &mut Client, to: &mut Client, port: u16) {
    let migrate = |rest: &str| format!("MIGRATE 127.0.0.1 {port} {rest}");
    from.line("SET k v PX 99900000");
    assert_eq!(from.line(&migrate("k 0 5000")), "OK");
    assert_eq!((from.line("EXISTS k").as_str(), to.line("GET k").as_str()), ("(integer) 0", "\"v\""));
    assert!(to.line("TTL k").starts_with("(integer) 99"), "{}", to.line("TTL k"));
    from.line("RPUSH k a b c");
    let busy = "(error) ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(from.line(&migrate("k 0 5000")), busy);
    assert_eq!(from.line(&migrate("k 0 5000 COPY REPLACE")), "OK");
    assert_eq!((from.line("LLEN k"), to.line("LLEN k")), ("(integer) 3".into(), "(integer) 3".into()));
    from.line("MSET a 1 b 2 c 3");
    to.line("SET b there");
    assert_eq!(from.line(&migrate("'' 0 5000 KEYS a b nobody c")), busy);
    assert_eq!(from.line("MGET a b c"), "1) (nil)\n2) \"2\"\n3) (nil)");
    assert_eq!(to.line("MGET a b c"), "1) \"1\"\n2) \"there\"\n3) \"3\"");
    assert_eq!(
        from.line(&migrate("b 99 5000")),
        "(error) ERR Target instance replied with error: ERR DB index is out of range"
    );
    assert_eq!(from.line("GET b"), "\"2\"");
    // Within a transaction too.
    from.line("MULTI");
    from.line(&migrate("b 0 5000 REPLACE"));
    from.line("EXISTS b");
    assert_eq!(from.line("EXEC"), "1) OK\n2) (integer) 0");
    assert_eq!(to.line("GET b"), "\"2\"");
    from.line("FLUSHALL");
    to.line("FLUSHALL");
}

#[test]
fn keys_move_between_servers() {
    let (one, other) = (Launch::new().start(), Launch::new().start());
    move_keys(&mut one.client(), &mut other.client(), other.port());
    let Some(redis) = start_redis(&[]) else { return };
    move_keys(&mut one.client(), &mut Client::connect(redis.port()), redis.port());
    move_keys(&mut Client::connect(redis.port()), &mut one.client(), one.port());
}

#[test]
fn a_target_with_a_password_wants_it() {
    let (one, other) = (Launch::new().start(), Launch::new().with(&["--requirepass", "secret"]).start());
    let (mut from, port) = (one.client(), other.port());
    from.line("SET k v");
    let refused = from.line(&format!("MIGRATE 127.0.0.1 {port} k 0 5000 AUTH wrong"));
    assert!(refused.starts_with("(error) ERR Target instance replied with error: WRONGPASS"), "{refused}");
    let refused = from.line(&format!("MIGRATE 127.0.0.1 {port} k 0 5000"));
    assert!(refused.starts_with("(error) ERR Target instance replied with error: NOAUTH"), "{refused}");
    assert_eq!(from.line("GET k"), "\"v\"");
    assert_eq!(from.line(&format!("MIGRATE 127.0.0.1 {port} k 0 5000 AUTH2 default secret")), "OK");
    assert_eq!(from.line("GET k"), "(nil)");
}

#[test]
fn a_key_that_changes_on_its_way_stays() {
    let one = Launch::new().start();
    let target = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = target.local_addr().expect("an address").port();
    let (mut mover, mut writer) = (one.client(), one.client());
    writer.line("SET k v");
    mover.send(&["MIGRATE", "127.0.0.1", &port.to_string(), "k", "0", "20000"]);
    let (mut stream, _) = target.accept().expect("MIGRATE connects");
    // Others go on meanwhile.
    assert_eq!(writer.line("SET k changed"), "OK");
    stream.write_all(b"+OK\r\n+OK\r\n").expect("MIGRATE listens");
    assert!(matches!(mover.reply(), Some(Value::Error(text)) if text.starts_with(b"TRYAGAIN ")));
    assert_eq!(writer.line("GET k"), "\"changed\"");
    // A target that says nothing more over the connection that was kept: the time runs out, and the key stays.
    mover.send(&["MIGRATE", "127.0.0.1", &port.to_string(), "k", "0", "50"]);
    let lost = "IOERR error or timeout reading to target instance";
    assert!(matches!(mover.reply(), Some(Value::Error(text)) if text == lost));
    assert_eq!(writer.line("GET k"), "\"changed\"");
}

#[test]
fn the_connection_to_a_target_is_kept_for_the_next_key() {
    let one = Launch::new().start();
    let target = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = target.local_addr().expect("an address").port();
    let (mut mover, mut looker) = (one.client(), one.client());
    let mut kept = || looker.info("migrate_cached_sockets");
    let begin = |mover: &mut Client| {
        mover.line("SET k v");
        mover.send(&["MIGRATE", "127.0.0.1", &port.to_string(), "k", "0", "20000"]);
    };
    let end = |mover: &mut Client| {
        assert!(matches!(mover.reply(), Some(Value::Simple(text)) if text == "OK"));
        assert_eq!(mover.line("EXISTS k"), "(integer) 0");
    };
    assert_eq!(kept(), "0");
    begin(&mut mover);
    let (mut stream, _) = target.accept().expect("MIGRATE connects");
    stream.write_all(b"+OK\r\n+OK\r\n").expect("MIGRATE listens");
    end(&mut mover);
    assert_eq!(kept(), "1");
    begin(&mut mover);
    stream.write_all(b"+OK\r\n+OK\r\n").expect("MIGRATE listens over the same connection");
    end(&mut mover);
    // One that the target has closed is no reason to fail.
    drop(stream);
    begin(&mut mover);
    let (mut stream, _) = target.accept().expect("MIGRATE connects again");
    stream.write_all(b"+OK\r\n+OK\r\n").expect("MIGRATE listens");
    end(&mut mover);
    // Nor is it used by whom it does not belong to.
    mover.line("SET k v");
    mover.send(&["MIGRATE", "127.0.0.1", &port.to_string(), "k", "0", "20000", "AUTH", "secret"]);
    let (mut other, _) = target.accept().expect("MIGRATE connects for itself");
    other.write_all(b"+OK\r\n+OK\r\n+OK\r\n").expect("MIGRATE listens");
    end(&mut mover);
    assert_eq!(kept(), "2");
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('seven', function() return 7 end)";

/// Makes keys of every kind in some databases, with expiries, and a library.
fn fill(client: &mut Client) {
    for maker in makers().into_iter().chain(stream_makers(1)).chain(stream_makers(250)) {
        let made = client.call(&maker).expect("a reply");
        assert!(!matches!(made, Value::Error(_)), "{made:?}");
    }
    for line in [
        "SETEX text:20 1000 soon",
        "PEXPIREAT s:5 33177117420000",
        "SELECT 9",
        "SET elsewhere 1",
        "HSET h a 1",
        "SELECT 0",
    ] {
        assert!(!client.line(line).contains("error"), "{line}");
    }
    assert!(
        client.call(&["FUNCTION", "LOAD", LIBRARY]).is_some_and(|reply| !matches!(reply, Value::Error(_)))
    );
}

/// What a server has, in one line.
fn sum(client: &mut Client) -> String {
    ["DEBUG DIGEST", "DBSIZE", "PEXPIRETIME s:5", "FCALL seven 0", "EXISTS text:20"]
        .map(|line| client.line(line))
        .join(" ")
}

/// Runs a program of Redis's or ours on files: whether it is content, and what it says.
fn run(program: &str, args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(args).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

const OURS: &str = env!("CARGO_BIN_EXE_glasswing");

#[test]
fn redis_loads_our_file() {
    for more in [&[][..], &["--rdbcompression", "no", "--rdbchecksum", "no"][..]] {
        let launch = Launch::new().with(DEBUG).with(&["--dbfilename", "dump.rdb"]).with(more);
        let server = launch.start();
        let mut ours = server.client();
        fill(&mut ours);
        assert_eq!(ours.line("SAVE"), "OK");
        let there = sum(&mut ours);
        let path = launch.file("dump.rdb");
        assert!(std::fs::read(&path).expect("a file").starts_with(b"REDIS0010"));
        let (whole, said) = run(OURS, &["check", path.to_str().expect("a name")]).expect("our program");
        assert!(whole && said.contains("stream: 2") && said.contains("1 libraries"), "{said}");
        if let Some((whole, said)) = run("redis-check-rdb", &[path.to_str().expect("a name")]) {
            assert!(whole && said.contains("RDB looks OK"), "{said}");
        }
        // Loaded again by ourselves, in three ways.
        for line in ["DEBUG RELOAD", "DEBUG RELOAD NOSAVE", "DEBUG RELOAD NOFLUSH MERGE"] {
            assert_eq!(ours.line(line), "OK", "{line}");
            assert_eq!(sum(&mut ours), there, "{line}");
        }
        assert!(ours.line("DEBUG RELOAD NOSAVE NOFLUSH").contains("error"), "each key is there already");
        drop(ours);
        server.stop();
        let folder = path.parent().and_then(|folder| folder.to_str()).expect("a folder").to_owned();
        let Some(redis) = start_redis(&["--dir", &folder]) else { return };
        assert_eq!(sum(&mut Client::connect(redis.port())), there);
    }
}

#[test]
fn a_file_of_redis_is_loaded_converted_and_mended() {
    let launch = Launch::new().with(DEBUG);
    let path = launch.file("dump.rdb");
    let folder = path.parent().and_then(|folder| folder.to_str()).expect("a folder").to_owned();
    let Some(redis) = start_redis(&["--dir", &folder]) else { return };
    let mut client = Client::connect(redis.port());
    fill(&mut client);
    assert_eq!(client.line("SAVE"), "OK");
    let there = sum(&mut client);
    drop(redis);
    // No name is configured, and there is only the file of Redis.
    let server = launch.start();
    assert_eq!(sum(&mut server.client()), there);
    assert_eq!(server.client().line("SAVE"), "OK");
    server.stop();
    assert!(std::fs::read(launch.file("glasswing.snapshot")).expect("ours").starts_with(b"GLASSWNG"));
    // From our snapshot now, libraries too.
    std::fs::remove_file(&path).expect("the file");
    let server = launch.start();
    assert_eq!(sum(&mut server.client()), there);
    server.stop();
    // And back by itself.
    let name = |name: &str| launch.file(name).to_str().expect("a name").to_owned();
    let (done, said) = run(OURS, &["convert", &name("glasswing.snapshot"), &name("dump.rdb")]).expect("ours");
    assert!(done, "{said}");
    let (done, said) = run(OURS, &["convert", &name("glasswing.snapshot"), &name("dump.rdb")]).expect("ours");
    assert!(!done && said.contains("left as it is. Choose another name"), "{said}");
    let redis = start_redis(&["--dir", &folder]).expect("it started before");
    assert_eq!(sum(&mut Client::connect(redis.port())), there);
    drop(redis);
    let (done, said) = run(OURS, &["convert", &name("dump.rdb"), &name("again.snapshot")]).expect("ours");
    assert!(done, "{said}");
    assert!(run(OURS, &["check", &name("again.snapshot")]).expect("ours").0);
    // What is left of a file that was cut.
    let whole_file = std::fs::read(&path).expect("the file");
    std::fs::write(&path, &whole_file[..whole_file.len() / 2]).expect("half of it");
    let (whole, said) = run(OURS, &["check", &name("dump.rdb")]).expect("ours");
    assert!(!whole && said.contains("at byte"), "{said}");
    let (mended, said) = run(OURS, &["check", "--fix", &name("dump.rdb")]).expect("ours");
    assert!(mended && launch.file("dump.rdb.damaged").exists(), "{said}");
    assert!(run(OURS, &["check", &name("dump.rdb")]).expect("ours").0);
    // Of which nothing is left stays as it is: an empty file in its place would look well.
    std::fs::write(launch.file("none.rdb"), &whole_file[..40]).expect("its head");
    let (mended, said) = run(OURS, &["check", "--fix", &name("none.rdb")]).expect("ours");
    assert!(!mended && said.contains("the file is left as it is"), "{said}");
    assert_eq!(std::fs::read(launch.file("none.rdb")).expect("the file"), &whole_file[..40]);
    assert!(!launch.file("none.rdb.damaged").exists());
}
