//! redis-benchmark's workloads in alternating rounds: on cores of their own (CPU per command is
//! what counts), and with every core shared (throughput is what counts).

use serde_json::{Value, json};

use super::{Field, order, placement};
use crate::Outcome;
use crate::acceptance::{self, Target};
use crate::options::Options;
use crate::process::Placement;
use crate::report::{Bar, Plot, Section, ServerFacts, Table, Verdict, grouped};
use crate::stats::{Ratio, median, ratio};
use crate::workload::{Load, Sample, Workload};

/// What was measured of one workload: samples by server and round.
struct Measured {
    workload: Workload,
    requests: u64,
    samples: Vec<Vec<Sample>>,
}

impl Measured {
    fn figures(&self, server: usize, pick: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples[server].iter().map(pick).collect()
    }

    fn ratio(&self, one: usize, other: usize, pick: fn(&Sample) -> f64) -> Ratio {
        ratio(&self.figures(one, pick), &self.figures(other, pick))
    }
}

/// Which figure a section is about.
pub(super) struct Focus {
    pub(super) name: &'static str,
    pub(super) pick: fn(&Sample) -> f64,
    pub(super) target: fn(&Workload) -> Option<Target>,
}

pub(super) const CPU: Focus = Focus {
    name: "CPU per command",
    pick: |sample| sample.cpu_us,
    target: |workload| acceptance::cpu_ratio(workload.name(), workload.pipeline),
};

pub(super) const THROUGHPUT: Focus = Focus {
    name: "Throughput",
    pick: |sample| sample.throughput,
    target: |workload| acceptance::workers_throughput_ratio(workload.name(), workload.pipeline),
};

/// Server and load on cores of their own.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    run_apart(
        options,
        "workloads",
        "redis-benchmark's workloads",
        &Workload::select(&options.workloads)?,
        &CPU,
    )
}

/// The same for collections, streams, channels, caches of clients and scripts.
pub fn run_types(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let workloads = Workload::of_types(&options.workloads)?;
    run_apart(
        options,
        "types",
        "Collections, streams, channels, caches of clients and scripts",
        &workloads,
        &CPU,
    )
}

/// SET where each new key has to evict another.
pub fn run_eviction(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let workloads = [Workload::new("set_lru", 16)?, Workload::new("set_lfu", 16)?];
    run_apart(options, "eviction", "SET at a limit of 100 MB", &workloads, &CPU)
}

/// Some workloads, server and load on cores of their own.
pub(super) fn run_apart(
    options: &Options,
    id: &'static str,
    title: &str,
    workloads: &[Workload],
    focus: &Focus,
) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let load = Load { options, placement: &placement, processes: options.load_processes.unwrap_or(1) };
    let mut section = Section {
        id,
        title: format!("{title}, {}", cores(&placement)),
        notes: notes(&load, &placement),
        ..Section::default()
    };
    let facts = fill_section(&mut section, options, &load, workloads, focus)?;
    Ok((section, facts))
}

/// Every core shared by servers and load; two workers against two io-threads.
pub fn run_workers(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let mut options = options.clone();
    let every: Vec<usize> = (0..2).collect();
    options.workers = options.workers.max(2);
    for peer in &mut options.peers {
        if !peer.args.iter().any(|arg| arg == "--io-threads") {
            peer.args.extend(["--io-threads", "2"].map(str::to_owned));
        }
    }
    let placement = Placement { server_cores: every.clone(), load_cores: every, workers: options.workers };
    let load =
        Load { options: &options, placement: &placement, processes: options.load_processes.unwrap_or(2) };
    let workloads = [("get", 1), ("set", 1), ("get", 16), ("set", 16), ("eval", 16)]
        .map(|(name, pipeline)| Workload::new(name, pipeline));
    let workloads = workloads.into_iter().collect::<Outcome<Vec<Workload>>>()?;
    let mut section = Section {
        id: "workers",
        title: format!("{} workers against 2 io-threads, {}", options.workers, cores(&placement)),
        notes: notes(&load, &placement),
        ..Section::default()
    };
    let facts = fill_section(&mut section, &options, &load, &workloads, &THROUGHPUT)?;
    Ok((section, facts))
}

