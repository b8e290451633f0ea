//! What all workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::clock::Clock;
use crate::command::Registry;
use crate::command::ports::Server;
use crate::config::Config;
use crate::observe::Stats;
use crate::observe::trace::Tracer;
use crate::store::Store;

use super::clients::ClientTable;
use super::log::{EffectLog, Keepers};
use super::memory::Memory;
use super::usage::Watched;
use super::world::World;

/// States of the server that decide about commands.
#[derive(Debug)]
pub struct Status {
    /// A file is being loaded.
    pub loading: AtomicBool,
    /// The last save failed while save points are set and `stop-writes-on-bgsave-error` is on.
    pub writes_stopped: AtomicBool,
    /// The append-only file cannot be written, and writes are to stop for it.
    pub log_failing: AtomicBool,
    /// Who wants the units' effects from [`Engine::log`].
    pub logging: Keepers,
    /// Fewer replicas follow than `min-replicas-to-write` wants.
    pub replicas_lacking: Arc<AtomicBool>,
    /// The server is ending: no new commands.
    pub stopping: AtomicBool,
    /// Expired keys are removed actively.
    pub active_expiry: AtomicBool,
    /// When a connection was last reported that spoke HTTP, in milliseconds since 1970.
    pub slip_logged_ms: AtomicU64,
    /// What is known of its memory.
    pub memory: Memory,
}

impl Status {
    fn new(memory: Memory) -> Status {
        Status {
            loading: AtomicBool::default(),
            writes_stopped: AtomicBool::default(),
            log_failing: AtomicBool::default(),
            logging: Keepers::default(),
            replicas_lacking: Arc::default(),
            stopping: AtomicBool::default(),
            active_expiry: AtomicBool::new(true),
            slip_logged_ms: AtomicU64::default(),
            memory,
        }
    }
}

/// What all workers share. Made once by `app`.
pub struct Engine {
    /// The keyspace.
    pub store: Arc<Store>,
    /// The commands.
    pub registry: Arc<Registry>,
    /// The settings.
    pub config: Config,
    /// Counters and histograms.
    pub stats: Arc<Stats>,
    /// Time.
    pub clock: Clock,
    /// Connected clients.
    pub clients: Arc<ClientTable>,
    /// Permits for the whole keyspace: one of each worker, and one of whoever reads from outside
    /// ([`Reader`](super::reader::Reader)).
    pub world: Arc<World>,
    /// States that decide about commands.
    pub status: Arc<Status>,
    /// Spans of sampled commands.
    pub tracer: Tracer,
    /// Which keys and clients take most.
    pub usage: Watched,
    /// Who keeps the effects of units.
    pub log: Arc<dyn EffectLog>,
    /// The rest of the server, for commands that ask.
    pub server: Arc<dyn Server>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("workers", &self.stats.workers()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Fresh states; memory is what the allocator says.
    pub fn status() -> Arc<Status> {
        Engine::status_with(Memory::new(crate::observe::memory::used))
    }

    /// Fresh states, with another idea of how much memory is in use.
    pub fn status_with(memory: Memory) -> Arc<Status> {
        Arc::new(Status::new(memory))
    }
}
