//! The hot commands as a pipelining client sends them, from the bytes of its requests to those of the
//! replies: decode, plan, prefetch, lock, run, encode. No sockets: that is what `compare` is for.
//!
//! `cargo bench --bench handlers`; the element rate is commands a second of one worker. The keyspace and
//! the values are those of `compare`: 100,000 keys, 64 bytes.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use glasswing::command::client::{Address, Client};
use glasswing::config::Settings;
use glasswing::engine::{Connection, Next, Worker};
use glasswing::resp::{Encoder, Protocol};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Commands in one read.
const PIPELINE: usize = 16;
const KEYS: usize = 100_000;
/// Keys of each of the other types, and the elements of each of them: beyond what is kept in its small form.
const COLLECTIONS: usize = 100;
const ELEMENTS: usize = 1_000;
/// Different reads that a benchmark goes through: more keys than the caches hold.
const READS: usize = 4_096;
const VALUE: [u8; 64] = [b'x'; 64];

/// A server with one worker and one client, to which nobody needs to connect.
struct Server {
    worker: Worker,
    connection: Connection,
    replies: Vec<u8>,
}

impl Server {
    fn new() -> Server {
        let engine =
            glasswing::app::engine(Settings { workers: 1, ..Settings::default() }).expect("an engine");
        let now_ms = engine.clock.unix_ms();
        let client = Arc::new(Client::new(
            engine.clients.next_id(),
            Address::Internal,
            Address::Internal,
            -1,
            0,
            now_ms,
        ));
        engine.clients.add(Arc::clone(&client));
        let connection = Connection::new(client, engine.server.acl());
        Server { worker: Worker::new(engine, 0), connection, replies: Vec::new() }
    }

    /// Runs what one read brought, and gives the replies.
    fn run(&mut self, read: &[u8]) -> &[u8] {
        self.replies.clear();
        let mut consumed = 0;
        loop {
            let ran = self.worker.run(&mut self.connection, &read[consumed..], &mut self.replies, false);
            consumed += ran.consumed;
            if !matches!(ran.next, Next::Again) {
                break;
            }
        }
        assert_eq!(consumed, read.len(), "all of it has run");
        &self.replies
    }

    /// Runs it once to see that it is no error that is measured.
    fn check(&mut self, read: &[u8]) {
        let replies = self.run(read);
        assert!(!replies.starts_with(b"-"), "{}", String::from_utf8_lossy(replies));
    }
}

/// The same random numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn push_request(read: &mut Vec<u8>, words: &[&[u8]]) {
    let mut out = Encoder::with_buffer(std::mem::take(read), Protocol::Resp2);
    out.array(words.len());
    words.iter().for_each(|word| out.bulk(word));
    *read = out.into_vec();
}