pub(super) fn cores(placement: &Placement) -> String {
    if placement.server_cores == placement.load_cores {
        format!("servers and load share cores {:?}", placement.server_cores)
    } else {
        format!("servers on cores {:?}, load on {:?}", placement.server_cores, placement.load_cores)
    }
}

fn notes(load: &Load<'_>, placement: &Placement) -> Vec<String> {
    let options = load.options;
    vec![
        format!(
            "{} connections, values of {} bytes, {} keys, {} load generator(s), {} worker(s) of ours; {} rounds, the order of the servers reversed every round.",
            options.clients, options.value_bytes, options.keys, load.processes, placement.workers, options.rounds
        ),
        "CPU per command is the CPU time of the server's whole process, every thread and the kernel's part included, over the number of commands. With a pipeline, latencies are of a whole batch, as redis-benchmark measures them. Ratios are of medians; the spread is the lowest and the highest ratio of a single round.".to_owned(),
    ]
}

fn fill_section(
    section: &mut Section,
    options: &Options,
    load: &Load<'_>,
    workloads: &[Workload],
    focus: &Focus,
) -> Outcome<Vec<ServerFacts>> {
    let field = Field::start(options, load.placement)?;
    let mut all = Vec::new();
    for workload in workloads {
        all.push(measure(&field, load, *workload)?);
    }
    section.tables.push(figures_table(&field, &all));
    section.tables.push(ratio_table(&field, &all));
    section.plots = plots(&field, &all, focus);
    for measured in &all {
        if let Some(target) = (focus.target)(&measured.workload) {
            let ratio = measured.ratio(0, 1, focus.pick);
            section.verdicts.push(Verdict {
                what: format!("{}, {} over {}", measured.workload.id(), focus.name, field.servers[1].label),
                target,
                measured: ratio.of_medians,
                spread: Some((ratio.lowest, ratio.highest)),
                unit: "x",
            });
        }
    }
    section.data = data(&field, &all);
    field.facts()
}

fn measure(field: &Field, load: &Load<'_>, workload: Workload) -> Outcome<Measured> {
    let options = load.options;
    let requests = workload.calibrate(&field.servers[1], load, options.keys)?;
    let mut samples = vec![Vec::new(); field.servers.len()];
    for round in 0..options.rounds {
        for place in order(round, field.servers.len()) {
            let server = &field.servers[place];
            let _held = workload.prepare(server, options, requests)?;
            samples[place].push(workload.run(server, load, options.keys, requests)?);
        }
        let now: Vec<String> = samples.iter().map(|of| format!("{:.3}", of[round].cpu_us)).collect();
        eprintln!("{} round {}: CPU us per command {}", workload.id(), round + 1, now.join(" "));
    }
    Ok(Measured { workload, requests, samples })
}

fn figures_table(field: &Field, all: &[Measured]) -> Table {
    let mut table = Table::new(
        "Medians of all rounds",
        &["workload", "server", "requests", "commands/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs/command"],
    );
    for measured in all {
        for (place, server) in field.servers.iter().enumerate() {
            let figure = |pick| median(&measured.figures(place, pick));
            table.rows.push(vec![
                measured.workload.id(),
                server.label.clone(),
                grouped(measured.requests as f64),
                grouped(figure(|sample| sample.throughput)),
                format!("{:.3}", figure(|sample| sample.p50_ms)),
                format!("{:.3}", figure(|sample| sample.p99_ms)),
                format!("{:.3}", figure(|sample| sample.p999_ms)),
                format!("{:.3}", figure(|sample| sample.cpu_us)),
            ]);
        }
    }
    table
}

