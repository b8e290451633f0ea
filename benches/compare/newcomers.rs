//! Clients that come over TLS, ask one PING and go: as many at a time as there are threads. redis-benchmark can open
//! a connection for each request, too, but counts and waits in its one thread for all of them.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::process::{self, Placement, Server};
use crate::secure::Opener;
use crate::stats::Histogram;

/// What one run of them found.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Connections a second, each opened, answered and closed.
    pub rate: f64,
    /// Milliseconds from the first packet to the answer of PING.
    pub p50_ms: f64,
    /// 99 in 100 took no longer.
    pub p99_ms: f64,
    /// CPU time of the server's whole process, per connection, in microseconds.
    pub cpu_us: f64,
}

/// Opens `count` connections, `at_once` at a time, from the load's cores.
pub fn run(
    server: &Server,
    opener: &Opener,
    placement: &Placement,
    at_once: u32,
    count: u64,
) -> Outcome<Sample> {
    let port = server.tls_port.ok_or("the server does not listen for TLS")?;
    server.wait_for_rest()?;
    let begun = AtomicU64::new(0);
    let took = Mutex::new(Histogram::new());
    let one_after_another = || -> Outcome<()> {
        process::run_on(&placement.load_cores)?;
        while begun.fetch_add(1, Ordering::Relaxed) < count {
            let came = Instant::now();
            let opened = opener.open(port)?;
            let waited = u64::try_from(came.elapsed().as_nanos())?;
            opened.close()?;
            took.lock().unwrap_or_else(PoisonError::into_inner).record(waited);
        }
        Ok(())
    };
    let (before, began) = (server.cpu_ns()?, Instant::now());
    std::thread::scope(|scope| -> Outcome<()> {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(one_after_another)).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        results.into_iter().try_for_each(|result| result.map_err(|_| "a thread of the load broke")?)
    })?;
    let lasted: Duration = began.elapsed();
    let cpu_ns = server.cpu_ns()? - before;
    let took = took.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Sample {
        rate: count as f64 / lasted.as_secs_f64(),
        p50_ms: took.percentile_us(50.0) / 1e3,
        p99_ms: took.percentile_us(99.0) / 1e3,
        cpu_us: cpu_ns as f64 / 1e3 / count as f64,
    })
}
