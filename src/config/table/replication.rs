//! Settings of replication and cluster mode.

macro_rules! replication_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Replication" {
    replicaof: Option<Master> = None => "replicaof" | "slaveof" shape("<host> <port>, or no one") [IMMUTABLE MULTI] requires(Replication: "") "The master to follow.";
    masterauth: Secret = Secret::default() => "masterauth" optional_text() [SECRET STORED] "Password for the master.";
    masteruser: Secret = Secret::default() => "masteruser" optional_text() [SECRET STORED] "User for the master.";
    min_replicas_to_write: u32 = 0 => "min-replicas-to-write" | "min-slaves-to-write" int(0, INT_MAX) [APPLIED] "Refuse writes with fewer replicas than this.";
    min_replicas_max_lag_s: u32 = 10 => "min-replicas-max-lag" | "min-slaves-max-lag" int(0, INT_MAX) [APPLIED] "Seconds a replica may lag and still count.";
    replica_serve_stale_data: bool = true => "replica-serve-stale-data" | "slave-serve-stale-data" yes_no() [STORED] "Answer while the link to the master is down.";
    replica_read_only: bool = true => "replica-read-only" | "slave-read-only" yes_no() [STORED] "Refuse writes on a replica.";
    replica_ignore_maxmemory: bool = true => "replica-ignore-maxmemory" | "slave-ignore-maxmemory" yes_no() [STORED] "Leave eviction to the master.";
    replica_lazy_flush: bool = false => "replica-lazy-flush" | "slave-lazy-flush" yes_no() [STORED] "Free the old data set in the background before a full sync.";
    replica_priority: u32 = 100 => "replica-priority" | "slave-priority" int(0, INT_MAX) [STORED] "Order in which Sentinel promotes replicas; 0 is never.";
    replica_announced: bool = true => "replica-announced" yes_no() [STORED] "Let Sentinel report this replica.";
    replica_announce_ip: String = String::new() => "replica-announce-ip" | "slave-announce-ip" optional_text() [STORED] "Address that the replica tells its master.";
    replica_announce_port: u16 = 0 => "replica-announce-port" | "slave-announce-port" int(0, 65535) [STORED] "Port that the replica tells its master.";
    replica_ignore_disk_write_errors: bool = false => "replica-ignore-disk-write-errors" yes_no() [STORED] "Keep replicating when the disk fails.";
    bind_source_addr: String = String::new() => "bind-source-addr" optional_text() [STORED] "Local address of connections that the server opens.";
    propagation_error_behavior: PropagationErrorBehavior = PropagationErrorBehavior::Ignore => "propagation-error-behavior" one_of(PropagationErrorBehavior::NAMES) [STORED] "What happens when a replicated command fails.";
    repl_timeout_s: u32 = 60 => "repl-timeout" int(1, INT_MAX) [] "Seconds after which a silent replication link is closed.";
    repl_ping_replica_period_s: u32 = 10 => "repl-ping-replica-period" | "repl-ping-slave-period" int(1, INT_MAX) [] "Seconds between pings to replicas.";
    repl_backlog_size_bytes: u64 = MB => "repl-backlog-size" memory(1, LONG_MAX) [APPLIED] "Replication stream kept for replicas that come back.";
    repl_backlog_ttl_s: u64 = 3600 => "repl-backlog-ttl" int(0, LONG_MAX) [] "Seconds without replicas after which the backlog is freed; 0 is never.";
    repl_disable_tcp_nodelay: bool = false => "repl-disable-tcp-nodelay" yes_no() [STORED] "Send fewer, larger packets to replicas.";
    repl_diskless_sync: bool = true => "repl-diskless-sync" yes_no() [] "Send a full sync without a file on disk.";
    repl_diskless_sync_delay_s: u32 = 5 => "repl-diskless-sync-delay" int(0, INT_MAX) [] "Seconds to wait for more replicas before a full sync.";
    repl_diskless_sync_max_replicas: u32 = 0 => "repl-diskless-sync-max-replicas" int(0, INT_MAX) [] "Replicas that end that wait; 0 is none.";
    repl_diskless_load: ReplDisklessLoad = ReplDisklessLoad::Disabled => "repl-diskless-load" one_of(ReplDisklessLoad::NAMES) [DENY_LOADING STORED] "Load a full sync without a file on disk.";
}
"Cluster" {
    cluster_enabled: bool = false => "cluster-enabled" yes_no() [IMMUTABLE] requires(Cluster: "no") "Run as a node of a cluster.";
    cluster_config_file: String = "nodes.conf".into() => "cluster-config-file" text() [IMMUTABLE STORED] "File in which a node keeps the cluster's state.";
    cluster_node_timeout_ms: u64 = 15_000 => "cluster-node-timeout" int(0, LONG_MAX) [STORED] "Milliseconds after which a silent node counts as failed.";
    cluster_port: u16 = 0 => "cluster-port" int(0, 65535) [IMMUTABLE STORED] "Port of the cluster bus; 0 is port plus 10000.";
    cluster_migration_barrier: u32 = 1 => "cluster-migration-barrier" int(0, INT_MAX) [STORED] "Replicas that a master keeps when others migrate.";
    cluster_allow_replica_migration: bool = true => "cluster-allow-replica-migration" yes_no() [STORED] "Let replicas migrate to masters without one.";
    cluster_require_full_coverage: bool = true => "cluster-require-full-coverage" yes_no() [STORED] "Stop answering when a slot is not served.";
    cluster_allow_reads_when_down: bool = false => "cluster-allow-reads-when-down" yes_no() [STORED] "Answer reads while the cluster is down.";
    cluster_allow_pubsubshard_when_down: bool = true => "cluster-allow-pubsubshard-when-down" yes_no() [STORED] "Serve sharded channels while the cluster is down.";
    cluster_replica_no_failover: bool = false => "cluster-replica-no-failover" | "cluster-slave-no-failover" yes_no() [STORED] "Never promote this replica by itself.";
    cluster_replica_validity_factor: u32 = 10 => "cluster-replica-validity-factor" | "cluster-slave-validity-factor" int(0, INT_MAX) [STORED] "How stale a replica may be and still be promoted.";
    cluster_announce_ip: String = String::new() => "cluster-announce-ip" optional_text() [STORED] "Address that the node tells others.";
    cluster_announce_port: u16 = 0 => "cluster-announce-port" int(0, 65535) [STORED] "Port that the node tells others.";
    cluster_announce_bus_port: u16 = 0 => "cluster-announce-bus-port" int(0, 65535) [STORED] "Bus port that the node tells others.";
    cluster_announce_tls_port: u16 = 0 => "cluster-announce-tls-port" int(0, 65535) [STORED] "TLS port that the node tells others.";
    cluster_announce_hostname: String = String::new() => "cluster-announce-hostname" optional_checked(host_name) [STORED] "Name that the node tells others.";
    cluster_preferred_endpoint_type: ClusterEndpointType = ClusterEndpointType::Ip => "cluster-preferred-endpoint-type" one_of(ClusterEndpointType::NAMES) [STORED] "What clients are sent to.";
    cluster_link_sendbuf_limit_bytes: u64 = 0 => "cluster-link-sendbuf-limit" memory(0, ULONG_MAX) [STORED] "Bytes that may wait on a link of the bus; 0 is no limit.";
}
    } $($rest)* } };
}
