//! The same random users and requests at a real redis-server and here: every verdict is the same.
//!
//! Runs when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH. `ACL_VERDICTS` says how
//! many verdicts are compared and `ACL_SEED` where the dice begin, so that a failure can be had again.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::random::Random;
use common::redis::Redis;
use common::{Server, encode};
use glasswing::command::{Flags, Registry};
use glasswing::resp::{Value, ValueDecoder};

/// Verdicts of an ordinary run.
const VERDICTS: usize = 20_000;

/// Requests for each user.
const REQUESTS: usize = 200;

/// Commands that the compared Redis does not have.
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

/// Words of requests: keys that patterns are about, channels, and what options are called.
const WORDS: &[&str] = &[
    "a1",
    "a2",
    "b1",
    "b2",
    "ab",
    "c",
    "k1",
    "k2",
    "",
    "news",
    "sports",
    "n*",
    "*",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "10",
    "get",
    "GET",
    "set",
    "incrby",
    "overflow",
    "store",
    "STORE",
    "storedist",
    "by",
    "limit",
    "streams",
    "STREAMS",
    "count",
    "block",
    "group",
    "keys",
    "KEYS",
    "auth",
    "auth2",
    "ex",
    "nx",
    "left",
    "right",
    "weights",
    "u8",
    "replace",
    "noack",
];

/// Patterns of keys and channels.
const PATTERNS: &[&str] =
    &["a*", "b*", "?1", "[ab]*", "k1", "*", "c", "", "news", "n*", "sport?", "\\a1", "**"];

/// A connection over which many requests are sent at once.
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Line {
    fn connect(port: u16) -> Line {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        Line { stream, received: Vec::new() }
    }

    fn ask_all(&mut self, requests: &[Vec<String>]) -> Vec<Value> {
        let bytes: Vec<u8> = requests.iter().flat_map(|words| encode(words)).collect();
        self.stream.write_all(&bytes).expect("the server takes requests");
        requests.iter().map(|words| self.reply(words)).collect()
    }

    fn reply(&mut self, words: &[String]) -> Value {
        let mut piece = [0; 65_536];
        loop {
            if let Some((value, used)) = ValueDecoder::default().decode(&self.received).expect("a reply") {
                self.received.drain(..used);
                return value;
            }
            let read = self.stream.read(&mut piece).expect("the server answers");
            assert!(read > 0, "the server closed the connection after {words:?}");
            self.received.extend_from_slice(&piece[..read]);
        }
    }
}

/// A command that both servers have.
#[derive(Clone, Copy)]
struct Known {
    name: &'static str,
    arity: i32,
    /// It can be run: it waits for nothing, ends nothing and changes no connection.
    is_tame: bool,
    is_container: bool,
}

fn known() -> Vec<Known> {
    let untamed =
        Flags::ADMIN | Flags::BLOCKING | Flags::NOSCRIPT | Flags::NO_AUTH | Flags::TRANSACTION_CONTROL;
    Registry::new()
        .iter()
        .filter(|(_, command)| !NEWER.contains(&command.full_name))
        .map(|(_, command)| Known {
            name: command.full_name,
            arity: command.arity,
            is_tame: !command.row.flags.any(untamed) && command.children.is_empty(),
            is_container: !command.children.is_empty(),
        })
        .collect()
}

const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "all",
];

fn rule(dice: &mut Random, commands: &[Known], outside: bool) -> String {
    match dice.below(if outside { 26 } else { 20 }) {
        0..=4 => format!("+{}", dice.pick(commands).name),
        5 => format!("-{}", dice.pick(commands).name),
        6..=8 => format!("{}@{}", dice.pick(&["+", "+", "-"]), dice.pick(CATEGORIES)),
        // What every command of the server may do is more than what every command of ours may do.
        9 => dice.pick(&["+@all", "allcommands", "nocommands"]).to_owned(),
        10..=14 => {
            let mark = dice.pick(&["~", "~", "%R~", "%W~", "%RW~", "%wr~", "%~", "%X~"]);
            format!("{mark}{}", dice.pick(PATTERNS))
        }
        15 | 16 => format!("&{}", dice.pick(PATTERNS)),
        17 => dice.pick(&["allkeys", "resetkeys", "allchannels", "resetchannels"]).to_owned(),
        18 => {
            let command =
                dice.pick(&["select", "get", "set", "config", "object", "eval", "client|kill", "nosuch"]);
            format!("+{command}|{}", dice.pick(&["0", "a1", "encoding", "get", "x", ""]))
        }
        19 => {
            dice.pick(&["+nosuch", "-nosuch", "+@nosuch", "nonsense", "+", "-", "#12", "<no", ""]).to_owned()
        }
        20 => dice.pick(&["on", "off", "nopass", "sanitize-payload", "clearselectors"]).to_owned(),
        _ => {
            let inner: Vec<String> = (0..dice.below(5)).map(|_| rule(dice, commands, false)).collect();
            format!("({}{}", inner.join(" "), dice.pick(&[")", ")", ")", ")", ")", ""]))
        }
    }
}

