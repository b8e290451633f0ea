//! The permits with a fault planted: a notification reaches only who waits already, and is forgotten
//! otherwise.

#[path = "../../src/engine/world.rs"]
#[allow(dead_code)]
pub mod world;

mod sync {
    pub(super) use crate::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard, Ordering, thread};

    #[derive(Debug, Default)]
    pub(super) struct Notify(tokio::sync::Notify);

    impl Notify {
        pub(super) async fn notified(&self) {
            thread::yield_now();
            self.0.notified().await;
        }

        pub(super) fn notify_one(&self) {
            self.0.notify_waiters();
        }
    }
}
