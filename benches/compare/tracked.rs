//! SET of keys that somebody caches: pairs of a writer and a reader whose cache the server looks after.
//!
//! A pair has keys of its own, all of which its reader has read. The writer sets some of them in one write; the reader
//! waits until it was told of each, and reads each again, in one write; then the next ones. So with every SET that is
//! counted go one key told and one GET, and a SET never finds a key that nobody has read since the last one.

use std::ops::Range;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::batch::Batch;
use crate::fill::{key, scattered};
use crate::process::{self, Server};
use crate::resp::{Client, Reply, encode};
use crate::stats::Histogram;
use crate::workload::{Load, Sample};

/// A writer, a reader, and their keys.
struct Pair {
    writer: Client,
    reader: Client,
    keys: Range<u64>,
    value: Vec<u8>,
    commands: Vec<u8>,
}

impl Pair {
    fn new(server: &Server, keys: Range<u64>, value_bytes: usize) -> Outcome<Pair> {
        let (writer, mut reader) = (server.connect()?, server.connect()?);
        reader.command(&["HELLO", "3"])?;
        reader.command(&["CLIENT", "TRACKING", "ON"])?;
        Ok(Pair { writer, reader, keys, value: vec![b'y'; value_bytes], commands: Vec::new() })
    }

    /// Reads keys in one write.
    fn read(&mut self, keys: Range<u64>) -> Outcome<()> {
        self.commands.clear();
        for index in keys.clone() {
            encode(&mut self.commands, &[b"GET", &key(index)]);
        }
        self.reader.send(&self.commands)?;
        for _ in keys {
            match self.reader.reply()? {
                Reply::Text(_) => {}
                other => return Err(format!("GET was answered with {other:?}").into()),
            }
        }
        Ok(())
    }

    /// Reads all its keys.
    fn read_all(&mut self) -> Outcome<()> {
        for first in self.keys.clone().step_by(500) {
            self.read(first..self.keys.end.min(first + 500))?;
        }
        Ok(())
    }

    /// Sets keys in one write, waits until the reader was told of each, and reads them again.
    fn set(&mut self, keys: Range<u64>) -> Outcome<()> {
        self.commands.clear();
        for index in keys.clone() {
            encode(&mut self.commands, &[b"SET", &key(index), &self.value]);
        }
        self.writer.send(&self.commands)?;
        for _ in keys.clone() {
            self.writer.reply()?;
        }
        let mut batch = Batch::new(keys.clone());
        while !batch.is_told() {
            batch.take(&self.reader.reply()?)?;
        }
        self.read(keys)
    }
}

/// `requests` SETs by half as many pairs as there are clients, `pipeline` at a time, over `keys` keys. Its latencies
/// are those of a batch with all that belongs to it.
pub fn run(server: &Server, load: &Load<'_>, pipeline: u32, keys: u64, requests: u64) -> Outcome<Sample> {
    let (pairs, pipeline) = (u64::from(load.options.clients / 2).max(1), u64::from(pipeline));
    let each = keys / pairs;
    if each < pipeline {
        return Err(format!("set_tracked@{pipeline}: {keys} keys are too few for {pairs} pairs").into());
    }
    let batches = (requests / pairs / pipeline).max(1);
    let took = Mutex::new(Histogram::new());
    let cores = &load.placement.load_cores;
    // Twice: when all have read, and when the server's time was taken.
    let gate = Barrier::new(usize::try_from(pairs)? + 1);
    let serve = |place: u64| -> Outcome<Pair> {
        let made = process::run_on(cores)
            .and_then(|()| Pair::new(server, place * each..(place + 1) * each, load.options.value_bytes))
            .and_then(|mut pair| pair.read_all().map(|()| pair));
        gate.wait();
        gate.wait();
        let mut pair = made?;
        for batch in 0..batches {
            let first = place * each + scattered(place * batches + batch) % (each - pipeline + 1);
            let began = Instant::now();
            pair.set(first..first + pipeline)?;
            let lasted = u64::try_from(began.elapsed().as_nanos())?;
            took.lock().unwrap_or_else(PoisonError::into_inner).record(lasted);
        }
        Ok(pair)
    };
    let (cpu_ns, lasted) = std::thread::scope(|scope| -> Outcome<(u64, Duration)> {
        let serve = &serve;
        let threads: Vec<_> = (0..pairs).map(|place| scope.spawn(move || serve(place))).collect();
        gate.wait();
        let before = server.wait_for_rest().and_then(|()| server.cpu_ns());
        let began = Instant::now();
        gate.wait();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let (lasted, after) = (began.elapsed(), server.cpu_ns()?);
        // Only now do they close their connections, which the server has more to forget of than others.
        let pairs = results.into_iter().map(|result| result.map_err(|_| "a thread of the load broke")?);
        pairs.collect::<Outcome<Vec<Pair>>>()?;
        Ok((after - before?, lasted))
    })?;
    let took = took.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sets = (batches * pairs * pipeline) as f64;
    Ok(Sample {
        throughput: sets / lasted.as_secs_f64(),
        p50_ms: took.percentile_us(50.0) / 1e3,
        p99_ms: took.percentile_us(99.0) / 1e3,
        p999_ms: took.percentile_us(99.9) / 1e3,
        cpu_us: cpu_ns as f64 / 1e3 / sets,
    })
}
