//! Client-side caching: who has read a key hears of its change, in the right order, with several workers.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::random::Random;
use common::{Client, Server, until};
use glasswing::resp::Value;

const KEYS: usize = 8;

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec().into())
}

/// What a client is told when keys have changed.
fn invalidate(keys: &[&str]) -> Option<Value> {
    Some(Value::Push(vec![bulk("invalidate"), Value::Array(keys.iter().map(|key| bulk(key)).collect())]))
}

fn tracking(server: &Server, options: &str) -> Client {
    let mut client = server.client();
    client.line("HELLO 3");
    assert_eq!(client.line(&format!("CLIENT TRACKING ON {options}")), "OK");
    client
}

/// A client with a cache as client libraries have it: filled by replies, emptied by messages, in their order.
struct Cached {
    client: Client,
    values: HashMap<String, Value>,
    told: usize,
}

impl Cached {
    fn reply(&mut self) -> Value {
        loop {
            match self.client.reply().expect("a reply") {
                Value::Push(message) => self.forget(&message),
                other => return other,
            }
        }
    }

    fn forget(&mut self, message: &[Value]) {
        assert_eq!(message[0], bulk("invalidate"));
        let Value::Array(keys) = &message[1] else { panic!("{message:?}") };
        for key in keys {
            let Value::Bulk(key) = key else { panic!("{message:?}") };
            self.told += 1;
            self.values.remove(std::str::from_utf8(key).expect("a name"));
        }
    }

    /// Reads what is not cached in one write: replies and messages may come in any mixture.
    fn read(&mut self, mut keys: Vec<String>) {
        keys.retain(|key| !self.values.contains_key(key));
        // So that it hears what it has been told, even if it has all.
        self.client.send(&["PING"]);
        self.reply();
        for key in &keys {
            self.client.send(&["GET", key]);
        }
        for key in keys {
            let value = self.reply();
            self.values.insert(key, value);
        }
    }
}

fn writes(mut client: Client, seed: u64) {
    let mut random = Random(seed);
    for turn in 0..1_500 {
        let key = format!("key{}", random.below(KEYS));
        let line = match random.below(6) {
            0 => format!("DEL {key}"),
            1 => format!("EVAL \"return redis.call('SET', KEYS[1], ARGV[1])\" 1 {key} {seed}-{turn}"),
            2 => {
                client.line("MULTI");
                client.line(&format!("SET {key} {seed}-{turn}"));
                client.line("INCR other");
                "EXEC".to_owned()
            }
            3 => format!("RENAME {key} key{}", random.below(KEYS)),
            _ => format!("SET {key} {seed}-{turn}"),
        };
        client.line(&line);
    }
}

#[test]
fn nothing_that_is_cached_is_stale_when_all_is_told() {
    let server = Server::start(&["--workers", "2"]);
    let (ended, told) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|seed| {
                let ended = &ended;
                let mut cached = Cached { client: tracking(&server, ""), values: HashMap::new(), told: 0 };
                scope.spawn(move || {
                    let mut random = Random(seed);
                    while !ended.load(Ordering::Acquire) {
                        let keys: Vec<String> =
                            (0..=random.below(20)).map(|_| format!("key{}", random.below(KEYS))).collect();
                        cached.read(keys);
                    }
                    cached
                })
            })
            .collect();
        let writers: Vec<_> = (10..13)
            .map(|seed| {
                let client = server.client();
                scope.spawn(move || writes(client, seed))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        ended.store(true, Ordering::Release);
        let mut now = server.client();
        for reader in readers {
            let mut cached = reader.join().expect("a reader");
            cached.client.send(&["PING"]);
            cached.reply();
            for (key, value) in &cached.values {
                assert_eq!(now.call(&["GET", key]).as_ref(), Some(value), "{key} is stale");
            }
            told.fetch_add(cached.told, Ordering::Relaxed);
        }
    });
    assert!(told.load(Ordering::Relaxed) > 100, "hardly anything was told");
}

#[test]
fn a_client_hears_of_its_own_change_behind_the_reply() {
    let server = Server::start(&[]);
    let mut client = tracking(&server, "");
    client.line("MSET a 1 b 1");
    client.line("MGET a b");
    client.send(&["INCR", "a"]);
    client.send(&["PING"]);
    assert_eq!(client.reply(), Some(Value::Int(2)));
    assert_eq!(client.reply(), invalidate(&["a"]));
    assert_eq!(client.reply(), Some(Value::Simple("PONG".into())));
    // In a transaction behind all of it, and once for a key however often it changes.
    client.send(&["MULTI"]);
    client.send(&["INCR", "b"]);
    client.send(&["INCR", "b"]);
    client.send(&["EXEC"]);
    for _ in 0..3 {
        client.reply();
    }
    assert_eq!(client.reply(), Some(Value::Array(vec![Value::Int(2), Value::Int(3)])));
    assert_eq!(client.reply(), invalidate(&["b"]));
    // It has not been read since.
    assert_eq!(client.call(&["INCR", "b"]), Some(Value::Int(4)));
    assert_eq!(client.line("PING"), "PONG");
}

