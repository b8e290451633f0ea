//! The same random commands to a real redis-server and to ours, and every reply compared.
//!
//! Requests are made from the rows' own syntax ([`generate`]) over few keys of all types: wrong types and
//! arities, huge numbers, nan, empty and binary words, keys whose time passes, both protocols, transactions
//! and scripts. [`compare`] says when two replies are the same. A case that differs is made as short as it
//! gets ([`shrink`]) and printed as a session of redis-cli.
//!
//! Runs when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.
//! `DIFFERENTIAL_COMMANDS` makes the run longer, `DIFFERENTIAL_SEED` repeats one, and
//! `DIFFERENTIAL_GO_ON=20` goes on until so many differences were found.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod generate;
mod known;
mod pair;
mod pools;
mod shrink;

use std::collections::BTreeMap;
use std::time::Instant;

use glasswing::command::Registry;
use glasswing::command::transcript::format_value;
use glasswing::resp::Value;

use generate::{Generator, is_sent};
use pair::{Difference, Pair, ours, shown, theirs};
use shrink::shrink;

/// The words of a request.
pub type Request = Vec<Vec<u8>>;

/// Commands of the run that is a part of the tests.
const SHORT_RUN: u64 = 40_000;
/// Differences of one command that are made short and printed, when a run goes on.
const OF_ONE_COMMAND: usize = 3;
/// Requests of a case.
const LENGTH: usize = 150;

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn first_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    number_from("DIFFERENTIAL_SEED").unwrap_or_else(|| now.map_or(1, |now| now.as_micros() as u64))
}

#[test]
fn redis_says_the_same() {
    let Some(redis) = theirs() else {
        println!("skipped: there is no redis-server here (scripts/setup test installs one)");
        return;
    };
    let (registry, server) = (Registry::new(), ours());
    let mut pair = Pair::new(&registry, &redis, &server);
    let commands = number_from("DIFFERENTIAL_COMMANDS").unwrap_or(SHORT_RUN);
    let wanted = number_from("DIFFERENTIAL_GO_ON").unwrap_or(1);
    let (first, began) = (first_seed(), Instant::now());
    let (mut found, mut passing) = (Vec::new(), 0);
    let mut named: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut seed = first;
    while pair.compared < commands && (found.len() as u64) < wanted {
        let case = Generator::new(&registry, seed).case(LENGTH);
        let _running = Running(seed);
        if let Some(difference) = pair.run(&case) {
            // Of one command's differences a few are enough.
            let name = case[difference.at][0].to_ascii_uppercase();
            let of_this = named.entry(name).or_insert(0);
            *of_this += 1;
            if *of_this > OF_ONE_COMMAND {
                seed += 1;
                continue;
            }
            match shrink(&mut pair, &case) {
                Some((case, difference)) => {
                    let text = report(seed, &case, &difference);
                    println!("{text}");
                    found.push(text);
                }
                // Seen once and not again: something passed by, and nobody can tell what.
                None => passing += 1,
            }
        }
        seed += 1;
    }
    println!(
        "{} commands from seed {first} in {:.1?}, {} differences, {passing} that did not show again",
        pair.compared,
        began.elapsed(),
        found.len()
    );
    assert!(found.is_empty(), "{} differences:\n\n{}", found.len(), found.join("\n"));
    assert!(passing as u64 <= pair.compared / 1_000_000 + 1, "{passing} differences that did not show again");
}

/// Says which seed ran when something panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("while seed {} ran", self.0);
        }
    }
}

/// A difference as a session of redis-cli.
fn report(seed: u64, case: &[Request], difference: &Difference) -> String {
    let told = |value: &Option<Value>| {
        value.as_ref().map_or("(closed)".to_owned(), |value| format_value(value, "       "))
    };
    let mut text = format!("seed {seed}\n");
    for request in case {
        text += &format!("  > {}\n", shown(request));
    }
    text + &format!("redis: {}\nours:  {}\n", told(&difference.theirs), told(&difference.ours))
}

/// Both servers are ours: nothing differs but what is planted, and that comes out short.
#[test]
fn a_planted_difference_is_found_and_made_short() {
    let registry = Registry::new();
    let (one, other) = (ours(), ours());
    let ports = [one.port(), other.port()];
    let mut alike = Pair::of(&registry, ports, |_| None);
    for seed in 0..40 {
        let case = Generator::new(&registry, seed).case(LENGTH);
        if let Some(difference) = alike.run(&case) {
            panic!("{}", report(seed, &case[..=difference.at], &difference));
        }
    }
    let pushed_at_the_wrong_end = |request: &Request| {
        let pushes =
            request.first().is_some_and(|name| name.eq_ignore_ascii_case(b"RPUSH")) && request.len() > 3;
        pushes.then(|| [&[b"LPUSH".to_vec()], &request[1..]].concat())
    };
    let mut differing = Pair::of(&registry, ports, pushed_at_the_wrong_end);
    let found = (0..400).find_map(|seed| {
        let case = Generator::new(&registry, seed).case(LENGTH);
        differing.run(&case)?;
        shrink(&mut differing, &case)
    });
    let (case, difference) = found.expect("the planted difference is found");
    assert!(case.len() <= 3, "{}", report(0, &case, &difference));
}

/// The families that can be compared are sent.
#[test]
fn hardly_a_command_is_left_out() {
    let registry = Registry::new();
    let sent = registry.iter().filter(|(_, command)| is_sent(command)).count();
    println!("{sent} of {} rows are sent", registry.iter().count());
    for name in
        ["get", "zrangestore", "xautoclaim", "geosearchstore", "bitfield_ro", "lmpop", "fcall", "restore"]
    {
        let index = registry.find_full(name.as_bytes()).unwrap();
        assert!(is_sent(registry.get(index)), "{name}");
    }
}
