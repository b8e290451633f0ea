//! What there is to show of the stream and of those who follow it.

use super::link::Phase;

/// One replica as INFO and ROLE show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaFigures {
    /// The address to reach it at.
    pub address: String,
    /// The port that it listens on.
    pub port: i64,
    /// Where it is.
    pub phase: Phase,
    /// How far it says it is.
    pub offset: u64,
    /// For how many seconds nothing has been heard of it.
    pub lag_s: u64,
    /// What waits for it, bytes.
    pub waiting_bytes: u64,
}

/// What INFO and the metrics show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFigures {
    /// The name of what the stream is of.
    pub id: String,
    /// The stream's offset.
    pub end: u64,
    /// Whether it is kept.
    pub kept: bool,
    /// The number of the first byte that is kept.
    pub first: u64,
    /// How many bytes are kept.
    pub length: u64,
    /// What they take.
    pub memory: u64,
    /// Replicas that count for `min-replicas-to-write`, if that is set.
    pub good: Option<u64>,
    /// Full synchronizations that were asked for.
    pub full: u64,
    /// Replicas that went on where they were.
    pub resumed: u64,
    /// Replicas that wanted to and could not.
    pub refused: u64,
    /// Bytes that were sent to replicas.
    pub sent: u64,
    /// The replicas, in the order in which they came.
    pub replicas: Vec<ReplicaFigures>,
}