#[test]
fn what_is_done_for_a_woken_client_is_told_to_who_woke_it() {
    for options in ["", "NOLOOP", "BCAST NOLOOP"] {
        let server = Server::start(&["--workers", "2"]);
        let (mut client, mut waiter) = (tracking(&server, options), server.client());
        client.line("LRANGE to 0 -1");
        waiter.send(&["BLMOVE", "from", "to", "LEFT", "LEFT", "0"]);
        let mut other = server.client();
        until("it waits", || other.info("blocked_clients") == "1");
        assert_eq!(client.call(&["RPUSH", "from", "x"]), Some(Value::Int(1)), "{options}");
        let Some(Value::Push(message)) = client.reply() else { panic!("nothing was told: {options}") };
        let Value::Array(keys) = &message[1] else { panic!("{message:?}") };
        assert!(keys.contains(&bulk("to")), "{options}: {keys:?}");
    }
}

#[test]
fn a_script_has_read_what_its_calls_have_read() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (tracking(&server, ""), server.client());
    other.line("SET k old");
    // It changes what it has read: the reply is stale.
    let reads_and_writes = "local v = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], 'new') return v";
    assert_eq!(client.call(&["EVAL", reads_and_writes, "1", "k"]), Some(bulk("old")));
    assert_eq!(client.reply(), invalidate(&["k"]));
    let over_and_over = "for i = 1, 100 do redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], i) end";
    assert_eq!(client.call(&["EVAL", over_and_over, "1", "k"]), Some(Value::Null));
    assert_eq!(client.reply(), invalidate(&["k"]));
    assert_eq!(client.line("PING"), "PONG");
    // It reads in another database than its client's.
    other.line("SELECT 1");
    other.line("SET k one");
    let elsewhere = "redis.call('SELECT', '1') return redis.call('GET', KEYS[1])";
    assert_eq!(client.call(&["EVAL", elsewhere, "1", "k"]), Some(bulk("one")));
    other.line("SET k two");
    assert_eq!(client.reply(), invalidate(&["k"]));
}

#[test]
fn a_unit_tells_of_a_key_once_and_of_all_keys_once() {
    let server = Server::start(&[]);
    let (mut client, mut listener) = (tracking(&server, ""), tracking(&server, "BCAST PREFIX k PREFIX z"));
    let mut other = server.client();
    for number in 0..16 {
        other.line(&format!("SELECT {number}"));
        other.line("SET other 1");
    }
    other.line("SELECT 0");
    client.line("GET k");
    other.line("EVAL \"for i = 1, 1000 do redis.call('SET', KEYS[1], i) end\" 1 k");
    other.line("FLUSHALL");
    let all = Some(Value::Push(vec![bulk("invalidate"), Value::Null]));
    for who in [&mut client, &mut listener] {
        assert_eq!(who.reply(), invalidate(&["k"]));
        assert_eq!(who.reply(), all);
        assert_eq!(who.line("PING"), "PONG");
    }
}

#[test]
fn very_many_prefixes_come_in_one_command() {
    let server = Server::start(&["--workers", "1"]);
    let mut client = tracking(&server, "BCAST PREFIX first");
    let mut words = vec!["CLIENT".to_owned(), "TRACKING".into(), "ON".into(), "BCAST".into()];
    for number in 0..100_000 {
        words.extend(["PREFIX".to_owned(), format!("prefix{number:06}")]);
    }
    assert_eq!(client.call(&words), common::ok());
    words.extend(["PREFIX".to_owned(), "prefix05".into()]);
    let refused = client.call(&words).expect("a reply");
    assert!(matches!(refused, Value::Error(_)), "{refused:?}");
    server.client().line("SET prefix000007 1");
    assert_eq!(client.reply(), invalidate(&["prefix000007"]));
}

#[test]
fn a_swap_of_databases_makes_stale_what_lies_in_them() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (tracking(&server, ""), server.client());
    other.line("SET a 1");
    client.line("GET a");
    other.line("SWAPDB 0 1");
    assert_eq!(client.reply(), invalidate(&["a"]));
}

#[test]
fn what_expires_by_itself_is_told_too() {
    let server = Server::start(&["--workers", "2"]);
    let (mut reader, mut listener) = (tracking(&server, ""), tracking(&server, "BCAST PREFIX ses"));
    server.client().line("SET session 1 PX 50");
    assert_eq!(reader.call(&["GET", "session"]), Some(bulk("1")));
    assert_eq!(listener.reply(), invalidate(&["session"]));
    assert_eq!(reader.reply(), invalidate(&["session"]));
    assert_eq!(listener.reply(), invalidate(&["session"]));
}

