//! What TLS costs: CPU per GET on connections that are there, and new connections a second.
//!
//! New connections come twice. With server and load on cores of their own, one worker: what counts is the CPU of one.
//! With two workers and every core shared by all: what counts is how many there are in a second, the load's part of
//! the cores included.

use serde_json::{Value, json};

use super::workloads::{CPU, Focus, cores, run_apart};
use super::{Field, order, placement};
use crate::newcomers::{self, Sample};
use crate::options::Options;
use crate::process::Placement;
use crate::report::{Section, ServerFacts, Table, Verdict, grouped};
use crate::secure::{Certificates, Opener};
use crate::stats::{Ratio, median, ratio};
use crate::workload::Workload;
use crate::{Outcome, acceptance};

/// Connections of the run that shows how fast they come, and the most of a round: each leaves a port behind that
/// the kernel does not give out again for a while.
const TRIAL: u64 = 500;
const MOST: u64 = 15_000;

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let certificates = Certificates::new()?;
    let mut options = options.clone();
    for spec in std::iter::once(&mut options.glasswing).chain(&mut options.peers) {
        spec.certificates = Some(certificates.folder().to_owned());
    }
    let focus =
        Focus { target: |workload| acceptance::tls_cpu_ratio(workload.name(), workload.pipeline), ..CPU };
    let workloads = match options.workloads.is_empty() {
        true => vec![Workload::new("get", 16)?, Workload::new("get", 1)?],
        false => Workload::select(&options.workloads)?,
    };
    let (mut section, mut facts) = run_apart(&options, "tls", "Over TLS", &workloads, &focus)?;
    section.notes.push(
        "redis-benchmark and the servers have one version and one suite of ciphers to choose from. A new connection \
         is opened, makes a full handshake (a client that resumed a session would be a failure), is answered one \
         PING, and closed, as many at a time as there are connections above; clients show no certificate and do not \
         check the server's, which has a key on P-256."
            .to_owned(),
    );
    let opener = Opener::new()?;
    let apart = placement(&options);
    let every: Vec<usize> = (0..2).collect();
    let shared =
        Placement { server_cores: every.clone(), load_cores: every, workers: options.workers.max(2) };
    let mut found = json!({ "workloads": section.data });
    for (name, placement) in [("new_connections_apart", apart), ("new_connections_shared", shared)] {
        let came = Newcomers::measure(&options, &opener, placement)?;
        section.notes.extend(came.agreed.iter().cloned());
        section.tables.extend(came.tables());
        section.verdicts.extend(came.verdict());
        found[name] = came.data();
        facts.extend(came.field.facts()?);
    }
    section.data = found;
    Ok((section, facts))
}

/// New connections under one placement.
struct Newcomers {
    field: Field,
    placement: Placement,
    count: u64,
    /// What each server agreed on.
    agreed: Vec<String>,
    /// By server, then by round.
    samples: Vec<Vec<Sample>>,
}

impl Newcomers {
    fn measure(options: &Options, opener: &Opener, placement: Placement) -> Outcome<Newcomers> {
        let field = Field::start(options, &placement)?;
        let agreed = field.servers.iter().map(|server| -> Outcome<String> {
            let opened = opener.open(server.tls_port.ok_or("the server does not listen for TLS")?)?;
            let agreed = format!("{}: {}.", server.label, opened.agreed());
            opened.close()?;
            Ok(agreed)
        });
        let agreed = agreed.collect::<Outcome<Vec<String>>>()?;
        let come = |place: usize, count| {
            newcomers::run(&field.servers[place], opener, &placement, options.clients, count)
        };
        let count = match options.requests {
            Some(requests) => requests.min(MOST),
            None => {
                let wanted = come(1, TRIAL)?.rate * options.round.as_secs_f64();
                ((wanted / 100.0).round() as u64 * 100).clamp(TRIAL, MOST)
            }
        };
        let mut samples = vec![Vec::new(); field.servers.len()];
        for round in 0..options.rounds {
            for place in order(round, field.servers.len()) {
                samples[place].push(come(place, count)?);
            }
            let now: Vec<String> =
                samples.iter().map(|of| format!("{:.0}/s {:.1}", of[round].rate, of[round].cpu_us)).collect();
            eprintln!("new connections round {}: rate and CPU us of one {}", round + 1, now.join(", "));
        }
        Ok(Newcomers { field, placement, count, agreed, samples })
    }

    fn is_shared(&self) -> bool {
        self.placement.server_cores == self.placement.load_cores
    }

    fn figures(&self, server: usize, pick: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples[server].iter().map(pick).collect()
    }

    fn ratio(&self, one: usize, other: usize, pick: fn(&Sample) -> f64) -> Ratio {
        ratio(&self.figures(one, pick), &self.figures(other, pick))
    }

    fn tables(&self) -> [Table; 2] {
        let place = format!("{} worker(s) of ours, {}", self.placement.workers, cores(&self.placement));
        let mut figures = Table::new(
            &format!("New connections: medians of all rounds, {place}"),
            &["server", "connections", "connections/s", "p50 ms", "p99 ms", "CPU µs/connection"],
        );
        for (place, server) in self.field.servers.iter().enumerate() {
            let figure = |pick| median(&self.figures(place, pick));
            figures.rows.push(vec![
                server.label.clone(),
                grouped(self.count as f64),
                grouped(figure(|sample| sample.rate)),
                format!("{:.3}", figure(|sample| sample.p50_ms)),
                format!("{:.3}", figure(|sample| sample.p99_ms)),
                format!("{:.1}", figure(|sample| sample.cpu_us)),
            ]);
        }
        let mut ratios = Table::new(
            &format!("New connections: ratios of medians, {place}"),
            &["of", "over", "connections/s", "CPU per connection"],
        );
        let words =
            |ratio: Ratio| format!("{:.3} ({:.3} to {:.3})", ratio.of_medians, ratio.lowest, ratio.highest);
        for (one, other) in self.field.pairs() {
            ratios.rows.push(vec![
                self.field.servers[one].label.clone(),
                self.field.servers[other].label.clone(),
                words(self.ratio(one, other, |sample| sample.rate)),
                words(self.ratio(one, other, |sample| sample.cpu_us)),
            ]);
        }
        [figures, ratios]
    }

    /// The target is about two workers: with one, it is the load's own core that ends it.
    fn verdict(&self) -> Option<Verdict> {
        let ratio = self.ratio(0, 1, |sample| sample.rate);
        self.is_shared().then(|| Verdict {
            what: format!(
                "new connections a second, {} workers, over {}",
                self.placement.workers, self.field.servers[1].label
            ),
            target: acceptance::TLS_CONNECTIONS_RATIO,
            measured: ratio.of_medians,
            spread: Some((ratio.lowest, ratio.highest)),
            unit: "x",
        })
    }

    fn data(&self) -> Value {
        let servers = self.field.servers.iter().zip(&self.samples);
        let servers = servers.map(|(server, samples)| {
            let rounds = samples.iter().map(|sample| {
                json!({
                    "connections_per_second": sample.rate,
                    "p50_ms": sample.p50_ms,
                    "p99_ms": sample.p99_ms,
                    "cpu_us_per_connection": sample.cpu_us,
                })
            });
            json!({ "server": server.label, "rounds": rounds.collect::<Vec<_>>() })
        });
        json!({ "connections": self.count, "agreed": self.agreed, "servers": servers.collect::<Vec<_>>() })
    }
}
