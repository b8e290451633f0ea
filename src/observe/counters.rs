//! What is counted: one enum, one label for each reason of a refusal.

/// Writes an enum without fields and the slice of all its values, so that no second list has
/// to be kept in step.
macro_rules! listed {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many values there are.
            pub const COUNT: usize = Self::ALL.len();
        }
    };
}

listed! {
    /// A counter that only grows. What is counted per command, error code or reason of a
    /// refusal has its own place in `Stats`.
    Counter {
        /// Connections accepted, refused ones included, as Redis counts.
        ConnectionsReceived,
        /// Connections refused because of `maxclients`.
        ConnectionsRejected,
        /// Connections that have been closed.
        ConnectionsClosed,
        /// Commands that were run (Redis's `total_commands_processed`).
        CommandsProcessed,
        /// Changes to keys, as Redis counts them for its save points.
        Changes,
        /// Lookups for reading that found their key.
        KeyspaceHits,
        /// Lookups for reading that did not find their key.
        KeyspaceMisses,
        /// Keys that went because their time had come, lazily or by the cycle.
        ExpiredKeys,
        /// Keys with an expiry that the active cycle looked at.
        ExpirySampled,
        /// Times that the active expiry cycle stopped at its limit of time.
        ExpiryTimeCapReached,
        /// Nanoseconds spent in the active expiry cycle.
        ExpiryCycleNanos,
        /// Keys removed to make room.
        EvictedKeys,
        /// Nanoseconds that workers spent on removing them.
        EvictionNanos,
        /// Clients closed to make room (`maxmemory-clients`).
        EvictedClients,
        /// Bytes read from clients.
        NetInputBytes,
        /// Bytes written to clients.
        NetOutputBytes,
        /// Reads from sockets that were worked on.
        ReadsProcessed,
        /// Writes to sockets.
        WritesProcessed,
        /// Error replies given, refusals included.
        ErrorReplies,
        /// Connections closed because what they sent is no RESP.
        ProtocolErrors,
        /// Batches of commands: what one read brought in, or a part of it.
        Batches,
        /// Commands that arrived in those batches.
        BatchCommands,
        /// Nanoseconds in which a worker was running batches.
        BusyNanos,
        /// Times that somebody took the whole keyspace.
        WorldPermits,
        /// Nanoseconds that the whole keyspace was held.
        WorldNanos,
        /// Panics that were caught; each closed one connection.
        PanicsCaught,
        /// Times that a client began to wait in a blocking command.
        ClientsBlocked,
        /// Times that a waiting client was served or gave up.
        ClientsUnblocked,
        /// Connections closed because of `client-query-buffer-limit`.
        QueryBufferDisconnections,
        /// Connections closed because of `client-output-buffer-limit`.
        OutputBufferDisconnections,
        /// Connections closed because of `timeout`.
        IdleDisconnections,
        /// Spans that were sampled and did not reach the receiver.
        SpansDropped,
        /// Spans that were handed to the exporter.
        SpansRecorded,
        /// Log lines that the rate limit kept back.
        LogLinesSuppressed,
        /// Snapshots that were finished.
        SavesCompleted,
        /// Snapshots that failed.
        SavesFailed,
    }
}

listed! {
    /// Why a command or a connection was refused.
    Refusal {
        /// No such command or subcommand.
        UnknownCommand,
        /// The wrong number of arguments.
        Arity,
        /// A password is needed first.
        NoAuth,
        /// The user may not do that.
        NoPermission,
        /// The command is switched off (`enable-debug-command` and its like).
        Disabled,
        /// Not allowed inside MULTI, or inside a script.
        Context,
        /// The transaction was given up because of an earlier error.
        ExecAbort,
        /// No memory left under `maxmemory`.
        OutOfMemory,
        /// Writes are off because the last save failed.
        Misconfigured,
        /// The data set is being loaded.
        Loading,
        /// A script or function is running too long.
        Busy,
        /// A write on a read-only replica.
        ReadOnly,
        /// The link to the primary is down.
        MasterDown,
        /// Too few replicas are connected.
        NoReplicas,
        /// The slot lives on another node.
        Moved,
        /// Only commands of pub/sub are allowed on this connection.
        Subscriber,
        /// The server has `maxclients` connections.
        MaxClients,
        /// Protected mode: a connection from outside without a password set.
        ProtectedMode,
        /// A client and the server did not agree on TLS.
        TlsHandshake,
        /// The connection speaks HTTP.
        CrossProtocol,
    }
}

listed! {
    /// What time is spent on between a request and its reply. Each is measured for itself, so the stages of one
    /// command need not add up to what its client waits.
    Stage {
        /// Waiting for a shard lock that somebody else held, by unit of work. Nothing where every lock was free.
        LockWait,
        /// Running a command that a client sent, without its waits for locks. What a script or a transaction runs is
        /// a part of it.
        Run,
        /// One write of replies to a socket.
        Write,
        /// One sync of the append-only file.
        Sync,
    }
}

impl Stage {
    /// The value of the label `stage`; where a trace has that stage, its name there.
    pub fn label(self) -> &'static str {
        match self {
            Self::LockWait => "lock_wait",
            Self::Run => "run",
            Self::Write => "write",
            Self::Sync => "sync",
        }
    }
}

impl Refusal {
    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::Arity => "arity",
            Self::NoAuth => "no_auth",
            Self::NoPermission => "no_permission",
            Self::Disabled => "disabled",
            Self::Context => "context",
            Self::ExecAbort => "exec_abort",
            Self::OutOfMemory => "out_of_memory",
            Self::Misconfigured => "misconfigured",
            Self::Loading => "loading",
            Self::Busy => "busy",
            Self::ReadOnly => "read_only",
            Self::MasterDown => "master_down",
            Self::NoReplicas => "no_replicas",
            Self::Moved => "moved",
            Self::Subscriber => "subscriber",
            Self::MaxClients => "max_clients",
            Self::ProtectedMode => "protected_mode",
            Self::TlsHandshake => "tls_handshake",
            Self::CrossProtocol => "cross_protocol",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let labels: HashSet<_> = Refusal::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Refusal::COUNT);
    }
}
