//! A soak: mixed writes on many connections at a limit of memory, policy after policy, while other threads look all the
//! time at what is in use. What is shown: by how much and for how long the limit is exceeded, how long a worker evicts
//! in one go, and what a client notices of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::facts;
use super::spin::Random;
use crate::options::Options;
use crate::process::{Placement, Server};
use crate::report::{Section, ServerFacts, Table, Verdict, grouped};
use crate::resp::{Client, Decoder, Reply, encode, info_field};
use crate::{Outcome, acceptance};

const POLICIES: [&str; 8] = [
    "allkeys-lru",
    "volatile-lru",
    "allkeys-lfu",
    "volatile-lfu",
    "allkeys-random",
    "volatile-random",
    "volatile-ttl",
    "noeviction",
];
/// Threads that write, with a connection each.
const WRITERS: u64 = 16;
/// Commands that a writer sends at once, at most.
const PIPELINE: u64 = 16;
/// Keys of each type.
const KEYS: u64 = 20_000;
/// Elements of the collections that one more thread builds, whose freeing takes long.
const HUGE: u64 = 1_000_000;
const HUGE_AT_ONCE: u64 = 1_000;
/// What they are built with, and whether each element has a value or a score before it.
const HUGE_KINDS: [(&[u8], bool); 4] =
    [(b"HSET", true), (b"SADD", false), (b"ZADD", true), (b"RPUSH", false)];
/// How often the admin port is asked; the connection asks all the time.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What was seen under one policy.
#[derive(Default)]
struct Seen {
    policy: &'static str,
    commands: u64,
    refused: u64,
    evicted: u64,
    /// Looks at what is in use, over the connection and over the admin port.
    looks: [u64; 2],
    /// The most by which the limit was exceeded, over either.
    over_bytes: [u64; 2],
    /// The same without what is on its way out, which no eviction could speed up (`mem_not_counted_for_evict`).
    counted_over_bytes: u64,
    /// The longest time for which it was exceeded by more than is accepted.
    longest_over: Duration,
    /// `used_memory_peak` over the limit.
    peak_over_bytes: u64,
    resident_bytes: u64,
    hold_us: f64,
    longest_answer: Duration,
}

/// What all threads of a part share.
struct Part<'a> {
    server: &'a Server,
    volatile: bool,
    limit: u64,
    ends: Instant,
    over: AtomicBool,
    commands: AtomicU64,
    refused: AtomicU64,
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let mut every: Vec<usize> = options.server_cores.iter().chain(&options.load_cores).copied().collect();
    every.sort_unstable();
    every.dedup();
    let placement =
        Placement { server_cores: every.clone(), load_cores: every.clone(), workers: options.workers.max(2) };
    let mut spec = options.glasswing.clone();
    spec.args.extend(["--maxmemory".to_owned(), options.soak_limit_bytes.to_string()]);
    let server = Server::start(&spec, &placement)?;
    crate::process::run_on(&every)?;
    let mut all = Vec::new();
    for policy in POLICIES {
        let seen = one(&server, policy, options)?;
        eprintln!(
            "{policy}: {} commands, over by {:.1} MB at most, longest hold {:.0} us",
            seen.commands,
            megabytes(seen.most_over()),
            seen.hold_us
        );
        all.push(seen);
    }
    crate::process::run_on(&options.load_cores)?;
    let facts = facts(&server)?;
    Ok((section(options, &placement, &all), vec![facts]))
}

impl Seen {
    fn most_over(&self) -> u64 {
        self.over_bytes[0].max(self.over_bytes[1]).max(self.peak_over_bytes)
    }
}

