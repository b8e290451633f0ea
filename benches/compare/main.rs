//! The side-by-side benchmark: Glasswing and other servers of the Redis family in one run.
//!
//! `cargo bench --bench compare -- --help` lists the options; docs/performance.md says what is
//! measured and how to read it. It stands alone: it knows the servers only as processes that
//! speak RESP, and uses nothing of the library.
//!
//! In reading order: `options` (the command line), `process` (servers as children on their
//! cores), `secure` (their certificates), `resp` and `fill` (a small client), `rows`, `subscribers`,
//! `workload` and `parse` (redis-benchmark), `tracked` and `newcomers` (loads that it cannot make),
//! `stats`, `acceptance` (the targets), `modes` (what is measured), `report` (what is written).

mod acceptance;
mod batch;
mod fill;
mod machine;
mod modes;
mod newcomers;
mod options;
mod parse;
mod process;
mod report;
mod resp;
mod rows;
mod secure;
mod stats;
mod subscribers;
mod tracked;
mod workload;

use std::process::ExitCode;

/// Why a run ended early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result of this program.
pub type Outcome<T> = Result<T, Failure>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() {
        // `cargo test --benches` runs every bench without `--bench`: it has nothing to test here.
        println!("nothing measured: run it as `cargo bench --bench compare -- [options]`");
        return ExitCode::SUCCESS;
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Outcome<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let Some(options) = options::Options::parse(args, cores)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    let machine = machine::Machine::look();
    // First, so that the thread it starts is not bound to the load's cores.
    process::end_children_on_signals()?;
    process::run_on(&options.load_cores)?;
    let report = modes::run(&options, machine)?;
    report.write(&options.out)
}
