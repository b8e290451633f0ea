//! The workloads: how redis-benchmark is asked for each, what the server holds before it, and
//! one measured run of it.

use std::process::{Command, Stdio};

use crate::options::Options;
use crate::process::{Owned, Placement, Server};
use crate::{Outcome, fill, parse};

/// What the server holds when a workload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing.
    Empty,
    /// Every key that the load may pick, as a string.
    Strings,
    /// Every counter that the load may pick, at 0.
    Counters,
    /// A list with an element for every request.
    ListToEmpty,
    /// A list of a thousand elements.
    ListToRead,
    /// A set with a member for every request.
    SetToEmpty,
    /// A sorted set with a member for every request.
    SortedSetToEmpty,
}

struct Row {
    name: &'static str,
    /// What redis-benchmark's `-t` calls it, or the command itself.
    asked: &'static [&'static str],
    before: Before,
}

const fn row(name: &'static str, asked: &'static [&'static str], before: Before) -> Row {
    Row { name, asked, before }
}

const ROWS: [Row; 17] = [
    row("ping", &["-t", "ping_mbulk"], Before::Empty),
    row("set", &["-t", "set"], Before::Strings),
    row("get", &["-t", "get"], Before::Strings),
    row("incr", &["-t", "incr"], Before::Counters),
    row("lpush", &["-t", "lpush"], Before::Empty),
    row("rpush", &["-t", "rpush"], Before::Empty),
    row("lpop", &["-t", "lpop"], Before::ListToEmpty),
    row("rpop", &["-t", "rpop"], Before::ListToEmpty),
    row("sadd", &["-t", "sadd"], Before::Empty),
    row("hset", &["-t", "hset"], Before::Empty),
    row("spop", &["-t", "spop"], Before::SetToEmpty),
    row("zadd", &["-t", "zadd"], Before::Empty),
    row("zpopmin", &["-t", "zpopmin"], Before::SortedSetToEmpty),
    row("mset", &["-t", "mset"], Before::Strings),
    // With -t, redis-benchmark would push the list in the same run, and the server's CPU time
    // would be that of both.
    row("lrange_100", &["LRANGE", "mylist", "0", "99"], Before::ListToRead),
    row("lrange_300", &["LRANGE", "mylist", "0", "299"], Before::ListToRead),
    row("lrange_500", &["LRANGE", "mylist", "0", "499"], Before::ListToRead),
];

/// Those that the tables of the issue name.
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
                    let known: Vec<u32> =
                        WITH_TARGET.iter().filter(|(name, _)| name == item).map(|pair| pair.1).collect();
                    for pipeline in if known.is_empty() { vec![16] } else { known } {
                        selected.push(Workload::new(item, pipeline)?);
                    }
                }
            }
        }
        Ok(selected)
    }

    /// The workload of that name.
    pub fn new(name: &str, pipeline: u32) -> Outcome<Workload> {
        if pipeline == 0 || pipeline > 10_000 {
            return Err(format!("{name}@{pipeline}: a pipeline is 1 to 10000").into());
        }
        match ROWS.iter().find(|row| row.name == name) {
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

    /// The most requests of a run: those that empty a collection need it filled before.
    pub fn most_requests(&self) -> u64 {
        match self.row.before {
            Before::ListToEmpty => 3_000_000,
            Before::SetToEmpty | Before::SortedSetToEmpty => 1_000_000,
            _ => 20_000_000,
        }
    }

    /// Empties the server and gives it what the workload needs.
    pub fn prepare(&self, server: &Server, options: &Options, requests: u64) -> Outcome<()> {
        let mut client = server.connect()?;
        client.command(&["FLUSHALL", "SYNC"])?;
        let value = vec![b'x'; options.value_bytes];
        // A pipeline's last batches ask for a few more than is counted.
        let enough = requests + u64::from(options.clients) * u64::from(self.pipeline);
        match self.row.before {
            Before::Empty => Ok(()),
            Before::Strings => fill::strings(&mut client, 0..options.keys, &value),
            Before::Counters => fill::counters(&mut client, options.keys),
            Before::ListToEmpty => fill::list(&mut client, b"mylist", enough, &value),
            Before::ListToRead => fill::list(&mut client, b"mylist", 1_000, &value),
            Before::SetToEmpty => fill::set(&mut client, enough),
            Before::SortedSetToEmpty => fill::sorted_set(&mut client, enough),
        }
    }

    /// Runs it once, on a server that is prepared, over `keys` random keys. With several load
    /// generators, connections and requests are shared out, throughput is the sum, and latencies
    /// are those of the slower.
    pub fn run(&self, server: &Server, load: &Load<'_>, keys: u64, requests: u64) -> Outcome<Sample> {
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
            ("-p", u64::from(server.port)),
            ("-c", clients),
            ("-n", requests),
            ("-P", u64::from(self.pipeline)),
            ("-r", keys),
            ("-d", options.value_bytes as u64),
            ("--precision", 3),
        ];
        command.args(["-h", "127.0.0.1"]);
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        command.args(self.row.asked).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// How many requests last about a round, from a short run on `server`.
    pub fn calibrate(&self, server: &Server, load: &Load<'_>, keys: u64) -> Outcome<u64> {
        if let Some(requests) = load.options.requests {
            return Ok(requests.min(self.most_requests()));
        }
        let trial = if self.pipeline > 1 { 100_000 } else { 20_000 };
        self.prepare(server, load.options, trial)?;
        let sample = self.run(server, load, keys, trial)?;
        let wanted = sample.throughput * load.options.round.as_secs_f64();
        // Two figures are enough, and easier to repeat by hand.
        let unit = 10f64.powf(wanted.max(10.0).log10().floor() - 1.0);
        let rounded = (wanted / unit).round() * unit;
        Ok((rounded as u64).clamp(10_000, self.most_requests()))
    }
}
