//! The keyspace: the only room that names dashmap.
//!
//! What lives here: entries and their layout, shards and their locks, a unit of work's locked view of
//! its keys, expiry, use counters, SCAN's walk, who waits for or watches a key, and the epochs that
//! let a save see one instant. What never does: a command, a socket, a clock, a file.
//!
//! Reading order: [`entry`] (one key), [`shard`] (one table), [`database`], [`keyspace`] (all of it),
//! [`view`] (what a command sees) and [`locking`], then [`scan`], [`sweep`], [`census`], [`evict`], [`saves`] and
//! [`capture`].

mod capture;
mod census;
mod database;
mod entry;
mod evict;
mod hash;
mod hooks;
mod keep;
mod keyspace;
mod loading;
mod locking;
mod object;
mod objects;
mod prefetch;
mod random;
mod saves;
mod scan;
mod shard;
mod size;
mod strings;
mod sweep;
#[cfg(test)]
mod tests;
mod told;
mod tracked;
mod trial;
mod usage;
mod view;
mod waits;
mod whole;

pub use capture::{Capture, Walker};
pub use census::{Amount, Census, LargeKey, TYPES, Tallied};
pub use entry::{Entry, EntryKind, MAX_INLINE, Meta, Str};
pub use evict::{Evicted, EvictionRule, EvictionStep, Evictor, Worth};
pub use hash::{KeyHash, KeyHasher};
pub use hooks::{Waiter, WatchFlag};
pub use keyspace::{Counts, Garbage, Store, StoreOptions, garbage_estimate};
pub use loading::{Arrival, DumpError, LoadedValue, Placed};
pub use object::{Kind, Object, Type};
pub use random::Random;
pub use saves::{Epoch, Saves};
pub use scan::Cursor;
pub use size::size_class;
pub use strings::{Expiry, WrongType};
pub use sweep::{Sweep, Swept};
pub use told::Noted;
pub use tracked::Stale;
pub use usage::{Usage, decayed, idle_seconds, idle_since, with_frequency};
pub use view::{By, Key, Loss, Moment, Tally, View};
pub use waits::{LOCK_GROUPS, LockWaits};
