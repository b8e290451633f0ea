//! The figures that are not counted but asked for at the moment of a scrape.

/// One database of the keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DbFigures {
    /// Keys.
    pub keys: u64,
    /// Keys that have an expiry.
    pub expires: u64,
    /// Their mean time to live, in milliseconds, as INFO keyspace shows it.
    pub avg_ttl_ms: u64,
}

/// One worker, beside what it counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerFigures {
    /// Connections that live on it.
    pub connections: u64,
    /// How long ago its loop last turned, in seconds.
    pub turned_seconds_ago: f64,
}

/// What waits for the locks of a group of shards came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockWaitFigures {
    /// How many there were.
    pub waits: u64,
    /// Nanoseconds that they took.
    pub nanos: u64,
}

/// A save or a load that is under way. In bytes, where the number of keys is not known beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Keys that are done.
    pub keys_done: u64,
    /// Keys there are in all.
    pub keys_total: u64,
}

impl Progress {
    /// From 0 to 1; 1 when there is nothing to do.
    pub fn ratio(self) -> f64 {
        if self.keys_total == 0 { 1.0 } else { (self.keys_done as f64 / self.keys_total as f64).min(1.0) }
    }
}

/// One replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaFigures {
    /// The address to reach it at.
    pub address: String,
    /// The port that it listens on.
    pub port: i64,
    /// `wait_bgsave`, `send_bulk` or `online`.
    pub state: &'static str,
    /// How far in the stream it says it is.
    pub offset: u64,
    /// For how many seconds nothing has been heard of it.
    pub lag_seconds: u64,
}

/// The stream of what happens, and who follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicationFigures {
    /// The 40 hexadecimal digits that replicas know the data set by.
    pub id: String,
    /// The stream's offset.
    pub offset: u64,
    /// Whether it is kept for replicas that come back.
    pub kept: bool,
    /// `repl-backlog-size`.
    pub size_limit: u64,
    /// The number of the first byte that is kept.
    pub first_byte: u64,
    /// Bytes that are kept.
    pub kept_bytes: u64,
    /// What keeping them takes.
    pub memory: u64,
    /// Replicas that count for `min-replicas-to-write`; None when that is not set.
    pub good_replicas: Option<u64>,
    /// Full synchronizations.
    pub full_syncs: u64,
    /// Replicas that went on where they had been.
    pub partial_syncs: u64,
    /// Replicas that wanted to and could not.
    pub partial_refused: u64,
    /// Bytes that were sent to replicas.
    pub sent_bytes: u64,
    /// Bytes that replicas have yet to be sent beyond what is kept anyway.
    pub buffer_bytes: u64,
    /// The replicas.
    pub replicas: Vec<ReplicaFigures>,
}

/// Scripts and functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFigures {
    /// Scripts that are kept.
    pub scripts: u64,
    /// Bytes of their text and its table.
    pub script_bytes: u64,
    /// Bytes of the workers' Lua states for scripts.
    pub script_state_bytes: u64,
    /// Libraries.
    pub libraries: u64,
    /// Functions of all libraries.
    pub functions: u64,
    /// Bytes of the libraries' code and of what was registered.
    pub library_bytes: u64,
    /// Bytes of the workers' Lua states for functions.
    pub function_state_bytes: u64,
}

/// What is known of which keys take most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyFigures {
    /// Requests that were drawn since the start.
    pub samples: u64,
    /// What the last walk over the keyspace found, once one has ended.
    pub found: Option<FoundFigures>,
}

/// What a walk over the keyspace found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundFigures {
    /// When it ended, in milliseconds since 1970.
    pub ended_unix_ms: u64,
    /// How long it took, in seconds.
    pub took_seconds: f64,
    /// By type: name, keys, bytes.
    pub types: Vec<(&'static str, u64, u64)>,
}

impl ScriptFigures {
    /// Bytes of all scripts and libraries without the Lua states.
    pub fn kept_bytes(&self) -> u64 {
        self.script_bytes + self.library_bytes
    }
}

