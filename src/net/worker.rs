//! Worker threads: each with a runtime, its connections and its sweep of expired keys.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::command::client::{Client, ClientFlag};
use crate::engine::expiry::Sweeper;
use crate::engine::memory;
use crate::engine::usage::taker::Taker;
use crate::engine::{Engine, Worker};
use crate::observe::Counter;
use crate::strand::Stack;

use super::acceptor::Arrivals;
use super::connection;
use super::stream::{Accepted, Stream};

/// Bytes read at once. One buffer serves all connections of a worker.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// What the connections of one worker share. They run on one thread and never at the same time.
pub(super) struct Shared {
    pub(super) worker: Worker,
    pub(super) input: Box<[u8]>,
    pub(super) out: Vec<u8>,
    /// Absent while it is in use, and before the first use.
    pub(super) apart: Option<Box<Apart>>,
}

/// What runs a command that has the whole keyspace, beside whoever else of the worker has its turn meanwhile.
pub(super) struct Apart {
    pub(super) worker: Worker,
    pub(super) stack: Option<Stack>,
}

impl Apart {
    pub(super) fn new(engine: &Arc<Engine>, index: usize) -> Apart {
        Apart { worker: Worker::new(Arc::clone(engine), index), stack: None }
    }
}

/// All worker threads.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    /// Where new connections go, by worker.
    pub arrivals: Vec<Arrivals>,
    /// When each worker's loop last turned, nanoseconds of the clock.
    pub beats: Arc<[AtomicU64]>,
}

/// Starts one thread for each worker.
pub fn start(engine: &Arc<Engine>, count: usize) -> io::Result<Workers> {
    let (stop, stopped) = watch::channel(false);
    let beats: Arc<[AtomicU64]> = (0..count).map(|_| AtomicU64::new(engine.clock.stamp())).collect();
    let mut workers = Workers { threads: Vec::new(), stop, arrivals: Vec::new(), beats };
    for index in 0..count {
        let (sender, receiver) = unbounded_channel();
        let (engine, stopped, beats) = (Arc::clone(engine), stopped.clone(), Arc::clone(&workers.beats));
        let (built, is_built) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            // A runtime for tasks that stay on its thread is made there; who started the thread waits to hear of it.
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = built.send(Ok(()));
                    runtime.block_on(serve(engine, index, count, receiver, stopped, beats));
                }
                Err(error) => {
                    let _ = built.send(Err(error));
                }
            }
        })?;
        is_built.recv().unwrap_or_else(|_| Err(io::Error::other("a worker's thread ended at once")))?;
        workers.threads.push(thread);
        workers.arrivals.push(sender);
    }
    Ok(workers)
}

impl Workers {
    /// Lets the commands under way finish, closes all connections, and waits for the threads.
    pub fn stop(self) {
        // Without receivers the threads have ended already.
        let _ = self.stop.send(true);
        drop(self.arrivals);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("A worker thread ended with a panic");
            }
        }
    }
}

async fn serve(
    engine: Arc<Engine>,
    index: usize,
    count: usize,
    mut arrivals: UnboundedReceiver<(Accepted, Arc<Client>)>,
    mut stopped: watch::Receiver<bool>,
    beats: Arc<[AtomicU64]>,
) {
    let shared = Rc::new(RefCell::new(Shared {
        worker: Worker::new(Arc::clone(&engine), index),
        input: vec![0; READ_BYTES].into_boxed_slice(),
        out: Vec::new(),
        apart: None,
    }));
    let housekeeping =
        tokio::task::spawn_local(keep_house(Rc::clone(&shared), Arc::clone(&engine), index, count, beats));
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some((accepted, client)) => receive(&shared, &engine, accepted, client),
                None => break,
            },
            _ = stopped.changed() => break,
        }
    }
    housekeeping.abort();
    // Their batches never await, so none is cut off in the middle.
    engine.clients.each_of(index, |client| client.kill());
    arrivals.close();
    while engine.clients.count_of(index) > 0 {
        // Who came in the last moment, from a handshake maybe, is not served any more.
        while let Ok((_, client)) = arrivals.try_recv() {
            engine.clients.remove(&client);
        }
        tokio::task::yield_now().await;
    }
}

