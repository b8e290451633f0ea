//! What COMMAND says of every command of ours is what a real redis-server says of it: arity, flags, keys,
//! categories, tips, and of the documentation all but the summary, which is in our own words.
//!
//! Runs when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use glasswing::command::Registry;
use glasswing::command::introspection::{docs, info};
use glasswing::resp::{Encoder, Protocol, Value, ValueDecoder};

/// Commands that the compared Redis does not have: they came later, or are ours.
const NEWER: &[&str] = &[
    "client|no-touch",
    "client|setinfo",
    "client|traceparent",
    "hotkeys",
    "hotkeys|get",
    "hotkeys|help",
    "hotkeys|reset",
    "hotkeys|start",
    "hotkeys|stop",
];

/// Redis by itself, on a socket in a directory of its own; both go when this goes.
struct Redis {
    child: Child,
    stream: UnixStream,
    directory: PathBuf,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn redis_server() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GLASSWING_REDIS_SERVER") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("redis-server")).find(|file| file.is_file())
}

impl Redis {
    fn start(binary: &Path) -> Redis {
        let directory = std::env::temp_dir().join(format!("glasswing-facts-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the socket");
        let socket = directory.join("redis.sock");
        let child = Command::new(binary)
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(&directory)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => panic!("redis-server does not answer: {error}"),
                Err(_) => std::thread::yield_now(),
            }
        };
        Redis { child, stream, directory }
    }

    fn ask(&mut self, words: &[&str]) -> Value {
        let mut request = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| request.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        self.stream.write_all(request.as_bytes()).expect("redis-server takes requests");
        let (mut decoder, mut reply, mut piece) = (ValueDecoder::default(), Vec::new(), [0u8; 65536]);
        loop {
            let read = self.stream.read(&mut piece).expect("redis-server answers");
            assert!(read > 0, "redis-server closed the connection");
            reply.extend_from_slice(&piece[..read]);
            if let Some((value, _)) = decoder.decode(&reply).expect("a reply") {
                return value;
            }
        }
    }
}

fn ours(write: impl FnOnce(&mut Encoder)) -> Value {
    let mut out = Encoder::new(Protocol::Resp3);
    write(&mut out);
    ValueDecoder::default().decode(&out.into_vec()).expect("well-formed").expect("whole").0
}

fn text(value: &Value) -> String {
    match value {
        Value::Simple(bytes) | Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("no list: {other:?}"),
    }
}

fn words(value: &Value) -> BTreeSet<String> {
    items(value).iter().map(text).collect()
}

/// The ten fields of COMMAND INFO but the subcommands, which are compared on their own. Notes of key specs
/// are prose, and their order has no meaning.
fn facts(value: &Value) -> Vec<(&'static str, String)> {
    let fields = items(value);
    let specs: BTreeSet<String> = items(&fields[8]).iter().map(spec).collect();
    vec![
        ("arity", format!("{:?}", fields[1])),
        ("flags", format!("{:?}", words(&fields[2]))),
        ("keys", format!("{:?}", &fields[3..6])),
        ("categories", format!("{:?}", words(&fields[6]))),
        ("tips", format!("{:?}", words(&fields[7]))),
        ("key specs", format!("{specs:?}")),
    ]
}

fn spec(value: &Value) -> String {
    let Value::Map(pairs) = value else { panic!("no map: {value:?}") };
    let shown = pairs.iter().filter(|(name, _)| text(name) != "notes").map(|(name, value)| match value {
        Value::Set(_) | Value::Array(_) => format!("{} {:?}", text(name), words(value)),
        other => format!("{} {other:?}", text(name)),
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// What COMMAND DOCS says, in its order. The subcommands are compared on their own.
fn documented(value: &Value) -> Vec<(String, String)> {
    let Value::Map(pairs) = value else { panic!("no map: {value:?}") };
    let facts = pairs.iter().map(|(name, value)| (text(name), format!("{value:?}")));
    facts.filter(|(name, _)| !["summary", "subcommands"].contains(&name.as_str())).collect()
}

/// What is wrong with one command.
fn differences(redis: &mut Redis, registry: &Registry, index: usize) -> Vec<String> {
    let name = registry.get(index).full_name;
    let reply = redis.ask(&["COMMAND", "INFO", name]);
    let theirs = &items(&reply)[0];
    if matches!(theirs, Value::Null) {
        let expected = NEWER.contains(&name);
        return if expected { vec![] } else { vec![format!("{name}: Redis does not have it")] };
    }
    let mine = ours(|out| info::describe(out, registry, index));
    let mut wrong: Vec<String> = facts(&mine)
        .into_iter()
        .zip(facts(theirs))
        .filter(|(mine, theirs)| mine != theirs)
        .map(|(mine, theirs)| format!("{name}: {}: {} instead of {}", mine.0, mine.1, theirs.1))
        .collect();
    let reply = redis.ask(&["COMMAND", "DOCS", name]);
    let Value::Map(pairs) = &reply else { panic!("no map: {reply:?}") };
    let mine = ours(|out| docs::describe(out, registry, index));
    let has_summary = |value: &Value| matches!(value, Value::Map(pairs) if text(&pairs[0].0) == "summary");
    assert!(has_summary(&mine) && has_summary(&pairs[0].1), "{name}");
    let (mine, theirs) = (documented(&mine), documented(&pairs[0].1));
    if mine != theirs {
        wrong.push(format!("{name}: docs: {mine:?} instead of {theirs:?}"));
    }
    wrong
}

#[test]
fn facts_are_those_of_redis() {
    let Some(binary) = redis_server() else {
        eprintln!("no redis-server found: nothing to compare with");
        return;
    };
    let mut redis = Redis::start(&binary);
    redis.ask(&["HELLO", "3"]);
    let registry = Registry::new();
    let indexes: Vec<usize> = registry.iter().map(|(index, _)| index).collect();
    let wrong: Vec<String> =
        indexes.into_iter().flat_map(|index| differences(&mut redis, &registry, index)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
