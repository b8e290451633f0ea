//! Tests of the permits. Not within `world.rs`: `tests/shuttle_world` compiles that file against other
//! primitives.

use super::world::World;

#[test]
fn the_world_excludes_workers_and_lets_them_go_on() {
    let world = World::new(2);
    {
        let _whole = world.whole_blocking();
        assert!(world.try_work(0).is_none() && world.try_work(1).is_none());
    }
    let first = world.try_work(0);
    assert!(first.is_some() && world.try_work(0).is_none());
    assert!(world.try_work(1).is_some());
}

#[test]
fn the_world_waits_for_every_worker() {
    let world = std::sync::Arc::new(World::new(3));
    let holder = world.try_work(1);
    let other = std::sync::Arc::clone(&world);
    let taker = std::thread::spawn(move || {
        let _whole = other.whole_blocking();
        other.is_wanted()
    });
    while !world.is_wanted() {
        std::thread::yield_now();
    }
    assert!(world.try_work(0).is_none(), "nobody begins while the world is wanted");
    drop(holder);
    assert!(taker.join().is_ok_and(|wanted| wanted));
    assert!(!world.is_wanted());
}

#[test]
fn a_taker_that_gives_up_leaves_no_permit_behind() {
    let world = World::new(2);
    let holder = world.try_work(1);
    {
        let mut taking = Box::pin(world.whole());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(taking.as_mut().poll(&mut context).is_pending());
    }
    drop(holder);
    assert!(world.try_work(0).is_some() && world.try_work(1).is_some());
}

#[test]
fn a_job_that_waits_can_be_called_off_by_who_holds_the_world() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let world = World::new(2);
    for takes_the_world in [false, true] {
        let (off, waits) = (AtomicBool::new(false), AtomicBool::new(false));
        let whole = world.whole_blocking();
        std::thread::scope(|threads| {
            let job = threads.spawn(|| {
                let called_off = || {
                    waits.store(true, Ordering::SeqCst);
                    off.load(Ordering::SeqCst)
                };
                if takes_the_world {
                    world.whole_unless(called_off).is_none()
                } else {
                    world.turn_unless(called_off).is_none()
                }
            });
            while !waits.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            off.store(true, Ordering::SeqCst);
            job.thread().unpark();
            assert!(job.join().is_ok_and(|given_up| given_up));
        });
        drop(whole);
        assert!(
            world.whole_unless(|| false).is_some() && world.turn_unless(|| true).is_some(),
            "nothing is left"
        );
    }
}

#[test]
fn who_has_waited_for_the_world_to_pass_works_before_the_next_taker() {
    let world = World::new(1);
    let whole = world.whole_blocking();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut worker = Box::pin(world.passed());
    let mut taker = Box::pin(world.whole());
    assert!(worker.as_mut().poll(&mut context).is_pending());
    assert!(taker.as_mut().poll(&mut context).is_pending());
    drop(whole);
    assert!(taker.as_mut().poll(&mut context).is_pending(), "the worker came first");
    let turn = worker.as_mut().poll(&mut context);
    assert!(turn.is_ready() && world.try_work(0).is_some());
    drop(turn);
    assert!(taker.as_mut().poll(&mut context).is_ready());
}
