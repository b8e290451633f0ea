//! The workloads: which are measured at which depth of pipelining, and one measured run.

use std::process::{Command, Stdio};

use crate::options::Options;
use crate::process::{Owned, Placement, Server};
use crate::rows::{Before, ROWS, Row};
use crate::subscribers::Subscribers;
use crate::{Outcome, parse, secure, tracked};

/// Those of strings and lists that have a target.
const WITH_TARGET: [(&str, u32); 9] = [
    ("get", 16),
    ("set", 16),
    ("incr", 16),
    ("lpush", 16),
    ("rpush", 16),
    ("lpop", 16),
    ("mset", 16),
    ("get", 1),
    ("set", 1),
];

/// Collections, streams, channels, caches of clients and scripts. What answers with many elements goes without a pipeline: sixteen such
/// replies on their way would measure memory.
const OF_TYPES: [(&str, u32); 24] = [
    ("sadd", 16),
    ("hset", 16),
    ("spop", 16),
    ("zadd", 16),
    ("zpopmin", 16),
    ("lrange_100", 16),
    ("lrange_300", 16),
    ("lrange_600", 16),
    ("xadd", 16),
    ("xreadgroup", 16),
    ("xack", 16),
    ("publish_1", 16),
    ("publish_100", 16),
    ("set_tracked", 16),
    ("eval", 16),
    ("sinter", 1),
    ("zunionstore", 1),
    ("bitcount", 1),
    ("bitop", 1),
    ("pfcount", 1),
    ("geosearch", 1),
    ("sort", 1),
    ("hgetall", 1),
    ("smembers", 1),
];

/// A row of the table at one depth of pipelining.
#[derive(Clone, Copy)]
pub struct Workload {
    row: &'static Row,
    /// Commands that a connection sends before it waits.
    pub pipeline: u32,
}

/// One measured run.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Commands a second.
    pub throughput: f64,
    /// Latencies in milliseconds; with a pipeline, of the whole batch.
    pub p50_ms: f64,
    /// 99 in 100 took no longer.
    pub p99_ms: f64,
    /// 999 in 1000 took no longer.
    pub p999_ms: f64,
    /// CPU time of the server's whole process, per command, in microseconds.
    pub cpu_us: f64,
}

/// Where the load of a run comes from, besides what the options say.
pub struct Load<'a> {
    /// The options of the run.
    pub options: &'a Options,
    /// The cores.
    pub placement: &'a Placement,
    /// Load generators at the same time. Processes and not its `--threads`: with threads,
    /// redis-benchmark ends only at its next look, every 250 ms, and its rate is off by as much.
    pub processes: u32,
}

impl Workload {
    /// The workloads that `wanted` names; those with a target when it is empty.
    pub fn select(wanted: &[String]) -> Outcome<Vec<Workload>> {
        if wanted.is_empty() {
            return WITH_TARGET.iter().map(|(name, pipeline)| Workload::new(name, *pipeline)).collect();
        }
        let mut selected = Vec::new();
        for item in wanted {
            match item.split_once('@') {
                _ if item == "all" => {
                    let pairs = ROWS.iter().map(|row| (row.name, 16)).chain([("get", 1), ("set", 1)]);
                    for (name, pipeline) in pairs {
                        selected.push(Workload::new(name, pipeline)?);
                    }
                }
                Some((name, pipeline)) => selected.push(Workload::new(name, pipeline.parse()?)?),
                None => {
                    let tables = WITH_TARGET.iter().chain(&OF_TYPES);
                    let known: Vec<u32> =
                        tables.filter(|(name, _)| name == item).map(|pair| pair.1).collect();
                    for pipeline in if known.is_empty() { vec![16] } else { known } {
                        selected.push(Workload::new(item, pipeline)?);
                    }
                }
            }
        }
        Ok(selected)
    }

    /// The workloads of mode types: those that `wanted` names, all of them when it is empty.
    pub fn of_types(wanted: &[String]) -> Outcome<Vec<Workload>> {
        if wanted.is_empty() {
            return OF_TYPES.iter().map(|(name, pipeline)| Workload::new(name, *pipeline)).collect();
        }
        Workload::select(wanted)
    }

