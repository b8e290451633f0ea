//! Resident bytes per key, per idle connection and per list: how much the process has grown over
//! the empty server, divided by what was put in.

use std::time::Duration;

use serde_json::{Value, json};

use super::{facts, placement, specs};
use crate::acceptance::{self, Target};
use crate::options::Options;
use crate::process::{Placement, Server, raise_file_limit};
use crate::report::{Bar, Plot, Section, ServerFacts, Table, Verdict, grouped};
use crate::resp::{Client, encode};
use crate::{Outcome, fill};

/// How long a server may take to tidy up (a hash table that grows by and by, buffers of
/// connections that fell idle) before its memory is read.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is put in, and what the growth is divided by.
struct Probe {
    what: String,
    kind: Kind,
    target: Option<Target>,
    /// By server, in the order of `specs`.
    bytes: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// `keys` strings of 16-byte keys.
    Strings { keys: u64, value: Stored },
    /// Idle connections; `spoke` once, or never.
    Connections { count: usize, spoke: bool },
    /// `lists` lists of `elements` elements of 16 bytes.
    Lists { lists: u64, elements: u64 },
}

impl Kind {
    /// Which picture it is drawn in.
    fn picture(self) -> &'static str {
        match self {
            Kind::Strings { .. } => "key",
            Kind::Connections { .. } => "idle connection",
            Kind::Lists { elements: 100, .. } => "list of 100",
            Kind::Lists { .. } => "list of 10,000",
        }
    }
}

/// The value of a string key.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    /// 64 bytes.
    Bytes,
    /// 64 bytes that expire in a day.
    BytesWithTtl,
    /// An integer of seven digits or eight.
    Integer,
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let mut probes = probes(options);
    let mut all_facts: Vec<ServerFacts> = Vec::new();
    raise_file_limit(options.connections as u64 + 100)?;
    for place in 0..specs(options).len() {
        for probe in &mut probes {
            let bytes = measure(options, place, &placement, probe.kind, &mut all_facts)?;
            eprintln!("{}: {bytes:.1} bytes", probe.what);
            probe.bytes.push(bytes);
        }
    }
    judge_lists(&mut probes, &all_facts);
    Ok((section(&probes, &all_facts), all_facts))
}

fn probes(options: &Options) -> Vec<Probe> {
    let shrink = if options.quick { 20 } else { 1 };
    let mut probes = Vec::new();
    let strings = [
        ("64-byte value", Stored::Bytes, acceptance::BYTES_STRING),
        ("64-byte value with a TTL", Stored::BytesWithTtl, acceptance::BYTES_STRING_TTL),
        ("integer", Stored::Integer, acceptance::BYTES_INTEGER),
    ];
    for (name, value, target) in strings {
        for keys in [1_000_000, 1_300_000, 1_700_000] {
            probes.push(Probe {
                what: format!("{name}, {} keys", grouped((keys / shrink) as f64)),
                kind: Kind::Strings { keys: keys / shrink, value },
                target: (keys == 1_000_000).then_some(target),
                bytes: Vec::new(),
            });
        }
    }
    for (spoke, name) in
        [(false, "idle connection that said nothing"), (true, "idle connection after a PING")]
    {
        probes.push(Probe {
            what: name.to_owned(),
            kind: Kind::Connections { count: options.connections, spoke },
            target: Some(acceptance::BYTES_CONNECTION),
            bytes: Vec::new(),
        });
    }
    for (lists, elements) in [(30_000, 100), (500, 10_000)] {
        probes.push(Probe {
            what: format!("list of {} elements", grouped(elements as f64)),
            kind: Kind::Lists { lists: lists / shrink, elements },
            target: None,
            bytes: Vec::new(),
        });
    }
    probes
}

/// Lists are held against Valkey: the one among the peers, or the figures that the targets were
/// set with.
fn judge_lists(probes: &mut [Probe], servers: &[ServerFacts]) {
    let valkey = servers.iter().position(|server| server.version.starts_with("valkey"));
    for probe in probes {
        if let Kind::Lists { elements, .. } = probe.kind {
            let known = acceptance::VALKEY_LIST_BYTES.iter().find(|(of, _)| *of == elements);
            let bytes = valkey.map(|place| probe.bytes[place]).or(known.map(|(_, bytes)| *bytes));
            probe.target = bytes.map(acceptance::list_bytes);
        }
    }
}

