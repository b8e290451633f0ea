//! The command line: what it may say, its defaults, and the help text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;

/// The help text; the defaults in it are those of `Options::default`.
pub const HELP: &str = "\
Compares Glasswing with other servers of the Redis family, side by side.

    cargo bench --bench compare -- [options]

  --mode LIST            workloads (default), types, workers, tls, everysec, always, keys, memory, expiry,
                         hold, eviction, users, used, soak, abuse, or all; everysec and always write to the folder that TMPDIR names,
                         or /tmp
  --workloads LIST       get,set,...: every pipeline of it that is in the table; get@1: that one;
                         'all' for every workload there is (see below)
  --rounds N             rounds of each workload (default 5)
  --round-seconds S      how long a round should last (default 2.5)
  --requests N           requests a round instead of the calibrated number
  --clients N            connections of the load (default 50)
  --value-bytes N        length of a value (default 64)
  --keys N               keys that the load picks from (default 100000)

  --glasswing PATH       our server (default: the one that cargo built)
  --glasswing-args ARGS  more arguments for it
  --workers N            its workers (default 1)
  --peer PATH[:LABEL[:ARGS]]  a server to compare with; may be given several times; the first is
                         the reference (default: redis-server)
  --peer-args ARGS       more arguments for every peer
  --control WHICH        what is started twice as the A/A control: peer (default), ours, none
  --redis-benchmark PATH the load generator (default: redis-benchmark)
  --load-processes N     how many of it at a time (default 1; 2 in mode workers)
  --server-cores LIST    cores of the servers (default: the first)
  --load-cores LIST      cores of the load (default: the others); in mode workers both have 0 and 1

  --max-keys N           the most keys of mode keys (default 10000000)
  --connections N        idle connections of mode memory (default 5000)
  --expiring N           keys that expire together in mode expiry (default 1000000)
  --hold-keys LIST       keys in mode hold (default 1000000,10000000)
  --hold-rate N          SETs a second in mode hold (default 20000)
  --soak-seconds N       how long mode soak lasts (default 300)
  --soak-limit-mb N      its limit of memory (default 1024)
  --idle N               idle connections of mode abuse (default 10000), a tenth as many slow ones
                         and a hundredth as many hostile ones
  --quick                small counts and short rounds: to try the program, not to measure
  --out DIR              where report.json and report.html go (default target/compare)

Workloads: ping set get incr lpush rpush lpop rpop sadd hset spop zadd zpopmin mset
lrange_100 lrange_300 lrange_500 lrange_600 xadd xreadgroup xack publish_1 publish_100 set_tracked eval
sinter zunionstore bitcount bitop pfcount geosearch sort hgetall smembers, at the limit of memory
set_lru set_lfu, and as a user with ten patterns get_user set_user, each with @PIPELINE (without: what its table says, else 16).
";

/// One kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// redis-benchmark's workloads, server and load on cores of their own.
    Workloads,
    /// The same for collections, streams, channels and scripts.
    Types,
    /// Two workers against two io-threads, every core shared with the load.
    Workers,
    /// GET over TLS, and new connections over TLS.
    Tls,
    /// SET with the append-only file, synced every second.
    Everysec,
    /// SET with the append-only file, synced before the reply.
    Always,
    /// CPU per pipelined GET as the number of keys grows.
    Keys,
    /// Resident bytes per key, connection and list.
    Memory,
    /// Many keys that expire in one second.
    Expiry,
    /// Latency while a save runs.
    Hold,
    /// SET at the limit of memory.
    Eviction,
    /// What the rules of a user cost.
    Users,
    /// Whether `used_memory` is what the process takes.
    Used,
    /// Mixed writes at a limit of memory.
    Soak,
    /// Clients that behave beside thousands that do not.
    Abuse,
}

const MODES: [(&str, Mode); 15] = [
    ("workloads", Mode::Workloads),
    ("types", Mode::Types),
    ("workers", Mode::Workers),
    ("tls", Mode::Tls),
    ("everysec", Mode::Everysec),
    ("always", Mode::Always),
    ("keys", Mode::Keys),
    ("memory", Mode::Memory),
    ("expiry", Mode::Expiry),
    ("hold", Mode::Hold),
    ("eviction", Mode::Eviction),
    ("users", Mode::Users),
    ("used", Mode::Used),
    ("soak", Mode::Soak),
    ("abuse", Mode::Abuse),
];

/// Which server is started twice, to show the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The first peer.
    Peer,
    /// Our own.
    Ours,
    /// No control.
    None,
}

