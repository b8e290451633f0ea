//! What the append-only file costs: CPU per SET where it is synced every second, throughput where every reply
//! waits for the disk. Rewrites are off: Redis makes them in a process of their own, whose time nobody would count.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use super::workloads::{CPU, Focus, THROUGHPUT, run_apart};
use crate::Outcome;
use crate::acceptance;
use crate::options::Options;
use crate::report::{Section, ServerFacts};
use crate::stats::Histogram;
use crate::workload::Workload;

/// SETs at pipeline 16, CPU per command.
pub fn run_everysec(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let focus = Focus {
        target: |workload| acceptance::everysec_cpu_ratio(workload.name(), workload.pipeline),
        ..CPU
    };
    run(options, "everysec", &[Workload::new("set", 16)?, Workload::new("set", 1)?], &focus)
}

/// SETs without a pipeline, throughput.
pub fn run_always(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let focus = Focus {
        target: |workload| acceptance::always_throughput_ratio(workload.name(), workload.pipeline),
        ..THROUGHPUT
    };
    run(options, "always", &[Workload::new("set", 1)?, Workload::new("set", 16)?], &focus)
}

fn run(
    options: &Options,
    policy: &'static str,
    workloads: &[Workload],
    focus: &Focus,
) -> Outcome<(Section, Vec<ServerFacts>)> {
    let mut options = options.clone();
    for spec in std::iter::once(&mut options.glasswing).chain(&mut options.peers) {
        spec.args.extend(
            ["--appendonly", "yes", "--appendfsync", policy, "--auto-aof-rewrite-percentage", "0"]
                .map(str::to_owned),
        );
    }
    let title = format!("The append-only file with appendfsync {policy}");
    let (before, disk) = (syncs()?, std::env::temp_dir());
    let (mut section, facts) = run_apart(&options, policy, &title, workloads, focus)?;
    for (when, (median, highest)) in [("before", before), ("after", syncs()?)] {
        section.notes.push(format!(
            "The disk under {} {when} the run: appending {SYNC_BYTES} bytes and fdatasync took {median:.0} µs in the \
             median of {SYNCS}, {highest:.0} µs at the 99th percentile.",
            disk.display()
        ));
    }
    Ok((section, facts))
}

/// About what one SET of the workload adds to the file.
const SYNC_BYTES: usize = 128;
const SYNCS: usize = 500;

/// Microseconds that an append and its sync take here: the median and the 99th percentile.
fn syncs() -> Outcome<(f64, f64)> {
    let mut file: File = tempfile::tempfile()?;
    let mut took = Histogram::new();
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[b'x'; SYNC_BYTES])?;
        file.sync_data()?;
        took.record(u64::try_from(began.elapsed().as_nanos())?);
    }
    Ok((took.percentile_us(50.0), took.percentile_us(99.0)))
}
