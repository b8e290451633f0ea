//! Whether `used_memory` is what the process takes: a fresh server for each type is filled, and what it says is held
//! against its resident memory.

use std::time::Duration;

use serde_json::{Value, json};

use super::{facts, placement, specs};
use crate::fill::{self, scattered};
use crate::options::Options;
use crate::process::Server;
use crate::report::{Section, ServerFacts, Table, Verdict, grouped};
use crate::resp::{Client, encode};
use crate::{Outcome, acceptance};

/// How long a server may take to tidy up before it is asked.
const PATIENCE: Duration = Duration::from_secs(20);
/// About how much each fill takes.
const FILL_BYTES: u64 = 400 << 20;

/// Keys that are filled in one write.
const AT_ONCE: usize = 20;

/// What is put in.
struct Fill {
    what: &'static str,
    /// About how much one takes here: how many there are follows.
    bytes: u64,
    /// A command for the key of this number.
    append: fn(&mut Vec<u8>, u64),
    /// How many of them each key gets, and lines of the reply to each.
    commands: u64,
    lines: u64,
}

/// One command that is answered with one line.
const fn one(what: &'static str, bytes: u64, append: fn(&mut Vec<u8>, u64)) -> Fill {
    Fill { what, bytes, append, commands: 1, lines: 1 }
}

const FILLS: [Fill; 9] = [
    one("strings of 10 to 1,000 bytes", 560, string),
    one("strings of 10 to 200 kB", 115_000, long_string),
    one("hashes of 10 fields", 340, |out, key| collect(out, "HSET", key, 10)),
    one("hashes of 1,000 fields", 41_000, |out, key| collect(out, "HSET", key, 1_000)),
    one("lists of 100 elements", 1_920, |out, key| collect(out, "RPUSH", key, 100)),
    one("sets of 100 members", 3_240, |out, key| collect(out, "SADD", key, 100)),
    one("sorted sets of 20 members", 470, |out, key| collect(out, "ZADD", key, 20)),
    one("sorted sets of 1,000 members", 60_700, |out, key| collect(out, "ZADD", key, 1_000)),
    // An ID comes back as a length and a line.
    Fill { what: "streams of 100 entries", bytes: 2_120, append: stream_entry, commands: 100, lines: 2 },
];

/// What a server says and what it takes.
struct Found {
    used: u64,
    resident: u64,
    used_before: u64,
    resident_before: u64,
}

impl Found {
    fn resident_over_used(&self) -> f64 {
        self.resident as f64 / self.used as f64
    }

    fn growth(&self) -> f64 {
        (self.resident as f64 - self.resident_before as f64) / (self.used as f64 - self.used_before as f64)
    }
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let mut servers: Vec<ServerFacts> = Vec::new();
    let mut found: Vec<Vec<Found>> = Vec::new();
    let total = if options.quick { FILL_BYTES / 40 } else { FILL_BYTES };
    for fill in &FILLS {
        let mut row = Vec::new();
        for place in 0..specs(options).len() {
            let server = Server::start(specs(options)[place], &placement)?;
            row.push(measure(&server, fill, total / fill.bytes)?);
            if servers.len() == place {
                servers.push(facts(&server)?);
            }
        }
        eprintln!("{}: resident over used {:.3}", fill.what, row[0].resident_over_used());
        found.push(row);
    }
    Ok((section(&servers, &found), servers))
}

fn measure(server: &Server, fill: &Fill, keys: u64) -> Outcome<Found> {
    let mut client = server.connect()?;
    let resident_before = server.settled_rss(PATIENCE)?;
    let used_before = used(&mut client)?;
    let mut commands = Vec::new();
    for start in (0..keys).step_by(AT_ONCE) {
        let range = start..keys.min(start + AT_ONCE as u64);
        commands.clear();
        for key in range.clone() {
            (0..fill.commands).for_each(|_| (fill.append)(&mut commands, key));
        }
        let lines = (range.end - range.start) * fill.commands * fill.lines;
        client.pipeline_of_lines(&commands, usize::try_from(lines)?)?;
    }
    let resident = server.settled_rss(PATIENCE)?;
    Ok(Found { used: used(&mut client)?, resident, used_before, resident_before })
}

fn used(client: &mut Client) -> Outcome<u64> {
    let used = client.info("memory", "used_memory")?.ok_or("INFO names no used_memory")?;
    Ok(used.parse()?)
}

fn string(out: &mut Vec<u8>, key: u64) {
    let value = vec![b'v'; 10 + (scattered(key) % 991) as usize];
    encode(out, &[b"SET", &fill::key(key), &value]);
}

fn long_string(out: &mut Vec<u8>, key: u64) {
    let value = vec![b'v'; 10_000 + (scattered(key) % 190_000) as usize];
    encode(out, &[b"SET", &fill::key(key), &value]);
}

fn stream_entry(out: &mut Vec<u8>, key: u64) {
    encode(out, &[b"XADD", &fill::key(key), b"*", b"sensor", b"0123456789abcdef"]);
}

/// A collection of so many elements of 16 bytes.
fn collect(out: &mut Vec<u8>, command: &str, key: u64, elements: u64) {
    let name = fill::key(key);
    let mut words: Vec<Vec<u8>> = Vec::new();
    for element in 0..elements {
        let before = match command {
            "HSET" => Some(format!("field:{element}")),
            "ZADD" => Some((scattered(key * elements + element) % 100_000).to_string()),
            _ => None,
        };
        words.extend(before.map(String::into_bytes));
        words.push(format!("{:016x}", scattered(key * elements + element)).into_bytes());
    }
    let mut args: Vec<&[u8]> = vec![command.as_bytes(), &name];
    args.extend(words.iter().map(Vec::as_slice));
    encode(out, &args);
}

fn section(servers: &[ServerFacts], found: &[Vec<Found>]) -> Section {
    let mut table = Table::new(
        "What is said and what is taken after a fill, MB",
        &["filled with", "server", "used_memory", "resident", "resident over used", "growth over growth"],
    );
    let megabytes = |bytes: u64| grouped(bytes as f64 / f64::from(1 << 20));
    let mut verdicts = Vec::new();
    let mut data = Vec::new();
    for (fill, row) in FILLS.iter().zip(found) {
        for (place, (server, found)) in servers.iter().zip(row).enumerate() {
            let ratio = found.resident_over_used();
            table.rows.push(vec![
                fill.what.to_owned(),
                server.label.clone(),
                megabytes(found.used),
                megabytes(found.resident),
                format!("{ratio:.3}"),
                format!("{:.3}", found.growth()),
            ]);
            data.push(json!({
                "what": fill.what, "server": server.label, "used": found.used, "resident": found.resident,
                "used_before": found.used_before, "resident_before": found.resident_before,
            }));
            if place == 0 {
                verdicts.push(Verdict {
                    what: fill.what.to_owned(),
                    target: acceptance::USED_AGREES,
                    measured: ratio.max(1.0 / ratio),
                    spread: None,
                    unit: "x",
                });
            }
        }
    }
    Section {
        id: "used",
        title: "used_memory and resident memory".to_owned(),
        notes: vec![format!(
            "A fresh server for each line, filled with about {} MB. Both are read once resident memory has not moved for a second. The program's own code and stacks are resident and not used; growth leaves them out.",
            FILL_BYTES >> 20
        )],
        tables: vec![table],
        verdicts,
        data: Value::from(data),
        ..Section::default()
    }
}