/// A server that can be started.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// The binary, or a name to be found in PATH.
    pub path: PathBuf,
    /// What the report calls it; empty for the binary's name and version.
    pub label: String,
    /// Whether it understands our own options.
    pub ours: bool,
    /// Where its certificate and key are, where it is to listen for TLS as well.
    pub certificates: Option<PathBuf>,
    /// More arguments, after the common ones.
    pub args: Vec<String>,
}

/// Everything that a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to measure, in order.
    pub modes: Vec<Mode>,
    /// `name` or `name@pipeline`; empty for those that have a target.
    pub workloads: Vec<String>,
    /// Rounds of each workload.
    pub rounds: usize,
    /// What a round is calibrated to last.
    pub round: Duration,
    /// A fixed number of requests instead.
    pub requests: Option<u64>,
    /// Connections of the load.
    pub clients: u32,
    /// Length of a value.
    pub value_bytes: usize,
    /// Keys that the load picks from.
    pub keys: u64,
    /// Our server.
    pub glasswing: ServerSpec,
    /// Our server's workers.
    pub workers: u32,
    /// The servers to compare with; the first is the reference.
    pub peers: Vec<ServerSpec>,
    /// What is started twice.
    pub control: Control,
    /// The load generator.
    pub redis_benchmark: PathBuf,
    /// How many of it at a time, where the command line says.
    pub load_processes: Option<u32>,
    /// Cores of the servers.
    pub server_cores: Vec<usize>,
    /// Cores of the load.
    pub load_cores: Vec<usize>,
    /// The most keys of mode keys.
    pub max_keys: u64,
    /// Idle connections of mode memory.
    pub connections: usize,
    /// Keys that expire together.
    pub expiring: u64,
    /// Numbers of keys of mode hold.
    pub hold_keys: Vec<u64>,
    /// SETs a second in mode hold.
    pub hold_rate: u64,
    /// How long mode soak lasts.
    pub soak: Duration,
    /// Its limit of memory.
    pub soak_limit_bytes: u64,
    /// Idle connections of mode abuse.
    pub idle: usize,
    /// Small counts: nothing that is measured counts.
    pub quick: bool,
    /// Where the report goes.
    pub out: PathBuf,
    /// The command line as it was given.
    pub command_line: String,
}

impl Options {
    fn new(cores: usize) -> Options {
        let (server_cores, load_cores) = match cores {
            0 | 1 => (vec![0], vec![0]),
            more => (vec![0], (1..more).collect()),
        };
        Options {
            modes: vec![Mode::Workloads],
            workloads: Vec::new(),
            rounds: 5,
            round: Duration::from_millis(2500),
            requests: None,
            clients: 50,
            value_bytes: 64,
            keys: 100_000,
            glasswing: ServerSpec {
                path: PathBuf::from(env!("CARGO_BIN_EXE_glasswing")),
                label: String::new(),
                ours: true,
                certificates: None,
                args: Vec::new(),
            },
            workers: 1,
            peers: Vec::new(),
            control: Control::Peer,
            redis_benchmark: PathBuf::from("redis-benchmark"),
            load_processes: None,
            server_cores,
            load_cores,
            max_keys: 10_000_000,
            connections: 5_000,
            expiring: 1_000_000,
            hold_keys: vec![1_000_000, 10_000_000],
            hold_rate: 20_000,
            soak: Duration::from_secs(300),
            soak_limit_bytes: 1 << 30,
            idle: 10_000,
            quick: false,
            out: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare")),
            command_line: String::new(),
        }
    }

