//! Whether clients that behave keep their latency while thousands are idle, a tenth as many send and read by the byte,
//! and a hundredth as many do what no client should. All of them are in this process, paced so that most of their core
//! stays free: what is measured is the server, not the want of a core for the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::spin::Random;
use super::{facts, order, placement, specs};
use crate::options::Options;
use crate::process::{Server, raise_file_limit, run_on};
use crate::report::{Section, ServerFacts, Table, Verdict, grouped};
use crate::resp::encode;
use crate::stats::{Histogram, median};
use crate::{Outcome, acceptance, fill};

/// Clients that behave, and how often each asks.
const GOOD: usize = 50;
const GOOD_EVERY: Duration = Duration::from_millis(10);
/// How long they are watched, alone and then beside the others.
const WATCHED: Duration = Duration::from_secs(10);
/// Between two bytes of a slow client.
const SLOW_EVERY: Duration = Duration::from_millis(500);
/// Between two deeds of a hostile client.
const HOSTILE_EVERY: Duration = Duration::from_millis(100);
/// What slow and hostile clients ask for.
const LARGE_BYTES: usize = 256 * 1024;
const KEYS: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// How many there are of each.
#[derive(Clone, Copy)]
struct Crowd {
    idle: usize,
    slow: usize,
    hostile: usize,
}

/// One run on one server.
struct Run {
    alone: Histogram,
    beside: Histogram,
    resident_alone: u64,
    resident_most: u64,
    deeds: u64,
    /// Of a hundred idle connections, those that answered in the end.
    answered: usize,
    cpu_alone_us: f64,
    cpu_beside_us: f64,
}

impl Run {
    fn ratio(&self) -> f64 {
        self.beside.percentile_us(99.0) / self.alone.percentile_us(99.0)
    }
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let crowd = Crowd { idle: options.idle, slow: options.idle / 10, hostile: options.idle / 100 };
    let clients = crowd.idle + crowd.slow + crowd.hostile + GOOD;
    raise_file_limit(clients as u64 + 200)?;
    let placement = placement(options);
    let count = specs(options).len();
    let mut runs: Vec<Vec<Run>> = (0..count).map(|_| Vec::new()).collect();
    let mut servers: Vec<Option<ServerFacts>> = vec![None; count];
    for round in 0..options.rounds.min(3) {
        for place in order(round, count) {
            let mut spec = specs(options)[place].clone();
            spec.args.extend(["--maxclients".to_owned(), (clients + 100).to_string()]);
            let server = Server::start(&spec, &placement)?;
            let run = one(&server, options, crowd)?;
            eprintln!(
                "{}: p99 {:.0} us alone, {:.0} beside {clients} others",
                server.label,
                run.alone.percentile_us(99.0),
                run.beside.percentile_us(99.0)
            );
            servers[place] = Some(facts(&server)?);
            runs[place].push(run);
        }
    }
    let servers: Vec<ServerFacts> = servers.into_iter().flatten().collect();
    Ok((section(options, crowd, &servers, &runs), servers))
}

fn one(server: &Server, options: &Options, crowd: Crowd) -> Outcome<Run> {
    let mut client = server.connect()?;
    fill::strings(&mut client, 0..KEYS, &[b'x'; 64])?;
    fill::each(&mut client, 0..1, |out, _| encode(out, &[b"SET", b"large", &[b'x'; LARGE_BYTES]]))?;
    let deeds = Arc::new(AtomicU64::new(0));
    let (alone, cpu_alone_us) = watch(server)?;
    let resident_alone = server.rss_bytes()?;

    let (ready, is_ready) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let (port, cores, counted) = (server.port, options.load_cores.clone(), Arc::clone(&deeds));
    let others = std::thread::spawn(move || -> Outcome<usize> {
        run_on(&cores)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let idle = gather(port, crowd, counted).await?;
            ready.send(()).map_err(|_| "nobody waits")?;
            let _ = stopped.await;
            Outcome::Ok(still_there(idle).await)
        })
    });
    // If they could not gather, their own error says why.
    let gathered = is_ready.recv_timeout(PATIENCE).is_ok();
    let (beside, cpu_beside_us) = if gathered { watch(server)? } else { (Histogram::new(), f64::NAN) };
    let resident_most = server.peak_rss_bytes()?;
    let _ = stop.send(());
    let answered = others.join().map_err(|_| "the crowd's thread panicked")??;
    Ok(Run {
        alone,
        beside,
        resident_alone,
        resident_most,
        deeds: deeds.load(Ordering::Relaxed),
        answered,
        cpu_alone_us,
        cpu_beside_us,
    })
}

