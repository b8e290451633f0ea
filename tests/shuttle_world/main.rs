//! The permits under a scheduler that tries orders of steps: `src/engine/world.rs` itself, compiled
//! against shuttle's atomics and threads ([`sync`]), and the ordered shard locks beside it.
//!
//! Shuttle fails a run in which nobody can go on, so every test here is also a search for lost
//! wake-ups and deadlocks. The last tests plant one of each and want it found.

#![allow(clippy::unwrap_used)]
// Once with shuttle's primitives and once with one that is broken.
#![allow(clippy::duplicate_mod)]

mod forgetful;
mod sync;
#[path = "../../src/engine/world.rs"]
#[allow(dead_code)]
mod world;

use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Mutex;
use shuttle::thread;
use shuttle::{Config, FailurePersistence, Runner};

use world::{Whole, World};

/// Runs a model under random schedules, and under ones with few preemptions, which find other faults.
fn explore(model: fn()) {
    let mut config = Config::new();
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::Print;
    Runner::new(RandomScheduler::new_from_seed(1, 4_000), config.clone()).run(model);
    Runner::new(PctScheduler::new_from_seed(1, 3, 4_000), config).run(model);
}

/// Who is at work. Plain counters, which are no scheduling points: the threads pause between steps.
#[derive(Default)]
struct Inside {
    workers: AtomicUsize,
    takers: AtomicUsize,
    batches: AtomicUsize,
}

impl Inside {
    fn work(&self) {
        self.workers.fetch_add(1, Ordering::SeqCst);
        self.look_about(|takers, _| takers == 0);
        self.workers.fetch_sub(1, Ordering::SeqCst);
        self.batches.fetch_add(1, Ordering::SeqCst);
    }

    fn rule(&self) {
        self.takers.fetch_add(1, Ordering::SeqCst);
        self.look_about(|takers, workers| takers == 1 && workers == 0);
        self.takers.fetch_sub(1, Ordering::SeqCst);
    }

    fn look_about(&self, alone: fn(usize, usize) -> bool) {
        for _ in 0..2 {
            let (takers, workers) = (self.takers.load(Ordering::SeqCst), self.workers.load(Ordering::SeqCst));
            assert!(alone(takers, workers), "{takers} takers and {workers} workers at once");
            thread::yield_now();
        }
    }
}

/// A worker's batches, as a connection's task runs them: `net/connection.rs` waits where it is told
/// that somebody wants the world.
fn batches(world: &World, inside: &Inside, index: usize, count: usize) {
    for _ in 0..count {
        if let Some(_working) = world.try_work(index) {
            inside.work();
            continue;
        }
        block_on(async {
            let _turn = world.passed().await;
            let working = world.try_work(index);
            assert!(working.is_some(), "nobody can want the world during the turn");
            inside.work();
        });
    }
}

