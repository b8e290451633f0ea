//! The permits by which somebody holds the whole keyspace.
//!
//! Every worker holds a permit of its own, uncontended, while it runs a batch. Whoever needs the world
//! (FLUSHALL, SWAPDB, KEYS, a script) takes all the permits in order and then runs alone. Waiting is
//! asynchronous on both sides, so a worker that waits still turns its loop. Holders of the world are
//! served one at a time and in the order in which they came.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify};

const FREE: u8 = 0;
const WORKING: u8 = 1;
const WORLD: u8 = 2;

/// One worker's permit, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Permit {
    state: AtomicU8,
    /// Signalled when the permit becomes free while somebody wants it.
    freed: Notify,
}

/// All permits.
#[derive(Debug)]
pub struct World {
    permits: Box<[Permit]>,
    /// Held by whoever wants or has the world.
    queue: Mutex<()>,
    wanted: AtomicBool,
}

/// A worker's permit to run a batch. Dropping it gives it back.
#[derive(Debug)]
pub struct Working<'a> {
    world: &'a World,
    index: usize,
}

/// The whole keyspace. Dropping it lets the workers go on.
#[derive(Debug)]
pub struct Whole<'a> {
    world: &'a World,
    taken: usize,
    _turn: MutexGuard<'a, ()>,
}

/// The right to begin something that must not fall into a time when somebody holds the world.
#[derive(Debug)]
pub struct Turn<'a>(#[allow(dead_code)] MutexGuard<'a, ()>);

impl World {
    /// Permits for `workers` workers and as many others as the caller counts in.
    pub fn new(workers: usize) -> World {
        World {
            permits: (0..workers).map(|_| Permit::default()).collect(),
            queue: Mutex::new(()),
            wanted: AtomicBool::new(false),
        }
    }

    /// Whether somebody wants the world: a batch ends early then.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Takes a worker's own permit; `None` while somebody wants or holds the world.
    #[inline]
    pub fn try_work(&self, index: usize) -> Option<Working<'_>> {
        if self.wanted.load(Ordering::Acquire) {
            return None;
        }
        let permit = &self.permits[index];
        permit.state.compare_exchange(FREE, WORKING, Ordering::SeqCst, Ordering::Acquire).ok()?;
        Some(Working { world: self, index })
    }

    /// Takes a worker's own permit as soon as nobody holds the world.
    pub async fn work(&self, index: usize) -> Working<'_> {
        loop {
            if let Some(working) = self.try_work(index) {
                return working;
            }
            // Whoever has the world holds the queue; when it is our turn, nobody does.
            drop(self.queue.lock().await);
        }
    }

    /// Waits until nobody wants or holds the world.
    pub async fn passed(&self) {
        drop(self.queue.lock().await);
    }

    /// Takes the whole keyspace. The caller must not hold a permit.
    pub async fn whole(&self) -> Whole<'_> {
        let turn = self.queue.lock().await;
        self.wanted.store(true, Ordering::SeqCst);
        let mut whole = Whole { world: self, taken: 0, _turn: turn };
        for permit in &self.permits {
            loop {
                let freed = permit.freed.notified();
                if permit.state.compare_exchange(FREE, WORLD, Ordering::SeqCst, Ordering::Acquire).is_ok() {
                    break;
                }
                freed.await;
            }
            whole.taken += 1;
        }
        whole
    }

    /// The same for a thread that has no runtime.
    pub fn whole_blocking(&self) -> Whole<'_> {
        block_on(self.whole())
    }

    /// Makes sure, while it is held, that nobody takes the world. Taken by a save's first instant.
    pub fn turn_blocking(&self) -> Turn<'_> {
        Turn(self.queue.blocking_lock())
    }
}

/// Runs a future on a thread that is no runtime's.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

impl Drop for Working<'_> {
    #[inline]
    fn drop(&mut self) {
        let permit = &self.world.permits[self.index];
        permit.state.store(FREE, Ordering::SeqCst);
        if self.world.wanted.load(Ordering::SeqCst) {
            permit.freed.notify_one();
        }
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        for permit in &self.world.permits[..self.taken] {
            permit.state.store(FREE, Ordering::SeqCst);
        }
        self.world.wanted.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
