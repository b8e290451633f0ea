//! CPU per pipelined GET as the number of keys grows: the cost may grow with the misses of the
//! processor's caches, and with nothing else.

use serde_json::{Value, json};

use super::{Field, order, placement};
use crate::options::Options;
use crate::report::{Axis, Plot, Section, Series, ServerFacts, Table, Verdict, grouped};
use crate::stats::{median, ratio};
use crate::workload::{Load, Workload};
use crate::{Outcome, acceptance, fill};

const STEPS: [u64; 9] = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];
const PIPELINE: u32 = 16;

/// CPU microseconds per GET at one number of keys: by server, then by round.
struct Step {
    keys: u64,
    cpu_us: Vec<Vec<f64>>,
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let load = Load { options, placement: &placement, processes: options.load_processes.unwrap_or(1) };
    let field = Field::start(options, &placement)?;
    let get = Workload::new("get", PIPELINE)?;
    let value = vec![b'x'; options.value_bytes];
    // The field calibrates on few keys: the same number of requests serves every step.
    let requests = get.calibrate(&field.servers[1], &load, 1_000)?;
    for server in &field.servers {
        server.connect()?.command(&["FLUSHALL", "SYNC"])?;
    }
    let mut steps = Vec::new();
    let mut filled = 0;
    for keys in STEPS.into_iter().filter(|keys| *keys <= options.max_keys) {
        for server in &field.servers {
            fill::strings(&mut server.connect()?, filled..keys, &value)?;
        }
        filled = keys;
        let mut cpu_us = vec![Vec::new(); field.servers.len()];
        for round in 0..options.rounds {
            for place in order(round, field.servers.len()) {
                let sample = get.run(&field.servers[place], &load, keys, requests)?;
                cpu_us[place].push(sample.cpu_us);
            }
        }
        let now: Vec<String> = cpu_us.iter().map(|rounds| format!("{:.3}", median(rounds))).collect();
        eprintln!("{keys} keys: CPU us per GET {}", now.join(" "));
        steps.push(Step { keys, cpu_us });
    }
    Ok((section(&field, &steps, requests), field.facts()?))
}

fn section(field: &Field, steps: &[Step], requests: u64) -> Section {
    let mut head = vec!["keys".to_owned()];
    head.extend(field.servers.iter().map(|server| format!("{} µs", server.label)));
    head.extend(["ours over the first", "control"].map(str::to_owned));
    let mut table = Table { caption: "Server CPU per GET, medians".to_owned(), head, rows: Vec::new() };
    let mut verdicts = Vec::new();
    for step in steps {
        let ours = ratio(&step.cpu_us[0], &step.cpu_us[1]);
        let control =
            field.control_of.map(|of| ratio(&step.cpu_us[field.servers.len() - 1], &step.cpu_us[of]));
        let mut row = vec![grouped(step.keys as f64)];
        row.extend(step.cpu_us.iter().map(|rounds| format!("{:.3}", median(rounds))));
        for ratio in [Some(ours), control] {
            row.push(ratio.map_or_else(String::new, |ratio| {
                format!("{:.3} ({:.3} to {:.3})", ratio.of_medians, ratio.lowest, ratio.highest)
            }));
        }
        table.rows.push(row);
        if let Some(target) = acceptance::keys_cpu_ratio(step.keys) {
            verdicts.push(Verdict {
                what: format!(
                    "GET over {} keys, CPU over {}",
                    grouped(step.keys as f64),
                    field.servers[1].label
                ),
                target,
                measured: ours.of_medians,
                spread: Some((ours.lowest, ours.highest)),
                unit: "x",
            });
        }
    }
    Section {
        id: "keys",
        title: "Pipelined GETs over more and more keys".to_owned(),
        notes: vec![format!(
            "GET of random keys, pipeline {PIPELINE}, {} requests a round; every key exists. The curve shows what the processor's caches cost: it should bend where the keys outgrow them and nowhere else.",
            grouped(requests as f64)
        )],
        tables: vec![table],
        plots: vec![curve(field, steps)],
        verdicts,
        data: data(field, steps),
    }
}

fn curve(field: &Field, steps: &[Step]) -> Plot {
    let series = field.servers[..field.compared()].iter().enumerate();
    Plot::Lines {
        title: "Server CPU per pipelined GET".to_owned(),
        x: Axis { label: "keys".to_owned(), log: true },
        y: Axis { label: "µs per command".to_owned(), log: false },
        series: series
            .map(|(place, server)| Series {
                label: server.label.clone(),
                points: steps.iter().map(|step| (step.keys as f64, median(&step.cpu_us[place]))).collect(),
            })
            .collect(),
        moments: Vec::new(),
    }
}

fn data(field: &Field, steps: &[Step]) -> Value {
    let labels: Vec<&str> = field.servers.iter().map(|server| server.label.as_str()).collect();
    let steps: Vec<Value> =
        steps.iter().map(|step| json!({ "keys": step.keys, "cpu_us_per_command": step.cpu_us })).collect();
    json!({ "servers": labels, "steps": steps })
}