/// Those who behave, for a while: their latencies, and the server's CPU time for each second in microseconds.
fn watch(server: &Server) -> Outcome<(Histogram, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = server.cpu_ns()?;
    let began = Instant::now();
    let histogram = runtime.block_on(async {
        let tasks: Vec<_> = (0..GOOD)
            .map(|number| tokio::spawn(behave(server.port, number as u64, began + WATCHED)))
            .collect();
        let mut all = Histogram::new();
        for task in tasks {
            for nanos in task.await?? {
                all.record(nanos);
            }
        }
        Outcome::Ok(all)
    })?;
    Ok((histogram, (server.cpu_ns()? - before) as f64 / 1e3 / began.elapsed().as_secs_f64()))
}

/// GETs and SETs at a fixed rate. One that could not be sent when it was due, because the one before it was not
/// answered yet, counts from when it was due.
async fn behave(port: u16, number: u64, until: Instant) -> Outcome<Vec<u64>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut random = Random::seeded(number);
    let (mut taken, mut out, mut bytes) = (Vec::new(), Vec::new(), [0; 256]);
    let mut due = Instant::now() + GOOD_EVERY.mul_f64(number as f64 / GOOD as f64);
    while due < until {
        let was_late = Instant::now() > due;
        sleep_until(due).await;
        out.clear();
        let key = fill::key(random.below(KEYS));
        let reads = random.below(2) == 0;
        if reads {
            encode(&mut out, &[b"GET", &key]);
        } else {
            encode(&mut out, &[b"SET", &key, &[b'y'; 64]]);
        }
        let from = if was_late { due } else { Instant::now() };
        stream.write_all(&out).await?;
        let wanted = if reads { b"$64\r\n".len() + 64 + 2 } else { b"+OK\r\n".len() };
        let mut got = 0;
        while got < wanted {
            match stream.read(&mut bytes[got..]).await? {
                0 => return Err("a client that behaves was disconnected".into()),
                count => got += count,
            }
        }
        taken.push(u64::try_from(from.elapsed().as_nanos())?);
        due += GOOD_EVERY;
    }
    Ok(taken)
}