fn one(server: &Server, policy: &'static str, options: &Options) -> Outcome<Seen> {
    let mut client = server.connect()?;
    client.command(&["FLUSHALL", "SYNC"])?;
    client.command(&["CONFIG", "SET", "maxmemory-policy", policy])?;
    client.command(&["CONFIG", "RESETSTAT"])?;
    let part = Part {
        server,
        volatile: policy.starts_with("volatile"),
        limit: options.soak_limit_bytes,
        ends: Instant::now() + options.soak / u32::try_from(POLICIES.len())?,
        over: AtomicBool::new(false),
        commands: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    };
    let mut seen = Seen { policy, ..Seen::default() };
    std::thread::scope(|scope| -> Outcome<()> {
        let part = &part;
        let mut threads = Vec::new();
        for writer in 0..WRITERS {
            threads.push(scope.spawn(move || write(part, writer)));
        }
        threads.push(scope.spawn(move || build(part)));
        let scraping = scope.spawn(move || scrape(part));
        let looked = look(part, &mut seen);
        // Whatever the looks came to, the others are to end.
        part.over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread of the load panicked")??;
        }
        (seen.looks[1], seen.over_bytes[1]) = scraping.join().map_err(|_| "a thread panicked")??;
        looked
    })?;
    seen.commands = part.commands.into_inner();
    seen.refused = part.refused.into_inner();
    seen.hold_us = server.metric("glasswing_eviction_longest_hold_seconds")? * 1e6;
    seen.evicted = client.info("stats", "evicted_keys")?.ok_or("INFO names no evicted_keys")?.parse()?;
    Ok(seen)
}

impl Part<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || Instant::now() >= self.ends
    }

    fn exceeded(&self, used: u64) -> u64 {
        used.saturating_sub(self.limit)
    }
}

/// Asks a worker what is in use, one question after the other.
fn look(part: &Part<'_>, seen: &mut Seen) -> Outcome<()> {
    let accepted = (acceptance::overshoot_mb(part.limit).accepted * f64::from(1 << 20)) as u64;
    let mut client = part.server.connect()?;
    let mut over_since: Option<Instant> = None;
    while !part.is_over() {
        let asked = Instant::now();
        let Reply::Text(text) = client.command(&["INFO", "memory"])? else {
            return Err("INFO is no text".into());
        };
        let now = Instant::now();
        let field = |name: &str| -> Outcome<u64> {
            Ok(info_field(&text, name).ok_or_else(|| format!("no {name}"))?.parse()?)
        };
        let (used, leaving) = (field("used_memory")?, field("mem_not_counted_for_evict")?);
        seen.looks[0] += 1;
        seen.longest_answer = seen.longest_answer.max(now - asked);
        seen.over_bytes[0] = seen.over_bytes[0].max(part.exceeded(used));
        seen.counted_over_bytes = seen.counted_over_bytes.max(part.exceeded(used.saturating_sub(leaving)));
        seen.resident_bytes = seen.resident_bytes.max(part.server.rss_bytes()?);
        seen.peak_over_bytes = seen.peak_over_bytes.max(part.exceeded(field("used_memory_peak")?));
        if part.exceeded(used) > accepted {
            let since = *over_since.get_or_insert(now);
            seen.longest_over = seen.longest_over.max(now - since);
        } else {
            over_since = None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Asks the admin port, which evicts nothing before it answers: how often, and the most over the limit.
fn scrape(part: &Part<'_>) -> Outcome<(u64, u64)> {
    let (mut looks, mut most) = (0, 0);
    while !part.is_over() {
        most = most.max(part.exceeded(part.server.metric("redis_memory_used_bytes")? as u64));
        looks += 1;
        std::thread::sleep(ASK_EVERY);
    }
    Ok((looks, most))
}

/// A connection that counts refusals instead of ending at one.
struct Writer<'a> {
    part: &'a Part<'a>,
    stream: TcpStream,
    decoder: Decoder,
    out: Vec<u8>,
    pending: u64,
    read: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(part: &'a Part<'a>) -> Outcome<Writer<'a>> {
        let stream = Client::connect(part.server.port)?.into_stream();
        Ok(Writer {
            part,
            stream,
            decoder: Decoder::default(),
            out: Vec::new(),
            pending: 0,
            read: vec![0; 1 << 16],
        })
    }

    fn add(&mut self, args: &[&[u8]]) {
        encode(&mut self.out, args);
        self.pending += 1;
    }

    /// Lets a key expire where only such keys are evicted.
    fn expire(&mut self, key: &[u8]) {
        if self.part.volatile {
            self.add(&[b"EXPIRE", key, b"600", b"NX"]);
        }
    }

    fn exchange(&mut self) -> Outcome<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        self.part.commands.fetch_add(self.pending, Ordering::Relaxed);
        while self.pending > 0 {
            match self.decoder.next_reply()? {
                Some(Reply::Error(error)) if error.starts_with("OOM ") => {
                    self.part.refused.fetch_add(1, Ordering::Relaxed);
                    self.pending -= 1;
                }
                Some(Reply::Error(error)) => return Err(error.into()),
                Some(_) => self.pending -= 1,
                None => match self.stream.read(&mut self.read)? {
                    0 => return Err("the server closed the connection".into()),
                    count => self.decoder.feed(&self.read[..count]),
                },
            }
        }
        Ok(())
    }
}

