//! Many clients at once, and every history they record is linearizable.
//!
//! Short rounds of random commands over few keys run against the real server on several workers. The
//! [`checker`] then looks for an order of the commands that the sequential [`model`] answers alike.
//! That it finds what is wrong is shown by histories made by hand and by servers with planted faults.
//!
//! `LINEARIZABLE_SECONDS` makes the search longer; `LINEARIZABLE_SEED` repeats one.

#![allow(clippy::unwrap_used)]

mod by_hand;
mod checker;
#[path = "../common/mod.rs"]
mod common;
mod generate;
mod model;
mod record;
mod toy;
mod typed;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use checker::{History, Verdict, check};
use common::{Launch, Server, ok};
use generate::{Generator, MIXES, Mix};
use model::{Answer, Command, State};
use record::Session;
use toy::{Fault, Toy};
use wire::Socket;

/// Connections; a round uses as many of them as its mix says.
const CLIENTS: usize = 8;
/// Rounds within which a planted fault must show.
const ROUNDS_TO_CATCH: u64 = 3_000;
/// All that a mix may name.
const NAMES: &[&str] = &[
    "GET", "SET", "INCR", "DEL", "MSET", "MGET", "RENAME", "COPY", "LPUSH", "RPUSH", "LPOP", "LMOVE",
    "BLPOP", "BLMOVE", "DBSIZE", "FLUSHALL", "SWAPDB", "WATCH", "MULTI", "HSET", "HGETALL", "SADD", "SMOVE",
    "SMEMBERS", "ZADD", "ZPOPMIN", "ZRANGE", "XADD", "XLEN", "SORT", "EVAL",
];

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn first_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    number_from("LINEARIZABLE_SEED").unwrap_or_else(|| now.map_or(1, |now| now.as_micros() as u64))
}

/// The server under test, the sessions to it, and what it knows.
struct Bench {
    server: Server,
    sessions: Vec<Box<dyn Session>>,
    known: Vec<&'static str>,
}

impl Bench {
    fn new(torn: bool) -> Bench {
        let server = Launch::new().with(&["--workers", "4"]).start();
        let known = NAMES.iter().copied().filter(|name| server.knows(name)).collect();
        let sessions = (0..CLIENTS)
            .map(|_| Box::new(Socket { client: server.client(), torn }) as Box<dyn Session>)
            .collect();
        Bench { server, sessions, known }
    }

    /// Empties the keyspace.
    fn clear(&self) {
        assert_eq!(self.server.client().call(&["FLUSHALL"]), ok());
    }

    fn round(&mut self, mix: &Mix, seed: u64) -> History {
        self.clear();
        let plans = Generator::new(seed, mix, &self.known).plans();
        record::round(&mut self.sessions, plans)
    }
}

/// What a search has seen, so that it can be told from one that looked at nothing.
#[derive(Debug, Default)]
struct Seen {
    rounds: usize,
    overlapping: usize,
    gave_up: usize,
    executed: usize,
    aborted: usize,
    pops: usize,
    by_name: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn note(&mut self, history: &History) {
        self.rounds += 1;
        self.overlapping += usize::from(record::overlaps(history));
        for operation in history.iter().flatten() {
            *self.by_name.entry(operation.command.name()).or_default() += 1;
            match (&operation.command, &operation.answer) {
                (Command::Exec(_), Answer::Nil) => self.aborted += 1,
                (Command::Exec(_), Answer::Many(_)) => self.executed += 1,
                (Command::Blpop(_), Answer::Many(_)) => self.pops += 1,
                _ => {}
            }
        }
    }
}

#[test]
fn histories_of_the_server_are_linearizable() {
    let seconds = number_from("LINEARIZABLE_SECONDS").unwrap_or(15);
    let first = first_seed();
    eprintln!("LINEARIZABLE_SEED={first}");
    let mut bench = Bench::new(false);
    let mut seen = Seen::default();
    // Each mix gets the same time: rounds with blocking commands are much longer than others.
    let mut spent = vec![(Duration::ZERO, first / MIXES.len() as u64); MIXES.len()];
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        let index = (0..MIXES.len()).min_by_key(|&index| spent[index].0).unwrap();
        let (mix, seed) = (&MIXES[index], spent[index].1 * MIXES.len() as u64 + index as u64);
        let started = Instant::now();
        let history = bench.round(mix, seed);
        seen.note(&history);
        match check(&history) {
            Verdict::Linearizable => {}
            Verdict::GaveUp => seen.gave_up += 1,
            Verdict::Violation(text) => panic!("{} with LINEARIZABLE_SEED={seed}: {text}", mix.name),
        }
        spent[index] = (spent[index].0 + started.elapsed(), spent[index].1 + 1);
    }
    eprintln!("{seen:?}");
    for name in ["GET", "SET", "MSET", "MGET", "MULTI", "HSET", "SMOVE", "ZPOPMIN", "XADD", "SORT", "EVAL"] {
        assert!(seen.by_name.contains_key(name), "the server does not know {name}");
    }
    assert!(seen.overlapping * 2 > seen.rounds, "the clients hardly ran at the same time: {seen:?}");
    assert!(seen.gave_up * 50 <= seen.rounds, "too many histories were not decided: {seen:?}");
    assert!(seen.executed > 0 && (!bench.known.contains(&"WATCH") || seen.aborted > 0), "{seen:?}");
    assert!(!bench.known.contains(&"BLPOP") || seen.pops > 0, "{seen:?}");
}

#[test]
fn an_mset_that_is_torn_on_its_way_to_the_server_is_caught() {
    let mut bench = Bench::new(true);
    let caught = (1..ROUNDS_TO_CATCH)
        .find(|&seed| matches!(check(&bench.round(&MIXES[0], seed)), Verdict::Violation(_)));
    assert!(caught.is_some(), "no history was rejected");
}

/// The first round of a toy server in which the checker finds something wrong.
fn first_violation(fault: Fault, mix: &Mix, rounds: u64) -> Option<u64> {
    let state = Arc::new(Mutex::new(State::default()));
    let mut sessions: Vec<Box<dyn Session>> =
        (0..CLIENTS).map(|client| Box::new(Toy::new(&state, client, fault)) as Box<dyn Session>).collect();
    (1..rounds).find(|&seed| {
        *state.lock().unwrap() = State::default();
        let plans = Generator::new(seed, mix, NAMES).plans();
        matches!(check(&record::round(&mut sessions, plans)), Verdict::Violation(_))
    })
}

fn named(name: &str) -> &'static Mix {
    MIXES.iter().find(|mix| mix.name == name).unwrap()
}

#[test]
fn planted_faults_are_caught() {
    for (fault, mix) in [
        (Fault::TornMset, &MIXES[0]),
        (Fault::LostUpdate, &MIXES[0]),
        (Fault::StaleRead, &MIXES[0]),
        (Fault::BlindExec, &MIXES[3]),
        (Fault::TornScript, named("scripts")),
        (Fault::DoublePop, named("sorted sets")),
    ] {
        let caught = first_violation(fault, mix, ROUNDS_TO_CATCH);
        assert!(caught.is_some(), "{fault:?} was not caught");
        eprintln!("{fault:?} was caught in round {caught:?}");
    }
}

#[test]
fn a_server_without_a_fault_is_not_accused() {
    for mix in MIXES {
        assert_eq!(first_violation(Fault::None, mix, 60), None, "{}", mix.name);
    }
}