    /// The workload of that name.
    pub fn new(name: &str, pipeline: u32) -> Outcome<Workload> {
        if pipeline == 0 || pipeline > 10_000 {
            return Err(format!("{name}@{pipeline}: a pipeline is 1 to 10000").into());
        }
        match Row::find(name) {
            Some(row) => Ok(Workload { row, pipeline }),
            None => Err(format!("unknown workload {name} (--help lists them)").into()),
        }
    }

    /// The row's name.
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Name and pipeline, as options and reports write it.
    pub fn id(&self) -> String {
        format!("{}@{}", self.row.name, self.pipeline)
    }

    /// Empties the server and gives it what the workload needs. What comes back is kept until the run is over.
    pub fn prepare(&self, server: &Server, options: &Options, requests: u64) -> Outcome<Option<Subscribers>> {
        let value = vec![b'x'; options.value_bytes];
        // A pipeline's last batches ask for a few more than is counted.
        let enough = requests + u64::from(options.clients) * u64::from(self.pipeline);
        self.row.prepare(server, options.keys, enough, &value)
    }

    /// Runs it once, on a server that is prepared, over `keys` random keys. With several load
    /// generators, connections and requests are shared out, throughput is the sum, and latencies
    /// are those of the slower.
    pub fn run(&self, server: &Server, load: &Load<'_>, keys: u64, requests: u64) -> Outcome<Sample> {
        if self.row.before == Before::StringsToTrack {
            if server.tls_port.is_some() {
                return Err(format!("{}: not measured over TLS", self.id()).into());
            }
            return tracked::run(server, load, self.pipeline, keys, requests);
        }
        server.wait_for_rest()?;
        let processes = u64::from(load.processes);
        let clients = (u64::from(load.options.clients) / processes).max(1);
        let each = requests / processes;
        let before = server.cpu_ns()?;
        let mut running = Vec::new();
        for _ in 0..processes {
            let mut command = self.command(server, load.options, keys, clients, each);
            running.push(Owned::spawn(&mut command, &load.placement.load_cores)?);
        }
        let mut sample = Sample { throughput: 0.0, p50_ms: 0.0, p99_ms: 0.0, p999_ms: 0.0, cpu_us: 0.0 };
        for process in running {
            let (status, output) = process.output()?;
            if !status.success() {
                return Err(format!("{}: redis-benchmark ended with {status}: {output}", self.id()).into());
            }
            let summary = parse::summary(&output)?;
            sample.throughput += summary.throughput;
            sample.p50_ms = sample.p50_ms.max(summary.p50_ms);
            sample.p99_ms = sample.p99_ms.max(summary.p99_ms);
            sample.p999_ms = sample.p999_ms.max(summary.p999_ms);
        }
        sample.cpu_us = (server.cpu_ns()? - before) as f64 / 1e3 / (each * processes) as f64;
        Ok(sample)
    }

    fn command(&self, server: &Server, options: &Options, keys: u64, clients: u64, requests: u64) -> Command {
        let mut command = Command::new(&options.redis_benchmark);
        let numbers = [
            ("-p", u64::from(server.tls_port.unwrap_or(server.port))),
            ("-c", clients),
            ("-n", requests),
            ("-P", u64::from(self.pipeline)),
            ("-r", keys),
            ("-d", options.value_bytes as u64),
            ("--precision", 3),
        ];
        command.args(["-h", "127.0.0.1"]);
        if server.tls_port.is_some() {
            command.args(secure::REDIS_BENCHMARK);
        }
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        command.args(self.row.asked).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// How many requests last about a round, from a short run on `server`.
    pub fn calibrate(&self, server: &Server, load: &Load<'_>, keys: u64) -> Outcome<u64> {
        if let Some(requests) = load.options.requests {
            return Ok(requests.min(self.row.most_requests()));
        }
        let trial = self.row.trial_requests(self.pipeline);
        let _held = self.prepare(server, load.options, trial)?;
        let sample = self.run(server, load, keys, trial)?;
        let wanted = sample.throughput * load.options.round.as_secs_f64();
        // Two figures are enough, and easier to repeat by hand.
        let unit = 10f64.powf(wanted.max(10.0).log10().floor() - 1.0);
        let rounded = (wanted / unit).round() * unit;
        Ok((rounded as u64).clamp(self.row.least_requests(), self.row.most_requests()))
    }
}