#[test]
fn a_client_of_resp2_hears_through_another_one() {
    let server = Server::start(&[]);
    let (mut client, mut ear) = (server.client(), server.client());
    let id = ear.line("CLIENT ID").trim_start_matches("(integer) ").to_owned();
    ear.line("SUBSCRIBE __redis__:invalidate");
    assert_eq!(client.line(&format!("CLIENT TRACKING ON REDIRECT {id}")), "OK");
    assert!(client.line("CLIENT LIST").contains(" flags=t db=0 "), "no t among the flags");
    assert!(client.line("CLIENT INFO").contains(&format!(" redir={id} ")));
    client.line("GET a");
    client.line("SET a 1");
    let message = |payload| Some(Value::Array(vec![bulk("message"), bulk("__redis__:invalidate"), payload]));
    assert_eq!(ear.reply(), message(Value::Array(vec![bulk("a")])));
    server.client().line("FLUSHALL");
    assert_eq!(ear.reply(), message(Value::Null));
    drop(ear);
    until("the other one is gone", || client.line("CLIENT LIST").lines().count() == 1);
    client.line("GET a");
    client.line("SET a 2");
    assert!(client.line("CLIENT TRACKINGINFO").contains("broken_redirect"));
}

#[test]
fn no_more_keys_are_remembered_than_the_limit_allows() {
    let server = Server::start(&["--tracking-table-max-keys", "10"]);
    let mut client = tracking(&server, "");
    for number in 0..100 {
        client.send(&["GET", &format!("key{number}")]);
    }
    let (mut replies, mut told) = (0, 0);
    while replies < 100 || told < 90 {
        match client.reply() {
            Some(Value::Push(_)) => told += 1,
            _ => replies += 1,
        }
    }
    assert_eq!((replies, told), (100, 90));
    let mut other = server.client();
    assert_eq!(other.info("tracking_total_keys"), "10");
    assert_eq!(other.info("tracking_total_items"), "10");
}

#[test]
fn who_does_not_listen_is_cut_off() {
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut writer = server.client();
    let deaf = tracking(&server, "BCAST");
    let long = "k".repeat(10_000);
    let mut sent = 0;
    // Its socket takes some megabytes before anything waits.
    while writer.info("tracking_clients") == "1" {
        assert!(sent < 10_000, "100 MB of messages were sent to a client that reads none");
        for number in sent..sent + 100 {
            writer.send(&["SET", &format!("{long}{number}"), ""]);
        }
        (sent..sent + 100).for_each(|_| assert_eq!(writer.reply(), common::ok()));
        sent += 100;
    }
    drop(deaf);
}

#[test]
fn nothing_is_left_of_who_has_gone() {
    let server = Server::start(&["--workers", "2"]);
    let mut admin = server.client();
    let clients =
        [tracking(&server, ""), tracking(&server, "BCAST PREFIX a PREFIX b"), tracking(&server, "BCAST")];
    assert_eq!(admin.info("tracking_clients"), "3");
    assert_eq!(admin.info("tracking_total_prefixes"), "3");
    drop(clients);
    until("all have gone", || admin.info("tracking_clients") == "0");
    assert_eq!(admin.info("tracking_total_prefixes"), "0");
    // RESET ends it as well.
    let mut client = tracking(&server, "BCAST");
    client.line("RESET");
    assert_eq!(admin.info("tracking_clients"), "0");
    assert_eq!(admin.info("tracking_total_prefixes"), "0");
    client.line("HELLO 3");
    client.line("SET a 1");
    assert_eq!(client.line("PING"), "PONG");
}

#[test]
fn the_word_to_cache_holds_for_a_command_that_has_to_wait_for_the_keyspace() {
    let server = Server::start(&[]);
    let mut client = tracking(&server, "OPTIN");
    assert_eq!(server.client().line("SET key 1"), "OK");
    assert_eq!(client.line("CLIENT CACHING YES"), "OK");
    // It reads a key that it does not declare.
    assert_eq!(client.line("EVAL \"return redis.call('GET', 'key')\" 0"), "\"1\"");
    assert_eq!(server.client().line("SET key 2"), "OK");
    assert_eq!(client.reply(), invalidate(&["key"]));
}

#[test]
fn what_a_client_does_not_read_of_its_cache_counts_against_the_limit_of_clients() {
    let server = Server::start(&["--maxmemory-clients", "1mb"]);
    let mut deaf = tracking(&server, "BCAST");
    let mut writer = server.client();
    assert_eq!(writer.line("CLIENT NO-EVICT on"), "OK");
    let long = "k".repeat(10_000);
    until("it is closed", || {
        assert_eq!(writer.line(&format!("SET {long} 1")), "OK");
        writer.info("evicted_clients") == "1"
    });
    while deaf.reply().is_some() {}
    assert!(writer.info("mem_clients_normal").parse::<usize>().expect("a number") < 1 << 20);
}
