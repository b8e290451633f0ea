//! Up to which size values of all types stay packed.

use super::stream::NodeLimits;
use super::{Limits, NodeLimit, SetLimits};

/// The limits of all types together, for who makes a value of any.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValueLimits {
    /// A list's nodes.
    pub list: NodeLimit,
    /// Sets of integers.
    pub set: SetLimits,
    /// Hashes.
    pub hash: Limits,
    /// Sorted sets.
    pub sorted_set: Limits,
    /// A stream's nodes.
    pub stream: NodeLimits,
}