fn ratio_table(field: &Field, all: &[Measured]) -> Table {
    let mut table = Table::new(
        "Ratios of medians (lowest to highest round); the control shows what noise alone does",
        &["workload", "of", "over", "CPU per command", "throughput", "p99.9"],
    );
    let words =
        |ratio: Ratio| format!("{:.3} ({:.3} to {:.3})", ratio.of_medians, ratio.lowest, ratio.highest);
    for measured in all {
        for (one, other) in field.pairs() {
            table.rows.push(vec![
                measured.workload.id(),
                field.servers[one].label.clone(),
                field.servers[other].label.clone(),
                words(measured.ratio(one, other, |sample| sample.cpu_us)),
                words(measured.ratio(one, other, |sample| sample.throughput)),
                words(measured.ratio(one, other, |sample| sample.p999_ms)),
            ]);
        }
    }
    table
}

fn plots(field: &Field, all: &[Measured], focus: &Focus) -> Vec<Plot> {
    let noise = field.control_of.map(|of| {
        let last = field.servers.len() - 1;
        let ratios = all.iter().map(|measured| measured.ratio(last, of, focus.pick));
        ratios.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ratio| {
            (low.min(ratio.lowest), high.max(ratio.highest))
        })
    });
    let mut plots: Vec<Plot> = (1..field.compared())
        .map(|peer| Plot::Bars {
            title: format!("{}: {} over {}", focus.name, field.servers[0].label, field.servers[peer].label),
            unit: "ratio of medians".to_owned(),
            bars: all.iter().map(|measured| ratio_bar(measured, peer, focus)).collect(),
            even: Some(1.0),
            noise,
        })
        .collect();
    plots.push(absolute("Server CPU per command", "microseconds", field, all, |sample| sample.cpu_us));
    plots.push(absolute("p99.9 latency", "milliseconds", field, all, |sample| sample.p999_ms));
    plots
}

fn ratio_bar(measured: &Measured, peer: usize, focus: &Focus) -> Bar {
    let ratio = measured.ratio(0, peer, focus.pick);
    Bar {
        label: measured.workload.id(),
        series: 0,
        value: ratio.of_medians,
        spread: Some((ratio.lowest, ratio.highest)),
        // The targets are about the reference, the first peer.
        target: if peer == 1 { (focus.target)(&measured.workload) } else { None },
    }
}

fn absolute(title: &str, unit: &str, field: &Field, all: &[Measured], pick: fn(&Sample) -> f64) -> Plot {
    let mut bars = Vec::new();
    for measured in all {
        for place in 0..field.compared() {
            let figures = measured.figures(place, pick);
            let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
            let high = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            bars.push(Bar {
                label: format!("{} {}", measured.workload.id(), field.servers[place].label),
                series: place,
                value: median(&figures),
                spread: Some((low, high)),
                target: None,
            });
        }
    }
    Plot::Bars { title: title.to_owned(), unit: unit.to_owned(), bars, even: None, noise: None }
}

fn data(field: &Field, all: &[Measured]) -> Value {
    let workloads: Vec<Value> = all
        .iter()
        .map(|measured| {
            let servers: Vec<Value> = field
                .servers
                .iter()
                .zip(&measured.samples)
                .map(|(server, samples)| {
                    json!({ "server": server.label, "rounds": samples.iter().map(sample).collect::<Vec<_>>() })
                })
                .collect();
            json!({ "workload": measured.workload.id(), "requests": measured.requests, "servers": servers })
        })
        .collect();
    Value::from(workloads)
}

fn sample(sample: &Sample) -> Value {
    json!({
        "commands_per_second": sample.throughput,
        "p50_ms": sample.p50_ms,
        "p99_ms": sample.p99_ms,
        "p999_ms": sample.p999_ms,
        "cpu_us_per_command": sample.cpu_us,
    })
}