/// From 10 bytes to 1 MB, each length's logarithm as likely as the others.
fn length(random: &mut Random) -> usize {
    let share = random.below(1_000_000) as f64 / 1e6;
    (10.0 * 100_000_f64.powf(share)) as usize
}

fn write(part: &Part<'_>, number: u64) -> Outcome<()> {
    let mut random = Random::seeded(number);
    let value = vec![b'v'; 1_000_000];
    let mut writer = Writer::new(part)?;
    while !part.is_over() {
        for _ in 0..=random.below(PIPELINE) {
            add_one(&mut writer, &mut random, &value);
        }
        writer.exchange()?;
    }
    Ok(())
}

/// A command of any type.
fn add_one(writer: &mut Writer<'_>, random: &mut Random, value: &[u8]) {
    let kind = random.below(100);
    let number = random.below(KEYS);
    let named = |letter: char| format!("{letter}:{number}").into_bytes();
    let elements: Vec<Vec<u8>> = (0..=random.below(20))
        .map(|_| {
            let mut element = random.below(1_000_000).to_string().into_bytes();
            element.resize(16 + random.below(200) as usize, b'e');
            element
        })
        .collect();
    let scores: Vec<Vec<u8>> = elements.iter().map(|element| element[..1].to_vec()).collect();
    let collect = |writer: &mut Writer<'_>, command: &[u8], letter: char, with: Option<&[Vec<u8>]>| {
        let key = named(letter);
        let mut args: Vec<&[u8]> = vec![command, &key];
        for (at, element) in elements.iter().enumerate() {
            args.extend(with.map(|with| with[at].as_slice()));
            args.push(element);
        }
        writer.add(&args);
        writer.expire(&key);
    };
    match kind {
        0..45 => {
            let value = &value[..length(random)];
            let key = named('s');
            match writer.part.volatile || kind < 5 {
                true => writer.add(&[b"SET", &key, value, b"EX", b"600"]),
                false => writer.add(&[b"SET", &key, value]),
            }
        }
        45..55 => collect(writer, b"HSET", 'h', Some(&elements)),
        55..63 => collect(writer, b"RPUSH", 'l', None),
        63..71 => collect(writer, b"SADD", 'm', None),
        71..79 => collect(writer, b"ZADD", 'z', Some(&scores)),
        79..85 => {
            let key = named('x');
            writer.add(&[b"XADD", &key, b"*", b"field", &elements[0]]);
            writer.expire(&key);
        }
        85..88 => {
            let key = named('s');
            writer.add(&[b"APPEND", &key, &elements[0]]);
            writer.expire(&key);
        }
        88..90 => writer.add(&[b"LPOP", &named('l'), b"10"]),
        90..92 => writer.add(&[b"SPOP", &named('m'), b"10"]),
        92..94 => writer.add(&[b"ZPOPMIN", &named('z'), b"10"]),
        94..97 => writer.add(&[b"GETRANGE", &named('s'), b"0", b"20"]),
        _ => writer.add(&[b"DEL", &named('s'), &named('h'), &named('l')]),
    }
}

