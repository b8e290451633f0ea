//! A limit of memory under writes of all types: it is exceeded by little, no worker evicts for long in one go, and what is
//! large is freed by somebody else. `cargo bench --bench compare -- --mode soak` does the same for minutes.

mod common;

use common::random::Random;
use common::{Client, Launch, Server, encode, until};
use glasswing::resp::Value;

const LIMIT: u64 = 64 << 20;
/// What the limit may be exceeded by.
const SLACK: u64 = 8 << 20;
const WRITERS: u64 = 8;
const ROUNDS: u64 = 300;
const AT_ONCE: u64 = 8;

/// The longest time that a worker evicted in one go: without what the scheduler took away, so that a busy machine does
/// not matter. A build that is not optimized takes longer for each step.
fn assert_no_long_hold(server: &Server) {
    let most_s = if cfg!(debug_assertions) { 0.005 } else { 0.001 };
    let held_s = server.metric("glasswing_eviction_longest_hold_seconds")[0].1;
    assert!(held_s > 0.0 && held_s <= most_s, "a worker evicted for {held_s} s in one go");
}

/// Any reply but an error.
fn fine(reply: Option<Value>) {
    match reply {
        Some(Value::Error(error)) => panic!("{error:?}"),
        Some(_) => {}
        None => panic!("the connection was closed"),
    }
}

fn write(port: u16, writer: u64) {
    let mut random = Random(writer);
    let mut client = Client::connect(port);
    let value = vec![b'v'; 200_000];
    for _ in 0..ROUNDS {
        let mut request = Vec::new();
        for _ in 0..AT_ONCE {
            let number = random.below(20_000);
            let key = |letter: char| format!("{letter}:{number}").into_bytes();
            let some = &value[..(10 << random.below(15)).min(value.len())];
            let element = format!("{}", random.below(1_000_000)).into_bytes();
            let short = &value[..10 + random.below(200)];
            request.extend(match random.below(6) {
                0 => encode(&[b"HSET".to_vec(), key('h'), element, short.to_vec()]),
                1 => encode(&[b"RPUSH".to_vec(), key('l'), short.to_vec(), element]),
                2 => encode(&[b"ZADD".to_vec(), key('z'), b"1".to_vec(), element]),
                3 => encode(&[b"XADD".to_vec(), key('x'), b"*".to_vec(), b"f".to_vec(), short.to_vec()]),
                _ => encode(&[b"SET".to_vec(), key('s'), some.to_vec()]),
            });
        }
        assert!(client.raw(&request));
        (0..AT_ONCE).for_each(|_| fine(client.reply()));
    }
}

fn used(client: &mut Client) -> u64 {
    client.info("used_memory").parse().expect("a number")
}

#[test]
fn mixed_writes_exceed_the_limit_by_little_and_hold_no_worker_for_long() {
    let limit = LIMIT.to_string();
    let options = ["--workers", "2", "--maxmemory", &limit, "--maxmemory-policy", "allkeys-lru"];
    let server = Launch::new().admin().with(&options).start();
    let (mut looks, mut most) = (0, 0);
    std::thread::scope(|scope| {
        let port = server.port();
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(port, writer))).collect();
        // The admin port evicts nothing before it answers.
        while writers.iter().any(|writer| !writer.is_finished()) {
            most = most.max(server.metric("redis_memory_used_bytes")[0].1 as u64);
            looks += 1;
        }
        writers.into_iter().for_each(|writer| writer.join().expect("a writer that ends"));
    });
    let mut client = server.client();
    assert!(client.info("evicted_keys").parse::<u64>().expect("a number") > 100, "the limit was reached");
    assert!(most > LIMIT / 2 && most <= LIMIT + SLACK, "{most} bytes at most, in {looks} looks");
    assert_no_long_hold(&server);
}

#[test]
fn a_collection_of_a_million_elements_is_freed_by_somebody_else() {
    const ELEMENTS: u64 = 1_000_000;
    let limit = (2 * LIMIT).to_string();
    // Only the large one expires: it is what goes first.
    let options = ["--maxmemory", &limit, "--maxmemory-policy", "volatile-ttl"];
    let server = Launch::new().admin().with(&options).start();
    let mut client = server.client();
    for start in (0..ELEMENTS).step_by(10_000) {
        let mut words = vec![b"SADD".to_vec(), b"large".to_vec()];
        words.extend((start..start + 10_000).map(|element| format!("element:{element:012}").into_bytes()));
        assert_eq!(client.call(&words), Some(Value::Int(10_000)));
    }
    assert_eq!(client.line("EXPIRE large 100000"), "(integer) 1");
    let large = used(&mut client);
    let value = vec![b'v'; 100_000];
    for number in 0.. {
        let key = format!("key:{number}").into_bytes();
        fine(client.call(&[&b"SET"[..], &key, &value]));
        if client.line("EXISTS large") == "(integer) 0" {
            break;
        }
        assert!(number < 2_000, "the limit is reached before that");
    }
    assert_no_long_hold(&server);
    until("it is freed", || client.info("lazyfree_pending_objects") == "0");
    assert_eq!(client.info("lazyfreed_objects"), "1");
    assert!(used(&mut client) < large.max(2 * LIMIT - (10 << 20)), "its memory is free");
    assert_eq!(client.info("evicted_keys"), "1");
}