    /// Reads the arguments after the program's name. `None` when help was asked for.
    pub fn parse(args: Vec<String>, cores: usize) -> Outcome<Option<Options>> {
        let mut options = Options::new(cores);
        let args: Vec<String> = args.into_iter().filter(|arg| arg != "--bench").collect();
        options.command_line = command_line(&args);
        let mut peer_args = Vec::new();
        let mut rest = args.into_iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => options.be_quick(),
                _ => {
                    let value = rest
                        .next()
                        .ok_or_else(|| format!("{name} wants a value (--help lists the options)"))?;
                    if name == "--peer-args" {
                        peer_args = words(&value);
                    } else {
                        options.set(&name, &value)?;
                    }
                }
            }
        }
        if options.peers.is_empty() {
            options.peers.push(peer("redis-server"));
        }
        for peer in &mut options.peers {
            peer.args.extend(peer_args.iter().cloned());
        }
        Ok(Some(options))
    }

    fn be_quick(&mut self) {
        self.quick = true;
        self.rounds = 3;
        self.round = Duration::from_millis(200);
        self.max_keys = 100_000;
        self.connections = 200;
        self.expiring = 100_000;
        self.hold_keys = vec![100_000];
        self.soak = Duration::from_secs(16);
        self.soak_limit_bytes = 64 << 20;
        self.idle = 500;
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        match name {
            "--mode" => self.modes = modes(value)?,
            "--workloads" => self.workloads = value.split(',').map(str::to_owned).collect(),
            "--rounds" => self.rounds = within(name, value, 1, 1_000)?,
            "--round-seconds" => self.round = Duration::from_millis((value.parse::<f64>()? * 1e3) as u64),
            "--requests" => self.requests = Some(within(name, value, 1, 1_000_000_000)?),
            "--clients" => self.clients = within(name, value, 1, 10_000)?,
            "--value-bytes" => self.value_bytes = within(name, value, 1, 1 << 20)?,
            "--keys" => self.keys = within(name, value, 1, 100_000_000)?,
            "--glasswing" => {
                self.glasswing = ours(value);
                if !self.glasswing.ours {
                    eprintln!(
                        "note: {value} is not called glasswing, so it gets none of our own options (--workers)"
                    );
                }
            }
            "--glasswing-args" => self.glasswing.args = words(value),
            "--workers" => self.workers = within(name, value, 1, 1_024)?,
            "--peer" => self.peers.push(peer(value)),
            "--control" => self.control = control(value)?,
            "--redis-benchmark" => self.redis_benchmark = PathBuf::from(value),
            "--load-processes" => self.load_processes = Some(within(name, value, 1, 500)?),
            "--server-cores" => self.server_cores = list(value)?,
            "--load-cores" => self.load_cores = list(value)?,
            "--max-keys" => self.max_keys = within(name, value, 1_000, 100_000_000)?,
            "--connections" => self.connections = within(name, value, 1, 20_000)?,
            "--expiring" => self.expiring = within(name, value, 1, 20_000_000)?,
            "--hold-keys" => self.hold_keys = list(value)?,
            "--hold-rate" => self.hold_rate = within(name, value, 1, 200_000)?,
            "--soak-seconds" => self.soak = Duration::from_secs(within(name, value, 8, 86_400)?),
            "--soak-limit-mb" => self.soak_limit_bytes = within(name, value, 32, 65_536)? << 20,
            "--idle" => self.idle = within(name, value, 100, 15_000)?,
            "--out" => self.out = PathBuf::from(value),
            _ => return Err(format!("unknown option {name} (--help lists them)").into()),
        }
        Ok(())
    }
}

fn command_line(args: &[String]) -> String {
    let mut line = "cargo bench --bench compare".to_owned();
    if !args.is_empty() {
        line.push_str(" --");
    }
    for arg in args {
        line.push(' ');
        if arg.is_empty() || arg.contains([' ', '"']) {
            line.push_str(&format!("'{arg}'"));
        } else {
            line.push_str(arg);
        }
    }
    line
}

fn modes(value: &str) -> Outcome<Vec<Mode>> {
    if value == "all" {
        return Ok(MODES.iter().map(|(_, mode)| *mode).collect());
    }
    value
        .split(',')
        .map(|name| {
            let known = MODES.iter().find(|(known, _)| *known == name);
            known.map(|(_, mode)| *mode).ok_or_else(|| format!("unknown mode {name}").into())
        })
        .collect()
}

fn control(value: &str) -> Outcome<Control> {
    match value {
        "peer" => Ok(Control::Peer),
        "ours" => Ok(Control::Ours),
        "none" => Ok(Control::None),
        _ => Err(format!("--control is peer, ours or none, not {value}").into()),
    }
}

/// Our own options are for a binary of our name only: anything else may stand in for it while
/// the benchmark itself is worked on.
fn ours(path: &str) -> ServerSpec {
    let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    ServerSpec {
        path: PathBuf::from(path),
        label: String::new(),
        ours: stem.is_some_and(|stem| stem.starts_with("glasswing")),
        certificates: None,
        args: Vec::new(),
    }
}

fn peer(value: &str) -> ServerSpec {
    let mut parts = value.splitn(3, ':');
    let path = parts.next().unwrap_or_default();
    let label = parts.next().unwrap_or_default().to_owned();
    let args = parts.next().map(words).unwrap_or_default();
    ServerSpec { label, args, ..ours(path) }
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

fn list<T: std::str::FromStr<Err = std::num::ParseIntError>>(value: &str) -> Outcome<Vec<T>> {
    value.split(',').map(|item| Ok(item.trim().parse::<T>()?)).collect()
}

fn within<T>(name: &str, value: &str, least: T, most: T) -> Outcome<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + PartialOrd + std::fmt::Display,
{
    let number: T = value.parse().map_err(|error| format!("{name} {value}: {error}"))?;
    if number < least || number > most {
        return Err(format!("{name} is {least} to {most}, not {value}").into());
    }
    Ok(number)
}