/// The append-only file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AofFigures {
    /// It is written, or is about to be.
    pub enabled: bool,
    /// A rewrite runs.
    pub rewriting: bool,
    /// How far it is.
    pub rewrite: Option<Progress>,
    /// A rewrite will begin when nothing else runs.
    pub scheduled: bool,
    /// How long the last rewrite took, or None before the first.
    pub last_rewrite_seconds: Option<u64>,
    /// How long the running one has taken.
    pub current_rewrite_seconds: Option<u64>,
    /// The most bytes that it held back for the instant it wrote.
    pub last_cow_size: u64,
    /// The last rewrite failed.
    pub last_rewrite_failed: bool,
    /// Rewrites that were begun.
    pub rewrites: u64,
    /// How many of the last ones failed, one after the other.
    pub failures_in_a_row: u64,
    /// The file cannot be written or synced.
    pub write_failed: bool,
    /// Bytes of all files.
    pub current_size: u64,
    /// Bytes of all files after the last rewrite, or of the base at the start.
    pub base_size: u64,
    /// Bytes that wait to be written.
    pub buffered: u64,
    /// A sync is under way.
    pub syncing: bool,
    /// Writes that had to go on while a sync took too long.
    pub delayed_fsync: u64,
}

/// Everything that `/metrics` shows and that is no counter of `Stats`. Each field has the
/// meaning of INFO's field of that name, in the unit of its suffix; without one: bytes for
/// memory, otherwise a plain number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    // Server.
    /// The version of Redis whose behaviour is matched.
    pub redis_version: String,
    /// Our own version.
    pub glasswing_version: String,
    /// What the build was made of.
    pub build_id: String,
    /// System, its release and machine, as INFO prints them.
    pub os: String,
    /// The configuration file's path, or empty.
    pub config_file: String,
    /// `master` or `slave`.
    pub role: String,
    /// The process.
    pub process_id: u32,
    /// 40 hexadecimal digits, new at each start.
    pub run_id: String,
    /// The port, 0 when there is none.
    pub tcp_port: u16,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// When the server started, in seconds since 1970.
    pub start_time_unix_seconds: u64,
    /// Wall time of the look, in microseconds since 1970.
    pub now_unix_us: u64,
    /// The path of the program that runs, or empty.
    pub executable: String,
    /// The service manager that watches over the process: `systemd` or `upstart`.
    pub supervised: Option<&'static str>,
    /// What durations are measured with, such as `POSIX clock_gettime`.
    pub monotonic_clock: String,
    /// How often a second the background work runs now.
    pub hz: u64,
    /// `hz`.
    pub configured_hz: u64,
    /// Replication.
    pub replication: ReplicationFigures,
    /// `maxmemory-policy`.
    pub maxmemory_policy: String,
    /// `io-threads` as CONFIG GET shows it.
    pub config_io_threads: u64,
    // Clients.
    /// Clients that are connected.
    pub connected_clients: u64,
    /// Clients that wait in a blocking command.
    pub blocked_clients: u64,
    /// Clients that cache keys and hear of their changes.
    pub tracking_clients: u64,
    /// Keys that somebody may have cached.
    pub tracked_keys: u64,
    /// Pairs of such a key and a client.
    pub tracked_items: u64,
    /// Prefixes of keys of which somebody hears all changes.
    pub tracking_prefixes: u64,
    /// Channels that somebody listens to.
    pub pubsub_channels: u64,
    /// Patterns that somebody listens to.
    pub pubsub_patterns: u64,
    /// Sharded channels that somebody listens to.
    pub pubsubshard_channels: u64,
    /// Of these, the ones whose wait has an end.
    pub clients_in_timeout_table: u64,
    /// `maxclients`.
    pub maxclients: u64,
    /// The largest query buffer of late.
    pub client_recent_max_input_buffer: u64,
    /// The largest output buffer of late.
    pub client_recent_max_output_buffer: u64,
    // Memory.
    /// Bytes that were asked of the allocator.
    pub used_memory: u64,
    /// The most of them there ever was.
    pub used_memory_peak: u64,
    /// Resident bytes of the process.
    pub used_memory_rss: u64,
    /// What does not hold data: buffers, tables.
    pub used_memory_overhead: u64,
    /// What the empty server used.
    pub used_memory_startup: u64,
    /// What holds data.
    pub used_memory_dataset: u64,
    /// `maxmemory`, 0 when there is no limit.
    pub maxmemory: u64,
    /// Memory of the machine.
    pub total_system_memory: u64,
    /// Milliseconds that `maxmemory` has been exceeded.
    pub eviction_exceeded_ms: u64,
    /// Milliseconds that it has been exceeded until now without a break.
    pub eviction_exceeded_now_ms: u64,
    /// The longest time that a worker evicted in one go, nanoseconds.
    pub eviction_longest_hold_ns: u64,
    /// What waits to be freed or to be saved, which eviction does not count.
    pub mem_not_counted_for_evict: u64,
    /// Memory of the clients' buffers.
    pub mem_clients_normal: u64,
    /// Memory of the replicas' buffers.
    pub mem_clients_replicas: u64,
    /// Values waiting to be freed off the workers.
    pub lazyfree_pending_objects: u64,
    /// Values that were freed off the workers.
    pub lazyfreed_objects: u64,
    /// The allocator's name and version, as INFO prints it: `jemalloc-5.3.0`.
    pub mem_allocator: String,
    /// The allocator: bytes in live allocations.
    pub allocator_allocated: u64,
    /// The allocator: bytes in pages that hold any of them.
    pub allocator_active: u64,
    /// The allocator: bytes that are resident.
    pub allocator_resident: u64,
    /// The allocator: bytes of address space that it keeps without memory behind.
    pub allocator_retained: u64,
    /// The allocator: bytes for its own books.
    pub allocator_metadata: u64,
    /// Connections to other servers that MIGRATE keeps.
    pub migrate_cached_sockets: u64,
    // What the system allows the process and what it has.
    /// File descriptors that are open.
    pub open_fds: u64,
    /// File descriptors that may be open.
    pub max_fds: u64,
    /// Address space in use.
    pub virtual_memory: u64,
    /// Address space that may be used; the largest number when there is no limit.
    pub virtual_memory_max: u64,
    // Persistence.
    /// Whether a snapshot is being loaded.
    pub loading: bool,
    /// How far the load is, while there is one.
    pub load: Option<Progress>,
    /// When that load began, in seconds since 1970.
    pub load_start_unix_seconds: u64,
    /// Bytes of the file that is loaded.
    pub load_total_bytes: u64,
    /// Bytes of it that are read.
    pub load_done_bytes: u64,
    /// How long the load will go on, when that can be told yet.
    pub load_seconds_left: Option<f64>,
    /// Keys that the last load found expired and left out.
    pub rdb_last_load_keys_expired: u64,
    /// Keys that the last load took over.
    pub rdb_last_load_keys_loaded: u64,
    /// Changes since the last save.
    pub rdb_changes_since_last_save: u64,
    /// How far the save is, while one runs in the background.
    pub save: Option<Progress>,
    /// How long that save will go on, when that can be told yet.
    pub save_seconds_left: Option<f64>,
    /// For how long the end still waits for replicas, milliseconds; nothing while it does not.
    pub shutdown_wait_ms: Option<u64>,
    /// Bytes that the running save holds back for the instant it saves.
    pub save_retained_bytes: u64,
    /// The most of them so far, while a save runs.
    pub save_retained_peak_bytes: u64,
    /// The most of them during the last save that has ended.
    pub rdb_last_cow_size: u64,
    /// When a save last succeeded, in seconds since 1970.
    pub rdb_last_save_unix_seconds: u64,
    /// Whether the last save in the background succeeded.
    pub rdb_last_bgsave_ok: bool,
    /// How long it took, or None before the first.
    pub rdb_last_bgsave_seconds: Option<u64>,
    /// How long the running one has taken.
    pub rdb_current_bgsave_seconds: Option<u64>,
    /// What there is to tell of the append-only file.
    pub aof: AofFigures,
    /// Scripts and functions.
    pub scripts: ScriptFigures,
    /// Which keys take most.
    pub key_statistics: KeyFigures,
    // Statistics that are no counters.
    /// Per cent of the keys with an expiry that are probably past it.
    pub expired_stale_percent: f64,
    /// The percentiles that INFO latencystats shows (`latency-tracking-info-percentiles`).
    pub latency_percentiles: Vec<f64>,
    /// Entries of the slow log.
    pub slowlog_length: u64,
    /// The number of its newest entry, 0 without one.
    pub slowlog_last_id: u64,
    /// How long that command took, in seconds.
    pub slowlog_last_seconds: f64,
    // CPU, in seconds.
    /// Time in the program, all threads.
    pub cpu_user_seconds: f64,
    /// Time in the kernel, all threads.
    pub cpu_sys_seconds: f64,
    /// Time of the thread that Redis calls main, when the system tells it.
    pub cpu_user_main_thread_seconds: Option<f64>,
    /// The same in the kernel.
    pub cpu_sys_main_thread_seconds: Option<f64>,
    // Lists.
    /// Each database, by number. Its length is `databases`.
    pub databases: Vec<DbFigures>,
    /// Each worker, by number.
    pub workers: Vec<WorkerFigures>,
    /// Waits for locks, by group of shards.
    pub lock_waits: Vec<LockWaitFigures>,
    /// Each check of the health probes by name, and whether it is well.
    pub checks: Vec<(&'static str, bool)>,
}