fn measure(
    options: &Options,
    place: usize,
    placement: &Placement,
    kind: Kind,
    all: &mut Vec<ServerFacts>,
) -> Outcome<f64> {
    let server = Server::start(specs(options)[place], placement)?;
    if all.len() == place {
        all.push(facts(&server)?);
    }
    let empty = server.settled_rss(PATIENCE)?;
    let (count, full) = match kind {
        Kind::Strings { keys, value } => {
            fill_strings(&mut server.connect()?, keys, value)?;
            (keys, server.settled_rss(PATIENCE)?)
        }
        Kind::Lists { lists, elements } => {
            fill_lists(&mut server.connect()?, lists, elements)?;
            (lists, server.settled_rss(PATIENCE)?)
        }
        Kind::Connections { count, spoke } => {
            let open = connections(&server, count, spoke)?;
            // Redis shrinks the buffers of an idle connection after some seconds.
            std::thread::sleep(Duration::from_secs(if options.quick { 0 } else { 8 }));
            let full = server.settled_rss(PATIENCE)?;
            (open.len() as u64, full)
        }
    };
    Ok((full as f64 - empty as f64) / count as f64)
}

fn fill_strings(client: &mut Client, keys: u64, value: Stored) -> Outcome<()> {
    let bytes = [b'x'; 64];
    match value {
        Stored::Bytes => fill::strings(client, 0..keys, &bytes),
        Stored::BytesWithTtl => fill::each(client, 0..keys, |out, index| {
            encode(out, &[b"SET", &fill::key(index), &bytes, b"EX", b"86400"]);
        }),
        // Larger than the integers that Redis shares between keys.
        Stored::Integer => fill::each(client, 0..keys, |out, index| {
            let digits = (9_000_000 + index).to_string();
            encode(out, &[b"SET", &fill::key(index), digits.as_bytes()]);
        }),
    }
}

fn fill_lists(client: &mut Client, lists: u64, elements: u64) -> Outcome<()> {
    for list in 0..lists {
        fill::list(client, &fill::key(list), elements, b"0123456789abcdef")?;
    }
    Ok(())
}

fn connections(server: &Server, count: usize, speak: bool) -> Outcome<Vec<Client>> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = server.connect()?;
        if speak {
            client.command(&["PING"])?;
        }
        open.push(client);
    }
    // All are accepted once the last one is answered.
    if let Some(last) = open.last_mut() {
        last.command(&["PING"])?;
    }
    Ok(open)
}

fn section(probes: &[Probe], servers: &[ServerFacts]) -> Section {
    let mut head = vec!["what"];
    head.extend(servers.iter().map(|server| server.label.as_str()));
    head.push("ours over the first");
    let mut table = Table::new("Resident bytes each", &head);
    for probe in probes {
        let mut row = vec![probe.what.clone()];
        row.extend(probe.bytes.iter().map(|bytes| grouped(*bytes)));
        row.push(format!("{:.2}x", probe.bytes[0] / probe.bytes[1]));
        table.rows.push(row);
    }
    let verdicts = probes.iter().filter_map(|probe| {
        Some(Verdict {
            what: probe.what.clone(),
            target: probe.target?,
            measured: probe.bytes[0],
            spread: None,
            unit: "bytes",
        })
    });
    let data: Vec<Value> =
        probes.iter().map(|probe| json!({ "what": probe.what, "bytes": probe.bytes })).collect();
    Section {
        id: "memory",
        title: "Resident bytes".to_owned(),
        notes: vec![
            "Growth of the process's resident memory over the empty server, divided by the number of keys, connections or lists, on a fresh server for each line. Keys have 16 bytes, elements of lists 16, integers seven or eight digits. Memory is read once it has not moved for a second.".to_owned(),
            "Lists are held against Valkey's figures: measured here if a Valkey is among the peers, else those that the target was set with.".to_owned(),
        ],
        tables: vec![table],
        plots: plots(probes, servers),
        verdicts: verdicts.collect(),
        data: json!({ "servers": servers.iter().map(|server| &server.label).collect::<Vec<_>>(), "bytes": data }),
    }
}

/// Figures of one size share a picture: keys, connections and lists differ by thousands.
fn plots(probes: &[Probe], servers: &[ServerFacts]) -> Vec<Plot> {
    ["key", "idle connection", "list of 100", "list of 10,000"]
        .into_iter()
        .map(|each| Plot::Bars {
            title: format!("Resident bytes each: {each}"),
            unit: "bytes".to_owned(),
            bars: probes
                .iter()
                .filter(|probe| probe.kind.picture() == each)
                .flat_map(|probe| bars(probe, servers))
                .collect(),
            even: None,
            noise: None,
        })
        .collect()
}

fn bars<'a>(probe: &'a Probe, servers: &'a [ServerFacts]) -> impl Iterator<Item = Bar> + 'a {
    servers.iter().zip(&probe.bytes).enumerate().map(|(place, (server, bytes))| Bar {
        label: format!("{} {}", probe.what, server.label),
        series: place,
        value: *bytes,
        spread: None,
        target: if place == 0 { probe.target } else { None },
    })
}
