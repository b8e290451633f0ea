//! Many keys that expire in one second: how long until they are gone though nobody touches them,
//! and what another client notices meanwhile.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::spin::{self, Gaps, Random};
use super::{facts, order, placement, specs};
use crate::options::Options;
use crate::process::Server;
use crate::report::{Axis, Plot, Section, Series, ServerFacts, Table, Verdict, grouped};
use crate::resp::{Reply, Spinner, encode};
use crate::stats::{Histogram, median};
use crate::{Outcome, acceptance, fill};

/// Keys of the other client; they do not expire.
const OTHERS: u64 = 10_000;
/// How long the other client is watched before and after.
const AROUND: Duration = Duration::from_secs(3);
/// After this the keys that are left are reported as never gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often DBSIZE is asked, and the width of a point in the plot.
const ASK_EVERY: Duration = Duration::from_millis(10);
const POINT: Duration = Duration::from_millis(100);

/// One run on one server.
struct Run {
    /// Until DBSIZE said that they are gone; NaN if it never did.
    gone_seconds: f64,
    /// The other client's latencies before, during and after.
    phases: [Histogram; 3],
    /// Pauses of the other client's own thread during the whole run.
    gaps: Gaps,
    /// Seconds from the expiry, p99.9 in microseconds.
    points: Vec<(f64, f64)>,
    /// Seconds from the expiry, keys left.
    left: Vec<(f64, f64)>,
}

impl Run {
    fn p999_ratio(&self) -> f64 {
        self.phases[1].percentile_us(99.9) / self.phases[0].percentile_us(99.9)
    }
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let control = spin::control(&placement.server_cores, &placement.load_cores)?;
    let count = specs(options).len();
    let mut runs: Vec<Vec<Run>> = (0..count).map(|_| Vec::new()).collect();
    let mut servers: Vec<Option<ServerFacts>> = vec![None; count];
    let rounds = options.rounds.min(3);
    for round in 0..rounds {
        for place in order(round, count) {
            let server = Server::start(specs(options)[place], &placement)?;
            let run = one(&server, options)?;
            eprintln!("{}: {} keys gone after {:.2} s", server.label, options.expiring, run.gone_seconds);
            runs[place].push(run);
            servers[place] = Some(facts(&server)?);
        }
    }
    let servers: Vec<ServerFacts> = servers.into_iter().flatten().collect();
    Ok((section(options, &servers, &runs, control), servers))
}

/// Fills the server with keys that expire at one second, and watches.
fn one(server: &Server, options: &Options) -> Outcome<Run> {
    let value = vec![b'x'; options.value_bytes];
    let mut client = server.connect()?;
    let started = Instant::now();
    let other = |index: u64| format!("other:{index:010}");
    fill::each(&mut client, 0..OTHERS, |out, index| encode(out, &[b"SET", other(index).as_bytes(), &value]))?;
    let mut needed = started.elapsed().mul_f64(1.5 * options.expiring as f64 / OTHERS as f64);
    // A machine that is busy meanwhile may need longer than was foreseen: then again, with more.
    for _ in 0..4 {
        let at = unix_now()?.as_secs() + needed.as_secs() + 2 * AROUND.as_secs() + 1;
        let at_text = at.to_string();
        fill::each(&mut client, 0..options.expiring, |out, index| {
            encode(out, &[b"SET", &fill::key(index), &value, b"EXAT", at_text.as_bytes()]);
        })?;
        let left = Duration::from_secs(at).checked_sub(unix_now()?);
        match left {
            Some(left) if left > AROUND => {
                std::thread::sleep(left - AROUND);
                return watch(server, options, Instant::now() + AROUND);
            }
            _ => needed *= 2,
        }
    }
    Err("filling took longer than foreseen, four times".into())
}