/// Builds one collection of a million elements after the other, and leaves each to the policy.
fn build(part: &Part<'_>) -> Outcome<()> {
    let mut writer = Writer::new(part)?;
    for number in 0u64.. {
        let key = format!("huge:{number}").into_bytes();
        let (command, scored) = HUGE_KINDS[number as usize % HUGE_KINDS.len()];
        for start in (0..HUGE).step_by(HUGE_AT_ONCE as usize) {
            if part.is_over() {
                return Ok(());
            }
            let words: Vec<Vec<u8>> =
                (start..start + HUGE_AT_ONCE).map(|element| format!("{element:012}").into_bytes()).collect();
            let mut args = vec![command, &key];
            for word in &words {
                args.extend(scored.then_some(word.as_slice()));
                args.push(word);
            }
            writer.add(&args);
            writer.expire(&key);
            writer.exchange()?;
        }
    }
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn section(options: &Options, placement: &Placement, all: &[Seen]) -> Section {
    let mut table = Table::new(
        "What was seen, by policy; MB over the limit at most",
        &[
            "policy",
            "commands",
            "evicted",
            "refused",
            "looks",
            "over, asked of a worker",
            "over, admin port",
            "over, the peak so far",
            "over, without what is being freed",
            "longest over the accepted, ms",
            "resident MB",
            "longest hold by evicting, µs",
            "longest answer, ms",
        ],
    );
    for seen in all {
        table.rows.push(vec![
            seen.policy.to_owned(),
            grouped(seen.commands as f64),
            grouped(seen.evicted as f64),
            grouped(seen.refused as f64),
            grouped((seen.looks[0] + seen.looks[1]) as f64),
            format!("{:.1}", megabytes(seen.over_bytes[0])),
            format!("{:.1}", megabytes(seen.over_bytes[1])),
            format!("{:.1}", megabytes(seen.peak_over_bytes)),
            format!("{:.1}", megabytes(seen.counted_over_bytes)),
            format!("{:.1}", seen.longest_over.as_secs_f64() * 1e3),
            grouped(megabytes(seen.resident_bytes)),
            format!("{:.0}", seen.hold_us),
            format!("{:.1}", seen.longest_answer.as_secs_f64() * 1e3),
        ]);
    }
    let most = all.iter().map(Seen::most_over).max().unwrap_or(0);
    let hold = all.iter().map(|seen| seen.hold_us).fold(0.0, f64::max);
    let verdict = |what: &str, target, measured, unit| Verdict {
        what: what.to_owned(),
        target,
        measured,
        spread: None,
        unit,
    };
    let limit = options.soak_limit_bytes;
    Section {
        id: "soak",
        title: format!("Mixed writes at a limit of {} MB", limit >> 20),
        notes: vec![
            format!(
                "{} s in all, {} workers, {WRITERS} connections that write strings of 10 bytes to 1 MB, hashes, lists, sets, sorted sets and streams, up to {PIPELINE} commands at once, and one that builds collections of {} elements; servers and load share cores {:?}.",
                options.soak.as_secs(),
                placement.workers,
                grouped(HUGE as f64),
                placement.server_cores
            ),
            "How long a worker evicts in one go is the server's own figure, without what the scheduler took away meanwhile. The longest answer is that of INFO on a connection, everything that the machine does included.".to_owned(),
        ],
        tables: vec![table],
        verdicts: vec![
            verdict("over the limit at most", acceptance::overshoot_mb(limit), megabytes(most), "MB"),
            verdict("longest hold by evicting", acceptance::EVICTION_HOLD_US, hold, "µs"),
        ],
        data: all.iter().map(data).collect::<Vec<Value>>().into(),
        ..Section::default()
    }
}

fn data(seen: &Seen) -> Value {
    json!({
        "policy": seen.policy,
        "commands": seen.commands,
        "evicted": seen.evicted,
        "refused": seen.refused,
        "looks": seen.looks,
        "over_bytes": seen.over_bytes,
        "peak_over_bytes": seen.peak_over_bytes,
        "counted_over_bytes": seen.counted_over_bytes,
        "longest_over_ms": seen.longest_over.as_secs_f64() * 1e3,
        "resident_bytes": seen.resident_bytes,
        "longest_hold_us": seen.hold_us,
        "longest_answer_ms": seen.longest_answer.as_secs_f64() * 1e3,
    })
}
