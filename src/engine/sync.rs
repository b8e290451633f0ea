//! What the permits are built of. `tests/shuttle_world` puts a scheduler's versions in its place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
pub(super) use std::thread;

pub(super) use tokio::sync::{Mutex, MutexGuard, Notify};