fn unix_now() -> Outcome<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Another client in a closed loop, from `AROUND` before `expiry` until `AROUND` after the last
/// key is gone.
fn watch(server: &Server, options: &Options, expiry: Instant) -> Outcome<Run> {
    let mut watcher = Watcher {
        connection: Spinner::connect(server.port)?,
        random: Random::new(),
        value: vec![b'x'; options.value_bytes],
        last_look: Instant::now(),
        gaps: Gaps::default(),
    };
    let mut run = Run {
        gone_seconds: f64::NAN,
        phases: [Histogram::new(), Histogram::new(), Histogram::new()],
        gaps: Gaps::default(),
        points: Vec::new(),
        left: Vec::new(),
    };
    let mut gone: Option<Instant> = None;
    let (mut point, mut point_ends) = (Histogram::new(), Instant::now() + POINT);
    let mut next_ask = expiry;
    loop {
        let now = Instant::now();
        if gone.is_some_and(|gone| now > gone + AROUND) || now > expiry + PATIENCE {
            break;
        }
        if now >= point_ends {
            run.points.push((seconds_from(expiry, now), point.percentile_us(99.9)));
            (point, point_ends) = (Histogram::new(), now + POINT);
        }
        if gone.is_none() && now >= next_ask {
            let left = watcher.keys_left()?;
            run.left.push((seconds_from(expiry, now), left as f64));
            next_ask = now + ASK_EVERY;
            if left == 0 {
                gone = Some(now);
                run.gone_seconds = seconds_from(expiry, now);
            }
        }
        let (sent, latency) = watcher.one_command()?;
        let phase = match gone {
            _ if sent < expiry => 0,
            None => 1,
            Some(_) => 2,
        };
        run.phases[phase].record(latency);
        point.record(latency);
    }
    run.gaps = watcher.gaps;
    Ok(run)
}

fn seconds_from(origin: Instant, at: Instant) -> f64 {
    if at >= origin { (at - origin).as_secs_f64() } else { -(origin - at).as_secs_f64() }
}

struct Watcher {
    connection: Spinner,
    random: Random,
    value: Vec<u8>,
    last_look: Instant,
    gaps: Gaps,
}

impl Watcher {
    /// A GET or a SET of a key that does not expire: when it was sent and its nanoseconds.
    fn one_command(&mut self) -> Outcome<(Instant, u64)> {
        let key = format!("other:{:010}", self.random.below(OTHERS));
        let sent = Instant::now();
        if self.random.below(2) == 0 {
            self.connection.send(&[b"GET", key.as_bytes()])?;
        } else {
            self.connection.send(&[b"SET", key.as_bytes(), &self.value])?;
        }
        self.answer()?;
        Ok((sent, u64::try_from(sent.elapsed().as_nanos())?))
    }

    fn keys_left(&mut self) -> Outcome<u64> {
        self.connection.send(&[b"DBSIZE"])?;
        match self.answer()? {
            Reply::Integer(keys) => Ok(u64::try_from(keys)?.saturating_sub(OTHERS)),
            other => Err(format!("DBSIZE: {other:?}").into()),
        }
    }

    fn answer(&mut self) -> Outcome<Reply> {
        loop {
            let now = Instant::now();
            self.gaps.count(now - self.last_look);
            self.last_look = now;
            if let Some(reply) = self.connection.poll()? {
                return Ok(reply);
            }
        }
    }
}