fn receive(shared: &Rc<RefCell<Shared>>, engine: &Arc<Engine>, accepted: Accepted, client: Arc<Client>) {
    match Stream::register(accepted) {
        Ok(stream) => {
            tokio::task::spawn_local(connection::serve(Rc::clone(shared), stream, client));
        }
        Err(error) => {
            tracing::warn!(%error, "A connection could not be registered");
            engine.clients.remove(&client);
        }
    }
}

/// Between two turns of a worker's chores while it runs commands or something is to be removed.
const BUSY_TURN: Duration = Duration::from_millis(20);
/// The same while nobody wants anything: as often as Redis looks.
const IDLE_TURN: Duration = Duration::from_millis(100);
/// How often clients are looked for that have been silent for too long.
const LOOK_FOR_IDLE_EVERY: Duration = Duration::from_secs(1);

/// The worker's own chores between batches: expired keys, idle clients, a sign of life.
async fn keep_house(
    shared: Rc<RefCell<Shared>>,
    engine: Arc<Engine>,
    index: usize,
    count: usize,
    beats: Arc<[AtomicU64]>,
) {
    let mut sweeper = Sweeper::new(index, count);
    let mut taker = Taker::new(index, count);
    let mut since_looked = Duration::ZERO;
    let (mut batches, mut pause) = (0, BUSY_TURN);
    loop {
        let slept_from = engine.clock.stamp();
        tokio::time::sleep(pause).await;
        let batches_before = std::mem::replace(&mut batches, engine.stats.worker(index).batches());
        let mut works = batches != batches_before;
        let turned = engine.clock.stamp();
        beats[index].store(turned, Ordering::Relaxed);
        let wanted = slept_from + pause.as_nanos() as u64;
        engine.stats.worker(index).turned_late(turned.saturating_sub(wanted));
        let limit = memory::limit_of_clients(&engine.config.current());
        if let Some(limit) = limit {
            // What was sent to those who do not read has grown without their doing.
            engine.clients.each_of(index, |client| engine.clients.count_bytes(client));
            if engine.clients.bytes() > limit {
                memory::evict_clients(&engine.clients, limit, &engine.stats, engine.clock.stamp());
            }
        }
        engine.server.scripts().tidy();
        since_looked += pause;
        if since_looked >= LOOK_FOR_IDLE_EVERY {
            since_looked = Duration::ZERO;
            close_idle(&engine, index);
        }
        loop {
            let more = shared.borrow_mut().worker.make_room();
            if !more {
                break;
            }
            works = true;
            tokio::task::yield_now().await;
        }
        if index == 0 && !engine.server.switches().pauses_chores() {
            shared.borrow_mut().worker.hold_tracked_alone();
        }
        loop {
            let more = {
                let mut shared = shared.borrow_mut();
                let moment = shared.worker.moment_now();
                let settings = Arc::clone(shared.worker.settings());
                sweeper.slice(&engine, &settings, moment)
            };
            if !more {
                break;
            }
            works = true;
            // The connections that became ready meanwhile go first.
            tokio::task::yield_now().await;
        }
        let moment = shared.borrow_mut().worker.moment_now();
        works |= taker.slice(&engine, moment);
        pause = if works { BUSY_TURN } else { IDLE_TURN };
    }
}

/// Closes clients that have been silent for longer than `timeout`.
fn close_idle(engine: &Engine, index: usize) {
    let timeout_ms = u64::from(engine.config.current().timeout_s) * 1_000;
    if timeout_ms == 0 {
        return;
    }
    let now_ms = engine.clock.unix_ms();
    engine.clients.each_of(index, |client| {
        let idle_ms = now_ms.saturating_sub(client.active_ms.load(Ordering::Relaxed));
        // Who waits for a key or for messages is not idle; replicas have a timeout of their own.
        let waits = ClientFlag::Blocked as u32 | ClientFlag::Subscriber as u32 | ClientFlag::Replica as u32;
        if idle_ms > timeout_ms && !client.any(waits) {
            tracing::debug!(client = client.id, "Closing idle client");
            engine.stats.worker(index).incr(Counter::IdleDisconnections);
            client.kill();
        }
    });
}
