//! Random key sets from many connections on several workers: every command is answered.
//!
//! Commands over several keys, in several databases, transactions, commands that need the whole
//! keyspace, and blocking ones with short times run against each other. A reply that does not come
//! within [`common::PATIENCE`] fails the test. `DEADLOCK_SECONDS` makes it longer.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Client, Launch, encode};
use glasswing::resp::Value;

const CONNECTIONS: u64 = 24;
const KEYS: usize = 12;
const DATABASES: usize = 3;

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.below(KEYS))
    }

    fn list(&mut self) -> String {
        format!("list:{}", self.below(KEYS))
    }

    fn database(&mut self) -> String {
        self.below(DATABASES).to_string()
    }

    /// A request that any client may send at any time.
    fn request(&mut self) -> Vec<String> {
        let word = |word: &str| word.to_owned();
        let mut request = match self.below(19) {
            0..3 => vec![word("MSET")],
            3..6 => vec![word("MGET")],
            6 => vec![word("DEL")],
            7 => vec![word("RENAME"), self.key(), self.key()],
            8 => vec![word("COPY"), self.key(), self.key(), word("DB"), self.database(), word("REPLACE")],
            9 => vec![word("MOVE"), self.key(), self.database()],
            10 => vec![word("RPUSH"), self.list(), word("one"), word("two")],
            11 => vec![word("LMOVE"), self.list(), self.list(), word("LEFT"), word("RIGHT")],
            12 => vec![word("RENAME"), self.list(), self.list()],
            13 => vec![word("SELECT"), self.database()],
            14 => vec![word("WATCH"), self.key(), self.list()],
            15 => vec![word("SET"), self.key(), word("value"), word("PX"), (1 + self.below(20)).to_string()],
            16 => vec![word("SCAN"), word("0")],
            17 => vec![word("RANDOMKEY")],
            _ => return self.whole_request(),
        };
        let several = 1 + self.below(KEYS);
        match request[0].as_str() {
            "MSET" => (0..several).for_each(|_| request.extend([self.key(), word("value")])),
            "MGET" | "DEL" => (0..several).for_each(|_| request.push(self.key())),
            _ => {}
        }
        request
    }

    /// A request that needs the whole keyspace.
    fn whole_request(&mut self) -> Vec<String> {
        let request = match self.below(6) {
            0 => "FLUSHALL".to_owned(),
            1 => "FLUSHDB".to_owned(),
            2 => format!("SWAPDB {} {}", self.database(), self.database()),
            3 => "KEYS *".to_owned(),
            _ => "DBSIZE".to_owned(),
        };
        request.split(' ').map(str::to_owned).collect()
    }

    fn blocking_request(&mut self) -> Vec<String> {
        let mut request = if self.below(2) == 0 {
            vec!["BLPOP".to_owned(), self.list(), self.list(), self.list()]
        } else {
            vec!["BLMOVE".to_owned(), self.list(), self.list(), "RIGHT".to_owned(), "LEFT".to_owned()]
        };
        request.push("0.01".to_owned());
        request
    }

    /// What is sent in one write.
    fn burst(&mut self) -> Vec<Vec<String>> {
        match self.below(10) {
            0..5 => (0..1 + self.below(8)).map(|_| self.request()).collect(),
            5..8 => {
                let mut burst = vec![vec!["MULTI".to_owned()]];
                burst.extend((0..1 + self.below(6)).map(|_| self.request()));
                burst.push(vec!["EXEC".to_owned()]);
                burst
            }
            8 => vec![self.blocking_request()],
            _ => vec![self.whole_request()],
        }
    }
}

/// How often each command was answered, and how often without an error.
type Answered = BTreeMap<String, (usize, usize)>;

fn client(mut connection: Client, seed: u64, until: Instant) -> Answered {
    let mut random = Random(seed);
    let mut answered = Answered::new();
    while Instant::now() < until {
        let burst = random.burst();
        let bytes: Vec<u8> = burst.iter().flat_map(|request| encode(request)).collect();
        assert!(connection.raw(&bytes));
        for request in &burst {
            let reply = connection.reply();
            let reply = reply.unwrap_or_else(|| panic!("seed {seed}: no reply to {request:?}"));
            let entry = answered.entry(request[0].clone()).or_default();
            entry.0 += 1;
            entry.1 += usize::from(!matches!(reply, Value::Error(_)));
        }
    }
    answered
}

#[test]
fn every_command_is_answered_whatever_keys_the_others_hold() {
    let seconds = std::env::var("DEADLOCK_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(10));
    let server = Launch::new().admin().with(&["--workers", "4"]).start();
    let mut all = Answered::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=CONNECTIONS)
            .map(|seed| {
                let connection = server.client();
                scope.spawn(move || client(connection, seed, until))
            })
            .collect();
        for client in clients {
            for (name, (sent, fine)) in client.join().unwrap() {
                let entry = all.entry(name).or_default();
                *entry = (entry.0 + sent, entry.1 + fine);
            }
        }
    });
    eprintln!("answered, and without an error: {all:?}");
    for (name, (_, fine)) in &all {
        assert!(*fine > 0, "{name} never worked, so it tested nothing");
    }
    assert_eq!(server.metric("glasswing_panics_total").first().map(|sample| sample.1), Some(0.0));
}