fn section(options: &Options, servers: &[ServerFacts], runs: &[Vec<Run>], control: String) -> Section {
    let mut table = Table::new(
        "Another client's GET and SET, microseconds",
        &[
            "server",
            "round",
            "gone after s",
            "before p50",
            "p99",
            "p99.9",
            "during p50",
            "p99",
            "p99.9",
            "after p99.9",
            "p99.9 during/before",
            "pauses of the client itself",
        ],
    );
    for (server, runs) in servers.iter().zip(runs) {
        for (round, run) in runs.iter().enumerate() {
            let figure = |phase: usize, percent| format!("{:.1}", run.phases[phase].percentile_us(percent));
            table.rows.push(vec![
                server.label.clone(),
                (round + 1).to_string(),
                format!("{:.2}", run.gone_seconds),
                figure(0, 50.0),
                figure(0, 99.0),
                figure(0, 99.9),
                figure(1, 50.0),
                figure(1, 99.0),
                figure(1, 99.9),
                figure(2, 99.9),
                format!("{:.2}x", run.p999_ratio()),
                run.gaps.words(),
            ]);
        }
    }
    Section {
        id: "expiry",
        title: format!("{} keys expire in the same second", grouped(options.expiring as f64)),
        notes: vec![
            format!(
                "All keys carry the same EXAT and are never touched. Another client alternates GET and SET of {OTHERS} other keys in a closed loop, spinning, and asks DBSIZE every 10 ms (not counted). \"During\" lasts from that second until DBSIZE shows that all are gone."
            ),
            control,
        ],
        tables: vec![table],
        plots: plots(servers, runs),
        verdicts: verdicts(&runs[0]),
        data: data(servers, runs),
    }
}

fn verdicts(ours: &[Run]) -> Vec<Verdict> {
    let figure = |what: &str, target, pick: fn(&Run) -> f64, unit| {
        let figures: Vec<f64> = ours.iter().map(pick).collect();
        let never = figures.iter().any(|figure| figure.is_nan());
        Verdict {
            what: what.to_owned(),
            target,
            measured: if never { f64::NAN } else { median(&figures) },
            spread: Some((
                figures.iter().copied().fold(f64::INFINITY, f64::min),
                figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            )),
            unit,
        }
    };
    vec![
        figure("time until all are gone", acceptance::EXPIRY_SECONDS, |run| run.gone_seconds, "s"),
        figure(
            "other client's p99.9, during over before",
            acceptance::EXPIRY_P999_RATIO,
            Run::p999_ratio,
            "x",
        ),
    ]
}

fn plots(servers: &[ServerFacts], runs: &[Vec<Run>]) -> Vec<Plot> {
    // One round is drawn: rounds over each other would hide what happens in any of them.
    let first = |pick: fn(&Run) -> &Vec<(f64, f64)>| -> Vec<Series> {
        let firsts = servers.iter().zip(runs).filter_map(|(server, runs)| Some((server, runs.first()?)));
        firsts
            .map(|(server, run)| Series { label: server.label.clone(), points: pick(run).clone() })
            .collect()
    };
    let plot = |title: &str, unit: &str, log, series| Plot::Lines {
        title: title.to_owned(),
        x: Axis { label: "seconds from the expiry".to_owned(), log: false },
        y: Axis { label: unit.to_owned(), log },
        series,
        moments: vec![(0.0, "they expire".to_owned())],
    };
    vec![
        plot("Another client's p99.9 in every 100 ms, first round", "µs", true, first(|run| &run.points)),
        plot("Keys that are left, first round", "keys", false, first(|run| &run.left)),
    ]
}

fn data(servers: &[ServerFacts], runs: &[Vec<Run>]) -> Value {
    let phase = |histogram: &Histogram| {
        json!({
            "commands": histogram.count(),
            "p50_us": histogram.percentile_us(50.0),
            "p99_us": histogram.percentile_us(99.0),
            "p999_us": histogram.percentile_us(99.9),
            "max_us": histogram.max_ns() as f64 / 1e3,
        })
    };
    let run = |run: &Run| {
        json!({
            "gone_seconds": run.gone_seconds,
            "before": phase(&run.phases[0]),
            "during": phase(&run.phases[1]),
            "after": phase(&run.phases[2]),
            "client_pauses": run.gaps.words(),
            "p999_us_by_second": run.points,
            "keys_left_by_second": run.left,
        })
    };
    let all = servers.iter().zip(runs);
    all.map(|(server, runs)| json!({ "server": server.label, "rounds": runs.iter().map(run).collect::<Vec<_>>() }))
        .collect()
}
