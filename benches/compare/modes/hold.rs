//! What a client notices of a save: SETs at a fixed rate, without a save and while one runs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::spin::{self, Gaps, Random};
use super::{facts, placement, specs};
use crate::options::Options;
use crate::process::Server;
use crate::report::{Bar, Plot, Section, ServerFacts, Table, grouped};
use crate::resp::{Reply, Spinner, info_field};
use crate::stats::Histogram;
use crate::{Outcome, fill};

const QUIET: Duration = Duration::from_secs(5);
/// How often the server is asked whether it still saves, through the same connection.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// A save that takes longer ends the run with an error.
const PATIENCE: Duration = Duration::from_secs(180);

/// One server with one number of keys.
struct Run {
    place: usize,
    keys: u64,
    quiet: Histogram,
    saving: Histogram,
    save_seconds: f64,
    quiet_gaps: Gaps,
    saving_gaps: Gaps,
}

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let control = spin::control(&placement.server_cores, &placement.load_cores)?;
    let mut runs = Vec::new();
    let mut servers: Vec<ServerFacts> = Vec::new();
    for keys in &options.hold_keys {
        for place in 0..specs(options).len() {
            let server = Server::start(specs(options)[place], &placement)?;
            let value = vec![b'x'; options.value_bytes];
            fill::strings(&mut server.connect()?, 0..*keys, &value)?;
            server.wait_for_rest()?;
            let run = measure(&server, options, place, *keys)?;
            eprintln!("{}: {keys} keys saved in {:.2} s", server.label, run.save_seconds);
            runs.push(run);
            if servers.len() == place {
                servers.push(facts(&server)?);
            }
        }
    }
    Ok((section(options, &servers, &runs, control), servers))
}

/// What a reply on its way belongs to.
enum Awaited {
    /// A SET that was due at that moment.
    Set { due: Instant, saving: bool },
    /// BGSAVE's own.
    Save,
    /// INFO's.
    Progress,
}

/// SETs that are due at fixed moments. A latency counts from when the SET was due, so that a
/// server that stops is charged for every command that had to wait, not only for the first.
struct Pace<'a> {
    connection: Spinner,
    awaited: VecDeque<Awaited>,
    random: Random,
    keys: u64,
    value: &'a [u8],
    every: Duration,
    next_due: Instant,
}

impl Pace<'_> {
    fn send_what_is_due(&mut self, now: Instant, saving: bool) -> Outcome<()> {
        while self.next_due <= now {
            let key = fill::key(self.random.below(self.keys));
            self.connection.send(&[b"SET", &key, self.value])?;
            let due = self.next_due;
            self.awaited.push_back(Awaited::Set { due, saving });
            self.next_due += self.every;
        }
        Ok(())
    }

    fn send(&mut self, args: &[&[u8]], awaited: Awaited) -> Outcome<()> {
        self.awaited.push_back(awaited);
        self.connection.send(args)
    }
}

fn measure(server: &Server, options: &Options, place: usize, keys: u64) -> Outcome<Run> {
    let value = vec![b'y'; options.value_bytes];
    let started = Instant::now();
    let mut pace = Pace {
        connection: Spinner::connect(server.port)?,
        awaited: VecDeque::new(),
        random: Random::new(),
        keys,
        value: &value,
        every: Duration::from_nanos(1_000_000_000 / options.hold_rate),
        next_due: started,
    };
    let mut run = Run {
        place,
        keys,
        quiet: Histogram::new(),
        saving: Histogram::new(),
        save_seconds: f64::NAN,
        quiet_gaps: Gaps::default(),
        saving_gaps: Gaps::default(),
    };
    let (mut save_began, mut asked) = (None, started);
    let mut last_look = started;
    loop {
        let now = Instant::now();
        let gaps = if save_began.is_some() { &mut run.saving_gaps } else { &mut run.quiet_gaps };
        gaps.count(now - last_look);
        last_look = now;
        match save_began {
            None if now - started > QUIET => {
                pace.send(&[b"BGSAVE"], Awaited::Save)?;
                (save_began, asked) = (Some(now), now);
            }
            Some(_) if now - asked > ASK_EVERY => {
                pace.send(&[b"INFO", b"persistence"], Awaited::Progress)?;
                asked = now;
            }
            _ => {}
        }
        if now - started > PATIENCE {
            return Err(format!("{}: the save has not ended after {PATIENCE:?}", server.label).into());
        }
        pace.send_what_is_due(now, save_began.is_some())?;
        while let Some(reply) = pace.connection.poll()? {
            let now = Instant::now();
            match pace.awaited.pop_front() {
                Some(Awaited::Set { due, saving }) => {
                    let histogram = if saving { &mut run.saving } else { &mut run.quiet };
                    histogram.record(u64::try_from((now - due).as_nanos())?);
                }
                Some(Awaited::Progress) if save_ended(&reply)? => {
                    run.save_seconds = save_began.map_or(f64::NAN, |began| (now - began).as_secs_f64());
                    return Ok(run);
                }
                Some(_) => {}
                None => return Err("a reply that nothing waits for".into()),
            }
        }
    }
}

