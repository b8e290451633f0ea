//! What `src/engine/sync.rs` names, under shuttle: its atomics and threads, and tokio's own mutex and
//! notification, whose every call is one step here, with a scheduling point before it. (They need no
//! runtime, and shuttle runs all threads of a model on one.)

pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU8, Ordering};
pub(super) use shuttle::thread;
pub(super) use tokio::sync::MutexGuard;

#[derive(Debug, Default)]
pub(super) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(super) fn notified(&self) -> impl Future<Output = ()> {
        let notified = self.0.notified();
        async move {
            thread::yield_now();
            notified.await;
        }
    }

    pub(super) fn notify_one(&self) {
        thread::yield_now();
        self.0.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct Mutex<T>(tokio::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Mutex<T> {
        Mutex(tokio::sync::Mutex::new(value))
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, T> {
        thread::yield_now();
        self.0.lock().await
    }

    pub(super) fn blocking_lock(&self) -> MutexGuard<'_, T> {
        shuttle::future::block_on(self.lock())
    }
}