/// A command's name and arguments, as many as it takes and some more.
fn request(dice: &mut Random, commands: &[Known]) -> Vec<String> {
    let command = dice.pick(commands);
    let mut words: Vec<String> = command.name.split('|').map(str::to_owned).collect();
    if command.is_container && dice.below(2) == 0 {
        words.push("nosuch".to_owned());
    }
    let least = command.arity.unsigned_abs() as usize;
    let more = if command.arity < 0 { dice.below(7) } else { usize::from(dice.below(50) == 0) };
    while words.len() < least + more {
        words.push(dice.pick(WORDS).to_owned());
    }
    words
}

/// Requests whose keys Redis looks for elsewhere than the command itself does, which are left out:
///
/// - PFMERGE with nothing but a destination: Redis finds no key there, and writes whatever the rules say.
/// - XREAD and XREADGROUP with the word STREAMS where it is a name: Redis takes the first it finds behind a
///   fixed place for the option.
fn is_misread(words: &[String]) -> bool {
    let streams = |word: &String| word.eq_ignore_ascii_case("streams");
    match words[0].as_str() {
        "pfmerge" => words.len() == 2,
        "xread" => words.iter().filter(|word| streams(word)).count() > 1,
        "xreadgroup" => {
            words.iter().filter(|word| streams(word)).count() > 1 || words.iter().take(4).any(streams)
        }
        _ => false,
    }
}

/// Whether the reply refuses for want of rights, and in which words.
fn denial(value: &Value) -> Option<String> {
    match value {
        Value::Error(text) if text.starts_with(b"NOPERM") => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

#[test]
fn every_verdict_is_that_of_redis() {
    let Some(redis) = Redis::start(&[]) else {
        println!("skipped: no redis-server in the PATH");
        return;
    };
    let number = |name: &str, or: usize| {
        std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (wanted, seed) = (number("ACL_VERDICTS", VERDICTS), number("ACL_SEED", 1));
    let server = Server::start(&[]);
    let mut admins = [Line::connect(redis.port()), Line::connect(server.port())];
    let commands = known();
    let tame: Vec<Known> = commands.iter().copied().filter(|command| command.is_tame).collect();
    let (mut verdicts, mut denied, mut executed, mut round) = (0, 0, 0, 0);
    while verdicts < wanted {
        let mut dice = Random((seed as u64) << 32 | round);
        let place = format!("seed {seed}, round {round}");
        round += 1;
        // A rule that is refused changes nothing, so each is a request of its own.
        let mut rules = vec!["reset".to_owned(), "on".to_owned(), "nopass".to_owned()];
        rules.extend((0..3 + dice.below(12)).map(|_| rule(&mut dice, &commands, true)));
        let set = |rule: &String| ["acl", "setuser", "u", rule].map(str::to_owned).to_vec();
        let setting: Vec<Vec<String>> = rules.iter().map(set).collect();
        let [theirs, ours] = &mut admins;
        let (said, answered) = (theirs.ask_all(&setting), ours.ask_all(&setting));
        for ((rule, said), answered) in rules.iter().zip(&said).zip(&answered) {
            assert_eq!(said, answered, "{place}: {rule:?} of {rules:?}");
        }
        let requests: Vec<Vec<String>> =
            (0..REQUESTS).map(|_| request(&mut dice, &commands)).filter(|words| !is_misread(words)).collect();
        let dry = |words: &Vec<String>| [&["acl", "dryrun", "u"].map(str::to_owned)[..], words].concat();
        let asked: Vec<Vec<String>> = requests.iter().map(dry).collect();
        let (said, answered) = (theirs.ask_all(&asked), ours.ask_all(&asked));
        for ((words, said), answered) in requests.iter().zip(&said).zip(&answered) {
            assert_eq!(said, answered, "{place}: {words:?} with {rules:?}");
            denied += usize::from(matches!(said, Value::Bulk(_)));
        }
        verdicts += requests.len();
        // The same rights when commands really run.
        let mut users = [Line::connect(redis.port()), Line::connect(server.port())];
        let mut requests = vec![["auth", "u", "x"].map(str::to_owned).to_vec()];
        let tame_ones = (0..REQUESTS / 4).map(|_| request(&mut dice, &tame));
        requests.extend(tame_ones.filter(|words| !is_misread(words)));
        let [theirs, ours] = &mut users;
        let (said, answered) = (theirs.ask_all(&requests), ours.ask_all(&requests));
        for ((words, said), answered) in requests.iter().zip(&said).zip(&answered) {
            assert_eq!(denial(said), denial(answered), "{place}: {words:?} ran, with {rules:?}");
        }
        executed += requests.len() - 1;
        verdicts += requests.len() - 1;
    }
    println!(
        "{verdicts} verdicts agree, {executed} of them of commands that ran; {denied} dry runs were denied"
    );
    assert!(denied * 20 > verdicts && denied < verdicts - executed, "the rules are too lax or too strict");
}