/// Whether INFO says that no save runs and that the last one was good.
fn save_ended(reply: &Reply) -> Outcome<bool> {
    let Reply::Text(text) = reply else {
        return Err(format!("INFO persistence: {reply:?}").into());
    };
    if info_field(text, "rdb_bgsave_in_progress").as_deref() != Some("0") {
        return Ok(false);
    }
    match info_field(text, "rdb_last_bgsave_status").as_deref() {
        Some("ok") => Ok(true),
        other => Err(format!("the save failed: {other:?}").into()),
    }
}

fn section(options: &Options, servers: &[ServerFacts], runs: &[Run], control: String) -> Section {
    let mut table = Table::new(
        "SET, microseconds from when it was due",
        &[
            "server",
            "keys",
            "quiet p50",
            "p99",
            "p99.9",
            "max",
            "saving p50",
            "p99",
            "p99.9",
            "max",
            "save s",
            "client's longest pause, quiet / saving, ms",
        ],
    );
    for run in runs {
        let mut row = vec![servers[run.place].label.clone(), grouped(run.keys as f64)];
        for histogram in [&run.quiet, &run.saving] {
            row.extend([50.0, 99.0, 99.9].map(|percent| format!("{:.1}", histogram.percentile_us(percent))));
            row.push(format!("{:.0}", histogram.max_ns() as f64 / 1e3));
        }
        row.push(format!("{:.2}", run.save_seconds));
        let longest = |gaps: &Gaps| gaps.longest.as_secs_f64() * 1e3;
        row.push(format!("{:.2} / {:.2}", longest(&run.quiet_gaps), longest(&run.saving_gaps)));
        table.rows.push(row);
    }
    Section {
        id: "hold",
        title: "Latency while a save runs".to_owned(),
        notes: vec![
            format!(
                "{} SETs a second of random existing keys over one connection, {} s without a save, then BGSAVE until INFO says that it has ended. A latency counts from the moment a SET was due. Whatever saves (a thread or a forked process) runs on the server's cores {:?}.",
                grouped(options.hold_rate as f64),
                QUIET.as_secs(),
                options.server_cores
            ),
            control,
        ],
        tables: vec![table],
        plots: vec![plot(servers, runs)],
        verdicts: Vec::new(),
        data: data(servers, runs),
    }
}

fn plot(servers: &[ServerFacts], runs: &[Run]) -> Plot {
    let bar = |run: &Run, what: &str, histogram: &Histogram| Bar {
        label: format!("{} {}, {what}", servers[run.place].label, grouped(run.keys as f64)),
        series: run.place,
        value: histogram.percentile_us(99.9),
        spread: None,
        target: None,
    };
    Plot::Bars {
        title: "SET's p99.9, without a save and while one runs".to_owned(),
        unit: "microseconds".to_owned(),
        bars: runs
            .iter()
            .flat_map(|run| [bar(run, "quiet", &run.quiet), bar(run, "saving", &run.saving)])
            .collect(),
        even: None,
        noise: None,
    }
}

fn data(servers: &[ServerFacts], runs: &[Run]) -> Value {
    let figures = |histogram: &Histogram| {
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
            "server": servers[run.place].label,
            "keys": run.keys,
            "quiet": figures(&run.quiet),
            "saving": figures(&run.saving),
            "save_seconds": run.save_seconds,
            "client_pauses_quiet": run.quiet_gaps.words(),
            "client_pauses_saving": run.saving_gaps.words(),
        })
    };
    runs.iter().map(run).collect()
}