/// Threads of a model, joined at its end.
fn together(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn the_world_excludes_every_worker_and_everybody_gets_a_turn() {
    explore(|| {
        let (world, inside) = (Arc::new(World::new(2)), Arc::new(Inside::default()));
        let mut threads = Vec::new();
        for index in 0..2 {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            threads.push(thread::spawn(move || batches(&world, &inside, index, 3)));
        }
        for _ in 0..2 {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            threads.push(thread::spawn(move || {
                block_on(async {
                    let _whole = world.whole().await;
                    inside.rule();
                });
            }));
        }
        together(threads);
        assert_eq!(inside.batches.load(Ordering::SeqCst), 6);
        assert!(!world.is_wanted());
    });
}

#[test]
fn a_thread_without_a_runtime_gets_the_world_too() {
    explore(|| {
        let (world, inside) = (Arc::new(World::new(2)), Arc::new(Inside::default()));
        let mut threads = Vec::new();
        for index in 0..2 {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            threads.push(thread::spawn(move || batches(&world, &inside, index, 2)));
        }
        let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
        threads.push(thread::spawn(move || {
            let whole = world.whole_blocking();
            inside.rule();
            drop(whole);
            let _turn = world.turn_blocking();
            assert_eq!(inside.takers.load(Ordering::SeqCst), 0);
        }));
        together(threads);
    });
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> std::task::Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_taker_that_gives_up_leaves_nothing_behind() {
    explore(|| {
        let (world, inside) = (Arc::new(World::new(2)), Arc::new(Inside::default()));
        let mut threads = Vec::new();
        for index in 0..2 {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            threads.push(thread::spawn(move || batches(&world, &inside, index, 2)));
        }
        for polls in 1..3 {
            // Dropped wherever it stands: in the queue, between two permits, or with the world in hand.
            let mut taking = Box::pin(world.whole());
            for _ in 0..polls {
                if poll(&mut taking).is_ready() {
                    break;
                }
            }
        }
        block_on(async {
            let _whole = world.whole().await;
            inside.rule();
        });
        together(threads);
        assert!(!world.is_wanted());
        assert!(world.try_work(0).is_some() && world.try_work(1).is_some());
    });
}

/// The server's end: whoever holds the world calls a job off that waits for it, and waits for the job.
#[test]
fn a_job_called_off_by_who_holds_the_world_ends() {
    explore(|| {
        let (world, inside) = (Arc::new(World::new(1)), Arc::new(Inside::default()));
        let worker = {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            thread::spawn(move || batches(&world, &inside, 0, 1))
        };
        let off = Arc::new(shuttle::sync::atomic::AtomicBool::new(false));
        let job = {
            let (world, inside, off) = (Arc::clone(&world), Arc::clone(&inside), Arc::clone(&off));
            thread::spawn(move || {
                let called_off = || off.load(Ordering::SeqCst);
                if let Some(_turn) = world.turn_unless(called_off) {
                    assert_eq!(inside.takers.load(Ordering::SeqCst), 0);
                }
                if let Some(_whole) = world.whole_unless(called_off) {
                    inside.rule();
                }
            })
        };
        let whole = world.whole_blocking();
        off.store(true, Ordering::SeqCst);
        job.thread().unpark();
        job.join().unwrap();
        inside.rule();
        drop(whole);
        worker.join().unwrap();
    });
}

#[test]
fn takers_are_served_in_the_order_in_which_they_came() {
    explore(|| {
        let (world, inside) = (Arc::new(World::new(1)), Arc::new(Inside::default()));
        let worker = {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            thread::spawn(move || batches(&world, &inside, 0, 2))
        };
        let mut first = Box::pin(world.whole());
        let mut held: Option<Whole<'_>> = match poll(&mut first) {
            std::task::Poll::Ready(whole) => Some(whole),
            std::task::Poll::Pending => None,
        };
        let mut second = Box::pin(world.whole());
        assert!(poll(&mut second).is_pending(), "one at a time");
        let whole = match held.take() {
            Some(whole) => whole,
            None => block_on(&mut first),
        };
        assert!(poll(&mut second).is_pending(), "the first has it");
        inside.rule();
        drop(whole);
        let whole = block_on(second);
        inside.rule();
        drop(whole);
        worker.join().unwrap();
    });
}

/// The shards, and how `View::hold` locks them: a worker all its shards in ascending order, whoever
/// holds the world any shard when it is touched.
struct Shards([Mutex<()>; 3]);

impl Shards {
    fn visit(&self, order: &[usize]) {
        let guards: Vec<_> = order.iter().map(|&shard| self.0[shard].lock().unwrap()).collect();
        drop(guards);
    }
}

fn lock_shards(orders: [&'static [usize]; 2], taker_waits: bool) {
    let world = Arc::new(World::new(2));
    let shards = Arc::new(Shards([Mutex::new(()), Mutex::new(()), Mutex::new(())]));
    let mut threads = Vec::new();
    for (index, order) in orders.into_iter().enumerate() {
        let (world, shards) = (Arc::clone(&world), Arc::clone(&shards));
        threads.push(thread::spawn(move || {
            for _ in 0..2 {
                block_on(async {
                    let turn = if world.is_wanted() { Some(world.passed().await) } else { None };
                    if let Some(_working) = world.try_work(index) {
                        shards.visit(order);
                    }
                    drop(turn);
                });
            }
        }));
    }
    threads.push(thread::spawn(move || {
        block_on(async {
            let _whole = if taker_waits { Some(world.whole().await) } else { None };
            shards.visit(&[2, 0, 1]);
        });
    }));
    together(threads);
}

#[test]
fn ordered_locks_and_locks_on_demand_under_the_world_cannot_deadlock() {
    explore(|| lock_shards([&[0, 1, 2], &[0, 2]], true));
}

/// What a model that must fail said.
fn fault(model: fn()) -> String {
    let payload = catch_unwind(|| explore(model)).expect_err("the planted fault was not found");
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_planted_deadlock_is_found() {
    let unordered = fault(|| lock_shards([&[0, 1], &[1, 0]], true));
    assert!(unordered.contains("deadlock"), "{unordered}");
    let without_the_world = fault(|| lock_shards([&[0, 1, 2], &[0, 2]], false));
    assert!(without_the_world.contains("deadlock"), "{without_the_world}");
}

#[test]
fn a_planted_lost_wake_up_is_found() {
    let lost = fault(|| {
        let world = Arc::new(forgetful::world::World::new(1));
        let worker = {
            let world = Arc::clone(&world);
            thread::spawn(move || drop(world.try_work(0)))
        };
        drop(block_on(world.whole()));
        worker.join().unwrap();
    });
    assert!(lost.contains("deadlock"), "{lost}");
}