/// Lets everybody else connect and begin. The idle ones are returned once all are there.
async fn gather(port: u16, crowd: Crowd, deeds: Arc<AtomicU64>) -> Outcome<Vec<TcpStream>> {
    let mut idle = Vec::with_capacity(crowd.idle);
    for number in 0..crowd.idle {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        if number % 2 == 0 {
            ping(&mut stream).await?;
        }
        idle.push(stream);
    }
    for number in 0..crowd.slow {
        tokio::spawn(async move {
            // A server that has enough of one gets the next.
            loop {
                let _ = if number % 2 == 0 { write_slowly(port).await } else { read_slowly(port).await };
                sleep(SLOW_EVERY).await;
            }
        });
    }
    for number in 0..crowd.hostile {
        let deeds = Arc::clone(&deeds);
        tokio::spawn(async move {
            let mut random = Random::seeded(number as u64);
            loop {
                sleep(HOSTILE_EVERY.mul_f64(random.below(2_000) as f64 / 1e3)).await;
                // Refusals and disconnections are what it is after.
                let _ = timeout(PATIENCE, harm(port, random.below(9))).await;
                deeds.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    Ok(idle)
}

async fn ping(stream: &mut TcpStream) -> Outcome<()> {
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").await?;
    let mut reply = [0; 7];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await??;
    if reply == *b"+PONG\r\n" { Ok(()) } else { Err("PING was not answered".into()) }
}

/// Of a hundred idle connections, those that are served.
async fn still_there(idle: Vec<TcpStream>) -> usize {
    let step = (idle.len() / 100).max(1);
    let mut answered = 0;
    for mut stream in idle.into_iter().step_by(step).take(100) {
        answered += usize::from(ping(&mut stream).await.is_ok());
    }
    answered
}

/// A SET, byte by byte.
async fn write_slowly(port: u16) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut command = Vec::new();
    encode(&mut command, &[b"SET", b"slow", b"0123456789abcdef"]);
    for byte in command {
        stream.write_all(&[byte]).await?;
        sleep(SLOW_EVERY).await;
    }
    Ok(())
}

/// A large value, some bytes at a time.
async fn read_slowly(port: u16) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n").await?;
    let mut bytes = [0; 512];
    for _ in 0..LARGE_BYTES / bytes.len() {
        stream.read_exact(&mut bytes).await?;
        sleep(SLOW_EVERY).await;
    }
    Ok(())
}

/// What no client should do, on a connection of its own.
async fn harm(port: u16, which: u64) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let held = Duration::from_millis(500);
    match which {
        // No protocol at all.
        0 => stream.write_all(&[0xff; 4096]).await?,
        // A request that announces half a gigabyte a million times.
        1 => {
            stream.write_all(b"*1048576\r\n$4\r\nMSET\r\n$536870912\r\nx").await?;
            sleep(held).await;
        }
        // Fifty megabytes of replies that nobody reads.
        2 => {
            stream.write_all(&b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(200)).await?;
            sleep(held).await;
        }
        // A line without an end.
        3 => stream.write_all(&[b'x'; 70_000]).await?,
        // Half of a large value.
        4 => {
            stream.write_all(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1000000\r\n").await?;
            stream.write_all(&vec![b'x'; 500_000]).await?;
            sleep(held).await;
        }
        // Passwords, guessed.
        5 => {
            stream.write_all(&b"*3\r\n$4\r\nAUTH\r\n$4\r\nroot\r\n$6\r\nsecret\r\n".repeat(50)).await?;
            stream.read_exact(&mut [0; 500]).await.map(drop)?;
        }
        // A transaction that is never run.
        6 => {
            stream.write_all(b"MULTI\r\n").await?;
            stream.write_all(&b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n".repeat(500)).await?;
            sleep(held).await;
        }
        // A thousand commands at once, and gone before the first reply.
        7 => stream.write_all(&b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n".repeat(1_000)).await?,
        // Come and gone.
        _ => {}
    }
    // With a reset: a port of this machine is free again at once.
    stream.set_zero_linger()?;
    Ok(())
}

fn section(options: &Options, crowd: Crowd, servers: &[ServerFacts], runs: &[Vec<Run>]) -> Section {
    let mut table = Table::new(
        "Those who behave, microseconds from sending to the whole reply",
        &[
            "server",
            "round",
            "alone p50",
            "p99",
            "p99.9",
            "beside p50",
            "p99",
            "p99.9",
            "p99 beside/alone",
            "server CPU alone, beside, % of a core",
            "resident MB alone, most",
            "deeds",
            "idle that answer, of 100",
        ],
    );
    let megabytes = |bytes: u64| grouped(bytes as f64 / f64::from(1 << 20));
    let mut data = Vec::new();
    for (server, runs) in servers.iter().zip(runs) {
        for (round, run) in runs.iter().enumerate() {
            let mut row = vec![server.label.clone(), (round + 1).to_string()];
            for histogram in [&run.alone, &run.beside] {
                row.extend(
                    [50.0, 99.0, 99.9].map(|percent| format!("{:.0}", histogram.percentile_us(percent))),
                );
            }
            row.push(format!("{:.2}", run.ratio()));
            row.push(format!("{:.0}, {:.0}", run.cpu_alone_us / 1e4, run.cpu_beside_us / 1e4));
            row.push(format!("{}, {}", megabytes(run.resident_alone), megabytes(run.resident_most)));
            row.push(grouped(run.deeds as f64));
            row.push(run.answered.to_string());
            table.rows.push(row);
            let figures = |of: &Histogram| json!([50.0, 99.0, 99.9].map(|percent| of.percentile_us(percent)));
            data.push(json!({
                "server": server.label, "alone_us": figures(&run.alone), "beside_us": figures(&run.beside),
                "resident_alone": run.resident_alone, "resident_most": run.resident_most, "deeds": run.deeds,
                "answered": run.answered,
            }));
        }
    }
    let ratios: Vec<f64> = runs[0].iter().map(Run::ratio).collect();
    let spread = ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), one| (low.min(*one), high.max(*one)));
    Section {
        id: "abuse",
        title: format!("{GOOD} clients that behave beside many that do not"),
        notes: vec![format!(
            "Each of the {GOOD} sends a GET or a SET every {} ms, {} s alone and {} s beside {} idle connections, {} that write or read by the byte, and {} that send garbage, announce what does not come, do not read, guess passwords or come and go. Servers on cores {:?}, all clients on {:?}.",
            GOOD_EVERY.as_millis(),
            WATCHED.as_secs(),
            WATCHED.as_secs(),
            grouped(crowd.idle as f64),
            grouped(crowd.slow as f64),
            crowd.hostile,
            options.server_cores,
            options.load_cores
        )],
        tables: vec![table],
        verdicts: vec![Verdict {
            what: "p99 beside the others over p99 alone".to_owned(),
            target: acceptance::ABUSE_P99_RATIO,
            measured: median(&ratios),
            spread: Some(spread),
            unit: "x",
        }],
        data: Value::from(data),
        ..Section::default()
    }
}
