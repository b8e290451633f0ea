//! The permits by which somebody holds the whole keyspace.
//!
//! Every worker holds a permit of its own, uncontended, while it runs a batch. Whoever needs the world
//! (FLUSHALL, SWAPDB, KEYS, a script) takes all the permits in order and then runs alone. Waiting is
//! asynchronous on both sides, so a worker that waits still turns its loop. Holders of the world are
//! served one at a time and in the order in which they came; a worker that was turned away stands in
//! the same queue and has its turn between them.
//!
//! A worker that gives its permit back and a taker that finds it in use must not miss each other. The
//! worker writes the permit and then reads `wanted`, the taker writes `wanted` and then reads the
//! permit: with all four sequentially consistent, one of them sees what the other wrote. What the
//! worker then sends is kept until the taker waits for it. `tests/shuttle_world` runs this file under
//! a scheduler of its own.

use super::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard, Notify, Ordering, thread};

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

    /// Waits until nobody wants or holds the world. Nobody can want it until the turn is given back, so
    /// [`World::try_work`] succeeds meanwhile: a worker that was turned away makes progress however
    /// many wait for the world behind it.
    pub async fn passed(&self) -> Turn<'_> {
        Turn(self.queue.lock().await)
    }

    /// Takes the whole keyspace. The caller must not hold a permit.
    pub async fn whole(&self) -> Whole<'_> {
        let turn = self.queue.lock().await;
        self.wanted.store(true, Ordering::SeqCst);
        let mut whole = Whole { world: self, taken: 0, _turn: turn };
        for permit in &self.permits {
            loop {
                let freed = permit.freed.notified();
                // A failure is the read that has to come after the write of `wanted`.
                if permit.state.compare_exchange(FREE, WORLD, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
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

    /// The same for a job that may be called off meanwhile, maybe by who holds the world and waits for the job's
    /// end: `None` once `called_off` says so. Whoever makes it say so unparks the job's thread.
    pub fn whole_unless(&self, called_off: impl Fn() -> bool) -> Option<Whole<'_>> {
        block_on_unless(self.whole(), called_off)
    }

    /// Makes sure, while it is held, that nobody takes the world.
    pub fn turn_blocking(&self) -> Turn<'_> {
        Turn(self.queue.blocking_lock())
    }

    /// The same for a job that may be called off meanwhile, as [`World::whole_unless`]. Taken by a save's first instant.
    pub fn turn_unless(&self, called_off: impl Fn() -> bool) -> Option<Turn<'_>> {
        block_on_unless(self.passed(), called_off)
    }
}

/// Runs a future on a thread that is no runtime's.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Some(output) = block_on_unless(&mut future, || false) {
            return output;
        }
    }
}

/// The same until `called_off`: then the future is dropped where it stands.
fn block_on_unless<F: Future>(future: F, called_off: impl Fn() -> bool) -> Option<F::Output> {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return Some(output),
            std::task::Poll::Pending if called_off() => return None,
            std::task::Poll::Pending => thread::park(),
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