/// Many reads of [`PIPELINE`] requests; `words` makes each from random numbers.
fn reads(words: impl Fn(&mut Random) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let one = |random: &mut Random| {
        let mut read = Vec::new();
        for _ in 0..PIPELINE {
            let words = words(random);
            push_request(&mut read, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        read
    };
    (0..READS).map(|_| one(&mut random)).collect()
}

fn key(random: &mut Random) -> Vec<u8> {
    format!("key:{:012}", random.below(KEYS)).into_bytes()
}

fn collection(kind: &str, number: usize) -> Vec<u8> {
    format!("{kind}:{number:06}").into_bytes()
}

fn element(number: usize) -> Vec<u8> {
    format!("element:{number:08}").into_bytes()
}

/// Makes the words of a request.
type Words = dyn Fn(&mut Random) -> Vec<Vec<u8>>;
type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Commands that leave the keyspace as large as it was.
fn bench(
    group: &mut Group<'_>,
    server: &mut Server,
    name: &str,
    words: impl Fn(&mut Random) -> Vec<Vec<u8>>,
) {
    let reads = reads(words);
    server.check(&reads[0]);
    let mut next = reads.iter().cycle();
    group.bench_function(name, |b| {
        b.iter(|| next.next().map(|read| server.run(black_box(read)).len()));
    });
}

/// Commands that let it grow or shrink: between two reads, outside what is timed, `undo` takes it back.
fn bench_undone(group: &mut Group<'_>, server: &mut Server, name: &str, [words, undo]: [&Words; 2]) {
    let (forth, back) = (reads(words), reads(undo));
    server.check(&forth[0]);
    server.check(&back[0]);
    let server = RefCell::new(server);
    let mut pairs = forth.iter().zip(&back).cycle();
    let mut last: Option<&Vec<u8>> = None;
    group.bench_function(name, |b| {
        b.iter_batched(
            || {
                if let Some(back) = last.take() {
                    server.borrow_mut().run(back);
                }
                let (forth, back) = pairs.next().expect("a cycle has no end");
                last = Some(back);
                forth
            },
            |forth| server.borrow_mut().run(black_box(forth)).len(),
            BatchSize::PerIteration,
        );
    });
    if let Some(back) = last {
        server.borrow_mut().run(back);
    }
}

fn strings(c: &mut Criterion) {
    let mut server = Server::new();
    for number in 0..KEYS {
        let mut read = Vec::new();
        push_request(&mut read, &[b"SET", format!("key:{number:012}").as_bytes(), &VALUE]);
        push_request(&mut read, &[b"SET", format!("counter:{number:012}").as_bytes(), b"1000000"]);
        server.run(&read);
    }
    let mut group = c.benchmark_group("strings");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let get = |random: &mut Random| vec![b"GET".to_vec(), key(random)];
    bench(&mut group, &mut server, "get", get);
    bench(&mut group, &mut server, "set", |random| vec![b"SET".to_vec(), key(random), VALUE.to_vec()]);
    bench(&mut group, &mut server, "incr", |random| {
        vec![b"INCR".to_vec(), format!("counter:{:012}", random.below(KEYS)).into_bytes()]
    });
    bench(&mut group, &mut server, "mset 10", |random| {
        let pairs = (0..10).flat_map(|_| [key(random), VALUE.to_vec()]);
        [b"MSET".to_vec()].into_iter().chain(pairs).collect()
    });
    group.finish();
}

/// Puts `ELEMENTS` elements under each of the collections' keys.
fn fill(server: &mut Server, kind: &str, command: &[u8], scored: bool) {
    for number in 0..COLLECTIONS {
        let name = collection(kind, number);
        for index in 0..ELEMENTS {
            let (mut read, element) = (Vec::new(), element(index));
            match (kind, scored) {
                (_, true) => {
                    push_request(&mut read, &[command, &name, index.to_string().as_bytes(), &element])
                }
                ("hash", _) => push_request(&mut read, &[command, &name, &element, &VALUE]),
                _ => push_request(&mut read, &[command, &name, &element]),
            }
            server.run(&read);
        }
    }
}

fn collections(c: &mut Criterion) {
    let mut server = Server::new();
    fill(&mut server, "list", b"RPUSH", false);
    fill(&mut server, "hash", b"HSET", false);
    fill(&mut server, "set", b"SADD", false);
    fill(&mut server, "zset", b"ZADD", true);
    let any = |kind: &str, random: &mut Random| collection(kind, random.below(COLLECTIONS));
    let mut group = c.benchmark_group("collections");
    group.throughput(Throughput::Elements(PIPELINE as u64));

    let push = |command: &'static [u8]| {
        move |random: &mut Random| vec![command.to_vec(), any("list", random), VALUE.to_vec()]
    };
    // The same seed: what is undone is at the same keys.
    let pop = |command: &'static [u8]| move |random: &mut Random| vec![command.to_vec(), any("list", random)];
    bench_undone(&mut group, &mut server, "lpush", [&push(b"LPUSH"), &pop(b"LPOP")]);
    bench_undone(&mut group, &mut server, "rpush", [&push(b"RPUSH"), &pop(b"RPOP")]);
    bench_undone(&mut group, &mut server, "lpop", [&pop(b"LPOP"), &push(b"LPUSH")]);
    bench(&mut group, &mut server, "lrange 0 9", |random| {
        vec![b"LRANGE".to_vec(), any("list", random), b"0".to_vec(), b"9".to_vec()]
    });
    let present = |random: &mut Random| element(random.below(ELEMENTS));
    bench(&mut group, &mut server, "hset", |random| {
        vec![b"HSET".to_vec(), any("hash", random), present(random), VALUE.to_vec()]
    });
    bench(&mut group, &mut server, "hget", |random| {
        vec![b"HGET".to_vec(), any("hash", random), present(random)]
    });
    bench(&mut group, &mut server, "sismember", |random| {
        vec![b"SISMEMBER".to_vec(), any("set", random), present(random)]
    });
    // One added, at the same keys removed.
    let added = |random: &mut Random| element(ELEMENTS + random.below(1 << 20));
    let sadd = move |random: &mut Random| vec![b"SADD".to_vec(), any("set", random), added(random)];
    let srem = move |random: &mut Random| vec![b"SREM".to_vec(), any("set", random), added(random)];
    bench_undone(&mut group, &mut server, "sadd", [&sadd, &srem]);
    // A member gets another score.
    bench(&mut group, &mut server, "zadd", |random| {
        let score = random.below(ELEMENTS).to_string().into_bytes();
        vec![b"ZADD".to_vec(), any("zset", random), score, present(random)]
    });
    let zpopmin = move |random: &mut Random| vec![b"ZPOPMIN".to_vec(), any("zset", random)];
    let back = move |random: &mut Random| {
        let score = random.below(ELEMENTS).to_string().into_bytes();
        vec![b"ZADD".to_vec(), any("zset", random), score, added(random)]
    };
    bench_undone(&mut group, &mut server, "zpopmin", [&zpopmin, &back]);
    bench(&mut group, &mut server, "zscore", |random| {
        vec![b"ZSCORE".to_vec(), any("zset", random), present(random)]
    });
    group.finish();
}

criterion_group!(benches, strings, collections);
criterion_main!(benches);
